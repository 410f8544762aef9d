//! A data file, as manifests have it.

use crate::family::main_table;
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

impl DataFile {
    /// Returns how many records it holds: rows of a typed table are those of a main table once more.
    pub fn records(&self) -> u64 {
        if main_table(&self.table) == self.table { self.rows } else { 0 }
    }
}
