//! Quarantined objects are tried again.

use crate::support::{World, envelope, gzip, key, record, record_with, records, tar, zip};
use serde_json::{Value, json};
use std::fs;

/// A lake with a good object and one that is quarantined for its size; the limit that lets it pass.
fn with_one_too_large() -> World {
    let world = World::new();
    world.put_records(&key("good.json.gz"), &[record(1)]);
    world.put_records(&key("large.json.gz"), &records(10..60));
    let report = world.convert(&["--max-object-size", "10000"]).exits(1).report();
    assert_eq!((report.objects_quarantined, report.records_written), (1, 1));
    world
}

#[test]
fn what_was_too_large_is_known_to_the_same_limit_and_converted_under_another() {
    let world = with_one_too_large();

    let same = world.convert(&["--max-object-size", "10000"]).exits(0).report();
    let other = world.convert(&[]).exits(0).report();
    let again = world.convert(&[]).exits(0).report();

    assert_eq!((same.units, same.objects_known), (0, 2));
    assert_eq!((other.objects_known, other.records_written), (1, 50));
    assert_eq!((again.units, again.objects_known), (0, 2));
    assert!(world.quarantine().is_empty());
    world.verify(&[]).exits(0);
}

#[test]
fn what_was_too_large_under_a_ratio_is_converted_under_another() {
    let world = World::new();
    let long = "a".repeat(3 << 20);
    world.put_records(&key("large.json.gz"), &[record_with(1, "userAgent", json!(long))]);
    let report = world.convert(&["--max-ratio", "2"]).exits(1).report();
    assert_eq!(report.objects_quarantined, 1);

    let more = ["--max-ratio", "100000"];
    assert_eq!(world.convert(&more).exits(0).report().records_written, 1);
}

#[test]
fn what_is_still_bad_when_it_is_tried_again_is_listed_once() {
    let world = World::new();
    world.put_records(&key("good.json.gz"), &[record(1)]);
    world.put(&key("bad.json.gz"), "not a log");
    world.convert(&[]).exits(1);
    assert_eq!(world.convert(&[]).exits(0).report().units, 0);

    let report = world.convert(&["--retry", "quarantined"]).exits(1).report();

    assert_eq!((report.objects_quarantined, report.objects_known), (1, 1));
    assert_eq!(world.quarantine().len(), 1);
    assert_eq!(world.convert(&["--retry", "ignored"]).exits(0).report().units, 0);
}

