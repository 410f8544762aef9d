//! Containers of every kind, and what they may cost: caps, memory, the quarantine.

use crate::support::{
    FOLDER, World, envelope, gzip, key, program, record, record_with, records, tar, wait, zip,
};
use serde_json::json;
use std::fs;
use std::io::Write;

/// A member's name in the layout of a bucket.
fn member(n: u64) -> String {
    format!("{FOLDER}/{n}.json")
}

/// A zip of which each member's header says another method, flags and sizes than its bytes have.
fn patched_zip(method: u16, flags: u16) -> Vec<u8> {
    let name = member(0);
    let mut bytes = zip(&[(&name, envelope(&records(0..3)))]);
    for (signature, at) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let start = memchr::memmem::find(&bytes, signature).unwrap() + at;
        bytes[start] |= flags as u8;
        bytes[start + 2..start + 4].copy_from_slice(&method.to_le_bytes());
    }
    bytes
}

/// The most memory that a conversion has at once, in MiB, and its report.
#[cfg(target_os = "linux")]
fn peak_of(world: &World, more: &[&str], code: i32) -> (u64, trailmill::engine::Report) {
    let child = program(world.convert_args(more)).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        // The process is a zombie, without such a line, until it is waited for.
        while let Ok(text) = fs::read_to_string(&status)
            && let Some(line) = text.lines().find(|line| line.starts_with("VmHWM"))
        {
            peak = line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024;
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        peak
    });
    let report = wait(child).exits(code).report();
    (watch.join().unwrap(), report)
}

fn quarantine_bytes(world: &World) -> u64 {
    let files = crate::support::files(&world.lake.join("_trailmill/quarantine"));
    files.iter().map(|file| fs::metadata(file).unwrap().len()).sum()
}

#[test]
fn zip_members_that_are_not_read_say_why_by_name() {
    for (method, flags, reason) in
        [(8, 1, "encrypted"), (6, 0, "Implode"), (98, 0, "PPMd"), (4711, 0, "method 4711")]
    {
        let world = World::new();
        world.put("logs.zip", patched_zip(method, flags));
        world.put_records(&key("good.json.gz"), &[record(9)]);

        let report = world.convert(&[]).exits(1).report();

        assert_eq!((report.objects_quarantined, report.records_written), (1, 1), "{reason}");
        let [entry] = &world.quarantine()[..] else { panic!("{:?}", world.quarantine()) };
        assert!(entry.reason.contains(reason), "{}", entry.reason);
        assert!(entry.object.contains("logs.zip!/"), "{}", entry.object);
        assert_eq!(world.verify(&[]).exits(1).json()["objects_not_read"], 1);
    }
}

#[test]
fn objects_packed_with_what_is_not_read_say_so_instead_of_being_ignored() {
    for (bytes, name) in [
        (&b"\x28\xb5\x2f\xfd\x04\x00"[..], "Zstandard"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0\0", "XZ"),
        (b"\x04\x22\x4d\x18\x64", "LZ4"),
        (&gzip(b"Rar!\x1a\x07\x01\0"), "RAR"),
    ] {
        let world = World::new();
        world.put("odd.json.gz", bytes);

        let report = world.convert(&[]).exits(1).report();

        assert_eq!(report.objects_quarantined, 1);
        assert!(world.quarantine()[0].reason.contains(name), "{:?}", world.quarantine());
    }
}

#[test]
fn padding_after_gzip_is_passed_over_and_counted() {
    let (one, two) = (gzip(&envelope(&records(0..3))), gzip(&envelope(&records(3..5))));
    let world = World::new();
    world.put(&key("zeros.json.gz"), [&one[..], &[0; 4096]].concat());
    world.put(&key("line.json.gz"), [&two[..], b"\r\n"].concat());
    let between = [&gzip(&envelope(&records(5..7)))[..], &[0; 512], &gzip(b"\n")].concat();
    world.put(&key("between.json.gz"), between);
    let name = member(0);
    let packed = gzip(&tar(&[(&name, envelope(&records(7..9)))]));
    world.put("logs.tar.gz", [&packed[..], &[0; 1024]].concat());
    world.put_records(&key("plain.json.gz"), &records(9..10));

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.records_written, report.objects_padded), (10, 4));
    world.is_proved(&[]);
}

