//! Logs in everything that people keep them in: compressed, archived, nested, encrypted, in another encoding.
//! Whatever is read is proved.

use crate::packing::{
    bzip2, locked_aes_zip, locked_sevenz, locked_zip, lzip, lzma, lzma_member, raw_sevenz, raw_zip,
    sevenz, stored_deflate, utf16, xz, zip_with, zstd,
};
use crate::support::{World, envelope, gzip, key, record, records, tar, zip};
use sevenz_rust2::EncoderMethod;
use zip::CompressionMethod;

/// An object with the `n`th pair of records.
fn logs(n: u64) -> Vec<u8> {
    envelope(&records(2 * n..2 * n + 2))
}

/// Converts objects, of which the nth holds the nth pair of records, and proves the lake.
#[track_caller]
fn all_are_read(objects: &[(String, Vec<u8>)], more: &[&str]) {
    let world = World::new();
    for (name, bytes) in objects {
        world.put(name, bytes);
    }

    let run = world.convert(more);

    let report = run.report();
    let read: Vec<String> = world
        .manifests()
        .iter()
        .flat_map(|manifest| &manifest.objects)
        .filter(|object| object.tally.written > 0)
        .map(|object| object.key.clone())
        .collect();
    let wanted = 2 * objects.len() as u64;
    assert_eq!(report.records_written, wanted, "{:?}\n{read:#?}", report.quarantined_by_reason);
    assert_eq!(run.code, 0, "{}", run.stderr);
    world.is_proved(more);
}

#[test]
fn every_compressed_stream_is_read_whatever_its_ending() {
    let packs = [gzip, zstd, bzip2, xz, lzma];
    let mut objects: Vec<(String, Vec<u8>)> = Vec::new();
    for (n, pack) in (0..).zip(packs) {
        objects.push((key(&format!("{n}.json.gz")), pack(&logs(n))));
    }
    objects.push(("export-of-may".to_owned(), zstd(&logs(5))));
    objects.push(("twice.gz".to_owned(), gzip(&gzip(&logs(6)))));
    objects.push(("five.log".to_owned(), xz(&zstd(&lzma(&bzip2(&gzip(&logs(7))))))));
    let halves: Vec<Vec<u8>> = (16..18).map(|n| envelope(&[record(n)])).collect();
    objects.push(("halves.zst".to_owned(), [zstd(&halves[0]), zstd(&halves[1])].concat()));
    let padded = [&bzip2(&logs(9))[..], &[0; 512], b"\r\n\x1a"].concat();
    objects.push(("padded.bz2".to_owned(), padded));
    let halves: Vec<Vec<u8>> = (20..22).map(|n| envelope(&[record(n)])).collect();
    let members = [&lzip(&halves[0])[..], &[0; 9], &lzip(&halves[1]), b"\n"].concat();
    objects.push(("members.lz".to_owned(), members));
    objects.push(("both.lz".to_owned(), gzip(&lzip(&logs(11)))));
    all_are_read(&objects, &[]);
}

#[test]
fn every_archive_is_read_whatever_its_ending() {
    let text = |n: u64| vec![(NAME, logs(n))];
    let mut objects: Vec<(String, Vec<u8>)> = Vec::new();
    for (n, (ending, pack)) in (0..).zip([
        ("tar.gz", gzip as fn(&[u8]) -> Vec<u8>),
        ("tar.zst", zstd),
        ("tar.bz2", bzip2),
        ("tar.xz", xz),
        ("json.gz", gzip),
        ("json", |bytes| bytes.to_vec()),
        ("log", |bytes| xz(&zstd(bytes))),
    ]) {
        objects.push((format!("a{n}.{ending}"), pack(&tar(&text(n)))));
    }
    for (n, method) in (7..).zip([
        CompressionMethod::Stored,
        CompressionMethod::Deflated,
        CompressionMethod::Bzip2,
        CompressionMethod::Zstd,
    ]) {
        objects.push((format!("b{n}.zip"), zip_with(method, &text(n))));
    }
    objects.push(("c.zip".to_owned(), raw_zip(NAME, 9, &stored_deflate(&logs(11)), &logs(11))));
    objects.push(("d.zip".to_owned(), raw_zip(NAME, 14, &lzma_member(&logs(12)), &logs(12))));
    objects.push(("e.zip".to_owned(), raw_zip(NAME, 95, &xz(&logs(13)), &logs(13))));
    for (n, method) in (14..).zip([
        EncoderMethod::COPY,
        EncoderMethod::LZMA,
        EncoderMethod::LZMA2,
        EncoderMethod::BZIP2,
        EncoderMethod::PPMD,
        EncoderMethod::ZSTD,
    ]) {
        objects.push((format!("f{n}.7z"), sevenz(method, &text(n))));
    }
    for (n, method) in (25..).zip([EncoderMethod::DEFLATE, EncoderMethod::BROTLI]) {
        objects.push((format!("f{n}.7z"), sevenz(method, &text(n))));
    }
    objects.push(("a.tar.lz".to_owned(), lzip(&tar(&text(27)))));
    let deflated = logs(28);
    objects.push(("g.7z".to_owned(), raw_sevenz(NAME, &stored_deflate(&deflated), &deflated)));
    objects.push(("zip-as.json".to_owned(), zip(&text(20))));
    objects.push(("zip-in.gz".to_owned(), gzip(&zip(&text(21)))));
    objects.push(("plain.zip".to_owned(), logs(22)));
    objects.push(("gz.tar.gz".to_owned(), gzip(&logs(23))));
    let windows = "AWSLogs\\111122223333\\CloudTrail\\us-east-1\\2024\\05\\01\\a.json";
    objects.push(("windows.zip".to_owned(), zip(&[(windows, logs(24))])));
    all_are_read(&objects, &[]);
}

