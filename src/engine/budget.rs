//! A budget of bytes in flight: memory is bounded by it and not by the archive.
//!
//! What is larger than the whole budget goes alone, and is the one thing that exceeds it. The same holds
//! for what turns out larger than it was thought, once whoever is before it is through.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that may be in flight at once.
#[derive(Debug)]
pub(crate) struct Budget {
    free: Mutex<i64>,
    total: i64,
    changed: Condvar,
}

impl Budget {
    pub(crate) fn new(total: u64) -> Self {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        Self { free: Mutex::new(total), total, changed: Condvar::new() }
    }

    /// Takes `bytes`, waiting until they are free; what exceeds the whole budget waits for all of
    /// it and then goes alone. Returns early, with nothing taken, when `stop` says so.
    pub(crate) fn take(&self, bytes: u64, stop: impl Fn() -> bool) -> bool {
        let bytes = self.clamped(bytes);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            if stop() {
                return false;
            }
            let wait = std::time::Duration::from_millis(50);
            free = self.changed.wait_timeout(free, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= bytes;
        true
    }

    /// Takes what `held` bytes lack of `wanted`, as [`Budget::take`]; but if `is_first`, does not wait for
    /// those who wait behind: it is enough then that nobody else exceeds the budget.
    pub(crate) fn top_up(
        &self,
        held: u64,
        wanted: u64,
        is_first: impl Fn() -> bool,
        stop: impl Fn() -> bool,
    ) -> bool {
        let bytes = self.clamped(wanted) - self.clamped(held);
        if bytes <= 0 {
            return true;
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes && !(*free >= 0 && is_first()) {
            if stop() {
                return false;
            }
            let wait = std::time::Duration::from_millis(50);
            free = self.changed.wait_timeout(free, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= bytes;
        true
    }

    /// Returns what is taken when `bytes` are asked for: no more than everything.
    pub(crate) fn share(&self, bytes: u64) -> u64 {
        self.clamped(bytes).unsigned_abs()
    }

    fn clamped(&self, bytes: u64) -> i64 {
        i64::try_from(bytes).unwrap_or(i64::MAX).min(self.total)
    }

    /// Takes `bytes` if they are free now; what exceeds the whole budget needs all of it.
    pub(crate) fn try_take(&self, bytes: u64) -> bool {
        let bytes = self.clamped(bytes);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = *free >= bytes;
        if is_free {
            *free -= bytes;
        }
        is_free
    }

    /// Gives back what [`Budget::take`] took for the same number.
    pub(crate) fn give(&self, bytes: u64) {
        let bytes = self.clamped(bytes);
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taker_waits_until_there_is_room_or_is_told_to_stop() {
        let budget = Budget::new(10);
        assert!(budget.take(8, || false));
        assert!(!budget.take(5, || true));
        budget.give(8);
        assert!(budget.take(50, || false), "more than everything goes alone");
        assert!(!budget.take(1, || true) && !budget.try_take(1));
        budget.give(50);
        assert!(budget.try_take(10));
    }

    #[test]
    fn what_turns_out_larger_waits_unless_it_is_first_and_then_one_alone_exceeds() {
        let budget = Budget::new(10);
        assert!(budget.take(4, || false) && budget.take(5, || false));
        assert!(!budget.top_up(4, 8, || false, || true), "another has it");
        assert!(budget.top_up(4, 8, || true, || false), "nobody before it gives any back");
        assert!(!budget.top_up(5, 9, || true, || true), "one exceeds already");
        budget.give(8);
        assert!(budget.top_up(5, 9, || true, || false));
        assert!(budget.top_up(9, 7, || false, || false), "less is no more");
        budget.give(9);
        assert!(budget.try_take(10));
    }
}
