//! Archives as people download them: members are streamed, nothing is unpacked to disk.

use crate::decode::{Caps, Counting, GzipMembers};
use crate::error::Result;
use crate::source::MemberSink;
use crate::source::member::damaged;
use crate::source::read_ahead::ReadAhead;
use crate::source::tar_members::tar_members;
use crate::source::zip_members::zip_members;
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

/// The contents of an archive beside the members that were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Members passed over: links, hidden names, digests and other services' objects.
    pub passed_over: u64,
    /// Bytes of padding between and after the members of its gzip stream.
    pub padding: u64,
}

/// Gives `sink` each member that may hold logs, in the archive's order. A member over a cap is given as
/// an error and not read; the ratio cap applies to its stored size.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Member;
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
