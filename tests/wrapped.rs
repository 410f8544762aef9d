//! Records in every wrapper that is named in docs/input.md: the same three records each time, and the same
//! three rows.

use crate::more_wrappers;
use crate::support::{World, gzip, record, record_with, records};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polars::prelude::{AnyValue, ParquetReader, SerReader};
use proptest::prelude::*;
use serde_json::{Value, json};
use trailmill::parse::{Sink, Unwrapped, Unwrapper};

/// The three records, as text.
pub(crate) fn texts() -> Vec<String> {
    records(0..3).iter().map(ToString::to_string).collect()
}

pub(crate) fn lines(lines: impl IntoIterator<Item = impl ToString>) -> String {
    lines.into_iter().map(|line| line.to_string() + "\n").collect()
}

pub(crate) fn each(wrap: impl Fn(&Value) -> Value) -> Vec<Value> {
    records(0..3).iter().map(wrap).collect()
}

pub(crate) fn each_text(wrap: impl Fn(String) -> Value) -> Vec<Value> {
    texts().into_iter().map(wrap).collect()
}

fn base64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

pub(crate) fn lookup_item(text: &str) -> Value {
    let own: Value = serde_json::from_str(text).unwrap();
    json!({
        "EventId": own["eventID"], "EventName": own["eventName"], "ReadOnly": "true",
        "EventTime": "2024-05-01T00:00:00+00:00", "Username": "alice",
        "Resources": [{"ResourceType": "AWS::X", "ResourceName": "x"}], "CloudTrailEvent": text
    })
}

fn event_bridge(own: &Value) -> Value {
    json!({
        "version": "0", "id": "e", "detail-type": "AWS API Call via CloudTrail", "source": "aws.x",
        "account": "1", "time": "t", "region": "r", "resources": [], "detail": own
    })
}

fn subscription(texts: Vec<String>) -> Value {
    let events = texts.into_iter().enumerate();
    let events: Vec<Value> = events
        .map(|(n, text)| json!({"id": n.to_string(), "timestamp": 1, "message": text}))
        .collect();
    json!({
        "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s",
        "subscriptionFilters": ["f"], "logEvents": events
    })
}

