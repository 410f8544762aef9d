//! The main job: from listing to commit to catalog.

use crate::catalog::Catalog;
use crate::engine::commit::Target;
use crate::engine::driver::{Converted, convert_units};
use crate::engine::feed::{Feed, FeedOptions, LEDGER_SHARE, Resumed, Seen};
use crate::engine::lost_rows::LostRows;
use crate::engine::resolve::Resolver;
use crate::engine::run::{Run, RunInputs};
use crate::engine::unreadable::{Broken, Unreadable};
use crate::engine::{About, ConvertOptions, Progress, Report, Stage, runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{
    CompleteListing, CopyKey, Intent, Known, LockName, Snapshot, Unavailable, UnitBasis, WorkPlan,
    read_lock,
};
use crate::operations::look_back::{is_listed, note_listings, sources, today};
use crate::operations::named::{Naming, buckets_of};
use crate::operations::options_check::{check_lake, check_names, check_places};
use crate::operations::partitioning::settle;
use crate::operations::preflight::{note_unrecognized, only_others, refuse_empty};
use crate::operations::prove::{upgrade, with_proofs};
use crate::operations::recover::{Recovery, end_unfinished, recover};
use crate::operations::register::{
    after_commit, open_catalog, projections, refresh_catalog, refuse_others_tables,
};
use crate::operations::restore::Restore;
use crate::operations::run_log::{about_run, loss_warning, warnings, write_run_log};
use crate::operations::strict::refuse_quarantine;
use crate::operations::sweep::{clean_up, sweep_discarded};
use crate::operations::switch::finish_exchanges;
use crate::operations::take_turn::take_turn_as;
use crate::operations::target::{check_known, check_target};
use crate::schema::Lock;
use crate::storage::Storage;
use crate::units::Day;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::runtime::Handle;

/// Units after which a lake that is fed by a queue gets a checkpoint: each window reads the manifests since then.
const NAMED_UNITS_DUE: usize = 50;

/// Converts what is new in the sources into the lake, and refreshes its catalog.
///
/// `stop` ends the run early: what is in flight is committed, the rest is left for the next run.
///
/// # Errors
/// `Config` for sources or options that are wrong, `Busy` when another run holds the lake, `Io` and
/// `Damaged` from the store, `BadInput` with `strict` when something would be quarantined. What was
/// committed before stays.
pub fn convert(options: &ConvertOptions, progress: &Progress, stop: &AtomicBool) -> Result<Report> {
    convert_listed(options, progress, stop, false)
}

/// As [`convert`], for the sweep of a watch: others wait for the lake as they do for the watch.
///
/// # Errors
/// As [`convert`].
pub(super) fn convert_as_sweep(
    options: &ConvertOptions,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Report> {
    convert_listed(options, progress, stop, true)
}

fn convert_listed(
    options: &ConvertOptions,
    progress: &Progress,
    stop: &AtomicBool,
    gives_way: bool,
) -> Result<Report> {
    let started = Instant::now();
    check_places(options)?;
    check_names(options)?;
    let runtime = runtime()?;
    let handle = runtime.handle();
    handle.block_on(check_target(options))?;
    let empty = handle.block_on(refuse_empty(options))?;
    let storage = handle.block_on(Storage::open(&options.lake, &options.s3))?;
    let lease = handle.block_on(take_turn_as(&storage, Some(stop), gives_way))?;
    let storage = lease.storage();
    let settled = settle(options, storage, handle);
    let (options, chosen) = match settled {
        Ok(settled) => settled,
        Err(err) => return handle.block_on(lease.conclude(Err(err))),
    };
    let options = &options;
    let broken = Arc::new(Broken::default());
    let (today, broken) = (today(), &broken);
    let about = about_run(&options.lake, options.sources.iter().map(ToString::to_string).collect());
    let outcome = handle.block_on(with_proofs(options, storage)).and_then(|options| {
        let conversion = Conversion::new(&options, storage, progress, stop, handle, broken);
        Conversion { about, started, today, ..conversion }.convert_readable()
    });
    let mut outcome = handle.block_on(lease.conclude(outcome));
    if let Ok(report) = &mut outcome {
        report.warnings.splice(0..0, empty);
        report.partitions_chosen = chosen;
    }
    // What is still on its way belongs to a run that has failed.
    runtime.shutdown_background();
    outcome
}

/// Converts objects that are named, into a lake whose lease is held; the layout of the lake is settled.
///
/// # Errors
/// As [`convert`].
pub(super) fn convert_named(
    options: &ConvertOptions,
    storage: &Storage,
    naming: &Naming<'_>,
    progress: &Progress,
    stop: &AtomicBool,
    handle: &Handle,
) -> Result<Report> {
    let broken = &Arc::new(Broken::default());
    let conversion = Conversion::new(options, storage, progress, stop, handle, broken);
    Conversion { naming: Some(naming), ..conversion }.convert_readable()
}

/// One conversion: prepare, recover, feed, run, conclude.
struct Conversion<'a> {
    options: &'a ConvertOptions,
    progress: &'a Progress,
    stop: &'a AtomicBool,
    handle: &'a Handle,
    storage: &'a Storage,
    about: About,
    started: Instant,
    today: Day,
    /// Objects whose reading broke off in this run.
    broken: &'a Arc<Broken>,
    /// What is converted without a listing, if that is so.
    naming: Option<&'a Naming<'a>>,
}

/// The lake as a run finds it.
struct Lake {
    known: Known,
    lock: Lock,
    listed: Vec<CompleteListing>,
    catalog: Option<Catalog>,
    intents: Vec<Intent>,
    /// What earlier runs could not read.
    before: Unavailable,
}

/// What running the units has come to.
struct Outcome<'a> {
    converted: Converted<'a>,
    seen: Seen,
    unreadable: Arc<Unreadable>,
    /// Whether the key of the lake's fingerprints was made again from its documents.
    is_key_restored: bool,
}

