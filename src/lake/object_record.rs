//! An object's line in a manifest: how it ended, and its records.

use crate::integrity::ObjectProof;
use serde::{Deserialize, Serialize};

/// Counts that balance: read = written + duplicate + filtered + quarantined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Records found.
    pub read: u64,
    /// Records in data files.
    pub written: u64,
    /// Records whose exact copy is in the lake already.
    pub duplicate: u64,
    /// Records that an option excludes.
    pub filtered: u64,
    /// Records quarantined.
    pub quarantined: u64,
}

impl Tally {
    /// Returns whether every record is accounted for.
    pub fn balances(&self) -> bool {
        self.read == self.written + self.duplicate + self.filtered + self.quarantined
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.written += other.written;
        self.duplicate += other.duplicate;
        self.filtered += other.filtered;
        self.quarantined += other.quarantined;
    }
}

/// How an object ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectOutcome {
    /// Its records were converted; some may have been quarantined.
    Converted,
    /// It holds no CloudTrail log records; the reason.
    Ignored(String),
    /// It was quarantined whole; the reason.
    Quarantined(String),
    /// An archive: its members have lines of their own.
    Archive,
}

/// One object's line in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// The key; members of archives are `archive!/member`.
    pub key: String,
    /// The etag that was converted; empty for members.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Bytes as stored.
    pub bytes: u64,
    /// How it ended.
    pub outcome: ObjectOutcome,
    /// Its records.
    pub tally: Tally,
    /// The hash of its content and its verdict, if it was converted with `--integrity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<ObjectProof>,
}
