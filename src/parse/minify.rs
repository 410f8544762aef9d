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

    proptest! {
        #[test]
        fn an_escaped_string_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            escape_json(text.as_bytes(), &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
