//! The members of a gzip stream one after another, and the padding between and after them.
//!
//! Tapes, block devices and careless copies leave zero bytes behind a gzip stream, editors and shells
//! a line end. Both are passed over and counted. Anything else there may be data that was meant to be
//! read: it is an error that names the byte.

use crate::error::Error;
use flate2::bufread::GzDecoder;
use std::cell::Cell;
use std::io::{BufRead, Read, Result};
use std::rc::Rc;

/// Reads all members of a gzip stream as one.
///
/// Its errors hold one of this crate's: `BadInput` for a damaged or truncated stream and for bytes that
/// are neither a member nor padding, else what the reader returned.
pub struct GzipMembers<R> {
    /// None at the end.
    decoder: Option<GzDecoder<Counting<R>>>,
    consumed: Rc<Cell<u64>>,
    padding: Rc<Cell<u64>>,
}

impl<R: BufRead> GzipMembers<R> {
    /// Begins at the first member.
    pub fn new(reader: R) -> Self {
        let counting = Counting::new(reader);
        let consumed = counting.consumed();
        Self { decoder: Some(GzDecoder::new(counting)), consumed, padding: Rc::default() }
    }

    /// Returns how many bytes of the stream have been consumed, kept up to date.
    pub fn consumed(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.consumed)
    }

    /// Returns how many bytes of padding have been passed over, kept up to date.
    pub fn padding(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.padding)
    }

    /// Passes over padding, and begins the next member if there is one.
    fn next_member(&mut self) -> Result<()> {
        let Some(decoder) = self.decoder.take() else { return Ok(()) };
        let mut reader = decoder.into_inner();
        loop {
            let bytes = reader.fill_buf()?;
            let count = bytes.iter().take_while(|byte| is_padding(**byte)).count();
            let next = bytes.get(count).copied();
            reader.consume(count);
            self.padding.set(self.padding.get() + count as u64);
            match next {
                None if count == 0 => return Ok(()),
                None => {}
                Some(0x1f) => {
                    self.decoder = Some(GzDecoder::new(reader));
                    return Ok(());
                }
                Some(_) => {
                    let message = "gzip stream is followed by bytes that are not gzip";
                    let at = self.consumed.get();
                    return Err(std::io::Error::other(Error::bad_input(message).at_byte(at)));
                }
            }
        }
    }

    fn described(&self, err: std::io::Error) -> std::io::Error {
        use std::io::ErrorKind;
        let message = match err.kind() {
            ErrorKind::UnexpectedEof => "gzip stream is truncated",
            ErrorKind::InvalidData | ErrorKind::InvalidInput => "gzip stream is damaged",
            _ => return err,
        };
        let at = self.consumed.get();
        std::io::Error::other(Error::bad_input(message).at_byte(at).because(err))
    }
}

fn is_padding(byte: u8) -> bool {
    matches!(byte, 0 | b'\n' | b'\r' | b' ' | b'\t')
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        while let Some(decoder) = self.decoder.as_mut().filter(|_| !out.is_empty()) {
            match decoder.read(out) {
                Ok(0) => self.next_member()?,
                Ok(count) => return Ok(count),
                Err(err) => return Err(self.described(err)),
            }
        }
        Ok(0)
    }
}

/// Counts the bytes that are consumed of a reader.
pub struct Counting<R> {
    inner: R,
    consumed: Rc<Cell<u64>>,
}

impl<R> Counting<R> {
    /// Counts from 0.
    pub fn new(inner: R) -> Self {
        Self { inner, consumed: Rc::default() }
    }

    /// Returns how many bytes have been consumed, kept up to date.
    pub fn consumed(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.consumed)
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(out)?;
        self.consumed.set(self.consumed.get() + count as u64);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counting<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.consumed.set(self.consumed.get() + count as u64);
        self.inner.consume(count);
    }
}
