//! One record into the rows of a table.
//!
//! First the record's top-level keys are found and its time and partition are checked; only then do
//! values go to the columns, so that a bad record leaves no trace in them.

use crate::error::{Error, ErrorKind, Result};
use crate::parse::{Cursor, Place, ScalarKind, minify_json};
use crate::partition::{Facts, PartitionBy, PartitionKey};
use crate::rows::extra::Extra;
use crate::rows::fingerprint::Fingerprints;
use crate::rows::follow::Follow;
use crate::rows::text::{Cell, Interner, Span, Texts, is_same, reserve};
use crate::rows::tree::{FieldText, Tree};
use crate::rows::typed::Typed;
use crate::schema::{ColumnSpec, Family, Role, columns};
use crate::units::{EpochMillis, parse_event_time, place};
use hashbrown::HashMap;

/// The largest record that is converted. CloudTrail's own limit is 256 KB since event version 1.05;
/// engines refuse rows over 32 MB (docs/aws-facts.md A13).
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
    /// The fingerprint of the record's source text: see [`Fingerprints`].
    pub fingerprint: u128,
    /// Whether the record has an event id.
    pub has_event_id: bool,
    /// Records of the same text that come before it in its object, where that matters.
    pub earlier: u32,
    /// [`place`] of the account and region that the record names: those of copies are equal.
    pub place: u64,
}

/// The values of one column, row by row or by path.
#[derive(Debug)]
pub enum Values {
    /// A text per row.
    Text(TextColumn),
    /// An instant per row; the rows hold it.
    Instants,
    /// A boolean per row.
    Booleans(Vec<Option<bool>>),
    /// A documented shape.
    Typed(Tree),
    /// To be inferred.
    Nested(Tree),
}

/// A text per row, or nothing.
#[derive(Debug, Default)]
pub struct TextColumn {
    pub(crate) cells: Vec<Cell>,
    /// Not for ids, of which hardly any two are equal.
    pub(crate) interner: Option<Interner>,
}

impl TextColumn {
    fn keep(&mut self, text: &[u8], texts: &mut Texts) -> Cell {
        match &mut self.interner {
            Some(interner) => interner.keep(text, texts),
            None => texts.keep(text),
        }
    }
}

/// Columns whose values are ids: looking for equal ones, or a dictionary, would only cost.
const ID_COLUMNS: [&str; 3] = ["eventid", "requestid", "sharedeventid"];

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
    last_partition: LastPartition,
    /// Per nested column, the column of the same field's text.
    nested_from: Vec<Option<usize>>,
    keys: Keys,
}

/// Which column a top-level key leads to.
#[derive(Debug)]
struct Keys {
    /// Key to column, and lower-cased key to column.
    exact: HashMap<Box<[u8]>, usize>,
    folded: HashMap<Box<[u8]>, usize>,
    /// Every key met so far with its column, and which of them comes next.
    met: HashMap<Box<[u8]>, u32>,
    known: Vec<(Box<[u8]>, Option<usize>)>,
    follow: Follow,
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
            follow: Follow::default(),
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

