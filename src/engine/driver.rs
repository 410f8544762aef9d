//! One run's threads: the driver, the pool, the turns, the committer.
//!
//! The driver hands segments to a rayon pool in order, as the byte budget allows. A worker decodes,
//! parses and shreds a segment; segments then take their turn, in order, to settle copies and the
//! schema; then any worker encodes and stages. The committer commits units in order. Nothing waits
//! while it holds a thread of the pool.

use crate::decode::Decoder;
use crate::engine::budget::Budget;
use crate::engine::buffers::Buffers;
use crate::engine::commit::{Committer, Ready, Target};
use crate::engine::encode::{SegmentPart, Settled, Staged, Staging};
use crate::engine::feed::{Next, Units};
use crate::engine::fetch::{Fetch, Fetching, abort_all};
use crate::engine::hand::{Hand, Json, Turns};
use crate::engine::order::InOrder;
use crate::engine::part::Parts;
use crate::engine::resolve::Settle;
use crate::engine::tasks::all;
use crate::engine::unit::Unit;
use crate::engine::unreadable::{Unreadable, try_all};
use crate::engine::{ConvertOptions, Done, Progress, Report};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{
    CopyKey, MAX_UNIT_RAW, ObjectRecord, UnavailableObject, UnitBasis, UnitId, WorkPlan, cut_raw,
};
use crate::location::Location;
use crate::parquet::Encoder;
use crate::rows::{
    Fingerprints, MEMORY_PER_JSON_BYTE, Parsed, RowOptions, SegmentObject, SegmentParser,
    parse_segment,
};
use crate::source::{Beside, Object, Place};
use crate::storage::Storage;
use rayon::ThreadPoolBuilder;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

/// What a thread of the pool keeps from segment to segment.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) parser: SegmentParser,
    pub(crate) encoder: Encoder,
}

/// A segment on its way, with what it must give back.
pub(crate) struct Job {
    /// The segment's turn to settle.
    pub(crate) number: u64,
    /// Its place among what reaches the committer.
    position: u64,
    pub(crate) unit: Arc<UnitId>,
    pub(crate) segment: SegmentPart,
    /// What it took from the budget.
    pub(crate) taken: u64,
    bytes: u64,
}

impl Job {
    pub(crate) fn new(
        turns: &Turns,
        unit: Arc<UnitId>,
        segment: u32,
        taken: u64,
        bytes: u64,
    ) -> Self {
        let Turns { number, position, .. } = *turns;
        Self { number, position, unit, segment: SegmentPart { segment, part: 0 }, taken, bytes }
    }

    /// Where the job's present part reaches the committer.
    pub(crate) fn position(&self) -> (u64, u32) {
        (self.position, self.segment.part)
    }
}

/// A settled segment, as those who encode its files share it.
struct Sharing {
    staging: Staging,
    job: Job,
    sender: Sender<Arriving>,
}

/// What reaches the committer: its position, the part that it is there, and what it is.
pub(crate) type Arriving = ((u64, u32), Arrival);

/// What reaches the committer, by its position.
pub(crate) enum Arrival {
    /// A part of a segment, after which others come.
    Part(Box<Staged>),
    /// A segment, or its last part.
    Segment(Box<Staged>),
    /// Its files could not be put.
    Failed(Error),
    /// The last segment of a unit is in; an archive's own ledger line comes with it.
    End(Box<End>),
}

pub(crate) struct End {
    pub(crate) unit: Arc<UnitId>,
    pub(crate) is_resumed: bool,
    pub(crate) archive: Option<ObjectRecord>,
    pub(crate) beside: Beside,
    pub(crate) unavailable: Vec<UnavailableObject>,
}

/// A run, as all its threads see it.
pub(crate) struct Run<'a> {
    pub(crate) options: &'a ConvertOptions,
    pub(crate) storage: &'a Storage,
    pub(crate) handle: &'a Handle,
    progress: &'a Progress,
    stop: &'a AtomicBool,
    pub(crate) budget: Arc<Budget>,
    /// Of what is fetched and not yet parsed.
    fetch_budget: Budget,
    workers: Mutex<Vec<Worker>>,
    buffers: Mutex<Buffers>,
    pub(crate) settle: InOrder<(Job, Parsed), Settle>,
    failure: Mutex<Option<Error>>,
    /// Set when the last unit has been handed out.
    is_through: AtomicBool,
    basis: UnitBasis,
    /// The lake's database in the catalog.
    database: String,
    rows: RowOptions,
    /// What copies are recognized with.
    key: &'a CopyKey,
    pub(super) unreadable: Arc<Unreadable>,
    plan: Option<&'a WorkPlan>,
}

