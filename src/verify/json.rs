//! JSON text as `verify` needs it: cut, never rebuilt.
//!
//! Values are slices of the untouched source. A structural scanner finds where a value ends,
//! `serde_json` alone decides whether a record is JSON, and nothing here shares code with the
//! converter's tape, so that an error there cannot hide itself here. Nothing recurses on input:
//! depth is counted, and [`canonical`] falls back to minified text below [`CANONICAL_DEPTH`].

use memchr::{memchr, memchr2, memchr2_iter, memchr3, memmem};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Objects deeper than this are compared as minified text instead of by value.
const CANONICAL_DEPTH: usize = 48;

/// One member of an object: the key as written (with quotes), the key's text, the value's text.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) quoted: &'a [u8],
    pub(super) key: Cow<'a, str>,
    pub(super) value: &'a [u8],
}

/// Whether a value is a number, a word, a whole text in which no JSON begins, or a list without any object.
pub(super) fn is_plain(value: &[u8]) -> bool {
    let Some(inside) = value.strip_prefix(b"\"") else {
        let is_list = value.starts_with(b"[") && value.len() > 1 && value.ends_with(b"]");
        return match is_list {
            true => memchr(b'{', value).is_none(),
            false => !value.starts_with(b"{") && !value.starts_with(b"["),
        };
    };
    inside.ends_with(b"\"") && !matches!(inside[0], b'{' | b'[' | b'\\' | b' ')
}

/// Returns the place of the first byte at or after `at` that is not JSON whitespace.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|byte| is_space(*byte)) {
        at += 1;
    }
    at
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Returns where the string that opens at `at` ends; `None` if it does not or holds a newline.
fn skip_string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr3(b'"', b'\\', b'\n', text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => return None,
        }
    }
}

/// Returns where the value that starts at `at` ends, by structure alone.
pub(super) fn skip_value(text: &[u8], at: usize) -> Option<usize> {
    match *text.get(at)? {
        b'"' => skip_string(text, at),
        b'{' | b'[' => skip_container(text, at),
        b',' | b':' | b'}' | b']' => None,
        _ => {
            let ends = |byte: &u8| is_space(*byte) || b",:{}[]\"".contains(byte);
            Some(text[at..].iter().position(ends).map_or(text.len(), |length| at + length))
        }
    }
}

