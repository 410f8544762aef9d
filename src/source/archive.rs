//! Archives as people download them: members are streamed, nothing is unpacked to disk.

use crate::decode::{Caps, Counting, GzipMembers};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{Folder, parse};
use crate::source::read_ahead::ReadAhead;
use crate::source::zip_members::zip_members;
use std::cell::Cell;
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
    /// How many bytes of the archive it takes, about.
    pub stored: u64,
    /// Its bytes, or why they cannot be had.
    pub bytes: Result<Vec<u8>>,
}

/// Takes the members of an archive.
pub trait MemberSink {
    /// Is told how many bytes the next member has, before memory is taken for them.
    ///
    /// # Errors
    /// Whatever ends the reading of the archive.
    fn make_room(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Takes a member.
    ///
    /// # Errors
    /// Whatever ends the reading of the archive.
    fn take(&mut self, member: Member) -> Result<()>;
}

impl<F: FnMut(Member) -> Result<()>> MemberSink for F {
    fn take(&mut self, member: Member) -> Result<()> {
        self(member)
    }
}

/// What was in an archive beside the members that were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Members passed over: links, hidden names, digests and other services' objects.
    pub passed_over: u64,
    /// Bytes of padding between and after the members of its gzip stream.
    pub padding: u64,
}

/// Gives `sink` each member that may hold logs, in the archive's order. A member over a cap is given as
/// an error and not read; what it may unpack to goes by what it takes in the archive.
///
/// # Errors
/// `BadInput` when the archive itself is damaged or goes on after its end; members before that have been
/// taken. Whatever `sink` returns.
pub fn members(
    archive: impl Read + Seek,
    kind: ArchiveKind,
    caps: &Caps,
    sink: &mut dyn MemberSink,
) -> Result<Beside> {
    match kind {
        ArchiveKind::Tar => {
            let file = Counting::new(BufReader::with_capacity(1 << 20, archive));
            let consumed = file.consumed();
            let passed_over = tar_members(file, &consumed, caps, sink)?;
            Ok(Beside { passed_over, padding: 0 })
        }
        ArchiveKind::TarGz => {
            let file = GzipMembers::new(BufReader::with_capacity(1 << 20, archive));
            let (consumed, padding) = (file.consumed(), file.padding());
            let passed_over = tar_members(file, &consumed, caps, sink)?;
            Ok(Beside { passed_over, padding: padding.get() })
        }
        ArchiveKind::Zip => {
            let passed_over = zip_members(ReadAhead::new(archive).map_err(damaged)?, caps, sink)?;
            Ok(Beside { passed_over, padding: 0 })
        }
    }
}

/// What is wrong with an archive; unless it is with fetching it.
pub(super) fn damaged(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&err);
    while let Some(err) = cause {
        let io = err.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(ours) = io.and_then(|err| err.downcast_ref::<Error>()) {
            return Error::new(ours.kind(), ours.to_string());
        }
        if err.downcast_ref::<std::io::Error>().is_some_and(|err| err.raw_os_error().is_some()) {
            return Error::new(ErrorKind::Io, format!("cannot be read: {err}"));
        }
        cause = err.source();
    }
    Error::bad_input("archive is damaged or truncated").because(err)
}

fn tar_members(
    reader: impl Read,
    consumed: &Cell<u64>,
    caps: &Caps,
    sink: &mut dyn MemberSink,
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
        let (size, start) = (entry.size(), consumed.get());
        let bytes = if size > caps.max_object_bytes {
            Err(caps.over(caps.max_object_bytes))
        } else {
            sink.make_room(size)?;
            read_entry(&mut entry, size, caps, || consumed.get() - start)?
        };
        sink.take(Member { name, stored: consumed.get() - start, bytes })?;
    }
    let mut ending = archive.into_inner();
    if ending.zeros < 512 {
        return Err(Error::bad_input("archive has no end marker: it seems to be truncated"));
    }
    ending.refuse_more()?;
    Ok(passed_over)
}

/// What a step of reading an entry takes: the ratio is looked at in between.
const STEP: u64 = 1 << 20;

/// Reads an entry of a tar, or says that it is over the ratio; `stored` says how many bytes of the
/// archive it has taken so far. Of a truncated last member the whole records count; the missing end is
/// told at the archive's.
fn read_entry(
    entry: &mut impl Read,
    size: u64,
    caps: &Caps,
    stored: impl Fn() -> u64,
) -> Result<Result<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(size as usize);
    loop {
        let step = STEP.min(size - bytes.len() as u64);
        let count = entry.take(step).read_to_end(&mut bytes).map_err(damaged)?;
        if count == 0 {
            return Ok(Ok(bytes));
        }
        let limit = caps.limit(stored());
        if bytes.len() as u64 > limit {
            return Ok(Err(caps.over(limit)));
        }
    }
}

/// Remembers how many zero bytes were read last: a tar ends with blocks of zeros.
struct Ending<R> {
    inner: R,
    zeros: usize,
}

impl<R: Read> Ending<R> {
    /// Reads what follows the end of a tar. More zeros are usual; anything else is not read, and must
    /// not be lost without a word: another tar, for one.
    fn refuse_more(&mut self) -> Result<()> {
        let mut block = vec![0; 64 << 10];
        loop {
            let count = self.read(&mut block).map_err(damaged)?;
            if count == 0 {
                return Ok(());
            }
            if self.zeros < count {
                let message = "archive has data after its end, which is not read: does the file \
                               hold several archives?";
                return Err(Error::bad_input(message));
            }
        }
    }
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(out)?;
        let zeros = out[..count].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == count { self.zeros + zeros } else { zeros };
        Ok(count)
    }
}

/// Hidden names, digests and other services' objects.
pub(super) fn is_passed_over(name: &str) -> bool {
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
        let file = std::fs::File::open(&path).unwrap();
        let caps = Caps { max_object_bytes: 5, ..Caps::default() };
        let beside = members(file, kind, &caps, &mut |member: Member| {
            seen.push((member.name, member.bytes.is_ok()));
            Ok(())
        })?;
        Ok((seen, beside.passed_over))
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
