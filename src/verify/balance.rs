//! The ledger: how often each row is still expected, in the memory of a hash.
//!
//! One balance per fingerprint, in stripes so that threads rarely wait: a source record adds one, a
//! lake row takes one, and a balance of zero is forgotten. The order in which they come does not
//! matter. Two further books cover rows that are not simply expected:
//!
//! - *seen*: a record with an id counts once per text when duplicates are dropped;
//! - *spare*: records that this side would quarantine although a row can be made of them. If the
//!   lake holds the row anyway, it counts as found.

use super::row::Fingerprint;
use hashbrown::{HashMap, hash_map::Entry};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Stripes per book; a power of two, and plenty against a few dozen threads.
const STRIPES: usize = 64;

/// How a record or its copy is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The lake must hold it.
    Expected,
    /// The lake may hold it.
    Spare,
}

struct Striped<V>(Vec<Mutex<HashMap<u128, V>>>);

impl<V> Striped<V> {
    fn new() -> Self {
        Self((0..STRIPES).map(|_| Mutex::default()).collect())
    }

    fn of(&self, key: u128) -> MutexGuard<'_, HashMap<u128, V>> {
        // The high bits: hashbrown uses the low ones within a stripe.
        let stripe = (key >> 100) as usize % STRIPES;
        self.0[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_entries(self) -> impl Iterator<Item = (u128, V)> {
        self.0.into_iter().flat_map(|stripe| {
            stripe.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter()
        })
    }
}

/// The three books.
pub(super) struct Balance {
    balance: Striped<i64>,
    seen: Striped<Claim>,
    spare: Striped<i64>,
}

/// How a claim was booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Booked {
    Expected,
    Spare,
    Duplicate,
    /// Expected, in place of a copy that was only spare until now.
    Promoted,
}

/// The balance when both sides are read.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Rows missing from the lake, and how many of each.
    pub(super) missing: HashMap<Fingerprint, u64>,
    /// Rows the lake should not have, and how many of each.
    pub(super) unexpected: HashMap<Fingerprint, u64>,
    /// Spare records that the lake held.
    pub(super) spares_found: u64,
}

impl Balance {
    pub(super) fn new() -> Self {
        Self { balance: Striped::new(), seen: Striped::new(), spare: Striped::new() }
    }

    /// Books a source record; `identity` is its text's hash if copies of it are to be dropped.
    pub(super) fn claim(&self, row: Fingerprint, identity: Option<u128>, claim: Claim) -> Booked {
        if let Some(identity) = identity {
            match self.seen.of(identity).entry(identity) {
                Entry::Vacant(free) => {
                    free.insert(claim);
                }
                Entry::Occupied(mut held) => {
                    if (*held.get(), claim) != (Claim::Spare, Claim::Expected) {
                        return Booked::Duplicate;
                    }
                    held.insert(Claim::Expected);
                    *self.spare.of(row).entry(row).or_insert(0) -= 1;
                    self.add(row, 1);
                    return Booked::Promoted;
                }
            }
        }
        match claim {
            Claim::Expected => {
                self.add(row, 1);
                Booked::Expected
            }
            Claim::Spare => {
                *self.spare.of(row).entry(row).or_insert(0) += 1;
                Booked::Spare
            }
        }
    }

    /// Books a row of the lake.
    pub(super) fn deliver(&self, row: Fingerprint) {
        self.add(row, -1);
    }

    fn add(&self, row: Fingerprint, change: i64) {
        match self.balance.of(row).entry(row) {
            Entry::Vacant(free) => {
                free.insert(change);
            }
            Entry::Occupied(mut held) => {
                *held.get_mut() += change;
                if *held.get() == 0 {
                    held.remove();
                }
            }
        }
    }

    /// Closes the books.
    pub(super) fn settle(self) -> Rest {
        let mut rest = Rest::default();
        for (row, balance) in self.balance.into_entries() {
            if balance > 0 {
                rest.missing.insert(row, balance.unsigned_abs());
                continue;
            }
            let spare = self.spare.of(row).get(&row).copied().unwrap_or(0).max(0);
            let found = spare.min(-balance);
            rest.spares_found += found.unsigned_abs();
            if found < -balance {
                rest.unexpected.insert(row, (-balance - found).unsigned_abs());
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_rows_are_forgotten_whatever_their_order() {
        let ledger = Balance::new();
        ledger.deliver(1);
        ledger.claim(2, None, Claim::Expected);
        ledger.claim(1, None, Claim::Expected);
        ledger.deliver(2);
        ledger.deliver(3);
        ledger.claim(4, None, Claim::Expected);

        let rest = ledger.settle();

        assert_eq!(rest.missing.into_iter().collect::<Vec<_>>(), [(4, 1)]);
        assert_eq!(rest.unexpected.into_iter().collect::<Vec<_>>(), [(3, 1)]);
    }

    #[test]
    fn a_spare_copy_of_an_expected_record_does_not_excuse_a_doubled_row() {
        for claims in [[Claim::Spare, Claim::Expected], [Claim::Expected, Claim::Spare]] {
            let ledger = Balance::new();
            for claim in claims {
                ledger.claim(7, Some(70), claim);
            }
            ledger.deliver(7);
            ledger.deliver(7);

            let rest = ledger.settle();

            assert_eq!((rest.unexpected.get(&7), rest.spares_found), (Some(&1), 0));
        }
    }

    #[test]
    fn a_spare_row_may_be_there_or_not() {
        let ledger = Balance::new();
        assert_eq!(ledger.claim(1, None, Claim::Spare), Booked::Spare);
        assert_eq!(ledger.claim(2, None, Claim::Spare), Booked::Spare);
        ledger.deliver(2);

        let rest = ledger.settle();

        assert!(rest.missing.is_empty() && rest.unexpected.is_empty());
        assert_eq!(rest.spares_found, 1);
    }
}