#[test]
fn other_bytes_after_gzip_are_an_error_that_names_the_byte() {
    let whole = gzip(&envelope(&records(0..3)));
    for (trailing, at) in [(&b"oops"[..], 0), (b"\0\0\0oops", 3), (b"{\"Records\":[]}", 0)] {
        let world = World::new();
        world.put(&key("bad.json.gz"), [&whole[..], trailing].concat());

        world.convert(&[]).exits(1);

        let [entry] = &world.quarantine()[..] else { panic!("{:?}", world.quarantine()) };
        assert!(entry.reason.contains("followed by bytes that are not gzip"), "{}", entry.reason);
        assert_eq!(entry.error_byte, Some((whole.len() + at) as u64));
        world.is_proved(&[]);
    }
}

#[test]
fn what_follows_the_end_of_an_archive_is_not_lost_without_a_word() {
    let names = [member(0), member(1)];
    let one = tar(&[(&names[0], envelope(&records(0..3)))]);
    let two = tar(&[(&names[1], envelope(&records(3..5)))]);
    for (file, bytes, wanted) in [
        ("two.tar", [&one[..], &two].concat(), (5, 0)),
        ("two.tar.gz", [gzip(&one), gzip(&two)].concat(), (5, 0)),
        ("oops.tar.gz", [&gzip(&one)[..], b"oops"].concat(), (3, 1)),
        ("oops.tar", [&one[..], b"oops"].concat(), (3, 1)),
    ] {
        let world = World::new();
        world.put(file, bytes);

        let report = world.convert(&[]).exits(wanted.1).report();

        let got = (report.records_written, report.objects_quarantined as i32);
        assert_eq!(got, wanted, "{file}");
        world.is_proved(&[]);
    }
}

#[test]
fn caps_hold_for_members_of_archives_as_for_objects() {
    let name = member(0);
    let large = [&envelope(&records(0..3))[..], &vec![b' '; 4 << 20]].concat();
    for (file, bytes) in [
        ("a.zip", zip(&[(&name, large.clone())])),
        ("a.tar.gz", gzip(&tar(&[(&name, large.clone())]))),
        ("a.tar", tar(&[(&name, large.clone())])),
    ] {
        let is_packed = file != "a.tar";
        for (option, value, is_over) in [
            ("--max-object-size", "1MB", true),
            ("--max-ratio", "20", is_packed),
            ("--max-ratio", "2000", false),
        ] {
            let world = World::new();
            world.put(file, &bytes);

            let report = world.convert(&[option, value]).exits(i32::from(is_over)).report();

            let wanted = if is_over { (1, 0) } else { (0, 3) };
            let got = (report.objects_quarantined, report.records_written);
            assert_eq!(got, wanted, "{file} {option} {value}");
            let said = world.quarantine().iter().all(|entry| entry.reason.contains(option));
            assert!(said, "{file} {option} {value}: {:?}", world.quarantine());
        }
    }
}

#[test]
fn the_quarantine_keeps_the_first_bytes_of_what_is_large_and_its_hash() {
    let world = World::new();
    let text = [&b"{\"Records\":{"[..], &vec![b' '; 20 << 20], b"}}"].concat();
    world.put(&key("large.json"), &text);
    world.put(&key("packed.json.gz"), gzip(&text));

    world.convert(&["--max-ratio", "2000"]).exits(1);

    let entries = world.quarantine();
    let plain = entries.iter().find(|entry| entry.object.ends_with("large.json")).unwrap();
    assert_eq!((plain.length, plain.raw_length), (text.len() as u64, 16 << 20));
    assert_eq!(plain.sha256.as_ref().map(String::len), Some(64));
    assert_eq!(quarantine_bytes(&world) >> 20, 16, "what is packed is kept as it is stored");
}

#[test]
fn very_many_bad_records_share_an_entry_and_are_counted() {
    let world = World::new();
    let text = format!("{{\"Records\":[{},1{}]}}", record(0), ",null".repeat(30_000));
    world.put(&key("bad.json.gz"), gzip(text.as_bytes()));

    let report = world.convert(&[]).exits(1).report();

    assert_eq!((report.records_written, report.records_quarantined), (1, 30_001));
    assert_eq!(report.quarantined_by_reason.values().sum::<u64>(), 30_001);
    let entries = world.quarantine();
    assert!(entries.len() < 10_100, "{}", entries.len());
    assert_eq!(entries.iter().map(|entry| entry.records).sum::<u64>(), 30_001);
    world.is_proved(&[]);
}

