//! One record into the rows of a table.
//!
//! First the record's top-level keys are found and its time and partition are checked; only then do
//! values go to the columns, so that a bad record leaves no trace in them.

use crate::columns::extra::{Extra, Step};
use crate::columns::text::{Cell, SideText};
use crate::columns::tree::Tree;
use crate::columns::typed::Typed;
use crate::error::{Error, Result};
use crate::parse::{Cursor, ScalarKind};
use crate::partition::{Facts, PartitionBy};
use crate::schema::{ColumnSpec, Family, Role, columns};
use crate::units::{EpochMillis, parse_event_time};
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

/// The largest record that is converted. CloudTrail's own limit is 256 KB since event version 1.05;
/// engines refuse rows over 32 MB (FACTS.md B4).
pub const MAX_RECORD_BYTES: usize = 32 << 20;

/// What the object's key says about its records; the record's own values come first.
#[derive(Clone, Debug, Default)]
pub struct ObjectFacts {
    /// The account of the key.
    pub account: String,
    /// The region of the key.
    pub region: String,
    /// The organization of the key.
    pub organization: String,
}

/// One row's facts that are not columns.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Index into [`TableRows::partitions`].
    pub partition: u32,
    /// The object the record came from, in the unit.
    pub object: u32,
    /// The instant of the event.
    pub instant: EpochMillis,
    /// A hash of the record's source text, when it has an event id: equal records are copies.
    pub copy_of: Option<u128>,
    /// `eventsource`, for the order of rows.
    pub source: Cell,
    /// `eventname`, for the order of rows.
    pub name: Cell,
}

/// The values of one column, row by row or by path.
#[derive(Debug)]
pub enum Values {
    /// A text per row.
    Text(Vec<Cell>),
    /// An instant per row; the rows hold it.
    Instants,
    /// A boolean per row.
    Booleans(Vec<Option<bool>>),
    /// A documented shape.
    Typed(Tree),
    /// To be inferred.
    Nested(Tree),
}

/// All rows of one family in a unit.
#[derive(Debug)]
pub struct TableRows {
    /// The family.
    pub family: Family,
    /// The columns, in order.
    pub specs: Vec<ColumnSpec>,
    /// Their values, in the same order.
    pub values: Vec<Values>,
    /// A row each.
    pub rows: Vec<Row>,
    /// The distinct partition paths.
    pub partitions: Vec<String>,
    partition_ids: HashMap<Box<[u8]>, u32>,
    keys: Keys,
}

/// Which column a top-level key leads to.
#[derive(Debug)]
struct Keys {
    /// Key to column, and lower-cased key to column.
    exact: HashMap<Box<[u8]>, usize>,
    folded: HashMap<Box<[u8]>, usize>,
    /// Every key met so far with its column, and the keys of the record before in their order: keys
    /// come in the same order from record to record, so that one comparison usually settles it.
    met: HashMap<Box<[u8]>, u32>,
    known: Vec<(Box<[u8]>, Option<usize>)>,
    expected: Vec<u32>,
    event_time: Option<usize>,
    time_window: Option<usize>,
    account: Option<usize>,
    region: Option<usize>,
    source: Option<usize>,
    name: Option<usize>,
    event_id: Option<usize>,
    identity: Option<usize>,
    request: Option<usize>,
}

impl Keys {
    fn new(specs: &[ColumnSpec]) -> Self {
        let mut exact = HashMap::new();
        let mut folded = HashMap::new();
        for (i, spec) in specs.iter().enumerate() {
            if let Role::Text(key) | Role::Json(key) | Role::Typed(key, _) | Role::Boolean(key) =
                &spec.role
            {
                exact.insert(key.as_bytes().into(), i);
                folded.insert(key.to_ascii_lowercase().into_bytes().into(), i);
            }
        }
        let at = |name: &str| specs.iter().position(|spec| spec.name == name);
        Self {
            exact,
            folded,
            met: HashMap::new(),
            known: Vec::new(),
            expected: Vec::new(),
            event_time: at("eventtime"),
            time_window: at("timewindow"),
            account: at("recipientaccountid").or(at("accountid")),
            region: at("awsregion"),
            source: at("eventsource"),
            name: at("eventname"),
            event_id: at("eventid"),
            identity: at("useridentity"),
            request: at("requestparameters"),
        }
    }

    /// Returns the column of the `n`th key of a record.
    fn column(&mut self, n: usize, key: &str) -> Option<usize> {
        if let Some(id) = self.expected.get(n)
            && *self.known[*id as usize].0 == *key.as_bytes()
        {
            return self.known[*id as usize].1;
        }
        let id = match self.met.get(key.as_bytes()) {
            Some(id) => *id,
            None => {
                let column = self.look_up(key);
                if self.known.len() >= MAX_KEYS_MET {
                    return column;
                }
                let id = self.known.len() as u32;
                self.known.push((key.as_bytes().into(), column));
                self.met.insert(key.as_bytes().into(), id);
                id
            }
        };
        if n < self.expected.len() {
            self.expected[n] = id;
        } else if n == self.expected.len() {
            self.expected.push(id);
        }
        self.known[id as usize].1
    }

