//! The source as `verify` reads it: its own listing and its own unpacking.
//!
//! Files are taken by their first bytes, never by their names: gzip (all members), zip and tar are
//! opened, at most [`ARCHIVE_LEVELS`] inside each other, and every member is an object named
//! `<archive>!/<member>`. Links inside archives, links to nowhere or in a circle, and names that
//! start with `.` or `_` below a source are not objects. Unreadable objects are quarantined, never
//! guessed at; only a failing disk is an error.

use super::contract::{Folder, folder};
use super::files::{Files, Opening, Place, Placed, no_buckets};
use super::gzip::Members;
use crate::error::{Error, Result};
use crate::location::Location;
use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use walkdir::WalkDir;

/// Maximum nesting of containers: `x.tar.gz` with gzipped members needs four.
const ARCHIVE_LEVELS: usize = 5;
/// As many bytes as decide what a stream is: a tar's first header.
const PEEK_BYTES: u64 = 512;
/// A ratio says nothing of less text than this.
const LEAST_LIMIT: u64 = 1 << 20;
/// After so many bytes of text its limit is looked at.
const STEP: u64 = 1 << 20;

/// The size above which an object is quarantined, as the lake was made with.
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

    /// Reads a text of what takes `stored` bytes, as far as it is read; nothing when it is damaged or over
    /// a limit.
    fn text(&self, mut reader: impl Read, stored: &dyn Fn() -> u64) -> Option<Vec<u8>> {
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

/// One file below a source.
#[derive(Debug)]
pub(super) struct SourceFile {
    place: Place,
    /// The absolute path, with bytes that are not UTF-8 as `\xNN`; or `s3://bucket/key`.
    pub(super) key: String,
}

impl Placed for SourceFile {
    fn place(&self) -> &Place {
        &self.place
    }

    fn is_read(&self) -> bool {
        folder(&self.key) != Folder::Ignored
    }
}

/// Lists every file below the sources in key order, without those of the lake; says how many folders
/// could not be listed.
pub(super) fn list(
    sources: &[Location],
    lake: &Location,
    buckets: Option<&dyn Files>,
) -> Result<(Vec<SourceFile>, u64)> {
    let (mut files, mut not_read) = (Vec::new(), 0);
    for source in sources {
        match source {
            Location::Local(path) => not_read += list_folder(path, lake, &mut files)?,
            Location::S3 { bucket, prefix } => {
                let buckets = buckets.ok_or_else(|| no_buckets(&source.to_string()))?;
                let found = buckets.list(bucket, prefix)?.into_iter();
                let wanted = found.filter(|file| {
                    is_object(&file.key, prefix) && !is_below(lake, bucket, &file.key)
                });
                files.extend(
                    wanted
                        .map(|file| SourceFile { key: file.address(), place: Place::Remote(file) }),
                );
            }
        }
    }
    files.sort_by(|a, b| (&a.key, path_of(a)).cmp(&(&b.key, path_of(b))));
    files.dedup_by(|a, b| a.key == b.key && a.place == b.place);
    Ok((files, not_read))
}

fn path_of(file: &SourceFile) -> Option<&Path> {
    match &file.place {
        Place::Local(path) => Some(path),
        Place::Remote(_) => None,
    }
}

/// Adds the files of a folder; returns how many folders in it cannot be listed.
fn list_folder(source: &Path, lake: &Location, files: &mut Vec<SourceFile>) -> Result<u64> {
    let mut not_read = 0;
    let lake = lake.local().and_then(|lake| std::fs::canonicalize(lake).ok());
    let root = std::fs::canonicalize(source).map_err(|err| {
        Error::config("cannot open source").at("path", source.display()).because(err)
    })?;
    let is_wanted = |entry: &walkdir::DirEntry| {
        lake.as_deref() != Some(entry.path())
            && (entry.depth() == 0 || !is_hidden(entry.file_name()))
    };
    for entry in WalkDir::new(&root).follow_links(true).into_iter().filter_entry(is_wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => files.push(SourceFile {
                key: key_of(entry.path()),
                place: Place::Local(entry.into_path()),
            }),
            Ok(_) => {}
            Err(err) if leads_nowhere(&err) => {}
            Err(err) if err.depth() > 0 => not_read += 1,
            Err(err) => return Err(Error::io("cannot list source", err)),
        }
    }
    Ok(not_read)
}

/// Whether a key is not a folder marker, and has no hidden name below the prefix.
fn is_object(key: &str, prefix: &str) -> bool {
    let below = key.get(prefix.len()..).unwrap_or("");
    !key.ends_with('/') && !below.split('/').any(|name| is_hidden(OsStr::new(name)))
}

/// Whether a key is the lake's own.
fn is_below(lake: &Location, bucket: &str, key: &str) -> bool {
    let Location::S3 { bucket: lakes, prefix } = lake else { return false };
    let prefix = prefix.trim_matches('/');
    let rest = key.strip_prefix(prefix);
    lakes == bucket && rest.is_some_and(|rest| prefix.is_empty() || rest.starts_with('/'))
}

fn is_hidden(name: &OsStr) -> bool {
    matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'))
}

/// Whether a listing stopped at a link whose target is not there, or is the way that led to it.
fn leads_nowhere(err: &walkdir::Error) -> bool {
    let is_missing = err.io_error().is_some_and(|err| err.kind() == std::io::ErrorKind::NotFound);
    is_missing || err.loop_ancestor().is_some() || err.path().is_some_and(Path::is_symlink)
}

