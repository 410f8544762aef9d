//! How AWS is reached, and how new objects are encrypted.

use crate::aws::AwsOptions;
use crate::cli::args::values::{account, endpoint, region};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::storage::{
    DEFAULT_LEASE, DEFAULT_REQUESTS, DEFAULT_RETRY_TIMEOUT, Encryption, S3, S3Options,
};
use clap::{Args as Group, ValueEnum};
use std::sync::Arc;
use std::time::Duration;

/// How AWS is reached. Defaults come from the environment and the shared configuration files, as
/// for every AWS tool.
#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct AwsArgs {
    /// Profile of the shared AWS configuration files; keys in the environment are then ignored
    #[arg(long, value_name = "NAME", help_heading = "AWS")]
    pub profile: Option<String>,

    /// Stop with exit code 2, before anything is read or written, if the credentials belong to
    /// another account
    #[arg(long, value_name = "ID", value_parser = account, help_heading = "AWS")]
    pub expect_account: Option<String>,

    /// Region of the catalog, and of buckets behind --endpoint-url
    #[arg(long, value_name = "REGION", value_parser = region, help_heading = "AWS")]
    pub aws_region: Option<String>,

    /// Endpoint of every service, for S3-compatible stores and test servers
    #[arg(long, value_name = "URL", value_parser = endpoint, help_heading = "AWS")]
    pub endpoint_url: Option<String>,

    /// Endpoint of S3 alone
    #[arg(long, value_name = "URL", value_parser = endpoint, help_heading = "AWS")]
    pub s3_endpoint_url: Option<String>,

    /// Concurrent requests to S3
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_REQUESTS as u16,
        value_parser = clap::value_parser!(u16).range(1..=10_000), help_heading = "AWS")]
    pub requests: u16,

    /// Seconds during which a throttled or unanswered request is retried
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_RETRY_TIMEOUT.as_secs(), help_heading = "AWS")]
    pub retry_timeout: u64,

    /// Pay for requests to requester-pays buckets
    #[arg(long, help_heading = "AWS")]
    pub request_payer: bool,
}

/// How Glue is reached; for commands that ask it.
#[derive(Clone, Debug, Default, Group)]
pub(in crate::cli) struct GlueEndpointArgs {
    /// Endpoint of Glue alone
    #[arg(long, value_name = "URL", value_parser = endpoint, help_heading = "AWS")]
    pub glue_endpoint_url: Option<String>,
}

/// How a lake in S3 is written to; for commands that take its lease.
#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct WritingArgs {
    #[command(flatten)]
    pub encryption: EncryptionArgs,

    /// Seconds without a response from S3 after which other runs may take over the lake
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_LEASE.as_secs(),
        value_parser = clap::value_parser!(u64).range(2..=3600), help_heading = "AWS")]
    pub lease_timeout: u64,
}

/// How new objects of a lake in S3 are encrypted.
#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct EncryptionArgs {
    /// Encryption of new objects at rest [default: the bucket's default]
    #[arg(long, value_enum, help_heading = "AWS")]
    pub sse: Option<EncryptionName>,

    /// KMS key of --sse aws:kms: an id, an ARN or an alias [default: the account's key for S3]
    #[arg(long, value_name = "KEY", requires = "sse", help_heading = "AWS")]
    pub sse_kms_key_id: Option<String>,
}

/// A way of encrypting objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum EncryptionName {
    /// SSE-S3
    #[value(name = "AES256")]
    S3,
    /// SSE-KMS
    #[value(name = "aws:kms")]
    Kms,
}

impl AwsArgs {
    /// Returns S3 as these options say, for a command that does not ask Glue.
    ///
    /// # Errors
    /// `Config` for a KMS key without SSE-KMS.
    pub(in crate::cli) fn s3(&self, writing: Option<&WritingArgs>) -> Result<Arc<S3>> {
        self.s3_and_glue(writing, &GlueEndpointArgs::default())
    }

    /// Returns S3 as these options say, with the address of Glue.
    ///
    /// # Errors
    /// As for [`AwsArgs::s3`].
    pub(in crate::cli) fn s3_and_glue(
        &self,
        writing: Option<&WritingArgs>,
        glue: &GlueEndpointArgs,
    ) -> Result<Arc<S3>> {
        let Some(writing) = writing else {
            return Ok(self.reach(Encryption::BucketDefault, DEFAULT_LEASE, glue));
        };
        let lease = Duration::from_secs(writing.lease_timeout);
        Ok(self.reach(writing.encryption.encryption()?, lease, glue))
    }

    /// Returns S3 with this encryption of new objects, and this lease.
    pub(in crate::cli) fn reach(
        &self,
        encryption: Encryption,
        lease: Duration,
        glue: &GlueEndpointArgs,
    ) -> Arc<S3> {
        let who = AwsOptions {
            profile: self.profile.clone(),
            region: self.aws_region.clone(),
            endpoint_url: self.endpoint_url.clone(),
            s3_endpoint_url: self.s3_endpoint_url.clone(),
            glue_endpoint_url: glue.glue_endpoint_url.clone(),
        };
        let options = S3Options {
            requests: usize::from(self.requests),
            retry_timeout: Duration::from_secs(self.retry_timeout),
            encryption,
            request_payer: self.request_payer,
            lease,
        };
        Arc::new(S3::new(who, options))
    }
}

impl EncryptionArgs {
    /// Refuses encryption by S3 for a lake in a folder.
    ///
    /// # Errors
    /// `Config` then.
    pub(in crate::cli) fn refuse_folder(&self, lake: &Location) -> Result<()> {
        if self.sse.is_none() || lake.is_s3() {
            return Ok(());
        }
        let message = "`--sse` is for lakes in S3, but the lake is a folder";
        Err(Error::config(message).at("path", lake))
    }

    /// Returns the encryption that is asked for.
    ///
    /// # Errors
    /// `Config` for a KMS key without SSE-KMS.
    pub(in crate::cli) fn encryption(&self) -> Result<Encryption> {
        match (self.sse, self.sse_kms_key_id.clone()) {
            (None, _) => Ok(Encryption::BucketDefault),
            (Some(EncryptionName::Kms), key) => Ok(Encryption::Kms(key)),
            (Some(EncryptionName::S3), None) => Ok(Encryption::S3),
            (Some(EncryptionName::S3), Some(_)) => {
                Err(Error::config("`--sse-kms-key-id` requires `--sse aws:kms`"))
            }
        }
    }
}