    /// Whether a raw key, quotes included, is spelled as documented.
    fn is_exact(&self, key: Cell, source: &[u8]) -> bool {
        let side = SideText::default();
        let raw = key.bytes(source, &side);
        raw.len() > 2 && self.exact.contains_key(&raw[1..raw.len() - 1])
    }

    /// The column of a key: spelled right, else in another case.
    fn look_up(&self, key: &str) -> Option<usize> {
        let folded = || self.folded.get(key.to_ascii_lowercase().as_bytes());
        self.exact.get(key.as_bytes()).or_else(folded).copied()
    }
}

/// Keys beyond this many different ones are looked up anew each time.
const MAX_KEYS_MET: usize = 4096;

/// What a record's columns were found to be, before they are taken.
#[derive(Debug, Default)]
pub struct Scratch<'t> {
    found: Vec<Option<Found<'t>>>,
    extra: Extra,
    path: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Found<'t> {
    key: Cell,
    value: Cursor<'t>,
    /// The value's text as it stands in the source.
    raw: Cell,
    has_space: bool,
}

impl Found<'_> {
    /// The value's JSON text, `null` included.
    fn json_or_null(&self, side: &mut SideText) -> Cell {
        let is_container = self.value.object_len().or(self.value.array_len()).is_some();
        if self.has_space && is_container { side.json(&mut self.value.clone()) } else { self.raw }
    }

    /// The value's JSON text; nothing for `null`.
    fn json(&self, side: &mut SideText) -> Cell {
        if self.value.is_null() { Cell::NULL } else { self.json_or_null(side) }
    }
}

impl TableRows {
    /// Creates the table of a family; without `nested` the inferred columns are left out.
    pub fn new(family: Family, nested: bool) -> Self {
        let mut specs = columns(family);
        if !nested {
            specs.retain(|spec| !matches!(spec.role, Role::Nested(_)));
        }
        let values = specs
            .iter()
            .map(|spec| match &spec.role {
                Role::Typed(_, kind) => Values::Typed(Tree::of_kind(kind)),
                Role::Nested(_) => Values::Nested(Tree::default()),
                Role::Timestamp => Values::Instants,
                Role::Boolean(_) => Values::Booleans(Vec::new()),
                _ => Values::Text(Vec::new()),
            })
            .collect();
        let keys = Keys::new(&specs);
        Self {
            family,
            specs,
            values,
            rows: Vec::new(),
            partitions: Vec::new(),
            partition_ids: HashMap::new(),
            keys,
        }
    }

