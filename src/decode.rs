//! Whole objects to text, in reused buffers and with caps against bombs: gzip first of all, then the
//! other kinds of compression, in each other too, and UTF-16.
//!
//! libdeflate decodes a one-member object in one call, far faster than streaming decoders do
//! (docs/benchmarks.md#gunzip). It cannot tell where a member ends, so an object in which a second gzip
//! header may start goes through the streaming decoder, which reads all members. So does one whose
//! last four bytes are not its size: padding follows it, or it is damaged.

mod compression;
mod counting;
mod encoding;
mod layers;
mod lzip;
mod members;

use crate::error::{Error, ErrorKind, Result};
pub use compression::{Compression, checked, crc32, lzma_of_zip};
pub use counting::{Counting, Meter};
pub use layers::{Layers, MAX_LAYERS, Text};
use libdeflater::Decompressor;
pub use members::Members;
use std::io::Read;

/// The largest decoded object, unless an option says otherwise: 1 GiB. CloudTrail writes at most
/// 50 MB today; before 2024 the limit was 50 MB after compression (docs/aws-facts.md A2).
pub const DEFAULT_MAX_OBJECT_BYTES: u64 = 1_000_000_000;

/// The largest ratio of decoded to compressed bytes, unless an option says otherwise. Logs reach
/// 10 to 60; a deflate bomb 1,030.
pub const DEFAULT_MAX_RATIO: u64 = 400;

/// Ratios are not looked at below this decoded size: small objects may well be all repetition.
const RATIO_FLOOR: u64 = 1 << 20;

/// What one object may decode to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// Returns how many bytes may come of `stored` ones: of an object, or of a member of an archive.
    pub fn limit(&self, stored: u64) -> u64 {
        let by_ratio = stored.saturating_mul(self.max_ratio).max(RATIO_FLOOR);
        self.max_object_bytes.min(by_ratio)
    }

    /// Returns what to say of something that is over `limit`, which [`Caps::limit`] returned.
    pub fn over(&self, limit: u64) -> Error {
        let message = if limit >= self.max_object_bytes {
            format!("decoded size is over {limit} bytes; raise the limit with `--max-object-size`")
        } else {
            let ratio = self.max_ratio;
            format!(
                "decoded size is over {ratio} times the compressed size; raise the limit with \
                     `--max-ratio`"
            )
        };
        Error::new(ErrorKind::OverLimit, message)
    }
}

/// The largest window that is decoded with: zstd writes larger ones with `--ultra` or `--long` only, and
/// the highest level of xz takes half of it.
pub const MAX_WINDOW_BYTES: usize = 128 << 20;

/// Decoded bytes of a stream that does not say its size before more memory is asked for: 8 MiB.
const UNASKED: u64 = 8 << 20;

/// Returns whether the bytes are a gzip member.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Returns the name of a kind of compression or archive that is not read: an object in it must not pass
/// for one without records.
pub fn unknown_packing(bytes: &[u8]) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 17] = [
        (b"\xff\xfe\0\0", "UTF-32"),
        (b"\0\0\xfe\xff", "UTF-32"),
        (b"H4sIA", "base64 (of gzip)"),
        (b"\x04\x22\x4d\x18", "LZ4"),
        (b"\x02\x21\x4c\x18", "LZ4"),
        (b"\xff\x06\0\0sNaPpY", "Snappy"),
        (b"\x1f\x9d", "compress (LZW)"),
        (b"\x1f\xa0", "compress (LZH)"),
        (b"\x1f\x1e", "pack"),
        (b"LZIP", "lzip"),
        (b"\x89LZO\0", "lzop"),
        (b"LRZI", "lrzip"),
        (b"Rar!\x1a\x07", "RAR"),
        (b"MSCF\0\0\0\0", "Microsoft Cabinet"),
        (b"**ACE**", "ACE"),
        (b"!<arch>\n", "ar"),
        (b"070701", "cpio"),
    ];
    MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, name)| *name)
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

/// The passwords to try on encrypted archives; none of them is ever shown.
#[derive(Clone, Default)]
pub struct Passwords(std::sync::Arc<[String]>);

impl Passwords {
    /// Takes the lines of a file, without their ends.
    pub fn from_lines(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Returns the passwords in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Returns 4 digits that tell these passwords from most others, and are far too few to find them by; none
    /// without passwords.
    pub fn check(&self) -> Option<String> {
        let all = self.0.join("\n");
        let hash = xxhash_rust::xxh3::xxh3_64(all.as_bytes());
        (!self.is_empty()).then(|| format!("{:04x}", hash >> 48))
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Passwords({})", self.0.len())
    }
}

/// A decoder with its state, one per worker.
pub struct Decoder {
    whole: Decompressor,
    /// Made when the first frame comes that says its size.
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    caps: Caps,
    passwords: Passwords,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("caps", &self.caps).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Creates a decoder that refuses what is over `caps`.
    pub fn new(caps: Caps) -> Self {
        let passwords = Passwords::default();
        Self { whole: Decompressor::new(), zstd: None, caps, passwords }
    }

