//! Buckets: `object_store` moves the bytes, aws-sdk-s3 lists and answers what it cannot.
//!
//! Every request counts against one limit of requests in flight. What a service may answer in the
//! middle of things (503, 500, 429, a dropped connection, credentials that ran out) is tried again
//! for as long as [`S3Options::retry_timeout`]; what stays down is `Unavailable`.

use crate::aws::{Aws, AwsOptions, error_code, failed, kind_of, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::checksum::{Checksums, Keeping, MODE};
use crate::storage::fence::Leased;
use crate::storage::{DEFAULT_LEASE, Put};
use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{IdentityCache, Region, retry::RetryConfig as SdkRetry};
use aws_sdk_s3::types::{
    Delete, ObjectIdentifier, ObjectStorageClass, OptionalObjectAttributes, RequestPayer,
};
use bytes::Bytes;
use futures::StreamExt;
use object_store::ClientOptions;
use object_store::aws::{
    AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, S3ConditionalPut,
};
use object_store::path::Path as Key;
use object_store::{
    CredentialProvider, GetOptions, GetRange, HeaderMap, HeaderValue, ObjectStore, ObjectStoreExt,
    PutMode, PutOptions, RetryConfig, UpdateVersion,
};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OnceCell, Semaphore, SemaphorePermit};

/// Requests in flight at once, unless an option says otherwise: about what saturates 10 Gb/s several
/// times over, and far below the 5,500 GETs per second of one prefix (docs/aws-facts.md A18, A19).
pub const DEFAULT_REQUESTS: usize = 64;

/// How long a request is tried again, unless an option says otherwise.
pub const DEFAULT_RETRY_TIMEOUT: Duration = Duration::from_secs(3 * 60);

/// The longest that one answer may take from its first byte to its last.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5 * 60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest silence in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a body that is not the object's is asked for.
const TRIES_OF_A_BODY: u32 = 4;
/// The largest object that is read in parts from a store that sends all of it each time.
const MOST_WITHOUT_RANGES: u64 = 256 << 20;
/// Between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// How new objects are encrypted at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket's default says.
    #[default]
    BucketDefault,
    /// SSE-S3: `AES256`.
    S3,
    /// SSE-KMS, with the key of this id or alias, else the account's own key for S3.
    Kms(Option<String>),
}

/// How S3 is used.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Requests in flight at once, over all buckets.
    pub requests: usize,
    /// How long a request is tried again.
    pub retry_timeout: Duration,
    /// How new objects are encrypted.
    pub encryption: Encryption,
    /// Whether we agree to pay for requests to buckets whose requester pays.
    pub request_payer: bool,
    /// How long a lake stays this run's when it cannot renew its lease.
    pub lease: Duration,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            requests: DEFAULT_REQUESTS,
            retry_timeout: DEFAULT_RETRY_TIMEOUT,
            encryption: Encryption::default(),
            request_payer: false,
            lease: DEFAULT_LEASE,
        }
    }
}

/// S3, as one identity; costs nothing until a bucket is opened.
#[derive(Debug)]
pub struct S3 {
    who: AwsOptions,
    aws: OnceCell<Arc<Aws>>,
    options: S3Options,
    requests: Arc<Semaphore>,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl S3 {
    /// Notes how S3 is to be used.
    pub fn new(who: AwsOptions, options: S3Options) -> Self {
        Self {
            who,
            aws: OnceCell::new(),
            requests: Arc::new(Semaphore::new(options.requests.clamp(1, 10_000))),
            options,
            buckets: Mutex::default(),
        }
    }

    /// Returns the identity, for other services too.
    pub async fn aws(&self) -> &Arc<Aws> {
        self.aws.get_or_init(async || Arc::new(Aws::connect(&self.who).await)).await
    }

    /// Returns the number of requests that may be in flight.
    pub fn requests(&self) -> usize {
        self.options.requests
    }

    /// Opens a bucket, once; asks for its region.
    ///
    /// # Errors
    /// `Config` when there is no such bucket or there are no credentials, `Unavailable`.
    pub async fn bucket(&self, name: &str) -> Result<Bucket> {
        let mut buckets = self.buckets.lock().await;
        if let Some(bucket) = buckets.get(name) {
            return Ok(bucket.clone());
        }
        let bucket = Bucket::open(self, name).await?;
        buckets.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }
}

impl Default for S3 {
    fn default() -> Self {
        Self::new(AwsOptions::default(), S3Options::default())
    }
}

/// One object, as a listing shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketObject {
    /// The key, raw.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The storage class, if it must be restored before it can be read, and has not been.
    pub archived: Option<String>,
}