    /// Takes the record the cursor stands on, and moves past it in any case.
    ///
    /// # Errors
    /// `BadInput` with the reason why the record cannot be a row; nothing was added then.
    pub fn take<'t>(
        &mut self,
        cursor: &mut Cursor<'t>,
        side: &mut SideText,
        scratch: &mut Scratch<'t>,
        object: u32,
        facts: &ObjectFacts,
        by: &PartitionBy,
    ) -> Result<()> {
        let Some(len) = cursor.object_len() else {
            cursor.skip();
            return Err(Error::bad_input("record is not an object"));
        };
        let start = cursor.start();
        scratch.found.clear();
        scratch.found.resize(self.specs.len(), None);
        scratch.extra.clear();
        let source = cursor.bytes();
        cursor.enter(len);
        for n in 0..len {
            let key = cursor.key();
            let column = self.keys.column(n, key.text);
            let value = cursor.clone();
            cursor.clear_space();
            let raw = Cell::source(cursor.skip());
            let has_space = cursor.has_space();
            let key = Cell::source(key.raw);
            let found = Found { key, value, raw, has_space };
            cursor.end_entry();
            // The same key again: the last one counts, unless only the earlier is spelled right.
            let leftover = match column {
                None => Some(found),
                Some(column) => {
                    let slot = &mut scratch.found[column];
                    let is_exact = |found: &Found<'_>| self.keys.is_exact(found.key, source);
                    match slot {
                        Some(before) if is_exact(before) && !is_exact(&found) => Some(found),
                        _ => slot.replace(found),
                    }
                }
            };
            if let Some(leftover) = leftover {
                let text = leftover.json_or_null(side);
                scratch.extra.add_top(leftover.key, text);
            }
        }
        let end = cursor.container_end();
        if end - start > MAX_RECORD_BYTES {
            return Err(Error::bad_input(format!("record is over {MAX_RECORD_BYTES} bytes")));
        }
        let row = self.row(scratch, side, source, object, facts, by, start..end)?;
        self.rows.push(row);
        self.fill(scratch, side, source);
        Ok(())
    }

    /// Checks time and partition, and makes the row's facts.
    #[expect(clippy::too_many_arguments, reason = "one call, all of them needed")]
    fn row(
        &mut self,
        scratch: &mut Scratch<'_>,
        side: &mut SideText,
        source: &[u8],
        object: u32,
        facts: &ObjectFacts,
        by: &PartitionBy,
        span: std::ops::Range<usize>,
    ) -> Result<Row> {
        let keys = &self.keys;
        let cell = |column: Option<usize>, side: &mut SideText| -> Cell {
            column
                .and_then(|column| scratch.found[column].as_ref())
                .map_or(Cell::NULL, |found| content_if_string(&found.value, side))
        };
        let time = match keys.event_time {
            Some(_) => cell(keys.event_time, side),
            None => keys
                .time_window
                .and_then(|column| scratch.found[column].as_ref())
                .map_or(Cell::NULL, |found| member(&found.value, "windowStart", side)),
        };
        if time.is_null() {
            return Err(Error::bad_input("record has no event time"));
        }
        let instant = parse_event_time(time.bytes(source, side))
            .ok_or_else(|| Error::bad_input("event time is not an ISO 8601 instant"))?;
        let mut account = cell(keys.account, side);
        if account.is_empty() && facts.account.is_empty() {
            account = keys
                .identity
                .and_then(|column| scratch.found[column].as_ref())
                .map_or(Cell::NULL, |found| member(&found.value, "accountId", side));
        }
        let region = cell(keys.region, side);
        let (event_source, name) = (cell(keys.source, side), cell(keys.name, side));
        let event_id = cell(keys.event_id, side);
        let side: &SideText = side;
        fn or<'a>(cell: Cell, fallback: &'a str, source: &'a [u8], side: &'a SideText) -> &'a [u8] {
            if cell.is_empty() { fallback.as_bytes() } else { cell.bytes(source, side) }
        }
        scratch.path.clear();
        by.write_path(
            &Facts {
                account: or(account, &facts.account, source, side),
                region: or(region, &facts.region, source, side),
                event_source: event_source.bytes(source, side),
                organization: facts.organization.as_bytes(),
                instant,
            },
            &mut scratch.path,
        )?;
        let partition = match self.partition_ids.get(&scratch.path[..]) {
            Some(id) => *id,
            None => {
                let id = self.partitions.len() as u32;
                self.partitions.push(String::from_utf8_lossy(&scratch.path).into_owned());
                self.partition_ids.insert(scratch.path[..].into(), id);
                id
            }
        };
        let copy_of = (!event_id.is_empty()).then(|| xxh3_128(&source[span]));
        Ok(Row { partition, object, instant, copy_of, source: event_source, name })
    }

    /// Moves what was found into the columns.
    fn fill(&mut self, scratch: &mut Scratch<'_>, side: &mut SideText, source: &[u8]) {
        let row = (self.rows.len() - 1) as u32;
        let facts = self.rows[row as usize];
        let request = self.keys.request;
        let promote = |scratch: &Scratch<'_>, names: &[&str], side: &mut SideText| -> Cell {
            request.and_then(|column| scratch.found[column].as_ref()).map_or(Cell::NULL, |found| {
                names
                    .iter()
                    .map(|name| member(&found.value, name, side))
                    .find(|cell| !cell.is_null())
                    .unwrap_or(Cell::NULL)
            })
        };
        let event_source = facts.source.bytes(source, side);
        let is_s3 = event_source == b"s3.amazonaws.com";
        let is_lambda = event_source == b"lambda.amazonaws.com";
        for (column, (spec, values)) in self.specs.iter().zip(&mut self.values).enumerate() {
            let found = scratch.found.get(column).and_then(Clone::clone);
            match (values, &spec.role) {
                (Values::Text(cells), role) => cells.push(match role {
                    Role::Text(_) => found.map_or(Cell::NULL, |f| text(f.value, side)),
                    Role::Json(_) => found.map_or(Cell::NULL, |f| f.json(side)),
                    Role::S3Bucket if is_s3 => promote(scratch, &["bucketName"], side),
                    Role::S3Key if is_s3 => promote(scratch, &["key"], side),
                    Role::LambdaFunction if is_lambda => {
                        function_name(promote(scratch, &["functionName"], side), source, side)
                    }
                    // The last column: everything else has been looked at by then.
                    Role::Extra => scratch.extra.render(source, side),
                    _ => Cell::NULL,
                }),
                (Values::Booleans(flags), _) => {
                    let flag = found.as_ref().and_then(|f| boolean(&f.value));
                    if let (None, Some(f)) = (flag, found)
                        && !f.value.is_null()
                    {
                        let json = f.json(side);
                        scratch.extra.add_top(f.key, json);
                    }
                    flags.push(flag);
                }
                (Values::Typed(tree), Role::Typed(_, kind)) => {
                    if let Some(mut f) = found {
                        let extra = &mut scratch.extra;
                        extra.open.push(Step::Key(f.key));
                        Typed { tree, side, extra }.take(&mut f.value, kind, 0, row);
                        scratch.extra.open.clear();
                    }
                }
                (Values::Nested(tree), Role::Nested(key)) => {
                    let from = self.keys.exact.get(key.as_bytes()).copied();
                    let found = from.and_then(|from| scratch.found[from].clone());
                    if let Some(mut f) = found
                        && f.value.object_len().is_some()
                    {
                        tree.shred(&mut f.value, side, 0, row, 0);
                    }
                }
                _ => {}
            }
        }
    }
}

