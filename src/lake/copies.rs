//! Finding exact copies of records: two trails into one bucket deliver the same record twice.
//!
//! What a record is recognized by is its fingerprint, which `columns` makes under the lake's [`CopyKey`]. Per
//! unit, those of its written records are kept by [`Scope`], in a document of their own. Only scopes
//! that new records touch are looked at, and of those only what a run is in the middle of stays in
//! memory: a listing goes account by account, region by region, day by day.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::copy_key::{CopyKey, damaged_copies};
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;

/// Bytes of memory that a fingerprint takes, about: sets double, and are between half and full.
const BYTES_EACH: usize = 27;

/// Segments that a scope is kept for after the last one that has many rows of it.
const KEPT_FOR: u64 = 4;

/// Records of one event day, account and region, as their texts say: copies have one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The event day, since 1970.
    pub day: i32,
    /// A hash of the account and region that the text names: [`place`](crate::units::place).
    pub place: u64,
}

impl Scope {
    /// Returns the scope's bit among 64: what a unit notes of the scopes it has. Listings are in the order
    /// of these bits, so that a unit has few of them.
    pub fn bit(self) -> u64 {
        1 << (self.place >> 58)
    }
}

/// Fingerprints by scope: those of a unit, in the order of its records.
pub type Copies = BTreeMap<Scope, Vec<u128>>;

/// What is known of a scope.
#[derive(Debug, Default)]
struct Known {
    fingerprints: HashSet<u128>,
    /// Whether these are all; else some of units that are committed lie in the lake only.
    is_whole: bool,
    /// What may lie in the lake only; without it, anything may.
    filter: Option<Filter>,
    /// Those of units that are not committed yet, which nobody finds in the lake.
    recent: Vec<(u64, Vec<u128>)>,
    /// The last segment that it was one of the scopes of.
    touched: u64,
}

impl Known {
    /// Forgets what is in the lake; a filter stays, where all was known.
    fn forget_committed(&mut self) {
        let recent = self.recent.iter().flat_map(|(_, fingerprints)| fingerprints).copied();
        let recent: HashSet<u128> = recent.collect();
        if self.is_whole || self.filter.is_some() {
            let filter = self.filter.get_or_insert_with(|| Filter::new(self.fingerprints.len()));
            self.fingerprints.difference(&recent).for_each(|fingerprint| filter.add(*fingerprint));
        }
        self.is_whole = false;
        self.fingerprints = recent;
    }
}

/// A Bloom filter: what of a scope may lie in the lake. Late events touch many scopes with a few
/// records each, and hardly any of those is a copy; no document need be read for the others.
#[derive(Debug)]
struct Filter(Vec<u64>);

impl Filter {
    /// Bits for each fingerprint, and how many of them it sets: of those that are not there, 6 in
    /// 10,000 are taken for one that may be.
    const BITS: usize = 16;
    const BITS_SET: u64 = 8;

    /// Makes room for about `count` fingerprints.
    fn new(count: usize) -> Self {
        Self(vec![0; (count * Self::BITS / 64).max(16)])
    }

