//! One segment: the objects that are decoded, parsed and shredded together.
//!
//! A segment is a unit, or a part of one when the unit is a large archive. Every record of every
//! object ends in exactly one place: a row, or the quarantine.

use crate::columns::{
    MAX_UNIT_BYTES, ObjectFacts, Scratch, SideText, TableRows, family_of, is_cloudtrail,
};
use crate::commit::{ObjectOutcome, ObjectRecord, QuarantinedObject, Tally};
use crate::decode::Decoder;
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::parse::{
    Chunks, Container, Cursor, Foreign, Parser, RecordSpans, array_end, detect, envelope_end,
};
use crate::partition::PartitionBy;
use crate::schema::Family;
use crate::source::{Folder, Layout};
use std::ops::Range;
use std::path::PathBuf;

/// Where an object's bytes come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// A local file, read by the worker.
    File(PathBuf),
    /// A member of an archive, already in memory.
    Bytes(Vec<u8>),
    /// A member that could not be had.
    Unreadable(Error),
}

/// One object of a segment.
#[derive(Debug)]
pub(crate) struct SegmentObject {
    pub key: String,
    pub etag: String,
    pub layout: Layout,
    pub input: Input,
}

/// What decides how records become rows.
#[derive(Clone, Debug)]
pub(crate) struct RowOptions {
    pub partition_by: PartitionBy,
    pub nested: bool,
}

/// Buffers that a worker keeps from segment to segment.
#[derive(Debug)]
pub(crate) struct Worker {
    pub decoder: Decoder,
    pub parser: Parser,
    file: Vec<u8>,
}

impl Worker {
    pub(super) fn new(decoder: Decoder) -> Self {
        Self { decoder, parser: Parser::default(), file: Vec::new() }
    }
}

/// A parsed segment.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The decoded bytes of all objects; cells point into them.
    pub source: Vec<u8>,
    pub side: SideText,
    pub tables: Vec<TableRows>,
    pub objects: Vec<ObjectRecord>,
    pub quarantine: Vec<QuarantinedObject>,
    pub bytes_json: u64,
    pub bytes_compressed: u64,
}

/// Decodes and parses the objects of a segment.
///
/// # Errors
/// `Io` when a file cannot be read; input never fails a segment.
pub(crate) fn parse_segment(
    objects: Vec<SegmentObject>,
    worker: &mut Worker,
    options: &RowOptions,
) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    for object in objects {
        let number = parsed.objects.len() as u32;
        let SegmentObject { key, etag, layout, input } = object;
        let mut file = std::mem::take(&mut worker.file);
        let bytes: &[u8] = match &input {
            Input::File(path) => {
                read_file(path, &mut file).map_err(|err| {
                    Error::io("cannot read a source object", err).at("object", &key)
                })?;
                &file
            }
            Input::Bytes(bytes) => bytes,
            Input::Unreadable(_) => &[],
        };
        let start = parsed.source.len();
        let decoded = match &input {
            Input::Unreadable(err) => Err(Error::new(err.kind(), err.to_string())),
            _ if start + bytes.len() > MAX_UNIT_BYTES => Err(too_much()),
            _ => worker.decoder.decode(bytes, &mut parsed.source),
        };
        let decoded = decoded.and_then(|()| {
            if parsed.source.len() > MAX_UNIT_BYTES { Err(too_much()) } else { Ok(()) }
        });
        parsed.bytes_compressed += bytes.len() as u64;
        let mut record = ObjectRecord {
            key,
            etag,
            bytes: bytes.len() as u64,
            outcome: ObjectOutcome::Converted,
            tally: Tally::default(),
        };
        let outcome = match decoded {
            Err(err) => Err(err),
            Ok(()) => {
                parsed.bytes_json += (parsed.source.len() - start) as u64;
                let mut reader = ObjectReader {
                    parsed: &mut parsed,
                    parser: &mut worker.parser,
                    options,
                    layout: &layout,
                    record: &mut record,
                    number,
                    start,
                };
                reader.read()
            }
        };
        match outcome {
            Ok(()) => {}
            Err(err) if err.kind().reaction() == Reaction::Quarantine => {
                parsed.source.truncate(start);
                parsed.quarantine.push(QuarantinedObject {
                    object: record.key.clone(),
                    record: None,
                    byte: 0,
                    error_byte: None,
                    reason: err.to_string(),
                    raw: bytes.to_vec(),
                });
                record.outcome = ObjectOutcome::Quarantined(err.to_string());
            }
            Err(err) => return Err(err),
        }
        parsed.objects.push(record);
        worker.file = file;
    }
    Ok(parsed)
}

