//! The end of a unit: rows to staged files, and then, in order, the commit.

use crate::commit::{
    DataFile, Intent, Known, Manifest, ObjectRecord, QuarantinedObject, Tally, UnitId,
    encode_copies, write_lock, write_quarantine,
};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::ConvertOptions;
use crate::pipeline::report::{Progress, Report};
use crate::pipeline::segment::Parsed;
use crate::pipeline::tasks::all;
use crate::schema::Lock;
use crate::storage::{Lease, OWN, Storage};
use crate::write::{WriteOptions, write_table};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// A segment that has had its turn: which rows stay is decided and its schema is in the lock.
#[derive(Debug)]
pub(crate) struct Settled {
    pub parsed: Parsed,
    /// Per table, which rows are written.
    pub keep: Vec<Vec<bool>>,
    /// The lock as of this segment.
    pub lock: Arc<Lock>,
    /// Fingerprints of the rows that are written, by event day.
    pub copies: BTreeMap<i32, Vec<u128>>,
}

/// A segment whose files are staged.
#[derive(Debug)]
pub(crate) struct Staged {
    pub objects: Vec<ObjectRecord>,
    pub quarantine: Vec<QuarantinedObject>,
    pub files: Vec<DataFile>,
    pub lock: Arc<Lock>,
    pub copies: BTreeMap<i32, Vec<u128>>,
    pub bytes_json: u64,
    pub bytes_compressed: u64,
    pub unfit: u64,
}

/// Encodes the rows of a segment and stages its files; those of a bucket are on their way then.
///
/// # Errors
/// `Io` when the store fails.
pub(crate) fn stage(
    settled: Settled,
    unit: &UnitId,
    segment: u32,
    options: &ConvertOptions,
    storage: &Storage,
    runtime: &Handle,
) -> Result<(Staged, JoinSet<Result<()>>)> {
    let mut uploads = JoinSet::new();
    let Settled { parsed, keep, lock, copies } = settled;
    let Parsed { source, side, tables, mut objects, quarantine, bytes_json, bytes_compressed } =
        parsed;
    let write = WriteOptions {
        compression: options.compression,
        target_file_bytes: options.target_file_size.0,
        unit: unit.to_string(),
    };
    let (mut files, mut unfit) = (Vec::new(), 0);
    for (table, keep) in tables.into_iter().zip(&keep) {
        for (row, keep) in table.rows.iter().zip(keep) {
            let tally = &mut objects[row.object as usize].tally;
            if *keep {
                tally.written += 1;
            } else {
                tally.duplicate += 1;
            }
        }
        let name = table.family.table(&options.catalog.table);
        let written = write_table(table, &source, &side, keep, &lock, &write)?;
        unfit += written.unfit;
        let mut in_partition: BTreeMap<String, u32> = BTreeMap::new();
        for file in written.files {
            let n = in_partition.entry(file.partition.clone()).or_default();
            let key = format!("{name}/{}/part-{unit}-{segment:04}-{n:02}.parquet", file.partition);
            *n += 1;
            files.push(DataFile {
                key: key.clone(),
                table: name.clone(),
                partition: file.partition,
                rows: file.rows,
                bytes: file.bytes.len() as u64,
                min_instant: file.min_instant,
                max_instant: file.max_instant,
            });
            let name = unit.to_string();
            if storage.bucket().is_none() {
                runtime.block_on(storage.stage(&name, &key, file.bytes))?;
                continue;
            }
            let storage = storage.clone();
            let upload = async move { storage.stage(&name, &key, file.bytes).await };
            uploads.spawn_on(upload, runtime);
        }
    }
    let staged =
        Staged { objects, quarantine, files, lock, copies, bytes_json, bytes_compressed, unfit };
    Ok((staged, uploads))
}

/// A unit all of whose segments are staged.
#[derive(Debug)]
pub(crate) struct Ready {
    pub unit: UnitId,
    pub is_resumed: bool,
    /// What the archive itself is in the ledger, if the unit is one.
    pub archive: Option<ObjectRecord>,
    pub passed_over: u64,
    pub segments: Vec<Staged>,
}

/// Commits units, in the order of their numbers.
pub(crate) struct Committer<'a> {
    pub storage: &'a Storage,
    pub lease: &'a Lease,
    pub runtime: &'a Handle,
    pub options: &'a ConvertOptions,
    pub progress: &'a Progress,
    pub database: &'a str,
    /// The lock version that the lake has.
    pub lock_version: u32,
    pub report: Report,
    pub partitions: BTreeSet<String>,
    /// What is known of the lake; every unit that is committed is added.
    pub known: Known,
}

