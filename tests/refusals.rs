//! What is refused before anything is done, and what is said about what was found.

use crate::support::{
    World, copy_folder, envelope, files, gunzip, gzip, key, program, record, records, run, signal,
    until, wait,
};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A second day's key.
fn later(name: &str) -> String {
    key(name).replace("/2024/05/01/", "/2024/05/09/")
}

// Profiles

#[test]
fn a_profile_that_is_not_there_exits_2_wherever_it_is_named() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    let config = world.root.join("config");
    fs::write(&config, "[profile there]\nregion = eu-west-1\n").unwrap();
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());
    let with = |args: &[&str], profile: Option<&str>| {
        let mut command = program(args);
        command.env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env_remove("AWS_PROFILE");
        profile.map(|name| command.env("AWS_PROFILE", name));
        wait(command.spawn().unwrap())
    };

    for args in [
        &["convert", logs, lake, "--profile", "nosuch"][..],
        &["plan", logs, lake, "--profile", "nosuch"],
        &["verify", logs, "s3://bucket/lake", "--profile", "nosuch"],
        &["catalog", "sync", lake, "--profile", "nosuch"],
        &["doctor", logs, lake, "--profile", "nosuch"],
        &["finish", "--plan", lake, "--profile", "nosuch"],
    ] {
        let said = with(args, None).exits(2).stderr;
        assert!(said.contains("nosuch") && said.contains("profile"), "{args:?}: {said}");
    }
    let said = with(&["convert", logs, "s3://bucket/lake"], Some("nosuch")).exits(2).stderr;
    assert!(said.contains("AWS_PROFILE"), "{said}");
    assert!(!world.lake.is_dir());
    with(&["convert", logs, lake, "--profile", "there", "-q"], None).exits(0);
}

// Nothing found

#[test]
fn a_first_run_that_finds_nothing_at_all_exits_2_and_makes_nothing() {
    let world = World::new();
    fs::create_dir_all(world.logs.join("AWSLogs/111122223333")).unwrap();
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());

    for args in [
        &["convert", logs, lake][..],
        &["convert", logs, lake, "-q"],
        &["convert", logs, lake, "--strict"],
        &["plan", logs, lake],
        &["plan", logs, lake, "--children", "2"],
        &["schema", "infer", logs],
    ] {
        let ended = run(args).exits(2);

        assert!(ended.stdout.is_empty() && ended.stderr.contains("nothing found in"), "{args:?}");
        assert!(ended.stderr.contains(logs), "{args:?}: {}", ended.stderr);
    }
    assert!(!world.lake.exists());
}

