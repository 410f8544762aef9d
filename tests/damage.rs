//! Documents that are damaged or gone: what can be made again is, what cannot is refused by name, and
//! what looks like nothing is not taken for nothing.

use crate::support::{
    World, assert_same, files, fill_with_everything, key, record_with, records, run, snapshot,
};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const SMALL_UNITS: [&str; 4] = ["--unit-size", "40kB", "--partition-by", "region"];

/// A lake of a dozen units or more, with everything in it.
fn converted() -> World {
    let world = World::new();
    fill_with_everything(&world);
    let report = world.convert(&SMALL_UNITS).exits(1).report();
    assert!(report.units > 12, "{} units", report.units);
    world
}

fn own(world: &World, name: &str) -> PathBuf {
    world.lake.join("_trailmill").join(name)
}

fn manifest(world: &World, number: usize) -> PathBuf {
    own(world, &format!("manifests/{number:08}.json.gz"))
}

/// Empties a file, or cuts it in half.
fn damage(path: &Path, is_cut: bool) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, if is_cut { &bytes[..bytes.len() / 2] } else { &[] }).unwrap();
}

fn repair(world: &World) -> Value {
    let repaired = world.on_lake(&["repair"], &["--report", "json"]);
    assert!(repaired.code < 2, "{}", repaired.stderr);
    repaired.json()
}

/// Insists that the lake is as good as new, after what is new has been converted.
#[track_caller]
fn is_whole(world: &World) {
    world.is_proved(&[]);
    assert_eq!(world.convert(&SMALL_UNITS).exits(0).report().units, 0);
    world.on_lake(&["catalog", "sync"], &[]).exits(0);
    let diff = world.on_lake(&["catalog", "diff"], &[]).exits(0);
    assert!(diff.text().contains("in line"), "{}", diff.text());
    assert_eq!(repair(world)["units"], serde_json::json!([]));
    world.is_proved(&[]);
}

#[test]
fn a_lake_without_one_of_its_manifests_is_refused_by_every_command_that_writes() {
    let world = converted();
    let last = world.manifests().len() - 1;

    for lost in [0, 5, last] {
        let kept = fs::read(manifest(&world, lost)).unwrap();
        fs::remove_file(manifest(&world, lost)).unwrap();
        let before = snapshot(&world.lake);

        let logs = world.logs.to_str().unwrap();
        let plan = ["--children", "2", "--partition-by", "region"];
        for run in [
            world.on_lake(&["catalog", "sync"], &[]),
            world.on_lake(&["catalog", "diff"], &[]),
            world.convert(&SMALL_UNITS),
            world.on_lake(&["plan", logs], &plan),
        ] {
            let run = run.exits(3);
            assert!(run.stderr.contains(&format!("units {lost})")), "{}", run.stderr);
            assert!(run.stderr.contains("trailmill repair"), "{}", run.stderr);
        }

        assert_same(&before, &snapshot(&world.lake), "refused");
        fs::write(manifest(&world, lost), kept).unwrap();
    }
    world.is_proved(&[]);
}

#[test]
fn after_a_repair_the_files_of_lost_manifests_count_as_before() {
    let world = converted();
    let (before, last) = (world.data_files(), world.manifests().len() - 1);
    let everything: Vec<usize> = (0..=last).collect();
    let lost: [&[usize]; 5] = [&[5], &[0], &[last], &[2, 3, 9, last], &everything];

    for lost in lost {
        for (at, number) in lost.iter().enumerate() {
            match at % 3 {
                0 => fs::remove_file(manifest(&world, *number)).unwrap(),
                is_cut => damage(&manifest(&world, *number), is_cut == 1),
            }
        }
        let report = repair(&world);

        assert_eq!(report["units"].as_array().unwrap().len(), lost.len(), "{report}");
        assert_eq!((&report["files_gone"], &report["rows_gone"]), (&0.into(), &0.into()));
        assert_eq!(world.data_files(), before);
        is_whole(&world);
    }
    // The ledger is in the manifests again: it is made from them.
    fs::remove_dir_all(own(&world, "checkpoints")).unwrap();
    fs::remove_dir_all(own(&world, "ledger")).unwrap();
    is_whole(&world);
}

