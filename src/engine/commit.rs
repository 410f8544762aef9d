//! The last stage: units that are staged become the lake's, in the order of their numbers.

use crate::engine::cancel::Cancel;
use crate::engine::resolve::CommittedUnits;
use crate::engine::segment::{Arrival, Arrived, Staged, UnitEnd};
use crate::engine::tasks::all;
use crate::engine::{ConvertOptions, Done, EventTimes, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{
    Copies, CopyKey, Intent, Known, LockName, MAX_UNIT_RAW, Manifest, News, QuarantinedObject,
    UnavailableObject, UnitDone, UnitId, WorkPlan, cut_raw, encode_copies, names, write_lock,
    write_quarantine,
};
use crate::schema::Lock;
use crate::storage::Storage;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::debug;

/// A unit all of whose segments are staged.
struct StagedUnit {
    end: UnitEnd,
    segments: Vec<Staged>,
}

/// Segments as they arrive, until their turns come.
struct Arrivals {
    waiting: BTreeMap<(u64, u32), Arrived>,
    next: (u64, u32),
    /// Of the unit whose end has not arrived.
    segments: Vec<Staged>,
    /// Bytes of what is quarantined that the unit may still keep.
    raw_room: u64,
}

impl Arrivals {
    fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            next: (0, 0),
            segments: Vec::new(),
            raw_room: MAX_UNIT_RAW,
        }
    }

    /// Takes an arrival in.
    ///
    /// # Errors
    /// What files could not be put for.
    fn add(&mut self, arrival: Arrival) -> Result<()> {
        match arrival.what {
            Arrived::Failed(err) => return Err(err),
            what => drop(self.waiting.insert(arrival.position, what)),
        }
        Ok(())
    }

    /// Takes the units out that are whole by now, in their order.
    fn take_whole(&mut self) -> Vec<StagedUnit> {
        let mut whole = Vec::new();
        while let Some(arrived) = self.waiting.remove(&self.next) {
            self.next = match &arrived {
                Arrived::Part(_) => (self.next.0, self.next.1 + 1),
                _ => (self.next.0 + 1, 0),
            };
            match arrived {
                Arrived::Part(mut staged) | Arrived::Segment(mut staged) => {
                    self.raw_room -= cut_raw(&mut staged.quarantine, self.raw_room);
                    self.segments.push(*staged);
                }
                Arrived::Failed(_) => break,
                Arrived::End(end) => {
                    self.raw_room = MAX_UNIT_RAW;
                    let segments = std::mem::take(&mut self.segments);
                    whole.push(StagedUnit { end: *end, segments });
                }
            }
        }
        whole
    }
}

/// Where units are committed.
pub(crate) enum Target<'a> {
    /// The lake, by its one writer.
    Lake {
        /// What is known of the lake; every unit that is committed is added.
        known: Box<Known>,
        /// The schema lock that the lake has.
        lock: LockName,
        /// Committed units, shared with the resolver.
        committed: Arc<CommittedUnits>,
    },
    /// A plan, by one of its children; its end makes the units the lake's.
    Plan(&'a WorkPlan),
}

/// Commits units, in the order of their numbers.
pub(crate) struct Committer<'r, 't> {
    pub storage: &'r Storage,
    pub runtime: &'r Handle,
    pub options: &'r ConvertOptions,
    pub progress: &'r Progress,
    pub database: &'r str,
    pub key: &'r CopyKey,
    pub target: Target<'t>,
    pub done: Done,
}

impl Committer<'_, '_> {
    /// Commits what arrives, until nothing more can; a failure ends the run.
    pub(crate) fn run(mut self, arrived: &Receiver<Arrival>, cancel: &Cancel) -> Self {
        let _guard = cancel.guard();
        let mut arrivals = Arrivals::new();
        while let Ok(arrival) = arrived.recv() {
            for arrival in std::iter::once(arrival).chain(arrived.try_iter()) {
                if let Err(err) = arrivals.add(arrival) {
                    cancel.fail(err);
                }
            }
            let whole = arrivals.take_whole();
            if !whole.is_empty()
                && let Err(err) = self.commit(whole)
            {
                cancel.fail(err);
                break;
            }
        }
        self
    }