const NAME: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01/a.json";

#[test]
fn archives_are_read_in_each_other_up_to_five_levels() {
    let mut deep = logs(0);
    for level in 0..5 {
        deep = match level {
            0 => tar(&[("a.json.gz", gzip(&deep))]),
            1 => zip(&[("b.tar", deep)]),
            2 => gzip(&tar(&[("c.zip", deep)])),
            3 => sevenz(EncoderMethod::LZMA2, &[("d.tar.gz", deep)]),
            _ => zstd(&tar(&[("e.7z", deep)])),
        };
    }
    let hidden = zip(&[("no-ending", gzip(&tar(&[("a.json", logs(1))])))]);
    let in_zips = zip(&[("x.zip", zip(&[("y.zip", zip(&[("a.json", logs(2))]))]))]);
    let objects = [("deep.tar.zst", deep.clone()), ("l.zip", hidden), ("zips.zip", in_zips)];
    let objects = objects.map(|(name, bytes)| (name.to_owned(), bytes));
    all_are_read(&objects, &[]);

    let world = World::new();
    world.put("deeper.zip", zip(&[("deep.tar.zst", deep)]));
    world.put_records(&key("good.json.gz"), &[record(9)]);
    let report = world.convert(&[]).exits(1).report();
    assert_eq!((report.records_written, report.objects_quarantined), (1, 1));
    assert!(world.quarantine()[0].reason.contains("5 levels"), "{:?}", world.quarantine());
    world.is_proved(&[]);
}

#[test]
fn hidden_members_are_counted_and_read_on_request() {
    let world = World::new();
    let inner = zip(&[("_case/d.json", logs(2)), ("_trailmill/e.json", logs(3))]);
    let hidden = [(".evidence/a.json", logs(0)), ("_b/c.zip", inner.clone())];
    world.put("a.tar.gz", gzip(&tar(&hidden)));
    world.put("b.json", zip(&[("._x.json", logs(1)), ("x.json", envelope(&[record(9)]))]));

    let report = world.convert(&[]).exits(0).report();
    assert_eq!((report.records_written, report.members_hidden), (1, 3));
    world.is_proved(&[]);
    let report = world.convert(&["--hidden"]).exits(0).report();
    assert_eq!(report.records_written, 6, "another option is another attempt");
    assert_eq!((report.records_duplicate, report.members_hidden), (1, 0), "a lake's own are not");
    world.is_proved(&["--hidden"]);
    assert_eq!(world.convert(&[]).exits(0).report().units, 0);

    let other = World::new();
    other.put("a.tar", tar(&hidden));
    let ended = other.convert(&[]).exits(1);
    assert_eq!(ended.report().members_hidden, 2);
    assert!(ended.stderr.contains("no log was found in the archives"), "{}", ended.stderr);
}

#[test]
fn equal_records_without_an_id_in_archives_in_an_archive_are_different_events() {
    let mut bare = record(1);
    bare.as_object_mut().unwrap().shift_remove("eventID");
    let text = envelope(&[bare]);
    let inner = gzip(&tar(&[("a.json", text.clone()), ("a.json", text)]));
    let world = World::new();
    world.put("x.tar", tar(&[("i.gz", inner.clone()), ("i.gz", inner)]));

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.records_written, report.records_duplicate), (4, 0));
    world.is_proved(&[]);
}

