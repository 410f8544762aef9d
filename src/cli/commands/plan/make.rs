//! `trailmill plan`: estimate a conversion, or write the plan of an array job.

use crate::cli::args::{ConversionArgs, Format, OutputArgs, location, sources_and_lake};
use crate::cli::commands::plan::show::work_plan;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::progress::{say, with_progress};
use crate::cli::report::{listing, print, print_json, unavailable as unread};
use crate::engine::{ConvertOptions, DEFAULT_SAMPLED, Progress};
use crate::error::{Error, Result};
use crate::lake::WorkPlan;
use crate::location::Location;
use crate::operations::{self, Children, Estimate, Planned};
use crate::source::is_pipe;
use crate::text::clean;
use crate::units::{ByteCount, are, counted, grouped};
use clap::Args as Group;
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Debug, Group)]
pub(super) struct MakeArgs {
    /// Sources to read: folders, files, archives (tar, zip, 7z; gzip, zstd, bzip2, xz) or
    /// s3://bucket/prefix; then the lake: a folder or s3://bucket/prefix
    #[arg(required = true, num_args = 2.., value_name = "SOURCE, LAKE", value_parser = location())]
    pub places: Vec<Location>,

    /// Write a plan for this number of children; auto: as many as need four minutes each on two
    /// vCPUs
    #[arg(long, visible_alias = "shards", value_name = "COUNT", value_parser = children, help_heading = "Array job")]
    pub children: Option<Children>,

    /// Objects to infer the schema from, across all accounts, regions and months; 0 uses the lake's
    /// schema
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_SAMPLED, requires = "children",
        help_heading = "Array job")]
    pub sample_objects: usize,

    #[command(flatten)]
    pub conversion: ConversionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

fn children(text: &str) -> Result<Children> {
    match text {
        "auto" => Ok(Children::Auto),
        _ => match text.parse() {
            Ok(count @ 1..=10_000) => Ok(Children::Count(count)),
            _ => Err(Error::config("expected `auto` or a number from 1 to 10000")),
        },
    }
}

pub(super) fn run(args: &MakeArgs) -> Result<u8> {
    let (sources, lake) = sources_and_lake(&args.places)?;
    refuse_pipes(&sources)?;
    let options = args.conversion.options(&Default::default(), sources, lake)?;
    let quiet = args.output.quiet;
    say_identity(&args.conversion.aws, &options.s3, Reach::of_conversion(&options), quiet)?;
    match args.children {
        None => estimate(&options, args.output.report),
        Some(children) => make(args, &options, children),
    }
}

/// Refuses pipes: the run that converts a plan cannot read them again.
fn refuse_pipes(sources: &[Location]) -> Result<()> {
    match sources.iter().find(|source| is_pipe(source)) {
        None => Ok(()),
        Some(source) => {
            let message = "a pipe can be read once only: convert it, or write it to a file first";
            Err(Error::config(message).at("source", source))
        }
    }
}

fn estimate(options: &ConvertOptions, format: Format) -> Result<u8> {
    let report = operations::estimate(options)?;
    match format {
        Format::Json => print_json(&report)?,
        Format::Text => print(&estimate_text(&report))?,
    }
    Ok(EXIT_OK)
}

fn make(args: &MakeArgs, options: &ConvertOptions, children: Children) -> Result<u8> {
    let quiet = args.output.quiet;
    let made = with_progress(quiet, &Progress::default(), || {
        operations::make_plan(options, children, args.sample_objects)
    })?;
    let (plan, address, is_new) = match made {
        Planned::New(plan, address) => (plan, address, true),
        Planned::Open(plan, address) => {
            say(quiet, "the lake has an open plan: finish or discard it before making another");
            (plan, address, false)
        }
        Planned::Nothing { known, listing, unavailable } => {
            match args.output.report {
                Format::Json => print_json(&serde_json::json!({
                    "plan": null, "objects_known": known, "listing": listing,
                    "unavailable_by_reason": unavailable,
                }))?,
                Format::Text => print(&format!(
                    "Nothing new: {} {} in the lake already. No plan was made.\n{}",
                    counted(known, "object"),
                    are(known),
                    unread("", &unavailable),
                ))?,
            }
            return Ok(if unavailable.is_empty() { EXIT_OK } else { EXIT_INCOMPLETE });
        }
    };
    match args.output.report {
        Format::Json => print_json(&PlanView { plan: &address, is_new, document: &plan })?,
        Format::Text => print(&work_plan(&plan, &address, is_new))?,
    }
    Ok(EXIT_OK)
}

/// A plan that was made, for programs.
#[derive(Serialize)]
struct PlanView<'a> {
    /// Its address.
    plan: &'a str,
    /// Whether it was made now.
    is_new: bool,
    #[serde(flatten)]
    document: &'a WorkPlan,
}

/// A plan, for people.
fn estimate_text(report: &Estimate) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} to read, {} (about {} of JSON), in {}",
        counted(report.objects, "object"),
        ByteCount(report.bytes),
        ByteCount(report.bytes_json_estimate),
        counted(report.units, "unit"),
    );
    let _ = writeln!(
        out,
        "  {} in the lake already, {} of other kinds, {} begun by an earlier run",
        grouped(report.objects_known),
        grouped(report.objects_ignored),
        counted(report.units_resumed, "unit"),
    );
    match (&report.partitions_chosen, &report.partitions) {
        (Some(choice), _) => {
            let _ = writeln!(out, "  a new lake would be partitioned by {choice}");
        }
        (None, Some(partitions)) => {
            let _ = writeln!(out, "  partitioned by {}: {partitions}", report.partition_by);
        }
        (None, None) => {}
    }
    for warning in &report.warnings {
        let _ = writeln!(out, "  warning: {warning}");
    }
    out.push_str(&listing("  ", &report.listing));
    out.push_str(&unread("  ", &report.unavailable_by_reason));
    if !report.by_delivery.is_empty() {
        let _ = writeln!(out, "\n  account       region          delivered    objects");
    }
    for (key, count) in &report.by_delivery {
        let mut parts = key.split(' ');
        let mut part = || clean(parts.next().unwrap_or("?"));
        let (account, region, date) = (part(), part(), part());
        let _ = writeln!(out, "  {account:<13} {region:<15} {date:<12} {:>7}", grouped(*count));
    }
    out
}
