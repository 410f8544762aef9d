//! Conversion as objects arrive: messages of a queue become windows, and windows units.
//!
//! The lake's lease is held while windows are converted and given back between them, so that a nightly
//! conversion, or a second watch, has its turn. A message is deleted when the manifest that has its objects is in
//! the lake, and never before: after a kill at any instant it comes again, and the ledger knows its objects.

use crate::engine::{ConvertOptions, Progress, QueueReport, Report, runtime};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::lake::Known;
use crate::notice::tell;
use crate::operations::collect::{Collected, Collector, InHand};
use crate::operations::convert::{convert, convert_named};
use crate::operations::named::{NamedOutcome, Naming, Registered, buckets};
use crate::operations::options_check::{check_names, check_places};
use crate::operations::partitioning::settle_for;
use crate::operations::run_log::{about_run, write_run_log};
use crate::operations::target::check_target;
use crate::operations::watch_options::WatchOptions;
use crate::queue::{Delays, Queue};
use crate::source::{Object, is_empty};
use crate::storage::{Lease, Storage};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often a lease that another run has is asked for.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How long the lease is left to others while more windows wait.
const HAND_OVER: Duration = Duration::from_secs(1);

/// Pauses after conversions that failed and may succeed later.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The limit for giving messages back, and for the log of the run, at its end.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// What one conversion did, for those who look at a watch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WindowSummary {
    /// Messages that were in hand.
    pub messages: u64,
    /// Of them, messages that were left in the queue.
    pub messages_left: u64,
    /// Objects converted.
    pub objects: u64,
    /// Objects that the lake had.
    pub objects_known: u64,
    /// Records written.
    pub records_written: u64,
    /// Data files.
    pub files: u64,
    /// Seconds that the conversion took.
    pub seconds: f64,
    /// Seconds from put to rows of half of the objects.
    pub delay_p50_seconds: Option<f64>,
    /// Seconds from put to rows of all but one in a hundred.
    pub delay_p99_seconds: Option<f64>,
    /// Age of the oldest message.
    pub oldest_seconds: f64,
}

/// Converts the objects that a queue's messages name, until it is asked to stop or the queue is empty.
///
/// # Errors
/// As [`convert`]; `Config`, `Denied` and, for a drain, `Unavailable` from the queue. Messages whose objects are
/// not in the lake stay in the queue.
pub fn watch(
    options: &WatchOptions,
    queue: Arc<dyn Queue>,
    progress: &Progress,
    on_window: &dyn Fn(&WindowSummary),
    stop: &AtomicBool,
) -> Result<Report> {
    let started = Instant::now();
    check_places(&options.convert)?;
    check_names(&options.convert)?;
    if options.sweep.is_some() && options.convert.sources.is_empty() {
        let message = "`--sweep` lists sources: give them before the lake";
        return Err(Error::config(message));
    }
    let runtime = runtime()?;
    let handle = runtime.handle();
    handle.block_on(check_target(&options.convert))?;
    let facts = handle.block_on(queue.facts())?;
    let storage = handle.block_on(Storage::open(&options.convert.lake, &options.convert.s3))?;
    let collector = Collector::new(queue, facts.visibility, options, stop);
    let watching = Watching {
        options,
        collector: &collector,
        progress,
        on_window,
        stop,
        handle,
        storage: &storage,
        catalog: RefCell::default(),
        settled: RefCell::default(),
    };
    let mut total = Total::default();
    let outcome = std::thread::scope(|threads| {
        let collecting = threads.spawn(|| handle.block_on(collector.run()));
        let outcome = watching.run(&mut total);
        collector.end();
        let joined = collecting.join();
        let panicked = || Error::new(ErrorKind::Bug, "the collector of messages panicked");
        outcome.and(joined.map_err(|_| panicked()))
    });
    let outcome = outcome.map(|()| watching.conclude(total, started));
    runtime.shutdown_background();
    outcome
}

/// A watch under way.
struct Watching<'a> {
    options: &'a WatchOptions,
    collector: &'a Collector<'a>,
    progress: &'a Progress,
    on_window: &'a dyn Fn(&WindowSummary),
    stop: &'a AtomicBool,
    handle: &'a Handle,
    storage: &'a Storage,
    catalog: RefCell<Registered>,
    /// The options with the layout of the lake, once that is known.
    settled: RefCell<Option<ConvertOptions>>,
}

/// What all conversions came to.
#[derive(Default)]
struct Total {
    report: Report,
    delays: Delays,
    oldest: f64,
}

impl Total {
    fn add(&mut self, report: Report) {
        let all = &mut self.report;
        all.objects_known += report.objects_known;
        all.objects_unavailable += report.objects_unavailable;
        all.catalog_changes += report.catalog_changes;
        all.catalog_calls += report.catalog_calls;
        all.catalog_throttled += report.catalog_throttled;
        all.schema_version = all.schema_version.max(report.schema_version);
        all.new_fields.extend(report.new_fields.iter().cloned());
        all.partitions_chosen = all.partitions_chosen.take().or(report.partitions_chosen.clone());
        for (reason, count) in &report.unavailable_by_reason {
            *all.unavailable_by_reason.entry(reason.clone()).or_default() += count;
        }
        for warning in &report.warnings {
            if !all.warnings.contains(warning) {
                all.warnings.push(warning.clone());
            }
        }
        all.add_earlier(report);
        all.partitions = all.partitions_touched.len() as u64;
    }
}

