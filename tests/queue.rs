//! Conversion of what a queue names, over a queue and a bucket in memory: messages of every form, doubled and
//! out of order, requests lost at every step, two consumers and a conversion beside them.

use crate::failing_store::{Failing, Faults, Lost, block_on, contents};
use crate::support::{envelope, gunzip, gzip, key, record, records, until};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use trailmill::aws::AwsOptions;
use trailmill::engine::{CatalogKind, CatalogOptions, ConvertOptions, Progress, Report};
use trailmill::error::{ErrorKind, Result};
use trailmill::lake::{Manifest, OutputSettings};
use trailmill::operations::{WatchOptions, convert, watch};
use trailmill::queue::{MemoryQueue, Queue, WindowLimits};
use trailmill::storage::{S3, S3Options};
use trailmill::units::ByteCount;

const COPY_KEY: &str = "lake/_trailmill/copies/key.json";
const LEASE: &str = "lake/_trailmill/lease.json";

/// A bucket with logs, and the names of them.
struct Logs {
    store: Arc<InMemory>,
    keys: Vec<String>,
}

impl Logs {
    /// Logs whose records have a copy, a field that comes late and a time that is none.
    fn new(objects: u64) -> Self {
        let logs = Self { store: Arc::new(InMemory::new()), keys: Vec::new() };
        (0..objects).fold(logs, |mut logs, object| {
            let mut batch = records(object * 10..object * 10 + 10);
            batch[2]["requestParameters"][format!("late{}", object / 2)] = json!({"x": object});
            if object == 3 {
                batch.push(record(1));
                batch[4]["eventTime"] = json!("yesterday");
            }
            logs.put(&format!("logs/{}", key(&format!("{object:03}.json.gz"))), &batch);
            logs
        })
    }

    fn put(&mut self, key: &str, records: &[Value]) {
        let bytes = gzip(&envelope(records));
        block_on(self.store.put(&Path::from(key), bytes.into())).unwrap();
        self.keys.push(key.to_owned());
    }

    /// The same logs in another bucket, with the key of fingerprints of a lake.
    fn copy(&self, copy_key: Option<&Vec<u8>>) -> Self {
        let store = Arc::new(InMemory::new());
        for key in &self.keys {
            let bytes = contents(&self.store)[key].clone();
            block_on(store.put(&Path::from(key.as_str()), bytes.into())).unwrap();
        }
        if let Some(bytes) = copy_key {
            block_on(store.put(&Path::from(COPY_KEY), bytes.clone().into())).unwrap();
        }
        Self { store, keys: self.keys.clone() }
    }

    fn options(&self, faults: Faults, patience: Duration) -> (ConvertOptions, Arc<Failing>) {
        let failing = Arc::new(Failing::new(&self.store, faults));
        let s3 = S3Options { retry_timeout: patience, ..S3Options::default() };
        let s3 = S3::new(AwsOptions::default(), s3).with_store("lake", Arc::clone(&failing) as _);
        let output =
            OutputSettings { partition_by: "region".parse().unwrap(), ..OutputSettings::default() };
        let catalog =
            CatalogOptions { kind: Some(CatalogKind::None), ..CatalogOptions::new("cloudtrail") };
        let options = ConvertOptions {
            sources: vec!["s3://lake/logs/".parse().unwrap()],
            lake: "s3://lake/lake".parse().unwrap(),
            s3: Arc::new(s3),
            memory: ByteCount::mib(64),
            output,
            catalog,
            ..ConvertOptions::default()
        };
        (options, failing)
    }

    fn plain(&self) -> ConvertOptions {
        self.options(Faults::None, Duration::ZERO).0
    }

    /// What is the same after every run that came to its end.
    fn lake(&self) -> BTreeMap<String, Vec<u8>> {
        let mut lake = contents(&self.store);
        let is_passing = ["runs/", "listings/", "checkpoints/", "ledger/"];
        lake.retain(|key, _| {
            let own = key.strip_prefix("lake/_trailmill/").unwrap_or("");
            key.starts_with("lake/")
                && key != LEASE
                && !is_passing.iter().any(|folder| own.starts_with(folder))
        });
        lake
    }

    fn manifests(&self) -> Vec<Manifest> {
        // What else there is may be removed meanwhile.
        let folder = Path::from("lake/_trailmill/manifests");
        let listed: Vec<ObjectMeta> =
            block_on(self.store.list(Some(&folder)).try_collect()).unwrap();
        let read = |meta: &ObjectMeta| {
            let bytes = block_on(async { self.store.get(&meta.location).await?.bytes().await });
            serde_json::from_slice(&gunzip(&bytes.unwrap())).unwrap()
        };
        listed.iter().map(read).collect()
    }

