//! What a lake holds: what the actions of its manifests come to.
//!
//! A manifest is a list of actions, and so is the list of files that are gone. Applied in the order of
//! their numbers, that list last, they make the snapshot, and nothing else changes it. A checkpoint holds
//! a snapshot of the manifests that it covers; the catalog is told what a snapshot says.

use crate::error::Result;
use crate::keys::parse as parse_layout;
use crate::lake::data_file::DataFile;
use crate::lake::entry::{
    Entry, Month, WithoutRows, entry, entry_without_rows, from_digits, month,
};
use crate::lake::gone::{GoneFile, Loss};
use crate::lake::homes::Homes;
use crate::lake::lock::{LockName, read_lock_version};
use crate::lake::manifest::Manifest;
use crate::lake::object_record::{ObjectOutcome, ObjectRecord};
use crate::lake::settings::{Duplicates, OutputSettings};
use crate::lake::unit::{UnitId, UnitsOfDay};
use crate::schema::Lock;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What changes a lake.
#[derive(Clone, Copy, Debug)]
pub enum Action<'m> {
    /// A number is taken: nothing that was begun for it or a later one can commit.
    RaiseBarrier(u64),
    /// A unit is committed: how its files were written, and what they add.
    Commit(&'m Manifest),
    /// A unit's objects are known, and not converted again; the ledger keeps their [`Manifest::entries`].
    AddObjects(&'m Manifest),
    /// A data file is there.
    AddFile(&'m DataFile),
    /// A data file is gone.
    RemoveFile(&'m GoneFile),
    /// Other files have the rows of a data file; it is not read any more.
    ReplaceFile(&'m DataFile),
    /// A unit keeps fingerprints of an event day (since 1970), in scopes of these bits.
    AddCopies {
        /// The event day.
        day: i32,
        /// The unit.
        unit: &'m UnitId,
        /// The bits of its scopes.
        scopes: u64,
    },
}

impl Manifest {
    /// Returns what the unit did to the lake.
    pub fn actions(&self) -> impl Iterator<Item = Action<'_>> {
        let number = self.unit.number;
        let commit = match &self.barrier {
            Some(_) => Action::RaiseBarrier(number),
            None => Action::Commit(self),
        };
        let files = self.files.iter().map(Action::AddFile);
        let copies = self.days.iter().map(|(day, copies)| Action::AddCopies {
            day: *day,
            unit: &self.unit,
            scopes: copies.scopes,
        });
        let replaced = self.replaced.iter().map(Action::ReplaceFile);
        [commit, Action::AddObjects(self)].into_iter().chain(files).chain(replaced).chain(copies)
    }

    /// Returns how members of an archive ended that have no rows, hidden ones included: then the archive is read again when they
    /// would be, and what it has rows of is dropped as copies. Where copies are kept it would be doubled,
    /// and is not read again.
    fn members_without_rows(&self, archive: &str) -> Option<WithoutRows> {
        if self.settings.as_ref().is_some_and(|settings| settings.duplicates == Duplicates::Keep) {
            return None;
        }
        // Members have no etag, and neither has what is wrong with the archive itself.
        let is_in = |object: &&ObjectRecord| {
            let rest = object.key.strip_prefix(archive).filter(|_| object.etag.is_empty());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("!/"))
        };
        let members = || self.objects.iter().filter(is_in);
        let has_bad = members().any(|o| matches!(o.outcome, ObjectOutcome::Quarantined(_)));
        let has_foreign = members().any(|o| matches!(o.outcome, ObjectOutcome::Ignored(_)))
            || self.members_hidden > 0;
        match (has_bad, has_foreign) {
            (true, true) => Some(WithoutRows::Both),
            (true, false) => Some(WithoutRows::Quarantined),
            (false, true) => Some(WithoutRows::Ignored),
            (false, false) => None,
        }
    }

    /// Returns the ledger's entries of the unit's objects.
    pub fn entries(&self) -> impl Iterator<Item = (Month, Entry)> {
        let judge = self.settings.as_ref().map_or_else(String::new, OutputSettings::judge);
        let named = self.objects.iter().filter(|object| !object.etag.is_empty());
        let named = named.map(move |object| {
            let layout = parse_layout(&object.key);
            let how = match &object.outcome {
                ObjectOutcome::Quarantined(_) => Some(WithoutRows::Quarantined),
                ObjectOutcome::Ignored(_) => Some(WithoutRows::Ignored),
                ObjectOutcome::Archive => self.members_without_rows(&object.key),
                ObjectOutcome::Converted => None,
            };
            let ObjectRecord { key, etag, .. } = object;
            let entry = match how {
                Some(how) => entry_without_rows(&layout, key, etag, how, &judge),
                None => entry(&layout, key, etag),
            };
            (month(&layout), entry)
        });
        let recovered = self.recovered.iter();
        named.chain(
            recovered
                .filter_map(|(month, digits)| from_digits(digits).map(|entry| (*month, entry))),
        )
    }
}

/// How the last committed unit was written: what the next one must go with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUnit {
    /// The unit.
    pub unit: UnitId,
    /// The settings that change output.
    pub settings: OutputSettings,
    /// The database that the lake's tables are in.
    pub database: String,
    /// The schema lock its files were written with.
    pub schema: LockName,
}

/// What lies in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionTotals {
    /// Rows.
    pub rows: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

impl PartitionTotals {
    /// Leaves out a file.
    fn remove(&mut self, file: &DataFile) {
        self.rows = self.rows.saturating_sub(file.rows);
        self.bytes = self.bytes.saturating_sub(file.bytes);
        self.files = self.files.saturating_sub(1);
    }
}

/// What a lake holds; see the module. Its objects are in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) last: Option<LastUnit>,
    pub(super) next: u64,
    pub(super) barrier: Option<u64>,
    /// By table and by the partition's path below it, what was ever added.
    pub(super) tables: BTreeMap<String, BTreeMap<String, PartitionTotals>>,
    /// Files in those sums that are gone.
    gone: Vec<GoneFile>,
    /// Where the files of partitions are that do not lie in their table's folder.
    pub(super) homes: Homes,
    pub(super) units_of_day: UnitsOfDay,
}

