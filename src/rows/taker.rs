//! The records of a parsed chunk become rows, or are quarantined.

use crate::family::Family;
use crate::keys::{Folder, Layout};
use crate::lake::{ObjectRecord, QuarantinedObject, Raw};
use crate::parse::Cursor;
use crate::rows::{ObjectFacts, Parsed, RowOptions, Scratch, Taking, family_of};
use std::sync::Arc;

/// Where a record came from, if not from the object's own text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin<'o> {
    /// Where the text stands that holds it.
    pub(super) at: Option<u64>,
    /// What its wrapper says, as a JSON object; empty for nothing.
    pub(super) known: &'o [u8],
    /// Whether a time without a zone is known to be UTC.
    pub(super) is_utc: bool,
}

/// Takes the records of one parsed chunk.
pub(super) struct Taker<'a> {
    pub(super) key: &'a Arc<str>,
    pub(super) parsed: &'a mut Parsed,
    pub(super) scratch: &'a mut Scratch,
    pub(super) options: &'a RowOptions,
    pub(super) layout: &'a Layout,
    pub(super) facts: &'a ObjectFacts,
    pub(super) record: &'a mut ObjectRecord,
    pub(super) number: u32,
    pub(super) earlier: u64,
}

impl Taker<'_> {
    pub(super) fn take_all(mut self, mut cursor: Cursor<'_>, count: usize) {
        for _ in 0..count {
            self.take(&mut cursor, Origin::default());
        }
    }

    /// Takes the record that the cursor stands on, and moves to the next.
    pub(super) fn take(&mut self, cursor: &mut Cursor<'_>, origin: Origin<'_>) {
        let RowOptions { partition_by, assume_utc, typed, .. } = self.options;
        let family = match self.layout.folder {
            Folder::Logs(family) => family,
            _ => family_of(cursor),
        };
        if family == Family::Digest && !self.options.digests {
            cursor.skip();
            cursor.end_entry();
            self.record.tally.read += 1;
            self.record.tally.filtered += 1;
            return;
        }
        let before = cursor.clone();
        let table = self.parsed.table(family, *typed, partition_by);
        let with = Taking {
            object: self.number,
            facts: self.facts,
            by: partition_by,
            is_utc: *assume_utc || origin.is_utc,
            known: origin.known,
        };
        let (texts, scratch) = (&mut self.parsed.texts, &mut *self.scratch);
        let outcome = self.parsed.tables[table].take(cursor, texts, scratch, with);
        if let Err(err) = outcome {
            let span = before.clone().skip();
            let entry = QuarantinedObject {
                object: Arc::clone(self.key),
                record: Some(self.earlier + self.record.tally.read),
                records: 1,
                byte: origin.at.unwrap_or(span.start as u64),
                error_byte: None,
                reason: err.to_string(),
                raw: Raw::default(),
            };
            self.parsed.quarantine(entry, &cursor.bytes()[span]);
            self.record.tally.quarantined += 1;
        }
        self.record.tally.read += 1;
        cursor.end_entry();
    }
}
