//! Reading a lake's rows: which files are live, and the columns of their row groups.
//!
//! Files come from the manifests, never from a walk of the folder: what no manifest names is not in the
//! lake. Those of a lake in a bucket are kept on this machine ([`DataFiles`]). Partition values and the times
//! that manifests keep rule files out before one is opened. A row group is read in steps by callers: what its
//! dictionaries and Bloom filters rule out is not read, then come the columns and members that a filter needs,
//! then the others for the rows that match.

mod cache;
mod chunk;
mod column;
mod file;
mod files;
mod guarded;
mod live;
mod texts;
mod wanted;

pub use column::Column;
pub use file::OpenFile;
pub use files::{CacheOptions, DEFAULT_CACHE, DataFiles};
pub use live::{LiveFile, MISSING_FILE, live_files};
pub use texts::TextColumn;
