//! Event history: answers a question from a lake's files, newest first.
//!
//! Files are read in the order of their latest event, some at a time, and events are written as soon as
//! no unread file can have newer ones. So a question with a limit stops early, and an answer without one
//! takes the memory of some days.

use crate::error::{Error, ErrorKind, Result};
use crate::family::Family;
use crate::history::{
    EVENT_COLUMNS, Event, Field, Filter, Output, REQUEST_COLUMNS, RESOURCE_COLUMNS, Rows, Writer,
    record, record_columns,
};
use crate::operations::repair::base_table;
use crate::scan::{CacheOptions, DataFiles, LiveFile, OpenFile, live_files};
use crate::storage::Storage;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};

/// Files of a lake in a bucket that are fetched at once, at most. The first time, as many are fetched as are
/// read side by side, then twice as many each time, so that an answer that is soon complete costs few.
const MOST_FETCHED: usize = 32;

/// Files whose events a thread holds at most, while those of files before them are awaited.
const AHEAD: usize = 4;

/// A question.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// What an event must meet.
    pub filter: Filter,
    /// Only events of the principal of this event, at most so many milliseconds from it.
    pub around: Option<(String, i64)>,
    /// Events in the answer, the newest; all without.
    pub limit: Option<u64>,
    /// Counts by these fields, and not the events.
    pub count_by: Vec<Field>,
    /// How the answer is written.
    pub output: Output,
    /// Files that are read side by side.
    pub threads: usize,
    /// Where files of a lake in a bucket are kept.
    pub cache: CacheOptions,
}

/// What was read for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HistoryReport {
    /// Events in the answer.
    pub events: u64,
    /// Whether the limit left events out, or may have.
    pub is_limited: bool,
    /// Files whose events were taken; some after them may have been opened, while these were read.
    pub files_read: u64,
    /// Files of the lake's event tables.
    pub files: u64,
    /// Bytes that were fetched from a bucket.
    pub bytes_fetched: u64,
}

/// An event of the answer.
struct Found {
    instant: i64,
    id: String,
    shown: Shown,
}

/// What is kept of an event until it is written.
enum Shown {
    Event(Box<Event>),
    Record(String),
}

/// Answers a question; the answer goes to `out`.
///
/// # Errors
/// `Config` when the event to look around is not there; `Damaged` for a file that cannot be read;
/// `Unavailable`, `Denied`, `Io`.
pub async fn history(
    storage: &Storage,
    options: &HistoryOptions,
    out: impl Write,
) -> Result<HistoryReport> {
    let files = event_files(storage).await?;
    let data = DataFiles::open(storage, &options.cache)?;
    let threads = options.threads.max(1);
    let mut reader = Reader { data, files: &files, threads, read: 0, bytes_fetched: 0 };
    let mut filter = options.filter.clone();
    if let Some((id, distance)) = &options.around {
        reader.look_around(&mut filter, id, *distance).await?;
    }
    let mut report = HistoryReport { files: files.len() as u64, ..HistoryReport::default() };
    if options.count_by.is_empty() {
        let writer = Writer::begin(options.output, out)?;
        reader.write(&filter, options, writer, &mut report).await?;
    } else {
        report.events = reader.count(&filter, options, out).await?;
    }
    report.files_read = reader.read;
    report.bytes_fetched = reader.bytes_fetched;
    Ok(report)
}

/// Returns the live files of the tables that have events.
async fn event_files(storage: &Storage) -> Result<Vec<LiveFile>> {
    let mut files = live_files(storage).await?;
    let tables: BTreeSet<&String> = files.iter().map(|live| &live.file.table).collect();
    let base = base_table(tables);
    let wanted = [Family::Events, Family::NetworkActivity].map(|family| family.table(&base));
    files.retain(|live| wanted.contains(&live.file.table));
    Ok(files)
}

struct Reader<'a> {
    data: DataFiles,
    files: &'a [LiveFile],
    threads: usize,
    read: u64,
    bytes_fetched: u64,
}

