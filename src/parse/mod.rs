//! Bytes of one object to records: which container it is, where its records are, and a cursor over
//! each record's values.
//!
//! simd-json builds a tape in place over a scratch copy; the untouched bytes stay where they are.
//! [`Cursor`] walks the tape and simd-json's structural marks in lock-step, so every value's exact
//! source text is known without a scan and without a value tree. Chunks of a Records array stay
//! inside the cache, which a whole object's tape falls out of (docs/benchmarks.md#chunks). What simd-json
//! refuses is split record by record, so that a bad record costs only itself.

mod container;
mod cursor;
mod exported;
mod known;
mod lines;
mod members;
mod minify;
mod python;
mod split;
mod table;
mod unknown;
mod unwrap;
mod walk;
mod wrappers;
mod yaml;

pub use container::{Container, Foreign, array_end, detect};
pub use cursor::{Cursor, Parser, Place, Scalar, ScalarKind};
pub use lines::{Line, Lines, is_blank, is_remark, may_hold_records, skip_padding};
pub use minify::{escape_json, minify_json};
pub use python::json_of_python;
pub(crate) use split::next_record;
pub use split::{Chunk, Chunks, RecordSpans};
pub use table::WRAPPER_KEY;
pub use unwrap::Unwrapper;
pub use walk::{Sink, Unwrapped};
pub use wrappers::{Holds, WRAPPERS, Wrapper};
pub use yaml::json_of_yaml;

/// The deepest nesting of a record that is parsed; deeper records are quarantined.
///
/// CloudTrail's deepest seen record has 12 levels; simd-json's own limit is 1024.
pub const MAX_DEPTH: usize = 1000;
