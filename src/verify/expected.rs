//! The row that the lake must hold for one source record.
//!
//! The rules of the contract, read from the record's own text: which table, which value in which
//! column, the rest for `extra_fields`, and whether the converter has to quarantine the record. The
//! row is hashed, never kept; nothing of it enters a message.

use super::contract::{Column, FIELDS, Family, Folder, Member, Shape, WRAPPER};
use super::cut::Place;
use super::json::{self, Entry};
use super::row::Row;
use crate::units::read_instant;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Records nested deeper than this are quarantined.
const MAX_DEPTH: usize = 1000;

/// Expected outcome of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Not a CloudTrail record; nothing is expected and nothing is lost.
    Foreign,
    /// Not JSON; no row can exist.
    Unreadable,
    /// A value that is not an object; no row can exist.
    NoObject,
    /// The row is filled in.
    Row {
        family: Family,
        event_id: Option<String>,
        /// Whether it has fewer than two of a record's keys.
        is_foreign: bool,
        /// Whether the converter has to quarantine it. The row is filled in either way.
        is_quarantined: bool,
    },
}

/// How the records of an object are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What the object's name says.
    pub(super) folder: Folder,
    /// Whether an event time without a zone is UTC.
    pub(super) is_utc: bool,
    /// Whether digests are left out.
    pub(super) without_digests: bool,
}

/// Fills in the row that a record must have become.
pub(super) fn expect(text: &[u8], place: Place, rules: Rules, row: &mut Row) -> Outcome {
    if !is_valid(text) {
        return Outcome::Unreadable;
    }
    let Some(members) = json::entries(text) else { return Outcome::NoObject };
    let is_foreign = place != Place::Enveloped && is_foreign(&members);
    if is_foreign && place != Place::Recovered {
        return Outcome::Foreign;
    }
    let family = match rules.folder {
        Folder::Of(family) => family,
        Folder::Ignored | Folder::Silent => family_by_shape(&members),
    };
    if rules.without_digests && family == Family::Digest {
        return Outcome::Foreign;
    }
    let instant = event_time(family, &members, rules.is_utc);
    if instant.is_none() && (is_foreign || place == Place::Doubtful) {
        return Outcome::Foreign;
    }
    fill(family, &members, instant, row);
    Outcome::Row {
        family,
        event_id: event_id(family, &members),
        is_foreign,
        is_quarantined: is_foreign
            || place == Place::Doubtful
            || instant.is_none()
            || json::is_deeper(text, MAX_DEPTH),
    }
}

/// Whether a text is one JSON value.
pub(super) fn is_valid(text: &[u8]) -> bool {
    json::is_valid(text)
}

/// Whether an object has fewer than two of the keys that make a CloudTrail record. EventBridge events,
/// CloudWatch subscriptions and LookupEvents answers have none or one.
fn is_foreign(members: &[Entry<'_>]) -> bool {
    members.iter().filter(|member| FIELDS.contains(&member.key.as_ref())).nth(1).is_none()
}

/// Returns the value of a top-level key: the last exact spelling, else the last in any case.
fn pick<'a>(members: &[Entry<'a>], key: &str) -> Option<&'a [u8]> {
    let last = |is: &dyn Fn(&str) -> bool| members.iter().rev().find(|member| is(&member.key));
    last(&|own| own == key)
        .or_else(|| last(&|own| own.eq_ignore_ascii_case(key)))
        .map(|member| member.value)
}

/// The first key that decides, decides.
fn family_by_shape(members: &[Entry<'_>]) -> Family {
    let is_deciding = |member: &&Entry<'_>| {
        matches!(&*member.key, "eventCategory" | "eventType" | "digestEndTime")
    };
    let family = |member: &Entry<'_>| match json::content(member.value)?.as_ref() {
        _ if member.key == "digestEndTime" => Some(Family::Digest),
        "Insight" | "AwsCloudTrailInsight" => Some(Family::Insight),
        "NetworkActivity" | "AwsVpceEvents" => Some(Family::NetworkActivity),
        "Aggregated" | "AwsAggregatedEvent" => Some(Family::Aggregated),
        _ => None,
    };
    members.iter().filter(is_deciding).find_map(family).unwrap_or(Family::Events)
}

fn event_time(family: Family, members: &[Entry<'_>], is_utc: bool) -> Option<i64> {
    let value = if family == Family::Aggregated {
        let window = json::entries(pick(members, "timeWindow")?)?;
        pick_member(&window, "windowstart")
    } else if family == Family::Digest {
        pick(members, "digestEndTime")
    } else {
        pick(members, "eventTime")
    };
    let value = inside(inside(value?, "$date")?, "$numberLong")?;
    if matches!(value.first(), Some(b'{' | b'[')) {
        return None;
    }
    read_instant(&plain_text(value)?, is_utc)
}

/// Returns the value of an object's only key of interest; a value that is not an object is itself.
fn inside<'a>(value: &'a [u8], key: &str) -> Option<&'a [u8]> {
    match json::entries(value) {
        Some(members) => members.iter().rev().find(|member| member.key == key).map(|m| m.value),
        None => Some(value),
    }
}

