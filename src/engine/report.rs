//! What a run did, and what it is doing.

use crate::engine::event_times::EventTimes;
use crate::engine::queue_report::QueueReport;
use crate::engine::volume::PartitionChoice;
use crate::integrity::Verdict;
use crate::lake::{Manifest, ObjectOutcome, Tally};
use crate::source::ListingReport;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a run was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of these fields, as in `schemas/report.json`.
    pub report_format: u32,
    /// Version of the program.
    pub version: String,
    /// A name of the run that no other has.
    pub run: String,
    /// The lake.
    pub lake: String,
    /// What was read.
    pub sources: Vec<String>,
}

/// The result of a conversion; its fields are part of the public interface.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// What the run was.
    #[serde(flatten)]
    pub about: About,
    /// Objects opened: logs, foreign ones and bad ones; members of archives each count.
    pub objects_read: u64,
    /// Objects without CloudTrail log records: digests, notifications, other services' objects.
    pub objects_ignored: u64,
    /// Objects quarantined whole.
    pub objects_quarantined: u64,
    /// Objects and archives whose gzip stream has padding (zero bytes, line ends, spaces) between or after
    /// its members, which was passed over.
    #[serde(default)]
    pub objects_padded: u64,
    /// Objects and folders that could not be read; the next run tries them again.
    #[serde(default)]
    pub objects_unavailable: u64,
    /// The same by reason.
    #[serde(default)]
    pub unavailable_by_reason: BTreeMap<String, u64>,
    /// Members of archives with names that begin with `.` or `_`, which were not read.
    #[serde(default)]
    pub members_hidden: u64,
    /// Objects of the source that the lake holds already.
    pub objects_known: u64,
    /// Records found.
    pub records_read: u64,
    /// Records written.
    pub records_written: u64,
    /// Records whose exact copy was in the lake.
    pub records_duplicate: u64,
    /// Records that an option excluded.
    pub records_filtered: u64,
    /// Records quarantined.
    pub records_quarantined: u64,
    /// Records that were in wrappers, such as LookupEvents output; they count as read, too.
    #[serde(default)]
    pub records_unwrapped: u64,
    /// Records in wrappers that are not known, which were not read: `--unwrap any` reads them.
    #[serde(default)]
    pub records_unread: u64,
    /// Values of free-form fields that the nested columns could not hold; the text column has them.
    pub nested_values_unfit: u64,
    /// Bytes of the objects as stored.
    pub bytes_compressed: u64,
    /// Bytes of their JSON.
    pub bytes_json: u64,
    /// Bytes of the Parquet files.
    pub bytes_parquet: u64,
    /// Parquet files.
    pub files: u64,
    /// Partitions with new files.
    pub partitions: u64,
    /// Those partitions, as `table/partition`; not part of the document.
    #[serde(skip)]
    pub partitions_touched: BTreeSet<String>,
    /// When the events of the written rows took place, if that was asked for; not part of the document.
    #[serde(skip)]
    pub event_times: EventTimes,
    /// Units committed.
    pub units: u64,
    /// Of them, units that an earlier run had begun.
    pub units_resumed: u64,
    /// The schema lock's version after the run.
    pub schema_version: u32,
    /// Fields the run added to the schema.
    pub new_fields: Vec<String>,
    /// Changes made to the catalog.
    pub catalog_changes: u64,
    /// Requests sent to the catalog service, repeated ones included.
    pub catalog_calls: u64,
    /// Of them, those that were throttled.
    pub catalog_throttled: u64,
    /// Whether the run was asked to stop before it was through.
    pub interrupted: bool,
    /// Wall time.
    pub seconds: f64,
    /// Which part of which plan it was, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<ChildReport>,
    /// What was listed, and what was left out.
    #[serde(default)]
    pub listing: ListingReport,
    /// The partition keys that were chosen for a new lake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions_chosen: Option<PartitionChoice>,
    /// Rows by table.
    pub rows_by_table: BTreeMap<String, u64>,
    /// Ignored objects by what they are.
    pub ignored_by_kind: BTreeMap<String, u64>,
    /// Objects that gave no record, by what they are: ignored ones, those with an empty list, archives
    /// without logs.
    #[serde(default)]
    pub without_records: BTreeMap<String, WithoutRecords>,
    /// Quarantined records and objects by reason.
    pub quarantined_by_reason: BTreeMap<String, u64>,
    /// Whether nothing that the run was given held CloudTrail records, or nothing that the lake was ever given.
    #[serde(default)]
    pub nothing_recognized: bool,
    /// What was brought back of data files that are gone, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<RestoreReport>,
    /// What became of the messages of a queue, if the objects came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueReport>,
    /// What digests say of the objects, if they were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<IntegrityTotals>,
    /// What a person should know; nothing was done about it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Objects of one kind that gave no record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithoutRecords {
    /// How many there are.
    pub objects: u64,
    /// The first of them, in their order.
    pub first: Vec<String>,
}

