//! Proves that a lake holds exactly the records of its source.
//!
//! For users who cannot rely on the converter: both sides are read here from the bytes up, with
//! other parsers, another listing and another copy of the contract than the writer's, and every
//! record is reduced to a hash of its expected row. Source minus lake must be nothing.
//!
//! 1. Every source record adds its row's fingerprint to a ledger, every lake row takes one out.
//!    Memory is the hashes still open, plus one per distinct record when duplicates are dropped,
//!    plus per thread one object or row group.
//! 2. Only if something is left, both sides are read again to name a few of the differences. A
//!    row that is missing under an id that is also there too often is `different`, and the first
//!    column that differs is named.
//!
//! The typed tables are compared with the main ones, file by file: see `typed`.
//!
//! The proof covers all documented and free-form columns, event times and left-over fields, nested
//! columns as far as a file has them, and account, region and day. It does not cover promoted
//! columns, other partition values, or values' order in a file. Records
//! that the converter must quarantine are not expected; its own decisions are passed in. Nothing is
//! printed, and no record's content enters a report or a message.

mod archive_kind;
mod balance;
mod beside;
mod contract;
mod cut;
mod data_files;
mod directories;
mod expected;
mod exported;
mod files;
mod hash;
mod json;
mod lists;
mod methods;
mod moved;
mod naming;
mod nested;
mod objects;
mod partial;
mod places;
mod proven_objects;
mod reading;
mod row;
mod source_files;
mod streams;
mod tables;
#[cfg(test)]
mod tests;
mod typed;
mod unpack;
mod unrecognized;
mod wrapped;
mod yaml;

use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use balance::{Balance, Booked, Claim};
use beside::{Beside, EMPTY_LIST, by_name};
use contract::Family;
use data_files::Table;
pub use files::{BLOCK_BYTES, Files, RemoteFile, Waiting};
use files::{Opening, Placed};
use partial::Rest;
pub use partial::{ConvertedObject, ConvertedUnit, Partial, Wants};
pub use proven_objects::{ProvenCounts, ProvenObjects};
use row::{Fingerprint, Row};
use serde::Serialize;
use source_files::SourceFile;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use typed::{Shared, Sums, TypedFiles};
pub use wrapped::Wrappers;

/// The base name of the tables unless told otherwise.
pub const DEFAULT_TABLE: &str = "cloudtrail";
/// How many differences are named unless told otherwise; all are counted.
pub const DEFAULT_MAX_DIFFERENCES: usize = 20;
/// The largest object that is read unless told otherwise, unpacked: 1 GiB.
pub const DEFAULT_MAX_OBJECT_SIZE: u64 = 1 << 30;
/// Bytes of an unpacked object for each byte of it, unless an option says otherwise.
pub const DEFAULT_MAX_RATIO: u64 = 400;

/// How many files of a bucket are asked for at once unless told otherwise.
pub const DEFAULT_READS_AHEAD: usize = 64;

/// Rule for copies of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicateRule {
    /// Records with an event id and identical text, but for whitespace outside strings, are expected
    /// once per table.
    #[default]
    Drop,
    /// Every record is expected as often as it occurs.
    Keep,
}

/// Options of a comparison.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Folders, files or prefixes of buckets; every file below them is read.
    pub sources: Vec<Location>,
    /// The folder, or the prefix of a bucket, that holds the tables' folders.
    pub lake: Location,
    /// How buckets are read; without it no place may be in one.
    pub buckets: Option<Arc<dyn Files>>,
    /// How many files of a bucket are asked for at once; [`DEFAULT_READS_AHEAD`].
    pub reads_ahead: usize,
    /// The base name of the tables; [`DEFAULT_TABLE`].
    pub table: String,
    /// Threads to use; 0 means one per processor.
    pub threads: usize,
    /// How many differences to name; [`DEFAULT_MAX_DIFFERENCES`].
    pub max_differences: usize,
    /// Whether copies of a record are expected once or each.
    pub duplicates: DuplicateRule,
    /// Bytes of an unpacked object above which it is quarantined; [`DEFAULT_MAX_OBJECT_SIZE`].
    pub max_object_size: u64,
    /// Decoded bytes for each stored byte of an object above which it is quarantined, once it is over 1 MiB;
    /// [`DEFAULT_MAX_RATIO`].
    pub max_ratio: u64,
    /// Whether names that begin with `.` or `_` are read, as the lake was made with.
    pub reads_hidden: bool,
    /// Whether digests are left out, as the lake was made with.
    pub without_digests: bool,
    /// Which wrappers records are taken out of, as the lake was made with.
    pub unwrap: Wrappers,
    /// Whether an event time without a zone is UTC, as the lake was made with.
    pub assume_utc: bool,
    /// What is tried on archives that are encrypted.
    pub passwords: Vec<String>,
    /// Records the converter reports as quarantined: object name, and the byte of the unpacked
    /// object where the record begins.
    ///
    /// An object's name is its absolute path or `s3://bucket/key`, an archive member's
    /// `<archive>!/<member>`.
    pub quarantined: HashSet<(String, u64)>,
    /// The part of the sources to compare; none: all of them.
    pub partial: Option<Partial>,
    /// Hashes of proven objects, to compare the sources with.
    pub proven: Option<Arc<ProvenObjects>>,
}