fn csv_cell(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// LookupEvents in every form that the AWS CLI prints, and the pages of the API.
fn lookup_events() -> Vec<(&'static str, Vec<u8>)> {
    let items = each_text(|text| lookup_item(&text));
    let pages = [json!({"Events": items[..2], "NextToken": "t"}), json!({"Events": items[2..]})];
    let text = texts()
        .into_iter()
        .map(|text| format!("EVENTS\tAKIA\t{text}\tid\tname\nRESOURCES\tn\tt\n"));
    vec![
        ("--output json", serde_json::to_vec_pretty(&json!({ "Events": items })).unwrap()),
        ("--query Events", json!(items).to_string().into()),
        ("--query CloudTrailEvent", json!(texts()).to_string().into()),
        ("--query CloudTrailEvent --output text", texts().join("\t").into()),
        ("--output text", text.collect::<String>().into()),
        ("one event a line", lines(&items).into()),
        ("pages of the API", lines(&pages).into()),
        ("pages in a list", json!(pages).to_string().into()),
        ("events as Python prints them", format!("{{'Events': [{{'CloudTrailEvent': '{}', 'EventTime': datetime.datetime(2024, 5, 1, tzinfo=tzlocal()), 'ReadOnly': True}}]}}",
            texts()[0]).replace("true", "true").into()),
    ]
}

/// What AWS services send and store.
fn services() -> Vec<(&'static str, Vec<u8>)> {
    let events = each(event_bridge);
    let bodies: Vec<Value> = texts()
        .iter()
        .map(|text| json!({"messageId": "m", "body": text, "eventSource": "aws:sqs"}))
        .collect();
    let sns = |text: String| json!({"Type": "Notification", "MessageId": "m", "TopicArn": "a", "Message": text});
    let kinesis = each_text(|text| {
        json!({
            "kinesis": {"data": base64(&text), "sequenceNumber": "1"}, "eventSource": "aws:kinesis",
            "eventVersion": "1.0", "eventID": "shard", "eventName": "aws:kinesis:record", "awsRegion": "r"
        })
    });
    let exported = texts().into_iter().map(|text| format!("2024-05-01T00:00:00.000Z {text}"));
    let insights = each_text(
        |text| json!([{"field": "@timestamp", "value": "t"}, {"field": "@message", "value": text}]),
    );
    let awslogs = base64(gzip(subscription(texts()).to_string().as_bytes()));
    vec![
        ("EventBridge, one", lines(&events).into()),
        ("EventBridge, a list", json!(events).to_string().into()),
        ("EventBridge, without newlines", events.iter().map(ToString::to_string).collect::<String>().into()),
        ("SNS", lines(each_text(sns)).into()),
        ("SNS for Lambda", json!({"Records": each_text(|text| json!({"EventSource": "aws:sns", "Sns": {"Message": text}}))}).to_string().into()),
        ("SQS for Lambda", json!({ "Records": bodies }).to_string().into()),
        ("SQS ReceiveMessage", json!({"Messages": each_text(|text| json!({"MessageId": "m", "Body": text}))}).to_string().into()),
        ("SNS in SQS", json!({"Messages": each_text(|text| json!({"Body": sns(text).to_string()}))}).to_string().into()),
        ("EventBridge in SQS", json!({"Messages": each(|own| json!({"Body": event_bridge(own).to_string()}))}).to_string().into()),
        ("CloudWatch Logs subscription", subscription(texts()).to_string().into()),
        ("CloudWatch Logs subscription by Firehose", texts().into_iter().map(|text| subscription(vec![text]).to_string()).collect::<String>().into()),
        ("CloudWatch Logs subscription for Lambda", json!({"awslogs": {"data": awslogs}}).to_string().into()),
        ("CloudWatch Logs export", lines(exported).into()),
        ("CloudWatch Logs FilterLogEvents", json!({"events": each_text(|text| json!({"message": text, "timestamp": 1})), "searchedLogStreams": []}).to_string().into()),
        ("CloudWatch Logs Insights", json!({"results": insights, "status": "Complete"}).to_string().into()),
        ("CloudWatch Logs Insights, exported", json!(each(|own| json!({"@timestamp": "t", "@message": own}))).to_string().into()),
        ("CloudWatch Logs Insights, CSV", lines(["@timestamp,@message".to_owned()].into_iter().chain(texts().iter().map(|text| format!("t,{}", csv_cell(text))))).into()),
        ("Kinesis for Lambda", json!({ "Records": kinesis }).to_string().into()),
        ("Kinesis GetRecords", json!({"Records": each_text(|text| json!({"Data": base64(text), "PartitionKey": "p"}))}).to_string().into()),
        ("Firehose for Lambda", json!({"records": each_text(|text| json!({"recordId": "1", "data": base64(gzip(text.as_bytes()))}))}).to_string().into()),
        ("CloudTrail Lake, whole events", json!({"QueryResultRows": each_text(|text| json!([{"eventID": "x"}, {"eventJson": text}]))}).to_string().into()),
        ("HTTP response", json!({"statusCode": 200, "body": json!({"Records": records(0..3)}).to_string()}).to_string().into()),
        ("records as a text", json!({"Records": json!(records(0..3)).to_string()}).to_string().into()),
        ("list of events", json!({"events": records(0..3)}).to_string().into()),
    ]
}

/// What tools that collect logs make of them.
fn tools() -> Vec<(&'static str, Vec<u8>)> {
    let raw = each_text(|text| json!({"_raw": text, "_time": "t", "sourcetype": "aws:cloudtrail"}));
    let sources = each(|own| json!({"_index": "i", "_id": "1", "_source": own}));
    let bulk = records(0..3).into_iter().flat_map(|own| [json!({"index": {"_index": "i"}}), own]);
    let syslog = texts()
        .into_iter()
        .map(|text| format!("<134>1 2024-05-01T00:00:00Z host app - - [a@1 b=\"c\"] {text}"));
    let ecs =
        each_text(|text| json!({"@timestamp": "t", "event": {"original": text, "kind": "event"}}));
    let python = texts().join(", ").replace('"', "'");
    let python = python.replace(":true", ":True").replace(":false", ":False");
    let python = python.replace(":null", ":None");
    vec![
        (
            "Splunk REST export",
            lines(raw.iter().map(|raw| json!({"preview": false, "result": raw}))).into(),
        ),
        (
            "Splunk, last row",
            (lines(raw.iter().map(|raw| json!({"result": raw})))
                + "{\"preview\":false,\"lastrow\":true}\n")
                .into(),
        ),
        ("Splunk search results", json!({"preview": false, "results": raw}).to_string().into()),
        ("Splunk, Cribl", lines(&raw).into()),
        (
            "Splunk, CSV",
            lines(
                ["_raw,_time".to_owned()]
                    .into_iter()
                    .chain(texts().iter().map(|text| csv_cell(text) + ",t")),
            )
            .into(),
        ),
        (
            "Splunk HTTP Event Collector",
            lines(each(|own| json!({"time": 1, "sourcetype": "s", "event": own}))).into(),
        ),
        ("Elasticsearch", lines(&sources).into()),
        (
            "Elasticsearch search results",
            json!({"took": 1, "hits": {"total": 3, "hits": sources}}).to_string().into(),
        ),
        ("Elasticsearch bulk", lines(bulk).into()),
        ("Elastic Common Schema", lines(&ecs).into()),
        (
            "Elastic Common Schema, dotted",
            lines(each_text(|text| json!({"event.original": text, "event.kind": "event"}))).into(),
        ),
        (
            "Elastic Common Schema in Elasticsearch",
            lines(ecs.iter().map(|own| json!({"_source": own}))).into(),
        ),
        (
            "Wazuh",
            lines(each(
                |own| json!({"agent": {"id": "0"}, "data": {"integration": "aws", "aws": own}}),
            ))
            .into(),
        ),
        (
            "Logstash",
            lines(each_text(|text| json!({"message": text, "@version": "1", "host": "h"}))).into(),
        ),
        ("Fluent Bit", lines(each_text(|text| json!({"log": text, "date": 1.5}))).into()),
        ("Vector", lines(each(|own| json!({"message": own, "timestamp": "t"}))).into()),
        ("syslog", lines(syslog).into()),
        ("Python", format!("[{python}]").into()),
        (
            "comments and rules",
            format!("// by hand\n{}\n---\n\n{}\n---\n{}\n", texts()[0], texts()[1], texts()[2])
                .into(),
        ),
        (
            "marks of files",
            format!(
                "\u{feff}{}\n\u{feff}{}\n\u{1e}{}\n\u{1a}\0\0",
                texts()[0],
                texts()[1],
                texts()[2]
            )
            .into(),
        ),
        ("commas", texts().join(",\n").into()),
    ]
}

/// A value of a data file as an export has it, without what is null.
fn exported(value: &AnyValue<'_>) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(flag) => json!(flag),
        AnyValue::String(text) => json!(text),
        AnyValue::StringOwned(text) => json!(text.as_str()),
        AnyValue::Int64(number)
        | AnyValue::Datetime(number, ..)
        | AnyValue::DatetimeOwned(number, ..) => json!(number),
        AnyValue::Float64(number) => json!(number),
        AnyValue::List(items) => items.iter().map(|item| exported(&item)).collect(),
        AnyValue::Struct(_, _, fields) => {
            let values = value._iter_struct_av().map(|value| exported(&value));
            let named = fields.iter().map(|field| field.name().to_string()).zip(values);
            Value::Object(named.filter(|(_, value)| !value.is_null()).collect())
        }
        AnyValue::StructOwned(own) => {
            let values = own.0.iter().map(exported);
            let named = own.1.iter().map(|field| field.name().to_string()).zip(values);
            Value::Object(named.filter(|(_, value)| !value.is_null()).collect())
        }
        other => panic!("{other:?}"),
    }
}

