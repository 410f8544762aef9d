//! Lines of text with a record in each: syslog, CloudWatch Logs exports, what the AWS CLI prints as text.

use crate::parse::known::is_json;
use crate::parse::split::RecordSpans;
use memchr::{memchr, memmem};
use std::ops::Range;

/// Braces of a line that are tried in vain.
const MAX_TRIED: usize = 16;

/// A line, and the JSON in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// All of it, without its line end.
    pub span: Range<usize>,
    /// Objects in it that are whole; those that begin the line may end in a later one.
    pub objects: Vec<Range<usize>>,
}

/// Cuts text into lines, of which each may hold JSON.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether every object that began a line so far had an end.
    is_whole: bool,
}

impl<'a> Lines<'a> {
    /// Cuts a text from a position on.
    pub fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at, is_whole: true }
    }

    /// Goes on behind a position, which may be in a later line.
    pub fn go_on_at(&mut self, at: usize) {
        self.at = self.at.max(at);
    }

    /// The object at a position: within its line, and beyond it if it begins the line or opens at its end.
    fn object(&mut self, at: usize, line: &Range<usize>) -> Option<Range<usize>> {
        let is_first = is_blank(&self.text[line.start..at])
            || self.text[at + 1..line.end].trim_ascii().is_empty();
        let whole = |end: usize| RecordSpans::new(self.text, at..end).next().filter(|(_, w)| *w);
        let found = whole(line.end).or_else(|| {
            let found = (is_first && self.is_whole).then(|| whole(self.text.len())).flatten();
            self.is_whole &= found.is_some() || !is_first;
            found
        });
        found.map(|(span, _)| span).filter(|span| is_json(&self.text[span.clone()]))
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        if self.at >= self.text.len() {
            return None;
        }
        let rest = &self.text[self.at..];
        let end = self.at + memchr(b'\n', rest).unwrap_or(rest.len());
        let span = self.at..end;
        self.at = end + 1;
        let mut objects = Vec::new();
        let mut from = span.start;
        let mut tried = 0;
        while tried < MAX_TRIED
            && let Some(found) = self.text.get(from..span.end).and_then(|rest| memchr(b'{', rest))
        {
            let at = from + found;
            match self.object(at, &span) {
                Some(object) => {
                    from = object.end;
                    objects.push(object);
                }
                None => {
                    from = at + 1;
                    tried += 1;
                }
            }
        }
        Some(Line { span, objects })
    }
}

/// Whether a text may hold records at all: no line of it does without one of these.
pub fn may_hold_records(text: &[u8]) -> bool {
    [&b"eventVersion"[..], b"eventversion", b"event_version", b"CloudTrailEvent"]
        .iter()
        .any(|mark| memmem::find(text, mark).is_some())
}

/// Returns where padding ends that begins at `at`: spaces, NULs, the end marks of old systems, byte order
/// marks.
pub fn skip_padding(text: &[u8], mut at: usize) -> usize {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    while let Some(byte) = text.get(at) {
        at += match byte {
            b' ' | b'\n' | b'\r' | b'\t' | 0 | 0x1a | 0x1e => 1,
            0xef if text[at..].starts_with(BYTE_ORDER_MARK) => BYTE_ORDER_MARK.len(),
            _ => break,
        };
    }
    at
}

/// Whether a text is only padding.
pub fn is_blank(text: &[u8]) -> bool {
    skip_padding(text, 0) == text.len()
}

/// Whether a line between documents says nothing: a rule, a comment, what the AWS CLI prints beside events.
pub fn is_remark(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let is_rule = line.iter().all(|byte| matches!(byte, b'-' | b'=' | b'*' | b'#' | b'_' | b'~'));
    let starts: [&[u8]; 6] =
        [b"//", b"# ", b"```", b"RESOURCES\t", b"NEXTTOKEN\t", b"SEARCHEDLOGSTREAMS\t"];
    let is_frame = matches!(line.first(), Some(b'|' | b'+')) && !line.contains(&b'{');
    is_blank(line) || is_rule || is_frame || starts.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(text: &str) -> Vec<Vec<&str>> {
        let lines = Lines::new(text.as_bytes(), 0);
        lines.map(|line| line.objects.into_iter().map(|object| &text[object]).collect()).collect()
    }

    #[test]
    fn objects_are_found_behind_what_else_a_line_has() {
        assert_eq!(
            objects("<134>x [a b=\"c\"]: {\"a\":1} tail {\"b\":2}\n{not json} {\"c\":3}\nplain\n"),
            [vec!["{\"a\":1}", "{\"b\":2}"], vec!["{\"c\":3}"], vec![]]
        );
    }

    #[test]
    fn an_object_that_begins_a_line_may_go_on_in_the_next() {
        let text = "// x\n{\"a\":\n1}\n{\"b\":\n";
        let mut lines = Lines::new(text.as_bytes(), 0);
        lines.next();
        let line = lines.next().unwrap();
        assert_eq!(&text[line.objects[0].clone()], "{\"a\":\n1}");
        lines.go_on_at(line.objects[0].end);
        assert_eq!(lines.next().unwrap().span, 13..13);
        assert!(lines.next().unwrap().objects.is_empty());
    }

    #[test]
    fn remarks_say_nothing() {
        for line in [
            "",
            "---",
            "// exported by hand",
            "RESOURCES\ta\tb",
            "\0\0\x1a",
            "=====",
            "```json",
            "|  a |",
        ] {
            assert!(is_remark(line.as_bytes()), "{line}");
        }
        for line in ["x", "-1", "#x", "{}", "]", "| a | {} |"] {
            assert!(!is_remark(line.as_bytes()), "{line}");
        }
    }
}
