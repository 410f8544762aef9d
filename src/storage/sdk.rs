//! The requests that need aws-sdk-s3: listings from any key to any key that show archived objects, removal
//! of many keys at once, keys that `object_store` would rewrite, the region of a bucket.
//!
//! Every call is one attempt; [`Bucket`](crate::storage::Bucket) retries.

use crate::aws::{Aws, error_code, failed, kind_of};
use crate::error::{Cause, Error, ErrorKind, Result};
use crate::storage::checksum::{Checksums, MODE};
use crate::storage::options::{CONNECT_TIMEOUT, READ_TIMEOUT, S3Options};
use crate::storage::page::unquoted;
use crate::storage::{BucketObject, Page};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{IdentityCache, Region, ResponseChecksumValidation};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{
    Delete, ObjectIdentifier, ObjectStorageClass, OptionalObjectAttributes, RequestPayer,
};
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// How often a client tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tries {
    /// Once: the caller retries.
    One,
    /// Up to five times, by the SDK's policy.
    Several,
}

/// One bucket, as the SDK sees it.
#[derive(Debug)]
pub(super) struct Sdk {
    bucket: String,
    client: Client,
    payer: Option<RequestPayer>,
}

impl Sdk {
    pub(super) fn new(aws: &Arc<Aws>, options: &S3Options, bucket: &str, region: &str) -> Self {
        let payer = options.request_payer.then_some(RequestPayer::Requester);
        Self { bucket: bucket.to_owned(), client: client(aws, region, Tries::One), payer }
    }

    /// See [`Bucket::page`](crate::storage::Bucket::page).
    pub(super) async fn page(
        &self,
        prefix: &str,
        is_delimited: bool,
        start_after: Option<&str>,
        token: Option<&str>,
    ) -> Result<Page> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_delimiter(is_delimited.then(|| "/".to_owned()))
            .set_start_after(start_after.map(str::to_owned))
            .set_continuation_token(token.map(str::to_owned))
            // Says of an archived object whether it has been restored.
            .optional_object_attributes(OptionalObjectAttributes::RestoreStatus)
            .set_request_payer(self.payer.clone());
        let found = request
            .send()
            .await
            .map_err(|err| failed("s3:ListBucket", &self.address(prefix), &err))?;
        let prefixes = found.common_prefixes().iter().filter_map(|p| p.prefix.clone());
        let next = found.is_truncated().unwrap_or(false).then(|| found.next_continuation_token());
        Ok(Page {
            prefixes: prefixes.collect(),
            next: next.flatten().map(str::to_owned),
            objects: found.contents().iter().filter_map(object_of).collect(),
        })
    }

    /// Returns the bytes at `key`, or nothing when it is absent.
    pub(super) async fn get(
        &self,
        key: &str,
        etag: Option<&str>,
        range: Option<Range<u64>>,
    ) -> Result<Option<(Bytes, Checksums)>> {
        let what = self.address(key);
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_if_match(etag.map(|etag| format!("\"{etag}\"")))
            .set_range(
                range.clone().map(|r| format!("bytes={}-{}", r.start, r.end.saturating_sub(1))),
            )
            .set_request_payer(self.payer.clone())
            .customize()
            .mutate_request(|request| {
                request.headers_mut().insert(MODE.0, MODE.1);
            });
        match request.send().await {
            Ok(found) => {
                let said = if range.is_none() { checksums_of(&found) } else { Default::default() };
                let is_part = found.content_range.is_some();
                let bytes = found.body.collect().await.map_err(|err| {
                    Error::new(ErrorKind::Unavailable, "connection broke in a body")
                        .at("resource", what)
                        .because(err)
                })?;
                let bytes = bytes.into_bytes();
                let part = range.filter(|_| !is_part).map(|r| r.start as usize..r.end as usize);
                // A store may answer with all of it.
                let part = part.filter(|part| part.end <= bytes.len());
                Ok(Some((part.map_or(bytes.clone(), |part| bytes.slice(part)), said)))
            }
            Err(err) => match error_code(&err) {
                Some("NoSuchKey" | "NotFound") => Ok(None),
                Some("PreconditionFailed") => Err(replaced(&what)),
                _ => Err(failed("s3:GetObject", &what, &err)),
            },
        }
    }

    /// Returns the object at `key` as a listing would show it.
    pub(super) async fn head(&self, key: &str) -> Result<Option<BucketObject>> {
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        match request.set_request_payer(self.payer.clone()).send().await {
            Ok(found) => {
                // A copy that was restored until a date can be read.
                let is_restored = found.restore().is_some_and(|said| said.contains("expiry-date"));
                let class = found.storage_class().map(aws_sdk_s3::types::StorageClass::as_str);
                let archived = class.filter(|class| matches!(*class, "GLACIER" | "DEEP_ARCHIVE"));
                Ok(Some(BucketObject {
                    key: key.to_owned(),
                    size: found.content_length.and_then(|size| size.try_into().ok()).unwrap_or(0),
                    etag: unquoted(found.e_tag.as_deref().unwrap_or_default()),
                    archived: archived.filter(|_| !is_restored).map(str::to_owned),
                }))
            }
            Err(err) => match (error_code(&err), err.raw_response().map(|r| r.status().as_u16())) {
                (Some("NoSuchKey" | "NotFound"), _) | (_, Some(404)) => Ok(None),
                _ => Err(failed("s3:GetObject", &self.address(key), &err)),
            },
        }
    }

    /// Returns the bytes at `key` with the metadata that its writer gave it.
    pub(super) async fn get_with_metadata(
        &self,
        key: &str,
        etag: &str,
    ) -> Result<Option<(Bytes, HashMap<String, String>)>> {
        let what = self.address(key);
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let request = request.if_match(format!("\"{etag}\"")).set_request_payer(self.payer.clone());
        match request.send().await {
            Ok(found) => {
                let metadata = found.metadata.unwrap_or_default();
                let broken = |err| {
                    let broken = Error::new(ErrorKind::Unavailable, "connection broke in a body");
                    broken.at("resource", &what).because(err)
                };
                let bytes = found.body.collect().await.map_err(broken)?.into_bytes();
                Ok(Some((bytes, metadata)))
            }
            Err(err) => match error_code(&err) {
                Some("NoSuchKey" | "NotFound") => Ok(None),
                Some("PreconditionFailed") => Err(replaced(&what)),
                _ => Err(failed("s3:GetObject", &what, &err)),
            },
        }
    }

    /// Removes a thousand keys at most; `what` names them for messages.
    pub(super) async fn delete(&self, keys: &[String], what: &str) -> Result<()> {
        let bug = |err| Error::new(ErrorKind::Bug, "not a request").because(err);
        let identifiers = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let objects = identifiers.collect::<Result<_, _>>().map_err(bug)?;
        let delete = Delete::builder().quiet(true).set_objects(Some(objects)).build();
        let request = self.client.delete_objects().bucket(&self.bucket);
        let request = request.delete(delete.map_err(bug)?).set_request_payer(self.payer.clone());
        let done = request.send().await.map_err(|err| failed("s3:DeleteObject", what, &err))?;
        // The status is 200 even if some keys were not removed: the body lists them.
        let Some(first) = done.errors().first() else { return Ok(()) };
        let code = first.code().unwrap_or_default();
        Err(Error::new(kind_of(Some(code), true), format!("cannot s3:DeleteObject: {code}"))
            .at("resource", what))
    }

    fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

