//! A child of an array job: its part of a plan's units, converted.
//!
//! Every attempt at a unit writes the same bytes under the same names, so that a child may run twice,
//! late, or beside its own retry, and may be killed at any instant. A child knows nothing of the
//! others but which units are done, and who claimed which record.

use crate::engine::cancel::{Cancel, Flow};
use crate::engine::commit::Target;
use crate::engine::driver::{Converted, convert_units};
use crate::engine::feed::{Next, Units, receive};
use crate::engine::resolve::Resolver;
use crate::engine::run::{Run, RunInputs};
use crate::engine::unit::Unit;
use crate::engine::unreadable::Unreadable;
use crate::engine::{
    CatalogOptions, ChildReport, ConvertOptions, Integrity, OutputSettings, Progress, Report,
    SchemaMode, runtime,
};
use crate::error::{Error, ErrorKind, Result};
use crate::integrity::Proofs;
use crate::lake::{
    CopyKey, Known, PlanEnd, PlanIntegrity, PlannedUnit, UnitBasis, WorkPlan, read_lock_version,
};
use crate::operations::array_child::{ChildOptions, Part, check_program};
use crate::operations::compact_child::CompactionChild;
use crate::operations::open_plan::{catalog_of, find_plan};
use crate::operations::run_log::about_run;
use crate::source::known_object;
use crate::storage::{S3, Storage};
use hashbrown::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TryRecvError};

/// Units that are read ahead of the driver.
const UNITS_WAITING: usize = 2;

/// What a child's units were like before it began.
#[derive(Debug, Default)]
struct Seen {
    units: AtomicU64,
    done_before: AtomicU64,
}

