//! A run, as all its stages see it: what it was told, its memory, its turns, and how it ends.

use crate::engine::budget::Budget;
use crate::engine::buffers::Buffers;
use crate::engine::cancel::{Cancel, Outside};
use crate::engine::order::InOrder;
use crate::engine::segment::Request;
use crate::engine::unreadable::Unreadable;
use crate::engine::{ConvertOptions, Progress};
use crate::lake::{CopyKey, Homes, UnitBasis, WorkPlan};
use crate::location::Location;
use crate::parquet::Encoder;
use crate::rows::{Fingerprints, MEMORY_PER_JSON_BYTE, Parsed, RowOptions, SegmentParser};
use crate::storage::Storage;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

/// What a run works with.
#[derive(Clone)]
pub(crate) struct RunInputs<'a> {
    pub options: &'a ConvertOptions,
    pub storage: &'a Storage,
    pub handle: &'a Handle,
    pub progress: &'a Progress,
    pub stop: &'a AtomicBool,
    /// What copies are recognized with.
    pub key: &'a CopyKey,
    /// What becomes of objects that cannot be read.
    pub unreadable: &'a Arc<Unreadable>,
    /// The plan that the units are of, if they are of one.
    pub plan: Option<&'a WorkPlan>,
    /// What goes into the identities of units beside their objects.
    pub basis: UnitBasis,
    /// Where the files of partitions are.
    pub homes: &'a Homes,
    /// The lake's database in the catalog.
    pub database: String,
    /// Bytes of the run's memory that are somebody else's.
    pub reserved: u64,
}

/// What a thread of the pool keeps from segment to segment.
#[derive(Debug)]
pub(crate) struct Worker {
    pub parser: SegmentParser,
    pub encoder: Encoder,
}

/// A run, as all its threads see it.
pub(crate) struct Run<'a> {
    pub inputs: RunInputs<'a>,
    pub cancel: Cancel,
    pub budget: Arc<Budget>,
    /// Of what is fetched and not yet parsed.
    pub fetch_budget: Budget,
    /// Segments that wait to be resolved.
    pub turns: InOrder<Request>,
    pub rows: RowOptions,
    workers: Mutex<Vec<Worker>>,
    buffers: Mutex<Buffers>,
}

impl<'a> Run<'a> {
    /// Prepares a run.
    pub(crate) fn new(inputs: RunInputs<'a>) -> Self {
        let options = inputs.options;
        let cancel = Cancel::default();
        // What is fetched and waits is compressed: two units of the default size for two threads, a second or two of
        // work. With `--memory 512MB` an eighth is no faster, and 50 MiB more.
        let is_fetched = options.sources.iter().any(Location::is_s3);
        let fetches = if is_fetched { options.memory.0 / 16 } else { 0 };
        let mut segments = options.memory.0 - fetches - inputs.reserved;
        let each = options.output.unit_size.0.saturating_mul(MEMORY_PER_JSON_BYTE);
        if !inputs.storage.is_remote() {
            // Where nothing is uploaded, a segment for each thread and one for the resolver keep all
            // of them at work.
            segments = segments.min(each.saturating_mul(options.threads.max(1) as u64 + 1));
        }
        let most = (segments / each.max(1)).max(1) as usize;
        Self {
            budget: Arc::new(Budget::new(segments, &cancel)),
            fetch_budget: Budget::new(fetches, &cancel),
            turns: InOrder::new(&cancel),
            rows: options.rows(options.output.typed, Fingerprints::new(inputs.key.bytes())),
            workers: Mutex::new(Vec::new()),
            buffers: Mutex::new(Buffers::new(most)),
            cancel,
            inputs,
        }
    }
}

impl Run<'_> {
    /// Returns what ends the run from outside.
    pub(crate) fn outside(&self) -> Outside<'_> {
        Outside { stop: self.inputs.stop, storage: self.inputs.storage }
    }

    pub(crate) fn worker(&self) -> Worker {
        let kept = self.workers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Worker {
            parser: SegmentParser::new(self.inputs.options.decoder(), &self.rows),
            encoder: Encoder::default(),
        })
    }

    pub(crate) fn keep_worker(&self, worker: Worker) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    pub(crate) fn take_buffers(&self) -> Parsed {
        self.buffers().take()
    }

    pub(crate) fn keep_buffers(&self, parsed: Parsed) {
        self.buffers().give(parsed, self.inputs.options.output.unit_size.0);
    }

    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