/// One page of a listing: at most 1,000 entries, in the order of UTF-8 bytes.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Objects.
    pub objects: Vec<BucketObject>,
    /// Common prefixes, each ending in `/`, when the listing was delimited.
    pub prefixes: Vec<String>,
    /// Where the next page starts.
    pub next: Option<String>,
}

/// A bucket; that of a lake's one writer confirms the lease before each attempt to change something.
#[derive(Clone, Debug)]
pub struct Bucket(Arc<Inner>, Option<Arc<Leased>>);

#[derive(Debug)]
struct Inner {
    name: String,
    region: String,
    aws: Arc<Aws>,
    client: Client,
    store: Arc<AmazonS3>,
    /// The same, which asks for checksums.
    checked: Arc<AmazonS3>,
    /// Whether the store is known to send all of an object that a part is asked of.
    ignores_ranges: AtomicBool,
    requests: Arc<Semaphore>,
    options: S3Options,
}

impl Bucket {
    async fn open(s3: &S3, name: &str) -> Result<Self> {
        // No credentials is the first thing to be told, before any request.
        let aws = s3.aws().await;
        aws.credentials().await?;
        let configured = aws.region().unwrap_or("us-east-1").to_owned();
        let asking = client(aws, &configured);
        let what = format!("s3://{name}");
        let ask = || region_of(&asking, name);
        let region = match patiently(aws, &s3.options, "s3:ListBucket", &what, ask).await? {
            // A store of another make may name no region, or a wrong one.
            Some(region) if aws.s3_endpoint().is_none() => region,
            _ => configured,
        };
        let keeping = Keeping::default();
        let store = |asks| object_store_of(aws, &s3.options, name, &region, &keeping, asks);
        let inner = Inner {
            name: name.to_owned(),
            client: client(aws, &region),
            store: Arc::new(store(false)?),
            checked: Arc::new(store(true)?),
            ignores_ranges: AtomicBool::new(false),
            region,
            aws: Arc::clone(aws),
            requests: Arc::clone(&s3.requests),
            options: s3.options.clone(),
        };
        Ok(Self(Arc::new(inner), None))
    }

    /// Returns the same bucket behind a lease.
    pub(super) fn fenced(&self, leased: &Arc<Leased>) -> Self {
        Self(Arc::clone(&self.0), Some(Arc::clone(leased)))
    }

    /// Returns how long the lease of a lake in this bucket is to last without a renewal, in seconds.
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

