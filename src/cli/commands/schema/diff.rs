//! `trailmill schema diff`.

use crate::cli::args::{AwsArgs, Format, OutputArgs, location};
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::report::{print, print_json};
use crate::engine::runtime;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::operations::read_lake_lock;
use crate::schema::{Change, Lock, changes};
use crate::storage::S3;
use crate::text::clean;
use clap::Args as Group;
use std::path::Path;

/// Compare two schemas, each a lake, a schema file or `seed`. Exit code 1 if they differ.
#[derive(Debug, Group)]
pub(super) struct DiffArgs {
    /// The first schema
    #[arg(value_parser = location())]
    old: Location,
    /// The second schema
    #[arg(value_parser = location())]
    new: Location,
    #[command(flatten)]
    aws: Box<AwsArgs>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &DiffArgs) -> Result<u8> {
    let (old, new, s3) = (&args.old, &args.new, args.aws.s3(None)?);
    say_identity(&args.aws, &s3, Reach::of([old, new], false), args.output.quiet)?;
    let found = changes(&lock_of(old, &s3)?, &lock_of(new, &s3)?);
    match args.output.report {
        Format::Json => print_json(&found)?,
        Format::Text => found.iter().try_for_each(|change| print(&change_line(change)))?,
    }
    Ok(if found.is_empty() { EXIT_OK } else { EXIT_INCOMPLETE })
}

fn change_line(change: &Change) -> String {
    use Change::{Added, Removed, Retyped};
    let line = |text: String| clean(&text) + "\n";
    match change {
        Added { path, hive_type } => line(format!("+ {path}: {hive_type}")),
        Removed { path, hive_type } => line(format!("- {path}: {hive_type}")),
        Retyped { path, from, to } => line(format!("~ {path}: {from} -> {to}")),
    }
}

/// A lake's lock, a lock in a file, or the seed.
fn lock_of(place: &Location, s3: &S3) -> Result<Lock> {
    let path = match place.local() {
        Some(path) if path == Path::new("seed") => return Lock::seed(),
        Some(path) if !path.is_dir() => path,
        _ => return runtime()?.block_on(read_lake_lock(place, s3)),
    };
    let wrong = || Error::config("cannot read a schema").at("path", path.display());
    let bytes = std::fs::read(path).map_err(|err| wrong().because(err))?;
    serde_json::from_slice(&bytes).map_err(|err| wrong().because(err))
}