#[test]
fn a_repair_without_a_ledger_lets_objects_be_converted_anew_and_doubles_nothing() {
    let world = converted();
    for number in [1, 4, 6] {
        fs::remove_file(manifest(&world, number)).unwrap();
    }
    fs::remove_dir_all(own(&world, "checkpoints")).unwrap();
    fs::remove_dir_all(own(&world, "ledger")).unwrap();
    // One has lost its fingerprints as well.
    let copies = files(&own(&world, "copies"));
    fs::remove_file(copies.iter().find(|path| name(path).starts_with("00000004")).unwrap())
        .unwrap();

    let report = repair(&world);
    let aside = |n: usize| report["units"][n]["files_detached"].as_u64().unwrap() > 0;
    assert_eq!([aside(0), aside(1), aside(2)], [false, true, false], "{report}");
    assert!(!files(&own(&world, "detached")).is_empty());
    let report = world.convert(&SMALL_UNITS).report();

    assert!(report.units > 0 && report.records_written > 0 && report.records_duplicate > 0);
    is_whole(&world);
}

#[test]
fn a_repair_without_a_ledger_sets_rows_aside_only_where_copies_were_kept() {
    for (rule, aside) in [("drop", 0), ("keep", 21)] {
        let world = World::new();
        for n in 0..6_u64 {
            let mut batch = records(20 * n..20 * n + 20);
            batch.push(record_with(1000 + n, "eventID", Value::Null));
            world.put_records(&key(&format!("{n}.json.gz")), &batch);
        }
        let options = ["--unit-size", "1B", "--partition-by", "region", "--duplicates", rule];
        world.convert(&options).exits(0);
        fs::remove_file(manifest(&world, 2)).unwrap();
        fs::remove_dir_all(own(&world, "checkpoints")).unwrap();

        let report = repair(&world);
        assert_eq!(report["units"][0]["rows_detached"], aside, "{report}");
        let converted = world.convert(&options).exits(0).report();

        let counts = (converted.records_written, converted.records_duplicate);
        assert_eq!(counts, (aside, 21 - aside), "{rule}");
        world.is_proved(&["--duplicates", rule]);
    }
}

#[test]
fn a_repair_says_what_is_gone_with_its_manifest() {
    let world = converted();
    let lost = world.manifests().swap_remove(3);
    fs::remove_file(manifest(&world, 3)).unwrap();
    fs::remove_file(world.lake.join(&lost.files[0].key)).unwrap();

    let report = world.on_lake(&["repair"], &["--report", "json"]).exits(1).json();

    assert_eq!(
        (&report["files_gone"], &report["rows_gone"]),
        (&1.into(), &lost.files[0].rows.into())
    );
}

#[test]
fn a_lake_that_has_lost_all_manifests_and_checkpoints_is_not_taken_for_a_new_one() {
    let world = converted();
    for folder in ["manifests", "checkpoints"] {
        fs::remove_dir_all(own(&world, folder)).unwrap();
    }
    let before = snapshot(&world.lake);

    let refused = world.convert(&SMALL_UNITS).exits(3);

    assert!(refused.stderr.contains("_trailmill/manifests"), "{}", refused.stderr);
    assert_same(&before, &snapshot(&world.lake), "refused");
}

#[test]
fn documents_that_follow_from_others_are_made_again_with_a_line_that_says_so() {
    let world = converted();
    let want = world.snapshot();
    let catalog = "catalog/databases/trailmill";
    let places = [
        "checkpoints".to_owned(),
        "ledger".to_owned(),
        format!("{catalog}/database.json"),
        format!("{catalog}/tables/cloudtrail/table.json"),
        format!("{catalog}/tables/cloudtrail/partitions.jsonl"),
    ];
    for place in &places {
        // A list of no partitions is none that is damaged.
        let hows = if place.ends_with(".jsonl") { &[true][..] } else { &[false, true] };
        for is_cut in hows.iter().copied() {
            for path in files(&own(&world, place)) {
                damage(&path, is_cut);
            }

            let again = world.convert(&SMALL_UNITS).exits(0);

            assert!(again.stderr.contains("damaged"), "{place}: {}", again.stderr);
            assert_same(&want, &world.snapshot(), place);
            let quiet = world.convert(&SMALL_UNITS).exits(0);
            assert_eq!(quiet.stderr, "", "{place}: it is made again");
        }
    }
}

