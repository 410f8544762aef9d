//! What a first run would trip over, found out before it.
//!
//! Every permission that a conversion needs is tried one by one, on the places it would use: reading
//! and listing sources, a probe under `_trailmill/` of the lake that is put, read, put again and
//! removed, and calls to Glue that change nothing that is there. A check says what was tried and how
//! to mend it. One that cannot be made says so: nothing is `ok` that was not seen to work.
//!
//! What is missing is collected in one IAM policy document ([`Diagnosis::policy`]), with the actions that
//! lack and nothing else; what Lake Formation refuses, as grants.

mod bucket;
mod folder;
mod glue;
mod identity;
mod policy;
mod refusal;

use crate::aws::Aws;
use crate::location::Location;
use crate::storage::{Encryption, S3};
use identity::Identity;
use policy::Needs;
use refusal::Refusal;
use serde::Serialize;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was tried and it works.
    Ok,
    /// A permission is missing.
    Missing,
    /// It does not work, and no permission mends it.
    Failed,
    /// A run would work, but somebody should know.
    Warning,
    /// It could not be tried, or needs not be.
    Skipped,
    /// A service does not answer.
    Unreachable,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Failed => "failed",
            Self::Warning => "warning",
            Self::Skipped => "skipped",
            Self::Unreachable => "unreachable",
        })
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What came of it.
    pub outcome: Outcome,
    /// What was checked: a permission, `s3:PutObject`, or a few words.
    pub subject: String,
    /// What it was tried on.
    pub place: String,
    /// What was tried and what was seen. Never a secret.
    pub detail: String,
    /// How to mend it.
    pub fix: Option<String>,
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// What would be converted.
    pub sources: Vec<Location>,
    /// Where to.
    pub lake: Location,
    /// How S3 is used; retries should end soon.
    pub s3: Arc<S3>,
    /// How new objects are to be encrypted.
    pub encryption: Encryption,
    /// Whether we agree to pay for requests.
    pub request_payer: bool,
    /// The Glue catalog to look at; none: the lake has none there.
    pub catalog: Option<CatalogTarget>,
}

/// Where in Glue the lake's tables would be.
#[derive(Clone, Debug)]
pub struct CatalogTarget {
    /// The account that owns the catalog; none: that of the credentials.
    pub catalog_id: Option<String>,
    /// The database.
    pub database: String,
    /// The base name of the tables.
    pub table: String,
}

/// Everything that was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Diagnosis {
    /// Who we are to AWS: an ARN.
    pub identity: Option<String>,
    /// The account of the credentials.
    pub account: Option<String>,
    /// Whether AWS is needed and there are no credentials at all.
    pub is_without_credentials: bool,
    /// The checks, in the order they were made.
    pub checks: Vec<Check>,
    /// The IAM policy document that allows what is missing.
    pub policy: Option<serde_json::Value>,
    /// The grants that Lake Formation lacks, as commands of the AWS CLI.
    pub grants: Vec<String>,
}

impl Diagnosis {
    /// Answers whether any check came out so.
    pub fn has(&self, outcome: Outcome) -> bool {
        self.checks.iter().any(|check| check.outcome == outcome)
    }
}

/// Looks at everything that a conversion needs; changes nothing that is there.
pub async fn examine(options: &DoctorOptions) -> Diagnosis {
    let mut doctor = Doctor {
        options,
        checks: Vec::new(),
        needs: Needs::default(),
        who: Identity::default(),
        seen_buckets: Vec::new(),
    };
    let needs_aws = options.lake.is_s3()
        || options.catalog.is_some()
        || options.sources.iter().any(Location::is_s3);
    let is_anonymous = needs_aws && !doctor.identity().await;
    for source in &options.sources {
        match source {
            Location::Local(path) => doctor.source_folder(path),
            Location::S3 { .. } if is_anonymous => {}
            Location::S3 { bucket, prefix } => doctor.source_bucket(bucket, prefix).await,
        }
    }
    match &options.lake {
        Location::Local(path) => doctor.lake_folder(path),
        Location::S3 { .. } if is_anonymous => {}
        Location::S3 { bucket, prefix } => doctor.lake_bucket(bucket, prefix).await,
    }
    if let Some(catalog) = &options.catalog
        && !is_anonymous
    {
        doctor.glue(catalog).await;
    }
    Diagnosis {
        policy: doctor.needs.document(),
        grants: doctor.needs.grants(),
        identity: doctor.who.arn,
        account: doctor.who.account,
        // Those that cannot be had just now are not none.
        is_without_credentials: is_anonymous
            && doctor.checks.iter().all(|check| check.outcome != Outcome::Unreachable),
        checks: doctor.checks,
    }
}

