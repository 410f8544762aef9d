//! What an archive is, by its first bytes, and archives that lie behind other bytes or one behind the other.
//!
//! A zip is told by its end, which says where its directory is; a 7z by its header, which has a sum. What stands
//! before them, such as a program that unpacks them, is no data. What stands behind them is none either, unless
//! it looks like data.

use super::streams::codec;
use super::unrecognized::is_unknown_packing;
use memchr::memmem;
use std::io::{Read, Result, Seek, SeekFrom, Take};
use std::ops::Range;

/// As many bytes as decide what a stream is: a tar's first header.
pub(super) const PEEK_BYTES: u64 = 512;
/// The end of a zip is in so many last bytes.
const LAST_BYTES: u64 = 1 << 20;
/// A 7z begins in so many first bytes.
const FIRST_BYTES: u64 = 4 << 20;
/// Zips one behind the other.
const MOST_ZIPS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Archive {
    Tar,
    Zip,
    SevenZip,
}

pub(super) fn archive(head: &[u8]) -> Option<Archive> {
    if is_zip(head) {
        Some(Archive::Zip)
    } else if is_seven_zip(head) {
        Some(Archive::SevenZip)
    } else {
        is_tar(head).then_some(Archive::Tar)
    }
}

fn is_zip(head: &[u8]) -> bool {
    let zips = [&b"PK\x03\x04"[..], b"PK\x05\x06", b"PK\x07\x08PK\x03\x04"];
    zips.iter().any(|magic| head.starts_with(magic))
}

fn is_seven_zip(head: &[u8]) -> bool {
    head.starts_with(b"7z\xbc\xaf\x27\x1c")
}

/// Whether a block is a tar header: its sum, with its own field as spaces, stands in it in octal.
/// The oldest tars have nothing else to tell them by.
fn is_tar(head: &[u8]) -> bool {
    let Some(field) = head.get(148..156).filter(|_| head.len() >= PEEK_BYTES as usize) else {
        return false;
    };
    let head = &head[..PEEK_BYTES as usize];
    let digits = field.iter().skip_while(|byte| **byte == b' ');
    let digits: Vec<u8> = digits.take_while(|byte| byte.is_ascii_digit()).copied().collect();
    let claimed = std::str::from_utf8(&digits).ok();
    let claimed = claimed.and_then(|digits| u64::from_str_radix(digits, 8).ok());
    let all: u64 = head.iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = field.iter().map(|byte| u64::from(*byte)).sum();
    claimed == Some(all - own + 8 * u64::from(b' '))
}

/// Whether a text begins as JSON, behind which no archive is looked for.
fn is_json(head: &[u8]) -> bool {
    let at = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let first = head[at..].iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_none_or(|byte| matches!(byte, b'{' | b'['))
}

/// Bytes of a file in a range of it.
fn bytes_in(file: &mut (impl Read + Seek), range: Range<u64>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(range.start))?;
    let length = range.end.saturating_sub(range.start);
    Take::read_to_end(&mut file.take(length), &mut bytes)?;
    Ok(bytes)
}

fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    let field = bytes.get(at..at + width).unwrap_or_default();
    field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The archive that lies behind other bytes of a file, and where it begins.
pub(super) fn behind_others(
    file: &mut (impl Read + Seek),
    head: &[u8],
) -> Result<Option<(Archive, u64)>> {
    if is_json(head) {
        return Ok(None);
    }
    let size = file.seek(SeekFrom::End(0))?;
    if let Some(zip) = last_zip(file, size)?.filter(|zip| !zip.is_empty) {
        let mut start = zip.at.start;
        // Others may end where it begins.
        for _ in 1..MOST_ZIPS {
            match last_zip(file, start)? {
                Some(other) if is_padding(&bytes_in(file, other.at.end..start)?) => {
                    start = other.at.start;
                }
                _ => break,
            }
        }
        return Ok(Some((Archive::Zip, start)));
    }
    let first = bytes_in(file, 0..size.min(FIRST_BYTES))?;
    let is_header = |at: &usize| {
        first.get(at + 8..at + 32).is_some_and(|header| {
            let mut sum = flate2::Crc::new();
            sum.update(&header[4..]);
            number(header, 0, 4) == u64::from(sum.sum())
        })
    };
    let start = memmem::find_iter(&first, b"7z\xbc\xaf\x27\x1c").find(is_header);
    Ok(start.map(|start| (Archive::SevenZip, start as u64)))
}

/// A zip whose directory is where its end says.
struct Zip {
    at: Range<u64>,
    is_empty: bool,
}

