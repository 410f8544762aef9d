//! The main job: from listing to commit to catalog.

use crate::catalog::is_name;
use crate::columns::Values;
use crate::commit::{Intent, Manifest, drop_locks_after, read_lock};
use crate::decode::Decoder;
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::pipeline::budget::Budget;
use crate::pipeline::fetch::fetch_all;
use crate::pipeline::order::InOrder;
use crate::pipeline::plan::{Work, make_work};
use crate::pipeline::publish::{CatalogOptions, open_catalog, refresh_catalog};
use crate::pipeline::report::{Progress, Report};
use crate::pipeline::run::Run;
use crate::pipeline::segment::{Parsed, RowOptions, SegmentObject, Worker, parse_segment};
use crate::pipeline::settle::Settle;
use crate::pipeline::{ConvertOptions, DEFAULT_DATABASE};
use crate::schema::Lock;
use crate::source::{Object, members};
use crate::storage::{Lease, OWN, PublicAccess, Storage};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::runtime::{Handle, Runtime};

pub(crate) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|err| Error::io("cannot start the I/O threads", err))
}

/// Converts what is new in the sources into the lake, and refreshes its catalog.
///
/// `stop` ends the run early: what is in flight is committed, the rest is left for the next run.
///
/// # Errors
/// `Config` for sources or options that are wrong, `Busy` when another run holds the lake, `Io` and
/// `Damaged` from the store, `BadInput` with `strict` when something would be set aside. What was
/// committed before stays.
pub fn convert(options: &ConvertOptions, progress: &Progress, stop: &AtomicBool) -> Result<Report> {
    let started = Instant::now();
    check_places(options)?;
    check_names(options)?;
    let runtime = runtime()?;
    let handle = runtime.handle();
    let storage = handle.block_on(Storage::open(&options.lake, &options.s3))?;
    let lease = handle.block_on(Lease::take(&storage))?;
    let outcome = convert_with(options, progress, stop, handle, &storage, &lease, started);
    handle.block_on(lease.release());
    // What is still on its way belongs to a run that has failed.
    runtime.shutdown_background();
    outcome
}

fn convert_with(
    options: &ConvertOptions,
    progress: &Progress,
    stop: &AtomicBool,
    handle: &Handle,
    storage: &Storage,
    lease: &Lease,
    started: Instant,
) -> Result<Report> {
    storage.clear_half_written()?;
    let (manifests, intents, lock) = handle.block_on(async {
        let manifests = Manifest::read_all(storage).await?;
        let intents = Intent::read_all(storage).await?;
        let lock = read_lock(storage, &manifests).await?;
        Ok::<_, Error>((manifests, intents, lock))
    })?;
    check_lake(options, &manifests)?;
    // What is wrong with it is said before the work, not after.
    let catalog = open_catalog(storage, &manifests, &options.catalog, &options.s3);
    let catalog = handle.block_on(catalog)?;
    let work = handle.block_on(make_work(options, &manifests, intents))?;
    let committed = manifests.last().map_or(0, |last| last.schema_version);
    handle.block_on(async {
        clean_up(storage, &work, &options.catalog.table).await?;
        drop_locks_after(storage, committed).await
    })?;
    let objects = || work.units.iter().flat_map(|unit| &unit.objects);
    progress.bytes_total.store(objects().map(|object| object.size).sum(), Ordering::Relaxed);
    progress.objects_total.store(objects().count() as u64, Ordering::Relaxed);
    if options.strict {
        refuse_quarantine(options, &work, handle)?;
    }
    // What is fetched and waits may be a quarter of what may be in flight.
    let is_fetched = options.sources.iter().any(Location::is_s3);
    let fetches = if is_fetched { options.memory.0 / 4 } else { 0 };
    let run = Run {
        options,
        storage,
        lease,
        handle,
        progress,
        stop,
        budget: Arc::new(Budget::new(options.memory.0 - fetches)),
        fetch_budget: Budget::new(fetches),
        workers: Mutex::new(Vec::new()),
        settle: InOrder::new(Settle::new(lock, &manifests, options, storage, handle)),
        failure: Mutex::new(None),
        database: options.catalog.database_of(&manifests),
        rows: RowOptions { partition_by: options.partition_by.clone(), nested: options.nested },
    };
    let total = work.units.len();
    let (mut report, mut committed) = run.convert_units(work.units, committed)?;
    if let Some(err) = run.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(err);
    }
    let settle = run.settle.into_state();
    let mut all = manifests;
    all.append(&mut committed);
    let lock = handle.block_on(read_lock(storage, &all))?;
    if let Some(catalog) = &catalog {
        let refresh = refresh_catalog(catalog, storage, &all, &lock, &options.catalog);
        report.add_catalog(handle.block_on(refresh)?);
    }
    report.warnings = handle.block_on(warnings(storage));
    report.objects_ignored += work.ignored;
    report.objects_known = work.known;
    report.schema_version = lock.version;
    report.new_fields = settle.new_fields;
    report.interrupted = stop.load(Ordering::Relaxed) && (report.units as usize) < total;
    report.seconds = started.elapsed().as_secs_f64();
    if report.units > 0 {
        handle.block_on(write_run_log(storage, &report, &all))?;
    }
    Ok(report)
}

