//! Texts by reference: a cell names bytes that the unit keeps once.
//!
//! What a column holds is copied out of the decoded object, so that the object's bytes can go, and a
//! text that a column has seen before is not copied again: equal texts become equal cells, from which
//! a dictionary is made without looking at texts.

use crate::parse::{Cursor, Scalar, ScalarKind, minify_json};
use hashbrown::HashTable;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// The most bytes of JSON one unit may hold.
pub const MAX_UNIT_BYTES: usize = 1 << 30;

/// A text of the unit, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    at: u32,
    len: u32,
}

impl Cell {
    /// No value.
    pub const NULL: Self = Self { at: 0, len: u32::MAX };

    /// Returns whether there is no value.
    pub fn is_null(self) -> bool {
        self.len == u32::MAX
    }

    /// Returns whether there is no text: nothing, or an empty one.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the number of bytes; 0 for nothing.
    pub fn len(self) -> usize {
        if self.is_null() { 0 } else { self.len as usize }
    }

    /// Returns a number that equal cells share, for hashing.
    pub(crate) fn id(self) -> u64 {
        u64::from(self.at) << 32 | u64::from(self.len)
    }

    /// Returns a part of the text, which begins `skip` bytes in.
    pub(super) fn part(self, skip: usize, len: usize) -> Self {
        Self { at: self.at + skip as u32, len: len as u32 }
    }
}

/// Bytes of the object that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    pub(super) fn new(range: Range<usize>) -> Self {
        Self { start: range.start as u32, len: range.len() as u32 }
    }

    /// A string's content, without its quotes.
    pub(super) fn inside(self) -> Self {
        Self { start: self.start + 1, len: self.len - 2 }
    }

    pub(super) fn of(self, source: &[u8]) -> &[u8] {
        &source[self.start as usize..(self.start + self.len) as usize]
    }
}

/// The texts of a unit.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: Vec<u8>,
}

impl Texts {
    /// Returns a cell's text; an empty one for nothing.
    pub fn get(&self, cell: Cell) -> &[u8] {
        let start = cell.at as usize;
        &self.bytes[start..start + cell.len()]
    }

    /// Makes room for `times` as many bytes as there are.
    pub(crate) fn reserve(&mut self, times: f64) {
        reserve(&mut self.bytes, times);
    }

    /// Returns how many bytes the texts are.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns how many bytes of memory the texts have.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns whether the texts of a record of `size` bytes can be kept: each byte may stand in a
    /// field's own text, raw beside it, unescaped, and in a leftover or a promoted column.
    pub(super) fn has_room(&self, size: usize) -> bool {
        self.bytes.len() + 6 * size < u32::MAX as usize
    }

    /// Forgets all texts, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Keeps a copy of `text`.
    pub fn keep(&mut self, text: &[u8]) -> Cell {
        self.keep_with(|out| out.extend_from_slice(text))
    }

    /// Keeps what `write` appends.
    pub fn keep_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Cell {
        let start = self.bytes.len();
        write(&mut self.bytes);
        Cell { at: start as u32, len: (self.bytes.len() - start) as u32 }
    }

    /// Keeps the JSON text of the value the cursor stands on, without whitespace outside strings, and
    /// moves past it.
    pub(super) fn json(&mut self, cursor: &mut Cursor<'_>) -> Cell {
        let raw = cursor.skip();
        let text = &cursor.bytes()[raw];
        match cursor.has_space() {
            true => self.keep_with(|out| minify_json(text, out)),
            false => self.keep(text),
        }
    }
}

/// Makes room for `times` as many elements as there are, if there is memory for them.
pub(super) fn reserve<T>(elements: &mut Vec<T>, times: f64) {
    let wanted = (elements.len() as f64 * times) as usize;
    // Without it they grow step by step.
    let _ = elements.try_reserve_exact(wanted.saturating_sub(elements.len()));
}

/// The content of a string, or the text of another scalar; nothing for `null`.
pub(super) fn content<'s>(scalar: &Scalar<'s>, source: &'s [u8]) -> Option<&'s [u8]> {
    match scalar.kind {
        ScalarKind::Null => None,
        ScalarKind::String => Some(scalar.text.as_bytes()),
        _ => Some(&source[scalar.raw.clone()]),
    }
}

/// Returns whether two texts are equal: most are short, and for those a call of `memcmp` takes longer
/// than the comparison.
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    fn ends<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
        text.first_chunk().zip(text.last_chunk())
    }
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        4..8 => ends::<4>(a) == ends::<4>(b),
        8..=16 => ends::<8>(a) == ends::<8>(b),
        17..=32 => ends::<16>(a) == ends::<16>(b),
        _ => a == b,
    }
}

/// Distinct texts looked at before interning is abandoned, if they are more than half.
const TRIAL: usize = 512;

/// Finds the texts that a column has had before.
///
/// Gives up, for the rest of the unit, when texts hardly repeat; from then on equal texts may be
/// different cells.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    cells: HashTable<Cell>,
    last: Option<Cell>,
    seen: usize,
    has_given_up: bool,
}

impl Interner {
    /// Returns whether all cells are from here, and equal texts are equal cells.
    pub(crate) fn is_exact(&self) -> bool {
        self.seen > 0 && !self.has_given_up
    }

    /// Says that the column has cells that are not from here.
    pub(super) fn give_up(&mut self) {
        self.has_given_up = true;
    }

    /// Counts a text that was found without looking for it.
    pub(super) fn meet_again(&mut self) {
        self.seen += 1;
    }

    /// Forgets everything, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.last = None;
        self.seen = 0;
        self.has_given_up = false;
    }

    /// Keeps a text once.
    pub(super) fn keep(&mut self, text: &[u8], texts: &mut Texts) -> Cell {
        if self.has_given_up {
            return texts.keep(text);
        }
        self.seen += 1;
        if let Some(last) = self.last
            && is_same(texts.get(last), text)
        {
            return last;
        }
        let hash = xxh3_64(text);
        let found = self.cells.find(hash, |cell| is_same(texts.get(*cell), text)).copied();
        let cell = found.unwrap_or_else(|| {
            let cell = texts.keep(text);
            self.cells.insert_unique(hash, cell, |cell| xxh3_64(texts.get(*cell)));
            self.has_given_up = self.cells.len() >= TRIAL && self.cells.len() * 2 > self.seen;
            cell
        });
        self.last = Some(cell);
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_kept_once_until_they_hardly_repeat() {
        let (mut texts, mut interner) = (Texts::default(), Interner::default());
        let a = interner.keep(b"a", &mut texts);
        let b = interner.keep(b"b", &mut texts);
        assert_eq!(interner.keep(b"a", &mut texts), a);
        assert_eq!(
            (texts.get(a), texts.get(b), texts.get(Cell::NULL)),
            (&b"a"[..], &b"b"[..], &b""[..])
        );
        for n in 0..2000 {
            interner.keep(format!("{n}").as_bytes(), &mut texts);
        }
        assert!(!interner.is_exact());
        let again = interner.keep(b"a", &mut texts);
        assert_eq!(texts.get(again), b"a");
        interner.clear();
        interner.keep(b"a", &mut texts);
        assert!(interner.is_exact());
    }
}
