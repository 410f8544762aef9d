//! The report of activity: its figures, and that nothing in a log can act on who opens it.

use crate::support::{Run, World, insight_record, key, record, record_with, records};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::fs;

fn report(world: &World, args: &[&str]) -> Run {
    world.on_lake(&["report"], args)
}

fn document(world: &World, args: &[&str]) -> Value {
    report(world, &[&["--output", "json"], args].concat()).exits(0).json()
}

fn panel<'a>(document: &'a Value, id: &str) -> &'a Value {
    let panels = document["panels"].as_array().unwrap();
    panels.iter().find(|panel| panel["id"] == id).unwrap()
}

/// The rows of a panel.
fn rows<'a>(document: &'a Value, id: &str) -> &'a Vec<Value> {
    panel(document, id)["rows"].as_array().unwrap()
}

fn with(n: u64, changes: Value) -> Value {
    let mut record = record(n);
    let Value::Object(changes) = changes else { panic!("expected members") };
    for (member, value) in changes {
        record[&member] = value;
    }
    record
}

/// A console login of a user.
fn login(n: u64, user: &str, result: &str, mfa: &str) -> Value {
    let failed = if result == "Success" { Value::Null } else { json!("Failed authentication") };
    with(
        n,
        json!({
            "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "readOnly": false,
            "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/{user}")},
            "errorMessage": failed, "responseElements": {"ConsoleLogin": result},
            "additionalEventData": {"MFAUsed": mfa, "LoginTo": "https://console.aws.amazon.com/"},
        }),
    )
}

/// A call of a service by Alice, which changes something.
fn change(n: u64, service: &str, event: &str, request: Value) -> Value {
    let source = format!("{service}.amazonaws.com");
    let alice = json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"});
    let mut record = with(n, json!({"eventSource": source, "eventName": event, "readOnly": false}));
    record["userIdentity"] = alice;
    record["requestParameters"] = request;
    record
}

