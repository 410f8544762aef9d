//! All members of a gzip stream as one, as `verify` reads them.
//!
//! Zero bytes and line ends between and after members are no data. Anything else there makes the stream a
//! damaged one.

use flate2::bufread::GzDecoder;
use std::cell::Cell;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};
use std::rc::Rc;

/// The members of a stream.
pub(super) struct Members<R: Read> {
    /// None when there are no more.
    current: Option<GzDecoder<Counted<R>>>,
    consumed: Rc<Cell<u64>>,
}

/// Counts the bytes that were made use of, not those that were read ahead.
struct Counted<R: Read> {
    inner: BufReader<R>,
    consumed: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(out)?;
        self.consumed.set(self.consumed.get() + count as u64);
        Ok(count)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.consumed.set(self.consumed.get() + count as u64);
        self.inner.consume(count);
    }
}

impl<R: Read> Members<R> {
    pub(super) fn new(stream: R) -> Self {
        let consumed = Rc::new(Cell::new(0));
        let stream = Counted { inner: BufReader::new(stream), consumed: Rc::clone(&consumed) };
        Self { current: Some(GzDecoder::new(stream)), consumed }
    }

    /// Returns the counter of the stream's bytes that have been decoded.
    pub(super) fn consumed(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.consumed)
    }
}

/// Passes over padding; returns the first byte after it.
fn after_padding(stream: &mut impl BufRead) -> Result<Option<u8>> {
    loop {
        let Some(&byte) = stream.fill_buf()?.first() else { return Ok(None) };
        if !matches!(byte, b'\0' | b'\t' | b'\n' | b'\r' | b' ') {
            return Ok(Some(byte));
        }
        stream.consume(1);
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            let Some(member) = &mut self.current else { return Ok(0) };
            let count = member.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let Some(mut stream) = self.current.take().map(GzDecoder::into_inner) else {
                return Ok(0);
            };
            match after_padding(&mut stream)? {
                None => {}
                Some(0x1f) => self.current = Some(GzDecoder::new(stream)),
                Some(_) => return Err(Error::from(ErrorKind::InvalidData)),
            }
        }
    }
}
