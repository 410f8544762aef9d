//! Logs of others, in the folder that `TRAILMILL_REAL_LOGS` names. None are in the repository; without
//! the variable these tests say that they are skipped.

use crate::support::{World, assert_same, run};
use std::path::{Path, PathBuf};

fn real() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("TRAILMILL_REAL_LOGS") else {
        eprintln!("skipped: TRAILMILL_REAL_LOGS names no folder of real logs");
        return None;
    };
    let folder = PathBuf::from(folder);
    Some(folder.canonicalize().expect("TRAILMILL_REAL_LOGS is a folder that exists"))
}

fn convert(source: &Path, world: &World, more: &[&str]) -> trailmill::engine::Report {
    let places = [source.to_str().unwrap(), world.lake.to_str().unwrap()];
    let fixed = ["convert", places[0], places[1], "--quiet", "--report", "json"];
    let run = run(fixed.iter().chain(more));
    assert!(run.code == 0 || run.code == 1, "exit {}: {}", run.code, run.stderr);
    run.report()
}

fn is_proved(source: &Path, world: &World) {
    let places = [source.to_str().unwrap(), world.lake.to_str().unwrap()];
    let run = run(["verify", places[0], places[1], "--quiet", "--report", "json"]);
    // Some of them hold what no converter can read, and then the proof says so.
    let report = run.json();
    assert_eq!(report["records_missing"], 0, "{report}");
    assert_eq!(report["records_unexpected"], 0, "{report}");
    assert_eq!(report["file_problems"], 0, "{report}");
}

#[test]
fn everything_published_converts_and_is_proved() {
    let Some(real) = real() else { return };
    let world = World::new();

    let report = convert(&real, &world, &["--unit-size", "1MB"]);

    assert!(report.records_written >= 1500, "{report:#?}");
    assert_eq!(report.objects_known, 0);
    is_proved(&real, &world);
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[test]
fn every_file_in_it_has_an_outcome() {
    let Some(real) = real() else { return };
    let world = World::new();

    let report = convert(&real, &world, &[]);

    // Objects passed over by their folder never reach a manifest.
    let passed_over = report.objects_ignored - report.ignored_by_kind.values().sum::<u64>();
    let visible = walkdir::WalkDir::new(&real)
        .into_iter()
        .filter_entry(|entry| {
            entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
        })
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .count() as u64;
    let manifests = world.manifests();
    let objects = manifests.iter().flat_map(|manifest| &manifest.objects);
    let top = objects.filter(|object| !object.key.contains("!/")).count() as u64;
    assert!(top + passed_over >= visible, "{top} and {passed_over} of {visible}");
}

#[test]
fn threads_and_small_units_do_not_change_it() {
    let Some(real) = real() else { return };
    let world = World::new();
    convert(&real, &world, &["--unit-size", "300kB", "--threads", "1"]);
    let one = world.snapshot();
    world.remove_lake();

    convert(&real, &world, &["--unit-size", "300kB", "--threads", "4"]);

    assert_same(&one, &world.snapshot(), "4 threads against 1");
}

#[test]
fn a_second_run_over_it_finds_nothing_new() {
    let Some(real) = real() else { return };
    let world = World::new();
    convert(&real, &world, &[]);
    let first = world.snapshot();

    let report = convert(&real, &world, &[]);

    assert_eq!(report.units, 0);
    assert_same(&first, &world.snapshot(), "a second run");
}

#[test]
fn copies_of_it_are_copies() {
    let Some(real) = real() else { return };
    let source = real.join("invictus-ir__aws_dataset");
    let world = World::new();
    for copy in ["one", "two"] {
        for path in crate::support::files(&source) {
            let name = path.strip_prefix(&source).unwrap().to_str().unwrap();
            world.put(&format!("{copy}/{name}"), std::fs::read(&path).unwrap());
        }
    }

    let report = world.convert(&[]);

    let report = report.report();
    assert!(report.records_duplicate >= report.records_written, "{report:#?}");
    world.is_proved(&[]);
}
