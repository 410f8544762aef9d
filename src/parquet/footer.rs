//! A file's schema, indexes and footer, in the structures of polars' Parquet format.
//!
//! Pages are written as they are encoded. polars' own file writer asks for all of them first, writes
//! every chunk's metadata twice, and takes some 7 % of a conversion into small partitions.

use crate::error::Result;
use crate::parquet::bounds::Bounds;
use crate::parquet::encode::{Chunk, DataPage, bug};
use polars_parquet::parquet::metadata::{KeyValue, SchemaDescriptor};
use polars_parquet::parquet::schema::types::ParquetType;
use polars_parquet::parquet::write::{FileWriter, Version, WriteOptions};
use polars_parquet_format::thrift::protocol::TCompactOutputProtocol;
use polars_parquet_format::{
    BoundaryOrder, ColumnChunk, ColumnIndex, ColumnMetaData, ColumnOrder, FileMetaData,
    OffsetIndex, RowGroup, SchemaElement,
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
    /// file of small chunks they would be a quarter. Bloom filters, column indexes and offset indexes lie apart from each
    /// other, so that who reads one kind need not fetch the others between.
    pub(super) fn write(self, out: &mut Vec<u8>) -> Result<()> {
        let has_index =
            self.groups.iter().flat_map(|(_, chunks)| chunks).any(|it| it.pages.len() > 1);
        let mut groups = Vec::with_capacity(self.groups.len());
        let mut pages = Vec::new();
        for (ordinal, (rows, chunks)) in self.groups.into_iter().enumerate() {
            let sum = |of: fn(&Chunk) -> i64| chunks.iter().map(of).sum::<i64>();
            let total_byte_size = sum(|chunk| chunk.metadata.total_uncompressed_size);
            let total_compressed_size = Some(sum(|chunk| chunk.metadata.total_compressed_size));
            let first = chunks.first().map(|chunk| &chunk.metadata);
            let file_offset =
                first.map(|first| first.dictionary_page_offset.unwrap_or(first.data_page_offset));
            let mut columns = Vec::with_capacity(chunks.len());
            for chunk in chunks {
                columns.push(column(chunk.metadata, chunk.bloom, out));
                pages.push(chunk.pages);
            }
            groups.push(RowGroup {
                columns,
                total_byte_size,
                num_rows: rows as i64,
                sorting_columns: None,
                file_offset,
                total_compressed_size,
                ordinal: i16::try_from(ordinal).ok(),
            });
        }
        if has_index {
            put_indexes(&mut groups, &pages, out)?;
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

/// Returns what the footer says of a chunk, whose Bloom filter is appended to the file.
fn column(mut metadata: ColumnMetaData, bloom: Option<Vec<u8>>, out: &mut Vec<u8>) -> ColumnChunk {
    if let Some(bloom) = bloom {
        metadata.bloom_filter_offset = Some(out.len() as i64);
        metadata.bloom_filter_length = Some(bloom.len() as i32);
        out.extend_from_slice(&bloom);
    }
    ColumnChunk {
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
    }
}

/// Appends the page indexes of all chunks to the file, first what is in each page, then where each is.
fn put_indexes(groups: &mut [RowGroup], pages: &[Vec<DataPage>], out: &mut Vec<u8>) -> Result<()> {
    let mut columns: Vec<_> =
        groups.iter_mut().flat_map(|group| &mut group.columns).zip(pages).collect();
    for (column, pages) in &mut columns {
        let bounds = |page: &DataPage| page.bounds.clone().unwrap_or_default();
        let (min_values, max_values) =
            pages.iter().map(bounds).map(|Bounds { min, max, .. }| (min, max)).unzip();
        let index = ColumnIndex {
            null_pages: pages.iter().map(|page| page.bounds.is_none()).collect(),
            min_values,
            max_values,
            boundary_order: BoundaryOrder::UNORDERED,
            null_counts: Some(pages.iter().map(|page| page.nulls).collect()),
            repetition_level_histograms: None,
            definition_level_histograms: None,
        };
        column.column_index_offset = Some(out.len() as i64);
        let length = index.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut *out));
        column.column_index_length = Some(length.map_err(bug)? as i32);
    }
    for (column, pages) in columns {
        let page_locations = pages.iter().map(|page| page.location.clone()).collect();
        let index = OffsetIndex { page_locations, unencoded_byte_array_data_bytes: None };
        column.offset_index_offset = Some(out.len() as i64);
        let length = index.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut *out));
        column.offset_index_length = Some(length.map_err(bug)? as i32);
    }
    Ok(())
}

/// parquet-mr ignores text statistics of a writer whose name it cannot parse.
fn created_by() -> String {
    format!("trailmill version {} (build polars-parquet 0.55.2)", env!("CARGO_PKG_VERSION"))
}
