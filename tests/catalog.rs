//! The lake's own catalog: it follows the lake, and drift is found and repaired.

use crate::support::{World, assert_same, key, record_with, records};
use serde_json::{Value, json};
use std::fs;

fn converted() -> World {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..60));
    world.convert(&[]).exits(0);
    world
}

fn edit_table(world: &World, edit: impl FnOnce(&mut Value)) {
    let mut table = world.table_json("cloudtrail");
    edit(&mut table);
    let path = world.table_folder("cloudtrail").join("table.json");
    fs::write(path, serde_json::to_vec_pretty(&table).unwrap()).unwrap();
}

/// A diff finds the damage; a sync repairs it to what it was; a second changes nothing.
#[track_caller]
fn drift_is_found_and_repaired(damage: impl FnOnce(&World)) {
    let world = converted();
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
    let want = world.snapshot();
    damage(&world);
    let damaged = world.snapshot();

    let text = world.on_lake(&["catalog", "diff"], &[]).exits(1).text();

    assert!(!text.is_empty() && !text.contains("in line"), "{text}");
    let plans =
        world.on_lake(&["catalog", "diff"], &["--report", "json"]).exits(1).json()["tables"]
            .clone();
    assert_eq!(plans[0]["in_sync"], false, "{plans}");
    world.on_lake(&["catalog", "sync"], &["--dry-run"]).exits(0);
    assert_same(&damaged, &world.snapshot(), "a dry run");
    world.on_lake(&["catalog", "sync"], &[]).exits(0);
    assert_same(&want, &world.snapshot(), "after the sync");
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
    world.on_lake(&["catalog", "sync"], &[]).exits(0);
    assert_same(&want, &world.snapshot(), "after a second sync");
}

#[test]
fn a_conversion_leaves_the_catalog_in_line() {
    let plans = converted().on_lake(&["catalog", "diff"], &["--report", "json"]).exits(0).json();

    assert_eq!(plans["tables"][0]["in_sync"], true);
    assert_eq!(plans["files"]["orphaned"], json!([]));
}

#[test]
fn a_column_edited_by_hand_is_found_and_repaired() {
    drift_is_found_and_repaired(|world| {
        edit_table(world, |table| {
            table["StorageDescriptor"]["Columns"][3]["Type"] = json!("bigint");
        });
    });
}

#[test]
fn a_column_removed_by_hand_is_found_and_repaired() {
    drift_is_found_and_repaired(|world| {
        edit_table(world, |table| {
            table["StorageDescriptor"]["Columns"].as_array_mut().unwrap().pop();
        });
    });
}

#[test]
fn a_location_edited_by_hand_is_found_and_repaired() {
    drift_is_found_and_repaired(|world| {
        edit_table(world, |table| {
            table["StorageDescriptor"]["Location"] = json!("file:///elsewhere/");
        });
    });
}

#[test]
fn partitions_that_are_gone_are_found_and_repaired() {
    drift_is_found_and_repaired(|world| {
        fs::remove_file(world.table_folder("cloudtrail").join("partitions.jsonl")).unwrap();
    });
}

