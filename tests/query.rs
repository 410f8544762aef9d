//! SQL over a lake: answers are those of the records, and only files that can count are opened.

use crate::support::{World, key, record, record_with, records};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trailmill::engine::runtime;
use trailmill::operations::{QueryAnswer, QueryEngine, QueryOptions};
use trailmill::storage::Storage;

/// Two hundred events of three days, in several files.
fn world(more: &[&str]) -> (World, Vec<Value>) {
    let world = World::new();
    let mut all = records(0..196);
    all.push(record_with(
        196,
        "userIdentity",
        json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"}),
    ));
    all.push(record_with(
        197,
        "resources",
        json!([
            {"ARN": "arn:aws:kms:us-east-1:111122223333:key/7", "type": "AWS::KMS::Key"},
            {"ARN": "arn:aws:s3:::b", "accountId": "111122223333"}
        ]),
    ));
    let mut federated = record(198);
    federated["userIdentity"]["sessionContext"]["webIdFederationData"] =
        json!({"federatedProvider": "p", "attributes": {"sub": "x", "aud": "y"}});
    all.push(federated);
    for (at, some) in all.chunks(40).enumerate() {
        world.put_records(&key(&format!("{at}.json.gz")), some);
    }
    world.convert(&[&["--unit-size", "10kB"], more].concat()).exits(0);
    (world, all)
}

fn ask(world: &World, sql: &str) -> QueryAnswer {
    let runtime = runtime().unwrap();
    let storage = Storage::local(&world.lake).unwrap();
    runtime.block_on(async {
        let engine = QueryEngine::open(&storage, &QueryOptions::default()).await.unwrap();
        engine.sql(sql).await.unwrap_or_else(|err| panic!("{sql}: {err:?}"))
    })
}

fn rows(answer: &QueryAnswer) -> Vec<Vec<Value>> {
    let width = answer.grid.names().len();
    let row = |row| (0..width).map(|column| answer.grid.value(row, column)).collect();
    (0..answer.grid.len()).map(row).collect()
}

#[test]
fn counts_are_those_of_the_records() {
    let (world, all) = world(&[]);
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for record in &all {
        *wanted.entry(record["eventName"].as_str().unwrap().to_owned()).or_default() += 1;
    }

    let answer = ask(
        &world,
        "SELECT EventName, count(*) FROM trailmill.CloudTrail GROUP BY eventname ORDER BY 1",
    );

    let wanted: Vec<Vec<Value>> =
        wanted.into_iter().map(|(name, count)| vec![json!(name), json!(count)]).collect();
    assert_eq!(rows(&answer), wanted);
    assert_eq!(answer.grid.names(), ["eventname", "_col1"]);
    assert_eq!(answer.files, answer.files_kept);
}

