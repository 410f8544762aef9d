//! What is in a file, as `verify` unpacks it: archives in archives, compressed streams in each other, text
//! in UTF-8 or UTF-16.
//!
//! Everything is taken by its first bytes, never by its name. Archives are opened at most
//! [`ARCHIVE_LEVELS`] inside each other, compressed streams at most [`LAYERS`]; every member is an object
//! named `<archive>!/<member>`. Links inside archives and hidden names are not objects. What cannot be read
//! is quarantined, never guessed at.

use super::methods::{in_lzma, is_closed, is_unknown_method};
use super::streams::{Codec, Counted, Meter, Stream, WINDOW_KIB, codec};
use super::unrecognized::is_unknown_packing;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Archives inside each other.
const ARCHIVE_LEVELS: usize = 5;
/// Compressed streams inside each other.
const LAYERS: usize = 5;
/// As many bytes as decide what a stream is: a tar's first header.
const PEEK_BYTES: u64 = 512;
/// A ratio says nothing of less text than this, and nothing of less than this of an archive.
const LEAST_LIMIT: u64 = 1 << 20;
const LEAST_TOTAL: u64 = 64 << 20;
/// After so many bytes of text its limit is looked at.
const STEP: u64 = 1 << 20;

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
    /// An object that is encrypted or packed in a way that is not read: nobody knows what is in it.
    NotRead,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Archive {
    Tar,
    Zip,
    SevenZip,
}

fn archive(head: &[u8]) -> Option<Archive> {
    let zips = [&b"PK\x03\x04"[..], b"PK\x05\x06", b"PK\x07\x08PK\x03\x04"];
    if zips.iter().any(|magic| head.starts_with(magic)) {
        Some(Archive::Zip)
    } else if head.starts_with(b"7z\xbc\xaf\x27\x1c") {
        Some(Archive::SevenZip)
    } else {
        is_tar(head).then_some(Archive::Tar)
    }
}

/// Whether a block is a tar header: its sum, with its own field as spaces, stands in it in octal.
/// The oldest tars have nothing else to tell them by.
fn is_tar(head: &[u8]) -> bool {
    let Some(field) = head.get(148..156).filter(|_| head.len() == PEEK_BYTES as usize) else {
        return false;
    };
    let digits = field.iter().skip_while(|byte| **byte == b' ');
    let digits: Vec<u8> = digits.take_while(|byte| byte.is_ascii_digit()).copied().collect();
    let claimed = std::str::from_utf8(&digits).ok();
    let claimed = claimed.and_then(|digits| u64::from_str_radix(digits, 8).ok());
    let all: u64 = head.iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = field.iter().map(|byte| u64::from(*byte)).sum();
    claimed == Some(all - own + 8 * u64::from(b' '))
}

/// Whether a member's path leads through a hidden name.
fn is_hidden_member(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.any(|part| part.starts_with(['.', '_']) && part != "." && part != "..")
}

/// A member's path, with slashes where only backslashes stand.
fn with_slashes(path: &str) -> String {
    if path.contains('/') { path.to_owned() } else { path.replace('\\', "/") }
}

/// What says how many bytes of the outermost file something takes.
#[derive(Clone, Copy)]
enum Gauge<'g> {
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
fn shared(bytes: u64, (stored, size): (u64, u64)) -> u64 {
    if stored == size || size == 0 {
        return bytes;
    }
    let bytes = u128::from(bytes) * u128::from(stored) / u128::from(size) + 1;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// How deep something lies.
#[derive(Clone, Copy, Default)]
struct Depth {
    archives: usize,
    layers: usize,
}

/// An object before it is opened: its name, and where its own part starts.
#[derive(Clone, Copy)]
struct Name<'n> {
    whole: &'n str,
    own: usize,
}