/// Two hundred events of three days in several files, and what the panels look for among them.
fn world() -> World {
    let world = World::new();
    let mut all = records(0..180);
    all.push(record_with(180, "errorCode", json!("Client.UnauthorizedOperation")));
    all.push(record_with(181, "errorCode", json!("AccessDenied")));
    all.push(record_with(182, "errorCode", json!("NoSuchKey")));
    let root = json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"});
    all.push(record_with(183, "userIdentity", root));
    all.push(login(184, "alice", "Success", "Yes"));
    all.push(login(185, "bob", "Success", "No"));
    all.push(login(186, "bob", "Failure", "No"));
    let object = json!({"bucketName": "ledger", "key": "2024/a b.csv"});
    all.push(with(187, json!({"eventSource": "s3.amazonaws.com", "eventName": "GetObject", "requestParameters": object})));
    let function = json!({"functionName": "pay-out"});
    all.push(with(188, json!({"eventSource": "lambda.amazonaws.com", "eventName": "Invoke", "requestParameters": function})));
    all.push(change(189, "cloudtrail", "StopLogging", json!({"name": "main"})));
    all.push(change(190, "iam", "CreateAccessKey", json!({"userName": "bob"})));
    all.push(change(191, "kms", "ScheduleKeyDeletion", json!({"keyId": "7"})));
    let everybody = json!({"bucketName": "open", "bucketPolicy": {"Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::open/*"}]}});
    all.push(change(192, "s3", "PutBucketPolicy", everybody));
    let only_tls = json!({"bucketName": "closed", "bucketPolicy": {"Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}});
    all.push(change(193, "s3", "PutBucketPolicy", only_tls));
    let acl = json!({"bucketName": "read", "x-amz-acl": "public-read"});
    all.push(change(194, "s3", "PutBucketAcl", acl));
    all.push(change(195, "s3", "DeleteBucketPublicAccessBlock", json!({"bucketName": "bare"})));
    all.push(record_with(196, "sourceIPAddress", json!("ec2.amazonaws.com")));
    for (at, some) in all.chunks(40).enumerate() {
        world.put_records(&key(&format!("{at}.json.gz")), some);
    }
    world.convert(&["--unit-size", "10kB"]).exits(0);
    world
}

#[test]
fn each_panel_counts_the_events_that_it_is_about() {
    let found = document(&world(), &["--top", "100"]);

    let totals = &rows(&found, "totals")[0];
    assert_eq!((&totals[0], &totals[2], &totals[3]), (&json!(197), &json!(4), &json!(2)));
    let sum = |id: &str, column: usize| -> u64 {
        rows(&found, id).iter().map(|row| row[column].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("activity", 3), 197);
    assert_eq!((sum("errors", 1), sum("errors", 2)), (2, 2));
    assert_eq!(sum("principals", 2), 197);
    assert_eq!(panel(&found, "source_addresses")["rows_total"], 196, "a service has no address");
    assert_eq!(rows(&found, "root").len(), 1);
    let outcomes = rows(&found, "login_users");
    let outcome = |user: &str, outcome: &str| {
        let arn = json!(format!("arn:aws:iam::111122223333:user/{user}"));
        outcomes.iter().filter(|row| row[0] == arn && row[1] == outcome).count()
    };
    assert_eq!(outcome("alice", "with MFA"), 1);
    assert_eq!((outcome("bob", "without MFA"), outcome("bob", "failed")), (1, 1));
    let names = |id: &str| -> Vec<&str> {
        rows(&found, id).iter().filter_map(|row| row[0].as_str()).collect()
    };
    assert_eq!(names("trail_changes"), ["StopLogging"]);
    assert_eq!(names("iam_changes"), ["CreateAccessKey"]);
    assert_eq!(names("kms_changes"), ["ScheduleKeyDeletion"]);
    assert_eq!(names("lambda_invocations"), ["pay-out"]);
    let mut open = names("public_grants");
    open.sort_unstable();
    assert_eq!(open, ["bare", "open", "read"], "a policy that only denies opens nothing");
    let ledger = rows(&found, "s3_access").iter().find(|row| row[0] == "ledger").unwrap();
    assert_eq!((&ledger[1], &ledger[2]), (&json!("2024"), &json!(1)));
    assert_eq!(found["coverage"]["accounts"], 2);
    assert_eq!(found["facts"]["tables"][0]["rows"], 197);
}

#[test]
fn a_report_is_about_the_time_and_the_accounts_that_it_is_asked_for() {
    let world = world();

    let one_day = ["--since", "2024-05-02", "--until", "2024-05-03", "--account", "111122223333"];
    let found = document(&world, &one_day);

    let is_in = |n: &u64| n / 50 % 3 == 1 && (n / 7).is_multiple_of(2);
    let expected = (0..197_u64).filter(is_in).count();
    assert_eq!(rows(&found, "totals")[0][0], expected);
    assert_eq!(found["coverage"]["accounts"], 1);
    assert_eq!(found["window"]["since"], "2024-05-02T00:00:00Z");
    assert!(found["window"]["first_event"].as_str().unwrap() >= "2024-05-02");
    assert_eq!(found["window"]["horizon"], "2024-05-01T00:00:00Z");
}

#[test]
fn what_was_there_before_the_window_is_not_seen_for_the_first_time() {
    let world = World::new();
    let at = |n: u64, time: &str, address: &str| {
        with(n, json!({"eventTime": time, "sourceIPAddress": address}))
    };
    let old =
        [at(1, "2024-05-01T00:00:00Z", "192.0.2.1"), at(2, "2024-05-02T00:00:00Z", "192.0.2.2")];
    let new =
        [at(3, "2024-05-20T00:00:00Z", "192.0.2.1"), at(4, "2024-05-21T00:00:00Z", "192.0.2.3")];
    world.put_records(&key("old.json.gz"), &old);
    world.put_records(&key("new.json.gz"), &new);
    world.convert(&["--unit-size", "1kB"]).exits(0);

    let found = document(&world, &["--since", "2024-05-10"]);

    let new: Vec<&Value> = rows(&found, "new_addresses").iter().map(|row| &row[0]).collect();
    assert_eq!(new, ["192.0.2.3"]);
    assert_eq!(rows(&found, "source_addresses").len(), 2);
    assert_eq!(found["window"]["horizon"], "2024-05-01T00:00:00Z");
    assert_eq!(found["window"]["new_since"], "2024-05-10T00:00:00Z");
}

#[test]
fn the_same_lake_gives_the_same_bytes() {
    let world = world();

    let page = report(&world, &["--threads", "1"]).exits(0).text();

    assert_eq!(page, report(&world, &["--threads", "4"]).exits(0).text());
    let dated = report(&world, &["--generated-at", "2026-10-01"]).exits(0).text();
    assert!(dated.contains("2026-10-01T00:00:00Z") && !page.contains("2026-10-01"));
}

/// The texts that an attacker writes into fields of his own calls.
fn hostile() -> World {
    let world = World::new();
    let long = "A".repeat(1 << 20);
    let texts = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'; DROP TABLE cloudtrail; --",
        "</title></style><style>*{display:none}</style>",
        "</svg><svg onload=alert(1)>",
        "\u{202e}gnp.exe\u{2066}\u{200b}\u{61c}\u{e0041}",
        "\u{0}\u{1b}[2J\r\n\u{85}",
        "&lt;b&gt; & {{constructor}} ${7*7} javascript:alert(1)",
        "=cmd|' /C calc'!A0",
        &long,
    ];
    let mut all = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let n = n as u64;
        all.push(with(
            n,
            json!({
                "userAgent": text, "errorCode": text, "errorMessage": text, "sourceIPAddress": text,
                "eventName": text, "eventCategory": text,
                "userIdentity": {"type": text, "arn": text, "principalId": text},
            }),
        ));
        let request = json!({"bucketName": text, "key": format!("{text}/{text}")});
        all.push(with(
            100 + n,
            json!({"eventSource": "s3.amazonaws.com", "eventName": "GetObject", "requestParameters": request}),
        ));
    }
    world.put_records(&key("hostile.json.gz"), &all);
    world.convert(&[]).exits(0);
    world
}

#[test]
fn nothing_in_a_log_acts_on_who_opens_the_page() {
    let world = hostile();

    let page = report(&world, &["--top", "100"]).exits(0).text();

    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "texts are shown");
    assert!(page.contains(r"\u{202e}gnp.exe\u{2066}\u{200b}\u{61c}\u{e0041}"));
    for markup in
        ["<script", "<img", "<svg o", "<style>*", "<a href=\"http", "<iframe", "<link rel=\"style"]
    {
        assert!(!page.contains(markup), "{markup}");
    }
    let is_odd = |c: &char| {
        (c.is_control() && *c != '\n')
            || ('\u{200b}'..='\u{200f}').contains(c)
            || ('\u{202a}'..='\u{202e}').contains(c)
    };
    assert_eq!(page.chars().find(is_odd), None);
    assert_eq!(page.matches("<style>").count(), 1);
    assert!(page.len() < 400_000, "{}", page.len());
}

