//! `trailmill plan discard`.

use crate::cli::args::{Format, OutputArgs, PlanPlace, WritingArgs};
use crate::cli::exit::EXIT_OK;
use crate::cli::identity::{Reach, say_identity};
use crate::cli::report::{print, print_json};
use crate::error::Result;
use crate::operations::{self, DiscardOptions};
use clap::Args as Group;

/// Discard an open plan: files written by its children are removed, and its objects are new again.
///
/// Cancel its jobs first: `trailmill catalog sync` removes files that a running child writes later.
#[derive(Debug, Group)]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    place: PlanPlace,
    #[command(flatten)]
    writing: WritingArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &DiscardArgs) -> Result<u8> {
    let (place, output) = (&args.place, &args.output);
    let s3 = place.aws.s3(Some(&args.writing))?;
    let options = DiscardOptions { plan: place.plan.clone(), s3 };
    say_identity(&place.aws, &options.s3, Reach::of([&place.plan], false), output.quiet)?;
    let address = operations::discard_plan(&options)?;
    match output.report {
        Format::Json => print_json(&serde_json::json!({ "plan": address, "ended": "discarded" }))?,
        Format::Text => print(&format!("Discarded {address}; its objects are new again.\n"))?,
    }
    Ok(EXIT_OK)
}