    /// The word and the bit of each bit that a fingerprint sets.
    fn bits(&self, fingerprint: u128) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (first, step) = (fingerprint as u64, (fingerprint >> 64) as u64 | 1);
        let all = self.0.len() as u128 * 64;
        (0..Self::BITS_SET).map(move |n| {
            let hash = first.wrapping_add(step.wrapping_mul(n));
            let bit = (u128::from(hash) * all) >> 64;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    fn add(&mut self, fingerprint: u128) {
        for (word, bit) in self.bits(fingerprint) {
            self.0[word] |= bit;
        }
    }

    fn may_have(&self, fingerprint: u128) -> bool {
        self.bits(fingerprint).all(|(word, bit)| self.0[word] & bit != 0)
    }
}

/// The fingerprints of records in the lake, as far as a run needs them at the moment.
#[derive(Debug, Default)]
pub struct CopyIndex {
    scopes: HashMap<Scope, Known>,
    segment: u64,
    count: usize,
}

impl CopyIndex {
    /// Begins a segment whose rows are mostly of these scopes; what lies in the lake are units up to
    /// `committed`. When more than `most` bytes are held, what lies there is forgotten of scopes that
    /// were not among those of late.
    pub fn begin(
        &mut self,
        scopes: impl IntoIterator<Item = Scope>,
        most: u64,
        committed: Option<u64>,
    ) {
        self.segment += 1;
        for scope in scopes {
            if let Some(known) = self.scopes.get_mut(&scope) {
                known.touched = self.segment;
            }
        }
        for known in self.scopes.values_mut() {
            known.recent.retain(|(unit, _)| Some(*unit) > committed);
        }
        if (self.count * BYTES_EACH) as u64 <= most {
            return;
        }
        for known in self.scopes.values_mut() {
            if known.touched + KEPT_FOR < self.segment {
                known.forget_committed();
            }
        }
        let filters = self.scopes.values().flat_map(|known| &known.filter);
        if filters.map(|filter| 8 * filter.0.len() as u64).sum::<u64>() > most {
            self.scopes.values_mut().for_each(|known| known.filter = None);
        }
        self.scopes.retain(|_, known| {
            known.is_whole || known.filter.is_some() || !known.fingerprints.is_empty()
        });
        self.count = self.scopes.values().map(|known| known.fingerprints.len()).sum();
    }

    /// Returns whether all fingerprints of a scope are here.
    pub fn is_whole(&self, scope: Scope) -> bool {
        self.scopes.get(&scope).is_some_and(|known| known.is_whole)
    }

    /// Says that all fingerprints of a scope are here.
    pub fn make_whole(&mut self, scope: Scope) {
        let known = self.scopes.entry(scope).or_default();
        known.is_whole = true;
        known.filter = None;
        known.touched = self.segment;
    }

    /// Returns whether a fingerprint is here.
    pub fn contains(&self, scope: Scope, fingerprint: u128) -> bool {
        self.scopes.get(&scope).is_some_and(|known| known.fingerprints.contains(&fingerprint))
    }

    /// Returns whether a fingerprint may be in the lake and not here.
    pub fn may_be_elsewhere(&self, scope: Scope, fingerprint: u128) -> bool {
        let Some(known) = self.scopes.get(&scope) else { return true };
        let is_here = known.is_whole || known.fingerprints.contains(&fingerprint);
        let may_be = |filter: &Filter| filter.may_have(fingerprint);
        !is_here && known.filter.as_ref().is_none_or(may_be)
    }

    /// Adds a fingerprint of a unit; returns whether it is new here. Units come in their order.
    pub fn insert(&mut self, scope: Scope, fingerprint: u128, unit: u64) -> bool {
        let known = self.scopes.entry(scope).or_default();
        let is_new = known.fingerprints.insert(fingerprint);
        if is_new {
            self.count += 1;
            match known.recent.last_mut() {
                Some((last, fingerprints)) if *last == unit => fingerprints.push(fingerprint),
                _ => known.recent.push((unit, vec![fingerprint])),
            }
        }
        is_new
    }

    /// Adds what lies in the lake.
    pub fn load(&mut self, scope: Scope, stored: Stored<'_>) {
        let known = self.scopes.entry(scope).or_default();
        let before = known.fingerprints.len();
        known.fingerprints.extend(stored.iter());
        self.count += known.fingerprints.len() - before;
    }

    /// Returns how many fingerprints are held.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether none is held.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Fingerprints of a scope as a unit's document has them: sorted.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a>(&'a [[u8; 16]]);

impl Stored<'_> {
    /// Returns whether a fingerprint is among them.
    pub fn contains(&self, fingerprint: u128) -> bool {
        self.0.binary_search_by(|bytes| u128::from_le_bytes(*bytes).cmp(&fingerprint)).is_ok()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = u128> {
        self.0.iter().map(|bytes| u128::from_le_bytes(*bytes))
    }
}

/// Reads a unit's document: what it has of each scope.
///
/// # Errors
/// `Damaged` when the bytes are not what [`encode_copies`] made with the same key.
pub fn decode_copies<'a>(key: &CopyKey, bytes: &'a [u8]) -> Result<Vec<(Scope, Stored<'a>)>> {
    let (own, mut rest) = CopyKey::split(bytes)?;
    if own != *key {
        let message = "fingerprints of a unit were made with another key than the lake's";
        return Err(Error::new(ErrorKind::Damaged, message));
    }
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (day, tail) = rest.split_first_chunk::<4>().ok_or_else(damaged_copies)?;
        let (place, tail) = tail.split_first_chunk::<8>().ok_or_else(damaged_copies)?;
        let (count, tail) = tail.split_first_chunk::<4>().ok_or_else(damaged_copies)?;
        let count = u32::from_le_bytes(*count) as usize;
        let (values, tail) = tail.split_at_checked(count * 16).ok_or_else(damaged_copies)?;
        let scope = Scope { day: i32::from_le_bytes(*day), place: u64::from_le_bytes(*place) };
        out.push((scope, Stored(values.as_chunks::<16>().0)));
        rest = tail;
    }
    Ok(out)
}

/// Packs a unit's fingerprints: the key, then per scope its day, its place, a count, and the sorted values.
pub fn encode_copies(key: &CopyKey, copies: &Copies) -> Vec<u8> {
    let mut out = key.head();
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
    Stored(bytes.as_chunks::<16>().0).0.iter().map(|bytes| u128::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Scope = Scope { day: 1, place: 7 };
    const SECOND: Scope = Scope { day: 1, place: 8 };

    #[test]
    fn fingerprints_read_back_by_scope() {
        let key = CopyKey::from_bytes([3; 32]);
        let bytes = encode_copies(&key, &BTreeMap::from([(FIRST, vec![9, 7]), (SECOND, vec![5])]));

        let stored = decode_copies(&key, &bytes).unwrap();

        assert_eq!(stored.iter().map(|(scope, _)| *scope).collect::<Vec<_>>(), [FIRST, SECOND]);
        assert!(stored[0].1.contains(7) && stored[0].1.contains(9) && !stored[0].1.contains(5));
        let mut index = CopyIndex::default();
        index.load(FIRST, stored[0].1);
        assert!(!index.insert(FIRST, 9, 0) && index.insert(FIRST, 5, 0));
        assert!(!index.contains(SECOND, 5) && !index.is_whole(FIRST));
        assert_eq!(index.len(), 3);
        for end in [0, 3, 20, 43, 60, bytes.len() - 3] {
            assert!(decode_copies(&key, &bytes[..end]).is_err(), "{end}");
        }
        assert!(decode_copies(&CopyKey::from_bytes([4; 32]), &bytes).is_err());
    }

    /// As evenly spread as fingerprints are.
    fn fingerprint(number: u64) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes())
    }

