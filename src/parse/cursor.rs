//! The simd-json tape of one chunk, and the cursor that walks it beside the structural marks.

use crate::error::{Error, Result};
use crate::parse::MAX_DEPTH;
use simd_json::{Buffers, Node, StaticNode, Tape};
use std::ops::Range;

/// What a scalar is; the numbers' text is kept as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ScalarKind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number without fraction or exponent.
    Integer,
    /// Any other number.
    Float,
    /// A string.
    String,
}

/// One scalar value: its kind and where its text is in the untouched bytes.
#[derive(Clone, Debug)]
pub struct Scalar<'t> {
    /// What it is.
    pub kind: ScalarKind,
    /// The raw text, quotes included.
    pub raw: Range<usize>,
    /// The unescaped content of a string; empty for other kinds.
    pub text: &'t str,
}

impl Scalar<'_> {
    /// Returns whether the string's content stands in the raw text byte for byte, unescaped: every
    /// escape is longer than what it stands for.
    pub fn is_verbatim(&self) -> bool {
        self.raw.len() == self.text.len() + 2
    }
}

/// Walks the values of a chunk in order. Every `enter_*` is followed by that many entries, each
/// closed by [`Cursor::end_entry`]; an empty container is closed by `enter_*` itself.
#[derive(Clone, Debug)]
pub struct Cursor<'t> {
    nodes: &'t [Node<'t>],
    marks: &'t [u32],
    bytes: &'t [u8],
    /// Added to a mark (modulo wrap) to get a position in `bytes`: the scratch copy starts with `[`.
    base: usize,
    node: usize,
    mark: usize,
    has_space: bool,
}

/// A value's place in the chunk that a cursor walks; see [`Cursor::at`].
#[derive(Clone, Copy, Debug)]
pub struct Place {
    node: u32,
    mark: u32,
}

impl<'t> Cursor<'t> {
    /// The untouched bytes of the object, that raw ranges point into.
    pub fn bytes(&self) -> &'t [u8] {
        self.bytes
    }

    fn position(&self, mark: usize) -> usize {
        self.base + self.marks[mark] as usize - 1
    }

    /// Returns the source position of the value the cursor stands on.
    pub fn start(&self) -> usize {
        self.position(self.mark)
    }

    /// Returns the source position just after the container that was left last.
    pub fn container_end(&self) -> usize {
        self.position(self.mark - 1) + 1
    }

    /// Returns whether whitespace stands between the tokens of the chunk. CloudTrail writes none.
    pub fn has_space(&self) -> bool {
        self.has_space
    }

    /// Returns the place of the value that the cursor stands on.
    pub fn place(&self) -> Place {
        Place { node: self.node as u32, mark: self.mark as u32 }
    }

    /// Returns a cursor over the same chunk that stands on another value.
    pub fn at(&self, place: Place) -> Self {
        Self { node: place.node as usize, mark: place.mark as usize, ..self.clone() }
    }

    /// Returns the number of entries if the cursor stands on an object.
    pub fn object_len(&self) -> Option<usize> {
        match self.nodes[self.node] {
            Node::Object { len, .. } => Some(len),
            _ => None,
        }
    }

    /// Returns the number of elements if the cursor stands on an array.
    pub fn array_len(&self) -> Option<usize> {
        match self.nodes[self.node] {
            Node::Array { len, .. } => Some(len),
            _ => None,
        }
    }

    /// Returns whether the cursor stands on `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.nodes[self.node], Node::Static(StaticNode::Null))
    }

    /// Steps into the container of `len` entries the cursor stands on.
    pub fn enter(&mut self, len: usize) {
        self.node += 1;
        self.step();
        if len == 0 {
            self.step();
        }
    }

    /// Moves over one punctuation mark.
    fn step(&mut self) {
        self.mark += 1;
    }

    /// Closes one entry of a container: moves over the comma or the closing bracket.
    pub fn end_entry(&mut self) {
        self.step();
    }

    /// Reads an object's key; the cursor then stands on its value.
    pub fn key(&mut self) -> Scalar<'t> {
        let key = self.scalar();
        self.step();
        key
    }

    /// Reads the scalar the cursor stands on. On a container it returns `Null` and does not move.
    pub fn scalar(&mut self) -> Scalar<'t> {
        let start = self.start();
        let (kind, text) = match self.nodes[self.node] {
            Node::String(text) => (ScalarKind::String, text),
            Node::Static(StaticNode::Null) => (ScalarKind::Null, ""),
            Node::Static(StaticNode::Bool(_)) => (ScalarKind::Bool, ""),
            Node::Static(_) => (ScalarKind::Integer, ""),
            Node::Object { .. } | Node::Array { .. } => {
                return Scalar { kind: ScalarKind::Null, raw: start..start, text: "" };
            }
        };
        self.node += 1;
        self.mark += 1;
        let mut end = self.position(self.mark);
        // Behind the last value, there may be some all the same.
        if self.has_space || self.mark + 1 == self.marks.len() {
            while end > start + 1 && matches!(self.bytes[end - 1], b' ' | b'\n' | b'\r' | b'\t') {
                end -= 1;
            }
        }
        let raw = start..end;
        let kind = match kind {
            ScalarKind::Integer
                if self.bytes[raw.clone()].iter().any(|b| matches!(b, b'.' | b'e' | b'E')) =>
            {
                ScalarKind::Float
            }
            kind => kind,
        };
        Scalar { kind, raw, text }
    }

    /// Moves past the value the cursor stands on and returns its raw text's place.
    pub fn skip(&mut self) -> Range<usize> {
        let start = self.start();
        let nodes = match self.nodes[self.node] {
            Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
            _ => return self.scalar().raw,
        };
        let mut marks = 0;
        for node in &self.nodes[self.node..self.node + nodes] {
            marks += match node {
                Node::Object { len, .. } => 2 + len + len.saturating_sub(1),
                Node::Array { len, .. } => 2 + len.saturating_sub(1),
                _ => 1,
            };
        }
        self.node += nodes;
        self.mark += marks;
        start..self.container_end()
    }
}