    /// Adds passwords for the archives that turn up in objects.
    #[must_use]
    pub fn with_passwords(mut self, passwords: &Passwords) -> Self {
        self.passwords = passwords.clone();
        self
    }

    /// Returns the passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Returns the caps.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// Appends the decoded object to `out`; an object that is not gzip is appended as it is.
    ///
    /// On an error `out` is left as it was.
    ///
    /// # Errors
    /// `BadInput` for a damaged or truncated gzip stream, `OverLimit` past a cap.
    pub fn decode(&mut self, bytes: &[u8], out: &mut Decoded) -> Result<()> {
        if is_gzip(bytes) {
            return self.gunzip(bytes, bytes.len() as u64, out, &mut |_| Ok(())).map(|_| ());
        }
        if bytes.len() as u64 > self.caps.max_object_bytes {
            return Err(self.caps.over(self.caps.max_object_bytes));
        }
        out.grow(bytes.len()).copy_from_slice(bytes);
        Ok(())
    }

    /// Appends a decoded gzip object to `out`; returns how many bytes of padding lie between and after
    /// its members. `stored` is what the ratio counts against: the object's size where it lies. Before
    /// `out` grows, `make_room` is told the object's decoded size.
    ///
    /// On an error `out` is left as it was.
    ///
    /// # Errors
    /// As [`Decoder::decode`], and what `make_room` returns.
    pub fn gunzip(
        &mut self,
        bytes: &[u8],
        stored: u64,
        out: &mut Decoded,
        make_room: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<u64> {
        let start = out.len();
        let (claimed, limit) = (claimed_size(bytes), self.caps.limit(stored));
        if !may_have_more_members(bytes) && claimed > 0 && claimed <= limit {
            make_room(claimed)?;
            match self.whole.gzip_decompress(bytes, out.grow(claimed as usize)) {
                Ok(size) if size as u64 == claimed => return Ok(0),
                // The trailer is none; or the stream is damaged, which is found again and described.
                Ok(_) | Err(_) => out.truncate(start),
            }
        }
        let outcome = self.all_members(Compression::Gzip, bytes, limit, out, make_room);
        if outcome.is_err() {
            out.truncate(start);
        }
        outcome
    }

    /// As [`Decoder::gunzip`], for every kind of compression.
    ///
    /// # Errors
    /// As [`Decoder::gunzip`].
    pub fn decompress(
        &mut self,
        compression: Compression,
        bytes: &[u8],
        stored: u64,
        out: &mut Decoded,
        make_room: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<u64> {
        if compression == Compression::Gzip {
            return self.gunzip(bytes, stored, out, make_room);
        }
        let (start, limit) = (out.len(), self.caps.limit(stored));
        if compression == Compression::Zstd
            && let Some(size) = zstd_size(bytes).filter(|size| *size <= limit)
        {
            make_room(size)?;
            if self.decode_frame(bytes, out.grow(size as usize)) {
                return Ok(0);
            }
            // Damage is found again and described.
            out.truncate(start);
        }
        let outcome = self.all_members(compression, bytes, limit, out, make_room);
        if outcome.is_err() {
            out.truncate(start);
        }
        outcome
    }

    /// Decodes one frame of zstd whose size is known; returns whether it fills `out`.
    fn decode_frame(&mut self, bytes: &[u8], out: &mut [u8]) -> bool {
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Decompressor::new().ok();
        }
        let Some(decoder) = &mut self.zstd else { return false };
        decoder.decompress_to_buffer(bytes, &mut *out).is_ok_and(|size| size == out.len())
    }

    /// The slow path: several members, padding, a wrong trailer, a cap to find, or an error to describe.
    /// What exceeds [`UNASKED`] is decoded twice, so that memory is taken once its size is known.
    fn all_members(
        &self,
        compression: Compression,
        bytes: &[u8],
        limit: u64,
        out: &mut Decoded,
        make_room: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<u64> {
        let start = out.len();
        let mut members = Members::new(compression, bytes).map_err(described)?;
        out.append(|out| (&mut members).take(UNASKED).read_to_end(out)).map_err(described)?;
        let first = (out.len() - start) as u64;
        let mut rest = members.by_ref().take((limit + 1).saturating_sub(first));
        let more = std::io::copy(&mut rest, &mut std::io::sink()).map_err(described)?;
        let size = first + more;
        if size > limit {
            return Err(self.caps.over(limit));
        }
        let padding = members.padding().get();
        make_room(size)?;
        if more > 0 {
            out.truncate(start);
            let again = &mut Members::new(compression, bytes).map_err(described)?;
            again.read_exact(out.grow(size as usize)).map_err(described)?;
        }
        Ok(padding)
    }
}

/// The error of this crate that one of [`Members`] holds.
fn described(err: std::io::Error) -> Error {
    match err.downcast::<Error>() {
        Ok(err) => err,
        Err(err) => Error::bad_input("compressed stream is damaged").because(err),
    }
}

/// The size that a frame of zstd claims, if the bytes are one frame and nothing else.
fn zstd_size(bytes: &[u8]) -> Option<u64> {
    let is_one = zstd::zstd_safe::find_frame_compressed_size(bytes).ok()? == bytes.len();
    let size = zstd::zstd_safe::get_frame_content_size(bytes).ok()??;
    (is_one && size > 0).then_some(size)
}

/// Estimates the text of an object by its first bytes, its size, and the last four bytes if they are here:
/// a claim that deflate can keep, else what logs come to.
pub fn estimate_text(head: &[u8], tail: Option<[u8; 4]>, size: u64) -> u64 {
    match (Compression::of(head), tail) {
        (None, _) => size,
        (Some(Compression::Gzip), Some(tail)) => {
            u64::from(u32::from_le_bytes(tail)).clamp(size, size.saturating_mul(1032))
        }
        (Some(Compression::Zstd), _) => {
            let claimed = zstd::zstd_safe::get_frame_content_size(head).ok().flatten();
            let claimed = claimed.map(|claimed| claimed.clamp(size, size.saturating_mul(1032)));
            claimed.unwrap_or_else(|| estimate_compressed(size))
        }
        (Some(_), _) => estimate_compressed(size),
    }
}

/// Estimates the text of a compressed object; small objects compress worse.
pub fn estimate_compressed(size: u64) -> u64 {
    let doublings = u64::from((size / 512).checked_ilog2().unwrap_or(0));
    size * (2 + doublings).max(3)
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

        assert_eq!(err.message(), "gzip stream is truncated");
    }

    #[test]
    fn padding_between_and_after_members_is_counted_and_other_bytes_are_an_error() {
        let member = gzip(b"{}");
        let decode = |parts: &[&[u8]]| {
            let (bytes, mut out) = (parts.concat(), Decoded::default());
            let stored = bytes.len() as u64;
            let outcome =
                Decoder::new(Caps::default()).gunzip(&bytes, stored, &mut out, &mut |_| Ok(()));
            outcome.map(|padding| (out.to_vec(), padding))
        };

        assert_eq!(decode(&[&member, &[0; 1000]]).unwrap(), (b"{}".to_vec(), 1000));
        assert_eq!(decode(&[&member, b"\r\n"]).unwrap(), (b"{}".to_vec(), 2));
        assert_eq!(decode(&[&member, &[0; 512], &member]).unwrap(), (b"{}{}".to_vec(), 512));
        for trailing in [&b"oops"[..], b"\0\0oops", b"\0\x1f\x8b", b"{\"Records\":[]}"] {
            let err = decode(&[&member, trailing]).unwrap_err();
            let zeros = trailing.iter().take_while(|byte| **byte == 0).count();
            let at = err.byte().unwrap() as usize;
            assert!(at >= member.len() + zeros && at <= member.len() + trailing.len(), "{err}");
        }
    }

    #[test]
    fn memory_is_asked_for_once_the_size_is_known() {
        let large = vec![b' '; 3 * UNASKED as usize];
        let (whole, small) = (gzip(&large), gzip(b"{}"));
        for (bytes, size) in [
            (whole.clone(), large.len()),
            ([&small[..], &whole].concat(), large.len() + 2),
            ([&whole[..], &small].concat(), large.len() + 2),
            ([&whole[..], b"\n"].concat(), large.len()),
        ] {
            let (mut asked, mut out) = (Vec::new(), Decoded::default());
            let caps = Caps { max_ratio: 2000, ..Caps::default() };
            let stored = bytes.len() as u64;
            let mut ask = |size| {
                asked.push(size);
                Ok(())
            };

            Decoder::new(caps).gunzip(&bytes, stored, &mut out, &mut ask).unwrap();

            assert_eq!((asked.last(), out.len()), (Some(&(size as u64)), size));
            assert!(out.capacity() < size + (1 << 20), "{} for {size}", out.capacity());
        }
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
