//! Checkpoints: what many manifests say, in a form that need not be read whole.
//!
//! A manifest names every object of its unit, so that reading all of them grows with the lake. A
//! checkpoint holds the ledger in parts, the sums that the catalog needs, and which units hold
//! fingerprints of which day; a run reads the newest one and the manifests after it.
//!
//! Parts are written first; their names are hashes of their contents, so that one that is there is
//! right, and what has not changed is not written again. When they are durable, the document that
//! names them is put if-absent, under the number of the last manifest it covers. Older documents and parts
//! that no document names are removed after that. A crash leaves parts that nobody names, or an older
//! document too many; the next checkpoint removes them. The manifests stay: they are the truth, and a
//! lake without checkpoints works. The same manifests make the same checkpoint, whatever the history.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::document::{pack, pack_named, unpack, unpack_named};
use crate::lake::entry::{ENTRY, Entry, Month, group};
use crate::lake::gone::read_gone;
use crate::lake::homes::Homes;
use crate::lake::ledger::Ledger;
use crate::lake::manifest::Manifest;
use crate::lake::names::{self, Folder};
use crate::lake::part::{Cut, Part, damaged};
use crate::lake::rebuild::read_part;
use crate::lake::settings::OutputSettings;
use crate::lake::snapshot::{Action, LastUnit, PartitionTotals, Snapshot};
use crate::lake::unit::UnitsOfDay;
use crate::lake::whole;
use crate::notice::tell;
use crate::storage::Storage;
use crate::units::Day;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Documents and parts that are read or written side by side.
const AT_ONCE: usize = 16;

/// Objects or units after which a checkpoint is due in the middle of a run: 12 MB of entries, and a
/// few hundred manifests for the next run to read if this one is killed.
const OBJECTS_DUE: usize = 1_000_000;
const UNITS_DUE: usize = 500;

/// Partitions whose sums lie in one file.
const TOTALS_PER_FILE: usize = 20_000;

/// What a checkpoint's document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    /// The number of the first manifest that it does not cover.
    next_number: u64,
    /// The last barrier among those that it covers.
    barrier: Option<u64>,
    last: LastUnit,
    bits: u8,
    parts: Vec<Part>,
    /// Keys of the files with sums by partition.
    totals: Vec<String>,
    /// Keys of the files with the units of each day.
    days: Vec<String>,
    /// Partitions that do not lie in their table's folder.
    #[serde(default, skip_serializing_if = "Homes::is_empty")]
    homes: Homes,
}

impl Document {
    fn key(&self) -> String {
        names::checkpoint(self.next_number)
    }

    fn files(&self) -> impl Iterator<Item = String> {
        let parts = self.parts.iter().map(Part::key);
        parts.chain(self.totals.iter().cloned()).chain(self.days.iter().cloned())
    }
}

/// Sums by table and partition, as a file holds them: rows, bytes, files.
type TotalsFile = BTreeMap<String, BTreeMap<String, [u64; 3]>>;
/// Units by event day, as a file holds them.
type DaysFile = UnitsOfDay;

/// What is known of a lake: its newest checkpoint, and the manifests after it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What all manifests come to.
    pub snapshot: Snapshot,
    base: Option<Document>,
    /// Entries of manifests that no checkpoint covers, by month.
    recent: HashMap<Month, Vec<Entry>>,
    recent_objects: usize,
    recent_units: usize,
}

impl Known {
    /// Reads a lake's newest checkpoint and the manifests after it; all manifests where the checkpoint
    /// is damaged, so that the next one is written anew.
    ///
    /// # Errors
    /// `Damaged` for a manifest that is missing or cannot be read, `Config` for a checkpoint of a later
    /// version; `Unavailable`, `Denied`, `Io`.
    pub async fn read(storage: &Storage) -> Result<Self> {
        let mut known = Self::default();
        let mut newest = newest_checkpoint(storage).await?;
        let mut end = 0;
        while let Some(key) = newest {
            let Err(err) = known.read_base(storage, &key).await else { break };
            known = Self::default();
            // A run may have replaced it meanwhile.
            newest = newest_checkpoint(storage).await?;
            if newest.as_ref() == Some(&key) {
                end = tell_damaged(storage, &key, err).await?;
                break;
            }
        }
        let tail = whole::manifests(storage, known.snapshot.next_number(), end).await?;
        let mut manifests = stream::iter(tail)
            .map(|listed| async move { Manifest::read(storage, &listed.key).await })
            .buffered(AT_ONCE);
        while let Some(manifest) = manifests.try_next().await? {
            known.add(&manifest);
        }
        known.snapshot.replace_gone(&read_gone(storage).await?);
        Ok(known)
    }

