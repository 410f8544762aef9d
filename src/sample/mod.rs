//! Writes a realistic archive of CloudTrail objects: any size, seeded, in the real key layout.
//!
//! For people who want to try or measure the converter without an archive of their own, and for
//! tests. Every value is invented. The same options give the same bytes, whatever the number of
//! threads: `plan` draws which objects there are from the seed, batch by batch; each object is then
//! a function of its own seed and is written on any thread, through reused buffers. Memory is
//! bounded by the number of threads times one object.
//!
//! What real archives have and converters stumble over is in every sample of 20 MB: `services`
//! lists the calls and the oddities, `families` the objects that hold no calls. It writes no
//! damaged objects: each parses, each is one gzip member.

mod actor;
mod dice;
mod digests;
mod families;
mod identity;
mod layout;
mod plan;
mod record;
mod services;
mod tamper;
mod template;

use crate::error::{Error, ErrorKind, Result};
pub use digests::EVIDENCE;
use digests::WrittenLog;
use layout::Family;
use libdeflater::{CompressionLvl, Compressor};
use plan::{Extra, Planned, Planner};
use rayon::prelude::*;
use record::{Content, Writer};
use serde::Serialize;
use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
pub use tamper::Tamper;

/// Default of [`SampleOptions::size`]: 100 MB of JSON.
pub const DEFAULT_SIZE: u64 = 100_000_000;
/// Default of [`SampleOptions::seed`].
pub const DEFAULT_SEED: u64 = 1;
/// Default of [`SampleOptions::accounts`]: one of each layout, two of the organisation.
pub const DEFAULT_ACCOUNTS: usize = 6;
/// Default of [`SampleOptions::days`].
pub const DEFAULT_DAYS: u32 = 14;

/// Fast, and within 15 % of the default level on this text.
const COMPRESSION_LEVEL: i32 = 1;
/// Records a batch holds at most: about 1 GB of JSON.
const BATCH_RECORDS: u64 = 800_000;
/// Bytes of JSON per record before any was written; later batches use what was measured.
const EXPECTED_RECORD_BYTES: u64 = 1_600;
/// A sample is finished when less than one part in this many is missing.
const TOLERANCE: u64 = 250;
/// Small objects planned at once.
const SMALL_BATCH: u64 = 20_000;
/// Small objects have fewer compressed bytes than this.
const SMALL_BYTES: usize = 1_000;

/// What to write, and where.
#[derive(Clone, Debug)]
pub struct SampleOptions {
    /// An empty or missing folder.
    pub folder: PathBuf,
    /// Bytes of uncompressed JSON, reached within 1 % or one object.
    pub size: u64,
    /// Decides everything that is random.
    pub seed: u64,
    /// Number of accounts; the first six show one layout each.
    pub accounts: usize,
    /// Days of deliveries; the last is 2026-10-31.
    pub days: u32,
    /// Threads to write with; does not change the output. 0 means one per core.
    pub threads: usize,
    /// If set, this many objects of under 1 kB compressed, instead of `size`.
    pub small_objects: Option<u64>,
    /// Whether signed chains of digests are written over the logs.
    pub digests: bool,
    /// If set, what is changed afterwards in one of the chains.
    pub tamper: Option<Tamper>,
}

