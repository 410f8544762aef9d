//! Archives as people download them: members are streamed, nothing is unpacked to disk.
//!
//! What an archive is, its bytes say: a tar, a zip or a 7z, alone or in compressed streams, and in other
//! archives up to [`MAX_LEVELS`]. Names only hint at what is worth being streamed: a compressed member with
//! a tar's name is opened while it is read; any other is handed over as it is, and opened by the worker that
//! decodes it. A zip or a 7z is read by its directory, so that one in another archive is held in memory; it may lie
//! behind other bytes, such as the program that unpacks it.

use crate::decode::{Caps, Compression, Counting, MAX_LAYERS, Members, Meter, Passwords};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::source::embedded::{find, is_stub};
use crate::source::kind::Kind;
use crate::source::member::{
    Entry, Gauge, Scale, Stored, damaged, is_foreign, is_hidden, read_capped,
};
use crate::source::read_ahead::ReadAhead;
use crate::source::section::Section;
use crate::source::sevenz_members::sevenz_members;
use crate::source::tar_members::tar_members;
use crate::source::zip_members::zip_members;
use crate::source::{Member, MemberSink};
use std::cell::Cell;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Archives in each other: more are a mistake or an attack.
pub const MAX_LEVELS: u8 = 5;

/// As many bytes as decide what a file is: a tar's first header.
const HEAD_BYTES: u64 = 512;

/// What archives may unpack to together, beside the ratio.
const TOTAL_FLOOR: u64 = 64 << 20;

/// Returns whether a text is an archive, or has one behind other bytes.
pub fn is_archive(text: &[u8]) -> bool {
    Kind::of(text).is_some() || matches!(find(&mut Cursor::new(text), text), Ok(Some(_)))
}

/// Returns whether a file is an archive, by its first bytes as far as they say, and by its name if they do
/// not: the beginning of a compressed stream may be all that is here.
pub(super) fn begins_archive(head: &[u8], name: &str) -> bool {
    if Kind::of(head).is_some() {
        return true;
    }
    let Some(compression) = Compression::of(head) else { return is_stub(head) };
    let name = name.to_ascii_lowercase();
    if compression == Compression::Gzip && name.ends_with(".json.gz") {
        // A hundred thousand of them need not be looked into; the worker sees what comes out.
        return false;
    }
    let mut begin = Vec::new();
    if let Ok(members) = Members::new(compression, head) {
        let _ = members.take(HEAD_BYTES).read_to_end(&mut begin);
    }
    Kind::of(&begin).is_some() || (begin.len() < HEAD_BYTES as usize && is_archive_name(&name))
}

/// Returns whether a name is usual for an archive.
pub(super) fn is_archive_name(name: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        ".tar", ".tgz", ".tbz", ".tbz2", ".tb2", ".txz", ".tlz", ".tzst", ".taz", ".zip", ".7z",
        ".exe",
    ];
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending)) || is_packed_tar(&name)
}

/// Returns whether a name is that of a zip or a 7z in a compressed stream.
pub fn is_packed_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let packed = [".gz", ".bz2", ".xz", ".zst"].iter().find_map(|end| name.strip_suffix(end));
    packed.is_some_and(|name| name.ends_with(".zip") || name.ends_with(".7z"))
}

/// Whether a name is that of a tar in a compressed stream.
fn is_packed_tar(name: &str) -> bool {
    const ENDINGS: [&str; 9] = [
        ".tar.gz",
        ".tar.bz2",
        ".tar.xz",
        ".tar.zst",
        ".tar.zstd",
        ".tar.lzma",
        ".tar.lz",
        ".tgz",
        ".txz",
    ];
    const SHORT: [&str; 4] = [".tbz2", ".tbz", ".tzst", ".tlz"];
    ENDINGS.iter().chain(&SHORT).any(|ending| name.ends_with(ending))
}

