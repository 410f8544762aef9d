//! The main job: from listing to commit to catalog.

use crate::engine::commit::Target;
use crate::engine::driver::{Run, Surroundings};
use crate::engine::feed::{Feed, FeedOptions, LEDGER_SHARE, Resumed};
use crate::engine::resolve::Settle;
use crate::engine::unreadable::{Broken, Unreadable};
use crate::engine::{ConvertOptions, Progress, Report, runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{
    CompleteListing, CopyKey, Intent, Known, LockName, Unavailable, UnitBasis, WorkPlan, read_lock,
};
use crate::operations::look_back::{is_listed, note_listings, sources, today};
use crate::operations::options_check::{check_lake, check_names, check_places};
use crate::operations::preflight::{note_unrecognized, refuse_empty, refuse_nothing};
use crate::operations::recover::{Recovery, end_unfinished, recover};
use crate::operations::register::{
    after_commit, open_catalog, refresh_catalog, refuse_others_tables,
};
use crate::operations::restore::Restore;
use crate::operations::run_log::{loss_warning, warnings, write_run_log};
use crate::operations::strict::refuse_quarantine;
use crate::operations::sweep::{clean_up, sweep_given_up};
use crate::operations::target::{check_known, check_target};
use crate::storage::{Lease, Storage};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::runtime::Handle;

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
        let lock = read_lock(storage, &known.snapshot).await?;
        Ok::<_, Error>((known, intents, lock, CompleteListing::read_all(storage).await?))
    })?;
    check_lake(options, &known.snapshot)?;
    // What is wrong with it is said before the first write.
    let catalog = open_catalog(storage, &known.snapshot, &options.catalog, &options.s3);
    let catalog = handle.block_on(catalog)?;
    if let Some(catalog) = &catalog {
        let (lake, keys) = (&known.snapshot, &options.output.partition_by);
        let names = &options.catalog;
        handle.block_on(refuse_others_tables(catalog, storage, lake, &lock, names, keys))?;
    }
    handle.block_on(WorkPlan::remove_all_work(storage))?;
    storage.clear_half_written()?;
    let table = &options.output.table;
    handle.block_on(sweep_given_up(storage, &known, &intents, table))?;
    let (recovery, restore) = handle.block_on(async {
        let mut recovery = recover(options, storage, &known, intents, broken).await?;
        // What a unit is made of depends on what is lost by now.
        recovery.needs_barrier |= options.output.restores && !recovery.resumed.units.is_empty();
        end_unfinished(storage, &mut known, &mut recovery).await?;
        let restore = match options.output.restores {
            true => Some(Restore::begin(options, storage, &known.snapshot, &mut recovery).await?),
            false => None,
        };
        Ok::<_, Error>((recovery, restore))
    })?;
    let before = handle.block_on(Unavailable::read(storage))?;
    let is_new_lake = known.snapshot.last().is_none();
    let unreadable = Unreadable::new(before.clone(), is_new_lake).with_broken(broken);
    let unreadable = Arc::new(unreadable);
    let open = |resumed: Resumed, only, unreadable| {
        let (sources, lake) = (sources(options, &listed, &before), Some((storage, &known)));
        let plan = None;
        let feed = FeedOptions { options, sources, today, lake, resumed, only, plan, unreadable };
        handle.block_on(Feed::open(feed))
    };
    let Recovery { resumed, abandoned, finished, .. } = recovery;
    let mut feed = match options.strict {
        false => open(resumed, None, Arc::clone(&unreadable))?,
        true => {
            let looking = Arc::new(Unreadable::new(before.clone(), is_new_lake));
            let mut feed = open(resumed.clone(), None, Arc::clone(&looking))?;
            let looked_at = refuse_quarantine(options, &mut feed, &looking, handle)?;
            open(resumed, Some(looked_at), Arc::clone(&unreadable))?
        }
    };
    handle.block_on(clean_up(storage, &abandoned, &finished, table))?;
    if let Some(restore) = &restore {
        known.snapshot.replace_gone(&handle.block_on(restore.remove_rest(storage))?);
    }
    let ledger = known.ledger_bytes().min(options.memory.0 / LEDGER_SHARE);
    let units_of_day = known.snapshot.units_of_day().clone();
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
    let database = options.catalog.database_of(&known.snapshot);
    let basis = UnitBasis::after_barrier(options.output.clone(), known.snapshot.barrier());
    let run = Run::new(surroundings, settle, basis, database, ledger);
    let last = known.snapshot.last();
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
        return Err(Error::new(ErrorKind::Bug, "the target of a conversion is not a lake"));
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
        known.snapshot.replace_gone(&gone);
        report.restored = Some(restored);
    }
    let lake = &known.snapshot;
    let lock = handle.block_on(read_lock(storage, lake))?;
    if let Some(catalog) = &catalog {
        let refresh = refresh_catalog(catalog, storage, lake, &lock, &options.catalog);
        report.add_catalog(handle.block_on(refresh).map_err(after_commit)?);
    }
    report.warnings = handle.block_on(warnings(storage));
    report.warnings.extend(loss_warning(lake).filter(|_| !options.output.restores));
    note_unrecognized(&mut report, lake.tables().len() > 0);
    if is_key_restored {
        let restored = "the key of the lake's fingerprints was missing or damaged and has been \
                        restored";
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
