//! `trailmill plan`: estimate a conversion; make, show and discard the plan of an array job.

mod discard;
mod estimate;
mod make;
mod show;

use crate::error::Result;
use clap::{Args as Group, Subcommand};
use discard::DiscardArgs;
pub(super) use estimate::estimate;
use make::MakeArgs;
use show::ShowArgs;

/// Estimate a conversion, or write a plan for an array job.
///
/// Without `--children` nothing is written. With it, the sources are listed once, objects that the
/// lake has are left out, the schema is inferred from a sample, and units of work are written into
/// the lake. The children of an array job convert them (`trailmill convert --plan`), and `trailmill
/// finish` commits them to the lake. Until then no other run can write to the lake.
///
/// With `--compact`, the units are partitions that are due for `trailmill compact`; the same commands
/// run and end the array.
#[derive(Debug, Group)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "trailmill plan [OPTIONS] <SOURCE>... <LAKE>
       trailmill plan [OPTIONS] --compact --children <COUNT> <LAKE>
       trailmill plan show [OPTIONS] <PLAN>
       trailmill plan discard [OPTIONS] <PLAN>"
)]
pub(super) struct PlanArgs {
    #[command(subcommand)]
    command: Option<PlanCommand>,

    #[command(flatten)]
    make: MakeArgs,
}

#[derive(Debug, Subcommand)]
enum PlanCommand {
    Show(ShowArgs),
    Discard(DiscardArgs),
}

pub(super) fn run(args: &PlanArgs) -> Result<u8> {
    match &args.command {
        Some(PlanCommand::Show(args)) => show::run(args),
        Some(PlanCommand::Discard(args)) => discard::run(args),
        None => make::run(&args.make),
    }
}
