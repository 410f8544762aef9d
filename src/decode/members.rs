//! The members of a compressed stream one after another, and the padding between and after them.
//!
//! Tapes, block devices and careless copies leave zero bytes behind a stream, editors and shells a line
//! end or a Ctrl-Z. They are passed over and counted. Anything else there may be data that was meant to be
//! read: it is an error that names the byte.

use crate::decode::compression::{Compression, Frame};
use crate::decode::counting::{Counting, Meter};
use crate::error::{Error, find};
use std::cell::Cell;
use std::io::{BufRead, Read, Result};
use std::rc::Rc;

/// Reads all members of a compressed stream as one.
///
/// Its errors hold one of this crate's: `BadInput` for a damaged or truncated stream and for bytes that
/// are neither a member nor padding, else what the reader returned.
pub struct Members<R: BufRead> {
    compression: Compression,
    /// None at the end.
    frame: Option<Frame<R>>,
    consumed: Rc<Meter>,
    /// Whose steps are those of this stream's decoder: the bytes of the file that it lies in.
    meter: Rc<Meter>,
    padding: Rc<Cell<u64>>,
}

impl<R: BufRead> Members<R> {
    /// Begins at the first member.
    ///
    /// # Errors
    /// As for reading.
    pub fn new(compression: Compression, reader: R) -> Result<Self> {
        let counting = Counting::new(reader);
        let consumed = counting.meter();
        let meter = Rc::clone(&consumed);
        let frame = Frame::open(compression, counting);
        let mut members =
            Self { compression, frame: None, consumed, meter, padding: Rc::default() };
        members.frame = Some(frame.map_err(|err| members.described(err))?);
        Ok(members)
    }

    /// Keeps the steps of another meter: that of the file in which the stream lies.
    #[must_use]
    pub fn metered(mut self, meter: &Rc<Meter>) -> Self {
        self.meter = Rc::clone(meter);
        self
    }

    /// Returns how many bytes of the stream have been consumed, kept up to date.
    pub fn consumed(&self) -> Rc<Meter> {
        Rc::clone(&self.consumed)
    }

    /// Returns how many bytes of padding have been passed over, kept up to date.
    pub fn padding(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.padding)
    }

    /// Passes over padding, and begins the next member if there is one.
    fn next_member(&mut self) -> Result<()> {
        let Some(frame) = self.frame.take() else { return Ok(()) };
        let Some(mut reader) = frame.end().map_err(|err| self.described(err))? else {
            return Ok(());
        };
        loop {
            let bytes = reader.fill_buf()?;
            let count = bytes.iter().take_while(|byte| is_padding(**byte)).count();
            let next = bytes.get(count).copied();
            reader.consume(count);
            self.padding.set(self.padding.get() + count as u64);
            match next {
                None if count == 0 => return Ok(()),
                None => {}
                Some(first) if self.compression.may_begin_with(first) => {
                    let frame = Frame::open(self.compression, reader);
                    self.frame = Some(frame.map_err(|err| self.described(err))?);
                    return Ok(());
                }
                Some(_) => {
                    let name = self.compression.name();
                    let message = format!("{name} stream is followed by bytes that are not {name}");
                    let at = self.consumed.now();
                    return Err(std::io::Error::other(Error::bad_input(message).at_byte(at)));
                }
            }
        }
    }

    fn described(&self, err: std::io::Error) -> std::io::Error {
        use std::io::ErrorKind;
        let is_of_reader = err.raw_os_error().is_some() || find::<Error>(&err).is_some();
        if is_of_reader || err.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).is_some() {
            return err;
        }
        let name = self.compression.name();
        let message = match err.kind() {
            ErrorKind::UnexpectedEof => format!("{name} stream is truncated"),
            ErrorKind::Interrupted => return err,
            _ if is_too_large(&err) => {
                let most = crate::decode::MAX_WINDOW_BYTES / 1_000_000;
                format!("{name} stream needs more than {most} MB to decode: compress it again")
            }
            _ => format!("{name} stream is damaged"),
        };
        let at = self.consumed.now();
        std::io::Error::other(Error::bad_input(message).at_byte(at).because(err))
    }
}

/// Whether a decoder refused the window that a stream asks for.
fn is_too_large(err: &std::io::Error) -> bool {
    // zstd has no other sign than its text.
    err.kind() == std::io::ErrorKind::OutOfMemory || err.to_string().contains("too much memory")
}

fn is_padding(byte: u8) -> bool {
    matches!(byte, 0 | b'\n' | b'\r' | b' ' | b'\t' | 0x1a)
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        while let Some(frame) = self.frame.as_mut().filter(|_| !out.is_empty()) {
            let before = self.meter.now();
            let outcome = frame.read(out);
            self.meter.step_from(before);
            match outcome {
                Ok(0) => self.next_member()?,
                Ok(count) => return Ok(count),
                Err(err) => return Err(self.described(err)),
            }
        }
        Ok(0)
    }
}
