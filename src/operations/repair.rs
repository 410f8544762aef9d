//! Lost manifests, made again from what is there: nothing that is in the lake is lost by it, and nothing
//! is counted twice.
//!
//! A unit whose objects the ledger still has gets a manifest of its files, and its objects are not
//! converted anew. Of a unit whose objects nothing names, they are. Its files count all the same where
//! every row of them has a fingerprint, so that what is converted anew is found to be copies of them; else
//! they are moved to `_trailmill/detached`, and the rows come back with their objects.

use crate::engine::DEFAULT_TABLE;
use crate::error::{Error, ErrorKind, Result};
use crate::family::{Family, main_table, tables};
use crate::lake::{
    CopyKey, DataFile, DayCopies, Remains, UnitId, WorkPlan, Wreck, decode_copies,
    names::{self, Folder},
};
use crate::operations::switch::finish_exchanges;
use crate::parquet::FileFacts;
use crate::storage::{Listed, Storage};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A unit whose manifest was made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairedUnit {
    /// Its number.
    pub number: u64,
    /// Files that count for it.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Objects that the ledger has of it and of other lost units; those of a unit without any are new to
    /// the next conversion.
    pub objects: u64,
    /// Files that were moved to `_trailmill/detached`: their rows come back with their objects.
    pub files_detached: u64,
    /// Rows of those.
    pub rows_detached: u64,
}

impl RepairedUnit {
    /// A unit all of whose files count.
    fn of(number: u64, files: &[DataFile]) -> Self {
        Self {
            number,
            files: files.len() as u64,
            rows: files.iter().map(DataFile::records).sum(),
            objects: 0,
            files_detached: 0,
            rows_detached: 0,
        }
    }
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Units whose manifests were missing or damaged.
    pub units: Vec<RepairedUnit>,
    /// Files that a checkpoint counts and that are gone with their manifests.
    pub files_gone: u64,
    /// Rows of those.
    pub rows_gone: u64,
}

impl RepairReport {
    /// Returns whether nothing has to be converted anew, and nothing is gone.
    pub fn is_whole(&self) -> bool {
        self.files_gone == 0 && self.units.iter().all(|unit| unit.files_detached == 0)
    }
}

/// Returns the base name that the lake's tables were made with.
pub(super) fn base_table<'a>(tables: impl IntoIterator<Item = &'a String>) -> String {
    let name = tables.into_iter().next().map_or(DEFAULT_TABLE, |name| main_table(name));
    let suffix =
        Family::ALL.iter().map(|f| f.suffix()).find(|s| !s.is_empty() && name.ends_with(s));
    name.strip_suffix(suffix.unwrap_or("")).unwrap_or(name).to_owned()
}

/// Makes lost manifests of a lake again; nobody else may be writing to it. Nothing is written when none
/// is lost.
///
/// # Errors
/// `Damaged` when a data file of a lost unit cannot be read, or nothing says how the lake was written;
/// `Busy` while a plan is open; `Unavailable`, `Denied`, `Io`.
pub async fn repair(storage: &Storage) -> Result<RepairReport> {
    WorkPlan::refuse_open(storage).await?;
    finish_exchanges(storage).await?;
    let mut wreck = Wreck::find(storage).await?;
    let mut report = RepairReport::default();
    if wreck.lost.is_empty() {
        return Ok(report);
    }
    for number in wreck.lost.clone() {
        if let Some(manifest) = wreck.put_copy(storage, number).await? {
            report.units.push(RepairedUnit::of(number, &manifest.files));
        }
    }
    let named = wreck.tables();
    let lost = wreck.lost.clone();
    let mut found = Vec::new();
    let mut files = files_of(storage, &base_table(&named), &lost).await?;
    for number in lost {
        let files = files.remove(&number).unwrap_or_default();
        found.push((number, remains(storage, &wreck, number, files).await?));
    }
    // Everything could be read: only now is anything written.
    for (number, (mut remains, rows_known)) in found {
        let mut unit = RepairedUnit::of(number, &remains.files);
        if !wreck.has_objects(number) {
            let id = UnitId { number, identity: remains.identity.clone() };
            quarantine(storage, &quarantine_of(storage, &id).await?).await?;
            if unit.rows != rows_known || !wreck.drops_copies(number) {
                (unit.files_detached, unit.rows_detached) = (unit.files, unit.rows);
                (unit.files, unit.rows) = (0, 0);
                let files: Vec<String> =
                    std::mem::take(&mut remains.files).into_iter().map(|file| file.key).collect();
                quarantine(storage, &files).await?;
                quarantine(storage, &[names::copies(&id)]).await?;
                remains.days.clear();
            }
        }
        unit.objects = wreck.put(storage, number, remains).await?;
        report.units.push(unit);
    }
    (report.files_gone, report.rows_gone) = wreck.end(storage).await?;
    Ok(report)
}

