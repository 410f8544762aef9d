//! What a message says: the objects that it names, or what else it is.
//!
//! | form | key | size and etag |
//! |---|---|---|
//! | S3's notification, as it is or as the text of an SNS notification | form encoding: `+`, `%2B` | yes |
//! | S3's event of EventBridge | as it is | yes |
//! | the message of a trail's own SNS topic | as it is | no |
//!
//! A record that cannot be read does not keep its siblings from being read: what can be is returned, with what is
//! wrong with the rest. Texts come from outside: no message of ours repeats them.

use crate::units::{EpochMillis, read_instant};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Envelopes within each other at most: EventBridge or S3, through SNS.
const MOST_ENVELOPES: usize = 3;

/// The longest key that S3 has, in bytes.
const LONGEST_KEY: usize = 1024;

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// S3 sent it to the queue, or SNS did with raw delivery.
    S3,
    /// S3 sent it to a topic of SNS.
    S3ThroughSns,
    /// EventBridge sent S3's event.
    EventBridge,
    /// CloudTrail sent it to the trail's topic.
    Trail,
}

impl Shape {
    /// Returns its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::S3ThroughSns => "s3_through_sns",
            Self::EventBridge => "event_bridge",
            Self::Trail => "trail",
        }
    }
}

/// An object that a message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// Size in bytes, if the message says it.
    pub size: Option<u64>,
    /// The entity tag without quotes, if the message says it.
    pub etag: Option<String>,
    /// When it was put, if the message says it.
    pub time: Option<EpochMillis>,
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Where it comes from, if that is known.
    pub shape: Option<Shape>,
    /// Objects that were made.
    pub objects: Vec<Named>,
    /// Events of other kinds: removals, restores, tags.
    pub others: u64,
    /// Whether it is what S3 or CloudTrail send to try a new queue.
    pub is_test: bool,
    /// Why it, or a part of it, cannot be read.
    pub problem: Option<&'static str>,
}

/// Reads a message.
pub fn read_body(text: &str) -> Body {
    let mut body = Body::default();
    read(text, None, 0, &mut body);
    body
}

fn read(text: &str, sent: Option<EpochMillis>, depth: usize, body: &mut Body) {
    let Ok(Value::Object(value)) = serde_json::from_str::<Value>(text) else {
        let is_validation = text == "CloudTrail validation message.";
        body.is_test = is_validation;
        body.problem = (!is_validation).then_some("not a JSON object");
        return;
    };
    let value = Value::Object(value);
    let is = |name: &str, wanted: &str| text_of(&value, name) == Some(wanted);
    if let Some(records) = value.get("Records").and_then(Value::as_array) {
        body.shape = Some(if depth == 0 { Shape::S3 } else { Shape::S3ThroughSns });
        for record in records {
            read_record(record, body);
        }
    } else if value.get("detail-type").is_some() {
        read_event(&value, body);
    } else if value.get("s3ObjectKey").is_some() {
        read_trail(&value, sent, body);
    } else if is("Event", "s3:TestEvent") {
        body.is_test = true;
    } else if is("Type", "Notification") {
        let sent = text_of(&value, "Timestamp").and_then(instant);
        match text_of(&value, "Message") {
            Some(message) if depth < MOST_ENVELOPES => read(message, sent, depth + 1, body),
            _ => body.problem = Some("an SNS notification without a message that can be read"),
        }
    } else if is("Type", "SubscriptionConfirmation") {
        body.problem = Some("an SNS subscription that waits to be confirmed");
    } else if is("Type", "UnsubscribeConfirmation") {
        body.problem = Some("an SNS subscription that was ended");
    } else {
        body.problem = Some("unknown message");
    }
}

