//! A column of strings as it lies in a row group: which rows have a value that is wanted.
//!
//! Strings are not built: a condition is asked once for each value of the dictionary, and codes are looked
//! at; without a dictionary it is asked for the values in the pages. A page is not decompressed if none of
//! the rows in question is in it, or if none of its codes can be wanted.

use crate::error::Result;
use crate::scan::chunk::{Chunk, unpacked};
use crate::scan::guarded::guarded;
use polars_parquet::parquet::encoding::Encoding;
use polars_parquet::parquet::encoding::hybrid_rle::HybridRleDecoder;
use polars_parquet::parquet::encoding::plain_byte_array::BinaryIter;
use polars_parquet::parquet::error::{ParquetError, ParquetResult};
use polars_parquet::parquet::page::{CompressedPage, DataPage, Page, split_buffer};
use polars_parquet::read::PageReader;
use std::ops::Range;

/// A column of strings, a member of structs or of lists of structs, and a condition that its values meet
/// or not.
///
/// A null counts as an empty string, as does a column that the file has not. Values in lists belong to the row of the
/// list, which has one that is wanted or not; nulls in them do not count.
pub struct TextColumn<'a> {
    name: &'a str,
    /// The chunk, and its pages after the dictionary.
    chunk: Option<(Chunk<'a>, PageReader)>,
    is_wanted: &'a dyn Fn(&str) -> bool,
    is_null_wanted: bool,
    /// Which values of the dictionary are wanted.
    entries: Option<Vec<bool>>,
    /// Rows of the row group.
    rows: usize,
}

/// Values of a page that are there, one after another.
enum Values<'p> {
    /// Of a dictionary.
    Codes(std::vec::IntoIter<u32>),
    Texts(BinaryIter<'p>),
}

impl<'a> TextColumn<'a> {
    /// Reads the dictionary of a chunk and asks for its values; `name` is the file's, for messages.
    pub(super) fn new(
        name: &'a str,
        chunk: Option<Chunk<'a>>,
        rows: usize,
        is_wanted: &'a dyn Fn(&str) -> bool,
    ) -> Result<Self> {
        let is_list = chunk.as_ref().is_some_and(|chunk| chunk.levels().1 > 0);
        let is_null_wanted = !is_list && is_wanted("");
        let Some(chunk) = chunk else {
            return Ok(Self { name, chunk: None, is_wanted, is_null_wanted, entries: None, rows });
        };
        guarded(name, || {
            let mut pages = chunk.compressed();
            let dictionary = pages.read_dict()?.map(CompressedPage::Dict);
            let entries = dictionary.map(|page| unpacked(page, |page| entries(page, is_wanted)));
            let entries = entries.transpose()?;
            let chunk = Some((chunk, pages));
            Ok(Self { name, chunk, is_wanted, is_null_wanted, entries, rows })
        })
    }

