//! What a copy is: records that come again in the same object, in another one, or written differently.

use crate::array::{array, finish, plan};
use crate::support::{World, assert_same, envelope, files, gzip, key, program, record, tar, wait};
use serde::Serialize;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant, SystemTime};
use trailmill::engine::Report;
use trailmill::lake::Tally;

/// The `n`th made-up record, without an event id.
fn nameless(n: u64) -> Value {
    let mut record = record(n);
    record.as_object_mut().unwrap().remove("eventID");
    record
}

/// Records with an event id and without; of the latter, two pairs are equal.
fn mixed(count: u64) -> Vec<Value> {
    let mut all: Vec<Value> = (0..count).map(record).collect();
    all.extend((100..100 + count).map(nameless));
    all.extend([nameless(100), nameless(101)]);
    all
}

fn lines(records: &[Value]) -> Vec<u8> {
    records.iter().map(|record| format!("{record}\n")).collect::<String>().into_bytes()
}

fn touch(world: &World) {
    for path in files(&world.logs) {
        let later = SystemTime::now() + Duration::from_secs(60);
        fs::File::options().write(true).open(path).unwrap().set_modified(later).unwrap();
    }
}

fn counts(report: &Report) -> (u64, u64) {
    (report.records_written, report.records_duplicate)
}

#[track_caller]
fn converts(world: &World, more: &[&str], written: u64, duplicate: u64) {
    let report = world.convert(more).exits(0).report();
    assert_eq!(counts(&report), (written, duplicate), "written and duplicate");
    let rule: Vec<&str> = more.iter().copied().skip_while(|arg| *arg != "--duplicates").collect();
    world.is_proved(&rule);
}

#[test]
fn an_object_that_is_touched_doubles_nothing_with_an_event_id_or_without() {
    for name in ["a.json", "a.json.gz", "a.tar"] {
        for rule in ["drop", "keep"] {
            let world = World::new();
            let object = envelope(&mixed(10));
            let object = match name {
                "a.tar" => tar(&[("x.json", object), ("y.json", lines(&[nameless(100)]))]),
                "a.json.gz" => gzip(&object),
                _ => object,
            };
            world.put(name, object);
            let count = if name == "a.tar" { 23 } else { 22 };
            converts(&world, &["--duplicates", rule], count, 0);

            for _ in 0..2 {
                touch(&world);
                converts(&world, &["--duplicates", rule], 0, count);
            }
        }
    }
}

#[test]
fn of_an_object_that_grew_only_what_is_new_is_written() {
    let world = World::new();
    world.put("a.json", lines(&mixed(5)));
    world.put("b.tar", tar(&[("x.json", lines(&mixed(5)))]));
    world.put_records("c.json.gz", &[nameless(1)]);
    // Those with an event id are the same in both.
    converts(&world, &[], 5 + 7 + 7 + 1, 5);

    // One more of what is there twice, in front of it; one more of what is there once; new ones.
    let grown = [vec![nameless(100), nameless(102)], mixed(5), vec![nameless(500)]].concat();
    world.put("a.json", lines(&grown));
    let members = [("w.json", lines(&[nameless(100)])), ("x.json", lines(&mixed(5)))];
    world.put("b.tar", tar(&members));
    world.put_records("c.json.gz", &[nameless(2), nameless(1), nameless(1)]);

    converts(&world, &[], 3 + 1 + 2, 12 + 12 + 1);
}

#[test]
fn equal_records_without_an_event_id_stay_in_one_object_and_in_two() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &[nameless(1), nameless(1), nameless(1)]);
    world.put_records(&key("b.json.gz"), &[nameless(1), nameless(2)]);
    world.put("c.json", [envelope(&[nameless(1)]), envelope(&[nameless(1)])].concat());
    let member = || ("x.json", envelope(&[nameless(1)]));
    world.put("d.tar", tar(&[member(), member()]));
    converts(&world, &["--unit-size", "1kB"], 9, 0);

    world.put_records(&key("e.json.gz"), &[nameless(1), nameless(2)]);

    converts(&world, &["--unit-size", "1kB"], 2, 0);
    touch(&world);
    converts(&world, &["--unit-size", "1kB"], 0, 11);
}

