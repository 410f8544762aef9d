//! Records to columns: texts by reference, documented shapes, and sparse trees for what is
//! inferred. Nothing here allocates per record once its buffers are warm, and nothing recurses
//! past the parser's depth limit.

mod extra;
mod fingerprint;
mod follow;
mod object;
mod parsed;
mod record;
mod repeats;
mod segment;
mod text;
mod tree;
mod typed;

pub use fingerprint::Fingerprints;
pub(crate) use parsed::Parsed;
pub use record::{
    MAX_RECORD_BYTES, ObjectFacts, Row, Scratch, TableRows, TextColumn, Values, family_of,
    is_cloudtrail,
};
pub(crate) use segment::{
    Host, Input, MAX_KEPT_BYTES, MEMORY_PER_JSON_BYTE, RowOptions, SegmentObject, SegmentParser,
    Visiting, parse_segment,
};
pub(crate) use text::Interner;
pub use text::{Cell, MAX_UNIT_BYTES, Texts};
pub use tree::{FieldText, MAX_LEVELS, Tree};
pub(crate) use tree::{ListAt, NONE, Node, ObjectAt, ScalarAt, as_bigint};
