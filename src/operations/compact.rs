//! Compaction: few, large, well-compressed files in the place of many small ones, with the same rows.
//!
//! A partition is one unit of the lake: its intent names the exact inputs, its files are written where no
//! reader looks and proven equal, its manifest is the commit. Then readers are switched, see `switch`. A
//! partition whose files cannot be read is left as it is, and reported; everything else ends the run, and the
//! next one begins the partition anew.

use crate::catalog::Catalog;
use crate::engine::{CatalogOptions, runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::history::Pattern;
use crate::lake::{
    DataFile, Known, LeftPartition, Manifest, PartitionFiles, WorkPlan, read_gone, read_lock,
};
use crate::location::Location;
use crate::operations::choose_files::{Wanted, choose};
use crate::operations::compact_partition::Compacting;
use crate::operations::lake_catalog::options_of;
use crate::operations::open_lake::open_lake;
use crate::operations::recover::end_all;
use crate::operations::register::{after_commit, open_catalog, refresh_catalog};
use crate::operations::switch::{finish_exchanges, is_projected, remove_replaced};
use crate::operations::take_turn::take_turn;
use crate::operations::target::check_known;
use crate::parquet::Compression;
use crate::storage::{S3, Storage};
use crate::units::ByteCount;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;

/// The size of files that compaction makes, unless an option says otherwise.
pub const DEFAULT_COMPACTED_SIZE: ByteCount = ByteCount(256_000_000);

/// What is compacted, and how.
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// How S3 is reached.
    pub s3: Arc<S3>,
    /// The catalog that is told.
    pub catalog: CatalogOptions,
    /// Milliseconds that the newest event of a partition is old, at least.
    pub older_than: i64,
    /// The size of a file; files of half of it stay as they are.
    pub target: ByteCount,
    /// Globs over partitions, such as `event_date=2026-10-*`; all without any.
    pub partitions: Vec<Pattern>,
    /// How many small files a partition has, at least.
    pub min_files: usize,
    /// How pages are compressed.
    pub compression: Compression,
    /// Milliseconds that replaced files of a bucket stay after the catalog was told.
    pub grace: i64,
    /// Bytes that inputs, outputs and buffers take, about.
    pub memory: ByteCount,
    /// Threads.
    pub threads: usize,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

impl CompactOptions {
    /// Bytes of files that are merged together, of both tables.
    fn input_bytes(&self) -> u64 {
        self.memory.0 / INPUT_SHARE
    }
}

/// A partition that was compacted, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CompactedPartition {
    /// The main table; the typed one beside it is included in the counts.
    pub table: String,
    /// The partition.
    pub partition: String,
    /// Files before.
    pub files_before: u64,
    /// Files after; 0 in a dry run.
    pub files_after: u64,
    /// Their bytes before.
    pub bytes_before: u64,
    /// Their bytes after; 0 in a dry run.
    pub bytes_after: u64,
    /// Rows of the main table that were written again.
    pub rows: u64,
}

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CompactReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Partitions that were compacted.
    pub partitions: Vec<CompactedPartition>,
    /// Partitions that could not be.
    pub skipped: Vec<LeftPartition>,
    /// Files in them before.
    pub files_before: u64,
    /// Files after.
    pub files_after: u64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
    /// Changes in the catalog.
    pub catalog_changes: u64,
    /// Files that earlier compactions replaced and that were removed.
    pub files_removed: u64,
    /// Replaced files that a later run removes.
    pub files_waiting: u64,
    /// How long it took.
    pub seconds: f64,
}

impl CompactReport {
    pub(super) fn add(&mut self, partition: CompactedPartition) {
        self.files_before += partition.files_before;
        self.files_after += partition.files_after;
        self.bytes_before += partition.bytes_before;
        self.bytes_after += partition.bytes_after;
        self.partitions.push(partition);
    }
}