/// Finds the data files of units by their names.
async fn files_of(
    storage: &Storage,
    base: &str,
    lost: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Vec<(String, String)>>> {
    let mut files: BTreeMap<u64, Vec<(String, String)>> = BTreeMap::new();
    let moved = storage.list(&Folder::Compacted.path()).await?;
    for table in tables(base) {
        let is_its = |listed: &&Listed| {
            names::generation_of(&listed.key).is_some_and(|(of, ..)| of == table)
        };
        let moved: Vec<Listed> = moved.iter().filter(is_its).cloned().collect();
        for listed in storage.list(&table).await?.into_iter().chain(moved) {
            let number = names::unit_of(&listed.key).map(|unit| unit.number);
            if let Some(number) = number.filter(|number| lost.contains(number)) {
                files.entry(number).or_default().push((table.clone(), listed.key));
            }
        }
    }
    Ok(files)
}

/// Reads what is left of a unit, and how many fingerprints it has.
async fn remains(
    storage: &Storage,
    wreck: &Wreck,
    number: u64,
    files: Vec<(String, String)>,
) -> Result<(Remains, u64)> {
    let identity = identity_of(storage, wreck, number, &files).await?;
    let mut remains = Remains { identity, ..Remains::default() };
    for (table, key) in files {
        let bytes = storage.read(&key).await?.unwrap_or_default();
        let facts = FileFacts::read(&bytes).map_err(|err| err.at("key", &key))?;
        remains.schema_version = remains.schema_version.max(facts.schema_version);
        remains.files.push(DataFile {
            partition: names::partition_of(&table, &key).to_owned(),
            table,
            rows: facts.rows,
            bytes: bytes.len() as u64,
            min_instant: facts.min_instant,
            max_instant: facts.max_instant,
            key,
        });
    }
    let id = UnitId { number, identity: remains.identity.clone() };
    let Some(bytes) = storage.read(&names::copies(&id)).await? else { return Ok((remains, 0)) };
    let named = |err: Error| err.at("key", names::copies(&id));
    let own = CopyKey::of_copies(&bytes).map_err(named)?;
    let mut count = 0;
    for (scope, stored) in decode_copies(&own, &bytes).map_err(named)? {
        let day: &mut DayCopies = remains.days.entry(scope.day).or_default();
        day.records += stored.len() as u64;
        day.scopes |= scope.bit();
        count += stored.len() as u64;
    }
    Ok((remains, count))
}

/// The identity of a unit, as its intent, its files and its documents say.
async fn identity_of(
    storage: &Storage,
    wreck: &Wreck,
    number: u64,
    files: &[(String, String)],
) -> Result<String> {
    let units = files.iter().filter_map(|(_, key)| names::unit_of(key));
    let mut found: BTreeSet<String> = units.map(|unit| unit.identity).collect();
    for folder in [Folder::Copies, Folder::Quarantine] {
        let (after, until) = folder.range_of(number);
        for listed in storage.list_between(&folder.path(), Some(&after), Some(&until)).await? {
            let unit = folder.unit_of(&listed.key).filter(|unit| unit.number == number);
            found.extend(unit.map(|unit| unit.identity));
        }
    }
    found.extend(wreck.announced_identity(number).map(str::to_owned));
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(identity), None) => Ok(identity),
        (None, _) => Ok(format!("{number:016x}")),
        (Some(one), Some(other)) => {
            let message = "files of two units have the number of a unit whose manifest is lost: \
                           move the files of the wrong unit away";
            let units =
                [one, other].map(|identity| UnitId { number, identity }.to_string()).join(" and ");
            Err(Error::new(ErrorKind::Damaged, message).at("units", units))
        }
    }
}

async fn quarantine_of(storage: &Storage, unit: &UnitId) -> Result<Vec<String>> {
    let listed = storage.list(&Folder::Quarantine.path()).await?;
    let is_its = |key: &String| Folder::Quarantine.unit_of(key).as_ref() == Some(unit);
    Ok(listed.into_iter().map(|listed| listed.key).filter(is_its).collect())
}

/// Moves objects to where no reader and no run looks.
async fn quarantine(storage: &Storage, keys: &[String]) -> Result<()> {
    for key in keys {
        let Some(bytes) = storage.read(key).await? else { continue };
        storage.put_over(&names::detached(key), bytes).await?;
        storage.delete(key).await?;
    }
    Ok(())
}