    /// The keys of the objects that manifests have, each time that they do.
    fn committed(&self) -> Vec<String> {
        let manifests = self.manifests();
        let objects = manifests.iter().flat_map(|manifest| &manifest.objects);
        let mut keys: Vec<String> =
            objects.map(|object| object.key.trim_start_matches("s3://lake/").to_owned()).collect();
        keys.sort();
        keys
    }

    fn records_written(&self) -> u64 {
        self.manifests().iter().map(|manifest| manifest.tally.written).sum()
    }

    /// S3's record of an object.
    fn notification(&self, key: &str) -> Value {
        let meta = block_on(self.store.head(&Path::from(key))).unwrap();
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "eventTime": "2026-10-01T00:00:00.000Z",
            "s3": {"bucket": {"name": "lake"}, "object": {
                "key": key.replace('+', "%2B").replace(' ', "+"),
                "size": meta.size, "eTag": meta.e_tag.unwrap()}}
        })
    }

    /// A message about objects, in one of the five forms.
    fn message(&self, form: usize, keys: &[String]) -> String {
        let records: Vec<Value> = keys.iter().map(|key| self.notification(key)).collect();
        let wrap = |message: &Value| json!({"Type": "Notification", "TopicArn": "arn", "Message": message.to_string()});
        let trail = json!({"s3Bucket": "lake", "s3ObjectKey": keys});
        match form {
            0 => json!({ "Records": records }),
            1 => wrap(&json!({ "Records": records })),
            2 if keys.len() == 1 => {
                let object = &records[0]["s3"]["object"];
                json!({"detail-type": "Object Created", "source": "aws.s3",
                    "detail": {"bucket": {"name": "lake"}, "object": {
                        "key": keys[0], "size": object["size"], "etag": object["eTag"]}}})
            }
            3 => wrap(&trail),
            _ => trail,
        }
        .to_string()
    }

    /// Every object by every form, three messages about each, in no order.
    fn send_all(&self, queue: &MemoryQueue) {
        let mut messages = Vec::new();
        for time in 0..3 {
            for (at, key) in self.keys.iter().enumerate() {
                messages.push(self.message((at + time) % 5, std::slice::from_ref(key)));
            }
        }
        // Every number once: 7 and a length that has no factor 7 have none in common.
        let count = messages.len();
        assert!(!count.is_multiple_of(7));
        (0..count).for_each(|n| queue.send(&messages[n * 7 % count]));
    }

    /// The end of a run that converts what is listed, and its lake.
    fn converted(&self) -> BTreeMap<String, Vec<u8>> {
        convert(&self.plain(), &Progress::default(), &AtomicBool::new(false)).unwrap();
        self.lake()
    }
}

fn queue() -> Arc<MemoryQueue> {
    Arc::new(MemoryQueue::new(Duration::from_secs(60)))
}

/// Drains a queue as quickly as a test wants it.
fn drain(options: ConvertOptions, queue: &Arc<MemoryQueue>) -> Result<Report> {
    let options = WatchOptions { poll: Duration::ZERO, ..WatchOptions::drain(options) };
    let queue = Arc::clone(queue) as Arc<dyn Queue>;
    watch(&options, queue, &Progress::default(), &|_| {}, &AtomicBool::new(false))
}

/// Runs a service with small windows until it is asked to stop.
fn serve(
    logs: &Logs,
    queue: &Arc<MemoryQueue>,
    age: Duration,
    sweep: Option<Duration>,
    stop: &AtomicBool,
) -> Report {
    let limits = WindowLimits { objects: 4, age, ..WindowLimits::default() };
    let poll = Duration::from_millis(20);
    let options = WatchOptions { limits, poll, sweep, ..WatchOptions::new(logs.plain()) };
    let queue = Arc::clone(queue) as Arc<dyn Queue>;
    watch(&options, queue, &Progress::default(), &|_| {}, stop).unwrap()
}

/// Stops a service when it is dropped.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As [`serve`], until something is so.
#[track_caller]
fn serve_until(
    logs: &Logs,
    queue: &Arc<MemoryQueue>,
    age: Duration,
    sweep: Option<Duration>,
    (what, is_so): (&str, impl FnMut() -> bool),
) -> Report {
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let service = threads.spawn(|| serve(logs, queue, age, sweep, &stop));
        // Also when it never is so: the service must not wait for ever.
        let stopping = Stopping(&stop);
        until(what, is_so);
        drop(stopping);
        service.join().unwrap()
    })
}

