//! Conversion as objects arrive: messages of a queue become windows, and windows units.
//!
//! The lake's lease is held while windows are converted and given back between them, so that a nightly
//! conversion, or a second watch, has its turn. A message is deleted when the manifest that has its objects is in
//! the lake, and never before: after a kill at any instant it comes again, and the ledger knows its objects.

use crate::engine::{ConvertOptions, EventTimes, Progress, QueueReport, Report, runtime};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::lake::Known;
use crate::notice::tell;
use crate::operations::collect::{Collected, Collector};
use crate::operations::convert::{convert_as_sweep, convert_named};
use crate::operations::named::{NamedOutcome, Naming, Registered, buckets};
use crate::operations::options_check::{check_names, check_places};
use crate::operations::partitioning::settle_for;
use crate::operations::run_log::{about_run, write_run_log};
use crate::operations::take_turn::Turns;
use crate::operations::target::check_target;
use crate::operations::watch_options::WatchOptions;
use crate::operations::windows::{WatchEvent, WindowDelays, WindowSummary, Windows};
use crate::queue::Queue;
use crate::source::{Object, is_empty};
use crate::storage::{Lease, Storage};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often a lease that another run has is asked for.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How often counts are told while nothing is converted.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Pauses after conversions that failed and may succeed later.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The limit for the log of the run at its end, and for giving messages back where the run was asked to stop.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit for giving messages back where nobody waits for the end.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(60);

/// Converts the objects that a queue's messages name, until it is asked to stop or the queue is empty.
///
/// # Errors
/// As [`crate::operations::convert`]; `Config`, `Denied` and, for a drain, `Unavailable` from the queue. Messages whose objects are
/// not in the lake stay in the queue.
pub fn watch(
    options: &WatchOptions,
    queue: Arc<dyn Queue>,
    progress: &Progress,
    on_event: &dyn Fn(WatchEvent<'_>),
    stop: &AtomicBool,
) -> Result<Report> {
    let started = Instant::now();
    check_places(&options.convert)?;
    check_names(&options.convert)?;
    check_sweep(options.sweep, &options.convert)?;
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
        on_event,
        told: RefCell::new((Instant::now(), QueueReport::default())),
        stop,
        handle,
        storage: &storage,
        catalog: RefCell::default(),
        turns: RefCell::new(Turns::new(Instant::now())),
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
    watching.give_back(outcome.is_err());
    watching.tell_counts();
    let outcome = outcome.map(|()| watching.conclude(total, started));
    runtime.shutdown_background();
    outcome
}

/// Checks that a sweep has something to list.
///
/// # Errors
/// `Config` without sources.
pub fn check_sweep(sweep: Option<Duration>, options: &ConvertOptions) -> Result<()> {
    if sweep.is_some() && options.sources.is_empty() {
        let message = "`--sweep` lists sources: give them before the lake";
        return Err(Error::config(message));
    }
    Ok(())
}

/// A watch under way.
struct Watching<'a> {
    options: &'a WatchOptions,
    collector: &'a Collector<'a>,
    progress: &'a Progress,
    on_event: &'a dyn Fn(WatchEvent<'_>),
    /// When counts were told last, and which.
    told: RefCell<(Instant, QueueReport)>,
    stop: &'a AtomicBool,
    handle: &'a Handle,
    storage: &'a Storage,
    catalog: RefCell<Registered>,
    turns: RefCell<Turns>,
    /// The options with the layout of the lake, once that is known.
    settled: RefCell<Option<ConvertOptions>>,
}

