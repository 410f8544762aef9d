//! Where the records of an array or of a line-delimited text are.
//!
//! The fast path cuts a Records array at `},{"eventVersion":` past the target size. Such a cut can
//! only be wrong inside a nested array (in a string the quotes would be escaped); the chunk then
//! does not parse and the exact splitter, which tracks strings and brackets, takes over.

use std::ops::Range;

/// The size at which a chunk is cut: its tape stays in the second-level cache (docs/benchmarks.md#chunks).
pub(super) const CHUNK_BYTES: usize = 128 << 10;

/// A run of records that is parsed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The bytes, without the separators around them.
    pub range: Range<usize>,
    /// Whether the rest of the records follows in another chunk.
    pub is_last: bool,
}

/// Cuts the inside of an array, from just after its `[`, into chunks.
#[derive(Debug)]
pub struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    done: bool,
    /// Whether chunks are cut by brackets and strings.
    is_exact: bool,
}

/// How far a usual boundary is looked for: what is parsed at once takes several times its size.
const LOOK_AHEAD: usize = 1 << 20;

/// Brackets that may be open; simd-json allows fewer, and what is beyond is damaged.
const MAX_OPEN: usize = 1 << 20;

const BOUNDARY: &[u8] = br#"},{"eventVersion":"#;

/// The key that nearly every record begins with.
const FIRST_KEY: &[u8] = br#""eventVersion""#;

impl<'a> Chunks<'a> {
    /// `inside` spans the array's elements, brackets not included.
    pub fn new(bytes: &'a [u8], inside: Range<usize>) -> Self {
        let (at, end, done) = (inside.start, inside.end, inside.is_empty());
        Self { bytes, at, end, done, is_exact: false }
    }
}

impl Chunks<'_> {
    /// A chunk of whole values, or the first that is not whole.
    fn exact(&mut self) -> Chunk {
        let start = self.at;
        let mut spans = RecordSpans::new(self.bytes, start..self.end);
        let mut last = start;
        while last < start.saturating_add(CHUNK_BYTES)
            && let Some((span, is_whole)) = spans.next()
        {
            last = span.end;
            if !is_whole {
                break;
            }
        }
        self.done = spans.skip_separators().is_none();
        self.at = spans.position();
        Chunk { range: start..last, is_last: self.done }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        if self.done {
            return None;
        }
        let start = self.at;
        let search = start.saturating_add(CHUNK_BYTES).min(self.end);
        let until = search.saturating_add(LOOK_AHEAD).min(self.end);
        let cut = memchr::memmem::find(&self.bytes[search..until], BOUNDARY);
        self.is_exact |= cut.is_none() && until < self.end;
        if self.is_exact {
            return Some(self.exact());
        }
        Some(match cut {
            Some(at) => {
                let close = search + at;
                self.at = close + 2;
                Chunk { range: start..close + 1, is_last: false }
            }
            None => {
                self.done = true;
                Chunk { range: start..self.end, is_last: true }
            }
        })
    }
}

/// Splits values one by one, by brackets and strings only: it needs no valid JSON inside them.
///
/// Yields the span of every value, and whether its brackets match; separators (commas, whitespace)
/// are passed over. A damaged value ends where the next record seems to begin, so that it costs
/// only itself.
#[derive(Debug)]
pub struct RecordSpans<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> RecordSpans<'a> {
    /// Splits the values in `inside`.
    pub fn new(bytes: &'a [u8], inside: Range<usize>) -> Self {
        Self { bytes, at: inside.start, end: inside.end }
    }

    /// Returns the position after the last value that was yielded.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Moves over separators; returns the byte that follows.
    fn skip_separators(&mut self) -> Option<u8> {
        while self.at < self.end {
            match self.bytes[self.at] {
                b' ' | b'\n' | b'\r' | b'\t' | b',' => self.at += 1,
                byte => return Some(byte),
            }
        }
        None
    }
}

impl Iterator for RecordSpans<'_> {
    /// The span, and whether the value is complete.
    type Item = (Range<usize>, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.skip_separators()?;
        let start = self.at;
        let (end, complete) = match first {
            b'{' | b'[' => container_end(self.bytes, start, self.end),
            b']' | b'}' => (start, false),
            _ => scalar_end(self.bytes, start, self.end),
        };
        if complete {
            self.at = end;
            return Some((start..end, true));
        }
        self.at = next_record(self.bytes, start..self.end);
        let damaged = &self.bytes[start..self.at];
        let is_separator = |b: &u8| matches!(b, b' ' | b'\n' | b'\r' | b'\t' | b',');
        let length = damaged.iter().rposition(|b| !is_separator(b)).map_or(1, |at| at + 1);
        Some((start..start + length, false))
    }
}

/// Returns where a damaged value that spans `range`, or starts it, is taken to end: before the next
/// record's usual beginning, or before the next line that starts an object.
///
/// Looks ever further ahead, so that it costs what it passes over and not the rest of the object.
pub(crate) fn next_record(bytes: &[u8], range: Range<usize>) -> usize {
    let rest = &bytes[range.clone()];
    let mut ahead = 4096;
    loop {
        let found = next_record_within(&rest[..rest.len().min(ahead)]);
        match found {
            Some(end) => return range.start + end,
            None if ahead >= rest.len() => return range.end,
            None => ahead = ahead.saturating_mul(4),
        }
    }
}

fn next_record_within(rest: &[u8]) -> Option<usize> {
    let record = memchr::memmem::find_iter(rest, FIRST_KEY).find_map(|key| {
        let (open, byte) = last_visible(&rest[..key])?;
        match last_visible(&rest[..open]) {
            Some((comma, b',')) if byte == b'{' => Some((comma, open)),
            Some((close, b'}' | b'[')) if byte == b'{' => Some((close + 1, open)),
            _ => None,
        }
    });
    let until = record.map_or(rest.len(), |(_, open)| open);
    let line = rest.get(1..until).and_then(|rest| memchr::memmem::find(rest, b"\n{"));
    line.map(|at| at + 1).or(record.map(|(end, _)| end))
}

