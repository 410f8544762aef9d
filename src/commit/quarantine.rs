//! What was set aside: where it was, why, and its raw bytes.

use crate::commit::manifest::UnitId;
use crate::commit::{format, to_json};
use crate::error::Result;
use crate::storage::{OWN, Storage};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The object's key.
    pub object: String,
    /// The record's number in the object, from 0; none when the whole object was set aside.
    pub record: Option<u64>,
    /// Where it starts in the decoded object.
    pub byte: u64,
    /// How long it is.
    pub length: u64,
    /// Where in the decoded object the parser stopped, if it was the parser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_byte: Option<u64>,
    /// Why.
    pub reason: String,
    /// The key in the lake that holds the raw bytes.
    pub raw: String,
    /// Where the raw bytes start under that key.
    pub raw_offset: u64,
}

/// A whole object or a record on its way to the quarantine.
#[derive(Clone, Debug)]
pub struct QuarantinedObject {
    /// The object's key, shared: an object can have very many bad records.
    pub object: Arc<str>,
    /// The record's number, or none for the whole object.
    pub record: Option<u64>,
    /// Where it starts in the decoded object.
    pub byte: u64,
    /// Where in the decoded object the parser stopped, if it was the parser.
    pub error_byte: Option<u64>,
    /// Why.
    pub reason: String,
    /// The bytes as they were: of a record decoded, of an object as stored.
    pub raw: Vec<u8>,
}

/// Writes what a unit set aside: an index, and the raw bytes one after another.
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
    let raw_key = format!("{OWN}/quarantine/{unit}.raw");
    let mut raw = Vec::new();
    let mut index = Vec::new();
    for entry in entries {
        index.push(Quarantined {
            object: entry.object.to_string(),
            record: entry.record,
            byte: entry.byte,
            length: entry.raw.len() as u64,
            error_byte: entry.error_byte,
            reason: entry.reason.clone(),
            raw: raw_key.clone(),
            raw_offset: raw.len() as u64,
        });
        raw.extend_from_slice(&entry.raw);
        raw.push(b'\n');
    }
    storage.put_of_unit(&raw_key, raw).await?;
    storage.put_of_unit(&format!("{OWN}/quarantine/{unit}.json"), to_json(&index)?).await
}

/// Reads the index of everything set aside, in the order of units.
///
/// # Errors
/// `Damaged` for an index that cannot be read.
pub async fn read_quarantine(storage: &Storage) -> Result<Vec<Quarantined>> {
    let mut out = Vec::new();
    for listed in storage.list(&format!("{OWN}/quarantine")).await? {
        if !listed.key.ends_with(".json") {
            continue;
        }
        let bytes = storage.read(&listed.key).await?.unwrap_or_default();
        out.extend(format::parse::<Vec<Quarantined>>(&listed.key, &bytes)?);
    }
    Ok(out)
}
