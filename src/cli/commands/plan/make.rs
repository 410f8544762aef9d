//! `trailmill plan`: estimate a conversion, or write the plan of an array job.

use crate::cli::args::{
    CompactionArgs, ConversionArgs, Format, OutputArgs, ProofArgs, PublicationArgs, location,
    sources_and_lake,
};
use crate::cli::commands::compact::DEFAULT_CODEC;
use crate::cli::commands::plan::estimate::{estimate, refuse_pipes};
use crate::cli::commands::plan::show::{left_partitions, work_plan};
use crate::cli::console::say;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::machine::{memory, threads};
use crate::cli::progress_display::with_progress;
use crate::cli::report::{print, print_json, unavailable as unread};
use crate::engine::{CatalogKind, ConvertOptions, DEFAULT_SAMPLED, DEFAULT_TABLE, Progress};
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
    /// s3://bucket/prefix; then the lake: a folder or s3://bucket/prefix. With --compact the lake alone
    #[arg(required = true, num_args = 1.., value_name = "SOURCE, LAKE", value_parser = location())]
    pub places: Vec<Location>,

    /// Write a plan for this number of children; auto: as many as need four minutes each on two
    /// vCPUs
    #[arg(long, visible_alias = "shards", value_name = "COUNT", value_parser = children, help_heading = "Array job")]
    pub children: Option<Children>,

    /// Plan a compaction: partitions that are due, balanced by their bytes
    #[arg(
        long,
        requires = "children",
        // A group that flattens another one is empty for clap: its arguments are named.
        conflicts_with_all = ["sample_objects", "partition_by", "no_typed", "schema", "target_file_size", "unit_size",
            "into_existing", "table", "NarrowArgs", "ReadingArgs", "look_back", "full", "from_digests", "strict",
            "retry", "duplicates", "max_object_size", "max_ratio", "archive_password_file", "integrity",
            "EvidenceArgs"],
        help_heading = "Array job"
    )]
    pub compact: bool,

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
    pub proof: ProofArgs,
    #[command(flatten)]
    pub conversion: ConversionArgs,
    #[command(flatten)]
    pub compaction: CompactionArgs,
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
    if args.compact {
        return plan_compaction(args);
    }
    if let Some(option) = args.compaction.given() {
        return Err(Error::config(format!("`{option}` is for a plan with `--compact`")));
    }
    let (sources, lake) = sources_and_lake(&args.places)?;
    let Some(children) = args.children else {
        let places = (sources, lake);
        let how = (&PublicationArgs::default(), &args.proof);
        return estimate(&args.conversion, how, places, &args.output, args.by_delivery);
    };
    refuse_pipes(&sources)?;
    let mut options = args.conversion.options(&PublicationArgs::default(), sources, lake)?;
    options.integrity = args.proof.integrity(args.conversion.patience())?;
    let quiet = args.output.quiet;
    say_identity(&args.conversion.aws, &options.s3, Reach::of_conversion(&options), quiet)?;
    make(args, &options, children)
}

/// Plans a compaction.
fn plan_compaction(args: &MakeArgs) -> Result<u8> {
    let [lake] = &args.places[..] else {
        return Err(Error::config("`--compact` takes the lake alone: there is no source"));
    };
    let MakeArgs { conversion, output, .. } = args;
    conversion.writing.encryption.refuse_folder(lake)?;
    let threads = threads(conversion.work.threads);
    let (publication, retry) = (PublicationArgs::default(), conversion.aws.retry_timeout);
    let compression = match conversion.lake.compression {
        Some(compression) => compression,
        None => DEFAULT_CODEC.parse()?,
    };
    let options = args.compaction.options(
        conversion.aws.s3_and_glue(Some(&conversion.writing), &conversion.catalog.glue)?,
        conversion.catalog.options(&publication, retry, DEFAULT_TABLE),
        compression,
        (threads, memory(conversion.work.memory, threads)),
    );
    let in_glue = options.catalog.kind == Some(CatalogKind::Glue);
    say_identity(&conversion.aws, &options.s3, Reach::of([lake], in_glue), output.quiet)?;
    let children = args.children.unwrap_or(Children::Auto);
    report(operations::plan_compaction(lake, &options, children)?, output)
}

fn make(args: &MakeArgs, options: &ConvertOptions, children: Children) -> Result<u8> {
    let quiet = args.output.quiet;
    let progress = Progress::default();
    let made = with_progress(quiet, &progress, || {
        operations::make_plan(options, children, args.sample_objects, &progress)
    })?;
    report(made, &args.output)
}

/// Says what plan was made; returns the exit code.
fn report(made: Planned, output: &OutputArgs) -> Result<u8> {
    let (plan, address, is_new) = match made {
        Planned::New(plan, address) => (plan, address, true),
        Planned::Open(plan, address) => {
            say(
                output.quiet,
                "the lake has an open plan: finish or discard it before making another",
            );
            (plan, address, false)
        }
        Planned::NothingToCompact(plan) => {
            let left = plan.compaction.as_ref().map_or(&[][..], |how| &how.left);
            match output.report {
                Format::Json => print_json(&serde_json::json!({ "plan": null, "left": left }))?,
                Format::Text => {
                    print("No partition is to be compacted. No plan was made.\n")?;
                    print(&left_partitions(left))?;
                }
            }
            return Ok(if left.is_empty() { EXIT_OK } else { EXIT_INCOMPLETE });
        }
        Planned::Nothing { known, listing, unavailable } => {
            match output.report {
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
    match output.report {
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