    /// Reads which units hold fingerprints of which day and where partitions are, as the newest checkpoint
    /// says: all that a child of a plan needs of a lake, which was checkpointed when the plan was made.
    ///
    /// # Errors
    /// As [`Known::read`].
    pub async fn read_for_child(storage: &Storage) -> Result<(UnitsOfDay, Homes)> {
        let mut newest = newest_checkpoint(storage).await?;
        while let Some(key) = newest {
            let err = match Self::read_days(storage, &key).await {
                Ok(found) => return Ok(found),
                Err(err) => err,
            };
            // The end of the plan may have replaced it meanwhile.
            newest = newest_checkpoint(storage).await?;
            if newest.as_ref() == Some(&key) {
                tell_damaged(storage, &key, err).await?;
                let Snapshot { units_of_day, homes, .. } = Self::read(storage).await?.snapshot;
                return Ok((units_of_day, homes));
            }
        }
        Ok(Default::default())
    }

    /// Returns the settings of the last unit that the newest checkpoint covers: enough for what all units
    /// of a lake have in common. None where there is no checkpoint, or it is damaged.
    ///
    /// # Errors
    /// `Config` for a checkpoint of a later version; `Unavailable`, `Denied`, `Io`.
    pub async fn read_settings(storage: &Storage) -> Result<Option<OutputSettings>> {
        let Some(key) = newest_checkpoint(storage).await? else { return Ok(None) };
        match read_base_document(storage, &key).await {
            Ok(document) => Ok(Some(document.last.settings)),
            Err(err) if err.kind() == ErrorKind::Damaged => Ok(None),
            Err(err) => Err(err),
        }
    }

    async fn read_days(storage: &Storage, key: &str) -> Result<(UnitsOfDay, Homes)> {
        let document = read_base_document(storage, key).await?;
        let days: Vec<DaysFile> = read_documents(storage, &document.days).await?;
        Ok((days.into_iter().flatten().collect(), document.homes))
    }

    async fn read_base(&mut self, storage: &Storage, key: &str) -> Result<()> {
        let document = read_base_document(storage, key).await?;
        let totals: Vec<TotalsFile> = read_documents(storage, &document.totals).await?;
        for (table, partitions) in totals.into_iter().flatten() {
            let partitions = partitions.into_iter().map(|(partition, [rows, bytes, files])| {
                (partition, PartitionTotals { rows, bytes, files })
            });
            self.snapshot.tables.entry(table).or_default().extend(partitions);
        }
        let days: Vec<DaysFile> = read_documents(storage, &document.days).await?;
        self.snapshot.units_of_day.extend(days.into_iter().flatten());
        self.snapshot.last = Some(document.last.clone());
        self.snapshot.next = document.next_number;
        self.snapshot.barrier = document.barrier;
        self.snapshot.homes = document.homes.clone();
        self.base = Some(document);
        Ok(())
    }

    /// Adds a unit that was committed; units come in the order of their numbers.
    pub fn add(&mut self, manifest: &Manifest) {
        self.recent_units += 1;
        manifest.actions().for_each(|action| self.apply(action));
    }

    /// Applies an action: objects to the ledger, everything else to the snapshot.
    fn apply(&mut self, action: Action<'_>) {
        let Action::AddObjects(manifest) = action else { return self.snapshot.apply(action) };
        for (month, entry) in manifest.entries() {
            self.recent.entry(month).or_default().push(entry);
            self.recent_objects += 1;
        }
    }

    /// Returns the ledger, which keeps at most about this many bytes of it in memory.
    pub fn ledger(&self, storage: &Storage, most_bytes: u64) -> Ledger {
        let recent: HashSet<Entry> = self.recent.values().flatten().copied().collect();
        let parts = self.base.as_ref().map_or(&[][..], |base| &base.parts);
        Ledger::new(storage, self.cut(), parts, recent, most_bytes)
    }

