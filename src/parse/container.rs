//! What a decoded object is: CloudTrail's envelope, a bare array, separate records, or foreign.
//!
//! Foreign objects (S3 notifications, digests, anything that is not JSON) lie in the same folders as
//! logs; they are named and counted, never guessed at. What may hold records all the same, such as an
//! EventBridge event, is looked into by [`Unwrapper`](crate::parse::Unwrapper).

use crate::family::is_mark_or_weak;
use crate::parse::members::{Members, key_at, skip_space};
use crate::parse::split::container_end;
use std::ops::Range;

/// How the records of an object are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Container {
    /// The inside of a JSON array of records; `closed` tells whether its `]` was found.
    Array {
        /// The elements, brackets not included.
        inside: Range<usize>,
        /// Whether the array is complete.
        closed: bool,
        /// Whether the end was found from behind and not by matching brackets; when the elements
        /// turn out not to parse, ask [`array_end`].
        is_guess: bool,
        /// Whether the first element of an envelope does not look like a record: a wrapper, perhaps.
        is_odd: bool,
    },
    /// Records one after another: newline-delimited, concatenated, or a single one.
    Sequence(Range<usize>),
    /// Not CloudTrail log records.
    Foreign(Foreign),
    /// JSON that should hold records but does not.
    Damaged(&'static str),
}

/// Kinds of objects that are left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Foreign {
    /// An event notification of S3, SNS or SQS; its top key is also `Records`.
    Notification,
    /// An EventBridge event with the record under `detail`.
    EventBridge,
    /// A CloudWatch Logs subscription message.
    Subscription,
    /// LookupEvents output, with the record as a string under `CloudTrailEvent`.
    LookupEvents,
    /// A wrapper that has no records in it, or says something about others.
    Empty,
    /// JSON without any of the fields of a CloudTrail record.
    OtherJson,
    /// Not JSON at all.
    NotJson,
}

impl Foreign {
    /// Returns the words for the report.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Notification => "event notification (S3, SNS or SQS)",
            Self::EventBridge => "EventBridge event",
            Self::Subscription => "CloudWatch Logs subscription message",
            Self::LookupEvents => "LookupEvents output",
            Self::Empty => "wrapper without records",
            Self::OtherJson => "JSON without CloudTrail records",
            Self::NotJson => "not JSON",
        }
    }
}

/// Finds out what `bytes` holds. A byte order mark is passed over.
pub fn detect(bytes: &[u8]) -> Container {
    let start = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let start = skip_space(bytes, start);
    match bytes.get(start) {
        None => Container::Damaged("an empty object"),
        Some(b'[') => array(bytes, start, bytes.len()),
        Some(b'{') => object(bytes, start),
        Some(_) => Container::Foreign(Foreign::NotJson),
    }
}

/// The array that opens at `start`; the common end, `]` and closing brackets, is found from behind.
fn array(bytes: &[u8], start: usize, end: usize) -> Container {
    let mut last = end;
    while last > start + 1 && matches!(bytes[last - 1], b' ' | b'\n' | b'\r' | b'\t') {
        last -= 1;
    }
    if bytes[last - 1] == b']' && last > start + 1 {
        let inside = start + 1..last - 1;
        return Container::Array { inside, closed: true, is_guess: true, is_odd: false };
    }
    let (close, complete) = container_end(bytes, start, end);
    let inside = start + 1..if complete { close - 1 } else { close };
    Container::Array { inside, closed: complete, is_guess: false, is_odd: false }
}

/// Returns where the array whose inside starts at `inside_start` really ends (its `]`), found by
/// matching brackets, and whether it does.
pub fn array_end(bytes: &[u8], inside_start: usize) -> (usize, bool) {
    let (close, complete) = container_end(bytes, inside_start - 1, bytes.len());
    (if complete { close - 1 } else { close }, complete)
}

/// Decides by the top-level keys of the first object.
fn object(bytes: &[u8], start: usize) -> Container {
    let mut fields = 0;
    let mut foreign = None;
    for (key, value) in Members::new(bytes, start) {
        match &bytes[key] {
            b"Records" => return records(bytes, start, value),
            b"detail" | b"detail-type" => foreign = foreign.or(Some(Foreign::EventBridge)),
            b"logEvents" | b"logGroup" | b"messageType" => {
                foreign = foreign.or(Some(Foreign::Subscription));
            }
            b"CloudTrailEvent" => foreign = foreign.or(Some(Foreign::LookupEvents)),
            // Two are enough: a line of JSON has some twenty.
            key if fields < 2 => fields += usize::from(is_mark_or_weak(key)),
            _ => {}
        }
    }
    match foreign {
        _ if fields >= 2 => Container::Sequence(start..bytes.len()),
        foreign => Container::Foreign(foreign.unwrap_or(Foreign::OtherJson)),
    }
}

