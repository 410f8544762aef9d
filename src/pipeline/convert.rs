//! The main job: from listing to commit to catalog.

use crate::catalog::is_name;
use crate::columns::{Fingerprints, Values};
use crate::commit::{
    CompleteListing, CopyKey, Entry, Intent, Known, LockName, Summary, Unavailable, WorkPlan,
    after_barrier, entry, read_lock, to_json,
};
use crate::decode::Decoder;
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::pipeline::abandon::{clean_up, end_unfinished, sweep_given_up};
use crate::pipeline::feed::{Feed, FeedOptions, LEDGER_SHARE};
use crate::pipeline::fetch::fetch_all;
use crate::pipeline::finish::Target;
use crate::pipeline::nothing::{note_unrecognized, refuse_empty, refuse_nothing};
use crate::pipeline::plan::{Begun, Unit, begun, new_feed};
use crate::pipeline::publish::{
    CatalogOptions, after_commit, open_catalog, refresh_catalog, refuse_others_tables,
};
use crate::pipeline::report::{Progress, Report};
use crate::pipeline::restore::Restore;
use crate::pipeline::run::{Run, Surroundings};
use crate::pipeline::segment::{
    Host, Parsed, RowOptions, SegmentObject, Visiting, Worker, parse_segment,
};
use crate::pipeline::settle::Settle;
use crate::pipeline::target::{check_known, check_target};
use crate::pipeline::unreadable::{Broken, Unreadable};
use crate::pipeline::window::{is_listed, note_listings, sources, today};
use crate::pipeline::{ConvertOptions, DEFAULT_DATABASE};
use crate::schema::Lock;
use crate::source::{Member, Object, members};
use crate::storage::{Lease, OWN, PublicAccess, Storage};
use crate::units::{are, counted};
use hashbrown::HashSet;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::runtime::{Handle, Runtime};

/// Threads that read and write a local lake's documents: each keeps memory that it has freed.
const BLOCKING_THREADS: usize = 8;

