//! Sources and lakes that agree, and lakes wrong in one way each.

mod containers;
mod fixture;
mod maps;
mod typed;

use super::contract::Family;
use super::{DifferenceKind, DuplicateRule, verify};
use fixture::{Fixture, RECORD, row, small, small_row};
use polars::prelude::*;
use serde_json::json;

const FILE: &str = "cloudtrail/account=123456789012/event_date=2024-05-01/a.parquet";

fn enveloped(records: &[&str]) -> String {
    format!("{{\"Records\":[{}]}}", records.join(", "))
}

#[test]
fn a_pretty_printed_source_equals_the_minified_lake() {
    let fixture = Fixture::new().source("a.json", RECORD).lake(FILE, Family::Events, &[row()]);

    let report = fixture.verify();

    assert_eq!(report.differences, []);
    assert!(report.proves());
    assert_eq!((report.records_expected, report.rows_checked, report.files_read), (1, 1, 1));
}

#[test]
fn one_corrupt_value_is_a_difference_in_its_column() {
    for (path, value) in [
        ("/requestparameters", json!(r#"{"key":"café \/x","n":1.0,"policy":" { } "}"#)),
        ("/useridentity/sessioncontext/webidfederationdata/attributes/a", json!("1.5")),
        ("/useridentity/accountid", json!(null)),
        ("/resources/1/accountid", json!("")),
        ("/resources", json!([{"arn": "arn:1", "type": "T"}, {"accountid": "1"}])),
        ("/managementevent", json!(false)),
        ("/event_timestamp", json!(1_714_564_800_001_i64)),
        ("/extra_fields", json!(null)),
        ("/additionaleventdata", json!("text")),
    ] {
        let mut wrong = row();
        *wrong.pointer_mut(path).unwrap() = value;
        let fixture = Fixture::new().source("x/a.json", enveloped(&[&small("id-0"), RECORD])).lake(
            FILE,
            Family::Events,
            &[wrong, small_row("id-0")],
        );

        let report = fixture.verify();

        assert!(!report.proves());
        let [difference] = report.differences.as_slice() else { panic!("{report:?}") };
        assert_eq!(difference.kind, DifferenceKind::Different, "{path}");
        assert_eq!(difference.column.as_deref(), path.split('/').nth(1), "{path}");
        assert_eq!(difference.event_id.as_deref(), Some("id-1"));
        assert_eq!(difference.object, Some(fixture.key("x/a.json")));
        assert_eq!(difference.record, Some(1));
        assert_eq!(difference.file.as_deref(), Some(FILE));
    }
}

#[test]
fn a_dropped_row_is_missing_and_a_doubled_one_unexpected() {
    let source = enveloped(&[&small("a"), &small("b"), &small("c")]);
    let rows = ["b", "a", "b"].map(small_row);
    let fixture = Fixture::new().source("o.json", source).lake(FILE, Family::Events, &rows);

    let report = fixture.verify();

    assert_eq!((report.records_missing, report.records_unexpected), (1, 1));
    let seen: Vec<_> =
        report.differences.iter().map(|d| (d.kind, d.event_id.as_deref(), d.record)).collect();
    assert_eq!(
        seen,
        [
            (DifferenceKind::Missing, Some("c"), Some(2)),
            (DifferenceKind::Unexpected, Some("b"), None),
        ]
    );
}

#[test]
fn copies_of_a_record_count_once_or_each_as_the_rule_says() {
    let text = enveloped(&[&small("a"), &small("a")]);
    let one = Fixture::new().source("1.json", &text).source("2.json", &text).lake(
        FILE,
        Family::Events,
        &[small_row("a")],
    );

    let dropped = one.verify();
    let mut options = one.options();
    options.duplicates = DuplicateRule::Keep;
    let kept = verify(&options, &|_| ()).unwrap();

    assert!(dropped.proves());
    assert_eq!((dropped.records_expected, dropped.records_duplicate), (1, 3));
    assert_eq!((kept.records_expected, kept.records_missing), (4, 3));
}

#[test]
fn records_without_an_id_always_count_each() {
    let bare = r#"{"eventTime":"2024-05-01T12:00:00Z","eventName":"N"}"#;
    let mut bare_row = small_row("");
    bare_row["eventid"] = json!(null);
    let fixture = Fixture::new().source("a.json", enveloped(&[bare, bare])).lake(
        FILE,
        Family::Events,
        &[bare_row.clone(), bare_row],
    );

    assert!(fixture.verify().proves());
}

#[test]
fn same_id_other_text_is_two_records() {
    let other = small("a").replace("\"N\"", "\"M\"");
    let mut other_row = small_row("a");
    other_row["eventname"] = json!("M");
    let fixture = Fixture::new().source("a.json", enveloped(&[&small("a"), &other])).lake(
        FILE,
        Family::Events,
        &[other_row, small_row("a")],
    );

    assert!(fixture.verify().proves());
}

#[test]
fn a_column_that_a_file_lacks_or_retypes_is_a_difference() {
    let drops = |frame: DataFrame| frame.drop("errorcode").unwrap();
    let moves = |frame: DataFrame| {
        let moved = frame.column("eventversion").unwrap().clone();
        let mut frame = frame.drop("eventversion").unwrap();
        frame.with_column(moved).unwrap();
        frame
    };
    let retypes = |mut frame: DataFrame| {
        let numbers = Column::new("apiversion".into(), [1_i64]);
        frame.with_column(numbers).unwrap();
        frame
    };
    let changes: [(&str, &dyn Fn(DataFrame) -> DataFrame); 3] =
        [("errorcode", &drops), ("useridentity", &moves), ("apiversion", &retypes)];
    for (column, change) in changes {
        let fixture = Fixture::new().source("a.json", small("a")).lake_as(
            FILE,
            Family::Events,
            &[small_row("a")],
            change,
        );

        let report = fixture.verify();

        assert_eq!(report.records_missing, 0, "{column}");
        let named: Vec<_> = report.differences.iter().filter_map(|d| d.column.as_deref()).collect();
        assert!(named.contains(&column), "{column}: {named:?}");
        assert!(!report.proves());
    }
}

#[test]
fn a_damaged_file_is_a_difference_and_its_rows_are_missing() {
    let fixture = Fixture::new().source("a.json", small("a"));
    std::fs::create_dir(fixture.path("lake/cloudtrail")).unwrap();
    std::fs::write(fixture.path("lake/cloudtrail/x.parquet"), b"PAR1 not parquet PAR1").unwrap();

    let report = fixture.verify();

    assert_eq!((report.file_problems, report.records_missing), (1, 1));
    assert_eq!(report.differences[0].file.as_deref(), Some("cloudtrail/x.parquet"));
}

#[test]
fn records_the_converter_must_quarantine_are_not_expected() {
    let bad = [
        r#"{"eventName":"N"}"#,
        r#"{"eventName":"N","eventTime":"yesterday"}"#,
        "7",
        r#"{"eventTime":"2024-05-01T12:00:00","awsRegion":"r"}"#,
        r#"{"eventTime":"2024-05-01T12:00:00Z","a":"\ud800"}"#,
        &format!(
            r#"{{"eventTime":"2024-05-01T12:00:00Z","a":{}{}}}"#,
            "[".repeat(1000),
            "]".repeat(1000)
        ),
        r#"{"eventTime":"2024-05-01T12:00:00Z","a":01}"#,
    ];
    let mut all = bad.to_vec();
    let good = small("a");
    all.push(&good);
    let fixture = Fixture::new().source("a.json", enveloped(&all)).lake(
        FILE,
        Family::Events,
        &[small_row("a")],
    );

    let report = fixture.verify();

    assert!(report.proves(), "{report:?}");
    assert_eq!((report.records_quarantined, report.records_expected), (7, 1));
}

#[test]
fn a_listed_position_is_quarantined_and_a_row_found_is_a_row_found() {
    let odd = r#"{"eventID":"o","eventTime":"2024-05-01T12:00:00Z","awsRegion":"a b"}"#;
    let odd_row = json!({"eventid": "o", "eventtime": "2024-05-01T12:00:00Z", "awsregion": "a b",
        "event_timestamp": 1_714_564_800_000_i64});
    let fixture = Fixture::new()
        .source("a.json", enveloped(&[&small("a"), &small("b"), odd]))
        .lake(FILE, Family::Events, &[small_row("a"), odd_row]);
    let mut options = fixture.options();

    let start = enveloped(&[&small("a"), ""]).find(']').unwrap() as u64;
    options.quarantined.insert((fixture.key("a.json"), start));
    let report = verify(&options, &|_| ()).unwrap();

    assert!(report.proves(), "{report:?}");
    assert_eq!((report.records_quarantined, report.records_expected), (1, 2));
}

#[test]
fn duplicate_and_case_variant_keys_lose_nothing() {
    let text = r#"{"eventid":"low","eventTime":"2024-05-01T12:00:00Z","eventID":"old","eventID":"new",
        "userIdentity":{"ARN":"1","arn":"2"},"userIdentity":{"ARN":"3","arn":"4","arn":{"x": 4},"arn":null,"type":[[]],
            "sessionContext":null,"sessionContext":{"sourceIdentity":"s"},
            "sessionContext":{"sourceIdentity":"t"}},
        "resources":{"a": 1}, "resources":[{"ARN":[]},{"ARN":"5"},7,null], "managementEvent": 1, "readOnly": null}"#;
    let row = json!({
        "eventid": "new", "eventtime": "2024-05-01T12:00:00Z",
        "event_timestamp": 1_714_564_800_000_i64, "useridentity": {"arn": "4",
            "sessioncontext": {"sourceidentity": "s"}},
        "resources": [{}, {"arn": "5"}, {}, {}],
        "extra_fields": r#"{"eventID":"old","eventid":"low","managementEvent":1,
            "resources":{"a":1},"resources":[{"ARN":[]},{},7],
            "userIdentity":{"arn":"3","arn":{"x":4},"sessionContext":{"sourceIdentity":"t"},
                "type":[[]]},
            "userIdentity":{"ARN":"1","arn":"2"}}"#,
    });
    let fixture = Fixture::new().source("a.json", text).lake(FILE, Family::Events, &[row]);

    let report = fixture.verify();

    assert!(report.proves(), "{report:?}");
}

