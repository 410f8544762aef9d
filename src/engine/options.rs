//! Options of a run.

use crate::catalog::{GlueOptions, ViewSelection};
use crate::decode::{Decoder, Passwords};
use crate::integrity::{IntegrityMode, KeyRing, Proofs, Signatures};
use crate::lake::{DEFAULT_TABLE, Duplicates, OutputSettings, Snapshot};
use crate::location::Location;
use crate::rows::{Fingerprints, RowOptions};
use crate::source::{NamedDays, Narrow, Object, Unpacking};
use crate::storage::S3;
use crate::units::ByteCount;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Memory per thread when no option says otherwise; 512 MiB at least.
pub const MEMORY_PER_THREAD: ByteCount = ByteCount::mb(256);

/// Objects that a plan's schema is inferred from, unless an option says otherwise.
pub const DEFAULT_SAMPLED: usize = 256;

/// MB of JSON that a vCPU converts in a second, for estimates: with typed tables, measured on two
/// cores that are two threads of one, less some for waiting for S3. docs/benchmarks.md has it, too.
pub const DEFAULT_SPEED: f64 = 75.0;

/// The database in the catalog, unless an option says otherwise.
pub const DEFAULT_DATABASE: &str = "trailmill";

/// Quarantined or ignored input of earlier runs that is tried again, though neither the limits nor the program changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Objects that were quarantined whole.
    pub quarantined: bool,
    /// Objects that were taken for those of another kind.
    pub ignored: bool,
}

/// Which catalog is brought in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogKind {
    /// The AWS Glue Data Catalog.
    Glue,
    /// Documents in the lake, where that is a local folder.
    Local,
    /// None: the lake is written, and no catalog is told.
    None,
}

/// The catalog, the names in it, and how partitions are published.
#[derive(Clone, Debug)]
pub struct CatalogOptions {
    /// The database; none: the one the lake is in, else [`DEFAULT_DATABASE`].
    pub database: Option<String>,
    /// The base name of the tables.
    pub table: String,
    /// Which catalog; none: Glue for a lake in a bucket, else the lake's own.
    pub kind: Option<CatalogKind>,
    /// Which of Glue's catalogs, and what may be done to it.
    pub glue: GlueOptions,
    /// Whether partitions are projected instead of registered; none: as the table is now.
    pub partition_projection: Option<bool>,
    /// Whether Glue is to keep an index over the partition columns. An index that is there stays.
    pub partition_index: bool,
    /// The sets of views that Glue is to have; none: those that it has now.
    pub views: Option<ViewSelection>,
}

impl CatalogOptions {
    /// Returns the options for a base name, with everything else as by default.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            database: None,
            table: table.into(),
            kind: None,
            glue: GlueOptions::default(),
            partition_projection: None,
            partition_index: false,
            views: None,
        }
    }

    /// Returns the database of a lake.
    pub fn database_of(&self, lake: &Snapshot) -> String {
        let last = lake.last().map(|last| last.database.clone());
        let known = self.database.clone().or(last.filter(|name| !name.is_empty()));
        known.unwrap_or_else(|| DEFAULT_DATABASE.to_owned())
    }
}

/// Everything that a conversion is told.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// Files, folders and prefixes of buckets to read.
    pub sources: Vec<Location>,
    /// What is wanted of the sources.
    pub narrow: Narrow,
    /// Days before the last complete listing of a bucket that are listed again; none: 35, but
    /// everything where there is little.
    pub look_back_days: Option<u32>,
    /// Whether everything is listed, however long ago it was delivered.
    pub full: bool,
    /// Whether digests say which days of buckets are listed.
    pub from_digests: bool,
    /// The days that they name; read by [`convert`](crate::operations::convert).
    pub named_days: Option<Arc<NamedDays>>,
    /// Where the lake is.
    pub lake: Location,
    /// Whether a place that has other things in it already may become a lake.
    pub into_existing: bool,
    /// How S3 is reached.
    pub s3: Arc<S3>,
    /// Worker threads.
    pub threads: usize,
    /// Bytes in flight.
    pub memory: ByteCount,
    /// Whether quarantined input stops the run before it commits.
    pub strict: bool,
    /// What changes the bytes that are written, and is part of every unit's identity.
    pub output: OutputSettings,
    /// Whether a new lake's partition keys are chosen by the volume of the sources, and a lake keeps its
    /// own; else those of `output` are wanted.
    pub is_layout_chosen: bool,
    /// Quarantined or ignored input to try again.
    pub retry: Retry,
    /// What is tried on archives that are encrypted; [`OutputSettings::passwords`] tells them apart.
    pub passwords: Passwords,
    /// The catalog and the names in it.
    pub catalog: CatalogOptions,
    /// What is done about the integrity of logs.
    pub integrity: Integrity,
    /// Whether the report says when the events of the written rows took place.
    pub notes_event_times: bool,
}

/// What is done about the integrity of logs, and with what.
#[derive(Clone, Debug, Default)]
pub struct Integrity {
    /// Whether logs are judged, and whether only proven ones are converted.
    pub mode: IntegrityMode,
    /// The public keys; none: CloudTrail is asked.
    pub keys: Option<KeyRing>,
    /// Signatures of digests whose metadata is lost.
    pub signatures: Signatures,
    /// How long a question to CloudTrail is repeated.
    pub patience: Duration,
    /// What the digests of the sources say; read by [`convert`](crate::operations::convert).
    pub proofs: Option<Arc<Proofs>>,
}

impl Default for ConvertOptions {
    /// Returns what the program does without options: no sources yet, no lake, and one thread.
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            narrow: Narrow::default(),
            look_back_days: None,
            full: false,
            from_digests: false,
            named_days: None,
            lake: Location::Local(PathBuf::new()),
            into_existing: false,
            s3: Arc::default(),
            threads: 1,
            memory: MEMORY_PER_THREAD,
            strict: false,
            output: OutputSettings::default(),
            is_layout_chosen: false,
            retry: Retry::default(),
            passwords: Passwords::default(),
            catalog: CatalogOptions::new(DEFAULT_TABLE),
            integrity: Integrity::default(),
            notes_event_times: false,
        }
    }
}

impl ConvertOptions {
    /// Returns a decoder for one thread.
    pub(crate) fn decoder(&self) -> Decoder {
        Decoder::new(self.output.caps).with_passwords(&self.passwords)
    }

    /// Returns what an archive of a source is read with.
    pub(crate) fn unpacking(&self, archive: &Object) -> Unpacking<'_> {
        let (caps, passwords) = (&self.output.caps, &self.passwords);
        let reads_hidden = self.output.hidden;
        Unpacking { caps, passwords, reads_hidden, stored: archive.size, level: 0 }
    }

    /// Returns what decides how records become rows. What writes nothing needs no lake's fingerprints.
    pub(crate) fn rows(&self, typed: bool, fingerprints: Fingerprints) -> RowOptions {
        RowOptions {
            partition_by: self.output.partition_by.clone(),
            typed,
            keeps_copies: self.output.duplicates == Duplicates::Keep,
            unwrap: self.output.unwrap,
            assume_utc: self.output.assume_utc,
            digests: self.output.digests,
            reads_hidden: self.output.hidden,
            fingerprints,
            unit_size: self.output.unit_size.0,
            proofs: self.integrity.proofs.clone(),
        }
    }
}
