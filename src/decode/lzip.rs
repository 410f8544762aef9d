//! A member of an lzip stream: a header, LZMA that ends with a mark, and sums.

use crate::decode::MAX_WINDOW_BYTES;
use crate::decode::counting::Counting;
use lzma_rust2::LzmaReader;
use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// Magic number, version and size of the dictionary.
const HEADER_BYTES: usize = 6;

/// The sum of the text, its size, and the size of the member.
const TRAILER_BYTES: usize = 20;

/// One member, whose sums are checked where it ends.
pub(super) struct LzipMember<R: BufRead> {
    inner: LzmaReader<Counting<R>>,
    sum: flate2::Crc,
    size: u64,
}

impl<R: BufRead> LzipMember<R> {
    /// Reads the header.
    pub(super) fn open(mut reader: Counting<R>) -> Result<Self> {
        let mut header = [0; HEADER_BYTES];
        reader.read_exact(&mut header)?;
        if !header.starts_with(b"LZIP\x01") {
            return Err(Error::new(ErrorKind::InvalidData, "not a header of lzip"));
        }
        let window = window_of(header[5]);
        let window =
            window.ok_or_else(|| Error::new(ErrorKind::InvalidData, "no size of a dictionary"))?;
        if window as usize > MAX_WINDOW_BYTES {
            return Err(ErrorKind::OutOfMemory.into());
        }
        // lzip has the same properties in every file.
        let inner = LzmaReader::new(reader, u64::MAX, 3, 0, 2, window, None)?;
        Ok(Self { inner, sum: flate2::Crc::new(), size: 0 })
    }

    /// Checks the sums; returns the reader after them.
    pub(super) fn end(self) -> Result<Counting<R>> {
        let Self { inner, sum, size } = self;
        let (mut reader, ahead) = inner.into_parts();
        reader.unread(ahead);
        let mut trailer = [0; TRAILER_BYTES];
        reader.read_exact(&mut trailer)?;
        let wanted = [&sum.sum().to_le_bytes()[..], &size.to_le_bytes()].concat();
        if trailer[..12] != wanted {
            return Err(Error::new(ErrorKind::InvalidData, "the sum of the member is another"));
        }
        Ok(reader)
    }
}

impl<R: BufRead> Read for LzipMember<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(out)?;
        self.sum.update(&out[..count]);
        self.size += count as u64;
        Ok(count)
    }
}

/// The size of a dictionary: a power of two, less so many sixteenths of it.
fn window_of(code: u8) -> Option<u32> {
    let (power, sixteenths) = (u32::from(code & 0x1f), u32::from(code >> 5));
    let base = (12..=29).contains(&power).then(|| 1_u32 << power)?;
    Some(base - base / 16 * sixteenths)
}
