//! `trailmill quarantine`.

use crate::cli::args::{Format, LakePlace, OutputArgs};
use crate::cli::exit::EXIT_OK;
use crate::cli::identity::{Reach, say_identity};
use crate::cli::report::{print, print_json};
use crate::engine::runtime;
use crate::error::{Error, Result};
use crate::lake::Quarantined;
use crate::operations::{list_quarantine, open_lake};
use crate::storage::Storage;
use crate::text::clean;
use crate::units::counted;
use clap::Args as Group;
use std::io::Write as _;

/// List the quarantine, or write one entry's raw bytes to stdout.
#[derive(Debug, Group)]
pub(super) struct QuarantineArgs {
    #[command(flatten)]
    pub place: LakePlace,

    /// Number of the entry to write
    #[arg(long, value_name = "NUMBER")]
    pub raw: Option<usize>,

    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) fn run(args: &QuarantineArgs) -> Result<u8> {
    let runtime = runtime()?;
    let LakePlace { lake, aws } = &args.place;
    let s3 = aws.s3(None)?;
    say_identity(aws, &s3, Reach::of([lake], false), args.output.quiet)?;
    let storage = runtime.block_on(open_lake(lake, &s3))?;
    let entries = runtime.block_on(list_quarantine(&storage))?;
    if let Some(number) = args.raw {
        let bytes = runtime.block_on(raw_bytes(&storage, &entries, number))?;
        let mut out = std::io::stdout();
        out.write_all(&bytes).map_err(|err| Error::io("cannot write to stdout", err))?;
        return Ok(EXIT_OK);
    }
    match args.output.report {
        Format::Json => print_json(&entries)?,
        Format::Text if entries.is_empty() => print("The quarantine is empty.\n")?,
        Format::Text => {
            for (number, entry) in entries.iter().enumerate() {
                print(&line(number, entry))?;
            }
        }
    }
    Ok(EXIT_OK)
}

/// The bytes of an entry, as far as they were kept.
async fn raw_bytes(storage: &Storage, entries: &[Quarantined], number: usize) -> Result<Vec<u8>> {
    let entry = entries.get(number).ok_or_else(|| {
        Error::config(format!(
            "entry {number} not found: the quarantine has {}, numbered from \
                               0",
            entries.len()
        ))
    })?;
    if entry.raw.is_empty() {
        return Err(Error::config("no raw bytes kept: the object could not be read"));
    }
    let bytes = storage.read(&entry.raw).await?.unwrap_or_default();
    let start = entry.raw_offset as usize;
    Ok(bytes.get(start..start + entry.raw_length as usize).unwrap_or_default().to_vec())
}

/// One entry, as a line.
fn line(number: usize, entry: &Quarantined) -> String {
    let record = match (entry.record, entry.records) {
        (None, _) => "whole object".to_owned(),
        (Some(n), 1) => format!("record {n}"),
        (Some(n), more) => format!("record {n} and {} after it", more - 1),
    };
    let cut = (entry.raw_length < entry.length).then(|| format!(" ({} kept)", entry.raw_length));
    let stopped = entry.error_byte.map(|at| format!(" (at byte {at})"));
    format!(
        "{number:>5}  {}  {record}, byte {}, {}{}: {}{}\n",
        clean(&entry.object),
        entry.byte,
        counted(entry.length, "byte"),
        cut.unwrap_or_default(),
        clean(&entry.reason),
        stopped.unwrap_or_default(),
    )
}
