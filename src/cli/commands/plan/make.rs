//! `trailmill plan`: estimate a conversion, or write the plan of an array job.

use crate::cli::args::{
    ConversionArgs, Format, OutputArgs, PublicationArgs, location, sources_and_lake,
};
use crate::cli::commands::plan::estimate::{estimate, refuse_pipes};
use crate::cli::commands::plan::show::work_plan;
use crate::cli::console::say;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::progress_display::with_progress;
use crate::cli::report::{print, print_json, unavailable as unread};
use crate::engine::{ConvertOptions, DEFAULT_SAMPLED, Progress};
use crate::error::{Error, Result};
use crate::lake::WorkPlan;
use crate::location::Location;
use crate::operations::{self, Children, Planned};
use crate::units::{are, counted};
use clap::Args as Group;
use serde::Serialize;

#[derive(Debug, Group)]
pub(super) struct MakeArgs {
    /// Sources to read: folders, files, archives (tar, zip, 7z; gzip, zstd, bzip2, xz) or
    /// s3://bucket/prefix; then the lake: a folder or s3://bucket/prefix
    #[arg(required = true, num_args = 2.., value_name = "SOURCE, LAKE", value_parser = location())]
    pub places: Vec<Location>,

    /// Write a plan for this number of children; auto: as many as need four minutes each on two
    /// vCPUs
    #[arg(long, visible_alias = "shards", value_name = "COUNT", value_parser = children, help_heading = "Array job")]
    pub children: Option<Children>,

    /// Objects to infer the schema from, across all accounts, regions and months; 0 uses the lake's
    /// schema
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_SAMPLED, requires = "children",
        help_heading = "Array job")]
    pub sample_objects: usize,

    /// Also list the objects of each account, region and delivery date
    #[arg(long, conflicts_with = "children", help_heading = "Output")]
    pub by_delivery: bool,

    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub conversion: ConversionArgs,
}

fn children(text: &str) -> Result<Children> {
    match text {
        "auto" => Ok(Children::Auto),
        _ => match text.parse() {
            Ok(count @ 1..=10_000) => Ok(Children::Count(count)),
            _ => Err(Error::config("expected `auto` or a number from 1 to 10000")),
        },
    }
}

pub(super) fn run(args: &MakeArgs) -> Result<u8> {
    let (sources, lake) = sources_and_lake(&args.places)?;
    let Some(children) = args.children else {
        let places = (sources, lake);
        let publication = PublicationArgs::default();
        return estimate(&args.conversion, &publication, places, &args.output, args.by_delivery);
    };
    refuse_pipes(&sources)?;
    let options = args.conversion.options(&PublicationArgs::default(), sources, lake)?;
    let quiet = args.output.quiet;
    say_identity(&args.conversion.aws, &options.s3, Reach::of_conversion(&options), quiet)?;
    make(args, &options, children)
}

fn make(args: &MakeArgs, options: &ConvertOptions, children: Children) -> Result<u8> {
    let quiet = args.output.quiet;
    let progress = Progress::default();
    let made = with_progress(quiet, &progress, || {
        operations::make_plan(options, children, args.sample_objects, &progress)
    })?;
    let (plan, address, is_new) = match made {
        Planned::New(plan, address) => (plan, address, true),
        Planned::Open(plan, address) => {
            say(quiet, "the lake has an open plan: finish or discard it before making another");
            (plan, address, false)
        }
        Planned::Nothing { known, listing, unavailable } => {
            match args.output.report {
                Format::Json => print_json(&serde_json::json!({
                    "plan": null, "objects_known": known, "listing": listing,
                    "unavailable_by_reason": unavailable,
                }))?,
                Format::Text => print(&format!(
                    "Nothing new: {} {} in the lake already. No plan was made.\n{}",
                    counted(known, "object"),
                    are(known),
                    unread("", &unavailable),
                ))?,
            }
            return Ok(if unavailable.is_empty() { EXIT_OK } else { EXIT_INCOMPLETE });
        }
    };
    match args.output.report {
        Format::Json => print_json(&PlanView { plan: &address, is_new, document: &plan })?,
        Format::Text => print(&work_plan(&plan, &address, is_new))?,
    }
    Ok(EXIT_OK)
}

/// A plan that was made, for programs.
#[derive(Serialize)]
struct PlanView<'a> {
    /// Its address.
    plan: &'a str,
    /// Whether it was made now.
    is_new: bool,
    #[serde(flatten)]
    document: &'a WorkPlan,
}
