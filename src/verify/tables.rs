//! Text that is not JSON, as `verify` reads it: rows of separated values, lines with JSON in them, and what
//! Python prints of a dictionary.
//!
//! A row of a table that holds no whole record is a partial one: its cells under CloudTrail's keys.

use super::contract::{Family, Shape, WRAPPER};
use super::json;
use memchr::{memchr, memmem};
use std::ops::Range;

/// Bytes of a table's first line that are looked at.
const MAX_HEADER: usize = 64 << 10;
/// Places in a line where JSON may begin that are tried.
const MAX_TRIED: usize = 16;

/// Where a cell goes: a key, whether it is in the identity, and whether JSON in it is kept as such.
type Target = Option<(&'static str, bool, bool)>;

fn target(name: &str) -> Target {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    let folded: String = letters.flat_map(char::to_lowercase).collect();
    match folded.as_str() {
        "username" => return Some(("userName", true, false)),
        "awsaccesskey" | "accesskeyid" => return Some(("accessKeyId", true, false)),
        "resources" if name.starts_with(|c: char| c.is_ascii_uppercase()) => return None,
        _ => {}
    }
    let column = Family::Events
        .columns()
        .iter()
        .find(|column| !column.key.is_empty() && column.key.eq_ignore_ascii_case(&folded))?;
    let is_json = matches!(column.shape, Shape::FreeForm | Shape::Struct(_) | Shape::List(_));
    Some((column.key, false, is_json))
}

/// The columns of a table.
pub(super) struct Header {
    targets: Vec<Target>,
    /// Whether times without a zone are UTC.
    pub(super) is_utc: bool,
    /// Whether the table may be one of records.
    pub(super) is_known: bool,
}

impl Header {
    /// How many columns there are.
    pub(super) fn columns(&self) -> usize {
        self.targets.len()
    }

    fn new(names: &[String]) -> Self {
        let targets: Vec<Target> = names.iter().map(|name| target(name)).collect();
        let records = [
            "_raw",
            "@message",
            "message",
            "eventjson",
            "cloudtrailevent",
            "event",
            "event.original",
            "_source",
            "full_log",
            "raw_data",
            "jsonPayload",
            "textPayload",
        ];
        let holds = |name: &String| records.iter().any(|own| own.eq_ignore_ascii_case(name));
        let is_known = targets.iter().flatten().count() >= 2 || names.iter().any(holds);
        let is_utc = names.iter().any(|name| name == "eventTime" || name == "eventID");
        Self { targets, is_utc, is_known }
    }

    /// The cells that may be whole records.
    pub(super) fn records<'c>(&self, cells: &'c [Vec<u8>]) -> Vec<&'c [u8]> {
        let loose = cells.iter().zip(&self.targets).filter(|(_, target)| target.is_none());
        let texts = loose.map(|(cell, _)| cell.trim_ascii());
        texts.filter(|text| text.starts_with(b"{") && is_json(text)).collect()
    }

    /// The partial record of a row, if it has enough for one.
    pub(super) fn partial(&self, cells: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut members = Vec::new();
        let mut identity = Vec::new();
        for (cell, target) in cells.iter().zip(&self.targets) {
            let (Some((key, is_identity, keeps_json)), false) = (target, cell.is_empty()) else {
                continue;
            };
            let text = String::from_utf8_lossy(cell);
            // Bytes that are not UTF-8 are no JSON.
            let is_container = matches!(cell.first(), Some(b'{' | b'[')) && is_json(cell);
            let value = match *keeps_json && is_container {
                true => text.into_owned(),
                false => serde_json::Value::from(&*text).to_string(),
            };
            let list = if *is_identity { &mut identity } else { &mut members };
            list.push(format!("\"{key}\":{value}"));
        }
        if members.len() + identity.len() < 2 {
            return None;
        }
        if !identity.is_empty() {
            members.push(format!("\"userIdentity\":{{{}}}", identity.join(",")));
        }
        members.push(format!("\"{WRAPPER}\":{{\"partial\":true}}"));
        Some(format!("{{{}}}", members.join(",")).into_bytes())
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok()
}

/// Reads a table's header and its rows; nothing if the text does not begin with a header that is known.
pub(super) fn table(text: &[u8]) -> Option<(Header, impl Iterator<Item = Vec<Vec<u8>>>)> {
    let (said, text) = after_said_delimiter(text);
    let first = &text[..text.len().min(MAX_HEADER)];
    let first = first.split(|byte| *byte == b'\n').next().unwrap_or(first);
    let count = |delimiter: u8| first.iter().filter(|byte| **byte == delimiter).count();
    let mut delimiter = b',';
    for other in [b'\t', b';'] {
        delimiter = if count(other) > count(delimiter) { other } else { delimiter };
    }
    let delimiter = said.unwrap_or(delimiter);
    let mut at = 0;
    let mut rows = std::iter::from_fn(move || csv_row(text, &mut at, delimiter));
    let names = rows.next()?.into_iter();
    let names: Vec<String> =
        names.map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()).collect();
    let header = Header::new(&names);
    header.is_known.then_some((header, rows))
}

