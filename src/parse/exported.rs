//! Records as tables export them: keys in lower case, as Athena and our own lake have them, or with
//! underscores. They become records again, with the keys that CloudTrail writes.
//!
//! Texts in columns that hold JSON are JSON again, what `extra_fields` holds goes back to its place, and
//! columns that a lake computes from others are left out: the same rows come of it.

use crate::family::{ColumnSpec, Documented, Family, FamilySpec, Member as Shape, Role};
use crate::parse::known::is_json;
use crate::parse::members::{Member, members_of};
use crate::parse::minify::unescape_json;
use crate::parse::split::RecordSpans;
use std::borrow::Cow;

/// The keys by which an exported record is known, as CloudTrail spells them.
const KEYS: [&str; 7] = [
    "eventVersion",
    "eventName",
    "eventSource",
    "eventTime",
    "userIdentity",
    "awsRegion",
    "eventID",
];

/// Columns that a lake computes or partitions by.
const COMPUTED: [&str; 16] = [
    "event_timestamp",
    "s3_bucket",
    "s3_key",
    "lambda_function",
    "request",
    "response",
    "additional",
    "service_details",
    "insight",
    "aggregate",
    "account",
    "region",
    "event_date",
    "event_source",
    "organization",
    "year",
];

/// More of them, whose names are short.
const COMPUTED_TIMES: [&str; 3] = ["month", "day", "hour"];

/// Structs in structs are followed this deep; the documented ones have four levels.
const MAX_LEVELS: usize = 8;

/// A key in lower case without underscores; nothing for one that is spelled in another way.
fn folded(key: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(key).ok()?;
    let is_exported = !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    is_exported.then(|| key.replace('_', ""))
}

/// Whether an object has three keys or more of an exported record.
pub(super) fn is_exported(text: &[u8], members: &[Member]) -> bool {
    let is_its = |member: &&Member| {
        let key = &text[member.key.clone()];
        key.first().is_some_and(|first| matches!(first, b'e' | b'u' | b'a'))
            && folded(key).is_some_and(|key| KEYS.iter().any(|own| own.eq_ignore_ascii_case(&key)))
    };
    members.iter().filter(is_its).count() >= 3
}

/// Appends the record that an exported one was.
pub(super) fn translate(text: &[u8], members: &[Member], out: &mut Vec<u8>) {
    let find = |name: &str| {
        let own = members.iter().rev().find(|member| &text[member.key.clone()] == name.as_bytes());
        own.map(|member| &text[member.value.clone()])
    };
    let spec = family_of([find("eventcategory"), find("eventtype")]).spec();
    let leftovers = find("extra_fields").map(json_in_text).unwrap_or_default();
    let mut left = Vec::new();
    members_of(&leftovers, &mut left);
    let is_lake = find("extra_fields").is_some() || find("event_timestamp").is_some();
    let mut object = Object(out);
    object.begin();
    let values: Vec<(Option<&ColumnSpec>, &Member)> =
        members.iter().map(|member| (column_of(spec, &text[member.key.clone()]), member)).collect();
    let is_merged = |name: &Member| {
        let key = &leftovers[name.key.clone()];
        values.iter().any(|(column, member)| {
            is_typed(*column)
                && is_key_of(*column, key)
                && is_container(&text[member.value.clone()])
        })
    };
    for member in left.iter().filter(|member| !is_merged(member)) {
        object.member(&leftovers[member.key.clone()], &leftovers[member.value.clone()]);
    }
    for (column, member) in values {
        let (key, value) = (&text[member.key.clone()], &text[member.value.clone()]);
        let is_computed = is_lake && column.is_none() && is_computed(key);
        if is_computed || value == b"null" || key == b"extra_fields" {
            continue;
        }
        let Some((name, role)) = column.and_then(|column| Some((column.key()?, column.role)))
        else {
            object.member(key, value);
            continue;
        };
        match role {
            Role::Json(_) => object.member(name.as_bytes(), &json_in_text(value)),
            Role::Typed(_, shape) => {
                let rest =
                    left.iter().filter(|left| is_key_of(column, &leftovers[left.key.clone()]));
                let rest = rest.map(|left| &leftovers[left.value.clone()]).next_back();
                let value = containers_in_text(value);
                object.key(name.as_bytes());
                merge(&value, rest.filter(|_| is_container(&value)), shape, object.0, 0);
            }
            _ => object.member(name.as_bytes(), value),
        }
    }
    object.end();
}