/// Starts the threads that wait for storage and catalog.
///
/// # Errors
/// `Io` when they cannot be started.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
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
    handle.block_on(check_target(options))?;
    let empty = handle.block_on(refuse_empty(options))?;
    let storage = handle.block_on(Storage::open(&options.lake, &options.s3))?;
    let lease = handle.block_on(Lease::take(&storage))?;
    let broken = Arc::new(Broken::default());
    let mut earlier = Report::default();
    let outcome = loop {
        let count = broken.count();
        let begun = (started, &broken, &mut earlier);
        let outcome = convert_with(options, progress, stop, handle, lease.storage(), begun);
        // What broke off is left out the next time, as it would be by the next run.
        let is_over = outcome.is_ok() || broken.count() == count || stop.load(Ordering::Relaxed);
        if is_over || options.strict || lease.storage().lost().is_some() {
            break outcome;
        }
    };
    let mut outcome = handle.block_on(lease.conclude(outcome));
    if let Ok(report) = &mut outcome {
        report.warnings.splice(0..0, empty);
    }
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
    (started, broken, earlier): (Instant, &Arc<Broken>, &mut Report),
) -> Result<Report> {
    handle.block_on(WorkPlan::refuse_open(storage))?;
    let today = today();
    let (mut known, intents, lock, listed) = handle.block_on(async {
        let known = Known::read(storage).await?;
        check_known(storage, &known).await?;
        let intents = Intent::read_all(storage).await?;
        let lock = read_lock(storage, &known.summary).await?;
        Ok::<_, Error>((known, intents, lock, CompleteListing::read_all(storage).await?))
    })?;
    check_lake(options, &known.summary)?;
    // What is wrong with it is said before the first write.
    let catalog = open_catalog(storage, &known.summary, &options.catalog, &options.s3);
    let catalog = handle.block_on(catalog)?;
    if let Some(catalog) = &catalog {
        let (lake, keys) = (&known.summary, options.partition_by.to_string());
        let names = &options.catalog;
        handle.block_on(refuse_others_tables(catalog, storage, lake, &lock, names, &keys))?;
    }
    handle.block_on(WorkPlan::remove_all_work(storage))?;
    storage.clear_half_written()?;
    let table = &options.catalog.table;
    handle.block_on(sweep_given_up(storage, &known, &intents, table))?;
    let (begun, restore) = handle.block_on(async {
        let mut begun = begun(options, storage, &known, intents, broken).await?;
        // What a unit is made of depends on what is lost by now.
        begun.needs_barrier |= options.restore && !begun.units.is_empty();
        end_unfinished(storage, &mut known, &mut begun).await?;
        let restore = match options.restore {
            true => Some(Restore::begin(options, storage, &known.summary, &mut begun).await?),
            false => None,
        };
        Ok::<_, Error>((begun, restore))
    })?;
    let before = handle.block_on(Unavailable::read(storage))?;
    let is_new_lake = known.summary.last.is_none();
    let unreadable = Unreadable::new(before.clone(), is_new_lake).with_broken(broken);
    let unreadable = Arc::new(unreadable);
    let open = |begun: Begun, only, unreadable| {
        let (sources, lake) = (sources(options, &listed, &before), Some((storage, &known)));
        let plan = None;
        let feed = FeedOptions { options, sources, today, lake, begun, only, plan, unreadable };
        handle.block_on(Feed::open(feed))
    };
    let (abandoned, finished) = (begun.abandoned.clone(), begun.finished.clone());
    let mut feed = match options.strict {
        false => open(begun, None, Arc::clone(&unreadable))?,
        true => {
            let looking = Arc::new(Unreadable::new(before.clone(), is_new_lake));
            let mut feed = open(begun.clone(), None, Arc::clone(&looking))?;
            let looked_at = refuse_quarantine(options, &mut feed, &looking, handle)?;
            open(begun, Some(looked_at), Arc::clone(&unreadable))?
        }
    };
    handle.block_on(clean_up(storage, &abandoned, &finished, table))?;
    if let Some(restore) = &restore {
        known.summary.gone = handle.block_on(restore.remove_rest(storage))?;
    }
    let ledger = known.ledger_bytes().min(options.memory.0 / LEDGER_SHARE);
    let units_of_day = known.summary.units_of_day.clone();
    let made = handle.block_on(CopyKey::read_or_make(storage, &units_of_day))?;
    let (key, is_key_restored) = made;
    let settle = Settle::new(lock, units_of_day, None, options, storage, handle, &key)
        .restores(restore.as_ref().map(|restore| restore.lost.clone()));
    let committed = settle.committed();
    let surroundings = Surroundings {
        options,
        storage,
        handle,
        progress,
        stop,
        key: &key,
        unreadable: &unreadable,
        plan: None,
    };
    let database = options.catalog.database_of(&known.summary);
    let settings = after_barrier(&options.settings(), known.summary.barrier);
    let run = Run::new(surroundings, settle, settings, database, ledger);
    let last = known.summary.last.as_ref();
    let lock = last.map_or(LockName::default(), |last| last.schema.clone());
    let target = Target::Lake { known: Box::new(known), lock, committed };
    let (mut report, target) = run.convert_units(&mut feed, target)?;
    let ended = run.end();
    let is_all = ended.as_ref().is_ok_and(|(is_through, _)| *is_through);
    let unavailable = unreadable.list(|key| is_all && is_listed(options, key));
    if unavailable != before {
        let written = handle.block_on(unavailable.write(storage));
        if is_all {
            written?;
        }
    }
    report.add_earlier(std::mem::take(earlier));
    let (is_through, settle) = match ended {
        Ok(ended) => ended,
        Err(err) => {
            *earlier = report;
            return Err(after_commit(err));
        }
    };
    unreadable.report(&mut report);
    let seen = feed.seen();
    let Target::Lake { mut known, .. } = target else {
        return Err(Error::new(ErrorKind::Bug, "the lake was no lake"));
    };
    if is_through && report.units == 0 && unreadable.count() == 0 {
        refuse_nothing(&known, &seen.report)?;
    }
    if is_through {
        handle.block_on(async {
            if known.has_recent() {
                known.write_checkpoint(storage).await?;
                known.sweep(storage).await?;
            }
            if options.narrow.is_everything() {
                let objects = seen.report.objects_listed;
                note_listings(&options.sources, storage, &listed, today, objects).await?;
            }
            Ok::<_, Error>(())
        })?;
    }
    if let Some(restore) = restore.filter(|_| is_through) {
        let (gone, restored) = handle.block_on(restore.end(storage)).map_err(after_commit)?;
        (known.summary.gone, report.restored) = (gone, Some(restored));
    }
    let lake = &known.summary;
    let lock = handle.block_on(read_lock(storage, lake))?;
    if let Some(catalog) = &catalog {
        let refresh = refresh_catalog(catalog, storage, lake, &lock, &options.catalog);
        report.add_catalog(handle.block_on(refresh).map_err(after_commit)?);
    }
    report.warnings = handle.block_on(warnings(storage));
    report.warnings.extend(loss_warning(lake).filter(|_| !options.restore));
    note_unrecognized(&mut report, !lake.tables.is_empty());
    if is_key_restored {
        let restored = "the key of the lake's fingerprints was gone or damaged, and was restored";
        report.warnings.push(restored.to_owned());
    }
    report.objects_ignored += seen.report.objects_ignored;
    report.objects_known = seen.known;
    report.listing = seen.report;
    report.schema_version = lock.version;
    report.new_fields = settle.new_fields;
    report.interrupted = stop.load(Ordering::Relaxed) && !is_through;
    report.seconds = started.elapsed().as_secs_f64();
    if report.units > 0 {
        handle.block_on(write_run_log(storage, &report, lake))?;
    }
    Ok(report)
}

