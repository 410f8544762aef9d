//! Leaves to Parquet pages: levels, dictionaries, plain values, statistics, compression.

use crate::error::{Error, ErrorKind, Result};
use crate::parquet::hybrid;
use crate::parquet::levels::Levels;
use crate::rows::{Cell, Texts};
use hashbrown::HashTable;
use polars_parquet::parquet::compression::{CompressionOptions, compress};
use polars_parquet::parquet::metadata::ColumnDescriptor;
use polars_parquet_format::thrift::protocol::TCompactOutputProtocol;
use polars_parquet_format::{
    ColumnMetaData, DataPageHeader, DictionaryPageHeader, Encoding, PageHeader, PageLocation,
    PageType, Statistics,
};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

/// Rows of a data page of a column without lists.
const PAGE_ROWS: usize = 20_000;

/// The size at which a page of texts ends.
const PAGE_BYTES: usize = 1 << 20;

/// The largest dictionary of a column chunk.
const MAX_DICTIONARY_BYTES: usize = 1 << 20;

/// Values looked at before a dictionary is given up.
const DICTIONARY_TRIAL: usize = 1024;

/// Minimum and maximum are cut to this many bytes, as parquet-mr and arrow-rs do; they stay bounds.
/// They stand in the column chunk, and in the column index if there is one.
const MAX_STATISTICS_BYTES: usize = 64;

/// Column chunks smaller than this are not worth compressing; small partitions have hundreds of
/// them.
const MIN_COMPRESSED_BYTES: usize = 512;

/// The values of one leaf, without nulls, in the order of its levels.
#[derive(Debug)]
pub(crate) enum Leaf<'a> {
    /// Texts; `ids` says that hardly any two are equal.
    Text {
        values: &'a [&'a [u8]],
        ids: bool,
    },
    /// Texts of which equal ones are equal cells.
    Interned {
        cells: &'a [Cell],
        texts: &'a Texts,
    },
    Bigint(&'a [i64]),
    Double(&'a [f64]),
    Boolean(&'a [bool]),
}

impl Leaf<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text { values, .. } => values.len(),
            Self::Interned { cells, .. } => cells.len(),
            Self::Bigint(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }

    /// Returns a text by its number; an empty one where there are none.
    fn text(&self, number: usize) -> &[u8] {
        match self {
            Self::Text { values, .. } => values[number],
            Self::Interned { cells, texts } => texts.get(cells[number]),
            Self::Bigint(_) | Self::Double(_) | Self::Boolean(_) => &[],
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. } | Self::Interned { .. })
    }

    /// The bounds of all pages of the leaf together.
    fn bounds(&self, pages: &[DataPage]) -> Option<Bounds> {
        let is_less = |x: &[u8], y: &[u8]| match self {
            Self::Bigint(_) => number(x, i64::from_le_bytes) < number(y, i64::from_le_bytes),
            Self::Double(_) => number(x, f64::from_le_bytes) < number(y, f64::from_le_bytes),
            _ => x < y,
        };
        let mut of_pages = pages.iter().filter_map(|page| page.bounds.as_ref());
        let mut all = of_pages.next()?.clone();
        for Bounds { min, max } in of_pages {
            if is_less(min, &all.min) {
                all.min.clone_from(min);
            }
            if is_less(&all.max, max) {
                all.max.clone_from(max);
            }
        }
        Some(all)
    }
}

fn number<T>(bytes: &[u8], read: fn([u8; 8]) -> T) -> Option<T> {
    bytes.try_into().ok().map(read)
}

/// The smallest and the largest value, as Parquet writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub min: Vec<u8>,
    pub max: Vec<u8>,
}

impl Bounds {
    fn new<const N: usize>(min: [u8; N], max: [u8; N]) -> Self {
        Self { min: min.to_vec(), max: max.to_vec() }
    }
}

