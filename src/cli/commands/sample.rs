//! `trailmill sample`.

use crate::cli::args::{Format, OutputArgs, megabytes};
use crate::cli::exit::EXIT_OK;
use crate::cli::machine::threads;
use crate::cli::progress::with_progress;
use crate::cli::report::{print, print_json};
use crate::engine::Progress;
use crate::error::Result;
use crate::sample::{
    DEFAULT_ACCOUNTS, DEFAULT_DAYS, DEFAULT_SEED, DEFAULT_SIZE, SampleOptions, generate,
};
use crate::text::clean;
use crate::units::{ByteCount, counted};
use clap::Args as Group;
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

    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) fn run(args: &SampleArgs) -> Result<u8> {
    let options = SampleOptions {
        size: args.size.0,
        seed: args.seed,
        accounts: args.accounts,
        days: args.days,
        threads: threads(args.threads),
        small_objects: args.small_objects,
        ..SampleOptions::new(&args.folder)
    };
    let progress = Progress::default();
    progress.bytes_total.store(args.size.0, Ordering::Relaxed);
    let report = with_progress(args.output.quiet, &progress, || {
        generate(&options, &|bytes| progress.bytes.store(bytes, Ordering::Relaxed))
    })?;
    match args.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&format!(
            "Wrote {} in {} to {}: {} of JSON, {} compressed\n",
            counted(report.records, "record"),
            counted(report.objects, "object"),
            clean(&args.folder.display().to_string()),
            ByteCount(report.bytes_json),
            ByteCount(report.bytes_compressed),
        ))?,
    }
    Ok(EXIT_OK)
}
