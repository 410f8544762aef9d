//! Objects of buckets, fetched ahead of the workers.
//!
//! The first stage. The driver keeps fetches of the next units under way, within a budget of their own for what is
//! fetched and not yet parsed, and hands units out in their order. An object's JSON size is known once
//! it is here, and a unit that turns out larger than planned becomes several segments.

use crate::decode::estimate_text;
use crate::engine::cancel::{Cancel, Flow, Halt};
use crate::engine::tasks::all;
use crate::engine::unit::Unit;
use crate::engine::unreadable::{Unreadable, gone};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{UnavailableObject, UnitBasis, WorkPlan};
use crate::rows::{Input, SegmentObject};
use crate::source::{Object, Place};
use crate::storage::Storage;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::oneshot::{Receiver, channel};
use tokio::task::{JoinHandle, JoinSet};

/// The JSON bytes of an object: what its trailer or header claims, or an estimate.
pub(crate) fn json_bytes(bytes: &[u8]) -> u64 {
    estimate_text(bytes, bytes.last_chunk::<4>().copied(), bytes.len() as u64)
}

/// An object with its bytes, or with where they are.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub object: SegmentObject,
    pub json: u64,
    pub bytes: u64,
}

/// A unit whose objects are under way.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// What it took from the budget of fetches.
    pub taken: u64,
    task: JoinHandle<Result<(Unit, Vec<Fetched>)>>,
}

/// What a fetch works with.
pub(crate) struct Fetching<'a> {
    pub storage: &'a Storage,
    pub basis: &'a UnitBasis,
    pub unreadable: &'a Arc<Unreadable>,
    /// The plan that the unit is of, if it is of one.
    pub plan: Option<&'a WorkPlan>,
}

impl Fetch {
    /// Starts to fetch a unit's objects. What cannot be read leaves the unit; then its intent is written,
    /// if it is a new one, and after those of the units before it: `announced` tells the next unit that it
    /// is there.
    pub(crate) fn start(
        mut unit: Unit,
        fetching: &Fetching<'_>,
        taken: u64,
        announced: &mut Option<Receiver<()>>,
        runtime: &Handle,
    ) -> Self {
        let (storage, basis) = (fetching.storage.clone(), fetching.basis.clone());
        let (unreadable, plan) = (Arc::clone(fetching.unreadable), fetching.plan.cloned());
        let (announce, next) = channel();
        let before = announced.replace(next);
        let task = runtime.spawn(async move {
            let objects = std::mem::take(&mut unit.objects);
            let (mut fetched, missing) = fetch_all(objects, &unreadable).await?;
            if let Some(plan) = &plan {
                unit.agree(plan, &storage, missing).await?;
                fetched.retain(|fetched| !unit.is_left_out(&fetched.object.key));
            } else if !missing.is_empty() {
                let left = fetched.iter().map(|f| (f.object.key.as_str(), f.object.etag.as_str()));
                unit.leave_out(&basis, left)?;
            }
            if let Some(before) = before
                && before.await.is_err()
            {
                let message = "a unit before this one could not be announced";
                return Err(Error::new(ErrorKind::Interrupted, message));
            }
            let names = fetched.iter().map(|f| (f.object.key.clone(), f.object.etag.clone()));
            if let Some(intent) = unit.intent_of(&basis, names.collect()) {
                intent.write(&storage).await?;
            }
            let _ = announce.send(());
            Ok((unit, fetched))
        });
        Self { taken, task }
    }

    /// Waits for the objects.
    ///
    /// # Errors
    /// What the fetch returns; `Stopped` when the run is over first.
    pub(crate) fn wait(self, runtime: &Handle, cancel: &Cancel) -> Flow<(Unit, Vec<Fetched>)> {
        let Self { mut task, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                fetched = &mut task => match fetched {
                    Ok(fetched) => Ok(fetched?),
                    Err(err) => {
                        let bug = Error::new(ErrorKind::Bug, "a fetch panicked").because(err);
                        Err(Halt::Failed(bug))
                    }
                },
                () = cancel.cancelled() => {
                    task.abort();
                    Err(Halt::Stopped)
                }
            }
        })
    }

    /// Stops a fetch that nobody will wait for.
    pub(crate) fn abort(&self) {
        self.task.abort();
    }
}

/// Fetches objects side by side; the limit of requests in flight is S3's. Files stay where they are.
/// Returns also what could not be had.
pub(crate) async fn fetch_all(
    objects: Vec<Object>,
    unreadable: &Arc<Unreadable>,
) -> Result<(Vec<Fetched>, Vec<UnavailableObject>)> {
    let mut tasks = JoinSet::new();
    let mut out: Vec<Option<Fetched>> = Vec::new();
    for (at, object) in objects.into_iter().enumerate() {
        out.push(None);
        match &object.place {
            Place::File => {
                out[at] = Some(Fetched {
                    json: object.json_estimate,
                    bytes: object.size,
                    object: SegmentObject::new(&object, Input::File(object.path())),
                });
            }
            Place::Bucket(bucket) => {
                let (bucket, unreadable) = (bucket.clone(), Arc::clone(unreadable));
                tasks.spawn(async move {
                    let key = object.bucket_key();
                    let got = bucket.get_listed(key, &object.etag, object.size).await;
                    let bytes = match got.and_then(|got| got.ok_or_else(|| gone(&object))) {
                        Ok(bytes) => bytes,
                        Err(err) => return Ok((at, Err(unreadable.leave_out(&object, err)?))),
                    };
                    unreadable.is_read();
                    let (json, size) = (json_bytes(&bytes), bytes.len() as u64);
                    let object = SegmentObject::new(&object, Input::Bytes(bytes));
                    Ok::<_, Error>((at, Ok(Fetched { object, json, bytes: size })))
                });
            }
        }
    }
    let mut missing = Vec::new();
    for (at, fetched) in all(tasks).await? {
        match fetched {
            Ok(fetched) => out[at] = Some(fetched),
            Err(object) => missing.push(object),
        }
    }
    missing.sort();
    Ok((out.into_iter().flatten().collect(), missing))
}
