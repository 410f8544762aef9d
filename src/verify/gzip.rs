//! All members of a gzip stream as one, as `verify` reads them.
//!
//! Zero bytes and line ends between and after members are no data. Anything else there makes the stream a
//! damaged one.

use flate2::bufread::GzDecoder;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};

/// The members of a stream.
pub(super) struct Members<R: Read> {
    /// None when there are no more.
    current: Option<GzDecoder<BufReader<R>>>,
}

impl<R: Read> Members<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { current: Some(GzDecoder::new(BufReader::new(stream))) }
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
