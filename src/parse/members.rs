//! The keys of an object and where their values are, by brackets and strings only.

use crate::parse::split::RecordSpans;
use std::ops::Range;

pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The keys of the object that opens at a position, each with where its value starts. A value is
/// passed over only when the next key is asked for; damage ends the keys.
pub(super) struct Members<'a> {
    bytes: &'a [u8],
    /// Where the next key is, or the value before it.
    at: usize,
    is_at_value: bool,
}

impl<'a> Members<'a> {
    pub(super) fn new(bytes: &'a [u8], open: usize) -> Self {
        let at =
            if bytes.get(open) == Some(&b'{') { skip_space(bytes, open + 1) } else { bytes.len() };
        Self { bytes, at, is_at_value: false }
    }
}

impl Iterator for Members<'_> {
    type Item = (Range<usize>, usize);

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_at_value {
            let mut spans = RecordSpans::new(self.bytes, self.at..self.bytes.len());
            let (_, true) = spans.next()? else { return None };
            let comma = skip_space(self.bytes, spans.position());
            if self.bytes.get(comma) != Some(&b',') {
                return None;
            }
            self.at = skip_space(self.bytes, comma + 1);
        }
        let (key, colon) = key_at(self.bytes, self.at)?;
        self.at = skip_space(self.bytes, colon + 1);
        self.is_at_value = true;
        Some((key, self.at))
    }
}

/// The key string that opens at `at`, without quotes, and the position of its colon.
pub(super) fn key_at(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut spans = RecordSpans::new(bytes, at..bytes.len());
    let (span, complete) = spans.next()?;
    let colon = skip_space(bytes, span.end);
    (complete && bytes.get(colon) == Some(&b':')).then(|| (span.start + 1..span.end - 1, colon))
}

/// A member of an object.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// The key, without its quotes.
    pub(super) key: Range<usize>,
    /// The value.
    pub(super) value: Range<usize>,
}

/// Returns the members of the object that `text` is; none of them if it is damaged.
pub(super) fn members_of(text: &[u8], out: &mut Vec<Member>) {
    out.clear();
    let open = skip_space(text, 0);
    for (key, value) in Members::new(text, open) {
        let Some((value, true)) = RecordSpans::new(text, value..text.len()).next() else {
            return out.clear();
        };
        out.push(Member { key, value });
    }
}
