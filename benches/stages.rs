//! The stages of a conversion, each alone on one thread, in bytes of JSON per second.
//!
//! `cargo bench --bench stages`, or `-- parse` for one of them. The data is a sample of fixed seed,
//! made before anything is timed.

#![allow(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use trailmill::columns::{ObjectFacts, Scratch, SideText, TableRows, Values};
use trailmill::decode::{Caps, Decoder};
use trailmill::parse::{Chunks, Container, Parser, detect};
use trailmill::partition::{DEFAULT_PARTITION_BY, PartitionBy};
use trailmill::pipeline::{
    CatalogOptions, ConvertOptions, Duplicates, Progress, SchemaMode, convert,
};
use trailmill::sample::{SampleOptions, generate};
use trailmill::schema::{Family, Lock};
use trailmill::units::ByteCount;
use trailmill::write::{DEFAULT_COMPRESSION, WriteOptions, write_table};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// JSON bytes of the sample.
const SAMPLE_BYTES: u64 = 24_000_000;

fn event_objects(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file() && path.to_string_lossy().contains("/CloudTrail/"))
        .collect();
    paths.sort();
    paths
}

/// Records of all objects, taken into the table of events.
fn take(
    parser: &mut Parser,
    source: &[u8],
    objects: &[usize],
    nested: bool,
) -> (TableRows, SideText) {
    let by: PartitionBy = DEFAULT_PARTITION_BY.parse().unwrap();
    let mut table = TableRows::new(Family::Events, nested);
    let mut side = SideText::default();
    let facts = ObjectFacts::default();
    for_each_chunk(source, objects, |range| {
        parser
            .parse(source, range, |mut cursor, count| {
                let mut scratch = Scratch::default();
                for _ in 0..count {
                    table.take(&mut cursor, &mut side, &mut scratch, 0, &facts, &by).unwrap();
                    cursor.end_entry();
                }
            })
            .unwrap();
    });
    (table, side)
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
    let (mut source, mut objects) = (Vec::new(), Vec::new());
    for file in &files {
        decoder.decode(file, &mut source).unwrap();
        objects.push(source.len());
    }
    let mut parser = Parser::default();
    let mut group = c.benchmark_group("stage");
    group.sample_size(10).throughput(Throughput::Bytes(source.len() as u64));

    group.bench_function("decode", |b| {
        let mut out = Vec::with_capacity(source.len());
        b.iter(|| {
            out.clear();
            files.iter().for_each(|file| decoder.decode(file, &mut out).unwrap());
        });
    });
    group.bench_function("parse", |b| {
        b.iter(|| {
            for_each_chunk(&source, &objects, |range| {
                parser.parse(&source, range, |cursor, count| black_box((cursor, count)).1).unwrap();
            });
        });
    });
    for (name, nested) in [("build/text", false), ("build/nested", true)] {
        group.bench_function(name, |b| {
            b.iter_with_large_drop(|| take(&mut parser, &source, &objects, nested));
        });
    }
    let (table, side) = take(&mut parser, &source, &objects, true);
    group.bench_function("infer", |b| {
        b.iter(|| {
            let mut lock = Lock::empty();
            for (spec, values) in table.specs.iter().zip(&table.values) {
                if let Values::Nested(tree) = values {
                    lock.merge(Family::Events, spec.name, &tree.observed(&source, &side));
                }
            }
            lock
        });
    });
    let lock = {
        let mut lock = Lock::seed().unwrap();
        for (spec, values) in table.specs.iter().zip(&table.values) {
            if let Values::Nested(tree) = values {
                lock.merge(Family::Events, spec.name, &tree.observed(&source, &side));
            }
        }
        lock
    };
    let write = WriteOptions {
        compression: DEFAULT_COMPRESSION,
        target_file_bytes: 128 << 20,
        unit: "bench".to_owned(),
    };
    for (name, nested) in [("write/text", false), ("write/nested", true)] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || take(&mut parser, &source, &objects, nested),
                |(table, side)| {
                    let keep = vec![true; table.rows.len()];
                    write_table(table, &source, &side, &keep, &lock, &write).unwrap()
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    whole(c, &logs, folder.path());
}

fn whole(c: &mut Criterion, logs: &Path, folder: &Path) {
    let mut group = c.benchmark_group("whole");
    group.sample_size(10).throughput(Throughput::Bytes(SAMPLE_BYTES));
    for (name, nested, threads) in
        [("text/1", false, 1), ("nested/1", true, 1), ("text/2", false, 2), ("nested/2", true, 2)]
    {
        let mut run = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                run += 1;
                let lake = folder.join(format!("lake-{}-{run}", name.replace('/', "-")));
                let options = ConvertOptions {
                    narrow: Default::default(),
                    look_back_days: None,
                    full: true,
                    sources: vec![logs.to_owned().into()],
                    lake: lake.clone().into(),
                    s3: std::sync::Arc::default(),
                    threads,
                    memory: ByteCount::mib(512),
                    unit_size: ByteCount::mib(64),
                    target_file_size: ByteCount::mib(128),
                    compression: DEFAULT_COMPRESSION,
                    partition_by: DEFAULT_PARTITION_BY.parse().unwrap(),
                    nested,
                    strict: false,
                    schema: SchemaMode::Evolve,
                    duplicates: Duplicates::Drop,
                    caps: Caps::default(),
                    catalog: CatalogOptions::new("t"),
                };
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
