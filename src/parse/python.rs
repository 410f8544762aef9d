//! What Python prints of a dictionary, as JSON: `{'eventVersion': '1.09', 'readOnly': False}`.

use crate::parse::minify::escape_json;

/// Returns the JSON of a text that begins as Python prints dictionaries or lists of them.
pub fn json_of_python(text: &[u8]) -> Option<Vec<u8>> {
    let open = text.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let first =
        text[open..].iter().find(|byte| !matches!(byte, b'{' | b'[' | b' ' | b'\n' | b'\r'));
    if !matches!(text[open], b'{' | b'[') || first != Some(&b'\'') {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at = match byte {
            b'\'' | b'"' => string(text, at, &mut out),
            b'a'..=b'z' | b'A'..=b'Z' => word(text, at, &mut out),
            _ => {
                out.push(*byte);
                at + 1
            }
        };
    }
    Some(out)
}

/// Appends the string that opens at `at`; returns where it ends.
fn string(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let quote = text[at];
    let mut content = Vec::new();
    let mut at = at + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            _ if *byte == quote => {
                escape_json(&content, out);
                return at + 1;
            }
            b'\\' => at = escape(text, at, &mut content),
            _ => {
                content.push(*byte);
                at += 1;
            }
        }
    }
    // A string without an end stays one without.
    escape_json(&content, out);
    out.pop();
    at
}

/// Appends what an escape stands for; returns where it ends.
fn escape(text: &[u8], at: usize, content: &mut Vec<u8>) -> usize {
    let hex = |digits: usize| {
        let digits = std::str::from_utf8(text.get(at + 2..at + 2 + digits)?).ok()?;
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    };
    let (character, length) = match text.get(at + 1) {
        Some(b'n') => (Some('\n'), 2),
        Some(b't') => (Some('\t'), 2),
        Some(b'r') => (Some('\r'), 2),
        Some(b'x') => (hex(2), 4),
        Some(b'u') => (hex(4), 6),
        Some(b'U') => (hex(8), 10),
        Some(other) if other.is_ascii() => (Some(char::from(*other)), 2),
        _ => (None, 1),
    };
    match character {
        Some(character) => {
            content.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at + length
        }
        None => {
            content.push(b'\\');
            at + 1
        }
    }
}

/// Appends a name such as `None`, or a call such as `datetime.datetime(…)` as text; returns where it ends.
fn word(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let rest = &text[at..];
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let mut length = rest.iter().take_while(|byte| is_name(byte)).count();
    let mut open = 0_usize;
    while let Some(byte) = rest.get(length).filter(|byte| open > 0 || **byte == b'(') {
        length += 1;
        match byte {
            b'(' => open += 1,
            b')' => open -= 1,
            b'\n' => break,
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
    match &rest[..length] {
        b"None" => out.extend_from_slice(b"null"),
        b"True" => out.extend_from_slice(b"true"),
        b"False" => out.extend_from_slice(b"false"),
        // Part of a number.
        name if out.last().is_some_and(u8::is_ascii_digit) => out.extend_from_slice(name),
        name => escape_json(name, out),
    }
    at + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dictionaries_are_read() {
        let text = r#"[{'a': 'it\'s "x"', 'b': "it's", 'c': None, 'd': [True, False, 1.5e3, -2],
 'e': datetime.datetime(2026, 10, 1, tzinfo=tz(0)), 'f': '\u00e9\x41\\', 'é': {}}]"#;

        let json = json_of_python(text.as_bytes()).unwrap();

        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let expected = serde_json::json!([{
            "a": "it's \"x\"", "b": "it's", "c": null, "d": [true, false, 1.5e3, -2],
            "e": "datetime.datetime(2026, 10, 1, tzinfo=tz(0))", "f": "éA\\", "é": {}
        }]);
        assert_eq!(value, expected);
    }

    #[test]
    fn json_and_other_text_are_not_python() {
        for text in ["", "{\"a\":'b'}", "{}", "'a'", "[1, 'a']", "x"] {
            assert_eq!(json_of_python(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[{][{' ][a-zA-Z0-9'\"\\\\(){},:\n é]{0,60}") {
            json_of_python(text.as_bytes());
        }
    }
}
