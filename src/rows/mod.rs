//! Records to columns: texts by reference, documented shapes, and sparse trees for what is
//! inferred. Nothing here allocates per record once its buffers are warm, and nothing recurses
//! past the parser's depth limit.

mod batch;
mod between;
mod extra;
mod fill;
mod fingerprint;
mod follow;
mod found;
mod host;
mod key_columns;
mod last_partition;
mod moves;
mod node;
mod object;
mod observe;
mod parsed;
mod recognize;
mod record;
mod repeats;
mod scratch;
mod segment;
mod table_rows;
mod taker;
mod text;
mod time;
mod tree;
mod typed;
mod unrecognized;
mod unwrapped;

pub use fingerprint::Fingerprints;
pub(crate) use host::{Host, MEMORY_PER_JSON_BYTE, RowOptions, Visiting};
pub(crate) use node::{ListAt, NONE, Node, ScalarAt};
pub(crate) use observe::as_bigint;
pub(crate) use parsed::Parsed;
pub use recognize::{family_of, is_cloudtrail};
pub use record::{MAX_RECORD_BYTES, ObjectFacts, Taking};
pub use scratch::Scratch;
pub(crate) use segment::{Input, MAX_KEPT_BYTES, SegmentObject, SegmentParser, parse_segment};
pub use table_rows::{Row, TableRows, TextColumn, Values};
pub use text::{Cell, MAX_UNIT_BYTES, Texts};
pub use tree::{FieldText, MAX_LEVELS, Tree};
