//! Slots in another order: rows are put in order after trees are filled, and trees follow them.

use crate::rows::node::NONE;
use crate::rows::table_rows::{TableRows, Values};
use crate::rows::tree::Tree;

impl TableRows {
    /// Gives the slots of all trees their row's place in `order`, which holds row numbers; what
    /// belongs to rows that it leaves out goes.
    pub(crate) fn move_rows(&mut self, order: &[u32]) {
        let moves = Moves::new(order.to_vec(), self.rows.len());
        for values in &mut self.values {
            if let Values::Typed(tree) | Values::Nested(tree) = values {
                remap(tree, 0, &moves);
            }
        }
    }
}

/// Slots and their new places.
struct Moves {
    /// The slot that goes to each place.
    slots: Vec<u32>,
    /// The place that each slot goes to, or [`NONE`].
    places: Vec<u32>,
}

impl Moves {
    fn new(slots: Vec<u32>, count: usize) -> Self {
        let mut places = vec![NONE; count];
        for (place, slot) in slots.iter().enumerate() {
            places[*slot as usize] = place as u32;
        }
        Self { slots, places }
    }

    /// Puts entries, which are in the order of their slots, in the order of their places; those
    /// without a place go. Few entries are sorted; many are looked up slot by slot, which takes no
    /// comparisons.
    fn reorder<T: Copy>(&self, entries: &mut Vec<T>, slot: impl Fn(&mut T) -> &mut u32) {
        if entries.is_empty() {
            return;
        }
        if entries.len() < self.slots.len() / 16 {
            entries.retain_mut(|entry| {
                let slot = slot(entry);
                *slot = self.places[*slot as usize];
                *slot != NONE
            });
            entries.sort_unstable_by_key(|entry| *slot(&mut { *entry }));
            return;
        }
        let mut entry_of = vec![NONE; self.places.len()];
        for (at, entry) in entries.iter_mut().enumerate() {
            entry_of[*slot(entry) as usize] = at as u32;
        }
        // The entries keep their vector, which later units fill again.
        let before = entries.clone();
        entries.clear();
        for (place, from) in self.slots.iter().enumerate() {
            let at = entry_of[*from as usize];
            if at != NONE {
                let mut entry = before[at as usize];
                *slot(&mut entry) = place as u32;
                entries.push(entry);
            }
        }
    }
}

/// Renumbers the slots of `node` and everything below.
fn remap(tree: &mut Tree, node: u32, moves: &Moves) {
    let this = &mut tree.nodes[node as usize];
    moves.reorder(&mut this.scalars, |scalar| &mut scalar.slot);
    moves.reorder(&mut this.objects, |object| &mut object.slot);
    moves.reorder(&mut this.lists, |list| &mut list.slot);
    let children = this.children.clone();
    let element = this.element;
    if element != NONE {
        let count = this.element_slots as usize;
        let mut slots = Vec::with_capacity(count);
        for list in &mut this.lists {
            let first = slots.len() as u32;
            slots.extend(list.first..list.first + list.count);
            list.first = first;
        }
        remap(tree, element, &Moves::new(slots, count));
    }
    for child in children {
        remap(tree, child, moves);
    }
}