impl<'a> FromIterator<&'a Manifest> for Snapshot {
    fn from_iter<I: IntoIterator<Item = &'a Manifest>>(manifests: I) -> Self {
        let mut snapshot = Self::default();
        manifests.into_iter().flat_map(Manifest::actions).for_each(|action| snapshot.apply(action));
        snapshot
    }
}

impl Snapshot {
    /// Applies an action; those of units come in the order of their numbers.
    pub fn apply(&mut self, action: Action<'_>) {
        match action {
            Action::RaiseBarrier(number) => {
                self.next = number + 1;
                self.barrier = Some(number);
            }
            Action::Commit(manifest) => self.commit(manifest),
            // The ledger's: there are too many of them.
            Action::AddObjects(_) => {}
            Action::AddFile(file) => self.add_file(file),
            Action::RemoveFile(file) => self.gone.push(file.clone()),
            Action::ReplaceFile(file) => self.replace_file(file),
            Action::AddCopies { day, unit, scopes } => {
                self.units_of_day.entry(day).or_default().push((unit.clone(), scopes));
            }
        }
    }

    fn commit(&mut self, manifest: &Manifest) {
        self.next = manifest.unit.number + 1;
        let Some(settings) = &manifest.settings else { return };
        self.last = Some(LastUnit {
            unit: manifest.unit.clone(),
            settings: settings.clone(),
            database: manifest.database.clone(),
            schema: manifest.schema.clone(),
        });
    }

    fn add_file(&mut self, file: &DataFile) {
        let table = match self.tables.get_mut(&file.table) {
            Some(table) => table,
            None => self.tables.entry(file.table.clone()).or_default(),
        };
        let totals = match table.get_mut(&file.partition) {
            Some(totals) => totals,
            None => table.entry(file.partition.clone()).or_default(),
        };
        totals.rows += file.rows;
        totals.bytes += file.bytes;
        totals.files += 1;
        self.homes.note(file);
    }

    fn replace_file(&mut self, file: &DataFile) {
        let table = self.tables.get_mut(&file.table);
        if let Some(totals) = table.and_then(|table| table.get_mut(&file.partition)) {
            totals.remove(file);
        }
    }

    /// Applies the list of files that are gone, in place of what an earlier one said.
    pub fn replace_gone(&mut self, gone: &[GoneFile]) {
        self.gone.clear();
        gone.iter().for_each(|file| self.apply(Action::RemoveFile(file)));
    }

    /// Returns how the last unit was written; none in a new lake.
    pub fn last(&self) -> Option<&LastUnit> {
        self.last.as_ref()
    }

    /// Returns the number of the next manifest.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Returns the number of the last barrier, if there is one.
    pub fn barrier(&self) -> Option<u64> {
        self.barrier
    }

