//! `trailmill plan show`.

use crate::cli::args::{Format, OutputArgs, PlanPlace, dollars, positive};
use crate::cli::exit::EXIT_OK;
use crate::cli::identity::{Reach, say_identity};
use crate::cli::report::{listing, print, print_json, unavailable};
use crate::engine::{DEFAULT_SPEED, runtime};
use crate::error::{Error, Result};
use crate::lake::{CompactionSettings, LeftPartition, PlanEnd, WorkPlan};
use crate::operations::{ArrayCost, Prices, find_plan};
use crate::text::clean;
use crate::units::{ByteCount, counted, counted_as, grouped};
use clap::Args as Group;
use std::fmt::Write as _;

/// Show a plan: its size, its progress, and its estimated time and cost.
#[derive(Debug, Group)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    place: PlanPlace,
    #[command(flatten)]
    price: PriceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Inputs of the estimate. There are no built-in prices.
#[derive(Clone, Debug, Group)]
pub(super) struct PriceArgs {
    /// Children [default: the children of the plan]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Estimate")]
    pub children: Option<u32>,

    /// vCPUs of a child
    #[arg(long, value_name = "COUNT", default_value_t = 2.0, value_parser = positive, help_heading = "Estimate")]
    pub vcpus: f64,

    /// GiB of memory of a child
    #[arg(long, value_name = "GIB", default_value_t = 4.0, value_parser = positive, help_heading = "Estimate")]
    pub memory_gib: f64,

    /// MB of JSON that a vCPU converts in a second; the plan's weight also counts requests
    #[arg(long, value_name = "MB", default_value_t = DEFAULT_SPEED, value_parser = positive, help_heading = "Estimate")]
    pub speed: f64,

    /// Dollars for a vCPU for an hour
    #[arg(long, value_name = "DOLLARS", value_parser = dollars, help_heading = "Estimate")]
    pub vcpu_price: Option<f64>,

    /// Dollars for a GiB of memory for an hour
    #[arg(long, value_name = "DOLLARS", value_parser = dollars, help_heading = "Estimate")]
    pub memory_price: Option<f64>,

    /// Dollars for a thousand PUT requests
    #[arg(long, value_name = "DOLLARS", value_parser = dollars, help_heading = "Estimate")]
    pub put_price: Option<f64>,

    /// Dollars for a thousand GET requests
    #[arg(long, value_name = "DOLLARS", value_parser = dollars, help_heading = "Estimate")]
    pub get_price: Option<f64>,
}

impl PriceArgs {
    fn prices(&self) -> Prices {
        Prices {
            children: self.children,
            vcpus: self.vcpus,
            memory_gib: self.memory_gib,
            speed: self.speed,
            vcpu_hour: self.vcpu_price,
            gib_hour: self.memory_price,
            puts: self.put_price,
            gets: self.get_price,
        }
    }
}

pub(super) fn run(args: &ShowArgs) -> Result<u8> {
    let s3 = args.place.aws.s3(None)?;
    say_identity(&args.place.aws, &s3, Reach::of([&args.place.plan], false), args.output.quiet)?;
    let (address, plan, done, ended) = runtime()?.block_on(async {
        let (storage, plan) = find_plan(&args.place.plan, &s3).await?;
        let plan = plan.ok_or_else(|| Error::config("the lake has no open plan"))?;
        let ended = plan.read_end(&storage).await?;
        let done = match ended {
            None => plan.list_done(&storage, 0..plan.totals.units).await?.len() as u64,
            Some(PlanEnd::Finished) => plan.totals.units,
            Some(PlanEnd::Discarded) => 0,
        };
        Ok::<_, Error>((storage.address() + &plan.key(), plan, done, ended))
    })?;
    let estimate = ArrayCost::new(&plan, &args.price.prices());
    match args.output.report {
        Format::Json => print_json(&serde_json::json!({
            "plan": address,
            "document": plan,
            "units_done": done,
            "ended": ended,
            "estimate": estimate,
        }))?,
        Format::Text => {
            print(&work_plan(&plan, &address, false))?;
            print(&plan_state(&plan, done, ended, &estimate))?;
        }
    }
    Ok(EXIT_OK)
}

