//! What verified digests say of logs, for a conversion that decodes them anyway.
//!
//! Digests are read first, logs are not: each is hashed when it is converted, and its verdict goes to the
//! unit's manifest. A log that no verified digest lists yet can be proven later by its hash alone.

use crate::error::{Error, ErrorKind, Result};
use crate::integrity::chain::JudgedChain;
use crate::integrity::digest::Hash;
use crate::integrity::digest_name::{file_name, home_of, is_digest, is_in_layout};
use crate::integrity::verdict::Verdict;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// What a conversion does about the integrity of logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrityMode {
    /// Nothing.
    #[default]
    Off,
    /// Hashes logs and records their verdicts.
    Record,
    /// Converts only what is proven.
    Require,
}

/// What is known of the integrity of an object that was converted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectProof {
    /// The SHA-256 of its content, hexadecimal.
    pub sha256: String,
    /// The verdict when it was converted.
    pub verdict: Verdict,
}

/// A log that a verified digest lists: about 80 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProvenLog {
    /// The hash of what copies keep of its key.
    home: u64,
    /// The hash of its address.
    address: u64,
    content: Hash,
}

impl ProvenLog {
    /// Writes name, home, address and content one after the other, hexadecimal.
    fn to_entry(self, name: u128) -> String {
        format!("{name:032x}{:016x}{:016x}{}", self.home, self.address, hex::encode(self.content))
    }

    fn of_entry(entry: &str) -> Option<(u128, Self)> {
        let number = |range| u64::from_str_radix(entry.get(range)?, 16).ok();
        let name = u128::from_str_radix(entry.get(..32)?, 16).ok()?;
        let mut content = Hash::default();
        hex::decode_to_slice(entry.get(64..)?, &mut content).ok()?;
        Some((name, Self { home: number(32..48)?, address: number(48..64)?, content }))
    }
}

/// The logs that verified digests list.
#[derive(Clone, Debug, Default)]
pub struct Proofs {
    /// By the hash of their names.
    logs: HashMap<u128, Vec<ProvenLog>>,
    /// Whether only what is proven is converted.
    pub(super) is_required: bool,
    /// What the set is, independent of its order.
    sum: u128,
    /// Verified digests, and all.
    pub(super) digests: (u64, u64),
}

impl Proofs {
    /// Returns what is listed by nothing yet.
    pub fn new(mode: IntegrityMode) -> Self {
        Self { is_required: mode == IntegrityMode::Require, ..Self::default() }
    }

    pub(super) fn add(&mut self, chain: &JudgedChain<'_>) {
        for judged in &chain.digests {
            self.digests.1 += 1;
            let Some(digest) = judged.digest().filter(|_| judged.verdict.proves()) else {
                continue;
            };
            self.digests.0 += 1;
            for log in &digest.logs {
                let name = xxh3_128(file_name(&log.key).as_bytes());
                let proven = ProvenLog {
                    home: xxh3_64(home_of(&log.key).as_bytes()),
                    address: xxh3_64(format!("s3://{}/{}", log.bucket, log.key).as_bytes()),
                    content: log.hash,
                };
                let known = self.logs.entry(name).or_default();
                let is_same = |known: &ProvenLog| {
                    known.address == proven.address && known.content == proven.content
                };
                if !known.iter().any(is_same) {
                    known.push(proven);
                    let mut whole = name.to_be_bytes().to_vec();
                    whole.extend(proven.address.to_be_bytes());
                    whole.extend(proven.content);
                    self.sum = self.sum.wrapping_add(xxh3_128(&whole));
                }
            }
        }
    }

    /// Returns what is listed of some keys, each entry once, for [`Proofs::of_plan`].
    pub fn entries_of<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> BTreeSet<String> {
        let names = keys.into_iter().map(|key| xxh3_128(file_name(key).as_bytes()));
        let listed = names.flat_map(|name| {
            let logs = self.logs.get(&name).into_iter().flatten();
            logs.map(move |log| log.to_entry(name))
        });
        listed.collect()
    }

    /// Returns all that is listed, as [`Proofs::entries_of`].
    pub fn entries(&self) -> BTreeSet<String> {
        let all = self.logs.iter();
        all.flat_map(|(name, logs)| logs.iter().map(|log| log.to_entry(*name))).collect()
    }

