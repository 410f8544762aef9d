//! Reads sources: digests are parsed, logs are hashed, side by side and in bounded memory.
//!
//! Listings come account by account and region by region, so that what lies there is handed out in groups
//! that hold whole chains. Where objects show no account, or folders and buckets are mixed, all of it
//! is one group.

use crate::error::{Error, ErrorKind, Result};
use crate::integrity::archive::Unpacker;
use crate::integrity::content::Problem;
use crate::integrity::digest_name::is_digest;
use crate::integrity::inventory::{Inventory, Metadata};
use crate::integrity::reading::{
    Found, GRAIN, IN_FLIGHT, Reading, Totals, permits_for, read_content,
};
use crate::integrity::verdict::Verdict;
use crate::source::{Listing, ListingReport, Object, Place, is_packed_archive};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, Semaphore};

/// The groups of a listing.
pub(super) struct Scan {
    listing: Listing,
    waiting: VecDeque<Object>,
    reading: Arc<Reading>,
    totals: Arc<Totals>,
    memory: Arc<Semaphore>,
    processors: Arc<Semaphore>,
    /// Archives are read one at a time.
    archives: Semaphore,
    /// Whether a change of account and region ends a group.
    is_grouped: bool,
    on_progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Scan {
    pub(super) fn new(
        listing: Listing,
        reading: Reading,
        is_grouped: bool,
        on_progress: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Self {
        let processors = Arc::new(Semaphore::new(reading.threads.max(1)));
        let is_grouped = is_grouped && !listing.has_archives();
        Self {
            listing,
            waiting: VecDeque::new(),
            reading: Arc::new(reading),
            totals: Arc::default(),
            memory: Arc::new(Semaphore::new(IN_FLIGHT / GRAIN)),
            processors,
            archives: Semaphore::new(1),
            is_grouped,
            on_progress,
        }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn listing_report(&self) -> ListingReport {
        self.listing.report()
    }

    /// Returns the next group; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Inventory>> {
        let mut group = Inventory::default();
        let mut slot = None;
        loop {
            if self.waiting.is_empty() {
                match self.listing.next().await? {
                    Some(page) => self.waiting.extend(page),
                    None => return Ok((!group.is_empty()).then_some(group)),
                }
            }
            let mut batch = Vec::new();
            while let Some(object) = self.waiting.front() {
                self.is_grouped &= !object.layout.account.is_empty();
                let its = object.layout.slot();
                if self.is_grouped && *slot.get_or_insert(its) != its {
                    break;
                }
                batch.extend(self.waiting.pop_front());
            }
            let is_end = !self.waiting.is_empty();
            self.read(batch, &mut group).await?;
            if is_end && !group.is_empty() {
                return Ok(Some(group));
            }
            if is_end {
                slot = None;
            }
        }
    }

    async fn read(&self, batch: Vec<Object>, group: &mut Inventory) -> Result<()> {
        let is_remote = batch.iter().any(|object| matches!(object.place, Place::Bucket(_)));
        let at_once = if is_remote { self.reading.requests } else { 2 * self.reading.threads };
        let wanted = batch.into_iter().filter(|object| self.wants(object));
        let mut found = stream::iter(wanted)
            .map(|object| self.read_one(object))
            .buffer_unordered(at_once.max(1));
        while let Some(found) = found.try_next().await? {
            found.add_to(group);
        }
        Ok(())
    }

    fn wants(&self, object: &Object) -> bool {
        if is_archive(object) || is_digest(&object.key) {
            return true;
        }
        if !object.layout.holds_logs() {
            self.totals.objects_other.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.reading.period.wants(&object.key)
    }

    async fn read_one(&self, object: Object) -> Result<Found> {
        let size = object.size;
        let found = match is_archive(&object) && object.blocked.is_none() {
            true => self.read_archive(object).await?,
            false => self.read_object(object).await?,
        };
        self.totals.bytes_read.fetch_add(size, Ordering::Relaxed);
        (self.on_progress)(size);
        Ok(found)
    }

    async fn read_object(&self, object: Object) -> Result<Found> {
        let _memory = self.memory.acquire_many(permits_for(object.size)).await.map_err(closed)?;
        let is_digest = is_digest(&object.key);
        let fetched = fetch(&object, is_digest).await?;
        let _processor = self.processors.acquire().await.map_err(closed)?;
        let (reading, totals) = (Arc::clone(&self.reading), Arc::clone(&self.totals));
        let work = move || match fetched {
            Fetched::Local => match std::fs::read(object.path()) {
                Ok(bytes) => read_content(
                    object.key,
                    is_digest,
                    &bytes,
                    Metadata::default(),
                    &reading,
                    &totals,
                ),
                Err(err) => unreadable(object, format!("cannot be read: {err}")),
            },
            Fetched::Bytes(bytes, metadata) => {
                read_content(object.key, is_digest, &bytes, metadata, &reading, &totals)
            }
            Fetched::Nothing(why) => unreadable(object, why),
        };
        let found = tokio::task::spawn_blocking(work).await;
        found.map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))
    }

    async fn read_archive(&self, object: Object) -> Result<Found> {
        let _turn = self.archives.acquire().await.map_err(closed)?;
        let unpacker = Unpacker {
            reading: Arc::clone(&self.reading),
            totals: Arc::clone(&self.totals),
            memory: Arc::clone(&self.memory),
            processors: Arc::clone(&self.processors),
        };
        let handle = Handle::current();
        let read = tokio::task::spawn_blocking(move || unpacker.read(&object, &handle)).await;
        let read = read.map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err));
        read?.map(Found::Members)
    }
}

fn closed(_: AcquireError) -> Error {
    Error::new(ErrorKind::Bug, "the limit of memory is closed")
}

/// Returns whether an object is read as an archive: what a bucket lists is known by its name only.
fn is_archive(object: &Object) -> bool {
    object.is_archive || is_packed_archive(&object.key)
}

enum Fetched {
    /// It is read where it is hashed.
    Local,
    /// The object, and what S3 keeps beside it.
    Bytes(Bytes, Metadata),
    Nothing(String),
}

async fn fetch(object: &Object, is_digest: bool) -> Result<Fetched> {
    if let Some(why) = &object.blocked {
        return Ok(Fetched::Nothing(why.clone()));
    }
    let Place::Bucket(bucket) = &object.place else { return Ok(Fetched::Local) };
    let got = if is_digest {
        let got = bucket.get_with_metadata(object.bucket_key(), &object.etag).await;
        got.map(|got| got.map(|(bytes, fields)| (bytes, Metadata::of(fields))))
    } else {
        let got = bucket.get_listed(object.bucket_key(), &object.etag, object.size).await;
        got.map(|got| got.map(|bytes| (bytes, Metadata::default())))
    };
    match got {
        Ok(Some((bytes, metadata))) => Ok(Fetched::Bytes(bytes, metadata)),
        Ok(None) => Ok(Fetched::Nothing("removed since it was listed".to_owned())),
        Err(err) if err.kind() == ErrorKind::Denied || err.is_changed() => {
            Ok(Fetched::Nothing(err.to_string()))
        }
        Err(err) => Err(err),
    }
}

fn unreadable(object: Object, why: String) -> Found {
    if is_archive(&object) {
        return Found::Damaged(object.key, Verdict::Unreadable, why);
    }
    let is_digest = is_digest(&object.key);
    Found::new(object.key, is_digest, Err(Problem::Unreadable(why)))
}
