//! One partition, compacted: written, read back, proven equal, committed.
//!
//! Main and typed table are one unit, and their files correspond as before: same names, same rows, same row
//! groups. Nothing is committed unless the written files, read back, have exactly the rows of their inputs.

use crate::engine::tasks::all;
use crate::error::{Error, ErrorKind, Result};
use crate::family::{Family, main_table};
use crate::lake::{DataFile, FileBatch, Intent, Manifest, PartitionFiles, UnitId, names};
use crate::merge::{Input, Joined, Order, Sum, Union, join, sums_of};
use crate::operations::switch::commit;
use crate::parquet::Compression;
use crate::schema::Lock;
use crate::storage::Storage;
use bytes::Bytes;
use rayon::ThreadPool;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Partitions that are announced together, at most.
const WAVE: usize = 16;

/// What compacting needs beside a partition.
pub(super) struct Compacting<'a> {
    pub storage: &'a Storage,
    pub handle: &'a Handle,
    pub pool: &'a ThreadPool,
    pub lock: &'a Lock,
    pub compression: Compression,
    pub target: u64,
}

/// Where a partition's new files are written, and what they are called when they count.
struct Target<'c> {
    unit: &'c UnitId,
    is_moved: bool,
}

impl Target<'_> {
    /// Returns the folder that files are written to.
    fn generation(&self, table: &str, partition: &str) -> String {
        names::generation(table, partition, self.unit)
    }

    /// Returns the folder that they are in when they count: in a bucket the same.
    fn folder(&self, table: &str, partition: &str) -> String {
        match self.is_moved {
            true => self.generation(table, partition),
            false => names::partition_folder(table, partition),
        }
    }
}

/// A compaction of a partition, as its unit is named after it.
pub(super) struct Begun<'c> {
    pub unit: UnitId,
    chosen: &'c PartitionFiles,
    replaced: Vec<&'c DataFile>,
    is_moved: bool,
}

impl<'c> Begun<'c> {
    /// Names the unit that compacts a partition: by what it replaces, and how.
    pub(super) fn of(
        chosen: &'c PartitionFiles,
        number: u64,
        (compression, target): (Compression, u64),
        storage: &Storage,
    ) -> Self {
        let is_moved = storage.is_remote()
            || chosen.inputs().any(|file| names::generation_of(&file.key).is_some());
        let program = env!("CARGO_PKG_VERSION");
        let how = format!("program={program} compression={compression} target={target}");
        let mut replaced: Vec<&DataFile> = chosen.inputs().collect();
        if is_moved {
            replaced.extend(&chosen.kept);
        }
        Self { unit: UnitId::of_compaction(number, &how, &replaced), chosen, replaced, is_moved }
    }
}

