//! One object's bytes to rows: documents, arrays, damage, foreign values.
//!
//! Usually an object is one envelope whose records parse in chunks. Everything else is read value by
//! value: what is damaged ends where the next record seems to begin, what is foreign is decided on at
//! the end, so that no record is lost beside it.

use crate::decode::{Decoded, Decoder};
use crate::error::{Error, Result};
use crate::keys::{Folder, Layout};
use crate::lake::{MAX_ENTRIES, ObjectOutcome, ObjectRecord, QuarantinedObject, Raw, Tally};
use crate::parse::{
    Chunks, Container, Cursor, Foreign, Parser, RecordSpans, array_end, detect, next_record,
};
use crate::rows::batch::Unwrapping;
use crate::rows::taker::Taker;
use crate::rows::{
    Host, MAX_RECORD_BYTES, ObjectFacts, Parsed, RowOptions, Scratch, is_cloudtrail,
};
use std::ops::Range;
use std::sync::Arc;

/// What an object is read with.
pub(crate) struct Tools<'a> {
    pub(crate) decoder: &'a mut Decoder,
    pub(crate) unwrapping: &'a mut Unwrapping,
    pub(crate) parser: &'a mut Parser,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) options: &'a RowOptions,
    pub(crate) host: &'a mut dyn Host,
    /// The footprint at which what is parsed becomes a part of its own.
    pub(crate) most: u64,
}

/// Reads one object into a segment.
pub(crate) struct ObjectReader<'a> {
    key: Arc<str>,
    pub(super) parsed: &'a mut Parsed,
    pub(super) tools: Tools<'a>,
    layout: &'a Layout,
    /// What the layout says about records.
    facts: ObjectFacts,
    record: ObjectRecord,
    /// The object's place in its part.
    number: u32,
    /// Records that went with earlier parts.
    earlier: u64,
    /// Values that are no records.
    foreign: Vec<ForeignSpan>,
    /// Why no more is parsed.
    pub(super) failure: Option<Error>,
}

/// Where something stands that is no record; of very many, the last ones are one.
struct ForeignSpan {
    span: Range<usize>,
    kind: Foreign,
    count: u64,
}

/// An array of records; see [`Container::Array`].
#[derive(Clone)]
struct Array {
    inside: Range<usize>,
    closed: bool,
    is_guess: bool,
}

/// Passes over what stands between documents: space and commas, the marks of UTF-8 that files have which were
/// put one behind the other, the separators of RFC 7464, and what tools leave at the end of a file.
fn skip_separators(source: &[u8], mut at: usize) -> usize {
    loop {
        at += match source.get(at..) {
            Some([b' ' | b'\n' | b'\r' | b'\t' | b',' | 0 | 0x1a | 0x1e, ..]) => 1,
            Some([0xef, 0xbb, 0xbf, ..]) => 3,
            _ => return at,
        };
    }
}

impl<'a> ObjectReader<'a> {
    pub(crate) fn new(
        key: Arc<str>,
        layout: &'a Layout,
        record: ObjectRecord,
        parsed: &'a mut Parsed,
        tools: Tools<'a>,
    ) -> Self {
        let facts = ObjectFacts {
            account: layout.account.to_string(),
            region: layout.region.to_string(),
            organization: layout.organization.to_string(),
        };
        let number = parsed.objects.len() as u32;
        let (earlier, foreign, failure) = (0, Vec::new(), None);
        Self { key, parsed, tools, layout, facts, record, number, earlier, foreign, failure }
    }

    /// Reads the object; returns its record. An error of input says that the whole object is to be set
    /// aside.
    pub(crate) fn read(mut self, source: &[u8]) -> (ObjectRecord, Result<()>) {
        let source = self.as_json(source);
        let outcome = self.documents(&source);
        (self.record, self.failure.map_or(outcome, Err))
    }

