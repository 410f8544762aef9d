//! `trailmill finish`: the end of an array job.

use crate::cli::args::{
    AwsArgs, CatalogPlaceArgs, EndingArgs, Format, OutputArgs, PublicationArgs, WritingArgs,
    location,
};
use crate::cli::commands::compact::text as compaction_text;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK, EXIT_TRY_LATER};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::metrics::write_run_metrics;
use crate::cli::progress_display::with_progress;
use crate::cli::report::{print, print_json};
use crate::cli::run_report::{conclude, details};
use crate::engine::{CatalogKind, DEFAULT_TABLE, Progress, Report};
use crate::error::Result;
use crate::lake::PlanEnd;
use crate::location::Location;
use crate::operations::{self, FinishOptions, Finished, Missing, lake_of_plan};
use crate::text::clean;
use crate::units::{are, counted, grouped};
use clap::Args as Group;
use std::fmt::Write as _;

/// End an array job: commit the work of its children, and bring the catalog in line.
///
/// Checks that every unit of the plan is done, else lists the others and ends with exit code 75.
/// Then commits all units, adds fields that only the children saw to the schema, brings the catalog
/// in line, and writes one report for the whole array. After a kill or a failure, run it again to
/// continue.
#[derive(Debug, Group)]
pub(super) struct FinishArgs {
    /// Address of the plan's document, or the lake for its open plan
    #[arg(long, value_name = "PLAN", value_parser = location())]
    pub plan: Location,

    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub writing: WritingArgs,
    #[command(flatten)]
    pub catalog: CatalogPlaceArgs,
    #[command(flatten)]
    pub publication: PublicationArgs,
    #[command(flatten)]
    pub ending: EndingArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Commits a plan's units to the lake.
pub(super) fn run(args: &FinishArgs) -> Result<u8> {
    let retry = args.aws.retry_timeout;
    let options = FinishOptions {
        plan: args.plan.clone(),
        s3: args.aws.s3_and_glue(Some(&args.writing), &args.catalog.glue)?,
        catalog: args.catalog.options(&args.publication, retry, DEFAULT_TABLE),
    };
    let quiet = args.output.quiet;
    let in_glue = options.catalog.kind == Some(CatalogKind::Glue);
    say_identity(&args.aws, &options.s3, Reach::of([&args.plan], in_glue), quiet)?;
    let progress = Progress::default();
    let finished =
        with_progress(quiet, &progress, || operations::finish_plan(&options, &progress))?;
    match finished {
        Finished::Done(report) => {
            let lake = lake_of_plan(&args.plan).to_string();
            write_run_metrics(args.ending.metrics, &report, &lake);
            let text = || text(&report, &lake);
            conclude(&report, args.output.report, text, args.ending.allow_quarantine)
        }
        Finished::Compacted(report) => {
            match args.output.report {
                Format::Json => print_json(&report)?,
                Format::Text => print(&compaction_text(&report))?,
            }
            let is_whole = report.skipped.is_empty() || args.ending.allow_quarantine;
            Ok(if is_whole { EXIT_OK } else { EXIT_INCOMPLETE })
        }
        Finished::Missing(missing) => {
            match args.output.report {
                Format::Json => print_json(&missing)?,
                Format::Text => print(&missing_units(&missing))?,
            }
            Ok(EXIT_TRY_LATER)
        }
        Finished::Nothing(end) => {
            match args.output.report {
                Format::Json => print_json(&serde_json::json!({ "ended": end }))?,
                Format::Text => print(match end {
                    None => "Nothing to finish: the lake has no open plan.\n",
                    Some(PlanEnd::Finished) => "Nothing to finish: the plan is finished.\n",
                    Some(PlanEnd::Discarded) => "Nothing to finish: the plan was discarded.\n",
                })?,
            }
            Ok(EXIT_OK)
        }
    }
}

/// The end of an array job, for people.
fn text(report: &Report, lake: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "Finished: {} of {}, converted as {}, {} in the lake",
        counted(report.records_written, "record"),
        counted(report.objects_read, "object"),
        counted(report.units, "unit"),
        are(report.records_written),
    );
    details(&mut out, report, lake);
    out
}

/// Units of a plan that are not done, for people.
fn missing_units(missing: &Missing) -> String {
    let list = |numbers: &[u64]| {
        let shown: Vec<String> = numbers.iter().take(20).map(u64::to_string).collect();
        let more = if numbers.len() > shown.len() { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    format!(
        "{} of {} {} not done; nothing was committed.\n  units       {}\n  children    {}\n\n\
         Run the array again, or these children, and then this: {}\n",
        grouped(missing.missing),
        counted(missing.units, "unit"),
        are(missing.missing),
        list(&missing.numbers),
        list(&missing.children),
        clean(&missing.plan),
    )
}
