//! The kinds of compressed streams, told by their first bytes, and a decoder for one member of each.

use crate::decode::MAX_WINDOW_BYTES;
use crate::decode::counting::Counting;
use crate::decode::lzip::LzipMember;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952
    Gzip,
    /// RFC 8878
    Zstd,
    /// `.bz2`
    Bzip2,
    /// `.xz`
    Xz,
    /// The older `.lzma`
    Lzma,
    /// `.lz`
    Lzip,
    /// RFC 1950, as libraries write it
    Zlib,
}

impl Compression {
    /// Decides by the first bytes; 18 are enough.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // What parallel compressors put before the first frame.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => Some(Self::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            // The version of before 2010 is named as a packing that is not read.
            [b'L', b'Z', b'I', b'P', 1, ..] => Some(Self::Lzip),
            // No, low, usual and best compression.
            [b'x', 0x01 | 0x9c | 0xda, ..] => Some(Self::Zlib),
            [b'x', b'^', ..] if !is_text(bytes) => Some(Self::Zlib),
            _ if is_lzma(bytes) => Some(Self::Lzma),
            _ => None,
        }
    }

    /// Returns its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "Zstandard",
            Self::Bzip2 => "bzip2",
            Self::Xz => "XZ",
            Self::Lzma => "LZMA",
            Self::Lzip => "lzip",
            Self::Zlib => "zlib",
        }
    }

    /// Whether another member of a stream may begin with a byte.
    pub(super) fn may_begin_with(self, byte: u8) -> bool {
        match self {
            Self::Gzip => byte == 0x1f,
            Self::Zstd => matches!(byte, 0x28 | 0x50..=0x5f),
            Self::Bzip2 => byte == b'B',
            Self::Xz => byte == 0xfd,
            Self::Lzma => false,
            Self::Lzip => byte == b'L',
            Self::Zlib => byte == b'x',
        }
    }
}

/// Whether the first bytes are characters.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().take(16).all(|byte| matches!(byte, b' '..=b'~'))
}

/// The format has no magic number: as `xz` does, usual properties, a dictionary of a usual size and a
/// likely length are asked for.
fn is_lzma(bytes: &[u8]) -> bool {
    let (Some(&[0x5d, a, b, c, d]), Some(size)) =
        (bytes.first_chunk::<5>(), bytes.get(5..13).and_then(<[u8]>::first_chunk::<8>))
    else {
        return false;
    };
    let (dictionary, size) = (u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(*size));
    let is_usual = dictionary >= 4096
        && (dictionary.is_power_of_two() || (dictionary / 3 * 2).is_power_of_two());
    is_usual && (size == u64::MAX || size < 1 << 38) && bytes.get(13) == Some(&0)
}

/// One member of a stream.
pub(super) enum Frame<R: BufRead> {
    Gzip(Box<GzDecoder<Counting<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Counting<R>>>),
    Bzip2(Box<bzip2::bufread::BzDecoder<Counting<R>>>),
    Xz(Box<lzma_rust2::XzReader<Counting<R>>>),
    Lzma(Box<lzma_rust2::LzmaReader<Counting<R>>>),
    Lzip(Box<LzipMember<R>>),
    Zlib(Box<ZlibDecoder<Counting<R>>>),
}

impl<R: BufRead> Frame<R> {
    pub(super) fn open(compression: Compression, reader: Counting<R>) -> Result<Self> {
        let most = (MAX_WINDOW_BYTES >> 10) as u32;
        Ok(match compression {
            Compression::Gzip => Self::Gzip(Box::new(GzDecoder::new(reader))),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                Self::Zstd(Box::new(decoder.single_frame()))
            }
            Compression::Bzip2 => Self::Bzip2(Box::new(bzip2::bufread::BzDecoder::new(reader))),
            Compression::Xz => {
                Self::Xz(Box::new(lzma_rust2::XzReader::new_mem_limit(reader, false, most)))
            }
            Compression::Lzma => {
                Self::Lzma(Box::new(lzma_rust2::LzmaReader::new_mem_limit(reader, most, None)?))
            }
            Compression::Lzip => Self::Lzip(Box::new(LzipMember::open(reader)?)),
            Compression::Zlib => Self::Zlib(Box::new(ZlibDecoder::new(reader))),
        })
    }

    /// Returns the reader after the member; none when nothing may follow it.
    pub(super) fn end(self) -> Result<Option<Counting<R>>> {
        match self {
            Self::Gzip(decoder) => Ok(Some(decoder.into_inner())),
            Self::Zstd(decoder) => Ok(Some(decoder.finish())),
            Self::Bzip2(decoder) => Ok(Some(decoder.into_inner())),
            Self::Xz(decoder) => Ok(Some(decoder.into_inner())),
            Self::Lzma(decoder) => {
                let (mut rest, ahead) = decoder.into_parts();
                let mut after = Vec::new();
                rest.by_ref().take(1 << 16).read_to_end(&mut after)?;
                if ahead.iter().chain(&after).any(|byte| *byte != 0) {
                    let message = "bytes follow the LZMA stream";
                    return Err(Error::new(ErrorKind::InvalidData, message));
                }
                Ok(None)
            }
            Self::Lzip(member) => member.end().map(Some),
            Self::Zlib(decoder) => Ok(Some(decoder.into_inner())),
        }
    }
}

impl<R: BufRead> Read for Frame<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(out),
            Self::Zstd(decoder) => decoder.read(out),
            Self::Bzip2(decoder) => decoder.read(out),
            Self::Xz(decoder) => decoder.read(out),
            Self::Lzma(decoder) => decoder.read(out),
            Self::Lzip(member) => member.read(out),
            Self::Zlib(decoder) => decoder.read(out),
        }
    }
}

/// Decodes a member of a zip in LZMA, which has its properties in front, and checks its sum at its end.
///
/// # Errors
/// As for reading the member.
pub fn lzma_of_zip(
    reader: impl Read,
    size: u64,
    properties: u8,
    window: u32,
    crc: u32,
) -> Result<impl Read> {
    let inner = lzma_rust2::LzmaReader::new_with_props(reader, size, properties, window, None)?;
    Ok(checked(inner, crc))
}

/// Returns the CRC-32 of bytes, as archives have it.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

/// Compares the CRC-32 of what is read where it ends.
pub fn checked(inner: impl Read, crc: u32) -> impl Read {
    Checked { inner, sum: flate2::Crc::new(), crc }
}

/// Compares a sum where what is read ends.
struct Checked<R> {
    inner: R,
    sum: flate2::Crc,
    crc: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(out)?;
        self.sum.update(&out[..count]);
        if count == 0 && !out.is_empty() && self.sum.sum() != self.crc {
            return Err(Error::new(ErrorKind::InvalidData, "the sum of the member is another"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_not_taken_for_a_stream() {
        for text in [
            &b"BZh is no stream"[..],
            b"]\0\0",
            b"{}",
            b"P*M",
            b"",
            b"(\xb5",
            b"LZIP is a format",
            b"x^2 + y^2",
        ] {
            assert_eq!(Compression::of(text), None, "{text:?}");
        }
    }
}
