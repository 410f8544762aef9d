//! Missing permissions, as one IAM policy document and as grants of Lake Formation.
//!
//! Actions on the same resources share a statement; working permissions are left out.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Permissions found missing so far.
#[derive(Debug, Default)]
pub(super) struct Needs {
    statements: BTreeMap<(&'static str, Vec<String>), BTreeSet<&'static str>>,
    grants: BTreeSet<String>,
}

impl Needs {
    /// Notes an action that must be allowed on some resources.
    pub(super) fn allow(&mut self, sid: &'static str, action: &'static str, on: Vec<String>) {
        self.statements.entry((sid, on)).or_default().insert(action);
    }

    /// Notes a grant that must be given.
    pub(super) fn grant(&mut self, command: String) {
        self.grants.insert(command);
    }

    /// Returns the grants that are missing.
    pub(super) fn grants(&self) -> Vec<String> {
        self.grants.iter().cloned().collect()
    }

    /// Returns the policy document with the missing permissions, if any.
    pub(super) fn document(&self) -> Option<Value> {
        if self.statements.is_empty() {
            return None;
        }
        let mut sids: BTreeMap<&str, usize> = BTreeMap::new();
        let statements: Vec<Value> = self
            .statements
            .iter()
            .map(|((sid, resources), actions)| {
                let count = sids.entry(sid).or_default();
                *count += 1;
                // Statements of one document need different ids.
                let sid = if *count == 1 { (*sid).to_owned() } else { format!("{sid}{count}") };
                json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources})
            })
            .collect();
        Some(json!({"Version": "2012-10-17", "Statement": statements}))
    }
}

/// Returns the partition of ARNs that a region is in.
pub(super) fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ if region.starts_with("us-iso-") => "aws-iso",
        _ if region.starts_with("us-isob-") => "aws-iso-b",
        _ => "aws",
    }
}

/// Returns the ARN of a bucket.
pub(super) fn bucket_arn(region: &str, bucket: &str) -> String {
    format!("arn:{}:s3:::{bucket}", partition(region))
}

/// Returns the ARN of every object under a prefix, as S3 takes prefixes: as the start of a key.
pub(super) fn objects_arn(region: &str, bucket: &str, prefix: &str) -> String {
    // In an ARN of a policy these stand for more than themselves.
    let mut plain = String::new();
    for c in prefix.chars() {
        match c {
            '*' | '?' | '$' => plain.push_str(&format!("${{{c}}}")),
            c => plain.push(c),
        }
    }
    format!("{}/{plain}*", bucket_arn(region, bucket))
}

/// Returns the principal behind a session as IAM knows it: permissions are granted to roles, not to
/// sessions.
pub(super) fn principal(arn: &str) -> String {
    let Some((head, rest)) = arn.split_once(":sts::") else { return arn.to_owned() };
    let Some((account, rest)) = rest.split_once(":assumed-role/") else { return arn.to_owned() };
    let role = rest.split('/').next().unwrap_or(rest);
    format!("{head}:iam::{account}:role/{role}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_on_one_resource_share_a_statement() {
        let mut needs = Needs::default();
        assert_eq!(needs.document(), None);
        let lake = || vec![objects_arn("eu-west-1", "lake", "a/")];
        needs.allow("TrailmillLake", "s3:PutObject", lake());
        needs.allow("TrailmillLake", "s3:DeleteObject", lake());
        needs.allow("TrailmillLake", "s3:PutObject", lake());
        needs.allow("TrailmillLake", "s3:ListBucket", vec![bucket_arn("eu-west-1", "lake")]);

        assert_eq!(
            needs.document(),
            Some(json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "TrailmillLake", "Effect": "Allow", "Action": ["s3:ListBucket"],
                 "Resource": ["arn:aws:s3:::lake"]},
                {"Sid": "TrailmillLake2", "Effect": "Allow",
                 "Action": ["s3:DeleteObject", "s3:PutObject"],
                 "Resource": ["arn:aws:s3:::lake/a/*"]},
            ]}))
        );
    }

    #[test]
    fn arns_are_of_the_regions_partition_and_match_only_what_they_say() {
        for (region, arn) in [
            ("us-east-1", "arn:aws:s3:::b/p*"),
            ("cn-north-1", "arn:aws-cn:s3:::b/p*"),
            ("us-gov-west-1", "arn:aws-us-gov:s3:::b/p*"),
        ] {
            assert_eq!(objects_arn(region, "b", "p"), arn);
        }
        assert_eq!(objects_arn("eu-west-1", "b", "a*$?/"), "arn:aws:s3:::b/a${*}${$}${?}/*");
    }

    #[test]
    fn a_session_is_its_role() {
        assert_eq!(
            principal("arn:aws-cn:sts::111122223333:assumed-role/etl/i-0"),
            "arn:aws-cn:iam::111122223333:role/etl"
        );
        assert_eq!(principal("arn:aws:iam::1:user/a"), "arn:aws:iam::1:user/a");
    }
}
