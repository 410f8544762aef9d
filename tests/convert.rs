//! What is read, where it goes, and that neither threads nor the order of sources matter.

use crate::support::{
    FOLDER, World, aggregated_record, assert_same, digest, envelope, fill_with_everything, gunzip,
    gzip, insight_record, key, layout_beside, program, record, records, run, tar, zip,
};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use trailmill::lake::DataFile;

/// Converts a world with one object of ten records, proves it, and returns its data files.
#[track_caller]
fn ten_records_are_read(name: &str, bytes: &[u8]) -> Vec<String> {
    let world = World::new();
    world.put(name, bytes);

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.records_read, report.records_written), (10, 10));
    world.is_proved(&[]);
    world.data_files()
}

fn lines(records: &[Value]) -> Vec<u8> {
    records.iter().map(|record| format!("{record}\n")).collect::<String>().into_bytes()
}

#[test]
fn the_lake_is_the_same_with_one_thread_and_with_four() {
    let world = World::new();
    fill_with_everything(&world);
    let small = ["--unit-size", "40kB"];
    world.convert(&[&small[..], &["--threads", "1"]].concat()).exits(1);
    let one = world.snapshot();
    world.remove_lake();

    let report = world.convert(&[&small[..], &["--threads", "4"]].concat()).exits(1).report();

    assert!(report.units > 10, "{}", report.units);
    assert_same(&one, &world.snapshot(), "4 threads against 1");
}

#[test]
fn the_lake_is_the_same_with_little_memory() {
    let world = World::new();
    fill_with_everything(&world);
    world.convert(&["--unit-size", "40kB"]).exits(1);
    let want = world.snapshot();
    world.remove_lake();

    world.convert(&["--unit-size", "40kB", "--memory", "1kB"]).exits(1);

    assert_same(&want, &world.snapshot(), "1 kB of memory");
}

#[test]
fn the_lake_is_the_same_with_sources_in_another_order_and_listed_twice() {
    let world = World::new();
    for part in ["b", "a", "c"] {
        let from = u64::from(part.as_bytes()[0]) * 100;
        world.put_records(&format!("{part}/{}", key("x.json.gz")), &records(from..from + 60));
    }
    let convert = |order: &[&str]| {
        let logs = world.logs.to_str().unwrap();
        let mut args = vec!["convert".to_owned()];
        args.extend(order.iter().map(|part| format!("{logs}/{part}")));
        args.extend(
            [world.lake.to_str().unwrap(), "--quiet", "--unit-size", "5kB"].map(str::to_owned),
        );
        run(args).exits(0);
        let made = world.snapshot();
        world.remove_lake();
        made
    };

    let straight = convert(&["a", "b", "c"]);

    assert_same(&straight, &convert(&["c", "a", "b", "a/"]), "another order");
}

#[test]
fn a_lake_does_not_depend_on_how_it_is_named() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..20));
    world.convert(&[]).exits(0);
    let want = world.snapshot();
    world.remove_lake();

    let args = ["convert", "logs", "./lake/", "--quiet"];
    let mut command = program(args.iter().chain(layout_beside(&[])));
    let status = command.current_dir(&world.root).status().unwrap();

    assert!(status.success());
    assert_same(&want, &world.snapshot(), "named relative to the folder");
}

#[test]
fn a_single_file_is_a_source() {
    let world = World::new();
    let file = world.put_records(&key("a.json.gz"), &records(0..10));
    world.put_records(&key("b.json.gz"), &records(10..20));
    let places = [file.to_str().unwrap(), world.lake.to_str().unwrap()];

    run(["convert", places[0], places[1], "--quiet"]).exits(0);

    run(["verify", places[0], places[1], "--quiet"]).exits(0);
    assert_eq!(world.manifests()[0].tally.read, 10);
}

#[test]
fn plain_json_is_read() {
    ten_records_are_read(&key("a.json"), &envelope(&records(0..10)));
}

#[test]
fn gzipped_json_is_read() {
    ten_records_are_read(&key("a.json.gz"), &gzip(&envelope(&records(0..10))));
}

