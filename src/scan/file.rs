//! One Parquet file, by row groups and columns.

use crate::error::{Error, ErrorKind, Result};
use crate::scan::Column;
use bytes::Bytes;
use polars::prelude::{
    DataFrame, ParallelStrategy, ParquetReader, PolarsError, PolarsResult, SerReader,
};
use polars_parquet::parquet::metadata::{FileMetadata, SchemaDescriptor};
use polars_parquet::parquet::schema::types::{GroupConvertedType, GroupLogicalType, ParquetType};
use std::fs::File;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a file's bytes are.
#[derive(Clone, Debug)]
pub enum DataBytes {
    /// In a file, which is mapped.
    Path(PathBuf),
    /// In memory.
    Bytes(Bytes),
}

/// A file whose footer has been read.
#[derive(Debug)]
pub struct OpenFile {
    name: String,
    bytes: DataBytes,
    /// A footer for each row group, which knows of no other.
    groups: Vec<Arc<FileMetadata>>,
    columns: Vec<String>,
}

impl OpenFile {
    /// Reads a file's footer; `name` is for messages.
    ///
    /// # Errors
    /// `Damaged` when it is not a Parquet file that can be read.
    pub fn open(name: &str, bytes: DataBytes) -> Result<Self> {
        let footer = guarded(name, || read_footer(&bytes))?;
        let columns = footer.schema_descr.fields().iter().map(|field| field.name().to_string());
        let columns = columns.collect();
        let mut footer = footer;
        let groups = std::mem::take(&mut footer.row_groups).into_iter().map(|group| {
            let mut one = footer.clone();
            one.num_rows = group.num_rows();
            one.row_groups = vec![group];
            Arc::new(one)
        });
        Ok(Self { name: name.to_owned(), bytes, groups: groups.collect(), columns })
    }

    /// Returns how many row groups there are.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Returns the names of its columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Reads columns of a row group, in the order asked for; `None` for a column that the file has not.
    ///
    /// # Errors
    /// `Damaged` when they cannot be read; `Bug` for a row group that the file has not.
    pub fn read(&self, group: usize, columns: &[&str]) -> Result<Vec<Option<Column>>> {
        let metadata = self.group(group)?;
        let there = columns.iter().filter(|name| self.columns.iter().any(|have| have == *name));
        let wanted: Vec<String> = there.map(|name| (*name).to_owned()).collect();
        if wanted.is_empty() {
            return Ok(columns.iter().map(|_| None).collect());
        }
        let frame = guarded(&self.name, || self.read_frame(metadata, wanted))?;
        let column = |name: &&str| {
            let series =
                frame.column(name).ok().map(|found| found.as_materialized_series().rechunk());
            series.map(|series| Column::new(&series))
        };
        guarded(&self.name, || Ok(columns.iter().map(column).collect()))
    }

    /// Reads columns of a row group as a frame of polars; those that the file has not are left out.
    ///
    /// # Errors
    /// As for [`OpenFile::read`].
    pub fn frame(&self, group: usize, columns: &[&str]) -> Result<DataFrame> {
        let there = columns.iter().filter(|name| self.columns.iter().any(|have| have == *name));
        let wanted: Vec<String> = there.map(|name| (*name).to_owned()).collect();
        let metadata = self.group(group)?;
        guarded(&self.name, || self.read_frame(metadata, wanted))
    }

    /// Returns how many rows a row group has.
    pub fn rows(&self, group: usize) -> usize {
        self.groups.get(group).map_or(0, |metadata| metadata.num_rows)
    }

    fn group(&self, group: usize) -> Result<&Arc<FileMetadata>> {
        let missing = || Error::new(ErrorKind::Bug, "no such row group").at("file", &self.name);
        self.groups.get(group).ok_or_else(missing)
    }

    fn read_frame(
        &self,
        metadata: &Arc<FileMetadata>,
        columns: Vec<String>,
    ) -> PolarsResult<DataFrame> {
        match &self.bytes {
            DataBytes::Path(path) => read_group(File::open(path)?, metadata, columns),
            DataBytes::Bytes(bytes) => read_group(Cursor::new(bytes.clone()), metadata, columns),
        }
    }
}

fn read_group(
    data: impl polars::io::mmap::MmapBytesReader,
    metadata: &Arc<FileMetadata>,
    columns: Vec<String>,
) -> PolarsResult<DataFrame> {
    let mut reader = ParquetReader::new(data)
        .with_columns(Some(columns))
        .read_parallel(ParallelStrategy::None)
        .set_rechunk(true);
    reader.set_metadata(Arc::clone(metadata));
    reader.finish()
}

fn read_footer(bytes: &DataBytes) -> PolarsResult<FileMetadata> {
    let mut footer = match bytes {
        DataBytes::Path(path) => polars_parquet::read::read_metadata(&mut File::open(path)?)?,
        DataBytes::Bytes(bytes) => polars_parquet::read::read_metadata(&mut Cursor::new(bytes))?,
    };
    // The Parquet types alone say what a column is.
    footer.key_value_metadata = None;
    let fields = footer.schema_descr.fields().iter().cloned().map(map_as_list).collect();
    footer.schema_descr = SchemaDescriptor::new(footer.schema_descr.name().into(), fields);
    Ok(footer)
}

/// Returns a MAP as the list of pairs that it is: the bytes and levels of both are the same, but polars'
/// reader asserts that there are no maps (`assert_dtypes` in polars-io 0.55.2).
fn map_as_list(field: ParquetType) -> ParquetType {
    let ParquetType::GroupType { field_info, mut logical_type, mut converted_type, fields } = field
    else {
        return field;
    };
    if logical_type == Some(GroupLogicalType::Map)
        || converted_type == Some(GroupConvertedType::Map)
    {
        logical_type = Some(GroupLogicalType::List);
        converted_type = Some(GroupConvertedType::List);
    }
    let fields = fields.into_iter().map(map_as_list).collect();
    ParquetType::GroupType { field_info, logical_type, converted_type, fields }
}

/// Runs polars on bytes that may be damaged: its readers panic on some of them.
fn guarded<T>(name: &str, run: impl FnOnce() -> PolarsResult<T>) -> Result<T> {
    let damaged = || {
        let message = "cannot read a data file: run `trailmill verify` on the lake";
        Error::new(ErrorKind::Damaged, message).at("file", name)
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(PolarsError::IO { error, .. })) => {
            Err(Error::io("cannot read a data file", std::io::Error::other(error)).at("file", name))
        }
        Ok(Err(err)) => Err(damaged().because(err)),
        Err(_) => Err(damaged()),
    }
}