/// The rows of the events table in the order of their ids, with their partition values.
fn rows(world: &World) -> Vec<Value> {
    let mut rows = Vec::new();
    for name in world.data_files().iter().filter(|name| name.starts_with("cloudtrail/")) {
        let file = std::fs::File::open(world.lake.join(name)).unwrap();
        let frame = ParquetReader::new(file).finish().unwrap();
        for at in 0..frame.height() {
            let columns = frame.columns().iter();
            let cells = columns
                .map(|column| (column.name().to_string(), exported(&column.get(at).unwrap())));
            let mut row: serde_json::Map<_, _> =
                cells.filter(|(_, value)| !value.is_null()).collect();
            let parts = name.split('/').filter_map(|part| part.split_once('='));
            row.extend(parts.map(|(key, value)| (key.to_owned(), json!(value))));
            rows.push(Value::Object(row));
        }
    }
    rows.sort_by_key(|row| row["eventid"].to_string());
    rows
}

/// What a row's wrapper said.
fn said(row: &Value) -> Value {
    let extra = row["extra_fields"].as_str().unwrap_or("{}");
    serde_json::from_str::<Value>(extra).unwrap()["_wrapper"].clone()
}

/// The rows without what wrappers said.
fn plain_rows(world: &World) -> Vec<Value> {
    let mut rows = rows(world);
    for row in &mut rows {
        if said(row).is_object() {
            row.as_object_mut().unwrap().remove("extra_fields");
        }
    }
    rows
}

