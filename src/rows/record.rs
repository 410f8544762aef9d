//! One record into the rows of a table.
//!
//! First the record's top-level keys are found and its time and partition are checked; only then do
//! values go to the columns, so that a bad record leaves no trace in them.

use crate::error::{Error, ErrorKind, Result};
use crate::parse::Cursor;
use crate::partition::{Facts, PartitionBy};
use crate::rows::found::{Found, Shape};
use crate::rows::scratch::Scratch;
use crate::rows::table_rows::{Row, TableRows};
use crate::rows::text::{Span, Texts};
use crate::rows::time::instant_of;
use crate::units::place;

/// The largest record that is converted. CloudTrail's own limit is 256 KB since event version 1.05;
/// engines refuse rows over 32 MB (docs/aws-facts.md A13).
pub const MAX_RECORD_BYTES: usize = 32 << 20;

/// What the object's key says about its records; the record's own values come first.
#[derive(Clone, Debug, Default)]
pub struct ObjectFacts {
    /// The account of the key.
    pub account: String,
    /// The region of the key.
    pub region: String,
    /// The organization of the key.
    pub organization: String,
}

/// What a record is taken with, besides its own text.
#[derive(Clone, Copy, Debug)]
pub struct Taking<'a> {
    /// The object's place in the part.
    pub object: u32,
    /// What the object's key says.
    pub facts: &'a ObjectFacts,
    /// What rows are partitioned by.
    pub by: &'a PartitionBy,
    /// Whether a time without a zone is UTC.
    pub is_utc: bool,
    /// What the record's wrapper says, as a JSON object; empty for nothing.
    pub known: &'a [u8],
}

impl TableRows {
    /// Takes the record the cursor stands on, and moves past it in any case.
    ///
    /// # Errors
    /// `BadInput` with the reason why the record cannot be a row; nothing was added then.
    pub fn take(
        &mut self,
        cursor: &mut Cursor<'_>,
        texts: &mut Texts,
        scratch: &mut Scratch,
        with: Taking<'_>,
    ) -> Result<()> {
        let Some(len) = cursor.object_len() else {
            cursor.skip();
            return Err(Error::bad_input("record is not an object"));
        };
        let start = cursor.start();
        scratch.found.clear();
        scratch.found.resize(self.specs.len(), None);
        scratch.leftover.clear();
        let source = cursor.bytes();
        cursor.enter(len);
        self.keys.open();
        for _ in 0..len {
            let key = cursor.key();
            let column = self.keys.column(key.text);
            let found = Found::read(Span::new(key.raw), cursor);
            cursor.end_entry();
            // The same key again: the last one counts, unless only the earlier is spelled right.
            let leftover = match column {
                None => Some(found),
                Some(column) => {
                    let slot = &mut scratch.found[column];
                    let is_exact = |found: &Found| self.keys.is_exact(found.key, source);
                    match slot {
                        Some(before) if is_exact(before) && !is_exact(&found) => Some(found),
                        _ => slot.replace(found),
                    }
                }
            };
            scratch.leftover.extend(leftover);
        }
        let span = start..cursor.container_end();
        if span.len() > MAX_RECORD_BYTES {
            return Err(Error::bad_input(format!("record is over {MAX_RECORD_BYTES} bytes")));
        }
        if !texts.has_room(span.len() + with.known.len()) {
            let message = "the unit's texts would be over 4 GB; lower `--unit-size`";
            return Err(Error::new(ErrorKind::OverLimit, message));
        }
        let row = self.row(scratch, cursor, with, span)?;
        self.rows.push(row);
        self.fill(scratch, cursor, texts, with.known);
        Ok(())
    }

    /// Checks time and partition, and makes the row's facts.
    fn row(
        &mut self,
        scratch: &mut Scratch,
        cursor: &Cursor<'_>,
        Taking { object, facts, by, is_utc, .. }: Taking<'_>,
        span: std::ops::Range<usize>,
    ) -> Result<Row> {
        let keys = &self.keys;
        let found = |column: Option<usize>| column.and_then(|column| scratch.found[column]);
        let string = |column: Option<usize>| found(column).and_then(|found| found.string(cursor));
        let time = match keys.time_member {
            None => found(keys.time),
            Some(name) => found(keys.time).and_then(|found| found.value(name, cursor)),
        };
        let time = time.filter(|time| time.shape != Shape::Null);
        let time = time.ok_or_else(|| Error::bad_input("record has no event time"))?;
        let instant = instant_of(time, cursor, is_utc)
            .ok_or_else(|| Error::bad_input("event time is not an instant with a zone"))?;
        let is_given = |text: &&[u8]| !text.trim_ascii().is_empty();
        let (named_account, named_region) = (string(keys.account), string(keys.region));
        // A number has lost the zeros that an account may begin with: it names none, or all of twelve digits.
        let account = found(keys.account).filter(|found| found.shape != Shape::Null);
        let account = account.and_then(|found| found.text(cursor)).filter(is_given);
        let account = account.unwrap_or(facts.account.as_bytes());
        let of_identity = || found(keys.identity)?.member("accountId", cursor);
        let account = match account {
            [] => of_identity().unwrap_or_default(),
            account => account,
        };
        let region = named_region.filter(is_given).unwrap_or(facts.region.as_bytes());
        let event_source = string(keys.source).unwrap_or_default();
        let organization = facts.organization.as_bytes();
        let has_event_id = string(keys.event_id).is_some_and(|id| !id.is_empty());
        let place = place(named_account.unwrap_or_default(), named_region.unwrap_or_default());
        let facts = Facts { account, region, event_source, organization, instant };
        if !self.last_partition.is_for(object, &facts, by) {
            self.last_partition.set_places(&facts, by);
            let id = self.partition(scratch, &facts, by);
            self.last_partition.set(id, object, &facts);
        }
        let partition = self.last_partition.id;
        let text = &cursor.bytes()[span];
        let fingerprint = scratch.fingerprint(self.family, text, cursor.has_space());
        let earlier = scratch.meet(fingerprint, has_event_id);
        Ok(Row { partition, object, instant, fingerprint, has_event_id, earlier, place })
    }

    /// Finds or makes the partition of a row.
    fn partition(&mut self, scratch: &mut Scratch, facts: &Facts<'_>, by: &PartitionBy) -> u32 {
        scratch.path.clear();
        by.write_path(facts, &mut scratch.path);
        if let Some(id) = self.partition_ids.get(&scratch.path[..]) {
            return *id;
        }
        let id = self.partitions.len() as u32;
        self.partitions.push(String::from_utf8_lossy(&scratch.path).into_owned());
        self.partition_ids.insert(scratch.path[..].into(), id);
        id
    }
}