/// What Excel's line `sep=;` says, and the text behind it.
fn after_said_delimiter(text: &[u8]) -> (Option<u8>, &[u8]) {
    let end = memchr(b'\n', &text[..text.len().min(8)]).unwrap_or(0);
    match text[..end].trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] if delimiter.is_ascii() => {
            (Some(*delimiter), &text[end + 1..])
        }
        _ => (None, text),
    }
}

/// The cells of the row at a place of separated values, which is moved behind it; empty lines are no rows.
fn csv_row(text: &[u8], at: &mut usize, delimiter: u8) -> Option<Vec<Vec<u8>>> {
    while matches!(text.get(*at), Some(b'\n' | b'\r')) {
        *at += 1;
    }
    text.get(*at)?;
    let (mut cells, mut cell) = (Vec::new(), Vec::new());
    let (mut is_first, mut is_quoted) = (true, false);
    while let Some(byte) = text.get(*at) {
        *at += 1;
        match byte {
            b'"' if is_quoted && text.get(*at) == Some(&b'"') => {
                cell.push(b'"');
                *at += 1;
            }
            b'"' if is_quoted => is_quoted = false,
            b'"' if is_first => is_quoted = true,
            byte if !is_quoted && *byte == delimiter => {
                cells.push(std::mem::take(&mut cell));
                is_first = true;
                continue;
            }
            b'\n' | b'\r' if !is_quoted => break,
            byte => cell.push(*byte),
        }
        is_first = false;
    }
    cells.push(cell);
    Some(cells)
}

/// Reads a row that is a list of cells.
pub(super) fn listed(row: &[u8]) -> (Header, Vec<Vec<u8>>) {
    let text = |value: &[u8]| match json::content(value) {
        Some(text) => text.into_owned(),
        None if value == b"null" => String::new(),
        None => String::from_utf8_lossy(value).into_owned(),
    };
    let (mut names, mut cells) = (Vec::new(), Vec::new());
    for cell in json::elements(row).unwrap_or_default() {
        let members = json::entries(cell).unwrap_or_default();
        let of = |name: &str| members.iter().find(|own| own.key == name).map(|own| text(own.value));
        if let Some((field, value)) = of("field").zip(of("value")) {
            names.push(field);
            cells.push(value.into_bytes());
            continue;
        }
        for member in &members {
            names.push(member.key.to_string());
            cells.push(text(member.value).into_bytes());
        }
    }
    let is_utc = names.iter().any(|name| !name.starts_with('@'));
    (Header { is_utc, ..Header::new(&names) }, cells)
}

/// Whether a text has any of the words without which it holds no records.
pub(super) fn may_hold_records(text: &[u8]) -> bool {
    let words: [&[u8]; 4] =
        [b"eventVersion", b"eventversion", b"event_version", b"CloudTrailEvent"];
    words.iter().any(|word| memmem::find(text, word).is_some())
}

/// Returns where padding ends that begins at a place.
pub(super) fn after_padding(text: &[u8], mut at: usize) -> usize {
    loop {
        at += match text.get(at) {
            Some(b' ' | b'\n' | b'\r' | b'\t' | 0 | 0x1a | 0x1e) => 1,
            Some(0xef) if text[at..].starts_with("\u{feff}".as_bytes()) => 3,
            _ => return at,
        };
    }
}

fn is_blank(text: &[u8]) -> bool {
    after_padding(text, 0) == text.len()
}

/// Whether a line says nothing about records: a rule, a comment, what the AWS CLI prints beside events.
pub(super) fn is_remark(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let words: [&[u8]; 6] =
        [b"//", b"# ", b"```", b"RESOURCES\t", b"NEXTTOKEN\t", b"SEARCHEDLOGSTREAMS\t"];
    let is_border = line.starts_with(b"|") || line.starts_with(b"+");
    is_blank(line)
        || line.iter().all(|byte| b"-=*#_~".contains(byte))
        || words.iter().any(|own| line.starts_with(own))
        || (is_border && memchr(b'{', line).is_none())
}