/// A lake inside its source would be read as a source the next time.
fn check_places(options: &ConvertOptions) -> Result<()> {
    let inside = |lake: &dyn std::fmt::Display, source: &Location| {
        Error::config("the lake and a source lie inside one another")
            .at("lake", lake)
            .at("source", source)
    };
    let lake = match &options.lake {
        Location::S3 { bucket, prefix } => {
            let slashed = |prefix: &str| match prefix.trim_matches('/') {
                "" => String::new(),
                prefix => format!("{prefix}/"),
            };
            let prefix = slashed(prefix);
            return options.sources.iter().try_for_each(|source| match source {
                Location::S3 { bucket: other, prefix: from }
                    if other == bucket
                        && (prefix.starts_with(from) || slashed(from).starts_with(&prefix)) =>
                {
                    Err(inside(&options.lake, source))
                }
                _ => Ok(()),
            });
        }
        Location::Local(lake) => std::path::absolute(lake)
            .map_err(|err| Error::config("the lake's path is no path").because(err))?,
    };
    let lake = lake.canonicalize().unwrap_or(lake);
    for source in &options.sources {
        let Some(Ok(path)) = source.local().map(std::path::Path::canonicalize) else { continue };
        if path.starts_with(&lake) || (lake.starts_with(&path) && path.is_dir()) {
            return Err(inside(&lake.display(), source));
        }
    }
    Ok(())
}

/// Names become folders and identifiers of every engine.
fn check_names(options: &ConvertOptions) -> Result<()> {
    let CatalogOptions { database, table, .. } = &options.catalog;
    let database = database.as_deref().unwrap_or(DEFAULT_DATABASE);
    for (what, name) in [("database", database), ("table", table)] {
        // The longest suffix of a family's table must fit, too.
        if !is_name(name) || name.starts_with('_') || name.len() > 200 {
            return Err(Error::config(format!(
                "`{name}` is no {what} name: use a-z, 0-9 and _, and begin with a letter"
            )));
        }
    }
    Ok(())
}

/// A lake keeps the partition keys and the base table that it began with.
fn check_lake(options: &ConvertOptions, manifests: &[Manifest]) -> Result<()> {
    let Some(last) = manifests.last() else { return Ok(()) };
    if last.partition_by != options.partition_by.to_string() {
        return Err(Error::config(format!(
            "the lake is partitioned by {}; give the same `--partition-by` or another lake",
            last.partition_by
        )));
    }
    let base = &options.catalog.table;
    let names: Vec<String> = crate::schema::Family::ALL.iter().map(|f| f.table(base)).collect();
    match manifests.iter().flat_map(|m| &m.files).find(|file| !names.contains(&file.table)) {
        Some(file) => Err(Error::config(format!(
            "the lake holds the table `{}`; give the same `--table` or another lake",
            file.table
        ))),
        None => Ok(()),
    }
}

/// Removes what a killed run left: finished intents, and the files of abandoned ones.
async fn clean_up(storage: &Storage, work: &Work, table: &str) -> Result<()> {
    for unit in &work.finished {
        Intent::remove(storage, unit).await?;
    }
    if work.abandoned.is_empty() {
        return Ok(());
    }
    let units: Vec<String> = work.abandoned.iter().map(|i| i.unit.to_string()).collect();
    let mut places: Vec<String> =
        crate::schema::Family::ALL.iter().map(|family| family.table(table)).collect();
    places.extend(["quarantine", "copies"].map(|folder| format!("{OWN}/{folder}")));
    for place in places {
        for listed in storage.list(&place).await? {
            if units.iter().any(|unit| listed.key.contains(unit)) {
                storage.delete(&listed.key).await?;
            }
        }
    }
    for intent in &work.abandoned {
        Intent::remove(storage, &intent.unit).await?;
    }
    Ok(())
}

