//! Input that CloudTrail never writes, or writes rarely: it costs only itself, and is accounted for.

use crate::support::{
    World, envelope, envelope_of_texts, gzip, key, record, record_text_with_request, record_with,
    records, tar,
};
use serde_json::{Value, json};
use trailmill::engine::Report;

/// A record of about a kilobyte that must survive, as text.
fn good(n: u64) -> Vec<u8> {
    record(n).to_string().into_bytes()
}

/// What became of one bad record between two good ones, with a good object beside them.
struct Outcome {
    world: World,
    object: String,
    report: Report,
}

fn convert_between_good_ones(bad: &[u8], code: i32) -> Outcome {
    let world = World::new();
    let object = envelope_of_texts(&[&good(1), bad, &good(2)]);
    let object = world.put(&key("bad.json.gz"), gzip(&object)).to_str().unwrap().to_owned();
    world.put_records(&key("good.json.gz"), &[record(3)]);
    let report = world.convert(&[]).exits(code).report();
    Outcome { world, object, report }
}

/// The record is quarantined with its place, the reason and its exact bytes; all others are written.
#[track_caller]
fn is_quarantined(bad: &[u8], reason: &str) {
    let Outcome { world, object, report } = convert_between_good_ones(bad, 1);

    let counts = (report.records_read, report.records_written, report.records_quarantined);
    assert_eq!(counts, (4, 3, 1));
    let [entry] = &world.quarantine()[..] else { panic!("{:?}", world.quarantine()) };
    assert_eq!((&entry.object, entry.record), (&object, Some(1)));
    assert_eq!(entry.byte as usize, br#"{"Records":["#.len() + good(1).len() + 1);
    assert!(entry.reason.contains(reason), "{}", entry.reason);
    assert_eq!(world.raw(0), bad);
    world.is_proved(&[]);
}

/// The record is odd, but is written and proved like any other.
#[track_caller]
fn is_written(odd: &[u8]) {
    let Outcome { world, report, .. } = convert_between_good_ones(odd, 0);

    assert_eq!((report.records_read, report.records_written), (4, 4));
    assert_eq!(world.quarantine().len(), 0);
    world.is_proved(&[]);
}

/// The object is quarantined whole, with its bytes as stored; the object beside it is written.
#[track_caller]
fn object_is_quarantined(name: &str, bytes: &[u8], more: &[&str], reason: &str) {
    let world = World::new();
    let path = world.put(&key(name), bytes);
    world.put_records(&key("good.json.gz"), &[record(3)]);

    let report = world.convert(more).exits(1).report();

    assert_eq!((report.objects_quarantined, report.records_written), (1, 1));
    let [entry] = &world.quarantine()[..] else { panic!("{:?}", world.quarantine()) };
    assert_eq!((&entry.object[..], entry.record), (path.to_str().unwrap(), None));
    assert!(entry.reason.contains(reason), "{}", entry.reason);
    assert_eq!(world.raw(0), bytes);
    let limits: Vec<&str> = more
        .chunks(2)
        .filter(|option| option[0] == "--max-object-size")
        .flatten()
        .copied()
        .collect();
    world.is_proved(&limits);
}

fn with(member: &str, value: Value) -> Vec<u8> {
    let mut record = record(7);
    record[member] = value;
    record.to_string().into_bytes()
}

fn without(member: &str) -> Vec<u8> {
    let mut record = record(7);
    record.as_object_mut().unwrap().shift_remove(member);
    record.to_string().into_bytes()
}

/// Record 7 with raw bytes in a string of `requestParameters`.
fn with_bytes_in_a_string(bytes: &[u8]) -> Vec<u8> {
    let text = record_text_with_request(r#"{"odd":"MARK"}"#).into_bytes();
    let at = text.windows(4).position(|window| window == b"MARK").unwrap();
    [&text[..at], bytes, &text[at + 4..]].concat()
}

#[test]
fn a_record_nested_200_000_deep_is_quarantined() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200_000), "}".repeat(200_000));
    is_quarantined(record_text_with_request(&deep).as_bytes(), "nested deeper");
}

