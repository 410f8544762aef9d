//! What is in a file, as `verify` unpacks it: archives in archives, compressed streams in each other, text
//! in UTF-8 or UTF-16.
//!
//! Everything is taken by its first bytes, never by its name. Archives are opened at most
//! [`ARCHIVE_LEVELS`] inside each other, compressed streams at most [`LAYERS`]; every member is an object
//! named `<archive>!/<member>`. Links inside archives and hidden names are not objects, these unless they are asked for. What cannot be read
//! is quarantined, never guessed at.

use super::archive_kind::{Archive, PEEK_BYTES, Part, archive, behind_others};
use super::streams::{Codec, Counted, Meter, Stream, codec};
use super::unrecognized::is_unknown_packing;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Archives inside each other.
const ARCHIVE_LEVELS: usize = 5;
/// Compressed streams inside each other.
const LAYERS: usize = 5;
const TAR_BLOCK: u64 = 512;
/// A ratio says nothing of less text than this, and nothing of less than this of an archive.
const LEAST_LIMIT: u64 = 1 << 20;
const LEAST_TOTAL: u64 = 64 << 20;
/// After so many bytes of text its limit is looked at.
pub(super) const STEP: u64 = 1 << 20;

/// What is quarantined for its size, as the lake was made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of text of an object.
    pub(super) max_object_size: u64,
    /// Bytes of text for each byte that is stored.
    pub(super) max_ratio: u64,
}

impl Limits {
    fn of(&self, stored: u64) -> u64 {
        let by_ratio = stored.saturating_mul(self.max_ratio.max(1)).max(LEAST_LIMIT);
        self.max_object_size.min(by_ratio)
    }

    /// Reads what takes `stored` bytes, as far as it is read; nothing when it is damaged or over a limit.
    pub(super) fn text(&self, mut reader: impl Read, stored: impl Fn() -> u64) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            let count = reader.by_ref().take(STEP).read_to_end(&mut text).ok()?;
            if text.len() as u64 > self.of(stored()) {
                return None;
            }
            if count == 0 {
                return Some(text);
            }
        }
    }
}

/// An object of a file: its name and bytes, or that it cannot be read.
#[derive(Debug)]
pub(super) enum Found {
    Object {
        /// The whole name.
        name: String,
        /// Where the part that says what kind of object it is starts: a member's own name.
        own: usize,
        text: Vec<u8>,
    },
    SetAside,
    /// An object of which nobody knows what is in it.
    NotRead(Unread),
    /// A member with a hidden name.
    Hidden,
}

/// Why an object is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Encrypted,
    UnknownPacking,
}

/// Whether a member's path leads through a hidden name, or a lake's own folder.
fn is_hidden_member(path: &str, reads_hidden: bool) -> bool {
    path.split('/').any(|part| match part {
        "." | ".." => false,
        "_trailmill" => true,
        part => part.starts_with(['.', '_']) && !reads_hidden,
    })
}

/// A member's path, with slashes where only backslashes stand.
pub(super) fn with_slashes(path: &str) -> String {
    if path.contains('/') { path.to_owned() } else { path.replace('\\', "/") }
}

/// What says how many bytes of the outermost file something takes.
#[derive(Clone, Copy)]
pub(super) enum Gauge<'g> {
    Known(u64),
    /// As it is read, from a place on; so many bytes of it are so many of the outermost file.
    Read(&'g Meter, u64, (u64, u64)),
}

impl Gauge<'_> {
    fn so_far(&self) -> u64 {
        match *self {
            Gauge::Known(bytes) => bytes,
            Gauge::Read(meter, from, share) => shared(meter.used().saturating_sub(from), share),
        }
    }

    /// The same from here on.
    fn restarted(self) -> Self {
        match self {
            Gauge::Read(meter, _, share) => Gauge::Read(meter, meter.before(), share),
            known @ Gauge::Known(_) => known,
        }
    }
}

/// How many bytes of the outermost file `bytes` of an archive are, of whose `size` it holds `stored`.
pub(super) fn shared(bytes: u64, (stored, size): (u64, u64)) -> u64 {
    if stored == size || size == 0 {
        return bytes;
    }
    let bytes = u128::from(bytes) * u128::from(stored) / u128::from(size) + 1;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// How deep something lies.
#[derive(Clone, Copy, Default)]
pub(super) struct Depth {
    archives: usize,
    layers: usize,
}

/// An object before it is opened: its name, and where its own part starts.
#[derive(Clone, Copy)]
pub(super) struct Name<'n> {
    whole: &'n str,
    own: usize,
}

