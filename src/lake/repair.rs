//! What is left of a lake that has lost manifests, and manifests made from it.
//!
//! Data files say whose they are by their names and what they hold by their footers. What nothing names
//! any more is the objects of a unit. Where a checkpoint or an intent has them, as entries of the ledger,
//! the new manifest keeps those; where none has, they are new to the next conversion.

use crate::error::{Error, ErrorKind, Result};
use crate::family::main_table;
use crate::keys::parse as parse_layout;
use crate::lake::checkpoint::Known;
use crate::lake::data_file::DataFile;
use crate::lake::document::pack;
use crate::lake::entry::{Entry, Month, entry, month, to_digits};
use crate::lake::gone::read_gone;
use crate::lake::intent::Intent;
use crate::lake::lock::{LockName, find_lock};
use crate::lake::manifest::Manifest;
use crate::lake::names::{self, Folder};
use crate::lake::object_record::Tally;
use crate::lake::replaced::live_files;
use crate::lake::settings::{Duplicates, OutputSettings};
use crate::lake::unit::{DayCopies, UnitId};
use crate::lake::whole;
use crate::storage::Storage;
use hashbrown::HashSet;
use std::collections::{BTreeMap, BTreeSet};

/// What is left of a lake, and which of its units have lost their manifests.
#[derive(Debug)]
pub struct Wreck {
    /// Numbers of units whose manifest is missing or cannot be read.
    pub lost: BTreeSet<u64>,
    manifests: BTreeMap<u64, Manifest>,
    checkpoint: Option<Known>,
    intents: Vec<Intent>,
    /// The ledger's entries of objects that no manifest names; nothing without a ledger.
    unnamed: Option<HashSet<(Month, Entry)>>,
}

/// What could be found of a unit that has lost its manifest.
#[derive(Clone, Debug, Default)]
pub struct Remains {
    /// Its number and identity.
    pub identity: String,
    /// Its files.
    pub files: Vec<DataFile>,
    /// Its fingerprints by event day.
    pub days: BTreeMap<i32, DayCopies>,
    /// The version of the schema lock that its files were written with; 0 without files.
    pub schema_version: u32,
}

impl Remains {
    /// Whether anything at all was found.
    fn is_nothing(&self) -> bool {
        self.files.is_empty() && self.days.is_empty()
    }
}

impl Wreck {
    /// Looks at a lake; nobody else may be writing to it.
    ///
    /// # Errors
    /// `Config` for a lake of a later version; `Unavailable`, `Denied`, `Io`.
    pub async fn find(storage: &Storage) -> Result<Self> {
        let end = whole::end_of_checkpoint(storage).await?;
        let mut lost = whole::missing(storage, end).await?;
        let mut manifests = BTreeMap::new();
        for listed in storage.list(&Folder::Manifests.path()).await? {
            let Some(number) = Folder::Manifests.number_of(&listed.key) else { continue };
            match Manifest::read(storage, &listed.key).await {
                Ok(manifest) => drop(manifests.insert(number, manifest)),
                Err(err) if err.kind() == ErrorKind::Damaged => drop(lost.insert(number)),
                Err(err) => return Err(err),
            }
        }
        let checkpoint = Known::read_checkpoint(storage).await?;
        let mut unnamed = match &checkpoint {
            Some(known) => known.read_ledger(storage).await.ok(),
            None => None,
        };
        if let Some(unnamed) = &mut unnamed {
            for entry in manifests.values().flat_map(Manifest::entries) {
                unnamed.remove(&entry);
            }
        }
        let intents = Intent::read_all(storage).await?;
        Ok(Self { lost, manifests, checkpoint, intents, unnamed })
    }

    /// Returns the tables that manifests and checkpoint name.
    pub fn tables(&self) -> BTreeSet<String> {
        let files = self.manifests.values().flat_map(|manifest| &manifest.files);
        let tables = self.checkpoint.iter().flat_map(|known| known.snapshot.tables.keys());
        files.map(|file| file.table.clone()).chain(tables.cloned()).collect()
    }

    /// Returns the intent of a unit, if it is still there.
    fn intent(&self, number: u64) -> Option<&Intent> {
        let mut intents = self.intents.iter();
        intents.find(|intent| intent.unit.number == number && !intent.objects.is_empty())
    }

    /// Returns the identity that a unit's intent gives it.
    pub fn announced_identity(&self, number: u64) -> Option<&str> {
        self.intent(number).map(|intent| &*intent.unit.identity)
    }

    /// Returns whether the ledger or an intent has the objects of a unit, so that they are not converted
    /// anew.
    pub fn has_objects(&self, number: u64) -> bool {
        let is_covered =
            self.checkpoint.as_ref().is_some_and(|known| number < known.snapshot.next_number());
        self.intent(number).is_some() || (is_covered && self.unnamed.is_some())
    }

    /// Returns whether the units beside it dropped copies: what is converted anew is then found to be
    /// copies.
    pub fn drops_copies(&self, number: u64) -> bool {
        let beside = self.beside(number);
        beside.is_some_and(|(settings, ..)| settings.duplicates == Duplicates::Drop)
    }

