//! What can be typed of the commands that make, show, give up and finish a plan.

use crate::cli::args::{
    AwsArgs, CatalogPlaceArgs, ConversionArgs, EncryptionArgs, EndingArgs, OutputArgs,
    PublicationArgs, location,
};
use crate::engine::{DEFAULT_SAMPLED, DEFAULT_SPEED};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::operations::Children;
use clap::{Args as Group, Subcommand};

/// Say what a conversion would read and make, or write a plan for an array job.
///
/// Without `--shards` nothing is written. With it, the sources are listed once, the lake's ledger is
/// subtracted, the schema is inferred from a sample, and units of work are written into the lake. The
/// children of an array job convert them (`trailmill convert --plan`), and `trailmill finish` makes
/// them the lake's. Until then nobody else can write to the lake.
#[derive(Debug, Group)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "trailmill plan [OPTIONS] <SOURCE>... <LAKE>
       trailmill plan show [OPTIONS] <PLAN>
       trailmill plan discard [OPTIONS] <PLAN>"
)]
pub(super) struct PlanArgs {
    #[command(subcommand)]
    pub command: Option<PlanCommand>,

    /// Folders, files, archives (.json, .json.gz, .tar, .tar.gz, .zip) or s3://bucket/prefix to read;
    /// and the lake: a folder or s3://bucket/prefix
    #[arg(required = true, num_args = 2.., value_name = "SOURCE, LAKE", value_parser = location())]
    pub places: Vec<Location>,

    /// Write a plan for so many children: a number, or auto for four minutes each of two vCPUs
    #[arg(long, value_name = "COUNT", value_parser = shards, help_heading = "Array job")]
    pub shards: Option<Children>,

    /// Objects to infer the schema from, of all accounts, regions and months; 0 for the lake's schema
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_SAMPLED, requires = "shards",
        help_heading = "Array job")]
    pub sample_objects: usize,

    #[command(flatten)]
    pub conversion: ConversionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

fn shards(text: &str) -> Result<Children> {
    match text {
        "auto" => Ok(Children::Auto),
        _ => match text.parse() {
            Ok(count @ 1..=10_000) => Ok(Children::Count(count)),
            _ => Err(Error::config("give `auto`, or a number from 1 to 10000")),
        },
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum PlanCommand {
    /// Show a plan: what it comes to, how much of it is done, and what it would take.
    Show {
        #[command(flatten)]
        plan: PlanPlace,
        #[command(flatten)]
        price: PriceArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Give an open plan up: what its children wrote is removed, and its objects are new again.
    ///
    /// Cancel its jobs first: what a child that still runs writes after that is removed by
    /// `trailmill catalog sync`.
    Discard {
        #[command(flatten)]
        plan: PlanPlace,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// A plan.
#[derive(Clone, Debug, Group)]
pub(super) struct PlanPlace {
    /// The plan's document, or the lake for the plan that is open there
    #[arg(value_name = "PLAN", value_parser = location())]
    pub plan: Location,

    #[command(flatten)]
    pub aws: AwsArgs,
}

/// What an array would take. There are no built-in prices.
#[derive(Clone, Debug, Group)]
pub(super) struct PriceArgs {
    /// Children [default: the shards of the plan]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Estimate")]
    pub children: Option<u32>,

    /// vCPUs of a child
    #[arg(long, value_name = "COUNT", default_value_t = 2.0, help_heading = "Estimate")]
    pub vcpus: f64,

    /// GiB of memory of a child
    #[arg(long, value_name = "GIB", default_value_t = 4.0, help_heading = "Estimate")]
    pub memory_gib: f64,

    /// MB of JSON that a vCPU converts in a second; what a plan weighs counts requests as well
    #[arg(long, value_name = "MB", default_value_t = DEFAULT_SPEED, help_heading = "Estimate")]
    pub speed: f64,

    /// Dollars for a vCPU for an hour
    #[arg(long, value_name = "DOLLARS", help_heading = "Estimate")]
    pub vcpu_price: Option<f64>,

    /// Dollars for a GiB of memory for an hour
    #[arg(long, value_name = "DOLLARS", help_heading = "Estimate")]
    pub memory_price: Option<f64>,

    /// Dollars for a thousand PUT requests
    #[arg(long, value_name = "DOLLARS", help_heading = "Estimate")]
    pub put_price: Option<f64>,

    /// Dollars for a thousand GET requests
    #[arg(long, value_name = "DOLLARS", help_heading = "Estimate")]
    pub get_price: Option<f64>,
}

/// End an array job: commit what its children did, and bring the catalog in line.
///
/// Makes sure that every unit of the plan is done; exit code 75 and a list if some are not. Then all
/// of them become the lake's, the schema grows by what the children saw beyond the plan's, the catalog
/// is brought in line, and one report is written for the whole array. Killed or failed, it goes on
/// where it was when it is run again.
#[derive(Debug, Group)]
pub(super) struct FinishArgs {
    /// The plan's document, or the lake for the plan that is open there
    #[arg(long, value_name = "PLAN", value_parser = location())]
    pub plan: Location,

    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub encryption: EncryptionArgs,
    #[command(flatten)]
    pub catalog: CatalogPlaceArgs,
    #[command(flatten)]
    pub publication: PublicationArgs,
    #[command(flatten)]
    pub ending: EndingArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}
