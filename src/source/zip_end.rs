//! The end of a zip, which says where it begins: bytes may stand before it, and behind it.

use crate::source::section::Section;
use std::io::{Read, Result, Seek};

/// Bytes at the end of a file in which the end of a zip is looked for.
pub(super) const TAIL_BYTES: u64 = 1 << 20;

/// The record at the end, without its comment.
const RECORD_BYTES: usize = 22;

/// The record at a zip's end, and what follows from it.
#[derive(Debug)]
pub(super) struct ZipEnd {
    /// How many members it claims; readers that go by name find fewer when two have the same.
    pub(super) members: Option<usize>,
    /// Whether the directory begins in another file.
    pub(super) is_split: bool,
    /// Where the zip begins and ends, if its directory is where the record says.
    pub(super) extent: Option<(u64, u64)>,
}

/// What the record says, or the 64-bit one before it.
struct Directory {
    /// Where the directory ends in the tail.
    end: usize,
    size: u64,
    /// From the start of the zip.
    offset: u64,
    members: u64,
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..at + width)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

impl ZipEnd {
    /// Looks for the last end of a zip among the last bytes of a file.
    pub(super) fn find(file: &mut Section<impl Read + Seek>) -> Result<Option<Self>> {
        let size = file.seek(std::io::SeekFrom::End(0))?;
        let tail_start = size.saturating_sub(TAIL_BYTES);
        let tail = file.read_at(tail_start, TAIL_BYTES)?;
        let mut last = None;
        for at in memchr::memmem::rfind_iter(&tail, b"PK\x05\x06") {
            let Some(end) = Self::read(&tail, at, tail_start, file)? else { continue };
            if end.extent.is_some() {
                return Ok(Some(end));
            }
            last = last.or(Some(end));
        }
        Ok(last)
    }

    /// Reads the record at a position of the tail; nothing if it does not fit into the file.
    fn read(
        tail: &[u8],
        at: usize,
        tail_start: u64,
        file: &mut Section<impl Read + Seek>,
    ) -> Result<Option<Self>> {
        let Some(record) = tail.get(at..at + RECORD_BYTES) else { return Ok(None) };
        let field = |at, width| number(record, at, width).unwrap_or(u64::MAX);
        let end = at + RECORD_BYTES + field(20, 2) as usize;
        // 65,535 says that the number is in the 64-bit record.
        let members = Some(field(10, 2) as usize).filter(|members| *members != 65_535);
        let is_split = !matches!(field(4, 2), 0 | 65_535);
        let mut found = Self { members, is_split, extent: None };
        if end > tail.len() || is_split {
            return Ok((end <= tail.len()).then_some(found));
        }
        let own =
            Directory { end: at, size: field(12, 4), offset: field(16, 4), members: field(10, 2) };
        let directory = Directory::in_64_bits(tail, at).unwrap_or(own);
        let start = (tail_start + directory.end as u64)
            .checked_sub(directory.size)
            .and_then(|start| Some((start, start.checked_sub(directory.offset)?)));
        let Some((directory_start, start)) = start else { return Ok(Some(found)) };
        let is_there = directory.members == 0 || file.read_at(directory_start, 4)? == b"PK\x01\x02";
        found.extent = is_there.then_some((start, tail_start + end as u64));
        Ok(Some(found))
    }
}

impl Directory {
    /// Reads the 64-bit record, which lies before the record at `at`, with its locator between them.
    fn in_64_bits(tail: &[u8], at: usize) -> Option<Self> {
        let locator = at.checked_sub(20)?;
        if tail.get(locator..locator + 4)? != b"PK\x06\x07" {
            return None;
        }
        let end = memchr::memmem::rfind(&tail[..locator], b"PK\x06\x06")?;
        Some(Self {
            end,
            size: number(tail, end + 40, 8)?,
            offset: number(tail, end + 48, 8)?,
            members: number(tail, end + 32, 8)?,
        })
    }
}
