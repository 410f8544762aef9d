//! Where a record's values are: found in one pass, before anything of them is taken.

use crate::parse::{Cursor, Place, ScalarKind};
use crate::rows::text::Span;

/// A value of the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) key: Span,
    /// The value's text as it stands in the source.
    pub(super) raw: Span,
    pub(super) place: Place,
    pub(super) shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Null,
    /// A string that needs no unescaping.
    Plain,
    Escaped,
    /// A number or a boolean.
    Scalar,
    Object,
    Array,
}

impl Found {
    /// Finds the value that the cursor stands on, and moves past it.
    pub(super) fn read(key: Span, cursor: &mut Cursor<'_>) -> Self {
        let place = cursor.place();
        let is_object = cursor.object_len().is_some();
        if is_object || cursor.array_len().is_some() {
            let shape = if is_object { Shape::Object } else { Shape::Array };
            return Self { key, raw: Span::new(cursor.skip()), place, shape };
        }
        let scalar = cursor.scalar();
        let shape = match scalar.kind {
            ScalarKind::Null => Shape::Null,
            ScalarKind::String if scalar.is_verbatim() => Shape::Plain,
            ScalarKind::String => Shape::Escaped,
            _ => Shape::Scalar,
        };
        Self { key, raw: Span::new(scalar.raw), place, shape }
    }

    pub(super) fn is_container(&self) -> bool {
        matches!(self.shape, Shape::Object | Shape::Array)
    }

    /// A string's content, or a container's or other scalar's text as it stands in the source;
    /// nothing for `null`.
    pub(super) fn text<'t>(&self, cursor: &Cursor<'t>) -> Option<&'t [u8]> {
        match self.shape {
            Shape::Null => None,
            Shape::Plain => Some(self.raw.inside().of(cursor.bytes())),
            Shape::Escaped => Some(cursor.at(self.place).scalar().text.as_bytes()),
            Shape::Scalar | Shape::Object | Shape::Array => Some(self.raw.of(cursor.bytes())),
        }
    }

    /// A string's content; nothing for other values.
    pub(super) fn string<'t>(&self, cursor: &Cursor<'t>) -> Option<&'t [u8]> {
        let is_string = matches!(self.shape, Shape::Plain | Shape::Escaped);
        if is_string { self.text(cursor) } else { None }
    }

    /// The value's own text; nothing for `null`.
    pub(super) fn json<'t>(&self, cursor: &Cursor<'t>) -> Option<&'t [u8]> {
        if self.shape == Shape::Null { None } else { Some(self.raw.of(cursor.bytes())) }
    }

    /// A boolean, or one that is spelled as a string.
    pub(super) fn boolean(&self, cursor: &Cursor<'_>) -> Option<bool> {
        match self.text(cursor) {
            Some(b"true") => Some(true),
            Some(b"false") => Some(false),
            _ => None,
        }
    }

    /// The string at a key of an object; the last one if the key is repeated.
    pub(super) fn member<'t>(&self, name: &str, cursor: &Cursor<'t>) -> Option<&'t [u8]> {
        self.value(name, cursor)?.string(cursor)
    }

    /// The value at a key of an object; the last one if the key is repeated.
    pub(super) fn value(&self, name: &str, cursor: &Cursor<'_>) -> Option<Self> {
        if self.shape != Shape::Object {
            return None;
        }
        let mut cursor = cursor.at(self.place);
        let len = cursor.object_len().unwrap_or_default();
        let mut out = None;
        cursor.enter(len);
        for _ in 0..len {
            let is_it = cursor.key().text == name;
            let found = Self::read(Span::default(), &mut cursor);
            if is_it {
                out = Some(found);
            }
            cursor.end_entry();
        }
        out
    }
}
