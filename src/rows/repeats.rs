//! Values of a documented shape that a column has had before: the same principals call again and again.
//!
//! A value whose text was met before is not walked: what the tree was given for it is given again.

use crate::parse::ScalarKind;
use crate::rows::text::Cell;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// Values looked up before the look-up is abandoned for the unit, if fewer than a quarter were met before.
const TRIAL: usize = 1024;

/// Bytes of texts that are kept at most: more than a processor's caches hold would not be fast.
const MAX_BYTES: usize = 512 << 10;

/// A longer value is not kept: it would push out all others.
const MAX_VALUE_BYTES: usize = 8 << 10;

/// One thing that a tree was given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given {
    Object {
        node: u32,
    },
    Scalar {
        node: u32,
        kind: ScalarKind,
        text: Cell,
    },
    List {
        node: u32,
        count: u32,
    },
    /// What follows is below this element of the list.
    Element(u32),
}

/// A value's text in [`Repeats::bytes`], and what the tree was given for it.
#[derive(Clone, Copy, Debug)]
struct Value {
    hash: u64,
    text: (u32, u32),
    given: (u32, u32),
}

/// The values that a column has had of late.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    values: HashTable<Value>,
    bytes: Vec<u8>,
    given: Vec<Given>,
    /// The value that is being taken: its hash, and where in `given` it begins.
    open: Option<(u64, usize)>,
    looked_up: usize,
    met: usize,
}

impl Repeats {
    /// Returns what stands at a range that [`Repeats::find`] returned.
    pub(super) fn given(&self, range: std::ops::Range<usize>) -> &[Given] {
        &self.given[range]
    }

    /// Forgets everything, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.forget_values();
        (self.looked_up, self.met) = (0, 0);
    }

    fn forget_values(&mut self) {
        self.values.clear();
        self.bytes.clear();
        self.given.clear();
        self.open = None;
    }

    /// Begins to take a value; returns where in `given` the same value stands, if it was met before.
    pub(super) fn find(&mut self, text: &[u8]) -> Option<std::ops::Range<usize>> {
        if text.len() > MAX_VALUE_BYTES {
            return None;
        }
        if self.looked_up >= TRIAL && self.met * 4 < self.looked_up {
            return None;
        }
        self.looked_up += 1;
        let hash = xxh3_64(text);
        let is_it =
            |value: &Value| self.bytes[value.text.0 as usize..value.text.1 as usize] == *text;
        if let Some(found) = self.values.find(hash, is_it) {
            self.met += 1;
            return Some(found.given.0 as usize..found.given.1 as usize);
        }
        if self.bytes.len() + text.len() > MAX_BYTES {
            self.forget_values();
        }
        self.open = Some((hash, self.given.len()));
        None
    }

    /// Notes what the tree was given for the value that is being taken. A list is the whole value, or
    /// the value has to be walked again.
    pub(super) fn note(&mut self, given: Given) {
        let Some((_, first)) = self.open else { return };
        if matches!(given, Given::List { .. }) && self.given.len() > first {
            return self.abandon();
        }
        self.given.push(given);
    }

    /// Says that more came of the value that is being taken than was noted: it has to be walked again.
    pub(super) fn abandon(&mut self) {
        if let Some((_, first)) = self.open.take() {
            self.given.truncate(first);
        }
    }

    /// Ends a value that was taken.
    pub(super) fn end(&mut self, text: &[u8]) {
        let Some((hash, first)) = self.open.take() else { return };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        let value = Value {
            hash,
            text: (start as u32, self.bytes.len() as u32),
            given: (first as u32, self.given.len() as u32),
        };
        self.values.insert_unique(hash, value, |value| value.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::{Documented, Member};
    use crate::parse::Parser;
    use crate::rows::extra::Extra;
    use crate::rows::text::{Span, Texts};
    use crate::rows::tree::Tree;
    use crate::rows::typed::Typed;

    /// Takes values into a tree, a row each, all of them walked if so wanted; returns the tree, its
    /// texts and the number of leftovers.
    fn taken(values: &[&str], shape: &Documented, is_walked: bool) -> (Tree, Texts, usize) {
        let (mut tree, mut texts) = (Tree::documented(shape), Texts::default());
        let mut extra = Extra::default();
        let bytes = values.join(",");
        let take = |mut cursor: crate::parse::Cursor<'_>, count: usize| {
            for row in 0..count as u32 {
                let value = cursor.clone();
                let text = &bytes.as_bytes()[cursor.skip()];
                if is_walked {
                    tree.repeats.clear();
                }
                let mut typed = Typed { tree: &mut tree, texts: &mut texts, extra: &mut extra };
                typed.take_row(value, text, shape, Span::default(), row);
                cursor.end_entry();
            }
        };
        Parser::default().parse(bytes.as_bytes(), 0..bytes.len(), take).unwrap();
        (tree, texts, extra.len())
    }

    /// All that a tree has, by path and slot.
    fn written(tree: &Tree, texts: &Texts) -> Vec<String> {
        let mut out = Vec::new();
        for (n, node) in tree.nodes.iter().enumerate() {
            out.extend(node.objects.iter().map(|object| format!("{n} {} {{}}", object.slot)));
            out.extend(node.lists.iter().map(|list| {
                format!("{n} {} [{}..{}]", list.slot, list.first, list.first + list.count)
            }));
            out.extend(node.scalars.iter().map(|scalar| {
                let text = String::from_utf8_lossy(texts.get(scalar.text));
                format!("{n} {} {:?} {text}", scalar.slot, scalar.kind)
            }));
        }
        out
    }

    #[test]
    fn a_value_that_comes_again_is_given_as_if_it_were_walked() {
        const fn string(name: &'static str) -> Member {
            Member { name, shape: Documented::String }
        }
        const INNER: Documented =
            Documented::Struct(&[string("c"), Member { name: "m", shape: Documented::Map }]);
        const OBJECT: Documented =
            Documented::Struct(&[string("a"), Member { name: "b", shape: INNER }]);
        const LIST: Documented = Documented::List(&OBJECT);
        const BOTH: Documented =
            Documented::Struct(&[Member { name: "l", shape: LIST }, string("a")]);
        let values = [
            r#"{"a":"1","b":{"c":"2"}}"#,
            r#"{"a":"1","b":{"c":null}}"#,
            r#"{"a":"4"}"#,
            r#"{"a":"1","b":{"c":"2","m":{"k":"v","k":"w"}}}"#,
            r#"{"a":true,"a":7,"b":[]}"#,
            r#"{"a":"1","new":{"x":1}}"#,
            r#"[{"a":"1","b":{"c":"2"}},{"b":{}},null,{"a":"3"}]"#,
            r#"[]"#,
            r#"{"l":[{"a":"1"},{"a":"2"}],"a":"3"}"#,
            r#"{"a":"3","l":[{"a":"1"}]}"#,
            &format!(r#"{{"a":"{}"}}"#, "long".repeat(MAX_VALUE_BYTES / 4)),
        ];
        let again = [values, values, values].concat();
        for shape in [OBJECT, LIST, BOTH] {
            let (tree, texts, leftovers) = taken(&again, &shape, false);
            assert!(tree.repeats.met > 0);
            let (walked, texts_of_walked, leftovers_of_walked) = taken(&again, &shape, true);
            assert_eq!(walked.repeats.met, 0);
            assert_eq!(written(&tree, &texts), written(&walked, &texts_of_walked));
            assert_eq!(leftovers, leftovers_of_walked);
        }
    }
}