#[test]
fn every_wrapper_gives_the_records_in_it() {
    let plain = World::new();
    plain.put("a.json", lines(texts()));
    plain.convert(&[]).exits(0);
    let expected = plain_rows(&plain);
    assert_eq!(expected.len(), 3);

    let forms: Vec<_> = [lookup_events(), services(), tools(), more_wrappers::all()].concat();
    assert!(forms.len() >= 71, "{}", forms.len());
    let world = World::new();
    for (number, (name, bytes)) in forms.iter().enumerate() {
        world.put(&format!("{number:02} {name}.txt").replace('/', " "), bytes);
    }
    let report = world.convert(&[]).exits(0).report();

    for manifest in world.manifests() {
        for object in manifest.objects {
            let few = object.key.contains("Python prints");
            assert_eq!(object.tally.read, if few { 1 } else { 3 }, "{}", object.key);
        }
    }
    // All of them hold the same records: each after the first is a copy.
    let total = 3 * forms.len() as u64 - 2;
    assert_eq!((report.records_read, report.records_written), (total, 3), "{report:#?}");
    assert_eq!((report.objects_ignored, report.records_unread), (0, 0));
    assert_eq!(plain_rows(&world), expected);
    world.is_proved(&[]);
}

#[test]
fn a_wrapper_keeps_what_the_record_does_not_say() {
    let world = World::new();
    world.put("a.json", lines([lookup_item(&record(0).to_string()), event_bridge(&record(1))]));
    world.put("b.log", format!("<134>Oct  1 collector: {} tail\n", record(2)));

    world.convert(&[]).exits(0);

    let said: Vec<Value> = rows(&world).iter().map(said).collect();
    assert_eq!(
        said[0],
        json!({
            "EventTime": "2024-05-01T00:00:00+00:00", "Username": "alice",
            "Resources": [{"ResourceType": "AWS::X", "ResourceName": "x"}]
        })
    );
    assert_eq!(
        said[1],
        json!({
            "version": "0", "id": "e", "detail-type": "AWS API Call via CloudTrail", "source": "aws.x",
            "account": "1", "time": "t", "region": "r"
        })
    );
    assert_eq!(said[2], json!({"before": "<134>Oct  1 collector:", "after": "tail"}));
    world.is_proved(&[]);
}

#[test]
fn a_copy_in_a_wrapper_is_a_copy_of_the_plain_record() {
    let world = World::new();
    world.put("a.json", record(0).to_string());
    world.convert(&[]).exits(0);
    world.put(
        "b.json",
        serde_json::to_vec_pretty(&lookup_item(&serde_json::to_string_pretty(&record(0)).unwrap()))
            .unwrap(),
    );

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.records_duplicate, report.records_written), (1, 0));
    assert_eq!(report.records_unwrapped, 1);
    world.is_proved(&[]);
}

