//! Files whose reading breaks off: what the kernel lets a run open and does not let it read.

use crate::support::{World, key, record, records};
use std::fs;
use std::os::unix::fs::symlink;

/// Can be opened, and every read of its beginning fails with EIO.
const BREAKS: &str = "/proc/self/mem";

/// Good objects with breaking ones among them.
fn with_breaking(names: &[String]) -> World {
    let world = World::new();
    for n in 0..6 {
        world.put_records(&key(&format!("{n}.json.gz")), &[record(n)]);
    }
    for name in names {
        // Made, so that its folder is there.
        let path = world.put(name, "");
        fs::remove_file(&path).unwrap();
        symlink(BREAKS, path).unwrap();
    }
    world
}

#[test]
fn a_file_whose_reading_breaks_off_is_left_out_and_tried_again() {
    for units in [&[][..], &["--unit-size", "1"]] {
        let odd = key("3-breaks.json.gz");
        let world = with_breaking(std::slice::from_ref(&odd));

        let first = world.convert(units).exits(1).report();

        assert_eq!((first.objects_unavailable, first.records_written), (1, 6));
        assert_eq!(first.objects_read, 6);
        assert!(world.leftovers().is_empty());
        let listed = world.quarantine();
        assert!(listed[0].object.ends_with(&odd) && listed[0].reason.contains("os error"));
        let again = world.convert(units).exits(1).report();
        assert_eq!((again.objects_unavailable, again.units), (1, 0));
        fs::remove_file(&listed[0].object).unwrap();
        world.put_records(&odd, &records(10..15));
        assert_eq!(world.convert(units).exits(0).report().records_written, 5);
        assert!(world.quarantine().is_empty());
        world.verify(&[]).exits(0);
    }
}

#[test]
fn very_many_files_whose_reading_breaks_off_do_not_stop_the_others() {
    let names: Vec<String> = (0..30).map(|n| key(&format!("{}-breaks-{n}.json", n % 6))).collect();
    let world = with_breaking(&names);

    let report = world.convert(&["--unit-size", "1"]).exits(1).report();

    assert_eq!((report.objects_unavailable, report.records_written), (30, 6));
    assert_eq!(world.quarantine().len(), 30);
}

#[test]
fn an_archive_whose_reading_breaks_off_is_no_damaged_one() {
    for name in ["more.zip", "more.tar", "more.tgz"] {
        let world = with_breaking(&[name.to_owned()]);

        let report = world.convert(&[]).exits(1).report();

        assert_eq!((report.objects_unavailable, report.objects_quarantined), (1, 0), "{name}");
        assert_eq!(report.records_written, 6, "{name}");
        assert_eq!(world.convert(&[]).exits(1).report().units, 0, "{name}");
    }
}

#[test]
fn a_run_that_can_read_nothing_ends_with_3_and_strict_refuses() {
    let world = World::new();
    symlink(BREAKS, world.logs.join("a.json")).unwrap();
    for _ in 0..2 {
        let said = world.convert(&[]).exits(3).stderr;
        assert!(said.contains("os error"), "{said}");
    }
    assert!(world.manifests().iter().all(|manifest| manifest.objects.is_empty()));

    let world = with_breaking(&[key("b.json")]);
    world.convert(&["--strict"]).exits(3);
    assert!(world.manifests().is_empty());
}
