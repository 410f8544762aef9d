//! What is told of a plan and of its children, for people.

use crate::cli::array::ArrayEstimate;
use crate::cli::report::{grouped, listing, unavailable};
use crate::engine::Report;
use crate::lake::{PlanEnd, WorkPlan};
use crate::operations::Missing;
use crate::text::clean;
use crate::units::ByteCount;
use std::fmt::Write as _;

/// A plan for an array job, for people.
pub(super) fn work_plan(plan: &WorkPlan, address: &str, is_new: bool) -> String {
    let totals = &plan.totals;
    let mut out = String::new();
    let made = if is_new { "Made" } else { "Plan" };
    let _ = writeln!(out, "{made} {}", clean(address));
    let _ = writeln!(
        out,
        "  work        {} units for {} children: {} objects, {}, about {} of JSON",
        grouped(totals.units),
        grouped(plan.shards.into()),
        grouped(totals.objects),
        ByteCount(totals.bytes),
        ByteCount(totals.bytes_json),
    );
    let _ = writeln!(
        out,
        "  schema      version {}, {} new fields from the sample",
        plan.schema.version,
        grouped(plan.new_fields.len() as u64),
    );
    let _ = writeln!(
        out,
        "  passed over {} in the lake already, {} of other kinds",
        grouped(plan.objects_known),
        grouped(plan.listing.objects_ignored),
    );
    out.push_str(&listing("  ", &plan.listing));
    out.push_str(&unavailable("  ", &plan.unavailable));
    if is_new {
        let lake = clean(address.split("_trailmill/").next().unwrap_or(address));
        let last = plan.shards.saturating_sub(1);
        let _ = writeln!(out, "\nNext:");
        if plan.shards == 1 {
            let _ = writeln!(out, "  trailmill convert --plan {lake}");
        } else {
            let _ = writeln!(
                out,
                "  trailmill convert --plan {lake} --array-index 0   … to {last}; AWS Batch says which"
            );
        }
        let _ = writeln!(out, "  trailmill finish --plan {lake}");
    }
    out
}

/// How far a plan is, and what it would take, for people.
pub(super) fn plan_state(
    plan: &WorkPlan,
    done: u64,
    ended: Option<PlanEnd>,
    estimate: &ArrayEstimate,
) -> String {
    let mut out = String::new();
    let state = match ended {
        None => "open",
        Some(PlanEnd::Finished) => "finished",
        Some(PlanEnd::Discarded) => "given up",
    };
    let units = grouped(plan.totals.units);
    let _ = writeln!(
        out,
        "  state       {state}, made {}; {} of {units} units done",
        clean(&plan.made),
        grouped(done)
    );
    let _ = writeln!(
        out,
        "  estimate    {} children: {:.1} minutes, {:.2} vCPU-hours, {} PUT and {} GET requests",
        grouped(estimate.children.into()),
        estimate.minutes,
        estimate.vcpu_hours,
        grouped(estimate.puts),
        grouped(estimate.gets),
    );
    let _ = match estimate.dollars {
        Some(dollars) => {
            writeln!(out, "  cost        ${dollars:.2}, of what prices were given for")
        }
        None => writeln!(
            out,
            "  cost        give --vcpu-price, --memory-price, --put-price, --get-price"
        ),
    };
    out
}

/// A child's part of a plan, for people.
pub(super) fn shard(report: &Report) -> String {
    let Some(shard) = &report.shard else {
        return "Nothing to convert: the lake has no open plan.\n".to_owned();
    };
    let which = match shard.index {
        Some(index) => format!("Child {index} of {}", grouped(shard.count.into())),
        None => "The whole plan".to_owned(),
    };
    match shard.ended {
        Some(true) => return format!("{which}: nothing to convert, the plan is finished.\n"),
        Some(false) => return format!("{which}: nothing to convert, the plan was given up.\n"),
        None => {}
    }
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{which}: {} units, {} of them done before; {} done now in {:.2} s ({} of JSON a second)",
        grouped(shard.units),
        grouped(shard.units_done_before),
        grouped(report.units),
        report.seconds,
        ByteCount((report.bytes_json as f64 / report.seconds.max(0.001)) as u64),
    );
    let _ = writeln!(
        out,
        "  records     {} read = {} written + {} duplicate + {} filtered + {} quarantined",
        grouped(report.records_read),
        grouped(report.records_written),
        grouped(report.records_duplicate),
        grouped(report.records_filtered),
        grouped(report.records_quarantined),
    );
    if report.interrupted {
        let _ = writeln!(out, "\nStopped before the end; run the same command to go on.");
    }
    out
}

/// Units of a plan that are not done, for people.
pub(super) fn missing(missing: &Missing) -> String {
    let list = |numbers: &[u64]| {
        let shown: Vec<String> = numbers.iter().take(20).map(u64::to_string).collect();
        let more = if numbers.len() > shown.len() { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    format!(
        "{} of {} units are not done; nothing was committed.\n  units       {}\n  children    {}\n\n\
         Run the array again, or these children, and then this: {}\n",
        grouped(missing.missing),
        grouped(missing.units),
        list(&missing.numbers),
        list(&missing.children),
        clean(&missing.plan),
    )
}