/// What archives are read with.
#[derive(Clone, Copy, Debug)]
pub struct Unpacking<'a> {
    /// What a member may come to.
    pub caps: &'a Caps,
    /// What is tried on what is encrypted.
    pub passwords: &'a Passwords,
    /// Whether members with hidden names are read.
    pub reads_hidden: bool,
    /// The bytes that the archive takes in the outermost file.
    pub stored: u64,
    /// How many archives it lies in.
    pub level: u8,
}

/// The contents of an archive beside the members that were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Members passed over: links, other services' objects, and what a lake keeps beside its data files.
    pub passed_over: u64,
    /// Members with hidden names, unless these are read.
    pub hidden: u64,
    /// Bytes of padding between and after the members of its compressed stream.
    pub padding: u64,
}

/// Gives `sink` each member that may hold logs, in the archive's order; nothing if the bytes are not an
/// archive. A member over a cap is given as an error and not read; the ratio cap applies to its stored size,
/// and to all members together.
///
/// # Errors
/// `BadInput` when the archive itself is damaged; members before that have been taken. `OverLimit` when all
/// members together are over the ratio. Whatever `sink` returns.
pub fn members(
    mut archive: impl Read + Seek,
    unpacking: &Unpacking<'_>,
    sink: &mut dyn MemberSink,
) -> Result<Option<Beside>> {
    let mut head = Vec::new();
    archive.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(damaged)?;
    let size = archive.seek(SeekFrom::End(0)).map_err(damaged)?;
    archive.seek(SeekFrom::Start(0)).map_err(damaged)?;
    let scale = Scale { stored: unpacking.stored, size };
    let mut walk = Walk::new(unpacking, sink);
    let level = unpacking.level + 1;
    match Kind::of(&head) {
        Some(kind @ (Kind::Zip | Kind::SevenZ)) => {
            let ahead = ReadAhead::new(archive).map_err(damaged)?;
            walk.seekable(kind, ahead, "", level, scale)?;
        }
        Some(Kind::Tar) => {
            let file = Counting::new(BufReader::with_capacity(1 << 20, archive));
            let meter = file.meter();
            walk.tar(file, "", level, Gauge::Metered(&meter, scale))?;
        }
        None => {
            let Some(compression) = Compression::of(&head) else {
                return walk.behind(archive, &head, level, scale);
            };
            let file = Counting::new(BufReader::with_capacity(1 << 20, archive));
            let meter = file.meter();
            let opened = Opened::new(compression, Box::new(file), &meter)?;
            let Some(kind) = Kind::of(&opened.head) else { return Ok(None) };
            walk.stream(kind, opened, "", level, Gauge::Metered(&meter, scale))?;
        }
    }
    Ok(Some(walk.beside))
}

/// A compressed stream of which all layers are taken off.
struct Opened<'r> {
    /// Its first bytes.
    head: Vec<u8>,
    reader: Box<dyn Read + 'r>,
    /// The padding of each layer.
    padding: Vec<Rc<Cell<u64>>>,
}

impl<'r> Opened<'r> {
    fn new(
        compression: Compression,
        mut reader: Box<dyn BufRead + 'r>,
        meter: &Rc<Meter>,
    ) -> Result<Self> {
        let (mut compression, mut padding) = (compression, Vec::new());
        loop {
            let mut members = Members::new(compression, reader).map_err(damaged)?.metered(meter);
            padding.push(members.padding());
            // Not read ahead: what comes before damage is not lost with it.
            let mut head = Vec::new();
            members.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(damaged)?;
            let inner = Compression::of(&head).filter(|_| padding.len() < MAX_LAYERS);
            let whole = Cursor::new(head.clone()).chain(members);
            match inner {
                Some(inner) => (compression, reader) = (inner, Box::new(BufReader::new(whole))),
                None => return Ok(Self { head, reader: Box::new(whole), padding }),
            }
        }
    }
}

/// The walk through an archive and those in it.
struct Walk<'w> {
    caps: &'w Caps,
    passwords: &'w Passwords,
    reads_hidden: bool,
    sink: &'w mut dyn MemberSink,
    beside: Beside,
    /// Bytes of all members so far, and how many there may be.
    total: u64,
    most: u64,
}

