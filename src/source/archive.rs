//! Archives as people download them: members are streamed, nothing is unpacked to disk.

use crate::error::{Error, ErrorKind, Result};
use crate::source::layout::{Folder, parse};
use flate2::bufread::MultiGzDecoder;
use std::io::{BufReader, Read, Seek};

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// `.tar`
    Tar,
    /// `.tar.gz`, `.tgz`
    TarGz,
    /// `.zip`
    Zip,
}

impl ArchiveKind {
    /// Decides by the file's name.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
            Some(Self::TarGz)
        } else if name.ends_with(".tar") {
            Some(Self::Tar)
        } else if name.ends_with(".zip") {
            Some(Self::Zip)
        } else {
            None
        }
    }
}

/// One member of an archive.
#[derive(Debug)]
pub struct Member {
    /// The path inside the archive.
    pub name: String,
    /// Its bytes, or why they cannot be had.
    pub bytes: Result<Vec<u8>>,
}

/// Calls `visit` with each member that may hold logs, in the archive's order; returns how many
/// were passed over. Members over `max_bytes` are handed out as an error and not read.
///
/// # Errors
/// `BadInput` when the archive itself is damaged; members before the damage have been visited.
/// Whatever `visit` returns.
pub fn members(
    archive: impl Read + Seek,
    kind: ArchiveKind,
    max_bytes: u64,
    visit: &mut dyn FnMut(Member) -> Result<()>,
) -> Result<u64> {
    let file = BufReader::with_capacity(1 << 20, archive);
    match kind {
        ArchiveKind::Tar => tar_members(file, max_bytes, visit),
        ArchiveKind::TarGz => tar_members(MultiGzDecoder::new(file), max_bytes, visit),
        ArchiveKind::Zip => zip_members(file, max_bytes, visit),
    }
}

/// What is wrong with an archive; unless it is with fetching it.
fn damaged(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&err);
    while let Some(err) = cause {
        let io = err.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(ours) = io.and_then(|err| err.downcast_ref::<Error>()) {
            return Error::new(ours.kind(), ours.to_string());
        }
        cause = err.source();
    }
    Error::bad_input("archive is damaged or truncated").because(err)
}

fn tar_members(
    reader: impl Read,
    max_bytes: u64,
    visit: &mut dyn FnMut(Member) -> Result<()>,
) -> Result<u64> {
    let mut passed_over = 0;
    let ending = Ending { inner: reader, zeros: 0 };
    let mut archive = tar::Archive::new(ending);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
            // Links name what is elsewhere; folders hold nothing.
            passed_over += u64::from(!kind.is_dir());
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if is_passed_over(&name) {
            passed_over += 1;
            continue;
        }
        let size = entry.size();
        let bytes = if size > max_bytes {
            Err(over(max_bytes))
        } else {
            let mut bytes = Vec::with_capacity(size as usize);
            // Of a truncated last member the whole records count; the missing end is told below.
            entry.read_to_end(&mut bytes).map_err(damaged)?;
            Ok(bytes)
        };
        visit(Member { name, bytes })?;
    }
    if archive.into_inner().zeros < 512 {
        return Err(Error::bad_input("archive has no end: it seems to be truncated"));
    }
    Ok(passed_over)
}

/// Remembers how many zero bytes were read last: a tar ends with blocks of zeros.
struct Ending<R> {
    inner: R,
    zeros: usize,
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(out)?;
        let zeros = out[..count].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == count { self.zeros + zeros } else { zeros };
        Ok(count)
    }
}

/// Returns how many members a zip's end record claims; readers that go by name find fewer when two
/// have the same.
fn claimed_members(reader: &mut (impl Read + std::io::Seek)) -> std::io::Result<Option<usize>> {
    use std::io::SeekFrom;
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

fn zip_members(
    mut reader: impl Read + std::io::Seek,
    max_bytes: u64,
    visit: &mut dyn FnMut(Member) -> Result<()>,
) -> Result<u64> {
    let mut passed_over = 0;
    let claimed = claimed_members(&mut reader).map_err(damaged)?;
    let mut archive = zip::ZipArchive::new(reader).map_err(damaged)?;
    for index in 0..archive.len() {
        let name = archive.name_for_index(index).unwrap_or("?").to_owned();
        let member = match archive.by_index(index) {
            Ok(entry) if entry.is_dir() => continue,
            Ok(entry) if is_passed_over(entry.name()) => {
                passed_over += 1;
                continue;
            }
            Ok(entry) => {
                let mut bytes = Vec::new();
                // The size in the directory is a claim; the cap holds for what comes out.
                let outcome = entry.take(max_bytes + 1).read_to_end(&mut bytes);
                let bytes = match outcome {
                    Err(err) => Err(damaged(err)),
                    Ok(_) if bytes.len() as u64 > max_bytes => Err(over(max_bytes)),
                    Ok(_) => Ok(bytes),
                };
                Member { name, bytes }
            }
            Err(err) => Member { name, bytes: Err(damaged(err)) },
        };
        visit(member)?;
    }
    if claimed.is_some_and(|claimed| claimed > archive.len()) {
        let message = "archive has members of the same name; only one of each was read";
        return Err(Error::bad_input(message));
    }
    Ok(passed_over)
}

fn over(max_bytes: u64) -> Error {
    Error::new(
        ErrorKind::OverLimit,
        format!("is over {max_bytes} bytes; `--max-object-size` raises it"),
    )
}

/// Hidden names, digests and other services' objects.
fn is_passed_over(name: &str) -> bool {
    let is_hidden =
        name.split('/').any(|part| part.starts_with(['_', '.']) && !matches!(part, "." | ".."));
    is_hidden || matches!(parse(name).folder, Folder::Digest | Folder::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn tar() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in [
            ("AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01/a.json", "{}"),
            ("AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2024/05/01/d.json", "{}"),
            ("./big.json", "0123456789"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn visit(name: &str, bytes: &[u8]) -> Result<(Vec<(String, bool)>, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut seen = Vec::new();
        let kind = ArchiveKind::of_name(name).unwrap();
        let passed_over = members(std::fs::File::open(&path).unwrap(), kind, 5, &mut |member| {
            seen.push((member.name, member.bytes.is_ok()));
            Ok(())
        })?;
        Ok((seen, passed_over))
    }

    #[test]
    fn members_of_every_kind_are_streamed() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar()).unwrap();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("a.json", options).unwrap();
        zip.write_all(b"{}").unwrap();
        zip.start_file("big.json", options).unwrap();
        zip.write_all(b"0123456789").unwrap();
        let zip = zip.finish().unwrap().into_inner();

        for (name, bytes, passed) in
            [("x.tar", tar(), 1), ("x.tgz", gz.finish().unwrap(), 1), ("x.zip", zip, 0)]
        {
            let (seen, passed_over) = visit(name, &bytes).unwrap();
            assert_eq!(seen.len(), 2, "{name}");
            assert!(seen[0].1 && !seen[1].1, "the second is over the cap");
            assert_eq!(passed_over, passed, "{name}");
        }
    }

    #[test]
    fn a_damaged_archive_says_so() {
        assert!(visit("x.zip", b"PK\x03\x04 not a zip").is_err());
        let tar = tar();
        assert!(visit("x.tar", &tar[..600]).is_err());
    }
}
