//! A store in memory that fails on purpose: `object_store`'s trait, with requests that are not sent and
//! answers that are lost.

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

/// Where on its way a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Before it is done.
    Request,
    /// When it is done, without the caller's knowing.
    Answer,
}

/// Which requests fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Faults {
    None,
    /// The nth put or delete, from 0.
    Change(usize, Lost),
    /// The nth get or listing, from 0.
    Read(usize),
    /// The first of each kind for each key.
    EachFirst(Lost),
}

#[derive(Debug, Default)]
struct Seen {
    /// What was put or deleted, in order.
    changes: Vec<String>,
    reads: usize,
    requests: HashSet<String>,
    /// Reads before the first change.
    reads_at_first: usize,
}

/// What another writer puts into the store, by key, and after which read, from 0.
type Arrival = (usize, BTreeMap<String, Vec<u8>>);

/// The store; many may share what lies in it.
#[derive(Debug)]
pub(crate) struct Failing {
    inner: Arc<InMemory>,
    faults: Faults,
    arrival: Option<Arrival>,
    seen: Arc<Mutex<Seen>>,
}

impl Failing {
    pub(crate) fn new(inner: &Arc<InMemory>, faults: Faults) -> Self {
        Self { inner: Arc::clone(inner), faults, arrival: None, seen: Arc::default() }
    }

    /// A store into which another writer puts something after a read.
    pub(crate) fn with_arrival(inner: &Arc<InMemory>, arrival: Arrival) -> Self {
        Self { arrival: Some(arrival), ..Self::new(inner, Faults::None) }
    }

    /// What was put and deleted so far, in order.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.seen.lock().unwrap().changes.clone()
    }

    pub(crate) fn reads(&self) -> usize {
        self.seen.lock().unwrap().reads
    }

    /// The gets and listings before the first put or delete.
    pub(crate) fn reads_at_first_change(&self) -> usize {
        self.seen.lock().unwrap().reads_at_first
    }

    fn arrive(&self) {
        let Some((nth, contents)) = &self.arrival else { return };
        if self.reads() != nth + 1 {
            return;
        }
        for (key, bytes) in contents {
            let key = Path::from(key.as_str());
            let put = self.inner.put(&key, bytes.clone().into());
            put.now_or_never().expect("memory does not wait").unwrap();
        }
    }

    #[expect(clippy::result_large_err, reason = "the trait's error is that large")]
    fn read(&self, kind: &str, key: &str) -> Result<()> {
        let mut seen = self.seen.lock().unwrap();
        seen.reads += 1;
        let is_first = seen.requests.insert(format!("{kind} {key}"));
        match self.faults {
            Faults::Read(nth) if nth + 1 == seen.reads => Err(injected()),
            Faults::EachFirst(_) if is_first => Err(injected()),
            _ => Ok(()),
        }
    }
}

fn change(seen: &Mutex<Seen>, faults: Faults, kind: &str, key: &Path) -> Option<Lost> {
    let mut seen = seen.lock().unwrap();
    let request = format!("{kind} {key}");
    if seen.changes.is_empty() {
        seen.reads_at_first = seen.reads;
    }
    seen.changes.push(request.clone());
    let is_first = seen.requests.insert(request);
    match faults {
        Faults::Change(nth, lost) if nth + 1 == seen.changes.len() => Some(lost),
        Faults::EachFirst(lost) if is_first => Some(lost),
        _ => None,
    }
}

fn injected() -> Error {
    Error::Generic { store: "Failing", source: "injected".into() }
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Failing")
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(
        &self,
        key: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let lost = change(&self.seen, self.faults, "put", key);
        if lost == Some(Lost::Request) {
            return Err(injected());
        }
        let done = self.inner.put_opts(key, payload, options).await;
        if lost.is_some() { Err(injected()) } else { done }
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(injected())
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.read("get", key.as_ref())?;
        let got = self.inner.get_opts(key, options).await;
        self.arrive();
        got
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (inner, faults) = (Arc::clone(&self.inner), self.faults);
        let seen = Arc::clone(&self.seen);
        keys.and_then(move |key| {
            let (inner, lost) = (Arc::clone(&inner), change(&seen, faults, "delete", &key));
            async move {
                if lost == Some(Lost::Request) {
                    return Err(injected());
                }
                let done = inner.delete(&key).await;
                if lost.is_some() { Err(injected()) } else { done.map(|()| key) }
            }
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.read("list", prefix.map_or("", |prefix| prefix.as_ref())) {
            Ok(()) => {
                let listed = self.inner.list(prefix);
                self.arrive();
                listed
            }
            Err(err) => stream::once(async { Err(err) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(injected())
    }
}

/// Everything in a store, by key.
pub(crate) fn contents(store: &InMemory) -> BTreeMap<String, Vec<u8>> {
    block_on(async {
        let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
        let mut out = BTreeMap::new();
        for meta in listed {
            let bytes = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
            out.insert(meta.location.to_string(), bytes.to_vec());
        }
        out
    })
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}