#[test]
fn gzip_is_recognised_by_its_bytes_and_not_by_the_name() {
    ten_records_are_read(&key("a.json"), &gzip(&envelope(&records(0..10))));
    ten_records_are_read(&key("a.json.gz"), &envelope(&records(0..10)));
}

#[test]
fn several_gzip_members_are_one_object() {
    let whole = envelope(&records(0..10));
    let (head, tail) = whole.split_at(whole.len() / 3);
    ten_records_are_read(&key("a.json.gz"), &[gzip(head), gzip(tail)].concat());
}

#[test]
fn concatenated_envelopes_are_all_read() {
    let (a, b) = (envelope(&records(0..4)), envelope(&records(4..10)));
    ten_records_are_read(&key("a.json.gz"), &[gzip(&a), gzip(&b)].concat());
}

#[test]
fn envelopes_one_a_line_are_all_read() {
    let (a, b) = (envelope(&records(0..4)), envelope(&records(4..10)));
    ten_records_are_read(&key("a.json"), &[&a[..], b"\n", &b, b"\n"].concat());
}

#[test]
fn envelopes_with_other_keys_end_to_end_are_all_read() {
    let (a, b) = (json!(records(0..4)), json!(records(4..10)));
    let text = format!(r#"{{"a":[1],"Records":{a},"b":[2]}} {{"Records":{b},"c":{{"d":[]}}}}"#);
    ten_records_are_read(&key("a.json"), text.as_bytes());
}

#[test]
fn arrays_end_to_end_are_all_read() {
    let (a, b) = (json!(records(0..4)), json!(records(4..10)));
    ten_records_are_read("a.json", format!("{a}\n{b}\n").as_bytes());
}

#[test]
fn many_large_envelopes_end_to_end_are_all_read() {
    let world = World::new();
    let whole: Vec<u8> = (0..4).flat_map(|n| envelope(&records(n * 300..n * 300 + 300))).collect();
    world.put(&key("a.json.gz"), gzip(&whole));

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.records_written, 1200);
    world.is_proved(&[]);
}

#[test]
fn a_bare_array_is_read() {
    ten_records_are_read("a.json", json!(records(0..10)).to_string().as_bytes());
}

#[test]
fn newline_delimited_records_are_read() {
    ten_records_are_read("a.json", &lines(&records(0..10)));
}

#[test]
fn newline_delimited_records_with_crlf_and_without_a_last_line_end_are_read() {
    let text = String::from_utf8(lines(&records(0..10))).unwrap().replace('\n', "\r\n");
    ten_records_are_read("a.ndjson", text.trim_end().as_bytes());
}

#[test]
fn a_single_record_is_read() {
    let world = World::new();
    world.put("a.json", record(1).to_string());

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.records_written, 1);
    world.is_proved(&[]);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let whole = envelope(&records(0..10));
    ten_records_are_read(&key("a.json"), &[b"\xEF\xBB\xBF", &whole[..]].concat());
}

#[test]
fn a_byte_order_mark_before_lines_and_arrays_is_passed_over() {
    let array = json!(records(0..10)).to_string();
    ten_records_are_read("a.json", format!("\u{feff}{array}\n").as_bytes());
    let lines = String::from_utf8(lines(&records(0..10))).unwrap();
    ten_records_are_read("a.json", format!("\u{feff}{lines}").as_bytes());
}

#[test]
fn pretty_printed_logs_give_the_rows_of_minified_ones() {
    let pretty = serde_json::to_string_pretty(&json!({"Records": records(0..10)})).unwrap();
    let world = World::new();
    let path = world.put(&key("a.json"), &pretty);
    world.convert(&[]).exits(0);
    let places = [path.to_str().unwrap(), world.lake.to_str().unwrap()];
    run(["verify", places[0], places[1], "--quiet"]).exits(0);

    // The lake of the pretty text is proved by the minified text.
    world.put_records(&key("a.json"), &records(0..10));

    world.is_proved(&[]);
}

