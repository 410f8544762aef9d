//! Nested columns of a typed file: an index over texts of the main table, compared with them member by member.
//!
//! The typed file says which members it has. For each of them a sum is made of its values, over all rows of a
//! row group: once from the file, and once from the texts, by rules that are written down here a second time.
//! A value that is missing, changed, moved to another row or to another element of a list makes the sums
//! differ. A string member may hold plain strings, or the JSON text of anything; either is right, for all of a
//! file's values alike.
//!
//! Not compared are members that the file has not: inference leaves out tokens and secrets. And those whose
//! keys look like data or are too many in their object, of which the converter keeps what it met first: they
//! are counted.

use super::contract::Family;
use super::json;
use super::lists::spans;
use hashbrown::HashMap;
use polars::prelude::{DataFrame, DataType, Series};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Objects and lists nested deeper below a column are text.
const MAX_LEVELS: usize = 12;
/// A longer list is text.
const MAX_ELEMENTS: usize = 10_000;
/// Objects under these names have keys that users choose, and are text.
const MAP_NAMES: [&str; 4] = ["tags", "labels", "variables", "environmentvariables"];

/// The nested columns of a family's typed table, and the columns of the main one with their texts.
pub(super) fn columns(family: Family) -> &'static [(&'static str, &'static str)] {
    match family {
        Family::Events | Family::NetworkActivity => &[
            ("request", "requestparameters"),
            ("response", "responseelements"),
            ("additional", "additionaleventdata"),
            ("service_details", "serviceeventdetails"),
        ],
        Family::Insight => &[("insight", "insightdetails")],
        Family::Aggregated => &[("aggregate", "summary")],
        Family::Digest => &[],
    }
}

/// A part of a nested column. Leaves, and lists as such, are numbered.
#[derive(Debug)]
enum Shape {
    Text(usize),
    Bigint(usize),
    Double(usize),
    Boolean(usize),
    Struct(Vec<(String, Shape)>),
    List(usize, Box<Shape>),
    /// A type that no converter writes.
    Other,
}

/// A nested column of a typed file.
#[derive(Debug)]
pub(super) struct Nested {
    shape: Shape,
    /// The path of each leaf and list.
    paths: Vec<String>,
}

/// The sums of a column's members over a row group, each for plain strings and for JSON texts.
pub(super) type MemberSums = Vec<[u64; 2]>;

/// What the texts of a row group say about a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    sums: MemberSums,
    /// Members with values that the converter may have kept or not.
    unsure: Vec<bool>,
}

/// Shapes of files, each once.
#[derive(Default)]
pub(super) struct Shapes(Mutex<HashMap<u64, Arc<Nested>>>);

impl Shapes {
    /// Returns the nested columns of a typed file's frame that it has, by their number in [`columns`].
    pub(super) fn of(&self, frame: &DataFrame, family: Family) -> Vec<Option<Arc<Nested>>> {
        let shape = |(name, _): &(&str, &str)| {
            let dtype = frame.column(name).ok()?.dtype();
            let hash = xxh3_64(format!("{name} {dtype:?}").as_bytes());
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Some(Arc::clone(
                known.entry(hash).or_insert_with(|| Arc::new(Nested::new(name, dtype))),
            ))
        };
        columns(family).iter().map(shape).collect()
    }
}

impl Nested {
    fn new(name: &str, dtype: &DataType) -> Self {
        let mut paths = Vec::new();
        let shape = Shape::new(dtype, name, &mut paths);
        Self { shape, paths }
    }

    /// Returns how many leaves and lists there are.
    pub(super) fn members(&self) -> u64 {
        self.paths.len() as u64
    }

    /// Sums the members of a column of a typed file.
    pub(super) fn sums(&self, series: &Series) -> MemberSums {
        let mut sums = vec![[0; 2]; self.paths.len()];
        let places: Vec<Option<u64>> =
            (0..series.len() as u64).map(|row| Some(mix(row, 0))).collect();
        self.shape.add(&series.rechunk(), &places, &mut sums);
        sums
    }

    /// Adds what a row's text says.
    pub(super) fn expect(&self, text: &[u8], row: u64, expected: &mut Expected) {
        expected.sums.resize(self.paths.len(), [0; 2]);
        expected.unsure.resize(self.paths.len(), false);
        self.shape.expect(text, Place { hash: mix(row, 0), level: 0, is_map: false }, expected);
    }

    /// Returns the members that are not what the texts say, and how many could not be compared.
    pub(super) fn compare(
        &self,
        found: &[&MemberSums],
        expected: &[&Expected],
    ) -> (Vec<&str>, u64) {
        let is_unsure =
            |at: usize| expected.iter().any(|group| group.unsure.get(at) == Some(&true));
        let sum_of = |sums: Option<&[u64; 2]>, form: usize| sums.map_or(0, |sums| sums[form]);
        let is_equal = |at: usize, form: usize| {
            found.iter().zip(expected).all(|(found, expected)| {
                sum_of(found.get(at), form) == sum_of(expected.sums.get(at), form)
            })
        };
        let (mut wrong, mut unsure) = (Vec::new(), 0);
        for (at, path) in self.paths.iter().enumerate() {
            if is_unsure(at) {
                unsure += 1;
            } else if !is_equal(at, 0) && !is_equal(at, 1) {
                wrong.push(path.as_str());
            }
        }
        (wrong, unsure)
    }
}