/// The objects of windows, each once.
struct Windows {
    messages: Vec<InHand>,
    objects: Vec<Object>,
    /// When each was put.
    put: HashMap<String, i64>,
    repeated: u64,
}

impl Windows {
    fn new(mut messages: Vec<InHand>) -> Self {
        let mut newest: HashMap<String, (i64, Object)> = HashMap::new();
        let mut repeated = 0;
        for (object, time) in messages.iter_mut().flat_map(|m| &mut m.objects) {
            match newest.get(&object.key) {
                Some((other, _)) if other >= time => repeated += 1,
                Some(_) => {
                    repeated += 1;
                    newest.insert(object.key.clone(), (*time, object.clone()));
                }
                None => drop(newest.insert(object.key.clone(), (*time, object.clone()))),
            }
        }
        let put = newest.iter().map(|(key, (time, _))| (key.clone(), *time)).collect();
        let objects = newest.into_values().map(|(_, object)| object).collect();
        Self { messages, objects, put, repeated }
    }
}

impl Watching<'_> {
    fn run(&self, total: &mut Total) -> Result<()> {
        let mut swept: Option<Instant> = None;
        loop {
            if let Some(every) = self.options.sweep
                && swept.is_none_or(|last| last.elapsed() >= every)
            {
                self.sweep(total)?;
                swept = Some(Instant::now());
            }
            match self.handle.block_on(self.collector.next())? {
                Collected::Nothing => {}
                Collected::End => return Ok(()),
                Collected::Windows { messages, gone, is_last } => {
                    let windows = Windows::new(messages);
                    self.collector.count(|counts| counts.objects_repeated += windows.repeated);
                    if !self.convert_patiently(&windows, &gone, is_last, total)? {
                        return Ok(());
                    }
                    if self.collector.has_more() {
                        self.handle.block_on(self.collector.pause(HAND_OVER));
                    }
                }
            }
        }
    }

    /// Converts windows; a service does so until it succeeds. Returns whether it did, and was not stopped.
    fn convert_patiently(
        &self,
        windows: &Windows,
        gone: &[String],
        is_last: bool,
        total: &mut Total,
    ) -> Result<bool> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.convert(windows, gone, is_last, total) {
                Err(err) if err.kind().reaction() == Reaction::TryLater && !self.options.drains => {
                    tell(&format!("cannot convert now, trying again: {err}"));
                    self.handle.block_on(self.collector.pause(pause));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                outcome => return outcome,
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
    }

    fn convert(
        &self,
        windows: &Windows,
        gone: &[String],
        is_last: bool,
        total: &mut Total,
    ) -> Result<bool> {
        let Some(lease) = self.handle.block_on(self.take_lease())? else { return Ok(false) };
        let started = Instant::now();
        self.collector.count(|counts| counts.conversions += 1);
        let naming = Naming {
            objects: &windows.objects,
            gone,
            catalog: &self.catalog,
            outcome: RefCell::default(),
            is_last,
        };
        let storage = lease.storage();
        let outcome = self.settle(storage, &windows.objects).and_then(|mut options| {
            let keys = windows.objects.iter().map(|object| object.key.as_str());
            options.sources = buckets(keys);
            convert_named(&options, storage, &naming, self.progress, self.stop, self.handle)
        });
        let report = self.handle.block_on(lease.conclude(outcome))?;
        let is_through = self.acknowledge(windows, naming.outcome.take(), &report, started, total);
        total.add(report);
        Ok(is_through)
    }

    /// Takes the lake's lease; returns none when the run is asked to stop.
    async fn take_lease(&self) -> Result<Option<Lease>> {
        let (asked, mut is_told) = (Instant::now(), false);
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match Lease::take(self.storage).await {
                Err(err) if err.kind() == ErrorKind::Busy => {
                    if self.options.lease_wait.is_some_and(|most| asked.elapsed() >= most) {
                        return Err(err);
                    }
                    if !is_told {
                        self.collector.count(|counts| counts.leases_awaited += 1);
                        tell(&format!("waiting for the lake: {err}"));
                        is_told = true;
                    }
                    self.collector.pause(ASK_EVERY).await;
                }
                lease => return lease.map(Some),
            }
        }
    }

    /// Returns the options with the lake's layout, which is found once.
    fn settle(&self, storage: &Storage, objects: &[Object]) -> Result<ConvertOptions> {
        if let Some(settled) = &*self.settled.borrow() {
            return Ok(settled.clone());
        }
        let settled = settle_for(&self.options.convert, objects, storage, self.handle)?;
        *self.settled.borrow_mut() = Some(settled.clone());
        Ok(settled)
    }

    /// Deletes the messages whose objects are safe, and leaves the others. Returns whether all objects were
    /// seen to.
    fn acknowledge(
        &self,
        windows: &Windows,
        outcome: NamedOutcome,
        report: &Report,
        started: Instant,
        total: &mut Total,
    ) -> bool {
        let NamedOutcome { left, known, is_through } = outcome;
        if !is_through {
            return false;
        }
        let now = jiff::Timestamp::now().as_millisecond();
        let (mut done, mut later, mut failed) = (Vec::new(), Vec::new(), 0);
        for message in &windows.messages {
            let has_left = message.objects.iter().any(|(object, _)| left.contains(&object.key));
            failed += u64::from(has_left && !message.is_left);
            let list = if has_left || message.is_left { &mut later } else { &mut done };
            list.push(message.number);
        }
        self.collector.held.leave(&later);
        self.handle.block_on(self.collector.delete(&done));
        let mut delays = Delays::default();
        let is_converted = |key: &String| !left.contains(key) && !known.contains(key);
        for (_, put) in windows.put.iter().filter(|(key, put)| **put > 0 && is_converted(key)) {
            delays.add(now - put);
        }
        let sent = windows.messages.iter().map(|message| message.sent).filter(|sent| *sent > 0);
        let oldest = sent.min().map_or(0.0, |sent| (now - sent).max(0) as f64 / 1000.0);
        self.collector.count(|counts| {
            (0..failed).for_each(|_| counts.leave("an object cannot be read"));
        });
        total.delays.join(&delays);
        total.oldest = total.oldest.max(oldest);
        (self.on_window)(&WindowSummary {
            messages: windows.messages.len() as u64,
            messages_left: later.len() as u64,
            objects: report.objects_read,
            objects_known: report.objects_known,
            records_written: report.records_written,
            files: report.files,
            seconds: started.elapsed().as_secs_f64(),
            delay_p50_seconds: delays.percentile(0.5),
            delay_p99_seconds: delays.percentile(0.99),
            oldest_seconds: oldest,
        });
        true
    }

    /// Lists the sources and converts what is missing, as a nightly conversion does. What goes wrong with it does
    /// not end the watch, unless the lake is damaged.
    fn sweep(&self, total: &mut Total) -> Result<()> {
        let options = &self.options.convert;
        loop {
            let outcome = match self.handle.block_on(has_nothing(options)) {
                Ok(true) => return Ok(()),
                Ok(false) => convert(options, self.progress, self.stop),
                Err(err) => Err(err),
            };
            match outcome {
                Ok(report) => {
                    total.add(report);
                    self.collector.count(|counts| counts.sweeps += 1);
                    return Ok(());
                }
                Err(err) if err.kind() == ErrorKind::Busy => {
                    self.handle.block_on(self.collector.pause(ASK_EVERY));
                    if self.stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                }
                Err(err) if matches!(err.kind(), ErrorKind::Damaged | ErrorKind::Bug) => {
                    return Err(err);
                }
                Err(err) => {
                    let warning = format!("a sweep of the sources failed: {err}");
                    tell(&warning);
                    total.add(Report { warnings: vec![warning], ..Report::default() });
                    return Ok(());
                }
            }
        }
    }

    fn queue_address(&self) -> String {
        self.collector.queue.address().to_owned()
    }

    /// Gives messages back that were not seen to, and makes the report.
    fn conclude(&self, total: Total, started: Instant) -> Report {
        let Total { mut report, delays, oldest } = total;
        let ConvertOptions { lake, sources, .. } = &self.options.convert;
        let sources = sources.iter().map(ToString::to_string);
        report.about = about_run(lake, sources.chain([self.queue_address()]).collect());
        if self.collector.held.count() > 0 {
            // Where it fails, they return when their visibility ends.
            let give_back = self.collector.held.give_back();
            let _ =
                self.handle.block_on(async { tokio::time::timeout(END_TIMEOUT, give_back).await });
        }
        report.queue = Some(QueueReport {
            delay_p50_seconds: delays.percentile(0.5),
            delay_p99_seconds: delays.percentile(0.99),
            oldest_seconds: oldest,
            ..self.collector.counts()
        });
        // A service ends when it is asked to; a drain was to go on.
        report.interrupted = self.options.drains && self.stop.load(Ordering::Relaxed);
        report.seconds = started.elapsed().as_secs_f64();
        if report.units > 0 {
            let log = async {
                let known = Known::read(self.storage).await?;
                write_run_log(self.storage, &report, &known.snapshot).await
            };
            let written = async { tokio::time::timeout(END_TIMEOUT, log).await };
            if let Ok(Err(err)) = self.handle.block_on(written) {
                tell(&format!("the log of the run was not written: {err}"));
            }
        }
        report
    }
}

/// Whether nothing lies in any source.
async fn has_nothing(options: &ConvertOptions) -> Result<bool> {
    for source in &options.sources {
        if !is_empty(source, &options.s3).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
