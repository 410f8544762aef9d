//! Records in wrappers, as `verify` finds them: its own list of wrappers, and its own way through them.
//!
//! A path is written with dots. Lists on the way are passed through, texts that hold JSON are read like the
//! JSON in them. The first path that leads to a record counts.

use super::json::{self, Entry};
use super::{exported, tables};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Which wrappers are looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wrappers {
    /// None.
    Off,
    /// Those that are listed here.
    #[default]
    Known,
    /// Whatever holds objects that look like records, at most four levels down.
    Any,
}

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Json,
    Base64,
    Rows,
}

use End::{Base64, Json, Rows};

/// Where wrappers have records.
const PATHS: &[(&str, End)] = &[
    ("Events.CloudTrailEvent", Json),
    ("CloudTrailEvent", Json),
    ("events.cloudTrailEvent", Json),
    ("cloudTrailEvent", Json),
    ("detail", Json),
    ("Entries.Detail", Json),
    ("Detail", Json),
    ("logEvents.message", Json),
    ("awslogs.data", Base64),
    ("events.message", Json),
    ("results", Rows),
    ("@message", Json),
    ("QueryResultRows", Rows),
    ("eventJson", Json),
    ("Records.Sns.Message", Json),
    ("Records.body", Json),
    ("Messages.Body", Json),
    ("Message", Json),
    ("Body", Json),
    ("body", Json),
    ("Records.kinesis.data", Base64),
    ("kinesis.data", Base64),
    ("Records.Data", Base64),
    ("records.data", Base64),
    ("result._raw", Json),
    ("results._raw", Json),
    ("_raw", Json),
    ("rows", Json),
    ("columns", Json),
    ("map._raw", Json),
    ("hits.hits._source", Json),
    ("_source", Json),
    ("doc", Json),
    ("fields.event\\.original", Json),
    ("fields.message", Json),
    ("event.original", Json),
    ("event\\.original", Json),
    ("event", Json),
    ("data.aws", Json),
    ("full_log", Json),
    ("aws", Json),
    ("data.attributes.attributes", Json),
    ("attributes.attributes", Json),
    ("full_message", Json),
    ("short_message", Json),
    ("json", Json),
    ("message", Json),
    ("log", Json),
    ("MESSAGE", Json),
    ("jsonPayload", Json),
    ("textPayload", Json),
    ("raw_data", Json),
    ("resourceLogs.scopeLogs.logRecords.body.stringValue", Json),
    ("body.stringValue", Json),
    ("Records", Json),
    ("Events", Json),
    ("events", Json),
    ("Event", Json),
    ("records", Json),
    ("Data", Base64),
    ("data", Base64),
];

/// Wrappers in wrappers are looked into this deep.
const MAX_WRAPPERS: usize = 24;
/// Records in unknown wrappers lie in objects at most so deep.
const MAX_LEVELS: usize = 4;
/// Objects and lists in each other that are looked into.
const MAX_NESTING: usize = 12;

/// A record of a wrapper: its text, and whether times without a zone are UTC.
pub(super) type Take<'a> = &'a mut dyn FnMut(&[u8], bool);

/// Takes records out of wrappers.
pub(super) struct Unpacker<'a> {
    /// Takes each record.
    pub(super) take: Take<'a>,
    /// Reads a gzip stream, if it is one and not too large.
    pub(super) gunzip: &'a dyn Fn(&[u8]) -> Option<Vec<u8>>,
    /// Values beside records that are none.
    pub(super) missed: u64,
}