    #[test]
    fn what_lies_in_the_lake_is_forgotten_of_scopes_that_are_done_with() {
        let most = 10_000;
        let mut index = CopyIndex::default();
        index.begin([FIRST], most, None);
        for scope in [FIRST, SECOND] {
            index.make_whole(scope);
            (0..1000).for_each(|n| assert!(index.insert(scope, fingerprint(n), 3)));
        }
        for _ in 0..KEPT_FOR {
            index.begin([SECOND], most, Some(3));
            assert!(index.is_whole(FIRST));
        }
        index.begin([SECOND], 1 << 20, Some(3));
        assert!(index.is_whole(FIRST), "there is room");
        // Late events touch it all the time.
        index.insert(FIRST, 7, 5);

        index.begin([SECOND], most, Some(4));

        assert!(!index.is_whole(FIRST) && index.is_whole(SECOND));
        assert_eq!(index.len(), 1001, "what is not committed stays");
        assert!(index.contains(FIRST, 7) && !index.may_be_elsewhere(FIRST, 7));
        let may_be = |n: &u64| index.may_be_elsewhere(FIRST, fingerprint(*n));
        assert!((0..1000).all(|n| may_be(&n)), "what lies in the lake is looked for there");
        let wrong = (1000..11_000).filter(may_be).count();
        assert!(wrong < 40, "{wrong} of 10,000 are looked for in vain");
        index.begin([SECOND], most, Some(5));
        assert!(!index.contains(FIRST, 7) && index.may_be_elsewhere(FIRST, 7));
    }

    #[test]
    fn without_room_for_filters_everything_is_looked_for() {
        let mut index = CopyIndex::default();
        index.make_whole(FIRST);
        index.insert(FIRST, 1, 0);
        for _ in 0..=KEPT_FOR {
            index.begin([], 0, Some(0));
        }
        assert!(index.is_empty() && index.may_be_elsewhere(FIRST, 2));
    }
}