#[test]
fn a_large_object_becomes_several_files_with_every_record_whatever_the_threads() {
    let lines: Vec<String> = (0..60_000)
        .map(|n| {
            format!("{{\"eventVersion\":\"1\",\"eventTime\":\"2024-05-01T00:00:{:02}Z\"}}", n % 60)
        })
        .collect();
    let mut lakes = Vec::new();
    for threads in ["1", "3"] {
        let world = World::new();
        world.put(&key("a.json.gz"), gzip(lines.join("\n").as_bytes()));
        world.put_records(&key("b.json.gz"), &records(0..5));

        let report =
            world.convert(&["--threads", threads, "--max-ratio", "2000"]).exits(0).report();

        assert_eq!((report.objects_read, report.records_written), (2, 60_005));
        let manifests = world.manifests();
        let counts: Vec<u64> =
            manifests.iter().flat_map(|m| &m.objects).map(|object| object.tally.written).collect();
        assert_eq!(counts, [60_000, 5], "an object has one line, however many parts it had");
        let names = |file: &String| file.contains("-1000.parquet");
        assert!(world.data_files().iter().any(names), "{:?}", world.data_files());
        if threads == "1" {
            world.is_proved(&[]);
        }
        let files = world.data_files();
        let name = |file: &String| file.rsplit('-').next().map(str::to_owned);
        lakes.push(files.iter().map(name).collect::<Vec<_>>());
    }
    assert_eq!(lakes[0], lakes[1]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_near_the_budget_whatever_a_small_archive_unpacks_to() {
    let spaces = vec![b' '; 48 << 20];
    let (a, b) = (member(0), member(1));
    let bomb = zip(&[(&a, spaces.clone()), (&b, spaces.clone())]);
    // Indented JSON of one object: no usual boundary between its records.
    let mut amid = b"{\"Records\":[".to_vec();
    for n in 0..48 {
        amid.extend(record_with(n, "requestParameters", json!({"n": n})).to_string().bytes());
        amid.extend([&vec![b' '; 1 << 20][..], if n < 47 { b"," } else { b"]}" }].concat());
    }
    let nulls = format!("{{\"Records\":[{}null]}}", "null,".repeat(400_000));
    for (file, bytes, most, code) in [
        // The program itself, a worker's buffers, and the one large object.
        ("bomb.zip", bomb, 110, 1),
        ("amid.json.gz", gzip(&amid), 110 + 48, 0),
        ("nulls.json.gz", gzip(nulls.as_bytes()), 200, 1),
    ] {
        let world = World::new();
        world.put(file, bytes);

        let options = ["--memory", "64MB", "--threads", "1", "--max-ratio"];
        let ratio = if file == "bomb.zip" { "400" } else { "5000" };
        let (peak, _) = peak_of(&world, &[&options[..], &[ratio]].concat(), code);

        println!("{file}: {peak} MiB");
        assert!(peak < most, "{file}: {peak} MiB");
        assert!(quarantine_bytes(&world) < 17 << 20, "{file}");
    }
}

#[test]
fn a_zip_with_many_members_is_read_once() {
    let world = World::new();
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for n in 0..3000 {
        writer.start_file(member(n), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&envelope(&[record(n)])).unwrap();
    }
    world.put("many.zip", writer.finish().unwrap().into_inner());

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.objects_read, report.records_written), (3000, 3000));
}

/// One record that gzip makes a hundredth of.
fn repetitive() -> Vec<u8> {
    let long = "a".repeat(1_200_000);
    envelope(&[record_with(1, "userAgent", json!(long))])
}

#[test]
fn verify_sets_aside_what_is_over_the_ratio_as_the_converter_does_and_takes_another_ratio() {
    let text = repetitive();
    let (plain, packed) = (("a.json", text.clone()), ("a.json.gz", gzip(&text)));
    for (name, bytes) in [
        (key("a.json.gz"), gzip(&text)),
        ("plain.zip".to_owned(), zip(std::slice::from_ref(&plain))),
        ("packed.zip".to_owned(), zip(std::slice::from_ref(&packed))),
        ("packed.tar".to_owned(), tar(std::slice::from_ref(&packed))),
        ("plain.tgz".to_owned(), gzip(&tar(std::slice::from_ref(&plain)))),
        ("packed.tgz".to_owned(), gzip(&tar(&[packed]))),
    ] {
        let world = World::new();
        world.put(&name, bytes);
        world.put_records(&key("good.json.gz"), &[record(2)]);
        let low = ["--max-ratio", "20"];
        assert_eq!(world.convert(&low).exits(1).report().objects_quarantined, 1, "{name}");
        let report = world.verify(&low).exits(0).json();
        assert_eq!(report["objects_quarantined"], 1, "{name}");
        world.verify(&["--max-ratio", "5000"]).exits(1);

        let report = world.convert(&["--max-ratio", "5000"]).exits(0).report();

        assert_eq!(report.records_written, 1, "{name}");
        world.verify(&low).exits(1);
        world.verify(&["--max-ratio", "5000"]).exits(0);
    }
}
