//! Nothing is lost and nothing is doubled: reruns, growth, kills, signals, two runs at once.

use crate::support::{
    Snapshot, World, assert_same, files, fill_with_everything, key, program, record, records, run,
    signal, until, wait,
};
use serde_json::json;
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

/// Units small enough that the archive of [`fill_with_everything`] makes dozens of them, with few
/// files in each.
const SMALL_UNITS: [&str; 4] = ["--unit-size", "40kB", "--partition-by", "region"];

/// A world with the archive, and the lake that an undisturbed run makes of it.
fn undisturbed() -> (World, Snapshot, Duration) {
    let world = World::new();
    fill_with_everything(&world);
    let started = Instant::now();
    let report = world.convert(&SMALL_UNITS).exits(1).report();
    let took = started.elapsed();
    assert!(report.units >= 20, "{} units are too few to be killed between", report.units);
    let want = world.snapshot();
    assert!(world.leftovers().is_empty());
    world.is_proved(&[]);
    world.remove_lake();
    (world, want, took)
}

fn start(world: &World, more: &[&str]) -> Child {
    program(world.convert_args(&[&SMALL_UNITS, more].concat())).spawn().unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    wait(child);
}

/// Finishes a lake that a kill has left, and insists that it is the undisturbed one.
#[track_caller]
fn finishes_to(world: &World, want: &Snapshot, what: &str) {
    let run = world.convert(&SMALL_UNITS);
    assert!(run.code == 0 || run.code == 1, "{what}: exit {}\n{}", run.code, run.stderr);
    assert_eq!(world.leftovers(), Vec::<String>::new(), "{what}");
    assert_same(want, &world.snapshot(), what);
}

fn manifest_count(world: &World) -> usize {
    files(&world.lake.join("_trailmill/manifests")).len()
}

#[test]
fn a_run_killed_at_any_instant_is_finished_by_the_next_to_the_same_lake() {
    const ROUNDS: u32 = 24;
    let (world, want, took) = undisturbed();

    for round in 0..ROUNDS {
        let child = start(&world, &[]);
        // Spread over the whole run, which is a little shorter than the process.
        let delay = took * (2 * round + 1) / (2 * ROUNDS);
        std::thread::sleep(delay);
        kill(child);

        finishes_to(&world, &want, &format!("killed after {delay:?} of {took:?}"));
        world.remove_lake();
    }
}

#[test]
fn a_run_killed_again_and_again_still_ends_in_the_same_lake() {
    let (world, want, took) = undisturbed();

    for round in 1..10 {
        let child = start(&world, &["--threads", if round % 2 == 0 { "1" } else { "3" }]);
        std::thread::sleep(took / 8);
        kill(child);
    }

    finishes_to(&world, &want, "killed nine times");
    world.is_proved(&[]);
}

#[test]
fn a_run_killed_while_it_writes_the_catalog_is_finished_by_the_next() {
    let (world, want, _) = undisturbed();
    let tables = world.lake.join("_trailmill/catalog/databases/trailmill/tables");

    for place in ["cloudtrail", "cloudtrail_insight", "cloudtrail_insight/partitions.jsonl"] {
        let child = start(&world, &[]);
        until(place, || fs::metadata(tables.join(place)).is_ok());
        kill(child);

        finishes_to(&world, &want, &format!("killed when there was {place}"));
        world.remove_lake();
    }
}

#[test]
fn a_run_killed_at_any_commit_is_finished_by_the_next() {
    let (world, want, _) = undisturbed();

    for count in [1, 2, 5, 11, 17] {
        let child = start(&world, &["--memory", "400kB"]);
        until("a manifest", || manifest_count(&world) >= count);
        kill(child);

        finishes_to(&world, &want, &format!("killed at manifest {count}"));
        world.remove_lake();
    }
}

#[test]
fn the_halves_of_killed_puts_are_removed_by_the_next_run() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..10));
    world.convert(&[]).exits(0);
    let want = world.snapshot();
    // As object_store leaves them when the process dies between writing and naming.
    for half in ["manifests/00000001-0123456789abcdef.json.gz#1", "schema/v00000003.json#2"] {
        fs::write(world.lake.join("_trailmill").join(half), "half a docu").unwrap();
    }

    world.convert(&[]).exits(0);

    assert_same(&want, &world.snapshot(), "after halves of puts");
}

