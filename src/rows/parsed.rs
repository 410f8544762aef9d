//! A parsed segment: its rows, and what became of its objects.

use crate::family::Family;
use crate::lake::{MAX_ENTRIES, MAX_SEGMENT_RAW, ObjectRecord, QuarantinedObject, Raw};
use crate::partition::PartitionBy;
use crate::rows::{TableRows, Texts};
use std::sync::Arc;

/// A parsed segment; its buffers are used again.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub texts: Texts,
    pub tables: Vec<TableRows>,
    /// Empty tables of an earlier segment.
    idle: Vec<TableRows>,
    pub objects: Vec<ObjectRecord>,
    /// What each of the objects is known by, whatever its version.
    pub histories: Vec<u128>,
    pub quarantine: Vec<QuarantinedObject>,
    pub bytes_json: u64,
    pub bytes_compressed: u64,
    /// Objects with padding after their compressed streams.
    pub objects_padded: u64,
    /// Records that were in wrappers.
    pub records_unwrapped: u64,
    /// Records in wrappers that are not known, which were not read.
    pub records_unread: u64,
    /// Members of archives that came out of objects which were passed over.
    pub members_passed_over: u64,
    /// Those with hidden names, which were not read.
    pub members_hidden: u64,
    /// Whether the first object is the rest of the last part's last one.
    pub continues: bool,
    /// Raw bytes kept of what is quarantined.
    raw_kept: u64,
}

impl Parsed {
    /// Forgets what was parsed, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.texts.clear();
        self.idle.append(&mut self.tables);
        self.idle.iter_mut().for_each(TableRows::clear);
        self.objects.clear();
        self.histories.clear();
        self.quarantine.clear();
        self.bytes_json = 0;
        self.bytes_compressed = 0;
        self.objects_padded = 0;
        self.records_unwrapped = 0;
        self.records_unread = 0;
        self.members_passed_over = 0;
        self.members_hidden = 0;
        self.continues = false;
        self.raw_kept = 0;
    }

    /// Returns how many bytes of memory the content takes, about.
    pub(crate) fn footprint(&self) -> u64 {
        let rows: u64 = self.tables.iter().map(TableRows::footprint).sum();
        let entries = size_of_val(&self.quarantine[..]) as u64 + self.raw_kept;
        self.texts.size() as u64 + rows + entries
    }

    /// Quarantines something, with its raw bytes as far as there is room for them. Of an object with very
    /// many bad records, the last ones share an entry.
    pub(crate) fn quarantine(&mut self, entry: QuarantinedObject, bytes: &[u8]) {
        let is_one_of_many = |last: &&mut QuarantinedObject| {
            entry.record.is_some_and(|n| n >= MAX_ENTRIES)
                && Arc::ptr_eq(&last.object, &entry.object)
        };
        let is_full = self.quarantine.len() as u64 >= MAX_ENTRIES;
        if let Some(last) = self.quarantine.last_mut().filter(|_| is_full).filter(is_one_of_many) {
            return last.add(entry.records, bytes.len() as u64);
        }
        let raw = Raw::of(bytes, MAX_SEGMENT_RAW.saturating_sub(self.raw_kept));
        self.raw_kept += raw.kept();
        self.quarantine.push(QuarantinedObject { raw, ..entry });
    }

    /// Makes room for `times` as many rows and texts as there are, and a little more. Vectors that grow
    /// step by step are copied each time, into memory that the system has to clear.
    pub(super) fn reserve(&mut self, times: f64) {
        let times = times * 1.1;
        self.texts.reserve(times);
        self.tables.iter_mut().for_each(|table| table.reserve(times));
    }

    /// Returns which of the tables is a family's.
    pub(crate) fn table(&mut self, family: Family, typed: bool, by: &PartitionBy) -> usize {
        let is_it = |table: &TableRows| table.family == family;
        self.tables.iter().position(is_it).unwrap_or_else(|| {
            let idle = self.idle.iter().position(is_it).map(|at| self.idle.swap_remove(at));
            self.tables.push(idle.unwrap_or_else(|| TableRows::new(family, typed, by)));
            self.tables.len() - 1
        })
    }
}
