//! Public keys, asked of CloudTrail: by region and month, each once.
//!
//! A key signs in one region and is valid for about a month (docs/aws-facts.md A35). Only months of
//! digests whose keys are not known yet are asked for.

use crate::aws::{Aws, LIST_PUBLIC_KEYS};
use crate::error::{Error, ErrorKind, Result};
use crate::integrity::inventory::{FoundDigest, HOUR};
use crate::integrity::key_ring::{Entry, KeyRing, PublicKey};
use crate::units::EpochMillis;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How much time one question is about.
const MONTH: EpochMillis = 30 * 24 * HOUR;

/// Answers to one question, at most: a service that always names a next page must not be asked forever.
const MOST_PAGES: usize = 100;

/// Asks CloudTrail for keys.
#[derive(Debug)]
pub struct KeySource {
    aws: Arc<Aws>,
    patience: Duration,
    /// Regions and months that have been asked for.
    asked: BTreeSet<(String, i64)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    public_key_list: Vec<Entry>,
    next_token: Option<String>,
}

impl KeySource {
    /// Makes no request yet.
    pub fn new(aws: Arc<Aws>, patience: Duration) -> Self {
        Self { aws, patience, asked: BTreeSet::new() }
    }

    /// Adds the keys of digests to a ring, as far as CloudTrail has them.
    ///
    /// # Errors
    /// As [`Aws::call_json`].
    pub(super) async fn add_keys(
        &mut self,
        digests: &[FoundDigest],
        ring: &mut KeyRing,
    ) -> Result<()> {
        for found in digests {
            let Ok((digest, _)) = &found.content else { continue };
            let chain = &found.name.chain;
            // A key is listed in the region that its digests are of; the trail's own is a guess.
            for region in [&chain.region, &chain.home_region] {
                // A backfill digest is signed with the key of a later day than that of its hour.
                for time in [Some(digest.end), found.signed_at].into_iter().flatten() {
                    if !ring.has(&digest.fingerprint) {
                        self.ask(region, time.div_euclid(MONTH), ring).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn ask(&mut self, region: &str, month: i64, ring: &mut KeyRing) -> Result<()> {
        if !self.asked.insert((region.to_owned(), month)) {
            return Ok(());
        }
        let (start, end) = (month * MONTH / 1000, (month + 1) * MONTH / 1000);
        let mut token: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut question = json!({"StartTime": start, "EndTime": end});
            if let (Some(token), Some(question)) = (token.take(), question.as_object_mut()) {
                question.insert("NextToken".to_owned(), Value::String(token));
            }
            let answer =
                self.aws.call_json(&LIST_PUBLIC_KEYS, region, &question, self.patience).await?;
            let answer: Answer = serde_json::from_value(answer).map_err(|err| {
                Error::new(ErrorKind::Io, "the answer to cloudtrail:ListPublicKeys holds no keys")
                    .because(err)
            })?;
            for entry in answer.public_key_list {
                ring.add(PublicKey::of_entry(entry, Some(region))?);
            }
            token = answer.next_token;
            if token.is_none() {
                break;
            }
        }
        Ok(())
    }
}
