//! Texts by reference: a cell names bytes of the unit instead of copying them.

use crate::parse::{Cursor, Scalar, ScalarKind, minify_json};
use std::ops::Range;

/// The most bytes of JSON one unit may hold, and the most bytes of texts made from it: a cell has 31
/// bits for an offset. A byte of JSON is made into less than two.
pub const MAX_UNIT_BYTES: usize = 1 << 30;

const SIDE: u32 = 1 << 31;

/// A text of the unit, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The top bit says which of the two areas the offset is in.
    at: u32,
    len: u32,
}

impl Cell {
    /// No value.
    pub const NULL: Self = Self { at: 0, len: u32::MAX };

    /// A text in the decoded bytes.
    pub fn source(range: Range<usize>) -> Self {
        Self { at: range.start as u32, len: range.len() as u32 }
    }

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

    /// Returns the bytes; empty for nothing.
    pub fn bytes<'a>(self, source: &'a [u8], side: &'a SideText) -> &'a [u8] {
        if self.is_null() {
            return &[];
        }
        let start = (self.at & !SIDE) as usize;
        let area = if self.at & SIDE == 0 { source } else { &side.bytes };
        &area[start..start + self.len as usize]
    }
}

/// Texts that do not stand in the source as they are: unescaped, minified or computed.
#[derive(Debug, Default)]
pub struct SideText {
    bytes: Vec<u8>,
}

impl SideText {
    /// Returns whether what is kept leaves no room for another object's texts.
    pub fn is_full(&self) -> bool {
        self.bytes.len() > MAX_UNIT_BYTES / 2
    }

    /// Keeps a copy of `text`.
    pub fn keep(&mut self, text: &[u8]) -> Cell {
        self.keep_with(|out| out.extend_from_slice(text))
    }

    /// Keeps what `write` appends.
    pub fn keep_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Cell {
        let start = self.bytes.len();
        write(&mut self.bytes);
        Cell { at: start as u32 | SIDE, len: (self.bytes.len() - start) as u32 }
    }

    /// The content of a string, or the text of another scalar; nothing for `null`.
    pub fn content(&mut self, scalar: &Scalar<'_>, source: &[u8]) -> Cell {
        match scalar.kind {
            ScalarKind::Null => Cell::NULL,
            ScalarKind::String if scalar.is_verbatim(source) => {
                Cell::source(scalar.raw.start + 1..scalar.raw.end - 1)
            }
            ScalarKind::String => self.keep(scalar.text.as_bytes()),
            _ => Cell::source(scalar.raw.clone()),
        }
    }

    /// The JSON text of the value the cursor stands on, without whitespace outside strings;
    /// nothing for `null`. Moves past the value.
    pub fn json(&mut self, cursor: &mut Cursor<'_>) -> Cell {
        if cursor.is_null() {
            cursor.scalar();
            return Cell::NULL;
        }
        cursor.clear_space();
        let raw = if cursor.object_len().or(cursor.array_len()).is_some() {
            cursor.skip()
        } else {
            return Cell::source(cursor.scalar().raw);
        };
        if cursor.has_space() {
            self.keep_with(|out| minify_json(&cursor.bytes()[raw], out))
        } else {
            Cell::source(raw)
        }
    }
}
