//! `trailmill sample`.

use crate::cli::args::{Format, OutputArgs, megabytes};
use crate::cli::exit::EXIT_OK;
use crate::cli::machine::threads;
use crate::cli::progress_display::{Shown, with_progress_of};
use crate::cli::report::{print, print_json};
use crate::engine::{Progress, Stage};
use crate::error::Result;
use crate::sample::{
    DEFAULT_ACCOUNTS, DEFAULT_DAYS, DEFAULT_SEED, DEFAULT_SIZE, EVIDENCE, SampleOptions,
    SampleReport, Tamper, generate,
};
use crate::text::clean;
use crate::units::{ByteCount, counted};
use clap::builder::PossibleValue;
use clap::{Args as Group, ValueEnum};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Write a realistic archive of made-up CloudTrail logs in the real key layout.
///
/// The same options write the same bytes. The archive has accounts, regions, services, odd keys,
/// polymorphic fields, late events and duplicates; nothing in it is real.
#[derive(Debug, Group)]
pub(super) struct SampleArgs {
    /// Folder to write into; must be empty or not exist
    pub folder: PathBuf,

    /// JSON bytes of the archive, before compression
    #[arg(long, value_name = "BYTES", default_value = megabytes(DEFAULT_SIZE))]
    pub size: ByteCount,

    /// Seed of everything that looks random
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_SEED)]
    pub seed: u64,

    /// Accounts
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_ACCOUNTS)]
    pub accounts: usize,

    /// Days of delivery
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_DAYS)]
    pub days: u32,

    /// Write this many objects of under 1 kB instead of --size
    #[arg(long, value_name = "COUNT")]
    pub small_objects: Option<u64>,

    /// Write signed digests over the logs, with the key and the signatures in _evidence below the
    /// folder, for `trailmill integrity`; the key is made for this sample, so that digests differ
    /// from one sample to the next
    #[arg(long)]
    pub digests: bool,

    /// Change something afterwards, to see what `trailmill integrity` says of it
    #[arg(long, value_name = "KIND", value_enum, requires = "digests")]
    pub tamper: Option<Tamper>,

    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub output: OutputArgs,
}

const WRITING: Shown = Shown { verb: "writing", noun: "object" };

pub(super) fn run(args: &SampleArgs) -> Result<u8> {
    let options = SampleOptions {
        size: args.size.0,
        seed: args.seed,
        accounts: args.accounts,
        days: args.days,
        threads: threads(args.threads),
        small_objects: args.small_objects,
        digests: args.digests,
        tamper: args.tamper,
        ..SampleOptions::new(&args.folder)
    };
    let progress = Progress::default();
    progress.work.add(args.size.0, 0);
    progress.work.end();
    progress.begin(Stage::Converting);
    let report = with_progress_of(WRITING, args.output.quiet, &progress, || {
        generate(&options, &|bytes| progress.bytes.store(bytes, Ordering::Relaxed))
    })?;
    match args.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&text(args, &report))?,
    }
    Ok(EXIT_OK)
}

/// What was written, for people.
fn text(args: &SampleArgs, report: &SampleReport) -> String {
    let folder = clean(&args.folder.display().to_string());
    let mut out = format!(
        "Wrote {} in {} to {folder}: {} of JSON, {} compressed\n",
        counted(report.records, "record"),
        counted(report.objects, "object"),
        ByteCount(report.bytes_json),
        ByteCount(report.bytes_compressed),
    );
    if args.digests {
        let digests = counted(report.digest_objects, "digest");
        let evidence = format!("{folder}/{EVIDENCE}");
        let _ = writeln!(
            out,
            "Signed {digests}; validate with\n  trailmill integrity {folder} --keys \
             {evidence}/keys.json --signatures {evidence}/signatures.json"
        );
    }
    for key in &report.tampered {
        let _ = writeln!(out, "Tampered with {}", clean(key));
    }
    out
}

impl ValueEnum for Tamper {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::EditLog,
            Self::DeleteLog,
            Self::ForgeLog,
            Self::AppendLog,
            Self::TruncateLog,
            Self::SwapLogs,
            Self::RenameLog,
            Self::EditDigest,
            Self::DeleteDigest,
            Self::DeleteDigests,
            Self::DeleteNewestDigests,
            Self::ReplayDigest,
            Self::TruncateDigest,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::EditLog => ("edit-log", "Change a digit in the content of a log"),
            Self::DeleteLog => ("delete-log", "Remove a log"),
            Self::ForgeLog => ("forge-log", "Add a log"),
            Self::AppendLog => ("append-log", "Append a second gzip member to a log"),
            Self::TruncateLog => ("truncate-log", "Cut off the end of a log"),
            Self::SwapLogs => ("swap-logs", "Swap the contents of two logs"),
            Self::RenameLog => ("rename-log", "Rename a log"),
            Self::EditDigest => ("edit-digest", "Change a digit in the content of a digest"),
            Self::DeleteDigest => ("delete-digest", "Remove a digest"),
            Self::DeleteDigests => ("delete-digests", "Remove two digests in a row"),
            Self::DeleteNewestDigests => {
                ("delete-newest-digests", "Remove the three newest digests of a chain")
            }
            Self::ReplayDigest => ("replay-digest", "Put an older digest in the place of a newer"),
            Self::TruncateDigest => ("truncate-digest", "Cut off the end of a digest"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}
