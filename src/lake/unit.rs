//! What a unit is called, and what is known of it by its name alone.

use crate::lake::data_file::DataFile;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A unit's number and identity: `00000007-1f0c2a9be3d45678`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId {
    /// Units commit in the order of their numbers.
    pub number: u64,
    /// Sixteen hexadecimal digits: see [`UnitBasis::identity`](crate::lake::UnitBasis::identity).
    pub identity: String,
}

impl std::fmt::Display for UnitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08}-{}", self.number, self.identity)
    }
}

impl UnitId {
    /// Reads what a unit is called in the names of its files: exactly what [`UnitId`] displays.
    pub fn parse(name: &str) -> Option<Self> {
        let (number, identity) = name.split_once('-')?;
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let is_identity = identity.len() == 16 && identity.bytes().all(is_hex);
        let unit = Self { number: number.parse().ok()?, identity: identity.to_owned() };
        (is_identity && unit.to_string() == name).then_some(unit)
    }

    /// Returns what a barrier is called; `salt` tells it from every other of its number.
    pub(super) fn of_barrier(number: u64, salt: u64) -> Self {
        let identity = hash_identity(format!("barrier {salt:016x}").as_bytes(), []);
        Self { number, identity }
    }

    /// Returns what a compaction is called, by how and from which files, keys and sizes, it writes.
    pub fn of_compaction(number: u64, how: &str, files: &[&DataFile]) -> Self {
        let sizes: Vec<String> = files.iter().map(|file| file.bytes.to_string()).collect();
        let files = files.iter().zip(&sizes).map(|(file, size)| (file.key.as_str(), size.as_str()));
        Self { number, identity: hash_identity(format!("compaction {how}").as_bytes(), files) }
    }

    /// Returns what the manifest is called that ends a plan.
    pub(super) fn of_plan_end(number: u64, plan: &str) -> Self {
        Self { number, identity: hash_identity(format!("end plan={plan}").as_bytes(), []) }
    }
}

/// Returns 16 hexadecimal digits of a hash over some bytes and the (key, etag) list.
pub(super) fn hash_identity<'a>(
    basis: &[u8],
    objects: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut hash = Sha256::new();
    hash.update(basis);
    for (key, etag) in objects {
        hash.update([0]);
        hash.update(key.as_bytes());
        hash.update([0]);
        hash.update(etag.as_bytes());
    }
    hash.finalize()[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The fingerprints that a unit keeps of one event day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCopies {
    /// How many.
    pub records: u64,
    /// The bits of their scopes: [`Scope::bit`](crate::lake::Scope::bit).
    pub scopes: u64,
}

/// By event day (since 1970), units that keep fingerprints of the day, and the bits of their scopes.
pub type UnitsOfDay = BTreeMap<i32, Vec<(UnitId, u64)>>;