impl Reader<'_> {
    /// Narrows a filter to the time around an event and to its principal.
    async fn look_around(&mut self, filter: &mut Filter, id: &str, distance: i64) -> Result<()> {
        let by_id = Filter { ids: vec![id.to_owned()], ..Filter::default() };
        let mut found = None;
        let take = |of_file: Vec<Found>, _| {
            found = of_file.into_iter().next();
            Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        self.each(&by_id, |file| found_in(file, &by_id, false, 1), take).await?;
        let Some(Found { instant, shown: Shown::Event(event), .. }) = found else {
            let message = "no event of the lake has this event ID";
            return Err(Error::config(message).at("event", id));
        };
        filter.since =
            Some(filter.since.map_or(instant - distance, |at| at.max(instant - distance)));
        let end = instant + distance + 1;
        filter.until = Some(filter.until.map_or(end, |at| at.min(end)));
        filter.principal = Some(if event.arn.is_empty() { event.user } else { event.arn });
        Ok(())
    }

    async fn write(
        &mut self,
        filter: &Filter,
        options: &HistoryOptions,
        mut writer: Writer<impl Write>,
        report: &mut HistoryReport,
    ) -> Result<()> {
        let limit = options.limit.unwrap_or(u64::MAX);
        // One more than is shown tells whether there are more.
        let most = usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX);
        let has_records = options.output.has_records();
        let mut pending: Vec<Found> = Vec::new();
        let take = |found: Vec<Found>, newest: Option<i64>| {
            pending.extend(found);
            pending.sort_by(|a, b| b.instant.cmp(&a.instant).then_with(|| a.id.cmp(&b.id)));
            // An unread file may have events of the same instant.
            let ready =
                pending.partition_point(|it| newest.is_none_or(|newest| it.instant > newest));
            for found in pending.drain(..ready) {
                if report.events == limit {
                    report.is_limited = true;
                    return Ok(ControlFlow::Break(()));
                }
                match &found.shown {
                    Shown::Event(event) => writer.event(event)?,
                    Shown::Record(record) => writer.record(record)?,
                }
                report.events += 1;
            }
            if report.events == limit && newest.is_some() {
                report.is_limited = true;
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        };
        self.each(filter, |file| found_in(file, filter, has_records, most), take).await?;
        writer.end()
    }

    async fn count(
        &mut self,
        filter: &Filter,
        options: &HistoryOptions,
        out: impl Write,
    ) -> Result<u64> {
        let mut counts: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        let take = |counted: HashMap<Vec<String>, u64>, _| {
            for (key, count) in counted {
                *counts.entry(key).or_default() += count;
            }
            Ok(ControlFlow::Continue(()))
        };
        self.each(filter, |file| counts_in(file, filter, &options.count_by), take).await?;
        let mut counts: Vec<_> = counts.into_iter().collect();
        let total = counts.iter().map(|(_, count)| count).sum();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(options.limit.map_or(usize::MAX, |limit| limit as usize));
        let titles: Vec<_> = options.count_by.iter().map(|field| field.name().to_owned()).collect();
        Writer::counts(out, &titles, &counts)?;
        Ok(total)
    }

    /// Looks at the files that may have matches, some side by side. What is found in each is taken in their
    /// order, with the latest instant of the files after it, until `take` breaks.
    async fn each<T: Send>(
        &mut self,
        filter: &Filter,
        look: impl Fn(&OpenFile) -> Result<T> + Sync,
        mut take: impl FnMut(T, Option<i64>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let files: Vec<LiveFile> =
            self.files.iter().filter(|file| filter.may_match(file)).cloned().collect();
        let newest_after = |at: usize| files.get(at + 1).map(|file| file.file.max_instant);
        let (mut done, mut next) = (0, self.threads);
        while done < files.len() {
            let end = files.len().min(done + next);
            let batch = files.get(done..end).unwrap_or_default();
            self.bytes_fetched += self.data.fetch(batch).await?;
            let take = |at: usize, found: T| take(found, newest_after(done + at));
            if self.look_at(batch, &look, take)?.is_break() {
                break;
            }
            let most =
                if self.data.is_cache() { MOST_FETCHED.max(self.threads) } else { usize::MAX };
            (done, next) = (end, most.min(next * 2));
        }
        Ok(())
    }

    /// Looks at files that are on this machine: each thread at every so many-th.
    fn look_at<T: Send>(
        &mut self,
        batch: &[LiveFile],
        look: &(impl Fn(&OpenFile) -> Result<T> + Sync),
        mut take: impl FnMut(usize, T) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let (data, threads, read) = (&self.data, self.threads, &mut self.read);
        std::thread::scope(|scope| {
            let start = |first: usize| {
                let (sender, receiver) = sync_channel(AHEAD);
                let thread = scope.spawn(move || {
                    for live in batch.iter().skip(first).step_by(threads) {
                        let file = OpenFile::open(&live.file.key, &data.path(live));
                        if sender.send(file.and_then(|file| look(&file))).is_err() {
                            break;
                        }
                    }
                });
                (receiver, thread)
            };
            let (receivers, workers): (Vec<_>, Vec<_>) =
                (0..threads.min(batch.len())).map(start).unzip();
            let flow = take_in_turn(&receivers, batch.len(), |at, found| {
                *read += 1;
                take(at, found)
            });
            // A thread without a receiver ends; one that panicked has been noticed.
            drop(receivers);
            workers.into_iter().for_each(|thread| drop(thread.join()));
            flow
        })
    }
}

/// Takes what is received, from one receiver after another, until `take` breaks.
fn take_in_turn<T>(
    receivers: &[Receiver<Result<T>>],
    count: usize,
    mut take: impl FnMut(usize, T) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    for (at, receiver) in receivers.iter().cycle().take(count).enumerate() {
        let panicked = |_| Error::new(ErrorKind::Bug, "a thread panicked");
        if take(at, receiver.recv().map_err(panicked)??)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A row that matches.
#[derive(Clone, Copy)]
struct Match {
    group: usize,
    row: usize,
    instant: i64,
}

/// Returns the matches in a row group of a file, in the order of its rows.
fn matches(file: &OpenFile, group: usize, filter: &Filter) -> Result<Vec<Match>> {
    let candidates = filter.rows(file, group)?;
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows::new(file.read(group, &filter.columns(), Some(&candidates))?);
    let numbered = candidates.into_iter().enumerate();
    let found = numbered.filter(|(at, _)| filter.matches(&rows, *at));
    let found = found.map(|(at, row)| Match { group, row, instant: rows.instant(at) });
    let mut found: Vec<Match> = found.collect();
    if filter.resources.is_empty() || found.is_empty() {
        return Ok(found);
    }
    let numbers: Vec<usize> = found.iter().map(|it| it.row).collect();
    let about = Rows::new(file.read(group, RESOURCE_COLUMNS, Some(&numbers))?);
    let mut is_about: Vec<_> = (0..found.len()).map(|at| filter.is_about(&about, at)).collect();
    let is_unclear = |(row, is_about): (&usize, &Option<bool>)| is_about.is_none().then_some(*row);
    let unclear: Vec<usize> = numbers.iter().zip(&is_about).filter_map(is_unclear).collect();
    if !unclear.is_empty() {
        let requests = Rows::new(file.read(group, REQUEST_COLUMNS, Some(&unclear))?);
        let unknown = is_about.iter_mut().filter(|is_about| is_about.is_none());
        for (at, is_about) in unknown.enumerate() {
            *is_about = Some(filter.is_in_request(&requests, at));
        }
    }
    let mut is_about = is_about.into_iter();
    found.retain(|_| is_about.next().flatten() == Some(true));
    Ok(found)
}

/// Returns the matches in a file: as many as are wanted, the newest, and those of the same instant as the
/// oldest of them.
fn found_in(
    file: &OpenFile,
    filter: &Filter,
    has_records: bool,
    most: usize,
) -> Result<Vec<Found>> {
    let mut wanted: Vec<Match> = Vec::new();
    for group in 0..file.groups() {
        wanted.extend(matches(file, group, filter)?);
        if wanted.len() > most {
            let mut instants: Vec<i64> = wanted.iter().map(|it| it.instant).collect();
            let (_, oldest, _) =
                instants.select_nth_unstable_by(most - 1, |one, other| other.cmp(one));
            let oldest = *oldest;
            wanted.retain(|it| it.instant >= oldest);
        }
    }
    let shown = if has_records { record_columns() } else { EVENT_COLUMNS.to_vec() };
    let mut found = Vec::new();
    for of_group in wanted.chunk_by(|one, other| one.group == other.group) {
        let Some(Match { group, .. }) = of_group.first() else { continue };
        let numbers: Vec<usize> = of_group.iter().map(|it| it.row).collect();
        let rows = Rows::new(file.read(*group, &shown, Some(&numbers))?);
        found.extend(of_group.iter().enumerate().map(|(at, it)| Found {
            instant: it.instant,
            id: rows.id(at),
            shown: match has_records {
                true => Shown::Record(record(&rows, at)),
                false => Shown::Event(Box::new(Event::read(&rows, at))),
            },
        }));
    }
    Ok(found)
}

/// Counts the matches in a file by the values of fields.
fn counts_in(
    file: &OpenFile,
    filter: &Filter,
    fields: &[Field],
) -> Result<HashMap<Vec<String>, u64>> {
    let columns: Vec<&str> = fields.iter().flat_map(|field| field.columns()).copied().collect();
    let mut counts = HashMap::new();
    for group in 0..file.groups() {
        let found = matches(file, group, filter)?;
        if found.is_empty() {
            continue;
        }
        let numbers: Vec<usize> = found.iter().map(|it| it.row).collect();
        let rows = Rows::new(file.read(group, &columns, Some(&numbers))?);
        for at in 0..found.len() {
            let event = Event::read(&rows, at);
            let key = fields.iter().map(|field| event.field(*field).to_owned()).collect();
            *counts.entry(key).or_default() += 1;
        }
    }
    Ok(counts)
}