fn family_of(categories: [Option<&[u8]>; 2]) -> Family {
    let own = categories.into_iter().flatten().find_map(|value| {
        let inside = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Family::of_category(std::str::from_utf8(inside).ok()?)
    });
    own.unwrap_or(Family::Events)
}

/// The column that an exported key leads to; one that is computed has none.
fn column_of(spec: &FamilySpec, key: &[u8]) -> Option<&'static ColumnSpec> {
    let folded = folded(key)?;
    let is_its = |column: &&ColumnSpec| {
        column.key().is_some_and(|own| own.eq_ignore_ascii_case(&folded))
            && !matches!(column.role, Role::Nested(_))
    };
    spec.columns.iter().find(is_its)
}

fn is_key_of(column: Option<&ColumnSpec>, key: &[u8]) -> bool {
    let own = column.and_then(ColumnSpec::key);
    own.is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(key))
}

fn is_typed(column: Option<&ColumnSpec>) -> bool {
    column.is_some_and(|column| matches!(column.role, Role::Typed(..)))
}

fn is_computed(key: &[u8]) -> bool {
    COMPUTED.iter().chain(&COMPUTED_TIMES).any(|own| own.as_bytes() == key)
}

fn is_container(value: &[u8]) -> bool {
    matches!(value.first(), Some(b'{' | b'['))
}

/// The JSON that a text holds; a value that is not a text of JSON is itself.
fn json_in_text(value: &[u8]) -> Cow<'_, [u8]> {
    let inside = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let Some(inside) = inside else { return Cow::Borrowed(value) };
    let mut text = Vec::new();
    match unescape_json(inside, &mut text) && is_json(&text) {
        true => Cow::Owned(text.trim_ascii().to_vec()),
        false => Cow::Borrowed(value),
    }
}

/// As [`json_in_text`], of texts that hold an object or a list.
fn containers_in_text(value: &[u8]) -> Cow<'_, [u8]> {
    match json_in_text(value) {
        Cow::Owned(text) if is_container(&text) => Cow::Owned(text),
        _ => Cow::Borrowed(value),
    }
}

/// Appends a documented value with what was left over of it. Members without a value are left out, the pairs
/// of a map become members again.
fn merge(value: &[u8], rest: Option<&[u8]>, shape: Documented, out: &mut Vec<u8>, level: usize) {
    match (shape, value.first()) {
        _ if level > MAX_LEVELS => out.extend_from_slice(value),
        (Documented::Struct(shapes), Some(b'{')) => structure(value, rest, shapes, out, level),
        (Documented::List(shape), Some(b'[')) => {
            let elements = elements_of(value);
            let rests = rest.map(elements_of).unwrap_or_default();
            out.push(b'[');
            for (at, element) in elements.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                merge(element, rests.get(at).copied(), *shape, out, level + 1);
            }
            out.push(b']');
        }
        (Documented::Map, Some(b'[')) => map(value, rest, out),
        (Documented::Map, Some(b'{')) if rest.is_some() => structure(value, rest, &[], out, level),
        _ => out.extend_from_slice(value),
    }
}

fn structure(value: &[u8], rest: Option<&[u8]>, shapes: &[Shape], out: &mut Vec<u8>, level: usize) {
    let (mut members, mut left) = (Vec::new(), Vec::new());
    members_of(value, &mut members);
    let rest = rest.unwrap_or_default();
    members_of(rest, &mut left);
    let shape_of = |key: &[u8]| {
        let key = String::from_utf8_lossy(key).to_ascii_lowercase().replace('_', "");
        shapes.iter().find(|shape| shape.name == key)
    };
    let is_merged = |name: &[u8]| {
        shape_of(name).is_some_and(|shape| {
            !matches!(shape.shape, Documented::String)
                && members.iter().any(|member| {
                    let own = shape_of(&value[member.key.clone()]);
                    own.is_some_and(|own| own.name == shape.name)
                        && is_container(&value[member.value.clone()])
                })
        })
    };
    let mut object = Object(out);
    object.begin();
    for member in left.iter().filter(|member| !is_merged(&rest[member.key.clone()])) {
        object.member(&rest[member.key.clone()], &rest[member.value.clone()]);
    }
    for member in &members {
        let (key, value) = (&value[member.key.clone()], &value[member.value.clone()]);
        match shape_of(key) {
            _ if value == b"null" && !shapes.is_empty() => {}
            None => object.member(key, value),
            Some(shape) => {
                let own = left.iter().filter(|left| {
                    let is_it = shape_of(&rest[left.key.clone()]);
                    is_it.is_some_and(|other| other.name == shape.name)
                });
                let own = own.map(|left| &rest[left.value.clone()]).next_back();
                object.key(shape.name.as_bytes());
                let own = own.filter(|_| is_container(value));
                merge(value, own, shape.shape, object.0, level + 1);
            }
        }
    }
    object.end();
}

