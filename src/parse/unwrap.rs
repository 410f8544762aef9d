//! Takes records out of wrappers: known ones, unknown ones, tables and lines.

use crate::parse::known::Frame;
use crate::parse::members::{Member, members_of};
use crate::parse::unknown;
use crate::parse::walk::{Buffers, Sink, Spot, Walk};
use crate::parse::wrappers::WRAPPERS;

/// Takes records out of wrappers; keeps its buffers.
#[derive(Debug, Default)]
pub struct Unwrapper {
    buffers: Buffers,
}

impl Unwrapper {
    /// Hands the records in a value over, if it is a wrapper that is known; returns whether it is.
    /// `at` is where the value stands in its object.
    pub fn unwrap(&mut self, text: &[u8], at: usize, sink: &mut dyn Sink) -> bool {
        Walk::new(&mut self.buffers, sink).value(text, Spot::source(at), None, 0)
    }

    /// Hands over the records that lie anywhere in a value, at most four levels down.
    pub fn unwrap_any(&mut self, text: &[u8], at: usize, sink: &mut dyn Sink) -> bool {
        unknown::search(
            &mut Walk::new(&mut self.buffers, sink),
            text,
            Spot::source(at),
            None,
            unknown::Depth::default(),
        )
    }

    /// Returns how many records [`Self::unwrap_any`] would find.
    pub fn count_any(&mut self, text: &[u8]) -> u64 {
        let mut count = unknown::Counting::default();
        self.unwrap_any(text, 0, &mut count);
        count.records
    }

    /// Whether a value is a wrapper with an empty list where others have records, or the line that Elasticsearch
    /// has before each record, or one that CloudWatch Logs and Splunk end with.
    pub fn is_empty(text: &[u8]) -> bool {
        let mut members = Vec::new();
        members_of(text, &mut members);
        let is_empty_list = |member: &Member| {
            let value = &text[member.value.clone()];
            value.first() == Some(&b'[') && value[1..value.len() - 1].trim_ascii().is_empty()
        };
        let is_first_key = |member: &Member| {
            let key = &text[member.key.clone()];
            WRAPPERS.iter().any(|wrapper| wrapper.path[0].as_bytes() == key)
        };
        let is_action = |member: &Member| {
            let key = &text[member.key.clone()];
            matches!(key, b"index" | b"create" | b"update")
                && text[member.value.clone()].starts_with(b"{")
        };
        let is_last_row = |member: &Member| &text[member.key.clone()] == b"lastrow";
        members.iter().any(|member| is_first_key(member) && is_empty_list(member))
            || matches!(&members[..], [only] if is_action(only))
            || members.iter().any(is_last_row)
    }

    /// Hands over the rows of a table of separated values; returns whether the text begins like one.
    pub fn table(&mut self, text: &[u8], at: usize, sink: &mut dyn Sink) -> bool {
        Walk::new(&mut self.buffers, sink).table(text, Spot::source(at))
    }

    /// Hands over the record or the wrapper in a line of other text, `before` and `after` it.
    pub fn in_line(
        &mut self,
        text: &[u8],
        at: usize,
        [before, after]: [&[u8]; 2],
        sink: &mut dyn Sink,
    ) -> bool {
        let frame = Frame::Line { before, after };
        Walk::new(&mut self.buffers, sink).value(text, Spot::source(at), Some(&frame), 0)
    }
}