/// Takes the checksums from the answer to a request for a whole object.
fn checksums_of(found: &GetObjectOutput) -> Checksums {
    Checksums::of(|header| match header {
        "x-amz-checksum-crc64nvme" => found.checksum_crc64_nvme(),
        "x-amz-checksum-crc32c" => found.checksum_crc32_c(),
        "x-amz-checksum-crc32" => found.checksum_crc32(),
        "x-amz-checksum-type" => found.checksum_type().map(aws_sdk_s3::types::ChecksumType::as_str),
        "etag" => found.e_tag(),
        "x-amz-server-side-encryption" => {
            found.server_side_encryption().map(aws_sdk_s3::types::ServerSideEncryption::as_str)
        }
        "x-amz-server-side-encryption-customer-algorithm" => found.sse_customer_algorithm(),
        _ => None,
    })
}

/// The error for an object with another etag than its listing showed.
pub(super) fn replaced(what: &str) -> Error {
    Error::changed(Cause::Replaced, "object was replaced while it was read; run again")
        .at("object", what)
}

/// Makes a client of S3 in a region.
pub(super) fn client(aws: &Arc<Aws>, region: &str, tries: Tries) -> Client {
    let endpoint = aws.s3_endpoint();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build();
    let mut config = aws_sdk_s3::config::Builder::from(aws.config())
        .region(Region::new(region.to_owned()))
        .credentials_provider(aws.identity())
        .identity_cache(IdentityCache::no_cache())
        .retry_config(match tries {
            Tries::One => RetryConfig::disabled(),
            Tries::Several => RetryConfig::standard().with_max_attempts(5),
        })
        // Without timeouts a request that is never answered would wait forever.
        .timeout_config(timeouts)
        // The SDK's error for wrong bytes has no public type: they are compared as all others are.
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // Stores of another make know no virtual hosts.
        .force_path_style(endpoint.is_some());
    config.set_endpoint_url(endpoint);
    Client::from_conf(config.build())
}

/// Asks for a bucket's region, which S3 tells even without any permission.
pub(super) async fn region_of(client: &Client, name: &str) -> Result<Option<String>> {
    match client.head_bucket().bucket(name).send().await {
        Ok(found) => Ok(found.bucket_region),
        Err(err) => {
            let answer = err.raw_response();
            let region = answer.and_then(|answer| answer.headers().get("x-amz-bucket-region"));
            let region = region.map(str::to_owned);
            match answer.map(|answer| answer.status().as_u16()) {
                Some(404) => Err(Error::config(format!("there is no bucket `{name}`"))),
                // Listing may be allowed for some prefixes only, which a HEAD does not name.
                Some(301 | 307 | 400 | 403) => Ok(region),
                _ => Err(failed("s3:ListBucket", &format!("s3://{name}"), &err)),
            }
        }
    }
}

fn object_of(object: &aws_sdk_s3::types::Object) -> Option<BucketObject> {
    Some(BucketObject {
        key: object.key.clone()?,
        size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        etag: unquoted(object.e_tag.as_deref().unwrap_or_default()),
        archived: archive_class(object),
    })
}

/// Names the storage class of an object that cannot be read as it is.
fn archive_class(object: &aws_sdk_s3::types::Object) -> Option<String> {
    let class = object.storage_class()?;
    let is_archive = matches!(class, ObjectStorageClass::Glacier | ObjectStorageClass::DeepArchive);
    // A restored copy can be read until it expires.
    let is_restored =
        object.restore_status().is_some_and(|status| status.restore_expiry_date().is_some());
    (is_archive && !is_restored).then(|| class.as_str().to_owned())
}
