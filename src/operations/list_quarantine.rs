//! What is quarantined now, and what could not be read.

use crate::error::Result;
use crate::lake::{Manifest, Quarantined, Unavailable, read_quarantine};
use crate::storage::Storage;
use std::collections::BTreeMap;

/// Returns everything that a lake could not convert. An entry of an object that a later unit has read
/// again, changed or under other limits, is left out.
///
/// # Errors
/// `Damaged` for a document that cannot be read; `Unavailable`, `Denied`, `Io`.
pub async fn list_quarantine(storage: &Storage) -> Result<Vec<Quarantined>> {
    let mut entries = read_quarantine(storage).await?;
    if !entries.is_empty() {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for manifest in Manifest::read_all(storage).await? {
            let keys = manifest.objects.into_iter().map(|object| object.key);
            last.extend(keys.map(|key| (key, manifest.unit.number)));
        }
        entries.retain(|entry| unit_of(entry) >= last.get(&entry.object).copied());
    }
    let unavailable = Unavailable::read(storage).await?.objects;
    entries.extend(unavailable.into_iter().map(|object| Quarantined {
        object: object.object,
        record: None,
        records: 1,
        byte: 0,
        length: 0,
        sha256: None,
        error_byte: None,
        reason: format!("not read: {}", object.reason),
        raw: String::new(),
        raw_offset: 0,
        raw_length: 0,
    }));
    Ok(entries)
}

/// The number of the unit that quarantined an entry.
fn unit_of(entry: &Quarantined) -> Option<u64> {
    entry.raw.rsplit('/').next()?.split('-').next()?.parse().ok()
}