    /// Returns the client for questions that this type does not answer.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Lists one page: what lies under `prefix` and after the key `start_after`, or where `token`
    /// says. Delimited, what has a `/` after the prefix is only named once.
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
            let request = self
                .0
                .client
                .list_objects_v2()
                .bucket(&self.0.name)
                .prefix(prefix)
                .set_delimiter(is_delimited.then(|| "/".to_owned()))
                .set_start_after(start_after.map(str::to_owned))
                .set_continuation_token(token.map(str::to_owned))
                // Says of an archived object whether it has been restored.
                .optional_object_attributes(OptionalObjectAttributes::RestoreStatus)
                .set_request_payer(self.payer());
            let found = request.send().await.map_err(|err| failed("s3:ListBucket", &what, &err))?;
            let prefixes = found.common_prefixes().iter().filter_map(|p| p.prefix.clone());
            let next =
                found.is_truncated().unwrap_or(false).then(|| found.next_continuation_token());
            Ok(Page {
                prefixes: prefixes.collect(),
                next: next.flatten().map(str::to_owned),
                objects: found.contents().iter().filter_map(listed).collect(),
            })
        })
        .await
    }

    /// Returns the bytes at `key`, or nothing when it is absent. With an etag, only those bytes.
    ///
    /// # Errors
    /// `Unavailable` also when the object has another etag by now; `Denied`, `Io`.
    pub async fn get(&self, key: &str, etag: Option<&str>) -> Result<Option<Bytes>> {
        Ok(self.get_any(key, etag, None).await?.map(|(bytes, _)| bytes))
    }

    /// Returns the bytes at `key` that a listing has shown, all of them.
    ///
    /// # Errors
    /// See [`Bucket::get`]; `Io` when the body is of another length, or is not what its checksum says,
    /// whenever it is asked for.
    pub async fn get_listed(&self, key: &str, etag: &str, size: u64) -> Result<Option<Bytes>> {
        self.get_exactly(key, Some(etag), None, size).await
    }

    /// Returns some of the bytes at `key`, all that are asked for.
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

    /// Asks again, [`TRIES_OF_A_BODY`] times, for what comes in another length or as other bytes.
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
                Some((_, said)) if said == Checksums::WRONG => OTHER_BYTES,
                Some((bytes, _)) if bytes.len() as u64 != length => {
                    "S3 answers with a body of another length than the listing says"
                }
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
                Some(path) => self.get_by_store(&path, etag, range.clone()).await,
                // object_store knows no key with an empty part in it; trails write them, when their
                // prefix ends in a slash.
                None => return self.get_by_sdk(key, etag, range.clone()).await,
            };
            match found {
                Ok(found) => Ok(Some(found)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(object_store::Error::Precondition { .. }) => Err(replaced(&what)),
                Err(err) if is_too_large_to_skip(&err) => {
                    Err(Error::new(ErrorKind::Io, IGNORES_RANGES).at("resource", &what))
                }
                Err(err) => Err(store_failed("s3:GetObject", &what, err)),
            }
        })
        .await
    }

    async fn get_by_store(
        &self,
        path: &Key,
        etag: Option<&str>,
        range: Option<Range<u64>>,
    ) -> object_store::Result<(Bytes, Checksums)> {
        let if_match = etag.map(|etag| format!("\"{etag}\""));
        let Some(range) = range else {
            let options = GetOptions { if_match, ..GetOptions::default() };
            let found = self.0.checked.get_opts(path, options).await?;
            let said = found.extensions.get::<Checksums>().copied().unwrap_or_default();
            return Ok((found.bytes().await?, said));
        };
        if !self.0.ignores_ranges.load(Ordering::Relaxed) {
            let options = GetOptions {
                if_match: if_match.clone(),
                range: Some(GetRange::Bounded(range.clone())),
                ..GetOptions::default()
            };
            match self.0.store.get_opts(path, options).await {
                Err(err) if is_not_partial(&err) => {
                    self.0.ignores_ranges.store(true, Ordering::Relaxed);
                }
                found => return Ok((found?.bytes().await?, Checksums::default())),
            }
        }
        let options = GetOptions { if_match, ..GetOptions::default() };
        Ok((self.get_part_of_all(path, options, range).await?, Checksums::default()))
    }

    /// Takes a part out of a whole body, for a store that answers so anyway.
    async fn get_part_of_all(
        &self,
        path: &Key,
        options: GetOptions,
        range: Range<u64>,
    ) -> object_store::Result<Bytes> {
        let found = self.0.store.get_opts(path, options).await?;
        if found.meta.size > MOST_WITHOUT_RANGES {
            let source = IGNORES_RANGES.into();
            return Err(object_store::Error::Generic { store: "S3", source });
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
        Ok(out.into())
    }

    async fn get_by_sdk(
        &self,
        key: &str,
        etag: Option<&str>,
        range: Option<Range<u64>>,
    ) -> Result<Option<(Bytes, Checksums)>> {
        let what = self.address(key);
        let request = self
            .0
            .client
            .get_object()
            .bucket(&self.0.name)
            .key(key)
            .set_if_match(etag.map(|etag| format!("\"{etag}\"")))
            .set_range(
                range.clone().map(|r| format!("bytes={}-{}", r.start, r.end.saturating_sub(1))),
            )
            .set_request_payer(self.payer());
        match request.send().await {
            Ok(found) => match (found.content_range.is_some(), found.body.collect().await) {
                (is_part, Ok(bytes)) => {
                    let bytes = bytes.into_bytes();
                    let part = range.filter(|_| !is_part).map(|r| r.start as usize..r.end as usize);
                    // A store may answer with all of it.
                    let part = part.filter(|part| part.end <= bytes.len());
                    let bytes = part.map_or(bytes.clone(), |part| bytes.slice(part));
                    Ok(Some((bytes, Checksums::default())))
                }
                // The SDK asks for checksums and compares them by itself.
                (_, Err(err)) if format!("{err:?}").contains("ChecksumMismatch") => {
                    Ok(Some((Bytes::new(), Checksums::WRONG)))
                }
                (_, Err(err)) => {
                    let broken = Error::new(ErrorKind::Unavailable, "connection broke in a body");
                    Err(broken.at("resource", what).because(err))
                }
            },
            Err(err) => match error_code(&err) {
                Some("NoSuchKey" | "NotFound") => Ok(None),
                Some("PreconditionFailed") => Err(replaced(&what)),
                _ => Err(failed("s3:GetObject", &what, &err)),
            },
        }
    }

    /// Puts `bytes` at `key` unless the key is taken. An outcome that is not known is looked at.
    ///
    /// # Errors
    /// `Denied`, `Unavailable`, `Io`.
    pub async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Put> {
        let what = self.address(key);
        let path = parse(key)?;
        let is_retry = std::sync::atomic::AtomicBool::new(false);
        self.patiently("s3:PutObject", &what, || async {
            // The first try may have come through without our knowing.
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
        match self.get_by_store(path, None, None).await {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(err) => Err(store_failed("s3:GetObject", &self.address(path.as_ref()), err)),
        }
    }

    /// Replaces the bytes at `key` if its etag is still `etag`; returns the new etag, or nothing
    /// when another process has replaced or removed it. One attempt, which waits for no other request:
    /// a lease is renewed also while all requests in flight hang.
    ///
    /// # Errors
    /// `Denied`, `Unavailable` (then the outcome is not known), `Io`.
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

    /// As [`Bucket::replace`], for as long as other requests are tried. An attempt whose answer was lost
    /// makes the next one find another etag: the caller reads what is there.
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
        patiently(&self.0.aws, &self.0.options, "s3:PutObject", &what, replace).await
    }

    /// Returns the bytes at `key` with their etag; waits for no other request.
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
        patiently(&self.0.aws, &self.0.options, "s3:GetObject", &what, get).await
    }

    /// Removes the object at `key`; an absent one is no error.
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
        // What is removed leaves the listing: the first page is always the next one.
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
        let identifiers = keys.into_iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let bug = |err| Error::new(ErrorKind::Bug, "not a request").because(err);
        let objects = identifiers.collect::<Result<_, _>>().map_err(bug)?;
        let delete = Delete::builder().quiet(true).set_objects(Some(objects)).build();
        let delete = delete.map_err(bug)?;
        self.patiently("s3:DeleteObject", what, || async {
            let request = self.0.client.delete_objects().bucket(&self.0.name);
            let request = request.delete(delete.clone()).set_request_payer(self.payer());
            // Each attempt is ours, so that the lease is confirmed before it.
            let once = aws_sdk_s3::config::Builder::new().retry_config(SdkRetry::disabled());
            let request = request.customize().config_override(once);
            let done = request.send().await.map_err(|err| failed("s3:DeleteObject", what, &err))?;
            // It answers 200 and says in the body, per key, what it did not do.
            let Some(first) = done.errors().first() else { return Ok(()) };
            let code = first.code().unwrap_or_default();
            Err(Error::new(kind_of(Some(code), true), format!("cannot s3:DeleteObject: {code}"))
                .at("resource", what))
        })
        .await
    }

    /// Names an object of this bucket for messages.
    pub fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.0.name)
    }

    fn payer(&self) -> Option<RequestPayer> {
        self.0.options.request_payer.then_some(RequestPayer::Requester)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        let closed = |_| Error::new(ErrorKind::Bug, "the limit of requests is closed");
        self.0.requests.acquire().await.map_err(closed)
    }

    /// Makes a call, and again while what it says may pass; counts as one request in flight.
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
        let Some(leased) = &self.1 else {
            return patiently(&self.0.aws, &self.0.options, action, what, call).await;
        };
        let is_write = matches!(action, "s3:PutObject" | "s3:DeleteObject");
        let call = || async {
            if is_write {
                leased.before_write().await?;
            }
            call().await
        };
        let work = patiently(&self.0.aws, &self.0.options, action, what, call);
        leased.unless_lost(work).await
    }
}

