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

#[test]
fn an_answer_goes_to_stdout_in_every_form_and_is_harmless_there() {
    let world = World::new();
    world.put_records(
        &key("a.json.gz"),
        &[
            record_with(1, "userAgent", json!("=cmd|' /C calc'!A0")),
            record_with(2, "userAgent", json!("\u{1b}[2J\nx")),
        ],
    );
    world.convert(&[]).exits(0);
    let sql =
        "SELECT useragent, count(*) - 2 AS n, resources FROM cloudtrail GROUP BY 1, 3 ORDER BY 1";

    let csv = world.on_lake(&["query"], &[sql, "--output", "csv"]).exits(0).text();
    let table = world.on_lake(&["query"], &[sql]).exits(0).text();
    let json = world.on_lake(&["query"], &[sql, "--output", "json"]).exits(0).json();
    let lines = world.on_lake(&["query"], &[sql, "--output", "jsonl"]).exits(0).text();

    assert!(csv.starts_with("useragent,n,resources\n"), "{csv}");
    assert!(csv.contains("'=cmd|' /C calc'!A0,-1,\n"), "{csv}");
    assert!(!table.contains('\u{1b}') && table.lines().count() == 4, "{table}");
    assert_eq!(json[1], json!({"useragent": "=cmd|' /C calc'!A0", "n": -1, "resources": null}));
    assert_eq!(lines.lines().count(), 2);
}

