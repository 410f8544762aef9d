//! Shredding: values below a column, taken apart into one sparse list per path.
//!
//! A node is a path. It lists where objects, arrays and scalars occur, by slot: the row, or below
//! an array the element's number. Nothing is typed here and nothing is dropped, so that a unit can
//! be shredded before the schema is known, in one pass, and laid out once units before it have
//! merged theirs. Costs follow the values present, not the width of the schema.

use crate::family::{Documented, Member};
use crate::parse::{Cursor, Scalar, ScalarKind};
use crate::rows::node::{ListAt, NONE, Node, ObjectAt, ScalarAt};
use crate::rows::repeats::{Given, Repeats};
use crate::rows::text::{Cell, Texts, is_same, reserve};
use crate::schema::{MAX_KEYS, column_name};
use std::ops::Range;

/// Objects nested deeper below a column stay text.
pub const MAX_LEVELS: usize = 12;

/// A longer array stays text: its elements would cost far more memory than its JSON.
pub(crate) const MAX_ELEMENTS: usize = 10_000;

/// Objects under these names have keys that users choose.
const MAP_NAMES: [&str; 4] = ["tags", "labels", "variables", "environmentvariables"];

const KEYS_ARE_DATA: &str = "keys are data";
const TOO_DEEP: &str = "nested deeper than 12 levels";

/// The most distinct keys directly below a column in one unit.
const MAX_ROOT_KEYS: usize = 4000;

/// A field's text: where it starts in the object that is being read, and the copy that is kept.
#[derive(Clone, Copy, Debug)]
pub struct FieldText {
    pub(super) start: usize,
    pub(super) kept: Cell,
}

impl FieldText {
    /// The part of the copy that stood at `range`.
    fn part(self, range: Range<usize>) -> Cell {
        self.kept.part(range.start - self.start, range.len())
    }

    /// The content of a string, or the text of another scalar; nothing for `null`.
    fn content(self, scalar: Scalar<'_>, texts: &mut Texts) -> Cell {
        match scalar.kind {
            ScalarKind::Null => Cell::NULL,
            ScalarKind::String if scalar.is_verbatim() => {
                self.part(scalar.raw.start + 1..scalar.raw.end - 1)
            }
            ScalarKind::String => texts.keep(scalar.text.as_bytes()),
            _ => self.part(scalar.raw),
        }
    }
}

/// Where a value is shredded to.
#[derive(Clone, Copy)]
struct Target {
    field: FieldText,
    node: u32,
    slot: u32,
    level: usize,
}

/// All paths below one column; node 0 is the column itself.
#[derive(Debug)]
pub struct Tree {
    pub(super) nodes: Vec<Node>,
    /// Of a documented shape.
    pub(super) repeats: Repeats,
    /// In place of a path without values.
    absent: Node,
    /// Whether an object had more different keys than are kept.
    has_open_keys: bool,
}

impl Default for Tree {
    fn default() -> Self {
        let absent = Node { element: NONE, ..Node::default() };
        let repeats = Repeats::default();
        let mut tree = Self { nodes: Vec::new(), repeats, absent, has_open_keys: false };
        tree.add_node("");
        tree
    }
}

impl Tree {
    /// Creates a tree with a node for everything in a documented shape.
    pub fn documented(shape: &Documented) -> Self {
        let mut tree = Self::default();
        tree.grow(0, shape);
        tree
    }

    /// Returns a node; for [`NONE`] one without values.
    pub(crate) fn node(&self, node: u32) -> &Node {
        self.nodes.get(node as usize).unwrap_or(&self.absent)
    }

    /// Returns whether values of some keys were left out, since their object had too many different ones.
    pub(crate) fn has_open_keys(&self) -> bool {
        self.has_open_keys
    }

    /// Returns how many values gave way to another spelling of their key.
    pub(super) fn displaced(&self) -> u64 {
        self.nodes.iter().map(|node| node.displaced).sum()
    }

    /// Returns how many bytes the values take, without their texts.
    pub(super) fn footprint(&self) -> usize {
        let of_node = |node: &Node| {
            size_of_val(&node.scalars[..])
                + size_of_val(&node.objects[..])
                + size_of_val(&node.lists[..])
        };
        // A node's names and tables are about this.
        self.nodes.iter().map(|node| of_node(node) + 2 * size_of::<Node>()).sum()
    }

    /// Makes room for `times` as many values as there are.
    pub(super) fn reserve(&mut self, times: f64) {
        for node in &mut self.nodes {
            reserve(&mut node.scalars, times);
            reserve(&mut node.objects, times);
            reserve(&mut node.lists, times);
        }
    }

    /// Forgets all values; a tree of a documented shape is as new then, and keeps its memory.
    pub(crate) fn clear_values(&mut self) {
        self.repeats.clear();
        for node in &mut self.nodes {
            node.scalars.clear();
            node.objects.clear();
            node.lists.clear();
            node.element_slots = 0;
            node.displaced = 0;
            node.follow.open();
            node.last_slot = NONE;
            node.interner.clear();
        }
    }

