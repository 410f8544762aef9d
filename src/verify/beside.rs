//! What the sources hold beside records, counted by what it is.
//!
//! `verify` compares records; what has none is not compared, and a report that did not say so would call a lake
//! equal to sources that it may not hold. The words are those of `trailmill ignored` where both mean the same.

use super::unrecognized::is_of_lake;
use memchr::memmem;
use std::collections::BTreeMap;

/// Counts of what is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// Objects in which there are no records, by what they are.
    pub(super) without_records: BTreeMap<&'static str, u64>,
    /// Objects and folders that may hold records and were not read, by reason.
    pub(super) not_read: BTreeMap<&'static str, u64>,
    /// Names that begin with `.` or `_`: files, folders and members of archives.
    pub(super) hidden: u64,
}

impl Beside {
    /// Counts an object without records.
    pub(super) fn is_without_records(&mut self, what: &'static str) {
        *self.without_records.entry(what).or_default() += 1;
    }

    /// Counts what was not read.
    pub(super) fn is_not_read(&mut self, why: &'static str) {
        *self.not_read.entry(why).or_default() += 1;
    }

    pub(super) fn join(mut self, other: Self) -> Self {
        for (what, count) in other.without_records {
            *self.without_records.entry(what).or_default() += count;
        }
        for (why, count) in other.not_read {
            *self.not_read.entry(why).or_default() += count;
        }
        self.hidden += other.hidden;
        self
    }
}

/// Counts by their names, for a report.
pub(super) fn by_name(counts: BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// An archive in which no member was read.
pub(super) const EMPTY_ARCHIVE: &str = "an archive without logs";

/// An envelope or a list with nothing in it, as CloudTrail writes it where nothing happened.
pub(super) const EMPTY_LIST: &str = "an empty list of records";

/// An object in a folder of a service that is not CloudTrail.
pub(super) const OTHER_SERVICE: &str = "an object of another service";

/// Says what an object without records is. Nothing if there is nothing in it at all: that is quarantined.
pub(super) fn describe(text: &[u8]) -> Option<&'static str> {
    let padding = b" \t\r\n,\0\x1a\x1e\xef\xbb\xbf";
    let start = text.iter().position(|byte| !padding.contains(byte))?;
    let text = &text[start..];
    let has = |word: &str| memmem::find(text, word.as_bytes()).is_some();
    Some(match text[0] {
        b'{' | b'[' if is_empty_list(text) => EMPTY_LIST,
        b'{' | b'[' if has("\"aws:") || has("s3:TestEvent") || has("s3ObjectKey") => {
            "event notification (S3, SNS or SQS)"
        }
        b'{' | b'[' if has("\"detail-type\"") || has("\"detail\"") => "EventBridge event",
        b'{' | b'[' if has("\"logEvents\"") || has("\"messageType\"") => {
            "CloudWatch Logs subscription message"
        }
        b'{' | b'[' => "JSON without CloudTrail records",
        _ if is_of_lake(text) => "data file of a lake",
        _ => binary(text).unwrap_or("not JSON"),
    })
}

/// Whether a text is an envelope or an array with nothing in it.
fn is_empty_list(text: &[u8]) -> bool {
    let after = |text: &[u8], mark: u8| -> Option<Vec<u8>> {
        let text = text.trim_ascii_start();
        (text.first() == Some(&mark)).then(|| text[1..].trim_ascii_start().to_vec())
    };
    let list = match memmem::find(text, b"\"Records\"") {
        Some(at) if text[0] == b'{' => after(&text[at + 9..], b':'),
        _ => Some(text.to_vec()),
    };
    let inside = list.and_then(|list| after(&list, b'['));
    inside.is_some_and(|inside| inside.first() == Some(&b']'))
}

/// What data that is not text are.
fn binary(text: &[u8]) -> Option<&'static str> {
    let head = text.get(..1024).unwrap_or(text);
    let named = match head {
        [b'P', b'A', b'R', b'1', ..] => "Parquet",
        [b'O', b'b', b'j', 1, ..] => "Avro",
        [b'O', b'R', b'C', ..] => "ORC",
        [b'%', b'P', b'D', b'F', b'-', ..] => "PDF",
        [0x89, b'P', b'N', b'G', ..] => "an image",
        [b'M', b'Z', ..] | [0x7f, b'E', b'L', b'F', ..] => "a program",
        _ if head.starts_with(b"SQLite format 3\0") => "SQLite",
        _ => {
            let is_control = |byte: &u8| *byte < b' ' && !b"\t\n\r\x0c".contains(byte);
            let is_text =
                std::str::from_utf8(head).map_or_else(|err| err.error_len().is_none(), |_| true);
            return (!is_text || head.iter().any(is_control)).then_some("binary data");
        }
    };
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_records_is_named() {
        for (text, what) in [
            (&b" \n\0"[..], None),
            (b"{\"Records\": [ ] }", Some("an empty list of records")),
            (b"[]", Some("an empty list of records")),
            (b"{\"a\":1}", Some("JSON without CloudTrail records")),
            (
                b"{\"Records\":[{\"eventSource\":\"aws:s3\"}]}",
                Some("event notification (S3, SNS or SQS)"),
            ),
            (b"a note", Some("not JSON")),
            (b"PAR1\x15", Some("Parquet")),
            (b"\xd0\xcf\x11\xe0", Some("binary data")),
        ] {
            assert_eq!(describe(text), what, "{:?}", String::from_utf8_lossy(text));
        }
    }
}