    /// Reads every top-level value of the object: usually one envelope that fills it, but lines of
    /// records, concatenated envelopes and their mixtures are out there, too.
    fn documents(&mut self, source: &[u8]) -> Result<()> {
        let mut at = 0;
        let mut is_first = true;
        loop {
            at = skip_separators(source, at);
            if at == source.len() && !is_first {
                break;
            }
            let before = at;
            at = self.document(source, at..source.len(), is_first)?;
            is_first = false;
            if at <= before {
                break;
            }
        }
        self.classify_foreign(source)
    }

    /// Reads the value that starts `range`; returns where it ends. What is wrong with the object's
    /// first value is wrong with the object.
    fn document(&mut self, source: &[u8], range: Range<usize>, is_first: bool) -> Result<usize> {
        let shift = |inside: Range<usize>| inside.start + range.start..inside.end + range.start;
        let container = detect(&source[range.clone()]);
        let may_wrap =
            matches!(container, Container::Damaged(_) | Container::Array { is_odd: true, .. });
        if may_wrap && let Some(end) = self.unwrap(source, range.clone()) {
            return Ok(end);
        }
        match container {
            Container::Damaged(reason) if is_first => self.damaged(source, range, reason),
            Container::Damaged(reason) => Ok(self.one_value(source, range, Some(reason))),
            Container::Foreign(Foreign::NotJson) if is_first => {
                self.text(source, range.clone());
                Ok(range.end)
            }
            Container::Foreign(Foreign::NotJson) => Ok(self.text_between(source, range)),
            Container::Foreign(kind) => {
                let mut spans = RecordSpans::new(source, range.clone());
                let (span, complete) = spans.next().unwrap_or((range.clone(), true));
                let is_object = source.get(span.start) == Some(&b'{');
                if is_object && (!complete || !self.is_json(source, span.clone())) {
                    // Damage may have made another thing of it.
                    return Ok(self.one_value(source, range, None));
                }
                let end = span.end;
                self.other_value(source, span, kind);
                Ok(end)
            }
            Container::Sequence(_) => Ok(self.one_value(source, range, None)),
            Container::Array { inside, closed, is_guess, .. } => {
                let is_bare = source[range.start] == b'[';
                let mut array = Array { inside: shift(inside), closed, is_guess };
                if is_guess && !is_first {
                    // One of many documents: the end found from behind is another's.
                    let (end, closed) = array_end(source, array.inside.start);
                    array = Array { inside: array.inside.start..end, closed, is_guess: false };
                }
                if is_bare && !self.holds_records(source, &array) {
                    return self.elements(source, &array, range);
                }
                Ok(self.array(source, &array, range, is_bare))
            }
        }
    }

    /// Reads an object whose first value should hold records and does not.
    fn damaged(&mut self, source: &[u8], range: Range<usize>, reason: &str) -> Result<usize> {
        let first = RecordSpans::new(source, range.clone()).next();
        let Some((span, complete)) = first.filter(|(s, _)| source[s.start] == b'{') else {
            return Err(Error::bad_input(reason.to_owned()));
        };
        // Records may come after it, or lie in it if it is not even JSON.
        let is_json = complete && self.is_json(source, span.clone());
        let has_more = match is_json {
            true => skip_separators(source, span.end) < range.end,
            false => next_record(source, range.clone()) < range.end,
        };
        if !has_more {
            return Err(Error::bad_input(reason.to_owned()));
        }
        Ok(self.one_value(source, range, is_json.then_some(reason)))
    }

    /// Reads text between documents: a line of it is one thing. Returns where it ends.
    fn text_between(&mut self, source: &[u8], range: Range<usize>) -> usize {
        let line = memchr::memchr(b'\n', &source[range.clone()]);
        let line = range.start..line.map_or(range.end, |at| range.start + at);
        if let Some(end) = self.remark(source, line.clone()) {
            return end;
        }
        // After damage it may be an array's rest that stands in one line with others.
        let span = line.start..next_record(source, line);
        self.add_foreign(span.clone(), Foreign::NotJson);
        span.end
    }