async fn patiently<T, F>(
    aws: &Aws,
    options: &S3Options,
    action: &'static str,
    what: &str,
    call: impl Fn() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        let err = match call().await {
            Err(err) if err.kind() == ErrorKind::Unavailable && !is_final(&err) => err,
            outcome => return outcome,
        };
        if is_expired(&err) {
            aws.forget_credentials().await;
        }
        if started.elapsed() + pause > options.retry_timeout {
            let message = format!("S3 does not answer {action} for {what}; try again later");
            return Err(Error::new(ErrorKind::Unavailable, message).because(err));
        }
        tokio::time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Half to all of a pause, so that many do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    pause / 2 + pause / 2 * (nanos % 1000) / 1000
}

const OTHER_BYTES: &str = "S3 answers with other bytes than its checksum of the object says";

const IGNORES_RANGES: &str = "the store sends all of an object when a part is asked for, so that an archive \
     this large cannot be read there: copy it to a folder, or unpack it";

async fn is_refuted(said: Checksums, body: &Bytes) -> Result<bool> {
    if !said.is_slow(body) {
        return Ok(said.refute(body));
    }
    let body = body.clone();
    let refuted = tokio::task::spawn_blocking(move || said.refute(&body));
    refuted.await.map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))
}

/// Whether a store has answered with all of an object when a part was asked for; `object_store` has no
/// type for it.
fn is_not_partial(err: &object_store::Error) -> bool {
    err.to_string().contains("non-partial response")
}