#[test]
fn other_keys_around_the_records_are_no_hindrance() {
    let records = json!(records(0..10));
    let before = json!({"version": "1", "nested": {"Records": [1]}, "Records": records});
    ten_records_are_read(&key("a.json"), before.to_string().as_bytes());
    let after = json!({"Records": records, "count": 10, "list": [{"a": 1}]});
    ten_records_are_read(&key("a.json"), after.to_string().as_bytes());
}

#[test]
fn tar_is_read() {
    let members =
        [("x/a.json", envelope(&records(0..4))), ("x/b.json.gz", gzip(&envelope(&records(4..10))))];
    ten_records_are_read("logs.tar", &tar(&members));
}

#[test]
fn gzipped_tar_is_read_under_both_its_names() {
    let members = tar(&[("x/a.json", envelope(&records(0..10)))]);
    let a = ten_records_are_read("logs.tar.gz", &gzip(&members));
    let b = ten_records_are_read("logs.tgz", &gzip(&members));
    assert_eq!(a.len(), b.len());
}

#[test]
fn zip_is_read() {
    let members =
        [("x/a.json", envelope(&records(0..4))), ("x/b.json.gz", gzip(&envelope(&records(4..10))))];
    ten_records_are_read("logs.zip", &zip(&members));
}

#[test]
fn members_that_are_no_logs_are_passed_over_and_counted() {
    let config = "AWSLogs/111122223333/Config/us-east-1/2024/05/01/d.json.gz";
    let log = key("a.json.gz");
    let members = tar(&[(config, gzip(b"{}")), (&log, gzip(&envelope(&records(0..10))))]);
    let world = World::new();
    world.put("logs.tar", members);

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.records_written, 10);
    assert!(report.objects_ignored >= 1);
    world.is_proved(&[]);
}

