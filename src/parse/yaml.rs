//! What `aws … --output yaml` prints, and records that a tool has written as YAML, as JSON.

use crate::parse::lines::may_hold_records;
use crate::parse::minify::escape_json;
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Lists and objects in each other that are followed.
const MAX_NESTING: usize = 64;
/// The JSON may be so many times as long as the YAML, which can name a value and repeat it.
const MAX_GROWTH: usize = 8;
const LEAST_LIMIT: usize = 1 << 20;

/// Returns the JSON of YAML in which records have keys of their own or are texts; nothing of any other text.
///
/// Documents stand one after another. The JSON of YAML that is damaged inside a document ends where the damage begins,
/// without an end, so that a reader sees that something is missing.
pub fn json_of_yaml(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    if !is_yaml(text) {
        return None;
    }
    let limit = text.len().saturating_mul(MAX_GROWTH).max(LEAST_LIMIT);
    let mut writer = Writer { limit, ..Writer::default() };
    for event in Parser::new_from_str(std::str::from_utf8(text).ok()?) {
        let Ok((event, _)) = event else {
            return writer.damaged();
        };
        writer.add(event)?;
    }
    (!writer.out.is_empty()).then_some(writer.out)
}

/// Whether a line has a key that records or LookupEvents have, without quotes, or an item that is a text with a record.
fn is_yaml(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    !matches!(text.first(), None | Some(b'{' | b'[' | b','))
        && may_hold_records(text)
        && (text.starts_with(b"'{\"eventV")
            || text.split(|byte| *byte == b'\n').any(is_line_of_yaml))
}

fn is_line_of_yaml(line: &[u8]) -> bool {
    let mut line = line.trim_ascii_start();
    let mut is_item = false;
    while let Some(item) = line.strip_prefix(b"- ") {
        line = item.trim_ascii_start();
        is_item = true;
    }
    if let Some(value) = line.strip_prefix(b"CloudTrailEvent: ") {
        return matches!(value.first(), Some(b'\'' | b'"' | b'|' | b'>'));
    }
    let is_text = line.starts_with(b"'{\"eventV") || line.starts_with(b"\"{\\\"eventV");
    line.starts_with(b"eventVersion: ") || (is_item && is_text)
}

/// A list or an object that has not ended.
struct Open {
    anchor: usize,
    start: usize,
    /// The keys of an object so far.
    keys: Option<HashSet<String>>,
    /// Whether an object's key waits for its value.
    has_key: bool,
    is_empty: bool,
}

/// Writes JSON, event by event.
#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    open: Vec<Open>,
    /// Values that have names.
    named: HashMap<usize, Range<usize>>,
    limit: usize,
}

impl Writer {
    /// Adds what an event says; nothing if JSON cannot say it.
    fn add(&mut self, event: Event<'_>) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if self.is_at_key() {
                    return self.key(&text);
                }
                self.separate();
                let start = self.out.len();
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                match is_plain.then(|| plain(&text)).flatten() {
                    Some(json) => self.out.extend_from_slice(json.as_bytes()),
                    None => escape_json(text.as_bytes(), &mut self.out),
                }
                self.end_value(anchor, start);
            }
            Event::Alias(anchor) if !self.is_at_key() => {
                let named = self.named.get(&anchor)?.clone();
                self.separate();
                self.out.extend_from_within(named);
                self.end_value(0, 0);
            }
            Event::SequenceStart(anchor, _) if !self.is_at_key() => self.begin(anchor, None)?,
            Event::MappingStart(anchor, _) if !self.is_at_key() => {
                self.begin(anchor, Some(HashSet::new()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop()?;
                self.out.push(if open.keys.is_some() { b'}' } else { b']' });
                self.end_value(open.anchor, open.start);
            }
            Event::DocumentEnd => self.out.push(b'\n'),
            Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) => return None,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
        }
        (self.out.len() <= self.limit).then_some(())
    }

    /// What was read until the damage; nothing between documents, where JSON would not tell that the rest is missing.
    fn damaged(mut self) -> Option<Vec<u8>> {
        let is_list = self.open.last()?.keys.is_none();
        if is_list {
            // A list that only has no end may have lost nothing: an object without an end has.
            self.separate();
            self.out.push(b'{');
        }
        Some(self.out)
    }

    fn is_at_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.keys.is_some() && !open.has_key)
    }

    /// Adds a key, which must be the only one of its name: JSON's reader would take the first.
    fn key(&mut self, text: &str) -> Option<()> {
        let open = self.open.last_mut()?;
        let is_new = open.keys.as_mut()?.insert(text.to_owned());
        if !open.is_empty {
            self.out.push(b',');
        }
        (open.is_empty, open.has_key) = (false, true);
        escape_json(text.as_bytes(), &mut self.out);
        is_new.then_some(())
    }

    fn separate(&mut self) {
        let Some(open) = self.open.last_mut() else { return };
        if open.keys.is_some() {
            self.out.push(b':');
        } else if !open.is_empty {
            self.out.push(b',');
        }
        open.is_empty = false;
    }

    fn begin(&mut self, anchor: usize, keys: Option<HashSet<String>>) -> Option<()> {
        self.separate();
        let start = self.out.len();
        self.out.push(if keys.is_some() { b'{' } else { b'[' });
        self.open.push(Open { anchor, start, keys, has_key: false, is_empty: true });
        (self.open.len() <= MAX_NESTING).then_some(())
    }

    fn end_value(&mut self, anchor: usize, start: usize) {
        if anchor > 0 {
            self.named.insert(anchor, start..self.out.len());
        }
        if let Some(open) = self.open.last_mut() {
            open.has_key = false;
        }
    }
}