impl<'w> Walk<'w> {
    fn new(unpacking: &Unpacking<'w>, sink: &'w mut dyn MemberSink) -> Self {
        let &Unpacking { caps, passwords, reads_hidden, stored, .. } = unpacking;
        let most = stored.saturating_mul(caps.max_ratio).max(TOTAL_FLOOR);
        Self { caps, passwords, reads_hidden, sink, beside: Beside::default(), total: 0, most }
    }

    /// Reads a tar. `prefix` is what stands before the names of its members.
    fn tar(&mut self, reader: impl Read, prefix: &str, level: u8, gauge: Gauge<'_>) -> Result<()> {
        let passed_over =
            tar_members(reader, gauge, &mut |entry| self.member(entry, prefix, level))?;
        self.beside.passed_over += passed_over;
        Ok(())
    }

    /// Reads an archive that lies behind other bytes, if there is one.
    fn behind(
        mut self,
        mut file: impl Read + Seek,
        head: &[u8],
        level: u8,
        scale: Scale,
    ) -> Result<Option<Beside>> {
        let Some((kind, start)) = find(&mut file, head).map_err(damaged)? else { return Ok(None) };
        let archive = Section::new(file, start..scale.size);
        let ahead = ReadAhead::new(archive).map_err(damaged)?;
        self.seekable(kind, ahead, "", level, scale)?;
        Ok(Some(self.beside))
    }

    /// Reads an archive that is read by its directory.
    fn seekable(
        &mut self,
        kind: Kind,
        reader: impl Read + Seek,
        prefix: &str,
        level: u8,
        scale: Scale,
    ) -> Result<()> {
        let passwords = self.passwords;
        let visit = &mut |entry: Entry<'_>| self.member(entry, prefix, level);
        match kind {
            Kind::SevenZ => sevenz_members(reader, passwords, scale, visit),
            _ => zip_members(reader, passwords, scale, visit),
        }
    }

    /// Reads an archive that comes out of a stream; one that is read by its directory is held in memory.
    fn stream(
        &mut self,
        kind: Kind,
        opened: Opened<'_>,
        prefix: &str,
        level: u8,
        gauge: Gauge<'_>,
    ) -> Result<()> {
        let Opened { mut reader, padding, .. } = opened;
        match kind {
            Kind::Tar => self.tar(&mut reader, prefix, level, gauge)?,
            _ => {
                let stored = gauge.start();
                let make_room = &mut |bytes| self.sink.make_room(bytes);
                let bytes = read_capped(&mut reader, 0, self.caps, || stored.so_far(), make_room)??;
                let scale = Scale { stored: stored.so_far(), size: bytes.len() as u64 };
                self.seekable(kind, Cursor::new(bytes), prefix, level, scale)?;
            }
        }
        let padding: u64 = padding.iter().map(|bytes| bytes.get()).sum();
        self.beside.padding += padding;
        Ok(())
    }

    /// Takes a member of an archive: hands it over, or opens it if it is an archive itself.
    fn member(&mut self, entry: Entry<'_>, prefix: &str, level: u8) -> Result<()> {
        let Entry { name, claimed, reader, stored, is_independent } = entry;
        if is_foreign(&name) {
            self.beside.passed_over += 1;
            return Ok(());
        }
        if is_hidden(&name) && !self.reads_hidden {
            self.beside.hidden += 1;
            return Ok(());
        }
        let full = format!("{prefix}{name}");
        let outcome = match reader {
            Ok(reader) => self.open(reader, &full, &name, claimed, stored, level),
            Err(err) => Err(err),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(err) if is_independent && err.kind().reaction() == Reaction::Quarantine => {
                self.hand_over(full, 0, level, Err(err))
            }
            Err(err) => Err(err),
        }
    }

