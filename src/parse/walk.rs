//! Records in wrappers: where they are, as text, and what the wrapper says about them.
//!
//! A value is walked along the paths of [`WRAPPERS`], by brackets and strings only. A text that holds JSON is
//! unescaped once, into a buffer that is used again, and read like the JSON in it; the record's own text is
//! what comes out. What stands beside the path, and not in the record, is given along as a JSON object.

use crate::family::is_mark;
use crate::parse::exported;
use crate::parse::known::{Frame, is_json};
use crate::parse::members::{Member, members_of};
use crate::parse::minify::unescape_json;
use crate::parse::split::RecordSpans;
use crate::parse::table::{Header, Rows, row_of};
use crate::parse::wrappers::{Holds, WRAPPERS, Wrapper};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;
use std::ops::Range;

/// Wrappers in wrappers are looked into this deep.
const MAX_WRAPPERS: usize = 24;

/// A record from a wrapper.
#[derive(Clone, Copy, Debug)]
pub struct Unwrapped<'a> {
    /// Its own text.
    pub text: &'a [u8],
    /// Where in the object it stands, or the text that it is in.
    pub at: usize,
    /// A JSON object of what the wrapper says and the record does not; empty for nothing.
    pub known: &'a [u8],
    /// Whether a time without a zone is known to be UTC.
    pub is_utc: bool,
}

/// Takes what is found in wrappers.
pub trait Sink {
    /// Takes a record.
    fn record(&mut self, record: &Unwrapped<'_>);

    /// Is told of a value beside records that is not one, and where it stands.
    fn miss(&mut self, text: &[u8], at: usize);

    /// Is asked before a text takes so many bytes of memory; returns whether it may.
    fn make_room(&mut self, bytes: usize) -> bool;

    /// Appends what a gzip stream holds; returns whether it is one, and not too large.
    fn gunzip(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool;
}

/// Buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    texts: Vec<Vec<u8>>,
    members: Vec<Vec<Member>>,
    known: Vec<u8>,
}

/// A buffer that grew larger is not kept.
const MAX_KEPT: usize = 1 << 20;

/// Where a value stands: in the object itself, or in a text in it, of which only the start is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) at: usize,
    is_source: bool,
}

impl Spot {
    pub(super) fn source(at: usize) -> Self {
        Self { at, is_source: true }
    }

    /// The spot of what stands so many bytes on.
    pub(super) fn plus(self, offset: usize) -> Self {
        Self { at: if self.is_source { self.at + offset } else { self.at }, ..self }
    }

    fn of_text(self) -> Self {
        Self { is_source: false, ..self }
    }
}

/// A walk through one value.
pub(super) struct Walk<'w> {
    buffers: &'w mut Buffers,
    sink: &'w mut dyn Sink,
}

impl<'w> Walk<'w> {
    pub(super) fn new(buffers: &'w mut Buffers, sink: &'w mut dyn Sink) -> Self {
        Self { buffers, sink }
    }
}

