//! Leaves to Parquet pages: levels, dictionaries, plain values, statistics, compression.

use crate::error::{Error, ErrorKind, Result};
use crate::parquet::bloom::filter;
use crate::parquet::bounds::Bounds;
use crate::parquet::dictionary::Dictionary;
use crate::parquet::hybrid;
use crate::parquet::leaf::Leaf;
use crate::parquet::levels::Levels;
use crate::parquet::plain::{plain, plain_text};
use polars_parquet::parquet::compression::{CompressionOptions, compress};
use polars_parquet::parquet::metadata::ColumnDescriptor;
use polars_parquet_format::thrift::protocol::TCompactOutputProtocol;
use polars_parquet_format::{
    ColumnMetaData, DataPageHeader, DictionaryPageHeader, Encoding, PageEncodingStats, PageHeader,
    PageLocation, PageType, Statistics,
};
use std::ops::Range;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

/// The most values of a data page: few enough that a page index says something, of a file of 10,000 rows.
const PAGE_VALUES: usize = 4_000;

/// The size at which a page of texts ends.
const PAGE_BYTES: usize = 256 << 10;

/// Column chunks smaller than this are not worth compressing; small partitions have hundreds of
/// them.
const MIN_COMPRESSED_BYTES: usize = 512;

/// A data page that has been written.
#[derive(Clone, Debug)]
pub(crate) struct DataPage {
    pub location: PageLocation,
    pub nulls: i64,
    /// Of every page that has a value: the column index takes a page without for a page of nulls.
    pub bounds: Option<Bounds>,
}

/// A column chunk that has been written.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub metadata: ColumnMetaData,
    pub pages: Vec<DataPage>,
    /// Its Bloom filter, with a header.
    pub bloom: Option<Vec<u8>>,
}

impl Chunk {
    /// Appends its pages, which are in `from`, to another file. That has no Bloom filter: one table with
    /// them is enough to find an id.
    pub(super) fn copy(&self, from: &[u8], file: &mut Vec<u8>) -> Self {
        let Self { metadata, pages, .. } = self;
        let start = metadata.dictionary_page_offset.unwrap_or(metadata.data_page_offset);
        let moved = file.len() as i64 - start;
        let end = start + metadata.total_compressed_size;
        file.extend_from_slice(&from[start as usize..end as usize]);
        let metadata = ColumnMetaData {
            data_page_offset: metadata.data_page_offset + moved,
            dictionary_page_offset: metadata.dictionary_page_offset.map(|offset| offset + moved),
            ..metadata.clone()
        };
        let page = |page: &DataPage| {
            let location =
                PageLocation { offset: page.location.offset + moved, ..page.location.clone() };
            DataPage { location, ..page.clone() }
        };
        Self { metadata, pages: pages.iter().map(page).collect(), bloom: None }
    }
}

/// Encodes column chunks, in buffers and with a compressor that are used again.
#[derive(Default)]
pub struct Encoder {
    dictionary: Dictionary,
    /// The pages of a chunk, one after another.
    raw: Vec<u8>,
    packed: Vec<u8>,
    zstd: Option<(i32, Compressor<'static>)>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("raw", &self.raw.capacity()).finish_non_exhaustive()
    }
}

/// A data page in [`Encoder::raw`].
struct RawPage {
    bytes: Range<usize>,
    header: DataPageHeader,
    rows: usize,
    nulls: usize,
    bounds: Option<Bounds>,
}

impl Encoder {
    /// Encodes one column chunk and appends its pages to the file. `levels` are the final ones: values
    /// stand where the definition level is the maximum.
    pub(super) fn encode(
        &mut self,
        leaf: &Leaf<'_>,
        levels: Levels<'_>,
        column: &ColumnDescriptor,
        compression: CompressionOptions,
        file: &mut Vec<u8>,
    ) -> Result<Chunk> {
        self.raw.clear();
        let has_dictionary = self.dictionary.build(leaf);
        if has_dictionary {
            for first in &self.dictionary.firsts {
                plain_text(leaf.text(*first as usize), &mut self.raw);
            }
        }
        let dictionary_bytes = 0..self.raw.len();
        let raw_pages = self.data_pages(leaf, levels, has_dictionary);
        let compression = match self.raw.len() < MIN_COMPRESSED_BYTES {
            true => CompressionOptions::Uncompressed,
            false => compression,
        };
        let start = file.len();
        let mut uncompressed = 0;
        if has_dictionary {
            let header = DictionaryPageHeader {
                num_values: self.dictionary.firsts.len() as i32,
                encoding: Encoding::PLAIN,
                is_sorted: None,
            };
            uncompressed +=
                self.page(dictionary_bytes, PageKind::Dictionary(header), compression, file)?;
        }
        let data_start = file.len();
        let (size, pages) = self.put_pages(raw_pages, compression, file)?;
        uncompressed += size;
        let metadata = ColumnMetaData {
            codec: compression.into(),
            num_values: levels.def.len() as i64,
            total_uncompressed_size: uncompressed as i64,
            total_compressed_size: (file.len() - start) as i64,
            data_page_offset: data_start as i64,
            dictionary_page_offset: has_dictionary.then_some(start as i64),
            statistics: Some(self.statistics(leaf, &pages, has_dictionary)),
            encoding_stats: Some(encoding_stats(pages.len(), has_dictionary)),
            ..metadata(column, has_dictionary)
        };
        let physical = column.descriptor.primitive_type.physical_type;
        let bloom = match has_dictionary {
            true => None,
            false => filter(&column.path_in_schema, physical, leaf).map_err(bug)?,
        };
        Ok(Chunk { metadata, pages, bloom })
    }

