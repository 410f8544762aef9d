//! Typed tables that agree with the main ones, and some that are wrong in one way each.

use super::fixture::{Fixture, RECORD, row, small, small_row};
use crate::verify::contract::Family;
use crate::verify::{Difference, DifferenceKind};
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