fn pick_member<'a>(members: &[Entry<'a>], name: &str) -> Option<&'a [u8]> {
    members.iter().rev().find(|m| m.key.eq_ignore_ascii_case(name)).map(|m| m.value)
}

fn event_id(family: Family, members: &[Entry<'_>]) -> Option<String> {
    let key = match family {
        Family::Aggregated => "eventId",
        Family::Digest => "digestS3Object",
        _ => "eventID",
    };
    let id = json::content(pick(members, key)?)?;
    (!id.is_empty()).then(|| id.into_owned())
}

/// Returns a string's content, any other value's JSON text, and nothing for `null`.
fn plain_text(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match value {
        b"null" => None,
        [b'"', ..] => Some(match json::content(value)? {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }),
        _ => {
            let mut text = Vec::with_capacity(value.len());
            json::minify(value, &mut text);
            Some(Cow::Owned(text))
        }
    }
}

fn fill(family: Family, members: &[Entry<'_>], instant: Option<i64>, row: &mut Row) {
    row.clear();
    let columns = family.columns();
    let (chosen, unused) = assign(columns, members);
    let mut left = Leftovers::default();
    unused.iter().for_each(|member| left.add(members[*member].quoted, members[*member].value));
    for (column, member) in columns.iter().zip(chosen) {
        match column.shape {
            Shape::Instant => row.number(instant),
            Shape::Extra => extra(std::mem::take(&mut left).text().as_deref(), family, row),
            shape => {
                let member = member.map(|member| &members[member]);
                if let Some(rest) = value(member.map(|member| member.value), shape, row) {
                    left.add(member.map_or(b"", |member| member.quoted), &rest);
                }
            }
        }
        row.end_column();
    }
}

/// Assigns a member to every column, and returns the others: an exact spelling wins over any other,
/// a later member over an earlier one.
fn assign(columns: &[Column], members: &[Entry<'_>]) -> (Vec<Option<usize>>, Vec<usize>) {
    let mut chosen: Vec<Option<(usize, bool)>> = vec![None; columns.len()];
    let mut unused = Vec::new();
    for (at, member) in members.iter().enumerate() {
        let named = |column: &Column| column.key.eq_ignore_ascii_case(&member.key);
        let Some(column) = columns.iter().position(named).filter(|_| !member.key.is_empty()) else {
            unused.push(at);
            continue;
        };
        let is_exact = columns[column].key == member.key;
        match chosen[column] {
            Some((_, true)) if !is_exact => unused.push(at),
            before => {
                unused.extend(before.map(|(before, _)| before));
                chosen[column] = Some((at, is_exact));
            }
        }
    }
    (chosen.into_iter().map(|member| member.map(|(at, _)| at)).collect(), unused)
}

/// Adds a value to the row in a column's shape; returns the JSON text of the part that did not fit.
fn value(value: Option<&[u8]>, shape: Shape, row: &mut Row) -> Option<Vec<u8>> {
    let value = value.filter(|value| *value != b"null");
    match shape {
        Shape::FreeForm => match value {
            Some(value) => row.json(value),
            None => row.null(),
        },
        Shape::Flag => {
            let flag = match value {
                Some(b"true" | b"\"true\"") => Some(true),
                Some(b"false" | b"\"false\"") => Some(false),
                _ => None,
            };
            row.flag(flag);
            return value.filter(|_| flag.is_none()).map(<[u8]>::to_vec);
        }
        Shape::Struct(members) => return structure(value, members, row),
        Shape::List(members) => return list(value, members, row),
        Shape::Map => return map(value, row),
        Shape::Text | Shape::Instant | Shape::Extra => {
            row.text(value.and_then(plain_text).as_deref());
        }
    }
    None
}

fn structure(text: Option<&[u8]>, members: &'static [Member], row: &mut Row) -> Option<Vec<u8>> {
    let entries = text.and_then(json::entries);
    let mut left = Leftovers::default();
    let mut chosen: Vec<Option<&Entry<'_>>> = vec![None; members.len()];
    for entry in entries.iter().flatten() {
        let place = members.iter().position(|member| member.name.eq_ignore_ascii_case(&entry.key));
        match place {
            Some(place) => {
                let spare = choose(&mut chosen[place], entry, members[place].shape);
                spare.into_iter().for_each(|spare| left.add(entry.quoted, spare));
            }
            None => left.add(entry.quoted, entry.value),
        }
    }
    for (member, entry) in members.iter().zip(chosen) {
        if let Some(rest) = value(entry.map(|entry| entry.value), member.shape, row) {
            left.add(entry.map_or(b"", |entry| entry.quoted), &rest);
        }
    }
    if entries.is_none() { text.map(<[u8]>::to_vec) } else { left.text() }
}

/// Assigns a key's value to its member and returns the rest: a value of the wrong shape, an earlier
/// scalar, a later object or array. `null` is nothing.
fn choose<'a, 'b>(
    chosen: &mut Option<&'a Entry<'b>>,
    entry: &'a Entry<'b>,
    shape: Shape,
) -> Option<&'b [u8]> {
    let opening = match shape {
        Shape::Struct(_) | Shape::Map => Some(b'{'),
        Shape::List(_) => Some(b'['),
        _ => None,
    };
    let own = entry.value.first().copied().filter(|byte| matches!(byte, b'{' | b'['));
    if entry.value == b"null" {
        None
    } else if own != opening || (opening.is_some() && chosen.is_some()) {
        Some(entry.value)
    } else {
        chosen.replace(entry).map(|earlier| earlier.value)
    }
}

fn list(text: Option<&[u8]>, members: &'static [Member], row: &mut Row) -> Option<Vec<u8>> {
    let Some(items) = text.and_then(json::elements) else {
        row.null();
        return text.map(<[u8]>::to_vec);
    };
    row.count(items.len());
    let rest = |item| value(Some(item), Shape::Struct(members), row);
    let rests: Vec<_> = items.into_iter().map(rest).collect();
    rests.iter().any(Option::is_some).then(|| {
        let texts: Vec<_> = rests.iter().map(|rest| rest.as_deref().unwrap_or(b"{}")).collect();
        [b"[", texts.join(b",".as_slice()).as_slice(), b"]"].concat()
    })
}

/// An object with open keys; of a repeated key the last value counts and the others are left over.
fn map(text: Option<&[u8]>, row: &mut Row) -> Option<Vec<u8>> {
    let Some(entries) = text.and_then(json::entries) else {
        row.null();
        return text.map(<[u8]>::to_vec);
    };
    let mut left = Leftovers::default();
    let mut pairs: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for entry in &entries {
        // Of a repeated key the last value counts; a `null` before it is nothing.
        let earlier = pairs.insert(&entry.key, entry.value).filter(|value| *value != b"null");
        earlier.into_iter().for_each(|value| left.add(entry.quoted, value));
    }
    row.count(pairs.len());
    for (key, value) in pairs {
        row.text(Some(key.as_bytes()));
        row.text(plain_text(value).as_deref());
    }
    left.text()
}

/// The JSON text of an object that grows.
#[derive(Default)]
struct Leftovers(Vec<u8>);

impl Leftovers {
    fn add(&mut self, quoted_key: &[u8], value: &[u8]) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0.extend_from_slice(quoted_key);
        self.0.push(b':');
        self.0.extend_from_slice(value);
    }

    fn text(mut self) -> Option<Vec<u8>> {
        (!self.0.is_empty()).then(|| {
            self.0.push(b'}');
            self.0
        })
    }
}

/// Adds `extra_fields` by value: used for the expected text and for the lake's.
///
/// An empty object is nothing. The keys of typed columns compare in lower case, and empty objects
/// at the end of `resources` do not count: they are only there to keep the others in place.
pub(super) fn extra(text: Option<&[u8]>, family: Family, row: &mut Row) {
    let Some(text) = text else { return row.null() };
    let mut canonical = Vec::new();
    match json::entries(text) {
        Some(entries) => {
            let members: Vec<_> =
                entries.iter().filter_map(|entry| extra_member(entry, family)).collect();
            if members.is_empty() {
                return row.null();
            }
            json::canonical_object(members, &mut canonical);
        }
        None => json::canonical(text, &mut canonical),
    }
    row.text(Some(&canonical));
}

fn extra_member(entry: &Entry<'_>, family: Family) -> Option<(String, Vec<u8>)> {
    // A copy that came in another wrapper, or in none, is the same record.
    if entry.key == WRAPPER {
        return None;
    }
    let typed = |column: &&Column| matches!(column.shape, Shape::Struct(_) | Shape::List(_));
    let named = |column: &&Column| column.name.eq_ignore_ascii_case(&entry.key);
    let column = family.columns().iter().filter(typed).find(named);
    let key = column.map_or_else(|| entry.key.to_string(), |column| column.name.to_owned());
    let mut value = Vec::new();
    match column.map(|column| column.shape) {
        Some(Shape::List(_)) if entry.value.starts_with(b"[") => {
            let mut items = json::elements(entry.value).unwrap_or_default();
            let is_empty = |item: &&[u8]| json::entries(item).is_some_and(|inner| inner.is_empty());
            while items.last().is_some_and(is_empty) {
                items.pop();
            }
            if items.is_empty() {
                return None;
            }
            json::framed(b'a', &[], &mut value);
            items.into_iter().for_each(|item| json::canonical(item, &mut value));
            value.push(b']');
        }
        _ => json::canonical(entry.value, &mut value),
    }
    Some((key, value))
}
