//! One run's threads: the driver, the pool, the resolver, the committer.
//!
//! The driver hands segments to a pool of threads in order, as the byte budget allows. A worker decodes,
//! parses and shreds a segment; the resolver drops copies and merges the schema, segment by segment in
//! their order; then any worker encodes and stages; the committer commits units in order. No thread of
//! the pool waits for the network, but one that holds a large object which comes in parts.

use crate::engine::archive::hand_out_archive;
use crate::engine::cancel::{Flow, Halt};
use crate::engine::commit::{Committer, Target};
use crate::engine::dispatch::{Dispatch, Line};
use crate::engine::encode::{EncodeQueue, Pool};
use crate::engine::feed::{Next, Units};
use crate::engine::fetch::{Fetch, Fetching};
use crate::engine::parse::Json;
use crate::engine::resolve::{Resolver, resolve_all};
use crate::engine::run::Run;
use crate::engine::segment::Arrival;
use crate::engine::unit::Unit;
use crate::engine::unreadable::try_all;
use crate::engine::{Done, Report, Stage};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::WorkPlan;
use crate::rows::SegmentObject;
use crate::source::{Beside, Object, Place};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use tokio::sync::oneshot::Receiver as Announced;

/// What a run has done, however it ended.
pub(crate) struct Converted<'t> {
    /// What was committed.
    pub report: Report,
    pub target: Target<'t>,
    /// How it ended; what stopped it, if something failed.
    pub ending: Result<Ending>,
}

/// The end of a run that did not fail.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Whether all units were handed out.
    pub is_through: bool,
    /// Fields that were added to the schema.
    pub new_fields: Vec<String>,
}

/// Converts units and commits them in order.
///
/// # Errors
/// `Io` when threads cannot be started, `Bug` when one panicked.
pub(crate) fn convert_units<'t>(
    run: &Run<'_>,
    resolver: Resolver,
    feed: &mut dyn Units,
    target: Target<'t>,
) -> Result<Converted<'t>> {
    let inputs = &run.inputs;
    let pool = ThreadPoolBuilder::new()
        .num_threads(inputs.options.threads.max(1))
        .stack_size(8 << 20)
        .thread_name(|n| format!("worker-{n}"))
        .build()
        .map_err(|err| Error::io("cannot start the worker threads", err))?;
    let committer = Committer {
        storage: inputs.storage,
        runtime: inputs.handle,
        options: inputs.options,
        progress: inputs.progress,
        database: &inputs.database,
        key: inputs.key,
        target,
        done: Done::default(),
    };
    let (arrivals, arrived) = channel();
    let (done, is_done) = channel();
    std::thread::scope(|threads| {
        let commits = threads.spawn(move || committer.run(&arrived, &run.cancel));
        threads.spawn(move || run.outside().watch(&run.cancel, &is_done));
        // The watch ends when this is dropped, also by a panic.
        let _done: Sender<()> = done;
        let (is_through, resolver) = run_stages(run, &pool, resolver, feed, arrivals);
        let committer = commits.join().map_err(|_| panicked("committer"))?;
        let ending = run.cancel.failure().and_then(|()| {
            let new_fields = resolver?.new_fields;
            Ok(Ending { is_through, new_fields })
        });
        Ok(Converted { report: committer.done.end(), target: committer.target, ending })
    })
}

fn panicked(thread: &str) -> Error {
    Error::new(ErrorKind::Bug, format!("the {thread} panicked"))
}

/// Drives the stages up to the committer; returns whether all units were handed out.
fn run_stages(
    run: &Run<'_>,
    pool: &ThreadPool,
    resolver: Resolver,
    feed: &mut dyn Units,
    arrivals: Sender<Arrival>,
) -> (bool, Result<Resolver>) {
    let queue = EncodeQueue::default();
    let queue = &queue;
    pool.in_place_scope(|scope| {
        let pool = Pool { run, queue, scope };
        std::thread::scope(|threads| {
            let resolves = threads.spawn(move || resolve_all(pool, resolver));
            let _guard = run.cancel.guard();
            let is_through = match Driver::new(pool, arrivals).drive(feed) {
                Ok(()) => true,
                Err(halt) => {
                    run.cancel.end(halt);
                    false
                }
            };
            (is_through, resolves.join().map_err(|_| panicked("resolver")))
        })
    })
}

/// Hands out units in their order.
struct Driver<'p, 's, 'a> {
    pool: Pool<'p, 's, 'a>,
    line: Line,
    /// Units that are being fetched, in their order.
    fetches: VecDeque<Fetch>,
    /// Says when the intent of the last unit that is being fetched is written.
    announced: Option<Announced<()>>,
    /// Units of which nothing could be read, as nothing was before them.
    empty: Vec<Unit>,
}

impl Drop for Driver<'_, '_, '_> {
    fn drop(&mut self) {
        self.fetches.iter().for_each(Fetch::abort);
        self.pool.run.turns.end_at(self.line.number);
    }
}

impl<'p, 's, 'a> Driver<'p, 's, 'a> {
    fn new(pool: Pool<'p, 's, 'a>, arrivals: Sender<Arrival>) -> Self {
        Self {
            pool,
            line: Line::new(arrivals),
            fetches: VecDeque::new(),
            announced: None,
            empty: Vec::new(),
        }
    }

