//! Buckets, over `object_store`'s trait; aws-sdk-s3 answers the few questions the trait cannot (see `sdk`).
//!
//! Every request counts against one limit of requests in flight. Passing failures (503, 500,
//! 429, a dropped connection, expired credentials) are retried for [`S3Options::retry_timeout`], then end
//! in `Unavailable`. No client retries by itself: the lease is confirmed before each attempt to write.

use crate::aws::{Aws, Patience, jittered};
use crate::error::{Cause, Error, ErrorKind, Result};
use crate::storage::answers::store_failed;
use crate::storage::body::{Bodies, Found, is_refuted};
use crate::storage::checksum::{Checksums, Keeping};
use crate::storage::guard::Guard;
use crate::storage::page::unquoted;
use crate::storage::sdk::{self, Sdk, Tries, region_of, replaced};
use crate::storage::{BucketObject, Page, Put, S3Options, store};
use aws_sdk_s3::Client;
use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{debug, trace};

/// How often a body that is not the object's is asked for.
const TRIES_OF_A_BODY: u32 = 4;

const OTHER_BYTES: &str =
    "the bytes of the response differ from the checksum that S3 gives of the object";
const OTHER_LENGTH: &str = "the length of the response differs from the listing";
const NO_RANGES: &str = "the store sends whole objects where a part is asked for, and this archive is too \
     large for that: copy it to a folder, or unpack it";

/// A bucket. The bucket of a lake's writer confirms the lease before each attempt to write.
#[derive(Clone, Debug)]
pub struct Bucket(Arc<Inner>, Option<Arc<dyn Guard>>);

#[derive(Debug)]
struct Inner {
    name: String,
    region: String,
    /// `None` if the store is not S3.
    aws: Option<Arc<Aws>>,
    /// Answers what the store cannot; `None` if the store lists by itself.
    sdk: Option<Sdk>,
    store: Arc<dyn ObjectStore>,
    bodies: Bodies,
    requests: Arc<Semaphore>,
    options: S3Options,
}

impl Bucket {
    /// Opens a bucket of S3 and asks for its region.
    ///
    /// # Errors
    /// `Config` when there is no such bucket or there are no credentials, `Unavailable`.
    pub(super) async fn open(
        aws: Arc<Aws>,
        requests: Arc<Semaphore>,
        options: S3Options,
        name: &str,
    ) -> Result<Self> {
        // No credentials is the first thing to be told, before any request.
        aws.credentials().await?;
        let configured = aws.region().unwrap_or("us-east-1").to_owned();
        let asking = sdk::client(&aws, &configured, Tries::One);
        let what = format!("s3://{name}");
        let ask = || region_of(&asking, name);
        let region = match patiently(Some(&*aws), &options, "s3:ListBucket", &what, ask).await? {
            // A store of another make may name no region, or a wrong one.
            Some(region) if aws.s3_endpoint().is_none() => region,
            _ => configured,
        };
        let keeping = Keeping::default();
        let open =
            |asks_checksums| store::open(&aws, &options, name, &region, &keeping, asks_checksums);
        let (store, checked) = (Arc::new(open(false)?), Arc::new(open(true)?));
        let inner = Inner {
            name: name.to_owned(),
            sdk: Some(Sdk::new(&aws, &options, name, &region)),
            bodies: Bodies::new(Arc::<AmazonS3>::clone(&store), checked),
            store,
            region,
            aws: Some(aws),
            requests,
            options,
        };
        Ok(Self(Arc::new(inner), None))
    }

    /// Makes a bucket of a store that is not S3.
    pub(super) fn in_store(
        name: &str,
        store: Arc<dyn ObjectStore>,
        requests: Arc<Semaphore>,
        options: S3Options,
    ) -> Self {
        let (name, region) = (name.to_owned(), String::new());
        let bodies = Bodies::new(Arc::clone(&store), Arc::clone(&store));
        let inner = Inner { name, region, aws: None, sdk: None, store, bodies, requests, options };
        Self(Arc::new(inner), None)
    }

    /// Returns the same bucket, guarded by a lease.
    pub(super) fn guarded(&self, guard: Arc<dyn Guard>) -> Self {
        Self(Arc::clone(&self.0), Some(guard))
    }

    /// Returns how long a lease in this bucket lasts without a renewal, in seconds.
    pub(super) fn lease_seconds(&self) -> u64 {
        self.0.options.lease.as_secs().max(1)
    }