#[test]
fn a_row_of_a_table_is_a_partial_record_and_no_copy_of_the_whole_one() {
    let (today, before) = (World::new(), World::new());
    let own = record(0);
    today.put("whole.json", own.to_string());
    today.put("event_history.csv", format!(
        "User name,AWS access key,Event time,Event source,Event name,AWS region,Source IP address,User agent,Error code,Resources,Request ID,Event ID,Read-only,Event type,Recipient Account Id,Event category\n\
         alice,AKIA,2024-05-01T00:00:00Z,madeup.amazonaws.com,DoThing0,us-east-1,192.0.2.0,\"[a, b]\",,\"[{{\"\"resourceType\"\":\"\"AWS::X\"\"}}]\",r,{},true,AwsApiCall,111122223333,Management\n",
        own["eventID"].as_str().unwrap()
    ));
    before.put("event_history.csv", "Event name,Event time,User name,Event source,AWS region,Event ID\nX,\"October 01, 2026, 00:00:00 (UTC+00:00)\",bob,s3.amazonaws.com,us-east-1,i\n");

    let report = today.convert(&[]).exits(0).report();
    before.convert(&[]).exits(0);

    assert_eq!((report.records_written, report.records_duplicate), (2, 0));
    let partial: Vec<Value> =
        rows(&today).into_iter().filter(|row| row["extra_fields"].is_string()).collect();
    assert_eq!(partial.len(), 1);
    let extra: Value = serde_json::from_str(partial[0]["extra_fields"].as_str().unwrap()).unwrap();
    assert_eq!(
        extra,
        json!({"_wrapper": {"partial": true, "Resources": "[{\"resourceType\":\"AWS::X\"}]"}})
    );
    assert_eq!(partial[0]["useridentity"]["username"], "alice");
    assert_eq!(partial[0]["useragent"], "[a, b]");
    assert_eq!(rows(&before)[0]["eventtime"], "October 01, 2026, 00:00:00 (UTC+00:00)");
    today.is_proved(&[]);
    before.is_proved(&[]);
}

#[test]
fn query_results_of_lake_are_partial_records_in_utc() {
    let world = World::new();
    world.put("result_1.csv", "eventID,eventTime,eventName,requestParameters\n\"1\",\"2026-10-01 00:00:00.000\",\"X\",\"{\"\"a\"\":1}\"\n");
    world.put("rows.json", json!({"QueryStatus": "FINISHED", "QueryResultRows": [[{"eventID": "2"}, {"eventTime": "2026-10-01 00:00:00.000"}, {"eventName": "Y"}]]}).to_string());

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.records_written, 2);
    assert_eq!(rows(&world)[0]["requestparameters"], "{\"a\":1}");
    world.is_proved(&[]);
}

#[test]
fn values_beside_records_in_a_wrapper_are_quarantined() {
    let world = World::new();
    let mut messages = subscription(texts());
    messages["logEvents"].as_array_mut().unwrap().push(json!({"message": "START RequestId"}));
    world.put("a.json", messages.to_string());

    let report = world.convert(&[]).exits(1).report();

    assert_eq!((report.records_written, report.records_quarantined), (3, 1));
    world.is_proved(&[]);
}

#[test]
fn wrappers_that_are_not_known_are_counted_and_read_on_demand() {
    let (world, off) = (World::new(), World::new());
    let odd = json!({"collector": {"batch": [{"payload": record(0)}, {"payload": record(1)}]}})
        .to_string();
    world.put("a.json", &odd);
    off.put("a.json", lines(each_text(|text| lookup_item(&text))));

    let report = world.convert(&[]).exits(1).report();
    assert_eq!((report.records_read, report.records_unread), (0, 2));
    let report = world.convert(&["--unwrap", "any"]).exits(0).report();
    assert_eq!((report.records_written, report.records_unread), (2, 0));
    world.is_proved(&["--unwrap", "any"]);

    let report = off.convert(&["--unwrap", "off"]).exits(1).report();
    assert_eq!(
        (report.records_read, report.objects_quarantined),
        (0, 1),
        "it looks like CloudTrail"
    );
}

#[test]
fn notifications_are_not_records_in_whatever_wrapper() {
    let world = World::new();
    let s3 = json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "r", "eventTime": "t", "eventName": "ObjectCreated:Put", "s3": {}}]});
    world.put("a.json", s3.to_string());
    world.put("b.json", json!({"Messages": [{"Body": s3.to_string()}]}).to_string());
    world.put("c.json", record(0).to_string());

    let report = world.convert(&[]).exits(0).report();

    assert_eq!((report.records_read, report.objects_ignored), (1, 2));
    world.is_proved(&[]);
}