#[test]
fn the_page_allows_its_style_and_nothing_else() {
    let page = report(&world(), &[]).exits(0).text();

    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    use base64::Engine as _;
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; img-src data:");
    let head = page.split("<title>").next().unwrap().replace("&#39;", "'");
    assert!(head.contains(&policy), "{head}");
    for request in
        ["src=", "url(", "@import", "http://", "https://", "style=\"", "<script", "onload"]
    {
        assert!(!page.contains(request), "{request}");
    }
}

#[test]
fn a_page_stays_small_for_every_lake() {
    let world = World::new();
    let long = |n: u64| format!("{n}-{}", "<\u{202e}&\"".repeat(100));
    let all: Vec<Value> = (0..600)
        .map(|n| {
            with(
                n,
                json!({
                    "eventTime": format!("{:04}-05-01T00:00:00Z", 1 + n * 16), "recipientAccountId": format!("{:012}", n),
                    "userAgent": long(n), "errorCode": long(n), "sourceIPAddress": long(n), "eventName": long(n),
                    "eventSource": long(n), "eventCategory": long(n % 40), "readOnly": n % 3 == 0,
                    "userIdentity": {"type": "Root", "arn": long(n)},
                }),
            )
        })
        .collect();
    world.put_records(&key("large.json.gz"), &all);
    world.convert(&["--partition-by", "account"]).exits(0);

    let page = report(&world, &["--top", "100"]).exits(0).text();

    assert!(page.len() < 400_000, "{}", page.len());
    assert!(page.contains("shortened to keep this page small"));
}

