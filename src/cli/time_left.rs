//! The time that a run still needs, from how fast it was of late.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back the speed is measured: units are committed in bursts, and what is long ago says little.
const WINDOW: Duration = Duration::from_secs(30);

/// The least time to measure before an estimate is given.
const LEAST: Duration = Duration::from_secs(2);

/// Points of time at which it was known how much was done.
#[derive(Debug, Default)]
pub(super) struct TimeLeft {
    /// Time since the beginning, and what was done by then.
    points: VecDeque<(Duration, u64)>,
}

impl TimeLeft {
    /// Notes that `done` of the work is done `now`, since the beginning.
    pub(super) fn note(&mut self, now: Duration, done: u64) {
        self.points.push_back((now, done));
        // One point older than the window stays, so that the window is covered.
        while self.points.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= WINDOW) {
            self.points.pop_front();
        }
    }

    /// Returns the time for the rest of `total`; `None` while it is too early to say, or nothing was
    /// done within the window.
    pub(super) fn estimate(&self, total: u64) -> Option<Duration> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        let (time, done) = (last.0.saturating_sub(first.0), last.1.saturating_sub(first.1));
        if time < LEAST || done == 0 {
            return None;
        }
        let left = total.saturating_sub(last.1) as f64;
        Duration::try_from_secs_f64(time.as_secs_f64() * left / done as f64).ok()
    }
}

/// `40 s`, `12 min`, `3 h 5 min`: as precise as an estimate is.
pub(super) fn rounded(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..90 => format!("{} s", seconds.max(1)),
        90..5400 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Plays work of `seconds` in bursts, noted ten times a second; returns the worst ratio of estimate to truth
    /// after the first tenth and before the last.
    fn worst(seconds: u64, burst: u64) -> f64 {
        let (total, mut left, mut worst) = (seconds * 1000, TimeLeft::default(), 1.0_f64);
        for tenth in 0..seconds * 10 {
            let done = tenth * 100 / burst * burst;
            left.note(Duration::from_millis(tenth * 100), done);
            let truth = seconds as f64 - tenth as f64 / 10.0;
            if (seconds..seconds * 9).contains(&tenth)
                && let Some(estimate) = left.estimate(total)
            {
                let ratio = estimate.as_secs_f64() / truth;
                worst = worst.max(ratio.max(1.0 / ratio));
            }
        }
        worst
    }

    #[test]
    fn steady_work_ends_when_it_is_said_to() {
        assert!(worst(60, 1) < 1.05, "{}", worst(60, 1));
        assert!(worst(600, 1) < 1.05, "{}", worst(600, 1));
    }

    #[test]
    fn bursts_of_three_seconds_change_little() {
        assert!(worst(300, 3000) < 1.35, "{}", worst(300, 3000));
    }

    #[test]
    fn work_that_slows_down_is_noticed_within_the_window() {
        let mut left = TimeLeft::default();
        for second in 0..60 {
            left.note(Duration::from_secs(second), second * 100);
        }
        for second in 60..100 {
            left.note(Duration::from_secs(second), 6000 + (second - 60) * 10);
        }

        let estimate = left.estimate(6390 + 1000).unwrap().as_secs();

        assert!((95..=105).contains(&estimate), "{estimate}");
    }

    #[test]
    fn nothing_is_said_too_early_and_when_nothing_moves() {
        let mut left = TimeLeft::default();
        assert_eq!(left.estimate(100), None);
        left.note(Duration::ZERO, 0);
        left.note(Duration::from_secs(1), 10);
        assert_eq!(left.estimate(100), None);
        for second in 2..100 {
            left.note(Duration::from_secs(second), 10);
        }
        assert_eq!(left.estimate(100), None);
    }

    #[test]
    fn times_are_as_precise_as_an_estimate() {
        let texts = [0, 1, 89, 90, 700, 5399, 5400, 11_100].map(Duration::from_secs).map(rounded);
        assert_eq!(
            texts,
            ["1 s", "1 s", "89 s", "2 min", "12 min", "90 min", "1 h 30 min", "3 h 5 min"]
        );
    }

    proptest! {
        #[test]
        fn no_sequence_of_points_is_too_odd(points in prop::collection::vec(any::<(u32, u64)>(), 0..50), total: u64) {
            let mut left = TimeLeft::default();
            for (millis, done) in points {
                left.note(Duration::from_millis(millis.into()), done);
                let _ = left.estimate(total).map(rounded);
            }
        }
    }
}
