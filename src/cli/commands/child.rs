//! `trailmill convert --plan`: a child of an array job.

use crate::cli::args::{ConversionArgs, Format, MetricsFormat, OutputArgs, location};
use crate::cli::console::say_begin;
use crate::cli::exit::{EXIT_OK, EXIT_TRY_LATER};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::machine::{memory, threads};
use crate::cli::metrics::{unit_progress, write_run_metrics};
use crate::cli::progress_display::with_progress;
use crate::cli::report::{print, print_json};
use crate::cli::signals::stop_on_signal;
use crate::engine::Report;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::operations::{self, ArrayChild, ChildOptions, lake_of_plan};
use crate::units::{ByteCount, counted, grouped};
use clap::Args as Group;
use std::fmt::Write as _;

/// The plan, and the number of this child in its array.
#[derive(Debug, Group)]
pub(super) struct ChildArgs {
    /// Convert a part of this plan: the address of its document, or the lake for its open plan
    #[arg(
        long,
        value_name = "PLAN",
        value_parser = location(),
        // A group that flattens another one is empty for clap: its arguments are named.
        conflicts_with_all = ["LakeArgs", "NarrowArgs", "ReadingArgs", "look_back", "full", "from_digests",
            "strict", "retry", "duplicates", "max_object_size", "max_ratio", "catalog", "database", "catalog_id",
            "no_create_database", "GlueEndpointArgs", "PublicationArgs", "integrity", "EvidenceArgs",
            "allow_quarantine"],
        help_heading = "Array job"
    )]
    pub plan: Option<Location>,

    /// Number of this child, from 0 [env: AWS_BATCH_JOB_ARRAY_INDEX] [default: the whole plan]
    #[arg(long, value_name = "NUMBER", help_heading = "Array job")]
    pub array_index: Option<u32>,

    /// Children of the array [env: AWS_BATCH_JOB_ARRAY_SIZE] [default: the children of the plan]
    #[arg(long, value_name = "COUNT", help_heading = "Array job")]
    pub array_size: Option<u32>,
}

impl ChildArgs {
    /// Returns the number of this child, by options or else by AWS Batch; none outside an array.
    ///
    /// # Errors `Config` for an invalid number, and for a number outside the array.
    pub(super) fn array_child(&self) -> Result<Option<ArrayChild>> {
        let index = match self.array_index {
            None => from_environment("AWS_BATCH_JOB_ARRAY_INDEX")?,
            given => given,
        };
        let count = match self.array_size {
            None => from_environment("AWS_BATCH_JOB_ARRAY_SIZE")?,
            given => given,
        };
        match (index, count) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::config(
                "the array has a size, but this child has no \
                                                  index: give `--array-index`",
            )),
            (Some(index), Some(count)) if index >= count => Err(Error::config(format!(
                "invalid array index {index}: the array size is {count}, and indexes start at 0"
            ))),
            (Some(index), count) => Ok(Some(ArrayChild { index, count })),
        }
    }
}

fn from_environment(name: &str) -> Result<Option<u32>> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text.parse().map(Some).map_err(|_| {
            Error::config(format!(
                "invalid {name} in the environment: expected a \
                                                number"
            ))
        }),
        _ => Ok(None),
    }
}

/// Converts a child's part of a plan, or compacts it. Quarantined input does not fail the child: `finish` reports it.
pub(super) fn run(
    child: &ChildArgs,
    conversion: &ConversionArgs,
    metrics: Option<MetricsFormat>,
    output: &OutputArgs,
) -> Result<u8> {
    let missing = || Error::config("`--plan` is missing: give a plan or its lake");
    let plan = child.plan.as_ref().ok_or_else(missing)?;
    let threads = threads(conversion.work.threads);
    let options = ChildOptions {
        plan: plan.clone(),
        s3: conversion.aws.s3(Some(&conversion.writing))?,
        threads,
        memory: memory(conversion.work.memory, threads),
        child: child.array_child()?,
        passwords: conversion.work.passwords()?,
    };
    let (quiet, lake) = (output.quiet, lake_of_plan(plan).to_string());
    let stop = stop_on_signal(quiet)?;
    say_identity(&conversion.aws, &options.s3, Reach::of([plan], false), quiet)?;
    say_begin(quiet, threads, options.memory.0);
    let progress = unit_progress(quiet, metrics, &lake);
    let report =
        with_progress(quiet, &progress, || operations::convert_plan(&options, &progress, &stop))?;
    write_run_metrics(metrics, &report, &lake);
    match output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&text(&report))?,
    }
    Ok(if report.interrupted { EXIT_TRY_LATER } else { EXIT_OK })
}