/// Opens what is in a file, and hands over every object in it, in order.
pub(super) struct Unpacker<'a> {
    limits: Limits,
    pub(super) passwords: &'a [String],
    /// Whether members with hidden names are read.
    reads_hidden: bool,
    pub(super) each: &'a mut dyn FnMut(Found),
    /// The file's size.
    size: u64,
    /// Bytes of members, and how many there may be.
    pub(super) total: u64,
    pub(super) most: u64,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(
        limits: Limits,
        passwords: &'a [String],
        reads_hidden: bool,
        each: &'a mut dyn FnMut(Found),
    ) -> Self {
        Self { limits, passwords, reads_hidden, each, size: 0, total: 0, most: u64::MAX }
    }

    /// Whether a member is not read because its path leads through a hidden name.
    pub(super) fn is_hidden(&self, path: &str) -> bool {
        is_hidden_member(path, self.reads_hidden)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When the file itself cannot be read from its start.
    pub(super) fn file(&mut self, name: &str, mut file: impl Read + Seek) -> std::io::Result<()> {
        let mut head = Vec::new();
        file.by_ref().take(PEEK_BYTES).read_to_end(&mut head)?;
        let size = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        self.size = size;
        self.most = size.saturating_mul(self.limits.max_ratio.max(1)).max(LEAST_TOTAL);
        let (name, depth) = (Name { whole: name, own: 0 }, Depth::default());
        if let Some(kind) = archive(&head).filter(|kind| *kind != Archive::Tar) {
            self.seekable(kind, name, file, depth, (size, size));
            return Ok(());
        }
        if archive(&head).is_none()
            && codec(&head).is_none()
            && let Some((kind, start)) = behind_others(&mut file, &head)?
        {
            self.seekable(kind, name, Part::new(file, start..size), depth, (size, size));
            return Ok(());
        }
        file.seek(SeekFrom::Start(0))?;
        let counted = Counted::new(BufReader::new(file));
        let meter = counted.meter();
        let gauge = Gauge::Read(&meter, 0, (size, size));
        match codec(&head) {
            Some(codec) => self.layer(codec, name, counted, depth, gauge, &meter),
            None => self.stream(name, &mut { counted }, depth, gauge, &meter),
        }
        Ok(())
    }

    /// Opens a compressed stream.
    fn layer(
        &mut self,
        codec: Codec,
        name: Name<'_>,
        stream: impl std::io::BufRead,
        depth: Depth,
        gauge: Gauge<'_>,
        meter: &Rc<Meter>,
    ) {
        let depth = Depth { layers: depth.layers + 1, ..depth };
        match Stream::new(codec, stream, meter) {
            Ok(mut stream) if depth.layers <= LAYERS => {
                self.stream(name, &mut stream, depth, gauge, meter);
            }
            _ => (self.each)(Found::SetAside),
        }
    }

    /// Opens a stream by its first bytes; a damaged or too deeply nested one is quarantined.
    fn stream(
        &mut self,
        name: Name<'_>,
        reader: &mut dyn Read,
        depth: Depth,
        gauge: Gauge<'_>,
        meter: &Rc<Meter>,
    ) {
        let mut head = Vec::new();
        if reader.take(PEEK_BYTES).read_to_end(&mut head).is_err() {
            return (self.each)(Found::SetAside);
        }
        let (kind, codec) = (archive(&head), codec(&head));
        let mut whole = Cursor::new(head).chain(reader);
        let is_alone = depth.archives == 0 && kind != Some(Archive::Tar);
        // What is the only thing in a file takes all of it.
        let taken = if is_alone { Gauge::Known(self.size) } else { gauge };
        match (kind, codec) {
            (Some(_), _) if depth.archives >= ARCHIVE_LEVELS => (self.each)(Found::SetAside),
            (Some(Archive::Tar), _) => self.tar(name, &mut whole, depth, gauge, meter),
            (Some(kind), _) => match self.limits.text(whole, || taken.so_far()) {
                Some(text) => {
                    let share = (taken.so_far(), text.len() as u64);
                    self.seekable(kind, name, Cursor::new(text), depth, share);
                }
                None => (self.each)(Found::SetAside),
            },
            (None, Some(codec)) => {
                let stream = BufReader::new(&mut whole as &mut dyn Read);
                self.layer(codec, name, stream, depth, gauge, meter);
            }
            (None, None) => {
                let text = self.limits.text(whole, || taken.so_far()).and_then(in_utf8);
                let text = match text {
                    Some(text) => match self.behind(name, text, depth, &taken) {
                        Some(text) => Some(text),
                        None => return,
                    },
                    None => None,
                };
                self.total += text.as_ref().map_or(0, Vec::len) as u64;
                (self.each)(match text {
                    Some(text) if is_unknown_packing(&text) => {
                        Found::NotRead(Unread::UnknownPacking)
                    }
                    Some(text) => {
                        Found::Object { name: name.whole.to_owned(), own: name.own, text }
                    }
                    None => Found::SetAside,
                });
            }
        }
    }

    /// Opens the archive that lies behind other bytes of a text; returns the text if there is none.
    fn behind(
        &mut self,
        name: Name<'_>,
        text: Vec<u8>,
        depth: Depth,
        taken: &Gauge<'_>,
    ) -> Option<Vec<u8>> {
        match behind_others(&mut Cursor::new(&text), &text) {
            Ok(Some(_)) if depth.archives >= ARCHIVE_LEVELS => (self.each)(Found::SetAside),
            Ok(Some((kind, start))) => {
                let size = text.len() as u64;
                let part = Part::new(Cursor::new(text), start..size);
                self.seekable(kind, name, part, depth, (taken.so_far(), size));
            }
            _ => return Some(text),
        }
        None
    }

    pub(super) fn member(
        &mut self,
        archive: Name<'_>,
        path: &str,
        reader: &mut dyn Read,
        depth: Depth,
        gauge: Gauge<'_>,
        meter: &Rc<Meter>,
    ) {
        if self.is_hidden(path) {
            (self.each)(Found::Hidden);
        } else {
            let whole = format!("{}!/{path}", archive.whole);
            let name = Name { whole: &whole, own: whole.len() - path.len() };
            let depth = Depth { archives: depth.archives + 1, layers: 0 };
            self.stream(name, reader, depth, gauge, meter);
        }
    }

    /// Reads the files of a tar as far as possible; links are skipped, and other tars behind it read.
    fn tar(
        &mut self,
        name: Name<'_>,
        reader: &mut dyn Read,
        depth: Depth,
        gauge: Gauge<'_>,
        meter: &Rc<Meter>,
    ) {
        let mut archive = tar::Archive::new(UpToZeros { inner: reader, read: 0, content: 0 });
        archive.set_ignore_zeros(true);
        let Ok(members) = archive.entries() else { return (self.each)(Found::SetAside) };
        for member in members {
            let Ok(mut member) = member else { return (self.each)(Found::SetAside) };
            let kind = member.header().entry_type();
            if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
                continue;
            }
            let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
            if member.size() > self.limits.max_object_size && !self.is_hidden(&path) {
                (self.each)(Found::SetAside);
            } else {
                self.member(name, &path, &mut member, depth, gauge.restarted(), meter);
            }
            if self.total > self.most {
                return (self.each)(Found::SetAside);
            }
        }
        let end = archive.into_inner();
        if end.read - end.content < TAR_BLOCK {
            (self.each)(Found::SetAside);
        }
    }
}

