//! Which accounts and regions have events on which days, and where there are gaps.
//!
//! A day without events is a gap if its account and region have events on two days of three, from the first
//! one to the last: what is used once a month has no gaps, and what fell silent has one to the end. The last
//! day of all is left out, since it may not have ended.

use crate::units::Day;
use serde::Serialize;

/// Cells in a row of the heat map, at most.
const CELLS: i32 = 100;

/// Accounts and regions that are listed with their days; those with most events.
const LISTED: usize = 24;

/// Days with events that an account and region must have to have gaps.
const FEWEST: i64 = 3;

/// Gaps that are listed; the longest.
const GAPS: usize = 200;

/// The days of a lake's accounts and regions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The statement that the days are counted with.
    pub sql: String,
    /// How many accounts have events.
    pub accounts: u64,
    /// How many pairs of an account and a region have events.
    pub pairs_total: u64,
    /// The first day with an event.
    pub first_day: String,
    /// The last day with an event.
    pub last_day: String,
    /// Days that a cell stands for.
    pub days_per_cell: i32,
    /// Pairs of an account and a region, those with most events first.
    pub pairs: Vec<Pair>,
    /// How many gaps there are.
    pub gaps_total: u64,
    /// Gaps, the longest first.
    pub gaps: Vec<Gap>,
}

/// An account and a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// Its events.
    pub events: u64,
    /// Days that have events.
    pub days: u64,
    /// Days in gaps.
    pub days_missing: u64,
    /// The first day with an event.
    pub first_day: String,
    /// The last day with an event.
    pub last_day: String,
    /// Events of each cell.
    pub cells: Vec<u64>,
    /// Which cells have a day in a gap.
    pub gap_cells: Vec<bool>,
}

/// Consecutive days without events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The first day.
    pub first_day: String,
    /// The last day.
    pub last_day: String,
    /// How many days.
    pub days: u64,
}

/// The days of one pair.
#[derive(Default)]
struct Days {
    account: String,
    region: String,
    days: Vec<(i32, u64)>,
}

/// Counts by account, region and day, as they come in.
#[derive(Default)]
pub struct DayCounts(Vec<Days>);

impl DayCounts {
    /// Adds a count. Counts come in the order of account, region and day.
    pub fn add(&mut self, account: &str, region: &str, day: &str, events: u64) {
        let is_same = |it: &&mut Days| it.account == account && it.region == region;
        let Ok(Day(day)) = day.parse::<Day>() else { return };
        match self.0.last_mut().filter(is_same) {
            Some(pair) => pair.days.push((day, events)),
            None => self.0.push(Days {
                account: account.to_owned(),
                region: region.to_owned(),
                days: vec![(day, events)],
            }),
        }
    }

    /// Returns what they say.
    pub fn finish(self, sql: String) -> Coverage {
        let all = || self.0.iter().flat_map(|pair| &pair.days).map(|(day, _)| *day);
        let (Some(first), Some(last)) = (all().min(), all().max()) else {
            return Coverage { sql, ..Coverage::default() };
        };
        let days_per_cell = (last - first) / CELLS + 1;
        let mut accounts: Vec<&str> = self.0.iter().map(|pair| &*pair.account).collect();
        accounts.dedup();
        let mut gaps: Vec<Gap> = self.0.iter().flat_map(|pair| pair.gaps(last)).collect();
        let gaps_total = gaps.len() as u64;
        // The order of pairs stands for ties.
        gaps.sort_by_key(|gap| std::cmp::Reverse(gap.days));
        gaps.truncate(GAPS);
        let mut order: Vec<&Days> = self.0.iter().collect();
        order.sort_by_key(|pair| std::cmp::Reverse(pair.events()));
        let listed = order.into_iter().take(LISTED);
        Coverage {
            accounts: accounts.len() as u64,
            pairs_total: self.0.len() as u64,
            first_day: Day(first).to_string(),
            last_day: Day(last).to_string(),
            days_per_cell,
            pairs: listed.map(|pair| pair.listed(first, last, days_per_cell)).collect(),
            gaps_total,
            gaps,
            sql,
        }
    }
}

impl Days {
    fn events(&self) -> u64 {
        self.days.iter().map(|(_, events)| events).sum()
    }