    /// Returns the bucket's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the region it is in.
    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// Returns a client that retries by itself, for questions that this type does not answer; `None` if the
    /// store is not S3.
    pub(super) fn client(&self) -> Option<Client> {
        let aws = self.0.aws.as_ref()?;
        Some(sdk::client(aws, &self.0.region, Tries::Several))
    }

    /// Lists one page of the keys under `prefix`, after the key `start_after` or from `token` on. A delimited
    /// listing names each folder below the prefix once instead of its keys.
    ///
    /// # Errors
    /// `Denied`, `Unavailable`, `Io`.
    pub async fn page(
        &self,
        prefix: &str,
        is_delimited: bool,
        start_after: Option<&str>,
        token: Option<&str>,
    ) -> Result<Page> {
        let what = self.address(prefix);
        self.patiently("s3:ListBucket", &what, || async {
            if let Some(sdk) = &self.0.sdk {
                return sdk.page(prefix, is_delimited, start_after, token).await;
            }
            let page = Page::of_store(&*self.0.store, prefix, is_delimited, start_after, token);
            page.await.map_err(|err| store_failed("s3:ListBucket", &what, err))
        })
        .await
    }

    /// Returns the bytes at `key`, or `None` if the key is absent. With an etag, only the bytes of that etag.
    ///
    /// # Errors
    /// `Unavailable` also when the object has another etag by now; `Denied`, `Io`.
    pub async fn get(&self, key: &str, etag: Option<&str>) -> Result<Option<Bytes>> {
        Ok(self.get_any(key, etag, None).await?.map(|(bytes, _)| bytes))
    }

    /// Returns the whole object at `key` as a listing showed it.
    ///
    /// # Errors
    /// See [`Bucket::get`]; `Io` when the body is of another length, or is not what its checksum says,
    /// whenever it is asked for.
    pub async fn get_listed(&self, key: &str, etag: &str, size: u64) -> Result<Option<Bytes>> {
        self.get_exactly(key, Some(etag), None, size).await
    }

    /// Returns the object at `key` as a listing showed it, with the metadata that its writer gave it.
    ///
    /// # Errors
    /// See [`Bucket::get`].
    pub async fn get_with_metadata(
        &self,
        key: &str,
        etag: &str,
    ) -> Result<Option<(Bytes, HashMap<String, String>)>> {
        self.patiently("s3:GetObject", &self.address(key), || async {
            match &self.0.sdk {
                Some(sdk) => sdk.get_with_metadata(key, etag).await,
                None => store::get_with_metadata(&*self.0.store, &parse(key)?)
                    .await
                    .map_err(|err| store_failed("s3:GetObject", &self.address(key), err)),
            }
        })
        .await
    }

    /// Returns the object at `key` as a listing would show it, or `None` if the key is absent.
    ///
    /// # Errors
    /// `Denied`, `Unavailable`, `Io`.
    pub async fn head(&self, key: &str) -> Result<Option<BucketObject>> {
        let what = self.address(key);
        self.patiently("s3:GetObject", &what, || async {
            match &self.0.sdk {
                Some(sdk) => sdk.head(key).await,
                None => store::head(&*self.0.store, &parse(key)?, &what).await,
            }
        })
        .await
    }

    /// Returns exactly the bytes `range` of the object at `key`.
    ///
    /// # Errors
    /// See [`Bucket::get_listed`].
    pub async fn get_part(
        &self,
        key: &str,
        etag: Option<&str>,
        range: Range<u64>,
    ) -> Result<Option<Bytes>> {
        let length = range.end - range.start;
        self.get_exactly(key, etag, Some(range), length).await
    }

    /// Requests a body up to [`TRIES_OF_A_BODY`] times until it has the right length and checksum.
    async fn get_exactly(
        &self,
        key: &str,
        etag: Option<&str>,
        range: Option<Range<u64>>,
        length: u64,
    ) -> Result<Option<Bytes>> {
        let mut pause = Duration::from_millis(200);
        let mut wrong = "";
        for attempt in 1..=TRIES_OF_A_BODY {
            wrong = match self.get_any(key, etag, range.clone()).await? {
                None => return Ok(None),
                Some((bytes, _)) if bytes.len() as u64 != length => OTHER_LENGTH,
                Some((bytes, said)) if range.is_none() && is_refuted(said, &bytes).await? => {
                    OTHER_BYTES
                }
                Some((bytes, _)) => return Ok(Some(bytes)),
            };
            if attempt < TRIES_OF_A_BODY {
                tokio::time::sleep(jittered(pause)).await;
                pause *= 2;
            }
        }
        Err(Error::new(ErrorKind::Io, wrong).at("resource", self.address(key)))
    }