/// Where a value is: a hash of its row and of its places in lists, and what is around it.
#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    level: usize,
    is_map: bool,
}

impl Place {
    fn below(self, name: &str) -> Self {
        Self { level: self.level + 1, is_map: MAP_NAMES.contains(&name), ..self }
    }
}

fn mix(place: u64, element: u64) -> u64 {
    xxh3_64_with_seed(&element.to_le_bytes(), place)
}

/// Adds a value, as a plain string and as a JSON text, to a member's sums.
fn put(sums: &mut [u64; 2], place: Option<u64>, plain: &[u8], json: &[u8]) {
    let Some(place) = place else { return };
    for (sum, value) in sums.iter_mut().zip([plain, json]) {
        *sum = sum.wrapping_add(xxh3_64_with_seed(value, place));
    }
}

/// Adds values that are the same in both forms.
fn put_all<const N: usize>(
    sums: &mut [u64; 2],
    values: impl Iterator<Item = Option<[u8; N]>>,
    places: &[Option<u64>],
) {
    for (value, place) in values.zip(places) {
        if let Some(value) = value {
            put(sums, *place, &value, &value);
        }
    }
}

impl Shape {
    fn new(dtype: &DataType, path: &str, paths: &mut Vec<String>) -> Self {
        let mut leaf = || {
            paths.push(path.to_owned());
            paths.len() - 1
        };
        match dtype {
            DataType::String => Self::Text(leaf()),
            DataType::Int64 => Self::Bigint(leaf()),
            DataType::Float64 => Self::Double(leaf()),
            DataType::Boolean => Self::Boolean(leaf()),
            DataType::List(inner) => {
                let at = leaf();
                Self::List(at, Box::new(Self::new(inner, &format!("{path}[]"), paths)))
            }
            DataType::Struct(fields) => {
                let member = |field: &polars::prelude::Field| {
                    let path = format!("{path}.{}", field.name());
                    (field.name().to_string(), Self::new(field.dtype(), &path, paths))
                };
                let mut members: Vec<_> = fields.iter().map(member).collect();
                members.sort_by(|(one, _), (other, _)| one.cmp(other));
                Self::Struct(members)
            }
            _ => Self::Other,
        }
    }

    /// Adds the values of a series; `places` has where each is, and nothing for what no list holds.
    fn add(&self, series: &Series, places: &[Option<u64>], sums: &mut MemberSums) {
        match self {
            Self::Text(at) => {
                let Ok(values) = series.str() else { return };
                let values = values.iter().zip(places);
                let values = values.filter_map(|(value, place)| Some((value?.as_bytes(), *place)));
                values.for_each(|(value, place)| {
                    put(&mut sums[*at], place, value, &canonical(value));
                });
            }
            Self::Bigint(at) => {
                let Ok(values) = series.i64() else { return };
                let values = values.iter().map(|value| value.map(i64::to_le_bytes));
                put_all(&mut sums[*at], values, places);
            }
            Self::Double(at) => {
                let Ok(values) = series.f64() else { return };
                let values = values.iter().map(|value| value.map(f64::to_le_bytes));
                put_all(&mut sums[*at], values, places);
            }
            Self::Boolean(at) => {
                let Ok(values) = series.bool() else { return };
                let values = values.iter().map(|value| value.map(|value| [u8::from(value)]));
                put_all(&mut sums[*at], values, places);
            }
            Self::List(at, element) => {
                let Ok(list) = series.list() else { return };
                let inner = list.get_inner();
                let mut inside = vec![None; inner.len()];
                for (span, place) in spans(list).unwrap_or_default().into_iter().zip(places) {
                    let (Some((start, end)), Some(place)) = (span, place) else { continue };
                    let count = ((end - start) as u64).to_le_bytes();
                    put(&mut sums[*at], Some(*place), &count, &count);
                    for (number, slot) in (1..).zip(inside.get_mut(start..end).unwrap_or_default())
                    {
                        *slot = Some(mix(*place, number));
                    }
                }
                element.add(&inner, &inside, sums);
            }
            Self::Struct(members) => {
                let Ok(parts) = series.struct_() else { return };
                let fields = parts.fields_as_series();
                for (name, member) in members {
                    if let Some(field) = fields.iter().find(|field| field.name() == name) {
                        member.add(&field.rechunk(), places, sums);
                    }
                }
            }
            Self::Other => {}
        }
    }

