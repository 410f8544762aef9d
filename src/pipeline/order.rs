//! Results that become ready in any order, handled in one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Handles items in the order of their numbers, whoever brings them.
#[derive(Debug)]
pub(crate) struct InOrder<T, S> {
    inner: Mutex<Inner<T, S>>,
}

#[derive(Debug)]
struct Inner<T, S> {
    next: u64,
    waiting: BTreeMap<u64, T>,
    state: S,
}

impl<T, S> InOrder<T, S> {
    /// Waits for number 0 first.
    pub(super) fn new(state: S) -> Self {
        Self { inner: Mutex::new(Inner { next: 0, waiting: BTreeMap::new(), state }) }
    }

    /// Brings an item; handles it and those it was holding up, if its turn has come.
    pub(super) fn bring(&self, number: u64, item: T, mut handle: impl FnMut(&mut S, T)) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waiting.insert(number, item);
        loop {
            let next = inner.next;
            let Some(item) = inner.waiting.remove(&next) else { break };
            handle(&mut inner.state, item);
            inner.next += 1;
        }
    }

    /// Returns the state; items that never had their turn are dropped.
    pub(super) fn into_state(self) -> S {
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
}