    /// Hands out all units of a feed.
    fn drive(mut self, feed: &mut dyn Units) -> Flow {
        let run = self.pool.run;
        loop {
            run.outside().look(&run.cancel);
            if run.cancel.is_over() {
                return Err(Halt::Stopped);
            }
            match feed.poll()? {
                Next::Unit(unit) => self.take(*unit)?,
                // While the listing is on its way, what is fetched need not wait.
                Next::Pending => match self.fetches.pop_front() {
                    Some(first) => self.hand_out_fetch(first)?,
                    None => feed.wait(run.inputs.handle, &run.cancel)?,
                },
                Next::End => {
                    self.hand_out_fetches()?;
                    run.inputs.unreadable.end()?;
                    return self.hand_out_empty();
                }
            }
        }
    }

    /// Hands out a unit, or starts to fetch it.
    fn take(&mut self, unit: Unit) -> Flow {
        self.pool.run.inputs.progress.begin(Stage::Converting);
        let bytes: u64 = unit.objects.iter().map(|object| object.size).sum();
        let is_remote = |object: &Object| matches!(object.place, Place::Bucket(_));
        let is_archive = unit.objects.iter().any(|object| object.is_archive);
        if !is_archive && unit.objects.iter().any(is_remote) {
            return self.fetch(unit, bytes);
        }
        // Units are handed out in their order.
        self.hand_out_fetches()?;
        self.hand_out_empty()?;
        self.hand_out_here(unit)
    }

    /// Starts to fetch a unit, once there is room; hands out those before it meanwhile.
    fn fetch(&mut self, unit: Unit, bytes: u64) -> Flow {
        let run = self.pool.run;
        while !run.fetch_budget.try_take(bytes) {
            let nobody = || Error::new(ErrorKind::Bug, "what waits to be fetched has no memory");
            let first = self.fetches.pop_front().ok_or_else(nobody)?;
            self.hand_out_fetch(first)?;
        }
        let fetching = Fetching {
            storage: run.inputs.storage,
            basis: &run.inputs.basis,
            unreadable: run.inputs.unreadable,
            plan: run.inputs.plan,
        };
        let runtime = run.inputs.handle;
        let fetch = Fetch::start(unit, &fetching, bytes, &mut self.announced, runtime);
        self.fetches.push_back(fetch);
        Ok(())
    }

    /// Hands out all units that are being fetched.
    fn hand_out_fetches(&mut self) -> Flow {
        while let Some(fetch) = self.fetches.pop_front() {
            self.hand_out_fetch(fetch)?;
        }
        Ok(())
    }

    fn hand_out_fetch(&mut self, fetch: Fetch) -> Flow {
        let run = self.pool.run;
        let taken = fetch.taken;
        let (unit, fetched) = fetch.wait(run.inputs.handle, &run.cancel)?;
        if fetched.is_empty() && !unit.is_planned && run.inputs.unreadable.has_read_nothing() {
            // Nothing is committed before anything was read.
            run.fetch_budget.give(taken);
            self.empty.push(unit);
            return Ok(());
        }
        self.hand_out_empty()?;
        let mut dispatch = Dispatch::new(self.pool, &mut self.line, &unit);
        dispatch.hand_out_fetched(fetched)?;
        run.fetch_budget.give(taken);
        dispatch.end(None, Beside::default());
        Ok(())
    }

    /// Hands out units of which nothing could be read: their numbers are taken.
    fn hand_out_empty(&mut self) -> Flow {
        for unit in std::mem::take(&mut self.empty) {
            let mut dispatch = Dispatch::new(self.pool, &mut self.line, &unit);
            dispatch.hand_out(Vec::new(), Json::default(), 0)?;
            dispatch.end(None, Beside::default());
        }
        Ok(())
    }

    /// Agrees with other attempts at a unit of a plan what is left out of it, before it is read.
    fn agree(&self, unit: &mut Unit, plan: &WorkPlan) -> Result<()> {
        let inputs = &self.pool.run.inputs;
        inputs.handle.block_on(async {
            let mut missing = Vec::new();
            for object in &unit.objects {
                let outcome = match &object.blocked {
                    Some(reason) => Err(Error::new(ErrorKind::Io, reason.clone())),
                    None => try_all(object).await,
                };
                if let Err(err) = outcome {
                    missing.push(inputs.unreadable.leave_out(object, err)?);
                }
            }
            unit.agree(plan, inputs.storage, missing).await
        })
    }

    /// Hands out a unit that is read by the workers, or streamed by this thread.
    fn hand_out_here(&mut self, mut unit: Unit) -> Flow {
        let inputs = &self.pool.run.inputs;
        if let Some(plan) = inputs.plan {
            self.agree(&mut unit, plan)?;
        }
        if let Some(intent) = unit.intent(&inputs.basis) {
            inputs.handle.block_on(intent.write(inputs.storage))?;
        }
        let mut dispatch = Dispatch::new(self.pool, &mut self.line, &unit);
        if let [object @ Object { is_archive: true, .. }] = &unit.objects[..] {
            // An archive that was left half-way is not committed: its intent stays.
            let (archive, beside) = hand_out_archive(&mut dispatch, object)?;
            dispatch.end(archive, beside);
            return Ok(());
        }
        let bytes = unit.objects.iter().map(|object| object.size).sum();
        let objects = unit.objects.iter().filter_map(SegmentObject::file).collect();
        let largest = unit.objects.iter().map(|object| object.json_estimate).max().unwrap_or(0);
        dispatch.hand_out(objects, Json { all: unit.json_estimate(), largest }, bytes)?;
        dispatch.end(None, Beside::default());
        Ok(())
    }
}
