//! Records in wrappers that are not known: any object with a record's version, name and source.

use crate::parse::known::Frame;
use crate::parse::walk::{Sink, Spot, Unwrapped, Walk};

/// Objects deeper below a value are not looked into.
const MAX_LEVELS: usize = 4;

/// Lists and objects deeper than this in each other are not looked into.
const MAX_NESTING: usize = 12;

/// How deep a search is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Depth {
    /// Objects.
    level: usize,
    /// Objects and lists.
    nesting: usize,
}

impl Depth {
    fn plus(self, levels: usize) -> Self {
        Self { level: self.level + levels, nesting: self.nesting + 1 }
    }
}

/// Hands over the records in a value; returns whether there are any. What is known as a wrapper is one on
/// every level.
pub(super) fn search(
    walk: &mut Walk<'_>,
    text: &[u8],
    spot: Spot,
    above: Option<&Frame<'_>>,
    depth: Depth,
) -> bool {
    if depth.nesting > 0 && walk.value(text, spot, above, 0) {
        return true;
    }
    match text.first() {
        _ if depth.nesting >= MAX_NESTING => false,
        Some(b'[') if text.len() > 1 => {
            walk.for_each(text, 1..text.len() - 1, spot, |walk, text, spot| {
                search(walk, text, spot, above, depth.plus(0))
            })
        }
        Some(b'{') if depth.level < MAX_LEVELS => {
            let members = walk.members_of(text);
            let mut found = false;
            for (skip, member) in members.iter().enumerate() {
                let frame = Frame::Object { text, members: &members, skip, above };
                let value = member.value.clone();
                let spot = spot.plus(value.start);
                found |= search(walk, &text[value], spot, Some(&frame), depth.plus(1));
            }
            walk.keep_members(members);
            found
        }
        _ => false,
    }
}

/// Counts records, and takes none.
#[derive(Debug, Default)]
pub(super) struct Counting {
    pub(super) records: u64,
}

impl Sink for Counting {
    fn record(&mut self, _record: &Unwrapped<'_>) {
        self.records += 1;
    }

    fn miss(&mut self, _text: &[u8], _at: usize) {}

    fn make_room(&mut self, _bytes: usize) -> bool {
        false
    }

    fn gunzip(&mut self, _bytes: &[u8], _out: &mut Vec<u8>) -> bool {
        false
    }
}
