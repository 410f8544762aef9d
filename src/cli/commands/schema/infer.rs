//! `trailmill schema infer`.

use crate::cli::args::{AwsArgs, NarrowArgs, OutputArgs, location};
use crate::cli::commands::schema::show::print_lock;
use crate::cli::exit::EXIT_OK;
use crate::cli::identity::{Reach, say_identity};
use crate::decode::Caps;
use crate::engine::{
    CatalogOptions, ConvertOptions, DEFAULT_TABLE, DEFAULT_TARGET_FILE_SIZE, DEFAULT_UNIT_SIZE,
    Duplicates, MEMORY_PER_THREAD, Retry, SchemaMode,
};
use crate::error::Result;
use crate::location::Location;
use crate::operations;
use crate::parquet::DEFAULT_COMPRESSION;
use crate::partition::DEFAULT_PARTITION_BY;
use crate::source::Narrow;
use crate::storage::S3;
use clap::Args as Group;
use std::path::PathBuf;
use std::sync::Arc;

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
    let options = reading_options(sources, args.aws.s3(None)?, narrow)?;
    let reach = Reach::of(&args.sources, false);
    say_identity(&args.aws, &options.s3, reach, args.output.quiet)?;
    print_lock(&operations::infer(&options, !args.bare)?, args.output.report)?;
    Ok(EXIT_OK)
}

/// Options for reading sources without a lake.
fn reading_options(sources: Vec<Location>, s3: Arc<S3>, narrow: Narrow) -> Result<ConvertOptions> {
    Ok(ConvertOptions {
        sources,
        lake: Location::Local(PathBuf::new()),
        into_existing: false,
        restore: false,
        s3,
        threads: 1,
        memory: MEMORY_PER_THREAD,
        unit_size: DEFAULT_UNIT_SIZE,
        target_file_size: DEFAULT_TARGET_FILE_SIZE,
        compression: DEFAULT_COMPRESSION,
        partition_by: DEFAULT_PARTITION_BY.parse()?,
        nested: true,
        narrow,
        look_back_days: None,
        full: true,
        strict: false,
        schema: SchemaMode::Evolve,
        duplicates: Duplicates::Drop,
        caps: Caps::default(),
        retry: Retry::default(),
        catalog: CatalogOptions::new(DEFAULT_TABLE),
    })
}
