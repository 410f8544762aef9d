//! Records from wrappers to rows: gathered as text, and parsed many at once like those of an envelope.

use crate::error::Result;
use crate::parse::{Sink, Unwrapped, Unwrapper};
use crate::rows::MAX_RECORD_BYTES;
use crate::rows::batch::{BATCH_BYTES, Batch, Entry, Unwrapping};
use crate::rows::object::ObjectReader;

/// Gathers records for a reader.
struct Collector<'c, 'a> {
    reader: &'c mut ObjectReader<'a>,
    batch: Batch,
}

impl Sink for Collector<'_, '_> {
    fn record(&mut self, record: &Unwrapped<'_>) {
        if record.text.len() > MAX_RECORD_BYTES {
            let reason = format!("record is over {MAX_RECORD_BYTES} bytes");
            return self.reader.quarantine_text(record.text, record.at, &reason);
        }
        self.batch.add(record);
        if self.batch.text.len() >= BATCH_BYTES {
            self.reader.take_batch(&mut self.batch);
        }
    }

    fn miss(&mut self, text: &[u8], at: usize) {
        self.reader.quarantine_text(text, at, "no CloudTrail record, in a wrapper that has some");
    }

    fn make_room(&mut self, bytes: usize) -> bool {
        self.reader.make_room(bytes as u64)
    }

    fn gunzip(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        self.reader.gunzip(bytes, out).is_ok()
    }
}

impl ObjectReader<'_> {
    /// Takes the records that `read` hands over; returns what it returns.
    pub(super) fn collect(
        &mut self,
        read: impl FnOnce(&mut Unwrapper, &mut dyn Sink) -> bool,
    ) -> bool {
        let Unwrapping { mut unwrapper, batch } = std::mem::take(self.tools.unwrapping);
        let mut collector = Collector { reader: self, batch };
        let found = read(&mut unwrapper, &mut collector);
        let Collector { reader, mut batch } = collector;
        reader.take_batch(&mut batch);
        *self.tools.unwrapping = Unwrapping { unwrapper, batch };
        found
    }

    /// Returns how many records lie in wrappers that are not known.
    pub(super) fn count_unread(&mut self, text: &[u8]) -> u64 {
        self.tools.unwrapping.unwrapper.count_any(text)
    }

    /// Takes the records of a batch; where they do not parse together, each alone.
    fn take_batch(&mut self, batch: &mut Batch) {
        if !batch.entries.is_empty() && self.failure.is_none() {
            self.parsed.records_unwrapped += batch.entries.len() as u64;
            if self.take_entries(batch, &batch.entries).is_err() {
                for entry in &batch.entries {
                    if let Err(err) = self.take_entries(batch, std::slice::from_ref(entry)) {
                        let text = &batch.text[entry.text.clone()];
                        self.quarantine_text(text, entry.at, err.message());
                    }
                }
            }
            self.end_part_if_full();
        }
        batch.clear();
    }

    fn take_entries(&mut self, batch: &Batch, entries: &[Entry]) -> Result<()> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        self.parse(&batch.text, first.text.start..last.text.end, |mut taker, mut cursor, count| {
            if count != entries.len() {
                return false;
            }
            entries.iter().for_each(|entry| taker.take(&mut cursor, batch.origin(entry)));
            true
        })
    }
}