    /// What the nearest unit's manifest says of how it was written: settings, database, schema.
    fn beside(&self, number: u64) -> Option<(&OutputSettings, &String, &LockName)> {
        let before = self.manifests.range(..number).rev().map(|(_, manifest)| manifest);
        let after = self.manifests.range(number..).map(|(_, manifest)| manifest);
        let mut nearest = before.chain(after);
        nearest.find_map(|manifest| {
            Some((manifest.settings.as_ref()?, &manifest.database, &manifest.schema))
        })
    }

    /// Writes the manifest of a unit; returns how many objects it keeps as entries of the ledger.
    ///
    /// # Errors
    /// `Damaged` when nothing says how the lake was written; `Unavailable`, `Denied`, `Io`.
    pub async fn put(&mut self, storage: &Storage, number: u64, remains: Remains) -> Result<u64> {
        let mut manifest = self.begin(storage, number, &remains).await?;
        let mut found: Vec<(Month, Entry)> = match self.intent(number) {
            Some(intent) => intent.objects.iter().map(|(key, etag)| of_object(key, etag)).collect(),
            None => Vec::new(),
        };
        if let Some(unnamed) = &mut self.unnamed {
            unnamed.retain(|entry| !found.contains(entry));
        }
        if found.is_empty() && self.has_objects(number) {
            // Which unit had which of them no longer matters.
            found.extend(self.unnamed.iter_mut().flat_map(HashSet::drain));
        }
        found.sort_unstable();
        manifest.recovered =
            found.iter().map(|(month, entry)| (*month, to_digits(entry))).collect();
        let rows = remains.files.iter().map(DataFile::records).sum();
        manifest.tally = Tally { read: rows, written: rows, ..Tally::default() };
        manifest.files = remains.files;
        manifest.days = remains.days;
        storage.put_over(&names::manifest(number), pack(&manifest)?).await?;
        self.manifests.insert(number, manifest);
        self.lost.remove(&number);
        Ok(found.len() as u64)
    }

    /// Puts back the manifest of a compaction from its copy, if there is one.
    ///
    /// # Errors
    /// `Config` for a copy of a later version; `Unavailable`, `Denied`, `Io`.
    pub async fn put_copy(&mut self, storage: &Storage, number: u64) -> Result<Option<&Manifest>> {
        let Some(manifest) = Manifest::read_copy(storage, number).await? else { return Ok(None) };
        storage.put_over(&names::manifest(number), pack(&manifest)?).await?;
        self.lost.remove(&number);
        Ok(Some(self.manifests.entry(number).or_insert(manifest)))
    }

    /// Begins a unit's manifest with what the ones beside it say. A number of which nothing is left may
    /// have been a barrier's, and a barrier is as good as a unit without files.
    async fn begin(&self, storage: &Storage, number: u64, remains: &Remains) -> Result<Manifest> {
        let unit = UnitId { number, identity: remains.identity.clone() };
        let last = self.checkpoint.as_ref().and_then(|known| known.snapshot.last.as_ref());
        let itself = last.filter(|last| last.unit.number == number);
        if remains.is_nothing() && itself.is_none() && self.intent(number).is_none() {
            return Ok(Manifest::barrier(number, Vec::new(), number));
        }
        let of_last = last.map(|last| (&last.settings, &last.database, &last.schema));
        let Some((settings, database, schema)) = self.beside(number).or(of_last) else {
            let message = "cannot tell how the lake was written: it has neither manifests nor a \
                           checkpoint; put them back from a backup, or convert into a new lake";
            return Err(Error::new(ErrorKind::Damaged, message));
        };
        let schema = match itself {
            Some(itself) => itself.schema.clone(),
            // Later files have names of their own in it: none may be taken back.
            None if remains.schema_version > schema.version => {
                find_lock(storage, remains.schema_version).await?
            }
            None => schema.clone(),
        };
        Ok(Manifest::empty(unit, Some(settings.clone()), database.clone(), schema))
    }

    /// Writes a checkpoint of all manifests; returns the files and rows that the last one had beyond
    /// them: of lost units, and lost themselves.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn end(self, storage: &Storage) -> Result<(u64, u64)> {
        let mut known = Known::default();
        self.manifests.values().for_each(|manifest| known.add(manifest));
        known.snapshot.replace_gone(&read_gone(storage).await?);
        known.write_checkpoint(storage).await?;
        known.sweep(storage).await?;
        let Some(before) = self.checkpoint else { return Ok((0, 0)) };
        let covered = before.snapshot.next_number();
        let manifests = self.manifests.into_values();
        let covered: Vec<Manifest> =
            manifests.take_while(|manifest| manifest.unit.number < covered).collect();
        let (count, rows) = live_files(&covered)
            .fold((0, 0), |(count, rows), file| (count + 1, rows + file.records()));
        let tables = || before.snapshot.tables.iter();
        let all = tables().flat_map(|(_, partitions)| partitions.values());
        let records = tables().filter(|(table, _)| main_table(table) == **table);
        let records = records.flat_map(|(_, partitions)| partitions.values());
        let had = (all.map(|t| t.files).sum::<u64>(), records.map(|t| t.rows).sum::<u64>());
        Ok((had.0.saturating_sub(count), had.1.saturating_sub(rows)))
    }
}

fn of_object(key: &str, etag: &str) -> (Month, Entry) {
    let layout = parse_layout(key);
    (month(&layout), entry(&layout, key, etag))
}
