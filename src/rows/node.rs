//! One path below a column, and where its objects, arrays and scalars are.

use crate::parse::ScalarKind;
use crate::rows::follow::Follow;
use crate::rows::text::{Cell, Interner};
use hashbrown::HashMap;
use std::ops::Range;

/// No node, no slot.
pub(crate) const NONE: u32 = u32::MAX;

/// A scalar at a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScalarAt {
    pub slot: u32,
    pub kind: ScalarKind,
    pub text: Cell,
}

/// An object at a slot, with its JSON text as it stood in the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectAt {
    pub slot: u32,
    pub text: Cell,
}

/// An array at a slot: its elements' slots are `first .. first + count` of the element node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListAt {
    pub slot: u32,
    pub first: u32,
    pub count: u32,
    pub text: Cell,
}

/// One path.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(super) name: Box<str>,
    pub(super) scalars: Vec<ScalarAt>,
    pub(super) objects: Vec<ObjectAt>,
    pub(super) lists: Vec<ListAt>,
    pub(super) children: Vec<u32>,
    /// The node of the elements, or [`NONE`].
    pub(super) element: u32,
    /// How many slots the element node has.
    pub(super) element_slots: u32,
    /// Values that another spelling of the same name had already filled.
    pub(super) displaced: u64,
    /// The raw keys met so far, and which of `children` each leads to.
    pub(super) keys: HashMap<Box<[u8]>, u32>,
    /// Which of `children` has a name.
    pub(super) names: HashMap<Box<str>, u32>,
    /// The raw key that led to each child last; index as in `children`.
    pub(super) spelled: Vec<Box<[u8]>>,
    /// Which of `children` comes next.
    pub(super) follow: Follow,
    /// The slot that was filled last.
    pub(super) last_slot: u32,
    pub(super) opaque: Option<&'static str>,
    /// Of a documented shape, whose texts are kept here and not as parts of a field's text.
    pub(super) interner: Interner,
}

impl Node {
    /// Returns the last part of the path, as a column name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the nodes of the members.
    pub(crate) fn children(&self) -> &[u32] {
        &self.children
    }

    /// Returns the node of the elements, or [`NONE`].
    pub(crate) fn element(&self) -> u32 {
        self.element
    }

    /// Returns whether equal texts are equal cells.
    pub(crate) fn is_interned(&self) -> bool {
        self.interner.is_exact()
    }

    /// Returns the scalars whose slots are in `range`.
    pub(crate) fn scalars(&self, range: Range<u32>) -> &[ScalarAt] {
        within(&self.scalars, |entry| entry.slot, range)
    }

    /// Returns the objects whose slots are in `range`.
    pub(crate) fn objects(&self, range: Range<u32>) -> &[ObjectAt] {
        within(&self.objects, |entry| entry.slot, range)
    }

    /// Returns the lists whose slots are in `range`.
    pub(crate) fn lists(&self, range: Range<u32>) -> &[ListAt] {
        within(&self.lists, |entry| entry.slot, range)
    }
}

/// The part of sorted entries whose slots are in `range`.
fn within<T>(entries: &[T], slot: impl Fn(&T) -> u32, range: Range<u32>) -> &[T] {
    let from = entries.partition_point(|entry| slot(entry) < range.start);
    let to = entries.partition_point(|entry| slot(entry) < range.end);
    &entries[from..to]
}
