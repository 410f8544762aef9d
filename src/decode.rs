//! Gunzip of whole objects into a reused buffer, with caps against bombs.
//!
//! libdeflate decodes a one-member object in one call (SPIKE.md: 1,600 MB/s against 550 to 900 for
//! streaming decoders). It cannot tell where a member ends, so an object in which a second gzip
//! header may start goes through the streaming decoder, which reads all members.

use crate::error::{Error, ErrorKind, Result};
use flate2::bufread::MultiGzDecoder;
use libdeflater::{DecompressionError, Decompressor};
use std::io::Read;

/// The largest decoded object, unless an option says otherwise: 1 GiB. CloudTrail writes at most
/// 50 MB today; before 2024 the limit was 50 MB after compression (FACTS.md 0.2).
pub const DEFAULT_MAX_OBJECT_BYTES: u64 = 1 << 30;

/// The largest ratio of decoded to compressed bytes, unless an option says otherwise. Logs reach
/// 10 to 60; a deflate bomb 1,030.
pub const DEFAULT_MAX_RATIO: u64 = 400;

/// Ratios are not looked at below this decoded size: small objects may well be all repetition.
const RATIO_FLOOR: u64 = 1 << 20;

/// What one object may decode to.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Decoded bytes of one object.
    pub max_object_bytes: u64,
    /// Decoded bytes per compressed byte.
    pub max_ratio: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self { max_object_bytes: DEFAULT_MAX_OBJECT_BYTES, max_ratio: DEFAULT_MAX_RATIO }
    }
}

impl Caps {
    fn limit(&self, compressed: usize) -> u64 {
        let by_ratio = (compressed as u64).saturating_mul(self.max_ratio).max(RATIO_FLOOR);
        self.max_object_bytes.min(by_ratio)
    }
}

/// Returns whether the bytes are a gzip member.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Returns the decoded size a one-member gzip object claims; smaller objects claim 0.
pub fn claimed_size(bytes: &[u8]) -> u64 {
    match bytes.last_chunk::<4>() {
        Some(size) if bytes.len() >= 18 => u64::from(u32::from_le_bytes(*size)),
        _ => 0,
    }
}

/// Whether a second member's header may stand in the bytes: its magic, no reserved flag, and an
/// XFL that compressors write (RFC 1952). Compressed data looks like that once in 11 GB.
fn may_have_more_members(bytes: &[u8]) -> bool {
    let body = bytes.get(10..).unwrap_or_default();
    memchr::memmem::find_iter(body, b"\x1f\x8b\x08").any(|at| {
        body.get(at + 3).is_some_and(|flags| flags & 0xE0 == 0)
            && body.get(at + 8).is_some_and(|xfl| matches!(xfl, 0 | 2 | 4))
    })
}

/// Decoded bytes, in a buffer that is used again: [`Decoded::clear`] forgets what it held, and does
/// not give its memory back, whose pages cost as much as decoding into them.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Initialised past `len`, as far as the buffer was ever used.
    bytes: Vec<u8>,
    len: usize,
}

impl Decoded {
    /// Forgets the bytes.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Forgets the bytes from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Returns how many bytes of memory the buffer has.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends `more` bytes of no particular value, and returns them.
    fn grow(&mut self, more: usize) -> &mut [u8] {
        let start = self.len;
        self.len += more;
        if self.bytes.len() < self.len {
            // Not to twice the size, as vectors grow: objects of 50 MB come alone.
            self.bytes.reserve_exact(self.len - self.bytes.len());
            self.bytes.resize(self.len, 0);
        }
        &mut self.bytes[start..self.len]
    }

    /// Appends what `read` appends to the vector it is given.
    fn append<T>(&mut self, read: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.bytes.truncate(self.len);
        let outcome = read(&mut self.bytes);
        self.len = self.bytes.len();
        outcome
    }
}

impl std::ops::Deref for Decoded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A decoder with its state, one per worker.
pub struct Decoder {
    whole: Decompressor,
    caps: Caps,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("caps", &self.caps).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Creates a decoder that refuses what is over `caps`.
    pub fn new(caps: Caps) -> Self {
        Self { whole: Decompressor::new(), caps }
    }

