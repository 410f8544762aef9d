//! Plans of array jobs.

use crate::cli::args::aws::AwsArgs;
use crate::cli::args::values::location;
use crate::location::Location;
use clap::Args as Group;

/// A plan.
#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct PlanPlace {
    /// Address of the plan's document, or the lake for its open plan
    #[arg(value_name = "PLAN", value_parser = location())]
    pub plan: Location,

    #[command(flatten)]
    pub aws: AwsArgs,
}