/// A child's part of a plan, for people.
fn text(report: &Report) -> String {
    let Some(child) = &report.child else {
        return "Nothing to convert: the lake has no open plan.\n".to_owned();
    };
    let which = match child.index {
        Some(index) => format!("Child {index} of {}", grouped(child.count.into())),
        None => "The whole plan".to_owned(),
    };
    match child.ended {
        Some(true) => return format!("{which}: nothing to convert, the plan is finished.\n"),
        Some(false) => return format!("{which}: nothing to convert, the plan was discarded.\n"),
        None => {}
    }
    let mut out = String::new();
    if child.compacts {
        let _ = writeln!(
            out,
            "{which}: {}, {} of them done before; {} compacted now in {:.2} s",
            counted(child.units, "partition"),
            grouped(child.units_done_before),
            grouped(report.units),
            report.seconds,
        );
        let written = (counted(report.files, "file"), counted(report.records_written, "row"));
        let bytes = ByteCount(report.bytes_parquet);
        let _ = writeln!(out, "  written     {} with {}, {bytes}", written.0, written.1);
        return out + stopped(report);
    }
    let _ = writeln!(
        out,
        "{which}: {}, {} of them done before; {} done now in {:.2} s ({} of JSON a second)",
        counted(child.units, "unit"),
        grouped(child.units_done_before),
        grouped(report.units),
        report.seconds,
        ByteCount((report.bytes_json as f64 / report.seconds.max(0.001)) as u64),
    );
    let _ = writeln!(
        out,
        "  records     {} read = {} written + {} duplicate + {} filtered + {} quarantined",
        grouped(report.records_read),
        grouped(report.records_written),
        grouped(report.records_duplicate),
        grouped(report.records_filtered),
        grouped(report.records_quarantined),
    );
    out + stopped(report)
}

fn stopped(report: &Report) -> &'static str {
    match report.interrupted {
        true => "\nStopped before the end; run the same command to continue.\n",
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::Args;
    use clap::CommandFactory;

    /// What a child acts on, and what is refused in other words.
    const ACTED_ON: &str = "plan array_index array_size threads memory archive_password_file report quiet metrics \
        profile expect_account aws_region endpoint_url s3_endpoint_url requests retry_timeout request_payer sse \
        sse_kms_key_id lease_timeout help log_format config color verbose places window_bytes window_objects window_age";

    #[test]
    fn an_option_that_a_child_ignores_conflicts_with_its_plan() {
        let mut program = Args::command();
        program.build();
        let convert = program.find_subcommand("convert").unwrap();
        let plan = convert.get_arguments().find(|arg| arg.get_id() == "plan").unwrap();
        let refused = convert.get_arg_conflicts_with(plan);
        let is_refused = |arg: &clap::Arg| {
            refused.iter().any(|other| other.get_id() == arg.get_id())
                || convert.get_arg_conflicts_with(arg).iter().any(|other| other.get_id() == "plan")
        };

        let ignored = convert.get_arguments().filter(|arg| !is_refused(arg));
        let ignored: Vec<_> = ignored.map(|arg| arg.get_id().as_str()).collect();
        let unexpected: Vec<_> = ignored
            .iter()
            .filter(|id| !ACTED_ON.split_whitespace().any(|acted| acted == **id))
            .collect();

        assert_eq!(unexpected, Vec::<&&str>::new(), "of {ignored:?}");
    }
}
