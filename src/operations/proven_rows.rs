//! Which rows of each partition come from proven objects.
//!
//! A manifest counts rows by file and by object, so that a unit is what can be told apart: rows of a unit count
//! as proven when all objects that wrote rows in it are. `verify --integrity` tells rows apart. Digests prove
//! logs and have no verdict of their own: their table is left out.

use crate::error::Result;
use crate::family::Family;
use crate::integrity::Verdict;
use crate::keys::parse as parse_layout;
use crate::lake::{Manifest, Upgrades};
use crate::storage::Storage;
use serde::Serialize;
use std::collections::BTreeMap;

/// The rows of one partition, by what digests say of the objects they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionProof {
    /// The table.
    pub table: String,
    /// The partition, as its folder is named.
    pub partition: String,
    /// Rows of units whose objects are all proven.
    pub rows_proven: u64,
    /// Rows of units with an object that is not proven.
    pub rows_unproven: u64,
    /// Rows that were converted without `--integrity`.
    pub rows_unchecked: u64,
}

/// Returns the rows of all partitions; reads all manifests.
///
/// # Errors
/// `Damaged` for a document that cannot be read; `Unavailable`, `Denied`, `Io`.
pub async fn proven_rows(storage: &Storage) -> Result<Vec<PartitionProof>> {
    let upgrades = Upgrades::read(storage).await?;
    let mut found: BTreeMap<(String, String), PartitionProof> = BTreeMap::new();
    // A compaction has no objects, and its rows count where they were written first.
    let manifests = Manifest::read_all(storage).await?;
    for manifest in manifests.into_iter().filter(|manifest| manifest.replaced.is_empty()) {
        let is_log = |key: &str| parse_layout(key).family() != Some(Family::Digest);
        let with_rows = manifest.objects.iter().filter(|object| object.tally.written > 0);
        let with_rows = with_rows.filter(|object| is_log(&object.key));
        let verdicts: Vec<_> =
            with_rows.map(|object| upgrades.verdict(&manifest.unit, object)).collect();
        let is_unchecked = verdicts.iter().all(Option::is_none);
        let is_proven = verdicts.iter().all(|verdict| verdict.is_some_and(Verdict::proves));
        let is_digest = |table: &str| table.ends_with(Family::Digest.suffix());
        for file in manifest.files.iter().filter(|file| !is_digest(&file.table)) {
            let place = (file.table.clone(), file.partition.clone());
            let proof = found.entry(place).or_insert_with(|| PartitionProof {
                table: file.table.clone(),
                partition: file.partition.clone(),
                ..PartitionProof::default()
            });
            match (is_unchecked, is_proven) {
                (true, _) => proof.rows_unchecked += file.rows,
                (false, true) => proof.rows_proven += file.rows,
                (false, false) => proof.rows_unproven += file.rows,
            }
        }
    }
    Ok(found.into_values().collect())
}
