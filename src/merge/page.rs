//! Pages of one column chunk, decoded to levels and values by row.
//!
//! Only what the lake's own encoder writes is read: data pages of the first version, plain values, and
//! dictionaries of texts. Everything else is refused as damaged, never guessed at.

use crate::error::{Error, ErrorKind, Result};
use polars_parquet::parquet::compression::{Compression, DecompressionContext, decompress};
use polars_parquet::parquet::encoding::hybrid_rle::HybridRleDecoder;
use polars_parquet::parquet::metadata::ColumnDescriptor;
use polars_parquet::parquet::schema::types::PhysicalType;
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{DataPageHeader, Encoding, PageHeader, PageType};
use std::ops::Range;
use std::sync::Arc;

/// The error for bytes that the lake's own encoder does not write.
pub(super) fn damaged() -> Error {
    Error::new(ErrorKind::Damaged, "cannot read a data file: run `trailmill verify` on the lake")
}

/// Where a text stands in the bytes of its page.
type Span = (u32, u32);

/// Texts that pages refer to.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Texts {
    fn get(&self, number: usize) -> &[u8] {
        let (start, length) = self.spans.get(number).copied().unwrap_or_default();
        self.bytes.get(start as usize..(start + length) as usize).unwrap_or_default()
    }
}

#[derive(Debug)]
enum Values {
    /// None at all: every entry is a null.
    Nothing,
    Plain(Texts),
    Dictionary(Arc<Texts>, Vec<u32>),
    Bigint(Vec<i64>),
    Double(Vec<f64>),
    Boolean(Vec<bool>),
}

/// A data page.
#[derive(Debug)]
pub(super) struct Page {
    /// The number of its first row in the file.
    pub(super) first_row: u64,
    pub(super) def: Vec<u8>,
    /// Empty where nothing repeats.
    pub(super) rep: Vec<u8>,
    values: Values,
    /// The entry and the value at which each row begins, and where the last one ends.
    starts: Vec<(u32, u32)>,
}

/// A value of a page.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'p> {
    Text(&'p [u8]),
    Bigint(i64),
    Double(f64),
    Boolean(bool),
}

impl Page {
    fn new(first_row: u64, def: Vec<u8>, rep: Vec<u8>, values: Values, max_def: u8) -> Self {
        let mut starts = Vec::with_capacity(def.len() + 1);
        let mut value = 0;
        for (entry, level) in def.iter().enumerate() {
            if rep.is_empty() || rep[entry] == 0 {
                starts.push((entry as u32, value));
            }
            value += u32::from(*level == max_def);
        }
        starts.push((def.len() as u32, value));
        Self { first_row, def, rep, values, starts }
    }

    /// Returns a page of rows that have nothing.
    pub(super) fn of_nothing(rows: Range<u64>, repeats: bool) -> Self {
        let count = (rows.end - rows.start) as usize;
        let rep = if repeats { vec![0; count] } else { Vec::new() };
        Self::new(rows.start, vec![0; count], rep, Values::Nothing, u8::MAX)
    }

    /// Returns what a leaf that is absent from the file has in the rows of this page of another leaf:
    /// everything down to the group that both are in, which is at these levels, and nothing below.
    pub(super) fn of_group(&self, (max_def, max_rep): (u8, u8), repeats: bool) -> Self {
        let (mut def, mut rep) = (Vec::new(), Vec::new());
        for (entry, level) in self.def.iter().enumerate() {
            let repeated = self.rep.get(entry).copied().unwrap_or(0);
            if repeated <= max_rep {
                def.push((*level).min(max_def));
                rep.push(repeated);
            }
        }
        if !repeats {
            rep.clear();
        }
        Self::new(self.first_row, def, rep, Values::Nothing, u8::MAX)
    }

    /// Returns how many rows begin in it.
    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns the numbers of its rows in the file.
    pub(super) fn range(&self) -> Range<u64> {
        self.first_row..self.first_row + self.rows() as u64
    }