/// simd-json's buffers, reused from chunk to chunk.
pub struct Parser {
    buffers: Buffers,
    scratch: Vec<u8>,
    nodes: Vec<Node<'static>>,
}

impl std::fmt::Debug for Parser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parser").field("scratch", &self.scratch.capacity()).finish_non_exhaustive()
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            buffers: Buffers::with_max_depth(256 << 10, MAX_DEPTH + 1),
            scratch: Vec::new(),
            nodes: Vec::new(),
        }
    }
}

impl Parser {
    /// Returns how many bytes of memory the parser keeps, about.
    pub fn capacity(&self) -> usize {
        let nodes = self.nodes.capacity() * size_of::<simd_json::Node<'static>>();
        // As many marks as nodes at least.
        self.scratch.capacity() + nodes + self.nodes.capacity() * size_of::<u32>()
    }

    /// Parses `bytes[range]`, records separated by commas, and calls `visit` with a cursor that
    /// stands on the first record and the number of records.
    ///
    /// # Errors
    /// `BadInput` when the range is not a comma-separated list of JSON values; the reason names no
    /// content.
    pub fn parse<T>(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        visit: impl FnOnce(Cursor<'_>, usize) -> T,
    ) -> Result<T> {
        let len = range.len() + 2;
        self.scratch.clear();
        self.scratch.reserve(len + simd_json::INPUT_PADDING);
        self.scratch.push(b'[');
        self.scratch.extend_from_slice(&bytes[range.clone()]);
        self.scratch.push(b']');
        self.scratch.resize(len + simd_json::INPUT_PADDING, b' ');
        let mut tape = Tape(std::mem::take(&mut self.nodes)).reset();
        let outcome =
            simd_json::fill_tape_padded(&mut self.scratch, len, &mut self.buffers, &mut tape);
        let outcome = match outcome {
            Ok(()) => {
                let marks = self.buffers.structural_indexes();
                let mut cursor = Cursor {
                    nodes: &tape.0,
                    marks,
                    bytes,
                    base: range.start,
                    node: 0,
                    mark: 0,
                    has_space: has_space(bytes, range.start, marks),
                };
                match cursor.array_len() {
                    Some(count) => {
                        cursor.enter(count);
                        Ok(visit(cursor, count))
                    }
                    None => Err(Error::bad_input("not a list of records")),
                }
            }
            Err(err) => Err(Error::bad_input(reason(err.error()))
                .at_byte((range.start + err.index().saturating_sub(1)) as u64)),
        };
        self.nodes = tape.reset().0;
        outcome
    }
}

/// Returns whether whitespace stands before any of the marks but the first record's: each is the first
/// byte of a token.
fn has_space(bytes: &[u8], base: usize, marks: &[u32]) -> bool {
    let end = marks.len().saturating_sub(1);
    let inner = marks.get(2..end).unwrap_or_default();
    inner.iter().any(|mark| bytes[base + *mark as usize - 2] <= b' ')
}

/// Says in CloudTrail's words what simd-json refused; never quotes the input.
fn reason(kind: &simd_json::ErrorType) -> &'static str {
    use simd_json::ErrorType as E;
    match kind {
        E::InvalidUtf8 => "not UTF-8",
        E::InvalidUnicodeCodepoint | E::InvalidUnicodeEscape => {
            "a \\u escape that is not a Unicode character (a lone surrogate?)"
        }
        E::InvalidEscape => "an escape unknown to JSON",
        E::InvalidNumber => "an invalid number, or one too large for a double",
        E::UnterminatedString => "a string without its closing quote",
        E::Eof => "ends in the middle of a value",
        other => {
            if format!("{other:?}").contains("Depth") {
                "nested deeper than 1000 levels"
            } else {
                "not valid JSON"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raws(text: &str) -> Vec<(ScalarKind, String)> {
        let mut out = Vec::new();
        Parser::default()
            .parse(text.as_bytes(), 0..text.len(), |mut cursor, count| {
                for _ in 0..count {
                    let scalar = if cursor.object_len().or(cursor.array_len()).is_some() {
                        Scalar { kind: ScalarKind::Null, raw: cursor.skip(), text: "" }
                    } else {
                        cursor.scalar()
                    };
                    out.push((scalar.kind, text[scalar.raw].to_owned()));
                    cursor.end_entry();
                }
            })
            .unwrap();
        out
    }

    #[test]
    fn every_value_keeps_its_source_text() {
        let text = r#" 12345678901234567890123 , -0.5e3,"a\"b" ,true,null,{"k":[1, {}]},[] "#;

        let found = raws(text);

        let expected = [
            (ScalarKind::Integer, "12345678901234567890123"),
            (ScalarKind::Float, "-0.5e3"),
            (ScalarKind::String, r#""a\"b""#),
            (ScalarKind::Bool, "true"),
            (ScalarKind::Null, "null"),
            (ScalarKind::Null, r#"{"k":[1, {}]}"#),
            (ScalarKind::Null, "[]"),
        ];
        assert_eq!(found, expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    #[test]
    fn whitespace_outside_strings_is_noticed_and_inside_is_not() {
        let spaced = |text: &str| {
            Parser::default()
                .parse(text.as_bytes(), 0..text.len(), |cursor, _| cursor.has_space())
                .unwrap()
        };
        assert!(!spaced(r#"{"a b":" c ","d":[1,{}]}"#));
        for text in [r#"{ "a":1}"#, r#"{"a" :1}"#, r#"{"a": 1}"#, r#"{"a":1 }"#, r#"{"a":[1, 2]}"#]
        {
            assert!(spaced(text), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_a_crash() {
        let text = "[".repeat(200_000) + &"]".repeat(200_000);

        let outcome = Parser::default().parse(text.as_bytes(), 0..text.len(), |_, _| ());

        assert_eq!(outcome.unwrap_err().kind(), crate::error::ErrorKind::BadInput);
    }
}