#[test]
fn a_first_run_that_recognizes_nothing_is_no_success() {
    let world = World::new();
    world.put(&key("d.json.gz").replace("/CloudTrail/", "/Config/"), gzip(b"{}"));
    let ended = world.convert(&[]).exits(1);
    assert!(ended.stderr.contains("no CloudTrail log"), "{}", ended.stderr);
    assert!(ended.report().nothing_recognized);
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    run(["plan", places[0], places[1]]).exits(1);
    run(["plan", places[0], places[1], "--children", "2"]).exits(1);

    world.put_records(&key("a.json.gz"), &records(0..3));
    let said = world.convert(&["--from", "2025-01-01"]).exits(1).stderr;
    assert!(said.contains("1 object left out by options"), "{said}");
    assert!(world.data_files().is_empty());
    world.convert(&[]).exits(0);

    let other = World::new();
    other.put("notes.json", "shopping list");
    other.put("event.json", r#"{"detail-type":"x","source":"aws.s3","detail":{}}"#);
    let ended = other.convert(&[]).exits(1);
    assert!(ended.report().nothing_recognized);
    assert!(ended.stderr.contains("holds CloudTrail records"), "{}", ended.stderr);
}

#[test]
fn an_object_without_records_is_recognized() {
    let world = World::new();
    world.put(&key("a.json"), br#"{"Records":[]}"#);

    let report = world.convert(&[]).exits(0).report();

    assert!(!report.nothing_recognized && report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn an_empty_source_that_the_lake_knows_is_a_quiet_night_and_another_is_not() {
    let world = World::new();
    let object = world.put_records(&key("a.json.gz"), &records(0..3));
    world.convert(&[]).exits(0);
    fs::remove_file(object).unwrap();

    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    let text = run(["convert", places[0], places[1]]).exits(0).text();
    assert!(text.starts_with("Nothing new"), "{text}");

    let mistyped = world.root.join("log");
    fs::create_dir(&mistyped).unwrap();
    let before = world.snapshot();
    let said = run(["convert", mistyped.to_str().unwrap(), places[1]]).exits(2).stderr;
    assert!(said.contains("has no object of it"), "{said}");
    assert!(before == world.snapshot());
    // Beside a source in which something lies it is a warning.
    world.put_records(&key("b.json.gz"), &records(3..6));
    let args = ["convert", places[0], mistyped.to_str().unwrap(), places[1], "-q"];
    let ended = run(args).exits(0);
    assert!(ended.stderr.contains("nothing found in"), "{}", ended.stderr);
}

// Formats

/// Writes a document again with another `format`; none: without.
fn reformat(path: &Path, format: Option<u64>) {
    let bytes = fs::read(path).unwrap();
    let is_packed = path.extension().is_some_and(|e| e == "gz");
    let text = if is_packed { gunzip(&bytes) } else { bytes };
    let mut document: Value = serde_json::from_slice(&text).unwrap();
    let members = document.as_object_mut().unwrap();
    assert!(members.remove("format").is_some(), "{} has no format", path.display());
    if let Some(format) = format {
        members.insert("format".to_owned(), format.into());
    }
    let text = serde_json::to_vec(&document).unwrap();
    fs::write(path, if is_packed { gzip(&text) } else { text }).unwrap();
}

/// Insists that every document of a folder is refused in another format, and is read in its own.
fn formats_are_checked(world: &World, folder: &str, name: &str, command: &[&str]) {
    let own = world.lake.join("_trailmill").join(folder);
    let path = files(&own).into_iter().find(|path| path.to_str().unwrap().ends_with(name));
    let path = path.unwrap_or_else(|| panic!("no {name} in {folder}"));
    let whole = fs::read(&path).unwrap();
    for (format, says) in [(Some(99), "upgrade trailmill"), (None, "no format version")] {
        reformat(&path, format);
        let before = world.snapshot();

        let said = run(command).exits(2).stderr;

        assert!(said.contains(says), "{folder}: {said}");
        assert!(before == world.snapshot(), "{folder}: something was written");
    }
    fs::write(&path, whole).unwrap();
}

#[test]
fn documents_of_another_format_stop_every_run_before_it_writes() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    world.put(&key("bad.json.gz"), b"no gzip, no json");
    world.convert(&[]).exits(1);
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());
    let convert = &["convert", logs, lake, "-q"][..];

    formats_are_checked(&world, "checkpoints", ".json.gz", convert);
    formats_are_checked(&world, "schema", ".json", convert);
    formats_are_checked(&world, "manifests", ".json.gz", &["catalog", "sync", lake]);
    formats_are_checked(&world, "quarantine", ".json", &["quarantine", lake]);
    fs::remove_dir_all(world.lake.join("_trailmill/checkpoints")).unwrap();
    formats_are_checked(&world, "manifests", ".json.gz", convert);

    // A list of files that are gone, and an intent that a killed run left.
    fs::remove_file(world.lake.join(&world.data_files()[0])).unwrap();
    world.on_lake(&["catalog", "sync"], &[]);
    if world.lake.join("_trailmill/gone").is_dir() {
        formats_are_checked(&world, "gone", ".json.gz", convert);
    }
    let intent = world.lake.join("_trailmill/intents/00000007-0123456789abcdef.json.gz");
    fs::create_dir_all(intent.parent().unwrap()).unwrap();
    fs::write(&intent, gzip(br#"{"format":99,"another":"shape"}"#)).unwrap();
    let said = run(convert).exits(2).stderr;
    assert!(said.contains("upgrade trailmill"), "{said}");
}

#[test]
fn documents_of_a_plan_of_another_format_stop_its_jobs() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..30));
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());
    run(["plan", logs, lake, "--children", "1", "-q"]).exits(0);

    let (child, finish) =
        (&["convert", "--plan", lake, "-q"][..], &["finish", "--plan", lake, "-q"][..]);
    formats_are_checked(&world, "plans", ".json", child);
    formats_are_checked(&world, "planned", "000000.json.gz", child);
    run(child).exits(0);
    let done = files(&world.lake.join("_trailmill/planned"));
    let done = done.iter().find(|path| path.parent().unwrap().ends_with("done")).unwrap();
    // By then it is decided that the plan is to be finished.
    let (path, whole) = (done, fs::read(done).unwrap());
    reformat(path, Some(99));
    let said = run(finish).exits(3).stderr;
    assert!(said.contains("upgrade trailmill"), "{said}");
    fs::write(path, whole).unwrap();
    run(finish).exits(0);
    formats_are_checked(&world, "plans", ".end.json", &["plan", "discard", &plan_of(&world)]);
    world.is_proved(&[]);
}