#[test]
fn a_lake_without_events_is_said_and_makes_no_page() {
    let world = world();
    let page = world.root.join("report.html");
    let name = page.to_str().unwrap();

    let run = report(&world, &["--since", "2030-01-01", "-o", name]).exits(1);

    assert!(run.stderr.contains("No event to report on"), "{}", run.stderr);
    assert!(!page.exists() && run.stdout.is_empty());
    report(&world, &["-o", name]).exits(0);
    assert!(fs::read_to_string(page).unwrap().starts_with("<!DOCTYPE html>"));
    report(&world, &["-o", "/nowhere/report.html"]).exits(3);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let world = world();

    for args in [
        &["--account", "1' OR '1'='1"][..],
        &["--since", "2024-05-02", "--until", "2024-05-02"],
        &["--since", "yesterday"],
        &["--top", "0"],
        &["--output", "pdf"],
    ] {
        report(&world, args).exits(2);
    }
}

#[test]
fn the_document_has_what_its_schema_says() {
    let schema = include_str!("../schemas/report-page.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let found = document(&world(), &[]);

    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for part in ["window", "facts", "coverage"] {
        assert_eq!(names(&schema["properties"][part]["properties"]), names(&found[part]), "{part}");
    }
    assert_eq!(names(&schema["properties"]), names(&found));
    assert_eq!(schema["properties"]["format"]["const"], found["format"]);
    let panel = &schema["properties"]["panels"]["items"]["properties"];
    assert_eq!(names(panel), names(&found["panels"][0]));
}

#[test]
fn the_sql_of_each_panel_runs_as_a_query() {
    let world = world();
    let document = document(&world, &[]);

    for panel in document["panels"].as_array().unwrap() {
        let sql = panel["sql"].as_str().unwrap();
        let answer = world.on_lake(&["query"], &[sql, "--output", "json"]);

        assert!(matches!(answer.code, 0 | 1), "{}: {}", panel["id"], answer.stderr);
        let (asked, shown) = (answer.json(), panel["rows"].as_array().unwrap());
        assert!(asked.as_array().unwrap().len() >= shown.len(), "{}", panel["id"]);
    }
}

#[test]
fn the_page_says_how_many_rows_are_in_no_panel() {
    let of_family =
        |family: &str| format!("AWSLogs/111122223333/{family}/us-east-1/2024/05/01/x.json.gz");
    let page_of = |others: bool| {
        let world = World::new();
        world.put_records(&of_family("CloudTrail"), &records(0..1005));
        if others {
            let insights: Vec<Value> = (0..20).map(insight_record).collect();
            world.put_records(&of_family("CloudTrail-NetworkActivity"), &records(2000..3007));
            world.put_records(&of_family("CloudTrail-Insight"), &insights);
        }
        world.convert(&[]).exits(0);
        report(&world, &[]).exits(0).text()
    };

    let (alone, with_others) = (page_of(false), page_of(true));

    // Typed tables have the same rows once more and do not count.
    assert!(with_others.contains("<dt>rows in no panel</dt><dd>1,027<small>"), "{with_others}");
    assert!(with_others.contains("<dt>rows in the whole lake</dt><dd>2,032<small>"));
    assert!(with_others.contains("<dt>events</dt><dd>1,005</dd>"));
    assert!(!alone.contains("rows in no panel"));
}