    /// Adds entries that a plan has kept.
    ///
    /// # Errors
    /// `Damaged` for what is not an entry.
    pub fn add_entries(&mut self, entries: &BTreeSet<String>) -> Result<()> {
        for entry in entries {
            let invalid =
                || Error::new(ErrorKind::Damaged, "invalid entry of a digest in the plan");
            let (name, log) = ProvenLog::of_entry(entry).ok_or_else(invalid)?;
            let known = self.logs.entry(name).or_default();
            if !known.contains(&log) {
                known.push(log);
            }
        }
        Ok(())
    }

    /// Returns whether only what is proven is converted.
    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// Returns how many digests are verified, and how many there are.
    pub fn digests(&self) -> (u64, u64) {
        self.digests
    }

    /// Returns a name of the set: sets that say the same have the same.
    pub fn identity(&self) -> String {
        format!("{:032x}", self.sum)
    }

    fn listed(&self, key: &str) -> impl Iterator<Item = &ProvenLog> {
        let home = is_in_layout(key).then(|| xxh3_64(home_of(key).as_bytes()));
        let named = self.logs.get(&xxh3_128(file_name(key).as_bytes())).into_iter().flatten();
        named.filter(move |log| home.is_none_or(|home| home == log.home))
    }

    /// Returns whether a verified digest lists an object.
    pub fn lists(&self, key: &str) -> bool {
        self.listed(key).next().is_some()
    }

    /// Returns why an object must not be converted yet, if it must not.
    pub fn blocks(&self, key: &str) -> Option<&'static str> {
        let is_blocked = self.is_required && !is_digest(key) && !self.lists(key);
        is_blocked.then_some("log file integrity is required: no verified digest lists it yet")
    }

    /// Judges an object by its decoded content, and by whether bytes follow its gzip member; a digest is
    /// not judged.
    pub fn judge(&self, key: &str, content: &[u8], has_trailing: bool) -> Option<ObjectProof> {
        if is_digest(key) {
            return None;
        }
        let sha256 = hex::encode(digest(&SHA256, content));
        let verdict = self.verdict(key, &sha256, has_trailing);
        Some(ObjectProof { sha256, verdict })
    }

    /// Judges an object by the hash of its content, in hexadecimal.
    pub fn verdict(&self, key: &str, sha256: &str, has_trailing: bool) -> Verdict {
        let mut content = Hash::default();
        let is_hash = hex::decode_to_slice(sha256, &mut content).is_ok();
        let mut verdict = Verdict::InNoDigest;
        for log in self.listed(key) {
            let its = match (is_hash && log.content == content, has_trailing) {
                (false, _) => Verdict::HashMismatch,
                (true, true) => Verdict::TrailingData,
                (true, false) if log.address == xxh3_64(key.as_bytes()) => Verdict::Verified,
                (true, false) => Verdict::VerifiedRelocated,
            };
            verdict = if verdict == Verdict::InNoDigest { its } else { verdict.max(its) };
        }
        verdict
    }

    /// Returns the error for an object that must not be converted.
    ///
    /// # Errors
    /// `BadInput` for an object that is not proven, if only what is proven is converted.
    pub fn check(&self, proof: &ObjectProof) -> Result<()> {
        if !self.is_required || proof.verdict.proves() {
            return Ok(());
        }
        let words = proof.verdict.words();
        Err(Error::bad_input(format!("log file integrity is required: {words}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_a_plan_is_what_it_was_made_of() {
        let log = ProvenLog { home: 1, address: u64::MAX, content: [7; 32] };
        let name = xxh3_128(b"a.json");
        let proofs = Proofs { logs: [(name, vec![log])].into(), ..Proofs::default() };

        let entries = proofs.entries_of(["x/a.json.gz", "y/a.json", "b.json"]);

        assert_eq!(entries, proofs.entries());
        let mut copy = Proofs::new(IntegrityMode::Record);
        copy.add_entries(&entries).unwrap();
        copy.add_entries(&entries).unwrap();
        assert_eq!(copy.logs[&name], [log]);
        for damaged in ["", "00", &"g".repeat(128), &"0".repeat(127)] {
            assert!(copy.add_entries(&[damaged.to_owned()].into()).is_err(), "{damaged}");
        }
    }
}