#[test]
fn a_kill_may_be_followed_by_objects_that_grew_or_went() {
    let (world, ..) = undisturbed();
    let child = start(&world, &["--memory", "400kB"]);
    until("a manifest", || manifest_count(&world) >= 3);
    signal(&child, "STOP");
    kill(child);
    // The last of the archive is in no committed unit.
    world.put_records(&key("039.json.gz"), &records(20_000..20_030));
    fs::remove_file(world.logs.join(key("038.json.gz"))).unwrap();

    world.convert(&SMALL_UNITS).exits(1);

    assert_eq!(world.leftovers(), Vec::<String>::new());
    world.is_proved(&[]);
}

#[test]
fn sigterm_commits_what_is_in_flight_and_the_next_run_completes_the_lake() {
    let (world, want, _) = undisturbed();
    let child = start(&world, &["--memory", "200kB"]);
    until("a manifest", || manifest_count(&world) >= 2);
    signal(&child, "TERM");
    let asked = Instant::now();

    let stopped = wait(child).exits(75);

    assert!(asked.elapsed() < Duration::from_secs(10), "took {:?} to stop", asked.elapsed());
    let report = stopped.report();
    assert!(report.interrupted && report.units < want.len() as u64);
    let manifests = world.manifests();
    assert_eq!(manifests.len() as u64, report.units);
    // What is committed is there, whole: its objects are proved one by one.
    let objects = manifests.iter().flat_map(|manifest| &manifest.objects);
    let objects: Vec<&str> =
        objects.map(|object| object.key.as_str()).filter(|key| !key.contains("!/")).collect();
    let lake = world.lake.to_str().unwrap();
    run(["verify", "--quiet"].iter().chain(&objects).chain(&[lake])).exits(0);
    finishes_to(&world, &want, "stopped by SIGTERM");
}

#[test]
fn of_two_runs_at_once_one_converts_and_the_other_names_it_and_exits_75() {
    let (world, want, _) = undisturbed();
    let first = start(&world, &[]);
    let lease = world.lake.join("_trailmill/lease.json");
    until("the lease", || fs::read(&lease).is_ok_and(|bytes| bytes.ends_with(b"\n")));
    signal(&first, "STOP");

    let second = world.convert(&SMALL_UNITS).exits(75);

    assert!(second.stderr.contains(&first.id().to_string()), "{}", second.stderr);
    assert!(second.stdout.is_empty());
    signal(&first, "CONT");
    wait(first).exits(1);
    assert_same(&want, &world.snapshot(), "two runs at once");
}

#[test]
fn a_second_run_with_nothing_new_writes_nothing() {
    let (world, want, _) = undisturbed();
    world.convert(&SMALL_UNITS).exits(1);
    let runs = files(&world.lake.join("_trailmill/runs"));

    let report = world.convert(&SMALL_UNITS).exits(0).report();

    assert_eq!((report.units, report.records_read, report.catalog_changes), (0, 0, 0));
    assert_eq!(report.objects_known, 45);
    assert_eq!(files(&world.lake.join("_trailmill/runs")), runs);
    assert_same(&want, &world.snapshot(), "a second run");
}

#[test]
fn objects_are_picked_up_wherever_their_names_sort() {
    let world = World::new();
    world.put_records(&key("m.json.gz"), &records(0..10));
    world.convert(&[]).exits(0);
    world.put_records(&key("a.json.gz"), &records(10..14));
    world.put_records(&key("z.json.gz"), &records(14..20));

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.objects_read, report.objects_known), (2, 1));
    assert_eq!((report.records_read, report.records_written), (10, 10));
    world.is_proved(&[]);
}

#[test]
fn a_live_data_file_is_never_written_again() {
    let world = World::new();
    world.put_records(&key("a.json"), &records(0..60));
    world.convert(&[]).exits(0);
    let before = world.snapshot();
    let data = world.data_files();
    world.put_records(&key("b.json"), &records(30..200));

    world.convert(&[]).exits(0);

    let after = world.snapshot();
    assert!(data.iter().all(|file| before[file] == after[file]));
    assert!(world.data_files().len() > data.len());
}

#[test]
fn an_object_whose_bytes_changed_is_read_again_and_its_old_records_are_copies() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..10));
    world.convert(&[]).exits(0);
    world.put_records(&key("a.json.gz"), &records(0..13));

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(
        (report.records_read, report.records_duplicate, report.records_written),
        (13, 10, 3)
    );
    world.is_proved(&[]);
}

