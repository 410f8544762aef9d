//! When the events of written rows took place.

use crate::units::EpochMillis;
use std::collections::BTreeMap;

/// How many rows have an event in each second: CloudTrail's times are whole seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTimes(BTreeMap<i64, u64>);

impl EventTimes {
    /// Adds a row.
    pub fn add(&mut self, instant: EpochMillis) {
        *self.0.entry(instant.div_euclid(1000)).or_default() += 1;
    }

    /// Adds those of other rows.
    pub fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|(second, rows)| *self.0.entry(second).or_default() += rows);
    }

    /// Returns the seconds, as milliseconds since 1970, and their rows.
    pub fn iter(&self) -> impl Iterator<Item = (EpochMillis, u64)> {
        self.0.iter().map(|(second, rows)| (second * 1000, *rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_by_seconds() {
        let mut times = EventTimes::default();
        [1999, 1000, -1, 5000].into_iter().for_each(|instant| times.add(instant));
        let mut more = EventTimes::default();
        more.add(5999);
        times.join(more);

        let all: Vec<_> = times.iter().collect();

        assert_eq!(all, [(-1000, 1), (1000, 2), (5000, 2)]);
    }
}
