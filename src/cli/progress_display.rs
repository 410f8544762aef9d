//! Progress of a run: a bar on a terminal, a line now and then elsewhere.

use crate::cli::console::{clear_bar, event, is_json, on_terminal, say, show_bar};
use crate::cli::time_left::{TimeLeft, rounded};
use crate::engine::{Progress, Stage};
use crate::units::{ByteCount, counted, grouped};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(100);

/// How often a line is written.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is counted, as people call it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// What is done: `converting`.
    pub verb: &'static str,
    /// What is counted by one: `object`.
    pub noun: &'static str,
}

/// A conversion.
pub(super) const CONVERTING: Shown = Shown { verb: "converting", noun: "object" };

/// Runs `work` and shows its progress.
pub(super) fn with_progress<T>(quiet: bool, progress: &Progress, work: impl FnOnce() -> T) -> T {
    with_progress_of(CONVERTING, quiet, progress, work)
}

/// As [`with_progress`], of other work than a conversion.
pub(super) fn with_progress_of<T>(
    shown: Shown,
    quiet: bool,
    progress: &Progress,
    work: impl FnOnce() -> T,
) -> T {
    if quiet {
        return work();
    }
    let done = AtomicBool::new(false);
    let display = Display { shown, progress, started: Instant::now() };
    std::thread::scope(|threads| {
        threads.spawn(|| match on_terminal() && !is_json() {
            true => display.bar(&done),
            false => display.lines(&done),
        });
        // Also when the work panics: the display must not wait for ever.
        let ended = Ended(&done);
        let outcome = work();
        drop(ended);
        outcome
    })
}

struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Display<'a> {
    shown: Shown,
    progress: &'a Progress,
    started: Instant,
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The share of a whole, in percent: all of it only at the end.
fn whole_percent(done: u64, total: u64) -> u64 {
    let share = u128::from(done) * 100 / u128::from(total.max(1));
    share.min(100) as u64
}

