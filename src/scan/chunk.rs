//! A column chunk: what the footer says of it, and its bytes.

use polars_buffer::Buffer;
use polars_parquet::parquet::compression::{Compression, DecompressionContext};
use polars_parquet::parquet::error::ParquetResult;
use polars_parquet::parquet::page::{CompressedPage, Page};
use polars_parquet::parquet::read::decompress;
use polars_parquet::parquet::schema::types::PrimitiveType;
use polars_parquet::read::{BasicDecompressor, ColumnChunkMetadata, PageReader};
use std::cell::RefCell;
use std::io::Cursor;

thread_local! {
    /// What pages are unpacked with. To make it anew for each column of a small file takes as long as to unpack
    /// the column: a tenth of a question's processor time.
    static UNPACKER: RefCell<(Vec<u8>, DecompressionContext)> =
        const { RefCell::new((Vec::new(), DecompressionContext::Unset)) };
}

/// Unpacks a page and reads it.
pub(super) fn unpacked<T>(
    page: CompressedPage,
    read: impl FnOnce(&Page) -> ParquetResult<T>,
) -> ParquetResult<T> {
    let compression = match &page {
        CompressedPage::Data(page) => page.compression(),
        CompressedPage::Dict(page) => page.compression(),
    };
    let none = (Vec::new(), DecompressionContext::Unset);
    let (mut buffer, mut context) = UNPACKER.with(|unpacker| unpacker.replace(none));
    let page = decompress(page, &mut buffer, &mut context)?;
    let out = read(&page)?;
    if compression != Compression::Uncompressed {
        buffer = match page {
            Page::Data(mut page) => std::mem::take(page.buffer_mut()),
            Page::Dict(page) => page.buffer.into_vec(),
        };
    }
    UNPACKER.with(|unpacker| unpacker.replace((buffer, context)));
    Ok(out)
}

/// A column chunk of a mapped file.
#[derive(Clone)]
pub(super) struct Chunk<'a> {
    pub(super) metadata: &'a ColumnChunkMetadata,
    bytes: Buffer<u8>,
}

impl<'a> Chunk<'a> {
    /// Takes a chunk from a file's bytes; what lies outside of them makes polars panic.
    pub(super) fn new(metadata: &'a ColumnChunkMetadata, file: &Buffer<u8>) -> Self {
        let range = metadata.byte_range();
        Self { metadata, bytes: file.clone().sliced(range.start as usize..range.end as usize) }
    }

    /// Returns its pages as they lie in the file, from the first.
    pub(super) fn compressed(&self) -> PageReader {
        let bytes = Cursor::new(self.bytes.clone());
        PageReader::new(bytes, self.metadata, Vec::new(), usize::MAX)
    }

    /// Returns its pages, from the first.
    pub(super) fn pages(&self) -> BasicDecompressor {
        BasicDecompressor::new(self.compressed(), Vec::new())
    }

    /// Returns the type of its values.
    pub(super) fn primitive_type(&self) -> &'a PrimitiveType {
        &self.metadata.descriptor().descriptor.primitive_type
    }

    /// Returns the greatest definition and repetition level.
    pub(super) fn levels(&self) -> (u32, u32) {
        let descriptor = &self.metadata.descriptor().descriptor;
        let level = |level: i16| u32::try_from(level).unwrap_or(0);
        (level(descriptor.max_def_level), level(descriptor.max_rep_level))
    }
}
