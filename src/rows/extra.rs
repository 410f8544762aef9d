//! The leftovers of a record: what no column holds, gathered into one JSON object.

use crate::parse::{WRAPPER_KEY, escape_json};
use crate::rows::text::{Cell, Span, Texts};

/// One step of a leftover's path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A key, by its raw text with quotes.
    Key(Span),
    /// An array element.
    Index(u32),
}

/// The leftovers of the record that is being read; reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    steps: Vec<Step>,
    /// End of each leftover's path in `steps`, and its JSON text.
    values: Vec<(usize, Cell)>,
    /// What the record's wrapper says.
    pub wrapper: Option<Cell>,
    /// The path that is open while a typed value is walked.
    pub open: Vec<Step>,
}

/// A leftover, or what holds leftovers.
enum Piece {
    Value(Cell),
    Object(Vec<(Span, Piece)>),
    List(Vec<(u32, Piece)>),
}

impl Extra {
    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.values.clear();
        self.open.clear();
        self.wrapper = None;
    }

    /// Returns how many leftovers there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Adds a value under the open path.
    pub(super) fn add(&mut self, value: Cell) {
        self.steps.extend_from_slice(&self.open);
        self.values.push((self.steps.len(), value));
    }

    /// Adds a value under a top-level key.
    pub(super) fn add_top(&mut self, key: Span, value: Cell) {
        self.steps.push(Step::Key(key));
        self.values.push((self.steps.len(), value));
    }

    /// Renders the JSON object; nothing when there are no leftovers, so that the usual record
    /// allocates nothing.
    pub(super) fn render(&self, source: &[u8], texts: &mut Texts) -> Cell {
        if self.values.is_empty() && self.wrapper.is_none() {
            return Cell::NULL;
        }
        let mut root = Piece::Object(Vec::new());
        let mut start = 0;
        for &(end, value) in &self.values {
            root.insert(&self.steps[start..end], value, source);
            start = end;
        }
        let mut out = Vec::new();
        let Some(wrapper) = self.wrapper else {
            root.write(&mut out, source, texts);
            return texts.keep(&out);
        };
        out.push(b'{');
        escape_json(WRAPPER_KEY.as_bytes(), &mut out);
        out.push(b':');
        out.extend_from_slice(texts.get(wrapper));
        out.push(if self.values.is_empty() { b'}' } else { b',' });
        if !self.values.is_empty() {
            let open = out.len();
            root.write(&mut out, source, texts);
            out.remove(open);
        }
        texts.keep(&out)
    }
}

impl Piece {
    fn for_path(path: &[Step], value: Cell) -> Self {
        match path.first() {
            None => Self::Value(value),
            Some(Step::Key(key)) => Self::Object(vec![(*key, Self::for_path(&path[1..], value))]),
            Some(Step::Index(at)) => Self::List(vec![(*at, Self::for_path(&path[1..], value))]),
        }
    }

    fn insert(&mut self, path: &[Step], value: Cell, source: &[u8]) {
        let Some((step, rest)) = path.split_first() else { return };
        match (self, step) {
            (Self::Object(members), Step::Key(key)) => {
                // Leftovers below one key come one after another.
                let is_open = members.last().is_some_and(|(mine, piece)| {
                    !rest.is_empty()
                        && !matches!(piece, Self::Value(_))
                        && mine.of(source) == key.of(source)
                });
                match members.last_mut() {
                    Some((_, piece)) if is_open => piece.insert(rest, value, source),
                    _ => members.push((*key, Self::for_path(rest, value))),
                }
            }
            (Self::List(elements), Step::Index(at)) => match elements.last_mut() {
                Some((mine, piece)) if mine == at => piece.insert(rest, value, source),
                _ => elements.push((*at, Self::for_path(rest, value))),
            },
            // One key cannot hold both an object's and an array's leftovers: the walk opens a key
            // once per value.
            _ => {}
        }
    }

    fn write(&self, out: &mut Vec<u8>, source: &[u8], texts: &Texts) {
        match self {
            Self::Value(value) => out.extend_from_slice(texts.get(*value)),
            Self::Object(members) => {
                out.push(b'{');
                for (i, (key, piece)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(key.of(source));
                    out.push(b':');
                    piece.write(out, source, texts);
                }
                out.push(b'}');
            }
            Self::List(elements) => {
                out.push(b'[');
                let mut next = 0;
                for (at, piece) in elements {
                    for _ in next..*at {
                        out.extend_from_slice(b"{},");
                    }
                    piece.write(out, source, texts);
                    out.push(b',');
                    next = at + 1;
                }
                out.pop();
                out.push(b']');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_keep_their_place() {
        let mut texts = Texts::default();
        let mut extra = Extra::default();
        let source = br#""id""a""b""#;
        let (identity, a, b) = (Span::new(0..4), Span::new(4..7), Span::new(7..10));
        let one = texts.keep(b"1");
        extra.open = vec![Step::Key(identity), Step::Key(a)];
        extra.add(one);
        extra.open = vec![Step::Key(identity), Step::Key(b)];
        extra.add(one);
        extra.open = vec![Step::Key(a), Step::Index(2), Step::Key(b)];
        extra.add(one);
        extra.add_top(b, one);

        let text = extra.render(source, &mut texts);

        assert_eq!(
            std::str::from_utf8(texts.get(text)).unwrap(),
            r#"{"id":{"a":1,"b":1},"a":[{},{},{"b":1}],"b":1}"#
        );
        extra.clear();
        assert!(extra.render(source, &mut texts).is_null());
    }
}
