//! How S3 is used.

use crate::storage::DEFAULT_LEASE;
use std::time::Duration;

/// Requests in flight at once, by default: enough for several times 10 Gb/s, and far below the 5,500 GETs
/// per second of one prefix
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>).
pub const DEFAULT_REQUESTS: usize = 64;

/// How long a request is retried, by default.
pub const DEFAULT_RETRY_TIMEOUT: Duration = Duration::from_secs(3 * 60);

/// The longest time from the first byte of an answer to its last.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5 * 60);
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest silence in the middle of an answer.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(30);

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
    /// How long a request is retried.
    pub retry_timeout: Duration,
    /// How new objects are encrypted.
    pub encryption: Encryption,
    /// Whether to pay for requests to buckets whose requester pays.
    pub request_payer: bool,
    /// How long a lease lasts without a renewal.
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
