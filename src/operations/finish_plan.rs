//! The end of a plan: its units are committed, or it is discarded.
//!
//! A unit's manifest waits in the plan until every unit is done; then manifests are put in the order of
//! their numbers, some side by side. Being killed in between leaves the plan open: the next attempt puts
//! the missing manifests and goes on. What follows (the schema of the next plan, checkpoint, catalog, report) can
//! be repeated at any time. The plan's own end comes last.

use crate::catalog::Catalog;
use crate::engine::tasks::all;
use crate::engine::unreadable::Unreadable;
use crate::engine::{CatalogOptions, Done, Progress, Report, Stage, runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{
    CompleteListing, Known, LockName, PlanEnd, Unavailable, UnitDone, WorkPlan, read_lock_version,
    write_lock,
};
use crate::location::Location;
use crate::operations::array_child::child_of;
use crate::operations::finish_compaction::CompactionFinish;
use crate::operations::finished::{Finished, Missing};
use crate::operations::look_back::note_listings;
use crate::operations::open_plan::{catalog_of, find_plan, is_own};
use crate::operations::register::{
    after_commit, open_catalog, refresh_catalog, refuse_others_tables,
};
use crate::operations::run_log::{about_run, warnings, write_run_log};
use crate::operations::take_turn::take_turn;
use crate::schema::Lock;
use crate::storage::{S3, Storage};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// Units that are read and committed side by side.
const AT_ONCE: u64 = 32;

/// Missing units that are named.
const MOST_NAMED: usize = 1000;

/// How a plan is to be finished.
#[derive(Clone, Debug)]
pub struct FinishOptions {
    /// The plan's document, or a lake with an open plan.
    pub plan: Location,
    /// How S3 is reached.
    pub s3: Arc<S3>,
    /// The catalog; its names are the plan's.
    pub catalog: CatalogOptions,
}

/// Commits a plan whose units are all done, and brings the catalog in line.
///
/// # Errors
/// `Busy` when another run holds the lake; `Config`, `Damaged`, `Unavailable`, `Denied`, `Io`. The plan
/// stays open then, and finishing it again goes on.
pub fn finish_plan(options: &FinishOptions, progress: &Progress) -> Result<Finished> {
    let started = Instant::now();
    let runtime = runtime()?;
    runtime.block_on(async {
        let (storage, plan) = find_plan(&options.plan, &options.s3).await?;
        let lease = take_turn(&storage, None).await?;
        let storage = lease.storage();
        let outcome = match &plan {
            Some(plan) => Finish { options, progress, plan, storage, started }.run().await,
            // What an attempt that was killed at its very end has left.
            None => WorkPlan::remove_all_work(storage).await.map(|()| Finished::Nothing(None)),
        };
        lease.conclude(outcome).await
    })
}

struct Finish<'a> {
    options: &'a FinishOptions,
    progress: &'a Progress,
    plan: &'a WorkPlan,
    storage: &'a Storage,
    started: Instant,
}

