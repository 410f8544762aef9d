//! How close a conversion comes to what this machine can do.
//!
//! `scripts/bench limits`, or `cargo bench --bench limits -- FOLDER [ROUNDS]`. Nothing can convert logs
//! without reading them, decompressing them, finding the values in their JSON and encoding Parquet.
//! Each of these is timed alone, on one thread, in the fastest way we know; the limit is their sum
//! divided by the threads. What a conversion does besides (rows, partitions, the order of rows, copies,
//! commits) is what keeps it from the limit.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench stops at the first surprise")]

mod common;

use common::{conversion, event_objects};
use polars::prelude::{
    ParquetCompression, ParquetReader, ParquetWriter, SerReader, StatisticsOptions,
};
use polars_parquet::parquet::compression::ZstdLevel;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use trailmill::decode::{Caps, Decoded, Decoder};
use trailmill::engine::Progress;
use trailmill::family::Family;
use trailmill::operations::convert;
use trailmill::parquet::{DEFAULT_COMPRESSION, Encoder, TableWriter, WriteOptions, arrange};
use trailmill::parse::{Chunks, Container, Cursor, Parser, detect};
use trailmill::partition::PartitionBy;
use trailmill::rows::{ObjectFacts, Scratch, TableRows, Taking, Texts};
use trailmill::schema::Lock;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// JSON bytes that are encoded together.
const UNIT_BYTES: usize = 64 << 20;

/// Seconds of one thread.
#[derive(Clone, Copy, Debug, Default)]
struct Stages {
    read: Duration,
    gunzip: Duration,
    tape: Duration,
    encode_ours: Duration,
    encode_polars: Duration,
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some(folder) = arguments.first() else {
        println!("usage: cargo bench --bench limits -- FOLDER [ROUNDS]");
        return;
    };
    let rounds = arguments.get(1).map_or(5, |rounds| rounds.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = Path::new(folder);
    let paths = event_objects(folder);
    let mut json = 0;
    let stages: Vec<Stages> = (0..rounds).map(|_| stages(&paths, &mut json)).collect();
    let scratch = tempfile::tempdir().unwrap();
    let runs = |threads: usize| {
        median(
            (0..rounds).map(|n| run(&paths, folder, &scratch.path().join(n.to_string()), threads)),
        )
    };
    let (one, all) = (runs(1), runs(threads));
    print(&stages, json, threads, one, all);
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

/// Times the stages over all objects.
fn stages(paths: &[PathBuf], json: &mut u64) -> Stages {
    let mut stages = Stages::default();
    let mut timed = |stage: fn(&mut Stages) -> &mut Duration, work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        *stage(&mut stages) += start.elapsed();
    };
    let (mut decoder, mut decoded) = (Decoder::new(Caps::default()), Decoded::default());
    let (mut parser, mut scratch) = (Parser::default(), Scratch::default());
    let (mut texts, mut table) =
        (Texts::default(), TableRows::new(Family::Events, false, &"year".parse().unwrap()));
    let mut encoder = Encoder::default();
    let (mut file, mut unit) = (Vec::new(), 0);
    let facts = ObjectFacts::default();
    // One partition: how many files a lake has is not the machine's limit.
    let by: PartitionBy = "year".parse().unwrap();
    let with = Taking { object: 0, facts: &facts, by: &by, is_utc: false, known: b"" };
    *json = 0;
    for (number, path) in paths.iter().enumerate() {
        timed(|s| &mut s.read, &mut || file = std::fs::read(path).unwrap());
        timed(|s| &mut s.gunzip, &mut || {
            decoded.clear();
            decoder.decode(&file, &mut decoded).unwrap();
        });
        *json += decoded.len() as u64;
        unit += decoded.len();
        let Container::Array { inside, .. } = detect(&decoded) else { continue };
        let chunks: Vec<_> = Chunks::new(&decoded, inside).map(|chunk| chunk.range).collect();
        timed(|s| &mut s.tape, &mut || {
            for chunk in &chunks {
                parser
                    .parse(&decoded, chunk.clone(), |cursor, count| black_box((cursor, count)).1)
                    .unwrap();
            }
        });
        for chunk in chunks {
            let take = |mut cursor: Cursor<'_>, count| {
                for _ in 0..count {
                    let _ = table.take(&mut cursor, &mut texts, &mut scratch, with);
                    cursor.end_entry();
                }
            };
            parser.parse(&decoded, chunk, take).unwrap();
        }
        if unit < UNIT_BYTES && number + 1 < paths.len() {
            continue;
        }
        let keep = vec![true; table.rows.len()];
        let order = arrange(&mut table, &texts, &keep);
        let (lock, options) = (Lock::empty(), write_options());
        let writer = TableWriter::new(&table, &order, &texts, &lock, &options).unwrap();
        for partition in 0..order.partition_rows().len() {
            let mut files = Vec::new();
            timed(|s| &mut s.encode_ours, &mut || {
                files = writer.write(partition, &mut encoder).unwrap().files;
            });
            for file in files {
                let mut frame =
                    ParquetReader::new(std::io::Cursor::new(file.bytes)).finish().unwrap();
                timed(|s| &mut s.encode_polars, &mut || {
                    let level = ZstdLevel::try_new(1).unwrap();
                    ParquetWriter::new(Vec::new())
                        .with_compression(ParquetCompression::Zstd(Some(level)))
                        .with_statistics(StatisticsOptions::full())
                        .set_parallel(false)
                        .finish(&mut frame)
                        .unwrap();
                });
            }
        }
        table.clear();
        texts.clear();
        unit = 0;
    }
    stages
}