/// Converts one record that names no account and no region, and returns where it went.
#[track_caller]
fn partition_by_key(key: &str) -> String {
    let world = World::new();
    let mut bare = record(1);
    for member in ["recipientAccountId", "awsRegion", "userIdentity"] {
        bare.as_object_mut().unwrap().shift_remove(member);
    }
    world.put_records(key, &[bare]);
    world.convert(&["--partition-by", "organization,account,region"]).exits(0);
    world.is_proved(&[]);
    let file = world.data_files().remove(0);
    Path::new(&file).parent().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn an_organizations_layout_is_read() {
    let key = "p/AWSLogs/o-abc123def4/111122223333/CloudTrail/eu-west-1/2024/05/01/111122223333_CloudTrail_eu-west-1_20240501T0000Z_x.json.gz";
    assert_eq!(
        partition_by_key(key),
        "cloudtrail/organization=o-abc123def4/account=111122223333/region=eu-west-1"
    );
}

#[test]
fn the_control_tower_layout_is_read() {
    let key =
        "o-abc123def4/AWSLogs/o-abc123def4/111122223333/CloudTrail/eu-west-1/2024/05/01/x.json.gz";
    assert_eq!(
        partition_by_key(key),
        "cloudtrail/organization=o-abc123def4/account=111122223333/region=eu-west-1"
    );
}

#[test]
fn government_and_china_layouts_are_read() {
    for region in ["us-gov-west-1", "cn-northwest-1", "us-iso-east-1"] {
        let key = format!("AWSLogs/111122223333/CloudTrail/{region}/2024/05/01/x.json.gz");
        let want = format!("cloudtrail/organization=unknown/account=111122223333/region={region}");
        assert_eq!(partition_by_key(&key), want);
    }
}

#[test]
fn a_file_that_lost_its_folders_is_placed_by_its_name() {
    let want = "cloudtrail/organization=unknown/account=111122223333/region=eu-west-1";
    for name in [
        "111122223333_CloudTrail_eu-west-1_20240501T0000Z_x.json.gz",
        "111122223333_CloudTrail_eu-west-1_20131114T2030ZAbCdEfGh.json.gz",
    ] {
        assert_eq!(partition_by_key(name), want, "{name}");
    }
}

#[test]
fn a_file_without_any_layout_is_placed_under_unknown() {
    let want = "cloudtrail/organization=unknown/account=unknown/region=unknown";
    assert_eq!(partition_by_key("export/events.json"), want);
}

#[test]
fn records_say_themselves_where_they_belong() {
    let world = World::new();
    let mut elsewhere = record(1);
    elsewhere["recipientAccountId"] = json!("999988887777");
    elsewhere["awsRegion"] = json!("ap-south-1");
    elsewhere["eventTime"] = json!("2024-04-07T23:59:59Z");
    world.put_records(&key("a.json.gz"), &[elsewhere]);

    world.convert(&[]).exits(0);

    let want = "cloudtrail/account=999988887777/region=ap-south-1/event_date=2024-04-07/";
    assert!(world.data_files()[0].starts_with(want), "{:?}", world.data_files());
}

#[test]
fn families_go_to_tables_of_their_own() {
    let world = World::new();
    let folder =
        |family: &str| format!("AWSLogs/111122223333/{family}/us-east-1/2024/05/01/x.json.gz");
    let some = |make: fn(u64) -> Value| (0..5).map(make).collect::<Vec<_>>();
    world.put_records(&folder("CloudTrail"), &records(0..5));
    world.put_records(&folder("CloudTrail-NetworkActivity"), &records(10..15));
    world.put_records(&folder("CloudTrail-Insight"), &some(insight_record));
    world.put_records(&folder("CloudTrail-Aggregated"), &some(aggregated_record));

    let report = world.convert(&[]).exits(0).report();

    let rows: Vec<_> =
        report.rows_by_table.iter().map(|(table, rows)| (&table[..], *rows)).collect();
    assert_eq!(
        rows,
        [
            ("cloudtrail", 5),
            ("cloudtrail_aggregated", 5),
            ("cloudtrail_aggregated_typed", 5),
            ("cloudtrail_insight", 5),
            ("cloudtrail_insight_typed", 5),
            ("cloudtrail_network_activity", 5),
            ("cloudtrail_network_activity_typed", 5),
            ("cloudtrail_typed", 5),
        ]
    );
    world.is_proved(&[]);
}

#[test]
fn families_are_told_by_the_record_where_there_is_no_folder() {
    let world = World::new();
    let mut network = record(1);
    network["eventType"] = json!("AwsVpceEvents");
    network["eventCategory"] = json!("NetworkActivity");
    let mixed = [record(2), insight_record(1), network, aggregated_record(1)];
    world.put("mixed.json", json!(mixed).to_string());

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.rows_by_table.len(), 8, "{:?}", report.rows_by_table);
    world.is_proved(&[]);
}

#[test]
fn a_bare_list_of_aggregated_events_is_read() {
    let world = World::new();
    let list: Vec<Value> = (0..5).map(aggregated_record).collect();
    world.put(
        "AWSLogs/111122223333/CloudTrail-Aggregated/us-east-1/2024/05/01/x.json.gz",
        gzip(json!(list).to_string().as_bytes()),
    );

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.rows_by_table["cloudtrail_aggregated"], 5);
    world.is_proved(&[]);
}

#[test]
fn a_digest_is_a_row_with_its_log_files() {
    let (world, without) = (World::new(), World::new());
    let folder = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2024/05/01";
    for world in [&world, &without] {
        world.put(&format!("{folder}/a.json.gz"), gzip(digest(1).to_string().as_bytes()));
        world.put(&format!("{folder}/b.json.gz"), gzip(digest(2).to_string().as_bytes()));
        world.put("copy.json", serde_json::to_vec_pretty(&digest(1)).unwrap());
        world.put_records(&key("a.json.gz"), &records(0..3));
    }

    let report = world.convert(&[]).exits(0).report();
    assert_eq!((report.rows_by_table["cloudtrail_digest"], report.records_duplicate), (2, 1));
    let part = "cloudtrail_digest/account=111122223333/region=eu-west-1/event_date=2024-05-01/";
    assert!(world.data_files().iter().any(|name| name.starts_with(part)));
    let columns = world.catalog_columns("cloudtrail_digest");
    let (_, hive) = columns.iter().find(|(name, _)| name == "logfiles").unwrap();
    assert!(hive.starts_with("array<struct<s3bucket:string,s3object:string,hashvalue:string"));
    world.is_proved(&[]);

    let report = without.convert(&["--no-digests"]).exits(0).report();
    assert_eq!((report.rows_by_table.len(), report.records_filtered), (2, 1));
    assert_eq!((report.objects_ignored, report.records_written), (2, 3));
    without.is_proved(&["--no-digests"]);
}

