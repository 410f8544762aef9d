//! `trailmill convert`.

use crate::cli::args::{
    ConversionArgs, EndingArgs, OutputArgs, ProofArgs, PublicationArgs, WindowArgs, location,
    sources_and_lake,
};
use crate::cli::commands::child::{self, ChildArgs};
use crate::cli::commands::plan::estimate;
use crate::cli::console::say_begin;
use crate::cli::identity::{Reach, say_identity};
use crate::cli::metrics::{unit_progress, write_run_metrics};
use crate::cli::progress_display::with_progress;
use crate::cli::queue_run::{QueueRun, run_queue};
use crate::cli::report::{listing, unavailable};
use crate::cli::run_report::{catalog_changes, conclude, details, integrity, restored_text};
use crate::cli::signals::stop_on_signal;
use crate::engine::Report;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::operations;
use crate::source::keep_pipes;
use crate::units::{ByteCount, are, counted, grouped};
use clap::Args as Group;
use std::fmt::Write as _;

/// Convert new objects of the sources into the lake, or a part of a plan.
///
/// Lists the sources, skips objects that the lake's ledger has, converts the others and brings the
/// lake's catalog in line. Run it as often as you like: without new objects it writes nothing. The
/// next run finishes one that was killed, and the lake is the same as without the kill.
///
/// Input that cannot be converted is quarantined with its raw bytes and the reason (`trailmill
/// quarantine LAKE`); everything else is converted.
///
/// With `--plan`, runs as one child of an array job: it converts its part of a plan's units beside
/// the other children, and may safely run twice or late; see `trailmill plan --children` and
/// `trailmill finish`.
///
/// With `--queue`, converts the objects that the messages of an SQS queue name, until the queue is
/// empty; see `trailmill watch`.
#[derive(Debug, Group)]
#[command(override_usage = "trailmill convert [OPTIONS] <SOURCE>... <LAKE>
       trailmill convert [OPTIONS] --queue <URL> [SOURCE]... <LAKE>
       trailmill convert [OPTIONS] --plan <PLAN>")]
pub(super) struct ConvertArgs {
    /// Sources to read: folders, files, archives (tar, zip, 7z; gzip, zstd, bzip2, xz), - for stdin, or
    /// s3://bucket/prefix; then the lake: a folder or s3://bucket/prefix
    #[arg(required_unless_present = "plan", num_args = 1.., value_name = "SOURCE, LAKE",
        value_parser = location())]
    pub places: Vec<Location>,

    /// Report what would be converted, as `trailmill plan` does, and write nothing
    #[arg(long, conflicts_with_all = ["plan", "restore"], help_heading = "Input")]
    pub dry_run: bool,

    /// Restore the rows of missing data files, as listed by `catalog diff`: reads their sources
    /// again, even those that other options leave out, and writes exactly the lost rows
    #[arg(long, conflicts_with = "plan", help_heading = "Input")]
    pub restore: bool,

    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub ending: EndingArgs,

    #[command(flatten)]
    pub proof: ProofArgs,

    #[command(flatten)]
    pub conversion: ConversionArgs,
    #[command(flatten)]
    pub publication: PublicationArgs,
    /// Convert the objects that the messages of this SQS queue name, and end when it is empty. Nothing is
    /// listed; sources say where objects must lie, others are ignored
    #[arg(long, value_name = "URL", conflicts_with_all = ["plan", "restore", "integrity", "dry_run",
        "from_digests"],
        help_heading = "Queue")]
    pub queue: Option<String>,

    #[command(flatten)]
    pub window: WindowArgs,

    #[command(flatten)]
    pub child: ChildArgs,
}

pub(super) fn run(args: &ConvertArgs) -> Result<u8> {
    if let Some(plan) = &args.child.plan {
        if !args.places.is_empty() {
            let message =
                "a plan has its sources and its lake: give `--plan` alone, or sources and a lake";
            return Err(Error::config(message).at("plan", plan));
        }
        return child::run(&args.child, &args.conversion, args.ending.metrics, &args.output);
    }
    if let Some(url) = &args.queue {
        return run_queue(&QueueRun {
            url,
            places: &args.places,
            window: &args.window,
            sweep: None,
            drains: true,
            conversion: &args.conversion,
            publication: &args.publication,
            ending: &args.ending,
            output: &args.output,
        });
    }
    let (sources, lake) = sources_and_lake(&args.places)?;
    if args.child.array_child()?.is_some() {
        let message = "an array index is set, but no plan is given: children of an array job take \
                       `--plan` and no sources";
        return Err(Error::config(message));
    }
    if args.dry_run {
        let (conversion, output) = (&args.conversion, &args.output);
        let how = (&args.publication, &args.proof);
        return estimate(conversion, how, (sources, lake), output, false);
    }
    let (sources, _pipes) = keep_pipes(sources, &lake)?;
    let mut options = args.conversion.options(&args.publication, sources, lake)?;
    options.output.restores = args.restore;
    options.integrity = args.proof.integrity(args.conversion.patience())?;
    let (quiet, metrics, lake) = (args.output.quiet, args.ending.metrics, options.lake.to_string());
    let stop = stop_on_signal(quiet)?;
    say_identity(&args.conversion.aws, &options.s3, Reach::of_conversion(&options), quiet)?;
    say_begin(quiet, options.threads, options.memory.0);
    let progress = unit_progress(quiet, metrics, &lake);
    let report =
        with_progress(quiet, &progress, || operations::convert(&options, &progress, &stop))?;
    write_run_metrics(metrics, &report, &lake);
    let text = || text(&report, &lake);
    conclude(&report, args.output.report, text, args.ending.allow_quarantine)
}

/// A conversion, for people.
fn text(report: &Report, lake: &str) -> String {
    let mut out = String::new();
    let seconds = report.seconds.max(0.001);
    if report.units == 0 && !report.interrupted {
        let ignored = report.objects_ignored;
        let others = format!(", {} {} of other kinds", grouped(ignored), are(ignored));
        let _ = writeln!(
            out,
            "Nothing new: {} {} in the lake already{}.",
            counted(report.objects_known, "object"),
            are(report.objects_known),
            if ignored > 0 { others.as_str() } else { "" },
        );
        out.push_str(&listing("", &report.listing));
        out.push_str(&unavailable("", &report.unavailable_by_reason));
        out.push_str(&restored_text("", report.restored.as_ref()));
        if let Some(totals) = report.integrity.as_ref().filter(|all| all.objects_upgraded > 0) {
            let _ = writeln!(out, "Integrity: {}.", integrity(totals));
        }
        if report.catalog_changes > 0 {
            let _ = writeln!(out, "Catalog: {} made.", catalog_changes(report));
        }
        return out;
    }
    let _ = writeln!(
        out,
        "Converted {} of {} in {seconds:.2} s ({} of JSON a second)",
        counted(report.records_written, "record"),
        counted(report.objects_read, "object"),
        ByteCount((report.bytes_json as f64 / seconds) as u64),
    );
    details(&mut out, report, lake);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_nothing_new_says_so() {
        let report = Report { objects_known: 1200, ..Report::default() };
        assert!(text(&report, "lake").starts_with("Nothing new: 1,200 objects"));
    }
}