#[test]
fn exact_copies_are_written_once_and_kept_when_asked() {
    let world = World::new();
    // Two trails into one bucket: the same records in two objects, and in two runs.
    world.put_records(&key("a.json.gz"), &records(0..20));
    world.put_records(&key("b.json.gz"), &records(0..20));

    let report = world.convert(&["--unit-size", "1kB"]).exits(0).report();

    assert_eq!((report.records_written, report.records_duplicate), (20, 20));
    world.is_proved(&[]);
    world.remove_lake();
    let report = world.convert(&["--duplicates", "keep"]).exits(0).report();
    assert_eq!((report.records_written, report.records_duplicate), (40, 0));
    world.is_proved(&["--duplicates", "keep"]);
}

#[test]
fn copies_are_found_however_little_memory_fingerprints_have() {
    // Fingerprints are forgotten long before copies come: with filters of what was forgotten, without
    // room for them, and with all in memory.
    for memory in ["100kB", "1kB", "512MB"] {
        let world = World::new();
        for n in 0..10 {
            let own = records(n * 20..n * 20 + 20);
            world.put_records(&key(&format!("a{n:02}.json.gz")), &own);
            world.put_records(&key(&format!("b{n:02}.json.gz")), &own);
            let new = n * 20 + 1000;
            world.put_records(&key(&format!("c{n:02}.json.gz")), &records(new..new + 20));
        }

        let report = world.convert(&["--unit-size", "12kB", "--memory", memory]).exits(0).report();

        assert_eq!((report.records_written, report.records_duplicate), (400, 200), "{memory}");
        assert!(report.units > 20, "{}", report.units);
        world.is_proved(&[]);
    }
}

#[test]
fn records_with_one_event_id_but_other_content_are_no_copies() {
    let world = World::new();
    let mut other = record(1);
    other["sharedEventID"] = json!("x");
    world.put_records(&key("a.json.gz"), &[record(1), other]);
    let mut nameless = record(2);
    nameless.as_object_mut().unwrap().remove("eventID");
    world.put_records(&key("b.json.gz"), &[nameless.clone(), nameless]);

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.records_written, report.records_duplicate), (4, 0));
    world.is_proved(&[]);
}

#[test]
fn verify_notices_a_data_file_that_is_gone() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..100));
    world.convert(&[]).exits(0);
    world.is_proved(&[]);
    fs::remove_file(world.lake.join(&world.data_files()[0])).unwrap();

    let report = world.verify(&[]).exits(1).json();

    assert!(report["records_missing"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn verify_notices_a_data_file_of_another_lake() {
    let (world, other) = (World::new(), World::new());
    world.put_records(&key("a.json.gz"), &records(0..10));
    other.put_records(&key("a.json.gz"), &[record(0), record(1)]);
    world.convert(&["--partition-by", "event_date"]).exits(0);
    other.convert(&["--partition-by", "event_date"]).exits(0);
    let (here, there) = (&world.data_files()[0], &other.data_files()[0]);
    fs::copy(other.lake.join(there), world.lake.join(here)).unwrap();

    let report = world.verify(&[]).exits(1).json();

    assert_eq!(report["records_missing"], 8, "{report}");
}

#[test]
fn verify_notices_a_row_too_many() {
    let (world, other) = (World::new(), World::new());
    world.put_records(&key("a.json.gz"), &records(0..10));
    other.put_records(&key("a.json.gz"), &records(3..4));
    world.convert(&["--partition-by", "event_date"]).exits(0);
    other.convert(&["--partition-by", "event_date"]).exits(0);
    let there = &other.data_files()[0];
    let extra = world.lake.join(there).with_file_name("part-extra.parquet");
    fs::copy(other.lake.join(there), extra).unwrap();

    let report = world.verify(&[]).exits(1).json();

    assert_eq!(report["records_unexpected"], 1, "{report}");
}

#[test]
fn verify_notices_a_damaged_file() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..40));
    world.convert(&[]).exits(0);
    let path = world.lake.join(&world.data_files()[0]);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..middle + 64].fill(0xAA);
    fs::write(&path, bytes).unwrap();

    world.verify(&[]).exits(1);
}
