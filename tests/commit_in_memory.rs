//! The commit protocol over a bucket in memory, of which each request is lost once, before or after it
//! is done: the run, or the next one, ends in the lake of an undisturbed run.

use crate::failing_store::{Failing, Faults, Lost, block_on, contents};
use crate::support::{World, key, record, records};
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt, path::Path};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use trailmill::aws::AwsOptions;
use trailmill::engine::{CatalogKind, CatalogOptions, ConvertOptions, Progress, Report};
use trailmill::error::{ErrorKind, Result};
use trailmill::lake::OutputSettings;
use trailmill::operations::convert;
use trailmill::storage::{S3, S3Options};
use trailmill::units::ByteCount;

const KEY: &str = "lake/_trailmill/copies/key.json";
const LEASE: &str = "lake/_trailmill/lease.json";

type Contents = BTreeMap<String, Vec<u8>>;

/// Logs that make three units, with a copy, a field that comes late and a record that is quarantined.
fn world() -> World {
    let world = World::new();
    for object in 0..6_u64 {
        let mut batch = records(object * 10..object * 10 + 10);
        batch[2]["requestParameters"][format!("late{}", object / 2)] = json!({"x": object});
        if object == 3 {
            batch.push(record(1));
            batch[4]["eventTime"] = json!("yesterday");
        }
        world.put_records(&key(&format!("{object:03}.json.gz")), &batch);
    }
    world
}

/// A conversion with everything else as by default.
fn options(world: &World, s3: S3) -> ConvertOptions {
    let output = OutputSettings {
        unit_size: ByteCount(25_000),
        partition_by: "region".parse().unwrap(),
        ..OutputSettings::default()
    };
    let catalog =
        CatalogOptions { kind: Some(CatalogKind::None), ..CatalogOptions::new("cloudtrail") };
    ConvertOptions {
        sources: vec![world.logs.clone().into()],
        lake: "s3://lake/lake".parse().unwrap(),
        s3: Arc::new(s3),
        memory: ByteCount::mib(64),
        full: true,
        output,
        catalog,
        ..ConvertOptions::default()
    }
}

/// A run, which tries a request for so long; and the store as it saw it.
fn run(
    world: &World,
    store: &Arc<InMemory>,
    faults: Faults,
    patience: Duration,
) -> (Result<Report>, Arc<Failing>) {
    run_on(world, Arc::new(Failing::new(store, faults)), patience)
}

fn run_on(
    world: &World,
    failing: Arc<Failing>,
    patience: Duration,
) -> (Result<Report>, Arc<Failing>) {
    let s3 = S3Options { retry_timeout: patience, ..S3Options::default() };
    let s3 = S3::new(AwsOptions::default(), s3).with_store("lake", Arc::clone(&failing) as _);
    let outcome = convert(&options(world, s3), &Progress::default(), &AtomicBool::new(false));
    (outcome, failing)
}

/// A bucket in which nothing but the key of fingerprints is, which would be drawn at random.
fn bucket(key: Option<&Vec<u8>>) -> Arc<InMemory> {
    let store = Arc::new(InMemory::new());
    if let Some(bytes) = key {
        block_on(store.put(&Path::from(KEY), bytes.clone().into())).unwrap();
    }
    store
}

/// What must be the same after any run that got to its end.
fn lake(store: &InMemory) -> Contents {
    let mut lake = contents(store);
    lake.retain(|key, _| !key.starts_with("lake/_trailmill/runs/") && key != LEASE);
    lake
}

#[track_caller]
fn assert_same(want: &Contents, got: &Contents, what: &str) {
    let keys: std::collections::BTreeSet<_> = want.keys().chain(got.keys()).collect();
    let differing: Vec<_> =
        keys.into_iter().filter(|key| want.get(*key) != got.get(*key)).collect();
    assert!(differing.is_empty(), "{what}: {differing:#?}");
}

struct Undisturbed {
    world: World,
    lake: Contents,
    changes: Vec<String>,
    reads: usize,
}

impl Undisturbed {
    fn new() -> Self {
        let world = world();
        let first = bucket(None);
        run(&world, &first, Faults::None, Duration::ZERO).0.unwrap();
        let key = contents(&first)[KEY].clone();
        let store = bucket(Some(&key));
        let (report, seen) = run(&world, &store, Faults::None, Duration::ZERO);
        let (report, lake, changes) = (report.unwrap(), lake(&store), seen.changes());
        assert_eq!((report.units, report.records_quarantined), (3, 1));
        assert!(changes.len() >= 20, "{changes:#?}");
        assert!(!lake.keys().any(|key| key.contains("/intents/")), "{:#?}", lake.keys());
        Self { world, lake, changes, reads: seen.reads() }
    }

