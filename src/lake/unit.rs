//! What a unit is called, and what is known of it by its name alone.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A unit's number and identity: `00000007-1f0c2a9be3d45678`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId {
    /// Units commit in the order of their numbers.
    pub number: u64,
    /// See [`unit_identity`].
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
}

/// Returns 16 hexadecimal digits of a hash over the settings that change output and the (key, etag)
/// list.
pub fn unit_identity<'a>(
    settings: &str,
    objects: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut hash = Sha256::new();
    hash.update(settings.as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_depends_on_settings_keys_and_etags() {
        let of = |settings, objects: &[(&'static str, &'static str)]| {
            unit_identity(settings, objects.iter().copied())
        };
        let base = of("s", &[("a", "1"), ("b", "2")]);
        assert_eq!(base, of("s", &[("a", "1"), ("b", "2")]));
        assert_eq!(base.len(), 16);
        for other in [
            of("t", &[("a", "1"), ("b", "2")]),
            of("s", &[("a", "1")]),
            of("s", &[("a", "12"), ("b", "")]),
            of("s", &[("b", "2"), ("a", "1")]),
        ] {
            assert_ne!(base, other);
        }
    }
}
