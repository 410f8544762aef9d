//! Archives behind other bytes, one behind the other, and with bytes behind them; data in forms that are not read.
//! Nothing of it is lost without a word, in `convert` and in `verify`.

use crate::packing::{sevenz, utf16, zip_with, zlib};
use crate::support::{World, envelope, gzip, key, record, records, tar, zip};
use sevenz_rust2::EncoderMethod;
use std::collections::BTreeMap;
use zip::CompressionMethod;

/// An object with the `n`th pair of records.
fn logs(n: u64) -> Vec<u8> {
    envelope(&records(2 * n..2 * n + 2))
}

/// A program, as far as anybody looks.
fn stub() -> Vec<u8> {
    let noise = (0..60_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    b"MZ\x90\0".iter().copied().chain(noise).collect()
}

fn behind(bytes: &[u8]) -> Vec<u8> {
    [&stub()[..], bytes].concat()
}

/// Converts what has the first so many pairs of records, and proves the lake.
#[track_caller]
fn all_are_read(objects: &[(&str, Vec<u8>)], pairs: u64) {
    let world = World::new();
    for (name, bytes) in objects {
        world.put(name, bytes);
    }
    let ended = world.convert(&[]);
    let report = ended.report();
    assert_eq!(report.records_written, 2 * pairs, "{:?}", report.quarantined_by_reason);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let proof = world.verify(&[]).exits(0).json();
    assert_eq!(proof["records_expected"], 2 * pairs);
    assert_eq!(proof["without_records"], serde_json::json!({}));
}

#[test]
fn self_extracting_archives_are_read() {
    let member = |n| vec![("a.json", logs(n))];
    let stored = |n| zip_with(CompressionMethod::Stored, &member(n));
    let nested = zip_with(CompressionMethod::Stored, &[("in.zip", zip(&member(8)))]);
    let http = b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\n\r\n";
    all_are_read(
        &[
            ("a.exe", behind(&zip(&member(0)))),
            ("stored.exe", behind(&stored(1))),
            ("no-ending", behind(&zip(&member(2)))),
            ("a.pyz", [&b"#!/usr/bin/env python3\n"[..], &zip(&member(3))].concat()),
            ("download.zip", [&http[..], &zip(&member(4))].concat()),
            ("in.tar", tar(&[("tools/a.exe", behind(&zip(&member(5))))])),
            ("packed.exe.gz", gzip(&behind(&stored(6)))),
            ("b.exe", behind(&sevenz(EncoderMethod::LZMA2, &member(7)))),
            ("nested.exe", behind(&nested)),
            ("tool-7z", behind(&sevenz(EncoderMethod::COPY, &member(9)))),
        ],
        10,
    );
}

#[test]
fn archives_one_behind_the_other_are_all_read() {
    let of = |n| zip(&[("a.json", logs(n))]);
    let sevenz_of = |n| sevenz(EncoderMethod::LZMA2, &[("a.json", logs(n))]);
    all_are_read(
        &[
            ("a.zip", [of(0), of(1), b"\r\n".to_vec(), of(2)].concat()),
            ("b.7z", [sevenz_of(3), sevenz_of(4)].concat()),
            ("c.exe", behind(&[of(5), of(6)].concat())),
        ],
        7,
    );
}

#[test]
fn what_follows_an_archive_is_passed_over_or_named() {
    let of = |n| zip(&[("a.json", logs(n))]);
    let sevenz_of = |n| sevenz(EncoderMethod::LZMA2, &[("a.json", logs(n))]);
    all_are_read(
        &[
            ("nul.zip", [of(0), vec![0; 700]].concat()),
            ("html.zip", [of(1), b"\n<html>session expired</html>\n".to_vec()].concat()),
            ("signed.exe", [behind(&of(2)), vec![0x30; 9000]].concat()),
            ("nul.7z", [sevenz_of(3), vec![0; 10]].concat()),
        ],
        4,
    );
    for (bytes, what) in [
        ([of(0), gzip(&logs(1))].concat(), "followed by gzip"),
        ([of(0), b"\n".to_vec(), logs(1)].concat(), "followed by JSON"),
        ([sevenz_of(0), gzip(&logs(1))].concat(), "followed by gzip"),
        ([sevenz_of(0), of(1)].concat(), "followed by another archive"),
    ] {
        let world = World::new();
        world.put("a.bin", &bytes);

        let report = world.convert(&[]).exits(1).report();

        assert_eq!((report.records_written, report.objects_quarantined), (2, 1), "{what}");
        assert!(world.quarantine()[0].reason.contains(what), "{:?}", world.quarantine());
        let proof = world.verify(&[]).json();
        assert_eq!(
            (&proof["records_missing"], &proof["objects_quarantined"]),
            (&0.into(), &1.into())
        );
    }
}

#[test]
fn zlib_lz4_and_text_of_two_bytes_a_character_are_read() {
    let lines = |n: u64| format!("host {}\nhost {}\n", record(2 * n), record(2 * n + 1));
    all_are_read(
        &[
            ("records", zlib(&logs(0))),
            ("a.zz", [zlib(&envelope(&[record(2)])), zlib(&envelope(&[record(3)]))].concat()),
            ("lz4.7z", sevenz(EncoderMethod::LZ4, &[("a.json", logs(2))])),
            ("syslog.txt", utf16(lines(3).as_bytes(), false)),
            ("space.json", utf16(&[&b"\r\n "[..], &logs(4)].concat(), false)),
        ],
        5,
    );
}

#[test]
fn what_may_hold_records_and_is_not_read_is_named_by_both() {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes).into_bytes();
    let script = [&b"#!/bin/sh\nexit\n"[..], &gzip(&tar(&[("a.json", logs(0))]))].concat();
    for (name, bytes, reason) in [
        ("a.exe", behind(b"Rar!\x1a\x07\x01\0 and more"), "RAR"),
        ("a.run", script, "script"),
        ("a.txt", base64(&logs(0)), "base64"),
        ("raw.json", br#"{"raw":"eyJldmVudFZlcnNpb24iOiIxLjA4In0="}"#.to_vec(), "base64"),
        ("a.eml", [&b"Subject: x\n\n"[..], &base64(&gzip(&logs(0)))].concat(), "base64"),
        ("a.parquet", b"PAR1\x15\0\0eventversion\0eventname\0PAR1".to_vec(), "Parquet"),
    ] {
        let world = World::new();
        world.put_records(&key("good.json.gz"), &[record(9)]);
        world.put(name, bytes);

        world.convert(&["--strict"]).exits(3);
        let report = world.convert(&[]).exits(1).report();

        assert_eq!((report.records_written, report.objects_quarantined), (1, 1), "{name}");
        assert!(world.quarantine()[0].reason.contains(reason), "{:?}", world.quarantine());
        let proof = world.verify(&[]).exits(1).json();
        assert_eq!(proof["objects_not_read"], 1, "{name}");
        assert_eq!(proof["not_read_by_reason"].as_object().unwrap().len(), 1, "{name}");
    }
}

#[test]
fn verify_counts_what_has_no_records_as_convert_does() {
    let world = World::new();
    world.put_records(&key("good.json.gz"), &[record(9)]);
    for (name, bytes) in [
        ("readme.txt", b"a note".to_vec()),
        ("more.txt", b"more".to_vec()),
        ("old/part-0.parquet", b"PAR1\x15\x04".to_vec()),
        ("lake/part-1.parquet", b"PAR1\x15eventversion trailmill.version".to_vec()),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0\xa1".to_vec()),
        ("tool.exe", stub()),
        ("empty-list.json", br#"{"Records":[]}"#.to_vec()),
        ("other.json", br#"{"configuration":[1]}"#.to_vec()),
        ("message.json", br#"{"Records":[{"eventSource":"aws:s3","s3":{}}]}"#.to_vec()),
        ("finding.json", br#"{"detail-type":"GuardDuty Finding","detail":{"x":1}}"#.to_vec()),
        ("hidden.tar", tar(&[(".hidden", b"{}".to_vec())])),
        (".DS_Store", b"x".to_vec()),
        ("_folder/a.json", logs(3)),
    ] {
        world.put(name, bytes);
    }

    let report = world.convert(&[]).exits(0).report();
    let ended = world.verify(&[]).exits(0);

    let ours: BTreeMap<String, u64> =
        report.without_records.into_iter().map(|(what, all)| (what, all.objects)).collect();
    let proof = ended.json();
    let theirs: BTreeMap<String, u64> =
        serde_json::from_value(proof["without_records"].clone()).unwrap();
    assert_eq!(theirs, ours);
    let hidden = report.listing.names_hidden + report.members_hidden;
    assert_eq!((proof["names_hidden"].as_u64(), hidden), (Some(3), 3));
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    let text = crate::support::run(["verify", places[0], places[1]]).exits(0).text();
    assert!(
        text.starts_with("Equal, beside 11 objects without records: 1 source record"),
        "{text}"
    );
    assert!(text.contains("2 not JSON") && text.contains("1 Parquet"), "{text}");
    assert!(text.contains("3 names with"), "{text}");
}

#[test]
fn verify_does_not_call_nothing_equal() {
    let world = World::new();
    world.put("readme.txt", "a note");
    world.convert(&[]).exits(1);

    let proof = world.verify(&[]).exits(1).json();

    assert_eq!(proof["without_records"], serde_json::json!({"not JSON": 1}));
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    let text = crate::support::run(["verify", places[0], places[1]]).exits(1).text();
    assert!(text.starts_with("NOTHING TO COMPARE"), "{text}");
}