#[test]
fn what_was_ignored_is_read_again_when_asked() {
    let world = World::new();
    world.put_records(&key("good.json.gz"), &[record(1)]);
    world.put("notes.json", r#"{"a": 1}"#);
    assert_eq!(world.convert(&[]).exits(0).report().objects_ignored, 1);
    assert_eq!(world.convert(&["--retry", "quarantined"]).exits(0).report().units, 0);

    let report = world.convert(&["--retry", "ignored"]).exits(0).report();

    assert_eq!((report.objects_read, report.objects_known), (1, 1));
}

#[test]
fn an_object_that_was_repaired_leaves_the_quarantine() {
    let world = World::new();
    let path = world.put(&key("a.json.gz"), "not a log");
    world.put(&key("b.json.gz"), "not a log either");
    world.convert(&[]).exits(1);
    assert_eq!(world.quarantine().len(), 2);
    world.put_records(&key("a.json.gz"), &records(0..5));

    world.convert(&[]).exits(0);

    let listed = world.quarantine();
    assert_eq!(listed.len(), 1);
    assert_ne!(listed[0].object, path.to_str().unwrap());
    fs::remove_file(path).unwrap();
}

#[test]
fn a_checkpoint_keeps_how_an_object_ended() {
    let world = with_one_too_large();
    // Everything after the checkpoint is read from manifests: make them older than one.
    world.put_records(&key("more.json.gz"), &[record(2)]);
    world.convert(&["--max-object-size", "10000"]).exits(0);

    assert_eq!(world.convert(&["--retry", "quarantined"]).exits(0).report().records_written, 50);
}

/// Records that nothing but their text and their object tells apart.
fn without_ids(numbers: std::ops::Range<u64>) -> Vec<Value> {
    let mut records = records(numbers);
    for record in &mut records {
        record.as_object_mut().unwrap().remove("eventID");
    }
    records
}

/// Archives of both kinds: a good member, one without event ids, and others.
fn archives(others: &[(&str, Vec<u8>)]) -> Vec<(&'static str, Vec<u8>)> {
    let mut members = vec![
        ("good.json.gz", gzip(&envelope(&records(0..5)))),
        ("anonymous.json", envelope(&without_ids(100..105))),
    ];
    members.extend(others.iter().cloned());
    vec![
        ("logs.zip", zip(&members)),
        ("logs.tar", tar(&members)),
        ("logs.tgz", gzip(&tar(&members))),
    ]
}

#[test]
fn a_member_that_was_too_large_is_converted_under_another_limit_and_nothing_is_doubled() {
    for (name, archive) in archives(&[("large.json.gz", gzip(&envelope(&records(10..60))))]) {
        let world = World::new();
        world.put(name, archive);
        let least = ["--max-object-size", "20000"];
        let first = world.convert(&least).exits(1).report();
        assert_eq!((first.objects_quarantined, first.records_written), (1, 10), "{name}");
        let same = world.convert(&least).exits(0).report();
        assert_eq!((same.units, same.objects_known), (0, 1), "{name}");

        let other = world.convert(&[]).exits(0).report();

        assert_eq!((other.records_written, other.records_duplicate), (50, 10), "{name}");
        assert!(world.quarantine().is_empty(), "{name}");
        world.verify(&[]).exits(0);
        let again = world.convert(&["--retry", "quarantined,ignored"]).exits(0).report();
        assert_eq!((again.units, again.objects_known), (0, 1), "{name}");
    }
}

#[test]
fn a_bad_or_a_foreign_member_is_read_again_when_asked_and_only_then() {
    for (member, other, code) in [
        (("bad.json.gz", b"not a log".to_vec()), "ignored", 1),
        (("x.json", b"{}".to_vec()), "quarantined", 0),
    ] {
        let asked = if other == "ignored" { "quarantined" } else { "ignored" };
        let path = if code == 1 { key(member.0) } else { member.0.to_owned() };
        for (name, archive) in archives(&[(&path, member.1.clone())]) {
            let world = World::new();
            world.put(name, archive);
            let first = world.convert(&[]).exits(code).report();
            assert_eq!(first.objects_quarantined + first.objects_ignored, 1, "{name}");
            for options in [&[][..], &["--retry", other]] {
                assert_eq!(world.convert(options).exits(0).report().units, 0, "{name}");
            }

            let report = world.convert(&["--retry", asked]).exits(code).report();

            assert_eq!((report.units, report.records_written), (1, 0), "{name}");
            assert_eq!(report.records_duplicate, 10, "{name}");
            assert_eq!(world.quarantine().len() as i32, code, "{name}");
            assert_eq!(world.convert(&[]).exits(0).report().units, 0, "{name}");
            world.verify(&[]).exits(0);
        }
    }
}

#[test]
fn an_archive_with_members_of_both_kinds_is_read_again_for_either() {
    for (name, archive) in archives(&[(&key("bad.gz"), b"no".to_vec()), ("x.json", b"{}".to_vec())])
    {
        let world = World::new();
        world.put(name, archive);
        world.convert(&[]).exits(1);
        assert_eq!(world.convert(&[]).exits(0).report().units, 0, "{name}");
        for asked in ["quarantined", "ignored"] {
            assert_eq!(world.convert(&["--retry", asked]).exits(1).report().units, 1, "{name}");
        }
        world.verify(&[]).exits(0);
    }
}

#[test]
fn where_copies_are_kept_an_archive_is_not_read_again() {
    let world = World::new();
    let (name, archive) = archives(&[(&key("bad.gz"), b"no".to_vec())]).remove(0);
    world.put(name, archive);
    let keep = ["--duplicates", "keep"];
    world.convert(&keep).exits(1);

    let asked = [&keep[..], &["--retry", "quarantined"]].concat();
    assert_eq!(world.convert(&asked).exits(0).report().units, 0);
    world.verify(&keep).exits(0);
}