/// The value of a top-level `Records` key.
fn records(bytes: &[u8], open: usize, value: usize) -> Container {
    match bytes.get(value) {
        Some(b'[') => {}
        Some(b'n') => return Container::Damaged("`Records` is null, not an array"),
        Some(_) => return Container::Damaged("`Records` is not an array"),
        None => return Container::Damaged("ends before the records"),
    }
    // `{"Records":[…]}` with nothing after it is nearly every object there is.
    let mut last = bytes.len();
    let mut closers = [b'}', b']'].into_iter();
    let mut want = closers.next();
    while last > value + 1 {
        match bytes[last - 1] {
            b' ' | b'\n' | b'\r' | b'\t' => last -= 1,
            byte if Some(byte) == want => {
                last -= 1;
                want = closers.next();
                if want.is_none() && is_first_key(bytes, open, value) {
                    return envelope(bytes, value + 1..last, true, true);
                }
            }
            _ => break,
        }
    }
    let (close, complete) = container_end(bytes, value, bytes.len());
    envelope(bytes, value + 1..if complete { close - 1 } else { close }, complete, false)
}

/// Whether the value at `value` belongs to the object's first key, so that `}` at the end of the
/// bytes can only close this object.
fn is_first_key(bytes: &[u8], open: usize, value: usize) -> bool {
    key_at(bytes, skip_space(bytes, open + 1))
        .is_some_and(|(_, colon)| skip_space(bytes, colon + 1) == value)
}

/// Looks at the first record's own keys: notifications, whose source is `aws:…`, have the same envelope.
fn envelope(bytes: &[u8], inside: Range<usize>, closed: bool, is_guess: bool) -> Container {
    let open = skip_space(bytes, inside.start);
    let mut fields = 0;
    for (key, value) in Members::new(bytes, open) {
        let key = &bytes[key];
        fields += usize::from(is_mark_or_weak(key));
        if matches!(key, b"eventSource" | b"EventSource") && bytes[value..].starts_with(b"\"aws:") {
            return Container::Foreign(Foreign::Notification);
        }
        if fields >= 2 && key == b"eventSource" {
            break;
        }
    }
    let is_empty = matches!(bytes.get(open), None | Some(b']'));
    Container::Array { inside, closed, is_guess, is_odd: fields < 2 && !is_empty }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(text: &str) -> String {
        match detect(text.as_bytes()) {
            Container::Array { inside, .. } | Container::Sequence(inside) => {
                text[inside].to_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_container_that_people_keep_is_understood() {
        let record = r#"{"eventVersion":"1.08","eventTime":"t"}"#;
        assert_eq!(inside(&format!(r#"{{"Records":[{record}]}}"#)), record);
        assert_eq!(inside(&format!("\u{feff}{{ \"Records\" : [{record}] }}\n")), record);
        assert_eq!(inside(&format!(r#"{{"x":[{{}}],"Records":[{record}]}}"#)), record);
        assert_eq!(inside(&format!("[{record}]\n")), record);
        assert_eq!(inside(&format!("{record}\n{record}\n")), format!("{record}\n{record}\n"));
        assert_eq!(inside(r#"{"Records":[]}"#), "");
    }

    #[test]
    fn an_array_end_guessed_from_behind_can_be_put_right() {
        let text = br#"{"Records":[{"eventVersion":"1"}],"x":[1]}"#;

        let Container::Array { inside, is_guess: true, .. } = detect(text) else { panic!() };

        assert_eq!(array_end(text, inside.start), (32, true));
    }

    #[test]
    fn foreign_objects_are_named() {
        for (text, want) in [
            (
                r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","s3":{}}]}"#,
                Foreign::Notification,
            ),
            (r#"{"Records":[{"EventSource": "aws:sns","Sns":{}}]}"#, Foreign::Notification),
            (
                r#"{"version":"0","detail-type":"x","detail":{"eventName":"y"}}"#,
                Foreign::EventBridge,
            ),
            (r#"{"messageType":"DATA_MESSAGE","logEvents":[]}"#, Foreign::Subscription),
            (r#"{"EventId":"x","CloudTrailEvent":"{}"}"#, Foreign::LookupEvents),
            (r#"{"configurationItems":[]}"#, Foreign::OtherJson),
            ("2 1234 eni-1 10.0.0.1", Foreign::NotJson),
        ] {
            assert_eq!(detect(text.as_bytes()), Container::Foreign(want), "{text}");
        }
    }

    #[test]
    fn damaged_envelopes_say_what_is_wrong() {
        assert_eq!(detect(b"  "), Container::Damaged("an empty object"));
        assert_eq!(
            detect(br#"{"Records":null}"#),
            Container::Damaged("`Records` is null, not an array")
        );
        assert!(matches!(
            detect(br#"{"Records":[{"eventVersion":"1"},{"ev"#),
            Container::Array { closed: false, .. }
        ));
    }
}
