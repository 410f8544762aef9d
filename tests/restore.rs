//! Data files that are gone: told until somebody acts, and brought back to the row.

use crate::support::{
    Run, World, envelope, fill_with_everything, insight_record, key, program, record, record_with,
    records, tar, wait,
};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use trailmill::engine::{Report, RestoreReport};

/// Several units, and several files in each partition for archives that are larger.
const SMALL_UNITS: [&str; 2] = ["--unit-size", "40kB"];
const BY_REGION: [&str; 4] = ["--unit-size", "40kB", "--partition-by", "region"];

/// A lake of two objects with some copies.
fn converted(more: &[&str]) -> World {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..200));
    world.put_records(&key("b.json.gz"), &[records(150..160), records(200..300)].concat());
    world.convert(more).exits(0);
    world
}

/// A lake with an archive that has several files in each partition.
fn converted_archive() -> World {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..30));
    put_archive(&world);
    world.convert(&BY_REGION).exits(0);
    world
}

fn put_archive(world: &World) -> PathBuf {
    let members: Vec<(String, Vec<u8>)> = (0..8)
        .map(|n| (format!("{n}.json"), envelope(&records(3000 + 40 * n..3045 + 40 * n))))
        .collect();
    let members: Vec<(&str, Vec<u8>)> =
        members.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    world.put("large.tar", tar(&members))
}

/// A file of a unit that has another one in the same partition.
fn one_of_several(world: &World) -> String {
    let files = world.manifests().into_iter().find(|m| m.files.len() > 6).unwrap().files;
    let is_beside = |file: &&trailmill::lake::DataFile| {
        (&file.table, &file.partition) == (&files[0].table, &files[0].partition)
    };
    assert!(files.iter().filter(is_beside).count() > 1);
    files[0].key.clone()
}

/// Removes data files, and returns how many records they had.
fn lose(world: &World, is_lost: impl Fn(&str) -> bool) -> u64 {
    let manifests = world.manifests();
    let mut rows = 0;
    let lost: Vec<_> = world.data_files().into_iter().filter(|file| is_lost(file)).collect();
    assert!(!lost.is_empty(), "nothing was lost");
    for file in &lost {
        fs::remove_file(world.lake.join(file)).unwrap();
        let is_it = |named: &&trailmill::lake::DataFile| named.key == *file;
        rows += manifests.iter().flat_map(|m| &m.files).find(is_it).unwrap().records();
    }
    rows
}

fn restore(world: &World, more: &[&str]) -> Run {
    world.convert(&[&["--restore"], more].concat())
}

fn restored(report: &Report) -> RestoreReport {
    report.restored.clone().unwrap()
}

/// Rows that the files of the lake have, as a proof reads them.
fn rows(world: &World) -> u64 {
    world.verify(&[]).json()["records_in_lake"].as_u64().unwrap()
}

/// Insists that everything is there once, that everybody agrees, and that there is no more to do.
#[track_caller]
fn is_as_before(world: &World, before: u64, more: &[&str]) {
    assert_eq!(rows(world), before);
    world.is_proved(&[]);
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
    world.on_lake(&["catalog", "sync"], &[]).exits(0);
    let again = restore(world, more).exits(0).report();
    assert_eq!((again.units, restored(&again)), (0, RestoreReport::default()));
    assert_eq!(rows(world), before);
    assert!(world.leftovers().is_empty());
}

#[test]
fn a_partition_folder_removed_by_hand_comes_back_to_the_row() {
    let world = converted(&[]);
    let before = rows(&world);
    let file = world.data_files().remove(0);
    let (folder, _) = file.rsplit_once('/').unwrap();
    let lost = lose(&world, |file| file.starts_with(folder));
    world.verify(&[]).exits(1);

    for command in ["diff", "sync", "sync", "diff"] {
        let text = world.on_lake(&["catalog", command], &[]).exits(1).text();
        assert!(text.contains(&format!("1 file with {lost} records is missing")), "{text}");
        assert!(text.contains("trailmill convert --restore"), "{text}");
    }
    let run = world.convert(&[]).exits(0);
    assert!(run.stderr.contains(&format!("1 data file with {lost} rows is gone")));

    let report = restore(&world, &[]).exits(0).report();

    // Its counterpart of the typed table, too.
    assert_eq!((restored(&report).files, restored(&report).rows), (2, lost));
    assert_eq!(report.records_written, lost, "exactly the rows that were lost");
    is_as_before(&world, before, &[]);
    let run = world.convert(&[]).exits(0);
    assert!(!run.stderr.contains("gone"), "{}", run.stderr);
}

#[test]
fn rows_of_many_units_and_all_tables_come_back() {
    for all in [false, true] {
        let world = World::new();
        fill_with_everything(&world);
        world.convert(&SMALL_UNITS).exits(1);
        let before = rows(&world);
        let quarantined = world.quarantine();
        // A whole region, or all that there is.
        lose(&world, |file| all || file.contains("region=us-east-1"));

        let report = restore(&world, &["--allow-quarantine"]).exits(0).report();

        assert_eq!(restored(&report).files_left, 0);
        assert_eq!(restored(&report).rows, report.records_written);
        assert!(world.quarantine().len() >= quarantined.len());
        is_as_before(&world, before, &["--allow-quarantine"]);
    }
}

