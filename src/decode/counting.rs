//! What has been consumed of a reader.

use std::cell::Cell;
use std::io::{BufRead, Read, Result, Seek, SeekFrom};
use std::rc::Rc;

/// How many bytes have been consumed of a reader, and how many had been before the last step.
///
/// A decoder takes a block and gives what is in it bit by bit: what stands in the middle of a block has been
/// made of bytes that were consumed before it came.
#[derive(Debug, Default)]
pub struct Meter {
    now: Cell<u64>,
    before: Cell<u64>,
}

impl Meter {
    /// Returns how many bytes have been consumed.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// Returns how many had been consumed before the block was read that is being used up.
    pub fn before(&self) -> u64 {
        self.before.get()
    }

    fn add(&self, count: u64) {
        self.now.set(self.now.get() + count);
    }

    pub(super) fn step_from(&self, before: u64) {
        if self.now.get() > before {
            self.before.set(before);
        }
    }
}

/// Counts the bytes that are consumed of a reader.
pub struct Counting<R> {
    inner: R,
    meter: Rc<Meter>,
    /// Bytes that come first: what a decoder gave back, and how many of them have come.
    unread: Vec<u8>,
    again: usize,
}

impl<R> Counting<R> {
    /// Counts from 0.
    pub fn new(inner: R) -> Self {
        Self { inner, meter: Rc::default(), unread: Vec::new(), again: 0 }
    }

    /// Returns how many bytes have been consumed, kept up to date.
    pub fn meter(&self) -> Rc<Meter> {
        Rc::clone(&self.meter)
    }

    /// Takes back the bytes that were consumed last and not made use of.
    pub(super) fn unread(&mut self, bytes: Vec<u8>) {
        self.meter.now.set(self.meter.now() - bytes.len() as u64);
        let rest = self.unread.split_off(self.again.min(self.unread.len()));
        self.unread = bytes;
        self.unread.extend(rest);
        self.again = 0;
    }

    /// What has been given back.
    fn given_back(&self) -> &[u8] {
        &self.unread[self.again..]
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let before = self.meter.now();
        let count = match self.given_back().read(out)? {
            0 => self.inner.read(out)?,
            count => {
                self.again += count;
                count
            }
        };
        self.meter.add(count as u64);
        self.meter.step_from(before);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counting<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        match self.again < self.unread.len() {
            true => Ok(&self.unread[self.again..]),
            false => self.inner.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        self.meter.add(count as u64);
        match self.again < self.unread.len() {
            true => self.again += count,
            false => self.inner.consume(count),
        }
    }
}

impl<R: Seek> Seek for Counting<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.unread.clear();
        self.again = 0;
        self.inner.seek(to)
    }
}
