//! The time, the requests and the cost of an array job.

use crate::lake::WorkPlan;
use serde::Serialize;

/// What a child is, and prices in dollars. There are no built-in prices.
#[derive(Clone, Debug)]
pub struct Prices {
    /// Children; the plan's own number if not given.
    pub children: Option<u32>,
    /// vCPUs of a child.
    pub vcpus: f64,
    /// GiB of memory of a child.
    pub memory_gib: f64,
    /// MB of JSON that a vCPU converts in a second.
    pub speed: f64,
    /// Of a vCPU for an hour.
    pub vcpu_hour: Option<f64>,
    /// Of a GiB of memory for an hour.
    pub gib_hour: Option<f64>,
    /// Of a thousand PUT requests.
    pub puts: Option<f64>,
    /// Of a thousand GET requests.
    pub gets: Option<f64>,
}

/// An estimate of an array job.
#[derive(Clone, Debug, Serialize)]
pub struct ArrayCost {
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

impl ArrayCost {
    /// Estimates what the children of a plan take.
    pub fn new(plan: &WorkPlan, prices: &Prices) -> Self {
        let totals = &plan.totals;
        let children = prices.children.unwrap_or(plan.children);
        let vcpu_seconds = totals.weight as f64 / 1e6 / prices.speed.max(0.001);
        let vcpus = prices.vcpus.max(0.001);
        // A part ends with a unit, so that the longest is up to one unit longer than the mean.
        let longest = vcpu_seconds * (1.0 / f64::from(children) + 1.0 / totals.units.max(1) as f64);
        let seconds = (longest / vcpus).min(vcpu_seconds / vcpus);
        let hours = vcpu_seconds / 3600.0;
        let puts = (2 + u64::from(plan.settings.typed)) * totals.files + 4 * totals.units;
        let gets = totals.objects + 2 * totals.units + 10 * u64::from(children);
        let parts = [
            prices.vcpu_hour.map(|dollars| dollars * hours),
            prices.gib_hour.map(|dollars| dollars * hours / vcpus * prices.memory_gib),
            prices.puts.map(|dollars| dollars * puts as f64 / 1000.0),
            prices.gets.map(|dollars| dollars * gets as f64 / 1000.0),
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
