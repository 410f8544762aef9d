//! Repetition and definition levels, made straight from a tree's sparse slots.
//!
//! A stream has one entry per value or null of a leaf. Struct members share their struct's stream;
//! a list makes a longer one. Levels are bytes: no column nests 255 deep.

use crate::rows::ListAt;

/// Where slots stand in the stream.
#[derive(Clone, Debug)]
pub(crate) enum Positions {
    /// Slot `first + i` stands at `i`.
    Rows { first: u32 },
    /// Slot `first + i` stands at `at[i]`.
    Elements { first: u32, at: Vec<u32> },
}

impl Positions {
    pub(super) fn of(&self, slot: u32) -> usize {
        match self {
            Self::Rows { first } => (slot - first) as usize,
            Self::Elements { first, at } => at[(slot - first) as usize] as usize,
        }
    }
}

/// The final levels of a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels<'a> {
    pub def: &'a [u8],
    pub rep: &'a [u8],
    pub max_def: u8,
    pub max_rep: u8,
}

/// The stream that a node's values are placed in.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// Definition level reached so far, per entry.
    pub def: Vec<u8>,
    /// Repetition level per entry; empty while nothing repeats.
    pub rep: Vec<u8>,
    /// The definition level of an entry in which everything so far is present.
    pub max_def: u8,
    /// The deepest repetition so far.
    pub max_rep: u8,
    pub positions: Positions,
    /// The slots of this scope that belong to the rows: `start .. end`.
    pub start: u32,
    pub end: u32,
}

impl Stream {
    pub(super) fn levels(&self) -> Levels<'_> {
        let Self { def, rep, max_def, max_rep, .. } = self;
        Levels { def, rep, max_def: *max_def, max_rep: *max_rep }
    }

    /// The stream of rows `start .. end`.
    pub(super) fn rows(start: u32, end: u32) -> Self {
        Self {
            def: vec![0; (end - start) as usize],
            rep: Vec::new(),
            max_def: 0,
            max_rep: 0,
            positions: Positions::Rows { first: start },
            start,
            end,
        }
    }

    /// The stream of an optional value's inside: one level deeper where `slots` are present.
    pub(super) fn present(&self, slots: impl Iterator<Item = u32>) -> Self {
        let mut inner = self.clone();
        inner.max_def += 1;
        for slot in slots {
            inner.def[self.positions.of(slot)] = inner.max_def;
        }
        inner
    }

    /// The stream of the elements of `lists`, which are in the order of the stream.
    pub(super) fn elements(&self, lists: &[ListAt]) -> Self {
        let first = lists.first().map_or(0, |list| list.first);
        let end = lists.last().map_or(first, |list| list.first + list.count);
        let mut at = Vec::with_capacity((end - first) as usize);
        let capacity = self.def.len() + (end - first) as usize;
        let (mut def, mut rep) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        let mut lists = lists.iter().peekable();
        for i in 0..self.def.len() {
            let outer = self.rep.get(i).copied().unwrap_or(0);
            match lists.next_if(|list| self.positions.of(list.slot) == i) {
                None => {
                    def.push(self.def[i]);
                    rep.push(outer);
                }
                Some(list) if list.count == 0 => {
                    def.push(self.max_def + 1);
                    rep.push(outer);
                }
                Some(list) => {
                    for n in 0..list.count {
                        at.push(def.len() as u32);
                        def.push(self.max_def + 2);
                        rep.push(if n == 0 { outer } else { self.max_rep + 1 });
                    }
                }
            }
        }
        Self {
            def,
            rep,
            max_def: self.max_def + 2,
            max_rep: self.max_rep + 1,
            positions: Positions::Elements { first, at },
            start: first,
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Cell;

    #[test]
    fn lists_of_rows_become_levels() {
        // Rows: [[1,2]], null, [], [[3]]  (the Dremel paper's notation, one list level)
        let list = |slot, first, count| ListAt { slot, first, count, text: Cell::NULL };
        let rows = Stream::rows(10, 14);

        let elements = rows.elements(&[list(10, 5, 2), list(12, 7, 0), list(13, 7, 1)]);

        assert_eq!(elements.def, [2, 2, 0, 1, 2]);
        assert_eq!(elements.rep, [0, 1, 0, 0, 0]);
        assert_eq!((elements.start, elements.end), (5, 8));
        assert_eq!(elements.positions.of(7), 4);
        assert_eq!(elements.present([5, 7].into_iter()).def, [3, 2, 0, 1, 3]);
    }
}