fn last_visible(bytes: &[u8]) -> Option<(usize, u8)> {
    let at = bytes.iter().rposition(|b| !matches!(b, b' ' | b'\n' | b'\r' | b'\t'))?;
    Some((at, bytes[at]))
}

/// Returns where the string that opens at `start` ends, after its quote, and whether it does.
fn string_end(bytes: &[u8], start: usize, end: usize) -> (usize, bool) {
    let mut at = start + 1;
    while at < end {
        match memchr::memchr2(b'"', b'\\', &bytes[at..end]) {
            Some(offset) if bytes[at + offset] == b'"' => return (at + offset + 1, true),
            Some(offset) => at += offset + 2,
            None => break,
        }
    }
    (end, false)
}

fn scalar_end(bytes: &[u8], start: usize, end: usize) -> (usize, bool) {
    if bytes[start] == b'"' {
        return string_end(bytes, start, end);
    }
    let stop = bytes[start..end]
        .iter()
        .position(|b| matches!(b, b',' | b']' | b'}' | b'{' | b'[' | b' ' | b'\n' | b'\r' | b'\t'));
    (stop.map_or(end, |offset| start + offset.max(1)), true)
}

/// Returns where the object or array that opens at `start` ends, and whether it does; a closing
/// bracket of the other kind ends it damaged.
pub(crate) fn container_end(bytes: &[u8], start: usize, end: usize) -> (usize, bool) {
    let mut open: Vec<u8> = Vec::new();
    let mut at = start;
    while at < end {
        match bytes[at] {
            b'{' | b'[' if open.len() >= MAX_OPEN => return (at, false),
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            byte @ (b'}' | b']') => {
                if open.pop() != Some(byte) {
                    return (at, false);
                }
                if open.is_empty() {
                    return (at + 1, true);
                }
            }
            b'"' => {
                at = string_end(bytes, at, end).0;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    (end, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(String, bool)> {
        RecordSpans::new(text.as_bytes(), 0..text.len())
            .map(|(range, complete)| (text[range].to_owned(), complete))
            .collect()
    }

    #[test]
    fn values_are_split_by_brackets_and_strings() {
        let found = spans(r#" {"a":"}\"{"} , 5,"x,y" {"b":[{}]}"#);

        let texts: Vec<_> = found.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, [r#"{"a":"}\"{"}"#, "5", r#""x,y""#, r#"{"b":[{}]}"#]);
        assert!(found.iter().all(|(_, complete)| *complete));
    }

    #[test]
    fn a_truncated_record_is_the_last_and_incomplete() {
        assert_eq!(
            spans(r#"{"a":1},{"b":"#),
            [(r#"{"a":1}"#.to_owned(), true), (r#"{"b":"#.to_owned(), false)]
        );
    }

    #[test]
    fn a_damaged_value_ends_where_the_next_record_begins() {
        let good = r#"{"eventVersion":"1"}"#;
        for bad in [r#"{"a":}}"#, r#"{"eventVersion":[}"#, r#"{"a":"x}"#, "]]"] {
            let found = spans(&format!("{good},{bad},{good},{good}"));
            let whole = found.iter().filter(|(text, complete)| *complete && text == good).count();
            assert!(whole >= 2 && found[0].0 == good, "{bad}: {found:?}");
        }
        let pretty = spans("{\"a\":[}} ,\n  {\n  \"eventVersion\" : 1 }");
        assert_eq!(pretty[1], ("{\n  \"eventVersion\" : 1 }".to_owned(), true));
        let lines = spans(&format!("{good}\n{{\"a\":[}}\n{good}\n"));
        assert_eq!(lines[1], ("{\"a\":[}".to_owned(), false));
        assert_eq!(lines[2].0, good);
    }

    #[test]
    fn chunks_cover_all_records_once() {
        let record = format!(r#"{{"eventVersion":"1.08","x":"{}"}}"#, "y".repeat(5000));
        let text = vec![record.clone(); 100].join(",");

        let chunks: Vec<_> = Chunks::new(text.as_bytes(), 0..text.len()).collect();

        assert!(chunks.len() > 2 && chunks.last().unwrap().is_last);
        let joined: Vec<_> = chunks.iter().map(|c| &text[c.range.clone()]).collect();
        assert_eq!(joined.join(","), text);
    }

    #[test]
    fn chunks_are_small_where_no_usual_boundary_is() {
        let long = "y".repeat(5000);
        for (record, separator) in [
            (format!("{{\"eventVersion\":\"1\",\"x\":\"{long}\"}}"), "  ,\n "),
            (format!("{{\"x\":[{{}}, \"]{long}\"]}}"), ","),
        ] {
            let text = vec![record.clone(); 1000].join(separator);

            let chunks: Vec<_> = Chunks::new(text.as_bytes(), 0..text.len()).collect();

            let largest = chunks.iter().map(|chunk| chunk.range.len()).max().unwrap();
            assert!(largest < CHUNK_BYTES + 2 * record.len(), "{largest}");
            let joined: Vec<_> = chunks.iter().map(|c| &text[c.range.clone()]).collect();
            assert_eq!(joined.join(separator), text);
            assert!(chunks.last().unwrap().is_last);
        }
    }

    #[test]
    fn brackets_without_end_are_damage_and_cost_no_memory() {
        let text = "[".repeat(3 << 20);
        assert_eq!(container_end(text.as_bytes(), 0, text.len()), (MAX_OPEN, false));
    }
}
