//! What a wrapper says about a record that the record itself does not say.

use crate::parse::members::Member;
use crate::parse::minify::{escape_json, minify_json};
use std::ops::Range;

/// A longer value is left out: it would be repeated for every record of its wrapper.
const MAX_VALUE_BYTES: usize = 1024;

/// What surrounds a value, from the inside out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Frame<'f> {
    /// An object, of which one member leads to the record.
    Object { text: &'f [u8], members: &'f [Member], skip: usize, above: Option<&'f Self> },
    /// Cells of a row, of which one is the record.
    Cells { names: &'f [Vec<u8>], cells: &'f [Vec<u8>], skip: usize, above: Option<&'f Self> },
    /// Other text of its line.
    Line { before: &'f [u8], after: &'f [u8] },
}

impl Frame<'_> {
    /// Appends the JSON object of what the wrapper says; nothing where that is nothing.
    pub(super) fn render(&self, record: &[u8], members: &[Member], out: &mut Vec<u8>) {
        let mut object = Object { out, record, members, names: Vec::new() };
        self.add(&mut object);
        object.end();
    }

    fn add(&self, object: &mut Object<'_>) {
        match self {
            Self::Object { text, members, skip, above } => {
                above.iter().for_each(|above| above.add(object));
                for (at, Member { key, value }) in members.iter().enumerate() {
                    if at != *skip {
                        object.add(&text[key.clone()], &text[value.clone()]);
                    }
                }
            }
            Self::Cells { names, cells, skip, above } => {
                above.iter().for_each(|above| above.add(object));
                for (at, (name, cell)) in names.iter().zip(*cells).enumerate() {
                    if at != *skip {
                        object.add_text(name, cell);
                    }
                }
            }
            Self::Line { before, after } => {
                object.add_text(b"before", before.trim_ascii());
                object.add_text(b"after", after.trim_ascii());
            }
        }
    }
}

/// The JSON object that grows.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    record: &'o [u8],
    members: &'o [Member],
    /// The names that are taken, in `out`.
    names: Vec<Range<usize>>,
}

impl Object<'_> {
    fn add_text(&mut self, name: &[u8], text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let (mut key, mut value) = (Vec::new(), Vec::new());
        escape_json(String::from_utf8_lossy(name).as_bytes(), &mut key);
        escape_json(String::from_utf8_lossy(text).as_bytes(), &mut value);
        self.add(&key[1..key.len() - 1], &value);
    }

    /// Adds a member, unless the record has it too. A name that is taken gets a number.
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let is_empty = matches!(value, b"null" | b"{}" | b"[]" | b"\"\"");
        let is_too_long = value.len() > MAX_VALUE_BYTES || key.len() > MAX_VALUE_BYTES;
        if is_empty || is_too_long || self.record_has(key, value) || !is_json(value) {
            return;
        }
        let mut name = key.to_vec();
        let mut number = 2;
        while self.names.iter().any(|taken| self.out[taken.clone()] == name) {
            name = [key, format!("_{number}").as_bytes()].concat();
            number += 1;
        }
        self.out.push(if self.out.is_empty() { b'{' } else { b',' });
        self.out.push(b'"');
        let start = self.out.len();
        self.out.extend_from_slice(&name);
        self.names.push(start..self.out.len());
        self.out.extend_from_slice(b"\":");
        minify_json(value, self.out);
    }

    /// Whether the record has a value of this text under this name, in whatever case.
    fn record_has(&self, key: &[u8], value: &[u8]) -> bool {
        self.members.iter().any(|member| {
            self.record[member.key.clone()].eq_ignore_ascii_case(key)
                && content(&self.record[member.value.clone()]) == content(value)
        })
    }

    fn end(self) {
        if !self.out.is_empty() {
            self.out.push(b'}');
        }
    }
}

/// A scalar's text, without the quotes of a string.
fn content(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text)
}

/// Whether a text is a JSON value, of text that is UTF-8.
pub(super) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok()
}
