//! Rows of a segment to staged files, by as many workers as are free.

use crate::engine::ConvertOptions;
use crate::error::Result;
use crate::lake::{Copies, DataFile, News, ObjectRecord, QuarantinedObject, UnitId, names};
use crate::parquet::{Encoder, Order, TableWriter, WriteOptions, arrange};
use crate::rows::{Parsed, TableRows};
use crate::schema::Lock;
use crate::storage::Storage;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

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

/// Numbers of a partition's files that each part of a segment has.
const FILES_PER_PART: usize = 1000;

/// A segment that has had its turn: which rows stay is decided and its schema is in the lock.
#[derive(Debug)]
pub(crate) struct Settled {
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

/// A segment whose files are staged.
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
    pub objects_padded: u64,
    /// Whether its first object is the rest of the one before.
    pub continues: bool,
}

/// Rows that one task encodes at least, so that tasks are worth their handing out.
const TASK_ROWS: usize = 4096;

/// A settled segment whose files are being encoded and staged, by as many workers as are free.
pub(crate) struct Staging {
    parsed: Parsed,
    lock: Arc<Lock>,
    copies: Copies,
    news: Vec<News>,
    write: WriteOptions,
    segment: SegmentPart,
    tables: Vec<ArrangedTable>,
    /// What the tasks do: partitions of a table, by their places in its order.
    tasks: Vec<(usize, Range<usize>)>,
    done: Mutex<Encoded>,
}

struct ArrangedTable {
    name: String,
    order: Order,
}

/// What the tasks have encoded so far.
#[derive(Default)]
struct Encoded {
    /// By task.
    files: BTreeMap<usize, Vec<DataFile>>,
    unfit: u64,
    uploads: JoinSet<Result<()>>,
}

impl Staging {
    /// Puts the rows that stay in order, and cuts the work into tasks.
    pub(crate) fn new(
        settled: Settled,
        unit: &UnitId,
        segment: SegmentPart,
        options: &ConvertOptions,
    ) -> Self {
        let Settled { mut parsed, keep, lock, copies, news } = settled;
        let write = WriteOptions {
            compression: options.output.compression,
            target_file_bytes: options.output.target_file_size.0,
            unit: unit.to_string(),
        };
        let (mut tables, mut tasks) = (Vec::new(), Vec::new());
        for (table, keep) in parsed.tables.iter_mut().zip(&keep) {
            for (row, keep) in table.rows.iter().zip(keep) {
                let tally = &mut parsed.objects[row.object as usize].tally;
                if *keep {
                    tally.written += 1;
                } else {
                    tally.duplicate += 1;
                }
            }
            let order = arrange(table, &parsed.texts, keep);
            let (mut first, mut rows) = (0, 0);
            for (at, partition_rows) in order.partition_rows().enumerate() {
                rows += partition_rows;
                if rows >= TASK_ROWS {
                    tasks.push((tables.len(), first..at + 1));
                    (first, rows) = (at + 1, 0);
                }
            }
            if rows > 0 {
                tasks.push((tables.len(), first..order.partition_rows().len()));
            }
            tables.push(ArrangedTable { name: table.family.table(&options.output.table), order });
        }
        let done = Mutex::default();
        Self { parsed, lock, copies, news, write, segment, tables, tasks, done }
    }

    /// Returns the number of tasks.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Encodes the files of a task and stages them; those of a bucket are on their way then.
    ///
    /// # Errors
    /// `Io` when a file cannot be written.
    pub(crate) fn run(
        &self,
        task: usize,
        encoder: &mut Encoder,
        storage: &Storage,
        runtime: &Handle,
    ) -> Result<()> {
        let (table, partitions) = self.tasks[task].clone();
        let ArrangedTable { name, order } = &self.tables[table];
        let (texts, table) = (&self.parsed.texts, &self.parsed.tables[table]);
        let writer = TableWriter::new(table, order, texts, &self.lock, &self.write)?;
        let (unit, SegmentPart { segment, part }) = (&self.write.unit, self.segment);
        let first = part as usize * FILES_PER_PART;
        let (mut files, mut unfit, mut uploads) = (Vec::new(), 0, Vec::new());
        for partition in partitions {
            let written = writer.write(partition, encoder)?;
            unfit += written.unfit;
            for (n, file) in (first..).zip(written.files) {
                let key = names::data_file(name, &file.partition, unit, segment, n);
                files.push(DataFile {
                    key: key.clone(),
                    table: name.clone(),
                    partition: file.partition,
                    rows: file.rows,
                    bytes: file.bytes.len() as u64,
                    min_instant: file.min_instant,
                    max_instant: file.max_instant,
                });
                if !storage.stage(unit, &key, &file.bytes)? {
                    let storage = storage.clone();
                    uploads.push(async move { storage.put_once(&key, file.bytes).await });
                }
            }
        }
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.files.insert(task, files);
        done.unfit += unfit;
        for upload in uploads {
            done.uploads.spawn_on(upload, runtime);
        }
        Ok(())
    }

    /// Returns what was staged once all tasks are done, the uploads that are on their way, and the
    /// buffers.
    pub(crate) fn end(self) -> (Staged, JoinSet<Result<()>>, Parsed) {
        let Self { mut parsed, lock, copies, news, done, .. } = self;
        let Encoded { files, unfit, uploads } =
            done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let displaced = |table: &TableRows| table.displaced();
        let staged = Staged {
            objects: std::mem::take(&mut parsed.objects),
            quarantine: std::mem::take(&mut parsed.quarantine),
            files: files.into_values().flatten().collect(),
            lock,
            copies,
            news,
            bytes_json: parsed.bytes_json,
            bytes_compressed: parsed.bytes_compressed,
            objects_padded: parsed.objects_padded,
            continues: parsed.continues,
            unfit: unfit + parsed.tables.iter().map(displaced).sum::<u64>(),
        };
        parsed.clear();
        (staged, uploads, parsed)
    }
}