#[test]
fn encrypted_archives_are_named_and_read_with_a_password() {
    let world = World::new();
    let member = |n| vec![("a.json", logs(n))];
    world.put("old.zip", locked_zip("one", &member(0)));
    world.put("new.7z", locked_sevenz("two", &member(1)));
    world.put("strong.zip", locked_aes_zip("three", &member(2)));

    let report = world.convert(&[]).exits(1).report();
    assert_eq!((report.records_written, report.objects_quarantined), (0, 3));
    for entry in world.quarantine() {
        assert!(entry.reason.contains("--archive-password-file"), "{}", entry.reason);
    }
    let verified = world.verify(&[]).exits(1).json();
    assert_eq!(verified["objects_not_read"], 3, "what is encrypted may hold anything");

    let file = world.root.join("passwords");
    let option = ["--archive-password-file", file.to_str().unwrap()];
    std::fs::write(&file, "wrong\n").unwrap();
    world.convert(&option).exits(1);
    assert!(world.quarantine()[0].reason.contains("no password"), "{:?}", world.quarantine());
    std::fs::write(&file, "wrong\ntwo\none\nthree\n").unwrap();
    let report = world.convert(&option).exits(0).report();
    assert_eq!(report.records_written, 6, "another password is another attempt");
    world.is_proved(&option);
    for entry in crate::support::files(&world.lake.join("_trailmill")) {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(memchr::memmem::find(&bytes, b"wrong\ntwo").is_none(), "{}", entry.display());
    }
    std::fs::write(&file, "\n").unwrap();
    assert!(world.convert(&option).exits(2).stderr.contains("no password"));
}

#[test]
fn text_in_other_encodings_and_with_marks_and_separators_is_read() {
    let line = |n: u64| record(n).to_string();
    let pair = |n: u64| (line(2 * n), line(2 * n + 1));
    let mark = "\u{feff}";
    let mut objects = vec![
        ("u16.json".to_owned(), utf16(&logs(0), true)),
        ("u16-bare.json".to_owned(), utf16(&logs(1), false)),
        ("u16.json.gz".to_owned(), gzip(&utf16(&logs(2), true))),
    ];
    for (n, text) in (3..).zip([
        (|a: &str, b: &str, m: &str| format!("{m}{a}\n{m}{b}\n")) as fn(&str, &str, &str) -> String,
        |a, b, m| format!("{m}{{\"Records\":[{a}]}}\r\n{m}{{\"Records\":[{b}]}}\r\n"),
        |a, b, _| format!("\u{1e}{a}\n\u{1e}{b}\n"),
        |a, b, _| format!("{a},{b}"),
        |a, b, _| format!("{a}\n{b}\n{}", "\0".repeat(4000)),
        |a, b, _| format!("{a}\r\n{b}\r\n\u{1a}"),
        |a, b, _| format!("{a}{b}"),
        |a, b, _| format!("[{{\"Records\":[{a}]}},\n{{\"Records\":[{b}]}}]"),
    ]) {
        let (a, b) = pair(n);
        objects.push((format!("t{n}.jsonl"), text(&a, &b, mark).into_bytes()));
    }
    all_are_read(&objects, &[]);
}

#[test]
fn parts_of_split_files_are_named_as_such() {
    let whole = gzip(&tar(&[("a.json", logs(0))]));
    let half = whole.len() / 2;
    let world = World::new();
    world.put("logs.tar.gz.aa", &whole[..half]);
    world.put("logs.tar.gz.ab", &whole[half..]);
    let zip = zip(&[("a.json", logs(1))]);
    world.put("logs.zip.001", &zip[..zip.len() - 30]);
    world.put_records(&key("good.json.gz"), &[record(9)]);

    let report = world.convert(&[]).exits(1).report();

    assert_eq!((report.records_written, report.objects_quarantined), (1, 3));
    for entry in world.quarantine() {
        assert!(entry.reason.contains("part of a split file"), "{}", entry.reason);
    }
}

#[test]
fn damage_in_a_container_costs_only_what_it_hits() {
    let good = tar(&[("a.json", logs(0)), ("b.zip", zip(&[("x.json", logs(1))])[..80].to_vec())]);
    let damaged = zip_with(CompressionMethod::Stored, &[("a.json", logs(2)), ("b.json", logs(3))]);
    let at = memchr::memmem::find(&damaged, b"eventVersion").unwrap();
    let mut bytes = damaged;
    bytes[at] = b'E';
    let world = World::new();
    world.put("a.tar", good);
    world.put("b.zip", bytes);

    let report = world.convert(&[]).exits(1).report();

    assert_eq!((report.records_written, report.objects_quarantined), (4, 2));
    world.is_proved(&[]);
}

