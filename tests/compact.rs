//! Compaction of a lake in a folder: the same rows in fewer files, whatever happens in between.

use crate::support::{World, copy_folder, key, program, record_with, records, snapshot};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;
use trailmill::lake::{Intent, Manifest, names};
use trailmill::storage::Storage;

pub(crate) const BY_DAY: [&str; 4] = ["--unit-size", "20kB", "--partition-by", "event_date"];

/// A lake of many small files, whose typed files differ in their members.
pub(crate) fn converted() -> World {
    let world = World::new();
    for object in 0..6_u64 {
        let mut batch = records(object * 40..object * 40 + 40);
        batch[1]["requestParameters"][format!("late{object}")] =
            json!({"list": [{"x": object}, {}], "n": 1.5});
        batch[2] = record_with(1000 + object, "responseElements", json!({"items": [], "s": {}}));
        world.put_records(&key(&format!("{object}.json.gz")), &batch);
    }
    world.convert(&BY_DAY).exits(0);
    world
}

pub(crate) fn compact(world: &World, more: &[&str]) -> crate::support::Run {
    let fixed = ["--older-than", "0m", "--quiet", "--report", "json"];
    world.on_lake(&["compact"], &[&fixed, more].concat())
}

/// Insists that everything is there once and that everybody agrees; returns the number of data files.
#[track_caller]
pub(crate) fn is_whole(world: &World) -> usize {
    world.is_proved(&[]);
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
    assert!(!world.lake.join("_trailmill/compacted").exists());
    let again = world.convert(&BY_DAY).exits(0).report();
    assert_eq!((again.units, again.objects_known), (0, 6));
    world.data_files().len()
}