    fn statistics(&self, leaf: &Leaf<'_>, pages: &[DataPage], has_dictionary: bool) -> Statistics {
        let bounds = Bounds::of_pages(leaf, pages.iter().filter_map(|page| page.bounds.as_ref()));
        let (is_min_value_exact, is_max_value_exact) =
            bounds.as_ref().map(|bounds| (bounds.is_min_exact, bounds.is_max_exact)).unzip();
        let (min_value, max_value) = bounds.map(|bounds| (bounds.min, bounds.max)).unzip();
        Statistics {
            null_count: Some(pages.iter().map(|page| page.nulls).sum()),
            distinct_count: has_dictionary.then_some(self.dictionary.firsts.len() as i64),
            min_value,
            max_value,
            min: None,
            max: None,
            is_max_value_exact,
            is_min_value_exact,
        }
    }

    /// Appends data pages to the file; returns their size without compression, and where they are.
    fn put_pages(
        &mut self,
        raw_pages: Vec<RawPage>,
        compression: CompressionOptions,
        file: &mut Vec<u8>,
    ) -> Result<(usize, Vec<DataPage>)> {
        let mut pages = Vec::with_capacity(raw_pages.len());
        let (mut uncompressed, mut first_row_index) = (0, 0);
        for RawPage { bytes, header, rows, nulls, bounds } in raw_pages {
            let offset = file.len();
            uncompressed += self.page(bytes, PageKind::Data(header), compression, file)?;
            let compressed_page_size = (file.len() - offset) as i32;
            let offset = offset as i64;
            let location = PageLocation { offset, compressed_page_size, first_row_index };
            pages.push(DataPage { location, nulls: nulls as i64, bounds });
            first_row_index += rows as i64;
        }
        Ok((uncompressed, pages))
    }

    /// Appends all data pages to the raw bytes; there is one at least.
    fn data_pages(
        &mut self,
        leaf: &Leaf<'_>,
        levels: Levels<'_>,
        has_dictionary: bool,
    ) -> Vec<RawPage> {
        let mut pages = Vec::with_capacity(1);
        let (mut entry, mut value) = (0, 0);
        while entry < levels.def.len() || pages.is_empty() {
            let (entries, values) = page_extent(leaf, levels, entry, value, has_dictionary);
            let (entries, values) = (entry..entry + entries, value..value + values);
            (entry, value) = (entries.end, values.end);
            pages.push(self.data_page(leaf, levels, has_dictionary, entries, values));
        }
        pages
    }

    /// Appends a page's levels and values to the raw bytes.
    fn data_page(
        &mut self,
        leaf: &Leaf<'_>,
        levels: Levels<'_>,
        has_dictionary: bool,
        entries: Range<usize>,
        values: Range<usize>,
    ) -> RawPage {
        let raw = &mut self.raw;
        let start = raw.len();
        let mut rows = entries.len();
        if levels.max_rep > 0 {
            let rep = &levels.rep[entries.clone()];
            rows = rep.iter().filter(|level| **level == 0).count();
            write_levels(rep, levels.max_rep, raw);
        }
        if levels.max_def > 0 {
            write_levels(&levels.def[entries.clone()], levels.max_def, raw);
        }
        let nulls = entries.len() - values.len();
        let (encoding, bounds) = if has_dictionary {
            let count = self.dictionary.firsts.len();
            let width = u32::BITS - (count.saturating_sub(1) as u32).leading_zeros();
            raw.push(width as u8);
            hybrid::encode(&self.dictionary.indices[values.clone()], width, raw);
            (Encoding::RLE_DICTIONARY, self.dictionary.bounds(leaf, values))
        } else {
            (Encoding::PLAIN, plain(leaf, values, raw))
        };
        let header = DataPageHeader {
            num_values: entries.len() as i32,
            encoding,
            definition_level_encoding: Encoding::RLE,
            repetition_level_encoding: Encoding::RLE,
            statistics: None,
        };
        RawPage { bytes: start..raw.len(), header, rows, nulls, bounds }
    }