#[test]
fn every_family_has_its_table_by_folder_or_by_shape() {
    let insight = r#"{"eventID":"i","eventTime":"2024-05-01T12:00:00Z","eventCategory":"Insight",
        "insightDetails":{"state": "Start"},"eventSource":"x"}"#;
    let insight_row = json!({"eventid": "i", "eventtime": "2024-05-01T12:00:00Z",
        "event_timestamp": 1_714_564_800_000_i64, "eventcategory": "Insight",
        "insightdetails": r#"{"state":"Start"}"#, "extra_fields": r#"{"eventSource":"x"}"#});
    let sum =
        r#"[{"eventId":"g","timeWindow":{"windowStart":"2024-05-01T12:00:00Z"},"summary":{}}]"#;
    let sum_row = json!({"eventid": "g", "timewindow": {"windowstart": "2024-05-01T12:00:00Z"},
        "summary": "{}", "event_timestamp": 1_714_564_800_000_i64});
    let fixture = Fixture::new()
        .source("a.json", insight)
        .source("AWSLogs/111122223333/CloudTrail-Aggregated/a.json", sum)
        .source("AWSLogs/111122223333/CloudTrail-NetworkActivity/a.json", small("n"))
        .source("AWSLogs/111122223333/CloudTrail-Digest/a.json", small("d"))
        .source("AWSLogs/111122223333/Config/a.json", small("c"))
        .lake("t_insight/a.parquet", Family::Insight, &[insight_row])
        .lake("t_aggregated/a.parquet", Family::Aggregated, &[sum_row])
        .lake("t_network_activity/a.parquet", Family::NetworkActivity, &[small_row("n")])
        .lake("t/_hidden/a.parquet", Family::Events, &[small_row("h")]);
    let mut options = fixture.options();

    options.table = "t".to_owned();
    let report = verify(&options, &|_| ()).unwrap();

    assert!(report.proves(), "{report:?}");
    assert_eq!(report.records_expected, 3);
}

#[test]
fn differences_are_named_up_to_the_limit_and_counted_beyond_it() {
    let ids: Vec<_> = (0..30).map(|id| small(&format!("m{id}"))).collect();
    let rows: Vec<_> = (0..30).map(|id| small_row(&format!("u{id}"))).collect();
    let fixture = Fixture::new().source("a.json", ids.join("\n")).lake(FILE, Family::Events, &rows);
    let mut options = fixture.options();

    options.max_differences = 5;
    let report = verify(&options, &|_| ()).unwrap();

    assert_eq!((report.records_missing, report.records_unexpected), (30, 30));
    assert_eq!(report.differences.len(), 5);
    assert_eq!(report, verify(&options, &|_| ()).unwrap());
}

#[test]
fn a_source_or_lake_that_is_not_there_is_a_wrong_setting() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.sources.push(fixture.path("nowhere").into());
    assert_eq!(verify(&options, &|_| ()).unwrap_err().kind(), crate::error::ErrorKind::Config);

    let mut options = fixture.options();
    options.lake = fixture.path("nowhere").into();
    assert_eq!(verify(&options, &|_| ()).unwrap_err().kind(), crate::error::ErrorKind::Config);
}
