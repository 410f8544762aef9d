//! Text-level JSON: dropping whitespace outside strings, and escaping a string.

use memchr::memchr2;

/// Appends `text`, which is valid JSON, to `out` without the whitespace outside strings.
pub fn minify_json(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(first) = rest.first() {
        let length = match first {
            b' ' | b'\n' | b'\r' | b'\t' => {
                rest = rest.trim_ascii_start();
                continue;
            }
            b'"' => string_len(rest),
            _ => rest.iter().position(|byte| *byte == b'"' || *byte <= b' ').unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length.max(1));
        out.extend_from_slice(token);
        rest = after;
    }
}

/// Returns the length of the string that `text` begins with, quotes included; all of `text` if it
/// does not end.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// Appends `text` to `out` as a JSON string with its quotes.
pub fn escape_json(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends what a JSON string stands for, of which `inside` is the text between its quotes. Returns
/// whether all of it is text: an unknown escape and half of a surrogate pair are not.
pub(super) fn unescape_json(inside: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(escape) = rest.get(at + 1) else { return false };
        let mut length = 2;
        match escape {
            b'"' | b'\\' | b'/' => out.push(*escape),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => {
                let Some((character, taken)) = unicode_escape(&rest[at..]) else { return false };
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                length = taken;
            }
            _ => return false,
        }
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
    true
}

/// The character that `\uXXXX`, or two of them, stand for, and how many bytes they take.
fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        is_hex.then(|| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()).flatten()
    };
    let first = unit(0)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = unit(6).filter(|second| (0xDC00..0xE000).contains(second))?;
    let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    Some((char::from_u32(code)?, 12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whitespace_goes_outside_strings_only() {
        let mut out = Vec::new();
        minify_json(b"{ \"a\\\" b\" : [ 1 ,\n\t\" x \" ] }", &mut out);
        assert_eq!(out, b"{\"a\\\" b\":[1,\" x \"]}");
    }

    #[test]
    fn what_does_not_end_is_kept() {
        for text in ["\"a b", "\"a\\", "\"", "[\"a\\\" "] {
            let mut out = Vec::new();
            minify_json(text.as_bytes(), &mut out);
            assert_eq!(out, text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn what_is_not_text_is_not_unescaped() {
        for inside in ["\\", "\\x", "\\u12", "\\ud83d", "\\ud83d\\u0041", "\\ude00", "\\u+123"] {
            assert!(!unescape_json(inside.as_bytes(), &mut Vec::new()), "{inside}");
        }
        let mut out = Vec::new();
        assert!(unescape_json(br#"\ud83d\ude00\/\b\f\u00e9\\u0041"#, &mut out));
        assert_eq!(out, "😀/\u{8}\u{c}é\\u0041".as_bytes());
    }

    proptest! {
        #[test]
        fn unescaping_agrees_with_serde_json(text in any::<String>()) {
            let quoted = serde_json::to_string(&text).unwrap();
            let mut out = Vec::new();
            prop_assert!(unescape_json(&quoted.as_bytes()[1..quoted.len() - 1], &mut out));
            prop_assert_eq!(out, text.as_bytes());
        }

        #[test]
        fn an_escaped_string_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            escape_json(text.as_bytes(), &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
