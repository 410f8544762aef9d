//! A run over a queue, for `watch` and for `convert --queue`, which ends when the queue is empty.

use crate::cli::args::{
    ConversionArgs, EndingArgs, OutputArgs, PublicationArgs, WindowArgs, sources_and_lake,
};
use crate::cli::console::{event, is_json, say, say_begin};
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::metrics::{unit_progress, write_queue_metrics, write_run_metrics};
use crate::cli::progress_display::with_progress;
use crate::cli::report::sort_counts;
use crate::cli::run_report::{conclude, details};
use crate::cli::signals::stop_on_signal;
use crate::cli::time_left::rounded;
use crate::engine::{QueueReport, Report, runtime};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::operations::{self, WatchEvent, WatchOptions, WindowSummary, check_sweep};
use crate::queue::{Queue, SqsQueue};
use crate::text::clean;
use crate::units::{counted, grouped};
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// What a run over a queue is told.
pub(super) struct QueueRun<'a> {
    /// The queue.
    pub url: &'a str,
    /// Sources, then the lake; or the lake alone.
    pub places: &'a [Location],
    /// When a window closes.
    pub window: &'a WindowArgs,
    /// How often sources are listed.
    pub sweep: Option<Duration>,
    /// Whether the run ends when the queue is empty.
    pub drains: bool,
    /// How objects are converted.
    pub conversion: &'a ConversionArgs,
    /// How partitions are published.
    pub publication: &'a PublicationArgs,
    /// Metrics and exit code.
    pub ending: &'a EndingArgs,
    /// The report.
    pub output: &'a OutputArgs,
}

/// Converts what a queue names, and reports; returns the exit code.
///
/// # Errors
/// `Config` for places that are none, and as [`operations::watch`].
pub(super) fn run_queue(given: &QueueRun<'_>) -> Result<u8> {
    let (sources, lake) = match given.places {
        [lake] => (Vec::new(), lake.clone()),
        places => sources_and_lake(places)?,
    };
    if let Some(folder) = sources.iter().find(|source| !source.is_s3()) {
        let message =
            "a queue names objects in buckets: expected sources such as s3://bucket/prefix";
        return Err(Error::config(message).at("source", folder));
    }
    let options = given.conversion.options(given.publication, sources, lake)?;
    check_sweep(given.sweep, &options)?;
    let (quiet, metrics) = (given.output.quiet, given.ending.metrics);
    let lake = options.lake.to_string();
    let stop = stop_on_signal(quiet)?;
    say_identity(&given.conversion.aws, &options.s3, Reach::Aws, quiet)?;
    say_begin(quiet, options.threads, options.memory.0);
    let starting = runtime()?;
    let aws = Arc::clone(starting.block_on(options.s3.aws()));
    let queue: Arc<dyn Queue> = Arc::new(SqsQueue::open(&aws, given.url)?);
    let options = match given.drains {
        true => WatchOptions::drain(options),
        false => WatchOptions { sweep: given.sweep, ..WatchOptions::new(options) },
    };
    let options = WatchOptions { limits: given.window.limits(), ..options };
    let progress = unit_progress(quiet, metrics, &lake);
    let on_event = |told: WatchEvent<'_>| {
        write_queue_metrics(metrics, told, &lake);
        if let WatchEvent::Converted(window) = told {
            say_window(window, quiet);
        }
    };
    // A service that waits has no progress; it tells of its windows.
    let is_silent = quiet || !given.drains;
    let report = with_progress(is_silent, &progress, || {
        operations::watch(&options, queue, &progress, &on_event, &stop)
    })?;
    write_run_metrics(metrics, &report, &lake);
    let code = conclude(
        &report,
        given.output.report,
        || text(&report, &lake),
        given.ending.allow_quarantine,
    )?;
    let left = report.queue.as_ref().map_or(0, |queue| queue.messages_left);
    Ok(if code == EXIT_OK && left > 0 { EXIT_INCOMPLETE } else { code })
}

fn say_window(window: &WindowSummary, quiet: bool) {
    if quiet {
        return;
    }
    if !is_json() {
        let delay = window.delay_from_put_p99_seconds.map_or_else(String::new, |delay| {
            format!(", at most {delay:.1} s after they were put for 99 % of them")
        });
        let text = format!(
            "{} with {} in {:.1} s{delay}",
            counted(window.objects, "object"),
            counted(window.records_written, "record"),
            window.seconds,
        );
        say(quiet, &text);
    } else if let Ok(Value::Object(mut line)) = serde_json::to_value(window) {
        line.insert("event".to_owned(), "window".into());
        event(&Value::Object(line));
    }
}

/// A run over a queue, for people.
fn text(report: &Report, lake: &str) -> String {
    let mut out = String::new();
    let Some(queue) = &report.queue else { return out };
    let _ = writeln!(
        out,
        "Converted {} of {} named by {}, {:.1} s",
        counted(report.records_written, "record"),
        counted(report.objects_read, "object"),
        counted(queue.messages_received, "message"),
        report.seconds,
    );
    queue_text(&mut out, queue);
    if report.units > 0 {
        details(&mut out, report, lake);
    }
    out
}

fn queue_text(out: &mut String, queue: &QueueReport) {
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "  {name:<11} {text}");
    };
    line(
        "messages",
        format!(
            "{} received, {} deleted, {} left in the queue",
            grouped(queue.messages_received),
            grouped(queue.messages_deleted),
            grouped(queue.messages_left),
        ),
    );
    for (reason, count) in sort_counts(&queue.left_by_reason) {
        line("", format!("{} left: {}", grouped(count), clean(reason)));
    }
    line(
        "named",
        format!(
            "{}, {} repeated, {} ignored, {} gone",
            counted(queue.objects_named, "object"),
            grouped(queue.objects_repeated),
            grouped(queue.objects_ignored),
            grouped(queue.objects_gone),
        ),
    );
    for key in &queue.gone {
        line("", format!("gone: {}", clean(key)));
    }
    line(
        "windows",
        format!(
            "{} full, {} by age or at the end, {}",
            grouped(queue.windows_full),
            grouped(queue.windows_aged),
            counted(queue.conversions, "conversion"),
        ),
    );
    if let (Some(half), Some(most)) = (queue.delay_p50_seconds, queue.delay_p99_seconds) {
        let [half, most] = [half, most].map(|seconds| rounded(Duration::from_secs_f64(seconds)));
        let text = format!("{half} from event to row for half of the rows, {most} for 99 %");
        line("delay", text);
    }
    let from_put = (queue.delay_from_put_p50_seconds, queue.delay_from_put_p99_seconds);
    if let (Some(half), Some(most)) = from_put {
        let text =
            format!("{half:.1} s from put to rows for half of the objects, {most:.1} s for 99 %");
        line("", text);
    }
}
