//! Compressed streams as `verify` reads them: told by their first bytes, all members as one.
//!
//! Zero bytes, line ends and Ctrl-Z between and after members are no data. Anything else there makes the
//! stream a damaged one.

use std::cell::Cell;
use std::io::{BufRead, Cursor, Error, ErrorKind, Read, Result};
use std::rc::Rc;

/// The largest window of a stream, in KiB: larger ones are quarantined.
pub(super) const WINDOW_KIB: usize = 128 << 10;

/// A kind of compressed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstandard,
    Bzip2,
    Xz,
    Lzma,
    Lzip,
    Zlib,
}

/// Returns how a stream is compressed, by its first bytes.
pub(super) fn codec(head: &[u8]) -> Option<Codec> {
    let is_skippable = head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == *b"\x2a\x4d\x18";
    let is_bzip2 = head.len() >= 8
        && head.starts_with(b"BZh")
        && matches!(head[3], b'1'..=b'9')
        && [&b"\x31\x41\x59\x26"[..], b"\x17\x72\x45\x38"].contains(&&head[4..8]);
    match head {
        _ if head.starts_with(b"\x1f\x8b") => Some(Codec::Gzip),
        _ if head.starts_with(b"\x28\xb5\x2f\xfd") || is_skippable => Some(Codec::Zstandard),
        _ if is_bzip2 => Some(Codec::Bzip2),
        _ if head.starts_with(b"\xfd7zXZ\0") => Some(Codec::Xz),
        _ if head.starts_with(b"LZIP\x01") => Some(Codec::Lzip),
        _ if is_zlib(head) => Some(Codec::Zlib),
        _ if is_lzma(head) => Some(Codec::Lzma),
        _ => None,
    }
}

/// Whether a head is that of zlib at any level; of those that are text, `x^`, more must not be.
fn is_zlib(head: &[u8]) -> bool {
    let is_text = || head.iter().take(16).all(|byte| (b' '..0x7f).contains(byte));
    match head.get(..2) {
        Some(b"x\x01" | b"x\x9c" | b"x\xda") => true,
        Some(b"x^") => !is_text(),
        _ => false,
    }
}

/// The old format has no mark: usual properties, a usual dictionary and a likely size make one.
fn is_lzma(head: &[u8]) -> bool {
    let number = |from: usize, to: usize| {
        head[from..to].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    if head.len() < 14 || head[0] != 0x5d || head[13] != 0 {
        return false;
    }
    let (window, size) = (number(1, 5), number(5, 13));
    let is_power = |window: u64| window.is_power_of_two();
    window >= 4096
        && (is_power(window) || is_power(window / 3 * 2))
        && (size == u64::MAX || size < 1 << 38)
}

/// Bytes of a file that were made use of, and how many before its decoder's last step.
#[derive(Debug, Default)]
pub(super) struct Meter {
    used: Cell<u64>,
    before: Cell<u64>,
}

impl Meter {
    pub(super) fn used(&self) -> u64 {
        self.used.get()
    }

    pub(super) fn before(&self) -> u64 {
        self.before.get()
    }

    fn step(&self, since: u64) {
        if self.used.get() != since {
            self.before.set(since);
        }
    }
}

/// Counts the bytes that are made use of, not those that are read ahead.
pub(super) struct Counted<R> {
    inner: R,
    meter: Rc<Meter>,
}

impl<R> Counted<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, meter: Rc::default() }
    }

    pub(super) fn meter(&self) -> Rc<Meter> {
        Rc::clone(&self.meter)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let (count, since) = (self.inner.read(out)?, self.meter.used());
        self.meter.used.set(since + count as u64);
        self.meter.step(since);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.meter.used.set(self.meter.used() + count as u64);
        self.inner.consume(count);
    }
}

impl<R: std::io::Seek> std::io::Seek for Counted<R> {
    fn seek(&mut self, to: std::io::SeekFrom) -> Result<u64> {
        self.inner.seek(to)
    }
}

/// The stream between two members, with what the decoder before read too much of.
struct Rest<'r> {
    ahead: Cursor<Vec<u8>>,
    stream: Box<dyn BufRead + 'r>,
}

impl Rest<'_> {
    /// Puts bytes back in front.
    fn put_back(&mut self, mut bytes: Vec<u8>) -> Result<()> {
        self.ahead.read_to_end(&mut bytes)?;
        self.ahead = Cursor::new(bytes);
        Ok(())
    }
}

impl Read for Rest<'_> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let count = self.ahead.read(out)?;
        if count > 0 { Ok(count) } else { self.stream.read(out) }
    }
}

impl BufRead for Rest<'_> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.ahead.fill_buf()?.is_empty() {
            self.stream.fill_buf()
        } else {
            self.ahead.fill_buf()
        }
    }

    fn consume(&mut self, count: usize) {
        let is_ahead = self.ahead.fill_buf().is_ok_and(|ahead| !ahead.is_empty());
        if is_ahead { self.ahead.consume(count) } else { self.stream.consume(count) }
    }
}

