//! What the footer of a data file of ours says, for who has lost the manifest that said so.

use crate::error::{Error, ErrorKind, Result};
use polars_parquet::parquet::metadata::{FileMetadata, RowGroupMetadata};
use polars_parquet::parquet::read::read_metadata;
use polars_parquet::parquet::statistics::Statistics;
use std::io::Cursor;

/// What a file's footer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Rows.
    pub rows: u64,
    /// The schema lock that it was written with.
    pub schema_version: u32,
    /// The earliest event, milliseconds since 1970; 0 where the file does not say.
    pub min_instant: i64,
    /// The latest event.
    pub max_instant: i64,
}

impl FileFacts {
    /// Reads the footer of a whole file.
    ///
    /// # Errors
    /// `Damaged` when it is no Parquet file of ours.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::new(ErrorKind::Damaged, "data file is damaged");
        let metadata =
            read_metadata(&mut Cursor::new(bytes)).map_err(|err| damaged().because(err))?;
        let entries = metadata.key_value_metadata.iter().flatten();
        let version = entries
            .filter(|entry| entry.key == "trailmill.schema_version")
            .find_map(|entry| entry.value.as_ref()?.parse().ok())
            .ok_or_else(damaged)?;
        let bounds: Vec<(i64, i64)> =
            metadata.row_groups.iter().filter_map(|group| instants(&metadata, group)).collect();
        Ok(Self {
            rows: metadata.num_rows as u64,
            schema_version: version,
            min_instant: bounds.iter().map(|(min, _)| *min).min().unwrap_or_default(),
            max_instant: bounds.iter().map(|(_, max)| *max).max().unwrap_or_default(),
        })
    }
}

/// The first and the last instant of a row group, as its statistics say.
fn instants(metadata: &FileMetadata, group: &RowGroupMetadata) -> Option<(i64, i64)> {
    let column = group.columns_under_root_iter("event_timestamp")?.next()?;
    match column.statistics(&metadata.footer_buf)? {
        Ok(Statistics::Int64(bounds)) => bounds.min_value.zip(bounds.max_value),
        _ => None,
    }
}