/// Names of objects without records that a report has of each kind.
const FIRST_NAMES: usize = 5;

/// What was brought back of data files that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreReport {
    /// Files whose rows are back, in other files; those included that were removed because other rows
    /// of their unit and partition were gone.
    pub files: u64,
    /// Rows of those files.
    pub rows: u64,
    /// Files whose rows are not all back.
    pub files_left: u64,
    /// Rows of those files.
    pub rows_left: u64,
    /// Objects that files which are gone were made of, and that are gone from the sources, were replaced
    /// there or cannot be read.
    pub objects_gone: u64,
    /// Some of those objects.
    pub objects: Vec<String>,
}

/// What digests say of the objects of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrityTotals {
    /// Digests of the sources that were read.
    pub digests: u64,
    /// Of them, those that are verified.
    pub digests_verified: u64,
    /// Objects by verdict.
    pub objects: BTreeMap<Verdict, u64>,
    /// Records that were written of them, by verdict.
    pub records: BTreeMap<Verdict, u64>,
    /// Objects of earlier runs that were in no digest and are proven by now.
    pub objects_upgraded: u64,
}

impl IntegrityTotals {
    fn add(&mut self, other: Self) {
        for (counts, more) in
            [(&mut self.objects, other.objects), (&mut self.records, other.records)]
        {
            more.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
        }
    }

    /// Returns whether an object is not what was delivered; one that no digest lists yet may be.
    pub fn has_failed(&self) -> bool {
        let is_bad = |verdict: &Verdict| !verdict.proves() && *verdict != Verdict::InNoDigest;
        self.objects.keys().any(is_bad)
    }
}

/// What a child of an array job had to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildReport {
    /// The plan.
    pub plan: String,
    /// The child's number, from 0; none for the whole plan.
    pub index: Option<u32>,
    /// How many children there are.
    pub count: u32,
    /// Units that are the child's.
    pub units: u64,
    /// Of them, units that were done before it began.
    pub units_done_before: u64,
    /// Whether the plan was finished before it began, or discarded.
    pub ended: Option<bool>,
    /// Whether its units compact partitions.
    #[serde(default)]
    pub compacts: bool,
}

impl Report {
    /// Returns whether something was quarantined.
    pub fn has_quarantine(&self) -> bool {
        self.objects_quarantined + self.records_quarantined + self.objects_unavailable > 0
    }

    pub(crate) fn add_catalog(&mut self, refreshed: Refreshed) {
        self.catalog_changes = refreshed.changes;
        self.catalog_calls = refreshed.usage.calls;
        self.catalog_throttled = refreshed.usage.throttled;
    }

    /// Adds what the run committed before it began again without what it could not read.
    pub(crate) fn add_earlier(&mut self, earlier: Self) {
        for (count, more) in [
            (&mut self.objects_read, earlier.objects_read),
            (&mut self.objects_ignored, earlier.objects_ignored),
            (&mut self.objects_quarantined, earlier.objects_quarantined),
            (&mut self.objects_padded, earlier.objects_padded),
            (&mut self.members_hidden, earlier.members_hidden),
            (&mut self.records_read, earlier.records_read),
            (&mut self.records_written, earlier.records_written),
            (&mut self.records_duplicate, earlier.records_duplicate),
            (&mut self.records_filtered, earlier.records_filtered),
            (&mut self.records_quarantined, earlier.records_quarantined),
            (&mut self.records_unwrapped, earlier.records_unwrapped),
            (&mut self.records_unread, earlier.records_unread),
            (&mut self.nested_values_unfit, earlier.nested_values_unfit),
            (&mut self.bytes_compressed, earlier.bytes_compressed),
            (&mut self.bytes_json, earlier.bytes_json),
            (&mut self.bytes_parquet, earlier.bytes_parquet),
            (&mut self.files, earlier.files),
            (&mut self.partitions, earlier.partitions),
            (&mut self.units, earlier.units),
            (&mut self.units_resumed, earlier.units_resumed),
        ] {
            *count += more;
        }
        self.partitions_touched.extend(earlier.partitions_touched);
        self.event_times.join(earlier.event_times);
        if let Some(more) = earlier.integrity {
            self.integrity.get_or_insert_default().add(more);
        }
        for (counts, more) in [
            (&mut self.rows_by_table, earlier.rows_by_table),
            (&mut self.ignored_by_kind, earlier.ignored_by_kind),
            (&mut self.quarantined_by_reason, earlier.quarantined_by_reason),
        ] {
            more.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
        }
        for (reason, more) in earlier.without_records {
            let all = self.without_records.entry(reason).or_default();
            all.objects += more.objects;
            all.first.splice(0..0, more.first);
            all.first.truncate(FIRST_NAMES);
        }
    }

