//! Account, region and day of each row, in the path or in a column: what the row's own columns say.
//!
//! The columns they come from are proven against the source, so that a value that does not follow from them is
//! wrong. A record that names no account or no region has that of its object's key; then any value that could
//! be one is right.

use super::contract::Family;
use crate::units::civil;
use polars::prelude::{DataFrame, StringChunked};

/// The value of what cannot be part of a path.
const UNKNOWN: &str = "unknown";
const NAMES: [&str; 3] = ["account", "region", "event_date"];

/// Returns which of the three is wrong in any row of a frame; `below_table` is the file's path.
pub(super) fn wrong(frame: &DataFrame, family: Family, below_table: &str) -> Vec<&'static str> {
    let is_wrong = |name: &&'static str| {
        let given = Given::of(frame, name, below_table);
        let source = text(frame, source_of(name, family));
        let Some(given) = given else { return false };
        match *name {
            "event_date" => !has_days(frame, &given),
            name => (0..frame.height()).any(|row| {
                let source = source.as_ref().and_then(|source| source.get(row));
                !is_right(name, source, given.get(row))
            }),
        }
    };
    NAMES.into_iter().filter(|name| is_wrong(name)).collect()
}

/// The columns that the check needs beside those that are compared anyway.
pub(super) fn columns() -> &'static [&'static str] {
    &NAMES
}

fn source_of(name: &str, family: Family) -> &'static str {
    match (name, family) {
        ("region", _) => "awsregion",
        (_, Family::Aggregated) => "accountid",
        (_, Family::Digest) => "awsaccountid",
        _ => "recipientaccountid",
    }
}

/// Where a value is given.
enum Given {
    Column(StringChunked),
    Path(String),
    /// A column of another type.
    Wrong,
}

impl Given {
    fn of(frame: &DataFrame, name: &str, below_table: &str) -> Option<Self> {
        let of_path = |part: &str| part.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        if let Some(value) = below_table.split('/').find_map(of_path) {
            return Some(Self::Path(value));
        }
        frame.column(name).ok()?;
        Some(text(frame, name).map_or(Self::Wrong, Self::Column))
    }

    fn get(&self, row: usize) -> Option<&str> {
        match self {
            Self::Column(values) => values.get(row),
            Self::Path(value) => Some(value),
            Self::Wrong => None,
        }
    }
}

fn text(frame: &DataFrame, name: &str) -> Option<StringChunked> {
    let series = frame.column(name).ok()?.as_materialized_series().rechunk();
    series.str().ok().cloned()
}

fn is_right(name: &str, source: Option<&str>, given: Option<&str>) -> bool {
    let is_fit = |value: &str| match name {
        "account" => value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit()),
        _ => {
            value.len() <= 64
                && value.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
    };
    let Some(given) = given else { return false };
    // Only a string names a region: the column has the text of anything.
    let is_string = |text: &&str| {
        name == "account"
            || !text.starts_with(['{', '[']) && serde_json::from_str::<f64>(text).is_err()
    };
    let source = source
        .filter(is_string)
        .filter(|text| !matches!(*text, "true" | "false") || name == "account");
    match source.map(|source| source.trim_matches(|c: char| c.is_ascii_whitespace())) {
        None | Some("") => given == UNKNOWN || is_fit(given),
        Some(source) if is_fit(source) => given == source,
        Some(_) => given == UNKNOWN,
    }
}

/// Whether every row's day is that of its instant, in UTC.
fn has_days(frame: &DataFrame, given: &Given) -> bool {
    let Ok(instants) = frame.column("event_timestamp") else { return true };
    let instants = instants.as_materialized_series().rechunk();
    // A column of another type is a difference by itself.
    let Ok(instants) = instants.datetime() else { return true };
    let mut known = (i64::MIN, String::new());
    instants.physical().iter().enumerate().all(|(row, instant)| {
        let Some(instant) = instant else { return true };
        let day = instant.div_euclid(86_400_000);
        if known.0 != day {
            known = (day, day_of(day));
        }
        given.get(row) == Some(&known.1)
    })
}

/// Returns `YYYY-MM-DD` of a day since 1970-01-01.
fn day_of(day: i64) -> String {
    let (year, month, day, _) = civil(day * 86_400_000);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_follows_from_the_record_where_the_record_names_one() {
        for (name, source, given, wanted) in [
            ("account", Some("123456789012"), "123456789012", true),
            ("account", Some(" 123456789012"), "123456789012", true),
            ("account", Some("123456789012"), "123456789013", false),
            ("account", Some("<redacted>"), "unknown", true),
            ("account", Some("<redacted>"), "123456789012", false),
            ("account", None, "123456789012", true),
            ("account", None, "123", false),
            ("region", Some("eu-west-1"), "eu-west-1", true),
            ("region", Some("eu-west-1"), "unknown", false),
            ("region", Some("../x"), "unknown", true),
            ("region", None, "a/b", false),
        ] {
            assert_eq!(is_right(name, source, Some(given)), wanted, "{name} {source:?} {given}");
        }
        assert_eq!(day_of(19_844), "2024-05-01");
        assert_eq!(day_of(-1), "1969-12-31");
    }
}
