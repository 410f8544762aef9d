//! Results that become ready in any order, handled in one.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Handles items in the order of their numbers, whoever brings them.
#[derive(Debug)]
pub(crate) struct InOrder<T, S> {
    inner: Mutex<Inner<T, S>>,
    advanced: Condvar,
}

#[derive(Debug)]
struct Inner<T, S> {
    next: u64,
    waiting: BTreeMap<u64, T>,
    state: S,
}

impl<T, S> InOrder<T, S> {
    /// Waits for number 0 first.
    pub(crate) fn new(state: S) -> Self {
        let inner = Inner { next: 0, waiting: BTreeMap::new(), state };
        Self { inner: Mutex::new(inner), advanced: Condvar::new() }
    }

    /// Brings an item; handles it and those it was holding up, if its turn has come.
    pub(crate) fn bring(&self, number: u64, item: T, mut handle: impl FnMut(&mut S, T)) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waiting.insert(number, item);
        loop {
            let next = inner.next;
            let Some(item) = inner.waiting.remove(&next) else { break };
            handle(&mut inner.state, item);
            inner.next += 1;
        }
        self.advanced.notify_all();
    }

    /// Returns whether all items before a number have been handled.
    pub(crate) fn is_turn(&self, number: u64) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).next >= number
    }

    /// Waits for a number's turn and does something with the state; the turn goes on. Returns nothing when
    /// `stop` says so first. Whoever handles items before it must not wait for this one.
    pub(crate) fn in_turn<R>(
        &self,
        number: u64,
        stop: impl Fn() -> bool,
        handle: impl FnOnce(&mut S) -> R,
    ) -> Option<R> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        while inner.next < number {
            if stop() {
                return None;
            }
            let pause = Duration::from_millis(50);
            let waited = self.advanced.wait_timeout(inner, pause);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(handle(&mut inner.state))
    }

    /// Returns the state; items that never had their turn are dropped.
    pub(crate) fn into_state(self) -> S {
        self.inner.into_inner().unwrap_or_else(PoisonError::into_inner).state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_handled_in_order_whenever_they_come() {
        let order = InOrder::new(Vec::new());
        for number in [2, 0, 3, 1] {
            order.bring(number, number, |seen: &mut Vec<u64>, item| seen.push(item));
        }
        assert_eq!(order.into_state(), [0, 1, 2, 3]);
    }

    #[test]
    fn an_item_in_parts_has_its_turn_until_the_last() {
        let order = InOrder::new(Vec::new());
        let push = |seen: &mut Vec<&'static str>, item| seen.push(item);
        order.bring(1, "c", push);
        assert!(order.is_turn(0) && !order.is_turn(1));
        assert_eq!(order.in_turn(1, || true, |_| ()), None, "it is not its turn");
        order.in_turn(0, || false, |seen| seen.push("a")).unwrap();

        std::thread::scope(|threads| {
            let later = threads.spawn(|| order.in_turn(2, || false, |seen| seen.push("d")));
            order.bring(0, "b", push);
            later.join().unwrap();
        });

        assert_eq!(order.into_state(), ["a", "b", "c", "d"]);
    }
}
