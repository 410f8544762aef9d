//! Archives behind other bytes: self-extracting ones, downloads that kept their headers; and bytes behind
//! archives.

use crate::decode::{Compression, crc32, unknown_packing};
use crate::error::Error;
use crate::source::kind::{Kind, is_sevenz};
use crate::source::section::Section;
use crate::source::zip_end::{TAIL_BYTES, ZipEnd};
use memchr::memmem;
use std::io::{Read, Result, Seek, SeekFrom};

/// Bytes of a file in which the start of a 7z is looked for; programs before it have some hundred kB.
const STUB_BYTES: u64 = 4 << 20;

/// Zips one behind the other in a file: more are a mistake or an attack.
pub(super) const MAX_ZIPS: usize = 64;

/// The header that a 7z begins with.
pub(super) const SEVENZ_HEADER_BYTES: usize = 32;

/// Returns whether a file may be a program or a script with an archive behind it.
pub(super) fn is_stub(head: &[u8]) -> bool {
    let magics: [&[u8]; 6] =
        [b"MZ", b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe"];
    magics.iter().any(|magic| head.starts_with(magic))
}

/// Whether a text begins as JSON does: nothing is looked for behind it.
fn begins_as_json(head: &[u8]) -> bool {
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
    matches!(head.trim_ascii_start().first(), Some(b'{' | b'[') | None)
}

/// Returns the archive that lies behind other bytes, and where it begins.
pub(super) fn find(file: &mut (impl Read + Seek), head: &[u8]) -> Result<Option<(Kind, u64)>> {
    if begins_as_json(head) {
        return Ok(None);
    }
    let size = file.seek(SeekFrom::End(0))?;
    let mut whole = Section::new(file, 0..size);
    let end = ZipEnd::find(&mut whole)?.filter(|end| end.members != Some(0));
    if let Some((start, _)) = end.and_then(|end| end.extent) {
        return Ok(Some((Kind::Zip, first_zip(&mut whole, start)?)));
    }
    let stub = whole.read_at(0, STUB_BYTES)?;
    let is_start = |at: &usize| is_sevenz_header(&stub[*at..]);
    let start = memmem::find_iter(&stub, b"7z\xbc\xaf\x27\x1c").find(is_start);
    Ok(start.map(|start| (Kind::SevenZ, start as u64)))
}

/// Returns where the first zip begins of those that end where the next one begins, of which the last begins at
/// `start`.
fn first_zip(file: &mut Section<impl Read + Seek>, mut start: u64) -> Result<u64> {
    for _ in 1..MAX_ZIPS {
        let mut before = Section::new(&mut *file, 0..start);
        let end = ZipEnd::find(&mut before)?;
        let Some((its_start, end)) = end.and_then(|end| end.extent) else { break };
        if !before.read_at(end, TAIL_BYTES)?.iter().all(is_padding) {
            break;
        }
        start = its_start;
    }
    Ok(start)
}

/// Whether a byte is one of those that transports and disks leave behind.
fn is_padding(byte: &u8) -> bool {
    matches!(byte, 0 | b'\n' | b'\r' | b' ' | b'\t' | 0x1a)
}

/// Whether bytes are the header of a 7z, by its sum.
fn is_sevenz_header(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..SEVENZ_HEADER_BYTES).filter(|header| is_sevenz(header)) else {
        return false;
    };
    header[8..12] == crc32(&header[12..]).to_le_bytes()
}

/// Returns where a 7z ends, by its header.
pub(super) fn end_of_sevenz(header: &[u8]) -> Option<u64> {
    let number = |at: usize| header.get(at..)?.first_chunk::<8>().map(|n| u64::from_le_bytes(*n));
    (SEVENZ_HEADER_BYTES as u64).checked_add(number(12)?)?.checked_add(number(20)?)
}

/// Returns what bytes behind an archive may be that should have been read; nothing for padding and for what
/// transports and signatures leave there.
pub(super) fn left_over(bytes: &[u8]) -> Option<&'static str> {
    let start = bytes.iter().position(|byte| !is_padding(byte))?;
    let rest = &bytes[start..];
    match Compression::of(rest) {
        Some(compression) => Some(compression.name()),
        None if Kind::of(rest).is_some() => Some("another archive"),
        None if begins_as_json(rest) => Some("JSON"),
        None => unknown_packing(rest).or_else(|| {
            let marks: [&[u8]; 3] = [b"eventVersion", b"eventversion", b"CloudTrailEvent"];
            marks.iter().any(|mark| memmem::find(rest, mark).is_some()).then_some("text")
        }),
    }
}

/// The error of an archive behind which lies what [`left_over`] says.
pub(super) fn followed_by(what: &str) -> Error {
    Error::bad_input(format!("archive is followed by {what}, which is not part of it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_an_archive_is_told_from_padding() {
        for (bytes, what) in [
            (&b""[..], None),
            (b"\0\0\n\x1a", None),
            (b"<html>", None),
            (b"\r\n--boundary--\r\n", None),
            (b"\0\x1f\x8b\x08", Some("gzip")),
            (b"PK\x03\x04", Some("another archive")),
            (b"\n{\"Records\":[", Some("JSON")),
            (b"x \"eventVersion\"", Some("text")),
            (b"Rar!\x1a\x07\x01", Some("RAR")),
        ] {
            assert_eq!(left_over(bytes), what, "{bytes:?}");
        }
    }

    #[test]
    fn a_mark_of_7z_is_no_archive_without_its_sum() {
        let mut text = b"MZ 7z\xbc\xaf\x27\x1c\0\x04 and more bytes than a header has".to_vec();
        text.resize(200, 0);
        assert_eq!(find(&mut std::io::Cursor::new(&text), &text).unwrap(), None);
    }
}