impl Finish<'_> {
    async fn run(&self) -> Result<Finished> {
        let Self { options, plan, storage, .. } = *self;
        if let Some(end) = plan.read_end(storage).await? {
            plan.remove_work(storage).await?;
            return Ok(Finished::Nothing(Some(end)));
        }
        if let Some(other) = options.catalog.database.as_ref().filter(|d| **d != plan.database) {
            let message = format!("the plan is for the database `{}`", plan.database);
            return Err(Error::config(message).at("database", other));
        }
        if let Some(missing) = self.missing().await? {
            return Ok(Finished::Missing(missing));
        }
        if let Some(how) = &plan.compaction {
            self.gap().await?;
            let started = self.started;
            let finish = CompactionFinish { plan, how, storage, s3: &options.s3, started };
            return finish.run(&options.catalog).await;
        }
        let names = catalog_of(plan, options.catalog.clone());
        let known = Known::read(storage).await?;
        // What is wrong with it is said before the work, not after.
        let catalog = open_catalog(storage, &known.snapshot, &names, &options.s3).await?;
        if let Some(catalog) = &catalog {
            let lock = read_lock_version(storage, &plan.schema).await?;
            let (lake, output) = (&known.snapshot, &plan.settings);
            refuse_others_tables(catalog, storage, lake, &lock, &names, output).await?;
        }
        // A `plan discard` that was cut off, or comes later, leaves the plan alone after this.
        let decided = plan.decide(storage, PlanEnd::Finished).await?;
        if decided != PlanEnd::Finished {
            return Ok(Finished::Nothing(Some(decided)));
        }
        let (known, mut done, lock) = self.commit().await.map_err(after_commit)?;
        let grown = self.grow(lock, &known, &mut done.report).await;
        let (lock, name) = grown.map_err(after_commit)?;
        let finalized = self.finalize(known, catalog, &names, &lock, &name, done.report).await;
        finalized.map(Finished::Done).map_err(after_commit)
    }

    /// Says which units are not done.
    async fn missing(&self) -> Result<Option<Missing>> {
        let Self { plan, storage, .. } = *self;
        let done = plan.list_done(storage, 0..plan.totals.units).await?;
        let count = plan.totals.units - done.len() as u64;
        if count == 0 {
            return Ok(None);
        }
        let mut missing = Missing {
            plan: storage.address() + &plan.key(),
            units: plan.totals.units,
            missing: count,
            ..Missing::default()
        };
        let mut done = done.into_iter().peekable();
        let (mut unit, mut start) = (0, 0);
        for (at, part) in plan.parts.iter().enumerate() {
            let is_whole = missing.numbers.len() >= MOST_NAMED;
            let mut inner = start;
            for planned in if is_whole { Vec::new() } else { plan.read_part(storage, at).await? } {
                if done.next_if_eq(&unit).is_none() {
                    missing.numbers.push(plan.first_number + unit);
                    missing.children.push(child_of(plan, inner) as u64);
                }
                unit += 1;
                inner += planned.weight;
            }
            start += part.weight;
        }
        missing.numbers.truncate(MOST_NAMED);
        missing.children.dedup();
        Ok(Some(missing))
    }

    /// Makes the plan's units the lake's, and says what they did; the schema with their news.
    async fn commit(&self) -> Result<(Known, Done, Lock)> {
        let Self { plan, storage, .. } = *self;
        // An attempt that was killed may have left a gap, in the last units it put.
        let mut known = match self.gap().await? {
            Some(units) => {
                self.put(units).await?;
                Known::read(storage).await?
            }
            None => Known::read(storage).await?,
        };
        self.progress.work.add(plan.totals.bytes, plan.totals.objects);
        self.progress.work.end();
        self.progress.begin(Stage::Converting);
        let mut done = Done::default();
        let unreadable = Unreadable::new(Unavailable::read(storage).await?, false);
        let mut lock = read_lock_version(storage, &plan.schema).await?;
        let mut from = 0;
        while from < plan.totals.units {
            // The first goes alone: another writer may want its number, and then has none of the others.
            let count = if from == 0 { 1 } else { AT_ONCE };
            let units = from..(from + count).min(plan.totals.units);
            from = units.end;
            for unit in self.put(units).await? {
                let UnitDone {
                    manifest,
                    news,
                    bytes_compressed,
                    quarantined_by_reason,
                    unavailable,
                    left: _,
                } = unit;
                manifest.objects.iter().for_each(|object| unreadable.is_well(&object.key));
                unavailable.iter().try_for_each(|object| unreadable.add(object))?;
                if manifest.unit.number >= known.snapshot.next_number() {
                    known.add(&manifest);
                }
                done.report.bytes_compressed += bytes_compressed;
                done.add_reasons(quarantined_by_reason.iter().map(|(why, count)| (why, *count)));
                done.add(&manifest, false);
                Progress::add(&self.progress.units, 1);
                Progress::add(&self.progress.bytes, bytes_compressed);
                Progress::add(&self.progress.objects, manifest.objects.len() as u64);
                Progress::add(&self.progress.records, manifest.tally.read);
                for news in news {
                    let added = lock.merge(news.family, &news.column, &news.seen);
                    done.report.new_fields.extend(added);
                }
            }
            if known.is_checkpoint_due() {
                known.write_checkpoint(storage).await?;
            }
        }
        unreadable.list(|_| false).write(storage).await?;
        unreadable.report(&mut done.report);
        for (reason, count) in &plan.unavailable {
            done.report.objects_unavailable += count;
            *done.report.unavailable_by_reason.entry(reason.clone()).or_default() += count;
        }
        Ok((known, done, lock))
    }

    /// Units before the last one that is in the lake which are not.
    async fn gap(&self) -> Result<Option<std::ops::Range<u64>>> {
        let Self { plan, storage, .. } = *self;
        let there = plan.list_committed(storage).await?;
        if !there.is_empty() && !is_own(plan, storage, &there).await? {
            if plan.read_end(storage).await?.is_some() {
                let message = "another run has finished the plan";
                return Err(Error::new(ErrorKind::Busy, message).at("plan", &plan.id));
            }
            let message = "another run has used the numbers of the plan's units: discard the plan \
                           with `trailmill plan discard`";
            return Err(Error::new(ErrorKind::Damaged, message).at("plan", &plan.id));
        }
        let Some(last) = there.last().copied() else { return Ok(None) };
        let is_whole = there.len() as u64 == last + 1;
        Ok((!is_whole).then(|| last.saturating_sub(2 * AT_ONCE)..last + 1))
    }

    /// Puts the manifests of some units; one that is there is the same.
    async fn put(&self, units: std::ops::Range<u64>) -> Result<Vec<UnitDone>> {
        let mut tasks = JoinSet::new();
        for unit in units {
            let (plan, storage) = (self.plan.clone(), self.storage.clone());
            tasks.spawn(async move {
                let done = plan.read_done(&storage, unit).await?;
                done.manifest.write(&storage).await?;
                Ok(done)
            });
        }
        let mut done = all(tasks).await?;
        done.sort_by_key(|done: &UnitDone| done.manifest.unit.number);
        Ok(done)
    }

    /// Writes the schema with what the units saw beyond theirs, for the next plan: a manifest of no
    /// objects names it.
    async fn grow(
        &self,
        mut lock: Lock,
        known: &Known,
        report: &mut Report,
    ) -> Result<(Lock, LockName)> {
        let Self { plan, storage, .. } = *self;
        let before = read_lock_version(storage, &plan.schema).await?;
        let mut name = plan.schema.clone();
        if lock.is_more_than(&before) {
            lock.version = before.version + 1;
            name = write_lock(storage, &lock).await?;
        }
        report.schema_version = lock.version;
        report.new_fields.splice(0..0, plan.new_fields.iter().cloned());
        let is_written = known.snapshot.schema_version() == lock.version;
        if !is_written {
            plan.closing_manifest(&name).write(storage).await?;
        }
        Ok((lock, name))
    }

    /// Everything after the commit, which can be repeated.
    async fn finalize(
        &self,
        mut known: Known,
        catalog: Option<Catalog>,
        names: &CatalogOptions,
        lock: &Lock,
        lock_name: &LockName,
        mut report: Report,
    ) -> Result<Box<Report>> {
        let Self { plan, storage, .. } = *self;
        if known.snapshot.schema_version() != lock.version {
            known.add(&plan.closing_manifest(lock_name));
        }
        if known.has_recent() {
            known.write_checkpoint(storage).await?;
            known.sweep(storage).await?;
        }
        if let Some(day) = plan.listed.as_ref().and_then(|day| day.parse().ok()) {
            let sources: Vec<Location> = plan.sources.iter().flat_map(|s| s.parse()).collect();
            let listed = CompleteListing::read_all(storage).await?;
            note_listings(&sources, storage, &listed, day, plan.listing.objects_listed).await?;
        }
        if let Some(catalog) = &catalog {
            let refreshed = refresh_catalog(catalog, storage, &known.snapshot, lock, names).await?;
            report.add_catalog(refreshed);
        }
        report.warnings = warnings(storage).await;
        report.objects_ignored += plan.listing.objects_ignored;
        report.objects_known = plan.objects_known;
        if let Some(integrity) = &plan.integrity {
            let totals = report.integrity.get_or_insert_default();
            (totals.digests, totals.digests_verified) =
                (integrity.digests, integrity.digests_verified);
            totals.objects_upgraded = integrity.objects_upgraded;
        }
        report.listing = plan.listing.clone();
        report.seconds = self.started.elapsed().as_secs_f64();
        report.about = about_run(storage.address(), plan.sources.clone());
        write_run_log(storage, &report, &known.snapshot).await?;
        plan.end(storage, PlanEnd::Finished).await?;
        plan.remove_work(storage).await?;
        storage.clear_half_written()?;
        Ok(Box::new(report))
    }
}