/// A plan for an array job, for people.
pub(super) fn work_plan(plan: &WorkPlan, address: &str, is_new: bool) -> String {
    let mut out = String::new();
    let made = if is_new { "Made" } else { "Plan" };
    let _ = writeln!(out, "{made} {}", clean(address));
    match &plan.compaction {
        Some(how) => out.push_str(&compaction(plan, how)),
        None => out.push_str(&conversion(plan)),
    }
    if is_new {
        out.push_str(&next_steps(plan, address));
    }
    out
}

/// What is compacted.
fn compaction(plan: &WorkPlan, how: &CompactionSettings) -> String {
    let totals = &plan.totals;
    let mut out = format!(
        "  work        {} for {}: {}, {}\n  written     {} of up to {}, {}\n",
        counted(totals.units, "partition"),
        counted_as(plan.children.into(), "child", "children"),
        counted(totals.objects, "file"),
        ByteCount(totals.bytes),
        counted(totals.files, "file"),
        how.target,
        how.compression,
    );
    out.push_str(&left_partitions(&how.left));
    out
}

/// Partitions that are due and left as they are, for people.
pub(super) fn left_partitions(left: &[LeftPartition]) -> String {
    let line = |left: &LeftPartition| {
        let LeftPartition { table, partition, reason } = left;
        format!("left as it is: {}/{}: {}\n", clean(table), clean(partition), clean(reason))
    };
    left.iter().map(line).collect()
}

/// What is converted.
fn conversion(plan: &WorkPlan) -> String {
    let totals = &plan.totals;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "  work        {} for {}: {}, {}, about {} of JSON",
        counted(totals.units, "unit"),
        counted_as(plan.children.into(), "child", "children"),
        counted(totals.objects, "object"),
        ByteCount(totals.bytes),
        ByteCount(totals.bytes_json),
    );
    let _ = writeln!(
        out,
        "  schema      version {}, {} from the sample",
        plan.schema.version,
        counted(plan.new_fields.len() as u64, "new field"),
    );
    let _ = writeln!(
        out,
        "  passed over {} in the lake already, {} of other kinds",
        grouped(plan.objects_known),
        grouped(plan.listing.objects_ignored),
    );
    out.push_str(&listing("  ", &plan.listing));
    out.push_str(&unavailable("  ", &plan.unavailable));
    out
}

/// What is to be run now.
fn next_steps(plan: &WorkPlan, address: &str) -> String {
    let lake = clean(address.split("_trailmill/").next().unwrap_or(address));
    let which = match plan.children {
        0 | 1 => String::new(),
        many => format!(" --array-index 0   … to {}; AWS Batch sets the index", many - 1),
    };
    format!("\nNext:\n  trailmill convert --plan {lake}{which}\n  trailmill finish --plan {lake}\n")
}

/// How far a plan is, and what it would take, for people.
fn plan_state(plan: &WorkPlan, done: u64, ended: Option<PlanEnd>, estimate: &ArrayCost) -> String {
    let mut out = String::new();
    let state = match ended {
        None => "open",
        Some(PlanEnd::Finished) => "finished",
        Some(PlanEnd::Discarded) => "discarded",
    };
    let units = counted(plan.totals.units, "unit");
    let _ = writeln!(
        out,
        "  state       {state}, made {}; {} of {units} done",
        clean(&plan.made),
        grouped(done)
    );
    let _ = writeln!(
        out,
        "  estimate    {}: {:.1} minutes, {:.2} vCPU-hours, {} PUT and {} GET requests",
        counted_as(estimate.children.into(), "child", "children"),
        estimate.minutes,
        estimate.vcpu_hours,
        grouped(estimate.puts),
        grouped(estimate.gets),
    );
    let _ = match estimate.dollars {
        Some(dollars) => {
            writeln!(out, "  cost        ${dollars:.2}, for the prices given")
        }
        None => writeln!(
            out,
            "  cost        give --vcpu-price, --memory-price, --put-price, --get-price"
        ),
    };
    out
}