/// The zip that ends last before a place.
fn last_zip(file: &mut (impl Read + Seek), size: u64) -> Result<Option<Zip>> {
    let from = size.saturating_sub(LAST_BYTES);
    let last = bytes_in(file, from..size)?;
    for at in memmem::rfind_iter(&last, b"PK\x05\x06") {
        let after = at + 22 + number(&last, at + 20, 2) as usize;
        if at + 22 > last.len()
            || after > last.len()
            || !matches!(number(&last, at + 4, 2), 0 | 0xffff)
        {
            continue;
        }
        // The directory's end, its size, the place that the zip says it has, and its entries.
        let mut facts =
            (at, number(&last, at + 12, 4), number(&last, at + 16, 4), number(&last, at + 10, 2));
        let is_long = at >= 20 && last[at - 20..].starts_with(b"PK\x06\x07");
        if let Some(long) =
            is_long.then(|| memmem::rfind(&last[..at - 20], b"PK\x06\x06")).flatten()
        {
            let field = |offset| number(&last, long + offset, 8);
            facts = (long, field(40), field(48), field(32));
        }
        let (end, length, offset, entries) = facts;
        let directory = (from + end as u64).checked_sub(length);
        let start = directory.and_then(|directory| directory.checked_sub(offset));
        let (Some(directory), Some(start)) = (directory, start) else { continue };
        if entries == 0 || bytes_in(file, directory..directory + 4)? == b"PK\x01\x02" {
            let at = start..from + after as u64;
            return Ok(Some(Zip { at, is_empty: entries == 0 }));
        }
    }
    Ok(None)
}

/// The archives of a file that were put one behind the other.
pub(super) struct Chained {
    /// Where each is, with what follows it.
    pub(super) parts: Vec<Range<u64>>,
    /// Whether what lies behind one of them looks like data that was not read.
    pub(super) has_rest: bool,
}

/// Finds the zips of a file that begins with one.
pub(super) fn chained_zips(file: &mut (impl Read + Seek)) -> Result<Chained> {
    let mut size = file.seek(SeekFrom::End(0))?;
    let is_first = is_zip(&bytes_in(file, 0..8)?);
    let mut found = Chained { parts: Vec::new(), has_rest: false };
    loop {
        let mut start = 0;
        if let Some(zip) = last_zip(file, size)? {
            found.has_rest |= is_data(&bytes_in(file, zip.at.end..size)?);
            start = if is_first { zip.at.start } else { 0 };
        }
        found.parts.push(start..size);
        if start == 0 || found.parts.len() == MOST_ZIPS {
            found.parts.reverse();
            return Ok(found);
        }
        size = start;
    }
}

/// Finds the 7z archives of a file that begins with one.
pub(super) fn chained_seven_zips(file: &mut (impl Read + Seek)) -> Result<Chained> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut found = Chained { parts: Vec::new(), has_rest: false };
    let mut start = 0;
    loop {
        let header = bytes_in(file, start..start + 32)?;
        let length = (header.len() == 32)
            .then(|| number(&header, 12, 8).checked_add(number(&header, 20, 8))?.checked_add(32));
        let end = length.flatten().and_then(|length| start.checked_add(length)).unwrap_or(size);
        let behind = bytes_in(file, end..size.min(end.saturating_add(LAST_BYTES)))?;
        found.parts.push(start..size);
        if !is_seven_zip(&behind) {
            found.has_rest = is_data(&behind);
            return Ok(found);
        }
        start = end;
    }
}

/// What transports and disks leave behind a file.
const PADDING: &[u8] = b"\0\n\r \t\x1a";

fn is_padding(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| PADDING.contains(byte))
}

/// Whether bytes behind an archive look like data: another archive, a compressed stream, JSON, records.
fn is_data(bytes: &[u8]) -> bool {
    let Some(start) = bytes.iter().position(|byte| !PADDING.contains(byte)) else { return false };
    let rest = &bytes[start..];
    let words: [&[u8]; 3] = [b"eventVersion", b"eventversion", b"CloudTrailEvent"];
    archive(rest).is_some()
        || codec(rest).is_some()
        || is_json(rest)
        || is_unknown_packing(rest)
        || words.iter().any(|word| memmem::find(rest, word).is_some())
}

/// A range of a file, as a file of its own.
pub(super) struct Part<R> {
    file: R,
    range: Range<u64>,
    at: u64,
}

impl<R: Read + Seek> Part<R> {
    pub(super) fn new(file: R, range: Range<u64>) -> Self {
        Self { file, at: range.start, range }
    }
}

impl<R: Read + Seek> Read for Part<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        self.file.seek(SeekFrom::Start(self.at))?;
        let left = self.range.end.saturating_sub(self.at);
        let count = self.file.by_ref().take(left).read(out)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Part<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => self.range.start.checked_add(at),
            SeekFrom::End(by) => self.range.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        match target.filter(|target| *target >= self.range.start) {
            Some(target) => self.at = target,
            None => return Err(std::io::ErrorKind::InvalidInput.into()),
        }
        Ok(self.at - self.range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn a_part_has_places_of_its_own() {
        let mut part = Part::new(Cursor::new(b"0123456789"), 2..6);
        assert_eq!(part.seek(SeekFrom::End(-1)).unwrap(), 3);
        let mut text = String::new();
        part.read_to_string(&mut text).unwrap();
        assert_eq!(text, "5");
        assert!(part.seek(SeekFrom::End(-9)).is_err());
    }

    #[test]
    fn what_looks_like_data_is_not_passed_over() {
        for rest in
            [&b"\0\x1f\x8b"[..], b"PK\x03\x04", b"\n[", b"a \"eventVersion\"", b"Rar!\x1a\x07"]
        {
            assert!(is_data(rest), "{rest:?}");
        }
        for rest in [&b""[..], b"\0\0\x1a\n", b"<html>", b"--boundary--"] {
            assert!(!is_data(rest), "{rest:?}");
        }
    }
}
