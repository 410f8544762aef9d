//! The commands of an array job: make, show and give up a plan; convert a part of it; finish it.

use crate::cli::args::{ConvertArgs, Format, OutputArgs, sources_and_lake};
use crate::cli::commands::{conversion_options, ended, reach_of};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::lake::catalog_options;
use crate::cli::machine::{memory, threads};
use crate::cli::metrics::{tell_run, watched};
use crate::cli::plan_args::{FinishArgs, PlanArgs, PlanCommand, PlanPlace, PriceArgs};
use crate::cli::plan_report;
use crate::cli::progress::{say, say_begin, shown};
use crate::cli::report::{self, print, print_json};
use crate::cli::signals::stop_on_signal;
use crate::cli::{EXIT_OK, EXIT_SET_ASIDE, EXIT_TRY_LATER};
use crate::engine::{CatalogKind, Progress, runtime};
use crate::error::{Error, Result};
use crate::lake::{PlanEnd, WorkPlan};
use crate::location::Location;
use crate::operations;
use crate::operations::{
    ArrayChild, ChildOptions, DiscardOptions, FinishOptions, Finished, Planned, find_plan,
    lake_of_plan,
};
use serde::Serialize;

/// Says what would be done, or writes a plan; shows one, or gives it up.
pub(super) fn plan(args: &PlanArgs) -> Result<u8> {
    match &args.command {
        Some(PlanCommand::Show { plan, price, output }) => show(plan, price, output),
        Some(PlanCommand::Discard { plan, output }) => discard(plan, output),
        None => make(args),
    }
}

fn make(args: &PlanArgs) -> Result<u8> {
    let (sources, lake) = sources_and_lake(&args.places)?;
    let options = conversion_options(&args.conversion, &Default::default(), sources, lake)?;
    say_identity(&args.conversion.aws, &options.s3, reach_of(&options), args.output.quiet)?;
    let Some(shards) = args.shards else {
        let report = operations::estimate(&options)?;
        match args.output.report {
            Format::Json => print_json(&report)?,
            Format::Text => print(&report::plan(&report))?,
        }
        return Ok(EXIT_OK);
    };
    let quiet = args.output.quiet;
    let made = shown(quiet, &Progress::default(), || {
        operations::make_plan(&options, shards, args.sample_objects)
    })?;
    let (plan, address, is_new) = match made {
        Planned::New(plan, address) => (plan, address, true),
        Planned::Open(plan, address) => {
            say(
                quiet,
                "the lake has an open plan, which comes first; make another when it is finished",
            );
            (plan, address, false)
        }
        Planned::Nothing { known, listing, unavailable } => {
            match args.output.report {
                Format::Json => print_json(&serde_json::json!({
                    "plan": null, "objects_known": known, "listing": listing,
                    "unavailable_by_reason": unavailable,
                }))?,
                Format::Text => print(&format!(
                    "Nothing new: {} objects are in the lake already. No plan was made.\n{}",
                    report::grouped(known),
                    report::unavailable("", &unavailable),
                ))?,
            }
            return Ok(if unavailable.is_empty() { EXIT_OK } else { EXIT_SET_ASIDE });
        }
    };
    match args.output.report {
        Format::Json => print_json(&PlanView { plan: &address, is_new, document: &plan })?,
        Format::Text => print(&plan_report::work_plan(&plan, &address, is_new))?,
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

fn show(place: &PlanPlace, price: &PriceArgs, output: &OutputArgs) -> Result<u8> {
    let s3 = place.aws.s3(None)?;
    say_identity(&place.aws, &s3, Reach::of([&place.plan], false), output.quiet)?;
    let (address, plan, done, ended) = runtime()?.block_on(async {
        let (storage, plan) = find_plan(&place.plan, &s3).await?;
        let plan = plan.ok_or_else(|| Error::config("the lake has no open plan"))?;
        let ended = plan.ended(&storage).await?;
        let done = match ended {
            None => plan.done(&storage, 0..plan.totals.units).await?.len() as u64,
            Some(PlanEnd::Finished) => plan.totals.units,
            Some(PlanEnd::Discarded) => 0,
        };
        Ok::<_, Error>((storage.address() + &plan.key(), plan, done, ended))
    })?;
    let estimate = ArrayEstimate::new(&plan, price);
    match output.report {
        Format::Json => print_json(&serde_json::json!({
            "plan": address,
            "document": plan,
            "units_done": done,
            "ended": ended,
            "estimate": estimate,
        }))?,
        Format::Text => {
            print(&plan_report::work_plan(&plan, &address, false))?;
            print(&plan_report::plan_state(&plan, done, ended, &estimate))?;
        }
    }
    Ok(EXIT_OK)
}

/// What an array would take.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ArrayEstimate {
    /// Children.
    pub children: u32,
    /// Minutes of the longest child, if all run at once.
    pub minutes: f64,
    /// vCPU-hours of all children.
    pub vcpu_hours: f64,
    /// PUT requests: data files, claims, and some for each unit.
    pub puts: u64,
    /// GET requests.
    pub gets: u64,
    /// Dollars, as far as prices were given.
    pub dollars: Option<f64>,
}

impl ArrayEstimate {
    fn new(plan: &WorkPlan, price: &PriceArgs) -> Self {
        let totals = &plan.totals;
        let children = price.children.unwrap_or(plan.shards);
        let vcpu_seconds = totals.weight as f64 / 1e6 / price.speed.max(0.001);
        let vcpus = price.vcpus.max(0.001);
        // A part ends with a unit, so that the longest is up to one unit longer than the mean.
        let longest = vcpu_seconds * (1.0 / f64::from(children) + 1.0 / totals.units.max(1) as f64);
        let seconds = (longest / vcpus).min(vcpu_seconds / vcpus);
        let hours = vcpu_seconds / 3600.0;
        let puts = 2 * totals.files + 4 * totals.units;
        let gets = totals.objects + 2 * totals.units + 10 * u64::from(children);
        let parts = [
            price.vcpu_price.map(|dollars| dollars * hours),
            price.memory_price.map(|dollars| dollars * hours / vcpus * price.memory_gib),
            price.put_price.map(|dollars| dollars * puts as f64 / 1000.0),
            price.get_price.map(|dollars| dollars * gets as f64 / 1000.0),
        ];
        let is_priced = parts.iter().any(Option::is_some);
        Self {
            children,
            minutes: seconds / 60.0,
            vcpu_hours: hours,
            puts,
            gets,
            dollars: is_priced.then(|| parts.into_iter().flatten().sum()),
        }
    }
}

fn discard(place: &PlanPlace, output: &OutputArgs) -> Result<u8> {
    let options = DiscardOptions { plan: place.plan.clone(), s3: place.aws.s3(None)? };
    say_identity(&place.aws, &options.s3, Reach::of([&place.plan], false), output.quiet)?;
    let address = operations::discard_plan(&options)?;
    match output.report {
        Format::Json => print_json(&serde_json::json!({ "plan": address, "ended": "discarded" }))?,
        Format::Text => print(&format!("Gave up {address}; its objects are new again.\n"))?,
    }
    Ok(EXIT_OK)
}

/// Says which child of an array this is, by options or else by AWS Batch; nothing where it is none.
///
/// # Errors
/// `Config` for what is no number, and for a number that no child of such an array has.
pub(super) fn shard(args: &ConvertArgs) -> Result<Option<ArrayChild>> {
    let index = match args.array_index {
        None => from_environment("AWS_BATCH_JOB_ARRAY_INDEX")?,
        given => given,
    };
    let count = match args.array_size {
        None => from_environment("AWS_BATCH_JOB_ARRAY_SIZE")?,
        given => given,
    };
    match (index, count) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::config("an array has a size, and this child no index")),
        (Some(index), Some(count)) if index >= count => {
            Err(Error::config(format!("an array of {count} has no child {index}: the first is 0")))
        }
        (Some(index), count) => Ok(Some(ArrayChild { index, count })),
    }
}