    fn grow(&mut self, node: u32, shape: &Documented) {
        match shape {
            Documented::Struct(members) => {
                for Member { name, shape } in *members {
                    let child = self.add_child(node, name);
                    self.grow(child, shape);
                }
            }
            Documented::List(element) => {
                let child = self.element_of(node);
                self.grow(child, element);
            }
            Documented::Map => {
                let entry = self.element_of(node);
                self.add_child(entry, "key");
                self.add_child(entry, "value");
            }
            Documented::String => {}
        }
    }

    fn add_node(&mut self, name: &str) -> u32 {
        let id = self.nodes.len() as u32;
        self.nodes.push(Node {
            name: name.into(),
            element: NONE,
            last_slot: NONE,
            ..Node::default()
        });
        id
    }

    fn add_child(&mut self, node: u32, name: &str) -> u32 {
        let child = self.add_node(name);
        let parent = &mut self.nodes[node as usize];
        parent.names.insert(name.into(), parent.children.len() as u32);
        parent.children.push(child);
        parent.spelled.push(name.as_bytes().into());
        child
    }

    pub(crate) fn element_of(&mut self, node: u32) -> u32 {
        if self.nodes[node as usize].element == NONE {
            let element = self.add_node("");
            self.nodes[node as usize].element = element;
        }
        self.nodes[node as usize].element
    }

    pub(crate) fn child(&self, node: u32, name: &str) -> Option<u32> {
        let node = &self.nodes[node as usize];
        node.names.get(name).map(|at| node.children[*at as usize])
    }

    /// Says that the keys of another object of the node follow.
    pub(crate) fn open_object(&mut self, node: u32) {
        self.nodes[node as usize].follow.open();
    }

    /// Finds which of a node's children a raw key leads to, fast when keys come in the usual order.
    pub(crate) fn find_key(&mut self, node: u32, key: &[u8]) -> Option<usize> {
        let node = &mut self.nodes[node as usize];
        let expected = node.follow.expected();
        let is_expected = node.spelled.get(expected).is_some_and(|spelled| is_same(spelled, key));
        let at = if is_expected { expected } else { *node.keys.get(key)? as usize };
        node.follow.came(at);
        Some(at)
    }

    /// Remembers that `key` leads to `child`; returns which of the children it is.
    pub(crate) fn learn_key(&mut self, node: u32, key: &[u8], child: u32) -> Option<usize> {
        let name = self.nodes[child as usize].name.clone();
        let node = &mut self.nodes[node as usize];
        let at = *node.names.get(&name)? as usize;
        node.keys.insert(key.into(), at as u32);
        node.spelled[at] = key.into();
        node.follow.came(at);
        Some(at)
    }

    /// Marks the slot of a node filled; returns whether it was filled before.
    pub(crate) fn fill(&mut self, node: u32, slot: u32) -> bool {
        let node = &mut self.nodes[node as usize];
        let was_filled = node.last_slot == slot;
        node.last_slot = slot;
        was_filled
    }

    /// Finds or makes the child for a key; `None` for a key that is data or over a limit.
    fn child_for_key(&mut self, node: u32, key: &str, level: usize) -> Option<u32> {
        if let Some(at) = self.find_key(node, key.as_bytes()) {
            return Some(self.nodes[node as usize].children[at]);
        }
        let name = column_name(key);
        let child = self.child(node, &name);
        let parent = &mut self.nodes[node as usize];
        if child.is_none() {
            if level > 0 && is_data(key) {
                parent.opaque = Some(KEYS_ARE_DATA);
                return None;
            }
            if parent.children.len() >= if level == 0 { MAX_ROOT_KEYS } else { MAX_KEYS } {
                parent.opaque = Some("more than 200 different keys");
                self.has_open_keys = true;
                return None;
            }
        }
        let child = child.unwrap_or_else(|| self.add_child(node, &name));
        self.learn_key(node, key.as_bytes(), child);
        Some(child)
    }

    /// Gives the tree what it was given for the same text before, at `row`; `false` when it is to be
    /// walked.
    pub(super) fn repeat(&mut self, text: &[u8], row: u32) -> bool {
        let Some(given) = self.repeats.find(text) else { return false };
        let (mut slot, mut first) = (row, 0);
        for given in self.repeats.given(given) {
            match *given {
                Given::Object { node } => {
                    let object = ObjectAt { slot, text: Cell::NULL };
                    self.nodes[node as usize].objects.push(object);
                }
                Given::Scalar { node, kind, text } => {
                    let node = &mut self.nodes[node as usize];
                    node.interner.meet_again();
                    node.scalars.push(ScalarAt { slot, kind, text });
                }
                Given::List { node, count } => {
                    let node = &mut self.nodes[node as usize];
                    first = node.element_slots;
                    node.lists.push(ListAt { slot, first, count, text: Cell::NULL });
                    node.element_slots += count;
                }
                Given::Element(at) => slot = first + at,
            }
        }
        true
    }