#[test]
fn nested_values_maps_and_arrays_are_read_in_athena_s_spelling() {
    let (world, _) = world(&[]);
    let cases = [
        (
            "SELECT useridentity.type, \"useridentity\".\"arn\" FROM cloudtrail
             WHERE useridentity.type = 'Root'",
            json!([["Root", "arn:aws:iam::111122223333:root"]]),
        ),
        (
            "SELECT r.arn FROM cloudtrail t CROSS JOIN UNNEST(t.resources) AS u (r) ORDER BY r.arn",
            json!([["arn:aws:kms:us-east-1:111122223333:key/7"], ["arn:aws:s3:::b"]]),
        ),
        (
            "SELECT element_at(resources, 2).accountid, cardinality(resources) FROM cloudtrail
             WHERE resources IS NOT NULL",
            json!([["111122223333", 2]]),
        ),
        (
            "SELECT useridentity.sessioncontext.webidfederationdata.attributes['sub'],
               element_at(useridentity.sessioncontext.webidfederationdata.attributes, 'aud')
             FROM cloudtrail
             WHERE useridentity.sessioncontext.webidfederationdata.federatedprovider = 'p'",
            json!([["x", "y"]]),
        ),
        (
            "SELECT json_extract_scalar(requestparameters, '$.thingName'),
               CAST(json_extract_scalar(requestparameters, '$[\"maxThings\"]') AS bigint)
             FROM cloudtrail WHERE eventid LIKE '00000011-%'",
            json!([["thing-17", 17]]),
        ),
        (
            "SELECT date_format(date_trunc('hour', from_iso8601_timestamp(eventtime)), '%H:%i'),
               event_timestamp FROM cloudtrail WHERE eventid LIKE '00000011-%'",
            json!([["17:00", "2024-05-01 17:00:17.000"]]),
        ),
        (
            "SELECT request.thingname FROM cloudtrail_typed WHERE request.maxthings = 17",
            json!([["thing-17"]]),
        ),
        ("SELECT count(*) FROM cloudtrail_insight", json!([[0]])),
        (
            "SELECT count(*) FROM cloudtrail_by_day WHERE year = '2024' AND day = '02'",
            json!([[50]]),
        ),
    ];
    for (sql, wanted) in cases {
        assert_eq!(json!(rows(&ask(&world, sql))), wanted, "{sql}");
    }
}

#[test]
fn every_column_and_every_view_can_be_shown() {
    let (world, all) = world(&["--partition-by", "account,region,event_date"]);
    let storage = Storage::local(&world.lake).unwrap();
    let engine =
        runtime().unwrap().block_on(QueryEngine::open(&storage, &QueryOptions::default())).unwrap();
    let views: Vec<String> = engine.session().views().map(|(name, _)| name.to_owned()).collect();
    assert!(views.len() >= 9, "{views:?}");

    for name in views {
        ask(&world, &format!("SELECT * FROM {name}"));
    }
    for table in ["cloudtrail", "cloudtrail_typed", "cloudtrail_digest"] {
        let answer = ask(&world, &format!("SELECT * FROM {table}"));
        let wanted = if table == "cloudtrail_digest" { 0 } else { all.len() };
        assert_eq!(answer.grid.len(), wanted, "{table}");
        assert!(answer.grid.names().ends_with(&["account", "region", "event_date"]));
    }
}

#[test]
fn files_are_left_out_by_partition_and_by_time() {
    for layout in ["account,region,event_date", "event_date", "year"] {
        let (world, all) = world(&["--partition-by", layout]);
        let on_day = |day: &str| {
            let is_of = |it: &&Value| it["eventTime"].as_str().unwrap().starts_with(day);
            all.iter().filter(is_of).count() as u64
        };
        for (condition, wanted) in [
            ("event_date = '2024-05-02'", on_day("2024-05-02")),
            ("event_date BETWEEN '2024-05-02' AND '2024-05-02'", on_day("2024-05-02")),
            (
                "event_timestamp >= TIMESTAMP '2024-05-02 00:00:00' AND event_timestamp < date_add('day', 1, TIMESTAMP '2024-05-02 00:00:00')",
                on_day("2024-05-02"),
            ),
            ("event_timestamp > from_iso8601_timestamp('2025-01-01T00:00:00Z')", 0),
            ("event_date IN ('2024-05-02', '2024-05-04')", on_day("2024-05-02")),
            (
                "region = 'eu-west-1' AND account LIKE '1111%'",
                all.iter()
                    .filter(|it| {
                        it["awsRegion"] == "eu-west-1" && it["recipientAccountId"] == "111122223333"
                    })
                    .count() as u64,
            ),
        ] {
            let answer = ask(&world, &format!("SELECT count(*) FROM cloudtrail WHERE {condition}"));

            assert_eq!(rows(&answer), [[json!(wanted)]], "{layout}: {condition}");
            let is_cut = !condition.contains("region") || layout.contains("region");
            if is_cut && layout != "year" {
                assert!(answer.files_kept < answer.files, "{layout}: {condition}");
            }
        }
    }
}