impl Committer<'_> {
    /// Commits units that are ready together: all files and what goes with them side by side, one
    /// sync, then the manifests one after another.
    ///
    /// # Errors
    /// `Io`, `Unavailable` or `Damaged` from the store, `Busy` when the lease is lost, `Bug` when the
    /// records of an object do not balance.
    pub(super) fn commit(&mut self, ready: Vec<Ready>) -> Result<()> {
        let ready: Vec<Prepared> =
            ready.into_iter().map(|unit| self.prepare(unit)).collect::<Result<_>>()?;
        let mut puts = JoinSet::new();
        for unit in &ready {
            puts.spawn_on(unit.put_in_place(self.storage), self.runtime);
        }
        self.runtime.block_on(all(puts))?;
        self.storage.sync()?;
        let mut removals = JoinSet::new();
        for prepared in ready {
            let Prepared { mut manifest, lock, quarantine, is_resumed, .. } = prepared;
            self.runtime.block_on(async {
                self.lease.confirm().await?;
                if let Some(lock) = &lock {
                    manifest.schema_version = lock.version;
                    if lock.version > self.lock_version {
                        write_lock(self.storage, lock).await?;
                        self.lock_version = lock.version;
                    }
                }
                manifest.write(self.storage).await
            })?;
            let (storage, unit) = (self.storage.clone(), manifest.unit.clone());
            removals.spawn_on(async move { Intent::remove(&storage, &unit).await }, self.runtime);
            for entry in quarantine.iter() {
                *self.report.quarantined_by_reason.entry(entry.reason.clone()).or_default() += 1;
            }
            self.count(&manifest, is_resumed);
            self.known.add(&manifest);
        }
        self.runtime.block_on(all(removals))?;
        if self.known.is_checkpoint_due() {
            self.runtime.block_on(async {
                self.lease.confirm().await?;
                self.known.write_checkpoint(self.storage).await
            })?;
        }
        Ok(())
    }

    /// Gathers the segments of a unit.
    fn prepare(&mut self, ready: Ready) -> Result<Prepared> {
        let Ready { unit, is_resumed, archive, passed_over, segments } = ready;
        let mut manifest = Manifest {
            unit,
            settings: self.options.settings(),
            partition_by: self.options.partition_by.to_string(),
            database: self.database.to_owned(),
            compression: self.options.compression.codec().to_owned(),
            nested: self.options.nested,
            schema_version: 0,
            objects: Vec::new(),
            files: Vec::new(),
            tally: Tally::default(),
            bytes_json: 0,
            nested_values_unfit: 0,
            days: BTreeMap::new(),
            passed_over,
        };
        let mut copies: BTreeMap<i32, Vec<u128>> = BTreeMap::new();
        let mut quarantine = Vec::new();
        let mut lock = None;
        for segment in segments {
            for object in &segment.objects {
                if !object.tally.balances() {
                    return Err(Error::new(ErrorKind::Bug, "records do not balance")
                        .at("object", &object.key));
                }
                manifest.tally.add(&object.tally);
            }
            manifest.objects.extend(segment.objects);
            manifest.files.extend(segment.files);
            manifest.bytes_json += segment.bytes_json;
            manifest.nested_values_unfit += segment.unfit;
            quarantine.extend(segment.quarantine);
            for (day, values) in segment.copies {
                copies.entry(day).or_default().extend(values);
            }
            self.report.bytes_compressed += segment.bytes_compressed;
            lock = Some(segment.lock);
        }
        manifest.objects.extend(archive);
        manifest.days = copies.iter().map(|(day, values)| (*day, values.len() as u64)).collect();
        Ok(Prepared { manifest, quarantine: quarantine.into(), copies, lock, is_resumed })
    }

    fn count(&mut self, manifest: &Manifest, is_resumed: bool) {
        use crate::commit::ObjectOutcome;
        let report = &mut self.report;
        report.units += 1;
        report.units_resumed += u64::from(is_resumed);
        report.objects_ignored += manifest.passed_over;
        for object in &manifest.objects {
            report.objects_read += u64::from(object.outcome != ObjectOutcome::Archive);
            match &object.outcome {
                ObjectOutcome::Converted | ObjectOutcome::Archive => {}
                ObjectOutcome::Ignored(kind) => {
                    report.objects_ignored += 1;
                    *report.ignored_by_kind.entry(kind.clone()).or_default() += 1;
                }
                ObjectOutcome::Quarantined(_) => report.objects_quarantined += 1,
            }
        }
        report.add_tally(&manifest.tally);
        report.bytes_json += manifest.bytes_json;
        report.nested_values_unfit += manifest.nested_values_unfit;
        for file in &manifest.files {
            report.files += 1;
            report.bytes_parquet += file.bytes;
            *report.rows_by_table.entry(file.table.clone()).or_default() += file.rows;
            self.partitions.insert(format!("{}/{}", file.table, file.partition));
        }
        report.partitions = self.partitions.len() as u64;
        Progress::add(&self.progress.units, 1);
    }
}

/// A unit whose manifest only needs writing, once what it names is in place.
struct Prepared {
    manifest: Manifest,
    quarantine: Arc<[QuarantinedObject]>,
    copies: BTreeMap<i32, Vec<u128>>,
    lock: Option<Arc<Lock>>,
    is_resumed: bool,
}

impl Prepared {
    /// Puts in place what the manifest will name.
    fn put_in_place(&self, storage: &Storage) -> impl Future<Output = Result<()>> + use<> {
        let (storage, unit) = (storage.clone(), self.manifest.unit.clone());
        let quarantine = Arc::clone(&self.quarantine);
        let copies = (!self.copies.is_empty()).then(|| encode_copies(&self.copies));
        let files: Vec<String> = self.manifest.files.iter().map(|file| file.key.clone()).collect();
        async move {
            write_quarantine(&storage, &unit, &quarantine).await?;
            if let Some(copies) = copies {
                storage.put_once(&copies_key(&unit), copies).await?;
            }
            let name = unit.to_string();
            for file in files {
                storage.publish(&name, &file).await?;
            }
            Ok(())
        }
    }
}

/// Where a unit's fingerprints are.
pub(crate) fn copies_key(unit: &UnitId) -> String {
    format!("{OWN}/copies/{unit}.bin")
}
