//! Objects in which no record was recognized: what they seem to be, and whether they may be ignored.
//!
//! Whatever looks like CloudTrail, or like something that was packed, encrypted or not downloaded, must not
//! pass for a file of another kind: it is quarantined.

use crate::parse::Foreign;
use memchr::memmem;

/// What becomes of an object without records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is of another kind.
    Ignored(String),
    /// It may hold records.
    Quarantined(String),
}

/// As many bytes as tell what a file is.
const HEAD_BYTES: usize = 1024;

/// Judges an object by its kind, its name and its text.
pub(super) fn judge(kind: &str, name: &str, text: &[u8]) -> Verdict {
    if kind != Foreign::NotJson.describe() && kind != Foreign::OtherJson.describe() {
        return Verdict::Ignored(kind.to_owned());
    }
    let head = text.get(..HEAD_BYTES).unwrap_or(text);
    if let Some(what) = not_downloaded(head).or_else(|| encrypted(head)) {
        return Verdict::Quarantined(what.to_owned());
    }
    if mentions_records(text) {
        let reason = format!("looks like CloudTrail, but no record was recognized: {kind}");
        return Verdict::Quarantined(reason);
    }
    if kind == Foreign::OtherJson.describe() {
        return Verdict::Ignored(kind.to_owned());
    }
    match binary(head) {
        Some("binary data") if let Some(ending) = packed_ending(name) => {
            let reason = format!("seems to be packed or encrypted, by its ending `.{ending}`");
            Verdict::Quarantined(reason)
        }
        Some(what) => Verdict::Ignored(what.to_owned()),
        None => Verdict::Ignored(kind.to_owned()),
    }
}

/// Whether a text has the key that nearly every record begins with, with a version that is CloudTrail's, or
/// the one of wrapped records. Event notifications of S3 have versions of their own.
fn mentions_records(text: &[u8]) -> bool {
    let is_key = |at: usize| {
        let after = text.get(at + "eventVersion".len()..).unwrap_or_default();
        let is_quoted = matches!(after.first(), Some(b'"' | b'\'' | b'\\'));
        let value = after.iter().find(|byte| !b"\"'\\: \t".contains(byte));
        is_quoted && value != Some(&b'2')
    };
    [&b"eventVersion"[..], b"eventversion"]
        .iter()
        .any(|key| memmem::find_iter(text, key).any(is_key))
        || memmem::find(text, b"CloudTrailEvent").is_some()
}

/// What stands in the place of a file that was not downloaded.
fn not_downloaded(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Some("Git LFS pointer, the file itself is missing: run `git lfs pull`");
    }
    let is_error = head.starts_with(b"<") && memmem::find(head, b"<Error>").is_some();
    (is_error && memmem::find(head, b"<Code>").is_some())
        .then_some("error response of S3, the object itself is missing: download it again")
}

fn encrypted(head: &[u8]) -> Option<&'static str> {
    let magics = [
        (&b"-----BEGIN PGP MESSAGE"[..], "encrypted with OpenPGP: decrypt it"),
        (b"age-encryption.org/", "encrypted with age: decrypt it"),
        (b"Salted__", "encrypted with OpenSSL: decrypt it"),
    ];
    magics.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

/// What a file that is not text is.
fn binary(head: &[u8]) -> Option<&'static str> {
    let magics = [
        (&b"PAR1"[..], "Parquet"),
        (b"Obj\x01", "Avro"),
        (b"ORC", "ORC"),
        (b"SQLite format 3\0", "SQLite"),
        (b"%PDF-", "PDF"),
        (b"\x89PNG", "an image"),
    ];
    let known = magics.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what);
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    // The last character may be cut.
    let is_broken = std::str::from_utf8(head).is_err_and(|err| err.error_len().is_some());
    known.or((is_broken || head.iter().any(is_control)).then_some("binary data"))
}

/// Endings of what no magic number tells.
fn packed_ending(name: &str) -> Option<&str> {
    const ENDINGS: [&str; 14] = [
        "br", "lz4", "sz", "snappy", "lzo", "lz", "z", "gpg", "pgp", "enc", "aes", "age", "crypt",
        "rar",
    ];
    let (_, ending) = name.rsplit_once('.')?;
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)).then_some(ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ignored(name: &str, text: &[u8]) -> bool {
        matches!(judge("not JSON", name, text), Verdict::Ignored(_))
    }

    #[test]
    fn what_may_hold_records_is_not_ignored() {
        for (name, text) in [
            ("a.txt", &b"{'eventVersion': '1.08'}"[..]),
            ("a.csv", br#"x,"{\"eventVersion\":\"1.08\"}""#),
            ("a", br#"// {"eventversion":"1.08"}"#),
            ("a", b"CloudTrailEvent: x"),
            ("a", b"version https://git-lfs.github.com/spec/v1\noid sha256:1"),
            ("a", b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"),
            ("a.json.br", b"\x1b\x00\xf8\xff"),
            ("a.gpg", b"\x85\x01\x0c\x03"),
            ("a", b"-----BEGIN PGP MESSAGE-----"),
        ] {
            assert!(!is_ignored(name, text), "{name} {:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_is_of_another_kind_is_named() {
        for (name, text, what) in [
            ("readme.txt", &b"the eventVersion is 1.08"[..], "not JSON"),
            ("a.parquet", b"PAR1\x15\x04", "Parquet"),
            ("Thumbs.db", b"\xd0\xcf\x11\xe0\xa1", "binary data"),
            ("flow.log", b"2 1234 eni-1 ACCEPT", "not JSON"),
        ] {
            let verdict = judge("not JSON", name, text);
            assert_eq!(verdict, Verdict::Ignored(what.to_owned()), "{name}");
        }
        let notification = br#"{"Message":"{\"Records\":[{\"eventVersion\":\"2.1\"}]}"}"#;
        let kind = "JSON without CloudTrail records";
        assert_eq!(judge(kind, "a", notification), Verdict::Ignored(kind.to_owned()));
    }
}
