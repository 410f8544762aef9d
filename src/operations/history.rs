//! Event history: answers a question from a lake's files, newest first.
//!
//! Files are read in the order of their latest event, some at a time, and events are written as soon as
//! no unread file can have newer ones. So a question with a limit stops early, and an answer without one
//! takes the memory of some days.

use crate::engine::tasks::all;
use crate::error::{Error, ErrorKind, Result};
use crate::family::Family;
use crate::history::{
    EVENT_COLUMNS, Event, Field, Filter, Output, Rows, Writer, record, record_columns,
};
use crate::operations::repair::base_table;
use crate::scan::{DataBytes, LiveFile, MISSING_FILE, OpenFile, live_files};
use crate::storage::Storage;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use tokio::task::JoinSet;

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
}

/// What was read for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HistoryReport {
    /// Events in the answer.
    pub events: u64,
    /// Whether the limit left events out, or may have.
    pub is_limited: bool,
    /// Files that were read.
    pub files_read: u64,
    /// Files of the lake's event tables.
    pub files: u64,
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
    let mut reader = Reader { storage, files: &files, threads: options.threads.max(1), read: 0 };
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
    storage: &'a Storage,
    files: &'a [LiveFile],
    threads: usize,
    read: u64,
}

impl Reader<'_> {
    /// Narrows a filter to the time around an event and to its principal.
    async fn look_around(&mut self, filter: &mut Filter, id: &str, distance: i64) -> Result<()> {
        let by_id = Filter { ids: vec![id.to_owned()], ..Filter::default() };
        let mut found = None;
        let mut waves = self.waves(&by_id);
        while let (None, Some(wave)) = (&found, waves.pop()) {
            found = self.find(&wave, &by_id, false).await?.into_iter().next();
        }
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

    /// The files that may have matches, in waves of as many as are read at once; the first is last.
    fn waves(&self, filter: &Filter) -> Vec<Vec<LiveFile>> {
        let files: Vec<_> = self.files.iter().filter(|file| filter.may_match(file)).collect();
        let wave = |files: &[&LiveFile]| files.iter().map(|file| (*file).clone()).collect();
        files.chunks(self.threads).map(wave).rev().collect()
    }

    async fn write(
        &mut self,
        filter: &Filter,
        options: &HistoryOptions,
        mut writer: Writer<impl Write>,
        report: &mut HistoryReport,
    ) -> Result<()> {
        let limit = options.limit.unwrap_or(u64::MAX);
        let mut pending: Vec<Found> = Vec::new();
        let mut waves = self.waves(filter);
        while let Some(wave) = waves.pop() {
            pending.extend(self.find(&wave, filter, options.output.has_records()).await?);
            pending.sort_by(|a, b| b.instant.cmp(&a.instant).then_with(|| a.id.cmp(&b.id)));
            let newest = waves.last().and_then(|wave| wave.first()).map(|it| it.file.max_instant);
            // An unread file may have events of the same instant.
            let ready =
                pending.partition_point(|it| newest.is_none_or(|newest| it.instant > newest));
            for found in pending.drain(..ready) {
                if report.events == limit {
                    report.is_limited = true;
                    return writer.end();
                }
                match &found.shown {
                    Shown::Event(event) => writer.event(event)?,
                    Shown::Record(record) => writer.record(record)?,
                }
                report.events += 1;
            }
            if report.events == limit && !waves.is_empty() {
                report.is_limited = true;
                break;
            }
        }
        writer.end()
    }

    async fn count(
        &mut self,
        filter: &Filter,
        options: &HistoryOptions,
        out: impl Write,
    ) -> Result<u64> {
        let mut counts: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        let mut waves = self.waves(filter);
        while let Some(wave) = waves.pop() {
            for found in self.find(&wave, filter, false).await? {
                let Shown::Event(event) = found.shown else { continue };
                let key = options.count_by.iter().map(|field| event.field(*field).to_owned());
                *counts.entry(key.collect()).or_default() += 1;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        let total = counts.iter().map(|(_, count)| count).sum();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(options.limit.map_or(usize::MAX, |limit| limit as usize));
        let titles: Vec<_> = options.count_by.iter().map(|field| field.name().to_owned()).collect();
        Writer::counts(out, &titles, &counts)?;
        Ok(total)
    }

    /// Returns the matches in some files, which are read side by side.
    async fn find(
        &mut self,
        wave: &[LiveFile],
        filter: &Filter,
        has_records: bool,
    ) -> Result<Vec<Found>> {
        let mut tasks = JoinSet::new();
        for live in wave {
            let (storage, key) = (self.storage.clone(), live.file.key.clone());
            tasks.spawn(async move { data_bytes(&storage, &key).await.map(|bytes| (key, bytes)) });
        }
        let bodies = all(tasks).await?;
        self.read += wave.len() as u64;
        std::thread::scope(|scope| {
            let search = |(key, bytes): (String, DataBytes)| {
                scope.spawn(move || search(&key, bytes, filter, has_records))
            };
            let threads: Vec<_> = bodies.into_iter().map(search).collect();
            let mut found = Vec::new();
            for thread in threads {
                let joined = thread.join();
                found.extend(joined.map_err(|_| Error::new(ErrorKind::Bug, "a thread panicked"))??);
            }
            Ok(found)
        })
    }
}

/// Returns the bytes of a data file: those in a bucket are fetched.
pub(super) async fn data_bytes(storage: &Storage, key: &str) -> Result<DataBytes> {
    let gone = || Error::new(ErrorKind::Damaged, MISSING_FILE).at("file", key);
    if let Some(root) = storage.root() {
        let path = root.join(key);
        return if path.is_file() { Ok(DataBytes::Path(path)) } else { Err(gone()) };
    }
    Ok(DataBytes::Bytes(storage.read(key).await?.ok_or_else(gone)?))
}

/// Returns the matches in one file.
fn search(key: &str, bytes: DataBytes, filter: &Filter, has_records: bool) -> Result<Vec<Found>> {
    let file = OpenFile::open(key, bytes)?;
    let looked_at = filter.columns();
    let shown = if has_records { record_columns() } else { EVENT_COLUMNS.to_vec() };
    let mut found = Vec::new();
    for group in 0..file.groups() {
        let rows = Rows::new(&looked_at, file.read(group, &looked_at)?);
        let matches: Vec<usize> =
            (0..rows.len()).filter(|row| filter.matches(&rows, *row)).collect();
        if matches.is_empty() {
            continue;
        }
        let whole = Rows::new(&shown, file.read(group, &shown)?);
        found.extend(matches.into_iter().map(|row| Found {
            instant: rows.instant(row),
            id: whole.id(row),
            shown: match has_records {
                true => Shown::Record(record(&whole, row)),
                false => Shown::Event(Box::new(Event::read(&whole, row))),
            },
        }));
    }
    Ok(found)
}