impl VerifyOptions {
    /// Creates options with every default.
    pub fn new(sources: Vec<Location>, lake: Location) -> Self {
        Self {
            sources,
            lake,
            buckets: None,
            reads_ahead: DEFAULT_READS_AHEAD,
            table: DEFAULT_TABLE.to_owned(),
            threads: 0,
            max_differences: DEFAULT_MAX_DIFFERENCES,
            duplicates: DuplicateRule::default(),
            max_object_size: DEFAULT_MAX_OBJECT_SIZE,
            max_ratio: DEFAULT_MAX_RATIO,
            reads_hidden: false,
            without_digests: false,
            unwrap: Wrappers::default(),
            assume_utc: false,
            passwords: Vec::new(),
            quarantined: HashSet::new(),
            partial: None,
            proven: None,
        }
    }
}

/// Result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Objects that could be read, those without records included.
    pub objects_read: u64,
    /// Objects that could not: damaged or too large.
    pub objects_quarantined: u64,
    /// Objects and folders that were not read: without permission, archived, removed since the listing,
    /// encrypted, packed in an unknown way, or without a record that was recognized though they look like
    /// CloudTrail. Their records are not compared.
    pub objects_not_read: u64,
    /// The same by reason.
    pub not_read_by_reason: BTreeMap<String, u64>,
    /// Objects in which no record was found and none is to be expected, by what they are: nothing of them is
    /// compared.
    pub without_records: BTreeMap<String, u64>,
    /// Files, folders and members of archives that were not read since their names begin with `.` or `_`.
    pub names_hidden: u64,
    /// Source records that the lake must hold.
    pub records_expected: u64,
    /// Source records that are copies of an expected one.
    pub records_duplicate: u64,
    /// Rows the lake's files say they have.
    pub records_in_lake: u64,
    /// Expected rows that are missing from the lake.
    pub records_missing: u64,
    /// Rows of the lake that no source record accounts for.
    pub records_unexpected: u64,
    /// Source records that cannot become a row, by rule or by the converter's list.
    pub records_quarantined: u64,
    /// Rows of the lake that were read and compared.
    pub rows_checked: u64,
    /// Parquet files read.
    pub files_read: u64,
    /// Rows of the typed tables that were compared with those of the main tables.
    pub typed_rows_checked: u64,
    /// Files of the typed tables.
    pub typed_files_read: u64,
    /// Members of nested columns, file by file, that could not be compared: their keys look like data or are
    /// too many in their object, and the converter keeps some of those only.
    pub typed_members_not_compared: u64,
    /// Problems of whole files: unreadable, or a column that is missing, misplaced or of another
    /// type; of the typed tables also files that are missing or have other rows.
    pub file_problems: u64,
    /// Objects of the lake's ledger that are gone from the sources, and were passed over.
    pub objects_gone: u64,
    /// Objects of the lake's ledger that options leave out.
    pub objects_unwanted: u64,
    /// Rows of the lake that those objects account for, which were not compared.
    pub rows_not_compared: u64,
    /// Rows that units with such objects should have by the ledger, and that are missing from their
    /// files; may be counted as missing, too.
    pub rows_lost: u64,
    /// Which objects are proven, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity: Option<ProvenCounts>,
    /// Some of the differences, those that say most first.
    pub differences: Vec<Difference>,
}

impl VerifyReport {
    /// Returns whether the lake holds exactly the records of the source.
    pub fn proves(&self) -> bool {
        self.records_missing == 0
            && self.records_unexpected == 0
            && self.file_problems == 0
            && self.rows_lost == 0
            && self.differences.is_empty()
            && self.rows_checked == self.records_in_lake
            && self.objects_not_read == 0
    }

    /// Returns whether both sides are equal as far as they were read.
    pub fn is_equal_as_far_as_read(&self) -> bool {
        Self { objects_not_read: 0, ..self.clone() }.proves()
    }

