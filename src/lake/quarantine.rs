//! What was quarantined: where it was, why, and its raw bytes.
//!
//! Raw bytes are kept as far as a person can look at them: a small object may decode to gigabytes, and what
//! is quarantined lies in the source. Of one segment [`MAX_SEGMENT_RAW`] bytes are kept, of a unit
//! [`MAX_UNIT_RAW`]; what is cut there, has its length and the SHA-256 of the whole. Of an object's records,
//! those after the first [`MAX_ENTRIES`] share an entry.

use crate::error::{Error, Result};
use crate::lake::document::{self, to_json};
use crate::lake::names::{self, Folder};
use crate::lake::unit::UnitId;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;

/// Raw bytes that are kept of what a segment quarantines: 16 MiB.
pub const MAX_SEGMENT_RAW: u64 = 16 << 20;

/// Raw bytes that are kept of what a unit quarantines: 64 MiB.
pub const MAX_UNIT_RAW: u64 = 64 << 20;

/// Records of one object that have entries of their own.
pub const MAX_ENTRIES: u64 = 10_000;

/// One record that was quarantined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The object's key.
    pub object: String,
    /// The record's number in the object, from 0; none when the whole object was quarantined.
    pub record: Option<u64>,
    /// How many records the entry stands for: 1, but for what follows an object's 10,000th.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub records: u64,
    /// Where it starts in the decoded object.
    pub byte: u64,
    /// How long it is, in bytes.
    pub length: u64,
    /// The SHA-256 of all of it, in hexadecimal, if only its first bytes are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where in the decoded object the parser stopped; or in the stored one, if that could not be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_byte: Option<u64>,
    /// Why.
    pub reason: String,
    /// The key in the lake that holds the raw bytes.
    pub raw: String,
    /// Where the raw bytes start under that key.
    pub raw_offset: u64,
    /// How many of them are there: the first ones.
    pub raw_length: u64,
}

impl Quarantined {
    /// Returns the unit that quarantined it.
    pub fn unit(&self) -> Option<UnitId> {
        Folder::Quarantine.unit_of(&self.raw)
    }
}

fn one() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_one(records: &u64) -> bool {
    *records == 1
}

/// The raw bytes of what is quarantined, as far as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    kept: Vec<u8>,
    length: u64,
    sha256: Option<String>,
}

impl Raw {
    /// Keeps the first bytes, as many as there is room for; beyond that, the hash of all.
    pub fn of(bytes: &[u8], room: u64) -> Self {
        let length = bytes.len() as u64;
        let sha256 = (length > room).then(|| sha256_of(bytes));
        let kept = bytes[..length.min(room) as usize].to_vec();
        Self { kept, length, sha256 }
    }

    /// Returns how many bytes are kept.
    pub fn kept(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Keeps no more bytes than there is room for.
    pub fn cut(&mut self, room: u64) {
        if self.kept() > room {
            let whole = self.sha256.take().unwrap_or_else(|| sha256_of(&self.kept));
            self.sha256 = Some(whole);
            self.kept.truncate(room as usize);
            self.kept.shrink_to_fit();
        }
    }
}

fn sha256_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A whole object or a record on its way to the quarantine.
#[derive(Clone, Debug)]
pub struct QuarantinedObject {
    /// The object's key, shared: an object can have very many bad records.
    pub object: Arc<str>,
    /// The record's number, or none for the whole object.
    pub record: Option<u64>,
    /// How many records the entry stands for.
    pub records: u64,
    /// Where it starts in the decoded object.
    pub byte: u64,
    /// Where in the decoded object the parser stopped; or in the stored one, if that could not be decoded.
    pub error_byte: Option<u64>,
    /// Why.
    pub reason: String,
    /// The bytes as they were: of a record decoded, of an object as stored.
    pub raw: Raw,
}

impl QuarantinedObject {
    /// A whole object, and why; its bytes are still to be given.
    pub fn whole(object: Arc<str>, err: &Error) -> Self {
        // Reasons are counted: where it was stands beside them.
        let error_byte = err.byte();
        let (record, reason, raw) = (None, err.message().to_owned(), Raw::default());
        Self { object, record, records: 1, byte: 0, error_byte, reason, raw }
    }

    /// Adds records that share the entry; their bytes are not kept.
    pub fn add(&mut self, records: u64, length: u64) {
        self.records += records;
        self.raw.length += length;
        self.raw.sha256 = None;
    }
}

/// Cuts what a segment quarantined to what its unit has room for; returns how many raw bytes are kept.
pub fn cut_raw(entries: &mut [QuarantinedObject], room: u64) -> u64 {
    entries.iter_mut().fold(0, |kept, entry| {
        entry.raw.cut(room.saturating_sub(kept));
        kept + entry.raw.kept()
    })
}

/// Writes what a unit quarantined: an index, and the raw bytes one after another.
///
/// # Errors
/// `Io` when the store fails.
pub async fn write_quarantine(
    storage: &Storage,
    unit: &UnitId,
    entries: &[QuarantinedObject],
) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let raw_key = names::quarantine_raw(unit);
    let mut raw = Vec::new();
    let mut index = Vec::new();
    for entry in entries {
        index.push(Quarantined {
            object: entry.object.to_string(),
            record: entry.record,
            records: entry.records,
            byte: entry.byte,
            length: entry.raw.length,
            sha256: entry.raw.sha256.clone(),
            error_byte: entry.error_byte,
            reason: entry.reason.clone(),
            raw: raw_key.clone(),
            raw_offset: raw.len() as u64,
            raw_length: entry.raw.kept(),
        });
        raw.extend_from_slice(&entry.raw.kept);
        raw.push(b'\n');
    }
    storage.put_of_unit(&raw_key, raw).await?;
    storage.put_of_unit(&names::quarantine_index(unit), to_json(&index)?).await
}

/// Reads the index of everything quarantined, in the order of units.
///
/// # Errors
/// `Damaged` for an index that cannot be read.
pub async fn read_quarantine(storage: &Storage) -> Result<Vec<Quarantined>> {
    let mut out = Vec::new();
    for listed in storage.list(&Folder::Quarantine.path()).await? {
        if !names::is_quarantine_index(&listed.key) {
            continue;
        }
        let bytes = storage.read(&listed.key).await?.unwrap_or_default();
        out.extend(document::parse::<Vec<Quarantined>>(&listed.key, &bytes)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_has_the_length_and_the_hash_of_the_whole() {
        let whole = Raw::of(b"abcdef", 6);
        assert_eq!((whole.kept(), whole.length, &whole.sha256), (6, 6, &None));

        let cut = Raw::of(b"abcdef", 4);
        let mut later = whole.clone();
        later.cut(4);

        assert_eq!((&cut.kept[..], cut.length), (&b"abcd"[..], 6));
        assert_eq!(cut, later);
        later.cut(0);
        assert_eq!((later.kept(), &later.sha256), (0, &cut.sha256), "the hash stays that of all");
        assert_eq!(cut.sha256, Some(sha256_of(b"abcdef")));
    }
}
