//! Compaction of a lake in a bucket, in memory: where the files go, when the old ones are removed, and that
//! each request may be lost.

use crate::failing_store::{Failing, Faults, Lost, block_on, contents};
use crate::support::{World, key, records};
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt, path::Path};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use trailmill::aws::AwsOptions;
use trailmill::engine::{CatalogKind, CatalogOptions, ConvertOptions, Progress};
use trailmill::error::Result;
use trailmill::family::Family;
use trailmill::lake::{Manifest, OutputSettings, live_files};
use trailmill::merge::{Input, Sum, Union, sum_of};
use trailmill::operations::{CompactOptions, CompactReport, compact, convert};
use trailmill::schema::Lock;
use trailmill::storage::{S3, S3Options, Storage};
use trailmill::units::ByteCount;

const LEASE: &str = "lake/_trailmill/lease.json";
const MOVED: &str = "lake/_trailmill/compacted/";

fn s3(store: &Arc<InMemory>, faults: Faults, patience: Duration) -> (Arc<S3>, Arc<Failing>) {
    let failing = Arc::new(Failing::new(store, faults));
    let options = S3Options { retry_timeout: patience, ..S3Options::default() };
    let s3 = S3::new(AwsOptions::default(), options).with_store("lake", Arc::clone(&failing) as _);
    (Arc::new(s3), failing)
}

fn no_catalog() -> CatalogOptions {
    CatalogOptions { kind: Some(CatalogKind::None), ..CatalogOptions::new("cloudtrail") }
}

fn put_logs(world: &World, numbers: std::ops::Range<u64>) {
    for object in numbers {
        let batch = records(object * 30..object * 30 + 30);
        world.put_records(&key(&format!("{object:03}.json.gz")), &batch);
    }
}

fn converted(world: &World, store: &Arc<InMemory>) -> u64 {
    let output = OutputSettings {
        unit_size: ByteCount(20_000),
        partition_by: "region".parse().unwrap(),
        ..OutputSettings::default()
    };
    let options = ConvertOptions {
        sources: vec![world.logs.clone().into()],
        lake: "s3://lake/lake".parse().unwrap(),
        s3: s3(store, Faults::None, Duration::ZERO).0,
        memory: ByteCount::mib(64),
        full: true,
        output,
        catalog: no_catalog(),
        ..ConvertOptions::default()
    };
    convert(&options, &Progress::default(), &AtomicBool::new(false)).unwrap().records_written
}

fn run(s3: Arc<S3>, grace: i64) -> Result<CompactReport> {
    let options = CompactOptions {
        s3,
        catalog: no_catalog(),
        older_than: 0,
        target: ByteCount(256_000_000),
        partitions: Vec::new(),
        min_files: 2,
        compression: "zstd:3".parse().unwrap(),
        grace,
        memory: ByteCount::mib(64),
        threads: 2,
        dry_run: false,
    };
    compact(&"s3://lake/lake".parse().unwrap(), &options, |_| {})
}

fn compacted(store: &Arc<InMemory>, grace: i64) -> CompactReport {
    run(s3(store, Faults::None, Duration::ZERO).0, grace).unwrap()
}

/// The live files, and the sum of the rows in those of both tables.
fn live(store: &Arc<InMemory>) -> (BTreeSet<String>, [Sum; 2]) {
    let s3 = s3(store, Faults::None, Duration::ZERO).0;
    block_on(async {
        let storage = Storage::open(&"s3://lake/lake".parse().unwrap(), &s3).await.unwrap();
        let manifests = Manifest::read_all(&storage).await.unwrap();
        let (mut keys, mut inputs) = (BTreeSet::new(), [Vec::new(), Vec::new()]);
        for file in live_files(&manifests) {
            let bytes = storage.read(&file.key).await.unwrap().expect("a live file is there");
            assert_eq!(bytes.len() as u64, file.bytes);
            let input = Input::open(&file.key, bytes).unwrap();
            assert_eq!(input.rows(), file.rows);
            inputs[usize::from(file.table == "cloudtrail_typed")].push(input);
            keys.insert(format!("lake/{}", file.key));
        }
        let lock = Lock::seed().unwrap();
        let sum = |inputs: &[Input]| {
            let union = Union::of(inputs, Family::ALL[0], &lock).unwrap();
            sum_of(inputs, &union).unwrap()
        };
        (keys, inputs.each_ref().map(|inputs| sum(inputs)))
    })
}

fn data(store: &InMemory) -> BTreeSet<String> {
    contents(store).into_keys().filter(|key| key.ends_with(".parquet")).collect()
}

