//! A part of a file, as a file of its own.

use std::io::{Read, Result, Seek, SeekFrom};
use std::ops::Range;

/// Reads what lies in a range of another reader, and nothing else.
#[derive(Debug)]
pub(super) struct Section<R> {
    inner: R,
    range: Range<u64>,
    /// Where reading goes on, from the start of the range.
    at: u64,
}

impl<R: Read + Seek> Section<R> {
    /// Begins at the start of the range.
    pub(super) fn new(inner: R, range: Range<u64>) -> Self {
        Self { inner, range, at: 0 }
    }

    fn size(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Reads from a position to the end of the range, but at most so many bytes.
    pub(super) fn read_at(&mut self, at: u64, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.seek(SeekFrom::Start(at))?;
        self.by_ref().take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read + Seek> Read for Section<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let left = self.size().saturating_sub(self.at);
        let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        // The reader may have been moved by others.
        self.inner.seek(SeekFrom::Start(self.range.start + self.at))?;
        let count = self.inner.read(&mut out[..most])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Section<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.at = place(to, self.at, self.size())?;
        Ok(self.at)
    }
}

/// Returns where a seek leads to, from a place in a file of some size.
pub(super) fn place(to: SeekFrom, at: u64, size: u64) -> Result<u64> {
    let place = match to {
        SeekFrom::Start(at) => Some(at),
        SeekFrom::End(by) => size.checked_add_signed(by),
        SeekFrom::Current(by) => at.checked_add_signed(by),
    };
    let before_start = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
    place.ok_or_else(before_start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn nothing_outside_of_the_range_is_read() {
        let mut section = Section::new(Cursor::new(b"0123456789"), 3..7);
        let mut text = String::new();
        section.read_to_string(&mut text).unwrap();

        assert_eq!(text, "3456");
        assert_eq!(section.seek(SeekFrom::End(-1)).unwrap(), 3);
        assert_eq!(section.read_at(2, 9).unwrap(), b"56");
        assert_eq!(section.read_at(9, 9).unwrap(), b"");
        assert!(section.seek(SeekFrom::End(-5)).is_err());
    }
}