/// What a run works with.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) options: &'a ConvertOptions,
    pub(crate) storage: &'a Storage,
    pub(crate) handle: &'a Handle,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) key: &'a CopyKey,
    /// What becomes of objects that cannot be read.
    pub(crate) unreadable: &'a Arc<Unreadable>,
    /// The plan that the units are of, if they are of one.
    pub(crate) plan: Option<&'a WorkPlan>,
}

impl<'a> Run<'a> {
    /// Prepares a run; `reserved` bytes of its memory are somebody else's.
    pub(crate) fn new(
        surroundings: Surroundings<'a>,
        settle: Settle,
        basis: UnitBasis,
        database: String,
        reserved: u64,
    ) -> Self {
        let Surroundings { options, storage, handle, progress, stop, key, unreadable, plan } =
            surroundings;
        // What is fetched and waits is compressed: five units of the default size for two threads.
        let is_fetched = options.sources.iter().any(Location::is_s3);
        let fetches = if is_fetched { options.memory.0 / 8 } else { 0 };
        let mut segments = options.memory.0 - fetches - reserved;
        let each = options.output.unit_size.0.saturating_mul(MEMORY_PER_JSON_BYTE);
        if !storage.is_remote() {
            // Where nothing is uploaded, a segment for each thread keeps all of them at work.
            segments = segments.min(each.saturating_mul(options.threads.max(2) as u64));
        }
        let most = (segments / each.max(1)).max(1) as usize;
        Self {
            options,
            storage,
            handle,
            progress,
            stop,
            budget: Arc::new(Budget::new(segments)),
            fetch_budget: Budget::new(fetches),
            workers: Mutex::new(Vec::new()),
            buffers: Mutex::new(Buffers::new(most)),
            settle: InOrder::new(settle),
            failure: Mutex::new(None),
            is_through: AtomicBool::new(false),
            basis,
            database,
            rows: options.rows(options.output.nested, Fingerprints::new(key.bytes())),
            key,
            unreadable: Arc::clone(unreadable),
            plan,
        }
    }

    /// Ends a run: whether all units were handed out, and what was settled.
    ///
    /// # Errors
    /// What stopped it.
    pub(crate) fn end(self) -> Result<(bool, Settle)> {
        match self.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(err) => Err(err),
            None => Ok((self.is_through.into_inner(), self.settle.into_state())),
        }
    }
}

