//! What became of the messages of a queue.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names of objects that a report has.
const FIRST_NAMES: usize = 20;

/// What became of the messages of a queue; its fields are part of the public interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueReport {
    /// Messages received, each time that they were.
    pub messages_received: u64,
    /// Messages deleted: their objects are in the lake, ignored, quarantined or gone.
    pub messages_deleted: u64,
    /// Messages left in the queue; they return, or go where the queue's redrive policy says.
    pub messages_left: u64,
    /// The same by reason.
    pub left_by_reason: BTreeMap<String, u64>,
    /// Messages by where they came from: s3, s3_through_sns, event_bridge, trail.
    pub messages_by_shape: BTreeMap<String, u64>,
    /// Messages that S3 or CloudTrail sent to try the queue.
    pub messages_of_tests: u64,
    /// Events that made no object: removals, restores, tags.
    pub events_of_other_kinds: u64,
    /// Objects that messages named, each time that they did.
    pub objects_named: u64,
    /// Of them, those named again while they were being converted.
    pub objects_repeated: u64,
    /// Of them, those that are no logs by their keys, or not wanted.
    pub objects_ignored: u64,
    /// Objects that are gone from their buckets, and whose messages were deleted.
    pub objects_gone: u64,
    /// Some of them.
    pub gone: Vec<String>,
    /// Windows that closed because they had their bytes or objects.
    pub windows_full: u64,
    /// Windows that closed because they were old, or because the queue was empty.
    pub windows_aged: u64,
    /// Times that the lake's lease was taken.
    pub conversions: u64,
    /// Times that another run had the lease.
    pub leases_awaited: u64,
    /// Messages whose visibility ended before they were done: they return, and are recognized.
    pub receipts_expired: u64,
    /// Listings for what notifications lost.
    pub sweeps: u64,
    /// Seconds from event to committed row, of half of the rows.
    pub delay_p50_seconds: Option<f64>,
    /// Seconds from event to committed row, of all but one row in a hundred.
    pub delay_p99_seconds: Option<f64>,
    /// Seconds from an object's put to its rows, of half of the objects.
    pub delay_from_put_p50_seconds: Option<f64>,
    /// Seconds from an object's put to its rows, of all but one in a hundred.
    pub delay_from_put_p99_seconds: Option<f64>,
    /// Age of the oldest message in seconds when its objects were committed.
    pub oldest_seconds: f64,
}

impl QueueReport {
    /// Counts a message that is left in the queue.
    pub(crate) fn leave(&mut self, reason: &str) {
        self.messages_left += 1;
        *self.left_by_reason.entry(reason.to_owned()).or_default() += 1;
    }

    /// Returns what was counted since another report of the same run; neither reasons nor names nor delays.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            messages_received: self.messages_received - earlier.messages_received,
            messages_deleted: self.messages_deleted - earlier.messages_deleted,
            messages_left: self.messages_left - earlier.messages_left,
            messages_of_tests: self.messages_of_tests - earlier.messages_of_tests,
            events_of_other_kinds: self.events_of_other_kinds - earlier.events_of_other_kinds,
            objects_named: self.objects_named - earlier.objects_named,
            objects_repeated: self.objects_repeated - earlier.objects_repeated,
            objects_ignored: self.objects_ignored - earlier.objects_ignored,
            objects_gone: self.objects_gone - earlier.objects_gone,
            windows_full: self.windows_full - earlier.windows_full,
            windows_aged: self.windows_aged - earlier.windows_aged,
            conversions: self.conversions - earlier.conversions,
            leases_awaited: self.leases_awaited - earlier.leases_awaited,
            receipts_expired: self.receipts_expired - earlier.receipts_expired,
            sweeps: self.sweeps - earlier.sweeps,
            ..Self::default()
        }
    }

    /// Counts an object that is gone.
    pub(crate) fn note_gone(&mut self, key: &str) {
        self.objects_gone += 1;
        if self.gone.len() < FIRST_NAMES {
            self.gone.push(key.to_owned());
        }
    }
}