impl<'a> Conversion<'a> {
    /// A conversion of what is listed, that begins now.
    fn new(
        options: &'a ConvertOptions,
        storage: &'a Storage,
        progress: &'a Progress,
        stop: &'a AtomicBool,
        handle: &'a Handle,
        broken: &'a Arc<Broken>,
    ) -> Self {
        let (about, started, today, naming) = (About::default(), Instant::now(), today(), None);
        Self { options, progress, stop, handle, storage, about, started, today, broken, naming }
    }

    /// Converts, and again without what broke off while it was read, as the next run would.
    fn convert_readable(&self) -> Result<Report> {
        let mut earlier = Report::default();
        loop {
            let count = self.broken.count();
            let outcome = self.convert(&mut earlier);
            let is_over = outcome.is_ok()
                || self.broken.count() == count
                || self.stop.load(Ordering::Relaxed)
                || self.storage.lost().is_some();
            if is_over || self.options.strict {
                return outcome;
            }
        }
    }

    /// Converts once; `earlier` is what attempts before have committed, and takes this one's where it fails.
    fn convert(&self, earlier: &mut Report) -> Result<Report> {
        let Self { options, handle, storage, .. } = *self;
        let mut lake = handle.block_on(self.prepare())?;
        let (recovery, restore) = handle.block_on(self.recover(&mut lake))?;
        lake.before = handle.block_on(Unavailable::read(storage))?;
        let is_new_lake = lake.known.snapshot.last().is_none();
        let unreadable = Unreadable::new(lake.before.clone(), is_new_lake).with_broken(self.broken);
        for key in self.naming.iter().flat_map(|naming| naming.gone) {
            unreadable.is_well(key);
        }
        let unreadable = Arc::new(unreadable);
        let Recovery { resumed, abandoned, finished, .. } = recovery;
        let mut feed = self.feed(&lake, resumed, &unreadable)?;
        handle.block_on(clean_up(storage, &abandoned, &finished, &options.output.table))?;
        if let Some(restore) = &restore {
            lake.known.snapshot.replace_gone(&handle.block_on(restore.remove_rest(storage))?);
        }
        let known = std::mem::take(&mut lake.known);
        let lost = restore.as_ref().map(|restore| restore.lost.clone());
        let outcome = self.run(known, &lake.lock, lost, &mut feed, unreadable)?;
        self.conclude(&lake, restore, outcome, earlier)
    }

    /// Reads the lake, and refuses what is wrong before the first write; then removes what killed runs
    /// left.
    async fn prepare(&self) -> Result<Lake> {
        let Self { options, storage, .. } = *self;
        WorkPlan::refuse_open(storage).await?;
        let known = Known::read(storage).await?;
        check_known(storage, &known).await?;
        let intents = Intent::read_all(storage).await?;
        let lock = read_lock(storage, &known.snapshot).await?;
        let listed = CompleteListing::read_all(storage).await?;
        check_lake(options, &known.snapshot)?;
        let names = &options.catalog;
        let catalog = match self.naming {
            Some(naming) if naming.is_registered() => None,
            _ => open_catalog(storage, &known.snapshot, names, &options.s3).await?,
        };
        if let Some(catalog) = &catalog {
            let (lake, output) = (&known.snapshot, &options.output);
            refuse_others_tables(catalog, storage, lake, &lock, names, output).await?;
        }
        WorkPlan::remove_all_work(storage).await?;
        storage.clear_half_written()?;
        finish_exchanges(storage).await?;
        sweep_discarded(storage, &known, &intents, &options.output.table).await?;
        Ok(Lake { known, lock, listed, catalog, intents, before: Unavailable::default() })
    }

