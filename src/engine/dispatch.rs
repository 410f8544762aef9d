//! Handing out a unit's segments, each with its memory.

use crate::engine::cancel::Flow;
use crate::engine::encode::Pool;
use crate::engine::fetch::Fetched;
use crate::engine::parse::{Json, parse};
use crate::engine::segment::{Arrival, Arrived, Segment, SegmentPart, UnitEnd};
use crate::engine::unit::Unit;
use crate::lake::{ObjectRecord, UnavailableObject, UnitId};
use crate::rows::SegmentObject;
use crate::source::Beside;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// The way to the committer, and the next free numbers: ends of units reach the committer, but need not
/// be resolved.
#[derive(Debug)]
pub(crate) struct Line {
    pub number: u64,
    position: u64,
    arrivals: Sender<Arrival>,
}

impl Line {
    pub(crate) fn new(arrivals: Sender<Arrival>) -> Self {
        Self { number: 0, position: 0, arrivals }
    }
}

/// Hands out the segments of one unit.
pub(crate) struct Dispatch<'h, 's, 'a> {
    pub pool: Pool<'h, 's, 'a>,
    line: &'h mut Line,
    id: Arc<UnitId>,
    segment: u32,
    is_resumed: bool,
    /// Objects of a plan's unit that could not be read.
    unavailable: Vec<UnavailableObject>,
}

impl<'h, 's, 'a> Dispatch<'h, 's, 'a> {
    pub(crate) fn new(pool: Pool<'h, 's, 'a>, line: &'h mut Line, unit: &Unit) -> Self {
        Self {
            pool,
            line,
            id: Arc::new(unit.id.clone()),
            segment: 0,
            is_resumed: unit.is_resumed,
            unavailable: unit.unavailable.clone(),
        }
    }

    /// Hands out a segment once there is memory for it.
    ///
    /// # Errors
    /// `Stopped` when the run is over first.
    pub(crate) fn hand_out(&mut self, objects: Vec<SegmentObject>, json: Json, bytes: u64) -> Flow {
        let taken = json.memory();
        self.pool.run.budget.take(taken)?;
        self.spawn(objects, taken, bytes);
        Ok(())
    }

    /// Hands out a segment that has its memory.
    pub(crate) fn spawn(&mut self, objects: Vec<SegmentObject>, taken: u64, bytes: u64) {
        let segment = Segment {
            number: self.line.number,
            position: self.line.position,
            unit: Arc::clone(&self.id),
            part: SegmentPart { segment: self.segment, part: 0 },
            taken,
            bytes,
            arrivals: self.line.arrivals.clone(),
        };
        self.line.number += 1;
        self.line.position += 1;
        self.segment += 1;
        self.pool.spawn(move |pool| parse(pool, segment, objects));
    }

    /// Hands out objects that are here, as many segments as their JSON asks for.
    ///
    /// # Errors
    /// As [`Dispatch::hand_out`].
    pub(crate) fn hand_out_fetched(&mut self, objects: Vec<Fetched>) -> Flow {
        let most = self.pool.run.inputs.options.output.unit_size.0;
        let (mut waiting, mut json, mut bytes) = (Vec::new(), Json::default(), 0);
        for object in objects {
            if json.all + object.json > most && !waiting.is_empty() {
                self.hand_out(std::mem::take(&mut waiting), json, bytes)?;
                (json, bytes) = (Json::default(), 0);
            }
            json.add(object.json);
            bytes += object.bytes;
            waiting.push(object.object);
        }
        self.hand_out(waiting, json, bytes)
    }

    /// Tells the committer that all segments of the unit are handed out.
    pub(crate) fn end(self, archive: Option<ObjectRecord>, beside: Beside) {
        let Self { line, id: unit, is_resumed, unavailable, .. } = self;
        let end = UnitEnd { unit, is_resumed, archive, beside, unavailable };
        let what = Arrived::End(Box::new(end));
        // A committer that is gone has ended the run.
        let _ = line.arrivals.send(Arrival { position: (line.position, 0), what });
        line.position += 1;
    }
}
