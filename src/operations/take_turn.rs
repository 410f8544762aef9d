//! Turns at the lake's lease: a watch has it for moments and makes pauses, and other runs wait for one.

use crate::error::{ErrorKind, Result};
use crate::notice::tell;
use crate::storage::{Lease, Storage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a watch is waited for: it gives the lease back for a second at least every few windows, and several
/// runs may wait.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often the lease is asked for: more often than it is given back for.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// How long the lease is left to others at least, so that those who ask for it again and again come upon it.
const PAUSE: Duration = Duration::from_secs(1);

/// How long conversions may follow one another without such a pause.
const PAUSE_EVERY: Duration = Duration::from_secs(15);

/// Takes a lake's lease; waits while a watch has it. Where `stop` is set meanwhile, the wait ends.
///
/// # Errors
/// As [`Lease::take`]; `Busy` at once for a run that keeps the lease to its end.
pub async fn take_turn(storage: &Storage, stop: Option<&AtomicBool>) -> Result<Lease> {
    take_turn_as(storage, stop, false).await
}

/// As [`take_turn`], for the sweep of a watch if `gives_way`: others wait for it as for the watch.
///
/// # Errors
/// As [`take_turn`].
pub(super) async fn take_turn_as(
    storage: &Storage,
    stop: Option<&AtomicBool>,
    gives_way: bool,
) -> Result<Lease> {
    let (asked, mut is_told) = (Instant::now(), false);
    loop {
        let taken = match gives_way {
            true => Lease::take_briefly(storage).await,
            false => Lease::take(storage).await,
        };
        let busy = match taken {
            Err(err) if err.kind() == ErrorKind::Busy => err,
            taken => return taken,
        };
        let is_stopped = stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
        let is_over = is_stopped || asked.elapsed() >= PATIENCE;
        if is_over || !Lease::is_free_soon(storage).await? {
            return Err(busy);
        }
        if !is_told {
            tell(&format!("waiting for a watch to give the lake back: {busy}"));
            is_told = true;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// When a watch leaves the lake's lease to others.
#[derive(Debug)]
pub(super) struct Turns {
    /// When this run last gave the lease back.
    pub released: Instant,
    /// The end of the last pause that was long enough for others.
    paused: Instant,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self { released: now, paused: now }
    }

    /// Returns how long to wait before the lease is taken.
    pub(super) fn pause(&mut self, now: Instant) -> Duration {
        let is_due = self.released.saturating_duration_since(self.paused) >= PAUSE_EVERY;
        let free = now.saturating_duration_since(self.released);
        if !is_due && free < PAUSE {
            return Duration::ZERO;
        }
        let pause = PAUSE.saturating_sub(free);
        self.paused = now + pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_get_a_pause_after_conversions_that_follow_one_another_for_long() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut turns = Turns::new(begin);
        for second in 1..15 {
            turns.released = at(second * 1000);
            assert_eq!(turns.pause(at(second * 1000 + 10)), Duration::ZERO);
        }
        turns.released = at(15_000);
        assert_eq!(turns.pause(at(15_200)), Duration::from_millis(800));
        turns.released = at(17_000);
        assert_eq!(turns.pause(at(17_000)), Duration::ZERO, "the next is due in a while");
        // A queue that leaves time between windows makes pauses by itself.
        turns.released = at(20_000);
        assert_eq!(turns.pause(at(29_000)), Duration::ZERO);
        turns.released = at(43_000);
        assert_eq!(turns.pause(at(43_000)), Duration::ZERO);
    }
}
