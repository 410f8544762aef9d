//! Where the records of an object lie: its text cut at record boundaries, and not parsed.
//!
//! An object holds documents one after another, between them whitespace and commas: envelopes
//! (`{"Records":[…]}`), records, and arrays of either. Where the text is damaged, reading goes on
//! at the next place where a record begins, so that damage costs one record. A text that does not
//! begin with `{` or `[` holds none.

use super::contract::FIELDS;
use super::json;
use super::tables::{after_padding, is_remark};
use memchr::{memchr, memmem};
use std::ops::Range;

/// A piece of text that may be a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at: Range<usize>,
    pub(super) place: Place,
}

/// Position of a piece, which decides how much it must look like a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In an array of records, where nothing else belongs.
    Enveloped,
    /// Alone, or among documents.
    Loose,
    /// After damage, where a record begins.
    Recovered,
    /// An envelope, or what looks like one, that may be a wrapper.
    Wrapper,
    /// After or amid damage, where the boundaries of records are doubtful.
    Doubtful,
}

/// Verdict on a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A record, good or bad.
    Record,
    /// A wrapper of records.
    Wrapper,
    /// JSON that is not a record.
    Foreign,
    /// Not JSON: records may lie in it.
    Damaged,
}

/// Contents of an object besides its pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Stretches of damaged text.
    pub(super) damaged: u64,
    /// Lists of notifications in CloudTrail's envelope.
    pub(super) notifications: u64,
}

/// Cuts an object's text and hands over every piece, in order.
pub(super) fn cut(text: &[u8], rules: Rules, each: &mut dyn FnMut(Piece) -> Verdict) -> Cut {
    let mut at = after_separators(text, 0);
    let mut cutter = Cutter { text, rules, each, cut: Cut::default(), marked: 0..0, sure: 0 };
    if matches!(text.get(at), Some(b'{' | b'[')) {
        while at < text.len() {
            at = match text[at] {
                b'{' => cutter.document(at).0,
                b'[' => cutter.array(at, Place::Loose),
                _ => cutter.between(at),
            };
        }
    }
    cutter.cut
}

/// How objects are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Whether wrappers are looked into.
    pub(super) unwraps: bool,
}

struct Cutter<'a> {
    text: &'a [u8],
    rules: Rules,
    each: &'a mut dyn FnMut(Piece) -> Verdict,
    cut: Cut,
    /// Where [`Self::next_marked`] was asked last, and what it said.
    marked: Range<usize>,
    /// Where the last value ended of which it is certain that it stood alone.
    sure: usize,
}

/// Objects without an end that are tried in one stretch of damage.
const MAX_FAILURES: usize = 64;
/// The key that nearly every record begins with.
const RECORD_KEY: &[u8] = b"\"eventVersion\"";

