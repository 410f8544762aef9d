//! Columns to Parquet, through polars' page, compression and footer writers.
//!
//! The levels and pages of nested columns are made here, because polars builds every column dense:
//! 1,000 members over 20,000 rows take it a second (docs/benchmarks.md#width), while CloudTrail's nested
//! columns are nearly all null. Costs here follow the values present.

mod arrange;
mod bounds;
mod dictionary;
mod encode;
mod facts;
mod file;
mod footer;
mod hybrid;
mod leaf;
mod levels;
mod plain;
mod shape;

use crate::error::{Error, Result};
pub use arrange::{Order, arrange};
pub use encode::Encoder;
pub use facts::FileFacts;
pub use file::{EncodedFile, ROW_GROUP_ROWS, TableWriter, Written};
use std::fmt;
use std::str::FromStr;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard at a level from 1 to 22.
    Zstd(i32),
    /// Snappy.
    Snappy,
    /// Gzip.
    Gzip,
    /// Not at all.
    None,
}

/// Level 1: on CloudTrail it is faster and no larger than level 3 (docs/benchmarks.md#zstd).
pub const DEFAULT_COMPRESSION: Compression = Compression::Zstd(1);

impl Compression {
    /// Returns the codec's name without a level.
    pub fn codec(self) -> &'static str {
        match self {
            Self::Zstd(_) => "zstd",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            other => f.write_str(other.codec()),
        }
    }
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (codec, level) = match text.split_once(':') {
            Some((codec, level)) => (codec, Some(level)),
            None => (text, None),
        };
        match (codec, level) {
            ("zstd", None) => Ok(DEFAULT_COMPRESSION),
            ("zstd", Some(level)) => match level.parse() {
                Ok(level @ 1..=22) => Ok(Self::Zstd(level)),
                _ => Err(Error::config("invalid zstd level: expected 1 to 22")),
            },
            ("snappy", None) => Ok(Self::Snappy),
            ("gzip", None) => Ok(Self::Gzip),
            ("none", None) => Ok(Self::None),
            _ => Err(Error::config(format!(
                "unknown compression `{text}`: expected zstd, zstd:LEVEL, snappy, gzip or none"
            ))),
        }
    }
}

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
