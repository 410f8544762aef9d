//! Typed tables that agree with the main ones, and some that are wrong in one way each.

use super::fixture::{Fixture, RECORD, row, small, small_row};
use crate::verify::contract::Family;
use crate::verify::{Difference, DifferenceKind};
use polars::prelude::*;
use serde_json::{Value, json};

const MAIN: &str = "cloudtrail/event_date=2024-05-01/part-a.parquet";
const TYPED: &str = "cloudtrail_typed/event_date=2024-05-01/part-a.parquet";

fn source() -> Fixture {
    let records = [small("a"), RECORD.to_owned(), small("b")].join(",");
    Fixture::new().source("a.json", format!("{{\"Records\":[{records}]}}"))
}

fn rows() -> Vec<Value> {
    vec![small_row("a"), row(), small_row("b")]
}

/// The one difference that a typed table makes.
fn difference(fixture: &Fixture) -> Difference {
    let report = fixture.verify();
    assert!(!report.proves());
    assert_eq!(
        (report.records_missing, report.records_unexpected, report.file_problems),
        (0, 0, 1)
    );
    let [difference] = &report.differences[..] else { panic!("{report:?}") };
    assert_eq!(difference.table, "cloudtrail_typed");
    assert_eq!(difference.file.as_deref(), Some(TYPED));
    difference.clone()
}

#[test]
fn both_tables_with_the_same_rows_are_a_proof() {
    let fixture =
        source().paired(MAIN, Family::Events, &rows()).typed(TYPED, Family::Events, &rows());

    let report = fixture.verify();

    assert!(report.proves(), "{report:?}");
    assert_eq!(
        (report.rows_checked, report.typed_rows_checked, report.typed_files_read),
        (3, 3, 1)
    );
}

#[test]
fn a_value_a_row_or_an_order_of_its_own_is_a_difference() {
    let mut wrong = rows();
    wrong[1]["useridentity"]["accountid"] = json!("1");
    let mut exchanged = rows();
    exchanged.swap(0, 2);
    let fewer = rows()[..2].to_vec();
    for (rows_of_typed, column) in
        [(wrong, Some("useridentity")), (exchanged, Some("eventid")), (fewer, None)]
    {
        let fixture = source().paired(MAIN, Family::Events, &rows());
        let fixture = fixture.typed(TYPED, Family::Events, &rows_of_typed);

        let difference = difference(&fixture);

        assert_eq!(difference.kind, DifferenceKind::Different);
        assert_eq!(difference.column.as_deref(), column);
    }
}

#[test]
fn a_file_without_its_counterpart_is_missing_or_unexpected() {
    let alone = source().paired(MAIN, Family::Events, &rows());
    assert_eq!(difference(&alone).kind, DifferenceKind::Missing);

    let other = source().lake("cloudtrail/x.parquet", Family::Events, &rows());
    let other = other.typed(TYPED, Family::Events, &rows());
    assert_eq!(difference(&other).kind, DifferenceKind::Unexpected);
}

#[test]
fn a_lake_without_typed_tables_needs_none() {
    assert!(source().lake(MAIN, Family::Events, &rows()).verify().proves());
}

/// The nested column of the three rows: `key`, `n` and `policy` of the second one's request.
fn request(rows: [(Option<&str>, Option<i64>, Option<&str>); 3]) -> Column {
    let key = Series::new("key".into(), rows.map(|(key, ..)| key));
    let count = Series::new("n".into(), rows.map(|(_, count, _)| count));
    let policy = Series::new("policy".into(), rows.map(|(.., policy)| policy));
    let members = [key, count, policy];
    StructChunked::from_series("request".into(), 3, members.iter()).unwrap().into_column()
}

fn typed_with(column: &Column) -> Fixture {
    let fixture = source().paired(MAIN, Family::Events, &rows());
    fixture.typed_as(TYPED, Family::Events, &rows(), |mut frame| {
        frame.with_column(column.clone()).unwrap();
        frame
    })
}

const NONE: (Option<&str>, Option<i64>, Option<&str>) = (None, None, None);

#[test]
fn nested_values_that_the_text_has_are_a_proof_as_plain_strings_or_as_json() {
    for policy in [" { } ", "\" { } \""] {
        let request = request([NONE, (Some("caf\u{e9} /x"), Some(1), Some(policy)), NONE]);

        let report = typed_with(&request).verify();

        assert!(report.proves() && report.typed_members_not_compared == 0, "{report:?}");
    }
}

#[test]
fn a_nested_value_that_is_changed_gone_or_elsewhere_is_a_difference() {
    let right = (Some("caf\u{e9} /x"), Some(1), Some(" { } "));
    for (rows, member) in [
        ([NONE, (Some("cafe /x"), right.1, right.2), NONE], "request.key"),
        ([NONE, (right.0, Some(2), right.2), NONE], "request.n"),
        ([NONE, (right.0, right.1, None), NONE], "request.policy"),
        ([(None, Some(1), None), (right.0, None, right.2), NONE], "request.n"),
        ([(Some("more"), None, None), right, NONE], "request.key"),
    ] {
        let difference = difference(&typed_with(&request(rows)));

        assert_eq!(difference.kind, DifferenceKind::Different);
        assert_eq!(difference.column.as_deref(), Some(member));
    }
}

#[test]
fn account_region_and_day_are_those_of_the_row() {
    let places = |name: &str, values: [&str; 3]| Column::new(name.into(), values);
    let right = ["123456789012", "123456789012", "unknown"];
    assert!(typed_with(&places("account", right)).verify().proves());
    assert!(typed_with(&places("region", ["unknown", "eu-west-1", "x"])).verify().proves());

    for (name, values) in [
        ("account", ["123456789012", "123456789013", "unknown"]),
        ("region", ["x", "eu-west-2", "x"]),
    ] {
        let difference = difference(&typed_with(&places(name, values)));
        assert_eq!(difference.column.as_deref(), Some(name));
    }
    let elsewhere = MAIN.replace("05-01", "05-02");
    let report = source().lake(&elsewhere, Family::Events, &rows()).verify();
    assert_eq!((report.proves(), report.records_missing), (false, 0));
    assert_eq!(report.differences[0].column.as_deref(), Some("event_date"));
}