impl Cutter<'_> {
    /// Splits the object at `at` if it is an envelope, else takes it as a record. Returns where to
    /// continue, and whether it was a record.
    fn document(&mut self, at: usize) -> (usize, bool) {
        let (mut is_envelope, damaged) = (false, self.cut.damaged);
        let mut next = json::skip_space(self.text, at + 1);
        while self.text.get(next) != Some(&b'}') {
            if let Some(end) = self.wrapper(at, next) {
                return (end, false);
            }
            let after = self.member(next, &mut is_envelope);
            next = after.map_or(next, |after| json::skip_space(self.text, after));
            match self.text.get(next) {
                Some(b',') if after.is_some() => next = json::skip_space(self.text, next + 1),
                Some(b'}') if after.is_some() => {}
                // Pieces already read from an envelope count.
                _ if is_envelope => {
                    let is_known = next >= self.text.len() && self.cut.damaged > damaged;
                    self.cut.damaged += u64::from(!is_known);
                    return (next, false);
                }
                _ => return (self.value(at, Place::Loose), false),
            }
        }
        if is_envelope { (next + 1, false) } else { self.offer(at..next + 1, Place::Loose) }
    }

    /// Hands over the object at `at` if its member at `member` is an envelope of what are no records, and
    /// returns its end if it is a wrapper.
    fn wrapper(&mut self, at: usize, member: usize) -> Option<usize> {
        let (key, value) = json::key_at(self.text, member)?;
        if !self.rules.unwraps || key != b"\"Records\"" {
            return None;
        }
        let is_odd = match self.text.get(value)? {
            b'[' => {
                let first = json::skip_space(self.text, value + 1);
                is_notification(self.text, first) || is_odd(self.text, first)
            }
            _ => true,
        };
        let end = json::skip_value(self.text, at).filter(|_| is_odd)?;
        let verdict = (self.each)(Piece { at: at..end, place: Place::Wrapper });
        (verdict == Verdict::Wrapper).then_some(end)
    }

    /// Passes over a key and its value, and reads it if it is `Records`.
    fn member(&mut self, at: usize, is_envelope: &mut bool) -> Option<usize> {
        let (key, value) = json::key_at(self.text, at)?;
        if key != b"\"Records\"" || self.text.get(value) != Some(&b'[') {
            return json::skip_value(self.text, value);
        }
        *is_envelope = true;
        let first = json::skip_space(self.text, value + 1);
        if is_notification(self.text, first)
            && let Some(end) = json::skip_value(self.text, value)
        {
            self.cut.notifications += 1;
            return Some(end);
        }
        Some(self.array(value, Place::Enveloped))
    }

    /// Reads the array at `at`; returns where it ends. Once a bare array is known to hold records,
    /// everything in it is taken for one.
    fn array(&mut self, at: usize, mut place: Place) -> usize {
        let damaged = self.cut.damaged;
        let mut at = at + 1;
        let mut is_first = true;
        while at < self.text.len() {
            let is_whole = self.cut.damaged == damaged;
            at = match self.text[at] {
                b']' => return at + 1,
                b'{' if is_whole && place == Place::Enveloped => self.value(at, place),
                b'{' => {
                    let (end, is_record) = self.document(at);
                    if is_first && is_record && self.cut.damaged == damaged {
                        place = Place::Enveloped;
                    }
                    is_first = false;
                    end
                }
                b'[' | b'"' | b'-' | b'0'..=b'9' | b'a'..=b'z' => self.value(at, place),
                _ => self.between(at),
            };
        }
        at
    }

    fn value(&mut self, at: usize, place: Place) -> usize {
        match json::skip_value(self.text, at) {
            Some(end) => self.offer(at..end, place).0,
            None => self.resync(at),
        }
    }

    /// Hands over a value; returns where to go on, and whether it was a record.
    fn offer(&mut self, at: Range<usize>, place: Place) -> (usize, bool) {
        let is_damaged = self.cut.damaged > 0;
        let is_sure = !is_damaged || self.is_sure(at.start);
        let place = match place {
            Place::Loose | Place::Enveloped if !is_sure => Place::Doubtful,
            Place::Loose if is_damaged => Place::Recovered,
            place => place,
        };
        let verdict = (self.each)(Piece { at: at.clone(), place });
        let mut end = at.end;
        if verdict == Verdict::Damaged {
            // Brackets that match by chance may hide records.
            end = self.next_record(at.start, at.end);
            self.cut.damaged += u64::from(end < at.end);
        }
        if is_sure && end == at.end {
            self.sure = end;
        }
        (end, verdict == Verdict::Record)
    }

    /// Whether a value after damage is one of its own: it follows such a one, or begins as records
    /// and lines do.
    fn is_sure(&self, at: usize) -> bool {
        let between = self.text.get(self.sure..at);
        let follows = between.is_some_and(|between| after_separators(between, 0) == between.len());
        let first = self.text.get(json::skip_space(self.text, at + 1)..);
        let is_marked = self.text[at] == b'{'
            && first.is_some_and(|key| key.starts_with(RECORD_KEY))
            && is_ahead_of_record(self.text, at);
        follows || is_marked || (at > 0 && self.text[at - 1] == b'\n')
    }

    /// Skips separators of documents, or a word that does not belong there.
    fn between(&mut self, at: usize) -> usize {
        let after = after_separators(self.text, at);
        if after > at {
            return after;
        }
        let line = memchr(b'\n', &self.text[at..]).map_or(self.text.len(), |length| at + length);
        if self.rules.unwraps && is_remark(&self.text[at..line]) {
            return line;
        }
        self.cut.damaged += 1;
        if self.text[at] == b'"'
            && let Some(end) = json::skip_value(self.text, at)
        {
            return end;
        }
        let ends = |byte: &u8| is_separator(byte) || matches!(byte, b'{' | b'[' | b'}' | b']');
        let rest = &self.text[at + 1..];
        at + 1 + rest.iter().position(ends).unwrap_or(rest.len())
    }

    /// Notes damage at `at`; returns where the next record begins.
    fn resync(&mut self, at: usize) -> usize {
        self.cut.damaged += 1;
        let next = self.next_record(at, self.text.len());
        self.doubtful(at + 1, next);
        next
    }

    /// Hands over possible whole records in a stretch of damage: a reader that judges the damage
    /// differently may find them.
    fn doubtful(&mut self, mut at: usize, end: usize) {
        let mut failures = 0;
        while failures < MAX_FAILURES
            && let Some(found) = self.text.get(at..end).and_then(|rest| memchr(b'{', rest))
        {
            at += found;
            let ahead = before(self.text, at).map(|ahead| self.text[ahead]);
            let value =
                matches!(ahead, Some(b',' | b'[')).then(|| json::skip_value(&self.text[..end], at));
            at = match value {
                Some(Some(close)) => {
                    (self.each)(Piece { at: at..close, place: Place::Doubtful });
                    close
                }
                Some(None) => {
                    failures += 1;
                    at + 1
                }
                None => at + 1,
            };
        }
    }

    /// Returns the first place after `at` and before `end` where a record seems to begin: an object
    /// in a list whose first key is a record's, or at the start of a line; else `end`.
    fn next_record(&mut self, at: usize, end: usize) -> usize {
        let marked = self.next_marked(at, end);
        let line = self.text.get(at + 1..marked).and_then(|rest| memmem::find(rest, b"\n{"));
        line.map_or(marked, |found| at + found + 2)
    }

    fn next_marked(&mut self, at: usize, end: usize) -> usize {
        if !self.marked.contains(&at) {
            let keys = memmem::find_iter(&self.text[at + 1..], RECORD_KEY);
            let place = keys.map(|found| at + 1 + found).find_map(|key| {
                let open = before(self.text, key).filter(|open| self.text[*open] == b'{')?;
                (open > at && is_ahead_of_record(self.text, open)).then_some(open)
            });
            self.marked = at..place.unwrap_or(self.text.len());
        }
        self.marked.end.min(end)
    }
}