    /// Shreds the value of a row's field that the cursor stands on, and moves past it.
    pub fn shred(
        &mut self,
        cursor: &mut Cursor<'_>,
        texts: &mut Texts,
        field: FieldText,
        row: u32,
    ) {
        self.value(cursor, texts, Target { field, node: 0, slot: row, level: 0 });
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, texts: &mut Texts, target: Target) {
        if cursor.is_null() {
            cursor.scalar();
            return;
        }
        if self.fill(target.node, target.slot) {
            self.displace(cursor, texts, target);
            return;
        }
        if let Some(len) = cursor.object_len() {
            self.object(cursor, texts, target, len);
        } else if let Some(len) = cursor.array_len() {
            self.list(cursor, texts, target, len);
        } else {
            let entry = Self::scalar(cursor, texts, target);
            self.nodes[target.node as usize].scalars.push(entry);
        }
    }

    fn scalar(cursor: &mut Cursor<'_>, texts: &mut Texts, target: Target) -> ScalarAt {
        let scalar = cursor.scalar();
        let kind = scalar.kind;
        ScalarAt { slot: target.slot, kind, text: target.field.content(scalar, texts) }
    }

    /// A second value for a slot, under the same key or another spelling: of two scalars the last
    /// counts, as with every JSON reader; else the first.
    fn displace(&mut self, cursor: &mut Cursor<'_>, texts: &mut Texts, target: Target) {
        self.nodes[target.node as usize].displaced += 1;
        if cursor.object_len().or(cursor.array_len()).is_some() {
            cursor.skip();
            return;
        }
        let entry = Self::scalar(cursor, texts, target);
        if let Some(last) = self.nodes[target.node as usize].scalars.last_mut()
            && last.slot == target.slot
        {
            *last = entry;
        }
    }

    fn object(&mut self, cursor: &mut Cursor<'_>, texts: &mut Texts, target: Target, len: usize) {
        let Target { field, node, slot, level } = target;
        let start = cursor.start();
        let at = self.nodes[node as usize].objects.len();
        self.nodes[node as usize].objects.push(ObjectAt { slot, text: Cell::NULL });
        let is_map = MAP_NAMES.contains(&&*self.nodes[node as usize].name);
        if level >= MAX_LEVELS || is_map {
            self.nodes[node as usize].opaque = Some(if is_map { KEYS_ARE_DATA } else { TOO_DEEP });
            self.nodes[node as usize].objects[at].text = field.part(cursor.skip());
            return;
        }
        self.open_object(node);
        cursor.enter(len);
        for _ in 0..len {
            let key = cursor.key();
            match self.child_for_key(node, key.text, level) {
                Some(child) => {
                    self.value(cursor, texts, Target { node: child, level: level + 1, ..target });
                }
                None => {
                    cursor.skip();
                }
            }
            cursor.end_entry();
        }
        self.nodes[node as usize].objects[at].text = field.part(start..cursor.container_end());
    }

    fn list(&mut self, cursor: &mut Cursor<'_>, texts: &mut Texts, target: Target, len: usize) {
        let Target { field, node, slot, level } = target;
        let start = cursor.start();
        let this = &mut self.nodes[node as usize];
        if level >= MAX_LEVELS || len > MAX_ELEMENTS {
            // Noted as an opaque value and not as a list: no list column may take it for an empty one.
            let too_long = "longer than 10,000 elements";
            this.opaque = Some(if level >= MAX_LEVELS { TOO_DEEP } else { too_long });
            this.objects.push(ObjectAt { slot, text: field.part(cursor.skip()) });
            return;
        }
        let (at, first) = (this.lists.len(), this.element_slots);
        this.lists.push(ListAt { slot, first, count: len as u32, text: Cell::NULL });
        this.element_slots += len as u32;
        let element = self.element_of(node);
        cursor.enter(len);
        for slot in first..first + len as u32 {
            let target = Target { field, node: element, slot, level: level + 1 };
            self.value(cursor, texts, target);
            cursor.end_entry();
        }
        self.nodes[node as usize].lists[at].text = field.part(start..cursor.container_end());
    }
}

/// Returns whether an object key looks like data (an id, a tag, a path) and not like a field name.
fn is_data(key: &str) -> bool {
    key.len() > 64
        || key.bytes().filter(u8::is_ascii_digit).count() >= 5
        || key.bytes().any(|b| matches!(b, b'/' | b'@' | b' ' | b'*' | b'$' | b'{' | b'=' | b'%'))
        || is_variable(key)
        || !key.is_ascii()
}

/// Returns whether a key is a policy variable, an encryption context's key or an ARN: `aws:SourceIp`,
/// `aws:s3:arn`. XML's own prefixes name fields.
fn is_variable(key: &str) -> bool {
    key.contains(':') && !key.starts_with("xsi:") && !key.starts_with("xmlns")
}
