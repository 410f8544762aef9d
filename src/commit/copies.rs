//! Finding exact copies of records: two trails into one bucket deliver the same record twice.
//!
//! A record with an event id whose whole source text equals that of one in the lake is a copy. Per
//! unit, the fingerprints of its written records are kept by [`Scope`], and only the scopes that new
//! records touch are loaded.

use crate::error::{Error, ErrorKind, Result};
use hashbrown::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet};

/// Records of one event day, account and region, as their texts say: copies have one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The event day, since 1970.
    pub day: i32,
    /// A hash of the account and region that the text names.
    pub place: u64,
}

impl Scope {
    /// Returns the scope's bit among 64: what a unit notes of the scopes it has.
    pub fn bit(self) -> u64 {
        1 << (self.place % 64)
    }
}

/// Fingerprints by scope: those of a unit, in the order of its records.
pub type Copies = BTreeMap<Scope, Vec<u128>>;

/// The fingerprints of records in the lake, for the scopes loaded so far.
#[derive(Debug, Default)]
pub struct CopyIndex {
    scopes: HashMap<Scope, HashSet<u128>>,
}

impl CopyIndex {
    /// Returns whether the scope's fingerprints have been loaded or begun.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains_key(&scope)
    }

    /// Makes a scope known even if nothing is loaded for it.
    pub fn open(&mut self, scope: Scope) {
        self.scopes.entry(scope).or_default();
    }

    /// Returns whether a fingerprint is there.
    pub fn contains(&self, scope: Scope, fingerprint: u128) -> bool {
        self.scopes.get(&scope).is_some_and(|known| known.contains(&fingerprint))
    }

    /// Adds a fingerprint; returns whether it is new.
    pub fn insert(&mut self, scope: Scope, fingerprint: u128) -> bool {
        self.scopes.entry(scope).or_default().insert(fingerprint)
    }

    /// Loads one unit's fingerprints of some scopes, from what [`encode_copies`] made.
    ///
    /// # Errors
    /// `Damaged` when the bytes are not what was written.
    pub fn load(&mut self, scopes: &BTreeSet<Scope>, bytes: &[u8]) -> Result<()> {
        let damaged = || Error::new(ErrorKind::Damaged, "fingerprints of a unit are damaged");
        let mut rest = bytes;
        while !rest.is_empty() {
            let (head, tail) = rest.split_first_chunk::<16>().ok_or_else(damaged)?;
            let (day, head) = head.split_first_chunk::<4>().ok_or_else(damaged)?;
            let (place, count) = head.split_first_chunk::<8>().ok_or_else(damaged)?;
            let scope = Scope { day: i32::from_le_bytes(*day), place: u64::from_le_bytes(*place) };
            let count = u32::from_le_bytes(count.try_into().map_err(|_| damaged())?) as usize;
            let (values, tail) = tail.split_at_checked(count * 16).ok_or_else(damaged)?;
            if scopes.contains(&scope) {
                self.scopes.entry(scope).or_default().extend(decode_fingerprints(values));
            }
            rest = tail;
        }
        Ok(())
    }
}

/// Packs a unit's fingerprints: per scope its day, its place, a count, and the sorted values.
pub fn encode_copies(copies: &Copies) -> Vec<u8> {
    let mut out = Vec::new();
    for (scope, values) in copies {
        out.extend_from_slice(&scope.day.to_le_bytes());
        out.extend_from_slice(&scope.place.to_le_bytes());
        out.extend_from_slice(&(values.len() as u32).to_le_bytes());
        encode_fingerprints(values, &mut out);
    }
    out
}

/// Appends fingerprints, sorted, 16 bytes each.
pub(super) fn encode_fingerprints(values: &[u128], out: &mut Vec<u8>) {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

/// Reads what [`encode_fingerprints`] wrote.
pub(super) fn decode_fingerprints(bytes: &[u8]) -> impl Iterator<Item = u128> {
    let (values, _) = bytes.as_chunks::<16>();
    values.iter().map(|value| u128::from_le_bytes(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_of_the_scopes_that_are_asked_for_read_back() {
        let scope = |day, place| Scope { day, place };
        let (first, second) = (scope(1, 7), scope(1, 8));
        let bytes = encode_copies(&BTreeMap::from([(first, vec![9, 7]), (second, vec![5])]));
        let mut index = CopyIndex::default();
        index.load(&[first].into(), &bytes).unwrap();
        assert!(!index.insert(first, 9) && !index.insert(first, 7) && index.insert(first, 5));
        assert!(!index.has(second) && !index.contains(second, 5));
        assert!(index.load(&[first].into(), &bytes[..bytes.len() - 3]).is_err());
    }
}
