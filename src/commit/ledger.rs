//! Which objects are in the lake already: what a listing is subtracted from.

use crate::commit::manifest::Manifest;
use hashbrown::HashSet;
use xxhash_rust::xxh3::Xxh3;

/// The processed objects, as 128-bit hashes of key and etag: 16 bytes each, whatever the key.
#[derive(Debug, Default)]
pub struct Ledger {
    objects: HashSet<u128>,
    next_number: u64,
}

impl Ledger {
    /// Collects the ledger from all manifests.
    pub fn from_manifests(manifests: &[Manifest]) -> Self {
        let mut ledger = Self::default();
        for manifest in manifests {
            ledger.next_number = ledger.next_number.max(manifest.unit.number + 1);
            for object in manifest.objects.iter().filter(|object| !object.etag.is_empty()) {
                ledger.add(&object.key, &object.etag);
            }
        }
        ledger
    }

    /// Notes an object as taken.
    pub fn add(&mut self, key: &str, etag: &str) {
        self.objects.insert(hash(key, etag));
    }

    /// Returns whether this object, with these bytes, is in the lake.
    pub fn contains(&self, key: &str, etag: &str) -> bool {
        self.objects.contains(&hash(key, etag))
    }

    /// Returns the number of the next new unit.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }
}

fn hash(key: &str, etag: &str) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(key.as_bytes());
    hash.update(&[0]);
    hash.update(etag.as_bytes());
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_with_other_bytes_is_another_object() {
        let mut ledger = Ledger::default();
        ledger.add("k", "1");
        assert!(ledger.contains("k", "1"));
        assert!(!ledger.contains("k", "2") && !ledger.contains("k1", ""));
    }
}