#[test]
fn a_lake_that_is_exported_row_by_row_comes_back_equal() {
    let (first, again) = (World::new(), World::new());
    let mut odd = record_with(3, "newKey", json!([1, {"a": 2.0}]));
    odd["userIdentity"]["newMember"] = json!("x");
    odd["userIdentity"]["sessionContext"]["webIdFederationData"] =
        json!({"attributes": {"k": "v"}});
    odd["resources"] = json!([{"ARN": "arn:a"}, {"ARN": "arn:b", "extra": 1}]);
    odd["requestParameters"] = json!("a text");
    odd["managementEvent"] = json!("maybe");
    first.put("a.json", lines(records(0..3).into_iter().chain([odd])));
    first.convert(&[]).exits(0);
    let expected = rows(&first);
    again.put("rows.json", lines(&expected));

    let report = again.convert(&[]).exits(0).report();

    assert_eq!(report.records_written, 4);
    assert_eq!(rows(&again), expected);
    again.is_proved(&[]);
}

#[test]
fn times_that_are_instants_are_read_and_others_only_as_utc() {
    let world = World::new();
    let times = [
        json!("2024-05-01 12:00:00Z"),
        json!("2024-05-01t12:00:00z"),
        json!("2024-05-01T12:00:00+0000"),
        json!(1_714_564_800),
        json!(1_714_564_800_000_u64),
        json!("1714564800"),
        json!({"$date": "2024-05-01T12:00:00Z"}),
        json!({"$date": {"$numberLong": "1714564800000"}}),
        json!("2024-05-01T12:00:00.123456789Z"),
        json!("2024-05-01 12:00:00"),
    ];
    let all =
        times.iter().enumerate().map(|(n, time)| record_with(n as u64, "eventTime", time.clone()));
    world.put("a.json", lines(all));

    let report = world.convert(&[]).exits(1).report();
    assert_eq!((report.records_written, report.records_quarantined), (9, 1));
    world.is_proved(&[]);
    world.remove_lake();
    let report = world.convert(&["--assume-utc"]).exits(0).report();

    assert_eq!(report.records_written, 10);
    let rows = rows(&world);
    assert!(rows.iter().all(|row| row["event_date"] == "2024-05-01"), "{rows:#?}");
    assert_eq!(
        (&rows[3]["eventtime"], &rows[6]["eventtime"]),
        (&json!("1714564800"), &json!("{\"$date\":\"2024-05-01T12:00:00Z\"}"))
    );
    world.is_proved(&["--assume-utc"]);
}

#[test]
fn an_anonymised_corpus_converts() {
    let world = World::new();
    let accounts = [
        "************",
        "<account-id>",
        "REDACTED_ACCOUNT",
        "arn:aws:iam::111122223333:root",
        " 111122223333 ",
        "../../x",
    ];
    let all = accounts.iter().enumerate().map(|(n, account)| {
        let mut own = record_with(n as u64, "recipientAccountId", json!(account));
        own["awsRegion"] = json!(if n == 4 { "us-east-1 " } else { "<region>" });
        own
    });
    world.put("a.json", lines(all));

    world.convert(&[]).exits(0);

    let rows = rows(&world);
    assert_eq!(
        rows.iter().map(|row| row["recipientaccountid"].as_str().unwrap()).collect::<Vec<_>>(),
        accounts
    );
    let paths: Vec<_> = rows
        .iter()
        .map(|row| (row["account"].as_str().unwrap(), row["region"].as_str().unwrap()))
        .collect();
    assert_eq!(paths[4], ("111122223333", "us-east-1"));
    assert!(
        paths.iter().enumerate().all(|(n, path)| n == 4 || *path == ("unknown", "unknown")),
        "{paths:?}"
    );
    world.is_proved(&[]);
}

/// Numbers that look random, and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// A text with a few bytes changed, removed, doubled or put in.
    fn mutated(&mut self, bytes: &[u8]) -> Vec<u8> {
        const BYTES: &[u8] = b"{}[]\",:\\ \n'a0\0\xef\xbb\xbf,\t;u";
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len().max(1));
            let byte = BYTES[self.below(BYTES.len())];
            match self.below(5) {
                0 => out.truncate(at),
                1 => out.insert(at.min(out.len()), byte),
                2 if at < out.len() => out[at] = byte,
                3 if at < out.len() => drop(out.remove(at)),
                _ => {
                    let end = (at + self.below(200)).min(out.len());
                    let piece = out[at.min(end)..end].to_vec();
                    out.splice(at.min(end)..at.min(end), piece);
                }
            }
        }
        out
    }
}

