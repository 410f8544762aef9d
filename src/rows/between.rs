//! What is not a record or an envelope of records: wrappers, text around records, and foreign values.

use crate::lake::Unwrap;
use crate::parse::{
    Foreign, Lines, RecordSpans, Unwrapper, is_blank, is_remark, json_of_python, json_of_yaml,
    may_hold_records, skip_padding,
};
use crate::rows::MAX_RECORD_BYTES;
use crate::rows::object::ObjectReader;
use memchr::memchr;
use std::borrow::Cow;
use std::ops::Range;

/// Bytes of a string that are looked at to see what it holds.
const QUOTE: u8 = b'"';

impl ObjectReader<'_> {
    pub(super) fn unwraps(&self) -> bool {
        self.tools.options.unwrap != Unwrap::Off
    }

    /// Whether a value that has its end is JSON; of one that is too large for a record to be parsed, that
    /// is enough.
    pub(super) fn is_json(&mut self, source: &[u8], span: Range<usize>) -> bool {
        span.len() > MAX_RECORD_BYTES || self.tools.parser.parse(source, span, |_, _| ()).is_ok()
    }

    /// The JSON of YAML and of a text that Python has printed, else the text itself.
    pub(super) fn as_json<'s>(&mut self, source: &'s [u8]) -> Cow<'s, [u8]> {
        let json = match self.unwraps() {
            true => json_of_python(source).or_else(|| json_of_yaml(source)),
            false => None,
        };
        match json {
            Some(json) if self.make_room(json.len() as u64) => Cow::Owned(json),
            _ => Cow::Borrowed(source),
        }
    }

    /// Takes the records of the wrapper that begins at `range`, if it is one; returns where it ends.
    pub(super) fn unwrap(&mut self, source: &[u8], range: Range<usize>) -> Option<usize> {
        if !self.unwraps() {
            return None;
        }
        let (span, is_whole) = RecordSpans::new(source, range).next()?;
        let text = &source[span.clone()];
        let is_it = is_whole
            && self.is_json(source, span.clone())
            && self.collect(|unwrapper, sink| unwrapper.unwrap(text, span.start, sink));
        is_it.then_some(span.end)
    }

    /// Takes a whole JSON value that is neither a record nor an envelope: a wrapper, or a foreign value.
    pub(super) fn other_value(&mut self, source: &[u8], span: Range<usize>, kind: Foreign) {
        if self.unwrap(source, span.clone()).is_some() {
            return;
        }
        let text = &source[span.clone()];
        let kind = match self.tools.options.unwrap {
            Unwrap::Off => kind,
            _ if Unwrapper::is_empty(text) => Foreign::Empty,
            _ if !may_hold_records(text) => kind,
            Unwrap::Known => {
                self.parsed.records_unread += self.count_unread(text);
                kind
            }
            Unwrap::Any => {
                let at = span.start;
                if self.collect(|unwrapper, sink| unwrapper.unwrap_any(text, at, sink)) {
                    return;
                }
                kind
            }
        };
        self.add_foreign(span, kind);
    }

    /// Takes a string or a list in an array that is not one of records; returns where it ends.
    pub(super) fn text_value(&mut self, source: &[u8], span: Range<usize>) -> Option<usize> {
        if !matches!(source.get(span.start), Some(&QUOTE | b'[')) {
            return None;
        }
        self.unwrap(source, span)
    }

    /// Takes a line that is a string with JSON in it; returns whether it is one.
    fn quoted_line(&mut self, source: &[u8], line: Range<usize>) -> bool {
        let start = skip_padding(source, line.start).min(line.end);
        if source.get(start) != Some(&QUOTE) {
            return false;
        }
        let end = self.unwrap(source, start..line.end);
        end.is_some_and(|end| trimmed(&source[end..line.end]).is_empty())
    }

    /// Takes an object that does not begin as JSON: a table, or lines with JSON in them.
    pub(super) fn text(&mut self, source: &[u8], range: Range<usize>) {
        let text = &source[range.clone()];
        if self.unwraps() {
            let is_table = self.collect(|unwrapper, sink| unwrapper.table(text, range.start, sink));
            if is_table {
                return;
            }
            if may_hold_records(text) {
                return self.lines(source, range.start);
            }
        }
        self.add_foreign(range, Foreign::NotJson);
    }

    /// Takes the records of each line; a line without any is foreign.
    fn lines(&mut self, source: &[u8], start: usize) {
        let mut lines = Lines::new(source, start);
        while let Some(line) = lines.next() {
            let is_said = is_remark(&source[line.span.clone()]);
            if is_said || self.quoted_line(source, line.span.clone()) {
                continue;
            }
            let mut from = line.span.start;
            let mut end = line.span.end;
            for (at, object) in line.objects.iter().enumerate() {
                let line_end = |at: usize| {
                    memchr(b'\n', &source[at..]).map_or(source.len(), |length| at + length)
                };
                end = end.max(line_end(object.end));
                let is_last = at + 1 == line.objects.len();
                let before = &source[from..object.start];
                let after = if is_last { &source[object.end..end] } else { &[][..] };
                let around =
                    [before, after].map(|text| if is_rest(text) { b"" } else { trimmed(text) });
                let text = &source[object.clone()];
                let is_it = self
                    .collect(|unwrapper, sink| unwrapper.in_line(text, object.start, around, sink));
                if is_it {
                    if is_rest(before) {
                        self.add_foreign(from..object.start, Foreign::NotJson);
                    }
                    if is_rest(after) {
                        self.add_foreign(object.end..end, Foreign::NotJson);
                    }
                    from = if is_last { end } else { object.end };
                }
            }
            if from == line.span.start {
                self.add_foreign(line.span.clone(), Foreign::NotJson);
            } else if !is_blank(&source[from..end]) {
                self.add_foreign(from..end, Foreign::NotJson);
            }
            lines.go_on_at(if from == line.span.start { 0 } else { end + 1 });
        }
    }

    /// Where a line between documents ends that says nothing.
    pub(super) fn remark(&self, source: &[u8], line: Range<usize>) -> Option<usize> {
        (self.unwraps() && is_remark(&source[line.clone()])).then_some(line.end)
    }
}

/// Whether text beside an object is a piece of damaged JSON.
fn is_rest(text: &[u8]) -> bool {
    let text = trimmed(text);
    let is_end = |byte: &u8| matches!(byte, b',' | b'[');
    let is_start = |byte: &u8| matches!(byte, b',' | b']' | b'}');
    text.len() > 1 && (text.last().is_some_and(is_end) || text.first().is_some_and(is_start))
}

/// Text without the padding before it, and the spaces behind.
fn trimmed(text: &[u8]) -> &[u8] {
    let text = text[skip_padding(text, 0)..].trim_ascii_end();
    if text == b"," { b"" } else { text }
}
