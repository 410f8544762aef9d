//! The hash that identifies rows and texts in `verify`: SipHash-2-4 of 128 bits, under a key of
//! this process.
//!
//! A different hash from the converter's, under a random key: a collision in one is not a collision
//! in the other.

use super::contract::Family;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// Drawn from what the system gives the standard library for its maps.
static KEYS: LazyLock<(u64, u64)> =
    LazyLock::new(|| (RandomState::new().hash_one(0), RandomState::new().hash_one(1)));

/// Returns 128 bits that depend on all bytes and the family.
pub(super) fn hash(bytes: &[u8], family: Family) -> u128 {
    let mut hasher = SipHasher24::new_with_keys(KEYS.0, KEYS.1);
    hasher.write(bytes);
    hasher.write_u8(family as u8);
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_family_count() {
        let all = [
            hash(b"a", Family::Events),
            hash(b"b", Family::Events),
            hash(b"a", Family::Insight),
            hash(b"", Family::Events),
        ];

        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
        assert_eq!(all[0], hash(b"a", Family::Events));
    }
}
