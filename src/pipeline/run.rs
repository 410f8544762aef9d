//! One run's threads: the driver, the pool, the turns, the committer.
//!
//! The driver hands segments to a rayon pool in order, as the byte budget allows. A worker decodes,
//! parses and shreds a segment; segments then take their turn, in order, to settle copies and the
//! schema; then any worker encodes and stages. The committer commits units in order. Nothing waits
//! while it holds a thread of the pool.

use crate::columns::Fingerprints;
use crate::commit::{
    CopyKey, ObjectOutcome, ObjectRecord, Tally, UnavailableObject, UnitId, WorkPlan,
};
use crate::decode::Decoder;
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::location::Location;
use crate::pipeline::ConvertOptions;
use crate::pipeline::budget::Budget;
use crate::pipeline::buffers::Buffers;
use crate::pipeline::feed::{Next, Units};
use crate::pipeline::fetch::{Fetch, Fetched, Fetching, abort_all, json_bytes};
use crate::pipeline::finish::{Committer, Ready, Settled, Staged, Staging, Target};
use crate::pipeline::order::InOrder;
use crate::pipeline::plan::Unit;
use crate::pipeline::report::{Done, Progress, Report};
use crate::pipeline::segment::{Input, Parsed, RowOptions, SegmentObject, Worker, parse_segment};
use crate::pipeline::settle::Settle;
use crate::pipeline::tasks::all;
use crate::pipeline::unreadable::{Unreadable, try_first_byte};
use crate::source::{Object, Place, members};
use crate::storage::Storage;
use hashbrown::HashMap;
use rayon::ThreadPoolBuilder;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::oneshot::Receiver as Announced;
use xxhash_rust::xxh3::xxh3_64;

/// Memory that a segment takes for each byte of its JSON, while it is in flight: its distinct texts,
/// cells and trees, and its share of what workers take.
const MEMORY_PER_JSON_BYTE: u64 = 2;

/// A segment on its way, with what it must give back.
pub(crate) struct Job {
    /// The segment's turn to settle.
    number: u64,
    /// Its place among what reaches the committer.
    position: u64,
    unit: Arc<UnitId>,
    segment: u32,
    taken: u64,
    bytes: u64,
}

/// A settled segment, as those who encode its files share it.
struct Sharing {
    staging: Staging,
    job: Job,
    sender: Sender<(u64, Arrival)>,
}

/// What reaches the committer, by segment number.
enum Arrival {
    Segment(Box<Staged>),
    /// Its files could not be put.
    Failed(Error),
    /// The last segment of a unit is in; an archive's own ledger line comes with it.
    End(Box<End>),
}

struct End {
    unit: Arc<UnitId>,
    is_resumed: bool,
    archive: Option<ObjectRecord>,
    passed_over: u64,
    unavailable: Vec<UnavailableObject>,
}

