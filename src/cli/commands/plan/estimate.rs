//! What a conversion would do: `trailmill plan` without children, and `trailmill convert --dry-run`.

use crate::cli::args::{ConversionArgs, Format, OutputArgs, ProofArgs, PublicationArgs};
use crate::cli::exit::EXIT_OK;
use crate::cli::identity::{Reach, say_identity};
use crate::cli::report::{listing, print, print_json, unavailable as unread};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::operations::{self, Estimate};
use crate::source::is_pipe;
use crate::text::clean;
use crate::units::{ByteCount, counted, grouped};
use std::fmt::Write as _;

/// Reports what a conversion would do; writes nothing. Returns the exit code.
///
/// # Errors
/// `Config` for a pipe, which cannot be read twice; those of a listing.
pub(in crate::cli::commands) fn estimate(
    conversion: &ConversionArgs,
    (publication, proof): (&PublicationArgs, &ProofArgs),
    (sources, lake): (Vec<Location>, Location),
    output: &OutputArgs,
    by_delivery: bool,
) -> Result<u8> {
    refuse_pipes(&sources)?;
    let mut options = conversion.options(publication, sources, lake)?;
    options.integrity = proof.integrity(conversion.patience())?;
    say_identity(&conversion.aws, &options.s3, Reach::of_conversion(&options), output.quiet)?;
    let report = operations::estimate(&options)?;
    match output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&text(&report, by_delivery))?,
    }
    Ok(EXIT_OK)
}

/// Refuses pipes: the run that converts a plan cannot read them again.
pub(super) fn refuse_pipes(sources: &[Location]) -> Result<()> {
    match sources.iter().find(|source| is_pipe(source)) {
        None => Ok(()),
        Some(source) => {
            let message = "a pipe can be read once only: convert it, or write it to a file first";
            Err(Error::config(message).at("source", source))
        }
    }
}

/// An estimate, for people.
fn text(report: &Estimate, by_delivery: bool) -> String {
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
    if !by_delivery {
        return out;
    }
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