impl Unpacker<'_> {
    /// Takes the records of a value; returns whether there are any.
    pub(super) fn value(&mut self, text: &[u8], wrappers: Wrappers) -> bool {
        match wrappers {
            Wrappers::Off => false,
            Wrappers::Known => self.known(text, 0),
            Wrappers::Any => self.known(text, 0) || self.any(text, 0, 0),
        }
    }

    fn known(&mut self, text: &[u8], depth: usize) -> bool {
        if depth > MAX_WRAPPERS {
            return false;
        }
        match text.first() {
            Some(b'{') => json::entries(text).is_some_and(|own| self.object(text, &own, depth)),
            Some(b'[') => self.all(json::elements(text), |own, item| own.known(item, depth + 1)),
            Some(b'"') => json::content(text).is_some_and(|own| self.text(own.as_bytes(), depth)),
            _ => false,
        }
    }

    fn object(&mut self, text: &[u8], members: &[Entry<'_>], depth: usize) -> bool {
        if is_record(members) {
            (self.take)(text, false);
            return true;
        }
        for (path, end) in PATHS {
            let escaped = path.replace("\\.", "\0");
            let keys: Vec<String> = escaped.split('.').map(|key| key.replace('\0', ".")).collect();
            if self.follow(members, &keys, *end, depth) {
                return true;
            }
        }
        let record = exported::record(members);
        record.is_some_and(|record| {
            (self.take)(&record, false);
            true
        })
    }

    /// Follows a path from an object's members.
    fn follow(&mut self, members: &[Entry<'_>], keys: &[String], end: End, depth: usize) -> bool {
        let Some((key, rest)) = keys.split_first() else { return false };
        let found = members.iter().find(|member| member.key == *key);
        found.is_some_and(|member| self.follow_value(member.value, rest, end, depth))
    }

    fn follow_value(&mut self, value: &[u8], rest: &[String], end: End, depth: usize) -> bool {
        if depth > MAX_WRAPPERS {
            return false;
        }
        if rest.is_empty() {
            return match end {
                Json => self.known(value, depth + 1),
                Rows => self.all(json::elements(value), |own, row| {
                    let (header, cells) = tables::listed(row);
                    header.is_known && own.row(&header, &cells)
                }),
                Base64 => self.base64(value, depth),
            };
        }
        match value.first() {
            Some(b'{') => {
                json::entries(value).is_some_and(|own| self.follow(&own, rest, end, depth))
            }
            Some(b'[') => self.all(json::elements(value), |own, item| {
                own.follow_value(item, rest, end, depth + 1)
            }),
            _ => false,
        }
    }

    fn base64(&mut self, value: &[u8], depth: usize) -> bool {
        if depth > MAX_WRAPPERS {
            return false;
        }
        if value.starts_with(b"[") {
            return self.all(json::elements(value), |own, item| own.base64(item, depth + 1));
        }
        let Some(text) = json::content(value) else { return false };
        let Ok(bytes) = STANDARD.decode(text.as_bytes().trim_ascii()) else { return false };
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return self.text(&bytes, depth + 1);
        }
        (self.gunzip)(&bytes).is_some_and(|text| self.text(&text, depth + 1))
    }

    /// Takes the records of JSON values that stand one after another.
    fn text(&mut self, text: &[u8], depth: usize) -> bool {
        let text = text.trim_ascii();
        if !matches!(text.first(), Some(b'{' | b'[')) {
            return false;
        }
        let mut values = Vec::new();
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            if matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',') {
                at += 1;
                continue;
            }
            let Some(end) = json::skip_value(text, at) else {
                values.push(&text[at..]);
                break;
            };
            values.push(&text[at..end]);
            at = end;
        }
        self.all(Some(values), |own, value| own.known(value, depth + 1))
    }

    /// Takes the records of each of many values; where some have any, the others are missed.
    pub(super) fn all(
        &mut self,
        values: Option<Vec<&[u8]>>,
        mut take: impl FnMut(&mut Self, &[u8]) -> bool,
    ) -> bool {
        let (mut found, mut missed) = (false, 0);
        for value in values.unwrap_or_default() {
            let is_it = take(self, value);
            found |= is_it;
            missed += u64::from(!is_it && !json::is_plain(value));
        }
        self.missed += if found { missed } else { 0 };
        found
    }

    fn any(&mut self, text: &[u8], level: usize, nesting: usize) -> bool {
        if nesting > 0 && self.known(text, 0) {
            return true;
        }
        match text.first() {
            _ if nesting >= MAX_NESTING => false,
            Some(b'[') => {
                self.all(json::elements(text), |own, item| own.any(item, level, nesting + 1))
            }
            Some(b'{') if level < MAX_LEVELS => {
                let members = json::entries(text).unwrap_or_default();
                let found = members.iter().map(|own| self.any(own.value, level + 1, nesting + 1));
                found.fold(false, |any, is_it| any | is_it)
            }
            _ => false,
        }
    }

    /// Takes the records of a table; returns how many of its rows have none, and nothing for other text.
    pub(super) fn table(&mut self, text: &[u8]) -> Option<u64> {
        let (header, rows) = tables::table(text)?;
        let mut missed = 0;
        for cells in rows {
            let is_it = cells.len() <= header.columns() && self.row(&header, &cells);
            let is_blank = cells.iter().all(|cell| cell.trim_ascii().is_empty());
            missed += u64::from(!is_it && !is_blank);
        }
        Some(missed)
    }

    /// Takes the record of a row: a cell that holds one, or a partial one.
    fn row(&mut self, header: &tables::Header, cells: &[Vec<u8>]) -> bool {
        if header.records(cells).into_iter().any(|cell| self.known(cell, 1)) {
            return true;
        }
        let partial = header.partial(cells);
        partial.is_some_and(|record| {
            (self.take)(&record, header.is_utc);
            true
        })
    }
}

/// Whether an object is a CloudTrail record where much else could be.
fn is_record(members: &[Entry<'_>]) -> bool {
    const FIELDS: [&str; 14] = [
        "digestStartTime",
        "digestEndTime",
        "digestS3Bucket",
        "digestS3Object",
        "eventVersion",
        "userIdentity",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "eventID",
        "insightDetails",
        "eventId",
        "timeWindow",
    ];
    let has = |key: &str| members.iter().any(|member| member.key == *key);
    let is_notification =
        |member: &Entry<'_>| member.key == "eventSource" && member.value.starts_with(b"\"aws:");
    let fields = members.iter().filter(|member| FIELDS.contains(&member.key.as_ref())).count();
    fields >= if has("eventVersion") { 3 } else { 4 } && !members.iter().any(is_notification)
}

/// Whether a value is a wrapper without records, or a line that stands before others.
pub(super) fn is_empty(text: &[u8]) -> bool {
    let Some(members) = json::entries(text) else { return false };
    let is_listed = |member: &Entry<'_>| {
        let first = |path: &str| {
            path.split('.').next().unwrap_or_default().trim_end_matches('\\').to_owned()
        };
        PATHS.iter().any(|(path, _)| first(path) == member.key)
    };
    let is_none =
        |member: &Entry<'_>| json::elements(member.value).is_some_and(|own| own.is_empty());
    let is_action = |member: &Entry<'_>| {
        matches!(member.key.as_ref(), "index" | "create" | "update")
            && member.value.starts_with(b"{")
    };
    members.iter().any(|member| is_listed(member) && is_none(member))
        || (members.len() == 1 && is_action(&members[0]))
        || members.iter().any(|member| member.key == "lastrow")
}
