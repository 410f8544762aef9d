//! The source as `verify` reads it: its own listing.
//!
//! Links to nowhere or in a circle, and names that start with `.` or `_` below a source are not objects.
//! Unreadable objects are quarantined, never guessed at; only a failing disk is an error.

use super::beside::Beside;
use super::contract::{Folder, folder};
use super::files::{Files, Opening, Place, Placed, no_buckets};
use super::unpack::{Found, Limits, Unpacker};
use crate::error::{Error, Result};
use crate::location::Location;
use std::cell::Cell;
use std::ffi::OsStr;
use std::path::Path;
use walkdir::WalkDir;

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

/// Lists every file below the sources in key order, without those of the lake; also returns what was passed
/// over.
pub(super) fn list(
    sources: &[Location],
    lake: &Location,
    reads_hidden: bool,
    buckets: Option<&dyn Files>,
) -> Result<(Vec<SourceFile>, Beside)> {
    let (mut files, mut beside) = (Vec::new(), Beside::default());
    for source in sources {
        match source {
            Location::Local(path) => {
                list_folder(path, lake, reads_hidden, &mut files, &mut beside)?;
            }
            Location::S3 { bucket, prefix } => {
                let buckets = buckets.ok_or_else(|| no_buckets(&source.to_string()))?;
                let found = buckets.list(bucket, prefix)?.into_iter();
                let wanted = found
                    .filter(|file| !file.key.ends_with('/') && !is_below(lake, bucket, &file.key))
                    .filter(|file| {
                        let is_hidden = has_hidden_name(&file.key, prefix, reads_hidden);
                        beside.hidden += u64::from(is_hidden);
                        !is_hidden
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
    Ok((files, beside))
}

fn path_of(file: &SourceFile) -> Option<&Path> {
    match &file.place {
        Place::Local(path) => Some(path),
        Place::Remote(_) => None,
    }
}

/// Adds the files of a folder, and counts what is passed over.
fn list_folder(
    source: &Path,
    lake: &Location,
    reads_hidden: bool,
    files: &mut Vec<SourceFile>,
    beside: &mut Beside,
) -> Result<()> {
    let lake = lake.local().and_then(|lake| std::fs::canonicalize(lake).ok());
    let root = std::fs::canonicalize(source).map_err(|err| {
        Error::config("cannot open source").at("path", source.display()).because(err)
    })?;
    let hidden = Cell::new(0);
    let is_wanted = |entry: &walkdir::DirEntry| {
        let name = entry.file_name();
        let is_lake = lake.as_deref() == Some(entry.path());
        let is_hidden = entry.depth() > 0 && is_hidden(name, reads_hidden);
        let is_counted = is_hidden && !is_lake && name != "_trailmill";
        hidden.set(hidden.get() + u64::from(is_counted));
        !is_lake && !is_hidden
    };
    for entry in WalkDir::new(&root).follow_links(true).into_iter().filter_entry(is_wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => files.push(SourceFile {
                key: key_of(entry.path()),
                place: Place::Local(entry.into_path()),
            }),
            Ok(_) => {}
            Err(err) if leads_nowhere(&err) => {}
            Err(err) if err.depth() > 0 => beside.is_not_read("the folder cannot be listed"),
            Err(err) => return Err(Error::io("cannot list source", err)),
        }
    }
    beside.hidden += hidden.get();
    Ok(())
}

/// Whether a key has a hidden name below the prefix.
fn has_hidden_name(key: &str, prefix: &str, reads_hidden: bool) -> bool {
    let below = key.get(prefix.len()..).unwrap_or("");
    below.split('/').any(|name| is_hidden(OsStr::new(name), reads_hidden))
}

/// Whether a key is the lake's own.
fn is_below(lake: &Location, bucket: &str, key: &str) -> bool {
    let Location::S3 { bucket: lakes, prefix } = lake else { return false };
    let prefix = prefix.trim_matches('/');
    let rest = key.strip_prefix(prefix);
    lakes == bucket && rest.is_some_and(|rest| prefix.is_empty() || rest.starts_with('/'))
}

fn is_hidden(name: &OsStr, reads_hidden: bool) -> bool {
    let is_marked = matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'));
    (is_marked && !reads_hidden) || name == "_trailmill"
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

/// Opens a file and hands over every object in it, in order.
///
/// # Errors
/// `Io` if the file itself cannot be opened or read, `Unavailable` and `Denied` from a bucket.
pub(super) fn read_objects(
    file: &SourceFile,
    opening: Opening<'_>,
    limits: Limits,
    (passwords, reads_hidden): (&[String], bool),
    each: &mut dyn FnMut(Found),
) -> Result<()> {
    let mut opened = opening.source().map_err(|err| err.at("object", &file.key))?;
    let outcome = Unpacker::new(limits, passwords, reads_hidden, each).file(&file.key, &mut opened);
    match (opened.failure(), outcome) {
        (Some(failure), _) => Err(failure),
        (None, Ok(())) => Ok(()),
        (None, Err(err)) => Err(Error::io("cannot read source file", err).at("object", &file.key)),
    }
}