#[test]
fn a_partition_that_is_gone_is_found_and_repaired() {
    drift_is_found_and_repaired(|world| {
        let path = world.table_folder("cloudtrail").join("partitions.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let fewer: Vec<&str> = text.lines().skip(1).collect();
        fs::write(&path, fewer.join("\n") + "\n").unwrap();
    });
}

#[test]
fn a_partition_of_nothing_is_found_and_removed() {
    drift_is_found_and_repaired(|world| {
        let path = world.table_folder("cloudtrail").join("partitions.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let mut extra: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        extra["Values"][0] = json!("000000000000");
        fs::write(&path, format!("{text}{extra}\n")).unwrap();
    });
}

#[test]
fn a_catalog_that_is_gone_is_found_and_made_again() {
    drift_is_found_and_repaired(|world| {
        fs::remove_dir_all(world.lake.join("_trailmill/catalog")).unwrap();
    });
}

#[test]
fn a_conversion_with_nothing_new_repairs_the_catalog_too() {
    let world = converted();
    let want = world.snapshot();
    fs::remove_file(world.table_folder("cloudtrail").join("partitions.jsonl")).unwrap();

    let report = world.convert(&[]).exits(0).report();

    assert!(report.catalog_changes > 0);
    assert_same(&want, &world.snapshot(), "after the conversion");
}

#[test]
fn parameters_of_others_are_kept() {
    let world = converted();
    edit_table(&world, |table| table["Parameters"]["owner-team"] = json!("detection"));
    world.put_records(
        &key("b.json.gz"),
        &[record_with(99, "requestParameters", json!({"tmNew": 1}))],
    );

    world.convert(&[]).exits(0);

    assert_eq!(world.table_json("cloudtrail")["Parameters"]["owner-team"], "detection");
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
}

#[test]
fn a_new_field_reaches_the_typed_table_and_every_partition() {
    let world = converted();
    let main = world.catalog_columns("cloudtrail");
    world.put_records(
        &key("b.json.gz"),
        &[record_with(99, "requestParameters", json!({"tmNew": 1}))],
    );

    world.convert(&[]).exits(0);

    let args = ["--report", "json"];
    let table = world.on_lake(&["catalog", "show"], &[&["cloudtrail_typed"][..], &args].concat());
    let shown = table.exits(0).json();
    let columns = |descriptor: &Value| descriptor["StorageDescriptor"]["Columns"].to_string();
    assert!(columns(&shown["table"]).contains("tmnew:bigint"));
    for partition in shown["partitions"].as_array().unwrap() {
        let columns = columns(partition);
        assert!(
            columns == "null" || columns == "[]" || columns.contains("tmnew:bigint"),
            "{columns}"
        );
    }
    assert_eq!(world.catalog_columns("cloudtrail"), main);
}

#[test]
fn partitions_of_the_catalog_are_those_of_the_lake() {
    let world = converted();
    let text =
        fs::read_to_string(world.table_folder("cloudtrail").join("partitions.jsonl")).unwrap();
    let mut locations: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|partition| partition["StorageDescriptor"]["Location"].as_str().unwrap().to_owned())
        .collect();
    locations.sort();

    let address = format!("file://{}/", world.lake.display());
    let folder = |file: &String| format!("{address}{}/", file.rsplit_once('/').unwrap().0);
    let is_main = |file: &&String| file.starts_with("cloudtrail/");
    let mut folders: Vec<String> = world.data_files().iter().filter(is_main).map(folder).collect();
    folders.sort();
    folders.dedup();
    assert_eq!(locations, folders);
}

#[test]
fn the_contract_columns_come_first_and_in_order() {
    let columns = converted().catalog_columns("cloudtrail");

    let names: Vec<&str> = columns.iter().take(29).map(|(name, _)| &name[..]).collect();
    assert_eq!(
        names,
        [
            "eventversion",
            "useridentity",
            "eventtime",
            "eventsource",
            "eventname",
            "awsregion",
            "sourceipaddress",
            "useragent",
            "errorcode",
            "errormessage",
            "requestparameters",
            "responseelements",
            "additionaleventdata",
            "requestid",
            "eventid",
            "resources",
            "eventtype",
            "apiversion",
            "readonly",
            "recipientaccountid",
            "serviceeventdetails",
            "sharedeventid",
            "vpcendpointid",
            "vpcendpointaccountid",
            "eventcategory",
            "addendum",
            "sessioncredentialfromconsole",
            "edgedevicedetails",
            "tlsdetails",
        ]
    );
}

#[test]
fn show_names_tables_and_columns_in_both_forms() {
    let world = converted();

    let tables = world.on_lake(&["catalog", "show"], &[]).exits(0).text();

    assert!(tables.contains("cloudtrail"), "{tables}");
    let summaries = world.on_lake(&["catalog", "show"], &["--report", "json"]).exits(0).json();
    assert_eq!(summaries.as_array().unwrap().len(), 2);
    let table = world.on_lake(&["catalog", "show"], &["cloudtrail"]).exits(0).text();
    assert!(table.contains("useridentity") && table.contains("event_timestamp"), "{table}");
}

#[test]
fn show_refuses_a_table_that_is_not_there() {
    let run = converted().on_lake(&["catalog", "show"], &["nosuch"]).exits(2);

    assert!(run.stderr.contains("nosuch"));
}

#[test]
fn a_database_that_is_not_there_is_refused_by_name() {
    let world = converted();
    for command in ["show", "ddl"] {
        let run = world.on_lake(&["catalog", command], &["--database", "nosuch"]).exits(2);
        assert!(run.stderr.contains("no such database") && run.stderr.contains("nosuch"));
        world.on_lake(&["catalog", command], &["--database", "trailmill"]).exits(0);
    }
}

#[test]
fn ddl_has_the_table_in_every_dialect() {
    let world = converted();
    for (dialect, words) in [
        ("athena", ["CREATE EXTERNAL TABLE", "PARTITION"]),
        ("spark", ["CREATE", "PARTITION"]),
        ("duckdb", ["CREATE", "read_parquet"]),
    ] {
        let sql = world.on_lake(&["catalog", "ddl"], &["--dialect", dialect]).exits(0).text();

        for word in words {
            assert!(sql.contains(word), "{dialect} lacks {word}:\n{sql}");
        }
        let bare =
            world.on_lake(&["catalog", "ddl"], &["--dialect", dialect, "--no-views"]).exits(0);
        assert!(bare.stdout.len() < sql.len(), "{dialect}");
    }
}

#[test]
fn a_lake_keeps_its_names() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..9));
    world.convert(&["--database", "security", "--table", "trail"]).exits(0);

    world.convert(&["--table", "trail"]).exits(0);

    let databases = world.lake.join("_trailmill/catalog/databases");
    let names: Vec<_> =
        fs::read_dir(&databases).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["security"]);
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
    world.is_proved(&["--table", "trail"]);
    let run = world.convert(&[]).exits(2);
    assert!(run.stderr.contains("--table"), "{}", run.stderr);
}

