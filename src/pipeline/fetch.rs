//! Objects of buckets, fetched ahead of the workers.
//!
//! The driver keeps fetches of the next units under way, within a budget of their own for what is
//! fetched and not yet parsed, and hands units out in their order. An object's JSON size is known once
//! it is here, and a unit that turns out larger than planned becomes several segments.

use crate::commit::Intent;
use crate::decode::{claimed_size, is_gzip};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::segment::{Input, SegmentObject};
use crate::pipeline::tasks::all;
use crate::source::{Object, Place};
use crate::storage::Storage;
use std::collections::VecDeque;
use tokio::runtime::Handle;
use tokio::sync::oneshot::{Receiver, channel};
use tokio::task::{JoinHandle, JoinSet};

/// The JSON bytes of an object: what its gzip trailer claims, as far as deflate can reach.
pub(super) fn json_bytes(bytes: &[u8]) -> u64 {
    let size = bytes.len() as u64;
    if is_gzip(bytes) { claimed_size(bytes).clamp(size, size.saturating_mul(1032)) } else { size }
}

/// An object with its bytes, or with where they are.
#[derive(Debug)]
pub(super) struct Fetched {
    pub object: SegmentObject,
    pub json: u64,
    pub bytes: u64,
}

/// A unit whose objects are under way.
#[derive(Debug)]
pub(super) struct Fetch<U> {
    pub unit: U,
    /// What it took from the budget of fetches.
    pub taken: u64,
    task: JoinHandle<Result<Vec<Fetched>>>,
}

impl<U> Fetch<U> {
    /// Starts to fetch a unit's objects; its intent is written at the same time, if it is a new one, and
    /// after those of the units before it: `announced` tells the next unit that it is there.
    pub(super) fn start(
        unit: U,
        objects: Vec<Object>,
        intent: Option<Intent>,
        storage: &Storage,
        taken: u64,
        announced: &mut Option<Receiver<()>>,
        runtime: &Handle,
    ) -> Self {
        let storage = storage.clone();
        let (announce, next) = channel();
        let before = announced.replace(next);
        let task = runtime.spawn(async move {
            let announcement = async {
                if let Some(before) = before
                    && before.await.is_err()
                {
                    let message = "a unit before this one could not be announced";
                    return Err(Error::new(ErrorKind::Interrupted, message));
                }
                if let Some(intent) = &intent {
                    intent.write(&storage).await?;
                }
                let _ = announce.send(());
                Ok(())
            };
            let (announcement, fetched) = tokio::join!(announcement, fetch_all(objects));
            announcement.and(fetched)
        });
        Self { unit, taken, task }
    }

    /// Waits for the objects; returns nothing when `stop` says so first.
    pub(super) fn wait(
        self,
        runtime: &Handle,
        stop: impl Fn() -> bool,
    ) -> Option<(U, Result<Vec<Fetched>>)> {
        let Self { unit, mut task, .. } = self;
        runtime.block_on(async {
            loop {
                let pause = std::time::Duration::from_millis(50);
                match tokio::time::timeout(pause, &mut task).await {
                    Ok(Ok(fetched)) => return Some((unit, fetched)),
                    Ok(Err(err)) => {
                        let bug = Error::new(ErrorKind::Bug, "a fetch panicked").because(err);
                        return Some((unit, Err(bug)));
                    }
                    Err(_) if stop() => {
                        task.abort();
                        return None;
                    }
                    Err(_) => {}
                }
            }
        })
    }
}

/// Stops fetches that nobody will wait for.
pub(super) fn abort_all<U>(fetches: VecDeque<Fetch<U>>) {
    for fetch in fetches {
        fetch.task.abort();
    }
}

/// Fetches objects side by side; the limit of requests in flight is S3's. Files stay where they are.
pub(super) async fn fetch_all(objects: Vec<Object>) -> Result<Vec<Fetched>> {
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
                let bucket = bucket.clone();
                tasks.spawn(async move {
                    let got = bucket.get(object.bucket_key(), Some(&object.etag)).await?;
                    let bytes = got.ok_or_else(|| {
                        let message = "object is gone since it was listed; run again";
                        Error::new(ErrorKind::Unavailable, message).at("object", &object.key)
                    })?;
                    let (json, size) = (json_bytes(&bytes), bytes.len() as u64);
                    let object = SegmentObject::new(&object, Input::Bytes(bytes));
                    Ok::<_, Error>((at, Fetched { object, json, bytes: size }))
                });
            }
        }
    }
    for (at, fetched) in all(tasks).await? {
        out[at] = Some(fetched);
    }
    Ok(out.into_iter().flatten().collect())
}
