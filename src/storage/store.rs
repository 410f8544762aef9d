//! A bucket as `object_store` sees it: our identity, our limits, one attempt a call.

use crate::aws::Aws;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::BucketObject;
use crate::storage::answers::{Answering, store_failed};
use crate::storage::checksum::{Keeping, MODE};
use crate::storage::options::{
    CONNECT_TIMEOUT, Encryption, READ_TIMEOUT, REQUEST_TIMEOUT, S3Options,
};
use crate::storage::page::unquoted;
use async_trait::async_trait;
use aws_credential_types::Credentials;
use bytes::Bytes;
use object_store::aws::{
    AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, S3ConditionalPut,
};
use object_store::path::Path as Key;
use object_store::{
    Attribute, AttributeValue, ClientOptions, CredentialProvider, HeaderMap, HeaderValue,
    ObjectStore, ObjectStoreExt, RetryConfig,
};
use std::collections::HashMap;
use std::sync::Arc;

/// Opens a bucket; `asks_checksums` of whole objects. What shares `keeping` shares connections.
///
/// # Errors
/// `Config` when the settings do not fit together.
pub(super) fn open(
    aws: &Arc<Aws>,
    options: &S3Options,
    name: &str,
    region: &str,
    keeping: &Keeping,
    asks_checksums: bool,
) -> Result<AmazonS3> {
    // Attempts are repeated in one place, which confirms the lease before each.
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let mut headers = HeaderMap::new();
    if asks_checksums {
        headers.insert(MODE.0, HeaderValue::from_static(MODE.1));
    }
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
        .with_http_connector(Answering(keeping.clone()))
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
    let bug = |err: object_store::Error| Error::new(ErrorKind::Bug, "no such setting").because(err);
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

/// Asks a store that is not S3 for an object's facts.
pub(super) async fn head(
    store: &dyn ObjectStore,
    path: &Key,
    what: &str,
) -> Result<Option<BucketObject>> {
    match store.head(path).await {
        Ok(meta) => Ok(Some(BucketObject {
            key: meta.location.to_string(),
            size: meta.size,
            etag: unquoted(meta.e_tag.as_deref().unwrap_or_default()),
            archived: None,
        })),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(err) => Err(store_failed("s3:GetObject", what, err)),
    }
}

/// Gets an object of a store that is not S3, with the metadata that its writer gave it.
pub(super) async fn get_with_metadata(
    store: &dyn ObjectStore,
    path: &Key,
) -> object_store::Result<Option<(Bytes, HashMap<String, String>)>> {
    let found = match store.get(path).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        found => found?,
    };
    let of_writer = |(name, value): (&Attribute, &AttributeValue)| match name {
        Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
        _ => None,
    };
    let metadata = found.attributes.iter().filter_map(of_writer).collect();
    Ok(Some((found.bytes().await?, metadata)))
}
