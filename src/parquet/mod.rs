//! Columns to Parquet, through polars' page, compression and footer writers.
//!
//! The levels and pages of nested columns are made here, because polars builds every column dense:
//! 1,000 members over 20,000 rows take it a second (docs/benchmarks.md#width), while CloudTrail's nested
//! columns are nearly all null. Costs here follow the values present.

mod arrange;
mod bloom;
mod bounds;
mod dictionary;
mod encode;
mod facts;
mod file;
mod footer;
mod hybrid;
mod leaf;
mod levels;
mod merged;
mod placement;
mod plain;
mod shape;

pub use crate::codec::{Compression, DEFAULT_COMPRESSION};
pub use arrange::{Order, arrange};
pub use bloom::may_contain;
pub use encode::Encoder;
pub use facts::FileFacts;
pub use file::{EncodedFile, TableWriter, Written, row_group_rows};
pub use merged::{LeafChunk, LeafValues, MergedFile};

/// What decides a file's bytes besides its rows.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// The codec.
    pub compression: Compression,
    /// The size at which a file ends; a row group more at most.
    pub target_file_bytes: u64,
    /// The identity of the unit, for the file's metadata.
    pub unit: String,
}