    fn open(
        &mut self,
        reader: &mut dyn Read,
        full: &str,
        name: &str,
        claimed: u64,
        stored: Stored<'_>,
        level: u8,
    ) -> Result<()> {
        let mut head = Vec::new();
        reader.take(HEAD_BYTES).read_to_end(&mut head).map_err(damaged)?;
        let kind = Kind::of(&head);
        let compression = Compression::of(&head).filter(|_| is_packed_tar(&name.to_lowercase()));
        if (kind.is_some() || compression.is_some()) && level >= MAX_LEVELS {
            let message = format!("archives lie in each other more than {MAX_LEVELS} levels deep");
            return self.hand_over(full.to_owned(), 0, level, Err(Error::bad_input(message)));
        }
        if let Gauge::Fixed(bytes) = stored.gauge
            && claimed > self.caps.limit(bytes)
        {
            let over = self.caps.over(self.caps.limit(bytes));
            return self.hand_over(full.to_owned(), bytes, level, Err(over));
        }
        let mut whole = Cursor::new(head).chain(reader);
        let prefix = format!("{full}!/");
        let nested = match (kind, compression) {
            (Some(Kind::Tar), _) => self.tar(&mut whole, &prefix, level + 1, stored.gauge),
            (None, Some(compression)) => {
                return self.packed(compression, &mut whole, full, stored, level);
            }
            (kind, _) => {
                let make_room = &mut |bytes| self.sink.make_room(bytes);
                let so_far = || stored.so_far();
                let bytes = read_capped(&mut whole, claimed, self.caps, so_far, make_room)?;
                match (kind, bytes) {
                    (Some(kind), Ok(bytes)) => {
                        let scale = Scale { stored: stored.so_far(), size: bytes.len() as u64 };
                        self.seekable(kind, Cursor::new(bytes), &prefix, level + 1, scale)
                    }
                    (_, bytes) => {
                        return self.hand_over(full.to_owned(), stored.so_far(), level, bytes);
                    }
                }
            }
        };
        self.settle(nested, full, level)
    }

    /// Opens a member that is a tar in a compressed stream by its name; whatever else comes out is the
    /// member's text.
    fn packed(
        &mut self,
        compression: Compression,
        whole: &mut dyn Read,
        full: &str,
        stored: Stored<'_>,
        level: u8,
    ) -> Result<()> {
        let reader = Box::new(BufReader::with_capacity(64 << 10, whole));
        // The steps of the outermost file are not those of this stream.
        let opened = Opened::new(compression, reader, &Rc::default());
        let nested = opened.and_then(|mut opened| match Kind::of(&opened.head) {
            Some(kind) => {
                let prefix = format!("{full}!/");
                self.stream(kind, opened, &prefix, level + 1, stored.gauge)
            }
            None => {
                let make_room = &mut |bytes| self.sink.make_room(bytes);
                let so_far = || stored.so_far();
                let bytes = read_capped(&mut opened.reader, 0, self.caps, so_far, make_room)?;
                self.hand_over(full.to_owned(), stored.so_far(), level, bytes)
            }
        });
        self.settle(nested, full, level)
    }

    /// What is wrong with an archive in another one is not wrong with that one.
    fn settle(&mut self, nested: Result<()>, full: &str, level: u8) -> Result<()> {
        match nested {
            Err(err)
                if err.kind().reaction() == Reaction::Quarantine && self.total <= self.most =>
            {
                self.hand_over(full.to_owned(), 0, level, Err(err))
            }
            nested => nested,
        }
    }