/// Opens what is in a file, and hands over every object in it, in order.
pub(super) struct Unpacker<'a> {
    limits: Limits,
    passwords: &'a [String],
    each: &'a mut dyn FnMut(Found),
    /// The file's size.
    size: u64,
    /// Bytes of members, and how many there may be.
    total: u64,
    most: u64,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(
        limits: Limits,
        passwords: &'a [String],
        each: &'a mut dyn FnMut(Found),
    ) -> Self {
        Self { limits, passwords, each, size: 0, total: 0, most: u64::MAX }
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
                self.total += text.as_ref().map_or(0, Vec::len) as u64;
                (self.each)(match text {
                    Some(text) if is_unknown_packing(&text) => Found::NotRead,
                    Some(text) => {
                        Found::Object { name: name.whole.to_owned(), own: name.own, text }
                    }
                    None => Found::SetAside,
                });
            }
        }
    }

    fn member(
        &mut self,
        archive: Name<'_>,
        path: &str,
        reader: &mut dyn Read,
        depth: Depth,
        gauge: Gauge<'_>,
        meter: &Rc<Meter>,
    ) {
        if !is_hidden_member(path) {
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
        let mut archive = tar::Archive::new(reader);
        archive.set_ignore_zeros(true);
        let Ok(members) = archive.entries() else { return (self.each)(Found::SetAside) };
        for member in members {
            let Ok(mut member) = member else { return (self.each)(Found::SetAside) };
            let kind = member.header().entry_type();
            if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
                continue;
            }
            let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
            if member.size() > self.limits.max_object_size && !is_hidden_member(&path) {
                (self.each)(Found::SetAside);
            } else {
                self.member(name, &path, &mut member, depth, gauge.restarted(), meter);
            }
            if self.total > self.most {
                return (self.each)(Found::SetAside);
            }
        }
    }

    /// Reads an archive that is read by its directory.
    fn seekable(
        &mut self,
        kind: Archive,
        name: Name<'_>,
        reader: impl Read + Seek,
        depth: Depth,
        share: (u64, u64),
    ) {
        let is_whole = match kind {
            Archive::SevenZip => self.seven_zip(name, reader, depth, share),
            _ => self.zip(name, reader, depth, share),
        };
        if !is_whole {
            (self.each)(Found::SetAside);
        }
    }

    /// Reads the files of a zip; returns whether it could be.
    fn zip(
        &mut self,
        name: Name<'_>,
        reader: impl Read + Seek,
        depth: Depth,
        share: (u64, u64),
    ) -> bool {
        let Ok(mut archive) = zip::ZipArchive::new(reader) else { return false };
        let meter = Rc::default();
        for index in 0..archive.len() {
            let (path, stored, method, is_locked) = match archive.by_index_raw(index) {
                Ok(member) => (
                    with_slashes(&String::from_utf8_lossy(member.name_raw())),
                    member.compressed_size(),
                    member.compression(),
                    member.encrypted(),
                ),
                Err(_) => {
                    (self.each)(Found::SetAside);
                    continue;
                }
            };
            if path.ends_with('/') || is_hidden_member(&path) {
                continue;
            }
            let gauge = Gauge::Known(shared(stored, share));
            let is_lzma =
                [zip::CompressionMethod::XZ, zip::CompressionMethod::LZMA].contains(&method);
            let password = is_locked.then(|| self.fitting(&mut archive, index)).flatten();
            let opened: Option<Box<dyn Read>> = match password {
                _ if is_lzma && !is_locked => {
                    let raw = archive.by_index_raw(index).ok();
                    raw.and_then(|raw| in_lzma(raw, method, &meter))
                }
                Some(password) => {
                    let member = archive.by_index_decrypt(index, password);
                    member.ok().map(|member| Box::new(member) as Box<dyn Read>)
                }
                None => {
                    let member = archive.by_index(index);
                    member.ok().map(|member| Box::new(member) as Box<dyn Read>)
                }
            };
            match opened {
                Some(mut member) => self.member(name, &path, &mut member, depth, gauge, &meter),
                None if is_locked || is_unknown_method(method) => (self.each)(Found::NotRead),
                None => (self.each)(Found::SetAside),
            }
            if self.total > self.most {
                return false;
            }
        }
        true
    }

    /// Returns the password that opens a member, tried to its end.
    fn fitting<'p>(
        &self,
        archive: &mut zip::ZipArchive<impl Read + Seek>,
        index: usize,
    ) -> Option<&'p [u8]>
    where
        'a: 'p,
    {
        self.passwords.iter().map(String::as_bytes).find(|password| {
            let member = archive.by_index_decrypt(index, password);
            member.is_ok_and(|mut member| std::io::copy(&mut member, &mut std::io::sink()).is_ok())
        })
    }

    /// Reads the files of a 7z archive with the first password that fits; returns whether it could be.
    fn seven_zip(
        &mut self,
        name: Name<'_>,
        mut reader: impl Read + Seek,
        depth: Depth,
        share: (u64, u64),
    ) -> bool {
        let passwords = self.passwords.iter().map(|text| sevenz_rust2::Password::from(&**text));
        let tried: Vec<_> =
            std::iter::once(sevenz_rust2::Password::empty()).chain(passwords).collect();
        let mut is_not_read = false;
        for password in tried {
            let counted = Counted::new(&mut reader);
            let meter = counted.meter();
            let opened = sevenz_rust2::ArchiveReader::new_with_memory_limit(
                BufReader::new(counted),
                password,
                WINDOW_KIB,
            );
            let mut archive = match opened {
                Ok(archive) => archive,
                Err(err) => {
                    is_not_read |= is_closed(&err);
                    continue;
                }
            };
            archive.set_thread_count(1);
            let mut is_begun = false;
            let outcome = archive.for_each_entries_with_decision(|entry, reader| {
                if entry.is_directory() || entry.is_anti_item() {
                    return Ok(sevenz_rust2::EntryDecision::Continue);
                }
                let gauge = Gauge::Read(&meter, meter.before(), share);
                let mut first = Vec::new();
                if !is_begun {
                    reader.take(STEP).read_to_end(&mut first)?;
                }
                is_begun = true;
                let path = entry.name().replace('\\', "/");
                let mut whole = Cursor::new(first).chain(reader);
                self.member(name, &path, &mut whole, depth, gauge, &meter);
                Ok(match self.total > self.most {
                    true => sevenz_rust2::EntryDecision::Stop,
                    false => sevenz_rust2::EntryDecision::Continue,
                })
            });
            if is_begun || outcome.is_ok() {
                return outcome.is_ok() && self.total <= self.most;
            }
            is_not_read |= outcome.is_err_and(|err| is_closed(&err));
        }
        if is_not_read {
            (self.each)(Found::NotRead);
        }
        is_not_read
    }
}

/// A text in UTF-16 in UTF-8; nothing if it is damaged.
fn in_utf8(text: Vec<u8>) -> Option<Vec<u8>> {
    let opens = |byte: u8| byte == b'{' || byte == b'[';
    let is_little = match text[..] {
        [0xff, 0xfe, 0, 0, ..] => return Some(text),
        [0xff, 0xfe, ..] => true,
        [0xfe, 0xff, ..] => false,
        [first, 0, second, 0, ..] if opens(first) && second > 0 => true,
        [0, first, 0, second, ..] if opens(first) && second > 0 => false,
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