    /// Returns the column of the next key of a record.
    fn column(&mut self, key: &str) -> Option<usize> {
        let expected = self.follow.expected();
        if let Some((text, column)) = self.known.get(expected)
            && is_same(text, key.as_bytes())
        {
            self.follow.came(expected);
            return *column;
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
        self.follow.came(id as usize);
        self.known[id as usize].1
    }

    /// Whether a raw key, quotes included, is spelled as documented.
    fn is_exact(&self, key: Span, source: &[u8]) -> bool {
        let raw = key.of(source);
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

/// What a record's columns were found to be, before they are taken; kept from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    found: Vec<Option<Found>>,
    /// Values that no column holds.
    leftover: Vec<Found>,
    extra: Extra,
    path: Vec<u8>,
    fingerprints: Fingerprints,
    /// Whether copies are found within an object's history only, also those with an event id.
    keeps_copies: bool,
    /// How often the object has had each text.
    met: HashMap<u128, u32>,
    /// A record's text without whitespace.
    minified: Vec<u8>,
}

/// What is kept between objects and records at most: few need more.
const MAX_KEPT: usize = 1 << 16;

impl Scratch {
    /// Creates one that makes fingerprints for a lake.
    pub fn new(fingerprints: Fingerprints, keeps_copies: bool) -> Self {
        Self { fingerprints, keeps_copies, ..Self::default() }
    }

    /// Begins an object: equal texts in it are counted anew.
    pub fn begin_object(&mut self) {
        self.met.clear();
        self.met.shrink_to(MAX_KEPT);
    }

    fn fingerprint(&mut self, family: Family, text: &[u8], has_space: bool) -> u128 {
        if !has_space {
            return self.fingerprints.text(family, text);
        }
        self.minified.clear();
        self.minified.shrink_to(MAX_KEPT);
        minify_json(text, &mut self.minified);
        self.fingerprints.text(family, &self.minified)
    }

    /// Returns how many records of the same text came before in the object, where that matters.
    fn meet(&mut self, fingerprint: u128, has_event_id: bool) -> u32 {
        if has_event_id && !self.keeps_copies {
            return 0;
        }
        let met = self.met.entry(fingerprint).or_default();
        *met += 1;
        *met - 1
    }
}

/// A value of the record.
#[derive(Clone, Copy, Debug)]
struct Found {
    key: Span,
    /// The value's text as it stands in the source.
    raw: Span,
    place: Place,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Null,
    /// A string that needs no unescaping.
    Plain,
    Escaped,
    /// A number or a boolean.
    Scalar,
    Object,
    Array,
}

impl Found {
    /// Finds the value that the cursor stands on, and moves past it.
    fn read(key: Span, cursor: &mut Cursor<'_>) -> Self {
        let place = cursor.place();
        let is_object = cursor.object_len().is_some();
        if is_object || cursor.array_len().is_some() {
            let shape = if is_object { Shape::Object } else { Shape::Array };
            return Self { key, raw: Span::new(cursor.skip()), place, shape };
        }
        let scalar = cursor.scalar();
        let shape = match scalar.kind {
            ScalarKind::Null => Shape::Null,
            ScalarKind::String if scalar.is_verbatim() => Shape::Plain,
            ScalarKind::String => Shape::Escaped,
            _ => Shape::Scalar,
        };
        Self { key, raw: Span::new(scalar.raw), place, shape }
    }

    fn is_container(&self) -> bool {
        matches!(self.shape, Shape::Object | Shape::Array)
    }

    /// A string's content, or a container's or other scalar's text as it stands in the source;
    /// nothing for `null`.
    fn text<'t>(&self, cursor: &Cursor<'t>) -> Option<&'t [u8]> {
        match self.shape {
            Shape::Null => None,
            Shape::Plain => Some(self.raw.inside().of(cursor.bytes())),
            Shape::Escaped => Some(cursor.at(self.place).scalar().text.as_bytes()),
            Shape::Scalar | Shape::Object | Shape::Array => Some(self.raw.of(cursor.bytes())),
        }
    }

    /// A string's content; nothing for other values.
    fn string<'t>(&self, cursor: &Cursor<'t>) -> Option<&'t [u8]> {
        let is_string = matches!(self.shape, Shape::Plain | Shape::Escaped);
        if is_string { self.text(cursor) } else { None }
    }

    /// The value's own text; nothing for `null`.
    fn json<'t>(&self, cursor: &Cursor<'t>) -> Option<&'t [u8]> {
        if self.shape == Shape::Null { None } else { Some(self.raw.of(cursor.bytes())) }
    }

    /// A boolean, or one that is spelled as a string.
    fn boolean(&self, cursor: &Cursor<'_>) -> Option<bool> {
        match self.text(cursor) {
            Some(b"true") => Some(true),
            Some(b"false") => Some(false),
            _ => None,
        }
    }

    /// The string at a key of an object; the last one if the key is repeated.
    fn member<'t>(&self, name: &str, cursor: &Cursor<'t>) -> Option<&'t [u8]> {
        if self.shape != Shape::Object {
            return None;
        }
        let mut cursor = cursor.at(self.place);
        let len = cursor.object_len().unwrap_or_default();
        let mut out = None;
        cursor.enter(len);
        for _ in 0..len {
            let is_it = cursor.key().text == name;
            let found = Self::read(Span::default(), &mut cursor);
            if is_it {
                out = found.string(&cursor);
            }
            cursor.end_entry();
        }
        out
    }
}

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// What a row's partition is made from; the row before often has the same.
#[derive(Debug)]
struct LastPartition {
    id: u32,
    object: u32,
    hour: i64,
    account: Vec<u8>,
    region: Vec<u8>,
    event_source: Vec<u8>,
}