/// `TRAILMILL_FUZZ_ROUNDS` damages each form as often as that, and not a few times.
#[test]
fn damaged_wrappers_lose_nothing_and_end_in_no_panic() {
    let rounds = std::env::var("TRAILMILL_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok());
    let (rounds, mut dice) = (rounds.unwrap_or(4), Dice(crate::fuzzed::seed() | 1));
    let forms = [lookup_events(), services(), tools(), more_wrappers::all()].concat();
    let world = World::new();
    for round in 0..rounds {
        for (number, (_, bytes)) in forms.iter().enumerate() {
            world.put(&format!("{round:04}-{number:02}.txt"), dice.mutated(bytes));
        }
    }

    let run = world.convert(&["--unwrap", "any"]);

    assert!(run.code == 0 || run.code == 1, "{}", run.stderr);
    assert!(run.report().records_read > 0);
    // Objects without any record left are not read by either side.
    let proof = world.verify(&["--unwrap", "any"]).json();
    for count in ["records_missing", "records_unexpected", "file_problems"] {
        assert_eq!(proof[count], 0, "{proof:#}");
    }
}

/// Takes the texts of what is found.
#[derive(Default)]
struct Texts(Vec<String>);

impl Sink for Texts {
    fn record(&mut self, record: &Unwrapped<'_>) {
        assert!(record.known.is_empty() || serde_json::from_slice::<Value>(record.known).is_ok());
        self.0.push(String::from_utf8(record.text.to_vec()).unwrap());
    }

    fn miss(&mut self, _text: &[u8], _at: usize) {}

    fn make_room(&mut self, _bytes: usize) -> bool {
        true
    }

    fn gunzip(&mut self, _bytes: &[u8], _out: &mut Vec<u8>) -> bool {
        false
    }
}

/// Puts texts into the wrapper of a number.
fn wrapped(kind: u8, inner: &[String]) -> Vec<String> {
    let all =
        |wrap: &dyn Fn(&String) -> Value| inner.iter().map(|text| wrap(text).to_string()).collect();
    match kind {
        0 => all(&|text| json!({"EventId": "x", "CloudTrailEvent": text})),
        1 => all(&|text| json!({"Type": "Notification", "Message": text})),
        2 => all(&|text| json!({"_raw": text, "host": "h"})),
        3 => all(&|text| json!({"_source": {"message": text}, "_id": "1"})),
        4 => all(&|text| json!({"data": base64(text)})),
        5 => vec![json!({"logEvents": inner.iter().map(|text| json!({"message": text})).collect::<Vec<_>>()}).to_string()],
        6 => vec![json!({"Messages": inner.iter().map(|text| json!({"Body": text})).collect::<Vec<_>>()}).to_string()],
        _ => vec![json!(inner).to_string()],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn records_come_out_of_wrappers_in_wrappers_as_they_went_in(kinds in prop::collection::vec(0_u8..8, 1..4), key in "\\PC{0,12}") {
        let records: Vec<String> = (0..3).map(|n| record_with(n, "odd", json!(key)).to_string()).collect();
        let outer = kinds.iter().fold(records.clone(), |inner, kind| wrapped(*kind, &inner));
        let (mut found, mut unwrapper) = (Texts::default(), Unwrapper::default());
        for text in &outer {
            prop_assert!(unwrapper.unwrap(text.as_bytes(), 0, &mut found));
        }
        prop_assert_eq!(found.0, records);
    }

    #[test]
    fn no_bytes_make_unwrapping_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..8, cut in 0_usize..400) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let outer = wrapped(kind, &[text.clone(), record(0).to_string()]).concat();
        let mut unwrapper = Unwrapper::default();
        for bytes in [&bytes[..], &outer.as_bytes()[..cut.min(outer.len())], outer.as_bytes()] {
            for at in 0..bytes.len().min(20) {
                let sink = &mut Texts::default();
                unwrapper.unwrap(&bytes[at..], at, sink);
                unwrapper.unwrap_any(&bytes[at..], at, sink);
                unwrapper.table(&bytes[at..], at, sink);
                Unwrapper::is_empty(&bytes[at..]);
            }
        }
    }
}
