//! Checks of everything that a first run needs, before it.
//!
//! Every permission that a conversion needs is tried one by one, on the resources it would use:
//! reading and listing sources, a probe under `_trailmill/` of the lake that is put, read, put
//! again and removed, and calls to Glue that change nothing that exists. A check says what was
//! tried and how to fix it. A check that cannot be made says so: `ok` means that it was seen to
//! work.
//!
//! One IAM policy document ([`Diagnosis::policy`]) collects the missing actions and nothing else;
//! refusals of Lake Formation become grants.

mod bucket_checks;
mod folder_checks;
mod glue_checks;
mod identity_checks;
mod integrity_checks;
mod partitions;
mod policy;
mod queue_checks;
mod refusal;

use crate::aws::Aws;
use crate::location::Location;
use crate::storage::{Encryption, S3, salt};
use identity_checks::Identity;
use policy::Needs;
use refusal::Refusal;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was tried and it works.
    Ok,
    /// A permission is missing.
    Missing,
    /// It does not work, and no permission would change that.
    Failed,
    /// A run would work, but the user should know.
    Warning,
    /// It could not be tried, or does not need to be.
    Skipped,
    /// A service does not respond.
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
    /// Its outcome.
    pub outcome: Outcome,
    /// The thing checked: a permission such as `s3:PutObject`, or a few words.
    pub subject: String,
    /// The resource it was tried on.
    pub place: String,
    /// The attempt and its result; never a secret.
    pub detail: String,
    /// How to fix it.
    pub fix: Option<String>,
}

/// Options of an examination.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// The sources that would be converted.
    pub sources: Vec<Location>,
    /// The lake that would be written.
    pub lake: Location,
    /// How S3 is used; retries should end soon.
    pub s3: Arc<S3>,
    /// Encryption of new objects.
    pub encryption: Encryption,
    /// Whether requests to requester-pays buckets are paid for.
    pub request_payer: bool,
    /// The Glue catalog to check; none if the lake has no tables in Glue.
    pub catalog: Option<CatalogTarget>,
    /// Whether logs are to be validated with digests.
    pub integrity: bool,
    /// The address of the queue that names objects, if one does.
    pub queue: Option<String>,
}

/// The place of the lake's tables in Glue.
#[derive(Clone, Debug)]
pub struct CatalogTarget {
    /// The account that owns the catalog; none: that of the credentials.
    pub catalog_id: Option<String>,
    /// The database.
    pub database: String,
    /// The base name of the tables.
    pub table: String,
}

/// Result of an examination.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Diagnosis {
    /// Our identity at AWS: an ARN.
    pub identity: Option<String>,
    /// The account of the credentials.
    pub account: Option<String>,
    /// Whether AWS is needed and there are no credentials at all.
    pub is_without_credentials: bool,
    /// The checks, in the order they were made.
    pub checks: Vec<Check>,
    /// The IAM policy document with the missing permissions.
    pub policy: Option<serde_json::Value>,
    /// The missing Lake Formation grants, as commands of the AWS CLI.
    pub grants: Vec<String>,
}

impl Diagnosis {
    /// Returns whether any check has this outcome.
    pub fn has(&self, outcome: Outcome) -> bool {
        self.checks.iter().any(|check| check.outcome == outcome)
    }
}

/// Checks everything that a conversion needs; changes nothing that exists.
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
        || options.queue.is_some()
        || options.sources.iter().any(Location::is_s3);
    let is_anonymous = needs_aws && !doctor.identity().await;
    for source in &options.sources {
        match source {
            Location::Local(path) => doctor.source_folder(path),
            Location::S3 { .. } if is_anonymous => {}
            Location::S3 { bucket, prefix } => {
                doctor.source_bucket(bucket, prefix).await;
                if options.integrity {
                    doctor.source_integrity(bucket, prefix).await;
                }
            }
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
    if let Some(queue) = &options.queue
        && !is_anonymous
    {
        doctor.queue(queue).await;
    }
    Diagnosis {
        policy: doctor.needs.document(),
        grants: doctor.needs.grants(),
        identity: doctor.who.arn,
        account: doctor.who.account,
        // Credentials that cannot be fetched right now are not missing.
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
    /// Buckets whose public access has been checked.
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

    fn skip(&mut self, subject: &str, place: &str, detail: impl Into<String>) {
        self.note(Outcome::Skipped, subject, place, detail);
    }

    /// Adds a fix to the last check.
    fn fix(&mut self, fix: impl Into<String>) {
        if let Some(check) = self.checks.last_mut() {
            check.fix = Some(fix.into());
        }
    }

    /// Notes a refusal. A missing IAM permission is added to the policy, with these resources.
    fn note_refusal(
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

    /// Notes that a KMS key refused; `place` is the object read or written with it.
    fn note_key_refusal(&mut self, action: &'static str, place: &str, refusal: &Refusal) {
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

/// An unused name.
fn random_name() -> String {
    format!("doctor-{:016x}", salt())
}
