//! YAML, as `verify` reads it: what the AWS CLI prints, and records that a tool has written as YAML.

use super::tables;
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::BTreeMap;

/// Lists and objects in each other.
const DEEPEST: usize = 64;
/// What a text may grow to: so many times its length, and this at least.
const GROWTH: usize = 8;
const LEAST: usize = 1 << 20;

/// Why a text is not read to its end.
enum Stop {
    /// The text is damaged: what was read stands.
    Damaged,
    /// JSON has no such thing, or too much of it.
    NotJson,
}

/// Returns the JSON of YAML that holds records; nothing of any other text.
pub(super) fn as_json(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let lead = text.iter().position(|byte| !byte.is_ascii_whitespace())?;
    if matches!(text[lead], b'{' | b'[' | b',') || !tables::may_hold_records(text) {
        return None;
    }
    let is_text = text[lead..].starts_with(br#"'{"eventV"#);
    if !is_text && !text.split(|byte| *byte == b'\n').any(is_telling) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let most = LEAST.max(text.len().saturating_mul(GROWTH));
    let events = Parser::new_from_str(text).map(|event| event.ok().map(|(event, _)| event));
    let mut reader = Reader { events, json: String::new(), said: BTreeMap::new(), most };
    loop {
        // Damage between documents would go unnoticed.
        match reader.next().ok()? {
            Event::StreamEnd => break,
            Event::DocumentEnd => reader.json.push('\n'),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
            event => match reader.value(event, 0) {
                Err(Stop::Damaged) => break,
                Err(Stop::NotJson) => return None,
                Ok(()) => {}
            },
        }
    }
    (!reader.json.is_empty()).then(|| reader.json.into_bytes())
}

/// Whether a line says that its text is YAML with records in it.
fn is_telling(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let (whole, mut line) = (line.trim_ascii_start(), line.trim_ascii_start());
    while line.starts_with("- ") {
        line = line[2..].trim_ascii_start();
    }
    let is_item = line.len() < whole.len();
    let is_text = ["'", "\"", "|", ">"]
        .iter()
        .any(|opens| line.starts_with(&format!("CloudTrailEvent: {opens}")));
    is_text
        || line.starts_with("eventVersion: ")
        || (is_item && line.starts_with(r#"'{"eventV"#))
        || (is_item && line.starts_with(r#""{\"eventV"#))
}

struct Reader<E> {
    events: E,
    json: String,
    /// Values that are said again by a name.
    said: BTreeMap<usize, String>,
    most: usize,
}

impl<'e, E: Iterator<Item = Option<Event<'e>>>> Reader<E> {
    fn next(&mut self) -> Result<Event<'e>, Stop> {
        self.events.next().flatten().ok_or(Stop::Damaged)
    }

    /// Appends the value that an event begins.
    fn value(&mut self, event: Event<'e>, depth: usize) -> Result<(), Stop> {
        let from = self.json.len();
        let name = match event {
            Event::Alias(name) => {
                let said = self.said.get(&name).ok_or(Stop::NotJson)?;
                self.json.push_str(said);
                0
            }
            Event::Scalar(text, style, name, tag) => {
                let is_text = style != ScalarStyle::Plain || tag.is_some();
                self.scalar(&text, is_text);
                name
            }
            Event::SequenceStart(name, _) => {
                self.json.push('[');
                self.list(depth + 1)?;
                name
            }
            Event::MappingStart(name, _) => {
                self.json.push('{');
                self.object(depth + 1)?;
                name
            }
            _ => return Err(Stop::NotJson),
        };
        if name > 0 {
            self.said.insert(name, self.json[from..].to_owned());
        }
        if self.json.len() > self.most { Err(Stop::NotJson) } else { Ok(()) }
    }

    fn list(&mut self, depth: usize) -> Result<(), Stop> {
        if depth > DEEPEST {
            return Err(Stop::NotJson);
        }
        let mut is_first = true;
        loop {
            let event = self.next();
            if matches!(event, Ok(Event::SequenceEnd)) {
                self.json.push(']');
                return Ok(());
            }
            if !is_first {
                self.json.push(',');
            }
            is_first = false;
            match event {
                Ok(event) => self.value(event, depth)?,
                Err(stop) => {
                    // A piece without an end tells that the rest is missing.
                    self.json.push('{');
                    return Err(stop);
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Stop> {
        if depth > DEEPEST {
            return Err(Stop::NotJson);
        }
        let mut keys: Vec<String> = Vec::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => {
                    self.json.push('}');
                    return Ok(());
                }
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(Stop::NotJson),
            };
            if keys.contains(&key) {
                return Err(Stop::NotJson);
            }
            if !keys.is_empty() {
                self.json.push(',');
            }
            self.scalar(&key, true);
            keys.push(key);
            let value = self.next()?;
            self.json.push(':');
            self.value(value, depth)?;
        }
    }

    fn scalar(&mut self, text: &str, is_text: bool) {
        let is_number = || {
            matches!(text.as_bytes(), [b'-' | b'0'..=b'9', ..])
                && serde_json::from_str::<serde_json::Number>(text).is_ok()
        };
        match text {
            "null" | "Null" | "NULL" | "~" | "" if !is_text => self.json.push_str("null"),
            "true" | "True" | "TRUE" if !is_text => self.json.push_str("true"),
            "false" | "False" | "FALSE" if !is_text => self.json.push_str("false"),
            _ if !is_text && is_number() => self.json.push_str(text),
            _ => self.json.push_str(&serde_json::Value::from(text).to_string()),
        }
    }
}