/// A record of S3's notification. Later versions only add members.
fn read_record(record: &Value, body: &mut Body) {
    if text_of(record, "eventSource") != Some("aws:s3") {
        return body.problem = Some("a notification that is not S3's");
    }
    let version = text_of(record, "eventVersion").unwrap_or_default();
    if version.split('.').next() != Some("2") {
        return body.problem = Some("a notification of S3 in an unknown version");
    }
    let event = text_of(record, "eventName").unwrap_or_default();
    let event = event.strip_prefix("s3:").unwrap_or(event);
    if !event.starts_with("ObjectCreated:") {
        return body.others += 1;
    }
    let key = text_at(record, "/s3/object/key").and_then(decode_form);
    let facts = Facts { object: record.pointer("/s3/object"), etag: "eTag", time: "eventTime" };
    body.add(named(text_at(record, "/s3/bucket/name"), key, |named| facts.fill(record, named)));
}

/// S3's event of EventBridge.
fn read_event(event: &Value, body: &mut Body) {
    if text_of(event, "source") != Some("aws.s3") {
        return body.problem = Some("an event of EventBridge that is not S3's");
    }
    body.shape = Some(Shape::EventBridge);
    if text_of(event, "detail-type") != Some("Object Created") {
        return body.others += 1;
    }
    let key = text_at(event, "/detail/object/key").map(str::to_owned);
    let facts = Facts { object: event.pointer("/detail/object"), etag: "etag", time: "time" };
    body.add(named(text_at(event, "/detail/bucket/name"), key, |named| facts.fill(event, named)));
}

/// Where an event says what its object is like.
struct Facts<'v> {
    object: Option<&'v Value>,
    etag: &'static str,
    time: &'static str,
}

impl Facts<'_> {
    fn fill(&self, event: &Value, named: &mut Named) {
        named.size = self.object.and_then(|object| object.get("size")).and_then(Value::as_u64);
        named.etag = self.object.and_then(|object| text_of(object, self.etag)).and_then(etag);
        named.time = text_of(event, self.time).and_then(instant);
    }
}

/// The message of a trail's own topic, which names several objects.
fn read_trail(message: &Value, sent: Option<EpochMillis>, body: &mut Body) {
    body.shape = Some(Shape::Trail);
    let bucket = text_of(message, "s3Bucket");
    let keys = match message.get("s3ObjectKey") {
        Some(Value::Array(keys)) => keys.iter().map(Value::as_str).collect(),
        Some(key) => vec![key.as_str()],
        None => Vec::new(),
    };
    for key in keys {
        body.add(named(bucket, key.map(str::to_owned), |named| named.time = sent));
    }
}

impl Body {
    fn add(&mut self, named: Option<Named>) {
        match named {
            Some(named) => self.objects.push(named),
            None => self.problem = Some("no valid bucket or key"),
        }
    }
}

fn named(
    bucket: Option<&str>,
    key: Option<String>,
    fill: impl FnOnce(&mut Named),
) -> Option<Named> {
    let bucket = bucket.filter(|name| is_bucket(name))?.to_owned();
    let key = key.filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY)?;
    let mut named = Named { bucket, key, size: None, etag: None, time: None };
    fill(&mut named);
    Some(named)
}

/// Names become parts of requests.
fn is_bucket(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
}

fn etag(text: &str) -> Option<String> {
    let plain = text.trim_matches('"');
    let is_tag = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_tag.then(|| plain.to_owned())
}

fn instant(text: &str) -> Option<EpochMillis> {
    read_instant(text.as_bytes(), true)
}

