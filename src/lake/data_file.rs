//! A data file, as manifests have it.

use serde::{Deserialize, Serialize};

/// One Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// The key in the lake.
    pub key: String,
    /// The table's name.
    pub table: String,
    /// The partition's path below the table.
    pub partition: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// The earliest event, milliseconds since 1970.
    pub min_instant: i64,
    /// The latest event.
    pub max_instant: i64,
}
