//! Leaves to Parquet pages: levels, dictionaries, plain values, statistics.

use crate::error::{Error, ErrorKind, Result};
use crate::write::levels::Stream;
use hashbrown::HashTable;
use polars_parquet::parquet::CowBuffer;
use polars_parquet::parquet::compression::CompressionOptions;
use polars_parquet::parquet::encoding::hybrid_rle;
use polars_parquet::parquet::metadata::Descriptor;
use polars_parquet::parquet::page::{
    CompressedPage, DataPage, DataPageHeader, DataPageHeaderV1, DictPage, FormatEncoding, Page,
};
use polars_parquet::parquet::statistics::ParquetStatistics;
use polars_parquet::parquet::write::compress;
use xxhash_rust::xxh3::xxh3_64;

/// Rows of a data page of a column without lists.
const PAGE_ROWS: usize = 20_000;

/// The size at which a page of texts ends.
const PAGE_BYTES: usize = 1 << 20;

/// The largest dictionary of a column chunk.
const MAX_DICTIONARY_BYTES: usize = 1 << 20;

/// Values looked at before a dictionary is given up.
const DICTIONARY_TRIAL: usize = 1024;

/// Minimum and maximum are cut to this many bytes, as parquet-mr and arrow-rs do; they stay bounds.
/// Each stands in three places of a file: page, column chunk and column index.
const MAX_STATISTICS_BYTES: usize = 64;

/// Column chunks smaller than this are not worth a compressor's context: polars makes one per page,
/// and small partitions have hundreds of such chunks.
const MIN_COMPRESSED_BYTES: usize = 512;

/// The values of one leaf, without nulls, in stream order.
#[derive(Debug)]
pub(crate) enum Leaf<'a> {
    /// Texts; `ids` says that hardly any two are equal.
    Text {
        values: Vec<&'a [u8]>,
        ids: bool,
    },
    Bigint(Vec<i64>),
    Double(Vec<f64>),
    Boolean(Vec<bool>),
}

impl Leaf<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text { values, .. } => values.len(),
            Self::Bigint(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }
}

/// The compressed pages of one column chunk.
#[derive(Debug)]
pub(crate) struct Pages(pub Vec<CompressedPage>);

/// Encodes one column chunk. `stream` holds the final levels: values stand where `def` is the
/// maximum.
pub(crate) fn encode(
    leaf: &Leaf<'_>,
    stream: &Stream,
    descriptor: &Descriptor,
    compression: CompressionOptions,
) -> Result<Pages> {
    let dictionary = match leaf {
        Leaf::Text { values, ids: false } => dictionary(values),
        _ => None,
    };
    let mut pages = Vec::new();
    if let Some(found) = &dictionary {
        let bytes = found.bytes.clone();
        let page = DictPage::new(CowBuffer::Owned(bytes), found.entries, false);
        pages.push(Page::Dict(page));
    }
    let (mut entry, mut value) = (0, 0);
    while entry < stream.def.len() || pages.len() == usize::from(dictionary.is_some()) {
        let (entries, values) = page_extent(leaf, stream, entry, value, dictionary.is_some());
        let page = data_page(
            leaf,
            stream,
            dictionary.as_ref(),
            entry..entry + entries,
            value..value + values,
            descriptor,
        )?;
        pages.push(Page::Data(page));
        entry += entries;
        value += values;
    }
    let total: usize = pages.iter().map(page_len).sum();
    let compression =
        if total < MIN_COMPRESSED_BYTES { CompressionOptions::Uncompressed } else { compression };
    pages
        .into_iter()
        .map(|page| compress(page, Vec::new(), compression).map_err(bug))
        .collect::<Result<_>>()
        .map(Pages)
}

pub(crate) fn bug(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Bug, "cannot encode Parquet").because(err)
}

fn page_len(page: &Page) -> usize {
    match page {
        Page::Data(page) => page.buffer().len(),
        Page::Dict(page) => page.buffer.len(),
    }
}

/// How many entries and values the page that starts at `entry`, `value` takes.
fn page_extent(
    leaf: &Leaf<'_>,
    stream: &Stream,
    entry: usize,
    value: usize,
    has_dictionary: bool,
) -> (usize, usize) {
    if stream.max_rep > 0 {
        return (stream.def.len() - entry, leaf.len() - value);
    }
    let end = (entry + PAGE_ROWS).min(stream.def.len());
    let (mut values, mut bytes) = (0, 0);
    for (n, def) in stream.def[entry..end].iter().enumerate() {
        if *def == stream.max_def {
            if let (Leaf::Text { values: texts, .. }, false) = (leaf, has_dictionary) {
                bytes += texts[value + values].len() + 4;
                if bytes > PAGE_BYTES && n > 0 {
                    return (n, values);
                }
            }
            values += 1;
        }
    }
    (end - entry, values)
}

fn data_page(
    leaf: &Leaf<'_>,
    stream: &Stream,
    dictionary: Option<&Dictionary>,
    entries: std::ops::Range<usize>,
    values: std::ops::Range<usize>,
    descriptor: &Descriptor,
) -> Result<DataPage> {
    let mut buffer = Vec::new();
    let mut rows = entries.len();
    if stream.max_rep > 0 {
        let rep = &stream.rep[entries.clone()];
        rows = rep.iter().filter(|level| **level == 0).count();
        levels(rep, stream.max_rep, &mut buffer)?;
    }
    if stream.max_def > 0 {
        levels(&stream.def[entries.clone()], stream.max_def, &mut buffer)?;
    }
    let encoding = match dictionary {
        Some(found) => {
            let width = u32::BITS - (found.entries.saturating_sub(1) as u32).leading_zeros();
            buffer.push(width as u8);
            let indices = found.indices[values.clone()].iter().copied();
            hybrid_rle::encode(&mut buffer, indices, width).map_err(bug)?;
            FormatEncoding::RLE_DICTIONARY
        }
        None => {
            plain(leaf, values.clone(), &mut buffer);
            FormatEncoding::PLAIN
        }
    };
    let header = DataPageHeaderV1 {
        num_values: entries.len() as i32,
        encoding,
        definition_level_encoding: FormatEncoding::RLE,
        repetition_level_encoding: FormatEncoding::RLE,
        statistics: Some(statistics(leaf, &values, entries.len() - values.len())),
    };
    let header = DataPageHeader::V1(header);
    Ok(DataPage::new(header, CowBuffer::Owned(buffer), descriptor.clone(), rows))
}

