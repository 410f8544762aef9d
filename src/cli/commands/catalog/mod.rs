//! `trailmill catalog`: show, compare and repair the catalog; print it as SQL.

mod ddl;
mod diff;
mod show;
mod sync;

use crate::cli::args::{CatalogLakeArgs, CatalogName, WritingArgs};
use crate::cli::identity::{Reach, say_identity};
use crate::engine::runtime;
use crate::error::Result;
use crate::storage::S3;
use clap::{Args as Group, Subcommand};
use ddl::DdlArgs;
use diff::DiffArgs;
use show::ShowArgs;
use std::sync::Arc;
use sync::SyncArgs;

/// Show, compare and repair the lake's catalog; print it as SQL.
#[derive(Debug, Group)]
pub(super) struct CatalogArgs {
    #[command(subcommand)]
    command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    Show(ShowArgs),
    Ddl(DdlArgs),
    Diff(DiffArgs),
    Sync(SyncArgs),
}

pub(super) fn run(args: &CatalogArgs) -> Result<u8> {
    let s3 = match &args.command {
        CatalogCommand::Show(args) => reach(&args.lake, None, args.output.quiet),
        CatalogCommand::Ddl(args) => reach(&args.lake, None, false),
        CatalogCommand::Diff(args) => reach(&args.lake, None, args.output.quiet),
        CatalogCommand::Sync(args) => reach(&args.lake, Some(&args.writing), args.output.quiet),
    }?;
    runtime()?.block_on(async {
        match &args.command {
            CatalogCommand::Show(args) => show::run(args, &s3).await,
            CatalogCommand::Ddl(args) => ddl::run(args, &s3).await,
            CatalogCommand::Diff(args) => diff::run(args, &s3).await,
            CatalogCommand::Sync(args) => sync::run(args, &s3).await,
        }
    })
}

/// Reports the identity, and returns S3 with the command's options.
fn reach(lake: &CatalogLakeArgs, writing: Option<&WritingArgs>, quiet: bool) -> Result<Arc<S3>> {
    let s3 = lake.place.aws.s3_and_glue(writing, &lake.catalog.glue)?;
    let in_glue = lake.catalog.catalog == Some(CatalogName::Glue);
    say_identity(&lake.place.aws, &s3, Reach::of([&lake.place.lake], in_glue), quiet)?;
    Ok(s3)
}