#[test]
fn other_services_objects_are_ignored_and_counted() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    for folder in ["WAFLogs", "Config", "elasticloadbalancing", "vpcflowlogs"] {
        let name = format!("AWSLogs/111122223333/{folder}/us-east-1/2024/05/01/x.json.gz");
        world.put(&name, gzip(b"anything at all"));
    }

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.objects_read, report.objects_ignored), (1, 4));
    assert_eq!(report.objects_quarantined, 0);
}

#[test]
fn foreign_json_outside_the_layout_is_ignored_by_name() {
    let world = World::new();
    world.put(
        "bridge.json",
        json!({"version": "0", "id": "x", "detail-type": "t", "detail": {"x": 1}}).to_string(),
    );
    world.put("subscription.json", r#"{"messageType":"DATA_MESSAGE","logEvents":[]}"#);
    world.put("package.json", r#"{"name":"x","dependencies":{}}"#);
    world.put("notes.txt", "not a log at all");
    world.put("lookup.json", r#"{"EventId":"x","CloudTrailEvent":"{}"}"#);

    // Nothing among it is a log, which is no success; what lookup-events prints has records, and this one is empty.
    let report = world.convert(&[]).exits(1).report();

    assert_eq!((report.objects_ignored, report.objects_quarantined), (4, 1));
    assert_eq!(report.ignored_by_kind.len(), 4, "{:?}", report.ignored_by_kind);
}

#[test]
fn hidden_names_are_no_sources() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    world.put_records(&format!("{FOLDER}/.b.json.gz"), &records(3..6));
    world.put_records("_old/c.json.gz", &records(6..9));

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.records_written, 3);
}

#[test]
fn a_new_lake_gets_partitions_that_fit_its_volume_and_keeps_them() {
    let world = World::new();
    let put = |accounts: std::ops::Range<u64>| {
        for account in accounts {
            for region in 0..6 {
                let object = format!(
                    "AWSLogs/{account:012}/CloudTrail/xx-made-{region}/2024/05/01/x.json.gz"
                );
                world.put_records(&object, &[record(account * 10 + region)]);
            }
        }
    };
    put(0..20);
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    let args = |command| [command, places[0], places[1], "--report", "json"];
    let fine = ["--partition-by", "account,region,event_date"];
    let estimate = run(args("plan")).exits(0).json();
    assert_eq!(estimate["partition_by"], "event_date");
    assert_eq!(estimate["warnings"], json!([]));
    let warned = run(args("plan").iter().chain(&fine)).exits(0).json();
    let warning = warned["warnings"][0].as_str().unwrap();
    assert!(warning.contains("120 partitions") && warning.contains("event_date"), "{warning}");

    let run_of_all = run(args("convert")).exits(0);

    assert!(run_of_all.stderr.contains("partitioned by event_date"), "{}", run_of_all.stderr);
    let report = run_of_all.report();
    let chosen = report.partitions_chosen.unwrap();
    let counts: Vec<u64> = chosen.candidates.iter().map(|candidate| candidate.partitions).collect();
    assert_eq!(
        (chosen.partition_by.to_string(), counts),
        ("event_date".to_owned(), vec![1, 20, 120])
    );
    // Three days of events, in two tables.
    assert_eq!((report.files, report.partitions), (6, 6));
    let first = world.data_files();
    assert!(first.iter().all(|file| file.contains("/event_date=") && !file.contains("region=")));
    let columns = world.catalog_columns("cloudtrail");
    let last: Vec<_> = columns.iter().rev().take(2).map(|(name, _)| &name[..]).collect();
    assert_eq!(last, ["region", "account"]);
    put(20..22);
    let report = run(args("convert")).exits(0).report();
    assert_eq!((report.partitions_chosen, report.records_written), (None, 12));
    world.is_proved(&[]);
    let refused = run(args("convert").iter().chain(&fine)).exits(2);
    assert!(refused.stderr.contains("partitioned by event_date"), "{}", refused.stderr);
}

#[test]
fn every_choice_of_partitions_is_proved() {
    for (by, first) in [
        ("event_date", "event_date=2024-05-01/"),
        ("year,month,day", "year=2024/month=05/day=01/"),
        ("event_source,hour", "event_source=madeup.amazonaws.com/hour=00/"),
        ("region", "region=eu-west-1/"),
    ] {
        let world = World::new();
        world.put_records(&key("a.json.gz"), &records(0..30));

        world.convert(&["--partition-by", by]).exits(0);

        let files = world.data_files();
        assert!(files[0].starts_with(&format!("cloudtrail/{first}")), "{by}: {files:?}");
        world.is_proved(&[]);
    }
}

#[test]
fn every_codec_is_proved() {
    for codec in ["zstd:1", "zstd:19", "snappy", "gzip", "none"] {
        let world = World::new();
        world.put_records(&key("a.json.gz"), &records(0..30));

        world.convert(&["--compression", codec]).exits(0);

        world.is_proved(&[]);
    }
}

#[test]
fn manifests_account_for_every_record_of_every_object() {
    let world = World::new();
    fill_with_everything(&world);
    let report = world.convert(&["--unit-size", "40kB"]).exits(1).report();

    let manifests = world.manifests();

    assert!(manifests.iter().flat_map(|m| &m.objects).all(|object| object.tally.balances()));
    let read: u64 = manifests.iter().map(|m| m.tally.read).sum();
    assert_eq!(read, report.records_read);
    let rows: u64 = manifests.iter().flat_map(|m| &m.files).map(DataFile::records).sum();
    assert_eq!(rows, report.records_written);
    for file in manifests.iter().flat_map(|m| &m.files) {
        assert_eq!(fs::metadata(world.lake.join(&file.key)).unwrap().len(), file.bytes);
    }
}

#[test]
fn sources_are_left_as_they_were() {
    let world = World::new();
    fill_with_everything(&world);
    let before = crate::support::snapshot(&world.logs);

    world.convert(&[]).exits(1);

    assert_same(&before, &crate::support::snapshot(&world.logs), "the sources");
}

#[test]
fn a_sample_archive_converts_and_is_proved() {
    let world = World::new();
    fs::remove_dir(&world.logs).unwrap();
    let logs = world.logs.to_str().unwrap();
    run(["sample", logs, "--size", "3MB", "--seed", "11", "--quiet"]).exits(0);

    let run = world.convert(&["--unit-size", "500kB"]);

    assert!(run.code == 0 || run.code == 1, "{}", run.stderr);
    assert!(run.report().records_written > 1000);
    world.is_proved(&[]);
}

#[test]
fn the_same_seed_makes_the_same_sample() {
    let world = World::new();
    let make = |name: &str, seed: &str| {
        let folder = world.root.join(name);
        let folder = folder.to_str().unwrap();
        run(["sample", folder, "--size", "500kB", "--seed", seed, "--quiet"]).exits(0);
        let files = crate::support::files(Path::new(folder));
        let text = files.iter().map(|path| gunzip(&fs::read(path).unwrap())).collect::<Vec<_>>();
        (files.len(), text)
    };

    let first = make("a", "1");

    assert_eq!(first, make("b", "1"));
    assert_ne!(first, make("c", "2"));
}
