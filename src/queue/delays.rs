//! Times from one instant to another, counted: percentiles of any number of them in little memory.

use std::collections::BTreeMap;

/// Steps of each doubling: neighbours differ by 2 %.
const STEPS: f64 = 35.0;

/// How often delays occurred, each rounded up by at most 2 %.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    counts: BTreeMap<u32, u64>,
    all: u64,
}

impl Delays {
    /// Adds a delay in milliseconds, so many times; a negative one counts as none.
    pub fn add(&mut self, millis: i64, times: u64) {
        let step = ((millis.max(0) as f64 + 1.0).log2() * STEPS).ceil() as u32;
        *self.counts.entry(step).or_default() += times;
        self.all += times;
    }

    /// Adds those of another.
    pub fn join(&mut self, other: &Self) {
        self.all += other.all;
        for (step, count) in &other.counts {
            *self.counts.entry(*step).or_default() += count;
        }
    }

    /// Returns the delay in seconds that a share of all delays does not exceed; none without any.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let wanted = (self.all as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.counts.iter().find_map(|(step, count)| {
            seen += count;
            let millis = (f64::from(*step) / STEPS).exp2() - 1.0;
            (seen >= wanted).then(|| millis.round() / 1000.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_two_percent() {
        let mut delays = Delays::default();
        assert_eq!(delays.percentile(0.5), None);
        (1..=1000).for_each(|n| delays.add(n * 100, 1));
        let mut more = Delays::default();
        more.add(-5, 1);
        delays.join(&more);

        for (share, want) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let got = delays.percentile(share).unwrap();
            assert!(got >= want * 0.995 && got <= want * 1.025, "{share}: {got}");
        }
        assert_eq!(delays.percentile(0.0), Some(0.0));
    }
}
