//! A file's schema, indexes and footer, in the structures of polars' Parquet format.
//!
//! Pages are written as they are encoded. polars' own file writer asks for all of them first, writes
//! every chunk's metadata twice, and takes some 7 % of a conversion into small partitions.

use crate::error::Result;
use crate::parquet::bounds::Bounds;
use crate::parquet::encode::{Chunk, bug};
use polars_parquet::parquet::metadata::{KeyValue, SchemaDescriptor};
use polars_parquet::parquet::schema::types::ParquetType;
use polars_parquet::parquet::write::{FileWriter, Version, WriteOptions};
use polars_parquet_format::thrift::protocol::TCompactOutputProtocol;
use polars_parquet_format::{
    BoundaryOrder, ColumnChunk, ColumnIndex, ColumnOrder, FileMetaData, OffsetIndex, RowGroup,
    SchemaElement,
};

/// What a file begins and ends with.
pub(super) const MAGIC: &[u8; 4] = b"PAR1";

/// The columns of a file.
#[derive(Debug)]
pub(super) struct FileSchema {
    pub descriptor: SchemaDescriptor,
    elements: Vec<SchemaElement>,
    orders: Option<Vec<ColumnOrder>>,
}

impl FileSchema {
    /// Makes the schema; what a footer says of it is polars' business.
    pub(super) fn new(types: Vec<ParquetType>) -> Result<Self> {
        let descriptor = SchemaDescriptor::new("trailmill".into(), types);
        let options = WriteOptions { write_statistics: false, version: Version::V1 };
        let mut empty = FileWriter::new(Vec::new(), descriptor.clone(), options, None);
        empty.end(None).map_err(bug)?;
        let (_, footer) = empty.into_inner_and_metadata();
        Ok(Self { descriptor, elements: footer.schema, orders: footer.column_orders })
    }
}

/// The row groups of a file, whose pages are in `out`.
#[derive(Debug)]
pub(super) struct Footer<'a> {
    pub schema: &'a FileSchema,
    /// Rows and chunks of each row group.
    pub groups: Vec<(u64, Vec<Chunk>)>,
    pub metadata: Vec<KeyValue>,
}

impl Footer<'_> {
    /// Ends the file. Page indexes are written where there is more than one page to choose from: of a
    /// file of small chunks they would be a quarter.
    pub(super) fn write(self, out: &mut Vec<u8>) -> Result<()> {
        let chunks = || self.groups.iter().flat_map(|(_, chunks)| chunks);
        let has_index = chunks().any(|chunk| chunk.pages.len() > 1);
        let mut groups = Vec::with_capacity(self.groups.len());
        for (ordinal, (rows, chunks)) in self.groups.into_iter().enumerate() {
            let sum = |of: fn(&Chunk) -> i64| chunks.iter().map(of).sum::<i64>();
            let total_byte_size = sum(|chunk| chunk.metadata.total_uncompressed_size);
            let total_compressed_size = Some(sum(|chunk| chunk.metadata.total_compressed_size));
            let first = chunks.first().map(|chunk| &chunk.metadata);
            let file_offset =
                first.map(|first| first.dictionary_page_offset.unwrap_or(first.data_page_offset));
            let columns = chunks.into_iter().map(|chunk| column(chunk, has_index, out));
            groups.push(RowGroup {
                columns: columns.collect::<Result<_>>()?,
                total_byte_size,
                num_rows: rows as i64,
                sorting_columns: None,
                file_offset,
                total_compressed_size,
                ordinal: i16::try_from(ordinal).ok(),
            });
        }
        let footer = FileMetaData {
            version: 1,
            schema: self.schema.elements.clone(),
            num_rows: groups.iter().map(|group| group.num_rows).sum(),
            row_groups: groups,
            key_value_metadata: Some(self.metadata),
            created_by: Some(created_by()),
            column_orders: self.schema.orders.clone(),
            encryption_algorithm: None,
            footer_signing_key_metadata: None,
        };
        let start = out.len();
        footer.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut *out)).map_err(bug)?;
        let length = (out.len() - start) as u32;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(MAGIC);
        Ok(())
    }
}

fn column(chunk: Chunk, has_index: bool, out: &mut Vec<u8>) -> Result<ColumnChunk> {
    let Chunk { mut metadata, pages, bloom } = chunk;
    if let Some(bloom) = bloom {
        metadata.bloom_filter_offset = Some(out.len() as i64);
        metadata.bloom_filter_length = Some(bloom.len() as i32);
        out.extend_from_slice(&bloom);
    }
    let mut column = ColumnChunk {
        file_path: None,
        // Where a copy of the metadata is; there is none.
        file_offset: 0,
        meta_data: Some(metadata),
        offset_index_offset: None,
        offset_index_length: None,
        column_index_offset: None,
        column_index_length: None,
        crypto_metadata: None,
        encrypted_column_metadata: None,
    };
    if !has_index {
        return Ok(column);
    }
    let (mut null_pages, mut null_counts) = (Vec::new(), Vec::new());
    let (mut min_values, mut max_values, mut page_locations) = (Vec::new(), Vec::new(), Vec::new());
    for page in pages {
        null_pages.push(page.bounds.is_none());
        null_counts.push(page.nulls);
        let Bounds { min, max, .. } = page.bounds.unwrap_or_default();
        min_values.push(min);
        max_values.push(max);
        page_locations.push(page.location);
    }
    let index = ColumnIndex {
        null_pages,
        min_values,
        max_values,
        boundary_order: BoundaryOrder::UNORDERED,
        null_counts: Some(null_counts),
        repetition_level_histograms: None,
        definition_level_histograms: None,
    };
    column.column_index_offset = Some(out.len() as i64);
    let length = index.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut *out));
    column.column_index_length = Some(length.map_err(bug)? as i32);
    let index = OffsetIndex { page_locations, unencoded_byte_array_data_bytes: None };
    column.offset_index_offset = Some(out.len() as i64);
    let length = index.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut *out));
    column.offset_index_length = Some(length.map_err(bug)? as i32);
    Ok(column)
}

/// parquet-mr ignores text statistics of a writer whose name it cannot parse.
fn created_by() -> String {
    format!("trailmill version {} (build polars-parquet 0.55.2)", env!("CARGO_PKG_VERSION"))
}