/// Nothing tells a moved object from a second one with the same records.
#[test]
fn a_moved_object_is_another_object_to_records_without_an_event_id() {
    let world = World::new();
    let before = world.put_records("before.json", &[record(1), nameless(2)]);
    converts(&world, &[], 2, 0);
    let after = world.logs.join("after.json");
    fs::rename(&before, &after).unwrap();

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(counts(&report), (1, 1));
    let found = world.verify(&[]).exits(1).json();
    assert_eq!((&found["records_missing"], &found["records_unexpected"]), (&0.into(), &1.into()));
    // Back at its place it is what it was.
    fs::rename(after, before).unwrap();
    touch(&world);
    assert_eq!(counts(&world.convert(&[]).exits(0).report()), (0, 2));
}

#[test]
fn plans_find_what_earlier_versions_of_an_object_had() {
    for rule in ["drop", "keep"] {
        let world = World::new();
        let parts = ["--children", "2", "--unit-size", "1kB", "--duplicates", rule];
        let planned = |written, duplicate| {
            plan(&world, &parts).exits(0);
            array(&world, 2);
            let report = finish(&world, &[]).exits(0).report();
            assert_eq!(counts(&report), (written, duplicate), "{rule}");
            world.is_proved(&["--duplicates", rule]);
        };
        world.put_records("a.json", &mixed(10));
        world.put_records("b.json", &[nameless(100), nameless(100)]);
        planned(24, 0);

        touch(&world);
        world.put_records("b.json", &[nameless(100), nameless(101), nameless(100)]);
        planned(1, 24);
        touch(&world);
        converts(&world, &["--unit-size", "1kB", "--duplicates", rule], 0, 25);
    }
}

#[test]
fn a_lake_that_kept_copies_is_known_to_a_run_that_drops_them() {
    let world = World::new();
    world.put_records("a.json", &[record(1), nameless(2)]);
    converts(&world, &["--duplicates", "keep"], 2, 0);
    world.put_records("b.json", &[record(1), nameless(2)]);

    converts(&world, &[], 1, 1);
}

#[test]
fn a_run_over_new_versions_may_be_killed_at_any_instant() {
    let world = World::new();
    let args = ["--unit-size", "10kB", "--partition-by", "region"];
    let name = |n: u64| key(&format!("{n:02}.json.gz"));
    let put = |more: u64| {
        for n in 0..12 {
            let mut all: Vec<Value> = (n..n + 10).map(nameless).collect();
            all.extend((0..more).flat_map(|_| [nameless(n), nameless(500 + n)]));
            world.put_records(&name(n), &all);
        }
    };
    put(0);
    world.convert(&args).exits(0);
    let first = World::new();
    crate::support::copy_folder(&world.lake, &first.lake);
    put(3);
    let started = Instant::now();
    converts(&world, &args, 12 * 6, 12 * 10);
    let took = started.elapsed();
    let undisturbed = world.snapshot();

    for round in 0..10_u32 {
        world.remove_lake();
        crate::support::copy_folder(&first.lake, &world.lake);
        let mut killed = program(world.convert_args(&args)).spawn().unwrap();
        std::thread::sleep(took * (2 * round + 1) / 20);
        let _ = killed.kill();
        wait(killed);

        world.convert(&args).exits(0);

        assert_same(&undisturbed, &world.snapshot(), &format!("round {round}"));
    }
}

