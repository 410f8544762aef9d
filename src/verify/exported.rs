//! Rows of tables as records, as `verify` reads them: Athena's and the lake's own, exported as JSON.
//!
//! Keys are in lower case, or with underscores; texts of free-form columns hold JSON; what `extra_fields` holds
//! goes back to its place; columns that a lake computes are left out.

use super::contract::{Column, Family, Member, Shape};
use super::json::{self, Entry};
use std::borrow::Cow;

const COMPUTED: [&str; 19] = [
    "account",
    "additional",
    "aggregate",
    "day",
    "event_date",
    "event_source",
    "event_timestamp",
    "hour",
    "insight",
    "lambda_function",
    "month",
    "organization",
    "region",
    "request",
    "response",
    "s3_bucket",
    "s3_key",
    "service_details",
    "year",
];

/// A key without underscores, if it is one that tables have.
fn plain(key: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!key.is_empty() && key.chars().all(is_plain)).then(|| key.replace('_', ""))
}

/// Returns the record that a table's row was, if an object is one.
pub(super) fn record(members: &[Entry<'_>]) -> Option<Vec<u8>> {
    const KEYS: [&str; 7] = [
        "eventversion",
        "eventname",
        "eventsource",
        "eventtime",
        "useridentity",
        "awsregion",
        "eventid",
    ];
    let is_its =
        |member: &&Entry<'_>| plain(&member.key).is_some_and(|key| KEYS.contains(&key.as_str()));
    if members.iter().filter(is_its).count() < 3 {
        return None;
    }
    let find = |name: &str| members.iter().rev().find(|member| member.key == name);
    let columns = family(&[find("eventcategory"), find("eventtype")]).columns();
    let extra = find("extra_fields").map(|own| in_text(own.value)).unwrap_or_default();
    let rest = json::entries(&extra).unwrap_or_default();
    let is_lake = find("extra_fields").is_some() || find("event_timestamp").is_some();
    let mut out = Writer::default();
    for own in &rest {
        let is_inside = members.iter().any(|member| {
            let column = column(columns, &member.key);
            column.is_some_and(|column| {
                is_typed(column)
                    && column.key.eq_ignore_ascii_case(&own.key)
                    && holds_more(member.value)
            })
        });
        if !is_inside {
            out.member(own.quoted, own.value);
        }
    }
    for member in members {
        let column = column(columns, &member.key);
        let is_computed = is_lake && column.is_none() && COMPUTED.contains(&member.key.as_ref());
        if is_computed || member.value == b"null" || member.key == "extra_fields" {
            continue;
        }
        let Some(column) = column else {
            out.member(member.quoted, member.value);
            continue;
        };
        let key = format!("\"{}\"", column.key);
        let value = in_text(member.value);
        match column.shape {
            Shape::FreeForm => out.member(key.as_bytes(), &value),
            _ if is_typed(column) => {
                let value = if holds_more(&value) { value } else { Cow::Borrowed(member.value) };
                let left = rest.iter().rev().find(|own| column.key.eq_ignore_ascii_case(&own.key));
                let left = left.filter(|_| holds_more(&value)).map(|own| own.value);
                out.member(key.as_bytes(), &joined(&value, left, column.shape));
            }
            _ => out.member(key.as_bytes(), member.value),
        }
    }
    Some(out.end())
}

fn family(categories: &[Option<&Entry<'_>>]) -> Family {
    let own = categories.iter().flatten().find_map(|entry| {
        Some(match json::content(entry.value)?.as_ref() {
            "Insight" | "AwsCloudTrailInsight" => Family::Insight,
            "NetworkActivity" | "AwsVpceEvents" => Family::NetworkActivity,
            "Aggregated" | "AwsAggregatedEvent" => Family::Aggregated,
            _ => return None,
        })
    });
    own.unwrap_or(Family::Events)
}

fn column(columns: &'static [Column], key: &str) -> Option<&'static Column> {
    let plain = plain(key)?;
    columns.iter().find(|column| column.key.eq_ignore_ascii_case(&plain))
}

fn is_typed(column: &Column) -> bool {
    matches!(column.shape, Shape::Struct(_) | Shape::List(_) | Shape::Map)
}

fn holds_more(value: &[u8]) -> bool {
    matches!(value.first(), Some(b'{' | b'['))
}

/// The JSON in a text; any other value as it is.
fn in_text(value: &[u8]) -> Cow<'_, [u8]> {
    match json::content(value) {
        Some(text) if serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok() => {
            Cow::Owned(text.trim_ascii().as_bytes().to_vec())
        }
        _ => Cow::Borrowed(value),
    }
}

/// A documented value with what was left over of it.
fn joined(value: &[u8], left: Option<&[u8]>, shape: Shape) -> Vec<u8> {
    match (shape, value.first()) {
        (Shape::Struct(members), Some(b'{')) => structure(value, left, members),
        (Shape::List(members), Some(b'[')) => {
            let left = left.and_then(json::elements).unwrap_or_default();
            let items = json::elements(value).unwrap_or_default().into_iter().enumerate();
            let items: Vec<Vec<u8>> = items
                .map(|(at, item)| joined(item, left.get(at).copied(), Shape::Struct(members)))
                .collect();
            [b"[", items.join(&b","[..]).as_slice(), b"]"].concat()
        }
        (Shape::Map, Some(b'[')) => pairs(value, left),
        (Shape::Map, Some(b'{')) if left.is_some() => structure(value, left, &[]),
        _ => value.to_vec(),
    }
}

fn structure(value: &[u8], left: Option<&[u8]>, shapes: &[Member]) -> Vec<u8> {
    let own = json::entries(value).unwrap_or_default();
    let left = left.and_then(json::entries).unwrap_or_default();
    let shape = |key: &str| {
        let key = key.to_ascii_lowercase().replace('_', "");
        shapes.iter().find(|shape| shape.name == key)
    };
    let mut out = Writer::default();
    for entry in &left {
        let is_inside = shape(&entry.key).is_some_and(|found| {
            let is_it = |own: &Entry<'_>| shape(&own.key).is_some_and(|own| own.name == found.name);
            !matches!(found.shape, Shape::Text)
                && own.iter().any(|own| is_it(own) && holds_more(own.value))
        });
        if !is_inside {
            out.member(entry.quoted, entry.value);
        }
    }
    for entry in &own {
        match shape(&entry.key) {
            _ if entry.value == b"null" && !shapes.is_empty() => {}
            None => out.member(entry.quoted, entry.value),
            Some(found) => {
                let is_it = |left: &&Entry<'_>| {
                    shape(&left.key).is_some_and(|left| left.name == found.name)
                };
                let left = left.iter().rev().find(is_it).filter(|_| holds_more(entry.value));
                let key = format!("\"{}\"", found.name);
                let value = joined(entry.value, left.map(|left| left.value), found.shape);
                out.member(key.as_bytes(), &value);
            }
        }
    }
    out.end()
}

/// A map that is a list of its pairs.
fn pairs(value: &[u8], left: Option<&[u8]>) -> Vec<u8> {
    let mut out = Writer::default();
    for entry in left.and_then(json::entries).unwrap_or_default() {
        out.member(entry.quoted, entry.value);
    }
    for pair in json::elements(value).unwrap_or_default() {
        let members = json::entries(pair).unwrap_or_default();
        let of = |name: &str| members.iter().find(|own| own.key == name).map(|own| own.value);
        let both = match json::elements(pair).as_deref() {
            Some([key, value]) => Some((*key, *value)),
            _ => of("key").zip(of("value")),
        };
        if let Some((key, value)) = both.filter(|(key, _)| key.starts_with(b"\"")) {
            out.member(key, value);
        }
    }
    out.end()
}

/// The text of an object that grows.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn member(&mut self, quoted: &[u8], value: &[u8]) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0.extend_from_slice(quoted);
        self.0.push(b':');
        self.0.extend_from_slice(value);
    }

    fn end(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        self.0
    }
}
