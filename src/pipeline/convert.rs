//! The main job: from listing to commit to catalog.
//!
//! The driver hands segments to a rayon pool in order, as the byte budget allows. A worker decodes,
//! parses and shreds a segment; segments then take their turn, in order, to settle copies and the
//! schema; then any worker encodes and stages. The committer commits units in order. Nothing waits
//! while it holds a thread of the pool.

use crate::catalog::is_name;
use crate::columns::Values;
use crate::commit::{
    CopyIndex, Intent, Manifest, ObjectOutcome, ObjectRecord, Tally, UnitId, drop_locks_after,
    read_lock,
};
use crate::decode::{Decoder, claimed_size, is_gzip};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::pipeline::budget::Budget;
use crate::pipeline::finish::{Committer, Ready, Settled, Staged, copies_key, stage};
use crate::pipeline::order::InOrder;
use crate::pipeline::plan::{Unit, Work, make_work};
use crate::pipeline::publish::{CatalogOptions, refresh_catalog};
use crate::pipeline::report::{Progress, Report};
use crate::pipeline::segment::{Input, Parsed, RowOptions, SegmentObject, Worker, parse_segment};
use crate::pipeline::{ConvertOptions, Duplicates, SchemaMode};
use crate::schema::Lock;
use crate::source::{ArchiveKind, Object, members, parse_layout};
use crate::storage::{Lease, OWN, Storage};
use rayon::ThreadPoolBuilder;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::runtime::{Handle, Runtime};

/// Memory that a segment takes for each byte of its JSON, while it is in flight: the bytes, the
/// cells and trees, the encoded pages.
const MEMORY_PER_JSON_BYTE: u64 = 3;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

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
    let storage = Storage::local(&options.lake)?;
    let _lease = Lease::take(&storage)?;
    storage.clear_staged()?;
    storage.clear_half_written()?;
    let handle = runtime.handle();
    let (manifests, intents, lock) = handle.block_on(async {
        let manifests = Manifest::read_all(&storage).await?;
        let intents = Intent::read_all(&storage).await?;
        let lock = read_lock(&storage, &manifests).await?;
        Ok::<_, Error>((manifests, intents, lock))
    })?;
    check_lake(options, &manifests)?;
    let work = make_work(options, &manifests, intents)?;
    let committed = manifests.last().map_or(0, |last| last.schema_version);
    handle.block_on(async {
        clean_up(&storage, &work, &options.catalog.table).await?;
        drop_locks_after(&storage, committed).await
    })?;
    let objects = || work.units.iter().flat_map(|unit| &unit.objects);
    progress.bytes_total.store(objects().map(|object| object.size).sum(), Ordering::Relaxed);
    progress.objects_total.store(objects().count() as u64, Ordering::Relaxed);
    if options.strict {
        refuse_quarantine(options, &work)?;
    }
    let run = Run {
        options,
        storage: &storage,
        handle,
        progress,
        stop,
        budget: Budget::new(options.memory.0),
        workers: Mutex::new(Vec::new()),
        settle: InOrder::new(Settle::new(lock, &manifests)),
        failure: Mutex::new(None),
        rows: RowOptions { partition_by: options.partition_by.clone(), nested: options.nested },
    };
    let total = work.units.len();
    let mut committer = run.convert_units(work.units, committed)?;
    if let Some(err) = run.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(err);
    }
    let settle = run.settle.into_state();
    let mut report = std::mem::take(&mut committer.report);
    let mut all = manifests;
    all.append(&mut committer.manifests);
    let lock = handle.block_on(read_lock(&storage, &all))?;
    report.catalog_changes = refresh_catalog(&storage, &all, &lock, &options.catalog)?;
    report.objects_ignored += work.ignored;
    report.objects_known = work.known;
    report.schema_version = lock.version;
    report.new_fields = settle.new_fields;
    report.interrupted = stop.load(Ordering::Relaxed) && (report.units as usize) < total;
    report.seconds = started.elapsed().as_secs_f64();
    if report.units > 0 {
        handle.block_on(write_run_log(&storage, &report, &all))?;
    }
    Ok(report)
}