/// Reads all objects on this thread, unit by unit and member by member, and writes nothing.
fn parse_all(
    options: &ConvertOptions,
    work: &Work,
    nested: bool,
    runtime: &Handle,
    mut visit: impl FnMut(&Parsed) -> Result<()>,
) -> Result<()> {
    let mut worker = Worker::new(Decoder::new(options.caps));
    let rows = RowOptions { partition_by: options.partition_by.clone(), nested };
    let mut parse = |objects: Vec<SegmentObject>| -> Result<()> {
        visit(&parse_segment(objects, &mut worker, &rows)?)
    };
    for unit in &work.units {
        match &unit.objects[..] {
            [object @ Object { archive: Some(kind), .. }] => {
                let archive = object.open(runtime)?;
                members(archive, *kind, options.caps.max_object_bytes, &mut |member| {
                    parse(vec![SegmentObject::member(object, member)])
                })
                .map_err(|err| err.at("archive", &object.key))?;
            }
            objects => {
                let fetched = runtime.block_on(fetch_all(objects.to_vec()))?;
                parse(fetched.into_iter().map(|fetched| fetched.object).collect())?;
            }
        }
    }
    Ok(())
}

/// With `--strict`: reads everything once, and refuses before anything is committed.
fn refuse_quarantine(options: &ConvertOptions, work: &Work, runtime: &Handle) -> Result<()> {
    parse_all(options, work, false, runtime, |parsed| match parsed.quarantine.first() {
        None => Ok(()),
        Some(bad) => Err(Error::bad_input(format!(
            "{}; nothing was committed, because of `--strict`",
            bad.reason
        ))
        .at("object", &bad.object)
        .at("record", bad.record.map_or("all".to_owned(), |n| n.to_string()))
        .at("byte", bad.byte)),
    })
}

/// What a person should know about where the lake is.
async fn warnings(storage: &Storage) -> Vec<String> {
    let Some(bucket) = storage.bucket() else { return Vec::new() };
    match bucket.public_access().await {
        PublicAccess::By(_) => vec![format!(
            "the bucket `{}` is open to the public, and the logs in it are sensitive: block public \
             access to it",
            bucket.name()
        )],
        // Whoever may not ask learns nothing, here; `doctor` says so.
        _ => Vec::new(),
    }
}

/// Keeps what a run did; the only file whose name depends on the clock.
async fn write_run_log(storage: &Storage, report: &Report, manifests: &[Manifest]) -> Result<()> {
    let Some(last) = manifests.last() else { return Ok(()) };
    let key = format!("{OWN}/runs/{}-{}.json", last.unit, jiff::Timestamp::now().as_millisecond());
    let json = serde_json::to_vec_pretty(report)
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot render the report").because(err))?;
    storage.put_new(&key, json).await.map(|_| ())
}

/// Infers the schema of the sources: what a conversion into a new lake would lock, without writing
/// anything.
///
/// # Errors
/// `Config` for a source that does not exist, `Io` when one cannot be read.
pub fn infer(options: &ConvertOptions, from_seed: bool) -> Result<Lock> {
    let mut lock = if from_seed { Lock::seed()? } else { Lock::empty() };
    let runtime = runtime()?;
    let handle = runtime.handle();
    let work = handle.block_on(make_work(options, &[], Vec::new()))?;
    let mut seen: BTreeMap<_, crate::schema::Observed> = BTreeMap::new();
    parse_all(options, &work, true, handle, |parsed| {
        for table in &parsed.tables {
            for (spec, values) in table.specs.iter().zip(&table.values) {
                if let Values::Nested(tree) = values {
                    let observed = tree.observed(&parsed.source, &parsed.side);
                    seen.entry((table.family, spec.name)).or_default().join(observed);
                }
            }
        }
        Ok(())
    })?;
    for ((family, name), observed) in seen {
        lock.merge(family, name, &observed);
    }
    Ok(lock)
}
