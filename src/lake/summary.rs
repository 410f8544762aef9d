//! What the manifests of a lake say in sum: all that is needed of those that a checkpoint covers.

use crate::error::Result;
use crate::lake::gone::{GoneFile, Loss};
use crate::lake::lock::{LockName, read_lock_version};
use crate::lake::manifest::Manifest;
use crate::lake::settings::OutputSettings;
use crate::lake::unit::{UnitId, UnitsOfDay};
use crate::schema::Lock;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The settings of the last committed unit: what the next one must go with.
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

/// The sum over all manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The last unit; none in a new lake.
    pub last: Option<LastUnit>,
    /// The number of the next manifest.
    pub next: u64,
    /// The number of the last barrier, if there is one.
    pub barrier: Option<u64>,
    /// Whether any unit has the inferred columns.
    pub nested: bool,
    /// By table and by the partition's path below it, what lies there.
    pub tables: BTreeMap<String, BTreeMap<String, PartitionTotals>>,
    /// Files in those sums that are gone.
    pub gone: Vec<GoneFile>,
    /// By event day (since 1970), the units that keep fingerprints of records of the day, with the bits
    /// of the scopes they have.
    pub units_of_day: UnitsOfDay,
}

impl<'a> FromIterator<&'a Manifest> for Summary {
    fn from_iter<I: IntoIterator<Item = &'a Manifest>>(manifests: I) -> Self {
        let mut summary = Self::default();
        for manifest in manifests {
            summary.add(manifest);
        }
        summary
    }
}

impl Summary {
    /// Adds a unit; units come in the order of their numbers.
    pub fn add(&mut self, manifest: &Manifest) {
        self.next = manifest.unit.number + 1;
        if manifest.barrier.is_some() {
            self.barrier = Some(manifest.unit.number);
            return;
        }
        if let Some(settings) = &manifest.settings {
            self.nested |= settings.nested;
            self.last = Some(LastUnit {
                unit: manifest.unit.clone(),
                settings: settings.clone(),
                database: manifest.database.clone(),
                schema: manifest.schema.clone(),
            });
        }
        for file in &manifest.files {
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
        }
        for (day, copies) in &manifest.days {
            let units = self.units_of_day.entry(*day).or_default();
            units.push((manifest.unit.clone(), copies.scopes));
        }
    }

    /// Returns what lies in a table's partitions, without the files that are gone; nothing for a table
    /// that the lake has not.
    pub fn partitions(&self, table: &str) -> Option<BTreeMap<String, PartitionTotals>> {
        let mut partitions = self.tables.get(table)?.clone();
        for file in self.gone.iter().map(|gone| &gone.file).filter(|file| file.table == table) {
            let Some(totals) = partitions.get_mut(&file.partition) else { continue };
            totals.rows = totals.rows.saturating_sub(file.rows);
            totals.bytes = totals.bytes.saturating_sub(file.bytes);
            totals.files = totals.files.saturating_sub(1);
        }
        partitions.retain(|_, totals| totals.files > 0);
        Some(partitions)
    }

    /// Returns how many files are known to be lost, and their rows.
    pub fn lost(&self) -> (u64, u64) {
        let lost = self.gone.iter().filter(|gone| gone.loss == Loss::Lost);
        lost.fold((0, 0), |(files, rows), gone| (files + 1, rows + gone.file.rows))
    }

    /// Returns the number of the next manifest.
    pub fn next_number(&self) -> u64 {
        self.next
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
pub async fn read_lock(storage: &Storage, summary: &Summary) -> Result<Lock> {
    match &summary.last {
        Some(last) => read_lock_version(storage, &last.schema).await,
        None => Lock::seed(),
    }
}
