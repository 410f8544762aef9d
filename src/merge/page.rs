//! Pages of one column chunk, decoded to levels and values by row.
//!
//! Only what the lake's own encoder writes is read: data pages of the first version, plain values, and
//! dictionaries of texts. Everything else is refused as damaged, never guessed at.

use crate::error::{Error, ErrorKind, Result};
use crate::merge::runs::{Run, dense, push, runs};
use polars_parquet::parquet::compression::{Compression, DecompressionContext, decompress};
use polars_parquet::parquet::encoding::hybrid_rle::HybridRleDecoder;
use polars_parquet::parquet::metadata::ColumnDescriptor;
use polars_parquet::parquet::schema::types::PhysicalType;
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{DataPageHeader, Encoding, PageHeader, PageType};
use std::ops::Range;
use std::sync::Arc;
use zstd::bulk::Decompressor;

/// The error for bytes that the lake's own encoder does not write.
pub(super) fn damaged() -> Error {
    Error::new(ErrorKind::Damaged, "cannot read a data file: run `trailmill verify` on the lake")
}

/// Where a text stands in the bytes of its page.
type Span = (u32, u32);

/// Texts that pages refer to.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Texts {
    #[inline]
    pub(super) fn get(&self, number: usize) -> &[u8] {
        let (start, length) = self.spans.get(number).copied().unwrap_or_default();
        self.bytes.get(start as usize..(start + length) as usize).unwrap_or_default()
    }

    /// Returns all of them, in their order.
    #[inline]
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.spans.len()).map(|number| self.get(number))
    }
}

/// The values of a page, without nulls.
#[derive(Debug)]
pub(super) enum Values {
    /// None at all: every entry is a null.
    Nothing,
    Plain(Texts),
    Dictionary(Arc<Texts>, Vec<u32>),
    Bigint(Vec<i64>),
    Double(Vec<f64>),
    Boolean(Vec<bool>),
}

/// The levels of a page: most leaves do not repeat, and have few values.
#[derive(Debug)]
pub(super) enum Levels {
    /// Every entry is a row; so it is in most pages of leaves that could repeat.
    Flat(Vec<Run>),
    /// Rows of any number of entries.
    Nested {
        def: Vec<u8>,
        rep: Vec<u8>,
        /// The entry and the value at which each row begins, and where the last one ends.
        starts: Vec<(u32, u32)>,
    },
}

impl Levels {
    fn nested(def: Vec<u8>, rep: Vec<u8>, max_def: u8) -> Self {
        let mut starts = Vec::with_capacity(def.len() + 1);
        let mut value = 0;
        for (entry, level) in def.iter().enumerate() {
            if rep[entry] == 0 {
                starts.push((entry as u32, value));
            }
            value += u32::from(*level == max_def);
        }
        starts.push((def.len() as u32, value));
        Self::Nested { def, rep, starts }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Flat(runs) => runs.iter().map(|run| run.entries as usize).sum(),
            Self::Nested { starts, .. } => starts.len() - 1,
        }
    }
}

/// A data page.
#[derive(Debug)]
pub(super) struct Page {
    /// The number of its first row in the file.
    pub(super) first_row: u64,
    rows: usize,
    /// The level of entries that have a value.
    pub(super) max_def: u8,
    pub(super) levels: Levels,
    pub(super) values: Values,
}

/// A value of a page.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'p> {
    Text(&'p [u8]),
    Bigint(i64),
    Double(f64),
    Boolean(bool),
}

/// The level of pages without values: none reaches it.
const NO_VALUE: u8 = u8::MAX;

impl Page {
    fn new(first_row: u64, levels: Levels, values: Values, max_def: u8) -> Self {
        Self { first_row, rows: levels.rows(), max_def, levels, values }
    }

    /// Returns a page of rows that have nothing.
    pub(super) fn of_nothing(rows: Range<u64>) -> Self {
        let entries = (rows.end - rows.start) as u32;
        let levels = Levels::Flat(vec![Run { level: 0, entries }]);
        Self::new(rows.start, levels, Values::Nothing, NO_VALUE)
    }