/// What all conversions came to.
#[derive(Default)]
struct Total {
    report: Report,
    delays: WindowDelays,
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
        // Their delays are known by now.
        all.add_earlier(Report { event_times: EventTimes::default(), ..report });
        all.partitions = all.partitions_touched.len() as u64;
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
                Collected::Nothing => {
                    if self.told.borrow().0.elapsed() >= TELL_EVERY {
                        self.tell_counts();
                    }
                }
                Collected::End => return Ok(()),
                Collected::Windows { messages, gone, is_last } => {
                    let windows = Windows::new(messages);
                    self.collector.count(|counts| counts.objects_repeated += windows.repeated);
                    if !self.convert_patiently(&windows, &gone, is_last, total)? {
                        return Ok(());
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
            options.notes_event_times = true;
            convert_named(&options, storage, &naming, self.progress, self.stop, self.handle)
        });
        let concluded = self.handle.block_on(lease.conclude(outcome));
        self.turns.borrow_mut().released = Instant::now();
        let report = concluded?;
        let is_through = self.acknowledge(windows, naming.outcome.take(), &report, started, total);
        total.add(report);
        Ok(is_through)
    }

    /// Takes the lake's lease; returns none when the run is asked to stop.
    async fn take_lease(&self) -> Result<Option<Lease>> {
        let pause = self.turns.borrow_mut().pause(Instant::now());
        self.collector.pause(pause).await;
        let (asked, mut is_told) = (Instant::now(), false);
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match Lease::take_briefly(self.storage).await {
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
        let (mut done, mut later, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for message in &windows.messages {
            let reason = message.objects.iter().find_map(|(object, _)| left.get(&object.key));
            let list = if reason.is_some() || message.is_left { &mut later } else { &mut done };
            list.push(message.number);
            // Why it was left before is counted already.
            failed.extend(reason.filter(|_| !message.is_left));
        }
        self.collector.held.leave(&later);
        self.handle.block_on(self.collector.delete(&done));
        let is_converted = |key: &str| !left.contains_key(key) && !known.contains(key);
        let delays = WindowDelays::new(windows, is_converted, &report.event_times, now);
        let sent = windows.messages.iter().map(|message| message.sent).filter(|sent| *sent > 0);
        let oldest = sent.min().map_or(0.0, |sent| (now - sent).max(0) as f64 / 1000.0);
        self.collector.count(|counts| {
            failed.iter().for_each(|reason| counts.leave(reason));
        });
        total.delays.join(&delays);
        total.oldest = total.oldest.max(oldest);
        (self.on_event)(WatchEvent::Converted(&WindowSummary {
            messages: windows.messages.len() as u64,
            messages_left: later.len() as u64,
            objects: report.objects_read,
            objects_known: report.objects_known,
            records_written: report.records_written,
            files: report.files,
            seconds: started.elapsed().as_secs_f64(),
            delay_p50_seconds: delays.from_event.percentile(0.5),
            delay_p99_seconds: delays.from_event.percentile(0.99),
            delay_from_put_p50_seconds: delays.from_put.percentile(0.5),
            delay_from_put_p99_seconds: delays.from_put.percentile(0.99),
            oldest_seconds: oldest,
        }));
        self.tell_counts();
        true
    }

    /// Tells what was counted since the last time.
    fn tell_counts(&self) {
        let counts = self.collector.counts();
        let mut told = self.told.borrow_mut();
        let new = counts.since(&told.1);
        *told = (Instant::now(), counts);
        if new != QueueReport::default() {
            (self.on_event)(WatchEvent::Counted(&new));
        }
    }

    /// Lists the sources and converts what is missing, as a nightly conversion does. What goes wrong with it does
    /// not end the watch, unless the lake is damaged.
    fn sweep(&self, total: &mut Total) -> Result<()> {
        let options = &self.options.convert;
        loop {
            let outcome = match self.handle.block_on(has_nothing(options)) {
                Ok(true) => return Ok(()),
                Ok(false) => convert_as_sweep(options, self.progress, self.stop),
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

    /// Gives back the messages in hand, however the run ends, so that whoever comes next need not wait until
    /// their visibility ends; those that were left as well if it has failed.
    fn give_back(&self, has_failed: bool) {
        let limit = match self.stop.load(Ordering::Relaxed) {
            true => END_TIMEOUT,
            false => GIVE_BACK_TIMEOUT,
        };
        let given = self.collector.held.give_back(has_failed);
        let given = self.handle.block_on(async { tokio::time::timeout(limit, given).await });
        let why = match given {
            Ok(Ok(())) => return,
            Ok(Err(err)) => err.to_string(),
            Err(_) => format!("it took longer than {} s", limit.as_secs()),
        };
        tell(&format!(
            "not all messages could be made visible again; they are when their visibility ends: {why}"
        ));
    }

    /// Makes the report.
    fn conclude(&self, total: Total, started: Instant) -> Report {
        let Total { mut report, delays, oldest } = total;
        let ConvertOptions { lake, sources, .. } = &self.options.convert;
        let sources = sources.iter().map(ToString::to_string);
        report.about = about_run(lake, sources.chain([self.queue_address()]).collect());
        report.queue = Some(QueueReport {
            delay_p50_seconds: delays.from_event.percentile(0.5),
            delay_p99_seconds: delays.from_event.percentile(0.99),
            delay_from_put_p50_seconds: delays.from_put.percentile(0.5),
            delay_from_put_p99_seconds: delays.from_put.percentile(0.99),
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