fn copy(store: &InMemory) -> Arc<InMemory> {
    let copy = Arc::new(InMemory::new());
    for (key, bytes) in contents(store) {
        block_on(copy.put(&Path::from(key), bytes.into())).unwrap();
    }
    copy
}

/// A bucket with a lake of many small files.
fn lake() -> (World, Arc<InMemory>) {
    let (world, store) = (World::new(), Arc::new(InMemory::new()));
    put_logs(&world, 0..4);
    assert_eq!(converted(&world, &store), 120);
    (world, store)
}

#[test]
fn a_partition_moves_and_the_old_files_are_removed_by_a_later_run_after_the_grace_period() {
    let (_world, store) = lake();
    let (before, sums) = live(&store);

    let report = compacted(&store, 60_000);

    let (after, same) = live(&store);
    assert_eq!((report.partitions.len(), after.len(), same), (3, 6, sums));
    assert!(after.iter().all(|key| key.starts_with(MOVED)), "{after:#?}");
    assert_eq!((report.files_removed, report.files_waiting), (0, before.len() as u64));
    assert!(data(&store).is_superset(&before));
    let report = compacted(&store, 60_000);
    assert_eq!((report.partitions.len(), report.files_removed), (0, 0), "the wait is not over");
    assert!(data(&store).is_superset(&before));

    let report = compacted(&store, 0);

    assert_eq!((report.files_removed, report.files_waiting), (before.len() as u64, 0));
    assert_eq!(data(&store), after);
    let report = compacted(&store, 0);
    assert_eq!((report.files_removed, report.files_waiting), (0, 0));
}

#[test]
fn what_is_converted_later_goes_where_the_partition_is_and_moves_with_it() {
    let (world, store) = lake();
    compacted(&store, 0);
    put_logs(&world, 4..6);

    assert_eq!(converted(&world, &store), 60);

    let (there, sums) = live(&store);
    assert!(there.len() > 6 && there.iter().all(|key| key.starts_with(MOVED)), "{there:#?}");
    let folders = |keys: &BTreeSet<String>| -> BTreeSet<String> {
        keys.iter().map(|key| key.rsplit_once('/').unwrap().0.to_owned()).collect()
    };
    assert_eq!(folders(&there).len(), 6, "one folder for each partition of each table");
    compacted(&store, 0);
    let (after, same) = live(&store);
    assert_eq!((after.len(), same), (6, sums));
    assert!(folders(&after).is_disjoint(&folders(&there)));
    compacted(&store, 0);
    assert_eq!(data(&store), after);
}

#[test]
fn a_run_that_ends_at_any_lost_request_is_followed_by_one_that_ends_well() {
    let (_world, first) = lake();
    let (_, sums) = live(&first);
    let undisturbed = copy(&first);
    let (s3_seen, seen) = s3(&undisturbed, Faults::None, Duration::ZERO);
    run(s3_seen, 0).unwrap();
    let changes = seen.changes();
    assert!(changes.len() > 20, "{changes:#?}");
    let faults = (0..changes.len())
        .flat_map(|nth| [Lost::Request, Lost::Answer].map(|lost| Faults::Change(nth, lost)));
    let reads = (0..seen.reads()).step_by(3).map(Faults::Read);
    let mut ended = 0;

    for faults in faults.chain(reads) {
        let store = copy(&first);
        ended += u32::from(run(s3(&store, faults, Duration::ZERO).0, 0).is_err());
        let (_, between) = live(&store);
        assert_eq!(between, sums, "{faults:?}: rows of the live files after it");
        let _ = block_on(store.delete(&Path::from(LEASE)));

        compacted(&store, 0);
        compacted(&store, 0);

        let (after, same) = live(&store);
        assert_eq!((after.len(), same), (6, sums), "{faults:?}");
        assert_eq!(data(&store), after, "{faults:?}: nothing else is left");
        assert!(!contents(&store).keys().any(|key| key.contains("/intents/")), "{faults:?}");
    }

    assert!(ended as usize > changes.len(), "{ended} runs ended early");
}

#[test]
fn a_request_that_is_lost_once_is_not_noticed() {
    let (_world, first) = lake();
    let (_, sums) = live(&first);
    for lost in [Lost::Request, Lost::Answer] {
        let store = copy(&first);

        run(s3(&store, Faults::EachFirst(lost), Duration::from_secs(60)).0, 0).unwrap();

        assert_eq!(live(&store).1, sums);
    }
}
