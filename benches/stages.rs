//! The stages of a conversion, each alone on one thread, in bytes of JSON per second; then a unit
//! through all of them, and a whole run.
//!
//! `cargo bench --bench stages`, or `-- tape` for one of them. The data is a sample of fixed seed,
//! made before anything is timed.

#![allow(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

mod common;

use common::{conversion, event_objects};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use trailmill::decode::{Caps, Compression, Decoded, Decoder};
use trailmill::engine::Progress;
use trailmill::family::Family;
use trailmill::operations::convert;
use trailmill::parquet::{DEFAULT_COMPRESSION, Encoder, Order, TableWriter, WriteOptions, arrange};
use trailmill::parse::{Chunks, Container, Parser, RecordSpans, detect};
use trailmill::partition::{DEFAULT_PARTITION_BY, PartitionBy};
use trailmill::rows::{ObjectFacts, Scratch, TableRows, Taking, Texts};
use trailmill::sample::{SampleOptions, generate};
use trailmill::schema::Lock;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// JSON bytes of the sample.
const SAMPLE_BYTES: u64 = 24_000_000;

/// What a worker keeps.
#[derive(Default)]
struct Worker {
    parser: Parser,
    scratch: Scratch,
    texts: Texts,
    encoder: Encoder,
}

/// Takes the records of all objects into a table of events.
fn take(worker: &mut Worker, source: &[u8], objects: &[usize], table: &mut TableRows) {
    let by: PartitionBy = DEFAULT_PARTITION_BY.parse().unwrap();
    let facts = ObjectFacts::default();
    let with = Taking { object: 0, facts: &facts, by: &by, is_utc: false, known: b"" };
    let Worker { parser, scratch, texts, .. } = worker;
    texts.clear();
    table.clear();
    for_each_chunk(source, objects, |range| {
        parser
            .parse(source, range, |mut cursor, count| {
                for _ in 0..count {
                    table.take(&mut cursor, texts, scratch, with).unwrap();
                    cursor.end_entry();
                }
            })
            .unwrap();
    });
}

/// Encodes all files of an arranged table; returns their bytes.
fn encode(table: &TableRows, order: &Order, worker: &mut Worker, lock: &Lock) -> usize {
    let options = WriteOptions {
        compression: DEFAULT_COMPRESSION,
        target_file_bytes: 128 << 20,
        unit: "bench".to_owned(),
    };
    let Worker { texts, encoder, .. } = worker;
    let writer = TableWriter::new(table, order, texts, lock, &options).unwrap();
    (0..order.partition_rows().len())
        .flat_map(|partition| writer.write(partition, encoder).unwrap().files)
        .map(|file| file.bytes.len())
        .sum()
}

fn for_each_chunk(source: &[u8], objects: &[usize], mut visit: impl FnMut(std::ops::Range<usize>)) {
    let mut start = 0;
    for end in objects {
        let Container::Array { inside, .. } = detect(&source[start..*end]) else { panic!() };
        for chunk in Chunks::new(source, inside.start + start..inside.end + start) {
            visit(chunk.range);
        }
        start = *end;
    }
}

