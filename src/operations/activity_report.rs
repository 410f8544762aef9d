//! The report of a lake's activity: reads the files of its events once and runs all panels over them.
//!
//! Files are read some at a time, and what they say is added up, so that memory does not grow with the
//! lake. Files that lie before the window are read too: what is seen for the first time is known only from
//! all that came before.

use crate::error::{Error, ErrorKind, Result};
use crate::family::{Family, main_table};
use crate::lake::Manifest;
use crate::operations::list_ignored::list_ignored;
use crate::operations::list_quarantine::list_quarantine;
use crate::operations::proven_rows::proven_rows;
use crate::operations::repair::base_table;
use crate::query::on_own_thread;
use crate::report::{
    ActivityReport, Answers, Asked, Batch, Grain, LakeFacts, Part, ProvenRows, Question, Span,
    TableFacts, Window,
};
use crate::scan::{CacheOptions, DataFiles, LiveFile, live_files};
use crate::storage::Storage;
use std::collections::{BTreeMap, BTreeSet};

/// Events that statements are run over at once, in each thread, at least: row groups have 100,000 at most.
const BATCH: usize = 50_000;

/// What a report is asked for.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// Where the lake is, as the page says it.
    pub lake: String,
    /// Which events.
    pub window: Window,
    /// Rows of a panel, at most.
    pub top: u64,
    /// When the report is made, if it is to say so.
    pub generated_at: Option<String>,
    /// Threads that read and count.
    pub threads: usize,
    /// Where files of a lake in a bucket are kept.
    pub cache: CacheOptions,
}

/// A report, and what was read for it.
#[derive(Clone, Debug)]
pub struct MadeReport {
    /// The report; none if no event is in the window.
    pub report: Option<ActivityReport>,
    /// Files that were read.
    pub files_read: u64,
    /// Files of the lake's table of events.
    pub files: u64,
    /// Bytes that were fetched from a bucket.
    pub bytes_fetched: u64,
}

/// Makes a report.
///
/// # Errors
/// `Config` for a window or an account that is not valid; `Damaged` for a file that cannot be read;
/// `Unavailable`, `Denied`, `Io`.
pub async fn activity_report(storage: &Storage, options: &ReportOptions) -> Result<MadeReport> {
    options.window.check()?;
    let live = live_files(storage).await?;
    let tables: BTreeSet<&String> = live.iter().map(|live| &live.file.table).collect();
    let table = Family::Events.table(&base_table(tables));
    let facts = facts(storage, &live).await?;
    let mut files: Vec<LiveFile> =
        live.into_iter().filter(|live| live.file.table == table).collect();
    let count = files.len() as u64;
    files.retain(|live| is_wanted(live, &options.window));
    let none = MadeReport { report: None, files_read: 0, files: count, bytes_fetched: 0 };
    let times = files.iter().map(|live| (live.file.min_instant, live.file.max_instant));
    let Some(span) = span(times.filter(|time| options.window.may_have(time.0, time.1))) else {
        return Ok(none);
    };
    let horizon = files.iter().map(|live| live.file.min_instant).min().unwrap_or(span.first);
    let window = &options.window;
    let span = Span {
        first: window.since.map_or(span.first, |since| since.max(span.first)),
        last: window.until.map_or(span.last, |until| span.last.min(until - 1)),
    };
    let question = Question {
        database: database(storage).await?,
        table,
        window: window.clone(),
        grain: Grain::of(span),
        new_since: window.new_since(span),
        top: options.top,
    };
    let asked = Asked::new(question)?;
    let data = DataFiles::open(storage, &options.cache)?;
    let (answers, bytes_fetched) = answer(&data, &files, &asked, options.threads.max(1)).await?;
    let (answers, coverage) = on_own_thread(|| answers.finish())?;
    let (lake, question) = (&options.lake, asked.question());
    let mut report = ActivityReport::new(lake, question, horizon, facts, answers, coverage);
    report.generated_at.clone_from(&options.generated_at);
    let report = (report.events() > 0).then_some(report);
    Ok(MadeReport { report, files_read: files.len() as u64, files: count, bytes_fetched })
}

/// Whether a file can have events that a report is about: of its accounts, and before its end.
fn is_wanted(live: &LiveFile, window: &Window) -> bool {
    let is_account = |account: &str| window.accounts.iter().any(|wanted| wanted == account);
    let account = live.partition.iter().find(|(key, _)| key == "account");
    let is_of_account = account.is_none_or(|(_, account)| is_account(account));
    (window.accounts.is_empty() || is_of_account) && window.may_have_before(live.file.min_instant)
}