    /// Returns the names of the tables that have ever had a file, sorted.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = &String> {
        self.tables.keys()
    }

    /// Returns the units that keep fingerprints of records of a day, with the bits of their scopes.
    pub fn units_of_day(&self) -> &UnitsOfDay {
        &self.units_of_day
    }

    /// Returns what lies in a table's partitions, without the files that are gone; nothing for a table
    /// that the lake has not.
    pub fn partitions(&self, table: &str) -> Option<BTreeMap<String, PartitionTotals>> {
        let mut partitions = self.tables.get(table)?.clone();
        for file in self.gone.iter().map(|gone| &gone.file).filter(|file| file.table == table) {
            let Some(totals) = partitions.get_mut(&file.partition) else { continue };
            totals.remove(file);
        }
        partitions.retain(|_, totals| totals.files > 0);
        Some(partitions)
    }

    /// Returns where the files of partitions are.
    pub fn homes(&self) -> &Homes {
        &self.homes
    }

    /// Returns how many files are known to be lost, and how many records were in them.
    pub fn lost(&self) -> (u64, u64) {
        let lost = self.gone.iter().filter(|gone| gone.loss == Loss::Lost);
        lost.fold((0, 0), |(files, rows), gone| (files + 1, rows + gone.file.records()))
    }

    /// Returns the schema version of the last unit; 0 in a new lake.
    pub fn schema_version(&self) -> u32 {
        self.last.as_ref().map_or(0, |last| last.schema.version)
    }
}

/// Reads the schema lock that the last committed unit was written with; the seed for a new lake.
///
/// # Errors
/// `Damaged` when the version is absent or cannot be read.
pub async fn read_lock(storage: &Storage, lake: &Snapshot) -> Result<Lock> {
    match &lake.last {
        Some(last) => read_lock_version(storage, &last.schema).await,
        None => Lock::seed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::object_record::Tally;
    use crate::lake::unit::DayCopies;

    fn file(key: &str, partition: &str) -> DataFile {
        let (key, table, partition) = (key.into(), "t".into(), partition.into());
        DataFile { key, table, partition, rows: 10, bytes: 100, min_instant: 0, max_instant: 0 }
    }

    fn unit(number: u64) -> Manifest {
        let id = UnitId { number, identity: "0123456789abcdef".into() };
        let schema = LockName { version: number as u32, hash: "h".into() };
        let settings = OutputSettings::default();
        let object = ObjectRecord {
            key: format!("k{number}"),
            etag: "e".into(),
            bytes: 1,
            outcome: ObjectOutcome::Converted,
            tally: Tally::default(),
            integrity: None,
        };
        Manifest {
            objects: vec![object],
            files: vec![file("a", "p=1"), file("b", "p=2")],
            days: [(7, DayCopies { records: 1, scopes: 3 })].into(),
            ..Manifest::empty(id, Some(settings), "d".into(), schema)
        }
    }

    #[test]
    fn a_snapshot_is_what_its_actions_come_to() {
        let manifests = [unit(0), Manifest::barrier(1, Vec::new(), 9), unit(2)];

        let lake: Snapshot = manifests.iter().collect();

        assert_eq!((lake.next_number(), lake.barrier(), lake.schema_version()), (3, Some(1), 2));
        assert_eq!(lake.last().map(|last| last.unit.number), Some(2));
        let totals = PartitionTotals { rows: 20, bytes: 200, files: 2 };
        assert_eq!(lake.partitions("t").unwrap()["p=1"], totals);
        assert_eq!(lake.units_of_day()[&7].len(), 2);
        assert_eq!(manifests.each_ref().map(|manifest| manifest.entries().count()), [1, 0, 1]);
    }

    #[test]
    fn files_that_are_replaced_leave_the_sums_and_say_where_the_others_are() {
        let id = UnitId { number: 1, identity: "0123456789abcdef".into() };
        let moved = file(&format!("{}/x", crate::lake::names::generation("t", "p=1", &id)), "p=1");
        let compaction = Manifest::compaction(id, vec![file("a", "p=1")], vec![moved]);

        let lake: Snapshot = [unit(0), compaction].iter().collect();

        assert_eq!(lake.partitions("t"), [unit(0)].iter().collect::<Snapshot>().partitions("t"));
        assert_eq!((lake.next_number(), lake.schema_version()), (2, 0));
        let folder = "_trailmill/compacted/t/p=1/00000001-0123456789abcdef";
        assert_eq!(lake.homes().folder("t", "p=1"), folder);
        assert_eq!(lake.homes().folder("t", "p=2"), "t/p=2");
    }

    #[test]
    fn a_file_that_is_gone_leaves_the_sums_and_comes_back_with_the_next_list() {
        let mut lake: Snapshot = [unit(0)].iter().collect();
        let whole = lake.partitions("t").unwrap();
        let gone = GoneFile { file: file("a", "p=1"), loss: Loss::Lost };

        for _ in 0..2 {
            lake.replace_gone(std::slice::from_ref(&gone));
            assert_eq!(lake.partitions("t").unwrap().keys().collect::<Vec<_>>(), ["p=2"]);
            assert_eq!(lake.lost(), (1, 10));
        }
        lake.replace_gone(&[]);

        assert_eq!(lake.partitions("t").unwrap(), whole);
        assert_eq!(lake.lost(), (0, 0));
    }
}
