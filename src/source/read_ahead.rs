//! Reading ahead in a file that is read here and there.
//!
//! Seeking costs nothing and keeps what is buffered: a zip is read by its directory, and `BufReader` would
//! forget a megabyte at each of 70,000 members.

use crate::source::section::place;
use std::io::{Read, Result, Seek, SeekFrom};

/// What is read after a jump, and at most where reading goes on.
const LEAST: usize = 16 << 10;
const MOST: usize = 1 << 20;

/// A reader with a buffer that follows what is asked for: it grows while reading goes on from where it
/// ended, and is small again after a jump.
#[derive(Debug)]
pub(super) struct ReadAhead<R> {
    inner: R,
    size: u64,
    at: u64,
    buffer: Vec<u8>,
    /// Where the buffer's bytes start.
    start: u64,
    window: usize,
}

impl<R: Read + Seek> ReadAhead<R> {
    /// Begins at the start.
    pub(super) fn new(mut inner: R) -> Result<Self> {
        let size = inner.seek(SeekFrom::End(0))?;
        Ok(Self { inner, size, at: 0, buffer: Vec::new(), start: 0, window: LEAST })
    }

    fn fill(&mut self) -> Result<()> {
        let goes_on = self.at == self.start + self.buffer.len() as u64;
        self.window = if goes_on { (2 * self.window).min(MOST) } else { LEAST };
        self.inner.seek(SeekFrom::Start(self.at))?;
        self.start = self.at;
        self.buffer.clear();
        (&mut self.inner).take(self.window as u64).read_to_end(&mut self.buffer).map(|_| ())
    }
}

impl<R: Read + Seek> Read for ReadAhead<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.at >= self.size {
            return Ok(0);
        }
        if !(self.start..self.start + self.buffer.len() as u64).contains(&self.at) {
            self.fill()?;
        }
        let from = &self.buffer[(self.at - self.start) as usize..];
        let count = from.len().min(out.len());
        out[..count].copy_from_slice(&from[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for ReadAhead<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.at = place(to, self.at, self.size)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// Counts the bytes that are read of it.
    struct Counted(Cursor<Vec<u8>>, u64);

    impl Read for Counted {
        fn read(&mut self, out: &mut [u8]) -> Result<usize> {
            let count = self.0.read(out)?;
            self.1 += count as u64;
            Ok(count)
        }
    }

    impl Seek for Counted {
        fn seek(&mut self, to: SeekFrom) -> Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn what_is_read_in_order_with_seeks_between_is_read_once() {
        let bytes: Vec<u8> = (0..4 << 20).map(|n: u32| (n % 251) as u8).collect();
        let mut reader = ReadAhead::new(Counted(Cursor::new(bytes.clone()), 0)).unwrap();

        for at in (0..bytes.len()).step_by(300) {
            let mut out = [0; 200];
            reader.seek(SeekFrom::Start(at as u64)).unwrap();
            let count = out.len().min(bytes.len() - at);
            reader.read_exact(&mut out[..count]).unwrap();
            assert_eq!(&out[..count], &bytes[at..at + count]);
        }

        assert!(reader.inner.1 < bytes.len() as u64 * 11 / 10, "{}", reader.inner.1);
    }

    #[test]
    fn what_is_read_here_and_there_costs_little_beside_it() {
        let mut reader = ReadAhead::new(Counted(Cursor::new(vec![7; 4 << 20]), 0)).unwrap();

        for at in (0..42).rev().map(|n| n * 100_000) {
            reader.seek(SeekFrom::Start(at)).unwrap();
            reader.read_exact(&mut [0; 30]).unwrap();
        }

        assert!(reader.inner.1 <= 42 * LEAST as u64, "{}", reader.inner.1);
    }
}
