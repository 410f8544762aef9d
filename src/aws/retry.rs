//! The retry policy of requests to AWS: one for S3 and Glue.
//!
//! The clients try once, so that the caller sees every attempt: it confirms the lease before each and
//! counts them. Pauses grow from [`FIRST_PAUSE`] to [`LONGEST_PAUSE`], with enough jitter that callers who
//! were throttled together do not return together.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::{Duration, Instant};

/// The first pause is at least this long, and less than twice as long; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// No pause is longer than twice this.
const LONGEST_PAUSE: Duration = Duration::from_millis(7_500);

/// The remaining retries of one request.
#[derive(Debug)]
pub struct Patience {
    since: Instant,
    limit: Duration,
    pauses: ExponentialBackoff,
    attempts: u32,
}

impl Patience {
    /// Starts now and lasts for `limit`.
    pub fn new(limit: Duration) -> Self {
        let pauses = policy(FIRST_PAUSE, LONGEST_PAUSE);
        Self { since: Instant::now(), limit, pauses, attempts: 1 }
    }

    /// Waits before the next attempt; returns `false` at once if that would exceed the limit.
    pub async fn wait(&mut self) -> bool {
        let pause = self.pauses.next().unwrap_or(LONGEST_PAUSE);
        if self.since.elapsed() + pause > self.limit {
            return false;
        }
        self.attempts += 1;
        tokio::time::sleep(pause).await;
        true
    }

    /// Returns the number of attempts, including the first.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns how long it lasts.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

/// Returns a random part of a pause, half of it at least.
pub fn jittered(pause: Duration) -> Duration {
    policy(pause / 2, pause / 2).next().unwrap_or(pause)
}

fn policy(first: Duration, longest: Duration) -> ExponentialBackoff {
    // The chance adds up to once the delay.
    let policy = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest);
    policy.with_factor(2.0).with_jitter().without_max_times().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let pauses = |_| policy(FIRST_PAUSE, LONGEST_PAUSE).take(60).collect::<Vec<_>>();
        let all: Vec<Vec<Duration>> = (0..50).map(pauses).collect();

        for pauses in &all {
            assert!((FIRST_PAUSE..2 * FIRST_PAUSE).contains(&pauses[0]), "{:?}", pauses[0]);
            assert!(pauses[3] >= 8 * FIRST_PAUSE && pauses[3] < 16 * FIRST_PAUSE);
            assert!(pauses.iter().all(|pause| *pause <= 2 * LONGEST_PAUSE));
            assert!(pauses[59] >= LONGEST_PAUSE);
        }
        assert!(all.iter().any(|pauses| pauses[0] != all[0][0]));
        let pause = Duration::from_millis(200);
        assert!((0..100).all(|_| (pause / 2..=pause).contains(&jittered(pause))));
    }

    #[tokio::test]
    async fn patience_ends_at_its_limit_and_not_before_the_first_attempt() {
        assert!(!Patience::new(Duration::ZERO).wait().await);
        let mut patience = Patience::new(Duration::from_millis(400));
        while patience.wait().await {}
        assert!((2..=4).contains(&patience.attempts()), "{}", patience.attempts());
    }
}