/// Hands over the JSON objects in lines of text, with the place where each begins; `take` says whether one
/// holds records. Returns how many lines have none.
pub(super) fn lines(text: &[u8], take: &mut dyn FnMut(&[u8], usize) -> bool) -> u64 {
    let (mut at, mut without, mut is_whole) = (0, 0, true);
    while at < text.len() {
        let end_of =
            |at: usize| memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length);
        let line = at..end_of(at);
        at = line.end + 1;
        if is_remark(&text[line.clone()]) {
            continue;
        }
        if is_quoted(text, &line, take) {
            continue;
        }
        let objects = objects(text, &line, &mut is_whole);
        let (mut from, mut end) = (line.start, line.end);
        for (index, object) in objects.iter().enumerate() {
            end = end.max(end_of(object.end));
            if take(&text[object.clone()], object.start) {
                from = if index + 1 == objects.len() { end } else { object.end };
            }
        }
        without += u64::from(from == line.start || !is_blank(&text[from..end]));
        if from > line.start {
            at = at.max(end + 1);
        }
    }
    without
}

/// Whether a line is a string that holds records.
fn is_quoted(text: &[u8], line: &Range<usize>, take: &mut dyn FnMut(&[u8], usize) -> bool) -> bool {
    let at = after_padding(text, line.start).min(line.end);
    let end = (text.get(at) == Some(&b'"')).then(|| json::skip_value(&text[..line.end], at));
    let Some(end) = end.flatten().filter(|end| is_json(&text[at..*end])) else { return false };
    let rest = &text[end..line.end];
    take(&text[at..end], at) && (is_blank(rest) || rest.trim_ascii() == b",")
}

/// The whole objects in a line; one that begins it, or opens where it ends, may end in a later line.
fn objects(text: &[u8], line: &Range<usize>, is_whole: &mut bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = line.start;
    let mut tried = 0;
    while tried < MAX_TRIED
        && let Some(next) = text.get(from..line.end).and_then(|rest| memchr(b'{', rest))
    {
        let at = from + next;
        let is_first =
            is_blank(&text[line.start..at]) || text[at + 1..line.end].trim_ascii().is_empty();
        let mut end = json::skip_value(&text[..line.end], at);
        if end.is_none() && is_first && *is_whole {
            end = json::skip_value(text, at);
            *is_whole = end.is_some();
        }
        match end.filter(|end| is_json(&text[at..*end])) {
            Some(end) => {
                found.push(at..end);
                from = end;
            }
            None => {
                from = at + 1;
                tried += 1;
            }
        }
    }
    found
}

/// Returns the JSON of a text that Python has printed; nothing of any other text.
pub(super) fn of_python(text: &[u8]) -> Option<Vec<u8>> {
    let lead = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut opened = text[lead..].iter().skip_while(|byte| b"{[ \n\r".contains(byte));
    if !matches!(text.get(lead), Some(b'{' | b'[')) || opened.next() != Some(&b'\'') {
        return None;
    }
    let text = String::from_utf8_lossy(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\'' || c == '"' {
            let (content, is_closed) = quoted(&mut rest, c);
            let quoted = serde_json::Value::from(content).to_string();
            out.push_str(if is_closed { &quoted } else { &quoted[..quoted.len() - 1] });
        } else if c.is_ascii_alphabetic() {
            let mut word = String::from(c);
            let mut depth = 0;
            while let Some(next) = rest.peek().copied() {
                let is_part = next.is_ascii_alphanumeric() || matches!(next, '_' | '.');
                if depth == 0 && next != '(' && (!is_part || word.ends_with(')')) {
                    break;
                }
                word.push(next);
                rest.next();
                depth += i32::from(next == '(') - i32::from(next == ')');
                if next == '\n' || (depth == 0 && next == ')') {
                    break;
                }
            }
            match word.as_str() {
                "None" => out.push_str("null"),
                "True" => out.push_str("true"),
                "False" => out.push_str("false"),
                word if out.ends_with(|c: char| c.is_ascii_digit()) => out.push_str(word),
                word => out.push_str(&serde_json::Value::from(word).to_string()),
            }
        } else {
            out.push(c);
        }
    }
    Some(out.into_bytes())
}

/// The content of a string of Python's, and whether it ends.
fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) -> (String, bool) {
    let mut content = String::new();
    while let Some(c) = rest.next() {
        if c == quote {
            return (content, true);
        }
        if c != '\\' {
            content.push(c);
            continue;
        }
        let digits = match rest.peek() {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        if digits > 0 {
            let code: String = rest.clone().skip(1).take(digits).collect();
            let found = u32::from_str_radix(&code, 16).ok().filter(|_| code.len() == digits);
            match found.and_then(char::from_u32) {
                Some(found) => {
                    content.push(found);
                    rest.nth(digits);
                }
                None => content.push('\\'),
            }
            continue;
        }
        match rest.next_if(char::is_ascii) {
            Some('n') => content.push('\n'),
            Some('t') => content.push('\t'),
            Some('r') => content.push('\r'),
            Some(other) => content.push(other),
            None => content.push('\\'),
        }
    }
    (content, false)
}
