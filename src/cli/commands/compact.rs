//! `trailmill compact`.

use crate::cli::args::{
    CatalogPlaceArgs, CompactionArgs, Format, LakePlace, OutputArgs, PublicationArgs, WritingArgs,
    bytes,
};
use crate::cli::console::say;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::machine::{memory, threads};
use crate::cli::report::{print, print_json};
use crate::engine::DEFAULT_TABLE;
use crate::error::Result;
use crate::operations::{CompactOptions, CompactReport, CompactedPartition, compact};
use crate::parquet::Compression;
use crate::units::{ByteCount, counted};
use clap::Args as Group;
use std::fmt::Write;

/// How compacted files are compressed. Higher levels take up to twice the processor time, and save nothing
/// (docs/benchmarks.md#compaction).
pub(super) const DEFAULT_CODEC: &str = "zstd:1";

const EXAMPLES: &str = "\
Examples:
  trailmill compact lake                                what is older than 35 days
  trailmill compact lake --dry-run                      say what would be compacted
  trailmill compact lake --older-than 2d --partitions '*event_date=2026-10-*'
  trailmill compact s3://lake/x --grace 48h             old files stay for two days";

/// Merge the small files of old partitions into few, larger, better compressed ones.
///
/// Rows stay exactly the same, and that is proven before anything is replaced: the written files are
/// read back, and must have the rows of their inputs. Readers never see a row twice or not at all: a
/// partition of a folder changes in one step, one of a bucket when Glue is told its new location.
/// Files in a bucket that were replaced are removed by a later run, after `--grace`. A run that is
/// killed is safe to repeat. `trailmill plan LAKE --compact` spreads the work over an array job. Exit code 1 when a partition was left as it is.
#[derive(Debug, Group)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompactArgs {
    #[command(flatten)]
    pub place: LakePlace,

    #[command(flatten)]
    pub compaction: CompactionArgs,
    /// Compression of the files: zstd, zstd:LEVEL, snappy, gzip or none
    #[arg(long, value_name = "CODEC", default_value = DEFAULT_CODEC, help_heading = "Compaction")]
    pub compression: Compression,
    /// Say what would be compacted, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Threads [default: one per processor]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Work")]
    pub threads: Option<u16>,
    /// Memory for inputs, outputs and buffers; a file takes at most a quarter of it [default: by
    /// threads and limits]
    #[arg(long, value_name = "BYTES", value_parser = bytes(64_000_000), help_heading = "Work")]
    pub memory: Option<ByteCount>,

    #[command(flatten)]
    pub writing: WritingArgs,
    #[command(flatten)]
    pub catalog: CatalogPlaceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) fn run(args: &CompactArgs) -> Result<u8> {
    let threads = threads(args.threads);
    let publication = PublicationArgs::default();
    let retry = args.place.aws.retry_timeout;
    let options = CompactOptions {
        dry_run: args.dry_run,
        ..args.compaction.options(
            args.place.aws.s3_and_glue(Some(&args.writing), &args.catalog.glue)?,
            args.catalog.options(&publication, retry, DEFAULT_TABLE),
            args.compression,
            (threads, memory(args.memory, threads)),
        )
    };
    let tell = |done: &CompactedPartition| say(args.output.quiet, &line(done));
    let report = compact(&args.place.lake, &options, tell)?;
    match args.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&text(&report))?,
    }
    Ok(if report.skipped.is_empty() { EXIT_OK } else { EXIT_INCOMPLETE })
}

/// What became of a partition.
fn line(done: &CompactedPartition) -> String {
    let CompactedPartition { table, partition, rows, .. } = done;
    let before = size(done.files_before, done.bytes_before);
    let rows = counted(*rows, "row");
    match done.files_after {
        0 => format!("{table}/{partition}: {before}, {rows}"),
        after => {
            format!("{table}/{partition}: {before} -> {}, {rows}", size(after, done.bytes_after))
        }
    }
}

fn size(files: u64, bytes: u64) -> String {
    format!("{} with {}", counted(files, "file"), ByteCount(bytes))
}

/// What a compaction did, for people.
pub(super) fn text(report: &CompactReport) -> String {
    let mut text = String::new();
    if report.dry_run {
        report.partitions.iter().for_each(|done| text.push_str(&(line(done) + "\n")));
    }
    for skipped in &report.skipped {
        let _ = writeln!(
            text,
            "left as it is: {}/{}: {}",
            skipped.table, skipped.partition, skipped.reason
        );
    }
    let partitions = counted(report.partitions.len() as u64, "partition");
    let before = size(report.files_before, report.bytes_before);
    let _ = match (report.dry_run, report.partitions.is_empty()) {
        (_, true) => writeln!(text, "Nothing to compact."),
        (true, _) => writeln!(text, "Would compact {partitions}: {before}."),
        (false, _) => {
            let after = size(report.files_after, report.bytes_after);
            writeln!(
                text,
                "Compacted {partitions} in {:.1} s: {before} -> {after}.",
                report.seconds
            )
        }
    };
    if report.files_removed > 0 {
        let _ =
            writeln!(text, "Removed {} replaced earlier.", counted(report.files_removed, "file"));
    }
    if report.files_waiting > 0 {
        let waiting = counted(report.files_waiting, "replaced file");
        let _ = writeln!(text, "A later run removes {waiting}, after the grace period.");
    }
    text
}
