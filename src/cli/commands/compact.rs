//! `trailmill compact`.

use crate::cli::args::{
    CatalogPlaceArgs, EncryptionArgs, Format, LakePlace, OutputArgs, PublicationArgs, bytes,
    duration,
};
use crate::cli::console::say;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::machine::{memory, threads};
use crate::cli::report::{print, print_json};
use crate::engine::DEFAULT_TABLE;
use crate::error::Result;
use crate::history::Pattern;
use crate::operations::{
    CompactOptions, CompactReport, CompactedPartition, DEFAULT_COMPACTED_SIZE, compact,
};
use crate::parquet::Compression;
use crate::units::{ByteCount, counted};
use clap::Args as Group;
use std::fmt::Write;

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
/// killed is safe to repeat. Exit code 1 when a partition was left as it is.
#[derive(Debug, Group)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompactArgs {
    #[command(flatten)]
    pub place: LakePlace,

    /// Compact partitions whose newest event is older than this: 12h, 35d or 8w
    #[arg(long, value_name = "DURATION", default_value = "35d", value_parser = duration)]
    pub older_than: i64,
    /// Size of the files that are written; files of half of it stay as they are
    #[arg(long, value_name = "BYTES", default_value = target(), value_parser = bytes(1_000))]
    pub target: ByteCount,
    /// Only partitions whose path matches a glob, such as 'event_date=2026-10-*'
    #[arg(long, value_name = "GLOB")]
    pub partitions: Vec<Pattern>,
    /// Small files that a partition must have to be compacted
    #[arg(long, value_name = "COUNT", default_value = "2",
        value_parser = clap::value_parser!(u32).range(2..))]
    pub min_files: u32,
    /// Compression of the files: zstd, zstd:LEVEL, snappy, gzip or none
    #[arg(long, value_name = "CODEC", default_value = "zstd:9")]
    pub compression: Compression,
    /// How long replaced files of a lake in a bucket stay after Glue was told
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub grace: i64,
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
    pub encryption: EncryptionArgs,
    #[command(flatten)]
    pub catalog: CatalogPlaceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

fn target() -> clap::builder::Resettable<clap::builder::OsStr> {
    crate::cli::args::megabytes(DEFAULT_COMPACTED_SIZE.0)
}

pub(super) fn run(args: &CompactArgs) -> Result<u8> {
    let threads = threads(args.threads);
    let publication = PublicationArgs::default();
    let retry = args.place.aws.retry_timeout;
    let options = CompactOptions {
        s3: args.place.aws.s3(Some(&args.encryption))?,
        catalog: args.catalog.options(&publication, retry, DEFAULT_TABLE),
        older_than: args.older_than,
        target: args.target,
        partitions: args.partitions.clone(),
        min_files: args.min_files as usize,
        compression: args.compression,
        grace: args.grace,
        memory: memory(args.memory, threads),
        threads,
        dry_run: args.dry_run,
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

fn text(report: &CompactReport) -> String {
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