    /// Whether an array's first whole object is a record; in a folder of logs it is taken for one.
    fn holds_records(&mut self, source: &[u8], array: &Array) -> bool {
        let mut values = RecordSpans::new(source, array.inside.clone()).peekable();
        let is_text = |span: &Range<usize>| matches!(source[span.start], b'"' | b'[');
        if self.unwraps() && values.peek().is_some_and(|(span, _)| is_text(span)) {
            return false;
        }
        let mut has_objects = false;
        for (span, _) in values.filter(|(span, complete)| *complete && source[span.start] == b'{') {
            if span.len() > MAX_RECORD_BYTES {
                return true;
            }
            has_objects = true;
            // A damaged one says nothing about the others.
            if let Ok(is_it) =
                self.tools.parser.parse(source, span, |cursor, _| is_cloudtrail(&cursor))
            {
                return is_it;
            }
        }
        has_objects || matches!(self.layout.folder, Folder::Logs(_))
    }

    /// Reads the elements of an array as documents of their own.
    fn elements(&mut self, source: &[u8], array: &Array, range: Range<usize>) -> Result<usize> {
        let (end, _) = array_end(source, array.inside.start);
        let mut at = array.inside.start;
        while let Some((span, complete)) = RecordSpans::new(source, at..end).next() {
            if let Some(end) = self.text_value(source, span.clone()) {
                at = end;
                continue;
            }
            let is_json = complete && self.is_json(source, span.clone());
            let kind = match source[span.start] {
                b'{' if is_json => detect(&source[span.clone()]),
                _ => Container::Sequence(span.clone()),
            };
            at = match kind {
                Container::Sequence(_) => self.one_value(source, span.start..end, None),
                Container::Damaged(why) => self.one_value(source, span, Some(why)),
                Container::Array { .. } => self.document(source, span, false)?,
                Container::Foreign(kind) => {
                    let end = span.end;
                    self.other_value(source, span, kind);
                    end
                }
            };
        }
        Ok((end + 1).min(range.end))
    }

    pub(super) fn add_foreign(&mut self, span: Range<usize>, kind: Foreign) {
        let is_full = self.foreign.len() as u64 >= MAX_ENTRIES;
        match self.foreign.last_mut() {
            Some(last) if is_full => {
                last.span.end = span.end;
                last.count += 1;
            }
            _ => self.foreign.push(ForeignSpan { span, kind, count: 1 }),
        }
    }

    /// What no record is: with no record beside it, the object is of another kind; else each such
    /// value is quarantined.
    fn classify_foreign(&mut self, source: &[u8]) -> Result<()> {
        let foreign = std::mem::take(&mut self.foreign);
        let Some(ForeignSpan { kind, .. }) = foreign.first() else { return Ok(()) };
        if self.earlier + self.record.tally.read == 0 {
            let is_log = matches!(self.layout.folder, Folder::Logs(_));
            if is_log && matches!(kind, Foreign::NotJson | Foreign::OtherJson) {
                let reason = format!("no CloudTrail records: {}", kind.describe());
                return Err(Error::bad_input(reason));
            }
            self.record.outcome = ObjectOutcome::Ignored(kind.describe().to_owned());
            return Ok(());
        }
        let spans = foreign.into_iter().filter(|foreign| foreign.kind != Foreign::Empty);
        for ForeignSpan { span, kind, count } in spans {
            let reason = format!("no CloudTrail record: {}", kind.describe());
            self.quarantine_all(source, span, count, &reason, None);
        }
        Ok(())
    }

