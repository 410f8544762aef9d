//! Reading a lake's rows: which files are live, and the columns of their row groups.
//!
//! Files come from the manifests, never from a walk of the folder: what no manifest names is not in the
//! lake. Partition values and the times that manifests keep rule files out before one is opened. A row
//! group is read in two steps by callers: the columns that a filter needs, then the others for groups with
//! a match.

mod cache;
mod column;
mod file;
mod live;

pub use cache::FileCache;
pub use column::Column;
pub use file::{DataBytes, OpenFile};
pub use live::{LiveFile, MISSING_FILE, live_files};