impl Compacting<'_> {
    /// Compacts partitions under the next numbers, as many side by side as there are threads, and commits them in
    /// their order; `done` is called after each commit. The first one that cannot be compacted ends it: what was
    /// announced from there on is for the caller to give up.
    ///
    /// # Errors
    /// `Damaged` when an input cannot be read or the rows are not proven equal, and the partition is not committed
    /// then; `Busy` when another run has the lake; `Unavailable`, `Denied`, `Io`.
    pub(super) fn compact(
        &self,
        partitions: &[PartitionFiles],
        number: u64,
        mut done: impl FnMut(&PartitionFiles, Manifest),
    ) -> Result<()> {
        let Self { storage, handle, .. } = *self;
        let how = (self.compression, self.target);
        let begin = |(chosen, number)| Begun::of(chosen, number, how, storage);
        let begun: Vec<Begun<'_>> = partitions.iter().zip(number..).map(begin).collect();
        for Begun { unit, replaced, .. } in &begun {
            let inputs = replaced.iter().map(|file| (file.key.clone(), file.bytes.to_string()));
            let intent = Intent { unit: unit.clone(), basis: None, objects: inputs.collect() };
            handle.block_on(intent.write(storage))?;
        }
        storage.sync()?;
        let (next, (sender, written)) = (AtomicUsize::new(0), channel());
        let lane = |sender: Sender<_>| loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(begun) = begun.get(at) else { break };
            // Nobody receives it after a failure.
            if sender.send((at, self.write_all(begun))).is_err() {
                break;
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.lanes().min(begun.len()) {
                let (lane, sender) = (&lane, sender.clone());
                scope.spawn(move || lane(sender));
            }
            drop(sender);
            let (mut early, mut at) = (HashMap::new(), 0);
            for (of, outcome) in written {
                early.insert(of, outcome);
                while let Some(outcome) = early.remove(&at) {
                    let manifest: Manifest = outcome?;
                    handle.block_on(commit(storage, &manifest))?;
                    handle.block_on(Intent::remove(storage, &manifest.unit))?;
                    done(&partitions[at], manifest);
                    at += 1;
                }
            }
            Ok(())
        })
    }

    /// How many of these partitions, from the first one on, are compacted side by side: several only where what
    /// is merged at a time is, together, no more than `room` bytes.
    pub(super) fn wave(&self, partitions: &[PartitionFiles], room: u64) -> usize {
        let room = room / self.lanes() as u64;
        let is_small =
            |chosen: &&PartitionFiles| chosen.batches.iter().all(|batch| batch.bytes() <= room);
        partitions.iter().take(WAVE).take_while(is_small).count().max(1)
    }

    fn lanes(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Writes and proves the files of a partition where no reader looks; returns the manifest that they wait
    /// for.
    ///
    /// # Errors
    /// As [`Compacting::compact`].
    pub(super) fn write_all(&self, begun: &Begun<'_>) -> Result<Manifest> {
        let Begun { unit, chosen, replaced, is_moved } = begun;
        let target = Target { unit, is_moved: *is_moved };
        let mut files = Vec::new();
        for (at, batch) in chosen.batches.iter().enumerate() {
            files.extend(self.write(chosen, batch, &target, at as u32)?);
        }
        if *is_moved {
            files.extend(self.handle.block_on(self.copy_kept(chosen, &target))?);
        }
        let replaced = replaced.iter().map(|file| (*file).clone()).collect();
        Ok(Manifest::compaction(unit.clone(), replaced, files))
    }

    /// Writes the files of a batch, and proves them.
    fn write(
        &self,
        chosen: &PartitionFiles,
        batch: &FileBatch,
        target: &Target<'_>,
        segment: u32,
    ) -> Result<Vec<DataFile>> {
        let family = family_of(&chosen.table)?;
        let mut main = Table::read(self, &batch.main, family)?;
        let mut typed = match batch.typed.is_empty() {
            true => None,
            false => Some(Table::read(self, &batch.typed, family)?),
        };
        let (order, joined) = self.pool.install(|| {
            let order = Order::of(&main.inputs)?;
            let sides = typed.as_ref().map(|typed| (&typed.inputs[..], &typed.union));
            let notes = [Some(typed.is_some()), None].map(|typed| main.notes(target.unit, typed));
            let joined = join((&main.inputs, &main.union), sides, &order, self.compression, notes)?;
            Ok::<_, Error>((order, joined))
        })?;
        // What is written is read back in the room that these had.
        [Some(&mut main), typed.as_mut()].into_iter().flatten().for_each(Table::forget);
        let Joined { main: of_main, typed: of_typed, sums } = joined;
        let name = names::data_file("", target.unit, segment, 0);
        let (min_instant, max_instant) = order.instants();
        let mut written = vec![(&main, of_main, sums[0])];
        written.extend(typed.as_ref().zip(of_typed).map(|(table, bytes)| (table, bytes, sums[1])));
        let (mut files, mut proofs) = (Vec::new(), Vec::new());
        for (table, bytes, sum) in written {
            let of = table.files.first().ok_or_else(|| not_proven(&chosen.table))?;
            files.push(DataFile {
                key: target.folder(&of.table, &of.partition) + &name,
                table: of.table.clone(),
                partition: of.partition.clone(),
                rows: sum.rows,
                bytes: bytes.len() as u64,
                min_instant,
                max_instant,
            });
            let key = target.generation(&of.table, &of.partition) + &name;
            self.handle.block_on(self.storage.put_once(&key, bytes))?;
            proofs.push((table, key, sum));
        }
        self.prove(&proofs)?;
        Ok(files)
    }

    /// Reads the written files back, that of the main table first, and insists that they have exactly the rows of
    /// their inputs.
    fn prove(&self, proofs: &[(&Table<'_>, String, Sum)]) -> Result<()> {
        let mut written = Vec::with_capacity(proofs.len());
        for (table, key, _) in proofs {
            let bytes = self.handle.block_on(self.storage.read(key))?.unwrap_or_default();
            written.push((Input::open(key, bytes)?, &table.union));
        }
        let mut sides = written.iter().map(|(input, union)| (input, *union));
        let Some(main) = sides.next() else { return Ok(()) };
        let found = self.pool.install(|| sums_of(main, sides.next()))?;
        for ((table, key, sum), found) in proofs.iter().zip(found) {
            let expected: u64 = table.files.iter().map(|file| file.rows).sum();
            if found != *sum || sum.rows != expected {
                return Err(not_proven(key));
            }
        }
        Ok(())
    }

    /// Copies the files that stay as they are to where the new ones are: a catalog has one location for both.
    async fn copy_kept(
        &self,
        chosen: &PartitionFiles,
        target: &Target<'_>,
    ) -> Result<Vec<DataFile>> {
        let mut copies = Vec::with_capacity(chosen.kept.len());
        for file in &chosen.kept {
            let name = file.key.rsplit('/').next().unwrap_or_default();
            let key = format!("{}/{name}", target.folder(&file.table, &file.partition));
            let bytes = self.storage.read(&file.key).await?.ok_or_else(|| missing(&file.key))?;
            self.storage.put_once(&key, bytes).await?;
            copies.push(DataFile { key, ..file.clone() });
        }
        Ok(copies)
    }
}

/// The files of one table that are merged.
struct Table<'a> {
    files: &'a [DataFile],
    inputs: Vec<Input>,
    union: Union,
}

impl<'a> Table<'a> {
    fn read(compacting: &Compacting<'_>, files: &'a [DataFile], family: Family) -> Result<Self> {
        let bytes = compacting.handle.block_on(read_all(compacting.storage, files))?;
        let inputs = compacting.pool.install(|| {
            let inputs = files.par_iter().zip(bytes);
            inputs.map(|(file, bytes)| Input::open(&file.key, bytes)).collect::<Result<Vec<_>>>()
        })?;
        let union = Union::of(&inputs, family, compacting.lock)?;
        Ok(Self { files, inputs, union })
    }

    /// Gives the bytes of the files back; the columns of all of them stay.
    fn forget(&mut self) {
        self.inputs = Vec::new();
    }

    /// What is noted in a footer; of the main table, whether the typed one has its rows.
    fn notes(&self, unit: &UnitId, has_typed: Option<bool>) -> Vec<(String, String)> {
        let versions =
            self.inputs.iter().filter_map(|input| input.note("trailmill.schema_version"));
        let version: u32 = versions.filter_map(|text| text.parse().ok()).max().unwrap_or_default();
        let entry = |key: &str, value: String| (format!("trailmill.{key}"), value);
        let mut notes = vec![
            entry("version", env!("CARGO_PKG_VERSION").to_owned()),
            entry("schema_version", version.to_string()),
            entry("unit", unit.to_string()),
            entry("sorted_by", "eventsource,eventname,event_timestamp".to_owned()),
        ];
        notes.extend(has_typed.map(|has_typed| entry("typed", has_typed.to_string())));
        let has_open_keys =
            |input: &Input| input.note("trailmill.open_keys").is_some_and(|text| text == "true");
        if self.inputs.iter().any(has_open_keys) {
            notes.push(entry("open_keys", true.to_string()));
        }
        notes
    }
}

/// Reads files side by side, in their order.
async fn read_all(storage: &Storage, files: &[DataFile]) -> Result<Vec<Bytes>> {
    let mut tasks = JoinSet::new();
    for (at, file) in files.iter().enumerate() {
        let (storage, key) = (storage.clone(), file.key.clone());
        tasks.spawn(async move {
            let bytes = storage.read(&key).await?.ok_or_else(|| missing(&key))?;
            Ok((at, bytes))
        });
    }
    let mut read = all(tasks).await?;
    read.sort_by_key(|(at, _)| *at);
    Ok(read.into_iter().map(|(_, bytes)| bytes).collect())
}

/// Returns the family of a main table, whatever its base name is.
fn family_of(table: &str) -> Result<Family> {
    let has_suffix =
        |family: &&Family| !family.suffix().is_empty() && table.ends_with(family.suffix());
    let found = Family::ALL.iter().find(has_suffix).or(Family::ALL.first());
    let bug = || Error::new(ErrorKind::Bug, "no such table").at("table", main_table(table));
    found.copied().ok_or_else(bug)
}

fn missing(key: &str) -> Error {
    let message = "a data file is missing: `trailmill catalog sync` notes it as lost, and \
                   `trailmill convert --restore` writes its rows again";
    Error::new(ErrorKind::Damaged, message).at("file", key)
}

fn not_proven(key: &str) -> Error {
    let message = "a compacted file does not have exactly the rows of its inputs: nothing was \
                   replaced; run `trailmill verify` on the lake";
    Error::new(ErrorKind::Damaged, message).at("file", key)
}
