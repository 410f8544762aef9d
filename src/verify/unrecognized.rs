//! Objects without records that `verify` cannot call empty: they mention what records have, stand for a file
//! that is not there, or are packed in a way that is not read.

use memchr::memmem;

/// Whether an object in which no record was found may hold some all the same.
pub(super) fn may_hold_records(name: &str, text: &[u8]) -> bool {
    mentions_version(text)
        || memmem::find(text, b"CloudTrailEvent").is_some()
        || stands_for_another(text)
        || (is_binary(text) && is_packed(name))
}

/// Whether a quoted `eventVersion` stands in a text, in either spelling, whose value does not begin with 2 as
/// those of S3's notifications do.
fn mentions_version(text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| memmem::find(rest, b"ersion")) {
        let end = from + found + b"ersion".len();
        from = end;
        let key = text.get(end.saturating_sub(12)..end).unwrap_or_default();
        let mut after = text.get(end..).unwrap_or_default().iter();
        if (key == b"eventVersion" || key == b"eventversion")
            && after.clone().next().is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'\\'))
            && after.find(|byte| !b"\"'\\:\t ".contains(byte)) != Some(&b'2')
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
    let packed = "br lz4 sz snappy lzo lz z gpg pgp enc aes age crypt rar";
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
    let magics: [&[u8]; 14] = [
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
