//! One partition, compacted: written, read back, proven equal, committed.
//!
//! Main and typed table are one unit, and their files correspond as before: same names, same rows, same row
//! groups. Nothing is committed unless the written files, read back, have exactly the rows of their inputs.

use crate::engine::tasks::all;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{DataFile, Intent, Manifest, UnitId, names};
use crate::merge::{Input, Joined, Order, Sum, Union, join, sum_of};
use crate::operations::choose_files::{Batch, Chosen};
use crate::operations::switch::exchange;
use crate::parquet::Compression;
use crate::schema::{Family, Lock, main_table};
use crate::storage::Storage;
use bytes::Bytes;
use rayon::ThreadPool;
use std::collections::BTreeSet;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

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

impl Compacting<'_> {
    /// Compacts a partition under the next number; returns the manifest that was committed.
    ///
    /// # Errors
    /// `Damaged` when an input cannot be read or the rows are not proven equal, and nothing is committed then;
    /// `Busy` when another run has the lake; `Unavailable`, `Denied`, `Io`.
    pub(super) fn compact(&self, chosen: &Chosen, number: u64) -> Result<Manifest> {
        let Self { storage, handle, .. } = *self;
        let is_moved = storage.is_remote()
            || chosen.inputs().any(|file| names::generation_of(&file.key).is_some());
        let how = format!(
            "program={} compression={} target={}",
            env!("CARGO_PKG_VERSION"),
            self.compression,
            self.target
        );
        let mut replaced: Vec<&DataFile> = chosen.inputs().collect();
        if is_moved {
            replaced.extend(&chosen.kept);
        }
        let unit = UnitId::of_compaction(number, &how, &replaced);
        let target = Target { unit: &unit, is_moved };
        let inputs = replaced.iter().map(|file| (file.key.clone(), file.bytes.to_string()));
        let intent = Intent { unit: unit.clone(), basis: None, objects: inputs.collect() };
        handle.block_on(intent.write(storage))?;
        storage.sync()?;
        let mut files = Vec::new();
        for (at, batch) in chosen.batches.iter().enumerate() {
            files.extend(self.write(chosen, batch, &target, at as u32)?);
        }
        match is_moved {
            true => files.extend(handle.block_on(self.copy_kept(chosen, &target))?),
            false => handle.block_on(self.link_kept(chosen, &target))?,
        }
        let manifest = Manifest::compaction(unit, replaced.into_iter().cloned().collect(), files);
        handle.block_on(manifest.write_copy(storage))?;
        storage.sync()?;
        handle.block_on(manifest.write(storage))?;
        handle.block_on(self.switch(chosen, &manifest))?;
        Ok(manifest)
    }

    /// Writes the files of a batch, and proves them.
    fn write(
        &self,
        chosen: &Chosen,
        batch: &Batch,
        target: &Target<'_>,
        segment: u32,
    ) -> Result<Vec<DataFile>> {
        let family = family_of(&chosen.table)?;
        let main = Table::read(self, &batch.main, family)?;
        let typed = match batch.typed.is_empty() {
            true => None,
            false => Some(Table::read(self, &batch.typed, family)?),
        };
        let order = Order::of(&main.inputs)?;
        let (Joined { main: of_main, typed: of_typed }, sums) = self.pool.install(|| {
            let sides = typed.as_ref().map(|typed| (&typed.inputs[..], &typed.union));
            let notes = [Some(typed.is_some()), None].map(|typed| main.notes(target.unit, typed));
            let main_side = (&main.inputs[..], &main.union);
            let joined = join(main_side, sides, &order, self.compression, notes)?;
            Ok::<_, Error>((joined, (main.sum()?, typed.as_ref().map(Table::sum).transpose()?)))
        })?;
        let mut files = Vec::new();
        let mut put = |table: &Table, bytes: Vec<u8>, sum: Sum| -> Result<()> {
            let name = names::data_file("", target.unit, segment, 0);
            let of = table.files.first().ok_or_else(|| not_proven(&chosen.table))?;
            let (min_instant, max_instant) = order.instants();
            let file = DataFile {
                key: target.folder(&of.table, &of.partition) + &name,
                table: of.table.clone(),
                partition: of.partition.clone(),
                rows: sum.rows,
                bytes: bytes.len() as u64,
                min_instant,
                max_instant,
            };
            let key = target.generation(&of.table, &of.partition) + &name;
            self.handle.block_on(self.storage.put_once(&key, bytes))?;
            let written = self.handle.block_on(self.storage.read(&key))?.unwrap_or_default();
            let written = Input::open(&key, written)?;
            let expected: u64 = table.files.iter().map(|file| file.rows).sum();
            let found = self.pool.install(|| sum_of(&[written], &table.union))?;
            if found != sum || sum.rows != expected {
                return Err(not_proven(&key));
            }
            files.push(file);
            Ok(())
        };
        put(&main, of_main, sums.0)?;
        if let ((Some(typed), Some(bytes)), Some(sum)) = ((&typed, of_typed), sums.1) {
            put(typed, bytes, sum)?;
        }
        Ok(files)
    }

    /// Copies the files that stay as they are to where the new ones are: a catalog has one location for both.
    async fn copy_kept(&self, chosen: &Chosen, target: &Target<'_>) -> Result<Vec<DataFile>> {
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

    /// Links everything that stays in the partition's folders into the new ones.
    async fn link_kept(&self, chosen: &Chosen, target: &Target<'_>) -> Result<()> {
        for table in tables_of(chosen.inputs()) {
            let name = |file: &DataFile| file.key.rsplit('/').next().unwrap_or_default().to_owned();
            let except = chosen.inputs().filter(|file| file.table == table).map(name).collect();
            let from = names::partition_folder(table, &chosen.partition);
            let to = target.generation(table, &chosen.partition);
            self.storage.link_files(&from, &to, &except).await?;
        }
        Ok(())
    }

    /// Puts what is committed in its place; of a bucket, the catalog does it.
    async fn switch(&self, chosen: &Chosen, manifest: &Manifest) -> Result<()> {
        if !manifest.is_moved() {
            for table in tables_of(manifest.files.iter()) {
                exchange(self.storage, (table, &chosen.partition), &manifest.unit).await?;
            }
        }
        Intent::remove(self.storage, &manifest.unit).await
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
        let inputs = files.iter().zip(bytes).map(|(file, bytes)| Input::open(&file.key, bytes));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let union = Union::of(&inputs, family, compacting.lock)?;
        Ok(Self { files, inputs, union })
    }

    fn sum(&self) -> Result<Sum> {
        sum_of(&self.inputs, &self.union)
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

fn tables_of<'f>(files: impl Iterator<Item = &'f DataFile>) -> BTreeSet<&'f str> {
    files.map(|file| file.table.as_str()).collect()
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