#[test]
fn what_a_crashed_run_left_is_removed_and_what_is_gone_is_told() {
    let world = converted();
    let want = world.snapshot();
    let file = world.data_files().remove(0);
    let path = world.lake.join(&file);
    let orphan = path.with_file_name("part-00000000-0123456789abcdef-0000-00.parquet");
    fs::copy(&path, &orphan).unwrap();

    let text = world.on_lake(&["catalog", "diff"], &[]).exits(1).text();
    assert!(text.contains("orphaned file") && text.contains("part-00000000"), "{text}");
    world.on_lake(&["catalog", "sync"], &["--dry-run"]).exits(0);
    assert!(orphan.exists());
    world.on_lake(&["catalog", "sync"], &[]).exits(0);
    assert_same(&want, &world.snapshot(), "after the orphan went");

    // One whose number is free might still be committed: the number is taken before it goes.
    let orphan = path.with_file_name("part-00000099-0123456789abcdef-0000-00.parquet");
    fs::copy(&path, &orphan).unwrap();
    world.on_lake(&["catalog", "sync"], &[]).exits(0);
    assert!(!orphan.exists());
    let barrier = world.snapshot().into_keys().find(|key| !want.contains_key(key)).unwrap();
    assert!(barrier.starts_with("_trailmill/manifests/"), "{barrier}");
    world.is_proved(&[]);

    let foreign = path.with_file_name("notes.txt");
    fs::write(&foreign, "x").unwrap();
    let text = world.on_lake(&["catalog", "sync"], &[]).exits(1).text();
    assert!(text.contains("foreign file") && foreign.exists(), "{text}");
    fs::remove_file(&foreign).unwrap();

    fs::remove_file(&path).unwrap();
    let text = world.on_lake(&["catalog", "sync"], &[]).exits(1).text();
    assert!(text.contains("missing file") && text.contains(&file), "{text}");
    let partition = file.rsplit_once('/').unwrap().0.split_once('/').unwrap().1;
    let values: Vec<_> = partition.split('/').map(|part| part.split_once('=').unwrap().1).collect();
    let shown = world.on_lake(&["catalog", "show"], &["cloudtrail", "--report", "json"]).exits(0);
    let left = shown.json()["partitions"].to_string();
    let is_left = left.contains(&format!("{:?}", values).replace(", ", ","));
    let others = world
        .data_files()
        .iter()
        .any(|other| other.starts_with(&format!("cloudtrail/{partition}/")));
    assert_eq!(is_left, others, "a partition without files is gone from the catalog: {values:?}");

    // It is known now, also to a conversion, which would else register the partition again; and told
    // until somebody accepts it.
    let text = world.on_lake(&["catalog", "diff"], &[]).exits(1).text();
    assert!(text.contains("convert --restore") && text.contains(&file), "{text}");
    world.on_lake(&["catalog", "sync"], &["--accept-loss"]).exits(0);
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
    // The barrier goes into a checkpoint with the next run.
    world.convert(&[]).exits(0);
    let before = world.snapshot();
    world.convert(&[]).exits(0);
    world.on_lake(&["catalog", "sync"], &[]).exits(0);
    assert_same(&before, &world.snapshot(), "a known loss");

    for file in world.data_files() {
        fs::remove_file(world.lake.join(&file)).unwrap();
    }
    world.on_lake(&["catalog", "sync"], &[]).exits(1);
    let shown = world.on_lake(&["catalog", "show"], &["cloudtrail", "--report", "json"]).exits(0);
    assert_eq!(shown.json()["partitions"], json!([]), "nothing is left");
    world.on_lake(&["catalog", "sync"], &[]).exits(1);
}
