//! The members of a zip: those that can be read, and the reasons for the others.

use crate::decode::Caps;
use crate::error::{Error, Result};
use crate::source::member::{damaged, is_passed_over};
use crate::source::{Member, MemberSink};
use std::io::{Read, Seek, SeekFrom};
use zip::{CompressionMethod, ZipArchive};

/// Calls `sink` with each member; returns how many were passed over.
pub(super) fn zip_members(
    mut reader: impl Read + Seek,
    caps: &Caps,
    sink: &mut dyn MemberSink,
) -> Result<u64> {
    let mut passed_over = 0;
    let claimed = claimed_members(&mut reader).map_err(damaged)?;
    let mut archive = ZipArchive::new(reader).map_err(damaged)?;
    for index in 0..archive.len() {
        let name = archive.name_for_index(index).unwrap_or("?").to_owned();
        if name.ends_with(['/', '\\']) {
            continue;
        }
        if is_passed_over(&name) {
            passed_over += 1;
            continue;
        }
        let (stored, bytes) = match Wanted::look_at(&mut archive, index, caps) {
            Ok(wanted) => (wanted.stored, wanted.read(&mut archive, caps, sink)?),
            Err(err) => (0, Err(err)),
        };
        sink.take(Member { name, stored, bytes })?;
    }
    if claimed.is_some_and(|claimed| claimed > archive.len()) {
        let message = "archive has members of the same name; only one of each was read";
        return Err(Error::bad_input(message));
    }
    Ok(passed_over)
}

/// Returns how many members a zip's end record claims; readers that go by name find fewer when two
/// have the same.
fn claimed_members(reader: &mut (impl Read + Seek)) -> std::io::Result<Option<usize>> {
    let size = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(size.saturating_sub(22 + 65_535)))?;
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail)?;
    reader.seek(SeekFrom::Start(0))?;
    let found =
        memchr::memmem::rfind(&tail, b"PK\x05\x06").and_then(|at| tail.get(at + 10..at + 12));
    // 65,535 says that the number is in the 64-bit record.
    Ok(found.map(|n| usize::from(u16::from_le_bytes([n[0], n[1]]))).filter(|n| *n != 65_535))
}

/// A member that can be unpacked.
struct Wanted {
    index: usize,
    /// Its bytes in the archive.
    stored: u64,
    /// Its bytes, as the directory claims.
    size: u64,
    limit: u64,
}

impl Wanted {
    fn look_at(
        archive: &mut ZipArchive<impl Read + Seek>,
        index: usize,
        caps: &Caps,
    ) -> Result<Self> {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        if entry.encrypted() {
            let message =
                "is encrypted, which is not supported: unpack the archive with its password";
            return Err(Error::bad_input(message));
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            let method = method_name(entry.compression());
            let message =
                format!("is compressed with {method}, which is not supported: unpack the archive");
            return Err(Error::bad_input(message));
        }
        let (stored, size) = (entry.compressed_size(), entry.size());
        let limit = caps.limit(stored);
        if size > limit {
            return Err(caps.over(limit));
        }
        Ok(Self { index, stored, size, limit })
    }

    /// Unpacks the member. The size in the directory is a claim: memory is taken for what comes out.
    fn read(
        mut self,
        archive: &mut ZipArchive<impl Read + Seek>,
        caps: &Caps,
        sink: &mut dyn MemberSink,
    ) -> Result<Result<Vec<u8>>> {
        loop {
            sink.make_room(self.size)?;
            let mut bytes = Vec::with_capacity(self.size as usize);
            match self.read_into(archive, &mut bytes) {
                Ok(0) => return Ok(Ok(bytes)),
                Ok(more) if self.size + more > self.limit => return Ok(Err(caps.over(self.limit))),
                // Once more, with room for all of it.
                Ok(more) => self.size += more,
                Err(err) => return Ok(Err(err)),
            }
        }
    }

    /// Unpacks as many bytes as were claimed; returns how many more there are, up to the limit.
    fn read_into(
        &self,
        archive: &mut ZipArchive<impl Read + Seek>,
        bytes: &mut Vec<u8>,
    ) -> Result<u64> {
        let mut entry = archive.by_index(self.index).map_err(damaged)?;
        entry.by_ref().take(self.size).read_to_end(bytes).map_err(damaged)?;
        let mut rest = entry.take(self.limit - self.size + 1);
        std::io::copy(&mut rest, &mut std::io::sink()).map_err(damaged)
    }
}

/// The name of a method that is not read (APPNOTE.TXT 4.4.5), with its number.
#[allow(deprecated, reason = "`Unsupported` is what holds the number")]
fn method_name(method: CompressionMethod) -> String {
    let CompressionMethod::Unsupported(number) = method else { return method.to_string() };
    let name = match number {
        1 => "Shrink",
        2..=5 => "Reduce",
        6 => "Implode",
        9 => "Deflate64",
        10 => "PKWARE DCL Implode",
        12 => "bzip2",
        14 => "LZMA",
        16 => "IBM z/OS CMPSC",
        18 => "IBM TERSE",
        19 => "IBM LZ77",
        20 | 93 => "Zstandard",
        94 => "MP3",
        95 => "XZ",
        96 => "JPEG",
        97 => "WavPack",
        98 => "PPMd",
        99 => "AES encryption",
        _ => return format!("method {number}"),
    };
    format!("{name} (method {number})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(deprecated, reason = "`Unsupported` is what holds the number")]
    fn methods_are_named_and_unknown_ones_numbered() {
        for (number, name) in [
            (9, "Deflate64 (method 9)"),
            (12, "bzip2 (method 12)"),
            (14, "LZMA (method 14)"),
            (93, "Zstandard (method 93)"),
            (4711, "method 4711"),
        ] {
            assert_eq!(method_name(CompressionMethod::Unsupported(number)), name);
        }
    }
}