/// The pairs of a map, as `["key", "value"]` or `{"key": …, "value": …}`.
fn map(value: &[u8], rest: Option<&[u8]>, out: &mut Vec<u8>) {
    let mut object = Object(out);
    object.begin();
    let rest = rest.unwrap_or_default();
    let mut members = Vec::new();
    members_of(rest, &mut members);
    for member in &members {
        object.member(&rest[member.key.clone()], &rest[member.value.clone()]);
    }
    for pair in elements_of(value) {
        let (key, value) = match pair.first() {
            Some(b'[') => match elements_of(pair)[..] {
                [key, value] => (key, value),
                _ => continue,
            },
            _ => {
                members_of(pair, &mut members);
                let of = |name: &[u8]| {
                    let own = members.iter().find(|member| &pair[member.key.clone()] == name);
                    own.map(|member| &pair[member.value.clone()])
                };
                let (Some(key), Some(value)) = (of(b"key"), of(b"value")) else { continue };
                (key, value)
            }
        };
        if let Some(key) = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")) {
            object.member(key, value);
        }
    }
    object.end();
}

fn elements_of(list: &[u8]) -> Vec<&[u8]> {
    if list.len() < 2 || list.first() != Some(&b'[') {
        return Vec::new();
    }
    RecordSpans::new(list, 1..list.len() - 1).map(|(span, _)| &list[span]).collect()
}

/// A JSON object that is written.
struct Object<'o>(&'o mut Vec<u8>);

impl Object<'_> {
    fn begin(&mut self) {
        self.0.push(b'{');
    }

    /// A key, as it stands between its quotes.
    fn key(&mut self, key: &[u8]) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(key);
        self.0.extend_from_slice(b"\":");
    }

    fn member(&mut self, key: &[u8], value: &[u8]) {
        self.key(key);
        self.0.extend_from_slice(value);
    }

    fn end(&mut self) {
        self.0.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(text: &str) -> String {
        let mut members = Vec::new();
        members_of(text.as_bytes(), &mut members);
        assert!(is_exported(text.as_bytes(), &members), "{text}");
        let mut out = Vec::new();
        translate(text.as_bytes(), &members, &mut out);
        assert!(is_json(&out), "{}", String::from_utf8_lossy(&out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keys_texts_and_leftovers_are_put_back() {
        let row = r#"{"eventversion":"1.11","eventtime":"t","eventname":"n","requestparameters":"{\"a\":1.0}","responseelements":null,
            "useridentity":{"type":"IAMUser","arn":null,"sessioncontext":{"attributes":{"mfaauthenticated":"true"}}},
            "resources":[{"arn":"a"},{"arn":"b"}],"event_timestamp":"x","account":"1","request":{"a":1.0},
            "extra_fields":"{\"new\":[1],\"userIdentity\":{\"x\":1,\"sessionContext\":{\"y\":2}},\"resources\":[{},{\"z\":3}]}"}"#;

        assert_eq!(
            translated(row),
            r#"{"new":[1],"eventVersion":"1.11","eventTime":"t","eventName":"n","requestParameters":{"a":1.0},"userIdentity":{"x":1,"type":"IAMUser","sessioncontext":{"y":2,"attributes":{"mfaauthenticated":"true"}}},"resources":[{"arn":"a"},{"z":3,"arn":"b"}]}"#
        );
    }

    #[test]
    fn underscores_and_pairs_of_maps_are_read() {
        let row = r#"{"event_version":"1.08","event_time":"t","source_ip_address":"i","event_name":"n","user_identity":{"principal_id":"p",
            "session_context":{"web_id_federation_data":{"attributes":[["k","v"],["l",null]]}}}}"#;

        assert_eq!(
            translated(row),
            r#"{"eventVersion":"1.08","eventTime":"t","sourceIPAddress":"i","eventName":"n","userIdentity":{"principalid":"p","sessioncontext":{"webidfederationdata":{"attributes":{"k":"v","l":null}}}}}"#
        );
    }
}