    pub(crate) fn add_tally(&mut self, tally: &Tally) {
        self.records_read += tally.read;
        self.records_written += tally.written;
        self.records_duplicate += tally.duplicate;
        self.records_filtered += tally.filtered;
        self.records_quarantined += tally.quarantined;
    }
}

/// What bringing a catalog in line took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Tables and partitions created, updated or deleted.
    pub changes: u64,
    /// What was asked of the catalog.
    pub usage: crate::catalog::Usage,
    /// Whether partitions are projected, so that none needs to be registered.
    pub is_projected: bool,
}

/// A report that grows with every unit.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub report: Report,
    partitions: BTreeSet<String>,
}

impl Done {
    /// Adds a unit that was committed.
    pub(crate) fn add(&mut self, manifest: &Manifest, is_resumed: bool) {
        let report = &mut self.report;
        report.units += 1;
        report.units_resumed += u64::from(is_resumed);
        report.objects_ignored += manifest.passed_over;
        report.members_hidden += manifest.members_hidden;
        report.objects_padded += manifest.objects_padded;
        report.records_unwrapped += manifest.records_unwrapped;
        report.records_unread += manifest.records_unread;
        for object in &manifest.objects {
            report.objects_read += u64::from(object.outcome != ObjectOutcome::Archive);
            if let Some(proof) = &object.integrity {
                let totals = report.integrity.get_or_insert_default();
                *totals.objects.entry(proof.verdict).or_default() += 1;
                *totals.records.entry(proof.verdict).or_default() += object.tally.written;
            }
            if let Some(reason) = manifest.why_without_records(object) {
                let all = report.without_records.entry(reason.to_owned()).or_default();
                all.objects += 1;
                if all.first.len() < FIRST_NAMES {
                    all.first.push(object.key.clone());
                }
            }
            match &object.outcome {
                ObjectOutcome::Converted | ObjectOutcome::Archive => {}
                ObjectOutcome::Ignored(kind) => {
                    report.objects_ignored += 1;
                    *report.ignored_by_kind.entry(kind.clone()).or_default() += 1;
                }
                ObjectOutcome::Quarantined(_) => report.objects_quarantined += 1,
            }
        }
        report.add_tally(&manifest.tally);
        report.bytes_json += manifest.bytes_json;
        report.nested_values_unfit += manifest.nested_values_unfit;
        for file in &manifest.files {
            report.files += 1;
            report.bytes_parquet += file.bytes;
            *report.rows_by_table.entry(file.table.clone()).or_default() += file.rows;
            self.partitions.insert(format!("{}/{}", file.table, file.partition));
        }
        report.partitions = self.partitions.len() as u64;
    }

    /// Returns the report, with the partitions that got files.
    pub(crate) fn end(self) -> Report {
        Report { partitions_touched: self.partitions, ..self.report }
    }

    /// Adds what a unit quarantined, by reason.
    pub(crate) fn add_reasons<'r>(&mut self, reasons: impl IntoIterator<Item = (&'r String, u64)>) {
        for (reason, count) in reasons {
            *self.report.quarantined_by_reason.entry(reason.clone()).or_default() += count;
        }
    }
}

/// What one unit did, for those who watch a run.
#[derive(Clone, Debug, Serialize)]
pub struct UnitSummary {
    /// The unit.
    pub unit: String,
    /// Objects in it.
    pub objects: u64,
    /// Records found.
    pub records_read: u64,
    /// Records written.
    pub records_written: u64,
    /// Records whose exact copy was in the lake.
    pub records_duplicate: u64,
    /// Records quarantined.
    pub records_quarantined: u64,
    /// Objects quarantined whole.
    pub objects_quarantined: u64,
    /// Bytes of its objects' JSON.
    pub bytes_json: u64,
    /// Bytes of its Parquet files.
    pub bytes_parquet: u64,
    /// Parquet files.
    pub files: u64,
}

impl UnitSummary {
    pub(super) fn new(manifest: &Manifest) -> Self {
        let is_quarantined =
            |outcome: &ObjectOutcome| matches!(outcome, ObjectOutcome::Quarantined(_));
        let quarantined = manifest.objects.iter().filter(|object| is_quarantined(&object.outcome));
        Self {
            unit: manifest.unit.to_string(),
            objects: manifest.objects.len() as u64,
            records_read: manifest.tally.read,
            records_written: manifest.tally.written,
            records_duplicate: manifest.tally.duplicate,
            records_quarantined: manifest.tally.quarantined,
            objects_quarantined: quarantined.count() as u64,
            bytes_json: manifest.bytes_json,
            bytes_parquet: manifest.files.iter().map(|file| file.bytes).sum(),
            files: manifest.files.len() as u64,
        }
    }
}
