//! Reads sources: digests are parsed, logs are hashed, side by side and in bounded memory.
//!
//! Listings come account by account and region by region, so that what lies there is handed out in groups
//! that hold whole chains. Where objects show no account, or folders and buckets are mixed, all of it
//! is one group.

use crate::error::{Error, ErrorKind, Result};
use crate::integrity::content::{Problem, hash_content};
use crate::integrity::digest::{Digest, Hash};
use crate::integrity::digest_name::{DigestName, is_digest};
use crate::integrity::inventory::{FoundDigest, FoundLog, Inventory, Period, Unusable};
use crate::integrity::signatures::Signatures;
use crate::source::{Listing, ListingReport, Object, Place};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Bytes of objects that are in memory at once.
const IN_FLIGHT: usize = 256 << 20;

/// Permits of [`IN_FLIGHT`] are for this many bytes each.
const GRAIN: usize = 1 << 10;

/// A digest decodes to at most this many bytes: one that lists 100,000 logs has 40 MB.
const LARGEST_DIGEST: u64 = 256 << 20;

/// Bytes that are decoded before they are hashed: they stay in the cache.
const PIECE: usize = 64 << 10;

/// What a scan has read.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub bytes_read: AtomicU64,
    pub bytes_hashed: AtomicU64,
    /// Objects outside of the layout, which may be anything.
    pub objects_other: AtomicU64,
}

/// How objects are read.
#[derive(Debug)]
pub(super) struct Reading {
    pub period: Period,
    pub signatures: Signatures,
    pub threads: usize,
    /// Requests that may be in flight.
    pub requests: usize,
    /// The largest log, decoded.
    pub largest_log: u64,
}

/// The groups of a listing.
pub(super) struct Scan {
    listing: Listing,
    waiting: VecDeque<Object>,
    reading: Arc<Reading>,
    totals: Arc<Totals>,
    memory: Arc<Semaphore>,
    processors: Arc<Semaphore>,
    /// Whether a change of account and region ends a group.
    is_grouped: bool,
    on_progress: Arc<dyn Fn(u64) + Send + Sync>,
}

enum Found {
    Digest(Box<FoundDigest>),
    Log(FoundLog),
    /// It lies among the digests, and has not the name of one.
    Stray(String),
}

impl Scan {
    pub(super) fn new(
        listing: Listing,
        reading: Reading,
        is_grouped: bool,
        on_progress: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Self {
        let processors = Arc::new(Semaphore::new(reading.threads.max(1)));
        Self {
            listing,
            waiting: VecDeque::new(),
            reading: Arc::new(reading),
            totals: Arc::default(),
            memory: Arc::new(Semaphore::new(IN_FLIGHT / GRAIN)),
            processors,
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
            match found {
                Found::Digest(digest) => group.digests.push(*digest),
                Found::Log(log) => group.logs.push(log),
                Found::Stray(address) => group.strays.push(address),
            }
        }
        Ok(())
    }

    fn wants(&self, object: &Object) -> bool {
        if is_digest(&object.key) {
            return true;
        }
        if !object.layout.holds_logs() {
            self.totals.objects_other.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.reading.period.wants(&object.key)
    }

    async fn read_one(&self, object: Object) -> Result<Found> {
        let permits = (object.size as usize / GRAIN + 1).min(IN_FLIGHT / GRAIN) as u32;
        let closed = |_| Error::new(ErrorKind::Bug, "the limit of memory is closed");
        let _memory = self.memory.acquire_many(permits).await.map_err(closed)?;
        let is_digest = is_digest(&object.key);
        let fetched = fetch(&object, is_digest).await?;
        let _processor = self.processors.acquire().await.map_err(closed)?;
        let reading = Arc::clone(&self.reading);
        let (size, totals) = (object.size, Arc::clone(&self.totals));
        let work = move || match fetched {
            Fetched::Local => match std::fs::read(object.path()) {
                Ok(bytes) => read_content(object, &bytes, None, &reading, &totals),
                Err(err) => unreadable(object, format!("cannot be read: {err}")),
            },
            Fetched::Bytes(bytes, signature) => {
                read_content(object, &bytes, signature, &reading, &totals)
            }
            Fetched::Nothing(why) => unreadable(object, why),
        };
        let found = tokio::task::spawn_blocking(work).await;
        self.totals.bytes_read.fetch_add(size, Ordering::Relaxed);
        (self.on_progress)(size);
        found.map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))
    }
}

enum Fetched {
    /// It is read where it is hashed.
    Local,
    /// The object, and its signature if it has one.
    Bytes(Bytes, Option<String>),
    Nothing(String),
}

async fn fetch(object: &Object, is_digest: bool) -> Result<Fetched> {
    if let Some(why) = &object.blocked {
        return Ok(Fetched::Nothing(why.clone()));
    }
    if object.is_archive {
        let message = "an archive cannot be checked in place: unpack it, and name the folder";
        return Err(Error::config(message).at("source", &object.key));
    }
    let Place::Bucket(bucket) = &object.place else { return Ok(Fetched::Local) };
    let got = if is_digest {
        let got = bucket.get_with_metadata(object.bucket_key(), &object.etag).await;
        got.map(|got| got.map(|(bytes, mut metadata)| (bytes, metadata.remove("signature"))))
    } else {
        let got = bucket.get_listed(object.bucket_key(), &object.etag, object.size).await;
        got.map(|got| got.map(|bytes| (bytes, None)))
    };
    match got {
        Ok(Some((bytes, signature))) => Ok(Fetched::Bytes(bytes, signature)),
        Ok(None) => Ok(Fetched::Nothing("removed since it was listed".to_owned())),
        Err(err) if err.kind() == ErrorKind::Denied || err.is_changed() => {
            Ok(Fetched::Nothing(err.to_string()))
        }
        Err(err) => Err(err),
    }
}

fn unreadable(object: Object, why: String) -> Found {
    found(object, Err(Problem::Unreadable(why)), &[], None)
}

fn read_content(
    object: Object,
    bytes: &[u8],
    signature: Option<String>,
    reading: &Reading,
    totals: &Totals,
) -> Found {
    let is_digest = is_digest(&object.key);
    let limit = if is_digest { LARGEST_DIGEST } else { reading.largest_log };
    let (mut buffer, mut content, mut size) = (vec![0; PIECE], Vec::new(), 0);
    let hash = hash_content(bytes, &mut buffer, limit, |piece| {
        size += piece.len() as u64;
        if is_digest {
            content.extend_from_slice(piece);
        }
    });
    totals.bytes_hashed.fetch_add(size, Ordering::Relaxed);
    let signature = signature.or_else(|| reading.signatures.of(&object.key).map(str::to_owned));
    found(object, hash, &content, signature)
}

fn found(
    object: Object,
    hash: Result<Hash, Problem>,
    content: &[u8],
    signature: Option<String>,
) -> Found {
    if !is_digest(&object.key) {
        return Found::Log(FoundLog { address: object.key.into(), content: hash });
    }
    let parsed = |hash| Digest::parse(content).map(|digest| (digest, hash));
    let content = match hash {
        Ok(hash) => parsed(hash).map_err(Unusable::Format),
        Err(problem) => Err(Unusable::Content(problem)),
    };
    let Some(name) = DigestName::parse(&object.key) else { return Found::Stray(object.key) };
    Found::Digest(Box::new(FoundDigest { address: object.key, name, content, signature }))
}