/// The JSON of a scalar without quotes that is not a text, by YAML's core schema.
fn plain(text: &str) -> Option<&str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some("null"),
        "true" | "True" | "TRUE" => Some("true"),
        "false" | "False" | "FALSE" => Some("false"),
        _ => {
            let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
                && serde_json::from_str::<serde_json::Number>(text).is_ok();
            is_number.then_some(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(yaml: &str) -> Vec<Value> {
        let json = json_of_yaml(yaml.as_bytes()).unwrap();
        serde_json::Deserializer::from_slice(&json).into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn what_the_aws_cli_prints_is_read() {
        let yaml = r#"Events:
- AccessKeyId: AKIAEXAMPLE
  CloudTrailEvent: '{"eventVersion":"1.08","userAgent":"it''s a long one that
    goes on","n":1}'
  EventTime: '2026-10-01T00:00:00+00:00'
  ReadOnly: 'true'
  Resources: []
- CloudTrailEvent: "{\"eventVersion\":\"1.08\",\"e\":\"\xE9\"}"
"#;

        assert_eq!(
            read(yaml),
            [json!({"Events": [
                {"AccessKeyId": "AKIAEXAMPLE",
                 "CloudTrailEvent": "{\"eventVersion\":\"1.08\",\"userAgent\":\"it's a long one that goes on\",\"n\":1}",
                 "EventTime": "2026-10-01T00:00:00+00:00", "ReadOnly": "true", "Resources": []},
                {"CloudTrailEvent": "{\"eventVersion\":\"1.08\",\"e\":\"é\"}"},
            ]})]
        );
        assert_eq!(
            read("- '{\"eventVersion\":1}'\n- '{\"eventVersion\":2}'\n"),
            [json!(["{\"eventVersion\":1}", "{\"eventVersion\":2}"])]
        );
        assert_eq!(read("'{\"eventVersion\":1}'\n...\n"), [json!("{\"eventVersion\":1}")]);
    }

    #[test]
    fn records_in_yaml_are_read() {
        let yaml = "---\neventVersion: '1.08'\nuserIdentity: &id\n  type: Root\n  n: -1.50\n\
                    sessionContext: *id\nreadOnly: false\nerrorCode:\nblock: |\n  a\n  b\nport: 0443\n\
                    ---\neventVersion: 1.1\n";

        assert_eq!(
            read(yaml),
            [
                json!({"eventVersion": "1.08", "userIdentity": {"type": "Root", "n": -1.5},
                    "sessionContext": {"type": "Root", "n": -1.5}, "readOnly": false,
                    "errorCode": null, "block": "a\nb\n", "port": "0443"}),
                json!({"eventVersion": 1.1}),
            ]
        );
    }

    #[test]
    fn json_of_damaged_yaml_ends_where_the_damage_begins() {
        let yaml = "Events:\n- CloudTrailEvent: '{\"a\":1}'\n- CloudTrailEvent: '{\"b\":";

        let json = json_of_yaml(yaml.as_bytes()).unwrap();

        assert_eq!(json, br#"{"Events":[{"CloudTrailEvent":"{\"a\":1}"},{"CloudTrailEvent""#);
        let list = json_of_yaml(
            br#"- '{"eventVersion":1}'
- '{"eventVer"#,
        );
        assert_eq!(list.unwrap(), br#"["{\"eventVersion\":1}",{"#);
    }

    #[test]
    fn other_text_is_not_yaml() {
        for text in [
            "",
            "{\"eventVersion\": 1}",
            "[a]\neventVersion: 1",
            "key: value",
            "CloudTrailEvent: {\"a\":1}\nCloudTrailEvent: {\"a\":2}",
            "eventVersion: 1\neventVersion: 2",
            "? [a]\n: b\neventVersion: 1",
            "message: {\"eventVersion\":1}",
            "\"{\\\"eventVersion\\\":1}\"\n\"{\\\"eventVersion\\\":2}\"\n",
            "eventVersion: 1\n---\n'a' 'b'\n",
        ] {
            assert_eq!(json_of_yaml(text.as_bytes()), None, "{text}");
        }
        let nested = format!("eventVersion: {}1{}", "[".repeat(80), "]".repeat(80));
        assert_eq!(json_of_yaml(nested.as_bytes()), None);
    }

    #[test]
    fn a_value_that_repeats_itself_is_bounded() {
        let mut yaml =
            "eventVersion: x\na0: &a0 [aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n".to_owned();
        for at in 1..40 {
            let before = format!("*a{}", at - 1);
            yaml += &format!("a{at}: &a{at} [{before} , {before} , {before} ]\n");
        }
        assert_eq!(json_of_yaml(yaml.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[-a-z:'\"|>&*!?%@`{}\\[\\],#\\\\ \n\té]{0,80}") {
            json_of_yaml(format!("eventVersion: 1\n{text}").as_bytes());
            json_of_yaml(format!("{text}\neventVersion: 1\n").as_bytes());
        }
    }
}
