//! A budget of bytes in flight: memory is bounded by it and not by the archive.
//!
//! What is larger than the whole budget goes alone, and is the one thing that exceeds it. The same holds
//! for what turns out larger than it was thought, once whoever is before it is through.

use crate::engine::cancel::{Cancel, Stopped, Watched};

/// Bytes that may be in flight at once.
#[derive(Debug)]
pub(crate) struct Budget {
    state: Watched<State>,
    total: i64,
}

#[derive(Debug)]
struct State {
    free: i64,
    /// The segment that nobody is before.
    first: u64,
}

impl Budget {
    pub(crate) fn new(total: u64, cancel: &Cancel) -> Self {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        Self { state: Watched::new(State { free: total, first: 0 }, cancel), total }
    }

    /// Takes `bytes`, waiting until they are free; what exceeds the whole budget waits for all of
    /// it and then goes alone.
    ///
    /// # Errors
    /// [`Stopped`], with nothing taken, when the run is over first.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Stopped> {
        let bytes = self.clamp(bytes);
        self.state.wait(|state| {
            (state.free >= bytes).then(|| {
                state.free -= bytes;
            })
        })
    }

    /// Takes what `held` bytes lack of `wanted`, as [`Budget::take`]; but for a segment that nobody is
    /// before, does not wait for those who wait behind: it is enough then that nobody else exceeds the
    /// budget.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub(crate) fn top_up(
        &self,
        held: u64,
        wanted: u64,
        segment: Option<u64>,
    ) -> Result<(), Stopped> {
        let bytes = self.clamp(wanted) - self.clamp(held);
        if bytes <= 0 {
            return Ok(());
        }
        self.state.wait(|state| {
            let is_first = segment.is_some_and(|segment| state.first >= segment);
            (state.free >= bytes || (state.free >= 0 && is_first)).then(|| {
                state.free -= bytes;
            })
        })
    }

    /// Says that nobody is before a segment.
    pub(crate) fn set_first(&self, segment: u64) {
        self.state.change(|state| state.first = segment);
    }

    /// Returns what is taken when `bytes` are asked for: no more than everything.
    pub(crate) fn share(&self, bytes: u64) -> u64 {
        self.clamp(bytes).unsigned_abs()
    }

    fn clamp(&self, bytes: u64) -> i64 {
        i64::try_from(bytes).unwrap_or(i64::MAX).min(self.total)
    }

    /// Takes `bytes` if they are free now; what exceeds the whole budget needs all of it.
    pub(crate) fn try_take(&self, bytes: u64) -> bool {
        let bytes = self.clamp(bytes);
        let mut state = self.state.lock();
        let is_free = state.free >= bytes;
        if is_free {
            state.free -= bytes;
        }
        is_free
    }

    /// Gives back what [`Budget::take`] took for the same number.
    pub(crate) fn give(&self, bytes: u64) {
        let bytes = self.clamp(bytes);
        self.state.change(|state| state.free += bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taker_waits_until_there_is_room_or_is_told_to_stop() {
        let cancel = Cancel::default();
        let budget = Budget::new(10, &cancel);
        budget.take(8).unwrap();
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| budget.take(5));
            budget.give(8);
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
        budget.give(5);
        assert_eq!(budget.take(50), Ok(()), "more than everything goes alone");
        assert!(!budget.try_take(1));
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| budget.take(1));
            cancel.stop();
            assert_eq!(waiting.join().unwrap(), Err(Stopped));
        });
        budget.give(50);
        assert!(budget.try_take(10));
    }

    #[test]
    fn what_turns_out_larger_waits_unless_it_is_first_and_then_one_alone_exceeds() {
        let cancel = Cancel::default();
        let budget = Budget::new(10, &cancel);
        assert!(budget.try_take(4) && budget.try_take(5));
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| budget.top_up(4, 8, Some(1)));
            budget.set_first(1);
            assert_eq!(waiting.join().unwrap(), Ok(()), "nobody before it gives any back");
        });
        cancel.stop();
        assert_eq!(budget.top_up(5, 9, Some(1)), Err(Stopped), "one exceeds already");
        budget.give(8);
        assert_eq!(budget.top_up(5, 9, None), Ok(()));
        assert_eq!(budget.top_up(9, 7, None), Ok(()), "less is no more");
        budget.give(9);
        assert!(budget.try_take(10));
    }
}