/// Levels of a version 1 page: a length, then the run-length hybrid.
fn levels(levels: &[u8], max: u8, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let width = u8::BITS - max.leading_zeros();
    if levels.iter().all(|level| *level == levels[0]) && !levels.is_empty() {
        // Most sparse columns: one run.
        let mut run = (levels.len() as u64) << 1;
        while run >= 0x80 {
            out.push(run as u8 | 0x80);
            run >>= 7;
        }
        out.push(run as u8);
        out.push(levels[0]);
    } else {
        hybrid_rle::encode(out, levels.iter().map(|level| u32::from(*level)), width)
            .map_err(bug)?;
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

fn plain(leaf: &Leaf<'_>, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    match leaf {
        Leaf::Text { values, .. } => {
            let values = &values[range];
            out.reserve(values.iter().map(|value| value.len() + 4).sum());
            for value in values {
                plain_text(value, out);
            }
        }
        Leaf::Bigint(values) => {
            for value in &values[range] {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        Leaf::Double(values) => {
            for value in &values[range] {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        Leaf::Boolean(values) => {
            for eight in values[range].chunks(8) {
                let byte =
                    eight.iter().enumerate().fold(0, |byte, (i, bit)| byte | (u8::from(*bit) << i));
                out.push(byte);
            }
        }
    }
}

fn plain_text(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

struct Dictionary {
    /// The distinct values, plain.
    bytes: Vec<u8>,
    entries: usize,
    /// Per value its entry.
    indices: Vec<u32>,
}

/// Builds a dictionary in the order of first use, or gives up when values hardly repeat.
fn dictionary(values: &[&[u8]]) -> Option<Dictionary> {
    let mut table: HashTable<u32> = HashTable::new();
    let mut entries: Vec<&[u8]> = Vec::new();
    let mut indices = Vec::with_capacity(values.len());
    let mut size = 0;
    for (seen, value) in values.iter().enumerate() {
        if let Some(last) = indices.last()
            && entries[*last as usize] == *value
        {
            indices.push(*last);
            continue;
        }
        let hash = xxh3_64(value);
        let next = entries.len() as u32;
        let entry = table.entry(
            hash,
            |id| entries[*id as usize] == *value,
            |id| xxh3_64(entries[*id as usize]),
        );
        let id = *entry.or_insert(next).get();
        if id == next {
            entries.push(value);
            size += value.len() + 4;
            let hardly_repeats = seen >= DICTIONARY_TRIAL && entries.len() * 2 > seen;
            if size > MAX_DICTIONARY_BYTES || hardly_repeats {
                return None;
            }
        }
        indices.push(id);
    }
    if entries.len() * 4 > values.len() * 3 {
        return None;
    }
    let mut bytes = Vec::with_capacity(size);
    for entry in &entries {
        plain_text(entry, &mut bytes);
    }
    Some(Dictionary { bytes, entries: entries.len(), indices })
}

/// Null count, and bounds for every page that has a value: the column index takes a page without
/// bounds for a page of nulls.
fn statistics(leaf: &Leaf<'_>, range: &std::ops::Range<usize>, nulls: usize) -> ParquetStatistics {
    let range = range.clone();
    let bounds = match leaf {
        Leaf::Text { values, .. } => {
            let values = &values[range];
            values.iter().min().zip(values.iter().max()).map(|(min, max)| (lower(min), upper(max)))
        }
        Leaf::Bigint(values) => {
            let values = &values[range];
            let bytes = |value: &i64| value.to_le_bytes().to_vec();
            values.iter().min().map(bytes).zip(values.iter().max().map(bytes))
        }
        Leaf::Double(values) => {
            let values = &values[range];
            let min = values.iter().copied().reduce(f64::min);
            let max = values.iter().copied().reduce(f64::max);
            // Parquet: a zero minimum is written negative, a zero maximum positive.
            let min = min.map(|v| if v == 0.0 { -0.0 } else { v });
            let max = max.map(|v| if v == 0.0 { 0.0 } else { v });
            min.map(|v| v.to_le_bytes().to_vec()).zip(max.map(|v| v.to_le_bytes().to_vec()))
        }
        Leaf::Boolean(values) => {
            let values = &values[range];
            let all = values.iter().all(|v| *v);
            let any = values.iter().any(|v| *v);
            (!values.is_empty()).then(|| (vec![u8::from(all)], vec![u8::from(any)]))
        }
    };
    let (min_value, max_value) = bounds.unzip();
    ParquetStatistics {
        null_count: Some(nulls as i64),
        distinct_count: None,
        min_value,
        max_value,
        min: None,
        max: None,
        is_max_value_exact: None,
        is_min_value_exact: None,
    }
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
        assert!(dictionary(&distinct).is_none());
        let repeated: Vec<&[u8]> = (0..5000).map(|i| distinct[i % 7]).collect();
        let found = dictionary(&repeated).unwrap();
        assert_eq!((found.entries, found.indices.len()), (7, 5000));
    }
}
