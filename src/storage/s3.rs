//! S3, as one identity and one limit of requests, and the buckets that were opened in it.

use crate::aws::{Aws, AwsOptions};
use crate::error::Result;
use crate::storage::sdk::{self, Tries};
use crate::storage::{Bucket, S3Options};
use aws_sdk_s3::Client;
use object_store::ObjectStore;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell, Semaphore};

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
    /// Stores the options; makes no request.
    pub fn new(who: AwsOptions, options: S3Options) -> Self {
        Self {
            who,
            aws: OnceCell::new(),
            requests: Arc::new(Semaphore::new(options.requests.clamp(1, 10_000))),
            options,
            buckets: Mutex::default(),
        }
    }

    /// Serves the bucket `name` from `store` instead of S3: for tests.
    #[must_use]
    pub fn with_store(self, name: &str, store: Arc<dyn ObjectStore>) -> Self {
        let requests = Arc::clone(&self.requests);
        let bucket = Bucket::in_store(name, store, requests, self.options.clone());
        let buckets = Mutex::new(HashMap::from([(name.to_owned(), bucket)]));
        Self { buckets, ..self }
    }

    /// Returns the identity, for other services too.
    pub async fn aws(&self) -> &Arc<Aws> {
        self.aws.get_or_init(async || Arc::new(Aws::connect(&self.who).await)).await
    }

    /// Returns a client that retries by itself, for questions that [`Bucket`] does not answer.
    pub async fn client(&self, bucket: &Bucket) -> Client {
        sdk::client(self.aws().await, bucket.region(), Tries::Several)
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
        let aws = Arc::clone(self.aws().await);
        let requests = Arc::clone(&self.requests);
        let bucket = Bucket::open(aws, requests, self.options.clone(), name).await?;
        buckets.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }
}

impl Default for S3 {
    fn default() -> Self {
        Self::new(AwsOptions::default(), S3Options::default())
    }
}