impl LastPartition {
    /// No row's: no instant is in this hour.
    fn none() -> Self {
        let (account, region, event_source) = (Vec::new(), Vec::new(), Vec::new());
        Self { id: 0, object: 0, hour: i64::MIN, account, region, event_source }
    }

    /// Whether a row of `object` made from `facts` belongs to the same partition.
    fn is_for(&self, object: u32, facts: &Facts<'_>, by: &PartitionBy) -> bool {
        self.object == object
            && self.hour == facts.instant.div_euclid(HOUR)
            && self.account == facts.account
            && self.region == facts.region
            && (!by.keys().contains(&PartitionKey::EventSource)
                || self.event_source == facts.event_source)
    }

    fn set(&mut self, id: u32, object: u32, facts: &Facts<'_>) {
        let set = |field: &mut Vec<u8>, text: &[u8]| {
            field.clear();
            field.extend_from_slice(text);
        };
        (self.id, self.object, self.hour) = (id, object, facts.instant.div_euclid(HOUR));
        set(&mut self.account, facts.account);
        set(&mut self.region, facts.region);
        set(&mut self.event_source, facts.event_source);
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
                _ => {
                    let is_id = ID_COLUMNS.contains(&spec.name);
                    let interner = (!is_id).then(Interner::default);
                    Values::Text(TextColumn { cells: Vec::new(), interner })
                }
            })
            .collect();
        let keys = Keys::new(&specs);
        let nested_from = specs.iter().map(|spec| match &spec.role {
            Role::Nested(key) => keys.exact.get(key.as_bytes()).copied(),
            _ => None,
        });
        let nested_from = nested_from.collect();
        Self {
            family,
            specs,
            values,
            rows: Vec::new(),
            partitions: Vec::new(),
            partition_ids: HashMap::new(),
            last_partition: LastPartition::none(),
            nested_from,
            keys,
        }
    }

    /// Returns how many values of free-form fields gave way to another spelling of their key.
    pub fn displaced(&self) -> u64 {
        let trees = self.values.iter().map(|values| match values {
            Values::Nested(tree) => tree.nodes.iter().map(|node| node.displaced).sum(),
            _ => 0,
        });
        trees.sum()
    }

    /// Returns the columns that say what kind of event a row is: `eventsource` and `eventname`.
    pub(crate) fn kind_columns(&self) -> [Option<&TextColumn>; 2] {
        [self.keys.source, self.keys.name].map(|column| match &self.values[column?] {
            Values::Text(column) => Some(column),
            _ => None,
        })
    }

    /// Forgets all rows, and keeps the memory. What was inferred is forgotten too: a schema must not
    /// depend on which unit had the table before.
    pub fn clear(&mut self) {
        for values in &mut self.values {
            match values {
                Values::Text(column) => {
                    column.cells.clear();
                    column.interner.iter_mut().for_each(Interner::clear);
                }
                Values::Instants => {}
                Values::Booleans(flags) => flags.clear(),
                Values::Typed(tree) => tree.clear_values(),
                Values::Nested(tree) => *tree = Tree::default(),
            }
        }
        self.rows.clear();
        self.partitions.clear();
        self.partition_ids.clear();
        self.last_partition = LastPartition::none();
    }

    /// Returns how many bytes the rows take, without their texts.
    pub(crate) fn footprint(&self) -> u64 {
        let of_column = |values: &Values| match values {
            Values::Text(column) => size_of_val(&column.cells[..]),
            Values::Instants => 0,
            Values::Booleans(flags) => size_of_val(&flags[..]),
            Values::Typed(tree) | Values::Nested(tree) => tree.footprint(),
        };
        let columns: usize = self.values.iter().map(of_column).sum();
        (columns + size_of_val(&self.rows[..])) as u64
    }

    /// Makes room for `times` as many rows as there are.
    pub(crate) fn reserve(&mut self, times: f64) {
        for values in &mut self.values {
            match values {
                Values::Text(column) => reserve(&mut column.cells, times),
                Values::Instants => {}
                Values::Booleans(flags) => reserve(flags, times),
                Values::Typed(tree) => tree.reserve(times),
                // Later units do not have its memory: it grows with what is met.
                Values::Nested(_) => {}
            }
        }
        reserve(&mut self.rows, times);
    }

    /// Takes the record the cursor stands on, and moves past it in any case.
    ///
    /// # Errors
    /// `BadInput` with the reason why the record cannot be a row; nothing was added then.
    pub fn take(
        &mut self,
        cursor: &mut Cursor<'_>,
        texts: &mut Texts,
        scratch: &mut Scratch,
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
        scratch.leftover.clear();
        let source = cursor.bytes();
        cursor.enter(len);
        self.keys.follow.open();
        for _ in 0..len {
            let key = cursor.key();
            let column = self.keys.column(key.text);
            let found = Found::read(Span::new(key.raw), cursor);
            cursor.end_entry();
            // The same key again: the last one counts, unless only the earlier is spelled right.
            let leftover = match column {
                None => Some(found),
                Some(column) => {
                    let slot = &mut scratch.found[column];
                    let is_exact = |found: &Found| self.keys.is_exact(found.key, source);
                    match slot {
                        Some(before) if is_exact(before) && !is_exact(&found) => Some(found),
                        _ => slot.replace(found),
                    }
                }
            };
            scratch.leftover.extend(leftover);
        }
        let span = start..cursor.container_end();
        if span.len() > MAX_RECORD_BYTES {
            return Err(Error::bad_input(format!("record is over {MAX_RECORD_BYTES} bytes")));
        }
        if !texts.has_room(span.len()) {
            let message = "the unit's texts would be over 4 GB; lower `--unit-size`";
            return Err(Error::new(ErrorKind::OverLimit, message));
        }
        let row = self.row(scratch, cursor, object, facts, by, span)?;
        self.rows.push(row);
        self.fill(scratch, cursor, texts);
        Ok(())
    }

    /// Checks time and partition, and makes the row's facts.
    fn row(
        &mut self,
        scratch: &mut Scratch,
        cursor: &Cursor<'_>,
        object: u32,
        facts: &ObjectFacts,
        by: &PartitionBy,
        span: std::ops::Range<usize>,
    ) -> Result<Row> {
        let keys = &self.keys;
        let found = |column: Option<usize>| column.and_then(|column| scratch.found[column]);
        let string = |column: Option<usize>| found(column).and_then(|found| found.string(cursor));
        let time = match keys.event_time {
            Some(_) => string(keys.event_time),
            None => found(keys.time_window).and_then(|found| found.member("windowStart", cursor)),
        };
        let time = time.ok_or_else(|| Error::bad_input("record has no event time"))?;
        let instant = parse_event_time(time)
            .ok_or_else(|| Error::bad_input("event time is not an ISO 8601 instant"))?;
        let is_given = |text: &&[u8]| !text.is_empty();
        let (named_account, named_region) = (string(keys.account), string(keys.region));
        let account = named_account.filter(is_given).unwrap_or(facts.account.as_bytes());
        let of_identity = || found(keys.identity)?.member("accountId", cursor);
        let account = match account {
            [] => of_identity().unwrap_or_default(),
            account => account,
        };
        let region = named_region.filter(is_given).unwrap_or(facts.region.as_bytes());
        let event_source = string(keys.source).unwrap_or_default();
        let organization = facts.organization.as_bytes();
        let has_event_id = string(keys.event_id).is_some_and(|id| !id.is_empty());
        let place = place(named_account.unwrap_or_default(), named_region.unwrap_or_default());
        let facts = Facts { account, region, event_source, organization, instant };
        if !self.last_partition.is_for(object, &facts, by) {
            let id = self.partition(scratch, &facts, by)?;
            self.last_partition.set(id, object, &facts);
        }
        let partition = self.last_partition.id;
        let text = &cursor.bytes()[span];
        let fingerprint = scratch.fingerprint(self.family, text, cursor.has_space());
        let earlier = scratch.meet(fingerprint, has_event_id);
        Ok(Row { partition, object, instant, fingerprint, has_event_id, earlier, place })
    }

    /// Finds or makes the partition of a row.
    fn partition(
        &mut self,
        scratch: &mut Scratch,
        facts: &Facts<'_>,
        by: &PartitionBy,
    ) -> Result<u32> {
        scratch.path.clear();
        by.write_path(facts, &mut scratch.path)?;
        if let Some(id) = self.partition_ids.get(&scratch.path[..]) {
            return Ok(*id);
        }
        let id = self.partitions.len() as u32;
        self.partitions.push(String::from_utf8_lossy(&scratch.path).into_owned());
        self.partition_ids.insert(scratch.path[..].into(), id);
        Ok(id)
    }

    /// Moves what was found into the columns.
    fn fill(&mut self, scratch: &mut Scratch, cursor: &Cursor<'_>, texts: &mut Texts) {
        let row = (self.rows.len() - 1) as u32;
        let Scratch { found, leftover, extra, .. } = scratch;
        extra.clear();
        for leftover in leftover {
            let text = texts.json(&mut cursor.at(leftover.place));
            extra.add_top(leftover.key, text);
        }
        let all = &*found;
        let of = |column: Option<usize>| column.and_then(|column| all[column]);
        let event_source = of(self.keys.source).and_then(|found| found.string(cursor));
        let is_s3 = event_source == Some(b"s3.amazonaws.com");
        let is_lambda = event_source == Some(b"lambda.amazonaws.com");
        let promote = |name: &str| of(self.keys.request)?.member(name, cursor);
        for (at, spec) in self.specs.iter().enumerate() {
            let found = all[at];
            let (before, values) = self.values.split_at_mut(at);
            match (&mut values[0], &spec.role) {
                (Values::Text(column), role) => {
                    let text = match role {
                        Role::Text(_) => found.and_then(|found| found.text(cursor)),
                        Role::Json(_) => found.and_then(|found| found.json(cursor)),
                        Role::S3Bucket if is_s3 => promote("bucketName"),
                        Role::S3Key if is_s3 => promote("key"),
                        Role::LambdaFunction if is_lambda => {
                            promote("functionName").map(function_name)
                        }
                        _ => None,
                    };
                    let cell = match (role, found) {
                        // The last column: everything else has been looked at by then.
                        (Role::Extra, _) => extra.render(cursor.bytes(), texts),
                        (_, Some(found)) if found.is_container() && cursor.has_space() => {
                            column.interner.iter_mut().for_each(Interner::give_up);
                            texts.json(&mut cursor.at(found.place))
                        }
                        _ => text.map_or(Cell::NULL, |text| column.keep(text, texts)),
                    };
                    column.cells.push(cell);
                }
                (Values::Booleans(flags), _) => {
                    let flag = found.and_then(|found| found.boolean(cursor));
                    if let (None, Some(found)) = (flag, found)
                        && found.shape != Shape::Null
                    {
                        let text = texts.json(&mut cursor.at(found.place));
                        extra.add_top(found.key, text);
                    }
                    flags.push(flag);
                }
                (Values::Typed(tree), Role::Typed(_, kind)) => {
                    if let Some(found) = found {
                        let (value, text) = (cursor.at(found.place), found.raw.of(cursor.bytes()));
                        let mut typed = Typed { tree, texts, extra: &mut *extra };
                        typed.take_row(value, text, kind, found.key, row);
                    }
                }
                (Values::Nested(tree), Role::Nested(_)) => {
                    let from = self.nested_from[at];
                    let (Some(from), Some(found)) = (from, of(from)) else { continue };
                    if found.shape != Shape::Object {
                        continue;
                    }
                    // Nested values are parts of the text column's text, where that is as delivered.
                    let kept = match before.get(from) {
                        Some(Values::Text(column)) if !cursor.has_space() => {
                            column.cells[row as usize]
                        }
                        _ => texts.keep(found.raw.of(cursor.bytes())),
                    };
                    let field = FieldText { start: found.raw.start as usize, kept };
                    tree.shred(&mut cursor.at(found.place), texts, field, row);
                }
                _ => {}
            }
        }
    }
}

/// The plain name in a function's name, ARN, partial ARN or `name:alias`.
fn function_name(text: &[u8]) -> &[u8] {
    let name = match memchr::memmem::find(text, b"function:") {
        Some(at) => &text[at + 9..],
        None => text,
    };
    name.split(|b| *b == b':').next().unwrap_or_default()
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
