//! What a run is doing, for a display that looks at it from time to time.

use crate::engine::report::UnitSummary;
use crate::lake::Manifest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Sources are listed, and nothing else yet.
    #[default]
    Listing,
    /// Objects are read, and their rows are written.
    Converting,
    /// The lake's documents and its catalog are brought in line.
    Registering,
}

/// Callback invoked after each commit.
type OnUnit = Box<dyn Fn(&UnitSummary) + Send + Sync>;

/// Counters that a progress display reads while a run goes on.
#[derive(Default)]
pub struct Progress {
    /// Called with every unit that is committed.
    pub on_unit: Option<OnUnit>,
    /// What there is to do, as far as it is known.
    pub work: Arc<Work>,
    /// Bytes whose rows are written.
    pub bytes: AtomicU64,
    /// Objects whose rows are written.
    pub objects: AtomicU64,
    /// Records read.
    pub records: AtomicU64,
    /// Units committed.
    pub units: AtomicU64,
    stage: AtomicU8,
}

/// What a run has to do: it grows while the sources are listed.
#[derive(Debug, Default)]
pub struct Work {
    bytes: AtomicU64,
    objects: AtomicU64,
    is_known: AtomicBool,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("units", &self.units).finish_non_exhaustive()
    }
}

impl Progress {
    /// Returns what is being done.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Listing,
            1 => Stage::Converting,
            _ => Stage::Registering,
        }
    }

    /// Notes what is done from now on.
    pub fn begin(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add_unit(&self, manifest: &Manifest) {
        Self::add(&self.units, 1);
        if let Some(tell) = &self.on_unit {
            tell(&UnitSummary::new(manifest));
        }
    }

    /// Begins to list once more: what is done counts, what is not done is listed again.
    pub(crate) fn begin_listing(&self) {
        let Work { bytes, objects, is_known } = &*self.work;
        is_known.store(false, Ordering::Relaxed);
        bytes.store(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        objects.store(self.objects.load(Ordering::Relaxed), Ordering::Relaxed);
        self.begin(Stage::Listing);
    }
}

impl Work {
    /// Adds objects that were found, with their bytes.
    pub fn add(&self, bytes: u64, objects: u64) {
        Progress::add(&self.bytes, bytes);
        Progress::add(&self.objects, objects);
    }

    /// Notes that there is nothing else.
    pub fn end(&self) {
        self.is_known.store(true, Ordering::Release);
    }

    /// Returns the bytes to read, once they are known.
    pub fn bytes(&self) -> Option<u64> {
        self.is_known.load(Ordering::Acquire).then(|| self.bytes.load(Ordering::Relaxed))
    }

    /// Returns the objects to read, once they are known.
    pub fn objects(&self) -> Option<u64> {
        self.is_known.load(Ordering::Acquire).then(|| self.found())
    }

    /// Returns the objects that were found so far.
    pub fn found(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }
}