    /// Appends a page with its header to the file; returns its size without compression.
    fn page(
        &mut self,
        bytes: Range<usize>,
        kind: PageKind,
        compression: CompressionOptions,
        file: &mut Vec<u8>,
    ) -> Result<usize> {
        let size = bytes.len();
        let packed = match compression {
            CompressionOptions::Uncompressed => None,
            compression => Some(self.compress(bytes.clone(), compression)?),
        };
        let body = packed.map_or(&self.raw[bytes], |size| &self.packed[..size]);
        let (type_, data_page_header, dictionary_page_header) = match kind {
            PageKind::Data(header) => (PageType::DATA_PAGE, Some(header), None),
            PageKind::Dictionary(header) => (PageType::DICTIONARY_PAGE, None, Some(header)),
        };
        let header = PageHeader {
            type_,
            uncompressed_page_size: size as i32,
            compressed_page_size: body.len() as i32,
            crc: None,
            data_page_header,
            index_page_header: None,
            dictionary_page_header,
            data_page_header_v2: None,
        };
        let protocol = &mut TCompactOutputProtocol::new(&mut *file);
        let header_size = header.write_to_out_protocol(protocol).map_err(bug)?;
        file.extend_from_slice(body);
        Ok(header_size + size)
    }

    /// Compresses a part of the raw bytes; returns how many bytes of `packed` it takes.
    fn compress(&mut self, bytes: Range<usize>, compression: CompressionOptions) -> Result<usize> {
        let bytes = &self.raw[bytes];
        let CompressionOptions::Zstd(level) = compression else {
            self.packed.clear();
            compress(compression, bytes, &mut self.packed).map_err(bug)?;
            return Ok(self.packed.len());
        };
        let level = level.unwrap_or_default().compression_level();
        let kept = self.zstd.take().filter(|(kept, _)| *kept == level);
        let compressor = match kept {
            Some((_, compressor)) => compressor,
            None => Compressor::new(level).map_err(bug)?,
        };
        let (_, compressor) = self.zstd.insert((level, compressor));
        let bound = compress_bound(bytes.len());
        if self.packed.len() < bound {
            self.packed.resize(bound, 0);
        }
        compressor.compress_to_buffer(bytes, &mut self.packed[..]).map_err(bug)
    }
}

enum PageKind {
    Dictionary(DictionaryPageHeader),
    Data(DataPageHeader),
}

/// What a chunk's metadata says of its column and its encodings; sizes and places are not in it.
fn metadata(column: &ColumnDescriptor, has_dictionary: bool) -> ColumnMetaData {
    let (type_, _) = column.descriptor.primitive_type.physical_type.into();
    let encodings = match has_dictionary {
        true => vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY],
        false => vec![Encoding::PLAIN, Encoding::RLE],
    };
    ColumnMetaData {
        type_,
        encodings,
        path_in_schema: column.path_in_schema.iter().map(ToString::to_string).collect(),
        codec: CompressionOptions::Uncompressed.into(),
        num_values: 0,
        total_uncompressed_size: 0,
        total_compressed_size: 0,
        key_value_metadata: None,
        data_page_offset: 0,
        index_page_offset: None,
        dictionary_page_offset: None,
        statistics: None,
        encoding_stats: None,
        bloom_filter_offset: None,
        bloom_filter_length: None,
        size_statistics: None,
    }
}

/// How many pages have which encoding: readers prune by a dictionary only where this says that every page
/// has it.
fn encoding_stats(pages: usize, has_dictionary: bool) -> Vec<PageEncodingStats> {
    let stats = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
    let data = |encoding| stats(PageType::DATA_PAGE, encoding, pages as i32);
    match has_dictionary {
        true => vec![
            stats(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1),
            data(Encoding::RLE_DICTIONARY),
        ],
        false => vec![data(Encoding::PLAIN)],
    }
}

pub(crate) fn bug(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Bug, "cannot encode Parquet").because(err)
}

/// How many entries and values the page that starts at `entry`, `value` takes. Nulls take no room, so that a
/// column with few values has few pages; a page begins with a row.
fn page_extent(
    leaf: &Leaf<'_>,
    levels: Levels<'_>,
    entry: usize,
    value: usize,
    has_dictionary: bool,
) -> (usize, usize) {
    let is_small = || match leaf.is_text() && !has_dictionary {
        true => (value..leaf.len()).map(|n| leaf.text(n).len() + 4).sum::<usize>() <= PAGE_BYTES,
        false => true,
    };
    if leaf.len() - value <= PAGE_VALUES && is_small() {
        return (levels.def.len() - entry, leaf.len() - value);
    }
    let (mut values, mut bytes) = (0, 0);
    // Where the last row began, if a page may end there.
    let mut row = (0, 0);
    for (n, def) in levels.def[entry..].iter().enumerate() {
        if n > 0 && (levels.max_rep == 0 || levels.rep[entry + n] == 0) {
            row = (n, values);
        }
        if *def == levels.max_def {
            if leaf.is_text() && !has_dictionary {
                bytes += leaf.text(value + values).len() + 4;
            }
            if (bytes > PAGE_BYTES || values >= PAGE_VALUES) && row.0 > 0 {
                return row;
            }
            values += 1;
        }
    }
    (levels.def.len() - entry, values)
}

/// Levels of a version 1 page: a length, then the run-length hybrid.
fn write_levels(levels: &[u8], max: u8, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    hybrid::encode(levels, u8::BITS - max.leading_zeros(), out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