fn send_each(logs: &Logs, queue: &MemoryQueue) {
    logs.keys.iter().for_each(|key| queue.send(logs.message(0, std::slice::from_ref(key))));
}

#[track_caller]
fn assert_same(want: &BTreeMap<String, Vec<u8>>, got: &BTreeMap<String, Vec<u8>>, what: &str) {
    let keys: BTreeSet<_> = want.keys().chain(got.keys()).collect();
    let differing: Vec<_> =
        keys.into_iter().filter(|key| want.get(*key) != got.get(*key)).collect();
    assert!(differing.is_empty(), "{what}: {differing:#?}");
}

#[test]
fn messages_of_every_form_doubled_and_out_of_order_make_the_lake_of_a_listing() {
    let logs = Logs::new(12);
    let reference = logs.copy(None);
    let want = reference.converted();
    let logs = logs.copy(want.get(COPY_KEY));
    let queue = queue();
    logs.send_all(&queue);

    let report = drain(logs.plain(), &queue).unwrap();

    assert_same(&want, &logs.lake(), "one window is one unit");
    let counts = report.queue.unwrap();
    assert_eq!((counts.messages_received, counts.messages_deleted), (36, 36));
    assert_eq!((counts.objects_named, counts.objects_repeated), (36, 24));
    let shapes: Vec<_> = counts.messages_by_shape.keys().map(String::as_str).collect();
    assert_eq!(shapes, ["event_bridge", "s3", "s3_through_sns", "trail"]);
    assert_eq!((report.units, report.objects_read, report.records_quarantined), (1, 12, 1));
    assert!(queue.bodies().is_empty());

    logs.send_all(&queue);
    let report = drain(logs.plain(), &queue).unwrap();
    assert_eq!((report.units, report.objects_known), (0, 12), "they are recognized");
    assert!(queue.bodies().is_empty());
    assert_same(&want, &logs.lake(), "nothing was written");
}

#[test]
fn what_is_not_ours_is_acknowledged_and_what_is_unknown_is_left() {
    let mut logs = Logs::new(2);
    logs.put("logs/AWSLogs/111122223333/Config/us-east-1/2024/05/01/x.json.gz", &[]);
    logs.put("elsewhere/AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01/x.json.gz", &[]);
    let queue = queue();
    queue.send(logs.message(0, &logs.keys[..1]));
    drain(logs.plain(), &queue).unwrap();
    logs.put("lake/cloudtrail/region=x/y.parquet", &[]);
    for key in &logs.keys[2..] {
        queue.send(logs.message(0, std::slice::from_ref(key)));
    }
    queue.send(json!({"Event": "s3:TestEvent"}).to_string());
    let mut removed = logs.notification(&logs.keys[0]);
    removed["eventName"] = "ObjectRemoved:Delete".into();
    queue.send(json!({ "Records": [removed] }).to_string());
    let strange = ["nonsense", r#"{"Type":"SubscriptionConfirmation"}"#];
    strange.iter().for_each(|body| queue.send(*body));
    // Its sibling is converted, and it is left.
    let half = json!({"Records": [{"eventSource": "x"}, logs.notification(&logs.keys[1])]});
    queue.send(half.to_string());

    let report = drain(logs.plain(), &queue).unwrap();

    let counts = report.queue.unwrap();
    assert_eq!(
        (counts.messages_received, counts.messages_deleted, counts.messages_left),
        (8, 5, 3)
    );
    assert_eq!((counts.objects_ignored, counts.messages_of_tests), (3, 1));
    assert_eq!((counts.events_of_other_kinds, counts.left_by_reason.len()), (1, 3));
    assert_eq!(report.objects_read, 1);
    assert_eq!(queue.bodies().len(), 3);
}

#[test]
fn an_object_that_is_gone_is_acknowledged_after_some_receives_and_one_that_was_replaced_is_read() {
    let mut logs = Logs::new(3);
    let queue = Arc::new(MemoryQueue::new(Duration::ZERO));
    let gone = logs.message(0, &logs.keys[1..2]);
    let replaced = logs.message(0, &logs.keys[2..3]);
    block_on(logs.store.delete(&Path::from(logs.keys[1].as_str()))).unwrap();
    let key = logs.keys[2].clone();
    logs.put(&key, &records(900..905));
    queue.send(&gone);
    queue.send(&replaced);

    // Messages come back at once, so that one drain meets them as often as it takes.
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(drain(logs.plain(), &queue));
    }

    assert!(queue.bodies().is_empty(), "{:?}", queue.bodies());
    let counts = all.iter().flatten().filter_map(|report| report.queue.clone());
    let gone: Vec<String> = counts.flat_map(|counts| counts.gone).collect();
    assert_eq!(gone, [format!("s3://lake/{}", logs.keys[1])]);
    assert_eq!(logs.committed(), [key]);
    assert_eq!(logs.records_written(), 5);
}

