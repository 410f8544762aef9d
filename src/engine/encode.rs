//! The fourth stage: rows of a segment to staged files, by as many workers as are free.
//!
//! What is to be encoded goes before what is to be parsed, whoever comes first: it gives memory back.

use crate::engine::run::Run;
use crate::engine::segment::{Arrived, Resolved, Segment, SegmentPart, Staged};
use crate::engine::tasks::all;
use crate::engine::{ConvertOptions, EventTimes, Progress};
use crate::error::Result;
use crate::family::Form;
use crate::lake::{Copies, DataFile, Homes, News, UnitId, names::data_file};
use crate::parquet::{Encoder, Order, TableWriter, WriteOptions, arrange};
use crate::rows::{Parsed, TableRows};
use crate::schema::Lock;
use crate::storage::Storage;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Numbers of a partition's files that each part of a segment has.
const FILES_PER_PART: usize = 1000;

/// Rows that one task encodes at least, so that tasks are worth their handing out.
const TASK_ROWS: usize = 4096;

/// A segment whose files are being encoded and staged, by as many workers as are free.
pub(crate) struct Encoding {
    parsed: Parsed,
    lock: Arc<Lock>,
    copies: Copies,
    news: Vec<News>,
    write: WriteOptions,
    segment: SegmentPart,
    event_times: EventTimes,
    tables: Vec<ArrangedTable>,
    /// What the tasks do: partitions of a table, by their places in its order.
    tasks: Vec<(usize, Range<usize>)>,
    done: Mutex<Encoded>,
}

