//! What validating log files takes beside reading them: digests, the keys that they are encrypted with, and
//! CloudTrail's public keys.

use super::{Doctor, Outcome, Refusal};
use crate::aws::LIST_PUBLIC_KEYS;
use aws_sdk_s3::types::Object;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The folder of an account's digests.
const DIGESTS: &str = "/CloudTrail-Digest/";

/// A service is unreachable after this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the folder of digests beside the logs or digests of a key.
fn digest_folder(key: &str) -> Option<String> {
    let root = [DIGESTS, "/CloudTrail/"].iter().find_map(|folder| key.split_once(folder));
    root.map(|(root, _)| format!("{root}{DIGESTS}"))
}

impl Doctor<'_> {
    /// Reads a digest of a source and asks for public keys in its region.
    pub(super) async fn source_integrity(&mut self, name: &str, prefix: &str) {
        let Some(bucket) = self.open(name).await else { return };
        let place = bucket.address(prefix);
        let Ok(listed) = self.list(&bucket, prefix).await else {
            return self.skip("digests", &place, "not tried: listing failed");
        };
        let folder = listed.iter().filter_map(Object::key).find_map(digest_folder);
        let digests = match &folder {
            Some(folder) => self.list(&bucket, folder).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let Some(key) = digests.iter().find_map(Object::key) else {
            self.note(Outcome::Warning, "digests", &place, "no digests found beside the logs");
            return self.fix(
                "turn on log file validation of the trail, and name a source that holds \
                 `CloudTrail-Digest` too, not the folder of the logs alone",
            );
        };
        self.ok("digests", &bucket.address(key), "found a digest beside the logs");
        self.read_source(&bucket, prefix, key).await;
        let region = key.split_once(DIGESTS).and_then(|(_, rest)| rest.split('/').next());
        self.public_keys(region.unwrap_or(bucket.region())).await;
    }

    async fn public_keys(&mut self, region: &str) {
        let aws = Arc::clone(self.aws().await);
        let operation = &LIST_PUBLIC_KEYS;
        let tried = "asked for the current public keys";
        let place = format!("CloudTrail in {region}");
        match aws.call_json(operation, region, &json!({}), PATIENCE).await {
            Ok(_) => self.ok(operation.action, &place, tried),
            Err(err) => {
                let refusal = Refusal::from(&err);
                let (sid, any) = ("TrailmillPublicKeys", vec!["*".to_owned()]);
                self.note_refusal(operation.action, &place, tried, &refusal, sid, any);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_lie_beside_the_logs_of_their_account() {
        for folder in ["CloudTrail", "CloudTrail-Digest"] {
            let key = format!("p/AWSLogs/o-1/111122223333/{folder}/us-east-1/2026/10/01/x.json.gz");
            let want = "p/AWSLogs/o-1/111122223333/CloudTrail-Digest/";
            assert_eq!(digest_folder(&key).as_deref(), Some(want));
        }
        assert_eq!(digest_folder("loose.json"), None);
    }
}
