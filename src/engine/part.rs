//! Parts of a segment that takes more memory than there is for it.
//!
//! A worker that has parsed so much of a large object settles and stages it before it goes on, when the
//! segment's turn has come. Nobody before it waits for it, so that it can wait while it holds a thread of
//! the pool; everything in a part is its own work, so that no other segment's work is begun beneath it.

use crate::engine::driver::{Arrival, Arriving, Job, Run};
use crate::engine::encode::Staging;
use crate::engine::hand::Json;
use crate::engine::tasks::all;
use crate::error::{Error, ErrorKind, Result};
use crate::rows::{Host, Parsed};
use std::sync::mpsc::Sender;

/// The parts of a segment that is being parsed.
pub(crate) struct Parts<'p, 'a> {
    pub(crate) run: &'p Run<'a>,
    pub(crate) job: &'p mut Job,
    pub(crate) sender: &'p Sender<Arriving>,
}

fn stopped() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped")
}

impl Host for Parts<'_, '_> {
    fn make_room(&mut self, json: u64, object: u64) -> Result<()> {
        let Self { run, job, .. } = self;
        let wanted = Json { all: json, largest: object }.memory();
        let is_first = || run.settle.is_turn(job.number);
        if !run.budget.top_up(job.taken, wanted, is_first, || run.is_over()) {
            return Err(stopped());
        }
        job.taken = job.taken.max(wanted);
        Ok(())
    }

    fn take_part(&mut self, parsed: &mut Parsed) -> Result<()> {
        let Self { run, job, sender } = self;
        run.count_records(parsed);
        let full = std::mem::take(parsed);
        let settled = run
            .settle
            .in_turn(
                job.number,
                || run.is_over(),
                |settle| settle.settle(full, &job.unit, job.segment),
            )
            .ok_or_else(stopped)??;
        let staging = Staging::new(settled, &job.unit, job.segment, run.options);
        let mut worker = run.worker();
        let staged = (0..staging.tasks())
            .try_for_each(|task| staging.run(task, &mut worker.encoder, run.storage, run.handle));
        run.keep_worker(worker);
        staged?;
        let (staged, uploads, emptied) = staging.end();
        *parsed = emptied;
        run.handle.block_on(all(uploads))?;
        let _ = sender.send((job.position(), Arrival::Part(Box::new(staged))));
        job.segment.part += 1;
        Ok(())
    }
}
