//! Wrappers that fewer people have, for `tests/wrapped.rs`: other outputs of the AWS CLI and the SDKs, and what tools
//! that search logs export.

use crate::support::records;
use crate::wrapped::{each, each_text, lines, lookup_item, texts};
use serde_json::{Value, json};

/// What the AWS CLI and the SDKs print.
fn aws() -> Vec<(&'static str, Vec<u8>)> {
    let rows = each_text(|text| json!(["2024-05-01T00:00:00+00:00", text, true]));
    let quoted = texts().into_iter().map(|text| Value::from(text).to_string());
    let pretty: Vec<String> = each(Clone::clone).iter().map(|own| format!("{own:#}")).collect();
    let tail = pretty.iter().map(|own| format!("2024-05-01T00:00:00.1+00:00 stream {own}\n"));
    let found = texts().into_iter().map(|text| format!("EVENTS\t1\t2\ts\t{text}\t3"));
    let cells = texts().into_iter().map(|text| format!("||  CloudTrailEvent |  {text}  ||"));
    let table = ["---", "|  LookupEvents  |", "|+-----+|"].map(str::to_owned).into_iter();
    let events = each_text(|text| json!({"EventId": "x", "cloudTrailEvent": text}));
    let entries = each_text(|text| json!({"Source": "aws.x", "DetailType": "t", "Detail": text}));
    let items: Vec<Value> = texts().iter().map(|text| lookup_item(text)).collect();
    let windows = format!("{:#}", json!({ "Events": items })).replace('\n', "\r\n");
    vec![
        ("--query lists", format!("{:#}", json!(rows)).into()),
        ("--query renamed", json!(each_text(|text| json!({"Event": text}))).to_string().into()),
        ("strings of jq", lines(quoted).into()),
        ("--output table", lines(table.chain(cells)).into()),
        ("SDK for Java", json!({ "events": events }).to_string().into()),
        ("EventBridge PutEvents", json!({ "Entries": entries }).to_string().into()),
        ("aws logs tail", tail.collect::<String>().into()),
        (
            "FilterLogEvents as text",
            lines(found.chain(["SEARCHEDLOGSTREAMS\tTrue\ts".to_owned()])).into(),
        ),
        ("PowerShell", format!("\u{feff}{windows}\r\n").into()),
        ("in a Markdown page", format!("# notes\n```json\n{}\n```\n", pretty.join("\n")).into()),
    ]
}

/// A text in single quotes, with a line break for each space that stands alone, as YAML folds it.
fn folded(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace(' ', "\n    "))
}

/// What prints YAML.
fn yaml() -> Vec<(&'static str, Vec<u8>)> {
    let event = |text: String| {
        format!("- CloudTrailEvent: {}\n  EventName: x\n  Resources: []\n", folded(&text))
    };
    let events: String = texts().into_iter().map(event).collect();
    let items = texts().into_iter().map(|text| format!("- {}", folded(&text)));
    let pages = texts()
        .into_iter()
        .map(|text| format!("- Events:\n  {}", event(text).replace('\n', "\n  ")));
    let record = |own: &Value| {
        let members = own.as_object().unwrap().iter();
        lines(members.map(|(key, value)| format!("{key}: {value}")))
    };
    let records: Vec<String> = records(0..3).iter().map(record).collect();
    vec![
        ("--output yaml", format!("Events:\n{events}NextToken: abc\n").into()),
        ("--output yaml, texts", lines(items).into()),
        ("--output yaml-stream", lines(pages).into()),
        ("records in YAML", format!("---\n{}", records.join("---\n")).into()),
    ]
}

/// What is exported of tools that search logs.
fn searches() -> Vec<(&'static str, Vec<u8>)> {
    let rows = each_text(|text| json!(["2024-05-01", text]));
    let columns = json!([["a", "b", "c"], texts()]);
    let bulk = each(|own| json!({"doc": own, "doc_as_upsert": true})).into_iter();
    let bulk = bulk.flat_map(|own| [json!({"update": {"_index": "i", "_id": "1"}}), own]);
    let cells = |separator: char| {
        let cell = move |text: String| format!("t{separator}\"{}\"", text.replace('"', "\"\""));
        texts().into_iter().map(cell)
    };
    let excel = ["sep=;".to_owned(), "_time;_raw".to_owned()].into_iter();
    let datadog = each(|own| json!({"id": "1", "attributes": {"attributes": own}}));
    vec![
        ("Splunk rows", json!({"fields": ["_time", "_raw"], "rows": rows}).to_string().into()),
        (
            "Splunk columns",
            json!({"fields": ["_time", "_raw"], "columns": columns}).to_string().into(),
        ),
        ("Elasticsearch bulk updates", lines(bulk).into()),
        (
            "Elasticsearch fields",
            lines(each_text(|text| json!({"_id": "1", "fields": {"event.original": [text]}})))
                .into(),
        ),
        (
            "Kibana, CSV",
            lines(["@timestamp,event.original".to_owned()].into_iter().chain(cells(','))).into(),
        ),
        (
            "Kibana, CSV of documents",
            lines(["_id,_source".to_owned()].into_iter().chain(cells(','))).into(),
        ),
        ("CSV for Excel", lines(excel.chain(cells(';'))).replace('\n', "\r\n").into()),
        (
            "Wazuh, full log",
            lines(each(
                |own| json!({"full_log": json!({"integration": "aws", "aws": own}).to_string()}),
            ))
            .into(),
        ),
        ("Datadog", json!({ "data": datadog }).to_string().into()),
        ("Sumo Logic", json!(each_text(|text| json!({"map": {"_raw": text}}))).to_string().into()),
        (
            "GELF",
            lines(each_text(|text| json!({"short_message": "x", "full_message": text}))).into(),
        ),
        ("systemd journal", lines(each_text(|text| json!({"MESSAGE": text, "_PID": "1"}))).into()),
        ("Google Cloud Logging", lines(each(|own| json!({"jsonPayload": own}))).into()),
        (
            "Google Cloud Logging, text",
            lines(each_text(|text| json!({"textPayload": text}))).into(),
        ),
        ("OpenTelemetry", lines(each_text(|text| json!({"body": {"stringValue": text}}))).into()),
        (
            "OpenTelemetry, a batch",
            json!({"resourceLogs": [{"scopeLogs": [{"logRecords": each_text(
                |text| json!({"timeUnixNano": "1", "body": {"stringValue": text}})
            )}]}]})
            .to_string()
            .into(),
        ),
        ("OCSF", lines(each_text(|text| json!({"class_uid": 6003, "raw_data": text}))).into()),
        ("Filebeat", lines(each(|own| json!({"@timestamp": "t", "json": own}))).into()),
    ]
}

pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    [aws(), yaml(), searches()].concat()
}