fn plan_of(world: &World) -> String {
    let plans = files(&world.lake.join("_trailmill/plans"));
    let is_plan = |name: &str| !name.ends_with(".end.json") && !name.ends_with(".decision.json");
    let plan = plans.iter().find(|path| is_plan(path.to_str().unwrap())).unwrap();
    plan.to_str().unwrap().to_owned()
}

// Tables of others

#[test]
fn a_table_that_is_not_the_lakes_is_refused_before_anything_is_written() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    world.convert(&[]).exits(0);
    let tables = world.table_folder("cloudtrail");
    let path = tables.join("table.json");
    let mut table: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    table["PartitionKeys"] = serde_json::json!([{"Name": "dt", "Type": "string"}]);
    fs::remove_file(tables.join("partitions.jsonl")).unwrap();
    fs::write(&path, table.to_string()).unwrap();
    world.put_records(&key("b.json.gz"), &records(3..6));
    let before = world.snapshot();
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());

    for args in [
        &["convert", logs, lake][..],
        &["plan", logs, lake, "--children", "1"],
        &["catalog", "sync", lake],
    ] {
        let said = run(args).exits(2).stderr;
        assert!(said.contains("other partition columns"), "{args:?}: {said}");
        assert!(before == world.snapshot(), "{args:?}");
    }
    // Of a family that the lake has nothing of.
    let insight = world.table_folder("cloudtrail_insight");
    copy_folder(&tables, &insight);
    fs::remove_dir_all(&tables).unwrap();
    table["Name"] = "cloudtrail_insight".into();
    fs::write(insight.join("table.json"), table.to_string()).unwrap();
    let before = world.snapshot();
    world.convert(&[]).exits(2);
    assert!(before == world.snapshot());
}

// Names

#[test]
fn names_with_control_characters_stay_on_their_line() {
    let world = World::new();
    let odd = "a\nFORGED  line\r\u{1b}[31m\t\u{202e}.json";
    world.put(odd, b"{\"Records\":[{\"eventVersion\":\"1.08\"}]}");
    world.put_records(&key("good.json.gz"), &records(0..3));
    world.convert(&[]).exits(1);
    let has_odd =
        |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');

    let listed = world.on_lake(&["quarantine"], &[]).exits(0).text();

    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.contains(r"a\nFORGED  line\r\u{1b}[31m\t\u{202e}.json") && !has_odd(&listed));
    let json = world.quarantine();
    assert!(json[0].object.ends_with(odd), "programs get the name as it is");

    // Verify names the object of a record that is missing.
    fs::remove_file(world.lake.join(&world.data_files()[0])).unwrap();
    fs::rename(world.logs.join(key("good.json.gz")), world.logs.join("x\ny.json.gz")).unwrap();
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    let text = run(["verify", places[0], places[1]]).exits(1).text();
    assert!(text.contains(r"x\ny.json.gz") && !has_odd(&text), "{text}");
    for line in text.lines() {
        assert!(!line.starts_with("y.json"), "{text}");
    }
}

// A part of the source

/// Three objects of two days, and their lake.
fn three_objects() -> World {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..10));
    world.put_records(&key("b.json.gz"), &records(10..20));
    world.put_records(&later("c.json.gz"), &records(20..30));
    world.convert(&[]).exits(0);
    world
}

#[test]
fn what_a_retention_removed_is_counted_and_the_rest_is_compared() {
    let world = three_objects();
    fs::remove_file(world.logs.join(key("a.json.gz"))).unwrap();

    world.verify(&[]).exits(1);
    let report = world.verify(&["--source-may-be-partial"]).exits(0).json();

    assert_eq!((&report["objects_gone"], &report["rows_not_compared"]), (&1.into(), &10.into()));
    assert_eq!(report["records_expected"], 20);
    let text = run(["verify", world.logs.to_str().unwrap(), world.lake.to_str().unwrap()]
        .iter()
        .chain(&["--source-may-be-partial"]))
    .exits(0)
    .text();
    assert!(text.starts_with("Equal, as far as compared"), "{text}");
    // What is there must be in the lake all the same.
    world.put_records(&key("new.json.gz"), &records(50..52));
    let report = world.verify(&["--source-may-be-partial"]).exits(1).json();
    assert_eq!(report["records_missing"], 2);
    for object in [key("b.json.gz"), later("c.json.gz"), key("new.json.gz")] {
        fs::remove_file(world.logs.join(object)).unwrap();
    }
    let said = world.verify(&["--source-may-be-partial"]).exits(2).stderr;
    assert!(said.contains("nothing to compare"), "{said}");
}