    fn hand_over(
        &mut self,
        name: String,
        stored: u64,
        level: u8,
        bytes: Result<Vec<u8>>,
    ) -> Result<()> {
        self.total += bytes.as_ref().map_or(0, Vec::len) as u64;
        if self.total > self.most {
            let ratio = self.caps.max_ratio;
            let message = format!(
                "archive unpacks to over {ratio} times its size; raise the limit with `--max-ratio`"
            );
            return Err(Error::new(ErrorKind::OverLimit, message));
        }
        self.sink.take(Member { name, stored, level, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, name, *text).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn zip(members: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, text) in members {
            zip.start_file(*name, options).unwrap();
            zip.write_all(text).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    /// The members of an archive and whether they were read, and how many others there were.
    type Seen = (Vec<(String, bool)>, u64);

    fn visit(bytes: &[u8], caps: &Caps) -> Result<Option<Seen>> {
        let mut seen = Vec::new();
        let passwords = Passwords::default();
        let stored = bytes.len() as u64;
        let reads_hidden = false;
        let unpacking = Unpacking { caps, passwords: &passwords, reads_hidden, stored, level: 0 };
        let beside = members(Cursor::new(bytes), &unpacking, &mut |member: Member| {
            seen.push((member.name, member.bytes.is_ok()));
            Ok(())
        })?;
        Ok(beside.map(|beside| (seen, beside.passed_over)))
    }

    #[test]
    fn members_of_every_kind_are_streamed_within_the_caps() {
        let caps = Caps { max_object_bytes: 5, ..Caps::default() };
        let logs = [
            ("AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01/a.json", &b"{}"[..]),
            ("AWSLogs/111122223333/Config/us-east-1/2024/05/01/d.json", b"{}"),
            ("./big.json", b"0123456789"),
        ];
        for bytes in [
            tar(&logs),
            gzip(&tar(&logs)),
            zstd::encode_all(&tar(&logs)[..], 1).unwrap(),
            zip(&logs, zip::CompressionMethod::Stored),
            zip(&logs, zip::CompressionMethod::ZSTD),
            zip(&logs, zip::CompressionMethod::BZIP2),
        ] {
            let (seen, passed_over) = visit(&bytes, &caps).unwrap().unwrap();
            assert_eq!(seen.len(), 2);
            assert!(seen[0].1 && !seen[1].1, "the second is over the cap: {seen:?}");
            assert_eq!(passed_over, 1);
        }
        assert_eq!(visit(b"{}", &caps).unwrap(), None);
        assert_eq!(visit(&gzip(b"{}"), &caps).unwrap(), None);
    }

    #[test]
    fn archives_in_archives_are_opened_up_to_a_limit() {
        let stored = zip::CompressionMethod::Stored;
        let mut bytes = tar(&[("a.json", b"{}")]);
        for level in 0..4 {
            bytes = match level % 2 {
                0 => zip(&[("x.tar", &bytes)], stored),
                _ => tar(&[("x.zip", &bytes)]),
            };
        }
        let (seen, _) = visit(&bytes, &Caps::default()).unwrap().unwrap();
        assert_eq!(seen, [("x.zip!/x.tar!/x.zip!/x.tar!/a.json".to_owned(), true)]);
        let deeper = zip(&[("y.tar", &bytes)], stored);
        let (seen, _) = visit(&deeper, &Caps::default()).unwrap().unwrap();
        assert_eq!(seen, [("y.tar!/x.zip!/x.tar!/x.zip!/x.tar".to_owned(), false)]);
        let packed = tar(&[("l.tar.gz", &gzip(&tar(&[("a.json", b"{}")]))), ("b.json", b"{}")]);
        let (seen, _) = visit(&packed, &Caps::default()).unwrap().unwrap();
        assert_eq!(seen, [("l.tar.gz!/a.json".to_owned(), true), ("b.json".to_owned(), true)]);
    }

    #[test]
    fn a_damaged_archive_says_so_and_one_in_another_does_not_end_that() {
        assert!(visit(b"PK\x03\x04 not a zip", &Caps::default()).is_err());
        let whole = tar(&[("a.json", b"{}")]);
        assert!(visit(&whole[..600], &Caps::default()).is_err());
        let both = tar(&[("x.zip", b"PK\x03\x04 not a zip"), ("b.json", b"{}")]);
        let (seen, _) = visit(&both, &Caps::default()).unwrap().unwrap();
        assert_eq!(seen, [("x.zip".to_owned(), false), ("b.json".to_owned(), true)]);
        let (seen, _) = visit(&[&whole[..], &whole].concat(), &Caps::default()).unwrap().unwrap();
        assert_eq!(seen.len(), 2, "tars one behind the other are one");
    }
}
