//! `trailmill doctor`.

use crate::cli::args::{
    AwsArgs, CatalogName, EncryptionArgs, Format, GlueEndpointArgs, OutputArgs, PlaceArgs, account,
};
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK, EXIT_TRY_LATER, EXIT_USAGE};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::report::{print, print_json};
use crate::doctor::{CatalogTarget, Diagnosis, DoctorOptions, Outcome, examine};
use crate::engine::{CatalogOptions, DEFAULT_DATABASE, DEFAULT_TABLE, runtime};
use crate::error::{Error, Result};
use crate::lake::Known;
use crate::location::Location;
use crate::operations::open_lake;
use crate::storage::{DEFAULT_LEASE, S3};
use crate::text::{clean, clean_lines};
use clap::Args as Group;
use std::fmt::Write as _;
use std::sync::Arc;

/// A service is unreachable after this time: a check must not take minutes.
const PATIENCE_SECONDS: u64 = 10;

/// Check everything that a first run needs.
///
/// Tries credentials, clock, regions and every permission one by one: lists and reads the sources,
/// puts, reads and removes a probe under `_trailmill/` of the lake, uses the KMS keys, and calls
/// Glue on a temporary table that is removed again. Changes nothing that exists. Prints missing
/// permissions as an IAM policy to paste. Exit code 1 if anything is missing, 2 without
/// credentials, 75 if a service does not respond.
#[derive(Debug, Group)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub places: PlaceArgs,
    #[command(flatten)]
    pub encryption: EncryptionArgs,

    /// Catalog of the lake [default: glue for a lake in a bucket, else local]
    #[arg(long, value_enum, value_name = "CATALOG", help_heading = "Catalog")]
    pub catalog: Option<CatalogName>,

    /// Database in the catalog [default: the one the lake is in, else trailmill]
    #[arg(long, value_name = "NAME", help_heading = "Catalog")]
    pub database: Option<String>,

    /// Account that owns the Glue catalog [default: that of the credentials]
    #[arg(long, value_name = "ACCOUNT", value_parser = account, help_heading = "Catalog")]
    pub catalog_id: Option<String>,

    /// Base name of the tables
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TABLE, help_heading = "Catalog")]
    pub table: String,

    #[command(flatten)]
    pub glue: GlueEndpointArgs,

    /// Check what `trailmill integrity` needs, too: reads a digest of each source in a bucket, and asks
    /// CloudTrail for public keys
    #[arg(long)]
    pub integrity: bool,

    /// Check the queue that `trailmill watch` would read, too: its policy, visibility, dead letters and
    /// encryption; receives no message
    #[arg(long, value_name = "QUEUE_URL")]
    pub queue: Option<String>,

    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) fn run(args: &DoctorArgs) -> Result<u8> {
    let runtime = runtime()?;
    // Everything else is for the checks to say.
    if args.places.aws.expect_account.is_some() || args.places.aws.profile.is_some() {
        let s3 = reach(args, &args.places.aws)?;
        say_identity(&args.places.aws, &s3, Reach::Machine, args.output.quiet)?;
    }
    let options = runtime.block_on(options(args))?;
    let diagnosis = runtime.block_on(examine(&options));
    match args.output.report {
        Format::Json => print_json(&diagnosis)?,
        Format::Text => print(&text(&diagnosis))?,
    }
    Ok(exit_code(&diagnosis))
}

/// Returns S3 as the lake would be written to; no lease is taken.
fn reach(args: &DoctorArgs, aws: &AwsArgs) -> Result<Arc<S3>> {
    Ok(aws.reach(args.encryption.encryption()?, DEFAULT_LEASE, &args.glue))
}

async fn options(args: &DoctorArgs) -> Result<DoctorOptions> {
    let PlaceArgs { sources, lake, aws } = args.places.clone();
    let retry_timeout = aws.retry_timeout.min(PATIENCE_SECONDS);
    let aws = AwsArgs { retry_timeout, ..aws };
    let s3 = reach(args, &aws)?;
    let is_in_glue = match args.catalog {
        Some(name) => name == CatalogName::Glue,
        None => lake.is_s3(),
    };
    if is_in_glue && !lake.is_s3() {
        return Err(Error::config("a lake in a folder cannot be registered in Glue"));
    }
    let database = match &args.database {
        Some(database) => database.clone(),
        None => database_of(&lake, &s3).await,
    };
    Ok(DoctorOptions {
        sources,
        lake,
        encryption: args.encryption.encryption()?,
        s3,
        request_payer: aws.request_payer,
        integrity: args.integrity,
        queue: args.queue.clone(),
        catalog: is_in_glue.then(|| CatalogTarget {
            catalog_id: args.catalog_id.clone(),
            database,
            table: args.table.clone(),
        }),
    })
}

/// The database of a lake that is there; the default when there is none, or when it may not be read,
/// which is what the checks are about.
async fn database_of(lake: &Location, s3: &S3) -> String {
    let Ok(storage) = open_lake(lake, s3).await else { return DEFAULT_DATABASE.to_owned() };
    let known = Known::read(&storage).await.unwrap_or_default();
    CatalogOptions::new(DEFAULT_TABLE).database_of(&known.snapshot)
}

fn exit_code(diagnosis: &Diagnosis) -> u8 {
    if diagnosis.is_without_credentials {
        EXIT_USAGE
    } else if diagnosis.has(Outcome::Missing) || diagnosis.has(Outcome::Failed) {
        EXIT_INCOMPLETE
    } else if diagnosis.has(Outcome::Unreachable) {
        EXIT_TRY_LATER
    } else {
        EXIT_OK
    }
}

/// One line per check, and below it how to mend it; then what to add.
fn text(diagnosis: &Diagnosis) -> String {
    let mut out = String::new();
    for check in &diagnosis.checks {
        let parts = [&check.subject, &check.place].into_iter().filter(|part| !part.is_empty());
        let what = parts.map(String::as_str).collect::<Vec<_>>().join(" ");
        let line = format!("{:<11} {what}: {}", check.outcome, check.detail);
        let _ = writeln!(out, "{}", clean(&line.replace('\n', " ")));
        if let Some(fix) = &check.fix {
            let _ = writeln!(out, "            -> {}", clean(&fix.replace('\n', " ")));
        }
    }
    if let Some(policy) = &diagnosis.policy {
        let text = serde_json::to_string_pretty(policy).unwrap_or_default();
        let who = diagnosis.identity.as_deref().unwrap_or("the identity that runs trailmill");
        let _ = writeln!(out, "\nAdd this IAM policy to {}:\n\n{}", clean(who), clean_lines(&text));
    }
    if !diagnosis.grants.is_empty() {
        let _ = writeln!(out, "\nGive these Lake Formation grants:\n");
        for grant in &diagnosis.grants {
            let _ = writeln!(out, "{}", clean(grant));
        }
    }
    let count = |outcome| diagnosis.checks.iter().filter(|c| c.outcome == outcome).count();
    let _ = writeln!(
        out,
        "\n{} ok, {} missing, {} failed, {} warnings, {} skipped, {} unreachable",
        count(Outcome::Ok),
        count(Outcome::Missing),
        count(Outcome::Failed),
        count(Outcome::Warning),
        count(Outcome::Skipped),
        count(Outcome::Unreachable),
    );
    out
}