    /// Returns whether a row may have a value that is wanted, without a look at the rows.
    ///
    /// # Errors
    /// `Damaged` when the pages cannot be read.
    pub fn may_match(&self) -> Result<bool> {
        let Some((chunk, _)) = &self.chunk else { return Ok(self.is_null_wanted) };
        if self.can_match_coded() {
            return Ok(true);
        }
        // A writer may give the dictionary up in the middle of a chunk.
        guarded(self.name, || {
            for page in chunk.compressed() {
                if let CompressedPage::Data(page) = page?
                    && !page.header().is_dictionary_encoded()
                {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Returns the rows that have a value that is wanted, of all or of some; these and those in ascending
    /// order.
    ///
    /// # Errors
    /// `Damaged` when the pages cannot be read.
    pub fn rows(mut self, among: Option<&[usize]>) -> Result<Vec<usize>> {
        if !self.may_match()? {
            return Ok(Vec::new());
        }
        match self.chunk.take() {
            Some((chunk, pages)) => {
                let among = Among { some: among, rows: self.rows };
                guarded(self.name, || Ok(self.find(&chunk, pages, among)?))
            }
            None => Ok(among.map_or_else(|| (0..self.rows).collect(), <[usize]>::to_vec)),
        }
    }

    /// Returns whether a row with a null or a value of the dictionary can be wanted.
    fn can_match_coded(&self) -> bool {
        self.is_null_wanted || self.entries.as_ref().is_none_or(|all| all.contains(&true))
    }

    fn find(
        &self,
        chunk: &Chunk<'_>,
        pages: PageReader,
        mut among: Among<'_>,
    ) -> ParquetResult<Vec<usize>> {
        let (is_list, can_match_coded) = (chunk.levels().1 > 0, self.can_match_coded());
        let (mut found, mut end) = (Vec::new(), 0);
        for page in pages {
            let page = page?;
            if let (CompressedPage::Data(page), false) = (&page, is_list) {
                let rows = end..end + page.num_values();
                if rows.end > self.rows {
                    return Err(damaged("a page with more rows than there are"));
                }
                let is_code = page.header().is_dictionary_encoded();
                if !among.has_any(&rows) || (is_code && !can_match_coded) {
                    end = rows.end;
                    continue;
                }
            }
            end = unpacked(page, |page| match page {
                Page::Data(page) => self.find_in(page, chunk, end, &mut among, &mut found),
                Page::Dict(_) => Err(damaged("a dictionary between pages")),
            })?;
        }
        if end == self.rows { Ok(found) } else { Err(damaged("fewer rows than there are")) }
    }

    /// Adds the rows of a page; `end` is the end of the rows before it. Returns the end of its own.
    fn find_in(
        &self,
        page: &DataPage,
        chunk: &Chunk<'_>,
        mut end: usize,
        among: &mut Among<'_>,
        found: &mut Vec<usize>,
    ) -> ParquetResult<usize> {
        let (max_definition, max_repetition) = chunk.levels();
        let split = split_buffer(page)?;
        let definitions = levels(split.def, max_definition, page.num_values())?;
        let repetitions = levels(split.rep, max_repetition, page.num_values())?;
        let there = definitions.iter().filter(|level| **level == max_definition).count();
        let mut values = Values::new(split.values, page.encoding(), there)?;
        for (definition, repetition) in definitions.into_iter().zip(repetitions) {
            end += usize::from(repetition == 0);
            let row = end.wrapping_sub(1);
            let is_in_question = among.has(row) && found.last() != Some(&row);
            let is_wanted = if definition == max_definition {
                self.is_next_wanted(&mut values, is_in_question)?
            } else {
                self.is_null_wanted
            };
            if is_wanted && is_in_question {
                found.push(row);
            }
        }
        Ok(end)
    }

    fn is_next_wanted(&self, values: &mut Values<'_>, is_asked: bool) -> ParquetResult<bool> {
        let missing = || damaged("fewer values than there are");
        match values {
            Values::Codes(codes) => {
                let code = codes.next().ok_or_else(missing)?;
                let is_wanted = self.entries.as_ref().and_then(|all| all.get(code as usize));
                is_wanted.copied().ok_or_else(|| damaged("a code that the dictionary has not"))
            }
            Values::Texts(texts) => {
                let value = texts.next().ok_or_else(missing)??;
                Ok(is_asked && (self.is_wanted)(text(value)?))
            }
        }
    }
}

impl<'p> Values<'p> {
    fn new(bytes: &'p [u8], encoding: Encoding, count: usize) -> ParquetResult<Self> {
        let codes = match (encoding, bytes.split_first()) {
            (Encoding::Plain, _) => return Ok(Self::Texts(BinaryIter::new(bytes, Some(count)))),
            (Encoding::RleDictionary, _) if count == 0 => Vec::new(),
            (Encoding::RleDictionary, Some((bits, codes))) if *bits <= 32 => {
                HybridRleDecoder::new(codes, u32::from(*bits), count).collect()?
            }
            _ => return Err(damaged("an encoding that strings of a lake do not have")),
        };
        Ok(Self::Codes(codes.into_iter()))
    }
}

/// Asks for the values of a dictionary.
fn entries(page: &Page, is_wanted: &dyn Fn(&str) -> bool) -> ParquetResult<Vec<bool>> {
    let Page::Dict(page) = page else { return Err(damaged("no dictionary where it should be")) };
    let values = BinaryIter::new(&page.buffer, Some(page.num_values));
    values.map(|value| Ok(is_wanted(text(value?)?))).collect()
}

/// The rows in question, from the first to the last.
struct Among<'a> {
    some: Option<&'a [usize]>,
    rows: usize,
}

impl Among<'_> {
    /// Returns whether a row is in question; rows are asked for in ascending order.
    fn has(&mut self, row: usize) -> bool {
        self.next(row) == Some(row)
    }

    fn has_any(&mut self, rows: &Range<usize>) -> bool {
        self.next(rows.start).is_some_and(|row| row < rows.end)
    }

    /// Returns the first row in question that is not before another.
    fn next(&mut self, row: usize) -> Option<usize> {
        let Some(some) = &mut self.some else { return (row < self.rows).then_some(row) };
        while let Some((first, rest)) = some.split_first() {
            if *first >= row {
                return Some(*first);
            }
            *some = rest;
        }
        None
    }
}

fn levels(bytes: &[u8], max: u32, count: usize) -> ParquetResult<Vec<u32>> {
    if max == 0 {
        return Ok(vec![0; count]);
    }
    let levels = HybridRleDecoder::new(bytes, u32::BITS - max.leading_zeros(), count).collect()?;
    if levels.len() == count { Ok(levels) } else { Err(damaged("fewer levels than values")) }
}

fn text(value: &[u8]) -> ParquetResult<&str> {
    std::str::from_utf8(value).map_err(|_| damaged("a string that is not UTF-8"))
}

fn damaged(message: &str) -> ParquetError {
    ParquetError::OutOfSpec(message.to_owned())
}
