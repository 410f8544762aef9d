//! Records from wrappers that wait to be parsed together.

use crate::parse::{Unwrapped, Unwrapper};
use crate::rows::taker::Origin;
use std::ops::Range;

/// Text that is gathered before it is parsed: as much as a chunk of an envelope.
pub(super) const BATCH_BYTES: usize = 128 << 10;

/// Records that wait to be parsed.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Their texts, with commas between them.
    pub(super) text: Vec<u8>,
    /// What their wrappers say.
    known: Vec<u8>,
    pub(super) entries: Vec<Entry>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) text: Range<usize>,
    known: Range<usize>,
    pub(super) at: usize,
    is_utc: bool,
}

impl Batch {
    pub(super) fn add(&mut self, record: &Unwrapped<'_>) {
        let add = |to: &mut Vec<u8>, text: &[u8]| {
            let start = to.len();
            to.extend_from_slice(text);
            start..to.len()
        };
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        let text = add(&mut self.text, record.text);
        let known = add(&mut self.known, record.known);
        self.entries.push(Entry { text, known, at: record.at, is_utc: record.is_utc });
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.known.clear();
        self.entries.clear();
        self.text.shrink_to(4 * BATCH_BYTES);
    }

    pub(super) fn origin(&self, entry: &Entry) -> Origin<'_> {
        let known = &self.known[entry.known.clone()];
        Origin { at: Some(entry.at as u64), known, is_utc: entry.is_utc }
    }
}

/// What is kept to unwrap with, from object to object.
#[derive(Debug, Default)]
pub(crate) struct Unwrapping {
    pub(super) unwrapper: Unwrapper,
    pub(super) batch: Batch,
}
