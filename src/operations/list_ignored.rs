//! The objects of a lake that gave no record, and why.

use crate::error::Result;
use crate::lake::{Manifest, ObjectOutcome};
use crate::storage::Storage;
use serde::Serialize;
use std::collections::BTreeMap;

/// An object that gave no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// Its key.
    pub object: String,
    /// What it is.
    pub reason: String,
}

/// Returns the objects without records, by their keys. One that a later unit has read again, changed or under
/// other limits, is what it was found to be then.
///
/// # Errors
/// `Damaged` for a document that cannot be read; `Unavailable`, `Denied`, `Io`.
pub async fn list_ignored(storage: &Storage) -> Result<Vec<Ignored>> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for manifest in Manifest::read_all(storage).await? {
        for object in &manifest.objects {
            match manifest.why_without_records(object) {
                Some(reason) => drop(all.insert(object.key.clone(), reason.to_owned())),
                // What is wrong with an archive has its key, too.
                None if matches!(object.outcome, ObjectOutcome::Quarantined(_)) => {}
                None => drop(all.remove(&object.key)),
            }
        }
    }
    Ok(all.into_iter().map(|(object, reason)| Ignored { object, reason }).collect())
}