impl Display<'_> {
    /// Returns how much is done and how much there is, by bytes or else by objects, once it is known.
    fn share(&self) -> Option<(u64, u64)> {
        let Progress { work, bytes, objects, .. } = self.progress;
        let by = |done: &AtomicU64, total: Option<u64>| {
            total.filter(|total| *total > 0).map(|total| (load(done).min(total), total))
        };
        by(bytes, work.bytes()).or_else(|| by(objects, work.objects()))
    }

    /// Describes the work in one line.
    fn status(&self, left: &TimeLeft) -> String {
        let Progress { work, bytes, objects, records, .. } = self.progress;
        let noun = self.shown.noun;
        match self.progress.stage() {
            Stage::Listing if work.found() == 0 => "listing".to_owned(),
            Stage::Listing => format!("listing: {} found", counted(work.found(), noun)),
            Stage::Registering => "registering".to_owned(),
            Stage::Converting => {
                let mut text = self.shown.verb.to_owned();
                let of =
                    |total: Option<String>| total.map(|it| format!(" of {it}")).unwrap_or_default();
                if load(bytes) > 0 || work.bytes().is_some_and(|total| total > 0) {
                    let total = work.bytes().map(|total| ByteCount(total).to_string());
                    text += &format!(" {}{},", ByteCount(load(bytes)), of(total));
                }
                let total = work.objects().map(grouped);
                text += &format!(" {}{}", counted(load(objects), noun), of(total));
                if load(records) > 0 {
                    let seconds = self.started.elapsed().as_secs_f64().max(0.001);
                    let rate = load(records) as f64 / seconds;
                    text += &format!(
                        ", {} ({}/s)",
                        counted(load(records), "record"),
                        grouped(rate as u64)
                    );
                }
                if let Some(time) = self.share().and_then(|(_, total)| left.estimate(total)) {
                    text += &format!(", {} left", rounded(time));
                }
                text
            }
        }
    }

    fn note(&self, left: &mut TimeLeft) {
        if let Some((done, _)) = self.share() {
            left.note(self.started.elapsed(), done);
        }
    }

    fn bar(&self, done: &AtomicBool) {
        let bar = ProgressBar::no_length();
        let (with_bar, without) = ("{spinner} {wide_bar} {share} %  {msg}", "{spinner} {msg}");
        let write_share = |state: &ProgressState, out: &mut dyn fmt::Write| {
            let share = whole_percent(state.pos(), state.len().unwrap_or_default());
            let _ = write!(out, "{share}");
        };
        let style = |template| {
            let style = ProgressStyle::with_template(template).ok()?;
            Some(style.with_key("share", write_share))
        };
        let (mut left, mut has_bar) = (TimeLeft::default(), None);
        show_bar();
        while !done.load(Ordering::Relaxed) {
            self.note(&mut left);
            let share = self.share().filter(|_| self.progress.stage() == Stage::Converting);
            if has_bar != Some(share.is_some())
                && let Some(style) = style(if share.is_some() { with_bar } else { without })
            {
                bar.set_style(style);
                has_bar = Some(share.is_some());
            }
            if let Some((done, total)) = share {
                bar.set_length(total);
                bar.set_position(done);
            }
            bar.set_message(self.status(&left));
            bar.tick();
            std::thread::sleep(REDRAW);
        }
        bar.finish_and_clear();
        clear_bar();
    }

    fn lines(&self, done: &AtomicBool) {
        let (mut last, mut left) = (Instant::now(), TimeLeft::default());
        while !done.load(Ordering::Relaxed) {
            std::thread::sleep(REDRAW);
            self.note(&mut left);
            if last.elapsed() < LINE_EVERY {
                continue;
            }
            last = Instant::now();
            match is_json() {
                true => self.event(),
                false => say(false, &self.status(&left)),
            }
        }
    }

    fn event(&self) {
        let Progress { work, bytes, objects, records, units, .. } = self.progress;
        let stage = match self.progress.stage() {
            Stage::Listing => "listing",
            Stage::Converting => self.shown.verb,
            Stage::Registering => "registering",
        };
        event(&json!({
            "event": "progress",
            "stage": stage,
            "objects": load(objects),
            "objects_total": work.objects(),
            "bytes": load(bytes),
            "bytes_total": work.bytes(),
            "records": load(records),
            "units": load(units),
            "seconds": (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(progress: &Progress) -> String {
        let display = Display { shown: CONVERTING, progress, started: Instant::now() };
        let text = display.status(&TimeLeft::default());
        // The rate depends on the clock.
        text.split(" (").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_total_is_shown_once_it_is_known() {
        let progress = Progress::default();
        assert_eq!(status(&progress), "listing");
        progress.work.add(1_000_000, 1);
        assert_eq!(status(&progress), "listing: 1 object found");

        progress.begin(Stage::Converting);
        progress.bytes.store(500_000, Ordering::Relaxed);
        progress.objects.store(1, Ordering::Relaxed);
        assert_eq!(status(&progress), "converting 500 kB, 1 object");

        progress.work.add(1_000_000, 1);
        progress.work.end();
        progress.records.store(1200, Ordering::Relaxed);
        assert_eq!(status(&progress), "converting 500 kB of 2.00 MB, 1 object of 2, 1,200 records");
        progress.begin(Stage::Registering);
        assert_eq!(status(&progress), "registering");
    }

    #[test]
    fn all_is_done_at_the_end_and_not_before() {
        for (done, total, want) in [(0, 0, 0), (0, 779, 0), (776, 779, 99), (779, 779, 100)] {
            assert_eq!(whole_percent(done, total), want, "{done} of {total}");
        }
        assert_eq!(whole_percent(u64::MAX, u64::MAX), 100);
    }

    #[test]
    fn work_without_bytes_is_counted_by_objects() {
        let progress = Progress::default();
        progress.work.add(0, 4);
        progress.work.end();
        progress.begin(Stage::Converting);
        progress.objects.store(5, Ordering::Relaxed);
        let display = Display { shown: CONVERTING, progress: &progress, started: Instant::now() };

        assert_eq!(display.share(), Some((4, 4)));
        assert_eq!(status(&progress), "converting 5 objects of 4");
    }
}