#[test]
fn what_is_left_of_a_partition_is_not_doubled() {
    let world = converted_archive();
    let before = rows(&world);
    let gone = one_of_several(&world);
    let lost = lose(&world, |file| file == gone);

    let report = restore(&world, &BY_REGION).exits(0).report();

    assert!(restored(&report).rows > lost, "those that were left are written anew, too");
    assert_eq!(restored(&report).rows, report.records_written);
    is_as_before(&world, before, &BY_REGION);
}

#[test]
fn files_of_a_typed_table_come_back_with_those_of_the_main_one() {
    let world = converted(&[]);
    let before = rows(&world);
    lose(&world, |file| file.starts_with("cloudtrail_typed/") && file.contains("us-east-1"));
    let report = world.verify(&[]).exits(1).json();
    assert_eq!(report["differences"][0]["kind"], "missing");
    assert_eq!(report["differences"][0]["table"], "cloudtrail_typed");

    let report = restore(&world, &[]).exits(0).report();

    assert_eq!(restored(&report).files_left, 0);
    assert_eq!(report.rows_by_table["cloudtrail"], report.rows_by_table["cloudtrail_typed"]);
    is_as_before(&world, before, &[]);
}

#[test]
fn rows_that_are_lost_again_come_back_again() {
    let world = converted(&[]);
    let before = rows(&world);
    for round in 0..3 {
        // The files that brought rows back last, and in the last round every other one as well.
        let newest = world.manifests().pop().unwrap().unit.to_string();
        lose(&world, |file| file.contains(&newest) || round == 2);

        restore(&world, &[]).exits(0);

        is_as_before(&world, before, &[]);
    }
}

#[test]
fn rows_without_event_ids_versions_and_members_of_archives_come_back() {
    let world = World::new();
    let bare = |n: u64| {
        let mut record = record(n);
        record.as_object_mut().unwrap().remove("eventID");
        record
    };
    // Equal texts in one object, and a version that grew.
    let first: Vec<Value> = (0..30).map(|n| bare(n / 2)).collect();
    world.put_records(&key("a.json"), &first);
    world.put(
        "archive.tar",
        tar(&[
            ("a.json", envelope(&records(500..560))),
            ("b.json", envelope(&records(540..600))),
            ("a.json", envelope(&records(600..620))),
        ]),
    );
    let insight: Vec<Value> = (0..20).map(insight_record).collect();
    world.put_records(
        "AWSLogs/111122223333/CloudTrail-Insight/us-east-1/2024/05/01/i.json",
        &insight,
    );
    world.convert(&SMALL_UNITS).exits(0);
    let grown: Vec<Value> = first.iter().cloned().chain((50..60).map(bare)).collect();
    world.put_records(&key("b.json"), &grown);
    world.convert(&SMALL_UNITS).exits(0);
    let before = rows(&world);
    world.is_proved(&[]);
    lose(&world, |file| !file.contains("region=us-east-1"));

    let report = restore(&world, &SMALL_UNITS).exits(0).report();

    assert_eq!(restored(&report).rows, report.records_written);
    is_as_before(&world, before, &SMALL_UNITS);
    lose(&world, |_| true);
    restore(&world, &SMALL_UNITS).exits(0);
    is_as_before(&world, before, &SMALL_UNITS);
}

#[test]
fn what_has_no_source_any_more_is_told_and_what_has_one_comes_back() {
    let world = converted(&[]);
    let before = rows(&world);
    let lost = lose(&world, |file| file.contains("region=us-east-1"));
    let gone = world.logs.join(key("b.json.gz"));
    let kept = fs::read(&gone).unwrap();
    fs::remove_file(&gone).unwrap();

    let run = restore(&world, &[]).exits(1);

    let report = run.report();
    assert!(report.records_written > 0 && report.records_written < lost);
    assert_eq!((restored(&report).rows_left, restored(&report).objects_gone), (lost, 1));
    assert_eq!(restored(&report).objects, [gone.to_str().unwrap()]);
    // It stays so, and nothing comes twice.
    let again = restore(&world, &[]).exits(1).report();
    assert_eq!((again.records_written, restored(&again).rows_left), (0, lost));
    assert_eq!(rows(&world), before - lost + report.records_written);
    world.on_lake(&["catalog", "sync"], &[]).exits(1);
    world.on_lake(&["catalog", "sync"], &["--accept-loss"]).exits(0);
    for command in ["sync", "diff"] {
        world.on_lake(&["catalog", command], &[]).exits(0);
    }
    let run = world.convert(&[]).exits(0);
    assert!(!run.stderr.contains("gone from the lake"), "{}", run.stderr);

    // An object that is put there again is another one; what it has and the lake lacks was accepted.
    fs::write(&gone, kept).unwrap();
    restore(&world, &[]).exits(0);
    assert_eq!(rows(&world), before - lost + report.records_written);
}

