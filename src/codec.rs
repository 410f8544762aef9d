//! How pages of Parquet files are compressed.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
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

impl From<Compression> for String {
    fn from(compression: Compression) -> Self {
        compression.to_string()
    }
}

impl TryFrom<String> for Compression {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