fn from_environment(name: &str) -> Result<Option<u32>> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .map(Some)
            .map_err(|_| Error::config(format!("the environment's {name} is no number"))),
        _ => Ok(None),
    }
}

/// Converts a child's part of a plan. What was set aside is no failure of the child: `finish` tells.
pub(super) fn convert_plan(
    args: &ConvertArgs,
    plan: &Location,
    shard: Option<ArrayChild>,
) -> Result<u8> {
    let threads = threads(args.conversion.work.threads);
    let options = ChildOptions {
        plan: plan.clone(),
        s3: args.conversion.aws.s3(Some(&args.conversion.encryption))?,
        threads,
        memory: memory(args.conversion.work.memory, threads),
        child: shard,
    };
    let (quiet, metrics) = (args.output.quiet, args.ending.metrics);
    let lake = lake_of_plan(plan).to_string();
    let stop = stop_on_signal(quiet)?;
    say_identity(&args.conversion.aws, &options.s3, Reach::of([plan], false), quiet)?;
    say_begin(quiet, threads, options.memory.0);
    let progress = watched(quiet, metrics, &lake);
    let report = shown(quiet, &progress, || operations::convert_plan(&options, &progress, &stop))?;
    tell_run(metrics, &report, &lake);
    match args.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&plan_report::shard(&report))?,
    }
    Ok(if report.interrupted { EXIT_TRY_LATER } else { EXIT_OK })
}

/// Makes a plan's units the lake's.
pub(super) fn finish(args: &FinishArgs) -> Result<u8> {
    let retry = args.aws.retry_timeout;
    let options = FinishOptions {
        plan: args.plan.clone(),
        s3: args.aws.s3(Some(&args.encryption))?,
        catalog: catalog_options(&args.catalog, &args.publication, retry, String::new()),
    };
    let quiet = args.output.quiet;
    let in_glue = options.catalog.kind == Some(CatalogKind::Glue);
    say_identity(&args.aws, &options.s3, Reach::of([&args.plan], in_glue), quiet)?;
    let progress = Progress::default();
    let finished = shown(quiet, &progress, || operations::finish_plan(&options, &progress))?;
    match finished {
        Finished::Done(report) => {
            let lake = lake_of_plan(&args.plan).to_string();
            tell_run(args.ending.metrics, &report, &lake);
            let text = || report::finished(&report, &lake);
            ended(&report, args.output.report, text, args.ending.allow_quarantine)
        }
        Finished::Missing(missing) => {
            match args.output.report {
                Format::Json => print_json(&missing)?,
                Format::Text => print(&plan_report::missing(&missing))?,
            }
            Ok(EXIT_TRY_LATER)
        }
        Finished::Nothing(end) => {
            match args.output.report {
                Format::Json => print_json(&serde_json::json!({ "ended": end }))?,
                Format::Text => print(match end {
                    None => "Nothing to finish: the lake has no open plan.\n",
                    Some(PlanEnd::Finished) => "Nothing to finish: the plan is finished.\n",
                    Some(PlanEnd::Discarded) => "Nothing to finish: the plan was given up.\n",
                })?,
            }
            Ok(EXIT_OK)
        }
    }
}
