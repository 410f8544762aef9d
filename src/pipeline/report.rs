//! What a run did, and what it is doing.

use crate::commit::Tally;
use crate::pipeline::publish::Refreshed;
use crate::source::ListingReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// The result of a conversion; its fields are part of the public interface.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Objects opened: logs, foreign ones and bad ones; members of archives each count.
    pub objects_read: u64,
    /// Objects without CloudTrail log records: digests, notifications, other services' objects.
    pub objects_ignored: u64,
    /// Objects set aside whole.
    pub objects_quarantined: u64,
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
    /// Records set aside.
    pub records_quarantined: u64,
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
    /// What was listed, and what was left out.
    #[serde(default)]
    pub listing: ListingReport,
    /// Rows by table.
    pub rows_by_table: BTreeMap<String, u64>,
    /// Ignored objects by what they are.
    pub ignored_by_kind: BTreeMap<String, u64>,
    /// Set-aside records and objects by reason.
    pub quarantined_by_reason: BTreeMap<String, u64>,
    /// What a person should know; nothing was done about it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Report {
    /// Returns whether something was set aside.
    pub fn has_quarantine(&self) -> bool {
        self.objects_quarantined + self.records_quarantined > 0
    }

    pub(crate) fn add_catalog(&mut self, refreshed: Refreshed) {
        self.catalog_changes = refreshed.changes;
        self.catalog_calls = refreshed.usage.calls;
        self.catalog_throttled = refreshed.usage.throttled;
    }

    pub(crate) fn add_tally(&mut self, tally: &Tally) {
        self.records_read += tally.read;
        self.records_written += tally.written;
        self.records_duplicate += tally.duplicate;
        self.records_filtered += tally.filtered;
        self.records_quarantined += tally.quarantined;
    }
}

/// Counters that a progress display reads while a run goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes to read, as far as the sources are listed.
    pub bytes_total: AtomicU64,
    /// Objects to read.
    pub objects_total: AtomicU64,
    /// Bytes whose rows are written.
    pub bytes: AtomicU64,
    /// Objects whose rows are written.
    pub objects: AtomicU64,
    /// Records read.
    pub records: AtomicU64,
    /// Units committed.
    pub units: AtomicU64,
}

impl Progress {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}
