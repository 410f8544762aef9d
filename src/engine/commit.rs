//! Units that are staged become the lake's, in the order of their numbers.

use crate::engine::encode::Staged;
use crate::engine::resolve::Committed;
use crate::engine::tasks::all;
use crate::engine::{ConvertOptions, Done, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{
    Copies, CopyKey, Intent, Known, LockName, Manifest, News, ObjectRecord, QuarantinedObject,
    UnavailableObject, UnitDone, UnitId, WorkPlan, encode_copies, names, write_lock,
    write_quarantine,
};
use crate::schema::Lock;
use crate::source::Beside;
use crate::storage::Storage;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
/// A unit all of whose segments are staged.
#[derive(Debug)]
pub(crate) struct Ready {
    pub unit: UnitId,
    pub is_resumed: bool,
    /// What the archive itself is in the ledger, if the unit is one.
    pub archive: Option<ObjectRecord>,
    pub beside: Beside,
    /// Objects of a plan's unit that could not be read.
    pub unavailable: Vec<UnavailableObject>,
    pub segments: Vec<Staged>,
}

/// Where units are committed.
pub(crate) enum Target<'a> {
    /// The lake, by its one writer.
    Lake {
        /// What is known of the lake; every unit that is committed is added.
        known: Box<Known>,
        /// The schema lock that the lake has.
        lock: LockName,
        /// Who is told of what is committed.
        committed: Arc<Committed>,
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
    /// Commits units that are ready together: everything in place first, then the manifests one after
    /// another.
    ///
    /// # Errors
    /// `Io`, `Unavailable` or `Damaged` from the store, `Busy` when the lease is lost or the plan has
    /// ended, `Bug` when the records of an object do not balance.
    pub(crate) fn commit(&mut self, ready: Vec<Ready>) -> Result<()> {
        let mut ready: Vec<Prepared> =
            ready.into_iter().map(|unit| self.prepare(unit)).collect::<Result<_>>()?;
        self.put_in_place(&mut ready)?;
        let (storage, runtime) = (self.storage, self.runtime);
        match &mut self.target {
            Target::Lake { known, committed, .. } => {
                runtime.block_on(commit_to_lake(storage, known, &ready))?;
                for Prepared { manifest, .. } in &ready {
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
            self.progress.add_unit(&unit.manifest);
        }
        Ok(())
    }

    /// Puts in place what the manifests will name, and stages those: bytes are on the disk before they
    /// get their names, and names before a manifest has them.
    fn put_in_place(&mut self, ready: &mut [Prepared]) -> Result<()> {
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
            names.spawn_on(unit.publish(storage), runtime);
        }
        runtime.block_on(all(names))?;
        storage.sync()
    }

    /// Gathers the segments of a unit.
    fn prepare(&self, ready: Ready) -> Result<Prepared> {
        let Ready { unit, is_resumed, archive, beside, unavailable, segments } = ready;
        let settings = Some(self.options.output.clone());
        let mut manifest = Manifest {
            passed_over: beside.passed_over,
            objects_padded: u64::from(beside.padding > 0),
            ..Manifest::empty(unit, settings, self.database.to_owned(), LockName::default())
        };
        let mut copies = Copies::new();
        let mut quarantine = Vec::new();
        let (mut lock, mut news, mut bytes_compressed) = (None::<Arc<Lock>>, Vec::new(), 0);
        for segment in segments {
            for object in &segment.objects {
                if !object.tally.balances() {
                    return Err(Error::new(ErrorKind::Bug, "records do not balance")
                        .at("object", &object.key));
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
            manifest.files.extend(segment.files);
            manifest.bytes_json += segment.bytes_json;
            manifest.nested_values_unfit += segment.unfit;
            quarantine.extend(segment.quarantine);
            for (scope, values) in segment.copies {
                copies.entry(scope).or_default().extend(values);
            }
            bytes_compressed += segment.bytes_compressed;
            news.extend(segment.news);
            lock = Some(segment.lock);
        }
        manifest.objects.extend(archive);
        for (scope, values) in &copies {
            let day = manifest.days.entry(scope.day).or_default();
            day.records += values.len() as u64;
            day.scopes |= scope.bit();
        }
        let quarantine = quarantine.into();
        Ok(Prepared {
            manifest,
            quarantine,
            copies,
            lock,
            news,
            bytes_compressed,
            is_resumed,
            unavailable,
        })
    }
}

/// Writes the versions of the lock that are new, and names them in the manifests.
async fn write_locks(
    storage: &Storage,
    written: &mut LockName,
    ready: &mut [Prepared],
) -> Result<()> {
    for Prepared { manifest, lock, .. } in ready {
        if let Some(lock) = lock.as_ref().filter(|lock| lock.version > written.version) {
            *written = write_lock(storage, lock).await?;
        }
        manifest.schema.clone_from(written);
    }
    Ok(())
}

/// Writes manifests one after another.
async fn commit_to_lake(storage: &Storage, known: &mut Known, ready: &[Prepared]) -> Result<()> {
    for Prepared { manifest, .. } in ready {
        manifest.write(storage).await?;
        known.add(manifest);
    }
    Manifest::sync(storage)?;
    let mut removals = JoinSet::new();
    for Prepared { manifest, .. } in ready {
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
async fn commit_to_plan(storage: &Storage, plan: &WorkPlan, ready: &mut [Prepared]) -> Result<()> {
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
        };
        let (storage, plan) = (storage.clone(), plan.clone());
        puts.spawn(async move { plan.write_done(&storage, &done).await });
    }
    all(puts).await.map(|_| ())
}

/// A unit whose manifest only needs writing, once what it names is in place.
struct Prepared {
    manifest: Manifest,
    quarantine: Arc<[QuarantinedObject]>,
    copies: Copies,
    lock: Option<Arc<Lock>>,
    news: Vec<News>,
    bytes_compressed: u64,
    is_resumed: bool,
    unavailable: Vec<UnavailableObject>,
}

impl Prepared {
    /// What was set aside, by reason.
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
    fn publish(&self, storage: &Storage) -> impl Future<Output = Result<()>> + use<> {
        let (storage, unit) = (storage.clone(), self.manifest.unit.to_string());
        let files: Vec<String> = self.manifest.files.iter().map(|file| file.key.clone()).collect();
        async move { storage.promote(unit, files).await }
    }
}