fn text_of<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// Decodes a form's encoding: first `+` to a space, then `%XX` to bytes. `None` if that is not UTF-8.
fn decode_form(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(key: &str) -> Value {
        json!({
            "eventVersion": "2.3", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-10-01T02:03:04.567Z", "eventName": "ObjectCreated:Put",
            "s3": {
                "s3SchemaVersion": "1.0", "bucket": {"name": "logs", "arn": "arn:aws:s3:::logs"},
                "object": {"key": key, "size": 12, "eTag": "ab12", "sequencer": "00"}
            }
        })
    }

    fn keys(body: &Body) -> Vec<&str> {
        body.objects.iter().map(|named| named.key.as_str()).collect()
    }

    #[test]
    fn a_notification_of_s3_is_read_and_its_key_decoded_as_a_form() {
        let records = [record("AWSLogs/a+b%2Bc%C3%A9.json.gz"), record("plain")];
        let body = read_body(&json!({ "Records": records }).to_string());

        assert_eq!((body.shape, body.problem, body.others), (Some(Shape::S3), None, 0));
        assert_eq!(keys(&body), ["AWSLogs/a b+cé.json.gz", "plain"]);
        let first = &body.objects[0];
        assert_eq!((first.bucket.as_str(), first.size), ("logs", Some(12)));
        assert_eq!((first.etag.as_deref(), first.time), (Some("ab12"), Some(1_790_820_184_567)));
    }

    #[test]
    fn sns_wraps_every_form_and_says_when_it_was_sent() {
        let wrap = |message: Value| {
            json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn",
                "Timestamp": "2026-10-01T00:00:00.000Z", "Message": message.to_string()})
            .to_string()
        };
        let body = read_body(&wrap(json!({ "Records": [record("a+b")] })));
        assert_eq!((body.shape, keys(&body)), (Some(Shape::S3ThroughSns), vec!["a b"]));

        let trail = json!({"s3Bucket": "logs", "s3ObjectKey": ["a+b", "c%20d"]});
        for text in [wrap(trail.clone()), trail.to_string()] {
            let body = read_body(&text);
            assert_eq!((body.shape, keys(&body)), (Some(Shape::Trail), vec!["a+b", "c%20d"]));
            assert_eq!((body.objects[0].size, &body.objects[0].etag), (None, &None));
        }
        assert_eq!(read_body(&wrap(trail)).objects[0].time, Some(1_790_812_800_000));
    }

    #[test]
    fn an_event_of_eventbridge_has_its_key_as_it_is() {
        let mut event = json!({
            "version": "0", "detail-type": "Object Created", "source": "aws.s3", "time": "2026-10-01T00:00:00Z",
            "detail": {"bucket": {"name": "logs"}, "reason": "PutObject",
                "object": {"key": "a+b%20c", "size": 5, "etag": "cd", "sequencer": "1"}}
        });
        let body = read_body(&event.to_string());
        assert_eq!((body.shape, keys(&body)), (Some(Shape::EventBridge), vec!["a+b%20c"]));
        assert_eq!(body.objects[0].etag.as_deref(), Some("cd"));

        event["detail-type"] = "Object Deleted".into();
        let body = read_body(&event.to_string());
        assert_eq!((body.objects.len(), body.others, body.problem), (0, 1, None));
    }

    #[test]
    fn tests_are_told_from_what_is_unknown() {
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "logs"});
        assert!(read_body(&test.to_string()).is_test);
        for (text, problem) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{}", "unknown message"),
            (
                r#"{"Type":"SubscriptionConfirmation"}"#,
                "an SNS subscription that waits to be confirmed",
            ),
            (
                r#"{"detail-type":"x","source":"aws.ec2"}"#,
                "an event of EventBridge that is not S3's",
            ),
            (r#"{"Records":[{"eventSource":"aws:ses"}]}"#, "a notification that is not S3's"),
        ] {
            let body = read_body(text);
            assert_eq!((body.problem, body.is_test), (Some(problem), false), "{text}");
        }
    }

    #[test]
    fn a_bad_record_leaves_its_siblings_readable() {
        let mut other = record("x");
        other["eventName"] = "ObjectRemoved:Delete".into();
        let mut old = record("x");
        old["eventVersion"] = "3.0".into();
        let records = [record("%ff"), record("a%2"), other, old, record("good")];

        let body = read_body(&json!({ "Records": records }).to_string());

        assert_eq!((keys(&body), body.others), (vec!["good"], 1));
        assert!(body.problem.is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", key in "[+%0-9a-fA-F]{0,20}") {
            read_body(&text);
            read_body(&json!({ "Records": [record(&key)] }).to_string());
            read_body(&json!({"Type": "Notification", "Message": text}).to_string());
        }
    }
}