    /// Returns whether no row has anything of the column.
    pub(super) fn is_void(&self) -> bool {
        self.def.len() == self.rows() && self.def.iter().all(|level| *level == 0)
    }

    /// Returns the entries and the values of a row, by its place in the page.
    pub(super) fn row(&self, row: usize) -> (Range<usize>, Range<usize>) {
        let ((entry, value), (end, values_end)) = (self.starts[row], self.starts[row + 1]);
        (entry as usize..end as usize, value as usize..values_end as usize)
    }

    /// Returns a value by its number in the page.
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
}

/// A column chunk whose pages are read one after another.
pub(super) struct Pages<'b> {
    bytes: &'b [u8],
    codec: Compression,
    column: &'b ColumnDescriptor,
    context: DecompressionContext,
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
    ) -> Self {
        let context = DecompressionContext::Unset;
        Self {
            bytes,
            codec,
            column,
            context,
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
                let bytes = self.inflate(&header, body)?;
                let spans = spans(&bytes)?;
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
            if page.rows() == 0 {
                return Err(damaged());
            }
            self.next_row += page.rows() as u64;
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
        let mut bytes = vec![0; size];
        decompress(self.codec, body, &mut bytes, &mut self.context)
            .map_err(|err| damaged().because(err))?;
        Ok(bytes)
    }

    fn decode(&self, head: &DataPageHeader, bytes: Vec<u8>) -> Result<Page> {
        let descriptor = &self.column.descriptor;
        let (max_def, max_rep) = (descriptor.max_def_level as u8, descriptor.max_rep_level as u8);
        let entries = usize::try_from(head.num_values).map_err(|_| damaged())?;
        let mut at = 0;
        let rep = levels(&bytes, &mut at, max_rep, entries)?;
        let mut def = levels(&bytes, &mut at, max_def, entries)?;
        if max_def == 0 {
            def = vec![0; entries];
        }
        let count = def.iter().filter(|level| **level == max_def).count();
        let physical = descriptor.primitive_type.physical_type;
        let values = match (head.encoding, physical) {
            (Encoding::PLAIN, PhysicalType::ByteArray) => {
                let mut bytes = bytes;
                bytes.drain(..at);
                let spans = spans(&bytes)?;
                if spans.len() != count {
                    return Err(damaged());
                }
                Values::Plain(Texts { bytes, spans })
            }
            (Encoding::RLE_DICTIONARY, PhysicalType::ByteArray) => {
                let dictionary = self.dictionary.clone().ok_or_else(damaged)?;
                Values::Dictionary(dictionary, indices(&bytes, at, count)?)
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
        if let Values::Dictionary(texts, entries) = &values
            && entries.iter().any(|entry| *entry as usize >= texts.spans.len())
        {
            return Err(damaged());
        }
        Ok(Page::new(self.next_row, def, rep, values, max_def))
    }
}

/// The largest page that is inflated: the encoder's end at 256 KiB or at one value.
const MAX_PAGE: usize = 1 << 30;

/// Levels, with their length before them; none where there is only one level.
fn levels(bytes: &[u8], at: &mut usize, max: u8, entries: usize) -> Result<Vec<u8>> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let length = bytes.get(*at..*at + 4).and_then(|length| length.try_into().ok());
    let length = u32::from_le_bytes(length.ok_or_else(damaged)?) as usize;
    let runs = bytes.get(*at + 4..*at + 4 + length).ok_or_else(damaged)?;
    *at += 4 + length;
    let width = u8::BITS - max.leading_zeros();
    let decoded = hybrid(runs, width, entries)?;
    if decoded.iter().any(|level| *level > u32::from(max)) {
        return Err(damaged());
    }
    Ok(decoded.into_iter().map(|level| level as u8).collect())
}

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

/// Where the texts of plain bytes stand.
fn spans(bytes: &[u8]) -> Result<Vec<Span>> {
    let mut spans = Vec::new();
    let mut at = 0;
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
