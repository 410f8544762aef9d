//! A segment on its way, and what each stage makes of it.

use crate::engine::EventTimes;
use crate::error::{Error, Result};
use crate::lake::{
    Copies, DataFile, News, ObjectRecord, QuarantinedObject, UnavailableObject, UnitId,
};
use crate::rows::Parsed;
use crate::schema::Lock;
use crate::source::Beside;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};

/// A segment of a unit, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentPart {
    pub segment: u32,
    pub part: u32,
}

impl std::fmt::Display for SegmentPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}", self.segment)?;
        if self.part == 0 { Ok(()) } else { write!(f, ".{}", self.part) }
    }
}

/// A segment in flight, with what it must give back.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Its turn to be resolved.
    pub number: u64,
    /// Its position among what reaches the committer.
    pub position: u64,
    pub unit: Arc<UnitId>,
    /// The part that is being parsed.
    pub part: SegmentPart,
    /// What it took from the budget.
    pub taken: u64,
    /// Bytes of its objects as stored, for the progress display.
    pub bytes: u64,
    /// The way to the committer.
    pub arrivals: Sender<Arrival>,
}

impl Segment {
    /// Sends something of the segment's present part to the committer.
    pub(crate) fn send(&self, what: Arrived) {
        // A committer that is gone has ended the run.
        let _ = self.arrivals.send(Arrival { position: (self.position, self.part.part), what });
    }
}

/// What parsing asks of the resolver, by the segment's number.
#[derive(Debug)]
pub(crate) enum Request {
    /// All of a segment, or its last part.
    Segment(Box<(Segment, Parsed)>),
    /// A part of a segment that goes on; its worker waits for the answer.
    Part(Box<PartRequest>),
}

/// A part of a segment that is to be resolved.
#[derive(Debug)]
pub(crate) struct PartRequest {
    pub unit: Arc<UnitId>,
    pub part: SegmentPart,
    pub parsed: Parsed,
    pub answer: SyncSender<Result<Resolved>>,
}

/// Rows of which it is decided which stay, and whose schema is in the lock.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub parsed: Parsed,
    /// Per table, which rows are written.
    pub keep: Vec<Vec<bool>>,
    /// The lock as of this segment.
    pub lock: Arc<Lock>,
    /// Fingerprints of the rows that are written.
    pub copies: Copies,
    /// What a later plan's schema will have a place for.
    pub news: Vec<News>,
}

/// A segment or part whose files are staged.
#[derive(Debug)]
pub(crate) struct Staged {
    pub objects: Vec<ObjectRecord>,
    pub quarantine: Vec<QuarantinedObject>,
    pub files: Vec<DataFile>,
    pub lock: Arc<Lock>,
    pub copies: Copies,
    pub news: Vec<News>,
    pub bytes_json: u64,
    pub bytes_compressed: u64,
    pub unfit: u64,
    /// When the events of its rows took place, if that is wanted.
    pub event_times: EventTimes,
    pub objects_padded: u64,
    pub records_unwrapped: u64,
    pub records_unread: u64,
    pub members_passed_over: u64,
    pub members_hidden: u64,
    /// Whether its first object is the rest of the one before.
    pub continues: bool,
}

/// What reaches the committer, and the position that it has there.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub position: (u64, u32),
    pub what: Arrived,
}

#[derive(Debug)]
pub(crate) enum Arrived {
    /// A part of a segment, after which others come.
    Part(Box<Staged>),
    /// A segment, or its last part.
    Segment(Box<Staged>),
    /// Its files could not be put.
    Failed(Error),
    /// The last segment of a unit is in.
    End(Box<UnitEnd>),
}

/// What is known of a unit when its last segment is handed out.
#[derive(Debug)]
pub(crate) struct UnitEnd {
    pub unit: Arc<UnitId>,
    pub is_resumed: bool,
    /// What an archive itself is in the ledger, if the unit is one.
    pub archive: Option<ObjectRecord>,
    pub beside: Beside,
    /// Objects of a plan's unit that could not be read.
    pub unavailable: Vec<UnavailableObject>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_in_parts_names_all_but_the_first() {
        let name = |part| SegmentPart { segment: 7, part }.to_string();

        assert_eq!([name(0), name(2)], ["0007", "0007.2"]);
    }
}