#[test]
fn a_partition_has_the_same_rows_in_one_file_of_each_table() {
    let world = converted();
    let before = world.data_files().len();
    let events = history(&world);

    let report = compact(&world, &[]).exits(0).json();

    assert_eq!(report["partitions"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(report["files_before"], before as u64);
    assert_eq!((report["files_after"].as_u64(), is_whole(&world)), (Some(6), 6));
    assert!(report["bytes_after"].as_u64() < report["bytes_before"].as_u64(), "{report}");
    assert_eq!(history(&world), events);
    world.on_lake(&["quarantine"], &[]).exits(0);
    let text = world.on_lake(&["compact"], &["--older-than", "0m"]).exits(0).text();
    assert_eq!(text, "Nothing to compact.\n");
}

fn history(world: &World) -> Vec<String> {
    let options = ["--limit", "all", "--output", "jsonl"];
    let text = world.on_lake(&["history"], &options).exits(0).text();
    let mut events: Vec<String> = text.lines().map(str::to_owned).collect();
    events.sort();
    events
}

#[test]
fn a_dry_run_says_what_would_be_compacted_and_writes_nothing() {
    let world = converted();
    let before = world.snapshot();

    let report = compact(&world, &["--dry-run"]).exits(0).json();

    assert_eq!(
        (report["partitions"].as_array().unwrap().len(), &report["dry_run"]),
        (3, &json!(true))
    );
    let text = world.on_lake(&["compact"], &["--older-than", "0m", "--dry-run"]).exits(0).text();
    assert!(text.contains("Would compact 3 partitions: "), "{text}");
    assert_eq!(world.snapshot(), before);
}

#[test]
fn only_old_and_matching_partitions_with_enough_small_files_are_compacted() {
    let world = converted();
    let count = |more: &[&str]| {
        let run = world.on_lake(&["compact"], &[&["--dry-run", "--report", "json"], more].concat());
        run.exits(0).json()["partitions"].as_array().unwrap().len()
    };

    assert_eq!(count(&[]), 3, "records are of 2024");
    assert_eq!(count(&["--older-than", "5200w"]), 0);
    assert_eq!(count(&["--partitions", "*-01", "--partitions", "event_date=2024-05-03"]), 2);
    assert_eq!(count(&["--partitions", "*2025*"]), 0);
    assert_eq!(count(&["--min-files", "500"]), 0);
    assert_eq!(count(&["--target", "1kB"]), 0, "all files are larger than half of it");
    for wrong in [&["--older-than", "5"][..], &["--compression", "lzo"], &["--min-files", "1"]] {
        world.on_lake(&["compact"], wrong).exits(2);
    }
}

#[test]
fn what_comes_late_is_merged_by_the_next_compaction() {
    let world = converted();
    compact(&world, &[]).exits(0);
    world.put_records(&key("late.json.gz"), &records(5000..5050));
    let report = world.convert(&BY_DAY).exits(0).report();
    assert_eq!((report.records_written, report.objects_known), (50, 6));
    let after_late = world.data_files().len();
    assert!(after_late > 6);

    let report = compact(&world, &["--compression", "snappy"]).exits(0).json();

    assert!(!report["partitions"].as_array().unwrap().is_empty());
    assert_eq!(world.data_files().len(), 6);
    world.is_proved(&[]);
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
}

#[test]
fn a_lake_without_typed_tables_is_compacted() {
    let world = World::new();
    for object in 0..6_u64 {
        world.put_records(
            &key(&format!("{object}.json.gz")),
            &records(object * 40..object * 40 + 40),
        );
    }
    world.convert(&[&BY_DAY[..], &["--no-typed"]].concat()).exits(0);

    compact(&world, &[]).exits(0);

    assert_eq!(is_whole(&world), 3);
}

#[test]
fn an_open_plan_and_missing_files_are_respected() {
    let world = converted();
    let lost = world.data_files().into_iter().find(|file| file.contains("=2024-05-01/")).unwrap();
    fs::remove_file(world.lake.join(&lost)).unwrap();
    world.on_lake(&["catalog", "sync"], &[]).exits(1);

    let report = compact(&world, &[]).exits(1).json();

    assert_eq!(report["partitions"].as_array().unwrap().len(), 2);
    let reason = report["skipped"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("convert --restore"), "{reason}");
    world.convert(&[&BY_DAY[..], &["--restore"]].concat()).exits(0);
    compact(&world, &[]).exits(0);
    assert_eq!(is_whole(&world), 6);
    world.put_records(&key("new.json.gz"), &records(7000..7010));
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    let plan = ["plan", places[0], places[1], "--children", "2"];
    crate::support::run([&plan[..], &BY_DAY].concat()).exits(0);
    compact(&world, &[]).exits(75);
}

#[test]
fn a_compacted_file_that_is_lost_comes_back_from_its_objects() {
    let world = converted();
    compact(&world, &[]).exits(0);
    let lost = world.data_files().into_iter().find(|file| file.starts_with("cloudtrail/")).unwrap();
    fs::remove_file(world.lake.join(&lost)).unwrap();
    world.verify(&[]).exits(1);

    let report = world.convert(&[&BY_DAY[..], &["--restore"]].concat()).exits(0).report();

    let restored = report.restored.unwrap();
    assert_eq!((restored.files, restored.files_left), (2, 0), "and its counterpart");
    assert!(report.records_written > 50);
    is_whole(&world);
    compact(&world, &[]).exits(0);
    assert_eq!(is_whole(&world), 6);
}

#[test]
fn a_compacted_file_stays_lost_while_one_of_its_objects_is_gone() {
    let world = converted();
    compact(&world, &[]).exits(0);
    let lost: Vec<String> =
        world.data_files().into_iter().filter(|file| file.contains("=2024-05-01/")).collect();
    lost.iter().for_each(|file| fs::remove_file(world.lake.join(file)).unwrap());
    let (gone, away) = (world.logs.join(key("1.json.gz")), world.root.join("away"));
    fs::rename(&gone, &away).unwrap();

    let report = world.convert(&[&BY_DAY[..], &["--restore"]].concat()).report();

    let restored = report.restored.unwrap();
    assert_eq!((restored.files, restored.files_left, restored.objects_gone), (0, 2, 1));
    assert!(report.records_written > 0, "the other objects are back");
    fs::rename(&away, &gone).unwrap();
    world.convert(&[&BY_DAY[..], &["--restore"]].concat()).exits(0);
    is_whole(&world);
}

/// The lake before and after a compaction, and the manifests of the compaction.
fn both() -> (World, World, Vec<Manifest>) {
    let (before, after) = (converted(), World::new());
    copy_folder(&before.lake, &after.lake);
    copy_folder(&before.logs, &after.logs);
    compact(&after, &[]).exits(0);
    let manifests = after.manifests().into_iter().filter(|it| !it.replaced.is_empty()).collect();
    (before, after, manifests)
}

/// Writes the folder that a compaction would exchange for a partition's.
fn put_generation(before: &World, after: &World, manifest: &Manifest) {
    for file in &manifest.files {
        let folder = names::generation(&file.table, &file.partition, &manifest.unit);
        let name = file.key.rsplit('/').next().unwrap();
        fs::create_dir_all(before.lake.join(&folder)).unwrap();
        fs::copy(after.lake.join(&file.key), before.lake.join(folder).join(name)).unwrap();
    }
}

fn copy_manifest(before: &World, after: &World, manifest: &Manifest) {
    let key = format!("_trailmill/manifests/{:08}.json.gz", manifest.unit.number);
    fs::copy(after.lake.join(&key), before.lake.join(&key)).unwrap();
}

#[test]
fn a_run_that_ends_before_its_commit_is_undone() {
    for command in [&["compact"][..], &["convert"]] {
        let (before, after, manifests) = both();
        let rows = data(&before.lake);
        let manifest = &manifests[0];
        let storage = Storage::local(&before.lake).unwrap();
        let intent = Intent { unit: manifest.unit.clone(), basis: None, objects: Vec::new() };
        crate::failing_store::block_on(intent.write(&storage)).unwrap();
        put_generation(&before, &after, manifest);

        match command {
            ["convert"] => {
                before.convert(&BY_DAY).exits(0);
                assert_eq!(data(&before.lake), rows, "nothing of it is left");
                compact(&before, &[]).exits(0);
            }
            _ => drop(compact(&before, &[]).exits(0)),
        }

        assert_eq!(is_whole(&before), 6, "{command:?}");
    }
}

#[test]
fn a_run_that_ends_between_commit_and_exchange_is_finished_by_any_writer() {
    for command in ["compact", "convert", "sync", "repair"] {
        let (before, after, manifests) = both();
        let manifest = &manifests[0];
        put_generation(&before, &after, manifest);
        copy_manifest(&before, &after, manifest);
        if command == "sync" {
            // One folder was exchanged, the other was not.
            let file = &manifest.files[0];
            let folder = names::generation(&file.table, &file.partition, &manifest.unit);
            let storage = Storage::local(&before.lake).unwrap();
            let partition = format!("{}/{}", file.table, file.partition);
            crate::failing_store::block_on(storage.exchange(&partition, &folder)).unwrap();
        }

        match command {
            "convert" => drop(before.convert(&BY_DAY).exits(0)),
            "sync" => drop(before.on_lake(&["catalog", "sync"], &[]).exits(0)),
            "repair" => {
                before.on_lake(&["repair"], &[]).exits(0);
                before.on_lake(&["catalog", "sync"], &[]).exits(0);
            }
            _ => drop(compact(&before, &[]).exits(0)),
        }

        is_whole(&before);
        compact(&before, &[]).exits(0);
        assert_eq!(is_whole(&before), 6, "{command}");
    }
}

#[test]
fn a_run_that_is_killed_at_any_time_is_repeated() {
    for millis in [20, 60, 120, 200, 320, 500, 800] {
        let world = converted();
        let lake = world.lake.to_str().unwrap();
        let mut child =
            program(["compact", lake, "--older-than", "0m", "--quiet"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        let _ = child.kill();
        child.wait().unwrap();

        compact(&world, &[]).exits(0);

        assert_eq!(is_whole(&world), 6, "killed after {millis} ms");
    }
}

#[test]
fn a_lost_manifest_of_a_compaction_comes_back_from_its_copy() {
    let world = converted();
    compact(&world, &[]).exits(0);
    let before = world.snapshot();
    let manifests = world.manifests();
    let last = manifests.iter().rfind(|manifest| !manifest.replaced.is_empty()).unwrap();
    let key = format!("_trailmill/manifests/{:08}.json.gz", last.unit.number);
    fs::remove_file(world.lake.join(&key)).unwrap();
    compact(&world, &[]).exits(3);

    let report = world.on_lake(&["repair"], &["--report", "json"]).exits(0).json();

    assert_eq!(report["units"][0]["files"], last.files.len() as u64);
    assert_eq!(world.snapshot().get(&key), before.get(&key));
    assert_eq!(is_whole(&world), 6);
}

#[test]
fn a_file_that_cannot_be_read_leaves_its_partition_as_it_is() {
    let world = converted();
    let file = world.data_files().into_iter().find(|file| file.contains("=2024-05-02/")).unwrap();
    let mut bytes = fs::read(world.lake.join(&file)).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle..middle + 64].fill(0xff);
    fs::write(world.lake.join(&file), bytes).unwrap();

    let report = compact(&world, &[]).exits(1).json();

    assert_eq!(report["partitions"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["skipped"][0]["partition"], "event_date=2024-05-02");
    assert!(world.data_files().contains(&file));
    assert!(world.leftovers().is_empty());
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
    fs::remove_file(world.lake.join(&file)).unwrap();
    world.convert(&[&BY_DAY[..], &["--restore"]].concat()).exits(0);
    compact(&world, &[]).exits(0);
    assert_eq!(is_whole(&world), 6);
}

#[test]
fn a_part_of_the_sources_is_compared_with_files_of_all() {
    let world = converted();
    compact(&world, &[]).exits(0);
    world.put_records(&key("late.json.gz"), &records(9000..9020));
    world.convert(&BY_DAY).exits(0);
    compact(&world, &[]).exits(0);
    let gone = world.logs.join(key("1.json.gz"));
    fs::rename(&gone, world.root.join("away")).unwrap();

    let report = world.verify(&["--source-may-be-partial"]).exits(0).json();

    assert_eq!((&report["objects_gone"], &report["rows_lost"]), (&json!(1), &json!(0)), "{report}");
    let lost = world.data_files().into_iter().find(|file| file.starts_with("cloudtrail/")).unwrap();
    fs::remove_file(world.lake.join(lost)).unwrap();
    world.verify(&["--source-may-be-partial"]).exits(1);
}

/// The data files of a lake.
fn data(lake: &Path) -> Vec<String> {
    let names = snapshot(lake).into_keys();
    names.filter(|name| name.ends_with(".parquet")).collect()
}

#[test]
fn what_people_put_into_a_partition_stays_and_a_folder_keeps_it_as_it_is() {
    let world = converted();
    let folder = world.lake.join("cloudtrail/event_date=2024-05-01");
    fs::write(folder.join("NOTES.txt"), "mine").unwrap();
    fs::create_dir(world.lake.join("cloudtrail/event_date=2024-05-02/mine")).unwrap();

    let report: Value = compact(&world, &[]).exits(1).json();

    assert_eq!(fs::read_to_string(folder.join("NOTES.txt")).unwrap(), "mine");
    assert_eq!(report["partitions"].as_array().unwrap().len(), 2);
    let reason = report["skipped"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("a folder lies in a partition's folder"), "{reason}");
    world.is_proved(&[]);
}
