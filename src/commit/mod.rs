//! The commit protocol: intents, manifests, the ledger and the quarantine, all under `_trailmill/`.
//!
//! A unit is a list of objects that is committed as one. Its intent is written before its data; its
//! files have names derived from its identity; its manifest is put if-absent when every file is in
//! place. Units are numbered and commit in order. A restart finishes unfinished intents first, with
//! the same objects, so that the same names are written again.

mod checkpoint;
mod claims;
mod copies;
mod done;
mod gone;
mod ledger;
mod listings;
mod manifest;
mod plan;
mod quarantine;
mod summary;

pub use checkpoint::Known;
pub use claims::{ClaimLog, Claims};
pub use copies::{Copies, CopyIndex, Scope, Stored, decode_copies, encode_copies};
pub use done::{News, UnitDone};
pub use gone::{read_gone, write_gone};
pub use ledger::{Entry, Ledger, Month, entry, month};
pub use listings::CompleteListing;
pub use manifest::{
    DataFile, DayCopies, Intent, Manifest, ObjectOutcome, ObjectRecord, Tally, UnitId,
    unit_identity,
};
pub use plan::{
    PlanEnd, PlanPart, PlanSettings, PlanTotals, PlannedObject, PlannedUnit, WorkPlan, planned,
};
pub use quarantine::{Quarantined, QuarantinedObject, read_quarantine, write_quarantine};
pub use summary::{LastUnit, PartitionTotals, Summary, UnitsOfDay};

use crate::error::{Error, ErrorKind, Result};
use crate::schema::Lock;
use crate::storage::{OWN, Storage};

fn lock_key(version: u32) -> String {
    format!("{OWN}/schema/v{version:08}.json")
}

/// Reads the schema lock that the last committed unit was written with; the seed for a new lake.
///
/// Later versions may lie there: those of units that were killed before their manifest.
///
/// # Errors
/// `Damaged` when the version is absent or cannot be read.
pub async fn read_lock(storage: &Storage, summary: &Summary) -> Result<Lock> {
    match &summary.last {
        Some(last) => read_lock_version(storage, last.schema_version).await,
        None => Lock::seed(),
    }
}

/// Reads a version of the schema lock.
///
/// # Errors
/// `Damaged` when the version is absent or cannot be read.
pub async fn read_lock_version(storage: &Storage, version: u32) -> Result<Lock> {
    let key = lock_key(version);
    let damaged = || Error::new(ErrorKind::Damaged, "schema lock is damaged").at("key", &key);
    let bytes = storage.read(&key).await?.ok_or_else(damaged)?;
    serde_json::from_slice(&bytes).map_err(|err| damaged().because(err))
}

/// Removes the versions after `committed`: units that are done again write them again, and if their
/// objects are gone, others.
///
/// # Errors
/// `Io` when the store fails.
pub async fn drop_locks_after(storage: &Storage, committed: u32) -> Result<()> {
    for listed in storage.list(&format!("{OWN}/schema")).await? {
        if listed.key > lock_key(committed) {
            storage.delete(&listed.key).await?;
        }
    }
    Ok(())
}

/// Writes a version of the schema lock; the same version is never written with other bytes.
///
/// # Errors
/// `Damaged` when the version is there and differs.
pub async fn write_lock(storage: &Storage, lock: &Lock) -> Result<()> {
    storage.put_once(&lock_key(lock.version), to_json(lock)?).await
}

/// Renders a document of the lake: indented, so that a person can read it.
pub(crate) fn to_json(document: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(document)
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot render a document").because(err))?;
    bytes.push(b'\n');
    Ok(bytes)
}
