//! The commit protocol: intents, manifests, the ledger and the quarantine, all under `_trailmill/`.
//!
//! A unit is a list of objects that is committed as one. Its intent is written before its data; its
//! files have names derived from its identity; its manifest is put if-absent when every file is in
//! place. Units are numbered and commit in order. A restart finishes unfinished intents first, with
//! the same objects, so that the same names are written again; where it cannot, a barrier takes the next
//! number, so that whoever still writes for those units can never commit them.
//!
//! Nothing rests on the lease alone. A number has one manifest, for good: of two runs that both believe to
//! be the one writer, one commits. What is removed has a name that will never be used again.

mod abandoned;
mod checkpoint;
mod claims;
mod copies;
mod copy_key;
mod document;
mod gone;
mod ledger;
mod listings;
mod manifest;
mod names;
mod plan_progress;
mod quarantine;
mod rebuild;
mod repair;
mod summary;
mod unavailable;
mod whole;
mod work_plan;

pub use abandoned::Abandoned;
pub use checkpoint::Known;
pub use claims::{ClaimLog, Claims};
pub use copies::{
    Copies, CopyIndex, Scope, Stored, copies_key, decode_copies, encode_copies, key_of,
};
pub use copy_key::CopyKey;
pub use gone::{GoneFile, Loss, read_gone, write_gone};
pub use ledger::{Entry, Ledger, Month, SetAside, entry, entry_set_aside, judge, month};
pub use listings::CompleteListing;
pub use manifest::{
    DataFile, DayCopies, Intent, Manifest, ObjectOutcome, ObjectRecord, Tally, UnitId,
    after_barrier, unit_identity,
};
pub use names::{number_of, unit_of};
pub use plan_progress::{News, UnitDone};
pub use quarantine::{
    MAX_ENTRIES, MAX_SEGMENT_RAW, MAX_UNIT_RAW, Quarantined, QuarantinedObject, Raw, cut_raw,
    read_quarantine, write_quarantine,
};
pub use repair::{Remains, Wreck};
pub use summary::{LastUnit, PartitionTotals, Summary, UnitsOfDay};
pub use unavailable::{Unavailable, UnavailableObject};
pub use whole::{refuse_forgotten, refuse_missing};
pub use work_plan::{
    PlanEnd, PlanPart, PlanSettings, PlanTotals, PlannedObject, PlannedUnit, WorkPlan, planned,
};

use crate::error::{Error, ErrorKind, Result};
use crate::schema::Lock;
use crate::storage::{OWN, Storage};
use serde::{Deserialize, Serialize};

/// A version of the schema lock, as manifests and plans name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockName {
    /// Versions count up; 0 where there is none.
    pub version: u32,
    /// The hash of its contents.
    pub hash: String,
}

/// The key of a version of the lock. The hash of its contents is part of the name, so that units that
/// never committed may leave versions behind: nothing names them, and they are in nobody's way.
fn lock_key(name: &LockName) -> String {
    format!("{OWN}/schema/v{:08}-{}.json", name.version, name.hash)
}

/// Reads the schema lock that the last committed unit was written with; the seed for a new lake.
///
/// # Errors
/// `Damaged` when the version is absent or cannot be read.
pub async fn read_lock(storage: &Storage, summary: &Summary) -> Result<Lock> {
    match &summary.last {
        Some(last) => read_lock_version(storage, &last.schema).await,
        None => Lock::seed(),
    }
}

/// Reads a version of the schema lock.
///
/// # Errors
/// `Damaged` when the version is absent or cannot be read, `Config` for another format.
pub async fn read_lock_version(storage: &Storage, name: &LockName) -> Result<Lock> {
    let key = lock_key(name);
    let message = "schema lock is gone or damaged: put it back from a backup or an earlier version of \
                   the object; no other document records the columns of the files";
    let damaged = || Error::new(ErrorKind::Damaged, message).at("key", &key);
    let bytes = storage.read(&key).await?.ok_or_else(damaged)?;
    let lock = document::parse(&key, &bytes).map_err(|err| match err.kind() {
        ErrorKind::Damaged => damaged().because(err),
        _ => err,
    })?;
    if hash_of(&bytes) == name.hash { Ok(lock) } else { Err(damaged()) }
}

/// Writes a version of the schema lock; returns its name.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`; `Damaged` when other bytes have its name.
pub async fn write_lock(storage: &Storage, lock: &Lock) -> Result<LockName> {
    let bytes = to_json(lock)?;
    let name = LockName { version: lock.version, hash: hash_of(&bytes) };
    storage.put_once(&lock_key(&name), bytes).await?;
    Ok(name)
}

fn hash_of(bytes: &[u8]) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes))
}

/// Renders a document of the lake with its format: indented, so that a person can read it.
pub(crate) fn to_json(document: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = document::render(document, true)?;
    bytes.push(b'\n');
    Ok(bytes)
}