fn is_too_large_to_skip(err: &object_store::Error) -> bool {
    matches!(err, object_store::Error::Generic { source, .. } if source.to_string() == IGNORES_RANGES)
}

fn replaced(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "object was replaced while it was read; run again")
        .at("object", what)
}

/// An object that was replaced stays so, however long we wait.
fn is_final(err: &Error) -> bool {
    err.place("object").is_some()
}

fn is_expired(err: &Error) -> bool {
    let text = format!("{err:?}");
    ["ExpiredToken", "RequestExpired", "TokenRefreshRequired"].iter().any(|c| text.contains(c))
}

fn listed(object: &aws_sdk_s3::types::Object) -> Option<BucketObject> {
    Some(BucketObject {
        key: object.key.clone()?,
        size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        etag: unquoted(object.e_tag.as_deref().unwrap_or_default()),
        archived: archived(object),
    })
}

/// Names the storage class of an object that cannot be read as it is.
fn archived(object: &aws_sdk_s3::types::Object) -> Option<String> {
    let class = object.storage_class()?;
    let is_archive = matches!(class, ObjectStorageClass::Glacier | ObjectStorageClass::DeepArchive);
    // A copy that was restored can be read until it expires.
    let is_restored =
        object.restore_status().is_some_and(|status| status.restore_expiry_date().is_some());
    (is_archive && !is_restored).then(|| class.as_str().to_owned())
}

fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

/// The key as `object_store` writes it, if it writes it as it is.
fn canonical(key: &str) -> Option<Key> {
    Key::parse(key).ok().filter(|path| path.as_ref() == key)
}

fn parse(key: &str) -> Result<Key> {
    Key::parse(key)
        .map_err(|err| Error::new(ErrorKind::Bug, "not a key").at("key", key).because(err))
}

/// Sorts what `object_store` reports after its own retries; the service's code is in the text.
fn store_failed(action: &'static str, what: &str, err: object_store::Error) -> Error {
    let text = err.to_string();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let said = text.split_once("<Message>").and_then(|(_, rest)| rest.split_once("</Message>"));
    let kind = match &err {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => match code {
            Some((code, _)) => kind_of(Some(code), true),
            None => ErrorKind::Denied,
        },
        _ if text.contains("<Code>NoSuchBucket</Code>") => ErrorKind::Config,
        _ => match code {
            Some((code, _)) => kind_of(Some(code), true),
            None if text.contains("status 4") => ErrorKind::Io,
            None => ErrorKind::Unavailable,
        },
    };
    let message = match kind {
        // It may be another permission that lacks, such as that to use the bucket's key.
        ErrorKind::Denied => match (code, said) {
            (Some((code, _)), Some((said, _))) if said.contains("not authorized to perform") => {
                return refused(action, code, &said.replace("&quot;", "\""));
            }
            _ => format!("not allowed to {action} on {what}"),
        },
        ErrorKind::Config => format!("bucket not found for {what}"),
        _ => match code {
            Some((code, _)) => format!("cannot {action}: {code}"),
            None => format!("cannot {action}"),
        },
    };
    Error::new(kind, message).at("resource", what).because(err)
}

