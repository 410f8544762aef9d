//! Text-level JSON: dropping whitespace outside strings, and escaping a string.

/// Appends `text`, which is valid JSON, to `out` without the whitespace outside strings.
pub fn minify_json(text: &[u8], out: &mut Vec<u8>) {
    let mut in_string = false;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        if in_string {
            if byte == b'\\' && at + 1 < text.len() {
                out.extend_from_slice(&text[at..at + 2]);
                at += 2;
                continue;
            }
            in_string = byte != b'"';
            out.push(byte);
        } else if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            in_string = byte == b'"';
            out.push(byte);
        }
        at += 1;
    }
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

    proptest! {
        #[test]
        fn an_escaped_string_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            escape_json(text.as_bytes(), &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
