//! What is converted at once: windows of a queue's objects, and how late their rows are.

use crate::engine::{EventTimes, QueueReport};
use crate::operations::collect::InHand;
use crate::queue::Delays;
use crate::source::Object;
use serde::Serialize;
use std::collections::HashMap;

/// What those who look at a watch are told.
#[derive(Clone, Copy, Debug)]
pub enum WatchEvent<'a> {
    /// A conversion has ended.
    Converted(&'a WindowSummary),
    /// What was counted since the last time: after each conversion, every minute in which something was, and at
    /// the end, so that these add up to the counts of the whole run.
    Counted(&'a QueueReport),
}

/// What one conversion did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WindowSummary {
    /// Messages that were in hand.
    pub messages: u64,
    /// Of them, messages that were left in the queue.
    pub messages_left: u64,
    /// Objects converted.
    pub objects: u64,
    /// Objects that the lake had.
    pub objects_known: u64,
    /// Records written.
    pub records_written: u64,
    /// Data files.
    pub files: u64,
    /// Seconds that the conversion took.
    pub seconds: f64,
    /// Seconds from event to committed row, of half of the rows.
    pub delay_p50_seconds: Option<f64>,
    /// Seconds from event to committed row, of all but one row in a hundred.
    pub delay_p99_seconds: Option<f64>,
    /// Seconds from an object's put to its rows, of half of the objects.
    pub delay_from_put_p50_seconds: Option<f64>,
    /// Seconds from an object's put to its rows, of all but one in a hundred.
    pub delay_from_put_p99_seconds: Option<f64>,
    /// Age of the oldest message.
    pub oldest_seconds: f64,
}

/// The objects of windows, each once.
pub(super) struct Windows {
    pub messages: Vec<InHand>,
    pub objects: Vec<Object>,
    /// When each was put.
    put: HashMap<String, i64>,
    /// Objects that were named again.
    pub repeated: u64,
}

impl Windows {
    pub(super) fn new(mut messages: Vec<InHand>) -> Self {
        let mut newest: HashMap<String, (i64, Object)> = HashMap::new();
        let mut repeated = 0;
        for (object, time) in messages.iter_mut().flat_map(|m| &mut m.objects) {
            match newest.get(&object.key) {
                Some((other, _)) if other >= time => repeated += 1,
                Some(_) => {
                    repeated += 1;
                    newest.insert(object.key.clone(), (*time, object.clone()));
                }
                None => drop(newest.insert(object.key.clone(), (*time, object.clone()))),
            }
        }
        let put = newest.iter().map(|(key, (time, _))| (key.clone(), *time)).collect();
        let objects = newest.into_values().map(|(_, object)| object).collect();
        Self { messages, objects, put, repeated }
    }
}

/// How late the rows of windows are.
#[derive(Debug, Default)]
pub(super) struct WindowDelays {
    /// From event to committed row, for each row.
    pub from_event: Delays,
    /// From the put of an object to its rows, for each object.
    pub from_put: Delays,
}

impl WindowDelays {
    /// Measures until now, when rows are committed and messages deleted.
    pub(super) fn new(
        windows: &Windows,
        is_converted: impl Fn(&str) -> bool,
        event_times: &EventTimes,
        now: i64,
    ) -> Self {
        let mut delays = Self::default();
        let is_timed = |(key, put): &(&String, &i64)| **put > 0 && is_converted(key);
        for (_, put) in windows.put.iter().filter(is_timed) {
            delays.from_put.add(now - put, 1);
        }
        event_times.iter().for_each(|(time, rows)| delays.from_event.add(now - time, rows));
        delays
    }

    /// Adds those of other windows.
    pub(super) fn join(&mut self, other: &Self) {
        self.from_event.join(&other.from_event);
        self.from_put.join(&other.from_put);
    }
}