fn client(aws: &Arc<Aws>, region: &str) -> Client {
    let endpoint = aws.s3_endpoint();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build();
    let mut config = aws_sdk_s3::config::Builder::from(aws.config())
        .region(Region::new(region.to_owned()))
        .credentials_provider(aws.identity())
        .identity_cache(IdentityCache::no_cache())
        .retry_config(SdkRetry::standard().with_max_attempts(5))
        // Without them a request that is never answered is waited for as long as the process lives.
        .timeout_config(timeouts)
        // Stores of another make know no virtual hosts.
        .force_path_style(endpoint.is_some());
    config.set_endpoint_url(endpoint);
    Client::from_conf(config.build())
}

/// Asks a bucket for its region: S3 says it also to those who may do nothing else.
async fn region_of(client: &Client, name: &str) -> Result<Option<String>> {
    match client.head_bucket().bucket(name).send().await {
        Ok(found) => Ok(found.bucket_region),
        Err(err) => {
            let answer = err.raw_response();
            let region = answer.and_then(|answer| answer.headers().get("x-amz-bucket-region"));
            let region = region.map(str::to_owned);
            match answer.map(|answer| answer.status().as_u16()) {
                Some(404) => Err(Error::config(format!("bucket `{name}` not found"))),
                // Listing may be allowed for some prefixes only, which a HEAD does not name.
                Some(301 | 307 | 400 | 403) => Ok(region),
                _ => Err(failed("s3:ListBucket", &format!("s3://{name}"), &err)),
            }
        }
    }
}

fn object_store_of(
    aws: &Arc<Aws>,
    options: &S3Options,
    name: &str,
    region: &str,
    keeping: &Keeping,
    asks_checksums: bool,
) -> Result<AmazonS3> {
    // Attempts are repeated in one place, which confirms the lease before each.
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let (mode, enabled) = MODE;
    let mode = asks_checksums.then_some((mode, HeaderValue::from_static(enabled)));
    let headers = mode.into_iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.insert(name, value);
        headers
    });
    let clients = ClientOptions::new()
        .with_default_headers(headers)
        .with_timeout(REQUEST_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_pool_max_idle_per_host(options.requests);
    let identity = Arc::new(StoreIdentity(Arc::clone(aws)));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_region(region)
        .with_credentials(identity)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_request_payer(options.request_payer)
        // DeleteObjects answers 200 and hides in the body, per key, that it is not allowed.
        .with_disable_bulk_delete(true)
        .with_retry(retry)
        .with_http_connector(keeping.clone())
        .with_client_options(clients);
    builder = match &options.encryption {
        Encryption::BucketDefault => builder,
        Encryption::S3 => builder.with_config(encryption_key()?, "AES256"),
        Encryption::Kms(None) => builder.with_config(encryption_key()?, "aws:kms"),
        Encryption::Kms(Some(key)) => builder.with_sse_kms_encryption(key),
    };
    builder = match aws.s3_endpoint() {
        Some(endpoint) => {
            builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint)
        }
        None => builder.with_virtual_hosted_style_request(!name.contains('.')),
    };
    builder.build().map_err(|err| Error::config("cannot use S3").at("bucket", name).because(err))
}

fn encryption_key() -> Result<AmazonS3ConfigKey> {
    let bug = |err: object_store::Error| Error::new(ErrorKind::Bug, "unknown setting").because(err);
    "aws_server_side_encryption".parse().map_err(bug)
}

/// `object_store`'s view of the one identity.
#[derive(Debug)]
struct StoreIdentity(Arc<Aws>);

#[async_trait]
impl CredentialProvider for StoreIdentity {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found: Credentials = self
            .0
            .credentials()
            .await
            .map_err(|err| object_store::Error::Generic { store: "S3", source: Box::new(err) })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}