/// An object's name: its absolute path, as the converter's ledger and quarantine have it.
fn key_of(path: &Path) -> String {
    let mut key = String::new();
    for part in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        key += &part.valid().replace("\\x", "\\x5Cx");
        part.invalid().iter().for_each(|byte| key += &format!("\\x{byte:02X}"));
    }
    key
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
}

/// Opens a file and hands over every object in it, in order.
///
/// # Errors
/// `Io` if the file itself cannot be opened or read, `Unavailable` and `Denied` from a bucket.
pub(super) fn read_objects(
    file: &SourceFile,
    opening: Opening<'_>,
    limits: Limits,
    each: &mut dyn FnMut(Found),
) -> Result<()> {
    let mut opened = opening.source().map_err(|err| err.at("object", &file.key))?;
    let mut unpacker = Unpacker { limits, each };
    let mut head = Vec::new();
    let started = opened
        .by_ref()
        .take(PEEK_BYTES)
        .read_to_end(&mut head)
        .and_then(|_| opened.seek(SeekFrom::End(0)))
        .and_then(|size| opened.seek(SeekFrom::Start(0)).map(|_| size));
    match started {
        Ok(_) if is_zip(&head) => unpacker.zip(&file.key, &mut opened, 0),
        Ok(size) => unpacker.stream(&file.key, 0, &mut opened, 0, Packed(&|| size, None)),
        Err(err) => {
            let err = Error::io("cannot read source file", err).at("object", &file.key);
            return Err(opened.failure().unwrap_or(err));
        }
    }
    opened.failure().map_or(Ok(()), Err)
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
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

/// How many bytes a stream takes where it is stored, as far as it is read; and if it comes out of gzip, how
/// many of those have been decoded.
#[derive(Clone, Copy)]
struct Packed<'p>(&'p dyn Fn() -> u64, Option<&'p Cell<u64>>);

struct Unpacker<'a> {
    limits: Limits,
    each: &'a mut dyn FnMut(Found),
}

impl Unpacker<'_> {
    /// Opens a stream by its first bytes; a damaged or too deeply nested one is quarantined. `own`
    /// is where the object's own name starts in `name`.
    fn stream(
        &mut self,
        name: &str,
        own: usize,
        reader: &mut dyn Read,
        level: usize,
        Packed(stored, decoded): Packed<'_>,
    ) {
        let mut head = Vec::new();
        if level > ARCHIVE_LEVELS || reader.take(PEEK_BYTES).read_to_end(&mut head).is_err() {
            return (self.each)(Found::SetAside);
        }
        let is_gzip = head.starts_with(&[0x1f, 0x8b]);
        let is_tar = is_tar(&head);
        let is_zip = is_zip(&head);
        let whole = Cursor::new(head).chain(reader);
        if is_gzip {
            let mut members = Members::new(whole);
            let consumed = members.consumed();
            let packed = Packed(stored, Some(&*consumed));
            self.stream(name, own, &mut members, level + 1, packed);
        } else if is_tar {
            self.tar(name, whole, level, decoded);
        } else {
            match self.limits.text(whole, stored) {
                None => (self.each)(Found::SetAside),
                Some(text) if is_zip => self.zip(name, Cursor::new(text), level),
                Some(text) => (self.each)(Found::Object { name: name.to_owned(), own, text }),
            }
        }
    }

    fn member(
        &mut self,
        archive: &str,
        path: &str,
        reader: &mut dyn Read,
        level: usize,
        stored: &dyn Fn() -> u64,
    ) {
        if !is_hidden_member(path) {
            let own = archive.len() + "!/".len();
            self.stream(
                &format!("{archive}!/{path}"),
                own,
                reader,
                level + 1,
                Packed(stored, None),
            );
        }
    }

    /// Reads the files of a tar as far as possible; links are skipped.
    fn tar(&mut self, name: &str, reader: impl Read, level: usize, decoded: Option<&Cell<u64>>) {
        let mut archive = tar::Archive::new(reader);
        let Ok(members) = archive.entries() else { return (self.each)(Found::SetAside) };
        for member in members {
            let Ok(mut member) = member else { return (self.each)(Found::SetAside) };
            let kind = member.header().entry_type();
            if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
                continue;
            }
            let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
            let (size, start) = (member.size(), decoded.map_or(0, Cell::get));
            let stored = || decoded.map_or(size, |decoded| decoded.get() - start);
            if size > self.limits.max_object_size && !is_hidden_member(&path) {
                (self.each)(Found::SetAside);
            } else {
                self.member(name, &path, &mut member, level, &stored);
            }
        }
    }

    fn zip(&mut self, name: &str, reader: impl Read + std::io::Seek, level: usize) {
        let Ok(mut archive) = zip::ZipArchive::new(reader) else {
            return (self.each)(Found::SetAside);
        };
        for index in 0..archive.len() {
            match archive.by_index(index) {
                Ok(member) if member.is_dir() => {}
                Ok(mut member) => {
                    let (path, stored) = (member.name().to_owned(), member.compressed_size());
                    self.member(name, &path, &mut member, level, &|| stored);
                }
                Err(_) => (self.each)(Found::SetAside),
            }
        }
    }
}
