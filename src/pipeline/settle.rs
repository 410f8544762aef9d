//! What segments settle in their turn: which rows are copies, and the schema.

use crate::columns::Values;
use crate::commit::{CopyIndex, Summary, UnitId};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::finish::{Settled, copies_key};
use crate::pipeline::segment::Parsed;
use crate::pipeline::tasks::all;
use crate::pipeline::{ConvertOptions, Duplicates, SchemaMode};
use crate::schema::Lock;
use crate::storage::Storage;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// What segments settle in their turn.
pub(crate) struct Settle {
    lock: Arc<Lock>,
    copies: CopyIndex,
    /// Committed units that hold fingerprints of a day.
    units_of_day: BTreeMap<i32, Vec<UnitId>>,
    pub(crate) new_fields: Vec<String>,
    options: ConvertOptions,
    storage: Storage,
    runtime: Handle,
}

impl Settle {
    pub(crate) fn new(
        lock: Lock,
        known: &Summary,
        options: &ConvertOptions,
        storage: &Storage,
        runtime: &Handle,
    ) -> Self {
        Self {
            lock: Arc::new(lock),
            copies: CopyIndex::default(),
            units_of_day: known.units_of_day.clone(),
            new_fields: Vec::new(),
            options: options.clone(),
            storage: storage.clone(),
            runtime: runtime.clone(),
        }
    }

    /// Decides which rows stay, and merges what was seen into the lock.
    pub(crate) fn settle(&mut self, parsed: Parsed) -> Result<Settled> {
        self.load_days(&parsed)?;
        let mut keep = Vec::new();
        let mut copies: BTreeMap<i32, Vec<u128>> = BTreeMap::new();
        for table in &parsed.tables {
            let mut kept = vec![true; table.rows.len()];
            for (row, kept) in table.rows.iter().zip(&mut kept) {
                let Some(fingerprint) = row.copy_of else { continue };
                let day = day_of(row.instant);
                let is_new = self.copies.insert(day, fingerprint);
                *kept = is_new || self.options.duplicates == Duplicates::Keep;
                if is_new {
                    copies.entry(day).or_default().push(fingerprint);
                }
            }
            keep.push(kept);
        }
        if self.options.nested && self.options.schema == SchemaMode::Evolve {
            self.merge(&parsed);
        }
        Ok(Settled { parsed, keep, lock: Arc::clone(&self.lock), copies })
    }

    /// Loads the fingerprints of the event days that the rows touch, as far as they are not here.
    fn load_days(&mut self, parsed: &Parsed) -> Result<()> {
        let rows = parsed.tables.iter().flat_map(|table| &table.rows);
        let touched = rows.filter(|row| row.copy_of.is_some()).map(|row| day_of(row.instant));
        let days: BTreeSet<i32> = touched.filter(|day| !self.copies.has_day(*day)).collect();
        if days.is_empty() {
            return Ok(());
        }
        let units = |day: &i32| self.units_of_day.get(day).into_iter().flatten();
        let keys: BTreeSet<String> = days.iter().flat_map(units).map(copies_key).collect();
        for bytes in self.runtime.block_on(read_all(&self.storage, keys))? {
            for day in &days {
                self.copies.load(*day, &bytes)?;
            }
        }
        days.into_iter().for_each(|day| self.copies.open_day(day));
        Ok(())
    }

    fn merge(&mut self, parsed: &Parsed) {
        let mut lock = Lock::clone(&self.lock);
        let mut added = Vec::new();
        for table in &parsed.tables {
            for (spec, values) in table.specs.iter().zip(&table.values) {
                if let Values::Nested(tree) = values {
                    let seen = tree.observed(&parsed.texts);
                    added.extend(lock.merge(table.family, spec.name, &seen));
                }
            }
        }
        let mut same = lock.clone();
        same.version = self.lock.version;
        if same != *self.lock {
            lock.version += 1;
            self.new_fields.append(&mut added);
            self.lock = Arc::new(lock);
        }
    }
}

/// Days since 1970.
fn day_of(instant: i64) -> i32 {
    instant.div_euclid(DAY) as i32
}

/// Reads objects of the lake side by side.
async fn read_all(storage: &Storage, keys: BTreeSet<String>) -> Result<Vec<Bytes>> {
    let mut reads = JoinSet::new();
    for key in keys {
        let storage = storage.clone();
        reads.spawn(async move {
            storage.read(&key).await?.ok_or_else(|| {
                Error::new(ErrorKind::Damaged, "fingerprints of a unit are gone").at("key", &key)
            })
        });
    }
    all(reads).await
}
