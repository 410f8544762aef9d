//! Values of a documented shape (`userIdentity`, `resources`, …): every leaf is a string, and what
//! the shape has no place for becomes a leftover.

use crate::family::{Documented, Member};
use crate::parse::{Cursor, ScalarKind, escape_json};
use crate::rows::extra::{Extra, Step};
use crate::rows::node::{ListAt, ObjectAt, ScalarAt};
use crate::rows::repeats::Given;
use crate::rows::text::{Cell, Span, Texts, content};
use crate::rows::tree::Tree;
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

/// Where the values of one record go.
pub(crate) struct Typed<'a> {
    pub tree: &'a mut Tree,
    pub texts: &'a mut Texts,
    pub extra: &'a mut Extra,
}

impl Typed<'_> {
    /// Takes the whole value of a row that the cursor stands on, of which `text` is the source text.
    pub(super) fn take_row(
        &mut self,
        mut cursor: Cursor<'_>,
        text: &[u8],
        shape: &Documented,
        key: Span,
        row: u32,
    ) {
        if self.tree.repeat(text, row) {
            return;
        }
        let leftovers = self.extra.len();
        self.extra.open.push(Step::Key(key));
        self.take(&mut cursor, shape, 0, row);
        self.extra.open.clear();
        if self.extra.len() > leftovers {
            self.tree.repeats.abandon();
        }
        self.tree.repeats.end(text);
    }

    /// Takes the value the cursor stands on into `node` at `slot`, and moves past it.
    fn take(&mut self, cursor: &mut Cursor<'_>, shape: &Documented, node: u32, slot: u32) {
        if cursor.is_null() {
            cursor.scalar();
            return;
        }
        match (shape, cursor.object_len(), cursor.array_len()) {
            (Documented::Struct(members), Some(len), _) => {
                self.object(cursor, members, node, slot, len);
            }
            (Documented::Map, Some(len), _) => self.map(cursor, node, slot, len),
            (Documented::List(element), _, Some(len)) => {
                self.list(cursor, element, node, slot, len);
            }
            (Documented::String, None, None) => self.scalar(cursor, node, slot),
            _ => {
                let text = self.texts.json(cursor);
                self.extra.add(text);
            }
        }
    }

    fn scalar(&mut self, cursor: &mut Cursor<'_>, node: u32, slot: u32) {
        let scalar = cursor.scalar();
        let Some(text) = content(&scalar, cursor.bytes()) else { return };
        let text = self.tree.nodes[node as usize].interner.keep(text, self.texts);
        let entry = ScalarAt { slot, kind: scalar.kind, text };
        if !self.tree.fill(node, slot) {
            self.tree.nodes[node as usize].scalars.push(entry);
            self.tree.repeats.note(Given::Scalar { node, kind: entry.kind, text });
            return;
        }
        // The key came before in this object: the last value counts, the earlier one is kept.
        if let Some(last) = self.tree.nodes[node as usize].scalars.last_mut() {
            let earlier = std::mem::replace(last, entry);
            let text = json_of(earlier, self.texts);
            self.extra.add(text);
        }
    }

    fn object(
        &mut self,
        cursor: &mut Cursor<'_>,
        members: &[Member],
        node: u32,
        slot: u32,
        len: usize,
    ) {
        if self.tree.fill(node, slot) {
            // A repeated key that holds an object again: the first is in place.
            let text = self.texts.json(cursor);
            self.extra.add(text);
            return;
        }
        self.tree.nodes[node as usize].objects.push(ObjectAt { slot, text: Cell::NULL });
        self.tree.repeats.note(Given::Object { node });
        self.tree.open_object(node);
        cursor.enter(len);
        for _ in 0..len {
            let key = cursor.key();
            self.extra.open.push(Step::Key(Span::new(key.raw)));
            match self.member(node, key.text) {
                Some((at, child)) => self.take(cursor, &members[at].shape, child, slot),
                None => {
                    let text = self.texts.json(cursor);
                    self.extra.add(text);
                }
            }
            self.extra.open.pop();
            cursor.end_entry();
        }
    }

    /// The member a key leads to, and its place: by its lower-cased name.
    fn member(&mut self, node: u32, key: &str) -> Option<(usize, u32)> {
        let at = match self.tree.find_key(node, key.as_bytes()) {
            Some(at) => at,
            None => {
                let child = self.tree.child(node, &key.to_ascii_lowercase())?;
                self.tree.learn_key(node, key.as_bytes(), child)?
            }
        };
        Some((at, self.tree.nodes[node as usize].children[at]))
    }

    fn list(
        &mut self,
        cursor: &mut Cursor<'_>,
        shape: &Documented,
        node: u32,
        slot: u32,
        len: usize,
    ) {
        if self.tree.fill(node, slot) {
            let text = self.texts.json(cursor);
            self.extra.add(text);
            return;
        }
        let (element, first) = self.open_list(node, slot, len);
        self.tree.repeats.note(Given::List { node, count: len as u32 });
        cursor.enter(len);
        for i in 0..len as u32 {
            self.tree.repeats.note(Given::Element(i));
            self.extra.open.push(Step::Index(i));
            self.take(cursor, shape, element, first + i);
            self.extra.open.pop();
            cursor.end_entry();
        }
    }

    /// An object with open keys; of a repeated key the last value counts.
    fn map(&mut self, cursor: &mut Cursor<'_>, node: u32, slot: u32, len: usize) {
        if self.tree.fill(node, slot) {
            let text = self.texts.json(cursor);
            self.extra.add(text);
            return;
        }
        self.tree.repeats.abandon();
        let (entry, first) = self.open_list(node, slot, len);
        let [key_node, value_node] = self.tree.nodes[entry as usize].children[..] else { return };
        let mut slots: HashMap<u128, u32> = HashMap::with_capacity(len);
        cursor.enter(len);
        for _ in 0..len {
            let key = cursor.key();
            let next = first + slots.len() as u32;
            let slot = *slots.entry(xxh3_128(key.text.as_bytes())).or_insert(next);
            if slot == next {
                self.tree.nodes[entry as usize].objects.push(ObjectAt { slot, text: Cell::NULL });
                let text = self.texts.keep(key.text.as_bytes());
                let key = ScalarAt { slot, kind: ScalarKind::String, text };
                self.tree.nodes[key_node as usize].scalars.push(key);
            } else {
                self.displace(value_node, slot, Span::new(key.raw));
            }
            self.map_value(cursor, value_node, slot);
            cursor.end_entry();
        }
        let unused = (len - slots.len()) as u32;
        self.tree.nodes[node as usize].element_slots -= unused;
        if let Some(list) = self.tree.nodes[node as usize].lists.last_mut() {
            list.count -= unused;
        }
    }

    fn map_value(&mut self, cursor: &mut Cursor<'_>, node: u32, slot: u32) {
        let is_container = cursor.object_len().or(cursor.array_len()).is_some();
        let (kind, text) = if is_container {
            (ScalarKind::Null, self.texts.json(cursor))
        } else {
            let scalar = cursor.scalar();
            let text = content(&scalar, cursor.bytes());
            (scalar.kind, text.map_or(Cell::NULL, |text| self.texts.keep(text)))
        };
        if !text.is_null() {
            let values = &mut self.tree.nodes[node as usize].scalars;
            // A repeated key comes back to an earlier slot; the order is by slot.
            let at = values.partition_point(|value| value.slot < slot);
            values.insert(at, ScalarAt { slot, kind, text });
        }
    }

    /// Moves a map's value among the leftovers.
    fn displace(&mut self, node: u32, slot: u32, key: Span) {
        let values = &mut self.tree.nodes[node as usize].scalars;
        if let Ok(at) = values.binary_search_by_key(&slot, |value| value.slot) {
            let earlier = values.remove(at);
            let text = json_of(earlier, self.texts);
            self.extra.open.push(Step::Key(key));
            self.extra.add(text);
            self.extra.open.pop();
        }
    }

    fn open_list(&mut self, node: u32, slot: u32, len: usize) -> (u32, u32) {
        let element = self.tree.element_of(node);
        let node = &mut self.tree.nodes[node as usize];
        let first = node.element_slots;
        node.lists.push(ListAt { slot, first, count: len as u32, text: Cell::NULL });
        node.element_slots += len as u32;
        (element, first)
    }
}

/// A scalar as JSON text again.
fn json_of(scalar: ScalarAt, texts: &mut Texts) -> Cell {
    if scalar.kind != ScalarKind::String {
        return scalar.text;
    }
    let content = texts.get(scalar.text).to_vec();
    texts.keep_with(|out| escape_json(&content, out))
}