    /// Returns what the checkpoint's parts sum up.
    fn cut(&self) -> Cut {
        let cut = |base: &Document| Cut { bits: base.bits, end: base.next_number };
        self.base.as_ref().map(cut).unwrap_or_default()
    }

    /// Reads the ledger of the checkpoint, all of it.
    ///
    /// # Errors
    /// `Damaged` when a part is, and manifests do not come to it; `Unavailable`, `Denied`, `Io`.
    pub(super) async fn read_ledger(&self, storage: &Storage) -> Result<HashSet<(Month, Entry)>> {
        let mut all = HashSet::new();
        for part in self.base.iter().flat_map(|base| &base.parts) {
            let bytes = storage.read(&part.key()).await?.unwrap_or_default();
            if !part.is(&bytes) {
                return Err(damaged(&part.key()));
            }
            all.extend(bytes.as_chunks::<ENTRY>().0.iter().map(|entry| (part.month, *entry)));
        }
        Ok(all)
    }

    /// Returns what the newest checkpoint alone says, if there is one and it can be read.
    ///
    /// # Errors
    /// `Config` for a checkpoint of a later version; `Unavailable`, `Denied`, `Io`.
    pub(super) async fn read_checkpoint(storage: &Storage) -> Result<Option<Self>> {
        let mut known = Self::default();
        let Some(key) = newest_checkpoint(storage).await? else { return Ok(None) };
        match known.read_base(storage, &key).await {
            Ok(()) => Ok(Some(known)),
            Err(err) => tell_damaged(storage, &key, err).await.map(|_| None),
        }
    }

    /// Returns the bytes of the ledger that a checkpoint holds.
    pub fn ledger_bytes(&self) -> u64 {
        let parts = self.base.iter().flat_map(|base| &base.parts);
        parts.map(|part| part.objects * ENTRY as u64).sum()
    }

    /// Returns whether manifests have come since the checkpoint.
    pub fn has_recent(&self) -> bool {
        self.recent_units > 0
    }

    /// Returns how many manifests have come since the checkpoint.
    pub fn recent_units(&self) -> usize {
        self.recent_units
    }

    /// Returns whether so many have come that a run should not wait for its end.
    pub fn is_checkpoint_due(&self) -> bool {
        self.recent_objects >= OBJECTS_DUE || self.recent_units >= UNITS_DUE
    }

    /// Writes a checkpoint of everything that is known. What it replaces stays until [`Known::sweep`],
    /// since a listing may still be reading it.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`; `Damaged` when a part is not what was written.
    pub async fn write_checkpoint(&mut self, storage: &Storage) -> Result<()> {
        let Some(last) = self.snapshot.last.clone() else { return Ok(()) };
        let (bits, parts) = self.write_parts(storage).await?;
        let totals = self.totals_files();
        let days = self.days_files();
        let document = Document {
            next_number: self.snapshot.next,
            barrier: self.snapshot.barrier,
            last,
            bits,
            parts,
            totals: self.write_files(storage, "totals", &totals).await?,
            days: self.write_files(storage, "days", &days).await?,
            homes: self.snapshot.homes.clone(),
        };
        storage.sync()?;
        storage.put_over(&document.key(), pack(&document)?).await?;
        self.base = Some(document);
        self.recent = HashMap::new();
        (self.recent_objects, self.recent_units) = (0, 0);
        Ok(())
    }