#[test]
fn statements_come_from_an_argument_a_file_or_stdin() {
    use std::io::Write;

    let (world, all) = world(&[]);
    let file = world.root.join("two.sql");
    std::fs::write(&file, "SELECT count(*) FROM cloudtrail; -- and\nSELECT 'a;b' AS t;\n").unwrap();
    let count = format!("[\n{{\"_col0\":{}}}\n]\n", all.len());

    let from_file =
        world.on_lake(&["query"], &["--file", file.to_str().unwrap(), "--output", "json"]).exits(0);
    let mut child =
        crate::support::program(["query", world.lake.to_str().unwrap(), "--output", "json"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
    child.stdin.take().unwrap().write_all(b"select COUNT(*) from CLOUDTRAIL").unwrap();
    let piped = crate::support::wait(child).exits(0);
    let none = world.on_lake(&["query"], &["SELECT eventid FROM cloudtrail WHERE false"]).exits(1);
    let threads = world.on_lake(&["query"], &["SELECT 1 AS one", "--threads", "1"]).exits(0);

    assert_eq!(from_file.text(), count.clone() + "[\n{\"t\":\"a;b\"}\n]\n");
    assert_eq!(piped.text(), count);
    assert!(none.text().starts_with("eventid\n"));
    assert!(threads.text().ends_with("  1\n"));
}

#[test]
fn explain_shows_what_would_be_read_and_reads_nothing() {
    let (world, _) = world(&["--partition-by", "event_date"]);
    for file in world.data_files() {
        std::fs::remove_file(world.lake.join(file)).unwrap();
    }
    let sql = "SELECT eventid FROM cloudtrail WHERE event_date = '2024-05-02'";

    let shown = world.on_lake(&["query"], &[sql, "--explain"]).exits(0).text();
    let run = world.on_lake(&["query"], &[sql]).exits(3);

    let first = shown.lines().next().unwrap();
    assert!(first.starts_with("cloudtrail: ") && first.contains(" files, "), "{shown}");
    assert!(shown.contains("Parquet SCAN") && shown.contains("event_date=2024-05-02"), "{shown}");
    assert!(!shown.contains("event_date=2024-05-01"), "{shown}");
    assert!(run.stderr.contains("a data file is missing"), "{}", run.stderr);
}

#[test]
fn what_is_wrong_with_a_statement_is_said_without_values() {
    let (world, _) = world(&[]);
    for (sql, wanted) in [
        ("SELECT nosuch FROM cloudtrail", "column `nosuch` not found"),
        ("SELECT useridentity.nosuch FROM cloudtrail", "member `nosuch` not found"),
        ("SELECT * FROM nosuch", "table `nosuch` not found"),
        ("SELECT nosuch(eventname) FROM cloudtrail", "unknown function `nosuch`"),
        (
            "SELECT CAST(eventname AS bigint) FROM cloudtrail",
            "conversion from `str` to `i64` failed",
        ),
        ("SELECT 1 FROM cloudtrail WHERE EXISTS (SELECT 1)", "Exists is not supported"),
        ("DROP TABLE cloudtrail", "DROP is not supported: a lake is only read"),
        ("SELECT * FROM read_csv('/etc/passwd')", "table function `read_csv` is not supported"),
        ("SELEC 1", "cannot read the SQL"),
        ("SELECT 'a", "cannot read the SQL"),
        (" ; -- nothing", "expected an SQL statement"),
    ] {
        let run = world.on_lake(&["query"], &[sql]).exits(2);

        assert!(run.stderr.contains(wanted), "{sql}: {}", run.stderr);
        assert!(!run.stderr.contains("DoThing") && run.stdout.is_empty(), "{}", run.stderr);
    }
}

#[test]
fn a_damaged_file_ends_the_query_with_its_exit_code() {
    let (world, _) = world(&[]);
    let file = world.lake.join(&world.data_files()[0]);
    let whole = std::fs::read(&file).unwrap();
    let half = whole.len() / 2;
    let mut changed = whole.clone();
    changed[4..half].iter_mut().for_each(|byte| *byte ^= 0x5a);
    for bytes in [&whole[..half], &[0; 100][..], &[][..], &changed] {
        std::fs::write(&file, bytes).unwrap();

        let run = world.on_lake(&["query"], &["SELECT * FROM cloudtrail"]).exits(3);

        assert!(run.stderr.contains("trailmill verify"), "{}", run.stderr);
    }
}

#[test]
fn files_from_before_a_member_was_known_are_read_with_null() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..5));
    world.convert(&[]).exits(0);
    let mut newer = record(9);
    newer["requestParameters"] = json!({"brandNew": {"inner": [{"x": 1}]}});
    world.put_records(&key("b.json.gz"), &[newer]);
    world.convert(&[]).exits(0);

    let answer = ask(
        &world,
        "SELECT request.brandnew.inner[1].x, count(*) FROM cloudtrail_typed
         WHERE request.brandnew.inner IS NOT NULL OR request.thingname = 'thing-3' GROUP BY 1 ORDER BY 1",
    );

    assert_eq!(json!(rows(&answer)), json!([[1, 1], [null, 1]]));
}

#[test]
fn a_lake_below_a_folder_with_an_equals_sign_is_queried_like_any_other() {
    let (mut world, all) = world(&["--partition-by", "account,event_date"]);
    let odd = world.lake.parent().unwrap().join("env=prod, account=a");
    std::fs::create_dir(&odd).unwrap();
    std::fs::rename(&world.lake, odd.join("lake")).unwrap();
    world.lake = odd.join("lake");
    let temporary = world.lake.parent().unwrap().parent().unwrap().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let ask = |sql: &str, more: &[&str], temporary: &std::path::Path| {
        let lake = world.lake.to_str().unwrap();
        let mut program = crate::support::program([&["query", lake, sql], more].concat());
        crate::support::wait(program.env("TMPDIR", temporary).spawn().unwrap())
    };
    let sql = "SELECT count(*) AS n FROM cloudtrail WHERE event_date >= '2024-05-01'";

    let answer = ask(sql, &["--output", "json"], &temporary).exits(0).json();
    let shown = ask(sql, &["--explain"], &temporary).exits(0).text();
    let refused = ask(sql, &[], &odd).exits(2);

    assert_eq!(answer, json!([{"n": all.len()}]));
    assert!(shown.contains("env=prod") && !shown.contains("temporary"), "{shown}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "links go with the program");
    assert!(refused.stderr.contains("set TMPDIR"), "{}", refused.stderr);
}
