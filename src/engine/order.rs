//! Items that arrive in any order, taken in one.

use crate::engine::cancel::{Cancel, Stopped, Watched};
use std::collections::BTreeMap;

/// Items by their numbers: any thread brings them, and one takes them.
#[derive(Debug)]
pub(crate) struct InOrder<T>(Watched<State<T>>);

#[derive(Debug)]
struct State<T> {
    next: u64,
    waiting: BTreeMap<u64, T>,
    /// The first number of which nothing will come.
    end: u64,
}

impl<T: std::fmt::Debug + Send + 'static> InOrder<T> {
    /// Waits for number 0 first.
    pub(crate) fn new(cancel: &Cancel) -> Self {
        let state = State { next: 0, waiting: BTreeMap::new(), end: u64::MAX };
        Self(Watched::new(state, cancel))
    }

    /// Brings an item. It is dropped when its turn will not come.
    pub(crate) fn bring(&self, number: u64, item: T) {
        self.0.change(|state| {
            if number < state.end {
                state.waiting.insert(number, item);
            }
        });
    }

    /// Takes the item whose turn it is, and waits for it; nothing when it will not come. The turn goes on
    /// with [`InOrder::advance`].
    pub(crate) fn take(&self) -> Option<T> {
        let taken = self.0.wait_in_flight(|state| {
            let next = state.next;
            if next >= state.end {
                return Some(None);
            }
            state.waiting.remove(&next).map(Some)
        });
        taken.unwrap_or(None)
    }

    /// Gives the turn to the next number, and returns that.
    pub(crate) fn advance(&self) -> u64 {
        self.0.change(|state| {
            state.next += 1;
            state.next
        })
    }

    /// Says that nothing will come of a number, and that nothing after it matters.
    pub(crate) fn end_at(&self, number: u64) {
        let dropped = self.0.change(|state| {
            state.end = state.end.min(number);
            state.waiting.split_off(&state.end)
        });
        // Others may wait for what these hold.
        drop(dropped);
    }

    /// Says that nobody takes anything any more.
    pub(crate) fn close(&self) {
        self.end_at(0);
    }

    /// Waits for a number's turn.
    ///
    /// # Errors
    /// [`Stopped`] when the run is over first, or the turn will not come.
    pub(crate) fn wait_turn(&self, number: u64) -> Result<(), Stopped> {
        self.0
            .wait(|state| match () {
                () if number >= state.end => Some(Err(Stopped)),
                () if number <= state.next => Some(Ok(())),
                () => None,
            })
            .and_then(|turn| turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn items_are_taken_in_order_whenever_they_come() {
        let order = InOrder::new(&Cancel::default());
        order.end_at(4);
        for number in [2, 0, 3, 1] {
            order.bring(number, number);
        }

        let taken = std::iter::from_fn(|| {
            let item = order.take();
            order.advance();
            item
        });

        assert_eq!(taken.collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn an_item_in_parts_has_its_turn_until_the_last() {
        let cancel = Cancel::default();
        let order = InOrder::new(&cancel);
        order.bring(1, "c");
        order.wait_turn(0).unwrap();
        for part in ["a", "b"] {
            order.bring(0, part);
            assert_eq!(order.take(), Some(part));
        }
        std::thread::scope(|threads| {
            let later = threads.spawn(|| order.wait_turn(1));
            order.advance();
            assert_eq!(later.join().unwrap(), Ok(()));
        });
        assert_eq!(order.take(), Some("c"));
    }

    #[test]
    fn what_will_not_come_ends_it_and_what_is_in_flight_comes_after_a_stop() {
        let cancel = Cancel::default();
        let order = InOrder::new(&cancel);
        cancel.stop();
        assert_eq!(order.wait_turn(2), Err(Stopped));
        order.bring(2, 2);
        order.end_at(1);
        std::thread::scope(|threads| {
            let taking = threads.spawn(|| order.take());
            order.bring(0, 0);
            assert_eq!(taking.join().unwrap(), Some(0));
        });
        order.advance();
        assert_eq!(order.take(), None, "nothing came of number 1");
    }

    #[test]
    fn a_failure_ends_it() {
        let cancel = Cancel::default();
        let order = InOrder::<u64>::new(&cancel);
        std::thread::scope(|threads| {
            let taking = threads.spawn(|| order.take());
            cancel.fail(Error::bad_input("no"));
            assert_eq!(taking.join().unwrap(), None);
        });
    }
}