/// A lake inside its source would be read as a source the next time.
pub(super) fn check_places(options: &ConvertOptions) -> Result<()> {
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
pub(super) fn check_names(options: &ConvertOptions) -> Result<()> {
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
pub(super) fn check_lake(options: &ConvertOptions, lake: &Summary) -> Result<()> {
    let Some(last) = &lake.last else { return Ok(()) };
    if last.partition_by != options.partition_by.to_string() {
        return Err(Error::config(format!(
            "the lake is partitioned by {}; give the same `--partition-by` or another lake",
            last.partition_by
        )));
    }
    let base = &options.catalog.table;
    let names: Vec<String> = crate::schema::Family::ALL.iter().map(|f| f.table(base)).collect();
    match lake.tables.keys().find(|table| !names.contains(table)) {
        Some(table) => Err(Error::config(format!(
            "the lake holds the table `{table}`; give the same `--table` or another lake"
        ))),
        None => Ok(()),
    }
}

/// Reads all objects on this thread, unit by unit and member by member, and writes nothing.
fn parse_all(
    options: &ConvertOptions,
    feed: &mut Feed,
    nested: bool,
    unreadable: &Arc<Unreadable>,
    runtime: &Handle,
    mut see: impl FnMut(&Unit),
    mut visit: impl FnMut(&Parsed) -> Result<()>,
) -> Result<()> {
    let rows = RowOptions::new(options, nested, Fingerprints::default());
    let mut worker = Worker::new(Decoder::new(options.caps), &rows);
    let mut parsed = Parsed::default();
    let mut visiting = Visiting(&mut visit);
    let mut parse = |objects: Vec<SegmentObject>| -> Result<()> {
        parse_segment(objects, &mut worker, &rows, &mut parsed, &mut visiting)?;
        visiting.take_part(&mut parsed)
    };
    while let Some(unit) = feed.next(runtime)? {
        see(&unit);
        match &unit.objects[..] {
            [object @ Object { archive: Some(kind), .. }] => {
                let archive = object.open(runtime)?;
                members(archive, *kind, &options.caps, &mut |member: Member| {
                    parse(vec![SegmentObject::member(object, member, 0)])
                })
                .map_err(|err| err.at("archive", &object.key))?;
            }
            objects => {
                let all = fetch_all(objects.to_vec(), unreadable);
                let (fetched, _) = runtime.block_on(all)?;
                parse(fetched.into_iter().map(|fetched| fetched.object).collect())?;
            }
        }
    }
    match unreadable.list(|_| true).objects.first() {
        Some(object) if unreadable.count() > 0 => {
            Err(Error::bad_input(object.reason.clone()).at("object", &object.object))
        }
        _ => Ok(()),
    }
}

/// With `--strict`: reads everything once, and refuses before anything is committed; returns the
/// entries of what it looked at.
fn refuse_quarantine(
    options: &ConvertOptions,
    feed: &mut Feed,
    unreadable: &Arc<Unreadable>,
    runtime: &Handle,
) -> Result<HashSet<Entry>> {
    let mut looked_at = HashSet::new();
    let see = |unit: &Unit| {
        looked_at.extend(unit.objects.iter().map(|o| entry(&o.layout, &o.key, &o.etag)));
    };
    parse_all(options, feed, false, unreadable, runtime, see, |parsed| {
        match parsed.quarantine.first() {
            None => Ok(()),
            Some(bad) => Err(Error::bad_input(format!(
                "{}; nothing was committed, because of `--strict`",
                bad.reason
            ))
            .at("object", &bad.object)
            .at("record", bad.record.map_or("all".to_owned(), |n| n.to_string()))
            .at("byte", bad.byte)),
        }
    })?;
    Ok(looked_at)
}

/// What a person should know about where the lake is.
pub(super) async fn warnings(storage: &Storage) -> Vec<String> {
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

/// What a person should know about rows that are gone.
fn loss_warning(lake: &Summary) -> Option<String> {
    let (files, rows) = lake.lost();
    (files > 0).then(|| {
        format!(
            "{} with {} {} gone from the lake: bring back what is lost with \
             `trailmill convert --restore`, or accept the loss with `trailmill catalog sync \
             --accept-loss`",
            counted(files, "data file"),
            counted(rows, "row"),
            are(files),
        )
    })
}

/// Keeps what a run did; the only file whose name depends on the clock.
pub(super) async fn write_run_log(
    storage: &Storage,
    report: &Report,
    lake: &Summary,
) -> Result<()> {
    let Some(last) = &lake.last else { return Ok(()) };
    let key = format!("{OWN}/runs/{}-{}.json", last.unit, jiff::Timestamp::now().as_millisecond());
    storage.put_new(&key, to_json(report)?).await.map(|_| ())
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
    handle.block_on(refuse_empty(options))?;
    let unreadable = Arc::new(Unreadable::default());
    let mut feed = handle.block_on(new_feed(options, &unreadable))?;
    let mut seen: BTreeMap<_, crate::schema::Observed> = BTreeMap::new();
    parse_all(
        options,
        &mut feed,
        true,
        &unreadable,
        handle,
        |_| {},
        |parsed| {
            for table in &parsed.tables {
                for (spec, values) in table.specs.iter().zip(&table.values) {
                    if let Values::Nested(tree) = values {
                        let observed = tree.observed(&parsed.texts);
                        seen.entry((table.family, spec.name)).or_default().join(observed);
                    }
                }
            }
            Ok(())
        },
    )?;
    for ((family, name), observed) in seen {
        lock.merge(family, name, &observed);
    }
    Ok(lock)
}