/// A string's content, or the value's JSON text.
fn text(mut value: Cursor<'_>, side: &mut SideText) -> Cell {
    if value.object_len().or(value.array_len()).is_some() {
        return side.json(&mut value);
    }
    let scalar = value.scalar();
    side.content(&scalar, value.bytes())
}

/// A string's content; nothing for other values.
fn content_if_string(value: &Cursor<'_>, side: &mut SideText) -> Cell {
    let mut value = value.clone();
    if value.object_len().or(value.array_len()).is_some() {
        return Cell::NULL;
    }
    let scalar = value.scalar();
    if scalar.kind == ScalarKind::String {
        side.content(&scalar, value.bytes())
    } else {
        Cell::NULL
    }
}

/// The string at a key of an object; the last one if the key is repeated.
fn member(value: &Cursor<'_>, name: &str, side: &mut SideText) -> Cell {
    let mut value = value.clone();
    let Some(len) = value.object_len() else { return Cell::NULL };
    let mut out = Cell::NULL;
    value.enter(len);
    for _ in 0..len {
        if value.key().text == name {
            out = content_if_string(&value, side);
        }
        value.skip();
        value.end_entry();
    }
    out
}

fn boolean(value: &Cursor<'_>) -> Option<bool> {
    let mut value = value.clone();
    if value.object_len().or(value.array_len()).is_some() {
        return None;
    }
    let scalar = value.scalar();
    let text = match scalar.kind {
        ScalarKind::Bool => &value.bytes()[scalar.raw],
        ScalarKind::String => scalar.text.as_bytes(),
        _ => return None,
    };
    match text {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// The plain name in a function's name, ARN, partial ARN or `name:alias`.
fn function_name(cell: Cell, source: &[u8], side: &mut SideText) -> Cell {
    let text = cell.bytes(source, side);
    let name = match memchr::memmem::find(text, b"function:") {
        Some(at) => &text[at + 9..],
        None => text,
    };
    let name = name.split(|b| *b == b':').next().unwrap_or_default();
    if name.len() == text.len() {
        return cell;
    }
    let name = name.to_vec();
    side.keep(&name)
}

/// The family a record belongs to by its own fields, for objects whose key does not say.
pub fn family_of(record: &Cursor<'_>) -> Family {
    let mut cursor = record.clone();
    let Some(len) = cursor.object_len() else { return Family::Events };
    cursor.enter(len);
    for _ in 0..len {
        let key = cursor.key();
        let is_deciding = matches!(key.text, "eventCategory" | "eventType");
        if is_deciding && cursor.object_len().or(cursor.array_len()).is_none() {
            match cursor.scalar().text {
                "Insight" | "AwsCloudTrailInsight" => return Family::Insight,
                "NetworkActivity" | "AwsVpceEvents" => return Family::NetworkActivity,
                "Aggregated" | "AwsAggregatedEvent" => return Family::Aggregated,
                _ => {}
            }
        } else {
            cursor.skip();
        }
        cursor.end_entry();
    }
    Family::Events
}

/// Whether a record has any of the fields that make a CloudTrail record.
pub fn is_cloudtrail(record: &Cursor<'_>) -> bool {
    let mut cursor = record.clone();
    let Some(len) = cursor.object_len() else { return false };
    let mut fields = 0;
    cursor.enter(len);
    for _ in 0..len {
        fields += usize::from(matches!(
            cursor.key().text,
            "eventVersion"
                | "eventTime"
                | "eventName"
                | "eventSource"
                | "eventID"
                | "eventId"
                | "awsRegion"
                | "userIdentity"
                | "insightDetails"
                | "timeWindow"
        ));
        cursor.skip();
        cursor.end_entry();
    }
    fields >= 2
}
