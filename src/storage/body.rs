//! Bodies of objects: whole ones with the checksums that the store gives, and parts.

use crate::error::{Error, ErrorKind, Result, find};
use crate::storage::answers::WholeBody;
use crate::storage::checksum::Checksums;
use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStore};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The largest object that is read in parts from a store that sends all of it each time.
const MOST_WITHOUT_RANGES: u64 = 256 << 20;

/// What a store answered.
#[derive(Debug)]
pub(super) enum Found {
    /// The bytes, and what the store says they come to.
    Body(Bytes, Checksums),
    /// The store sends whole objects only, and this one is too large for that.
    TooLarge,
}

/// How bodies are read from a store.
#[derive(Debug)]
pub(super) struct Bodies {
    store: Arc<dyn ObjectStore>,
    /// The same store, which asks for checksums.
    checked: Arc<dyn ObjectStore>,
    /// Whether the store is known to send all of an object that a part is asked of.
    ignores_ranges: AtomicBool,
}

impl Bodies {
    /// Reads from `store`, and whole objects from `checked`, which is the same store asking for checksums.
    pub(super) fn new(store: Arc<dyn ObjectStore>, checked: Arc<dyn ObjectStore>) -> Self {
        Self { store, checked, ignores_ranges: AtomicBool::new(false) }
    }

    /// Gets an object, or a part of it.
    pub(super) async fn get(
        &self,
        path: &Key,
        etag: Option<&str>,
        range: Option<Range<u64>>,
    ) -> object_store::Result<Found> {
        let if_match = etag.map(|etag| format!("\"{etag}\""));
        let whole = GetOptions { if_match, ..GetOptions::default() };
        let Some(range) = range else {
            let found = self.checked.get_opts(path, whole).await?;
            let said = found.extensions.get::<Checksums>().copied().unwrap_or_default();
            return Ok(Found::Body(found.bytes().await?, said));
        };
        if !self.ignores_ranges.load(Ordering::Relaxed) {
            let part = Some(GetRange::Bounded(range.clone()));
            let options = GetOptions { range: part, ..whole.clone() };
            match self.store.get_opts(path, options).await {
                Err(err) if find::<WholeBody>(&err).is_some() => {
                    self.ignores_ranges.store(true, Ordering::Relaxed);
                }
                found => return Ok(Found::Body(found?.bytes().await?, Checksums::default())),
            }
        }
        self.get_part_of_whole(path, whole, range).await
    }

    /// Takes a part out of a whole body, for a store that answers so anyway.
    async fn get_part_of_whole(
        &self,
        path: &Key,
        options: GetOptions,
        range: Range<u64>,
    ) -> object_store::Result<Found> {
        let found = self.store.get_opts(path, options).await?;
        if found.meta.size > MOST_WITHOUT_RANGES {
            return Ok(Found::TooLarge);
        }
        let (mut body, mut at, mut out) = (found.into_stream(), 0, Vec::new());
        while at < range.end
            && let Some(bytes) = body.next().await
        {
            let bytes = bytes?;
            let within = |place: u64| place.saturating_sub(at).min(bytes.len() as u64) as usize;
            out.extend_from_slice(&bytes[within(range.start)..within(range.end)]);
            at += bytes.len() as u64;
        }
        Ok(Found::Body(out.into(), Checksums::default()))
    }
}

/// Returns whether a body is not the one that the store's checksums are of; a slow comparison goes to a
/// thread of its own.
///
/// # Errors
/// `Bug` when that thread fails.
pub(super) async fn is_refuted(said: Checksums, body: &Bytes) -> Result<bool> {
    if !said.is_slow(body) {
        return Ok(said.refute(body));
    }
    let body = body.clone();
    let refuted = tokio::task::spawn_blocking(move || said.refute(&body));
    refuted.await.map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))
}