    /// Appends the decoded object to `out`; an object that is not gzip is appended as it is.
    ///
    /// On an error `out` is left as it was.
    ///
    /// # Errors
    /// `BadInput` for a damaged or truncated gzip stream, `OverLimit` past a cap.
    pub fn decode(&mut self, bytes: &[u8], out: &mut Decoded) -> Result<()> {
        let start = out.len();
        if !is_gzip(bytes) {
            if bytes.len() as u64 > self.caps.max_object_bytes {
                return Err(over_size(self.caps.max_object_bytes));
            }
            out.grow(bytes.len()).copy_from_slice(bytes);
            return Ok(());
        }
        let outcome = self.gunzip(bytes, out, start);
        if outcome.is_err() {
            out.truncate(start);
        }
        outcome
    }

    fn gunzip(&mut self, bytes: &[u8], out: &mut Decoded, start: usize) -> Result<()> {
        let claimed = claimed_size(bytes);
        if !may_have_more_members(bytes) && claimed > 0 && claimed <= self.caps.limit(bytes.len()) {
            match self.whole.gzip_decompress(bytes, out.grow(claimed as usize)) {
                Ok(size) if size as u64 == claimed => return Ok(()),
                Ok(_) | Err(DecompressionError::InsufficientSpace) => {}
                Err(DecompressionError::BadData) => {}
            }
            out.truncate(start);
        }
        self.gunzip_members(bytes, out, start)
    }

    /// The slow path: several members, a wrong trailer, a cap to find, or an error to describe.
    fn gunzip_members(&self, bytes: &[u8], out: &mut Decoded, start: usize) -> Result<()> {
        let limit = self.caps.limit(bytes.len());
        let mut members = MultiGzDecoder::new(bytes).take(limit + 1);
        out.append(|out| members.read_to_end(out)).map_err(|err| {
            let message = match err.kind() {
                std::io::ErrorKind::UnexpectedEof => "gzip stream is truncated",
                _ => "gzip stream is damaged",
            };
            Error::bad_input(message).because(err)
        })?;
        if (out.len() - start) as u64 <= limit {
            return Ok(());
        }
        if limit == self.caps.max_object_bytes {
            return Err(over_size(limit));
        }
        Err(Error::new(
            ErrorKind::OverLimit,
            format!(
                "decodes to over {} times its size; `--max-ratio` raises it",
                self.caps.max_ratio
            ),
        ))
    }
}

fn over_size(limit: u64) -> Error {
    Error::new(
        ErrorKind::OverLimit,
        format!("decodes to over {limit} bytes; `--max-object-size` raises it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(bytes: &[u8], caps: Caps) -> Result<Vec<u8>> {
        let mut out = Decoded::default();
        out.grow(9).copy_from_slice(b"forgotten");
        out.clear();
        out.grow(4).copy_from_slice(b"kept");
        let outcome = Decoder::new(caps).decode(bytes, &mut out);
        assert!(out.starts_with(b"kept"));
        outcome.map(|()| out[4..].to_vec())
    }

    #[test]
    fn all_members_are_read_even_identical_ones() {
        let member = gzip(b"{\"Records\":[]}");

        let twice = decode(&[member.clone(), member].concat(), Caps::default()).unwrap();

        assert_eq!(twice, b"{\"Records\":[]}{\"Records\":[]}");
    }

    #[test]
    fn a_truncated_stream_says_so_and_leaves_the_buffer() {
        let whole = gzip(&b"abcdefgh".repeat(1000));

        let err = decode(&whole[..whole.len() - 20], Caps::default()).unwrap_err();

        assert_eq!(err.to_string(), "gzip stream is truncated");
    }

    #[test]
    fn a_bomb_stops_at_the_cap() {
        let bomb = gzip(&vec![b' '; 64 << 20]);

        let err = decode(&bomb, Caps::default()).unwrap_err();
        assert!(err.to_string().contains("--max-ratio"), "{err}");

        let caps = Caps { max_object_bytes: 1 << 20, max_ratio: 10_000 };
        let err = decode(&bomb, caps).unwrap_err();
        assert!(err.to_string().contains("--max-object-size"), "{err}");
        assert_eq!(err.kind(), ErrorKind::OverLimit);
    }

    #[test]
    fn plain_bytes_pass_through() {
        assert_eq!(decode(b"{}", Caps::default()).unwrap(), b"{}");
        assert_eq!(decode(b"", Caps::default()).unwrap(), b"");
    }
}
