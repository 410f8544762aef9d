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
    if kind == Foreign::Notification.describe() || kind == Foreign::Empty.describe() {
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
    if let Some(what) = encoded(text).or_else(|| unpacking_itself(text)) {
        return Verdict::Quarantined(what.to_owned());
    }
    if kind == Foreign::OtherJson.describe() && is_notification(text) {
        return Verdict::Ignored(Foreign::Notification.describe().to_owned());
    }
    if kind != Foreign::NotJson.describe() {
        return Verdict::Ignored(kind.to_owned());
    }
    match binary(head) {
        Some("binary data") if let Some(ending) = packed_ending(name) => {
            let reason = format!("seems to be packed or encrypted, by its ending `.{ending}`");
            Verdict::Quarantined(reason)
        }
        Some("Parquet") if is_of_lake(text) => Verdict::Ignored("data file of a lake".to_owned()),
        Some(what) if names_fields(text) => Verdict::Quarantined(format!(
            "{what} with names of CloudTrail's fields, which is not read: export it as JSON lines"
        )),
        Some(what) => Verdict::Ignored(what.to_owned()),
        None => Verdict::Ignored(kind.to_owned()),
    }
}

/// Whether data that are not text name the field that nearly every record has: columns of a table, perhaps.
fn names_fields(text: &[u8]) -> bool {
    [&b"eventVersion"[..], b"eventversion", b"event_version"]
        .iter()
        .any(|key| memmem::find(text, key).is_some())
}

/// Whether Parquet is a data file of a lake, which was made of logs.
fn is_of_lake(text: &[u8]) -> bool {
    memmem::rfind(text, b"trailmill.version").is_some()
}

/// What a text holds in base64 that is not decoded: records, by the key that they begin with, or gzip.
fn encoded(text: &[u8]) -> Option<&'static str> {
    // `eventVersion`, where it begins a group of three bytes, and where it is one or two bytes further.
    const KEYS: [&[u8]; 3] = [b"ZXZlbnRWZXJzaW9u", b"V2ZW50VmVyc2lvb", b"ldmVudFZlcnNpb2"];
    let has = |mark: &[u8]| memmem::find(text, mark).is_some();
    if KEYS.iter().any(|key| has(key)) {
        return Some("looks like CloudTrail in base64: decode it");
    }
    if has(b"\nH4sIA") || has(b"\rH4sIA") {
        return Some("seems to have gzip in base64: decode it");
    }
    (text.starts_with(b"begin 6") && has(b"\nM")).then_some("seems to be uuencoded: decode it")
}

/// What a program or a script unpacks that is not read.
fn unpacking_itself(text: &[u8]) -> Option<&'static str> {
    const STREAMS: [&[u8]; 4] =
        [b"\n\x1f\x8b\x08", b"\nBZh", b"\n\xfd7zXZ\0", b"\n\x28\xb5\x2f\xfd"];
    let has = |mark: &[u8]| memmem::find(text, mark).is_some();
    let is_program = text.starts_with(b"MZ") || text.starts_with(b"\x7fELF");
    if is_program && has(b"Rar!\x1a\x07") {
        return Some("self-extracting RAR archive, which is not supported: unpack it");
    }
    let is_script = text.starts_with(b"#!") && STREAMS.iter().any(|mark| has(mark));
    is_script
        .then_some("script with a compressed archive behind it, which is not supported: unpack it")
}

/// Whether a text has the key that nearly every record begins with, with a version that is CloudTrail's, or
/// the one of wrapped records. Event notifications of S3 have versions of their own.
fn mentions_records(text: &[u8]) -> bool {
    // YAML has keys without quotes, of which prose may speak too.
    let has_source = memmem::find(text, b"eventSource").is_some();
    let is_key = |at: usize| {
        let after = text.get(at + "eventVersion".len()..).unwrap_or_default();
        let is_quoted = matches!(after.first(), Some(b'"' | b'\'' | b'\\' | b'&'));
        let is_bare = has_source && after.starts_with(b": ");
        let value = after.iter().find(|byte| byte.is_ascii_digit());
        (is_quoted || is_bare) && value != Some(&b'2')
    };
    [&b"eventVersion"[..], b"eventversion"]
        .iter()
        .any(|key| memmem::find_iter(text, key).any(is_key))
        || memmem::find(text, b"CloudTrailEvent").is_some()
}