    /// Runs of missing days, as the first and the last day of each.
    fn missing(&self, last: i32) -> Vec<(i32, i32)> {
        let (Some((first, _)), Some((end, _))) = (self.days.first(), self.days.last()) else {
            return Vec::new();
        };
        let days = self.days.len() as i64;
        if days < FEWEST || days * 3 < i64::from(end - first + 1) * 2 {
            return Vec::new();
        }
        let ends = self.days.iter().map(|(day, _)| *day).skip(1).chain([last]);
        let between = self.days.iter().map(|(day, _)| *day).zip(ends);
        between
            .filter(|(day, next)| next - day > 1)
            .map(|(day, next)| (day + 1, next - 1))
            .collect()
    }

    fn gaps(&self, last: i32) -> Vec<Gap> {
        let gap = |(first, last): (i32, i32)| Gap {
            account: self.account.clone(),
            region: self.region.clone(),
            first_day: Day(first).to_string(),
            last_day: Day(last).to_string(),
            days: u64::from((last - first + 1).unsigned_abs()),
        };
        self.missing(last).into_iter().map(gap).collect()
    }

    fn listed(&self, first: i32, last: i32, days_per_cell: i32) -> Pair {
        let count = ((last - first) / days_per_cell + 1) as usize;
        let cell = |day: i32| ((day - first) / days_per_cell) as usize;
        let (mut cells, mut gap_cells) = (vec![0; count], vec![false; count]);
        for (day, events) in &self.days {
            cells[cell(*day)] += events;
        }
        let missing = self.missing(last);
        for (from, to) in &missing {
            gap_cells[cell(*from)..=cell(*to)].fill(true);
        }
        let days_missing =
            missing.iter().map(|(from, to)| u64::from((to - from + 1).unsigned_abs()));
        let day =
            |found: Option<&(i32, u64)>| found.map_or(String::new(), |it| Day(it.0).to_string());
        Pair {
            account: self.account.clone(),
            region: self.region.clone(),
            events: self.events(),
            days: self.days.len() as u64,
            days_missing: days_missing.sum(),
            first_day: day(self.days.first()),
            last_day: day(self.days.last()),
            cells,
            gap_cells,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(days: &[(&str, &str)]) -> Coverage {
        let mut counts = DayCounts::default();
        for (region, day) in days {
            counts.add("111122223333", region, &format!("2026-10-{day}"), 2);
        }
        counts.finish(String::new())
    }

    #[test]
    fn days_without_events_are_gaps_where_most_days_have_some() {
        let days = [("a", "01"), ("a", "02"), ("a", "05"), ("a", "06"), ("a", "07"), ("b", "01")];

        let found = coverage(&days);

        assert_eq!((found.pairs_total, found.gaps_total), (2, 1), "b is used too rarely");
        assert_eq!(
            (&*found.gaps[0].first_day, &*found.gaps[0].last_day),
            ("2026-10-03", "2026-10-04")
        );
        assert_eq!(found.pairs[0].cells, [2, 2, 0, 0, 2, 2, 2]);
        assert_eq!(found.pairs[0].gap_cells, [false, false, true, true, false, false, false]);
        assert_eq!(found.pairs[0].days_missing, 2);
    }

    #[test]
    fn a_region_that_falls_silent_has_a_gap_and_the_last_day_of_all_counts_for_none() {
        let found = coverage(&[("a", "01"), ("a", "02"), ("a", "03"), ("b", "04"), ("b", "05")]);

        assert_eq!(found.gaps_total, 1);
        assert_eq!((&*found.gaps[0].region, &*found.gaps[0].first_day), ("a", "2026-10-04"));
        assert_eq!(found.gaps[0].days, 1);
    }

    #[test]
    fn days_of_all_ages_take_a_bounded_number_of_cells() {
        let mut counts = DayCounts::default();
        for day in ["0001-01-01", "2026-10-01", "9999-12-31", "unknown"] {
            counts.add("111122223333", "us-east-1", day, 1);
        }

        let found = counts.finish(String::new());

        assert!(found.pairs[0].cells.len() <= 101);
        assert_eq!(found.pairs[0].cells.iter().sum::<u64>(), 3);
        assert!(coverage(&[]).pairs.is_empty());
    }
}