/// Things that are not logs, and things that may be.
fn put_oddities(world: &World) {
    world.put("readme.txt", "the eventVersion is 1.08");
    world.put("old/part-0.parquet", b"PAR1\x15\x04");
    world.put("Thumbs.db", b"\xd0\xcf\x11\xe0\xa1");
    world.put("empty-list.json", br#"{"Records":[]}"#);
    world.put("hidden.tar", tar(&[(".hidden", b"{}".to_vec())]));
}

#[test]
fn what_gave_no_record_is_named_and_listed() {
    let world = World::new();
    world.put_records(&key("good.json.gz"), &[record(9)]);
    put_oddities(&world);

    let report = world.convert(&[]).exits(0).report();

    let counts: Vec<(&str, u64)> =
        report.without_records.iter().map(|(kind, all)| (&**kind, all.objects)).collect();
    let wanted = [
        ("Parquet", 1),
        ("an archive without logs", 1),
        ("an empty list of records", 1),
        ("binary data", 1),
        ("not JSON", 1),
    ];
    assert_eq!(counts, wanted);
    assert!(report.without_records["Parquet"].first[0].ends_with("old/part-0.parquet"));
    let listed = world.on_lake(&["ignored"], &[]).exits(0).text();
    assert_eq!(listed.lines().count(), 5);
    assert!(listed.contains("readme.txt: not JSON"), "{listed}");
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    world.put("notes.txt", "a note");
    let text = crate::support::run(["convert", places[0], places[1]]).exits(0).text();
    assert!(text.contains("notes.txt") && text.contains("trailmill ignored"), "{text}");
    world.is_proved(&[]);
}

#[test]
fn a_run_whose_sources_gave_nothing_is_no_success() {
    let world = World::new();
    world.put("readme.txt", "a note");
    for _ in 0..2 {
        let ended = world.convert(&[]).exits(1);
        assert!(ended.stderr.contains("CloudTrail records"), "{}", ended.stderr);
    }
    world.put_records(&key("good.json.gz"), &[record(9)]);
    world.convert(&[]).exits(0);
    let other = world.root.join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("x.txt"), "a note").unwrap();
    let args = ["convert", other.to_str().unwrap(), world.lake.to_str().unwrap(), "-q"];
    crate::support::run(args).exits(1);
}

#[test]
fn what_looks_like_cloudtrail_is_quarantined_stops_a_strict_run_and_is_not_called_equal() {
    for (name, bytes) in [
        ("unknown.json", br#"{"a":{"b":{"c":{"d":{"e":{"eventVersion":"1.08"}}}}}}"#.to_vec()),
        ("dump.txt", b"x {'eventVersion': '1.08', 'eventName': 'x'}".to_vec()),
        ("pointer.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec()),
        ("error.gz", b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>".to_vec()),
        ("packed.json.lz4", b"\x04\x22\x4d\x18\x64\x40\xa7".to_vec()),
        ("packed.json.br", b"\x1b\x00\xf8\xff\x00".to_vec()),
        ("secret.gpg", b"\x85\x01\x0c\x03\x00".to_vec()),
    ] {
        let world = World::new();
        world.put_records(&key("good.json.gz"), &[record(9)]);
        world.put(name, bytes);

        world.convert(&["--strict"]).exits(3);
        assert!(world.data_files().is_empty(), "{name}: something was committed");
        let report = world.convert(&[]).exits(1).report();

        assert_eq!((report.records_written, report.objects_quarantined), (1, 1), "{name}");
        let verified = world.verify(&[]).exits(1).json();
        assert_eq!(verified["objects_not_read"], 1, "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn bombs_of_every_kind_are_stopped_by_the_ratio() {
    let spaces = vec![b' '; 4 << 20];
    let text = [b"{\"Records\":[".to_vec(), spaces, b"]}".to_vec()].concat();
    let packs = [zstd as fn(&[u8]) -> Vec<u8>, bzip2, xz, lzma, |bytes| gzip(&gzip(bytes))];
    let world = World::new();
    for (n, pack) in packs.into_iter().enumerate() {
        world.put(&format!("{n}"), pack(&text));
        world.put(&format!("{n}.tar.x"), pack(&tar(&[("a.json", text.clone())])));
    }
    for (n, method) in [CompressionMethod::Bzip2, CompressionMethod::Zstd].into_iter().enumerate() {
        world.put(&format!("{n}.zip"), zip_with(method, &[("a.json", text.clone())]));
    }
    world.put("l.zip", raw_zip("a.json", 14, &lzma_member(&text), &text));
    for method in [EncoderMethod::LZMA2, EncoderMethod::PPMD] {
        world.put(&format!("{}.7z", method.name()), sevenz(method, &[("a.json", text.clone())]));
    }
    let inner = zip(&[("a.json", text)]);
    world.put("nested.zip", zip(&[("x.zip", inner)]));
    world.put_records(&key("good.json.gz"), &[record(9)]);

    let report = world.convert(&[]).exits(1).report();

    let reasons = &report.quarantined_by_reason;
    assert_eq!(report.records_written, 1);
    assert!(reasons.keys().all(|reason| reason.contains("--max-ratio")), "{reasons:?}");
    assert_eq!(report.objects_quarantined, 16, "{reasons:?}");
    world.is_proved(&[]);
}