#[test]
fn rows_that_no_ledger_accounts_for_are_unexpected_in_a_part_too() {
    let world = three_objects();
    fs::remove_file(world.logs.join(key("a.json.gz"))).unwrap();
    let data = world.lake.join(&world.data_files()[0]);

    // A file too many, under the name of no unit.
    let extra = data.with_file_name("extra.parquet");
    fs::copy(&data, &extra).unwrap();
    let report = world.verify(&["--source-may-be-partial"]).exits(1).json();
    assert!(report["records_unexpected"].as_u64().unwrap() > 0, "{report}");
    fs::remove_file(extra).unwrap();
    world.verify(&["--source-may-be-partial"]).exits(0);

    // Rows of the object that is gone are lost from the lake: nothing else would tell.
    fs::remove_file(data).unwrap();
    let report = world.verify(&["--source-may-be-partial"]).exits(1).json();
    assert!(report["rows_lost"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn verify_compares_the_days_that_options_ask_for() {
    let world = three_objects();

    let early = world.verify(&["--to", "2024-05-05"]).exits(0).json();
    let late = world.verify(&["--from", "2024-05-05"]).exits(0).json();

    assert_eq!((&early["records_expected"], &late["records_expected"]), (&20.into(), &10.into()));
    assert_eq!((&early["objects_unwanted"], &late["objects_unwanted"]), (&1.into(), &2.into()));
    assert_eq!((&early["rows_not_compared"], &late["rows_not_compared"]), (&10.into(), &20.into()));
    world.verify(&["--from", "2024-06-01"]).exits(2);
    world.verify(&["--account", "999988887777"]).exits(2);
    // What is gone within them is a difference, unless that is said to be no matter.
    fs::remove_file(world.logs.join(key("a.json.gz"))).unwrap();
    let report = world.verify(&["--to", "2024-05-05"]).exits(1).json();
    assert_eq!(report["records_unexpected"], 10);
    world.verify(&["--to", "2024-05-05", "--source-may-be-partial"]).exits(0);
    world.verify(&["--from", "2024-05-05"]).exits(0);
}

#[test]
fn members_of_archives_that_are_gone_are_counted_too() {
    let world = World::new();
    let members = [("x.json", envelope(&records(0..10))), ("y.json", envelope(&[record(10)]))];
    let archive = world.put("old.tar", crate::support::tar(&members));
    world.put_records(&key("a.json.gz"), &records(5..20));
    world.convert(&[]).exits(0);
    fs::remove_file(archive).unwrap();

    let report = world.verify(&["--source-may-be-partial"]).exits(0).json();

    assert_eq!(report["objects_gone"], 1);
    assert_eq!(report["records_expected"], 15);
}

#[test]
fn a_source_with_nothing_in_it_proves_nothing() {
    let world = three_objects();
    let empty = world.root.join("empty");
    fs::create_dir(&empty).unwrap();

    let ended = run(["verify", empty.to_str().unwrap(), world.lake.to_str().unwrap()]).exits(2);

    assert!(ended.stdout.is_empty() && ended.stderr.contains("nothing to compare"));
}

// Signals

#[test]
fn sigterm_ends_commands_that_are_no_conversions_with_75() {
    let world = World::new();
    let logs = world.root.join("made");
    let place = logs.to_str().unwrap();
    let mut child = program(["sample", place, "--size", "20GB", "-q"]).spawn().unwrap();
    until("a file of the sample", || !files(&logs).is_empty());
    let asked = Instant::now();
    signal(&child, "TERM");
    until("its end", || child.try_wait().unwrap().is_some());
    assert!(asked.elapsed() < Duration::from_secs(20));
    wait(child).exits(75);

    let lake = world.lake.to_str().unwrap();
    fs::create_dir(&world.lake).unwrap();
    fs::create_dir_all(world.lake.join("_trailmill")).unwrap();
    let mut child = program(["verify", place, lake, "-q", "--threads", "1"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    until("its end", || child.try_wait().unwrap().is_some());
    let ended = wait(child);
    // Whoever was through before the signal came has found that the lake is empty.
    assert!([75, 1].contains(&ended.code), "{}", ended.code);
}
