//! Progress of a run, a bar on a terminal and JSON lines elsewhere; messages and errors.

use crate::engine::Progress;
use crate::error::Error;
use crate::text::clean;
use crate::units::{counted, grouped};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::error::Error as _;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(100);

/// How often a JSON line is written.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Returns whether stderr is a terminal.
pub(super) fn on_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Runs `work` and shows its progress.
pub(super) fn with_progress<T>(quiet: bool, progress: &Progress, work: impl FnOnce() -> T) -> T {
    if quiet {
        return work();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            if on_terminal() {
                bar(progress, &done);
            } else {
                lines(progress, &done);
            }
        });
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        outcome
    })
}

fn bar(progress: &Progress, done: &AtomicBool) {
    let started = Instant::now();
    let bar = ProgressBar::no_length();
    let template = "{spinner} {wide_bar} {bytes}/{total_bytes}  {msg}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    while !done.load(Ordering::Relaxed) {
        let total = progress.bytes_total.load(Ordering::Relaxed);
        if total > 0 {
            bar.set_length(total);
            bar.set_position(progress.bytes.load(Ordering::Relaxed));
            let records = progress.records.load(Ordering::Relaxed);
            let rate = records as f64 / started.elapsed().as_secs_f64().max(0.001);
            bar.set_message(format!(
                "{}/{} objects, {}/s",
                grouped(progress.objects.load(Ordering::Relaxed)),
                grouped(progress.objects_total.load(Ordering::Relaxed)),
                counted(rate as u64, "record"),
            ));
        } else {
            bar.set_message("listing");
            bar.tick();
        }
        std::thread::sleep(REDRAW);
    }
    bar.finish_and_clear();
}

fn lines(progress: &Progress, done: &AtomicBool) {
    let started = Instant::now();
    let mut last = Instant::now();
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(REDRAW);
        if last.elapsed() >= LINE_EVERY {
            last = Instant::now();
            let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            event(&json!({
                "event": "progress",
                "objects": load(&progress.objects),
                "objects_total": load(&progress.objects_total),
                "bytes": load(&progress.bytes),
                "bytes_total": load(&progress.bytes_total),
                "records": load(&progress.records),
                "units": load(&progress.units),
                "seconds": (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            }));
        }
    }
}

/// Writes one JSON line to stderr.
pub(super) fn event(value: &serde_json::Value) {
    let _ = writeln!(std::io::stderr(), "{value}");
}

/// Writes the version and the resources of a run, if stderr is not a terminal.
pub(super) fn say_begin(quiet: bool, threads: usize, memory: u64) {
    if !quiet && !on_terminal() {
        event(&json!({
            "event": "begin",
            "version": env!("CARGO_PKG_VERSION"),
            "threads": threads,
            "memory": memory,
        }));
    }
}

/// Writes a message to stderr; a JSON line if stderr is not a terminal.
pub(super) fn say(quiet: bool, message: &str) {
    if quiet {
        return;
    }
    if on_terminal() {
        let _ = writeln!(std::io::stderr(), "{}", clean(message));
    } else {
        event(&json!({ "event": "message", "message": message }));
    }
}

/// Prints an error with its causes.
pub(super) fn say_error(err: &Error) {
    let mut causes = Vec::new();
    let mut cause = err.source();
    while let Some(err) = cause {
        causes.push(err.to_string());
        cause = err.source();
    }
    if on_terminal() {
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(stderr, "error: {}", clean(&err.to_string()));
        for cause in causes {
            let _ = writeln!(stderr, "  because {}", clean(&cause));
        }
    } else {
        let message = err.to_string();
        event(&json!({ "event": "error", "message": message, "causes": causes }));
    }
}