    fn bucket(&self) -> Arc<InMemory> {
        bucket(self.lake.get(KEY))
    }

    fn each_change(&self) -> impl Iterator<Item = (Faults, String)> + '_ {
        let changes = self.changes.iter().enumerate();
        changes.flat_map(|(nth, change)| {
            [Lost::Request, Lost::Answer]
                .map(|lost| (Faults::Change(nth, lost), format!("{lost:?} of {nth}, {change}")))
        })
    }

    /// Lets the next run finish what a run has left, which is gone from the machine.
    #[track_caller]
    fn finishes(&self, store: &Arc<InMemory>, what: &str) {
        let _ = block_on(store.delete(&Path::from(LEASE)));
        let (report, _) = run(&self.world, store, Faults::None, Duration::ZERO);
        report.unwrap_or_else(|err| panic!("{what}: {err:?}"));
        assert_same(&self.lake, &lake(store), what);
    }
}

#[test]
fn a_run_that_ends_at_any_lost_put_or_delete_is_finished_by_the_next() {
    let undisturbed = Undisturbed::new();
    let mut ended = 0;

    for (faults, what) in undisturbed.each_change() {
        let store = undisturbed.bucket();
        let (outcome, _) = run(&undisturbed.world, &store, faults, Duration::ZERO);
        if let Err(err) = outcome {
            assert_eq!(err.kind(), ErrorKind::Unavailable, "{what}: {err:?}");
            ended += 1;
        }
        undisturbed.finishes(&store, &what);
    }

    assert!(ended > undisturbed.changes.len(), "{ended} runs ended early");
}

#[test]
fn a_put_or_delete_that_is_lost_once_is_not_noticed() {
    let undisturbed = Undisturbed::new();

    for (faults, what) in undisturbed.each_change() {
        let store = undisturbed.bucket();
        let (outcome, _) = run(&undisturbed.world, &store, faults, Duration::from_secs(60));
        let report = outcome.unwrap_or_else(|err| panic!("{what}: {err:?}"));
        assert_eq!(report.units, 3, "{what}");
        assert_same(&undisturbed.lake, &lake(&store), &what);
    }
}

#[test]
fn a_run_that_ends_at_any_lost_read_is_finished_by_the_next() {
    let undisturbed = Undisturbed::new();

    for nth in 0..undisturbed.reads {
        let store = undisturbed.bucket();
        let (outcome, _) = run(&undisturbed.world, &store, Faults::Read(nth), Duration::ZERO);
        let is_passing = |err: &trailmill::error::Error| err.kind() == ErrorKind::Unavailable;
        assert!(outcome.as_ref().err().is_none_or(is_passing), "read {nth}: {outcome:?}");
        undisturbed.finishes(&store, &format!("read {nth}"));
    }
}

#[test]
fn a_lake_that_another_run_begins_while_this_one_looks_is_a_lake() {
    let undisturbed = Undisturbed::new();
    let begun = |nth| {
        let store = bucket(None);
        let arrival = (nth, undisturbed.lake.clone());
        let failing = Arc::new(Failing::with_arrival(&store, arrival));
        (run_on(&undisturbed.world, failing, Duration::ZERO), store)
    };
    let ((_, seen), _) = begun(usize::MAX - 1);
    let reads = seen.reads_at_first_change();
    assert!(reads >= 3, "{reads}");

    for nth in 0..reads {
        let ((outcome, _), store) = begun(nth);

        let report = outcome.unwrap_or_else(|err| panic!("after read {nth}: {err:?}"));
        assert_eq!(report.units, 0, "after read {nth}");
        assert_same(&undisturbed.lake, &lake(&store), &format!("after read {nth}"));
    }
}

#[test]
fn a_run_in_memory_makes_the_lake_of_a_run_in_a_folder() {
    let undisturbed = Undisturbed::new();
    let world = &undisturbed.world;
    std::fs::create_dir_all(world.copy_key().parent().unwrap()).unwrap();
    std::fs::write(world.copy_key(), &undisturbed.lake[KEY]).unwrap();

    world
        .convert(&[
            "--catalog",
            "none",
            "--unit-size",
            "25kB",
            "--partition-by",
            "region",
            "--full",
        ])
        .exits(1);

    let data = |key: &str| key.ends_with(".parquet") && !key.contains("_trailmill/");
    let in_memory: Vec<_> = undisturbed.lake.iter().filter(|(key, _)| data(key)).collect();
    assert!(!in_memory.is_empty());
    assert_eq!(world.data_files().len(), in_memory.len());
    for (key, bytes) in in_memory {
        let path = world.lake.join(key.strip_prefix("lake/").unwrap());
        assert!(&std::fs::read(path).unwrap() == bytes, "{key}");
    }
}