fn read_file(path: &std::path::Path, out: &mut Vec<u8>) -> std::io::Result<()> {
    use std::io::Read;
    out.clear();
    std::fs::File::open(path)?.read_to_end(out).map(|_| ())
}

fn too_much() -> Error {
    Error::new(ErrorKind::OverLimit, "the unit would hold over 2 GiB of JSON; lower `--memory`")
}

/// Why bytes after the records are set aside.
const AFTER_RECORDS: &str = "unexpected bytes after the records";

fn leading_space(bytes: &[u8]) -> usize {
    bytes.len() - bytes.trim_ascii_start().len()
}

/// Whether an object is an array itself, without an envelope.
fn is_bare(object: &[u8]) -> bool {
    !object.trim_ascii_start().starts_with(b"{") && !object.starts_with(b"\xEF\xBB\xBF{")
}

struct ObjectReader<'a> {
    parsed: &'a mut Parsed,
    parser: &'a mut Parser,
    options: &'a RowOptions,
    layout: &'a Layout,
    record: &'a mut ObjectRecord,
    number: u32,
    /// Where the object starts in the segment's bytes.
    start: usize,
}

impl ObjectReader<'_> {
    fn read(&mut self) -> Result<()> {
        let source = std::mem::take(&mut self.parsed.source);
        let outcome = self.read_from(&source);
        self.parsed.source = source;
        outcome
    }

    /// Reads one container after another: objects of one log may have been put end to end.
    fn read_from(&mut self, source: &[u8]) -> Result<()> {
        let mut at = self.start;
        let mut container = detect(&source[at..]);
        match &container {
            Container::Damaged(reason) => return Err(Error::bad_input(*reason)),
            Container::Foreign(kind) => return self.foreign(*kind),
            Container::Array { inside, .. }
                if self.layout.folder == Folder::Unknown
                    && is_bare(&source[at..])
                    && self.is_other_json(&source[at..], inside.clone()) =>
            {
                return self.foreign(Foreign::OtherJson);
            }
            _ => {}
        }
        while let Some(next) = self.read_container(source, at, container) {
            at = next + leading_space(&source[next..]);
            if at == source.len() {
                break;
            }
            container = detect(&source[at..]);
        }
        Ok(())
    }

    /// Reads the container that begins at `at`; returns where the next one would begin.
    fn read_container(&mut self, source: &[u8], at: usize, container: Container) -> Option<usize> {
        let shift = |range: Range<usize>| range.start + at..range.end + at;
        match container {
            Container::Sequence(range) => {
                self.one_by_one(source, shift(range));
                None
            }
            Container::Array { inside, closed, is_guess } => {
                let inside = shift(inside);
                let end = self.array(source, inside, is_guess)?;
                if !closed {
                    if self.record.tally.quarantined == 0 {
                        let reason = "array of records is not closed";
                        self.set_aside(source, source.len()..source.len(), reason, None);
                    }
                    return None;
                }
                let next = envelope_end(&source[at..], end - at).map(|next| next + at);
                if next.is_none() {
                    self.set_tail_aside(source, end);
                }
                next
            }
            Container::Damaged(_) | Container::Foreign(_) => {
                self.set_aside(source, at..source.len(), AFTER_RECORDS, None);
                None
            }
        }
    }

    /// Sets aside what follows records whose brackets do not match, unless brackets are all there
    /// is and the record that spoiled them is set aside already.
    fn set_tail_aside(&mut self, source: &[u8], end: usize) {
        let from = if source.get(end) == Some(&b']') { end + 1 } else { end };
        let is_content = |byte: &u8| !byte.is_ascii_whitespace() && !b"]}".contains(byte);
        if self.record.tally.quarantined == 0 || source[from..].iter().any(is_content) {
            self.set_aside(source, from..source.len(), AFTER_RECORDS, None);
        }
    }

    fn foreign(&mut self, kind: Foreign) -> Result<()> {
        let is_log = matches!(self.layout.folder, Folder::Logs(_));
        if is_log && matches!(kind, Foreign::NotJson | Foreign::OtherJson) {
            return Err(Error::bad_input(format!("no CloudTrail records: {}", kind.describe())));
        }
        self.record.outcome = ObjectOutcome::Ignored(kind.describe().to_owned());
        Ok(())
    }

    /// Whether the first object of a bare array has none of a record's fields.
    fn is_other_json(&mut self, object: &[u8], inside: Range<usize>) -> bool {
        let first = RecordSpans::new(object, inside)
            .take(100)
            .find(|(span, complete)| *complete && object[span.start] == b'{');
        match first {
            Some((span, _)) => self
                .parser
                .parse(object, span, |cursor, _| !is_cloudtrail(&cursor))
                .unwrap_or(false),
            None => false,
        }
    }

    /// Records between commas, in chunks; what does not parse is split exactly. Returns where the
    /// array ends, if anything but its envelope may follow.
    fn array(&mut self, source: &[u8], inside: Range<usize>, is_guess: bool) -> Option<usize> {
        for chunk in Chunks::new(source, inside.clone()) {
            if source[chunk.range.clone()].iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if self.parse_chunk(source, chunk.range.clone()).is_ok() {
                continue;
            }
            let end = if is_guess { array_end(source, inside.start).0 } else { inside.end };
            let from = chunk.range.start;
            if from < end {
                self.one_by_one(source, from..end);
            }
            return Some(end);
        }
        (!is_guess).then_some(inside.end)
    }

    fn parse_chunk(&mut self, source: &[u8], range: Range<usize>) -> Result<()> {
        let Self { parsed, options, layout, record, number, start, .. } = self;
        self.parser.parse(source, range, |cursor, count| {
            let mut taker =
                Taker { parsed, options, layout, record, number: *number, start: *start };
            taker.take_all(cursor, count);
        })
    }

    /// Values split by brackets, each parsed alone, so that a bad one costs only itself.
    fn one_by_one(&mut self, source: &[u8], range: Range<usize>) {
        for (span, complete) in RecordSpans::new(source, range) {
            if !complete {
                self.set_aside(source, span, "record ends in the middle", None);
            } else if let Err(err) = self.parse_chunk(source, span.clone()) {
                let stopped = err.place("byte").and_then(|byte| byte.parse::<usize>().ok());
                self.set_aside(source, span, err.message(), stopped);
            }
        }
    }

    fn set_aside(
        &mut self,
        source: &[u8],
        span: Range<usize>,
        reason: &str,
        stopped: Option<usize>,
    ) {
        self.parsed.quarantine.push(QuarantinedObject {
            object: self.record.key.clone(),
            record: Some(self.record.tally.read),
            byte: (span.start - self.start) as u64,
            error_byte: stopped.map(|at| at.saturating_sub(self.start) as u64),
            reason: reason.to_owned(),
            raw: source[span].to_vec(),
        });
        self.record.tally.read += 1;
        self.record.tally.quarantined += 1;
    }
}

