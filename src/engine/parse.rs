//! The second stage: a worker decodes, parses and shreds a segment, and brings it to its turn.
//!
//! A segment that takes more memory than there is for it comes in parts. A worker that has parsed so
//! much of a large object has it resolved and stages it before it goes on, when the segment's turn has
//! come. Nobody before it waits for it, so that it can wait while it holds a thread of the pool;
//! everything in a part is its own work, so that no other segment's work is begun beneath it.

use crate::engine::Progress;
use crate::engine::cancel::Stopped;
use crate::engine::encode::{Encoding, Pool};
use crate::engine::run::Run;
use crate::engine::segment::{Arrived, PartRequest, Request, Resolved, Segment, Staged};
use crate::engine::tasks::all;
use crate::error::{Error, Result};
use crate::rows::{
    Host, MAX_KEPT_BYTES, MEMORY_PER_JSON_BYTE, Parsed, SegmentObject, parse_segment,
};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// How much JSON there is, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Json {
    /// Of all objects together.
    pub all: u64,
    /// Of the largest of them.
    pub largest: u64,
}

impl Json {
    pub(crate) fn add(&mut self, object: u64) {
        self.all += object;
        self.largest = self.largest.max(object);
    }

    /// Returns the memory that a segment of it takes: beside what becomes of it, a large object while it
    /// is decoded. Small ones are decoded into buffers that workers have anyway.
    pub(crate) fn memory(self) -> u64 {
        let decoded = if self.largest > MAX_KEPT_BYTES as u64 { self.largest } else { 0 };
        self.all.saturating_mul(MEMORY_PER_JSON_BYTE).saturating_add(decoded)
    }
}

/// Decodes and parses a segment, and brings it to the resolver.
pub(crate) fn parse(pool: Pool<'_, '_, '_>, mut segment: Segment, objects: Vec<SegmentObject>) {
    let run = pool.run;
    let _guard = run.cancel.guard();
    // What is further on gives memory back.
    while pool.encode_next() {}
    if run.cancel.has_failed() {
        return;
    }
    let mut worker = run.worker();
    let mut parsed = run.take_buffers();
    let mut parts = Parts { run, segment: &mut segment };
    let outcome = parse_segment(objects, &mut worker.parser, &run.rows, &mut parsed, &mut parts);
    run.keep_worker(worker);
    match outcome {
        Ok(()) => {
            count_records(run, &parsed);
            run.turns.bring(segment.number, Request::Segment(Box::new((segment, parsed))));
        }
        Err(err) => {
            let err = match err.place("source object").map(str::to_owned) {
                Some(key) => run.inputs.unreadable.broken().note(&key, err),
                None => err,
            };
            run.cancel.end(run.cancel.halt(err));
            run.turns.end_at(segment.number);
        }
    }
}

fn count_records(run: &Run<'_>, parsed: &Parsed) {
    let records: u64 = parsed.objects.iter().map(|object| object.tally.read).sum();
    Progress::add(&run.inputs.progress.records, records);
}

/// The parts of a segment that is being parsed.
struct Parts<'p, 'a> {
    run: &'p Run<'a>,
    segment: &'p mut Segment,
}

impl Host for Parts<'_, '_> {
    fn make_room(&mut self, json: u64, object: u64) -> Result<()> {
        let wanted = Json { all: json, largest: object }.memory();
        self.run.budget.top_up(self.segment.taken, wanted, Some(self.segment.number))?;
        self.segment.taken = self.segment.taken.max(wanted);
        Ok(())
    }

    fn take_part(&mut self, parsed: &mut Parsed) -> Result<()> {
        count_records(self.run, parsed);
        let resolved = self.resolve(std::mem::take(parsed))?;
        let (staged, emptied) = self.stage(resolved)?;
        *parsed = emptied;
        self.segment.send(Arrived::Part(Box::new(staged)));
        self.segment.part.part += 1;
        Ok(())
    }
}

impl Parts<'_, '_> {
    /// Waits for the segment's turn, and for the resolver's answer.
    fn resolve(&self, parsed: Parsed) -> Result<Resolved> {
        let Segment { number, unit, part, .. } = &*self.segment;
        self.run.turns.wait_turn(*number)?;
        let (answer, answered) = sync_channel(1);
        let request = PartRequest { unit: Arc::clone(unit), part: *part, parsed, answer };
        self.run.turns.bring(*number, Request::Part(Box::new(request)));
        // A resolver that ended has dropped the request.
        answered.recv().map_err(|_| Error::from(Stopped))?
    }

    /// Encodes a part on this thread, and waits until its files are put: only then is its memory free.
    fn stage(&self, resolved: Resolved) -> Result<(Staged, Parsed)> {
        let (run, inputs) = (self.run, &self.run.inputs);
        let Segment { unit, part, .. } = &*self.segment;
        let encoding = Encoding::new(resolved, unit, *part, inputs.options);
        let mut worker = run.worker();
        let outcome = (0..encoding.tasks()).try_for_each(|task| {
            encoding.run(task, &mut worker.encoder, (inputs.storage, inputs.homes), inputs.handle)
        });
        run.keep_worker(worker);
        outcome?;
        let (staged, uploads, emptied) = encoding.end();
        inputs.handle.block_on(all(uploads))?;
        Ok((staged, emptied))
    }
}