/// A data page that has been written.
#[derive(Debug)]
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
        let mut raw_pages = Vec::with_capacity(1);
        let (mut entry, mut value) = (0, 0);
        while entry < levels.def.len() || raw_pages.is_empty() {
            let (entries, values) = page_extent(leaf, levels, entry, value, has_dictionary);
            let (entries, values) = (entry..entry + entries, value..value + values);
            (entry, value) = (entries.end, values.end);
            raw_pages.push(self.data_page(leaf, levels, has_dictionary, entries, values));
        }
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
        let mut pages = Vec::with_capacity(raw_pages.len());
        let mut first_row_index = 0;
        for RawPage { bytes, header, rows, nulls, bounds } in raw_pages {
            let offset = file.len();
            uncompressed += self.page(bytes, PageKind::Data(header), compression, file)?;
            let compressed_page_size = (file.len() - offset) as i32;
            let offset = offset as i64;
            let location = PageLocation { offset, compressed_page_size, first_row_index };
            pages.push(DataPage { location, nulls: nulls as i64, bounds });
            first_row_index += rows as i64;
        }
        let bounds = leaf.bounds(&pages).map(|Bounds { min, max }| (min, max));
        let (min_value, max_value) = bounds.unzip();
        let statistics = Statistics {
            null_count: Some(pages.iter().map(|page| page.nulls).sum()),
            distinct_count: None,
            min_value,
            max_value,
            min: None,
            max: None,
            is_max_value_exact: None,
            is_min_value_exact: None,
        };
        let (type_, _) = column.descriptor.primitive_type.physical_type.into();
        let encodings = match has_dictionary {
            true => vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY],
            false => vec![Encoding::PLAIN, Encoding::RLE],
        };
        let metadata = ColumnMetaData {
            type_,
            encodings,
            path_in_schema: column.path_in_schema.iter().map(ToString::to_string).collect(),
            codec: compression.into(),
            num_values: levels.def.len() as i64,
            total_uncompressed_size: uncompressed as i64,
            total_compressed_size: (file.len() - start) as i64,
            key_value_metadata: None,
            data_page_offset: data_start as i64,
            index_page_offset: None,
            dictionary_page_offset: has_dictionary.then_some(start as i64),
            statistics: Some(statistics),
            encoding_stats: None,
            bloom_filter_offset: None,
            bloom_filter_length: None,
            size_statistics: None,
        };
        Ok(Chunk { metadata, pages })
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

pub(crate) fn bug(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Bug, "cannot encode Parquet").because(err)
}

/// How many entries and values the page that starts at `entry`, `value` takes.
fn page_extent(
    leaf: &Leaf<'_>,
    levels: Levels<'_>,
    entry: usize,
    value: usize,
    has_dictionary: bool,
) -> (usize, usize) {
    if levels.max_rep > 0 {
        return (levels.def.len() - entry, leaf.len() - value);
    }
    let end = (entry + PAGE_ROWS).min(levels.def.len());
    let (mut values, mut bytes) = (0, 0);
    for (n, def) in levels.def[entry..end].iter().enumerate() {
        if *def == levels.max_def {
            if leaf.is_text() && !has_dictionary {
                bytes += leaf.text(value + values).len() + 4;
                if bytes > PAGE_BYTES && n > 0 {
                    return (n, values);
                }
            }
            values += 1;
        }
    }
    (end - entry, values)
}

