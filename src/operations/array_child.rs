//! What a child of an array job is told, and which part of a plan is its own.

use crate::decode::Passwords;
use crate::error::{Error, Result};
use crate::lake::WorkPlan;
use crate::location::Location;
use crate::storage::S3;
use crate::units::ByteCount;
use std::sync::Arc;

/// A child of an array job, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayChild {
    /// From 0.
    pub index: u32,
    /// How many there are; none: as many as the plan was cut for.
    pub count: Option<u32>,
}

/// What a child is told; the plan says the rest.
#[derive(Clone, Debug)]
pub struct ChildOptions {
    /// The plan's document, or a lake with an open plan.
    pub plan: Location,
    /// How S3 is reached.
    pub s3: Arc<S3>,
    /// Worker threads.
    pub threads: usize,
    /// Bytes in flight.
    pub memory: ByteCount,
    /// Which part; none: the whole plan.
    pub child: Option<ArrayChild>,
    /// What is tried on archives that are encrypted: those that the plan was made with.
    pub passwords: Passwords,
}

/// The units of a part: those that begin in a stretch of the plan's weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) index: u128,
    pub(super) count: u128,
    weight: u128,
}

impl Part {
    pub(super) fn new(plan: &WorkPlan, child: Option<ArrayChild>) -> Self {
        let whole = ArrayChild { index: 0, count: Some(1) };
        let ArrayChild { index, count } = child.unwrap_or(whole);
        let count = count.unwrap_or(plan.children).max(1);
        let weight = u128::from(plan.totals.weight.max(1));
        Self { index: index.into(), count: count.into(), weight }
    }

    /// Which part has what begins after so much weight.
    fn of(self, start: u64) -> u128 {
        u128::from(start) * self.count / self.weight
    }

    /// Whether a unit that begins after so much weight is in it.
    pub(super) fn has(self, start: u64) -> bool {
        self.of(start) == self.index
    }

    /// Whether any unit that begins within a stretch may be in it.
    pub(super) fn touches(self, start: u64, weight: u64) -> bool {
        self.of(start) <= self.index && self.index <= self.of(start + weight)
    }
}

/// Returns which child of an array of this size has the unit that begins after so much weight.
pub(super) fn child_of(plan: &WorkPlan, start: u64) -> u128 {
    Part::new(plan, Some(ArrayChild { index: 0, count: None })).of(start)
}

/// Insists that the plan was made by this version.
pub(super) fn check_program(plan: &WorkPlan) -> Result<()> {
    let settings = &plan.settings;
    if settings.program != env!("CARGO_PKG_VERSION") {
        let message = format!(
            "the plan was made by version {} of this program; its jobs must run the same version",
            settings.program
        );
        return Err(Error::config(message).at("plan", &plan.id));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_unit_is_in_exactly_one_part_and_every_part_finds_its_own(
            weights in prop::collection::vec(1_u64..1000, 1..60),
            count in 1_u128..20,
            cut in 1_usize..7,
        ) {
            let weight = u128::from(weights.iter().sum::<u64>());
            let mut owners = vec![0; weights.len()];
            for index in 0..count {
                let part = Part { index, count, weight };
                let mut start = 0;
                for (at, units) in weights.chunks(cut).enumerate() {
                    let mut inner = start;
                    for (within, unit) in units.iter().enumerate() {
                        if part.has(inner) {
                            owners[at * cut + within] += 1;
                            prop_assert!(part.touches(start, units.iter().sum()));
                        }
                        inner += unit;
                    }
                    start = inner;
                }
            }
            prop_assert!(owners.iter().all(|owners| *owners == 1));
        }
    }
}