#[test]
fn a_drain_that_ends_at_any_lost_request_is_finished_by_the_next() {
    let logs = Logs::new(6);
    let want = logs.copy(None).converted();
    let undisturbed = logs.copy(want.get(COPY_KEY));
    let first = queue();
    undisturbed.send_all(&first);
    let (options, seen) = undisturbed.options(Faults::None, Duration::ZERO);
    drain(options, &first).unwrap();
    assert_same(&want, &undisturbed.lake(), "undisturbed");
    let (changes, reads) = (seen.changes().len(), seen.reads());
    let faults = (0..changes)
        .flat_map(|nth| [Lost::Request, Lost::Answer].map(|lost| Faults::Change(nth, lost)))
        .chain((0..reads).map(Faults::Read));
    // Each takes a while; the environment asks for all of them, as for those of other runs.
    let step = if std::env::var_os("TRAILMILL_ALL_KILLS").is_some() { 1 } else { 5 };
    let (mut ended, mut tried) = (0, 0);

    for faults in faults.step_by(step) {
        tried += 1;
        let (logs, queue) = (logs.copy(want.get(COPY_KEY)), queue());
        logs.send_all(&queue);
        let outcome = drain(logs.options(faults, Duration::ZERO).0, &queue);
        if let Err(err) = outcome {
            assert_eq!(err.kind(), ErrorKind::Unavailable, "{faults:?}: {err:?}");
            assert_eq!(queue.invisible(), 0, "{faults:?}: what was not converted is visible");
            ended += 1;
        }
        // What a run has left that went through comes back later.
        queue.forget_receivers();
        // The machine is gone, and with it the lease.
        let _ = block_on(logs.store.delete(&Path::from(LEASE)));
        drain(logs.plain(), &queue).unwrap_or_else(|err| panic!("{faults:?}: {err:?}"));

        assert!(queue.bodies().is_empty(), "{faults:?}");
        assert_eq!(logs.committed(), logs.keys, "{faults:?}");
        assert_eq!(logs.records_written(), undisturbed.records_written(), "{faults:?}");
        assert!(!logs.lake().keys().any(|key| key.contains("/intents/")), "{faults:?}");
    }

    assert!(ended > tried / 2, "{ended} of {tried} runs ended early");
}

#[test]
fn two_services_and_a_conversion_share_a_lake() {
    let logs = Logs::new(40);
    let want = logs.copy(None);
    want.converted();
    let queue = queue();
    logs.send_all(&queue);
    let stop = AtomicBool::new(false);
    let age = Duration::from_millis(200);

    std::thread::scope(|threads| {
        let run = || serve(&logs, &queue, age, None, &stop);
        let services = [threads.spawn(run), threads.spawn(run)];
        let plain =
            threads.spawn(|| convert(&logs.plain(), &Progress::default(), &AtomicBool::new(false)));
        let stopping = Stopping(&stop);
        plain.join().unwrap().unwrap();
        until("an empty queue", || queue.bodies().is_empty());
        drop(stopping);
        for service in services {
            assert!(!service.join().unwrap().interrupted);
        }
    });

    assert_eq!(logs.committed(), want.committed());
    assert_eq!(logs.records_written(), want.records_written());
}

/// Puts the lease of a process of another machine, so that only what it says tells about it.
fn put_lease_of_another(logs: &Logs, renewals: u64, released: bool, gives_way: bool) {
    let lease = json!({"host": "elsewhere", "pid": 1, "epoch": 5, "renewals": renewals,
        "seconds": 600, "released": released, "gives_way": gives_way});
    block_on(logs.store.put(&Path::from(LEASE), lease.to_string().into())).unwrap();
}