    /// Commits units that are ready together: everything in place first, then the manifests one after
    /// another.
    ///
    /// # Errors
    /// `Io`, `Unavailable` or `Damaged` from the store, `Busy` when the lease is lost or the plan has
    /// ended, `Bug` when the records of an object do not balance.
    fn commit(&mut self, ready: Vec<StagedUnit>) -> Result<()> {
        let mut ready: Vec<PendingUnit> =
            ready.into_iter().map(|unit| self.gather(unit)).collect::<Result<_>>()?;
        self.put_in_place(&mut ready)?;
        let (storage, runtime) = (self.storage, self.runtime);
        match &mut self.target {
            Target::Lake { known, committed, .. } => {
                runtime.block_on(commit_to_lake(storage, known, &ready))?;
                for PendingUnit { manifest, .. } in &ready {
                    committed.add(manifest.unit.clone(), manifest.days.clone());
                }
            }
            Target::Plan(plan) => runtime.block_on(commit_to_plan(storage, plan, &mut ready))?,
        }
        for unit in ready {
            self.done.report.bytes_compressed += unit.bytes_compressed;
            let reasons = unit.reasons();
            self.done.add_reasons(reasons.iter().map(|(reason, count)| (reason, *count)));
            self.done.add(&unit.manifest, unit.is_resumed);
            debug!(
                unit = unit.manifest.unit.number,
                objects = unit.manifest.objects.len(),
                records = unit.manifest.tally.read,
                files = unit.manifest.files.len(),
                "committed"
            );
            self.progress.add_unit(&unit.manifest);
            self.done.report.event_times.join(unit.event_times);
        }
        Ok(())
    }

    /// Puts in place what the manifests will name, and stages those: bytes are on the disk before they
    /// get their names, and names before a manifest has them.
    fn put_in_place(&mut self, ready: &mut [PendingUnit]) -> Result<()> {
        let (storage, runtime) = (self.storage, self.runtime);
        if let Target::Lake { lock, .. } = &mut self.target {
            runtime.block_on(write_locks(storage, lock, ready))?;
            ready.iter().try_for_each(|unit| unit.manifest.stage(storage))?;
        }
        let (mut documents, mut names) = (JoinSet::new(), JoinSet::new());
        for unit in ready.iter() {
            documents.spawn_on(unit.put_documents(storage, self.key), runtime);
        }
        runtime.block_on(all(documents))?;
        storage.sync()?;
        for unit in ready.iter() {
            names.spawn_on(unit.promote(storage), runtime);
        }
        runtime.block_on(all(names))?;
        storage.sync()
    }

    /// Gathers the segments of a unit.
    fn gather(&self, unit: StagedUnit) -> Result<PendingUnit> {
        let StagedUnit { end, segments } = unit;
        let UnitEnd { unit, is_resumed, archive, beside, unavailable } = end;
        let mut gathered = Gathered::new(self.manifest(&unit));
        gathered.manifest.passed_over = beside.passed_over;
        gathered.manifest.members_hidden = beside.hidden;
        gathered.manifest.objects_padded = u64::from(beside.padding > 0);
        segments.into_iter().try_for_each(|segment| gathered.add(segment))?;
        let Gathered {
            mut manifest,
            quarantine,
            copies,
            lock,
            news,
            event_times,
            bytes_compressed,
        } = gathered;
        manifest.objects.extend(archive);
        for (scope, values) in &copies {
            let day = manifest.days.entry(scope.day).or_default();
            day.records += values.len() as u64;
            day.scopes |= scope.bit();
        }
        Ok(PendingUnit {
            manifest,
            quarantine: quarantine.into(),
            copies,
            lock,
            news,
            event_times,
            bytes_compressed,
            is_resumed,
            unavailable,
        })
    }

    /// The manifest of a unit of nothing.
    fn manifest(&self, unit: &UnitId) -> Manifest {
        let settings = Some(self.options.output.clone());
        Manifest::empty(unit.clone(), settings, self.database.to_owned(), LockName::default())
    }
}

/// What a unit's segments make together.
struct Gathered {
    manifest: Manifest,
    quarantine: Vec<QuarantinedObject>,
    copies: Copies,
    lock: Option<Arc<Lock>>,
    news: Vec<News>,
    event_times: EventTimes,
    bytes_compressed: u64,
}

impl Gathered {
    fn new(manifest: Manifest) -> Self {
        Self {
            manifest,
            quarantine: Vec::new(),
            copies: Copies::new(),
            lock: None,
            news: Vec::new(),
            event_times: EventTimes::default(),
            bytes_compressed: 0,
        }
    }