fn span(times: impl Iterator<Item = (i64, i64)>) -> Option<Span> {
    times.fold(None, |span: Option<Span>, (first, last)| {
        let span = span.unwrap_or(Span { first, last });
        Some(Span { first: span.first.min(first), last: span.last.max(last) })
    })
}

/// The database that the lake's tables are in.
async fn database(storage: &Storage) -> Result<String> {
    let manifests = Manifest::read_all(storage).await?;
    let mut names = manifests.into_iter().rev().map(|manifest| manifest.database);
    Ok(names.find(|name| !name.is_empty()).unwrap_or_else(|| "trailmill".to_owned()))
}

/// What the lake's documents say.
async fn facts(storage: &Storage, live: &[LiveFile]) -> Result<LakeFacts> {
    let mut tables: BTreeMap<&str, TableFacts> = BTreeMap::new();
    for file in live.iter().map(|live| &live.file) {
        if main_table(&file.table) != file.table {
            continue;
        }
        let table = tables.entry(&file.table).or_default();
        table.name.clone_from(&file.table);
        table.rows += file.rows;
        table.files += 1;
        table.bytes += file.bytes;
    }
    let quarantined = list_quarantine(storage).await?;
    let objects: BTreeSet<&str> = quarantined.iter().map(|entry| &*entry.object).collect();
    let mut proven = ProvenRows::default();
    for proof in proven_rows(storage).await? {
        if main_table(&proof.table) == proof.table {
            proven.rows_proven += proof.rows_proven;
            proven.rows_unproven += proof.rows_unproven;
            proven.rows_unchecked += proof.rows_unchecked;
        }
    }
    let is_known = proven.rows_proven + proven.rows_unproven > 0;
    Ok(LakeFacts {
        tables: tables.into_values().collect(),
        records_quarantined: quarantined.iter().map(|entry| entry.records).sum(),
        objects_quarantined: objects.len() as u64,
        objects_ignored: list_ignored(storage).await?.len() as u64,
        integrity: is_known.then_some(proven),
    })
}

/// Answers all panels: some files are fetched, then read and counted side by side. Returns also the bytes
/// that were fetched.
async fn answer<'a>(
    data: &DataFiles,
    files: &[LiveFile],
    asked: &'a Asked,
    threads: usize,
) -> Result<(Answers<'a>, u64)> {
    let mut answers = Answers::new(asked);
    let mut bytes_fetched = 0;
    for wave in groups(files).chunks(threads) {
        bytes_fetched += data.fetch(&wave.concat()).await?;
        let parts = parts(data, wave, asked)?;
        on_own_thread(|| parts.into_iter().try_for_each(|part| answers.add(part)))?;
    }
    Ok((answers, bytes_fetched))
}

/// Files in groups of as many events as statements are run over at once.
fn groups(files: &[LiveFile]) -> Vec<Vec<LiveFile>> {
    let (mut groups, mut group, mut rows) = (Vec::new(), Vec::new(), 0);
    for live in files {
        group.push(live.clone());
        rows += live.file.rows;
        if rows >= BATCH as u64 {
            groups.push(std::mem::take(&mut group));
            rows = 0;
        }
    }
    groups.push(group);
    groups
}

/// Answers the panels for groups of files, a thread each.
fn parts(data: &DataFiles, groups: &[Vec<LiveFile>], asked: &Asked) -> Result<Vec<Part>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = groups
            .iter()
            .map(|group| scope.spawn(move || on_own_thread(|| parts_of(data, group, asked))))
            .collect();
        let mut out = Vec::new();
        for thread in threads {
            let joined = thread.join();
            out.extend(joined.map_err(|_| Error::new(ErrorKind::Bug, "a thread panicked"))??);
        }
        Ok(out)
    })
}

fn parts_of(data: &DataFiles, group: &[LiveFile], asked: &Asked) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut pending: Option<Batch> = None;
    for live in group {
        Batch::read(live, &data.path(live), |batch| {
            let Some(joined) = &mut pending else {
                pending = Some(batch);
                return Ok(());
            };
            let other = joined.join(batch);
            if joined.len() >= BATCH || other.is_some() {
                parts.push(asked.answer(joined)?);
                pending = other;
            }
            Ok(())
        })?;
    }
    if let Some(last) = pending {
        parts.push(asked.answer(&last)?);
    }
    Ok(parts)
}