#[test]
fn a_conversion_waits_for_a_watch_elsewhere_and_not_for_another_conversion() {
    let logs = Logs::new(2);
    let over = AtomicBool::new(false);

    for gives_way in [false, true] {
        put_lease_of_another(&logs, 0, false, gives_way);
        over.store(false, Ordering::Relaxed);
        let outcome = std::thread::scope(|threads| {
            let plain = threads.spawn(|| {
                let outcome = convert(&logs.plain(), &Progress::default(), &AtomicBool::new(false));
                over.store(true, Ordering::Relaxed);
                outcome
            });
            // Renewed so often that whoever does not wait has ended by then.
            for renewals in 1..20 {
                std::thread::sleep(Duration::from_millis(200));
                put_lease_of_another(&logs, renewals, false, gives_way);
            }
            if gives_way {
                assert!(!over.load(Ordering::Relaxed), "the lease was not free");
                put_lease_of_another(&logs, 20, true, gives_way);
            }
            plain.join().unwrap()
        });
        match outcome {
            Err(err) => assert_eq!((err.kind(), gives_way), (ErrorKind::Busy, false), "{err}"),
            Ok(report) => assert_eq!((report.units, gives_way), (1, true)),
        }
    }
}

#[test]
fn a_wait_for_a_watch_ends_when_the_run_is_asked_to_stop() {
    let logs = Logs::new(1);
    put_lease_of_another(&logs, 0, false, true);
    let stop = AtomicBool::new(false);

    let outcome = std::thread::scope(|threads| {
        let plain = threads.spawn(|| convert(&logs.plain(), &Progress::default(), &stop));
        stop.store(true, Ordering::Relaxed);
        let mut renewals = 0;
        while !plain.is_finished() {
            renewals += 1;
            put_lease_of_another(&logs, renewals, false, true);
            std::thread::sleep(Duration::from_millis(100));
        }
        plain.join().unwrap()
    });

    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Busy);
    assert!(logs.committed().is_empty());
}

#[test]
fn a_drain_that_never_gets_the_lake_gives_its_messages_back() {
    let (logs, queue) = (Logs::new(25), queue());
    send_each(&logs, &queue);
    put_lease_of_another(&logs, 0, false, false);
    let (poll, lease_wait) = (Duration::ZERO, Some(Duration::ZERO));
    let options = WatchOptions { poll, lease_wait, ..WatchOptions::drain(logs.plain()) };
    let receiving = Arc::clone(&queue) as Arc<dyn Queue>;
    let go_on = AtomicBool::new(false);

    let outcome = std::thread::scope(|threads| {
        let run = || watch(&options, receiving, &Progress::default(), &|_| {}, &go_on);
        let draining = threads.spawn(run);
        let mut renewals = 0;
        while !draining.is_finished() {
            renewals += 1;
            put_lease_of_another(&logs, renewals, false, false);
            std::thread::sleep(Duration::from_millis(100));
        }
        draining.join().unwrap()
    });

    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!((queue.bodies().len(), queue.invisible(), queue.deleted()), (25, 0, 0));
    block_on(logs.store.delete(&Path::from(LEASE))).unwrap();
    assert_eq!(drain(logs.plain(), &queue).unwrap().objects_read, 25);
}

#[test]
fn a_service_that_is_asked_to_stop_gives_back_what_it_has_not_converted() {
    let (logs, queue) = (Logs::new(3), queue());
    send_each(&logs, &queue);

    let in_hand = ("messages in hand", || queue.invisible() == 3);
    let report = serve_until(&logs, &queue, Duration::from_secs(600), None, in_hand);

    assert_eq!((report.units, queue.deleted()), (0, 0));
    assert!(logs.committed().is_empty());
    let report = drain(logs.plain(), &queue).unwrap();
    assert_eq!(report.objects_read, 3, "they are visible again");
}

#[test]
fn messages_stay_invisible_while_their_window_is_open() {
    let logs = Logs::new(3);
    let queue = Arc::new(MemoryQueue::new(Duration::from_secs(1)).with_redrive(1));
    send_each(&logs, &queue);

    let empty = ("an empty queue", || queue.bodies().is_empty());
    let report = serve_until(&logs, &queue, Duration::from_millis(2500), None, empty);

    assert!(queue.dead().is_empty() && queue.renewed() >= 6, "{}", queue.renewed());
    let counts = report.queue.unwrap();
    assert_eq!((counts.messages_received, counts.messages_deleted), (3, 3));
    assert_eq!(logs.committed(), logs.keys);
}

#[test]
fn a_sweep_finds_what_notifications_lost() {
    let (logs, queue) = (Logs::new(5), queue());

    let all = ("every object", || logs.committed().len() == logs.keys.len());
    let sweep = Some(Duration::from_millis(300));
    let report = serve_until(&logs, &queue, Duration::from_millis(100), sweep, all);

    assert!(report.queue.unwrap().sweeps >= 1);
}
