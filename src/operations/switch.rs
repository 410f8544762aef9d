//! Compacted partitions in the place of what they replace: in a folder by an exchange, in a bucket by the
//! catalog.
//!
//! The commit comes first. A run that is killed after it leaves a partition that is committed and not
//! switched: of a folder, every later writer ends the exchange before it does anything else; of a bucket,
//! the next catalog refresh tells the location. Files of a bucket that were replaced stay until a later
//! compaction finds that the catalog has had the new location for long enough.

use crate::catalog::{Catalog, Comparison, Reading};
use crate::error::Result;
use crate::lake::{
    DataFile, Manifest, ReplacedFiles, Snapshot, UnitId, live_files,
    names::{self, Folder},
    read_replaced, write_replaced,
};
use crate::operations::sweep::remove_all;
use crate::storage::Storage;
use std::collections::{BTreeMap, BTreeSet};

/// Commits a compaction whose files are written and proven, and puts them in their place; of a bucket, the
/// catalog does that.
///
/// # Errors
/// `Config` when a folder lies in the partition's folder; `Busy` when another run has the lake; `Damaged`,
/// `Unavailable`, `Denied`, `Io`.
pub(super) async fn commit(storage: &Storage, manifest: &Manifest) -> Result<()> {
    if !manifest.is_moved() {
        link_kept(storage, manifest).await?;
    }
    manifest.write_copy(storage).await?;
    storage.sync()?;
    manifest.write(storage).await?;
    if !manifest.is_moved() {
        for (table, partition) in places_of(&manifest.files) {
            exchange(storage, (table, partition), &manifest.unit).await?;
        }
    }
    Ok(())
}

/// Links everything that stays in the partition's folders into the new ones.
async fn link_kept(storage: &Storage, manifest: &Manifest) -> Result<()> {
    for (table, partition) in places_of(&manifest.replaced) {
        let name = |file: &DataFile| file.key.rsplit('/').next().unwrap_or_default().to_owned();
        let of_table = manifest.replaced.iter().filter(|file| file.table == table);
        let from = names::partition_folder(table, partition);
        let to = names::generation(table, partition, &manifest.unit);
        storage.link_files(&from, &to, &of_table.map(name).collect()).await?;
    }
    Ok(())
}

/// The tables and partitions of files.
fn places_of(files: &[DataFile]) -> BTreeSet<(&str, &str)> {
    files.iter().map(|file| (file.table.as_str(), file.partition.as_str())).collect()
}

/// Puts a committed generation of a local lake in the place of the partition's folder, and removes what was
/// there.
///
/// # Errors
/// `Busy` when another run has the lake; `Io`.
async fn exchange(
    storage: &Storage,
    (table, partition): (&str, &str),
    unit: &UnitId,
) -> Result<()> {
    let generation = names::generation(table, partition, unit);
    storage.clear_half_written_in(&generation)?;
    storage.exchange(&names::partition_folder(table, partition), &generation).await?;
    storage.sync()?;
    storage.delete_all(&generation).await
}

/// Ends the exchanges of folders that a killed compaction has left to be done.
///
/// # Errors
/// `Damaged` for a manifest that cannot be read; `Busy` when another run has the lake; `Io`.
pub(super) async fn finish_exchanges(storage: &Storage) -> Result<()> {
    if storage.is_remote() {
        return Ok(());
    }
    let folder = Folder::Compacted.path();
    let listed = storage.list(&folder).await?;
    // Whether the new files are still there, or the old ones are by now.
    let mut generations: BTreeMap<(&str, &str, UnitId), bool> = BTreeMap::new();
    for file in &listed {
        let Some((table, partition, unit)) = names::generation_of(&file.key) else { continue };
        let is_new = names::unit_of(&file.key).as_ref() == Some(&unit);
        *generations.entry((table, partition, unit)).or_default() |= is_new;
    }
    for ((table, partition, unit), is_new) in generations {
        let Some(manifest) = Manifest::of_unit(storage, &unit).await? else { continue };
        // A copy of a bucket's lake has its files there for good.
        if manifest.is_moved() {
            continue;
        }
        // A late child of a plan may have written files again that were exchanged, or left out.
        match is_new && is_to_be_exchanged(storage, &manifest, (table, partition)).await? {
            true => exchange(storage, (table, partition), &unit).await?,
            false => storage.delete_all(&names::generation(table, partition, &unit)).await?,
        }
    }
    if storage.list(&folder).await?.is_empty() {
        storage.delete_all(&folder).await?;
    }
    Ok(())
}

