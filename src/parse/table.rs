//! Rows of separated values: the console's event history, query results, exports of searches.
//!
//! A row with a cell that holds a record, or a wrapper of one, is that record; the other cells are what the
//! wrapper says. Any other row is a partial record: its cells under the keys that CloudTrail has for them,
//! and marked as partial, so that it is never taken for the record itself.

use crate::family::{Family, Role};
use crate::parse::known::is_json;
use crate::parse::members::members_of;
use crate::parse::minify::{escape_json, unescape_json};
use crate::parse::split::RecordSpans;
use std::ops::Range;

/// The top-level key of what wrappers say.
pub const WRAPPER_KEY: &str = "_wrapper";

/// Columns that may hold a record.
const RECORD_COLUMNS: [&str; 12] = [
    "_raw",
    "@message",
    "message",
    "eventjson",
    "cloudtrailevent",
    "event",
    "event.original",
    "_source",
    "full_log",
    "raw_data",
    "jsonpayload",
    "textpayload",
];

/// A partial record has at least so many cells that CloudTrail has keys for.
const LEAST_KEYS: usize = 2;

/// Bytes of a header that are looked at.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Where a cell belongs in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Under a top-level key, as text.
    Text(&'static str),
    /// Under a top-level key, as JSON where it is some.
    Json(&'static str),
    /// In the identity.
    Identity(&'static str),
    /// Nowhere.
    Wrapper,
}

/// The place of a column, by its name without spaces and in lower case.
fn place_of(name: &[u8]) -> Place {
    let is_console = name.first().is_some_and(u8::is_ascii_uppercase);
    let name: String = String::from_utf8_lossy(name)
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    match &*name {
        // The console's own extraction, not the record's field.
        "resources" if is_console => return Place::Wrapper,
        "username" => return Place::Identity("userName"),
        "awsaccesskey" | "accesskeyid" => return Place::Identity("accessKeyId"),
        _ => {}
    }
    let columns = Family::Events.spec().columns.iter();
    let own = columns.filter(|column| !matches!(column.role, Role::Nested(_))).find_map(|column| {
        column.key().filter(|key| key.eq_ignore_ascii_case(&name)).map(|key| (key, column.role))
    });
    match own {
        Some((key, Role::Json(_) | Role::Typed(..))) => Place::Json(key),
        Some((key, _)) => Place::Text(key),
        None => Place::Wrapper,
    }
}

/// The columns of a table.
pub(super) struct Header {
    pub(super) names: Vec<Vec<u8>>,
    places: Vec<Place>,
    /// Whether times are in UTC without saying so, as in CloudTrail Lake, which has CloudTrail's own keys.
    pub(super) is_utc: bool,
}

impl Header {
    pub(super) fn new(names: Vec<Vec<u8>>) -> Self {
        let places = names.iter().map(|name| place_of(name)).collect();
        let is_utc = names.iter().any(|name| matches!(&name[..], b"eventTime" | b"eventID"));
        Self { names, places, is_utc }
    }

    /// Whether a row of so many cells fits.
    pub(super) fn has(&self, cells: usize) -> bool {
        self.names.len() >= cells
    }

    /// Whether the cells of a column may be records, and not values of one.
    pub(super) fn may_hold_records(&self, column: usize) -> bool {
        self.places.get(column) == Some(&Place::Wrapper)
    }

    /// Appends the partial record of a row; returns whether it has enough for one.
    pub(super) fn partial(&self, cells: &[Vec<u8>], out: &mut Vec<u8>) -> bool {
        let (mut known, mut identity, mut rest) = (0, Vec::new(), Vec::new());
        out.push(b'{');
        for (at, cell) in cells.iter().enumerate() {
            if cell.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(cell);
            let (key, into) = match self.places[at] {
                Place::Text(key) | Place::Json(key) => (key.as_bytes(), &mut *out),
                Place::Identity(key) => (key.as_bytes(), &mut identity),
                Place::Wrapper => (&self.names[at][..], &mut rest),
            };
            known += usize::from(self.places[at] != Place::Wrapper);
            if !matches!(into.last(), None | Some(b'{')) {
                into.push(b',');
            }
            escape_json(String::from_utf8_lossy(key).as_bytes(), into);
            into.push(b':');
            let is_container = matches!(cell.first(), Some(b'{' | b'['));
            match self.places[at] {
                Place::Json(_) if is_container && is_json(cell) => into.extend_from_slice(cell),
                _ => escape_json(text.as_bytes(), into),
            }
        }
        if !identity.is_empty() {
            out.extend_from_slice(if out.len() > 1 {
                b",\"userIdentity\":{"
            } else {
                b"\"userIdentity\":{"
            });
            out.extend_from_slice(&identity);
            out.push(b'}');
        }
        out.extend_from_slice(if out.len() > 1 { b",\"" } else { b"\"" });
        out.extend_from_slice(WRAPPER_KEY.as_bytes());
        out.extend_from_slice(b"\":{\"partial\":true");
        if !rest.is_empty() {
            out.push(b',');
            out.extend_from_slice(&rest);
        }
        out.extend_from_slice(b"}}");
        known >= LEAST_KEYS
    }

    /// Whether the table may be one of records.
    pub(super) fn is_known(&self) -> bool {
        let is_record = |name: &Vec<u8>| {
            RECORD_COLUMNS.iter().any(|column| name.eq_ignore_ascii_case(column.as_bytes()))
        };
        let known = self.places.iter().filter(|place| **place != Place::Wrapper).count();
        known >= LEAST_KEYS || self.names.iter().any(is_record)
    }
}

/// The rows of a text, with where each stands.
pub(super) struct Rows<'t> {
    reader: csv_core::Reader,
    text: &'t [u8],
    at: usize,
    cells: Vec<u8>,
    ends: Vec<usize>,
}

impl<'t> Rows<'t> {
    /// The rows of a text; what separates cells is what a line before them says, else what their first line has
    /// most of.
    pub(super) fn of(text: &'t [u8]) -> Self {
        let (delimiter, at) =
            said_delimiter(text).unwrap_or_else(|| (commonest_delimiter(text), 0));
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, text, at, cells: vec![0; 1024], ends: vec![0; 32] }
    }
}

