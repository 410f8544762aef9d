//! What becomes of a plan when it is finished.

use crate::engine::Report;
use crate::lake::PlanEnd;
use crate::operations::compact::CompactReport;
use serde::Serialize;

/// Units that are not done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The plan.
    pub plan: String,
    /// Its units.
    pub units: u64,
    /// How many are not done.
    pub missing: u64,
    /// The first of them, by their numbers in the lake.
    pub numbers: Vec<u64>,
    /// Their children, if the array has as many as the plan was cut for.
    pub children: Vec<u64>,
}

/// What became of a plan.
#[derive(Clone, Debug)]
pub enum Finished {
    /// Its units are in the lake.
    Done(Box<Report>),
    /// The partitions that its units compacted are in the lake.
    Compacted(Box<CompactReport>),
    /// Some are not done yet; nothing was changed.
    Missing(Missing),
    /// It has ended before, or none is open.
    Nothing(Option<PlanEnd>),
}