fn stages(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    let options = SampleOptions { size: SAMPLE_BYTES, seed: 1, ..SampleOptions::new(&logs) };
    generate(&options, &|_| {}).unwrap();
    let files: Vec<Vec<u8>> =
        event_objects(&logs).iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut decoder = Decoder::new(Caps::default());
    let (mut source, mut objects) = (Decoded::default(), Vec::new());
    for file in &files {
        decoder.decode(file, &mut source).unwrap();
        objects.push(source.len());
    }
    let mut worker = Worker::default();
    let mut group = c.benchmark_group("stage");
    group.sample_size(10).throughput(Throughput::Bytes(source.len() as u64));

    let mut decoded = Decoded::default();
    group.bench_function("gunzip", |b| {
        b.iter(|| {
            decoded.clear();
            files.iter().for_each(|file| decoder.decode(file, &mut decoded).unwrap());
        });
    });
    let (mut start, mut packed) = (0, [Vec::new(), Vec::new()]);
    for end in &objects {
        let text = &source[start..*end];
        packed[0].push(zstd::bulk::compress(text, 3).unwrap());
        // As a pipe writes it: without the size of its content.
        packed[1].push(zstd::encode_all(text, 3).unwrap());
        start = *end;
    }
    for (name, files) in [("unzstd", &packed[0]), ("unzstd piped", &packed[1])] {
        group.bench_function(name, |b| {
            b.iter(|| {
                decoded.clear();
                for file in files {
                    let (zstd, stored) = (Compression::Zstd, file.len() as u64);
                    decoder.decompress(zstd, file, stored, &mut decoded, &mut |_| Ok(())).unwrap();
                }
            });
        });
    }
    group.bench_function("tape", |b| {
        b.iter(|| {
            for_each_chunk(&source, &objects, |range| {
                let parser = &mut worker.parser;
                parser.parse(&source, range, |cursor, count| black_box((cursor, count)).1).unwrap();
            });
        });
    });
    let mut tables = [("text", false), ("typed", true)]
        .map(|(n, typed)| (n, TableRows::new(Family::Events, typed, &PartitionBy::default())));
    for (name, table) in &mut tables {
        group.bench_function(format!("build/{name}"), |b| {
            b.iter(|| take(&mut worker, &source, &objects, table));
        });
    }
    let observe = || tables[1].1.observe_nested(&worker.texts).collect::<Vec<_>>();
    let seen = observe();
    group.bench_function("infer", |b| b.iter(observe));
    let merged = |mut lock: Lock| {
        for (name, seen) in &seen {
            lock.merge(Family::Events, name, seen);
        }
        lock
    };
    group.bench_function("merge", |b| b.iter(|| merged(Lock::empty())));
    let lock = merged(Lock::seed().unwrap());
    for (name, table) in &mut tables {
        group.bench_function(format!("sort/{name}"), |b| {
            b.iter_custom(|rounds| {
                let timed = (0..rounds).map(|_| {
                    take(&mut worker, &source, &objects, table);
                    let keep = vec![true; table.rows.len()];
                    let start = Instant::now();
                    black_box(arrange(table, &worker.texts, &keep));
                    start.elapsed()
                });
                timed.sum()
            });
        });
        take(&mut worker, &source, &objects, table);
        let keep = vec![true; table.rows.len()];
        let order = arrange(table, &worker.texts, &keep);
        group.bench_function(format!("encode/{name}"), |b| {
            b.iter(|| encode(table, &order, &mut worker, &lock));
        });
        group.bench_function(format!("unit/{name}"), |b| {
            b.iter(|| {
                decoded.clear();
                files.iter().for_each(|file| decoder.decode(file, &mut decoded).unwrap());
                take(&mut worker, &decoded, &objects, table);
                let mut lock = lock.clone();
                for (name, seen) in table.observe_nested(&worker.texts) {
                    lock.merge(Family::Events, name, &seen);
                }
                let keep = vec![true; table.rows.len()];
                let order = arrange(table, &worker.texts, &keep);
                encode(table, &order, &mut worker, &lock)
            });
        });
    }
    group.finish();
    forms(c, &source, &objects, folder.path());
    whole(c, &logs, folder.path());
}

/// The same records in CloudTrail's envelope, one a line, and as text in LookupEvents' answers.
fn forms(c: &mut Criterion, source: &[u8], objects: &[usize], folder: &Path) {
    let mut texts = [Vec::new(), Vec::new(), Vec::new()];
    for_each_chunk(source, objects, |range| {
        for (span, _) in RecordSpans::new(source, range) {
            let record = std::str::from_utf8(&source[span]).unwrap();
            let item =
                serde_json::json!({"EventId": "x", "Username": "u", "CloudTrailEvent": record});
            texts[0].extend_from_slice(if texts[0].is_empty() { b"{\"Records\":[" } else { b"," });
            texts[0].extend_from_slice(record.as_bytes());
            texts[1].extend_from_slice(record.as_bytes());
            texts[1].push(b'\n');
            texts[2].extend_from_slice(item.to_string().as_bytes());
            texts[2].push(b'\n');
        }
    });
    texts[0].extend_from_slice(b"]}");
    let mut group = c.benchmark_group("form");
    group.sample_size(10);
    for (name, text) in ["envelope", "lines", "wrapped"].into_iter().zip(texts) {
        let logs = folder.join(name);
        std::fs::create_dir(&logs).unwrap();
        std::fs::write(logs.join("a.json"), &text).unwrap();
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut run = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                run += 1;
                let lake = folder.join(format!("lake-{name}-{run}"));
                let options = conversion(&logs, &lake, false, 1);
                let report = convert(&options, &Progress::default(), &AtomicBool::new(false));
                std::fs::remove_dir_all(&lake).unwrap();
                report.unwrap()
            });
        });
    }
    group.finish();
}

fn whole(c: &mut Criterion, logs: &Path, folder: &Path) {
    let mut group = c.benchmark_group("whole");
    group.sample_size(10).throughput(Throughput::Bytes(SAMPLE_BYTES));
    for (name, typed, threads) in
        [("text/1", false, 1), ("typed/1", true, 1), ("text/2", false, 2), ("typed/2", true, 2)]
    {
        let mut run = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                run += 1;
                let lake = folder.join(format!("lake-{}-{run}", name.replace('/', "-")));
                let options = conversion(logs, &lake, typed, threads);
                let report = convert(&options, &Progress::default(), &AtomicBool::new(false));
                std::fs::remove_dir_all(&lake).unwrap();
                report.unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
