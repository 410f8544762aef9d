//! One run's threads: the driver, the pool, the turns, the committer.
//!
//! The driver hands segments to a rayon pool in order, as the byte budget allows. A worker decodes,
//! parses and shreds a segment; segments then take their turn, in order, to settle copies and the
//! schema; then any worker encodes and stages. The committer commits units in order. Nothing waits
//! while it holds a thread of the pool.

use crate::commit::{ObjectOutcome, ObjectRecord, Tally, UnitId};
use crate::decode::{Decoder, claimed_size, is_gzip};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::pipeline::ConvertOptions;
use crate::pipeline::budget::Budget;
use crate::pipeline::finish::{Committer, Ready, Settled, Staged, stage};
use crate::pipeline::order::InOrder;
use crate::pipeline::plan::Unit;
use crate::pipeline::report::{Progress, Report};
use crate::pipeline::segment::{Input, Parsed, RowOptions, SegmentObject, Worker, parse_segment};
use crate::pipeline::settle::Settle;
use crate::source::{Object, members};
use crate::storage::Storage;
use rayon::ThreadPoolBuilder;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// Memory that a segment takes for each byte of its JSON, while it is in flight: the bytes, the
/// cells and trees, the encoded pages.
const MEMORY_PER_JSON_BYTE: u64 = 3;

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

/// What reaches the committer, by segment number.
enum Arrival {
    Segment(Staged),
    /// The last segment of a unit is in; an archive's own ledger line comes with it.
    End(Box<End>),
}

struct End {
    unit: Arc<UnitId>,
    is_resumed: bool,
    archive: Option<ObjectRecord>,
    passed_over: u64,
}

/// A run, as all its threads see it.
pub(crate) struct Run<'a> {
    pub(crate) options: &'a ConvertOptions,
    pub(crate) storage: &'a Storage,
    pub(crate) handle: &'a Handle,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) budget: Budget,
    pub(crate) workers: Mutex<Vec<Worker>>,
    pub(crate) settle: InOrder<(Job, Parsed), Settle>,
    pub(crate) failure: Mutex<Option<Error>>,
    pub(crate) rows: RowOptions,
}