    async fn get_any(
        &self,
        key: &str,
        etag: Option<&str>,
        range: Option<Range<u64>>,
    ) -> Result<Option<(Bytes, Checksums)>> {
        let what = self.address(key);
        self.patiently("s3:GetObject", &what, || async {
            let found = match canonical(key) {
                Some(path) => self.0.bodies.get(&path, etag, range.clone()).await,
                // object_store knows no key with an empty part in it; trails write them, when their
                // prefix ends in a slash.
                None => match &self.0.sdk {
                    Some(sdk) => return sdk.get(key, etag, range.clone()).await,
                    None => return Ok(None),
                },
            };
            match found {
                Ok(Found::Body(bytes, said)) => Ok(Some((bytes, said))),
                Ok(Found::TooLarge) => {
                    Err(Error::new(ErrorKind::Io, NO_RANGES).at("resource", &what))
                }
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(object_store::Error::Precondition { .. }) => Err(replaced(&what)),
                Err(err) => Err(store_failed("s3:GetObject", &what, err)),
            }
        })
        .await
    }

    /// Puts `bytes` at `key` unless the key is taken. Reads the key if the outcome of an attempt is unknown.
    ///
    /// # Errors
    /// `Denied`, `Unavailable`, `Io`.
    pub async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Put> {
        let what = self.address(key);
        let path = parse(key)?;
        let is_retry = std::sync::atomic::AtomicBool::new(false);
        self.patiently("s3:PutObject", &what, || async {
            // The first attempt may have succeeded although its answer was lost.
            if is_retry.swap(true, std::sync::atomic::Ordering::Relaxed)
                && let Some(there) = self.get_now(&path).await?
            {
                return Ok(if there == bytes { Put::Created } else { Put::Differs });
            }
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.0.store.put_opts(&path, bytes.clone().into(), options).await {
                Ok(_) => Ok(Put::Created),
                Err(object_store::Error::AlreadyExists { .. }) => {
                    match self.get_now(&path).await? {
                        Some(there) if there == bytes => Ok(Put::Same),
                        Some(_) => Ok(Put::Differs),
                        // 409: another request for the key was under way.
                        None => Err(Error::new(ErrorKind::Unavailable, "conflicting put")
                            .at("resource", &what)),
                    }
                }
                Err(err) => Err(store_failed("s3:PutObject", &what, err)),
            }
        })
        .await
    }