impl Walk<'_> {
    /// Hands over the records of a value: a record, a wrapper, a list of them, or a text that holds them.
    pub(super) fn value(
        &mut self,
        text: &[u8],
        spot: Spot,
        above: Option<&Frame<'_>>,
        depth: usize,
    ) -> bool {
        match text.first() {
            _ if depth > MAX_WRAPPERS => false,
            Some(b'{') => {
                let members = self.members_of(text);
                let found = self.object(text, &members, spot, above, depth);
                self.keep_members(members);
                found
            }
            Some(b'[') if text.len() > 1 => self.each(text, 1..text.len() - 1, spot, above, depth),
            Some(b'"') if text.len() > 1 => {
                self.with_text(text, |walk, text| walk.text(text, spot.of_text(), above, depth))
            }
            _ => false,
        }
    }

    /// Hands over the rows of a table; returns whether the text begins with a header that is known.
    pub(super) fn table(&mut self, text: &[u8], spot: Spot) -> bool {
        let mut rows = Rows::of(text);
        let names = rows.next().map(|(_, names)| names).unwrap_or_default();
        let header = Header::new(names.iter().map(|name| name.trim_ascii().to_vec()).collect());
        if !header.is_known() {
            return false;
        }
        for (span, cells) in rows {
            // A row may begin behind what is left of the line end before it.
            let line = &text[span.clone()];
            let lead = line.len() - line.trim_ascii_start().len();
            let (line, spot) = (line.trim_ascii(), spot.plus(span.start + lead));
            let is_known = header.has(cells.len()) && self.cells(&header, &cells, spot, None);
            if !is_known && !line.is_empty() {
                self.sink.miss(line, spot.at);
            }
        }
        true
    }

    /// Hands over rows that are lists of cells; returns whether any of them is known.
    fn rows(&mut self, text: &[u8], spot: Spot, above: &Frame<'_>) -> bool {
        if text.len() < 2 || text.first() != Some(&b'[') {
            return false;
        }
        self.for_each(text, 1..text.len() - 1, spot, |walk, row, spot| {
            let (header, cells) = row_of(row);
            header.is_known() && walk.cells(&header, &cells, spot, Some(above))
        })
    }

    /// Hands over the record of a row: a cell that is one, or a partial one.
    fn cells(
        &mut self,
        header: &Header,
        cells: &[Vec<u8>],
        spot: Spot,
        above: Option<&Frame<'_>>,
    ) -> bool {
        for (skip, cell) in cells.iter().enumerate() {
            let cell = cell.trim_ascii();
            let is_object = header.may_hold_records(skip) && cell.first() == Some(&b'{');
            let frame = Frame::Cells { names: &header.names, cells, skip, above };
            if is_object && is_json(cell) && self.value(cell, spot.of_text(), Some(&frame), 1) {
                return true;
            }
        }
        let mut text = self.buffer();
        let is_record = header.partial(cells, &mut text);
        if is_record {
            self.record(&text, spot, None, header.is_utc);
        }
        self.keep(text);
        is_record
    }

    fn object(
        &mut self,
        text: &[u8],
        members: &[Member],
        spot: Spot,
        above: Option<&Frame<'_>>,
        depth: usize,
    ) -> bool {
        if is_record(text, members) {
            self.record(text, spot, above, false);
            return true;
        }
        for wrapper in WRAPPERS {
            let Some(skip) = position(text, members, wrapper.path[0]) else { continue };
            let frame = Frame::Object { text, members, skip, above };
            let value = members[skip].value.clone();
            if self.path(&text[value.clone()], spot.plus(value.start), wrapper, 1, &frame, depth) {
                return true;
            }
        }
        if exported::is_exported(text, members) {
            let mut record = self.buffer();
            exported::translate(text, members, &mut record);
            self.record(&record, spot, above, false);
            self.keep(record);
            return true;
        }
        false
    }

    /// Follows the path of a wrapper from its key `next` on.
    fn path(
        &mut self,
        text: &[u8],
        spot: Spot,
        wrapper: &Wrapper,
        next: usize,
        above: &Frame<'_>,
        depth: usize,
    ) -> bool {
        if depth > MAX_WRAPPERS {
            return false;
        }
        let Some(key) = wrapper.path.get(next) else {
            return self.end_of_path(text, spot, wrapper, above, depth);
        };
        match text.first() {
            Some(b'{') => {
                let members = self.members_of(text);
                let found = position(text, &members, key).is_some_and(|skip| {
                    let frame = Frame::Object { text, members: &members, skip, above: Some(above) };
                    let value = members[skip].value.clone();
                    let spot = spot.plus(value.start);
                    self.path(&text[value], spot, wrapper, next + 1, &frame, depth)
                });
                self.keep_members(members);
                found
            }
            Some(b'[') if text.len() > 1 => {
                self.for_each(text, 1..text.len() - 1, spot, |walk, text, spot| {
                    walk.path(text, spot, wrapper, next, above, depth + 1)
                })
            }
            _ => false,
        }
    }

    fn end_of_path(
        &mut self,
        text: &[u8],
        spot: Spot,
        wrapper: &Wrapper,
        above: &Frame<'_>,
        depth: usize,
    ) -> bool {
        match (wrapper.holds, text.first()) {
            _ if depth > MAX_WRAPPERS => false,
            (Holds::Json, _) => self.value(text, spot, Some(above), depth + 1),
            (Holds::Rows, _) => self.rows(text, spot, above),
            (Holds::Base64, Some(b'[')) if text.len() > 1 => {
                self.for_each(text, 1..text.len() - 1, spot, |walk, text, spot| {
                    walk.end_of_path(text, spot, wrapper, above, depth + 1)
                })
            }
            (Holds::Base64, Some(b'"')) if text.len() > 1 => self
                .with_text(text, |walk, text| walk.base64(text, spot.of_text(), above, depth + 1)),
            (Holds::Base64, _) => false,
        }
    }

    fn base64(&mut self, text: &[u8], spot: Spot, above: &Frame<'_>, depth: usize) -> bool {
        let (mut bytes, mut json) = (self.buffer(), self.buffer());
        let is_decoded = STANDARD.decode_vec(text.trim_ascii(), &mut bytes).is_ok();
        let found = is_decoded
            && match bytes.starts_with(&[0x1f, 0x8b]) {
                true => {
                    self.sink.gunzip(&bytes, &mut json)
                        && self.text(&json, spot, Some(above), depth)
                }
                false => self.text(&bytes, spot, Some(above), depth),
            };
        self.keep(bytes);
        self.keep(json);
        found
    }

    /// Hands over what a text holds: JSON, or JSON behind something else.
    fn text(&mut self, text: &[u8], spot: Spot, above: Option<&Frame<'_>>, depth: usize) -> bool {
        let text = text.trim_ascii();
        match text.first() {
            Some(b'{' | b'[') => self.each(text, 0..text.len(), spot, above, depth),
            _ => false,
        }
    }

    /// Hands over the records of each value in a list, or of one after another.
    fn each(
        &mut self,
        text: &[u8],
        range: Range<usize>,
        spot: Spot,
        above: Option<&Frame<'_>>,
        depth: usize,
    ) -> bool {
        self.for_each(text, range, spot, |walk, text, spot| {
            walk.value(text, spot, above, depth + 1)
        })
    }

    /// Calls `visit` with each value; where any of them holds records, the others are missed.
    pub(super) fn for_each(
        &mut self,
        text: &[u8],
        range: Range<usize>,
        spot: Spot,
        mut visit: impl FnMut(&mut Self, &[u8], Spot) -> bool,
    ) -> bool {
        let (mut found, mut missed) = (false, Vec::new());
        for (span, is_whole) in RecordSpans::new(text, range) {
            let is_it = is_whole && visit(self, &text[span.clone()], spot.plus(span.start));
            found |= is_it;
            if !is_it && !is_plain(&text[span.clone()]) {
                missed.push(span);
            }
            if !is_whole {
                break;
            }
        }
        if found {
            for span in missed {
                self.sink.miss(&text[span.clone()], spot.plus(span.start).at);
            }
        }
        found
    }

    /// Hands over a record.
    fn record(&mut self, text: &[u8], spot: Spot, above: Option<&Frame<'_>>, is_utc: bool) {
        let mut known = std::mem::take(&mut self.buffers.known);
        known.clear();
        if let Some(above) = above {
            let members = self.members_of(text);
            above.render(text, &members, &mut known);
            self.keep_members(members);
        }
        self.sink.record(&Unwrapped { text, at: spot.at, known: &known, is_utc });
        self.buffers.known = known;
    }

    /// Calls `read` with what a string stands for.
    fn with_text(&mut self, quoted: &[u8], read: impl FnOnce(&mut Self, &[u8]) -> bool) -> bool {
        if quoted.len() > MAX_KEPT && !self.sink.make_room(quoted.len()) {
            return false;
        }
        let mut text = self.buffer();
        let found = unescape_json(&quoted[1..quoted.len() - 1], &mut text) && read(self, &text);
        self.keep(text);
        found
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.buffers.texts.pop().unwrap_or_default()
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if buffer.capacity() <= MAX_KEPT {
            self.buffers.texts.push(buffer);
        }
    }

    pub(super) fn members_of(&mut self, text: &[u8]) -> Vec<Member> {
        let mut members = self.buffers.members.pop().unwrap_or_default();
        members_of(text, &mut members);
        members
    }

    pub(super) fn keep_members(&mut self, members: Vec<Member>) {
        if members.capacity() * size_of::<Member>() <= MAX_KEPT {
            self.buffers.members.push(members);
        }
    }
}

/// Whether a value is a number, a word, a text that holds no JSON, or a list of such: what a list says beside
/// records.
fn is_plain(value: &[u8]) -> bool {
    match value {
        [b'[', .., b']'] => memchr(b'{', value).is_none(),
        [b'"', b'{' | b'[' | b'\\' | b' ', ..] | [b'{' | b'[', ..] | [b'"'] => false,
        [b'"', .., last] => *last == b'"',
        _ => true,
    }
}

fn position(text: &[u8], members: &[Member], key: &str) -> Option<usize> {
    members.iter().position(|member| &text[member.key.clone()] == key.as_bytes())
}

/// Whether an object is a CloudTrail record, where much else could be: it has a version and two more of the
/// keys that hardly anything else has, or four of them, and is not a notification.
fn is_record(text: &[u8], members: &[Member]) -> bool {
    let (mut marks, mut has_version) = (0, false);
    for Member { key, value } in members {
        let key = &text[key.clone()];
        if key == b"eventSource" && text[value.clone()].starts_with(b"\"aws:") {
            return false;
        }
        has_version |= key == b"eventVersion";
        marks += usize::from(std::str::from_utf8(key).is_ok_and(is_mark));
    }
    marks >= if has_version { 3 } else { 4 }
}