    /// Writes the parts that are new or have changed; returns all of them.
    async fn write_parts(&mut self, storage: &Storage) -> Result<(u8, Vec<Part>)> {
        let base = self.base.as_ref();
        let old = base.map_or(&[][..], |base| &base.parts);
        let cut = self.cut();
        let old_bits = cut.bits;
        let objects = old.iter().map(|part| part.objects).sum::<u64>() + self.recent_objects as u64;
        let bits = bits_for(objects).max(old_bits);
        let mut fresh: BTreeMap<(Month, u8), Vec<Entry>> = BTreeMap::new();
        for (month, entries) in &self.recent {
            for entry in entries {
                fresh.entry((*month, group(entry[0], bits))).or_default().push(*entry);
            }
        }
        let mut kept = Vec::new();
        // Parts that are cut anew or get new entries, by the old part they come from.
        let mut changed: BTreeMap<(Month, u8), (Option<Part>, Vec<Entry>)> = BTreeMap::new();
        for part in old {
            let place = (part.month, part.group);
            if bits != old_bits || fresh.contains_key(&place) {
                changed.insert(place, (Some(part.clone()), Vec::new()));
            } else {
                kept.push(part.clone());
            }
        }
        for ((month, new_group), entries) in fresh {
            let old_group = new_group >> (bits - old_bits);
            changed.entry((month, old_group)).or_default().1.extend(entries);
        }
        let mut written = stream::iter(changed)
            .map(|((month, _), (old, fresh))| write_merged(storage, month, bits, (old, cut), fresh))
            .buffer_unordered(AT_ONCE);
        while let Some(parts) = written.try_next().await? {
            kept.extend(parts);
        }
        drop(written);
        kept.sort();
        Ok((bits, kept))
    }

    /// The sums by partition, in as many files as they need.
    fn totals_files(&self) -> BTreeMap<String, TotalsFile> {
        let count: usize = self.snapshot.tables.values().map(BTreeMap::len).sum();
        let files = (count / TOTALS_PER_FILE + 1).next_power_of_two() as u64;
        let mut out: BTreeMap<String, TotalsFile> = BTreeMap::new();
        for (table, partitions) in &self.snapshot.tables {
            for (partition, totals) in partitions {
                // What is converted together lies in few files: only those are written again.
                let first = partition.split('/').next().unwrap_or_default();
                let file = xxh3_64(first.as_bytes()) % files;
                let PartitionTotals { rows, bytes, files } = *totals;
                let file = out.entry(format!("{file:04x}")).or_default();
                file.entry(table.clone())
                    .or_default()
                    .insert(partition.clone(), [rows, bytes, files]);
            }
        }
        out
    }

    /// The units of each day, a file for each month.
    fn days_files(&self) -> BTreeMap<String, DaysFile> {
        let mut out: BTreeMap<String, DaysFile> = BTreeMap::new();
        for (day, units) in &self.snapshot.units_of_day {
            let (year, month, _) = Day(*day).civil();
            let file = out.entry(format!("{year:04}-{month:02}")).or_default();
            file.insert(*day, units.clone());
        }
        out
    }

