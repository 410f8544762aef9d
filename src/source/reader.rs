//! An object of a bucket as a file: archives are streamed and zips are read from behind.

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Object, Place};
use crate::storage::Bucket;
use bytes::Bytes;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use tokio::runtime::Handle;

/// What one request fetches (docs/aws-facts.md A19).
const BLOCK: u64 = 8 << 20;

/// Something that is read like a file.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

impl Object {
    /// Opens the object to be read like a file, on a thread that may wait.
    ///
    /// # Errors
    /// `Io` when a file cannot be opened; what a bucket says comes with the first read.
    pub fn open(&self, runtime: &Handle) -> Result<Box<dyn ReadSeek>> {
        match &self.place {
            Place::File => match File::open(self.path()) {
                Ok(file) => Ok(Box::new(file)),
                Err(err) => Err(Error::io("cannot open the archive", err).at("archive", &self.key)),
            },
            Place::Bucket(bucket) => Ok(Box::new(Remote {
                bucket: bucket.clone(),
                key: self.bucket_key().to_owned(),
                etag: self.etag.clone(),
                size: self.size,
                at: 0,
                block: Bytes::new(),
                block_start: 0,
                runtime: runtime.clone(),
            })),
        }
    }
}

/// An object of a bucket, a block of which is here.
struct Remote {
    bucket: Bucket,
    key: String,
    etag: String,
    size: u64,
    at: u64,
    block: Bytes,
    block_start: u64,
    runtime: Handle,
}

impl Remote {
    fn fetch(&self) -> Result<Bytes> {
        let range = self.block_start..(self.block_start + BLOCK).min(self.size);
        let got = self.bucket.get_part(&self.key, Some(&self.etag), range);
        self.runtime.block_on(got)?.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "object is gone since it was listed; run again")
        })
    }
}

impl Read for Remote {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= self.size {
            return Ok(0);
        }
        let block = self.block_start..self.block_start + self.block.len() as u64;
        if !block.contains(&self.at) {
            // Blocks have fixed places, so that what is read in any order nearby is one request.
            self.block = Bytes::new();
            self.block_start = self.at - self.at % BLOCK;
            self.block = self.fetch().map_err(std::io::Error::other)?;
        }
        let from = self.block.get((self.at - self.block_start) as usize..).unwrap_or_default();
        if from.is_empty() {
            let short = "the response is shorter than the object";
            let short = Error::new(ErrorKind::Unavailable, short).at("object", &self.key);
            return Err(std::io::Error::other(short));
        }
        let count = from.len().min(out.len());
        out[..count].copy_from_slice(&from[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Remote {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let before_start = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
        self.at = at.ok_or_else(before_start)?;
        Ok(self.at)
    }
}