    /// Adds a segment.
    ///
    /// # Errors
    /// `Bug` when the records of an object do not balance.
    fn add(&mut self, segment: Staged) -> Result<()> {
        let manifest = &mut self.manifest;
        for object in &segment.objects {
            if !object.tally.balances() {
                let bug = Error::new(ErrorKind::Bug, "records do not balance");
                return Err(bug.at("object", &object.key));
            }
            manifest.tally.add(&object.tally);
        }
        let mut objects = segment.objects.into_iter();
        if segment.continues
            && let (Some(whole), Some(rest)) = (manifest.objects.last_mut(), objects.next())
        {
            whole.tally.add(&rest.tally);
        }
        manifest.objects.extend(objects);
        manifest.objects_padded += segment.objects_padded;
        manifest.records_unwrapped += segment.records_unwrapped;
        manifest.records_unread += segment.records_unread;
        manifest.passed_over += segment.members_passed_over;
        manifest.members_hidden += segment.members_hidden;
        manifest.files.extend(segment.files);
        manifest.bytes_json += segment.bytes_json;
        manifest.nested_values_unfit += segment.unfit;
        self.quarantine.extend(segment.quarantine);
        for (scope, values) in segment.copies {
            self.copies.entry(scope).or_default().extend(values);
        }
        self.bytes_compressed += segment.bytes_compressed;
        self.news.extend(segment.news);
        self.event_times.join(segment.event_times);
        self.lock = Some(segment.lock);
        Ok(())
    }
}

/// Writes the versions of the lock that are new, and names them in the manifests.
async fn write_locks(
    storage: &Storage,
    written: &mut LockName,
    ready: &mut [PendingUnit],
) -> Result<()> {
    for PendingUnit { manifest, lock, .. } in ready {
        if let Some(lock) = lock.as_ref().filter(|lock| lock.version > written.version) {
            *written = write_lock(storage, lock).await?;
        }
        manifest.schema.clone_from(written);
    }
    Ok(())
}

/// Writes manifests one after another.
async fn commit_to_lake(storage: &Storage, known: &mut Known, ready: &[PendingUnit]) -> Result<()> {
    for PendingUnit { manifest, .. } in ready {
        manifest.write(storage).await?;
        known.add(manifest);
    }
    Manifest::sync(storage)?;
    let mut removals = JoinSet::new();
    for PendingUnit { manifest, .. } in ready {
        let (storage, unit) = (storage.clone(), manifest.unit.clone());
        removals.spawn(async move { Intent::remove(&storage, &unit).await });
    }
    all(removals).await?;
    if known.is_checkpoint_due() {
        known.write_checkpoint(storage).await?;
    }
    Ok(())
}

/// Notes units as done, side by side: no other unit waits for them.
async fn commit_to_plan(
    storage: &Storage,
    plan: &WorkPlan,
    ready: &mut [PendingUnit],
) -> Result<()> {
    plan.refuse_ended(storage).await?;
    let mut puts = JoinSet::new();
    for unit in ready {
        unit.manifest.schema.clone_from(&plan.schema);
        let done = UnitDone {
            manifest: unit.manifest.clone(),
            news: unit.news.clone(),
            bytes_compressed: unit.bytes_compressed,
            quarantined_by_reason: unit.reasons(),
            unavailable: unit.unavailable.clone(),
            left: None,
        };
        let (storage, plan) = (storage.clone(), plan.clone());
        puts.spawn(async move { plan.write_done(&storage, &done).await });
    }
    all(puts).await.map(|_| ())
}

/// A unit whose manifest only needs writing, once what it names is in place.
struct PendingUnit {
    manifest: Manifest,
    quarantine: Arc<[QuarantinedObject]>,
    copies: Copies,
    lock: Option<Arc<Lock>>,
    news: Vec<News>,
    event_times: EventTimes,
    bytes_compressed: u64,
    is_resumed: bool,
    unavailable: Vec<UnavailableObject>,
}

impl PendingUnit {
    /// What was quarantined, by reason.
    fn reasons(&self) -> BTreeMap<String, u64> {
        let mut reasons = BTreeMap::new();
        for entry in self.quarantine.iter() {
            *reasons.entry(entry.reason.clone()).or_default() += entry.records;
        }
        reasons
    }

    /// Puts what goes with the unit's files.
    fn put_documents(
        &self,
        storage: &Storage,
        key: &CopyKey,
    ) -> impl Future<Output = Result<()>> + use<> {
        let (storage, unit) = (storage.clone(), self.manifest.unit.clone());
        let quarantine = Arc::clone(&self.quarantine);
        let copies = (!self.copies.is_empty()).then(|| encode_copies(key, &self.copies));
        async move {
            write_quarantine(&storage, &unit, &quarantine).await?;
            match copies {
                Some(copies) => storage.put_of_unit(&names::copies(&unit), copies).await,
                None => Ok(()),
            }
        }
    }

    /// Gives the unit's files their names.
    fn promote(&self, storage: &Storage) -> impl Future<Output = Result<()>> + use<> {
        let (storage, unit) = (storage.clone(), self.manifest.unit.to_string());
        let files: Vec<String> = self.manifest.files.iter().map(|file| file.key.clone()).collect();
        async move { storage.promote(unit, files).await }
    }
}
