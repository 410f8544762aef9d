//! What a record is recognized by when it comes again.
//!
//! A record with an event id is known by its text, whichever object it comes in. A record without one
//! is known by its text, its object's key, and how many records of the same text come before it in that
//! object: another version of the object has the same records again, while equal records of one object,
//! or of two, are different events. Whitespace outside strings does not count, everything else does: two
//! copies become the same row.
//!
//! The hash is HighwayHash with a secret key. Whoever writes records must not be able to make one pass
//! for another: XXH3 has collisions that can be written down, whatever its seed. Measured on texts of
//! 1.5 kB: XXH3 14 GB/s, HighwayHash 8.4, SipHash-1-3 3.4, BLAKE3 0.8.

use crate::family::Family;
use highway::{HighwayHash, HighwayHasher, Key};

/// Makes fingerprints under one key. Those of two keys have nothing in common.
#[derive(Clone, Copy)]
pub struct Fingerprints {
    /// By family: an equal text in another table is no copy.
    texts: [Key; Family::ALL.len()],
    objects: Key,
    in_objects: Key,
}

impl Fingerprints {
    /// Derives what is needed from a lake's key.
    pub fn new(key: &[u8; 32]) -> Self {
        let (words, _) = key.as_chunks::<8>();
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        let key = Key([word(0), word(1), word(2), word(3)]);
        let derived = |what: &str| Key(HighwayHasher::new(key).hash256(what.as_bytes()));
        Self {
            texts: Family::ALL.map(|family| derived(&family.table("text"))),
            objects: derived("object"),
            in_objects: derived("in object"),
        }
    }

    /// Returns the fingerprint of a record's text, which has no whitespace outside strings.
    pub fn text(&self, family: Family, text: &[u8]) -> u128 {
        hash(self.texts[family.index()], text)
    }

    /// Returns what an object is known by: its key in the ledger, and how many members of the same name
    /// come before it in its archive.
    pub fn object(&self, key: &str, earlier: u32) -> u128 {
        let mut text = Vec::with_capacity(key.len() + 4);
        text.extend_from_slice(key.as_bytes());
        text.extend_from_slice(&earlier.to_le_bytes());
        hash(self.objects, &text)
    }

    /// Returns the fingerprint of a text that `earlier` records of the same object have, too.
    pub fn in_object(&self, object: u128, text: u128, earlier: u32) -> u128 {
        let mut all = [0; 36];
        all[..16].copy_from_slice(&object.to_le_bytes());
        all[16..32].copy_from_slice(&text.to_le_bytes());
        all[32..].copy_from_slice(&earlier.to_le_bytes());
        hash(self.in_objects, &all)
    }
}

/// A key that everybody knows: for what writes to no lake.
impl Default for Fingerprints {
    fn default() -> Self {
        Self::new(&[0; 32])
    }
}

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprints(..)")
    }
}

fn hash(key: Key, text: &[u8]) -> u128 {
    let [low, high] = HighwayHasher::new(key).hash128(text);
    u128::from(high) << 64 | u128::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_table_object_or_occurrence_is_another_fingerprint() {
        let (one, two) = (Fingerprints::new(&[1; 32]), Fingerprints::new(&[2; 32]));
        let text = one.text(Family::Events, b"{}");
        let object = one.object("a.json", 0);
        let all = [
            text,
            two.text(Family::Events, b"{}"),
            one.text(Family::Insight, b"{}"),
            one.text(Family::Events, b"[]"),
            object,
            one.object("a.json", 1),
            one.object("b.json", 0),
            one.in_object(object, text, 0),
            one.in_object(object, text, 1),
            one.in_object(text, object, 0),
        ];

        for (at, fingerprint) in all.iter().enumerate() {
            assert!(!all[..at].contains(fingerprint), "{at}");
        }
        assert_eq!(text, Fingerprints::new(&[1; 32]).text(Family::Events, b"{}"));
    }
}
