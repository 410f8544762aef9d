//! Finding exact copies of records: two trails into one bucket deliver the same record twice.
//!
//! A record with an event id whose whole source text equals that of one in the lake is a copy. Per unit, the
//! fingerprints of its written records are kept by [`Scope`], in a document of their own. Only scopes
//! that new records touch are looked at, and of those only what a run is in the middle of stays in
//! memory: a listing goes account by account, region by region, day by day.

use crate::error::{Error, ErrorKind, Result};
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;

/// Bytes of memory that a fingerprint takes, about: sets double, and are between half and full.
const BYTES_EACH: usize = 27;

/// Segments that a scope is kept for after one that touched it.
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
    /// Whether these are all; else those of units before this run lie in the lake only.
    is_whole: bool,
    /// The last unit that added some.
    last_unit: Option<u64>,
    /// The segment that touched it last.
    touched: u64,
}

/// The fingerprints of records in the lake, as far as a run needs them at the moment.
#[derive(Debug, Default)]
pub struct CopyIndex {
    scopes: HashMap<Scope, Known>,
    segment: u64,
    count: usize,
}

impl CopyIndex {
    /// Begins a segment that touches these scopes. When more than `most` bytes are held, scopes go that
    /// were not touched of late, and of which everything is in the lake: in units up to `committed`.
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
        if (self.count * BYTES_EACH) as u64 <= most {
            return;
        }
        self.scopes.retain(|_, known| {
            let is_safe = known.last_unit <= committed;
            let stays = known.touched + KEPT_FOR >= self.segment || !is_safe;
            self.count -= if stays { 0 } else { known.fingerprints.len() };
            stays
        });
    }

    /// Returns whether all fingerprints of a scope are here.
    pub fn is_whole(&self, scope: Scope) -> bool {
        self.scopes.get(&scope).is_some_and(|known| known.is_whole)
    }

    /// Says that all fingerprints of a scope are here.
    pub fn make_whole(&mut self, scope: Scope) {
        let known = self.scopes.entry(scope).or_default();
        known.is_whole = true;
        known.touched = self.segment;
    }

    /// Returns whether a fingerprint is here.
    pub fn contains(&self, scope: Scope, fingerprint: u128) -> bool {
        self.scopes.get(&scope).is_some_and(|known| known.fingerprints.contains(&fingerprint))
    }

    /// Adds a fingerprint of a unit; returns whether it is new here.
    pub fn insert(&mut self, scope: Scope, fingerprint: u128, unit: u64) -> bool {
        let known = self.scopes.entry(scope).or_default();
        known.last_unit = Some(unit);
        known.touched = self.segment;
        let is_new = known.fingerprints.insert(fingerprint);
        self.count += usize::from(is_new);
        is_new
    }

    /// Adds what lies in the lake.
    pub fn load(&mut self, scope: Scope, stored: Stored<'_>) {
        let known = self.scopes.entry(scope).or_default();
        known.touched = self.segment;
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

    fn iter(&self) -> impl Iterator<Item = u128> {
        self.0.iter().map(|bytes| u128::from_le_bytes(*bytes))
    }
}

/// Reads a unit's document: what it has of each scope.
///
/// # Errors
/// `Damaged` when the bytes are not what [`encode_copies`] made.
pub fn decode_copies(bytes: &[u8]) -> Result<Vec<(Scope, Stored<'_>)>> {
    let damaged = || Error::new(ErrorKind::Damaged, "fingerprints of a unit are damaged");
    let (mut rest, mut out) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (day, tail) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (place, tail) = tail.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (count, tail) = tail.split_first_chunk::<4>().ok_or_else(damaged)?;
        let count = u32::from_le_bytes(*count) as usize;
        let (values, tail) = tail.split_at_checked(count * 16).ok_or_else(damaged)?;
        let scope = Scope { day: i32::from_le_bytes(*day), place: u64::from_le_bytes(*place) };
        out.push((scope, Stored(values.as_chunks::<16>().0)));
        rest = tail;
    }
    Ok(out)
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
    Stored(bytes.as_chunks::<16>().0).0.iter().map(|bytes| u128::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Scope = Scope { day: 1, place: 7 };
    const SECOND: Scope = Scope { day: 1, place: 8 };

    #[test]
    fn fingerprints_read_back_by_scope() {
        let bytes = encode_copies(&BTreeMap::from([(FIRST, vec![9, 7]), (SECOND, vec![5])]));

        let stored = decode_copies(&bytes).unwrap();

        assert_eq!(stored.iter().map(|(scope, _)| *scope).collect::<Vec<_>>(), [FIRST, SECOND]);
        assert!(stored[0].1.contains(7) && stored[0].1.contains(9) && !stored[0].1.contains(5));
        let mut index = CopyIndex::default();
        index.load(FIRST, stored[0].1);
        assert!(!index.insert(FIRST, 9, 0) && index.insert(FIRST, 5, 0));
        assert!(!index.contains(SECOND, 5) && !index.is_whole(FIRST));
        assert_eq!(index.len(), 3);
        for end in [3, 20, bytes.len() - 3] {
            assert!(decode_copies(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn only_what_is_in_the_lake_and_was_not_touched_of_late_goes() {
        let mut index = CopyIndex::default();
        index.begin([FIRST], 0, None);
        for scope in [FIRST, SECOND] {
            index.make_whole(scope);
            index.insert(scope, 1, 3);
        }
        for _ in 0..KEPT_FOR {
            index.begin([SECOND], 0, Some(3));
            assert!(index.is_whole(FIRST));
        }
        index.begin([SECOND], 1 << 20, Some(3));
        assert!(index.is_whole(FIRST), "there is room");
        index.begin([SECOND], 0, Some(2));
        assert!(index.is_whole(FIRST), "its unit is not committed");

        index.begin([SECOND], 0, Some(3));

        assert!(!index.is_whole(FIRST) && index.is_whole(SECOND));
        assert_eq!(index.len(), 1);
    }
}
