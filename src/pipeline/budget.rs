//! A budget of bytes in flight: memory is bounded by it and not by the archive.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that may be in flight at once.
#[derive(Debug)]
pub(crate) struct Budget {
    free: Mutex<i64>,
    total: i64,
    changed: Condvar,
}

impl Budget {
    pub(super) fn new(total: u64) -> Self {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        Self { free: Mutex::new(total), total, changed: Condvar::new() }
    }

    /// Takes `bytes`, waiting until they are free; what exceeds the whole budget waits for all of
    /// it and then goes alone. Returns early, with nothing taken, when `stop` says so.
    pub(super) fn take(&self, bytes: u64, stop: impl Fn() -> bool) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX).min(self.total);
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

    /// Takes `bytes` if they are free now; what exceeds the whole budget needs all of it.
    pub(super) fn try_take(&self, bytes: u64) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX).min(self.total);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = *free >= bytes;
        if is_free {
            *free -= bytes;
        }
        is_free
    }

    /// Gives back what [`Budget::take`] took for the same number.
    pub(super) fn give(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX).min(self.total);
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
}