enum Member<'r> {
    Gzip(flate2::bufread::GzDecoder<Rest<'r>>),
    Zlib(flate2::bufread::ZlibDecoder<Rest<'r>>),
    Zstandard(zstd::stream::read::Decoder<'static, Rest<'r>>),
    Bzip2(bzip2::bufread::BzDecoder<Rest<'r>>),
    Xz(lzma_rust2::XzReader<Rest<'r>>),
    Lzma(lzma_rust2::LzmaReader<Rest<'r>>),
    /// With the sum and the size of what has been read.
    Lzip(lzma_rust2::LzmaReader<Rest<'r>>, flate2::Crc),
}

impl<'r> Member<'r> {
    fn open(codec: Codec, rest: Rest<'r>) -> Result<Self> {
        let most = WINDOW_KIB as u32;
        Ok(match codec {
            Codec::Gzip => Self::Gzip(flate2::bufread::GzDecoder::new(rest)),
            Codec::Zlib => Self::Zlib(flate2::bufread::ZlibDecoder::new(rest)),
            Codec::Zstandard => {
                Self::Zstandard(zstd::stream::read::Decoder::with_buffer(rest)?.single_frame())
            }
            Codec::Bzip2 => Self::Bzip2(bzip2::bufread::BzDecoder::new(rest)),
            Codec::Xz => Self::Xz(lzma_rust2::XzReader::new_mem_limit(rest, false, most)),
            Codec::Lzma => Self::Lzma(lzma_rust2::LzmaReader::new_mem_limit(rest, most, None)?),
            Codec::Lzip => Self::Lzip(open_lzip(rest)?, flate2::Crc::new()),
        })
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        match self {
            Self::Gzip(member) => member.read(out),
            Self::Zlib(member) => member.read(out),
            Self::Zstandard(member) => member.read(out),
            Self::Bzip2(member) => member.read(out),
            Self::Xz(member) => member.read(out),
            Self::Lzma(member) => member.read(out),
            Self::Lzip(member, sum) => {
                let count = member.read(out)?;
                sum.update(&out[..count]);
                Ok(count)
            }
        }
    }

    /// What follows; after the old LZMA only zero bytes may.
    fn end(self) -> Result<Option<Rest<'r>>> {
        Ok(Some(match self {
            Self::Gzip(member) => member.into_inner(),
            Self::Zlib(member) => member.into_inner(),
            Self::Zstandard(member) => member.finish(),
            Self::Bzip2(member) => member.into_inner(),
            Self::Xz(member) => member.into_inner(),
            Self::Lzma(member) => {
                let (rest, ahead) = member.into_parts();
                let mut after = Vec::new();
                rest.take(1 << 16).read_to_end(&mut after)?;
                let is_clean = ahead.iter().chain(&after).all(|byte| *byte == 0);
                return if is_clean { Ok(None) } else { Err(ErrorKind::InvalidData.into()) };
            }
            Self::Lzip(member, sum) => {
                let (mut rest, ahead) = member.into_parts();
                rest.put_back(ahead)?;
                let mut trailer = [0; 20];
                rest.read_exact(&mut trailer)?;
                let is_right = trailer[..4] == sum.sum().to_le_bytes()
                    // The size is of 8 bytes, of which the crate counts 4.
                    && trailer[4..8] == sum.amount().to_le_bytes();
                if !is_right {
                    return Err(ErrorKind::InvalidData.into());
                }
                rest
            }
        }))
    }
}

/// Opens a member of lzip, if its dictionary is not too large.
fn open_lzip(mut rest: Rest<'_>) -> Result<lzma_rust2::LzmaReader<Rest<'_>>> {
    let mut head = [0; 6];
    rest.read_exact(&mut head)?;
    let exponent = head[5] % 32;
    if head[..5] != *b"LZIP\x01" || !(12..30).contains(&exponent) {
        return Err(ErrorKind::InvalidData.into());
    }
    let largest = 1_u32 << exponent;
    let window = largest - u32::from(head[5] / 32) * (largest / 16);
    if window as usize >> 10 > WINDOW_KIB {
        return Err(ErrorKind::InvalidData.into());
    }
    lzma_rust2::LzmaReader::new(rest, u64::MAX, 3, 0, 2, window, None)
}

/// All members of a stream.
pub(super) struct Stream<'r> {
    codec: Codec,
    /// None when there are no more.
    current: Option<Member<'r>>,
    meter: Rc<Meter>,
}

impl<'r> Stream<'r> {
    /// Begins at the first member; `meter` counts the bytes of the file that all of it lies in.
    pub(super) fn new(codec: Codec, stream: impl BufRead + 'r, meter: &Rc<Meter>) -> Result<Self> {
        let rest = Rest { ahead: Cursor::default(), stream: Box::new(stream) };
        let current = Some(Member::open(codec, rest)?);
        Ok(Self { codec, current, meter: Rc::clone(meter) })
    }

    /// Goes on with the member after this one.
    fn next(&mut self) -> Result<()> {
        let Some(member) = self.current.take() else { return Ok(()) };
        let Some(mut rest) = member.end()? else { return Ok(()) };
        let begins = |byte: u8| match self.codec {
            Codec::Gzip => byte == 0x1f,
            Codec::Zlib => byte == b'x',
            Codec::Zstandard => byte == 0x28 || byte & 0xf0 == 0x50,
            Codec::Bzip2 => byte == b'B',
            Codec::Xz => byte == 0xfd,
            Codec::Lzma => false,
            Codec::Lzip => byte == b'L',
        };
        match after_padding(&mut rest)? {
            None => {}
            Some(byte) if begins(byte) => self.current = Some(Member::open(self.codec, rest)?),
            Some(_) => return Err(Error::from(ErrorKind::InvalidData)),
        }
        Ok(())
    }
}

/// Passes over padding; returns the first byte after it.
fn after_padding(stream: &mut impl BufRead) -> Result<Option<u8>> {
    loop {
        let Some(&byte) = stream.fill_buf()?.first() else { return Ok(None) };
        if !matches!(byte, b'\0' | b'\t' | b'\n' | b'\r' | b' ' | b'\x1a') {
            return Ok(Some(byte));
        }
        stream.consume(1);
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        while let Some(member) = &mut self.current {
            let since = self.meter.used();
            let count = member.read(out)?;
            self.meter.step(since);
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            self.next()?;
        }
        Ok(0)
    }
}