    /// Writes files that the last checkpoint does not have; returns the keys of all of them.
    async fn write_files<T: Serialize>(
        &self,
        storage: &Storage,
        what: &str,
        files: &BTreeMap<String, T>,
    ) -> Result<Vec<String>> {
        let there: BTreeSet<String> = self.base.iter().flat_map(Document::files).collect();
        let mut keys = Vec::new();
        let mut puts = Vec::new();
        for (name, file) in files {
            let bytes = pack_named(file)?;
            let key = names::ledger_sums(what, name, xxh3_128(&bytes));
            keys.push(key.clone());
            if !there.contains(&key) {
                puts.push((key, bytes));
            }
        }
        stream::iter(puts)
            .map(|(key, bytes)| async move { storage.put_hashed(&key, bytes).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(keys)
    }

    /// Removes what the newest checkpoint does not name; nobody else may be reading the ledger.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn sweep(&self, storage: &Storage) -> Result<()> {
        let Some(base) = &self.base else { return Ok(()) };
        let mut named: HashSet<String> = base.files().collect();
        named.insert(base.key());
        let mut there = storage.list(&Folder::Checkpoints.path()).await?;
        there.extend(storage.list(&Folder::Ledger.path()).await?);
        there.retain(|listed| !named.contains(&listed.key));
        if there.is_empty() {
            return Ok(());
        }
        // What is listed here was written before this, by nobody but this run and those before it.
        storage.confirm_now().await?;
        // Documents first: none may ever name what is gone.
        storage.sync()?;
        let (documents, files): (Vec<_>, Vec<_>) =
            there.into_iter().partition(|listed| names::is_checkpoint(&listed.key));
        for stale in [documents, files] {
            stream::iter(stale)
                .map(|listed| async move { storage.delete(&listed.key).await })
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }
}

/// Bits of the slots by which parts are told apart: a part of a month holds 100,000 entries or so.
fn bits_for(objects: u64) -> u8 {
    match objects {
        0..=262_144 => 0,
        262_145..=4_194_304 => 4,
        _ => 8,
    }
}

/// Merges new entries with a part's, and writes the parts that come of it.
async fn write_merged(
    storage: &Storage,
    month: Month,
    bits: u8,
    (old, cut): (Option<Part>, Cut),
    fresh: Vec<Entry>,
) -> Result<Vec<Part>> {
    let mut entries = fresh;
    if let Some(old) = &old {
        let bytes = read_part(storage, old, cut).await?;
        entries.extend_from_slice(bytes.as_chunks::<ENTRY>().0);
    }
    entries.sort_unstable();
    entries.dedup();
    let mut out = Vec::new();
    for entries in entries.chunk_by(|a, b| group(a[0], bits) == group(b[0], bits)) {
        let bytes = Bytes::copy_from_slice(entries.as_flattened());
        let part = Part {
            month,
            group: group(entries[0][0], bits),
            objects: entries.len() as u64,
            hash: format!("{:032x}", xxh3_128(&bytes)),
        };
        if old.as_ref() != Some(&part) {
            storage.put_hashed(&part.key(), bytes).await?;
        }
        out.push(part);
    }
    Ok(out)
}

/// Says that a checkpoint is left out because it is damaged; returns the number after the last unit that
/// it covers, by its name.
async fn tell_damaged(storage: &Storage, key: &str, err: Error) -> Result<u64> {
    if err.kind() != ErrorKind::Damaged {
        return Err(err);
    }
    tell(&format!(
        "ignoring the damaged checkpoint {key}: all manifests are read instead, and the next \
         conversion rebuilds it"
    ));
    whole::end_of_checkpoint(storage).await
}

async fn newest_checkpoint(storage: &Storage) -> Result<Option<String>> {
    let listed = storage.list(&Folder::Checkpoints.path()).await?;
    Ok(listed.into_iter().next_back().map(|listed| listed.key))
}

async fn read_base_document(storage: &Storage, key: &str) -> Result<Document> {
    let bytes = storage.read(key).await?.ok_or_else(|| damaged(key))?;
    unpack(key, &bytes).map_err(|err| match err.kind() {
        ErrorKind::Config => err,
        _ => damaged(key).because(err),
    })
}

/// Reads files that are named by a hash of their bytes.
async fn read_documents<T: serde::de::DeserializeOwned>(
    storage: &Storage,
    keys: &[String],
) -> Result<Vec<T>> {
    let read = |key: String| async move {
        let bytes = storage.read(&key).await?.ok_or_else(|| damaged(&key))?;
        if !names::has_hash(&key, xxh3_128(&bytes)) {
            return Err(damaged(&key));
        }
        unpack_named(&key, &bytes).map_err(|err| damaged(&key).because(err))
    };
    stream::iter(keys.to_vec()).map(read).buffered(AT_ONCE).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::parse as parse_layout;
    use crate::lake::data_file::DataFile;
    use crate::lake::entry::{entry, month};
    use crate::lake::lock::LockName;
    use crate::lake::object_record::{ObjectOutcome, ObjectRecord, Tally};
    use crate::lake::settings::OutputSettings;
    use crate::lake::unit::{DayCopies, UnitId};

    fn key(number: u64) -> String {
        let (account, month) = (100_000_000_000 + number % 40, number % 3 + 1);
        format!("AWSLogs/{account}/CloudTrail/eu-west-1/2024/0{month}/01/{number}.json.gz")
    }

    fn manifest(number: u64, objects: std::ops::Range<u64>) -> Manifest {
        let tally = Tally::default();
        let unit = UnitId { number, identity: format!("{number:016x}") };
        let schema = LockName { version: 1, hash: "h".into() };
        Manifest {
            objects: objects
                .map(|number| ObjectRecord {
                    key: key(number),
                    etag: "e".into(),
                    bytes: 1,
                    outcome: ObjectOutcome::Converted,
                    tally,
                    integrity: None,
                })
                .collect(),
            files: vec![DataFile {
                key: format!("t/region=r{}/f{number}", number % 5),
                table: "t".into(),
                partition: format!("region=r{}", number % 5),
                rows: 10,
                bytes: 100,
                min_instant: 0,
                max_instant: 0,
            }],
            days: [(19_800 + number as i32 % 70, DayCopies { records: 1, scopes: 1 })].into(),
            ..Manifest::empty(unit, Some(OutputSettings::default()), "d".into(), schema)
        }
    }

    async fn holds(ledger: &mut Ledger, number: u64) -> bool {
        let (key, layout) = (key(number), parse_layout(&key(number)));
        ledger.contains(month(&layout), &entry(&layout, &key, "e")).await.unwrap()
    }

    async fn files(storage: &Storage) -> Vec<String> {
        let mut all = storage.list(&Folder::Ledger.path()).await.unwrap();
        all.extend(storage.list(&Folder::Checkpoints.path()).await.unwrap());
        all.into_iter().map(|listed| listed.key).collect()
    }

    fn lake() -> (tempfile::TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        (folder, storage)
    }

    #[tokio::test]
    async fn a_checkpoint_says_what_its_manifests_say() {
        let (_folder, storage) = lake();
        let mut known = Known::default();
        for number in 0..30 {
            let manifest = manifest(number, number * 100..number * 100 + 100);
            manifest.write(&storage).await.unwrap();
            known.add(&manifest);
        }
        let plain = Known::read(&storage).await.unwrap();
        assert_eq!(plain.snapshot, known.snapshot);
        known.write_checkpoint(&storage).await.unwrap();

        let read = Known::read(&storage).await.unwrap();

        assert_eq!(read.snapshot, known.snapshot);
        assert!(!read.has_recent() && plain.has_recent());
        for known in [plain, read] {
            let mut ledger = known.ledger(&storage, 1 << 20);
            for number in (0..3000).step_by(7) {
                assert!(holds(&mut ledger, number).await);
            }
            assert!(!holds(&mut ledger, 3000).await);
        }
    }

    #[tokio::test]
    async fn the_same_manifests_make_the_same_checkpoint_whatever_the_history() {
        let (_one, once) = lake();
        let (_two, often) = lake();
        let (mut a, mut b) = (Known::default(), Known::default());
        for number in 0..40 {
            let manifest = manifest(number, number * 50..number * 50 + 50);
            a.add(&manifest);
            b.add(&manifest);
            if number % 7 == 0 {
                b.write_checkpoint(&often).await.unwrap();
            }
        }
        a.write_checkpoint(&once).await.unwrap();
        b.write_checkpoint(&often).await.unwrap();
        assert!(files(&often).await.len() > files(&once).await.len());
        // What a crash leaves between parts and document.
        often.put_once("_trailmill/ledger/2024-01-00-0.bin", "garbage").await.unwrap();

        b.sweep(&often).await.unwrap();

        assert_eq!(files(&once).await, files(&often).await);
        for key in files(&once).await {
            assert_eq!(once.read(&key).await.unwrap(), often.read(&key).await.unwrap(), "{key}");
        }
    }

    #[tokio::test]
    async fn a_ledger_that_grows_is_cut_finer_and_read_within_its_bound() {
        let (_folder, storage) = lake();
        let mut known = Known::default();
        known.add(&manifest(0, 0..1000));
        known.write_checkpoint(&storage).await.unwrap();
        known.add(&manifest(1, 1000..300_000));
        known.write_checkpoint(&storage).await.unwrap();
        known.sweep(&storage).await.unwrap();
        let base = known.base.as_ref().unwrap();
        assert_eq!(base.bits, 4);
        assert_eq!(base.parts.iter().map(|part| part.objects).sum::<u64>(), 300_000);

        let known = Known::read(&storage).await.unwrap();
        let most = known.ledger_bytes() / 8;
        let mut ledger = known.ledger(&storage, most);
        let mut numbers: Vec<u64> = (0..300_000).step_by(101).collect();
        numbers.sort_by_key(|number| parse_layout(&key(*number)).slot());
        for number in numbers {
            assert!(holds(&mut ledger, number).await);
            assert!(ledger.loaded_bytes() <= most, "{} bytes", ledger.loaded_bytes());
        }
        assert!(!holds(&mut ledger, 300_000).await);
    }

    #[tokio::test]
    async fn a_damaged_part_is_made_again_from_the_manifests_or_refused() {
        let (folder, storage) = lake();
        let mut known = Known::default();
        for number in 0..3 {
            let manifest = manifest(number, number * 10..number * 10 + 10);
            manifest.write(&storage).await.unwrap();
            known.add(&manifest);
        }
        known.write_checkpoint(&storage).await.unwrap();
        // What no checkpoint covers is in no part.
        manifest(3, 30..40).write(&storage).await.unwrap();
        let parts = known.base.as_ref().unwrap().parts.clone();
        for damaged in [&[][..], &[0; ENTRY], b"cut"] {
            for part in &parts {
                std::fs::write(folder.path().join(part.key()), damaged).unwrap();
            }

            let mut ledger = Known::read(&storage).await.unwrap().ledger(&storage, 1000);

            for number in 0..40 {
                assert!(holds(&mut ledger, number).await, "{number}");
            }
            assert!(!holds(&mut ledger, 40).await);
            assert!(parts[0].is(&std::fs::read(folder.path().join(parts[0].key())).unwrap()));
        }

        std::fs::write(folder.path().join(parts[0].key()), "").unwrap();
        std::fs::write(folder.path().join(names::manifest(1)), "").unwrap();
        let mut ledger = Known::read(&storage).await.unwrap().ledger(&storage, 1000);
        let (name, layout) = (key(0), parse_layout(&key(0)));
        let found = ledger.contains(month(&layout), &entry(&layout, &name, "e")).await;

        assert_eq!(found.unwrap_err().kind(), ErrorKind::Damaged, "it cannot be made again");
    }

    #[tokio::test]
    async fn a_damaged_checkpoint_is_left_out_and_written_anew() {
        let (folder, storage) = lake();
        let mut known = Known::default();
        for number in 0..5 {
            let manifest = manifest(number, number * 10..number * 10 + 10);
            manifest.write(&storage).await.unwrap();
            known.add(&manifest);
        }
        known.write_checkpoint(&storage).await.unwrap();
        let want = files(&storage).await;
        let whole: Vec<_> = want.iter().map(|key| folder.path().join(key)).collect();
        let bytes: Vec<_> = whole.iter().map(|path| std::fs::read(path).unwrap()).collect();
        for (path, bytes) in
            whole.iter().zip(&bytes).filter(|(path, _)| path.extension().unwrap() == "gz")
        {
            for damaged in [&[][..], &bytes[..bytes.len() - 4], b"{"] {
                std::fs::write(path, damaged).unwrap();

                let mut read = Known::read(&storage).await.unwrap();
                assert_eq!(read.snapshot, known.snapshot);
                let (days, _) = Known::read_for_child(&storage).await.unwrap();
                assert_eq!(days, known.snapshot.units_of_day);
                assert!(read.has_recent(), "so that it is written");
                read.write_checkpoint(&storage).await.unwrap();
                read.sweep(&storage).await.unwrap();

                assert_eq!(files(&storage).await, want);
                assert_eq!(std::fs::read(path).unwrap(), *bytes);
            }
        }
    }

    #[tokio::test]
    async fn a_missing_manifest_is_named_whether_a_checkpoint_covers_it_or_not() {
        let (folder, storage) = lake();
        let mut known = Known::default();
        for number in 0..9 {
            let manifest = manifest(number, number..number + 1);
            manifest.write(&storage).await.unwrap();
            if number < 5 {
                known.add(&manifest);
            }
        }
        known.write_checkpoint(&storage).await.unwrap();
        for number in [2, 7] {
            std::fs::remove_file(folder.path().join(names::manifest(number))).unwrap();
        }

        let after = Known::read(&storage).await.unwrap_err();
        let all = Manifest::read_all(&storage).await.unwrap_err();

        assert_eq!(after.place("units"), Some("7"), "{after}");
        assert_eq!(all.place("units"), Some("2, 7"), "{all}");
    }
}