/// A run, as all its threads see it.
pub(crate) struct Run<'a> {
    options: &'a ConvertOptions,
    storage: &'a Storage,
    handle: &'a Handle,
    progress: &'a Progress,
    stop: &'a AtomicBool,
    budget: Arc<Budget>,
    /// Of what is fetched and not yet parsed.
    fetch_budget: Budget,
    workers: Mutex<Vec<Worker>>,
    buffers: Mutex<Buffers>,
    settle: InOrder<(Job, Parsed), Settle>,
    failure: Mutex<Option<Error>>,
    /// Set when the last unit has been handed out.
    is_through: AtomicBool,
    /// What goes into intents and manifests as the settings that change output.
    settings: String,
    /// The lake's database in the catalog.
    database: String,
    rows: RowOptions,
    /// What copies are recognized with.
    key: &'a CopyKey,
    unreadable: Arc<Unreadable>,
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
        settings: String,
        database: String,
        reserved: u64,
    ) -> Self {
        let Surroundings { options, storage, handle, progress, stop, key, unreadable, plan } =
            surroundings;
        // What is fetched and waits is compressed: five units of the default size for two threads.
        let is_fetched = options.sources.iter().any(Location::is_s3);
        let fetches = if is_fetched { options.memory.0 / 8 } else { 0 };
        let mut segments = options.memory.0 - fetches - reserved;
        let each = options.unit_size.0.saturating_mul(MEMORY_PER_JSON_BYTE);
        if storage.root().is_some() {
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
            settings,
            database,
            rows: RowOptions::new(options, options.nested, Fingerprints::new(key.bytes())),
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
        let waiting =
            usize::from(matches!(target, Target::Plan(_)) && self.storage.root().is_none());
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
            settings: &self.settings,
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

    fn fail(&self, err: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(err);
    }

    fn has_failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn is_over(&self) -> bool {
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
        sender: &Sender<(u64, Arrival)>,
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
        sender: &Sender<(u64, Arrival)>,
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
        sender: &Sender<(u64, Arrival)>,
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
            settings: &self.settings,
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
        sender: &Sender<(u64, Arrival)>,
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
        sender: &Sender<(u64, Arrival)>,
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
        is_out && hand.end(unit.is_resumed, None, 0)
    }

    /// Hands out units of which nothing could be read: their numbers are taken.
    fn hand_out_empty<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        sender: &Sender<(u64, Arrival)>,
        turns: &mut Turns,
    ) -> bool {
        std::mem::take(&mut turns.empty).into_iter().all(|unit| {
            let mut hand = Hand::new(self, scope, sender, &unit, turns);
            hand.out(Vec::new(), 0, 0) && hand.end(unit.is_resumed, None, 0)
        })
    }

    /// Settles with other attempts at a unit of a plan what is left out of it, before it is read.
    fn decide(&self, unit: &mut Unit, plan: &WorkPlan) -> Result<()> {
        self.handle.block_on(async {
            let mut missing = Vec::new();
            for object in &unit.objects {
                let outcome = match &object.blocked {
                    Some(reason) => Err(Error::new(ErrorKind::Io, reason.clone())),
                    None => try_first_byte(object).await,
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
        sender: &Sender<(u64, Arrival)>,
        turns: &mut Turns,
    ) -> bool {
        if let Some(plan) = self.plan
            && let Err(err) = self.decide(&mut unit, plan)
        {
            self.fail(err);
            return false;
        }
        if let Some(intent) = unit.intent(&self.settings)
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
            let Some((archive, passed_over)) = hand.archive(object) else { return false };
            return hand.end(unit.is_resumed, archive, passed_over);
        }
        let bytes = unit.objects.iter().map(|object| object.size).sum();
        let objects = unit.objects.iter().filter_map(SegmentObject::file).collect();
        hand.out(objects, unit.json_estimate(), bytes) && hand.end(unit.is_resumed, None, 0)
    }

    fn worker(&self) -> Worker {
        let kept = self.workers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Worker::new(Decoder::new(self.options.caps), &self.rows))
    }

    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_worker(&self, worker: Worker) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    /// Decodes and parses a segment, and brings it to its turn.
    fn parse<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        job: Job,
        objects: Vec<SegmentObject>,
        sender: &Sender<(u64, Arrival)>,
    ) {
        let mut worker = self.worker();
        let mut parsed = self.buffers().take();
        let outcome = parse_segment(objects, &mut worker, &self.rows, &mut parsed);
        self.keep_worker(worker);
        if let Err(err) = outcome {
            return self.fail(err);
        }
        let records: u64 = parsed.objects.iter().map(|object| object.tally.read).sum();
        Progress::add(&self.progress.records, records);
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

    /// Puts a settled segment's rows in order, and lets the workers encode and stage them.
    fn finish<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        job: Job,
        settled: Settled,
        sender: Sender<(u64, Arrival)>,
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
        self.buffers().give(parsed, self.options.unit_size.0);
        if self.has_failed() {
            return self.budget.give(job.taken);
        }
        Progress::add(&self.progress.bytes, job.bytes);
        Progress::add(&self.progress.objects, staged.objects.len() as u64);
        let budget = Arc::clone(&self.budget);
        let (position, taken) = (job.position, job.taken);
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
        receiver: &Receiver<(u64, Arrival)>,
    ) -> Committer<'r, 't> {
        let mut waiting: BTreeMap<u64, Arrival> = BTreeMap::new();
        let mut next = 0;
        let mut segments = Vec::new();
        while let Ok(arrival) = receiver.recv() {
            for (position, arrival) in std::iter::once(arrival).chain(receiver.try_iter()) {
                match arrival {
                    Arrival::Failed(err) => self.fail(err),
                    arrival => drop(waiting.insert(position, arrival)),
                }
            }
            let mut ready = Vec::new();
            while let Some(arrival) = waiting.remove(&next) {
                next += 1;
                match arrival {
                    Arrival::Segment(staged) => segments.push(*staged),
                    Arrival::Failed(_) => break,
                    Arrival::End(end) => ready.push(Ready {
                        unit: UnitId::clone(&end.unit),
                        is_resumed: end.is_resumed,
                        archive: end.archive,
                        passed_over: end.passed_over,
                        unavailable: end.unavailable,
                        segments: std::mem::take(&mut segments),
                    }),
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

/// The next free numbers: ends of units reach the committer but settle nothing.
#[derive(Default)]
struct Turns {
    number: u64,
    position: u64,
    /// Says when the intent of the last unit that is being fetched is written.
    announced: Option<Announced<()>>,
    /// Units of which nothing could be read, as nothing was before them.
    empty: Vec<Unit>,
}

/// Hands out the segments of one unit.
struct Hand<'h, 's, 'a> {
    run: &'s Run<'a>,
    scope: &'h rayon::Scope<'s>,
    sender: &'h Sender<(u64, Arrival)>,
    id: Arc<UnitId>,
    turns: &'h mut Turns,
    segment: u32,
    unavailable: Vec<UnavailableObject>,
}

impl<'h, 's, 'a> Hand<'h, 's, 'a> {
    fn new(
        run: &'s Run<'a>,
        scope: &'h rayon::Scope<'s>,
        sender: &'h Sender<(u64, Arrival)>,
        unit: &Unit,
        turns: &'h mut Turns,
    ) -> Self {
        let (id, unavailable) = (Arc::new(unit.id.clone()), unit.unavailable.clone());
        Self { run, scope, sender, id, turns, segment: 0, unavailable }
    }

    /// Hands out a segment once there is memory for it; `false` when the run is to end instead.
    fn out(&mut self, objects: Vec<SegmentObject>, json: u64, bytes: u64) -> bool {
        let run = self.run;
        let taken = json.saturating_mul(MEMORY_PER_JSON_BYTE);
        if !run.budget.take(taken, || run.is_over()) {
            return false;
        }
        let Turns { number, position, .. } = *self.turns;
        let unit = Arc::clone(&self.id);
        let job = Job { number, position, unit, segment: self.segment, taken, bytes };
        self.turns.number += 1;
        self.turns.position += 1;
        self.segment += 1;
        let sender = self.sender.clone();
        self.scope.spawn(move |scope| run.parse(scope, job, objects, &sender));
        true
    }

    /// Hands out objects that are here, as many segments as their JSON asks for.
    fn fetched(&mut self, objects: Vec<Fetched>) -> bool {
        let most = self.run.options.unit_size.0;
        let (mut waiting, mut json, mut bytes) = (Vec::new(), 0, 0);
        for object in objects {
            if json + object.json > most && !waiting.is_empty() {
                if !self.out(std::mem::take(&mut waiting), json, bytes) {
                    return false;
                }
                (json, bytes) = (0, 0);
            }
            json += object.json;
            bytes += object.bytes;
            waiting.push(object.object);
        }
        self.out(waiting, json, bytes)
    }

    /// Tells the committer that all segments of the unit are handed out.
    fn end(&mut self, is_resumed: bool, archive: Option<ObjectRecord>, passed_over: u64) -> bool {
        let (unit, unavailable) = (Arc::clone(&self.id), std::mem::take(&mut self.unavailable));
        let end = End { unit, is_resumed, archive, passed_over, unavailable };
        let _ = self.sender.send((self.turns.position, Arrival::End(Box::new(end))));
        self.turns.position += 1;
        true
    }

    /// Streams an archive's members into segments; returns the archive's own ledger line.
    fn archive(&mut self, object: &Object) -> Option<(Option<ObjectRecord>, u64)> {
        let kind = object.archive?;
        let (mut waiting, mut json) = (Vec::new(), 0);
        // A tar may have several members of one name.
        let mut names: HashMap<u64, u32> = HashMap::new();
        let unit_size = self.run.options.unit_size.0;
        let max_bytes = self.run.options.caps.max_object_bytes;
        let opened = match object.open(self.run.handle) {
            Ok(opened) => opened,
            Err(err) => {
                self.run.fail(err);
                return None;
            }
        };
        let streamed = members(opened, kind, max_bytes, &mut |member| {
            let estimate = member.bytes.as_ref().map_or(0, |bytes| json_bytes(bytes));
            if json + estimate > unit_size && !waiting.is_empty() {
                if !self.out(std::mem::take(&mut waiting), json, 0) {
                    return Err(Error::new(ErrorKind::Interrupted, "stopped"));
                }
                json = 0;
            }
            json += estimate;
            let earlier = names.entry(xxh3_64(member.name.as_bytes())).or_default();
            waiting.push(SegmentObject::member(object, member, *earlier));
            *earlier += 1;
            Ok(())
        });
        let passed_over = match streamed {
            Ok(passed_over) => passed_over,
            Err(err) if err.kind().reaction() == Reaction::Quarantine => {
                let whole = SegmentObject {
                    key: object.key.clone(),
                    etag: String::new(),
                    layout: object.layout.clone(),
                    size: 0,
                    earlier: 0,
                    input: Input::Unreadable(Error::bad_input(err.to_string())),
                };
                waiting.push(whole);
                0
            }
            Err(err) if err.kind() == ErrorKind::Interrupted => return None,
            Err(err) => {
                self.run.fail(err.at("archive", &object.key));
                return None;
            }
        };
        if !self.out(waiting, json, object.size) {
            return None;
        }
        let record = ObjectRecord {
            key: object.key.clone(),
            etag: object.etag.clone(),
            bytes: object.size,
            outcome: ObjectOutcome::Archive,
            tally: Tally::default(),
        };
        Some((Some(record), passed_over))
    }
}