impl SampleOptions {
    /// Returns the defaults for a folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            size: DEFAULT_SIZE,
            seed: DEFAULT_SEED,
            accounts: DEFAULT_ACCOUNTS,
            days: DEFAULT_DAYS,
            threads: 0,
            small_objects: None,
            digests: false,
            tamper: None,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SampleReport {
    /// Objects of all families, digests included.
    pub objects: u64,
    /// Records of all families, exact copies included.
    pub records: u64,
    /// Bytes of JSON in all objects.
    pub bytes_json: u64,
    /// Bytes of the files.
    pub bytes_compressed: u64,
    /// Records that are exact copies of a record in another object.
    pub duplicates: u64,
    /// Records of `CloudTrail-Insight` objects.
    pub insight_records: u64,
    /// Records of `CloudTrail-NetworkActivity` objects.
    pub network_records: u64,
    /// Records of `CloudTrail-Aggregated` objects.
    pub aggregated_records: u64,
    /// Digests: rows of a table of their own, and not counted among the records.
    pub digest_objects: u64,
    /// Keys of the objects that were tampered with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tampered: Vec<String>,
}

impl SampleReport {
    fn add(mut self, other: &Self) -> Self {
        self.objects += other.objects;
        self.records += other.records;
        self.bytes_json += other.bytes_json;
        self.bytes_compressed += other.bytes_compressed;
        self.duplicates += other.duplicates;
        self.insight_records += other.insight_records;
        self.network_records += other.network_records;
        self.aggregated_records += other.aggregated_records;
        self.digest_objects += other.digest_objects;
        self
    }
}

/// Writes a sample and returns what it holds.
///
/// `on_progress` is called after each object, from any thread, with the bytes of JSON so far.
///
/// # Errors
/// `Config` if the folder is not empty, `Io` if it cannot be written.
pub fn generate(
    options: &SampleOptions,
    on_progress: &(dyn Fn(u64) + Sync),
) -> Result<SampleReport> {
    let accounts = layout::accounts(options.accounts, options.seed);
    let catalogue = services::Catalogue::new()?;
    prepare(&options.folder)?;
    let run = Run {
        folder: &options.folder,
        writer: Writer { accounts: &accounts, catalogue: &catalogue },
        scratch: Mutex::new(Vec::new()),
        bytes: AtomicU64::new(0),
        on_progress,
        written: options.digests.then(Mutex::default),
    };
    let size = if options.small_objects.is_none() { Some(options.size) } else { None };
    let mut planner = Planner::new(&accounts, options.days, size, options.seed);
    // Signed chains stand for the digests of other samples, which prove nothing.
    planner.is_without_digests = options.digests;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .map_err(|err| Error::new(ErrorKind::Io, "cannot start the threads").because(err))?;
    pool.install(|| {
        let report = match options.small_objects {
            Some(objects) => small(&run, &mut planner, objects),
            None => sized(&run, &mut planner, options.size),
        }?;
        run.sign(report, options.tamper)
    })
}

fn sized(run: &Run<'_>, planner: &mut Planner<'_>, size: u64) -> Result<SampleReport> {
    let mut report = SampleReport::default();
    while report.bytes_json + size / TOLERANCE < size {
        let left = size - report.bytes_json;
        let (records, share) = match report.bytes_json.checked_div(report.records) {
            // The mean of a few records says little: stay below the mark and look again.
            Some(bytes) => (left / bytes.max(1), 97),
            None => (left / EXPECTED_RECORD_BYTES, 88),
        };
        let batch = planner.batch((records * share / 100).min(BATCH_RECORDS));
        report = report.add(&run.write_all(&batch)?);
    }
    Ok(report)
}

fn small(run: &Run<'_>, planner: &mut Planner<'_>, objects: u64) -> Result<SampleReport> {
    let mut report = SampleReport::default();
    while report.objects < objects {
        let batch = planner.small_batch((objects - report.objects).min(SMALL_BATCH));
        report = report.add(&run.write_all(&batch)?);
    }
    Ok(report)
}

/// Creates the folder, or makes sure that nothing lies in it.
fn prepare(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|err| Error::io("cannot create the folder", err).at("path", folder.display()))?;
    let mut entries = std::fs::read_dir(folder)
        .map_err(|err| Error::io("cannot read the folder", err).at("path", folder.display()))?;
    if entries.next().is_some() {
        return Err(Error::config(
            "a sample needs an empty folder and this one is not; name a new one or empty it",
        )
        .at("path", folder.display()));
    }
    Ok(())
}

/// Buffers that one thread uses at a time.
struct Scratch {
    json: Vec<u8>,
    gzip: Vec<u8>,
    compressor: Compressor,
}

impl Scratch {
    fn new() -> Self {
        let level = CompressionLvl::new(COMPRESSION_LEVEL).unwrap_or_default();
        Self { json: Vec::new(), gzip: Vec::new(), compressor: Compressor::new(level) }
    }

    /// Compresses the JSON into one gzip member; its header carries no time.
    fn compress(&mut self) -> Result<usize> {
        let bound = self.compressor.gzip_compress_bound(self.json.len());
        if self.gzip.len() < bound {
            self.gzip.resize(bound, 0);
        }
        self.compressor
            .gzip_compress(&self.json, &mut self.gzip)
            .map_err(|err| Error::new(ErrorKind::Bug, "cannot compress a sample").because(err))
    }
}

struct Run<'a> {
    folder: &'a Path,
    writer: Writer<'a>,
    /// Buffers that no thread uses now: never more than there are threads.
    scratch: Mutex<Vec<Scratch>>,
    bytes: AtomicU64,
    on_progress: &'a (dyn Fn(u64) + Sync),
    /// The logs so far, if digests are to list them.
    written: Option<Mutex<Vec<WrittenLog>>>,
}

