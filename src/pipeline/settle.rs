//! What segments settle in their turn: which rows are copies, and the schema.

use crate::columns::Values;
use crate::commit::{CopyIndex, Manifest, UnitId};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::finish::{Settled, copies_key};
use crate::pipeline::segment::Parsed;
use crate::pipeline::{ConvertOptions, Duplicates, SchemaMode};
use crate::schema::Lock;
use crate::storage::Storage;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;

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
        manifests: &[Manifest],
        options: &ConvertOptions,
        storage: &Storage,
        runtime: &Handle,
    ) -> Self {
        let mut units_of_day: BTreeMap<i32, Vec<UnitId>> = BTreeMap::new();
        for manifest in manifests {
            for day in manifest.days.keys() {
                units_of_day.entry(*day).or_default().push(manifest.unit.clone());
            }
        }
        Self {
            lock: Arc::new(lock),
            copies: CopyIndex::default(),
            units_of_day,
            new_fields: Vec::new(),
            options: options.clone(),
            storage: storage.clone(),
            runtime: runtime.clone(),
        }
    }

    /// Decides which rows stay, and merges what was seen into the lock.
    pub(crate) fn settle(&mut self, parsed: Parsed) -> Result<Settled> {
        let mut keep = Vec::new();
        let mut copies: BTreeMap<i32, Vec<u128>> = BTreeMap::new();
        for table in &parsed.tables {
            let mut kept = vec![true; table.rows.len()];
            for (row, kept) in table.rows.iter().zip(&mut kept) {
                let Some(fingerprint) = row.copy_of else { continue };
                let day = row.instant.div_euclid(DAY) as i32;
                if !self.copies.has_day(day) {
                    self.load_day(day)?;
                }
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

    fn load_day(&mut self, day: i32) -> Result<()> {
        self.copies.open_day(day);
        for unit in self.units_of_day.get(&day).into_iter().flatten() {
            let key = copies_key(unit);
            let bytes = self.runtime.block_on(self.storage.read(&key))?.ok_or_else(|| {
                Error::new(ErrorKind::Damaged, "fingerprints of a unit are gone").at("key", &key)
            })?;
            self.copies.load(day, &bytes)?;
        }
        Ok(())
    }

    fn merge(&mut self, parsed: &Parsed) {
        let mut lock = Lock::clone(&self.lock);
        let mut added = Vec::new();
        for table in &parsed.tables {
            for (spec, values) in table.specs.iter().zip(&table.values) {
                if let Values::Nested(tree) = values {
                    let seen = tree.observed(&parsed.source, &parsed.side);
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