    /// Returns what a leaf that is absent from the file has in the rows of this page of another leaf:
    /// everything down to the group that both are in, which is at these levels, and nothing below.
    pub(super) fn of_group(&self, (max_def, max_rep): (u8, u8)) -> Self {
        let levels = match &self.levels {
            Levels::Nested { def, rep, .. } if max_rep > 0 => {
                let kept = def.iter().zip(rep).filter(|(_, repeated)| **repeated <= max_rep);
                let (def, rep) = kept.map(|(level, rep)| ((*level).min(max_def), *rep)).unzip();
                Levels::nested(def, rep, NO_VALUE)
            }
            _ => Levels::Flat(self.group_runs(max_def)),
        };
        Self::new(self.first_row, levels, Values::Nothing, NO_VALUE)
    }

    /// Returns the levels of rows down to a group that does not repeat, which is at this level.
    pub(super) fn group_runs(&self, max_def: u8) -> Vec<Run> {
        let mut runs = Vec::new();
        match &self.levels {
            Levels::Flat(own) => {
                own.iter().for_each(|run| push(&mut runs, run.level.min(max_def), run.entries));
            }
            Levels::Nested { def, rep, .. } => {
                let firsts = def.iter().zip(rep).filter(|(_, repeated)| **repeated == 0);
                firsts.for_each(|(level, _)| push(&mut runs, (*level).min(max_def), 1));
            }
        }
        runs
    }

    /// Returns how many rows begin in it.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the numbers of its rows in the file.
    pub(super) fn range(&self) -> Range<u64> {
        self.first_row..self.first_row + self.rows as u64
    }

    /// Returns a value by its number in the page.
    #[inline]
    pub(super) fn value(&self, number: usize) -> Option<Value<'_>> {
        Some(match &self.values {
            Values::Nothing => return None,
            Values::Plain(texts) => Value::Text(texts.get(number)),
            Values::Dictionary(texts, entries) => {
                Value::Text(texts.get(*entries.get(number)? as usize))
            }
            Values::Bigint(values) => Value::Bigint(*values.get(number)?),
            Values::Double(values) => Value::Double(*values.get(number)?),
            Values::Boolean(values) => Value::Boolean(*values.get(number)?),
        })
    }

    /// Calls `see` with each run of rows of a page in which nothing repeats: its level, its rows, and the number
    /// of the first of its values, if they have any.
    pub(super) fn each_run(&self, mut see: impl FnMut(u8, Range<usize>, Option<usize>)) {
        let Levels::Flat(runs) = &self.levels else { return };
        let (mut row, mut value) = (0, 0);
        for run in runs {
            let end = row + run.entries as usize;
            let has_values = run.level == self.max_def;
            see(run.level, row..end, has_values.then_some(value));
            value += if has_values { run.entries as usize } else { 0 };
            row = end;
        }
    }
}

/// Inflates pages, with what is worth keeping from one to the next.
#[derive(Default)]
pub(super) struct Inflater(Option<Decompressor<'static>>);

impl Inflater {
    fn inflate(&mut self, codec: Compression, body: &[u8], size: usize) -> Result<Vec<u8>> {
        if codec == Compression::Zstd {
            let mut bytes = Vec::with_capacity(size);
            let begun = match self.0.take() {
                Some(begun) => begun,
                None => Decompressor::new().map_err(|err| damaged().because(err))?,
            };
            let found = self.0.insert(begun).decompress_to_buffer(body, &mut bytes);
            let is_whole = found.map_err(|err| damaged().because(err))? == size;
            return if is_whole { Ok(bytes) } else { Err(damaged()) };
        }
        let mut bytes = vec![0; size];
        decompress(codec, body, &mut bytes, &mut DecompressionContext::Unset)
            .map_err(|err| damaged().because(err))?;
        Ok(bytes)
    }
}

/// What of pages is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Everything,
    /// All values; but where nothing repeats, levels up to this one are told as 0.
    Above(u8),
    /// No value: a page is as if all were nulls at their levels.
    Levels,
}