/// Converts a part of a plan. Nothing is to be done where the plan has ended, or none is open.
///
/// # Errors
/// `Config` for what is no plan of this version of the program, `Busy` when the plan ends meanwhile,
/// `Unavailable`, `Denied`, `Io`, `Damaged`. Units that are done stay done.
pub fn convert_plan(
    options: &ChildOptions,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Report> {
    let started = Instant::now();
    let runtime = runtime()?;
    let outcome = runtime.handle().block_on(find_plan(&options.plan, &options.s3)).and_then(
        |(storage, plan)| match plan {
            Some(plan) => {
                let done = convert_part(options, &plan, &storage, runtime.handle(), progress, stop);
                let about = about_run(storage.address(), plan.sources.clone());
                done.map(|report| Report { about, ..report })
            }
            None => {
                Ok(Report { about: about_run(storage.address(), Vec::new()), ..Report::default() })
            }
        },
    );
    // What is still on its way belongs to a run that has failed.
    runtime.shutdown_background();
    outcome.map(|report| Report { seconds: started.elapsed().as_secs_f64(), ..report })
}

fn convert_part(
    options: &ChildOptions,
    plan: &WorkPlan,
    storage: &Storage,
    handle: &Handle,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Report> {
    let part = Part::new(plan, options.child);
    let mut report = ChildReport {
        plan: storage.address() + &plan.key(),
        index: options.child.map(|child| child.index),
        count: part.count as u32,
        ended: handle.block_on(plan.read_end(storage))?.map(|end| end == PlanEnd::Finished),
        compacts: plan.compaction.is_some(),
        ..ChildReport::default()
    };
    if report.ended.is_some() || part.index >= part.count {
        return Ok(Report { child: Some(report), ..Report::default() });
    }
    if let Some(how) = &plan.compaction {
        let child = CompactionChild { options, plan, how, part, storage, handle, progress };
        return check_program(plan).and_then(|()| child.run(report, stop));
    }
    let mut options = convert_options(options, plan)?;
    options.integrity = handle.block_on(integrity_of(plan, part, storage))?;
    let ((units_of_day, homes), lock, key) = handle.block_on(async {
        let known = Known::read_for_child(storage).await?;
        let lock = read_lock_version(storage, &plan.schema).await?;
        Ok::<_, Error>((known, lock, CopyKey::read(storage).await?))
    })?;
    let resolver = Resolver::new(lock, units_of_day, Some(plan), &options, storage, handle, &key);
    let unreadable = Arc::new(Unreadable::default());
    let run = Run::new(RunInputs {
        options: &options,
        storage,
        handle,
        progress,
        stop,
        key: &key,
        unreadable: &unreadable,
        plan: Some(plan),
        basis: UnitBasis::of_plan(options.output.clone(), &plan.id),
        homes: &homes,
        database: plan.database.clone(),
        reserved: 0,
    });
    let seen = Arc::new(Seen::default());
    let mut units = ChildUnits::start(storage, plan, part, &options.s3, &seen, handle);
    let Converted { report: mut done, ending, .. } =
        convert_units(&run, resolver, &mut units, Target::Plan(plan))?;
    let is_through = ending.map_err(explain_gone)?.is_through;
    report.units = seen.units.load(Ordering::Relaxed);
    report.units_done_before = seen.done_before.load(Ordering::Relaxed);
    unreadable.report(&mut done);
    done.schema_version = plan.schema.version;
    done.interrupted = stop.load(Ordering::Relaxed) && !is_through;
    done.child = Some(report);
    Ok(done)
}

/// An object that is not as it was when it was listed stays so, however often the child is run.
fn explain_gone(err: Error) -> Error {
    if !err.is_changed() {
        return err;
    }
    let message = "an object of the plan is gone or was replaced since it was listed; give the plan up \
                   with `trailmill plan discard` and make another";
    let object = err.place("object").unwrap_or_default().to_owned();
    Error::new(ErrorKind::Io, message).at("object", object).because(err)
}

/// The options that a plan was made with, and a child's own.
fn convert_options(options: &ChildOptions, plan: &WorkPlan) -> Result<ConvertOptions> {
    check_program(plan)?;
    let settings = &plan.settings;
    if settings.passwords != options.passwords.check() {
        let message = "the plan was made with other archive passwords: give its children the same \
                       `--archive-password-file`";
        return Err(Error::config(message).at("plan", &plan.id));
    }
    Ok(ConvertOptions {
        passwords: options.passwords.clone(),
        sources: plan.sources.iter().map(|source| source.parse()).collect::<Result<_>>()?,
        full: true,
        lake: options.plan.clone(),
        s3: Arc::clone(&options.s3),
        threads: options.threads,
        memory: options.memory,
        output: OutputSettings { schema: SchemaMode::Frozen, ..settings.clone() },
        catalog: catalog_of(plan, CatalogOptions::new(settings.table.clone())),
        ..ConvertOptions::default()
    })
}

/// What digests said of a part's objects when the plan was made.
async fn integrity_of(plan: &WorkPlan, part: Part, storage: &Storage) -> Result<Integrity> {
    let Some(PlanIntegrity { mode, .. }) = plan.integrity else { return Ok(Integrity::default()) };
    let (mut proofs, mut start) = (Proofs::new(mode), 0);
    for (at, of) in plan.parts.iter().enumerate() {
        if part.touches(start, of.weight) {
            proofs.add_entries(&plan.read_proofs(storage, at).await?)?;
        }
        start += of.weight;
    }
    Ok(Integrity { mode, proofs: Some(Arc::new(proofs)), ..Integrity::default() })
}

/// The units of a part that are not done, as they are read.
#[derive(Debug)]
struct ChildUnits {
    units: Receiver<Result<Option<Unit>>>,
    waiting: Option<Result<Option<Unit>>>,
}

impl ChildUnits {
    fn start(
        storage: &Storage,
        plan: &WorkPlan,
        part: Part,
        s3: &Arc<S3>,
        seen: &Arc<Seen>,
        handle: &Handle,
    ) -> Self {
        let (sender, units) = channel(UNITS_WAITING);
        let reading = Reading {
            storage: storage.clone(),
            plan: plan.clone(),
            part,
            s3: Arc::clone(s3),
            seen: Arc::clone(seen),
        };
        handle.spawn(async move {
            // Send an explicit end marker so that a crashed task is not mistaken for a finished one.
            let _ = match reading.send_all(&sender).await {
                Ok(()) => sender.send(Ok(None)).await,
                Err(err) => sender.send(Err(err)).await,
            };
        });
        Self { units, waiting: None }
    }
}

impl Units for ChildUnits {
    fn poll(&mut self) -> Result<Next> {
        let arrived = match self.waiting.take() {
            Some(unit) => unit,
            None => match self.units.try_recv() {
                Ok(unit) => unit,
                Err(TryRecvError::Empty) => return Ok(Next::Pending),
                Err(TryRecvError::Disconnected) => Err(broken_off()),
            },
        };
        Ok(arrived?.map_or(Next::End, |unit| Next::Unit(Box::new(unit))))
    }

    fn wait(&mut self, runtime: &Handle, cancel: &Cancel) -> Flow {
        let unit = receive(&mut self.units, runtime, cancel)?;
        self.waiting = Some(unit.ok_or_else(broken_off)?);
        Ok(())
    }
}

fn broken_off() -> Error {
    Error::new(ErrorKind::Bug, "reading the plan ended unexpectedly")
}

/// Reads a part's units from the plan.
struct Reading {
    storage: Storage,
    plan: WorkPlan,
    part: Part,
    s3: Arc<S3>,
    seen: Arc<Seen>,
}

impl Reading {
    async fn send_all(&self, sender: &Sender<Result<Option<Unit>>>) -> Result<()> {
        let (mut unit, mut start) = (0, 0);
        for (at, part) in self.plan.parts.iter().enumerate() {
            let units = unit..unit + part.units;
            if self.part.touches(start, part.weight)
                && !self.send_part(at, units, start, sender).await?
            {
                return Ok(());
            }
            unit += part.units;
            start += part.weight;
        }
        Ok(())
    }

    /// Sends what is to be done of some units; `false` when nobody wants it any more.
    async fn send_part(
        &self,
        at: usize,
        numbers: std::ops::Range<u64>,
        mut start: u64,
        sender: &Sender<Result<Option<Unit>>>,
    ) -> Result<bool> {
        let done = self.plan.list_done(&self.storage, numbers.clone()).await?;
        let done: HashSet<u64> = done.into_iter().collect();
        for (number, planned) in numbers.zip(self.plan.read_part(&self.storage, at).await?) {
            let weight = planned.weight;
            if self.part.has(start) {
                Progress::add(&self.seen.units, 1);
                if done.contains(&number) {
                    Progress::add(&self.seen.done_before, 1);
                } else if sender.send(Ok(Some(self.unit(number, planned).await?))).await.is_err() {
                    return Ok(false);
                }
            }
            start += weight;
        }
        Ok(true)
    }

    async fn unit(&self, number: u64, planned: PlannedUnit) -> Result<Unit> {
        let mut objects = Vec::with_capacity(planned.objects.len());
        for object in planned.objects {
            let sizes = (object.2, object.3);
            objects.push(known_object(&object.0, &object.1, sizes, &self.s3).await?);
        }
        let id = self.plan.unit_id(number, &planned.identity);
        let unavailable = Vec::new();
        Ok(Unit { id, objects, is_resumed: false, is_planned: true, unavailable })
    }
}
