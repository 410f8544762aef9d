//! The delivery days of regions in which logs may lie that a run has not seen, as digests say.
//!
//! Where digests cover the time without a hole, only these days are listed, and not all days of the look-back:
//! those on which logs lie that digests name, those before the digests begin, and those from the last
//! listing on. What digests say nothing about is listed as without them.

use crate::units::Day;
use std::collections::{BTreeMap, BTreeSet};

/// The days that may have something new, by the address of a region's folder of logs: `s3://…/CloudTrail/<region>/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedDays {
    regions: BTreeMap<String, RegionDays>,
    /// Digests that were read for it.
    pub digests: u64,
}

/// The days of one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionDays {
    /// Digests begin within this day: it is listed, and all days before it; none: they cover everything that
    /// earlier runs have not listed.
    pub before: Option<Day>,
    /// Days on which logs lie that digests name.
    pub days: BTreeSet<Day>,
    /// From this day on everything is listed.
    pub from: Day,
    /// Logs that digests name for a day, about.
    pub logs_per_day: u64,
}

impl NamedDays {
    /// Returns what so many digests say of no region yet.
    pub fn new(digests: u64) -> Self {
        Self { digests, ..Self::default() }
    }

    /// Adds a region.
    pub fn add(&mut self, address: String, days: RegionDays) {
        self.regions.insert(address, days);
    }

    /// Returns the days of a region; none if digests do not say.
    pub fn of(&self, address: &str) -> Option<&RegionDays> {
        self.regions.get(address)
    }

    /// Adds a day on which something lies that is looked for, if its region is here.
    pub fn add_day(&mut self, address: &str, day: Day) {
        if let Some(region) = self.regions.get_mut(address) {
            region.days.insert(day);
        }
    }
}

impl RegionDays {
    /// Returns the stretches of days to list instead of a window, in their order; both ends are listed.
    pub fn stretches(&self, first: Option<Day>, last: Option<Day>) -> Vec<(Option<Day>, Day)> {
        let before = self.before.filter(|before| first.is_none_or(|first| first <= *before));
        let days = self.days.iter().map(|day| (Some(*day), *day));
        // Those before the window come before what is listed of it.
        let (early, late): (Vec<_>, Vec<_>) =
            days.partition(|(_, day)| first.is_some_and(|first| *day < first));
        let all = early.into_iter().chain(before.map(|before| (first, before))).chain(late);
        let mut out: Vec<(Option<Day>, Day)> = Vec::new();
        for (start, end) in all {
            match out.last_mut() {
                Some((_, last)) if start.is_none_or(|start| start <= last.plus(1)) => {
                    *last = end.max(*last);
                }
                _ => out.push((start, end)),
            }
        }
        // What is listed to the end is not cut into stretches.
        out.retain_mut(|(start, end)| {
            *end = last.map_or(*end, |last| last.min(*end)).min(self.from.plus(-1));
            start.is_none_or(|start| start <= *end)
        });
        out
    }
}
