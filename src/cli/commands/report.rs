//! `trailmill report`.

use crate::cli::answered::read_text;
use crate::cli::args::{AnswerArgs, CacheArgs, LakePlace, account, instant, now, show_path};
use crate::cli::console::say;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::machine::threads;
use crate::cli::report::print;
use crate::engine::runtime;
use crate::error::{Error, Result};
use crate::operations::{MadeReport, ReportOptions, activity_report, open_lake};
use crate::report::{ActivityReport, Window, iso, page};
use crate::units::{ByteCount, EpochMillis, counted};
use clap::{Args as Group, ValueEnum};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  trailmill report lake -o report.html
  trailmill report lake --since 30d --account 111122223333 -o report.html
  trailmill report lake --output json | jq '.panels[] | {id, rows}'";

/// Write a report of the activity in a lake: one page with charts, which needs no server and no network.
///
/// Coverage and gaps, activity, errors and denials over time, principals, addresses, services, use of
/// root, console logins, access to S3 and Lambda, changes to IAM, KMS and trails, buckets opened to the
/// public, and what was seen for the first time. Each panel has the SQL that made it.
#[derive(Debug, Group)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub place: LakePlace,

    /// Write to this file; to stdout without it
    #[arg(long, short = 'o', value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// A page, or its figures as one document
    #[arg(long, value_enum, default_value = "html")]
    pub output: Form,

    /// From this time on: 3d, 12h, 30m, 2w, 2026-10-01 or 2026-10-01T02:03:04Z
    #[arg(long, value_name = "TIME", value_parser = instant, help_heading = "Filters")]
    pub since: Option<EpochMillis>,
    /// Before this time; a date counts as its first instant
    #[arg(long, value_name = "TIME", value_parser = instant, help_heading = "Filters")]
    pub until: Option<EpochMillis>,
    /// Only events of this account; can be repeated
    #[arg(long, value_name = "ID", value_parser = account, help_heading = "Filters")]
    pub account: Vec<String>,
    /// Rows of each table
    #[arg(long, value_name = "COUNT", default_value = "10",
        value_parser = clap::value_parser!(u16).range(1..=100))]
    pub top: u16,

    /// Say on the page when it was made: a time, or now. Without it, the same lake gives the same bytes
    #[arg(long, value_name = "TIME", value_parser = made_at, num_args = 0..=1,
        default_missing_value = "now")]
    pub generated_at: Option<EpochMillis>,
    #[command(flatten)]
    pub cache: CacheArgs,
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// One page with charts
    Html,
    /// One document (schemas/report-page.json)
    Json,
}

fn made_at(text: &str) -> Result<EpochMillis> {
    if text == "now" { Ok(now()) } else { instant(text) }
}

pub(super) fn run(args: &ReportArgs) -> Result<u8> {
    let runtime = runtime()?;
    let LakePlace { lake, aws } = &args.place;
    let s3 = aws.s3(None)?;
    say_identity(aws, &s3, Reach::of([lake], false), args.answer.quiet)?;
    let storage = runtime.block_on(open_lake(lake, &s3))?;
    let options = ReportOptions {
        lake: lake.to_string(),
        window: Window { since: args.since, until: args.until, accounts: args.account.clone() },
        top: u64::from(args.top),
        generated_at: args.generated_at.map(iso),
        threads: threads(args.answer.threads),
        cache: args.cache.options(),
    };
    let made = runtime.block_on(activity_report(&storage, &options))?;
    let Some(report) = &made.report else {
        say(args.answer.quiet, &format!("No event to report on; {}.", read(&made)));
        return Ok(EXIT_INCOMPLETE);
    };
    let text = match args.output {
        Form::Html => page(report),
        Form::Json => json(report)?,
    };
    match &args.out {
        Some(file) => write(file, &text)?,
        None => print(&text)?,
    }
    if let Some(file) = &args.out {
        let size = ByteCount(text.len() as u64);
        let events = counted(report.events(), "event");
        say(
            args.answer.quiet,
            &format!("Wrote {}: {events}, {size}; {}.", show_path(file), read(&made)),
        );
    }
    Ok(EXIT_OK)
}

/// What was read, for people.
fn read(made: &MadeReport) -> String {
    read_text(made.files_read, made.files, None, made.bytes_fetched)
}

fn json(report: &ActivityReport) -> Result<String> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|err| Error::io("cannot render the report", err))?;
    Ok(text + "\n")
}

fn write(file: &Path, text: &str) -> Result<()> {
    let failed = |err| Error::io("cannot write the report", err).at("path", show_path(file));
    std::fs::write(file, text).map_err(failed)
}
