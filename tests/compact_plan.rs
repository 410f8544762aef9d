//! Compaction as an array job: one plan, children that are killed and late, one end.

use crate::array::{array, child, finish, kill_finish};
use crate::compact::{BY_DAY, compact, converted, is_whole};
use crate::support::{Run, World, assert_same, copy_folder, files, key, records, run, wait};
use serde_json::{Value, json};
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

fn plan(world: &World, more: &[&str]) -> Run {
    let fixed = ["plan", world.lake.to_str().unwrap(), "--compact", "--quiet", "--report", "json"];
    run(fixed.iter().chain(&["--older-than", "0m"]).chain(more))
}

fn planned(world: &World) -> Value {
    plan(world, &["--children", "3"]).exits(0).json()
}

/// The data files with their bytes: units that compact have numbers of their own, so that names differ from
/// those of a plain run only where the lake's numbers do.
fn data(world: &World) -> Vec<(String, Vec<u8>)> {
    let bytes = |name: String| (name.clone(), fs::read(world.lake.join(name)).unwrap());
    world.data_files().into_iter().map(bytes).collect()
}

#[test]
fn an_array_of_children_makes_the_files_of_a_plain_compaction() {
    let (world, other) = (converted(), World::new());
    copy_folder(&world.lake, &other.lake);
    copy_folder(&world.logs, &other.logs);
    compact(&other, &[]).exits(0);

    let made = planned(&world);

    assert_eq!((&made["totals"]["units"], &made["children"]), (&json!(3), &json!(3)), "{made}");
    let before = data(&world);
    array(&world, 3);
    assert_eq!(data(&world), before, "readers see nothing of it yet");
    let report = finish(&world, &[]).exits(0).json();
    assert_eq!(report["partitions"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!((report["files_after"].as_u64(), is_whole(&world)), (Some(6), 6));
    assert_eq!(data(&world), data(&other));
    assert!(files(&world.lake.join("_trailmill/planned")).is_empty());

    let before = world.snapshot();
    assert_eq!(finish(&world, &[]).exits(0).json()["ended"], Value::Null);
    wait(child(&world, 1, 3)).exits(0);
    assert_same(&before, &world.snapshot(), "a second end, and a child that is late");
    let nothing = plan(&world, &["--children", "auto"]).exits(0).json();
    assert_eq!(nothing, json!({"plan": null, "left": []}));
}

#[test]
fn children_that_are_killed_are_run_again() {
    for millis in [30, 90, 200, 400] {
        let world = converted();
        planned(&world);
        let killed: Vec<Child> = (0..3).map(|index| child(&world, index, 3)).collect();
        std::thread::sleep(Duration::from_millis(millis));
        for mut child in killed {
            let _ = child.kill();
            wait(child);
        }
        let twins: Vec<Child> = [0, 1, 1, 2].iter().map(|index| child(&world, *index, 3)).collect();
        twins.into_iter().for_each(|child| drop(wait(child).exits(0)));

        finish(&world, &[]).exits(0);

        assert_eq!(is_whole(&world), 6, "killed after {millis} ms");
    }
}

#[test]
fn what_a_killed_child_has_left_half_written_comes_into_no_readers_sight() {
    let world = converted();
    planned(&world);
    array(&world, 3);
    let written = files(&world.lake.join("_trailmill/compacted"));
    assert_eq!(written.len(), 6);
    for file in written {
        let half = format!("{}#4711000001", file.display());
        fs::write(half, "PAR1").unwrap();
    }

    finish(&world, &[]).exits(0);

    assert_eq!(is_whole(&world), 6);
}

#[test]
fn an_end_that_is_killed_at_any_instant_is_finished_by_the_next() {
    const ROUNDS: u32 = 8;
    let world = converted();
    planned(&world);
    array(&world, 2);
    let ready = World::new();
    copy_folder(&world.lake, &ready.lake);
    let started = Instant::now();
    finish(&world, &[]).exits(0);
    let took = started.elapsed();
    let undisturbed = data(&world);

    for round in 0..ROUNDS {
        kill_finish(&world, &ready, took * (2 * round + 1) / (2 * ROUNDS));

        finish(&world, &[]).exits(0);

        assert_eq!(is_whole(&world), 6, "round {round}");
        assert_eq!(data(&world), undisturbed, "round {round}");
    }
}

#[test]
fn nothing_is_committed_before_every_child_is_done_and_nobody_else_writes() {
    let world = converted();
    planned(&world);
    wait(child(&world, 0, 3)).exits(0);
    let before = data(&world);

    let missing = finish(&world, &[]).exits(75).json();

    assert!(missing["missing"].as_u64().unwrap() >= 1, "{missing}");
    assert_eq!(data(&world), before);
    world.put_records(&key("late.json.gz"), &records(5000..5050));
    world.convert(&BY_DAY).exits(75);
    compact(&world, &[]).exits(75);
    let again = plan(&world, &["--children", "9"]).exits(0).json();
    assert_eq!((&again["is_new"], &again["children"]), (&json!(false), &json!(3)));
    array(&world, 3);
    finish(&world, &[]).exits(0);
    world.convert(&BY_DAY).exits(0);
    world.is_proved(&[]);
}

#[test]
fn a_plan_that_is_discarded_leaves_the_lake_as_it_was() {
    let world = converted();
    let before = data(&world);
    planned(&world);
    array(&world, 2);

    world.on_lake(&["plan", "discard"], &[]).exits(0);

    assert_eq!(data(&world), before);
    assert!(files(&world.lake.join("_trailmill/compacted")).is_empty());
    wait(child(&world, 1, 3)).exits(0);
    is_whole(&world);
    compact(&world, &[]).exits(0);
    assert_eq!(is_whole(&world), 6);
}

#[test]
fn what_cannot_be_read_or_switched_is_left_as_it_is() {
    let world = converted();
    let file = world.data_files().into_iter().find(|file| file.contains("=2024-05-02/")).unwrap();
    let whole = fs::read(world.lake.join(&file)).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 4;
    bytes[middle..middle + 64].fill(0xff);
    fs::write(world.lake.join(&file), bytes).unwrap();
    planned(&world);
    array(&world, 3);
    fs::create_dir(world.lake.join("cloudtrail/event_date=2024-05-01/mine")).unwrap();

    let report = finish(&world, &[]).exits(1).json();

    assert_eq!(report["partitions"].as_array().unwrap().len(), 1, "{report}");
    let reason = |at: usize| report["skipped"][at]["reason"].as_str().unwrap().to_owned();
    assert!(reason(0).contains("a folder lies in a partition's folder"), "{report}");
    assert!(reason(1).contains("cannot read a data file"), "{report}");
    fs::write(world.lake.join(&file), whole).unwrap();
    fs::remove_dir(world.lake.join("cloudtrail/event_date=2024-05-01/mine")).unwrap();
    is_whole(&world);
    compact(&world, &[]).exits(0);
    assert_eq!(is_whole(&world), 6);
}

/// A child that was suspended, and goes on when all is over.
#[test]
fn files_that_come_after_the_end_are_not_put_in_place() {
    for command in ["compact", "convert", "sync"] {
        let world = converted();
        planned(&world);
        array(&world, 1);
        let late = World::new();
        let compacted = world.lake.join("_trailmill/compacted");
        copy_folder(&compacted, &late.lake);
        finish(&world, &[]).exits(0);
        world.put_records(&key("late.json.gz"), &records(5000..5050));
        world.convert(&BY_DAY).exits(0);
        copy_folder(&late.lake, &compacted);

        match command {
            "convert" => drop(world.convert(&BY_DAY).exits(0)),
            "sync" => drop(world.on_lake(&["catalog", "sync"], &[]).exits(0)),
            _ => drop(compact(&world, &[]).exits(0)),
        }

        world.is_proved(&[]);
        assert!(!compacted.exists(), "{command}");
        world.on_lake(&["catalog", "diff"], &[]).exits(0);
    }
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let world = converted();
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());
    for wrong in [
        &["plan", lake, "--compact"][..],
        &["plan", logs, lake, "--compact", "--children", "2"],
        &["plan", lake, "--compact", "--children", "2", "--unit-size", "1MB"],
        &["plan", lake, "--compact", "--children", "2", "--account", "111122223333"],
        &["plan", logs, lake, "--children", "2", "--older-than", "3d"],
        &["plan", lake, "--children", "2"],
    ] {
        run(wrong).exits(2);
    }
    assert!(files(&world.lake.join("_trailmill/plans")).is_empty());
}