/// The examination under way.
struct Doctor<'a> {
    options: &'a DoctorOptions,
    checks: Vec<Check>,
    needs: Needs,
    who: Identity,
    /// Buckets whose public access has been looked at.
    seen_buckets: Vec<String>,
}

impl Doctor<'_> {
    async fn aws(&self) -> &Arc<Aws> {
        self.options.s3.aws().await
    }

    fn note(&mut self, outcome: Outcome, subject: &str, place: &str, detail: impl Into<String>) {
        self.checks.push(Check {
            outcome,
            subject: subject.to_owned(),
            place: place.to_owned(),
            detail: detail.into(),
            fix: None,
        });
    }

    fn ok(&mut self, subject: &str, place: &str, detail: impl Into<String>) {
        self.note(Outcome::Ok, subject, place, detail);
    }

    fn skipped(&mut self, subject: &str, place: &str, detail: impl Into<String>) {
        self.note(Outcome::Skipped, subject, place, detail);
    }

    /// Adds to the last check how to mend it.
    fn fix(&mut self, fix: impl Into<String>) {
        if let Some(check) = self.checks.last_mut() {
            check.fix = Some(fix.into());
        }
    }

    /// Notes what a service refused. What IAM lacks is added to the policy, with these resources.
    fn refused(
        &mut self,
        action: &'static str,
        place: &str,
        tried: &str,
        refusal: &Refusal,
        sid: &'static str,
        resources: Vec<String>,
    ) {
        let said = refusal.said();
        if refusal.is_unreachable() {
            self.note(Outcome::Unreachable, action, place, format!("{tried}: {said}"));
            return self.fix("check the network, the endpoint and the region, and try again later");
        }
        if let Some(advice) = refusal.advice() {
            self.note(Outcome::Failed, action, place, format!("{tried}: {said}"));
            return self.fix(advice);
        }
        if !refusal.is_denied() {
            return self.note(Outcome::Failed, action, place, format!("{tried}: {said}"));
        }
        self.note(Outcome::Missing, action, place, format!("{tried}: {said}"));
        if refusal.is_explicit_deny() {
            return self.fix(
                "a policy denies it, and an Allow does not help: change the policy that the message names",
            );
        }
        self.needs.allow(sid, action, resources);
        let more = match self.options.request_payer || !action.starts_with("s3:") {
            true => "",
            false => "; for a bucket whose requester pays, give `--request-payer`",
        };
        self.fix(format!("allow {action}, see the policy below{more}"));
    }

    /// Notes that a key refused; `place` is what was read or written with it.
    fn key_refused(&mut self, action: &'static str, place: &str, refusal: &Refusal) {
        self.note(Outcome::Missing, action, place, refusal.said());
        if refusal.is_explicit_deny() {
            return self.fix("a policy denies it: change the policy that the message names");
        }
        let key = refusal.key().or_else(|| self.key_of_options());
        self.needs.allow(
            "TrailmillKeys",
            action,
            vec![key.unwrap_or_else(|| self.who.arn("kms", "key/*"))],
        );
        self.fix(format!(
            "allow {action} on the key, see the policy below; the key's own policy must allow it too"
        ));
    }

    /// The key that an option names, if it is an ARN.
    fn key_of_options(&self) -> Option<String> {
        match &self.options.encryption {
            Encryption::Kms(Some(key)) if key.starts_with("arn:") => Some(key.clone()),
            _ => None,
        }
    }
}

/// A name that nothing has yet.
fn random_name() -> String {
    // Every RandomState has keys of its own.
    format!("doctor-{:016x}", RandomState::new().build_hasher().finish())
}