/// Whether the files of a compaction are not yet where they count.
async fn is_to_be_exchanged(
    storage: &Storage,
    manifest: &Manifest,
    (table, partition): (&str, &str),
) -> Result<bool> {
    let is_its = |file: &&DataFile| file.table == table && file.partition == partition;
    let Some(file) = manifest.files.iter().find(is_its) else { return Ok(false) };
    let there = storage.list(&names::partition_folder(table, partition)).await?;
    if there.iter().any(|listed| listed.key == file.key) {
        return Ok(false);
    }
    // Unless it is in its place since a later compaction has replaced it.
    let is_later = |other: &Manifest| other.replaced.iter().any(|old| old.key == file.key);
    Ok(!Manifest::any_newest_first(storage, is_later).await?)
}

/// What became of replaced files in a bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Removed {
    /// Files that were removed.
    pub files: u64,
    /// Files that are to be removed by a later run.
    pub waiting: u64,
}

/// Removes files that the lake's catalog has not named for `grace` milliseconds, and begins the wait of those
/// that it does not name since this run. The catalog, if there is one, has just been brought in line.
///
/// # Errors
/// `Busy` when another run has the lake; `Damaged`, `Unavailable`, `Denied`.
pub(super) async fn remove_replaced(
    storage: &Storage,
    manifests: &[Manifest],
    lake: &Snapshot,
    catalog: Option<(&Catalog, &str)>,
    grace: i64,
) -> Result<Removed> {
    let mut removed = Removed::default();
    let is_one = |manifest: &&Manifest| !manifest.replaced.is_empty() && manifest.is_moved();
    let compactions = || manifests.iter().filter(is_one);
    if compactions().next().is_none() {
        return Ok(removed);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let mut known = read_replaced(storage).await?;
    let before = known.clone();
    let live: BTreeSet<&str> = live_files(manifests).map(|file| file.key.as_str()).collect();
    let named = Named::read(storage, lake, catalog).await?;
    for manifest in compactions() {
        let files = manifest.replaced.iter().filter(|file| !live.contains(file.key.as_str()));
        let keys: Vec<String> = files.map(|file| file.key.clone()).collect();
        let found = known.iter_mut().find(|known| known.unit == manifest.unit);
        if found.as_ref().is_some_and(|known| known.is_removed) {
            continue;
        }
        let is_named = keys.iter().any(|key| named.has(storage, key));
        match found {
            _ if is_named => removed.waiting += keys.len() as u64,
            Some(known) if now.saturating_sub(known.instant) >= grace => {
                removed.files += keys.len() as u64;
                remove_all(storage, keys).await?;
                known.is_removed = true;
            }
            Some(_) => removed.waiting += keys.len() as u64,
            None => {
                removed.waiting += keys.len() as u64;
                let unit = manifest.unit.clone();
                known.push(ReplacedFiles { unit, instant: now, is_removed: false });
            }
        }
    }
    if known != before {
        write_replaced(storage, &known).await?;
    }
    Ok(removed)
}

/// The locations that a catalog has for partitions.
struct Named(BTreeSet<String>);

impl Named {
    async fn read(
        storage: &Storage,
        lake: &Snapshot,
        catalog: Option<(&Catalog, &str)>,
    ) -> Result<Self> {
        let mut locations = BTreeSet::new();
        let Some((catalog, database)) = catalog else { return Ok(Self(locations)) };
        for name in lake.tables() {
            let Some(table) = catalog.table(database, name).await? else { continue };
            let partitions = catalog.partitions(database, &table).await?;
            let of_lake =
                partitions.into_iter().map(|partition| partition.storage_descriptor.location);
            locations.extend(of_lake.filter(|location| location.starts_with(&storage.address())));
        }
        Ok(Self(locations))
    }

    fn has(&self, storage: &Storage, key: &str) -> bool {
        let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.0.contains(&format!("{}{folder}/", storage.address()))
    }
}

/// Returns whether a table's partitions have their locations from a template.
///
/// # Errors
/// `Denied` and `Unavailable` from Glue.
pub(super) async fn is_projected(catalog: &Catalog, database: &str, table: &str) -> Result<bool> {
    let reading =
        Reading { comparison: Comparison::Fingerprints, partitions: 0, has_indexes: false };
    Ok(catalog.existing(database, table, &reading).await?.is_projected())
}
