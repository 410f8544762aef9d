//! Event history: the events that a question is about, and no others, as they were delivered.

use crate::support::{World, key, record, record_with, records};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Two hundred events of three days, in several files.
fn world() -> (World, Vec<Value>) {
    let world = World::new();
    let mut all = records(0..190);
    all.push(record_with(190, "errorCode", json!("Client.UnauthorizedOperation")));
    all.push(record_with(191, "errorCode", json!("AccessDenied")));
    all.push(record_with(192, "sourceIPAddress", json!("ec2.amazonaws.com")));
    all.push(record_with(193, "sourceIPAddress", json!("2001:db8::17")));
    let mut object = record_with(194, "eventSource", json!("s3.amazonaws.com"));
    object["requestParameters"] = json!({"bucketName": "ledger", "key": "2024/a b.csv"});
    object["eventName"] = json!("GetObject");
    all.push(object);
    let mut invoked = record_with(195, "eventSource", json!("lambda.amazonaws.com"));
    invoked["requestParameters"] = json!({"functionName": "pay-out"});
    invoked["eventName"] = json!("Invoke");
    all.push(invoked);
    all.push(record_with(
        196,
        "userIdentity",
        json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"}),
    ));
    all.push(record_with(197, "userIdentity", json!({"type": "IAMUser", "userName": "Alice"})));
    all.push(record_with(
        198,
        "resources",
        json!([{"ARN": "arn:aws:kms:us-east-1:111122223333:key/7", "accountId": "111122223333", "type": "AWS::KMS::Key"}]),
    ));
    for (at, some) in all.chunks(40).enumerate() {
        world.put_records(&key(&format!("{at}.json.gz")), some);
    }
    world.convert(&["--unit-size", "10kB"]).exits(0);
    (world, all)
}

fn history(world: &World, args: &[&str]) -> crate::support::Run {
    world.on_lake(&["history"], args)
}