    /// Reads one value as a record, or sets it aside; returns where it ends.
    fn one_value(&mut self, source: &[u8], range: Range<usize>, damage: Option<&str>) -> usize {
        let mut spans = RecordSpans::new(source, range.clone());
        let Some((span, complete)) = spans.next() else { return range.end };
        if !complete {
            self.quarantine_one(source, span.clone(), "record ends in the middle", None);
        } else if let Some(reason) = damage {
            self.quarantine_one(source, span.clone(), reason, None);
        } else if let Err(err) = self.parse_chunk(source, span.clone()) {
            let stopped = err.byte().map(|byte| byte as usize);
            // Brackets that match by chance may have swallowed records.
            let end = next_record(source, span.clone());
            self.quarantine_one(source, span.start..end, err.message(), stopped);
            return end;
        }
        span.end
    }

    /// Reads the records of an array in chunks, and what follows it in its envelope; what does not
    /// parse is split exactly. Returns where the array's document ends.
    fn array(&mut self, source: &[u8], array: &Array, range: Range<usize>, is_bare: bool) -> usize {
        let Array { inside, mut closed, is_guess } = array.clone();
        let mut bad_from = None;
        for chunk in Chunks::new(source, inside.clone()) {
            let is_blank = source[chunk.range.clone()].iter().all(u8::is_ascii_whitespace);
            if !is_blank && self.parse_chunk(source, chunk.range.clone()).is_err() {
                bad_from = Some(chunk.range.start);
                break;
            }
        }
        if is_guess && bad_from.is_none() {
            return range.end;
        }
        let mut end = inside.end;
        if let Some(from) = bad_from {
            if is_guess {
                // Brackets that do not match inside a record leave the guess the better end.
                let (exact, is_closed) = array_end(source, inside.start);
                closed = is_closed || exact < source.len();
                end = match (is_closed, closed) {
                    (true, _) => exact,
                    (false, true) => inside.end,
                    (false, false) => range.end,
                };
            }
            let until = if closed { end } else { range.end };
            self.one_by_one(source, from.min(until)..until);
        } else if !closed {
            self.one_by_one(source, end..range.end);
        }
        if !closed {
            if self.record.tally.quarantined == 0 {
                self.quarantine_one(source, end..end, "array of records is not closed", None);
            }
            return range.end;
        }
        if is_bare { end + 1 } else { self.rest_of_envelope(source, end + 1..range.end) }
    }

    /// Passes over the keys after an envelope's records; a second `Records` is read as well.
    fn rest_of_envelope(&mut self, source: &[u8], range: Range<usize>) -> usize {
        let mut at = skip_separators(source, range.start);
        while at < range.end && source[at] == b'"' {
            let mut spans = RecordSpans::new(source, at..range.end);
            let Some((key, true)) = spans.next() else { break };
            let colon = skip_separators(source, key.end);
            if source.get(colon) != Some(&b':') {
                break;
            }
            let mut values = RecordSpans::new(source, colon + 1..range.end);
            let Some((value, true)) = values.next() else { break };
            if &source[key] == b"\"Records\"" && source[value.start] == b'[' {
                self.one_by_one(source, value.start + 1..value.end - 1);
            }
            at = skip_separators(source, value.end);
        }
        if source.get(at) == Some(&b'}') { at + 1 } else { at.max(range.start) }
    }

    /// Parses records that stand one after another. What the segment cannot hold goes to the host; when
    /// that fails, nothing more is parsed.
    fn parse_chunk(&mut self, source: &[u8], range: Range<usize>) -> Result<()> {
        if self.failure.is_some() {
            return Ok(());
        }
        // Chunks are much smaller, but for such a record.
        if range.len() > MAX_RECORD_BYTES {
            return Err(Error::bad_input(format!("record is over {MAX_RECORD_BYTES} bytes")));
        }
        self.parse(source, range, |taker, cursor, count| {
            taker.take_all(cursor, count);
            true
        })?;
        self.end_part_if_full();
        Ok(())
    }

