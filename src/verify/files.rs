//! Files in buckets, as `verify` reads them, and reading them ahead.
//!
//! The caller of `verify` says how a bucket is listed and read, and nothing else: this room decides
//! which names count and what the bytes mean. Small files are requested before a worker is free for
//! them, so that network latency does not delay workers; archives are read in blocks. Memory:
//! [`BYTES_AHEAD`], plus per thread one block, or one data file of the lake.

use crate::error::{Error, ErrorKind, Result};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of a large file per request; smaller files are read whole: 8 MiB.
pub const BLOCK_BYTES: u64 = 8 << 20;
/// Bytes requested ahead, but at least one file: 128 MiB.
const BYTES_AHEAD: u64 = 128 << 20;
/// The largest data file of a lake that is read into memory: 2 GiB.
const MAX_DATA_FILE: u64 = 2 << 30;

/// A file in a bucket, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// The bucket.
    pub bucket: String,
    /// The key, as it is.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// The entity tag: another one means other bytes.
    pub etag: String,
}

impl RemoteFile {
    /// Returns `s3://bucket/key`.
    pub fn address(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// Waits for bytes that were asked for.
pub type Waiting = Box<dyn FnOnce() -> Result<Vec<u8>> + Send>;

/// Buckets. Calls come from many threads, which may wait.
pub trait Files: Debug + Send + Sync {
    /// Lists everything whose key starts with `prefix`.
    ///
    /// # Errors
    /// As the bucket says.
    fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<RemoteFile>>;

    /// Asks for some bytes of a file, which is what it was when it was listed, and returns at once.
    /// The range is not empty.
    fn read(&self, file: &RemoteFile, range: Range<u64>) -> Waiting;
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Local(PathBuf),
    Remote(RemoteFile),
}

/// A file in a place.
pub(super) trait Placed: Sync {
    fn place(&self) -> &Place;

    /// Whether its bytes are looked at; others are not asked for.
    fn is_read(&self) -> bool {
        true
    }
}

impl<T: Placed> Placed for &T {
    fn place(&self) -> &Place {
        (**self).place()
    }

    fn is_read(&self) -> bool {
        (**self).is_read()
    }
}

/// A file that is about to be read.
pub(super) enum Opening<'a> {
    Local(&'a Path),
    /// Asked for, whole.
    Asked(Waiting),
    /// Too large to be asked for ahead.
    Large(&'a RemoteFile, &'a dyn Files),
}

/// A file of the lake that can be read at any place, as often as wanted.
pub(super) enum DataFile<'a> {
    Path(&'a Path),
    Bytes(Vec<u8>),
}

impl<'a> Opening<'a> {
    /// Returns a data file, which is held whole if it is not of this machine.
    ///
    /// # Errors
    /// As the bucket says; `OverLimit` for a file that is larger than 2 GiB.
    pub(super) fn data_file(self) -> Result<DataFile<'a>> {
        match self {
            Self::Local(path) => Ok(DataFile::Path(path)),
            Self::Asked(waiting) => waiting().map(DataFile::Bytes),
            Self::Large(file, _) if file.size > MAX_DATA_FILE => {
                let message = "a data file over 2 GiB is not read from a bucket; copy it here";
                Err(Error::new(ErrorKind::OverLimit, message).at("file", file.address()))
            }
            Self::Large(file, files) => {
                let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0));
                while (bytes.len() as u64) < file.size {
                    bytes.append(&mut files.read(file, block(file, bytes.len() as u64))()?);
                }
                Ok(DataFile::Bytes(bytes))
            }
        }
    }

    /// Returns a source's file to be read once.
    ///
    /// # Errors
    /// `Io` if a local file cannot be opened, else as the bucket says.
    pub(super) fn source(self) -> Result<Source<'a>> {
        Ok(match self {
            Self::Local(path) => {
                let file = File::open(path).map_err(|err| Error::io("cannot open", err))?;
                Source::File(BufReader::new(file))
            }
            Self::Asked(waiting) => Source::Bytes(std::io::Cursor::new(waiting()?)),
            Self::Large(file, files) => Source::Blocks(Blocks {
                file,
                files,
                at: 0,
                start: 0,
                block: Vec::new(),
                failure: None,
            }),
        })
    }
}

/// A source's file, open.
pub(super) enum Source<'a> {
    File(BufReader<File>),
    Bytes(std::io::Cursor<Vec<u8>>),
    Blocks(Blocks<'a>),
}