struct ArrangedTable {
    /// The names of both tables, by form.
    names: [String; 2],
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

impl Encoding {
    /// Puts the rows that stay in order, and cuts the work into tasks.
    pub(crate) fn new(
        resolved: Resolved,
        unit: &UnitId,
        segment: SegmentPart,
        options: &ConvertOptions,
    ) -> Self {
        let Resolved { mut parsed, keep, lock, copies, news } = resolved;
        let write = WriteOptions {
            compression: options.output.compression,
            target_file_bytes: options.output.target_file_size.0,
            unit: unit.to_string(),
        };
        let (mut tables, mut tasks) = (Vec::new(), Vec::new());
        let mut event_times = EventTimes::default();
        for (table, keep) in parsed.tables.iter_mut().zip(&keep) {
            for (row, keep) in table.rows.iter().zip(keep) {
                let tally = &mut parsed.objects[row.object as usize].tally;
                if *keep {
                    tally.written += 1;
                    if options.notes_event_times {
                        event_times.add(row.instant);
                    }
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
            let base = &options.output.table;
            let names = Form::ALL.map(|form| table.family.table_of(form, base));
            tables.push(ArrangedTable { names, order });
        }
        let done = Mutex::default();
        Self { parsed, lock, copies, news, write, segment, event_times, tables, tasks, done }
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
        (storage, homes): (&Storage, &Homes),
        runtime: &Handle,
    ) -> Result<()> {
        let (table, partitions) = self.tasks[task].clone();
        let ArrangedTable { names, order } = &self.tables[table];
        let (texts, table) = (&self.parsed.texts, &self.parsed.tables[table]);
        let writer = TableWriter::new(table, order, texts, &self.lock, &self.write)?;
        let (unit, SegmentPart { segment, part }) = (&self.write.unit, self.segment);
        let first = part as usize * FILES_PER_PART;
        let (mut files, mut unfit, mut uploads) = (Vec::new(), 0, Vec::new());
        for partition in partitions {
            let written = writer.write(partition, encoder)?;
            unfit += written.unfit;
            for file in written.files {
                let (table, number) = (&names[file.form as usize], first + file.number);
                let folder = homes.folder(table, &file.partition);
                let key = data_file(&folder, unit, segment, number);
                files.push(DataFile {
                    key: key.clone(),
                    table: table.clone(),
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
        let Self { mut parsed, lock, copies, news, event_times, done, .. } = self;
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
            event_times,
            bytes_json: parsed.bytes_json,
            bytes_compressed: parsed.bytes_compressed,
            objects_padded: parsed.objects_padded,
            records_unwrapped: parsed.records_unwrapped,
            records_unread: parsed.records_unread,
            members_passed_over: parsed.members_passed_over,
            members_hidden: parsed.members_hidden,
            continues: parsed.continues,
            unfit: unfit + parsed.tables.iter().map(displaced).sum::<u64>(),
        };
        parsed.clear();
        (staged, uploads, parsed)
    }
}

/// What workers encode, in the order in which it became ready.
#[derive(Default)]
pub(crate) struct EncodeQueue(Mutex<VecDeque<Task>>);

enum Task {
    /// A segment's rows are to be put in order.
    Arrange(Box<(Segment, Resolved)>),
    /// One task of a segment.
    Encode(usize, Arc<Shared>),
}

/// A segment, as those who encode its files share it.
struct Shared {
    encoding: Encoding,
    segment: Segment,
}

/// The threads that parse and encode.
#[derive(Clone, Copy)]
pub(crate) struct Pool<'p, 's, 'a> {
    pub run: &'s Run<'a>,
    pub queue: &'s EncodeQueue,
    pub scope: &'p rayon::Scope<'s>,
}

impl<'s, 'a> Pool<'_, 's, 'a> {
    /// Has a worker do something when it is free.
    pub(crate) fn spawn(&self, work: impl FnOnce(Pool<'_, 's, 'a>) + Send + 's) {
        let Self { run, queue, .. } = *self;
        self.scope.spawn(move |scope| work(Pool { run, queue, scope }));
    }

    /// Has the workers encode and stage a segment.
    pub(crate) fn encode(&self, segment: Segment, resolved: Resolved) {
        self.push(Task::Arrange(Box::new((segment, resolved))));
    }

    fn push(&self, task: Task) {
        self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(task);
        // Somebody else may have done it by then.
        self.spawn(|pool| {
            pool.encode_next();
        });
    }

    /// Does what has waited longest for being encoded; returns whether there was anything.
    pub(crate) fn encode_next(&self) -> bool {
        let task = self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(task) = task else { return false };
        let _guard = self.run.cancel.guard();
        match task {
            Task::Arrange(segment) => {
                let (segment, resolved) = *segment;
                self.arrange(segment, resolved);
            }
            Task::Encode(task, shared) => self.encode_task(task, shared),
        }
        true
    }

    fn arrange(&self, segment: Segment, resolved: Resolved) {
        let options = self.run.inputs.options;
        let encoding = Encoding::new(resolved, &segment.unit, segment.part, options);
        let tasks = encoding.tasks();
        let shared = Arc::new(Shared { encoding, segment });
        for task in 0..tasks {
            self.push(Task::Encode(task, Arc::clone(&shared)));
        }
        end_task(self.run, shared);
    }

    fn encode_task(&self, task: usize, shared: Arc<Shared>) {
        let (run, inputs) = (self.run, &self.run.inputs);
        if !run.cancel.has_failed() {
            let mut worker = run.worker();
            let encoder = &mut worker.encoder;
            let place = (inputs.storage, inputs.homes);
            let outcome = shared.encoding.run(task, encoder, place, inputs.handle);
            run.keep_worker(worker);
            if let Err(err) = outcome {
                run.cancel.fail(err);
            }
        }
        end_task(run, shared);
    }
}

/// Sends a segment to the committer when the last of those who share it is done.
fn end_task(run: &Run<'_>, shared: Arc<Shared>) {
    let Some(Shared { encoding, segment }) = Arc::into_inner(shared) else { return };
    let (staged, uploads, parsed) = encoding.end();
    run.keep_buffers(parsed);
    let (budget, taken) = (Arc::clone(&run.budget), segment.taken);
    if run.cancel.has_failed() {
        return budget.give(taken);
    }
    Progress::add(&run.inputs.progress.bytes, segment.bytes);
    Progress::add(&run.inputs.progress.objects, staged.objects.len() as u64);
    if uploads.is_empty() {
        budget.give(taken);
        return segment.send(Arrived::Segment(Box::new(staged)));
    }
    // No worker waits for a network; the memory is given back when the bytes are out.
    run.inputs.handle.spawn(async move {
        let arrived = match all(uploads).await {
            Ok(_) => Arrived::Segment(Box::new(staged)),
            Err(err) => Arrived::Failed(err),
        };
        budget.give(taken);
        segment.send(arrived);
    });
}