/// The IDs of the events of an answer, in its order.
fn ids(world: &World, args: &[&str]) -> Vec<String> {
    let more = ["--limit", "all", "--output", "jsonl"];
    let run = history(world, &[args, &more].concat());
    assert!(run.code == 0 || run.code == 1, "{}", run.stderr);
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["eventID"].clone();
    run.text().lines().map(|line| id(line).as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_filter_finds_exactly_the_events_that_meet_it() {
    let (world, all) = world();
    type Meets = fn(&Value) -> bool;
    let cases: &[(&[&str], Meets)] = &[
        (&[], |_| true),
        (&["--event", "DoThing1"], |it| it["eventName"] == "DoThing1"),
        (&["--event", "dothing1", "--event", "DoThing2"], |it| {
            it["eventName"] == "DoThing1" || it["eventName"] == "DoThing2"
        }),
        (&["--event", "DoThing*", "--region", "eu-*"], |it| {
            it["awsRegion"] == "eu-west-1" && it["eventName"].as_str().unwrap().starts_with("Do")
        }),
        (&["--account", "444455556666"], |it| it["recipientAccountId"] == "444455556666"),
        (&["--access-key", "ASIAEXAMPLE000000007"], |it| {
            it["userIdentity"]["accessKeyId"] == "ASIAEXAMPLE000000007"
        }),
        (&["--user", "role-3"], |it| {
            it["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] == "role-3"
        }),
        (&["--user", "root"], |it| it["userIdentity"]["type"] == "Root"),
        (&["--user", "alice"], |it| it["userIdentity"]["userName"] == "Alice"),
        (&["--session", "worker", "--event", "DoThing0"], |it| {
            it["eventName"] == "DoThing0" && it["userIdentity"]["type"] == "AssumedRole"
        }),
        (&["--error", "*"], |it| it["errorCode"].is_string()),
        (&["--error", "accessdenied"], |it| it["errorCode"] == "AccessDenied"),
        (&["--ip", "192.0.2.0/28"], |it| {
            let last = it["sourceIPAddress"].as_str().unwrap().strip_prefix("192.0.2.");
            last.is_some_and(|last| last.parse::<u8>().unwrap() < 16)
        }),
        (&["--ip", "2001:db8::/32"], |it| it["sourceIPAddress"] == "2001:db8::17"),
        (&["--ip", "*.amazonaws.com"], |it| it["sourceIPAddress"] == "ec2.amazonaws.com"),
        (&["--source", "s3"], |it| it["eventSource"] == "s3.amazonaws.com"),
        (&["--resource", "ledger/2024/*"], |it| it["eventName"] == "GetObject"),
        (&["--resource", "pay-out"], |it| it["eventName"] == "Invoke"),
        (&["--resource", "arn:aws:kms:*"], |it| it["resources"].is_array()),
        (&["--read-only"], |it| it["readOnly"] == true),
        (&["--write"], |it| it["readOnly"] == false),
        (&["--since", "2024-05-02", "--until", "2024-05-02T05:00:00Z"], |it| {
            ("2024-05-02".."2024-05-02T05:00:00Z").contains(&it["eventTime"].as_str().unwrap())
        }),
        (&["--event-id", "00000007-0000-4000-8000-000000000000"], |it| {
            it["eventID"] == "00000007-0000-4000-8000-000000000000"
        }),
        (&["--event", "NoSuchThing"], |_| false),
    ];
    for (args, meets) in cases {
        let id = |it: &Value| it["eventID"].as_str().unwrap().to_owned();
        let wanted: BTreeSet<_> = all.iter().filter(|it| meets(it)).map(id).collect();
        let found = ids(&world, args);

        assert_eq!(found.len(), wanted.len(), "{args:?}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted, "{args:?}");
    }
}

#[test]
fn the_newest_come_first_and_a_limit_leaves_older_files_unread() {
    let (world, all) = world();
    let mut times: Vec<_> = all.iter().map(|it| it["eventTime"].as_str().unwrap()).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));

    let run = history(&world, &["--limit", "5", "--output", "csv", "--threads", "1"]).exits(0);

    let rows: Vec<_> = csv::Reader::from_reader(&run.stdout[..]).into_records().flatten().collect();
    let shown: Vec<_> = rows.iter().map(|row| row.get(0).unwrap()).collect();
    assert_eq!(shown, times[..5]);
    let words: Vec<&str> = run.stderr.split(|c: char| !c.is_ascii_digit()).collect();
    let [.., read, files] =
        words.into_iter().filter_map(|it| it.parse::<u64>().ok()).collect::<Vec<_>>()[..]
    else {
        panic!("{}", run.stderr)
    };
    assert!(read < files, "{}", run.stderr);
}

#[test]
fn a_record_comes_back_with_every_value_that_it_had() {
    let world = World::new();
    let mut odd = record(1);
    odd["userIdentity"]["sessionContext"]["webIdFederationData"] =
        json!({"federatedProvider": "p", "attributes": {"sub": "s", "aud": "ä\"\\"}});
    odd["userIdentity"]["newMember"] = json!({"deep": [1.50, 1e300, {"x": null}]});
    odd["resources"] = json!([
        {"ARN": "arn:aws:s3:::a", "type": "AWS::S3::Bucket"},
        {"accountId": "111122223333", "somethingNew": [true]},
    ]);
    odd["newTopLevel"] = json!({"a": "b"});
    odd["tlsDetails"]["clientProvidedHostHeader"] = json!("h");
    odd["additionalEventData"] = json!({"MFAUsed": "No", "x": 12345678901234567890_u64});
    odd["sharedEventID"] = json!("s");
    odd["apiVersion"] = json!("2015_03_31");
    let all: Vec<_> = [odd].into_iter().chain(records(2..40)).collect();
    world.put_records(&key("a.json.gz"), &all);
    world.convert(&[]).exits(0);

    let run = history(&world, &["--limit", "all", "--output", "json"]).exits(0);

    let by_id = |list: &[Value]| {
        let mut list: Vec<Value> = list.iter().map(without_nulls).collect();
        list.sort_by_key(|it| it["eventID"].as_str().unwrap().to_owned());
        list
    };
    assert_eq!(by_id(run.json()["Records"].as_array().unwrap()), by_id(&all));
}

/// A record without the members that are null: a column cannot tell them from absent ones.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(key, value)| !value.is_null() || *key == "x");
            kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn the_csv_of_the_console_has_its_header_and_its_values() {
    let (world, _) = world();

    let run = history(&world, &["--resource", "arn:aws:kms:*", "--output", "console-csv"]).exits(0);

    assert_eq!(
        run.text(),
        "User name,AWS access key,Event time,Event source,Event name,AWS region,Source IP address,\
         User agent,Error code,Resources,Request ID,Event ID,Read-only,Event type,Recipient Account \
         Id,Event category\n\
         worker,ASIAEXAMPLE000000004,2024-05-01T06:00:18Z,madeup.amazonaws.com,DoThing3,us-east-1,\
         192.0.2.198,aws-sdk-rust/1.0,,\"[{\"\"resourceType\"\":\"\"AWS::KMS::Key\"\",\
         \"\"resourceName\"\":\"\"arn:aws:kms:us-east-1:111122223333:key/7\"\"}]\",\
         000000c6-aaaa-4000-8000-000000000000,000000c6-0000-4000-8000-000000000000,true,AwsApiCall,\
         111122223333,Management\n"
    );
}

#[test]
fn events_are_counted_by_several_fields_most_first() {
    let (world, all) = world();

    let run = history(&world, &["--count-by", "account,event", "--limit", "3"]).exits(0);

    let text = run.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("account,event,events", 4));
    for line in &lines[1..] {
        let [account, event, count] = line.split(',').collect::<Vec<_>>()[..] else { panic!() };
        let counted = all
            .iter()
            .filter(|it| it["recipientAccountId"] == account && it["eventName"] == event)
            .count();
        assert_eq!(counted.to_string(), count, "{line}");
    }
}

#[test]
fn events_around_an_event_are_those_of_its_principal() {
    let (world, all) = world();
    let centre = &all[14];

    let found = ids(&world, &["--around", centre["eventID"].as_str().unwrap(), "--within", "12h"]);

    let hour = |it: &Value| {
        let time = it["eventTime"].as_str().unwrap();
        time[8..10].parse::<i64>().unwrap() * 24 + time[11..13].parse::<i64>().unwrap()
    };
    let wanted: BTreeSet<_> = all
        .iter()
        .filter(|it| it["userIdentity"]["arn"] == centre["userIdentity"]["arn"])
        .filter(|it| (hour(it) - hour(centre)).abs() < 12)
        .map(|it| it["eventID"].as_str().unwrap().to_owned())
        .collect();
    assert!(wanted.len() > 1);
    assert!(wanted.is_subset(&found.iter().cloned().collect()), "{found:?}");
}

#[test]
fn nothing_found_is_said_and_wrong_questions_are_refused() {
    let (world, _) = world();

    let none = history(&world, &["--user", "nobody-at-all"]).exits(1);
    assert!(none.stderr.contains("No event matches"), "{}", none.stderr);
    for wrong in [
        &["--around", "not-there"][..],
        &["--since", "yesterday"],
        &["--ip", "10.0.0.0/99"],
        &["--limit", "0"],
        &["--count-by", "colour"],
        &["--read-only", "--write"],
        &["--user", ""],
    ] {
        history(&world, wrong).exits(2);
    }
    let file = world.lake.join(&world.data_files()[0]);
    std::fs::remove_file(&file).unwrap();
    let lost = history(&world, &["--limit", "all"]).exits(3);
    assert!(lost.stderr.contains("a data file is missing"), "{}", lost.stderr);
    std::fs::write(&file, "PAR1 not Parquet PAR1").unwrap();
    let damaged = history(&world, &["--limit", "all"]).exits(3);
    assert!(damaged.stderr.contains("cannot read a data file"), "{}", damaged.stderr);
}