    /// Returns whether there was nothing to compare: the lake is empty, and nothing in the sources is of CloudTrail,
    /// not even a list without records. Both sides are equal then, which says nothing.
    pub fn has_nothing(&self) -> bool {
        let records = self.records_expected + self.records_quarantined + self.rows_not_compared;
        records + self.records_in_lake == 0
            && !self.without_records.is_empty()
            && !self.without_records.contains_key(EMPTY_LIST)
    }
}

/// Kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DifferenceKind {
    /// A column's value, type or place is wrong.
    Different,
    /// A source record has no row.
    Missing,
    /// A row has no source record, or one too few.
    Unexpected,
}

/// One difference: its place, never its contents.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// Its kind.
    pub kind: DifferenceKind,
    /// The table's name.
    pub table: String,
    /// The record's event id, if it has one.
    pub event_id: Option<String>,
    /// The source object.
    pub object: Option<String>,
    /// The record's place in the object, from 0.
    pub record: Option<u64>,
    /// The data file, below the lake.
    pub file: Option<String>,
    /// The first column that differs. Without it, a difference of a file is the file itself.
    pub column: Option<String>,
}

/// A step of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Both sides are listed: these are the files to read.
    Listed(u64),
    /// A file was read.
    File,
    /// Source records or lake rows were dealt with.
    Records(u64),
}

/// Compares sources and lake.
///
/// `on_progress` is called from many threads with what was done since its last call. Cost: each side is
/// read once, and once more if they differ.
///
/// # Errors
/// `Config` if a source or the lake is not there or there is nothing to compare, `Io` if a source cannot be read, `Denied` and
/// `Unavailable` from a bucket, `OverLimit` for a data file there that is too large to be held.
pub fn verify(
    options: &VerifyOptions,
    on_progress: &(dyn Fn(Step) + Sync),
) -> Result<VerifyReport> {
    if options.lake.local().is_some_and(|folder| !folder.is_dir()) {
        return Err(Error::config("cannot open lake").at("path", &options.lake));
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
    let threads =
        threads.map_err(|err| Error::new(ErrorKind::Io, "cannot start threads").because(err))?;
    threads.install(|| {
        let (comparison, rest) = Comparison::new(options, on_progress)?;
        comparison.run(rest)
    })
}

struct Comparison<'a> {
    options: &'a VerifyOptions,
    on_progress: &'a (dyn Fn(Step) + Sync),
    sources: Vec<SourceFile>,
    /// What was found in listing them.
    beside: Beside,
    lake: Vec<data_files::LakeFile>,
    /// Files of the typed tables.
    typed: Vec<data_files::LakeFile>,
}

/// A source record as the first pass and the second see it.
struct Record<'a> {
    object: &'a str,
    index: u64,
    text: &'a [u8],
    family: Family,
    event_id: Option<String>,
    claim: Claim,
}

/// Counts of one source file.
#[derive(Clone, Default)]
struct Tally {
    objects_read: u64,
    objects_quarantined: u64,
    beside: Beside,
    expected: u64,
    duplicate: u64,
    quarantined: u64,
    /// Records counted as quarantined before a copy turned out to be expected.
    promoted: u64,
}

impl std::ops::Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            objects_read: self.objects_read + other.objects_read,
            objects_quarantined: self.objects_quarantined + other.objects_quarantined,
            beside: self.beside.join(other.beside),
            expected: self.expected + other.expected,
            duplicate: self.duplicate + other.duplicate,
            quarantined: self.quarantined + other.quarantined,
            promoted: self.promoted + other.promoted,
        }
    }
}

impl<'a> Comparison<'a> {
    /// Lists both sides; also returns the objects of the sources that are not compared.
    fn new(
        options: &'a VerifyOptions,
        on_progress: &'a (dyn Fn(Step) + Sync),
    ) -> Result<(Self, Rest)> {
        let buckets = options.buckets.as_deref();
        let (mut sources, beside) =
            source_files::list(&options.sources, &options.lake, options.reads_hidden, buckets)?;
        let is_empty = sources.is_empty();
        let rest = options.partial.as_ref().map(|partial| partial.narrow(&mut sources));
        if sources.is_empty() {
            let why = if is_empty { "is in the sources" } else { "is one that options ask for" };
            let message = format!("there is nothing to compare: no object {why}");
            return Err(Error::config(message));
        }
        let list = |which| data_files::list(&options.lake, &options.table, which, buckets);
        let (lake, typed) = (list(Table::Main)?, list(Table::Typed)?);
        on_progress(Step::Listed((sources.len() + lake.len()) as u64));
        Ok((Self { options, on_progress, sources, beside, lake, typed }, rest.unwrap_or_default()))
    }