/// Levels of a version 1 page: a length, then the run-length hybrid.
fn write_levels(levels: &[u8], max: u8, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    hybrid::encode(levels, u8::BITS - max.leading_zeros(), out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Appends the plain values, and returns their bounds.
fn plain(leaf: &Leaf<'_>, range: Range<usize>, out: &mut Vec<u8>) -> Option<Bounds> {
    match leaf {
        Leaf::Text { .. } | Leaf::Interned { .. } => {
            range.clone().for_each(|number| plain_text(leaf.text(number), out));
            text_bounds(range.map(|number| leaf.text(number)))
        }
        Leaf::Bigint(values) => {
            let values = &values[range];
            for value in values {
                out.extend_from_slice(&value.to_le_bytes());
            }
            let bounds = values.iter().min().zip(values.iter().max());
            bounds.map(|(min, max)| Bounds::new(min.to_le_bytes(), max.to_le_bytes()))
        }
        Leaf::Double(values) => {
            let values = &values[range];
            for value in values {
                out.extend_from_slice(&value.to_le_bytes());
            }
            let min = values.iter().copied().reduce(f64::min)?;
            let max = values.iter().copied().reduce(f64::max)?;
            // Parquet: a zero minimum is written negative, a zero maximum positive.
            let min = if min == 0.0 { -0.0 } else { min };
            let max = if max == 0.0 { 0.0 } else { max };
            Some(Bounds::new(min.to_le_bytes(), max.to_le_bytes()))
        }
        Leaf::Boolean(values) => {
            let values = &values[range];
            for eight in values.chunks(8) {
                let byte =
                    eight.iter().enumerate().fold(0, |byte, (i, bit)| byte | (u8::from(*bit) << i));
                out.push(byte);
            }
            let all = values.iter().all(|v| *v);
            let any = values.iter().any(|v| *v);
            (!values.is_empty()).then(|| Bounds::new([u8::from(all)], [u8::from(any)]))
        }
    }
}

fn plain_text(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

fn text_bounds<'v>(mut values: impl Iterator<Item = &'v [u8]>) -> Option<Bounds> {
    let first = values.next()?;
    let (mut min, mut max) = (first, first);
    for value in values {
        if value < min {
            min = value;
        } else if value > max {
            max = value;
        }
    }
    Some(Bounds { min: lower(min), max: upper(max) })
}

/// The distinct values of a column chunk, in the order of their first use.
#[derive(Default)]
struct Dictionary {
    table: HashTable<u32>,
    /// Per entry, the number of the first value that has it.
    firsts: Vec<u32>,
    /// Per value its entry.
    indices: Vec<u32>,
    is_seen: Vec<bool>,
}

impl Dictionary {
    /// Builds the dictionary of a leaf's texts; `false` when they hardly repeat.
    fn build(&mut self, leaf: &Leaf<'_>) -> bool {
        self.table.clear();
        self.firsts.clear();
        self.indices.clear();
        let is_small = match leaf {
            Leaf::Text { values, ids: false } => self.index(values, xxh3_64, <[u8]>::len),
            Leaf::Interned { cells, .. } => self.index(cells, |cell| mix(cell.id()), Cell::len),
            _ => false,
        };
        is_small && !self.indices.is_empty() && self.firsts.len() * 4 <= self.indices.len() * 3
    }

    /// Finds the distinct values; `false` when it gave up.
    fn index<T: Copy + Eq>(
        &mut self,
        values: &[T],
        hash: impl Fn(T) -> u64,
        len: impl Fn(T) -> usize,
    ) -> bool {
        let Self { table, firsts, indices, .. } = self;
        indices.reserve(values.len());
        let (mut size, mut last) = (0, None);
        for (number, value) in values.iter().copied().enumerate() {
            if let Some((before, id)) = last
                && before == value
            {
                indices.push(id);
                continue;
            }
            let next = firsts.len() as u32;
            let value_of = |id: &u32| values[firsts[*id as usize] as usize];
            let entry =
                table.entry(hash(value), |id| value_of(id) == value, |id| hash(value_of(id)));
            let id = *entry.or_insert(next).get();
            if id == next {
                firsts.push(number as u32);
                size += len(value) + 4;
                let hardly_repeat = number >= DICTIONARY_TRIAL && firsts.len() * 2 > number;
                if size > MAX_DICTIONARY_BYTES || hardly_repeat {
                    return false;
                }
            }
            indices.push(id);
            last = Some((value, id));
        }
        true
    }

    /// The bounds of the values in `range`.
    fn bounds(&mut self, leaf: &Leaf<'_>, range: Range<usize>) -> Option<Bounds> {
        let text_of = |first: &u32| leaf.text(*first as usize);
        if range.len() == leaf.len() {
            return text_bounds(self.firsts.iter().map(text_of));
        }
        self.is_seen.clear();
        self.is_seen.resize(self.firsts.len(), false);
        for id in &self.indices[range] {
            self.is_seen[*id as usize] = true;
        }
        let seen = self.firsts.iter().zip(&self.is_seen).filter(|(_, is_seen)| **is_seen);
        text_bounds(seen.map(|(first, _)| text_of(first)))
    }
}

/// Spreads a cell's number over all bits.
fn mix(id: u64) -> u64 {
    let product = u128::from(id) * 0x9E37_79B9_7F4A_7C15;
    (product >> 64) as u64 ^ product as u64
}

/// A prefix that ends at a character.
fn prefix(value: &[u8]) -> &[u8] {
    let mut end = MAX_STATISTICS_BYTES;
    while end > 0 && value[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &value[..end]
}

fn lower(value: &[u8]) -> Vec<u8> {
    if value.len() <= MAX_STATISTICS_BYTES { value.to_vec() } else { prefix(value).to_vec() }
}

/// The smallest ASCII-stepped prefix above the value; the whole value when there is none.
fn upper(value: &[u8]) -> Vec<u8> {
    if value.len() <= MAX_STATISTICS_BYTES {
        return value.to_vec();
    }
    let mut bound = prefix(value).to_vec();
    while let Some(last) = bound.pop() {
        if last < 0x7E {
            bound.push(last + 1);
            return bound;
        }
    }
    value.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cut_statistics_stay_bounds(text in "\\PC{0,400}", other in "\\PC{0,400}") {
            let (min, max) = (text.as_bytes().min(other.as_bytes()), text.as_bytes().max(other.as_bytes()));
            prop_assert!(lower(min).as_slice() <= min);
            prop_assert!(upper(max).as_slice() >= max);
            prop_assert!(std::str::from_utf8(&lower(min)).is_ok());
            prop_assert!(std::str::from_utf8(&upper(max)).is_ok());
        }
    }

    #[test]
    fn a_dictionary_is_given_up_when_values_hardly_repeat() {
        let texts: Vec<String> = (0..5000).map(|i| i.to_string()).collect();
        let distinct: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let leaf = |values| Leaf::Text { values, ids: false };
        let mut dictionary = Dictionary::default();
        assert!(!dictionary.build(&leaf(&distinct)));
        let repeated: Vec<&[u8]> = (0..5000).map(|i| distinct[i % 7]).collect();
        assert!(dictionary.build(&leaf(&repeated)));
        assert_eq!((dictionary.firsts.len(), dictionary.indices.len()), (7, 5000));
        let bounds = dictionary.bounds(&leaf(&repeated), 2..4).unwrap();
        assert_eq!(bounds, Bounds::new(*b"2", *b"3"));
        assert!(!dictionary.build(&leaf(&[])), "a page of nulls needs none");
    }
}