/// Knows where the last byte that is not zero ended: a tar that is not cut ends with blocks of zeros.
struct UpToZeros<'r> {
    inner: &'r mut dyn Read,
    read: u64,
    content: u64,
}

impl Read for UpToZeros<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(out)?;
        if let Some(last) = out[..count].iter().rposition(|byte| *byte != 0) {
            self.content = self.read + last as u64 + 1;
        }
        self.read += count as u64;
        Ok(count)
    }
}

/// A text in UTF-16 in UTF-8; nothing if it is damaged.
fn in_utf8(text: Vec<u8>) -> Option<Vec<u8>> {
    let opens = |byte: u8| byte == b'{' || byte == b'[';
    let is_character = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r');
    let is_little = match text[..] {
        [0xff, 0xfe, 0, 0, ..] => return Some(text),
        [0xff, 0xfe, ..] => true,
        [0xfe, 0xff, ..] => false,
        [first, 0, second, 0, ..] if opens(first) && second > 0 => true,
        [0, first, 0, second, ..] if opens(first) && second > 0 => false,
        [a, 0, b, 0, c, 0, d, 0, ..] if [a, b, c, d].iter().all(is_character) => true,
        [0, a, 0, b, 0, c, 0, d, ..] if [a, b, c, d].iter().all(is_character) => false,
        _ => return Some(text),
    };
    if text.len() % 2 == 1 {
        return None;
    }
    let units: Vec<u16> = text
        .chunks_exact(2)
        .map(|pair| {
            let (low, high) = if is_little { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
            u16::from(high) << 8 | u16::from(low)
        })
        .collect();
    String::from_utf16(&units).ok().map(String::into_bytes)
}