/// Whether a text says that objects were written: a notification of S3 in whatever it came, or CloudTrail's own.
fn is_notification(text: &[u8]) -> bool {
    [&b"aws:s3"[..], b"s3:TestEvent", b"s3ObjectKey"]
        .iter()
        .any(|mark| memmem::find(text, mark).is_some())
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
        (b"MZ", "a program"),
        (b"\x7fELF", "a program"),
    ];
    let known = magics.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what);
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    // The last character may be cut.
    let is_broken = std::str::from_utf8(head).is_err_and(|err| err.error_len().is_some());
    known.or((is_broken || head.iter().any(is_control)).then_some("binary data"))
}

/// Endings of what no magic number tells.
fn packed_ending(name: &str) -> Option<&str> {
    const ENDINGS: [&str; 24] = [
        "br", "lz4", "sz", "snappy", "lzo", "lz", "z", "gpg", "pgp", "enc", "aes", "age", "crypt",
        "rar", "gz", "tgz", "zip", "7z", "tar", "bz2", "xz", "zst", "zstd", "lzma",
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
            ("last-part.zip", b"\x85\x01\x0c\x03"),
            ("a.yaml", b"eventVersion: '1.08'\neventSource: s3.amazonaws.com"),
            ("a.xml", b"&quot;eventVersion&quot;:&quot;1.08&quot;"),
            ("a", b"-----BEGIN PGP MESSAGE-----"),
            ("a.b64", b"eyJSZWNvcmRzIjpbeyJldmVudFZlcnNpb24iOiIxLjA4In1d"),
            ("a.b64", b"eyJldmVudFZlcnNpb24iOiIxLjA4In0="),
            ("a.eml", b"Subject: logs\n\nH4sIAAAAAAAAA6tWKk"),
            ("a.uu", b"begin 644 a.gz\nM'XL("),
            ("a.parquet", b"PAR1\x15\x04eventversion"),
            ("a.exe", b"MZ\x90\0 Rar!\x1a\x07\x01\0"),
            ("a.run", b"#!/bin/sh\nexit\n\x1f\x8b\x08\0"),
        ] {
            assert!(!is_ignored(name, text), "{name} {:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_is_of_another_kind_is_named() {
        for (name, text, what) in [
            ("readme.txt", &b"the eventVersion is 1.08"[..], "not JSON"),
            ("a.parquet", b"PAR1\x15\x04", "Parquet"),
            ("part.parquet", b"PAR1\x15eventversion trailmill.version", "data file of a lake"),
            ("tool.exe", b"MZ\x90\0\x03", "a program"),
            ("Thumbs.db", b"\xd0\xcf\x11\xe0\xa1", "binary data"),
            ("flow.log", b"2 1234 eni-1 ACCEPT", "not JSON"),
        ] {
            let verdict = judge("not JSON", name, text);
            assert_eq!(verdict, Verdict::Ignored(what.to_owned()), "{name}");
        }
        let kind = "JSON without CloudTrail records";
        for notification in [
            &br#"{"Message":"{\"Records\":[{\"eventVersion\":\"2.1\",\"eventSource\":\"aws:s3\"}]}"}"#[..],
            br#"{"s3Bucket":"b","s3ObjectKey":["k"]}"#,
        ] {
            let named = Verdict::Ignored("event notification (S3, SNS or SQS)".to_owned());
            assert_eq!(judge(kind, "a", notification), named);
        }
        let unknown = br#"{"detail-type":"x","detail":{"a":{"eventVersion":"1.08"}}}"#;
        assert!(matches!(judge("EventBridge event", "a", unknown), Verdict::Quarantined(_)));
    }
}