/// A column chunk whose pages are read one after another.
pub(super) struct Pages<'b> {
    bytes: &'b [u8],
    codec: Compression,
    column: &'b ColumnDescriptor,
    inflater: &'b mut Inflater,
    wanted: Wanted,
    dictionary: Option<Arc<Texts>>,
    next_row: u64,
    end: u64,
}

impl<'b> Pages<'b> {
    /// Begins with the first page; the chunk has these rows of the file.
    pub(super) fn new(
        bytes: &'b [u8],
        codec: Compression,
        column: &'b ColumnDescriptor,
        rows: Range<u64>,
        (wanted, inflater): (Wanted, &'b mut Inflater),
    ) -> Self {
        Self {
            bytes,
            codec,
            column,
            inflater,
            wanted,
            dictionary: None,
            next_row: rows.start,
            end: rows.end,
        }
    }

    /// Returns the next page with rows from `from` on, or nothing after the last.
    ///
    /// # Errors
    /// `Damaged` for bytes that the lake's encoder does not write.
    pub(super) fn next(&mut self, from: u64) -> Result<Option<Page>> {
        while self.next_row < self.end {
            let (header, body) = self.header()?;
            if header.type_ == PageType::DICTIONARY_PAGE {
                if self.wanted == Wanted::Levels {
                    continue;
                }
                let bytes = self.inflate(&header, body)?;
                let count =
                    header.dictionary_page_header.as_ref().map_or(0, |head| head.num_values);
                let spans = spans(&bytes, 0, usize::try_from(count).unwrap_or_default())?;
                self.dictionary = Some(Arc::new(Texts { bytes, spans }));
                continue;
            }
            let head = header.data_page_header.as_ref().ok_or_else(damaged)?;
            let count = u64::try_from(head.num_values).map_err(|_| damaged())?;
            let is_flat = self.column.descriptor.max_rep_level == 0;
            // Of a flat column the header says how many rows there are.
            if is_flat && self.next_row + count <= from {
                self.next_row += count;
                continue;
            }
            let bytes = self.inflate(&header, body)?;
            let page = self.decode(head, bytes)?;
            self.next_row += page.rows() as u64;
            if page.rows() == 0 || self.next_row > self.end {
                return Err(damaged());
            }
            if self.next_row > from {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    fn header(&mut self) -> Result<(PageHeader, &'b [u8])> {
        let mut rest = self.bytes;
        let length = rest.len();
        let protocol = &mut TCompactInputProtocol::new(&mut rest, length);
        let header =
            PageHeader::read_from_in_protocol(protocol).map_err(|err| damaged().because(err))?;
        let size = usize::try_from(header.compressed_page_size).map_err(|_| damaged())?;
        let (body, after) = rest.split_at_checked(size).ok_or_else(damaged)?;
        self.bytes = after;
        Ok((header, body))
    }

    fn inflate(&mut self, header: &PageHeader, body: &[u8]) -> Result<Vec<u8>> {
        if self.codec == Compression::Uncompressed {
            return Ok(body.to_vec());
        }
        let size = usize::try_from(header.uncompressed_page_size).map_err(|_| damaged())?;
        if size > MAX_PAGE {
            return Err(damaged());
        }
        self.inflater.inflate(self.codec, body, size)
    }

    fn decode(&self, head: &DataPageHeader, bytes: Vec<u8>) -> Result<Page> {
        let descriptor = &self.column.descriptor;
        let (max_def, max_rep) = (descriptor.max_def_level as u8, descriptor.max_rep_level as u8);
        let entries = usize::try_from(head.num_values).map_err(|_| damaged())?;
        let mut at = 0;
        let rep = match max_rep {
            0 => Vec::new(),
            _ => runs(&bytes, &mut at, (max_rep, 0), entries).ok_or_else(damaged)?,
        };
        let floor = match (self.wanted, &rep[..]) {
            (Wanted::Above(floor), [] | [_]) => floor,
            _ => 0,
        };
        let def = runs(&bytes, &mut at, (max_def, floor), entries).ok_or_else(damaged)?;
        let with_value = def.iter().filter(|run| run.level == max_def);
        let count = with_value.map(|run| run.entries as usize).sum();
        let levels = match &rep[..] {
            [] | [Run { level: 0, .. }] => Levels::Flat(def),
            [Run { level: 0, .. }, ..] => Levels::nested(dense(&def), dense(&rep), max_def),
            // A page begins with a row.
            _ => return Err(damaged()),
        };
        let physical = descriptor.primitive_type.physical_type;
        let values = match (head.encoding, physical) {
            _ if count == 0 || self.wanted == Wanted::Levels => Values::Nothing,
            (Encoding::PLAIN, PhysicalType::ByteArray) => {
                let spans = spans(&bytes, at, count)?;
                if spans.len() != count {
                    return Err(damaged());
                }
                Values::Plain(Texts { bytes, spans })
            }
            (Encoding::RLE_DICTIONARY, PhysicalType::ByteArray) => {
                let dictionary = self.dictionary.clone().ok_or_else(damaged)?;
                let entries = indices(&bytes, at, count)?;
                if entries.iter().any(|entry| *entry as usize >= dictionary.spans.len()) {
                    return Err(damaged());
                }
                Values::Dictionary(dictionary, entries)
            }
            (Encoding::PLAIN, PhysicalType::Int64) => {
                Values::Bigint(words(&bytes, at, count)?.map(i64::from_le_bytes).collect())
            }
            (Encoding::PLAIN, PhysicalType::Double) => {
                Values::Double(words(&bytes, at, count)?.map(f64::from_le_bytes).collect())
            }
            (Encoding::PLAIN, PhysicalType::Boolean) => {
                let bits = bytes.get(at..at + count.div_ceil(8)).ok_or_else(damaged)?;
                let bit = |n: usize| bits[n / 8] >> (n % 8) & 1 == 1;
                Values::Boolean((0..count).map(bit).collect())
            }
            _ => return Err(damaged()),
        };
        Ok(Page::new(self.next_row, levels, values, max_def))
    }
}

/// The largest page that is inflated: the encoder's end at 256 KiB or at one value.
const MAX_PAGE: usize = 1 << 30;

fn indices(bytes: &[u8], at: usize, count: usize) -> Result<Vec<u32>> {
    let (width, runs) = bytes.get(at..).and_then(<[u8]>::split_first).ok_or_else(damaged)?;
    if *width > 32 {
        return Err(damaged());
    }
    hybrid(runs, u32::from(*width), count)
}

fn hybrid(runs: &[u8], width: u32, count: usize) -> Result<Vec<u32>> {
    let decoded = HybridRleDecoder::new(runs, width, count).collect();
    let decoded = decoded.map_err(|err| damaged().because(err))?;
    if decoded.len() == count { Ok(decoded) } else { Err(damaged()) }
}

fn words(bytes: &[u8], at: usize, count: usize) -> Result<impl Iterator<Item = [u8; 8]> + '_> {
    let words = bytes.get(at..at + 8 * count).ok_or_else(damaged)?;
    Ok(words.as_chunks::<8>().0.iter().copied())
}

/// Where the texts of plain bytes stand, from some byte on; there are about so many.
fn spans(bytes: &[u8], mut at: usize, count: usize) -> Result<Vec<Span>> {
    // Each takes four bytes at least.
    let mut spans = Vec::with_capacity(count.min(bytes.len() / 4));
    while at < bytes.len() {
        let length = bytes.get(at..at + 4).and_then(|length| length.try_into().ok());
        let length = u32::from_le_bytes(length.ok_or_else(damaged)?);
        let start = at + 4;
        at = start + length as usize;
        if at > bytes.len() {
            return Err(damaged());
        }
        spans.push((start as u32, length));
    }
    Ok(spans)
}