/// What `jq .`, an editor or another program makes of a record.
fn spaced(record: &Value, form: &str) -> String {
    let text = serde_json::to_string_pretty(record).unwrap();
    match form {
        "jq ." => text,
        "jq --tab ." => {
            let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
            let mut out = Vec::new();
            record
                .serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
                .unwrap();
            String::from_utf8(out).unwrap()
        }
        "lines end as on Windows" => text.replace('\n', "\r\n"),
        "spaces after separators" => {
            text.lines().map(str::trim_start).collect::<Vec<_>>().join(" ")
        }
        "compact" => record.to_string(),
        _ => panic!("{form}"),
    }
}

const FORMS: [&str; 5] =
    ["jq .", "jq --tab .", "lines end as on Windows", "spaces after separators", "compact"];

/// Records with everything that whitespace could stand beside, and inside.
fn with_spaces() -> Vec<Value> {
    let mut one = record(1);
    one["userAgent"] = "a  b\t\"c\" \\".into();
    one["requestParameters"] =
        serde_json::json!({"a": [], "b": {}, "c": [1, -2.5e3, true, null, " "]});
    vec![one, record(2), record(3)]
}

#[test]
fn whitespace_outside_strings_makes_no_other_record() {
    for first in FORMS {
        let world = World::new();
        let own: Vec<String> = with_spaces().iter().map(|record| spaced(record, first)).collect();
        world.put("first.json", own.join("\n"));
        converts(&world, &[], 3, 0);
        for (n, form) in FORMS.iter().enumerate() {
            let records: Vec<String> =
                with_spaces().iter().map(|record| spaced(record, form)).collect();
            world.put(&format!("{n}-alone.json"), records.join("\n"));
            let array = format!("{{ \"Records\" : [ {} ] }}", records.join(" ,\n"));
            world.put(&format!("{n}-array.json"), array);
        }

        converts(&world, &["--unit-size", "1kB"], 0, 30);
    }
}

#[test]
fn a_reformatted_object_doubles_no_record_without_an_event_id() {
    let world = World::new();
    let all = [nameless(1), nameless(1), nameless(2), record(3)];
    world.put("a.json", lines(&all));
    converts(&world, &[], 4, 0);
    for form in FORMS {
        let texts: Vec<String> = all.iter().map(|record| spaced(record, form)).collect();
        world.put("a.json", texts.join("\n"));
        touch(&world);

        converts(&world, &[], 0, 4);
    }
}

