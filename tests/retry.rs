//! What was set aside is not set aside for ever.

use crate::support::{World, key, record, record_with, records};
use serde_json::json;
use std::fs;

/// A lake with a good object and one that is set aside for its size; the limit that lets it pass.
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