/// Compacts the partitions of a lake; `tell` is called after each.
///
/// # Errors
/// `Config` for a lake that cannot be compacted; `Busy` while another run or a plan has it; `Unavailable`,
/// `Denied`, `Io`. What was committed before stays.
pub fn compact(
    lake: &Location,
    options: &CompactOptions,
    tell: impl Fn(&CompactedPartition),
) -> Result<CompactReport> {
    let started = Instant::now();
    let runtime = runtime()?;
    let handle = runtime.handle();
    let storage = handle.block_on(open_lake(lake, &options.s3))?;
    let mut report = if options.dry_run {
        handle.block_on(look(&storage, options))?
    } else {
        let lease = handle.block_on(take_turn(&storage, None))?;
        let run = Run { storage: lease.storage(), options, handle };
        let outcome = run.run(&tell);
        handle.block_on(lease.conclude(outcome))?
    };
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Says what would be compacted.
async fn look(storage: &Storage, options: &CompactOptions) -> Result<CompactReport> {
    let manifests = Manifest::read_all(storage).await?;
    let (chosen, left_out) = choose_files(storage, options, &manifests).await?;
    let mut report = CompactReport { dry_run: true, ..CompactReport::default() };
    chosen.iter().for_each(|chosen| report.add(before(chosen)));
    report.skipped.extend(left_out);
    Ok(report)
}

pub(super) async fn choose_files(
    storage: &Storage,
    options: &CompactOptions,
    manifests: &[Manifest],
) -> Result<(Vec<PartitionFiles>, Vec<LeftPartition>)> {
    let now = jiff::Timestamp::now().as_millisecond();
    let wanted = Wanted {
        before: now.saturating_sub(options.older_than),
        target: options.target.0,
        most_bytes: options.input_bytes(),
        min_files: options.min_files,
        partitions: &options.partitions,
    };
    Ok(choose(manifests, &read_gone(storage).await?, &wanted))
}

/// What part of the memory the inputs of a file may take; the file itself takes as much, and buffers the
/// rest.
const INPUT_SHARE: u64 = 4;

fn before(chosen: &PartitionFiles) -> CompactedPartition {
    let files = || chosen.inputs().chain(&chosen.kept);
    CompactedPartition {
        table: chosen.table.clone(),
        partition: chosen.partition.clone(),
        files_before: files().count() as u64,
        bytes_before: files().map(|file| file.bytes).sum(),
        rows: chosen.inputs().map(DataFile::records).sum(),
        ..CompactedPartition::default()
    }
}

/// Starts threads for the work on bytes.
pub(super) fn threads(count: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
    pool.map_err(|err| Error::new(ErrorKind::Io, "cannot start threads").because(err))
}

struct Run<'a> {
    storage: &'a Storage,
    options: &'a CompactOptions,
    handle: &'a Handle,
}

impl Run<'_> {
    fn run(&self, tell: &impl Fn(&CompactedPartition)) -> Result<CompactReport> {
        let Self { storage, options, handle } = *self;
        let mut known = handle.block_on(self.prepare())?;
        let names = options_of(&known.snapshot, &options.catalog);
        let catalog = handle.block_on(open_movable(storage, &known, &names, &options.s3))?;
        let lock = handle.block_on(read_lock(storage, &known.snapshot))?;
        let mut manifests = handle.block_on(Manifest::read_all(storage))?;
        let (chosen, left_out) = handle.block_on(choose_files(storage, options, &manifests))?;
        let mut report = CompactReport::default();
        report.skipped.extend(left_out);
        if !chosen.is_empty() {
            handle.block_on(storage.require_exchange())?;
        }
        let pool = &threads(options.threads)?;
        let (compression, target) = (options.compression, options.target.0);
        let compacting = Compacting { storage, handle, pool, lock: &lock, compression, target };
        let mut rest = &chosen[..];
        while !rest.is_empty() {
            let wave = &rest[..compacting.wave(rest, options.input_bytes())];
            let (number, mut committed) = (known.snapshot.next_number(), 0);
            let outcome = compacting.compact(wave, number, |chosen, manifest| {
                committed += 1;
                known.add(&manifest);
                let done = after(chosen, &manifest);
                tell(&done);
                report.add(done);
                manifests.push(manifest);
            });
            rest = &rest[committed..];
            match outcome {
                Ok(()) => {}
                // A matter of one partition only.
                Err(err) if matches!(err.kind(), ErrorKind::Damaged | ErrorKind::Config) => {
                    if let Some((failed, others)) = rest.split_first() {
                        report.skipped.push(failed.left(err.to_string()));
                        rest = others;
                    }
                    handle.block_on(end_all(storage, &mut known, &names.table))?;
                }
                Err(err) => return Err(err),
            }
        }
        let lake = (&mut known, &manifests[..]);
        handle.block_on(conclude(storage, lake, (catalog, &names), options.grace, &mut report))?;
        Ok(report)
    }

    /// Refuses what cannot be compacted, and ends what killed runs have begun.
    async fn prepare(&self) -> Result<Known> {
        WorkPlan::refuse_open(self.storage).await?;
        prepare(self.storage, &self.options.catalog).await
    }
}

