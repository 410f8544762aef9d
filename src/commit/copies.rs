//! Finding exact copies of records: two trails into one bucket deliver the same record twice.
//!
//! A record with an event id whose whole source text equals that of one in the lake is a copy. Per
//! unit, the fingerprints of its written records are kept by event day, and only the days that new
//! records touch are loaded.

use crate::error::{Error, ErrorKind, Result};
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;

/// The fingerprints of records in the lake, for the days loaded so far.
#[derive(Debug, Default)]
pub struct CopyIndex {
    days: HashMap<i32, HashSet<u128>>,
}

impl CopyIndex {
    /// Returns whether the day's fingerprints have been loaded or begun.
    pub fn has_day(&self, day: i32) -> bool {
        self.days.contains_key(&day)
    }

    /// Makes a day known even if nothing is loaded for it.
    pub fn open_day(&mut self, day: i32) {
        self.days.entry(day).or_default();
    }

    /// Adds a fingerprint; returns whether it is new.
    pub fn insert(&mut self, day: i32, fingerprint: u128) -> bool {
        self.days.entry(day).or_default().insert(fingerprint)
    }

    /// Loads one unit's fingerprints of a day, from what [`encode_copies`] made.
    ///
    /// # Errors
    /// `Damaged` when the bytes are not what was written.
    pub fn load(&mut self, day: i32, bytes: &[u8]) -> Result<()> {
        let damaged = || Error::new(ErrorKind::Damaged, "fingerprints of a unit are damaged");
        let mut rest = bytes;
        while !rest.is_empty() {
            let (head, tail) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
            let found = i32::from_le_bytes([head[0], head[1], head[2], head[3]]);
            let count = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let (values, tail) = tail.split_at_checked(count * 16).ok_or_else(damaged)?;
            if found == day {
                let set = self.days.entry(day).or_default();
                let (values, _) = values.as_chunks::<16>();
                set.extend(values.iter().map(|value| u128::from_le_bytes(*value)));
            }
            rest = tail;
        }
        Ok(())
    }
}

/// Packs a unit's fingerprints: per day its number, a count, and the sorted values.
pub fn encode_copies(days: &BTreeMap<i32, Vec<u128>>) -> Vec<u8> {
    let mut out = Vec::new();
    for (day, values) in days {
        out.extend_from_slice(&day.to_le_bytes());
        out.extend_from_slice(&(values.len() as u32).to_le_bytes());
        let mut values = values.clone();
        values.sort_unstable();
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_of_one_day_read_back() {
        let bytes = encode_copies(&BTreeMap::from([(1, vec![9, 7]), (2, vec![5])]));
        let mut index = CopyIndex::default();
        index.load(1, &bytes).unwrap();
        assert!(!index.insert(1, 9) && !index.insert(1, 7) && index.insert(1, 5));
        assert!(!index.has_day(2));
        assert!(index.load(1, &bytes[..bytes.len() - 3]).is_err());
    }
}