    async fn get_now(&self, path: &Key) -> Result<Option<Bytes>> {
        let found = match self.0.store.get(path).await {
            Ok(found) => found.bytes().await,
            Err(err) => Err(err),
        };
        match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(err) => Err(store_failed("s3:GetObject", &self.address(path.as_ref()), err)),
        }
    }

    /// Replaces the bytes at `key` if its etag is still `etag`; returns the new etag, or `None` if another
    /// process has replaced or removed the object. Makes one attempt outside the limit of requests, so that
    /// a lease can be renewed while all requests in flight hang.
    ///
    /// # Errors
    /// `Denied`, `Unavailable` (the outcome is unknown), `Io`.
    pub async fn replace(&self, key: &str, etag: &str, bytes: Bytes) -> Result<Option<String>> {
        let version = UpdateVersion { e_tag: Some(format!("\"{etag}\"")), version: None };
        let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
        match self.0.store.put_opts(&parse(key)?, bytes.into(), options).await {
            Ok(put) => Ok(Some(unquoted(put.e_tag.as_deref().unwrap_or_default()))),
            Err(
                object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. },
            ) => Ok(None),
            Err(err) => Err(store_failed("s3:PutObject", &self.address(key), err)),
        }
    }

    /// Retries [`Bucket::replace`] like other requests. After a lost answer the next attempt finds another
    /// etag and returns `None`: the caller then reads the object.
    ///
    /// # Errors
    /// As [`Bucket::replace`].
    pub(super) async fn replace_patiently(
        &self,
        key: &str,
        etag: &str,
        bytes: Bytes,
    ) -> Result<Option<String>> {
        let what = self.address(key);
        let replace = || self.replace(key, etag, bytes.clone());
        self.patiently("s3:PutObject", &what, replace).await
    }

    /// Returns the bytes at `key` with their etag, outside the limit of requests.
    ///
    /// # Errors
    /// `Denied`, `Unavailable`, `Io`.
    pub async fn get_with_etag(&self, key: &str) -> Result<Option<(Bytes, String)>> {
        let what = self.address(key);
        let path = parse(key)?;
        let get = || async {
            let found = match self.0.store.get(&path).await {
                Ok(found) => {
                    let etag = unquoted(found.meta.e_tag.as_deref().unwrap_or_default());
                    found.bytes().await.map(|bytes| (bytes, etag))
                }
                Err(err) => Err(err),
            };
            match found {
                Ok(found) => Ok(Some(found)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(err) => Err(store_failed("s3:GetObject", &what, err)),
            }
        };
        patiently(self.0.aws.as_deref(), &self.0.options, "s3:GetObject", &what, get).await
    }

    /// Removes the object at `key`, if there is one.
    ///
    /// # Errors
    /// `Denied`, `Unavailable`, `Io`.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let what = self.address(key);
        let path = parse(key)?;
        self.patiently("s3:DeleteObject", &what, || async {
            match self.0.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(err) => Err(store_failed("s3:DeleteObject", &what, err)),
            }
        })
        .await
    }

    /// Removes everything under `prefix`, a thousand keys a request.
    ///
    /// # Errors
    /// `Denied`, `Unavailable`, `Io`.
    pub async fn delete_all(&self, prefix: &str) -> Result<()> {
        let what = self.address(prefix);
        // Removed keys leave the listing, so the first page is always the next one.
        loop {
            let page = self.page(prefix, false, None, None).await?;
            if page.objects.is_empty() {
                return Ok(());
            }
            let keys = page.objects.into_iter().map(|object| object.key).collect();
            self.delete_keys(keys, &what).await?;
            if page.next.is_none() {
                return Ok(());
            }
        }
    }

    async fn delete_keys(&self, keys: Vec<String>, what: &str) -> Result<()> {
        let Some(sdk) = &self.0.sdk else {
            for key in keys {
                self.delete(&key).await?;
            }
            return Ok(());
        };
        self.patiently("s3:DeleteObject", what, || sdk.delete(&keys, what)).await
    }

    /// Names an object of this bucket for messages.
    pub fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.0.name)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        let closed = |_| Error::new(ErrorKind::Bug, "the limit of requests is closed");
        self.0.requests.acquire().await.map_err(closed)
    }

    /// Makes a call with retries; counts as one request in flight.
    async fn patiently<T, F>(
        &self,
        action: &'static str,
        what: &str,
        call: impl Fn() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let _permit = self.permit().await?;
        let Some(guard) = &self.1 else {
            return patiently(self.0.aws.as_deref(), &self.0.options, action, what, call).await;
        };
        let is_write = matches!(action, "s3:PutObject" | "s3:DeleteObject");
        let call = || async {
            if is_write {
                guard.confirm().await?;
            }
            call().await
        };
        tokio::select! {
            done = patiently(self.0.aws.as_deref(), &self.0.options, action, what, call) => done,
            lost = guard.lost() => Err(lost),
        }
    }
}

/// Makes a call, and retries it for [`S3Options::retry_timeout`] while it is `Unavailable`.
async fn patiently<T, F>(
    aws: Option<&Aws>,
    options: &S3Options,
    action: &'static str,
    what: &str,
    call: impl Fn() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut patience = Patience::new(options.retry_timeout);
    loop {
        let started = Instant::now();
        let outcome = call().await;
        let millis = started.elapsed().as_millis();
        let err = match outcome {
            // A changed object does not change back.
            Err(err) if err.kind() == ErrorKind::Unavailable && !err.is_changed() => err,
            outcome => {
                trace!(action, what, millis, failed = outcome.is_err(), "request");
                return outcome;
            }
        };
        debug!(action, what, millis, attempt = patience.attempts(), %err, "request failed; retrying");
        if let Some(aws) = aws.filter(|_| err.cause() == Some(Cause::ExpiredCredentials)) {
            aws.forget_credentials().await;
        }
        if !patience.wait().await {
            let message = format!("S3 does not answer {action} for {what}; try again later");
            return Err(Error::new(ErrorKind::Unavailable, message).because(err));
        }
    }
}

/// Returns the key for `object_store`, unless `object_store` would rewrite it.
fn canonical(key: &str) -> Option<Key> {
    Key::parse(key).ok().filter(|path| path.as_ref() == key)
}

fn parse(key: &str) -> Result<Key> {
    Key::parse(key)
        .map_err(|err| Error::new(ErrorKind::Bug, "not a key").at("key", key).because(err))
}
