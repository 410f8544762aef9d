//! `trailmill ignored`.

use crate::cli::args::{Format, LakePlace, OutputArgs};
use crate::cli::exit::EXIT_OK;
use crate::cli::identity::{Reach, say_identity};
use crate::cli::report::{print, print_json};
use crate::engine::runtime;
use crate::error::Result;
use crate::operations::{list_ignored, open_lake};
use crate::text::clean;
use clap::Args as Group;

/// List the objects that were read and gave no record, with what they are.
///
/// Files of other kinds, objects with an empty list of records, archives without logs. What looks
/// like CloudTrail is never ignored: it is quarantined.
#[derive(Debug, Group)]
pub(super) struct IgnoredArgs {
    #[command(flatten)]
    pub place: LakePlace,

    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) fn run(args: &IgnoredArgs) -> Result<u8> {
    let runtime = runtime()?;
    let LakePlace { lake, aws } = &args.place;
    let s3 = aws.s3(None)?;
    say_identity(aws, &s3, Reach::of([lake], false), args.output.quiet)?;
    let storage = runtime.block_on(open_lake(lake, &s3))?;
    let ignored = runtime.block_on(list_ignored(&storage))?;
    match args.output.report {
        Format::Json => print_json(&ignored)?,
        Format::Text if ignored.is_empty() => print("Every object that was read has records.\n")?,
        Format::Text => {
            for entry in &ignored {
                print(&format!("{}: {}\n", clean(&entry.object), clean(&entry.reason)))?;
            }
        }
    }
    Ok(EXIT_OK)
}