fn write_options() -> WriteOptions {
    WriteOptions {
        compression: DEFAULT_COMPRESSION,
        target_file_bytes: 128 << 20,
        unit: "limits".to_owned(),
    }
}

/// Times a conversion of the text columns into a new lake.
fn run(paths: &[PathBuf], folder: &Path, lake: &Path, threads: usize) -> Duration {
    let options = conversion(folder, lake, false, threads);
    let start = Instant::now();
    let report = convert(&options, &Progress::default(), &AtomicBool::new(false)).unwrap();
    let elapsed = start.elapsed();
    std::fs::remove_dir_all(lake).unwrap();
    assert!(report.objects_read >= paths.len() as u64, "the run read fewer objects");
    elapsed
}

fn print(stages: &[Stages], json: u64, threads: usize, one: Duration, all: Duration) {
    let of = |stage: fn(&Stages) -> Duration| median(stages.iter().map(stage));
    let encode_ours = of(|s| s.encode_ours);
    let encode_polars = of(|s| s.encode_polars);
    let encode = encode_ours.min(encode_polars);
    let (read, gunzip, tape) = (of(|s| s.read), of(|s| s.gunzip), of(|s| s.tape));
    let sum = read + gunzip + tape + encode;
    let megabytes = |time: Duration| json as f64 / 1e6 / time.as_secs_f64();
    let row = |name: &str, time: Duration| {
        println!("| {name} | {:.3} | {:.0} |", time.as_secs_f64(), megabytes(time));
    };
    println!(
        "{:.0} MB of JSON; medians of {} rounds, text columns.\n",
        json as f64 / 1e6,
        stages.len()
    );
    println!("| one thread | seconds | MB of JSON/s |\n|---|---|---|");
    row("read the objects from the page cache", read);
    row("gunzip (libdeflate)", gunzip);
    row("tape (simd-json, chunks of 128 KiB)", tape);
    row("encode Parquet (trailmill, one partition)", encode_ours);
    row("encode Parquet (polars' writer, the same rows)", encode_polars);
    row("**limit**: read, gunzip, tape, the faster encode", sum);
    row("trailmill convert --no-typed", one);
    println!();
    let limit = sum / threads as u32;
    println!("| {threads} threads | seconds | MB of JSON/s |\n|---|---|---|");
    row("**limit**", limit);
    row("trailmill convert --no-typed", all);
    let share = |limit: Duration, run: Duration| 100.0 * limit.as_secs_f64() / run.as_secs_f64();
    println!(
        "\nShare of the limit: {:.0} % on 1 thread, {:.0} % on {threads} threads. {threads} threads \
         are {:.2}× as fast as 1.",
        share(sum, one),
        share(limit, all),
        one.as_secs_f64() / all.as_secs_f64(),
    );
}