    /// Sorts what earlier runs began, and with `--restore` what is gone.
    async fn recover(&self, lake: &mut Lake) -> Result<(Recovery, Option<Restore>)> {
        let Self { options, storage, .. } = *self;
        let (known, intents) = (&mut lake.known, std::mem::take(&mut lake.intents));
        let named = self.naming.map(|_| buckets_of(&intents));
        let sources = named.as_ref().unwrap_or(&options.sources);
        let mut recovery = recover(options, sources, storage, known, intents, self.broken).await?;
        // What a unit is made of depends on what is lost by now.
        recovery.needs_barrier |= options.output.restores && !recovery.resumed.units.is_empty();
        end_unfinished(storage, known, &mut recovery).await?;
        let restore = match options.output.restores {
            true => Some(Restore::begin(options, storage, &known.snapshot, &mut recovery).await?),
            false => None,
        };
        Ok((recovery, restore))
    }

    /// Begins to list; with `--strict`, looks at everything first.
    fn feed(&self, lake: &Lake, resumed: Resumed, unreadable: &Arc<Unreadable>) -> Result<Feed> {
        let Self { options, handle, storage, today, .. } = *self;
        let open = |resumed, only, unreadable: &Arc<Unreadable>| {
            handle.block_on(Feed::open(FeedOptions {
                options,
                sources: sources(options, &lake.listed, &lake.before),
                named: self.naming.map(|naming| naming.objects.to_vec()),
                today,
                lake: Some((storage, &lake.known)),
                resumed,
                only,
                plan: None,
                unreadable: Arc::clone(unreadable),
                work: Arc::clone(&self.progress.work),
            }))
        };
        self.progress.begin_listing();
        if !options.strict {
            return open(resumed, None, unreadable);
        }
        let is_new_lake = lake.known.snapshot.last().is_none();
        let looking = Arc::new(Unreadable::new(lake.before.clone(), is_new_lake));
        let mut feed = open(resumed.clone(), None, &looking)?;
        let looked_at = refuse_quarantine(options, &mut feed, &looking, handle)?;
        self.progress.begin_listing();
        open(resumed, Some(looked_at), unreadable)
    }

