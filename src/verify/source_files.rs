//! The source as `verify` reads it: its own listing.
//!
//! Links to nowhere or in a circle, and names that start with `.` or `_` below a source are not objects.
//! Unreadable objects are quarantined, never guessed at; only a failing disk is an error.

use super::contract::{Folder, folder};
use super::files::{Files, Opening, Place, Placed, no_buckets};
use super::unpack::{Found, Limits, Unpacker};
use crate::error::{Error, Result};
use crate::location::Location;
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

/// Lists every file below the sources in key order, without those of the lake; says how many folders
/// could not be listed.
pub(super) fn list(
    sources: &[Location],
    lake: &Location,
    reads_hidden: bool,
    buckets: Option<&dyn Files>,
) -> Result<(Vec<SourceFile>, u64)> {
    let (mut files, mut not_read) = (Vec::new(), 0);
    for source in sources {
        match source {
            Location::Local(path) => not_read += list_folder(path, lake, reads_hidden, &mut files)?,
            Location::S3 { bucket, prefix } => {
                let buckets = buckets.ok_or_else(|| no_buckets(&source.to_string()))?;
                let found = buckets.list(bucket, prefix)?.into_iter();
                let wanted = found.filter(|file| {
                    is_object(&file.key, prefix, reads_hidden) && !is_below(lake, bucket, &file.key)
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
fn list_folder(
    source: &Path,
    lake: &Location,
    reads_hidden: bool,
    files: &mut Vec<SourceFile>,
) -> Result<u64> {
    let mut not_read = 0;
    let lake = lake.local().and_then(|lake| std::fs::canonicalize(lake).ok());
    let root = std::fs::canonicalize(source).map_err(|err| {
        Error::config("cannot open source").at("path", source.display()).because(err)
    })?;
    let is_wanted = |entry: &walkdir::DirEntry| {
        lake.as_deref() != Some(entry.path())
            && (entry.depth() == 0 || !is_hidden(entry.file_name(), reads_hidden))
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
fn is_object(key: &str, prefix: &str, reads_hidden: bool) -> bool {
    let below = key.get(prefix.len()..).unwrap_or("");
    !key.ends_with('/') && !below.split('/').any(|name| is_hidden(OsStr::new(name), reads_hidden))
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
    passwords: &[String],
    each: &mut dyn FnMut(Found),
) -> Result<()> {
    let mut opened = opening.source().map_err(|err| err.at("object", &file.key))?;
    let outcome = Unpacker::new(limits, passwords, each).file(&file.key, &mut opened);
    match (opened.failure(), outcome) {
        (Some(failure), _) => Err(failure),
        (None, Ok(())) => Ok(()),
        (None, Err(err)) => Err(Error::io("cannot read source file", err).at("object", &file.key)),
    }
}
