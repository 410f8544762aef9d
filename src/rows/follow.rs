//! Which key comes next: keys come in the same order from object to object, so that one comparison
//! usually settles where a key leads.

/// Which of some numbered keys came last after each one of them, and before all.
#[derive(Debug, Default)]
pub(super) struct Follow {
    /// After key `n` at `n + 1`, and before all at 0.
    next: Vec<u32>,
    /// Where in `next` the next key is looked up.
    at: usize,
}

impl Follow {
    /// Says that the keys of another object follow.
    pub(super) fn open(&mut self) {
        self.at = 0;
    }

    /// Returns the key that is expected next; any, where none has come yet.
    pub(super) fn expected(&self) -> usize {
        self.next.get(self.at).map_or(0, |next| *next as usize)
    }

    /// Notes which key has come.
    pub(super) fn came(&mut self, key: usize) {
        if self.next.len() <= self.at {
            self.next.resize(self.at + 1, 0);
        }
        self.next[self.at] = key as u32;
        self.at = key + 1;
    }
}
