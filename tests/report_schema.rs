//! Reports in JSON are what `schemas/report.json` says.

use crate::support::{World, key, record, records, run};
use serde_json::Value;
use std::path::Path;

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/report.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => panic!("the schema has the type {name}"),
    }
}

/// Adds what is wrong with a value; a part of JSON Schema, as much as the file uses.
fn check(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        check(root, &root["$defs"][name], value, at, wrong);
        return;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{at} has no type"),
    };
    if !types.iter().any(|name| is_of(value, name)) {
        wrong.push(format!("{at}: not {types:?}"));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        wrong.push(format!("{at}: not {}", schema["const"]));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            wrong.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let place = format!("{at}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) | (None, schema @ Value::Object(_)) => {
                check(root, schema, member, &place, wrong);
            }
            _ => wrong.push(format!("{place}: unknown")),
        }
    }
    for element in value.as_array().into_iter().flatten() {
        check(root, &schema["items"], element, &format!("{at}[]"), wrong);
    }
}

fn holds(report: &Value) {
    let (schema, mut wrong) = (schema(), Vec::new());
    check(&schema, &schema, report, "report", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}\n{report:#}");
}

#[test]
fn reports_of_conversions_are_what_their_schema_says() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    world.put(&key("b.json"), b"{\"Records\": [1]}");
    world.put("AWSLogs/notes.txt", b"nothing");
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());
    let convert =
        |more: &[&str]| run(["convert", logs, lake, "--report", "json"].iter().chain(more)).json();

    let first = convert(&["--integrity", "record"]);
    let again = convert(&[]);
    let restored = convert(&["--restore"]);

    [&first, &again, &restored].into_iter().for_each(holds);
    assert_eq!(first["report_format"], 1);
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&first["lake"], &first["sources"][0]), (&lake.into(), &logs.into()));
    assert_ne!(first["run"], again["run"]);
    assert!(restored["restored"].is_object() && first["integrity"].is_object());
}

#[test]
fn reports_of_array_jobs_are_what_their_schema_says() {
    let world = World::new();
    for n in 0..4 {
        world.put_records(&key(&format!("{n}.json.gz")), &[record(n)]);
    }
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());
    run(["plan", logs, lake, "--children", "2", "--unit-size", "1kB"]).exits(0);

    let child = run(["convert", "--plan", lake, "--report", "json"]).exits(0).json();
    let finished = run(["finish", "--plan", lake, "--report", "json"]).exits(0).json();

    [&child, &finished].into_iter().for_each(holds);
    assert_eq!(child["child"]["index"], Value::Null);
    assert_eq!(finished["sources"][0], logs);
}

#[test]
fn a_report_that_is_not_what_the_schema_says_is_noticed() {
    let schema = schema();
    let wrong = |report: Value| {
        let mut wrong = Vec::new();
        check(&schema, &schema, &report, "report", &mut wrong);
        wrong.len()
    };

    // Nothing of it is there, one is unknown, and one has another type.
    let required = schema["required"].as_array().unwrap().len();
    assert_eq!(wrong(serde_json::json!({"brandNew": 1, "files": "many"})), required - 1 + 2);
}