/// What the first line of a text has most of.
fn commonest_delimiter(text: &[u8]) -> u8 {
    let first = text.iter().take(MAX_HEADER_BYTES).position(|byte| *byte == b'\n');
    let first = &text[..first.unwrap_or(text.len().min(MAX_HEADER_BYTES))];
    let count = |delimiter: &u8| first.iter().filter(|byte| *byte == delimiter).count();
    let delimiters = [b',', b'\t', b';'].into_iter();
    delimiters.max_by_key(|byte| (count(byte), *byte == b',')).unwrap_or(b',')
}

impl Iterator for Rows<'_> {
    type Item = (Range<usize>, Vec<Vec<u8>>);

    fn next(&mut self) -> Option<Self::Item> {
        use csv_core::ReadRecordResult as Read;
        let (start, mut written, mut ended) = (self.at, 0, 0);
        loop {
            let rest = &self.text[self.at..];
            let (cells, ends) = (&mut self.cells[written..], &mut self.ends[ended..]);
            let (result, read, output, fields) = self.reader.read_record(rest, cells, ends);
            self.at += read;
            written += output;
            ended += fields;
            match result {
                Read::InputEmpty => {}
                Read::OutputFull => self.cells.resize(self.cells.len() * 2, 0),
                Read::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                Read::End => return None,
                Read::Record => break,
            }
        }
        let mut from = 0;
        let cells = self.ends[..ended].iter().map(|end| {
            let cell = self.cells[from..*end].to_vec();
            from = *end;
            cell
        });
        Some((start..self.at, cells.collect()))
    }
}

/// The delimiter that a first line for Excel says, `sep=;`, and where the next line begins.
fn said_delimiter(text: &[u8]) -> Option<(u8, usize)> {
    let (head, rest) = text.split_at_checked("sep=;".len())?;
    let is_said = head[..4].eq_ignore_ascii_case(b"sep=");
    let end = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
    (is_said && end > 0 && head[4].is_ascii()).then_some((head[4], head.len() + end))
}

/// The cells of a row that is a list, with their columns.
pub(super) fn row_of(row: &[u8]) -> (Header, Vec<Vec<u8>>) {
    let (mut names, mut cells, mut members) = (Vec::new(), Vec::new(), Vec::new());
    let inside = if row.len() > 1 && row.first() == Some(&b'[') { 1..row.len() - 1 } else { 0..0 };
    for (cell, _) in RecordSpans::new(row, inside) {
        let cell = &row[cell];
        members_of(cell, &mut members);
        let of = |name: &[u8]| {
            let own = members.iter().find(|member| &cell[member.key.clone()] == name);
            own.map(|member| text_of(&cell[member.value.clone()]))
        };
        if let (Some(name), Some(value)) = (of(b"field"), of(b"value")) {
            names.push(name);
            cells.push(value);
            continue;
        }
        for member in &members {
            names.push(cell[member.key.clone()].to_vec());
            cells.push(text_of(&cell[member.value.clone()]));
        }
    }
    let is_lake = names.iter().any(|name| name.first() != Some(&b'@'));
    (Header { is_utc: is_lake, ..Header::new(names) }, cells)
}

/// A string's content, another value's text; nothing for `null`.
fn text_of(value: &[u8]) -> Vec<u8> {
    let inside = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let mut text = Vec::new();
    match inside {
        Some(inside) if unescape_json(inside, &mut text) => text,
        _ if value == b"null" => Vec::new(),
        _ => value.to_vec(),
    }
}
