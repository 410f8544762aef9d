//! `trailmill catalog sync`.

use crate::catalog::Usage;
use crate::cli::args::{CatalogLakeArgs, OutputArgs, PublicationArgs, ViewsArgs, WritingArgs};
use crate::cli::commands::catalog::diff::print_differences;
use crate::cli::console::say;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::error::Result;
use crate::operations::{SyncOptions, open_lake, sync};
use crate::storage::S3;
use clap::Args as Group;

/// Bring the catalog in line with the lake.
///
/// Compares everything, including the columns of every partition. `convert` does the same at its
/// end, but compares fingerprints of the columns.
#[derive(Debug, Group)]
pub(super) struct SyncArgs {
    #[command(flatten)]
    pub lake: CatalogLakeArgs,
    #[command(flatten)]
    pub publication: PublicationArgs,
    #[command(flatten)]
    pub writing: WritingArgs,
    /// Print the changes without making them
    #[arg(long)]
    dry_run: bool,
    /// Accept the loss of the rows of missing data files for good; `convert --restore` restores
    /// them while their sources exist
    #[arg(long)]
    accept_loss: bool,
    #[command(flatten)]
    views: ViewsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) async fn run(args: &SyncArgs, s3: &S3) -> Result<u8> {
    let storage = open_lake(&args.lake.place.lake, s3).await?;
    let how = SyncOptions { dry_run: args.dry_run, accepts_loss: args.accept_loss };
    let format = args.output.report;
    let tell = |found: &_| print_differences(found, format);
    let options = args.views.options(&args.lake, &args.publication)?;
    let found = sync(&storage, &options, how, s3, tell).await?;
    say_usage(args.output.quiet, &found.usage());
    Ok(if found.can_be_resolved(how) { EXIT_OK } else { EXIT_INCOMPLETE })
}

/// Reports the calls to the catalog, for users who pay for them or are throttled.
fn say_usage(quiet: bool, usage: &Usage) {
    if usage.calls > 0 {
        say(
            quiet,
            &format!(
                "calls to the catalog: {}, of which {} may change something, {} were throttled and \
                 {} got no answer",
                usage.calls, usage.writes, usage.throttled, usage.unanswered
            ),
        );
    }
}
