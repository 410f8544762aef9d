//! Objects without records that `verify` cannot call empty: they mention what records have, stand for a file
//! that is not there, or are packed in a way that is not read.

use memchr::memmem;

/// Why an object in which no record was found may hold some all the same; nothing if it does not seem to.
pub(super) fn why_unread(name: &str, text: &[u8]) -> Option<&'static str> {
    let has_binary_version = || {
        let keys: [&[u8]; 3] = [b"eventVersion", b"eventversion", b"event_version"];
        keys.iter().any(|key| memmem::find(text, key).is_some())
    };
    if mentions_version(text) || memmem::find(text, b"CloudTrailEvent").is_some() {
        Some("it looks like CloudTrail, but no record was recognized")
    } else if stands_for_another(text) {
        Some("it stands for a file that is not there, or is encrypted")
    } else if is_encoded(text) {
        Some("it looks like CloudTrail or gzip in base64, which is not read")
    } else if unpacks_itself(text) {
        Some("it is packed in a way that is not read")
    } else if is_binary(text) && has_binary_version() && !is_of_lake(text) {
        Some("it is binary, with names of CloudTrail's fields")
    } else if is_binary(text) && is_packed(name) {
        Some("it seems to be packed, encrypted or split, by its name")
    } else {
        None
    }
}

/// Whether a file is one of a lake's tables.
pub(super) fn is_of_lake(text: &[u8]) -> bool {
    text.starts_with(b"PAR1") && memmem::rfind(text, b"trailmill.version").is_some()
}

/// Whether a text has base64 of what records begin with, or of gzip, at the start of a line.
fn is_encoded(text: &[u8]) -> bool {
    // `eventVersion`, at each of the three places in a group that its first byte may have.
    let keys: [&[u8]; 3] = [b"ZXZlbnRWZXJzaW9u", b"V2ZW50VmVyc2lvb", b"ldmVudFZlcnNpb2"];
    let gzip: [&[u8]; 2] = [b"\nH4sIA", b"\rH4sIA"];
    text.starts_with(b"begin 6") && memmem::find(text, b"\nM").is_some()
        || keys.iter().chain(&gzip).any(|mark| memmem::find(text, mark).is_some())
}

/// Whether a program or a script carries what it unpacks, in a way that is not read.
fn unpacks_itself(text: &[u8]) -> bool {
    let is_program = [&b"MZ"[..], b"\x7fELF"].iter().any(|magic| text.starts_with(magic));
    let streams: [&[u8]; 4] = [b"\n\x1f\x8b\x08", b"\nBZh", b"\n\xfd7zXZ\0", b"\n\x28\xb5\x2f\xfd"];
    let carries = |marks: &[&[u8]]| marks.iter().any(|mark| memmem::find(text, mark).is_some());
    (is_program && carries(&[b"Rar!\x1a\x07"])) || (text.starts_with(b"#!") && carries(&streams))
}

/// Whether a quoted `eventVersion` stands in a text, in either spelling, whose value does not begin with 2 as
/// those of S3's notifications do.
fn mentions_version(text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| memmem::find(rest, b"ersion")) {
        let end = from + found + b"ersion".len();
        from = end;
        let key = text.get(end.saturating_sub(12)..end).unwrap_or_default();
        let after = text.get(end..).unwrap_or_default();
        let is_marked = after.first().is_some_and(|byte| b"\"'\\&".contains(byte));
        let is_mapped = after.starts_with(b": ") && memmem::find(text, b"eventSource").is_some();
        if (key == b"eventVersion" || key == b"eventversion")
            && (is_marked || is_mapped)
            && after.iter().find(|byte| byte.is_ascii_digit()) != Some(&b'2')
        {
            return true;
        }
    }
    false
}

/// Pointers of Git LFS, error responses of S3, and encrypted messages.
fn stands_for_another(text: &[u8]) -> bool {
    let head = text.get(..1024).unwrap_or(text);
    let starts = |with: &str| head.starts_with(with.as_bytes());
    let has = |what: &str| memmem::find(head, what.as_bytes()).is_some();
    ["version https://git-lfs.", "-----BEGIN PGP MESSAGE", "age-encryption.org/", "Salted__"]
        .into_iter()
        .any(starts)
        || (starts("<") && has("<Error>") && has("<Code>"))
}

fn is_binary(text: &[u8]) -> bool {
    let head = text.get(..1024).unwrap_or(text);
    head.iter().any(|byte| *byte < 9) || std::str::from_utf8(head).is_err()
}

/// Whether a name is that of something packed, encrypted or split.
fn is_packed(name: &str) -> bool {
    let ending = name.rsplit('.').next().unwrap_or("").to_ascii_lowercase();
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let packed = "br lz4 sz snappy lzo lz z gpg pgp enc aes age crypt rar gz tgz zip 7z tar bz2 xz zst \
                  zstd lzma";
    packed.split(' ').any(|known| ending == known)
        || (ending.len() == 3 && is_digits(&ending))
        || ending.strip_prefix('z').is_some_and(is_digits)
        || ending.strip_prefix("part").is_some_and(is_digits)
        || (ending.len() <= 3
            && ending.len() >= 2
            && ending.starts_with('a')
            && ending.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// Whether a text is packed in a way that is not read.
pub(super) fn is_unknown_packing(text: &[u8]) -> bool {
    let magics: [&[u8]; 17] = [
        b"\xff\xfe\0\0",
        b"\0\0\xfe\xff",
        b"H4sIA",
        b"\x04\x22\x4d\x18",
        b"\x02\x21\x4c\x18",
        b"\xff\x06\0\0sNaPpY",
        b"\x1f\x9d",
        b"\x1f\xa0",
        b"\x1f\x1e",
        b"LZIP",
        b"\x89LZO\0",
        b"LRZI",
        b"Rar!\x1a\x07",
        b"MSCF\0\0\0\0",
        b"**ACE**",
        b"!<arch>\n",
        b"070701",
    ];
    magics.iter().any(|magic| text.starts_with(magic))
}