#[test]
fn intents_and_lists_that_are_damaged_are_given_up_with_a_line_that_says_so() {
    let world = converted();
    let data = world.data_files();
    let number = world.manifests().len();
    for (place, bytes) in [
        (format!("intents/{number:08}-0123456789abcdef.json.gz"), &b""[..]),
        ("intents/00000002-0123456789abcdef.json.gz".to_owned(), b"\x1f\x8b\x08cut"),
        ("listings/0123456789abcdef-2024-05-01.json".to_owned(), b"{"),
    ] {
        let path = own(&world, &place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();

        let again = world.convert(&SMALL_UNITS).exits(0);

        assert!(again.stderr.contains("damaged"), "{place}: {}", again.stderr);
        fs::remove_file(&path).ok();
        world.is_proved(&[]);
        assert_eq!(world.data_files(), data, "{place}");
        assert_eq!(world.leftovers(), Vec::<String>::new(), "{place}");
    }
    let want = world.snapshot();
    let gone = own(&world, "gone/0123456789abcdef0123456789abcdef.json.gz");
    fs::create_dir_all(gone.parent().unwrap()).unwrap();
    fs::write(&gone, "").unwrap();
    let synced = world.on_lake(&["catalog", "sync"], &[]).exits(0);
    assert!(synced.stderr.contains("damaged"), "{}", synced.stderr);
    assert_same(&want, &world.snapshot(), "gone");
}

#[test]
fn a_damaged_manifest_or_schema_lock_is_refused_by_name_with_what_to_do() {
    let world = converted();
    fs::remove_dir_all(own(&world, "checkpoints")).unwrap();
    let lock = files(&own(&world, "schema")).pop().unwrap();
    for path in [manifest(&world, 4), lock] {
        for is_cut in [false, true] {
            let kept = fs::read(&path).unwrap();
            damage(&path, is_cut);

            let refused = world.convert(&SMALL_UNITS).exits(3);

            assert!(refused.stderr.contains(name(&path)), "{}", refused.stderr);
            assert!(refused.stderr.contains("put it back from a backup"), "{}", refused.stderr);
            fs::write(&path, kept).unwrap();
        }
    }
    is_whole(&world);
}

#[test]
fn a_lake_that_has_lost_everything_of_ours_is_not_converted_twice() {
    let world = converted();
    fs::remove_dir_all(world.lake.join("_trailmill")).unwrap();
    let before = snapshot(&world.lake);

    for more in [&[][..], &["--into-existing"]] {
        let refused = world.convert(&[&SMALL_UNITS, more].concat()).exits(2);
        assert!(refused.stderr.contains("not a trailmill lake"), "{}", refused.stderr);
    }
    // As a run leaves it that was refused for another reason.
    fs::create_dir(world.lake.join("_trailmill")).unwrap();
    fs::write(world.lake.join("_trailmill/lease.json"), "{}\n").unwrap();
    world.convert(&SMALL_UNITS).exits(2);

    fs::remove_dir_all(world.lake.join("_trailmill")).unwrap();
    assert_same(&before, &snapshot(&world.lake), "refused");
}

#[test]
fn a_second_source_in_the_place_of_the_lake_is_not_written_into() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..10));
    let evidence = world.root.join("evidence");
    fs::create_dir(&evidence).unwrap();
    fs::copy(world.logs.join(key("a.json.gz")), evidence.join("b.json.gz")).unwrap();
    let before = snapshot(&evidence);
    let (logs, evidence_path) = (world.logs.to_str().unwrap(), evidence.to_str().unwrap());

    for command in
        [&["convert", logs, evidence_path][..], &["plan", logs, evidence_path, "--children", "2"]]
    {
        let refused = run(command).exits(2);
        assert!(refused.stderr.contains("--into-existing"), "{}", refused.stderr);
        assert_same(&before, &snapshot(&evidence), "refused");
        assert!(!evidence.join("_trailmill").exists());
    }

    run(["convert", logs, evidence_path, "--into-existing"]).exits(0);
    run(["verify", logs, evidence_path]).exits(0);
    run(["convert", logs, evidence_path]).exits(0);
}

#[test]
fn a_folder_with_nothing_of_anybodys_may_become_a_lake() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..10));
    fs::create_dir_all(world.lake.join("lost+found")).unwrap();
    fs::create_dir_all(world.lake.join("cloudtrail/region=us-east-1")).unwrap();
    fs::write(world.lake.join(".DS_Store"), "x").unwrap();

    world.convert(&[]).exits(0);

    world.is_proved(&[]);
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