impl Run<'_> {
    /// Converts units and commits them in order; returns what was committed. A failure is left in
    /// `failure`.
    ///
    /// # Errors
    /// `Io` when threads cannot be started.
    pub(crate) fn convert_units<'t>(
        &self,
        feed: &mut dyn Units,
        target: Target<'t>,
    ) -> Result<(Report, Target<'t>)> {
        // Whoever claims records waits for a network meanwhile.
        let waiting = usize::from(matches!(target, Target::Plan(_)) && self.storage.is_remote());
        let pool = ThreadPoolBuilder::new()
            .num_threads(self.options.threads.max(1) + waiting)
            .stack_size(8 << 20)
            .thread_name(|n| format!("worker-{n}"))
            .build()
            .map_err(|err| Error::io("cannot start the worker threads", err))?;
        let committer = Committer {
            storage: self.storage,
            runtime: self.handle,
            options: self.options,
            progress: self.progress,
            database: &self.database,
            key: self.key,
            target,
            done: Done::default(),
        };
        let (sender, receiver) = channel();
        std::thread::scope(|threads| {
            let commits = threads.spawn(move || self.commit_loop(committer, &receiver));
            pool.in_place_scope(|scope| self.drive(scope, feed, &sender));
            drop(sender);
            let committer =
                commits.join().map_err(|_| Error::new(ErrorKind::Bug, "the committer panicked"))?;
            Ok((committer.done.report, committer.target))
        })
    }

    pub(crate) fn fail(&self, err: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(err);
    }

    fn has_failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(crate) fn is_over(&self) -> bool {
        if let Some(lost) = self.storage.lost() {
            self.fail(lost);
        }
        self.stop.load(Ordering::Relaxed) || self.has_failed()
    }

    /// Hands out segments in order, until there are none or the run is to end.
    fn drive<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        feed: &mut dyn Units,
        sender: &Sender<Arriving>,
    ) {
        let mut turns = Turns::default();
        let mut fetches = VecDeque::new();
        while !self.is_over() {
            let is_handed_out = match feed.poll() {
                Ok(Next::Unit(unit)) => {
                    self.hand_out(scope, *unit, sender, &mut turns, &mut fetches)
                }
                Ok(Next::End) => {
                    let is_through = self.hand_out_fetched(scope, sender, &mut turns, &mut fetches)
                        && self.unreadable.end().map_err(|err| self.fail(err)).is_ok()
                        && self.hand_out_empty(scope, sender, &mut turns);
                    self.is_through.store(is_through, Ordering::Relaxed);
                    break;
                }
                // While the listing is on its way, what is fetched need not wait.
                Ok(Next::Pending) => match fetches.pop_front() {
                    Some(first) => self.hand_out_fetch(scope, first, sender, &mut turns),
                    None => feed.wait(self.handle).map_err(|err| self.fail(err)).is_ok(),
                },
                Err(err) => {
                    self.fail(err);
                    false
                }
            };
            if !is_handed_out {
                break;
            }
        }
        abort_all(fetches);
    }

    /// Hands out a unit, or starts to fetch it.
    fn hand_out<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        unit: Unit,
        sender: &Sender<Arriving>,
        turns: &mut Turns,
        fetches: &mut VecDeque<Fetch>,
    ) -> bool {
        let bytes: u64 = unit.objects.iter().map(|object| object.size).sum();
        Progress::add(&self.progress.bytes_total, bytes);
        Progress::add(&self.progress.objects_total, unit.objects.len() as u64);
        let is_remote = |object: &Object| matches!(object.place, Place::Bucket(_));
        let is_archive = unit.objects.iter().any(|object| object.archive.is_some());
        if !is_archive && unit.objects.iter().any(is_remote) {
            self.fetch(scope, unit, sender, turns, fetches)
        } else {
            // Units are handed out in their order.
            self.hand_out_fetched(scope, sender, turns, fetches)
                && self.hand_out_empty(scope, sender, turns)
                && self.hand_out_here(scope, unit, sender, turns)
        }
    }

    /// Starts to fetch a unit, once there is room; hands out those before it meanwhile.
    fn fetch<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        unit: Unit,
        sender: &Sender<Arriving>,
        turns: &mut Turns,
        fetches: &mut VecDeque<Fetch>,
    ) -> bool {
        let taken = unit.objects.iter().map(|object| object.size).sum();
        while !self.fetch_budget.try_take(taken) {
            // Whoever has taken it is in the queue.
            let Some(first) = fetches.pop_front() else { return false };
            if !self.hand_out_fetch(scope, first, sender, turns) {
                return false;
            }
        }
        let fetching = Fetching {
            storage: self.storage,
            basis: &self.basis,
            unreadable: &self.unreadable,
            plan: self.plan,
        };
        let announced = &mut turns.announced;
        fetches.push_back(Fetch::start(unit, &fetching, taken, announced, self.handle));
        true
    }

    /// Hands out all units that are being fetched; `false` when the run is to end instead.
    fn hand_out_fetched<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        sender: &Sender<Arriving>,
        turns: &mut Turns,
        fetches: &mut VecDeque<Fetch>,
    ) -> bool {
        while let Some(fetch) = fetches.pop_front() {
            if !self.hand_out_fetch(scope, fetch, sender, turns) {
                return false;
            }
        }
        true
    }

    fn hand_out_fetch<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        fetch: Fetch,
        sender: &Sender<Arriving>,
        turns: &mut Turns,
    ) -> bool {
        let taken = fetch.taken;
        let Some(fetched) = fetch.wait(self.handle, || self.is_over()) else { return false };
        let (unit, fetched) = match fetched {
            Ok(fetched) => fetched,
            Err(err) => {
                self.fail(err);
                return false;
            }
        };
        if fetched.is_empty() && !unit.is_planned && self.unreadable.has_read_nothing() {
            // Nothing is committed before anything was read.
            self.fetch_budget.give(taken);
            turns.empty.push(unit);
            return true;
        }
        if !self.hand_out_empty(scope, sender, turns) {
            return false;
        }
        let mut hand = Hand::new(self, scope, sender, &unit, turns);
        let is_out = hand.fetched(fetched);
        self.fetch_budget.give(taken);
        is_out && hand.end(unit.is_resumed, None, Beside::default())
    }

    /// Hands out units of which nothing could be read: their numbers are taken.
    fn hand_out_empty<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        sender: &Sender<Arriving>,
        turns: &mut Turns,
    ) -> bool {
        std::mem::take(&mut turns.empty).into_iter().all(|unit| {
            let mut hand = Hand::new(self, scope, sender, &unit, turns);
            hand.out(Vec::new(), Json::default(), 0)
                && hand.end(unit.is_resumed, None, Beside::default())
        })
    }

    /// Settles with other attempts at a unit of a plan what is left out of it, before it is read.
    fn decide(&self, unit: &mut Unit, plan: &WorkPlan) -> Result<()> {
        self.handle.block_on(async {
            let mut missing = Vec::new();
            for object in &unit.objects {
                let outcome = match &object.blocked {
                    Some(reason) => Err(Error::new(ErrorKind::Io, reason.clone())),
                    None => try_all(object).await,
                };
                if let Err(err) = outcome {
                    missing.push(self.unreadable.refused(object, err)?);
                }
            }
            unit.decide(plan, self.storage, missing, &mut Vec::new()).await
        })
    }

    /// Hands out a unit that is read by the workers, or streamed by this thread.
    fn hand_out_here<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        mut unit: Unit,
        sender: &Sender<Arriving>,
        turns: &mut Turns,
    ) -> bool {
        if let Some(plan) = self.plan
            && let Err(err) = self.decide(&mut unit, plan)
        {
            self.fail(err);
            return false;
        }
        if let Some(intent) = unit.intent(&self.basis)
            && let Err(err) = self.handle.block_on(intent.write(self.storage))
        {
            self.fail(err);
            return false;
        }
        let mut hand = Hand::new(self, scope, sender, &unit, turns);
        if let [object] = &unit.objects[..]
            && object.archive.is_some()
        {
            // An archive that was left half-way is not committed: its intent stays.
            let Some((archive, beside)) = hand.archive(object) else { return false };
            return hand.end(unit.is_resumed, archive, beside);
        }
        let bytes = unit.objects.iter().map(|object| object.size).sum();
        let objects = unit.objects.iter().filter_map(SegmentObject::file).collect();
        let largest = unit.objects.iter().map(|object| object.json_estimate).max().unwrap_or(0);
        hand.out(objects, Json { all: unit.json_estimate(), largest }, bytes)
            && hand.end(unit.is_resumed, None, Beside::default())
    }

    pub(crate) fn worker(&self) -> Worker {
        let kept = self.workers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Worker {
            parser: SegmentParser::new(Decoder::new(self.options.output.caps), &self.rows),
            encoder: Encoder::default(),
        })
    }

    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep_worker(&self, worker: Worker) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    /// Decodes and parses a segment, and brings it to its turn.
    pub(crate) fn parse<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        mut job: Job,
        objects: Vec<SegmentObject>,
        sender: &Sender<Arriving>,
    ) {
        let mut worker = self.worker();
        let mut parsed = self.buffers().take();
        let mut parts = Parts { run: self, job: &mut job, sender };
        let outcome =
            parse_segment(objects, &mut worker.parser, &self.rows, &mut parsed, &mut parts);
        self.keep_worker(worker);
        match outcome {
            Ok(()) => {}
            // Whoever waited for room or a turn when the run was to end.
            Err(err) if err.kind() == ErrorKind::Interrupted => return,
            Err(err) => {
                let object = err.place("source object").map(str::to_owned);
                return match object {
                    Some(key) => self.fail(self.unreadable.broken().note(&key, err)),
                    None => self.fail(err),
                };
            }
        }
        self.count_records(&parsed);
        self.settle.bring(job.number, (job, parsed), |settle, (job, parsed)| {
            match settle.settle(parsed, &job.unit, job.segment) {
                Ok(settled) => {
                    let sender = sender.clone();
                    scope.spawn(move |scope| self.finish(scope, job, settled, sender));
                }
                Err(err) => self.fail(err),
            }
        });
    }

    pub(crate) fn count_records(&self, parsed: &Parsed) {
        let records: u64 = parsed.objects.iter().map(|object| object.tally.read).sum();
        Progress::add(&self.progress.records, records);
    }

    /// Puts a settled segment's rows in order, and lets the workers encode and stage them.
    fn finish<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        job: Job,
        settled: Settled,
        sender: Sender<Arriving>,
    ) {
        let staging = Staging::new(settled, &job.unit, job.segment, self.options);
        let tasks = staging.tasks();
        let shared = Arc::new(Sharing { staging, job, sender });
        for task in 0..tasks {
            let shared = Arc::clone(&shared);
            scope.spawn(move |_| {
                let mut worker = self.worker();
                let encoder = &mut worker.encoder;
                if !self.has_failed()
                    && let Err(err) = shared.staging.run(task, encoder, self.storage, self.handle)
                {
                    self.fail(err);
                }
                self.keep_worker(worker);
                self.end_task(shared);
            });
        }
        self.end_task(shared);
    }

    /// Sends a segment to the committer when the last of those who share it is done.
    fn end_task(&self, shared: Arc<Sharing>) {
        let Some(Sharing { staging, job, sender }) = Arc::into_inner(shared) else { return };
        let (staged, uploads, parsed) = staging.end();
        self.buffers().give(parsed, self.options.output.unit_size.0);
        if self.has_failed() {
            return self.budget.give(job.taken);
        }
        Progress::add(&self.progress.bytes, job.bytes);
        Progress::add(&self.progress.objects, staged.objects.len() as u64);
        let budget = Arc::clone(&self.budget);
        let (position, taken) = (job.position(), job.taken);
        if uploads.is_empty() {
            budget.give(taken);
            let _ = sender.send((position, Arrival::Segment(Box::new(staged))));
            return;
        }
        // No worker waits for a network; the memory is given back when the bytes are out.
        self.handle.spawn(async move {
            let arrival = match all(uploads).await {
                Ok(_) => Arrival::Segment(Box::new(staged)),
                Err(err) => Arrival::Failed(err),
            };
            budget.give(taken);
            let _ = sender.send((position, arrival));
        });
    }

    /// Receives segments in any order and commits units in theirs.
    fn commit_loop<'r, 't>(
        &self,
        mut committer: Committer<'r, 't>,
        receiver: &Receiver<Arriving>,
    ) -> Committer<'r, 't> {
        let mut waiting: BTreeMap<(u64, u32), Arrival> = BTreeMap::new();
        let mut next = (0, 0);
        let mut segments = Vec::new();
        let mut raw_room = MAX_UNIT_RAW;
        while let Ok(arrival) = receiver.recv() {
            for (position, arrival) in std::iter::once(arrival).chain(receiver.try_iter()) {
                match arrival {
                    Arrival::Failed(err) => self.fail(err),
                    arrival => drop(waiting.insert(position, arrival)),
                }
            }
            let mut ready = Vec::new();
            while let Some(arrival) = waiting.remove(&next) {
                next = match &arrival {
                    Arrival::Part(_) => (next.0, next.1 + 1),
                    _ => (next.0 + 1, 0),
                };
                match arrival {
                    Arrival::Part(mut staged) | Arrival::Segment(mut staged) => {
                        raw_room -= cut_raw(&mut staged.quarantine, raw_room);
                        segments.push(*staged);
                    }
                    Arrival::Failed(_) => break,
                    Arrival::End(end) => {
                        raw_room = MAX_UNIT_RAW;
                        ready.push(Ready {
                            unit: UnitId::clone(&end.unit),
                            is_resumed: end.is_resumed,
                            archive: end.archive,
                            beside: end.beside,
                            unavailable: end.unavailable,
                            segments: std::mem::take(&mut segments),
                        });
                    }
                }
            }
            if ready.is_empty() {
                continue;
            }
            if let Err(err) = committer.commit(ready) {
                self.fail(err);
                break;
            }
        }
        committer
    }
}