/// Whether the text before `at` may precede a record, in a list or between documents.
fn is_ahead_of_record(text: &[u8], at: usize) -> bool {
    let ahead = before(text, at).map(|ahead| text[ahead]);
    matches!(ahead, None | Some(b',' | b'[' | b'}'))
}

/// Returns where separators of documents end that begin at `at`.
fn after_separators(text: &[u8], mut at: usize) -> usize {
    loop {
        at = after_padding(text, at);
        if text.get(at) != Some(&b',') {
            return at;
        }
        at += 1;
    }
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | 0x1e | 0x1a | 0)
}

/// Returns the last place before `at` that is not whitespace.
fn before(text: &[u8], at: usize) -> Option<usize> {
    text[..at].iter().rposition(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
}

/// Whether the object at `at` is an event notification and no record: both come as `Records`. Only
/// its own keys count, as far as they can be read.
fn is_notification(text: &[u8], at: usize) -> bool {
    let is_source = |key: &[u8]| matches!(key, b"\"eventSource\"" | b"\"EventSource\"");
    keys(text, at).any(|(key, value)| is_source(key) && text[value..].starts_with(b"\"aws:"))
}

/// Whether the first value of an envelope, at `at`, has fewer than two of a record's keys.
fn is_odd(text: &[u8], at: usize) -> bool {
    let is_field = |(key, _): &(&[u8], usize)| {
        let key = std::str::from_utf8(&key[1..key.len() - 1]).unwrap_or_default();
        FIELDS.contains(&key)
    };
    !matches!(text.get(at), None | Some(b']')) && keys(text, at).filter(is_field).nth(1).is_none()
}

/// The keys of the object at `at`, quoted, and where their values begin.
fn keys(text: &[u8], at: usize) -> impl Iterator<Item = (&[u8], usize)> {
    let is_object = text.get(at) == Some(&b'{');
    let mut at = is_object.then(|| json::skip_space(text, at + 1));
    std::iter::from_fn(move || {
        let (key, value) = json::key_at(text, at.take()?)?;
        let end = json::skip_value(text, value).map(|end| json::skip_space(text, end));
        at = end.filter(|end| text.get(*end) == Some(&b','));
        at = at.map(|comma| json::skip_space(text, comma + 1));
        Some((key, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of a text, where a value with an `a` is a record.
    fn texts(text: &str) -> (Vec<&str>, Cut) {
        let mut found = Vec::new();
        let cut = cut(text.as_bytes(), Rules { unwraps: false }, &mut |piece| {
            let piece = &text[piece.at];
            if serde_json::from_str::<serde_json::Value>(piece).is_err() {
                return Verdict::Damaged;
            }
            if !piece.contains("\"a\"") && !piece.contains("\"eventVersion\"") {
                return Verdict::Foreign;
            }
            found.push(piece);
            Verdict::Record
        });
        (found, cut)
    }

    #[test]
    fn every_document_is_cut_at_its_records() {
        let (one, two) = (r#"{"a":1}"#, r#"{"a":"]"}"#);
        for text in [
            r#"{"Records":[{"a":1},{"a":"]"}]}"#,
            "\u{feff} { \"x\": {}, \"Records\" : [ {\"a\":1} , {\"a\":\"]\"} ], \"y\":1 }\n",
            r#"[{"a":1},{"a":"]"}]"#,
            "{\"a\":1}\n{\"a\":\"]\"}\n",
            r#"{"a":1}{"a":"]"}"#,
            r#"{"Records":[{"a":1}]}{"Records":[{"a":"]"}]}"#,
            r#"{"Records":[{"a":1}],"Records":[{"a":"]"}]}"#,
            r#"[{"Records":[{"a":1}]},{"Records":[{"a":"]"}]}]"#,
            r#"[{"x":1},{"a":1}] , [{"a":"]"}]"#,
            r#"{"a":1}{"Records":[{"eventSource":"aws:s3"}]}{"a":"]"}"#,
        ] {
            let (found, cut) = texts(text);
            assert_eq!((found, cut.damaged), (vec![one, two], 0), "{text}");
        }
    }

    #[test]
    fn texts_that_hold_no_records_give_none() {
        for text in [
            "",
            " \n",
            "2 123456789012 eni-1 ACCEPT",
            "\"Records\"",
            "{\"Records\":null}",
            "{\"Records\":[]}",
            r#"{"Records":[{"eventSource":"aws:s3","eventVersion":"2.1"},{"a":1}]}"#,
        ] {
            assert_eq!(texts(text).0, [""; 0], "{text}");
        }
    }

    #[test]
    fn damage_costs_one_record() {
        let good = r#"{"eventVersion":1}"#;
        for bad in
            [r#"{"a":}"#, r#"{"a":["#, r#"{"a":"x}"#, r#"{"a":{"b":[{},{"#, "]", r#"{"a"}}}"#]
        {
            for text in [
                format!(r#"{{"Records":[{good},{bad},{good},{good}]}}"#),
                format!("[{good},\n{bad},\n{good}, {good}\n]"),
                format!("{good}\n{bad}\n{good}\n{good}"),
                format!(r#"{{"Records":[{bad},{good},{good},{good}]}}"#),
            ] {
                assert_eq!(texts(&text).0, [good; 3], "{text}");
            }
        }
        assert_eq!(texts(r#"{"Records":[{"a":1},{"b":"#).0, [r#"{"a":1}"#]);
        assert_eq!(texts(r#"{"Records":[{"a":1},0{"a":2}]}"#).0.len(), 2);
        assert_eq!(texts("{\"a\":1}\n\u{feff}{\"a\":2}\nxyz\n{\"a\":3}").0.len(), 3);
    }
}