impl Source<'_> {
    /// Returns the error of a bucket: such a file is not damaged, only unread.
    pub(super) fn failure(self) -> Option<Error> {
        match self {
            Self::Blocks(blocks) => blocks.failure,
            _ => None,
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::File(file) => file.read(out),
            Self::Bytes(bytes) => bytes.read(out),
            Self::Blocks(blocks) => blocks.read(out),
        }
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Bytes(bytes) => bytes.seek(to),
            Self::Blocks(blocks) => blocks.seek(to),
        }
    }
}

/// A large file in a bucket, a block of which is here.
pub(super) struct Blocks<'a> {
    file: &'a RemoteFile,
    files: &'a dyn Files,
    at: u64,
    start: u64,
    block: Vec<u8>,
    failure: Option<Error>,
}

fn block(file: &RemoteFile, at: u64) -> Range<u64> {
    at..(at + BLOCK_BYTES).min(file.size)
}

impl Read for Blocks<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= self.file.size {
            return Ok(0);
        }
        if !(self.start..self.start + self.block.len() as u64).contains(&self.at) {
            match self.files.read(self.file, block(self.file, self.at))() {
                Ok(bytes) => (self.start, self.block) = (self.at, bytes),
                Err(err) => {
                    self.failure = Some(err);
                    return Err(std::io::Error::other("the bucket did not answer"));
                }
            }
        }
        let from = &self.block[(self.at - self.start) as usize..];
        let count = from.len().min(out.len());
        out[..count].copy_from_slice(&from[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Blocks<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.file.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// Calls `work` with every file on the threads of the current pool; returns its results, in the
/// order of `files`. Up to `ahead` files are asked for before they are needed.
///
/// # Errors
/// The first that `work` returns.
pub(super) fn each<'a, F: Placed, T: Send>(
    files: &'a [F],
    buckets: Option<&'a dyn Files>,
    ahead: usize,
    work: impl Fn(&'a F, Opening<'a>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let waiting = Ahead { files: files.iter().enumerate(), buckets, ahead, queue: VecDeque::new() };
    let made = waiting.par_bridge().map(|(at, file, opening)| Ok((at, work(file, opening?)?)));
    let mut made: Vec<(usize, T)> = made.collect::<Result<_>>()?;
    made.sort_unstable_by_key(|(at, _)| *at);
    Ok(made.into_iter().map(|(_, made)| made).collect())
}

type Asked<'a, F> = (usize, &'a F, Result<Opening<'a>>);

struct Ahead<'a, F> {
    files: std::iter::Enumerate<std::slice::Iter<'a, F>>,
    buckets: Option<&'a dyn Files>,
    ahead: usize,
    queue: VecDeque<Asked<'a, F>>,
}

impl<'a, F: Placed> Ahead<'a, F> {
    fn open(&self, file: &'a F) -> Result<Opening<'a>> {
        if !file.is_read() {
            return Ok(Opening::Asked(Box::new(|| Ok(Vec::new()))));
        }
        match (file.place(), self.buckets) {
            (Place::Local(path), _) => Ok(Opening::Local(path)),
            (Place::Remote(file), Some(buckets)) => Ok(match file.size {
                0 => Opening::Asked(Box::new(|| Ok(Vec::new()))),
                1..=BLOCK_BYTES => Opening::Asked(buckets.read(file, 0..file.size)),
                _ => Opening::Large(file, buckets),
            }),
            (Place::Remote(file), None) => Err(no_buckets(&file.address())),
        }
    }

    fn bytes_asked(&self) -> u64 {
        let asked = self.queue.iter().map(|(_, file, opening)| match (file.place(), opening) {
            (Place::Remote(file), Ok(Opening::Asked(_))) => file.size,
            _ => 0,
        });
        asked.sum()
    }
}

impl<'a, F: Placed> Iterator for Ahead<'a, F> {
    type Item = Asked<'a, F>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.queue.len() < self.ahead.max(1) && self.bytes_asked() < BYTES_AHEAD {
            let Some((at, file)) = self.files.next() else { break };
            let opening = self.open(file);
            self.queue.push_back((at, file, opening));
        }
        self.queue.pop_front()
    }
}

/// The error for a bucket when no access to buckets was given.
pub(super) fn no_buckets(place: &str) -> Error {
    Error::config("cannot read from buckets").at("place", place)
}