    /// Adds the value that a text has for this part.
    fn expect(&self, text: &[u8], place: Place, expected: &mut Expected) {
        let is_container = matches!(text.first(), Some(b'{' | b'['));
        let mut add = |at: usize, form: usize, value: &[u8]| {
            let sum = &mut expected.sums[at][form];
            *sum = sum.wrapping_add(xxh3_64_with_seed(value, place.hash));
        };
        match self {
            Self::Text(at) if is_container => add(*at, 1, text),
            Self::Text(at) => {
                let plain = match text {
                    [b'"', ..] => json::content(text).unwrap_or_default(),
                    _ => String::from_utf8_lossy(text),
                };
                add(*at, 0, plain.as_bytes());
                add(*at, 1, &canonical(text));
            }
            Self::Bigint(at) => {
                if let Some(value) = bigint(text) {
                    [0, 1].into_iter().for_each(|form| add(*at, form, &value.to_le_bytes()));
                }
            }
            Self::Double(at) => {
                if let Some(value) = double(text) {
                    [0, 1].into_iter().for_each(|form| add(*at, form, &value.to_le_bytes()));
                }
            }
            Self::Boolean(at) => {
                if matches!(text, b"true" | b"false") {
                    let value = [u8::from(text == b"true")];
                    [0, 1].into_iter().for_each(|form| add(*at, form, &value));
                }
            }
            Self::List(at, element) => {
                let Some(items) = json::elements(text) else { return };
                if place.level >= MAX_LEVELS || items.len() > MAX_ELEMENTS {
                    return;
                }
                let count = (items.len() as u64).to_le_bytes();
                [0, 1].into_iter().for_each(|form| add(*at, form, &count));
                for (number, item) in items.into_iter().enumerate() {
                    let hash = mix(place.hash, number as u64 + 1);
                    element.expect_value(item, Place { hash, ..place.below("") }, expected);
                }
            }
            Self::Struct(members) => {
                if place.level < MAX_LEVELS && !place.is_map {
                    expect_members(members, text, place, expected);
                }
            }
            Self::Other => {}
        }
    }

    fn expect_value(&self, text: &[u8], place: Place, expected: &mut Expected) {
        if text != b"null" {
            self.expect(text, place, expected);
        }
    }

    /// Marks everything in this part as what may be there or not.
    fn doubt(&self, unsure: &mut [bool]) {
        match self {
            Self::Text(at) | Self::Bigint(at) | Self::Double(at) | Self::Boolean(at) => {
                unsure[*at] = true;
            }
            Self::List(at, element) => {
                unsure[*at] = true;
                element.doubt(unsure);
            }
            Self::Struct(members) => members.iter().for_each(|(_, member)| member.doubt(unsure)),
            Self::Other => {}
        }
    }
}

/// Adds the members of an object. Of several keys with one name, the first value counts, and of scalars the
/// last.
fn expect_members(members: &[(String, Shape)], text: &[u8], place: Place, expected: &mut Expected) {
    let mut chosen: Vec<(usize, &[u8])> = Vec::new();
    let is_container = |value: &[u8]| matches!(value.first(), Some(b'{' | b'['));
    for entry in json::entries(text).unwrap_or_default() {
        let name = name_of(&entry.key);
        let Ok(at) = members.binary_search_by(|(own, _)| own.as_str().cmp(&name)) else { continue };
        if place.level > 0 && is_data(&entry.key) {
            members[at].1.doubt(&mut expected.unsure);
        } else if entry.value != b"null" {
            match chosen.iter_mut().find(|(before, _)| *before == at) {
                Some((_, value)) if is_container(value) || is_container(entry.value) => {}
                Some((_, value)) => *value = entry.value,
                None => chosen.push((at, entry.value)),
            }
        }
    }
    for (at, value) in chosen {
        let (name, member) = &members[at];
        member.expect(value, place.below(name), expected);
    }
}

/// The member that a key leads to: in lower case, with `_` for what a name cannot have.
fn name_of(key: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '_',
    };
    let name: String = key.chars().map(plain).collect();
    match name.chars().next() {
        Some(first) if !first.is_ascii_digit() => name,
        _ => format!("_{name}"),
    }
}

/// Whether a key below the first level looks like data: an id, a path, a policy variable.
fn is_data(key: &str) -> bool {
    let digits = key.chars().filter(char::is_ascii_digit).count();
    let is_xml = key.starts_with("xsi:") || key.starts_with("xmlns");
    key.len() > 64
        || digits > 4
        || !key.is_ascii()
        || key.contains(['/', '@', ' ', '*', '$', '{', '=', '%'])
        || (key.contains(':') && !is_xml)
}

/// A value as a JSON text means it: a string is its content, with a mark before it.
fn canonical(text: &[u8]) -> Cow<'_, [u8]> {
    match text {
        [b'"', ..] => match json::content(text) {
            Some(content) => Cow::Owned([b"\"", content.as_bytes()].concat()),
            None => Cow::Borrowed(text),
        },
        _ => Cow::Borrowed(text),
    }
}

fn is_number(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'-' | b'0'..=b'9'))
}

/// A whole number of 64 bits, also one with a fraction of zeros.
fn bigint(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok().filter(|text| is_number(text.as_bytes()))?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    fraction.trim_start_matches('0').is_empty().then(|| whole.parse().ok())?
}

fn double(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok().filter(|text| is_number(text.as_bytes()))?;
    text.parse().ok().filter(|value: &f64| value.is_finite())
}
