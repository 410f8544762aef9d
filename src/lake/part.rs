//! Parts of the ledger, as checkpoints name them.

use crate::error::{Error, ErrorKind};
use crate::lake::entry::{ENTRY, Month};
use crate::lake::names;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// One part of the ledger: sorted entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Part {
    /// The month of delivery.
    pub month: Month,
    /// The first bits of the slots in it.
    pub group: u8,
    /// Entries.
    pub objects: u64,
    /// Hash of its bytes.
    pub hash: String,
}

impl Part {
    pub(super) fn key(&self) -> String {
        let Self { month, group, hash, .. } = self;
        names::ledger_part(*month, *group, hash)
    }

    /// Returns whether these are its bytes.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.objects * ENTRY as u64
            && format!("{:032x}", xxh3_128(bytes)) == self.hash
    }
}

/// Which manifests a checkpoint's parts sum up, and how they are cut.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    /// How many bits of a slot tell parts apart.
    pub bits: u8,
    /// The number after the last unit.
    pub end: u64,
}

pub(super) fn damaged(key: &str) -> Error {
    let message = "part of the ledger is damaged: remove the folders `checkpoints` and `ledger` of \
                   `_trailmill`, and they are made again from the manifests";
    Error::new(ErrorKind::Damaged, message).at("key", key)
}