/// Takes the records of one parsed chunk.
struct Taker<'a> {
    parsed: &'a mut Parsed,
    options: &'a RowOptions,
    layout: &'a Layout,
    record: &'a mut ObjectRecord,
    number: u32,
    start: usize,
}

impl Taker<'_> {
    fn take_all(&mut self, mut cursor: Cursor<'_>, count: usize) {
        let mut scratch = Scratch::default();
        let facts = ObjectFacts {
            account: self.layout.account.clone(),
            region: self.layout.region.clone(),
            organization: self.layout.organization.clone(),
        };
        for _ in 0..count {
            let family = match self.layout.folder {
                Folder::Logs(family) => family,
                _ => family_of(&cursor),
            };
            let before = cursor.clone();
            let table = table_of(&mut self.parsed.tables, family, self.options.nested);
            let outcome = table.take(
                &mut cursor,
                &mut self.parsed.side,
                &mut scratch,
                self.number,
                &facts,
                &self.options.partition_by,
            );
            if let Err(err) = outcome {
                let span = before.clone().skip();
                self.parsed.quarantine.push(QuarantinedObject {
                    object: self.record.key.clone(),
                    record: Some(self.record.tally.read),
                    byte: (span.start - self.start) as u64,
                    error_byte: None,
                    reason: err.to_string(),
                    raw: cursor.bytes()[span].to_vec(),
                });
                self.record.tally.quarantined += 1;
            }
            self.record.tally.read += 1;
            cursor.end_entry();
        }
    }
}

fn table_of(tables: &mut Vec<TableRows>, family: Family, nested: bool) -> &mut TableRows {
    let at = match tables.iter().position(|table| table.family == family) {
        Some(at) => at,
        None => {
            tables.push(TableRows::new(family, nested));
            tables.len() - 1
        }
    };
    &mut tables[at]
}