    fn run(&self, mut not_compared: Rest) -> Result<VerifyReport> {
        let ledger = Balance::new();
        let tallies =
            self.each(&self.sources, |file, opening| self.book(file, opening, &ledger))?;
        let tally = tallies.into_iter().fold(Tally::default(), |a, b| a + b);
        let beside = self.beside.clone().join(tally.beside);
        let mut report = VerifyReport {
            integrity: self.options.proven.as_ref().map(|proven| proven.close()),
            objects_read: tally.objects_read,
            objects_quarantined: tally.objects_quarantined,
            objects_not_read: beside.not_read.values().sum(),
            not_read_by_reason: by_name(beside.not_read),
            without_records: by_name(beside.without_records),
            names_hidden: beside.hidden,
            records_duplicate: tally.duplicate + tally.promoted,
            files_read: self.lake.len() as u64,
            ..VerifyReport::default()
        };
        let mut rows = Vec::with_capacity(self.lake.len());
        let typed = self.read_typed()?;
        let readings = self.deliver(&ledger, &typed)?;
        for (file, reading) in self.lake.iter().zip(&readings) {
            rows.push(reading.rows.0);
            report.records_in_lake += reading.rows.0;
            report.rows_checked += reading.rows.1;
            report.file_problems += reading.problems.len() as u64;
            let room = self.options.max_differences.saturating_sub(report.differences.len());
            let named = reading.problems.iter().take(room).cloned();
            report.differences.extend(named.map(|column| self.file_difference(file, column)));
        }
        self.compare_typed(&readings, &typed, &mut report);
        not_compared.note(&self.lake, &rows, &mut report);
        let mut rest = ledger.settle();
        report.rows_not_compared = self.excuse(&mut not_compared, &mut rest.unexpected)?;
        report.records_expected = tally.expected + rest.spares_found;
        report.records_quarantined =
            tally.quarantined.saturating_sub(tally.promoted + rest.spares_found);
        report.records_missing = rest.missing.values().sum();
        report.records_unexpected = rest.unexpected.values().sum();
        if report.records_missing + report.records_unexpected > 0 {
            let room = self.options.max_differences.saturating_sub(report.differences.len());
            report.differences.extend(self.name(rest, room)?);
        }
        Ok(report)
    }

    fn file_difference(&self, file: &data_files::LakeFile, column: Option<String>) -> Difference {
        Difference {
            kind: DifferenceKind::Different,
            table: file.family.table(&self.options.table),
            event_id: None,
            object: None,
            record: None,
            file: Some(file.name.clone()),
            column,
        }
    }

    /// Calls `work` with every file, on all threads.
    fn each<'b, F: Placed, T: Send>(
        &'b self,
        files: &'b [F],
        work: impl Fn(&'b F, Opening<'b>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        files::each(files, self.options.buckets.as_deref(), self.options.reads_ahead, work)
    }

    /// Books every record of a source file.
    fn book(&self, file: &SourceFile, opening: Opening<'_>, ledger: &Balance) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut minified = Vec::new();
        let counted = self.records(file, opening, &mut |record, row| {
            let is_single =
                self.options.duplicates == DuplicateRule::Drop && record.event_id.is_some();
            let identity = is_single.then(|| {
                minified.clear();
                json::minify(record.text, &mut minified);
                hash::hash(&minified, record.family)
            });
            match ledger.claim(row.fingerprint(record.family), identity, record.claim) {
                Booked::Expected => tally.expected += 1,
                Booked::Spare => tally.quarantined += 1,
                Booked::Promoted => {
                    tally.expected += 1;
                    tally.promoted += 1;
                }
                Booked::Duplicate => tally.duplicate += 1,
            }
        })?;
        (self.on_progress)(Step::File);
        Ok(tally + counted)
    }

    /// Books every row of the main tables; the readings keep only what the report and the comparison with
    /// the typed tables need.
    fn deliver(
        &self,
        ledger: &Balance,
        typed: &TypedFiles,
    ) -> Result<Vec<data_files::Reading<Sums>>> {
        self.each(&self.lake, |file, opening| {
            let (data, shared) = (opening.data_file()?, Shared::of(file));
            let nested = typed.nested_of(file);
            let reading = data_files::read(file, &data, |sums: &mut Sums, row, _| {
                ledger.deliver(row.fingerprint(file.family));
                if !self.typed.is_empty() {
                    nested.expect(row, sums);
                    shared.add(row, sums);
                }
            });
            (self.on_progress)(Step::Records(reading.rows.1));
            (self.on_progress)(Step::File);
            Ok(reading)
        })
    }
}

/// A row's fingerprint and how each of its columns is known.
struct Known {
    fingerprint: Fingerprint,
    columns: Vec<u64>,
}

impl Known {
    fn of(row: &Row, family: Family) -> Self {
        Self { fingerprint: row.fingerprint(family), columns: row.column_hashes() }
    }
}