impl Run<'_> {
    /// Writes digests over the logs, if they are wanted.
    fn sign(self, mut report: SampleReport, tamper: Option<Tamper>) -> Result<SampleReport> {
        let Some(written) = self.written else { return Ok(report) };
        let logs = written.into_inner().unwrap_or_else(PoisonError::into_inner);
        let chains = digests::write_chains(self.folder, self.writer.accounts, logs)?;
        for chain in &chains {
            report.objects += chain.digests.len() as u64;
            report.digest_objects += chain.digests.len() as u64;
            report.bytes_json += chain.bytes_json;
            report.bytes_compressed += chain.bytes_compressed;
        }
        if let Some(kind) = tamper {
            report.tampered = tamper::tamper(self.folder, &chains, kind)?;
        }
        Ok(report)
    }

    fn write_all(&self, batch: &[Planned]) -> Result<SampleReport> {
        batch
            .par_iter()
            .with_max_len(1)
            .map(|planned| self.write_one(planned))
            .try_reduce(SampleReport::default, |left, right| Ok(left.add(&right)))
    }

    fn write_one(&self, planned: &Planned) -> Result<SampleReport> {
        let idle = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = idle.unwrap_or_else(Scratch::new);
        let mut records = self.render(planned, &planned.content, &mut scratch.json);
        let mut compressed = scratch.compress()?;
        if planned.content.plain {
            let mut attempt = planned.content;
            while compressed >= SMALL_BYTES {
                attempt = Content { records: 1, seed: dice::mix(attempt.seed, 1), ..attempt };
                records = self.render(planned, &attempt, &mut scratch.json);
                compressed = scratch.compress()?;
            }
        }
        let key = planned.address.key(self.writer.accounts);
        put_file(&self.folder.join(&key), &scratch.gzip[..compressed])?;
        if let Some(written) = &self.written {
            let (address, hash) = (planned.address, digests::sha256(&scratch.json));
            let log = WrittenLog { address, key, hash };
            written.lock().unwrap_or_else(PoisonError::into_inner).push(log);
        }
        let bytes_json = scratch.json.len() as u64;
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        (self.on_progress)(self.bytes.fetch_add(bytes_json, Ordering::Relaxed) + bytes_json);
        Ok(report_of(planned, records, bytes_json, compressed as u64))
    }

    /// Writes an object's JSON and returns the number of its records.
    fn render(&self, planned: &Planned, content: &Content, json: &mut Vec<u8>) -> u64 {
        let accounts = self.writer.accounts;
        json.clear();
        if content.family == Family::Digest {
            families::write_digest(json, accounts, &planned.address, &planned.listed);
            return 0;
        }
        let is_bare = content.is_bare;
        json.extend_from_slice(if is_bare { b"[" } else { b"{\"Records\":[" });
        for index in 0..content.records {
            if index > 0 {
                json.push(b',');
            }
            match content.family {
                Family::Insight => families::write_insight(json, accounts, content, index),
                Family::Aggregated => families::write_aggregated(json, accounts, content, index),
                Family::Events | Family::NetworkActivity => self.writer.write(json, content, index),
                Family::Digest => {}
            }
        }
        for extra in &planned.extras {
            json.push(b',');
            match extra {
                Extra::Again(origin, index) => self.writer.write(json, origin, *index),
                Extra::Shared(shared) => self.writer.write_shared(json, shared),
            }
        }
        json.extend_from_slice(if is_bare { b"]" } else { b"]}" });
        u64::from(content.records) + planned.extras.len() as u64
    }
}

fn report_of(planned: &Planned, records: u64, bytes_json: u64, compressed: u64) -> SampleReport {
    let again = planned.extras.iter().filter(|extra| matches!(extra, Extra::Again(..))).count();
    let of = |family| if planned.content.family == family { records } else { 0 };
    SampleReport {
        objects: 1,
        records,
        bytes_json,
        bytes_compressed: compressed,
        duplicates: if planned.is_copy { records } else { again as u64 },
        insight_records: of(Family::Insight),
        network_records: of(Family::NetworkActivity),
        aggregated_records: of(Family::Aggregated),
        digest_objects: u64::from(planned.content.family == Family::Digest),
        tampered: Vec::new(),
    }
}

/// Writes a file; most folders exist already, so they are created only when missing.
fn put_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |err| Error::io("cannot write a sample object", err).at("path", path.display());
    match std::fs::write(path, bytes) {
        Err(err) if err.kind() == IoErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(failed)?;
            }
            std::fs::write(path, bytes).map_err(failed)
        }
        done => done.map_err(failed),
    }
}

#[cfg(test)]
mod tests;