    /// Converts the units of a feed and commits them.
    fn run(
        &self,
        known: Known,
        lock: &Lock,
        lost: Option<LostRows>,
        feed: &mut Feed,
        unreadable: Arc<Unreadable>,
    ) -> Result<Outcome<'a>> {
        let Self { options, progress, stop, handle, storage, .. } = *self;
        let reserved = known.ledger_bytes().min(options.memory.0 / LEDGER_SHARE);
        let units_of_day = known.snapshot.units_of_day().clone();
        let homes = known.snapshot.homes().clone();
        let (key, is_key_restored) =
            handle.block_on(CopyKey::read_or_make(storage, &units_of_day))?;
        let resolver =
            Resolver::new(lock.clone(), units_of_day, None, options, storage, handle, &key)
                .restore(lost);
        let run = Run::new(RunInputs {
            options,
            storage,
            handle,
            progress,
            stop,
            key: &key,
            unreadable: &unreadable,
            plan: None,
            basis: UnitBasis::after_barrier(options.output.clone(), known.snapshot.barrier()),
            homes: &homes,
            database: options.catalog.database_of(&known.snapshot),
            reserved,
        });
        let last = known.snapshot.last();
        let lock = last.map_or(LockName::default(), |last| last.schema.clone());
        let committed = resolver.committed();
        let target = Target::Lake { known: Box::new(known), lock, committed };
        let converted = convert_units(&run, resolver, feed, target)?;
        progress.begin(Stage::Registering);
        Ok(Outcome { converted, seen: feed.seen(), unreadable, is_key_restored })
    }

    /// Notes what was read and what was not, brings the catalog in line, and reports.
    fn conclude(
        &self,
        lake: &Lake,
        restore: Option<Restore>,
        outcome: Outcome<'_>,
        earlier: &mut Report,
    ) -> Result<Report> {
        let Self { handle, storage, .. } = *self;
        let Outcome { converted, seen, unreadable, is_key_restored } = outcome;
        let Converted { mut report, target, ending } = converted;
        let is_through = ending.as_ref().is_ok_and(|ending| ending.is_through);
        self.note_unavailable(&unreadable, &lake.before, is_through)?;
        report.add_earlier(std::mem::take(earlier));
        match ending {
            Ok(ending) => report.new_fields = ending.new_fields,
            Err(err) => {
                *earlier = report;
                return Err(after_commit(err));
            }
        }
        unreadable.report(&mut report);
        if let Some(naming) = self.naming {
            naming.note(&unreadable, &seen.known_keys, is_through);
        }
        let Target::Lake { mut known, .. } = target else {
            return Err(Error::new(ErrorKind::Bug, "the lake was no lake"));
        };
        let is_idle = report.units == 0 && unreadable.count() == 0 && self.naming.is_none();
        let others = (is_through && is_idle).then(|| only_others(&known, &seen.report)).flatten();
        if is_through && others.is_none() {
            handle.block_on(self.note_complete(&mut known, lake, &seen, &mut report))?;
            if let Some(restore) = restore {
                self.end_restore(restore, &mut known, &mut report)?;
            }
        }
        let snapshot = &known.snapshot;
        let lock = handle.block_on(read_lock(storage, snapshot))?;
        handle.block_on(self.refresh(lake, snapshot, &lock, &mut report)).map_err(after_commit)?;
        self.describe(&mut report, seen);
        if self.naming.is_none() {
            report.warnings = self.warnings(snapshot);
            note_unrecognized(&mut report, snapshot.tables().len() > 0);
        }
        report.nothing_recognized |= others.is_some();
        report.warnings.extend(others);
        if is_key_restored {
            let restored =
                "the key of the lake's fingerprints was missing or damaged and has been restored";
            report.warnings.push(restored.to_owned());
        }
        report.schema_version = lock.version;
        report.interrupted = self.stop.load(Ordering::Relaxed) && !is_through;
        if report.units > 0 && self.naming.is_none() {
            handle.block_on(write_run_log(storage, &report, snapshot))?;
        }
        Ok(report)
    }

    /// Notes what was brought back of data files that were gone.
    fn end_restore(&self, restore: Restore, known: &mut Known, report: &mut Report) -> Result<()> {
        let (gone, restored) =
            self.handle.block_on(restore.end(self.storage)).map_err(after_commit)?;
        known.snapshot.replace_gone(&gone);
        report.restored = Some(restored);
        Ok(())
    }

    /// Notes what the run was and what it listed.
    fn describe(&self, report: &mut Report, seen: Seen) {
        report.about = self.about.clone();
        report.objects_known = seen.known;
        report.objects_ignored += seen.report.objects_ignored;
        report.listing = seen.report;
        report.seconds = self.started.elapsed().as_secs_f64();
    }

    /// Brings the catalog in line; for objects that are named, only where something new is to be registered.
    async fn refresh(
        &self,
        lake: &Lake,
        snapshot: &Snapshot,
        lock: &Lock,
        report: &mut Report,
    ) -> Result<()> {
        let Self { options, storage, .. } = *self;
        let names = &options.catalog;
        let projections = || projections(storage, snapshot, lock, names);
        if self.naming.is_some_and(|naming| !naming.is_due(report, lock.version, projections)) {
            return Ok(());
        }
        let mut is_projected = false;
        let opened = match (&lake.catalog, self.naming) {
            (None, Some(_)) => open_catalog(storage, snapshot, names, &options.s3).await?,
            _ => None,
        };
        if let Some(catalog) = lake.catalog.as_ref().or(opened.as_ref()) {
            let refreshed = refresh_catalog(catalog, storage, snapshot, lock, names).await?;
            is_projected = refreshed.is_projected;
            report.add_catalog(refreshed);
        }
        if let Some(naming) = self.naming {
            naming.registered(report, lock.version, is_projected.then(projections));
        }
        Ok(())
    }

    /// Writes the list of what could not be read, also after a failure.
    fn note_unavailable(
        &self,
        unreadable: &Unreadable,
        before: &Unavailable,
        is_all: bool,
    ) -> Result<()> {
        let is_listed = |key: &str| is_all && self.naming.is_none() && is_listed(self.options, key);
        let unavailable = unreadable.list(is_listed);
        if unavailable == *before {
            return Ok(());
        }
        let written = self.handle.block_on(unavailable.write(self.storage));
        if is_all { written } else { Ok(()) }
    }

    /// Notes that everything that was listed is in the lake, and what digests prove of it by now.
    async fn note_complete(
        &self,
        known: &mut Known,
        lake: &Lake,
        seen: &Seen,
        report: &mut Report,
    ) -> Result<()> {
        let Self { options, storage, today, .. } = *self;
        let is_due = match self.naming {
            Some(_) => known.recent_units() >= NAMED_UNITS_DUE,
            None => known.has_recent(),
        };
        if is_due {
            known.write_checkpoint(storage).await?;
            known.sweep(storage).await?;
        }
        if options.narrow.is_everything() && self.naming.is_none() {
            let objects = seen.report.objects_listed;
            note_listings(&options.sources, storage, &lake.listed, today, objects).await?;
        }
        upgrade(options, storage, &mut report.integrity).await
    }

    /// What a person should know about the lake.
    fn warnings(&self, lake: &Snapshot) -> Vec<String> {
        let mut all = self.handle.block_on(warnings(self.storage));
        all.extend(loss_warning(lake).filter(|_| !self.options.output.restores));
        all
    }
}