fn skip_container(text: &[u8], mut at: usize) -> Option<usize> {
    let mut open = Vec::new();
    loop {
        match *text.get(at)? {
            b'"' => {
                at = skip_string(text, at)?;
                continue;
            }
            byte @ (b'{' | b'[') => open.push(byte),
            byte @ (b'}' | b']') => {
                if open.pop()? != if byte == b'}' { b'{' } else { b'[' } {
                    return None;
                }
                if open.is_empty() {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// Returns whether containers nest deeper than `limit` in a value.
pub(super) fn is_deeper(text: &[u8], limit: usize) -> bool {
    // Most records do not even open that many.
    memchr2_iter(b'{', b'[', text).nth(limit).is_some() && depth(text) > limit
}

/// Returns how deep containers nest in a value; a scalar has depth 0.
fn depth(text: &[u8]) -> usize {
    let (mut at, mut now, mut most) = (0, 0_usize, 0);
    while at < text.len() {
        match text[at] {
            b'"' => {
                at = skip_string(text, at).unwrap_or(text.len());
                continue;
            }
            b'{' | b'[' => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    most
}

/// Returns whether a text is one JSON value in UTF-8 whose strings are all Unicode text.
pub(super) fn is_valid(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok() && !has_lone_surrogate(text)
}

/// Finds `\ud800`-like escapes that no other half follows: JSON by grammar, but not text.
fn has_lone_surrogate(text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(found) = memmem::find(&text[from..], b"\\u") {
        let at = from + found;
        from = at + 2;
        let slashes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if slashes % 2 == 1 {
            continue; // an escaped backslash before a `u`
        }
        match unit_at(text, at) {
            Some(0xD800..=0xDBFF) => match unit_at(text, at + 6) {
                Some(0xDC00..=0xDFFF) => from = at + 12,
                _ => return true,
            },
            Some(0xDC00..=0xDFFF) => return true,
            _ => {}
        }
    }
    false
}

fn unit_at(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Returns the members of an object in their order, duplicates included; `None` if it is none.
pub(super) fn entries(text: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut members = Vec::new();
    let mut at = skip_space(text, 0);
    if text.get(at) != Some(&b'{') {
        return None;
    }
    at = skip_space(text, at + 1);
    if text.get(at) == Some(&b'}') {
        return Some(members);
    }
    loop {
        let (entry, after) = member_at(text, at)?;
        members.push(entry);
        at = skip_space(text, after);
        match text.get(at)? {
            b',' => at = skip_space(text, at + 1),
            b'}' => return Some(members),
            _ => return None,
        }
    }
}

fn member_at(text: &[u8], at: usize) -> Option<(Entry<'_>, usize)> {
    let (quoted, start) = key_at(text, at)?;
    let end = skip_value(text, start)?;
    Some((Entry { quoted, key: content(quoted)?, value: &text[start..end] }, end))
}

/// Returns the quoted key at `at` and where its value starts.
pub(super) fn key_at(text: &[u8], at: usize) -> Option<(&[u8], usize)> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let end = skip_string(text, at)?;
    let colon = skip_space(text, end);
    (text.get(colon) == Some(&b':')).then(|| (&text[at..end], skip_space(text, colon + 1)))
}

/// Returns the texts of an array's elements; `None` if it is none.
pub(super) fn elements(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    let mut at = skip_space(text, 0);
    if text.get(at) != Some(&b'[') {
        return None;
    }
    at = skip_space(text, at + 1);
    if text.get(at) == Some(&b']') {
        return Some(found);
    }
    loop {
        let end = skip_value(text, at)?;
        found.push(&text[at..end]);
        at = skip_space(text, end);
        match text.get(at)? {
            b',' => at = skip_space(text, at + 1),
            b']' => return Some(found),
            _ => return None,
        }
    }
}

/// Returns the content of a quoted string.
pub(super) fn content(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let inside = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr(b'\\', inside).is_none() {
        return std::str::from_utf8(inside).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(quoted).ok().map(Cow::Owned)
}

/// Appends a value's text without the whitespace outside its strings, escapes as they are.
pub(super) fn minify(text: &[u8], into: &mut Vec<u8>) {
    let mut at = 0;
    while at < text.len() {
        let start = at;
        while at < text.len() && !is_space(text[at]) {
            at = if text[at] == b'"' { string_end(text, at) } else { at + 1 };
        }
        into.extend_from_slice(&text[start..at]);
        at = skip_space(text, at);
    }
}

fn string_end(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// Appends a form in which two texts of the same JSON value are the same bytes: key order and
/// escapes do not count; how a number is written, and each of several equal keys, does.
pub(super) fn canonical(text: &[u8], into: &mut Vec<u8>) {
    canonical_below(text, CANONICAL_DEPTH, into);
}

fn canonical_below(text: &[u8], depth_left: usize, into: &mut Vec<u8>) {
    let known = match text.first() {
        Some(b'"') => content(text).map(|content| framed(b's', content.as_bytes(), into)),
        Some(b'{') if depth_left > 0 => entries(text).map(|members| {
            let members = members.into_iter().map(|member| {
                let mut value = Vec::new();
                canonical_below(member.value, depth_left - 1, &mut value);
                (member.key.into_owned(), value)
            });
            canonical_object(members.collect(), into);
        }),
        Some(b'[') if depth_left > 0 => elements(text).map(|items| {
            framed(b'a', &[], into);
            items.into_iter().for_each(|item| canonical_below(item, depth_left - 1, into));
            into.push(b']');
        }),
        _ => None,
    };
    if known.is_none() {
        let mut plain = Vec::with_capacity(text.len());
        minify(text, &mut plain);
        framed(b'v', &plain, into);
    }
}

/// Appends an object whose members' values are canonical already.
pub(super) fn canonical_object(mut members: Vec<(String, Vec<u8>)>, into: &mut Vec<u8>) {
    members.sort_unstable();
    framed(b'o', &[], into);
    for (key, value) in members {
        framed(b'k', key.as_bytes(), into);
        into.extend_from_slice(&value);
    }
    into.push(b'}');
}

/// Appends a tag, a length and the bytes, so that no two sequences of fields run together.
pub(super) fn framed(tag: u8, bytes: &[u8], into: &mut Vec<u8>) {
    into.push(tag);
    into.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    into.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minified(text: &str) -> String {
        let mut into = Vec::new();
        minify(text.as_bytes(), &mut into);
        String::from_utf8(into).unwrap()
    }

    fn canon(text: &str) -> Vec<u8> {
        let mut into = Vec::new();
        canonical(text.as_bytes(), &mut into);
        into
    }

    #[test]
    fn minifying_keeps_strings_escapes_and_numbers_as_written() {
        let text = "{ \"a b\" : [ 1.0 , 2e3,\t\"x \\\" \\u0041\\/\" ],\r\n \"c\": { } }";

        assert_eq!(minified(text), "{\"a b\":[1.0,2e3,\"x \\\" \\u0041\\/\"],\"c\":{}}");
    }

    #[test]
    fn duplicate_keys_are_kept_in_their_order() {
        let found = entries(b" {\"a\":1, \"\\u0061\" : {\"b\":[2]} } ").unwrap();

        let seen: Vec<_> = found.iter().map(|e| (e.key.as_ref(), e.value)).collect();
        assert_eq!(seen, [("a", b"1".as_slice()), ("a", b"{\"b\":[2]}")]);
    }

    #[test]
    fn canonical_forms_ignore_key_order_and_escapes_but_not_values() {
        assert_eq!(canon(r#"{"a":"\u0041", "b":[1,{}]}"#), canon(r#"{"b":[1,{}],"a":"A"}"#));
        assert_ne!(canon(r#"{"a":1.0}"#), canon(r#"{"a":1}"#));
        assert_ne!(canon(r#"{"a":1,"a":2}"#), canon(r#"{"a":2}"#));
        assert_ne!(canon(r#"["a","b"]"#), canon(r#"["a,b"]"#));
        assert_ne!(canon(r#"[["a"],"b"]"#), canon(r#"[["a","b"]]"#));
    }

    #[test]
    fn lone_surrogates_are_not_text() {
        assert!(is_valid(br#"{"a":"\ud83d\ude00 \\ud800"}"#));
        assert!(!is_valid(br#"{"a":"\ud83d"}"#));
        assert!(!is_valid(br#"{"a":"\\\ude00"}"#));
        assert!(!is_valid(b"{\"a\":\"\xff\"}"));
        assert!(!is_valid(br#"{"a":1,}"#));
    }

    #[test]
    fn depth_is_counted_without_recursion() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));

        assert_eq!(depth(deep.as_bytes()), 100_000);
        assert_eq!(depth(b"{\"a\":\"[[[\"}"), 1);
        canonical(deep.as_bytes(), &mut Vec::new());
    }

    #[test]
    fn structure_that_does_not_close_has_no_end() {
        for text in ["{\"a\":1", "{\"a\":1]", "\"abc", "{\"a\":\"b\n\"}", ""] {
            assert_eq!(skip_value(text.as_bytes(), 0), None, "{text}");
        }
        assert_eq!(skip_value(b"-1.5e3,", 0), Some(6));
    }
}
