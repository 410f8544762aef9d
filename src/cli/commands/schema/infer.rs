//! `trailmill schema infer`.

use crate::cli::args::{AwsArgs, NarrowArgs, OutputArgs, location};
use crate::cli::commands::schema::show::print_lock;
use crate::cli::exit::EXIT_OK;
use crate::cli::identity::{Reach, say_identity};
use crate::engine::ConvertOptions;
use crate::error::Result;
use crate::location::Location;
use crate::operations;
use clap::Args as Group;

/// Infer the schema of sources and write nothing.
#[derive(Debug, Group)]
pub(super) struct InferArgs {
    /// Files, folders or s3://bucket/prefix to read
    #[arg(required = true, value_parser = location())]
    sources: Vec<Location>,
    #[command(flatten)]
    aws: Box<AwsArgs>,
    #[command(flatten)]
    narrow: Box<NarrowArgs>,
    /// Show only fields of the sources, without the fields that every lake starts with
    #[arg(long)]
    bare: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &InferArgs) -> Result<u8> {
    let (sources, narrow) = (args.sources.clone(), args.narrow.narrow()?);
    let s3 = args.aws.s3(None)?;
    let options = ConvertOptions { sources, s3, narrow, full: true, ..ConvertOptions::default() };
    let reach = Reach::of(&args.sources, false);
    say_identity(&args.aws, &options.s3, reach, args.output.quiet)?;
    print_lock(&operations::infer(&options, !args.bare)?, args.output.report)?;
    Ok(EXIT_OK)
}