impl<'a> Run<'a> {
    /// Converts units and commits them in order; a failure is left in `failure`.
    ///
    /// # Errors
    /// `Io` when threads cannot be started.
    pub(crate) fn convert_units(
        &self,
        units: Vec<Unit>,
        lock_version: u32,
    ) -> Result<Committer<'a>> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(self.options.threads.max(1))
            .stack_size(8 << 20)
            .thread_name(|n| format!("worker-{n}"))
            .build()
            .map_err(|err| Error::io("cannot start the worker threads", err))?;
        let committer = Committer {
            storage: self.storage,
            runtime: self.handle,
            options: self.options,
            progress: self.progress,
            lock_version,
            report: Report::default(),
            partitions: Default::default(),
            manifests: Vec::new(),
        };
        let (sender, receiver) = channel();
        std::thread::scope(|threads| {
            let commits = threads.spawn(move || self.commit_loop(committer, &receiver));
            pool.in_place_scope(|scope| self.drive(scope, units, &sender));
            drop(sender);
            commits.join().map_err(|_| Error::new(ErrorKind::Bug, "the committer panicked"))
        })
    }

    fn fail(&self, err: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(err);
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Hands out segments in order, until there are none or the run is to end.
    fn drive<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        units: Vec<Unit>,
        sender: &Sender<(u64, Arrival)>,
    ) {
        let settings = self.options.settings();
        let mut turns = Turns::default();
        for unit in units {
            if self.is_over() {
                return;
            }
            if !unit.is_resumed
                && let Err(err) = self.handle.block_on(unit.intent(&settings).write(self.storage))
            {
                return self.fail(err);
            }
            let id = Arc::new(unit.id.clone());
            let mut hand = Hand { run: self, scope, sender, id, turns: &mut turns, segment: 0 };
            let outcome = match &unit.objects[..] {
                [object] if object.archive.is_some() => hand.archive(object),
                objects => hand
                    .out(
                        objects.iter().map(SegmentObject::file).collect(),
                        unit.json_estimate(),
                        objects.iter().map(|o| o.size).sum(),
                    )
                    .then_some((None, 0)),
            };
            // An archive that was left half-way is not committed: its intent stays.
            let Some((archive, passed_over)) = outcome else { return };
            let end =
                End { unit: Arc::new(unit.id), is_resumed: unit.is_resumed, archive, passed_over };
            let _ = sender.send((turns.position, Arrival::End(Box::new(end))));
            turns.position += 1;
        }
    }

    fn worker(&self) -> Worker {
        let kept = self.workers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Worker::new(Decoder::new(self.options.caps)))
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
        let parsed = parse_segment(objects, &mut worker, &self.rows);
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(err) => return self.fail(err),
        };
        let records: u64 = parsed.objects.iter().map(|object| object.tally.read).sum();
        Progress::add(&self.progress.records, records);
        self.settle.bring(job.number, (job, parsed), |settle, (job, parsed)| {
            match settle.settle(parsed) {
                Ok(settled) => {
                    let sender = sender.clone();
                    scope.spawn(move |_| self.finish(&job, settled, &sender));
                }
                Err(err) => self.fail(err),
            }
        });
    }

    /// Encodes and stages a settled segment, and sends it to the committer.
    fn finish(&self, job: &Job, settled: Settled, sender: &Sender<(u64, Arrival)>) {
        let objects = settled.parsed.objects.len() as u64;
        let staged =
            stage(settled, &job.unit, job.segment, self.options, self.storage, self.handle);
        self.budget.give(job.taken);
        match staged {
            Ok(staged) => {
                Progress::add(&self.progress.bytes, job.bytes);
                Progress::add(&self.progress.objects, objects);
                let _ = sender.send((job.position, Arrival::Segment(staged)));
            }
            Err(err) => self.fail(err),
        }
    }

    /// Receives segments in any order and commits units in theirs.
    fn commit_loop<'c>(
        &self,
        mut committer: Committer<'c>,
        receiver: &Receiver<(u64, Arrival)>,
    ) -> Committer<'c> {
        let mut waiting: BTreeMap<u64, Arrival> = BTreeMap::new();
        let mut next = 0;
        let mut segments = Vec::new();
        while let Ok(arrival) = receiver.recv() {
            waiting.extend(std::iter::once(arrival).chain(receiver.try_iter()));
            let mut ready = Vec::new();
            while let Some(arrival) = waiting.remove(&next) {
                next += 1;
                match arrival {
                    Arrival::Segment(staged) => segments.push(staged),
                    Arrival::End(end) => ready.push(Ready {
                        unit: UnitId::clone(&end.unit),
                        is_resumed: end.is_resumed,
                        archive: end.archive,
                        passed_over: end.passed_over,
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
}

/// The JSON bytes of a member: what its gzip trailer claims, as far as deflate can reach.
fn json_bytes(bytes: &[u8]) -> u64 {
    let size = bytes.len() as u64;
    if is_gzip(bytes) { claimed_size(bytes).clamp(size, size.saturating_mul(1032)) } else { size }
}

/// Hands out the segments of one unit.
struct Hand<'h, 's, 'a> {
    run: &'s Run<'a>,
    scope: &'h rayon::Scope<'s>,
    sender: &'h Sender<(u64, Arrival)>,
    id: Arc<UnitId>,
    turns: &'h mut Turns,
    segment: u32,
}

impl<'s> Hand<'_, 's, '_> {
    /// Hands out a segment once there is memory for it; `false` when the run is to end instead.
    fn out(&mut self, objects: Vec<SegmentObject>, json: u64, bytes: u64) -> bool {
        let run = self.run;
        let taken = json.saturating_mul(MEMORY_PER_JSON_BYTE);
        if !run.budget.take(taken, || run.is_over()) {
            return false;
        }
        let Turns { number, position } = *self.turns;
        let unit = Arc::clone(&self.id);
        let job = Job { number, position, unit, segment: self.segment, taken, bytes };
        *self.turns = Turns { number: number + 1, position: position + 1 };
        self.segment += 1;
        let sender = self.sender.clone();
        self.scope.spawn(move |scope| run.parse(scope, job, objects, &sender));
        true
    }

    /// Streams an archive's members into segments; returns the archive's own ledger line.
    fn archive(&mut self, object: &Object) -> Option<(Option<ObjectRecord>, u64)> {
        let kind = object.archive?;
        let (mut waiting, mut json, mut bytes) = (Vec::new(), 0, 0);
        let unit_size = self.run.options.unit_size.0;
        let max_bytes = self.run.options.caps.max_object_bytes;
        let streamed = members(&object.path, kind, max_bytes, &mut |member| {
            let size = member.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
            let estimate = member.bytes.as_ref().map_or(0, |bytes| json_bytes(bytes));
            if json + estimate > unit_size && !waiting.is_empty() {
                if !self.out(std::mem::take(&mut waiting), json, 0) {
                    return Err(Error::new(ErrorKind::Interrupted, "stopped"));
                }
                (json, bytes) = (0, 0);
            }
            json += estimate;
            bytes += size;
            waiting.push(SegmentObject::member(object, member));
            Ok(())
        });
        let passed_over = match streamed {
            Ok(passed_over) => passed_over,
            Err(err) if err.kind().reaction() == Reaction::Quarantine => {
                let whole = SegmentObject {
                    key: object.key.clone(),
                    etag: String::new(),
                    layout: object.layout.clone(),
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