    /// Parses values that stand one after another, with commas, and calls `take`; what it does not take is
    /// an error.
    pub(super) fn parse(
        &mut self,
        source: &[u8],
        range: Range<usize>,
        take: impl FnOnce(Taker<'_>, Cursor<'_>, usize) -> bool,
    ) -> Result<()> {
        let Self { key, parsed, tools, layout, facts, record, number, earlier, .. } = self;
        let Tools { parser, scratch, options, .. } = tools;
        let is_taken = parser.parse(source, range, |cursor, count| {
            let (key, number, earlier) = (&*key, *number, *earlier);
            let taker =
                Taker { key, parsed, scratch, options, layout, facts, record, number, earlier };
            take(taker, cursor, count)
        })?;
        if is_taken { Ok(()) } else { Err(Error::bad_input("not one JSON value")) }
    }

    /// Hands over what has been parsed so far, if that is much.
    pub(super) fn end_part_if_full(&mut self) {
        if self.parsed.footprint() > self.tools.most {
            self.failure = self.end_part().err();
        }
    }

    /// Asks for memory for so many bytes beside the object's own; returns whether they may be taken.
    pub(super) fn make_room(&mut self, bytes: u64) -> bool {
        let json = self.parsed.bytes_json.saturating_add(bytes);
        if let Err(err) = self.tools.host.make_room(json, bytes) {
            self.failure.get_or_insert(err);
        }
        self.failure.is_none()
    }

    /// Appends what a gzip stream in a wrapper holds.
    pub(super) fn gunzip(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let json = self.parsed.bytes_json;
        let Tools { decoder, host, .. } = &mut self.tools;
        let mut decoded = Decoded::default();
        decoder.gunzip(bytes, bytes.len() as u64, &mut decoded, &mut |size| {
            host.make_room(json.saturating_add(size), size)
        })?;
        out.extend_from_slice(&decoded);
        Ok(())
    }

    /// Hands over what has been parsed so far; the object goes on in the next part.
    fn end_part(&mut self) -> Result<()> {
        let history = self.parsed.histories.last().copied();
        self.parsed.objects.push(self.record.clone());
        self.tools.host.take_part(self.parsed)?;
        self.parsed.continues = true;
        // Equal records of the object go on being counted where the last part ended.
        self.parsed.histories.extend(history);
        self.earlier += self.record.tally.read;
        self.record.tally = Tally::default();
        self.number = 0;
        Ok(())
    }

    /// Values split by brackets, each parsed alone, so that a bad one costs only itself.
    fn one_by_one(&mut self, source: &[u8], range: Range<usize>) {
        let mut at = range.start;
        while skip_separators(source, at) < range.end {
            at = self.one_value(source, at..range.end, None);
        }
    }

    fn quarantine_one(
        &mut self,
        source: &[u8],
        span: Range<usize>,
        reason: &str,
        stopped: Option<usize>,
    ) {
        self.quarantine_all(source, span, 1, reason, stopped);
    }

    /// Quarantines text from a wrapper, which stands at `at` or in a text there.
    pub(super) fn quarantine_text(&mut self, text: &[u8], at: usize, reason: &str) {
        self.add_quarantined(text, at, 1, reason, None);
    }

    fn quarantine_all(
        &mut self,
        source: &[u8],
        span: Range<usize>,
        records: u64,
        reason: &str,
        stopped: Option<usize>,
    ) {
        self.add_quarantined(&source[span.clone()], span.start, records, reason, stopped);
    }

    fn add_quarantined(
        &mut self,
        raw: &[u8],
        at: usize,
        records: u64,
        reason: &str,
        stopped: Option<usize>,
    ) {
        let entry = QuarantinedObject {
            object: Arc::clone(&self.key),
            record: Some(self.earlier + self.record.tally.read),
            records,
            byte: at as u64,
            error_byte: stopped.map(|at| at as u64),
            reason: reason.to_owned(),
            raw: Raw::default(),
        };
        self.parsed.quarantine(entry, raw);
        self.record.tally.read += records;
        self.record.tally.quarantined += records;
    }
}