#[test]
fn a_record_nested_500_deep_is_written() {
    let deep = format!("{}1{}", r#"{"a":["#.repeat(250), "]}".repeat(250));
    is_written(record_text_with_request(&deep).as_bytes());
}

#[test]
fn integers_beyond_64_bits_are_written_as_they_stand() {
    let big = r#"{"a":9007199254740993,"b":18446744073709551616,"c":-9223372036854775809,"d":123456789012345678901234567890}"#;
    is_written(record_text_with_request(big).as_bytes());
}

#[test]
fn a_number_no_double_can_hold_costs_its_record_at_most() {
    let Outcome { world, report, .. } = {
        let world = World::new();
        let bad = record_text_with_request(r#"{"a":1e999}"#);
        world.put(&key("bad.json"), envelope_of_texts(&[&good(1), bad.as_bytes(), &good(2)]));
        let run = world.convert(&[]);
        assert!(run.code == 0 || run.code == 1, "{}", run.stderr);
        Outcome { report: run.report(), world, object: String::new() }
    };

    assert_eq!(report.records_read, 3);
    assert_eq!(report.records_written + report.records_quarantined, 3);
    assert!(report.records_written >= 2);
    world.is_proved(&[]);
}

#[test]
fn a_key_twice_at_the_top_is_written_with_nothing_lost() {
    let text = String::from_utf8(good(7)).unwrap();
    is_written(text.replacen('{', r#"{"eventName":"First","userAgent":{"a":1},"#, 1).as_bytes());
}

#[test]
fn a_key_twice_in_the_identity_is_written_with_nothing_lost() {
    let text = String::from_utf8(good(7)).unwrap();
    let text = text.replacen(r#""userIdentity":{"#, r#""userIdentity":{"type":"First","#, 1);
    is_written(text.as_bytes());
}

#[test]
fn a_key_twice_in_the_request_is_written_with_its_text() {
    let twice = r#"{"a":1,"a":"x","b":{"c":1},"b":{"c":[2]}}"#;
    is_written(record_text_with_request(twice).as_bytes());
}

#[test]
fn a_whole_identity_twice_is_written_with_nothing_lost() {
    let text = String::from_utf8(good(7)).unwrap();
    let twice = r#"{"userIdentity":{"type":"First","odd":[1]},"#;
    is_written(text.replacen('{', twice, 1).as_bytes());
}

#[test]
fn every_key_twice_in_the_identity_is_written_with_nothing_lost() {
    for identity in [
        r#"{"type":"A","type":null}"#,
        r#"{"type":null,"type":"A"}"#,
        r#"{"sessionContext":null,"sessionContext":{"a":1}}"#,
        r#"{"sessionContext":{"sessionIssuer":{"type":"b"}},"sessionContext":"x"}"#,
        r#"{"sessionContext":{"sessionIssuer":{"type":"b"}},"sessionContext":{"sourceIdentity":"c"}}"#,
        r#"{"sessionContext":{"webIdFederationData":{"attributes":{"a":"1","a":"2"}}}}"#,
    ] {
        let marked = record_with(7, "userIdentity", json!("MARK")).to_string();
        is_written(marked.replace("\"MARK\"", identity).as_bytes());
    }
}

#[test]
fn keys_that_differ_only_in_case_at_the_top_are_written_with_nothing_lost() {
    let text = String::from_utf8(good(7)).unwrap();
    is_written(text.replacen('{', r#"{"EVENTNAME":"First","eventid":null,"#, 1).as_bytes());
}

#[test]
fn bytes_that_are_not_utf8_set_their_record_aside() {
    is_quarantined(&with_bytes_in_a_string(b"\xff\xfe\xc3("), "UTF-8");
}

#[test]
fn a_raw_nul_sets_its_record_aside() {
    is_quarantined(&with_bytes_in_a_string(b"a\0b"), "");
}

#[test]
fn a_raw_line_end_in_a_string_sets_its_record_aside() {
    is_quarantined(&with_bytes_in_a_string(b"a\nb"), "");
}

#[test]
fn an_escaped_nul_is_written() {
    is_written(&with_bytes_in_a_string(br"a\u0000b"));
}

#[test]
fn an_escaped_nul_in_a_documented_column_is_written() {
    is_written(&with("userAgent", json!("a\u{0}b")));
}

#[test]
fn control_characters_quotes_and_backslashes_are_written() {
    is_written(&with("errorMessage", json!("\u{1b}[31m \"quoted\" \\ \u{7f}\u{2028}\r\n\t")));
}

#[test]
fn a_lone_surrogate_sets_its_record_aside() {
    is_quarantined(&with_bytes_in_a_string(br"a\ud800b"), "surrogate");
}

#[test]
fn a_pair_of_surrogates_is_written() {
    is_written(&with_bytes_in_a_string(br"a\ud83d\ude00b"));
}

#[test]
fn an_unknown_escape_sets_its_record_aside() {
    is_quarantined(&with_bytes_in_a_string(br"a\xb"), "");
}

#[test]
fn a_string_as_a_record_is_quarantined() {
    is_quarantined(br#""a record""#, "not an object");
}

#[test]
fn a_null_as_a_record_is_quarantined() {
    is_quarantined(b"null", "not an object");
}

#[test]
fn an_array_as_a_record_is_quarantined() {
    is_quarantined(br#"[{"eventVersion":"1.08"}]"#, "not an object");
}

#[test]
fn a_number_as_a_record_is_quarantined() {
    is_quarantined(b"42", "not an object");
}

#[test]
fn an_empty_object_as_a_record_is_quarantined() {
    is_quarantined(b"{}", "no event time");
}

#[test]
fn a_record_without_event_time_is_quarantined() {
    is_quarantined(&without("eventTime"), "no event time");
}

#[test]
fn a_record_whose_event_time_is_null_is_quarantined() {
    is_quarantined(&with("eventTime", Value::Null), "no event time");
}

#[test]
fn a_record_whose_event_time_is_a_number_that_is_not_an_instant_is_quarantined() {
    is_quarantined(&with("eventTime", json!(20_240_501)), "event time");
}

#[test]
fn a_record_whose_event_time_is_no_date_is_quarantined() {
    is_quarantined(&with("eventTime", json!("2024-02-30T00:00:00Z")), "not an instant with a zone");
}

#[test]
fn a_fraction_of_a_second_and_an_offset_are_read() {
    is_written(&with("eventTime", json!("2024-05-01T01:30:00.123456+02:00")));
}

#[test]
fn a_region_that_leaves_its_folder_is_unknown_in_the_path() {
    is_written(&with("awsRegion", json!("../../x")));
}

#[test]
fn an_account_that_leaves_its_folder_is_unknown_in_the_path() {
    is_written(&with("recipientAccountId", json!("../../x")));
}

#[test]
fn an_account_that_names_a_hidden_folder_is_unknown_in_the_path() {
    is_written(&with("recipientAccountId", json!("_trailmill")));
}

#[test]
fn a_region_that_is_no_string_is_written() {
    is_written(&with("awsRegion", json!({"a": 1})));
}

#[test]
fn a_record_without_account_and_region_is_written() {
    let mut bare = record(7);
    for member in ["recipientAccountId", "awsRegion", "userIdentity"] {
        bare.as_object_mut().unwrap().shift_remove(member);
    }
    is_written(bare.to_string().as_bytes());
}

#[test]
fn a_record_of_256_kb_is_written() {
    let words: Vec<String> = (0..16_000).map(|n| format!("word {n}")).collect();
    is_written(&with("requestParameters", json!({"policyText": words.join(" ")})));
}

#[test]
fn documented_columns_with_values_of_other_types_are_written() {
    let mut odd = record(7);
    for (member, value) in [
        ("eventVersion", json!(1.09)),
        ("userIdentity", json!("root")),
        ("resources", json!("arn:aws:s3:::bucket")),
        ("userAgent", json!(["a", "b"])),
        ("readOnly", json!("true")),
        ("managementEvent", json!("maybe")),
        ("requestParameters", json!("a string")),
        ("responseElements", json!([1, 2])),
        ("tlsDetails", json!([])),
        ("eventID", json!(5)),
        ("addendum", json!({"reason": {"a": 1}, "new": null})),
    ] {
        odd[member] = value;
    }
    is_written(odd.to_string().as_bytes());
}

#[test]
fn unknown_members_everywhere_are_written() {
    let mut odd = record(7);
    odd["brandNew"] = json!({"a": [1, {"b": null}]});
    odd["nothing"] = Value::Null;
    odd["userIdentity"]["brandNew"] = json!(["x"]);
    odd["userIdentity"]["sessionContext"]["attributes"]["brandNew"] = json!(true);
    odd["resources"] = json!([{"ARN": "a", "brandNew": 1}, "odd", null]);
    is_written(odd.to_string().as_bytes());
}

#[test]
fn many_bad_records_in_one_object_cost_only_themselves() {
    let world = World::new();
    let bad: [&[u8]; 4] =
        [b"{\"a\":}", b"tru", &without("eventTime"), b"{\"eventVersion\":\"\xff\"}"];
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for n in 0..400 {
        texts.push(good(n));
        if n % 50 == 25 {
            texts.push(bad[n as usize / 50 % 4].to_vec());
        }
    }
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    world.put(&key("bad.json.gz"), gzip(&envelope_of_texts(&texts)));

    let report = world.convert(&[]).exits(1).report();

    assert_eq!((report.records_written, report.records_quarantined), (400, 8));
    let raws: Vec<Vec<u8>> = (0..8).map(|n| world.raw(n)).collect();
    assert_eq!(raws, [bad, bad].concat());
    let numbers: Vec<_> = world.quarantine().iter().map(|entry| entry.record.unwrap()).collect();
    assert_eq!(numbers, [26, 77, 128, 179, 230, 281, 332, 383]);
    world.is_proved(&[]);
}

#[test]
fn a_truncated_gzip_object_is_quarantined_whole() {
    let whole = gzip(&envelope(&records(0..50)));
    object_is_quarantined("bad.json.gz", &whole[..whole.len() - 30], &[], "truncated");
}

#[test]
fn a_damaged_gzip_object_is_quarantined_whole() {
    let mut bytes = gzip(&envelope(&records(0..50)));
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20].fill(0);
    object_is_quarantined("bad.json.gz", &bytes, &[], "gzip stream");
}

#[test]
fn a_bomb_is_quarantined_by_its_ratio() {
    let bomb = gzip(&[b"{\"Records\":[".to_vec(), vec![b' '; 8 << 20], b"]}".to_vec()].concat());
    object_is_quarantined("bad.json.gz", &bomb, &["--max-ratio", "40"], "--max-ratio");
}

#[test]
fn an_object_over_the_largest_size_is_quarantined() {
    let large = envelope(&records(0..60));
    object_is_quarantined("bad.json", &large, &["--max-object-size", "20kB"], "--max-object-size");
}

#[test]
fn a_gzipped_object_over_the_largest_size_is_quarantined() {
    let large = gzip(&envelope(&records(0..60)));
    let limit = ["--max-object-size", "20kB"];
    object_is_quarantined("bad.json.gz", &large, &limit, "--max-object-size");
}

#[test]
fn an_empty_object_is_quarantined() {
    object_is_quarantined("bad.json.gz", b"", &[], "empty");
}

#[test]
fn records_that_are_null_are_quarantined() {
    object_is_quarantined("bad.json", br#"{"Records":null}"#, &[], "null");
}

#[test]
fn records_that_are_an_object_are_quarantined() {
    object_is_quarantined("bad.json", br#"{"Records":{"a":1}}"#, &[], "not an array");
}

#[test]
fn a_paste_that_starts_mid_record_is_quarantined() {
    let world = World::new();
    world.put(&key("bad.json"), &envelope(&records(0..3))[700..]);
    world.put_records(&key("good.json.gz"), &[record(3)]);

    let report = world.convert(&[]).exits(1).report();

    assert_eq!((report.records_written, report.records_quarantined), (3, 2), "{report:?}");
    world.is_proved(&[]);
}

#[test]
fn text_in_the_place_of_a_log_is_quarantined() {
    let flow = b"2 123456789010 eni-1235b8ca123456789 172.31.16.139 ACCEPT OK\n";
    object_is_quarantined("bad.log.gz", &gzip(flow), &[], "not JSON");
}

#[test]
fn a_damaged_archive_gives_up_its_whole_members_and_is_quarantined() {
    let world = World::new();
    let members =
        tar(&[("a.json", envelope(&records(0..9))), ("b.json", envelope(&records(9..20)))]);
    world.put("logs.tar", &members[..members.len() - 6000]);

    let report = world.convert(&[]).exits(1).report();

    assert!((9..20).contains(&report.records_written), "{report:?}");
    assert!(world.quarantine().iter().all(|entry| entry.object.contains("logs.tar")));
    world.is_proved(&[]);
}

#[test]
fn records_without_an_end_are_written_up_to_the_last_whole_one() {
    let world = World::new();
    let whole = envelope(&records(0..10));
    let cut = whole.len() - 300;
    world.put(&key("bad.json"), &whole[..cut]);

    let report = world.convert(&[]).exits(1).report();

    assert_eq!((report.records_read, report.records_written), (10, 9));
    let [entry] = &world.quarantine()[..] else { panic!("{:?}", world.quarantine()) };
    assert_eq!(entry.record, Some(9));
    assert_eq!(world.raw(0), whole[entry.byte as usize..cut]);
    world.is_proved(&[]);
}

#[test]
fn an_array_that_is_not_closed_is_written_and_reported() {
    let world = World::new();
    let whole = envelope(&records(0..10));
    world.put(&key("bad.json"), &whole[..whole.len() - 2]);

    let report = world.convert(&[]).exits(1).report();

    assert_eq!(report.records_written, 10);
    assert!(world.quarantine()[0].reason.contains("not closed"), "{:?}", world.quarantine());
    world.is_proved(&[]);
}

#[test]
fn a_brace_too_many_costs_what_follows_it_and_no_more() {
    let world = World::new();
    let mut texts: Vec<Vec<u8>> = (0..4).map(good).collect();
    texts[1].push(b'}');
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    world.put(&key("bad.json"), envelope_of_texts(&texts));

    let report = world.convert(&[]).exits(1).report();

    assert!(report.records_written >= 2, "{report:?}");
    assert_eq!(report.records_written + report.records_quarantined, report.records_read);
    let quarantined: usize = (0..world.quarantine().len()).map(|n| world.raw(n).len()).sum();
    let lost = texts[2].len() + texts[3].len();
    assert!(report.records_written == 4 || quarantined >= lost, "{quarantined} of {lost} bytes");
    world.is_proved(&[]);
}

#[test]
fn a_bracket_too_many_costs_only_itself() {
    let world = World::new();
    let texts: Vec<Vec<u8>> = (0..4).map(good).collect();
    let mut second = texts[1].clone();
    second.push(b']');
    let whole = envelope_of_texts(&[&texts[0], &second, &texts[2], &texts[3]]);
    world.put(&key("bad.json"), whole);

    let report = world.convert(&[]).exits(1).report();

    assert_eq!((report.records_written, report.records_quarantined), (4, 1));
    assert_eq!(world.raw(0), b"]}");
    world.is_proved(&[]);
}

#[test]
fn text_after_the_records_is_quarantined() {
    for after in ["oops", "}", "\n{\"name\":\"package\"}", "\0\0\0x"] {
        let world = World::new();
        world.put(&key("bad.json"), [&envelope(&records(0..3))[..], after.as_bytes()].concat());

        let report = world.convert(&[]).exits(1).report();

        assert_eq!((report.records_written, report.records_quarantined), (3, 1), "{after:?}");
        assert_eq!(world.raw(0), after.trim_start_matches(['\n', '\0']).as_bytes());
    }
}

#[test]
fn a_brace_too_few_costs_no_record_before_it() {
    let world = World::new();
    let mut texts: Vec<Vec<u8>> = (0..4).map(good).collect();
    texts[2].pop();
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    world.put(&key("bad.json"), envelope_of_texts(&texts));

    let report = world.convert(&[]).exits(1).report();

    assert!(report.records_written >= 2, "{report:?}");
    assert!(report.records_quarantined >= 1);
    world.is_proved(&[]);
}

#[test]
fn an_s3_notification_whose_top_key_is_records_is_ignored() {
    let world = World::new();
    let notification = br#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2024-05-01T00:00:00.000Z","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"}}}]}"#;
    world.put(&key("notification.json"), notification);
    world.put_records(&key("good.json.gz"), &[record(3)]);

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.records_read, report.objects_ignored), (1, 1));
    world.is_proved(&[]);
}

#[test]
fn records_that_are_an_empty_array_are_no_fault() {
    let world = World::new();
    world.put(&key("empty.json.gz"), gzip(br#"{"Records":[]}"#));

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.objects_read, report.records_read), (1, 0));
    world.is_proved(&[]);
}

#[test]
fn an_object_of_16_mb_is_written() {
    let world = World::new();
    let filler = "lorem ipsum ".repeat(1300);
    let batch: Vec<Value> = (0..1000)
        .map(|n| {
            let mut record = record(n);
            record["requestParameters"]["text"] = json!(filler);
            record
        })
        .collect();
    world.put_records(&key("large.json.gz"), &batch);

    let report = world.convert(&[]).exits(0).report();

    assert!(report.bytes_json > 16_000_000);
    assert_eq!(report.records_written, 1000);
}

#[test]
fn strict_stops_before_anything_is_committed() {
    for bad in [
        envelope_of_texts(&[&good(1), &without("eventTime")]),
        gzip(b"{\"Records\":[{\"eventVersion\"")[..20].to_vec(),
        br#"{"Records":null}"#.to_vec(),
    ] {
        let world = World::new();
        world.put_records(&key("a.json.gz"), &records(0..30));
        world.put(&key("z.json"), bad);

        let run = world.convert(&["--strict", "--unit-size", "10kB"]).exits(3);

        assert!(run.stderr.contains("z.json") && run.stderr.contains("--strict"), "{}", run.stderr);
        assert_eq!(world.data_files(), Vec::<String>::new());
        assert_eq!(world.manifests().len(), 0);
        assert_eq!(world.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn strict_with_good_input_converts() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..30));

    world.convert(&["--strict"]).exits(0);

    world.is_proved(&[]);
}

#[test]
fn nothing_that_was_quarantined_is_quarantined_again() {
    let world = World::new();
    world.put(&key("bad.json"), envelope_of_texts(&[&good(1), b"null"]));
    world.convert(&[]).exits(1);

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.records_read, 0);
    assert_eq!(world.quarantine().len(), 1);
}

#[test]
fn what_is_quarantined_can_be_listed_for_people() {
    let world = World::new();
    world.put(&key("bad\u{1b}[31m.json"), envelope_of_texts(&[&good(1), b"null"]));
    world.convert(&[]).exits(1);

    let listed = world.on_lake(&["quarantine"], &[]).exits(0).text();

    assert!(listed.contains("record 1") && listed.contains("record is not an object"), "{listed}");
    assert!(!listed.contains('\u{1b}'), "a name reached the terminal raw");
}

#[test]
fn prose_that_is_indented_and_empty_lists_are_passed_over() {
    let world = World::new();
    world.put("LICENSE", "\n          A licence\n   Copyright [yyyy] [name of the owner], {}\n");
    world.put("none.json", "[]");

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.records_read, report.objects_quarantined), (0, 0));
}