/// A lake inside its source would be read as a source the next time.
fn check_places(options: &ConvertOptions) -> Result<()> {
    let lake = std::path::absolute(&options.lake)
        .map_err(|err| Error::config("the lake's path is no path").because(err))?;
    let lake = lake.canonicalize().unwrap_or(lake);
    for source in &options.sources {
        let Ok(source) = source.canonicalize() else { continue };
        if source.starts_with(&lake) || (lake.starts_with(&source) && source.is_dir()) {
            return Err(Error::config("the lake and a source lie inside one another")
                .at("lake", lake.display())
                .at("source", source.display()));
        }
    }
    Ok(())
}

/// Names become folders and identifiers of every engine.
fn check_names(options: &ConvertOptions) -> Result<()> {
    let CatalogOptions { database, table } = &options.catalog;
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

/// With `--strict`: reads everything once, and refuses before anything is committed.
fn refuse_quarantine(options: &ConvertOptions, work: &Work) -> Result<()> {
    let mut worker = Worker::new(Decoder::new(options.caps));
    let rows = RowOptions { partition_by: options.partition_by.clone(), nested: false };
    for unit in &work.units {
        let mut check = |objects: Vec<SegmentObject>| -> Result<()> {
            let parsed = parse_segment(objects, &mut worker, &rows)?;
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
        };
        match &unit.objects[..] {
            [object] if object.archive.is_some() => {
                let kind = object.archive.unwrap_or(ArchiveKind::Tar);
                members(&object.path, kind, options.caps.max_object_bytes, &mut |m| {
                    check(vec![member_object(object, &m.name, m.bytes)])
                })
                .map_err(|err| err.at("archive", &object.key))?;
            }
            objects => check(objects.iter().map(file_object).collect())?,
        }
    }
    Ok(())
}

fn file_object(object: &Object) -> SegmentObject {
    SegmentObject {
        key: object.key.clone(),
        etag: object.etag.clone(),
        layout: object.layout.clone(),
        input: Input::File(object.path.clone()),
    }
}

fn member_object(archive: &Object, name: &str, bytes: Result<Vec<u8>>) -> SegmentObject {
    SegmentObject {
        key: format!("{}!/{name}", archive.key),
        etag: String::new(),
        layout: parse_layout(name),
        input: match bytes {
            Ok(bytes) => Input::Bytes(bytes),
            Err(err) => Input::Unreadable(err),
        },
    }
}

/// A segment on its way, with what it must give back.
struct Job {
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

/// What segments settle in their turn.
struct Settle {
    lock: Arc<Lock>,
    copies: CopyIndex,
    /// Committed units that hold fingerprints of a day.
    units_of_day: BTreeMap<i32, Vec<UnitId>>,
    new_fields: Vec<String>,
}

impl Settle {
    fn new(lock: Lock, manifests: &[Manifest]) -> Self {
        let mut units_of_day: BTreeMap<i32, Vec<UnitId>> = BTreeMap::new();
        for manifest in manifests {
            for day in manifest.days.keys() {
                units_of_day.entry(*day).or_default().push(manifest.unit.clone());
            }
        }
        Self {
            lock: Arc::new(lock),
            copies: CopyIndex::default(),
            units_of_day,
            new_fields: Vec::new(),
        }
    }

    /// Decides which rows stay, and merges what was seen into the lock.
    fn settle(&mut self, parsed: Parsed, run: &Run<'_>) -> Result<Settled> {
        let mut keep = Vec::new();
        let mut copies: BTreeMap<i32, Vec<u128>> = BTreeMap::new();
        for table in &parsed.tables {
            let mut kept = vec![true; table.rows.len()];
            for (row, kept) in table.rows.iter().zip(&mut kept) {
                let Some(fingerprint) = row.copy_of else { continue };
                let day = row.instant.div_euclid(DAY) as i32;
                if !self.copies.has_day(day) {
                    self.load_day(day, run)?;
                }
                let is_new = self.copies.insert(day, fingerprint);
                *kept = is_new || run.options.duplicates == Duplicates::Keep;
                if is_new {
                    copies.entry(day).or_default().push(fingerprint);
                }
            }
            keep.push(kept);
        }
        if run.options.nested && run.options.schema == SchemaMode::Evolve {
            self.merge(&parsed);
        }
        Ok(Settled { parsed, keep, lock: Arc::clone(&self.lock), copies })
    }

    fn load_day(&mut self, day: i32, run: &Run<'_>) -> Result<()> {
        self.copies.open_day(day);
        for unit in self.units_of_day.get(&day).into_iter().flatten() {
            let key = copies_key(unit);
            let bytes = run.handle.block_on(run.storage.read(&key))?.ok_or_else(|| {
                Error::new(ErrorKind::Damaged, "fingerprints of a unit are gone").at("key", &key)
            })?;
            self.copies.load(day, &bytes)?;
        }
        Ok(())
    }

    fn merge(&mut self, parsed: &Parsed) {
        let mut lock = Lock::clone(&self.lock);
        let mut added = Vec::new();
        for table in &parsed.tables {
            for (spec, values) in table.specs.iter().zip(&table.values) {
                if let Values::Nested(tree) = values {
                    let seen = tree.observed(&parsed.source, &parsed.side);
                    added.extend(lock.merge(table.family, spec.name, &seen));
                }
            }
        }
        let mut same = lock.clone();
        same.version = self.lock.version;
        if same != *self.lock {
            lock.version += 1;
            self.new_fields.append(&mut added);
            self.lock = Arc::new(lock);
        }
    }
}

struct Run<'a> {
    options: &'a ConvertOptions,
    storage: &'a Storage,
    handle: &'a Handle,
    progress: &'a Progress,
    stop: &'a AtomicBool,
    budget: Budget,
    workers: Mutex<Vec<Worker>>,
    settle: InOrder<(Job, Parsed), Settle>,
    failure: Mutex<Option<Error>>,
    rows: RowOptions,
}

impl<'a> Run<'a> {
    fn convert_units(&self, units: Vec<Unit>, lock_version: u32) -> Result<Committer<'a>> {
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
                        objects.iter().map(file_object).collect(),
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
            match settle.settle(parsed, self) {
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
            waiting.push(member_object(object, &member.name, member.bytes));
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
    let work = make_work(options, &[], Vec::new())?;
    let mut worker = Worker::new(Decoder::new(options.caps));
    let rows = RowOptions { partition_by: options.partition_by.clone(), nested: true };
    let mut seen: BTreeMap<_, crate::schema::Observed> = BTreeMap::new();
    let mut take = |objects: Vec<SegmentObject>| -> Result<()> {
        let parsed = parse_segment(objects, &mut worker, &rows)?;
        for table in &parsed.tables {
            for (spec, values) in table.specs.iter().zip(&table.values) {
                if let Values::Nested(tree) = values {
                    let observed = tree.observed(&parsed.source, &parsed.side);
                    seen.entry((table.family, spec.name)).or_default().join(observed);
                }
            }
        }
        Ok(())
    };
    for unit in &work.units {
        match &unit.objects[..] {
            [object] if object.archive.is_some() => {
                let kind = object.archive.unwrap_or(ArchiveKind::Tar);
                let max = options.caps.max_object_bytes;
                members(&object.path, kind, max, &mut |member| {
                    take(vec![member_object(object, &member.name, member.bytes)])
                })?;
            }
            objects => take(objects.iter().map(file_object).collect())?,
        }
    }
    for ((family, name), observed) in seen {
        lock.merge(family, name, &observed);
    }
    Ok(lock)
}