#[test]
fn whitespace_inside_strings_key_order_and_escapes_make_another_record() {
    let world = World::new();
    let text = |name: &str| {
        r#"{"eventVersion":"1.09","eventID":"e-1","eventTime":"2024-05-01T00:00:00Z","#.to_owned()
            + &format!(r#""awsRegion":"us-east-1",{name}}}"#)
    };
    let all = [
        text(r#""eventName":"a b","userAgent":"c""#),
        text(r#""eventName":"a  b","userAgent":"c""#),
        text(r#""eventName":"\u0061 b","userAgent":"c""#),
        text(r#""userAgent":"c","eventName":"a b""#),
    ];
    world.put("a.json", all.join("\n"));

    converts(&world, &[], 4, 0);
}

#[test]
fn an_equal_text_in_another_table_is_no_copy() {
    let world = World::new();
    let network = "AWSLogs/111122223333/CloudTrail-NetworkActivity/us-east-1/2024/05/01/a.json";
    world.put_records(&key("a.json"), &[record(1)]);
    world.put_records(network, &[record(1)]);

    converts(&world, &[], 2, 0);
}

/// Two records that XXH3 takes for one: in the 6th and 8th stripe of 64 bytes, 8 bytes each whose lower
/// halves give the same factor with XXH3's constants; a bit of the upper half moves from one to the other.
fn twin(bits: [char; 2]) -> String {
    let head = r#"{"eventVersion":"1.09","eventTime":"2024-05-01T00:00:00Z","eventID":"e-1","#
        .to_owned()
        + r#""awsRegion":"us-east-1","recipientAccountId":"111122223333","#
        + r#""eventSource":"madeup.amazonaws.com","eventName":"DoThing","#
        + r#""requestParameters":{"note":""#;
    let [a, b] = bits;
    let text = format!("{head:x<344}ppaax{a}xx");
    format!("{text:x<472}=<{{Mx{b}xx{}\"}}}}", "x".repeat(64))
}

#[test]
fn records_that_collide_under_a_hash_without_a_key_both_stay() {
    use xxhash_rust::xxh3::{xxh3_64, xxh3_128};
    let (one, two) = (twin(['d', 'e']), twin(['e', 'd']));
    assert_ne!(one, two);
    assert_eq!(xxh3_64(one.as_bytes()), xxh3_64(two.as_bytes()));
    assert_eq!(xxh3_128(one.as_bytes()), xxh3_128(two.as_bytes()));
    for texts in [vec![&one, &two], vec![&two, &one]] {
        let world = World::new();
        world.put("a.json", texts[0]);
        converts(&world, &[], 1, 0);
        world.put("b.json", texts[1]);

        assert_eq!(world.verify(&[]).exits(1).json()["records_missing"], 1);
        converts(&world, &[], 1, 0);
    }
}

#[test]
fn two_lakes_have_the_same_data_files_whatever_their_keys() {
    let (one, two) = (World::new(), World::new());
    one.put_records(&key("a.json.gz"), &mixed(20));
    one.put_records(&key("b.json.gz"), &mixed(25));
    let convert = |world: &World| {
        let places = [one.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
        let args = ["convert", places[0], places[1], "--quiet", "--unit-size", "5kB"];
        crate::support::run(args).exits(0);
        world.snapshot()
    };

    let (first, mut second) = (convert(&one), convert(&two));

    let is_keyed = |name: &String| name.starts_with("_trailmill/copies/");
    assert!(one.data_files().len() > 1);
    assert_ne!(fs::read(one.copy_key()).unwrap(), fs::read(two.copy_key()).unwrap());
    let differing: Vec<&String> =
        first.iter().filter(|(n, h)| second[*n] != **h).map(|(n, _)| n).collect();
    assert!(!differing.is_empty() && differing.iter().all(|name| is_keyed(name)), "{differing:?}");
    // With the key of the other, all of it is the same.
    two.remove_lake();
    fs::copy(one.copy_key(), two.copy_key()).unwrap();
    second = convert(&two);
    assert_same(&first, &second, "with the same key");
}

#[test]
fn a_key_that_is_gone_or_damaged_is_restored_and_said() {
    let world = World::new();
    world.put_records("a.json", &mixed(5));
    world.convert(&[]).exits(0);
    let key = fs::read(world.copy_key()).unwrap();
    for damage in [None, Some(""), Some("{")] {
        match damage {
            None => fs::remove_file(world.copy_key()).unwrap(),
            Some(damage) => fs::write(world.copy_key(), damage).unwrap(),
        }
        touch(&world);

        let report = world.convert(&[]).exits(0).report();

        assert_eq!(counts(&report), (0, 12));
        assert!(report.warnings.iter().any(|warning| warning.contains("restored")), "{report:?}");
        assert_eq!(fs::read(world.copy_key()).unwrap(), key);
        world.is_proved(&[]);
    }
}

#[test]
fn what_is_left_out_is_counted_by_object() {
    let world = World::new();
    world.put_records("a.json", &mixed(5));
    world.convert(&[]).exits(0);
    world.put_records("a.json", &mixed(6));
    world.convert(&[]).exits(0);

    let tallies: Vec<Tally> = world
        .manifests()
        .iter()
        .flat_map(|unit| &unit.objects)
        .map(|object| object.tally)
        .collect();

    assert_eq!(tallies.len(), 2);
    assert!(tallies.iter().all(Tally::balances));
    assert_eq!((tallies[1].written, tallies[1].duplicate), (2, 12));
}
