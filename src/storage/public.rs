//! Whether strangers can read a bucket.
//!
//! Three answers decide: the bucket's public access block, whether its policy is public, and its access
//! list. Only when they all are known, or the block makes the others idle, is a bucket not public.
//! The account's own block cannot be seen from here.

use crate::aws::{error_code, failed};
use crate::error::{Error, Result};
use crate::storage::{Bucket, Kind, Storage};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::Grant;

/// Who may read a bucket.
#[derive(Debug)]
pub enum PublicAccess {
    /// Only those who are named.
    No,
    /// Anybody, because of the bucket's `policy` or `access control list`.
    By(&'static str),
    /// Unknown: a question was not answered, and the other answers do not decide.
    Unknown(Error),
}

impl Storage {
    /// Returns the name of the lake's bucket if anybody may read it, as far as that is known.
    pub async fn public_bucket(&self) -> Option<&str> {
        let Kind::Bucket { bucket, .. } = &self.0 else { return None };
        matches!(bucket.public_access().await, PublicAccess::By(_)).then(|| bucket.name())
    }
}

impl Bucket {
    /// Asks whether anybody may read the bucket. A store in memory is never public.
    pub async fn public_access(&self) -> PublicAccess {
        match self.client() {
            Some(client) => Asked { client, bucket: self }.public_access().await,
            None => PublicAccess::No,
        }
    }
}

struct Asked<'a> {
    client: Client,
    bucket: &'a Bucket,
}

impl Asked<'_> {
    async fn public_access(&self) -> PublicAccess {
        let block = self.public_block().await;
        let (blocks_policy, blocks_list) = *block.as_ref().unwrap_or(&(false, false));
        let policy = if blocks_policy { Ok(false) } else { self.policy_is_public().await };
        let list = if blocks_list { Ok(false) } else { self.list_is_public().await };
        match (policy, list) {
            (Ok(true), _) => PublicAccess::By("policy"),
            (_, Ok(true)) => PublicAccess::By("access control list"),
            (Ok(false), Ok(false)) => PublicAccess::No,
            (Err(err), _) | (_, Err(err)) => PublicAccess::Unknown(err),
        }
    }

    /// Returns whether public policies and public access lists are idle.
    async fn public_block(&self) -> Result<(bool, bool)> {
        let asked = self.client.get_public_access_block().bucket(self.bucket.name()).send().await;
        let found = match asked {
            Ok(found) => found.public_access_block_configuration,
            Err(err) if error_code(&err) == Some("NoSuchPublicAccessBlockConfiguration") => None,
            Err(err) => {
                return Err(failed(
                    "s3:GetBucketPublicAccessBlock",
                    &self.bucket.address(""),
                    &err,
                ));
            }
        };
        let is_set = |flag: Option<bool>| flag.unwrap_or(false);
        Ok(found.map_or((false, false), |found| {
            (is_set(found.restrict_public_buckets), is_set(found.ignore_public_acls))
        }))
    }

    async fn policy_is_public(&self) -> Result<bool> {
        let action = "s3:GetBucketPolicyStatus";
        match self.client.get_bucket_policy_status().bucket(self.bucket.name()).send().await {
            Ok(found) => {
                let said = found.policy_status.and_then(|status| status.is_public);
                said.ok_or_else(|| Error::config(format!("{action} was not understood")))
            }
            Err(err) if error_code(&err) == Some("NoSuchBucketPolicy") => Ok(false),
            Err(err) => Err(failed(action, &self.bucket.address(""), &err)),
        }
    }

    async fn list_is_public(&self) -> Result<bool> {
        let asked = self.client.get_bucket_acl().bucket(self.bucket.name()).send().await;
        let found =
            asked.map_err(|err| failed("s3:GetBucketAcl", &self.bucket.address(""), &err))?;
        let is_everybody = |grant: &Grant| {
            let uri = grant.grantee().and_then(|grantee| grantee.uri()).unwrap_or("");
            uri.ends_with("/global/AllUsers") || uri.ends_with("/global/AuthenticatedUsers")
        };
        Ok(found.grants().iter().any(is_everybody))
    }
}