/// Reads what is known of a lake that is to be compacted, and ends what killed runs have begun.
pub(super) async fn prepare(storage: &Storage, catalog: &CatalogOptions) -> Result<Known> {
    let mut known = Known::read(storage).await?;
    check_known(storage, &known).await?;
    storage.clear_half_written()?;
    finish_exchanges(storage).await?;
    let names = options_of(&known.snapshot, catalog);
    end_all(storage, &mut known, &names.table).await?;
    Ok(known)
}

/// Opens the catalog. A lake in a bucket needs one that can be told where a partition is.
pub(super) async fn open_movable(
    storage: &Storage,
    known: &Known,
    names: &CatalogOptions,
    s3: &S3,
) -> Result<Option<Catalog>> {
    let catalog = open_catalog(storage, &known.snapshot, names, s3).await?;
    let Some(found) = catalog.as_ref().filter(|_| storage.is_remote()) else {
        return Ok(catalog);
    };
    let database = names.database_of(&known.snapshot);
    for table in known.snapshot.tables() {
        if is_projected(found, &database, table).await? {
            let message = "the lake's tables have partition projection: Athena computes where \
                           partitions are, and cannot be told that one has moved; register \
                           partitions with `trailmill catalog sync --partition-projection=off`";
            return Err(Error::config(message).at("table", table));
        }
    }
    Ok(catalog)
}

/// Writes a checkpoint, brings the catalog in line, and removes what earlier runs replaced and the catalog has
/// not named for `grace` milliseconds.
pub(super) async fn conclude(
    storage: &Storage,
    (known, manifests): (&mut Known, &[Manifest]),
    (catalog, names): (Option<Catalog>, &CatalogOptions),
    grace: i64,
    report: &mut CompactReport,
) -> Result<()> {
    if known.has_recent() {
        known.write_checkpoint(storage).await?;
        known.sweep(storage).await?;
    }
    let lake = &known.snapshot;
    let lock = read_lock(storage, lake).await?;
    if let Some(catalog) = &catalog {
        let refreshed = refresh_catalog(catalog, storage, lake, &lock, names).await;
        report.catalog_changes = refreshed.map_err(after_commit)?.changes;
    }
    let database = names.database_of(lake);
    let told = catalog.as_ref().map(|catalog| (catalog, database.as_str()));
    let removed = remove_replaced(storage, manifests, lake, told, grace).await?;
    (report.files_removed, report.files_waiting) = (removed.files, removed.waiting);
    // Nothing is left to be exchanged, but folders.
    finish_exchanges(storage).await
}

pub(super) fn after(chosen: &PartitionFiles, manifest: &Manifest) -> CompactedPartition {
    let before = before(chosen);
    let is_replaced = |file: &&DataFile| manifest.replaced.iter().any(|old| old.key == file.key);
    let kept: Vec<&DataFile> = chosen.kept.iter().filter(|file| !is_replaced(file)).collect();
    CompactedPartition {
        files_after: (manifest.files.len() + kept.len()) as u64,
        bytes_after: manifest.files.iter().chain(kept).map(|file| file.bytes).sum(),
        ..before
    }
}
