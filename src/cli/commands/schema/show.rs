//! `trailmill schema show`, and the text of a lock.

use crate::cli::args::{AwsArgs, Format, OutputArgs, location};
use crate::cli::exit::EXIT_OK;
use crate::cli::identity::{Reach, say_identity};
use crate::cli::report::{print, print_json};
use crate::engine::runtime;
use crate::error::Result;
use crate::location::Location;
use crate::operations::read_lake_lock;
use crate::schema::{Lock, render};
use crate::text::clean_lines;
use clap::Args as Group;

/// Show a lake's schema lock, or the initial one if no lake is given.
#[derive(Debug, Group)]
pub(super) struct ShowArgs {
    /// The lake: a folder or s3://bucket/prefix
    #[arg(value_parser = location())]
    lake: Option<Location>,
    #[command(flatten)]
    aws: Box<AwsArgs>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &ShowArgs) -> Result<u8> {
    let lock = match &args.lake {
        Some(lake) => {
            let s3 = args.aws.s3(None)?;
            say_identity(&args.aws, &s3, Reach::of([lake], false), args.output.quiet)?;
            runtime()?.block_on(read_lake_lock(lake, &s3))?
        }
        None => Lock::seed()?,
    };
    print_lock(&lock, args.output.report)?;
    Ok(EXIT_OK)
}

/// Prints a schema.
pub(super) fn print_lock(lock: &Lock, format: Format) -> Result<()> {
    match format {
        Format::Json => print_json(lock),
        Format::Text => print(&clean_lines(&render(lock))),
    }
}