#[test]
fn what_is_left_of_a_partition_stays_where_an_object_is_gone() {
    let world = converted_archive();
    let gone = one_of_several(&world);
    let lost = lose(&world, |file| file == gone);
    let left = world.data_files();
    fs::remove_file(world.logs.join("large.tar")).unwrap();

    let report = restore(&world, &BY_REGION).exits(1).report();

    assert_eq!((report.units, restored(&report).rows_left), (0, lost));
    assert_eq!(world.data_files(), left);
    let text = world.on_lake(&["catalog", "diff"], &[]).exits(1).text();
    assert!(text.contains(&format!("with {lost} records is missing")), "{text}");
}

#[test]
fn a_restoring_run_killed_at_any_instant_is_finished_by_the_next() {
    let options = [&BY_REGION[..], &["--allow-quarantine"]].concat();
    let world = World::new();
    fill_with_everything(&world);
    put_archive(&world);
    world.convert(&options).exits(0);
    let before = rows(&world);
    for round in 0..5_u64 {
        let files = world.data_files();
        // Some whole partitions of units, and parts of others.
        lose(&world, |file| files.iter().position(|f| f == file).unwrap() % 3 != 1);
        // What is new has copies of what is lost.
        let new =
            [records(round * 100 + 10..round * 100 + 20), vec![record(20_000 + round)]].concat();
        world.put_records(&key(&format!("new{round}.json.gz")), &new);
        for kill in 0..3 {
            let mut child = program(world.convert_args(&[&options[..], &["--restore"]].concat()))
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(40 + 70 * round + 90 * kill));
            child.kill().unwrap();
            wait(child);
            if kill == 1 && round % 2 == 1 {
                world.convert(&options).exits(0);
            }
        }

        let report = restore(&world, &options).exits(0).report();

        assert_eq!(restored(&report).files_left, 0, "round {round}");
        is_as_before(&world, before + round + 1, &options);
    }
}

#[test]
fn copies_that_were_kept_come_back_under_the_same_rule_only() {
    let keep = ["--duplicates", "keep"];
    let world = converted(&keep);
    let count = |world: &World| world.verify(&keep).exits(0).json()["records_in_lake"].clone();
    let before = count(&world);
    lose(&world, |file| file.contains("us-east-1"));

    let run = restore(&world, &[]).exits(2);

    assert!(run.stderr.contains("--duplicates keep"), "{}", run.stderr);
    restore(&world, &keep).exits(0);
    assert_eq!(count(&world), before);
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
}

#[test]
fn a_file_that_is_put_back_after_all_is_told() {
    let world = converted(&[]);
    let file = world.lake.join(world.data_files().remove(0));
    let bytes = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    restore(&world, &[]).exits(0);
    world.is_proved(&[]);
    let put_back = |path: &PathBuf| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &bytes).unwrap();
    };
    put_back(&file);

    for command in ["sync", "diff"] {
        let text = world.on_lake(&["catalog", command], &[]).exits(1).text();
        assert!(text.contains("restored in other files"), "{text}");
    }
    world.verify(&[]).exits(1);
    fs::remove_file(&file).unwrap();
    world.on_lake(&["catalog", "sync"], &[]).exits(0);
    world.is_proved(&[]);
}

#[test]
fn a_file_that_is_put_back_before_is_as_it_was() {
    let world = converted(&[]);
    let before = rows(&world);
    let file = world.lake.join(world.data_files().remove(0));
    let bytes = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    world.on_lake(&["catalog", "sync"], &[]).exits(1);
    fs::write(&file, &bytes).unwrap();

    restore(&world, &[]).exits(0);

    is_as_before(&world, before, &[]);
}

#[test]
fn equal_says_what_is_in_the_quarantine() {
    let verified = |records: &[Value], bad: &[u8]| {
        let world = World::new();
        world.put_records(&key("a.json.gz"), records);
        if !bad.is_empty() {
            world.put(&key("b.json.gz"), bad);
        }
        world.convert(&["--allow-quarantine"]).exits(0);
        let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
        crate::support::run(["verify", places[0], places[1], "--quiet"]).exits(0).text()
    };
    let bad = |n| record_with(n, "eventTime", json!("yesterday"));
    let three = [records(0..9), vec![bad(20), bad(21), bad(22)]].concat();
    let one = [records(0..9), vec![bad(20)]].concat();

    assert!(verified(&records(0..9), b"").starts_with("Equal: "));
    let text = verified(&three, b"");
    assert!(text.starts_with("Equal, but for 3 records that are in the quarantine: "), "{text}");
    let text = verified(&one, b"\x1f\x8bno gzip");
    assert!(text.starts_with("Equal, but for 1 record and 1 object that are in the"), "{text}");
}
