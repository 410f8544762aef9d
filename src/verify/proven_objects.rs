//! Source objects against the hashes that the lake keeps of proven ones.
//!
//! The lake's manifests say which objects CloudTrail's digests prove, and the hash of each. An object that
//! has this hash now is the one that was proven, so that rows which equal its records are proven, too.

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Hashes of proven objects, and how many of the sources' objects have theirs.
#[derive(Debug, Default)]
pub struct ProvenObjects {
    /// SHA-256 in hexadecimal digits, by object name.
    hashes: HashMap<String, String>,
    proven: AtomicU64,
    unproven: AtomicU64,
    changed: AtomicU64,
    /// Sources are read again to name differences.
    is_counted: AtomicBool,
}

/// How many objects of the sources are proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProvenCounts {
    /// Objects with the hash of a proven object.
    pub objects_proven: u64,
    /// Objects that are not proven.
    pub objects_unproven: u64,
    /// Objects that were proven when they were converted, and are others now.
    pub objects_changed: u64,
}

impl ProvenObjects {
    /// Takes the hashes of proven objects by name.
    pub fn new(hashes: HashMap<String, String>) -> Self {
        Self { hashes, ..Self::default() }
    }

    /// Counts an object of the sources.
    pub(super) fn look(&self, name: &str, text: &[u8]) {
        if self.is_counted.load(Ordering::Relaxed) {
            return;
        }
        let counter = match self.hashes.get(name) {
            None => &self.unproven,
            Some(hash) if *hash == sha256(text) => &self.proven,
            Some(_) => &self.changed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts, and counts no more.
    pub(super) fn close(&self) -> ProvenCounts {
        self.is_counted.store(true, Ordering::Relaxed);
        ProvenCounts {
            objects_proven: self.proven.load(Ordering::Relaxed),
            objects_unproven: self.unproven.load(Ordering::Relaxed),
            objects_changed: self.changed.load(Ordering::Relaxed),
        }
    }
}

fn sha256(text: &[u8]) -> String {
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_proven_by_its_hash_and_counted_once() {
        // FIPS 180-2, example A.1.
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        let objects =
            ProvenObjects::new([("a".to_owned(), hash.clone()), ("b".to_owned(), hash)].into());
        objects.look("a", b"abc");
        objects.look("b", b"abd");
        objects.look("c", b"abc");

        let counts = objects.close();
        objects.look("c", b"abc");

        let want = ProvenCounts { objects_proven: 1, objects_unproven: 1, objects_changed: 1 };
        assert_eq!((counts, objects.close()), (want, want));
    }
}
