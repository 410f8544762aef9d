//! Buffers of segments, which are used again.

use crate::rows::Parsed;

/// The buffers of a run.
#[derive(Debug)]
pub(crate) struct Buffers {
    idle: Vec<Parsed>,
    in_use: usize,
    /// Segments of the usual size that are in flight at most. Of smaller ones there may be more for a
    /// while, whose buffers grow when larger segments have them.
    most: usize,
}

impl Buffers {
    pub(crate) fn new(most: usize) -> Self {
        Self { idle: Vec::new(), in_use: 0, most }
    }

    pub(crate) fn take(&mut self) -> Parsed {
        self.in_use += 1;
        self.idle.pop().unwrap_or_default()
    }

    /// Keeps a segment's buffers for the next one: small ones, and those of the usual size if there are not
    /// enough.
    pub(crate) fn give(&mut self, parsed: Parsed, unit_size: u64) {
        self.in_use -= 1;
        let size = parsed.texts.capacity() as u64;
        let is_wanted = self.idle.len() + self.in_use < self.most;
        if size <= unit_size / 8 || (is_wanted && size <= unit_size.saturating_mul(2)) {
            self.idle.push(parsed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: u64 = 1 << 10;

    fn with_texts(bytes: usize) -> Parsed {
        let mut parsed = Parsed::default();
        parsed.texts.keep(&vec![b'x'; bytes]);
        parsed
    }

    #[test]
    fn no_more_large_buffers_are_kept_than_are_in_flight() {
        let mut buffers = Buffers::new(2);
        let _: Vec<_> = (0..5).map(|_| buffers.take()).collect();
        buffers.give(with_texts(64), UNIT);
        buffers.give(with_texts(900), UNIT);
        assert_eq!((buffers.idle.len(), buffers.in_use), (1, 3), "three others are in use");
        buffers.give(with_texts(900), UNIT);
        buffers.give(with_texts(5000), UNIT);
        assert_eq!((buffers.idle.len(), buffers.in_use), (1, 1), "two are enough");
        buffers.give(with_texts(1500), UNIT);
        assert_eq!((buffers.idle.len(), buffers.in_use), (2, 0));
        buffers.take();
        buffers.give(with_texts(5000), UNIT);
        assert_eq!(buffers.idle.len(), 1, "one larger than segments usually are is not kept");
    }
}
