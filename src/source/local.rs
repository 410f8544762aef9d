//! Local sources: files, folders, archives.
//!
//! Names that start with `.` or `_` are passed over in folders, as every engine does. Folders that a
//! narrowing option excludes are not entered.

use crate::decode::estimate_text;
use crate::error::{Error, Result};
use crate::keys::parse;
use crate::source::archive::begins_archive;
use crate::source::narrow::Window;
use crate::source::walk::{Class, classify};
use crate::source::{ListingReport, Object, Place};
use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use walkdir::{DirEntry, WalkDir};

/// Returns a source's canonical path, the prefix of its objects' keys.
///
/// # Errors
/// `Config` for a source that does not exist.
pub(super) fn root_of(source: &Path) -> Result<PathBuf> {
    source.canonicalize().map_err(|err| {
        Error::config("cannot open the source").at("path", source.display()).because(err)
    })
}

/// Adds a source's objects.
///
/// # Errors
/// `Config` for a source that does not exist, `Io` when the source itself cannot be read; what cannot be
/// read in it is noted.
pub(super) fn list(
    source: &Path,
    window: &Window,
    objects: &mut Vec<Object>,
    report: &mut ListingReport,
) -> Result<()> {
    let root = root_of(source)?;
    let hidden = Cell::new(0);
    let walk = WalkDir::new(&root).follow_links(true).into_iter().filter_entry(|entry| {
        let name = entry.file_name().as_encoded_bytes();
        let is_hidden = entry.depth() > 0 && window.is_hidden_name(name);
        hidden.set(hidden.get() + u64::from(is_hidden && name != b"_trailmill"));
        !is_hidden && (entry.depth() == 0 || is_wanted(entry, window))
    });
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                add(entry.path(), window, objects, report);
            }
            Ok(_) => {}
            // Links to nowhere or in a circle hold no objects.
            Err(err) if is_broken_link(&err) => report.objects_ignored += 1,
            Err(err) if err.depth() > 0 => {
                let folder = err.path().map(key_of).unwrap_or_default();
                report.folders_unreadable.insert(folder, reason_of(err.io_error()));
            }
            Err(err) => return Err(Error::io("cannot list the source", err)),
        }
    }
    report.names_hidden += hidden.get();
    Ok(())
}

fn is_wanted(entry: &DirEntry, window: &Window) -> bool {
    if window.narrow.is_everything() || !entry.file_type().is_dir() {
        return true;
    }
    let path = format!("{}/", entry.path().to_string_lossy());
    classify(&path, &window.narrow).0 != Class::Unwanted
}

fn add(path: &Path, window: &Window, objects: &mut Vec<Object>, report: &mut ListingReport) {
    let key = key_of(path);
    let mut layout = parse(&key);
    if window.narrow.ignores(&layout.folder) {
        report.objects_ignored += 1;
        return;
    }
    report.objects_listed += 1;
    if !window.wants(&layout) {
        report.objects_unwanted += 1;
        return;
    }
    if let Some(last) = objects.last() {
        layout.share(&last.layout);
    }
    objects.push(Object { layout, ..object(path, key) });
}

impl Object {
    /// Returns the path of a file.
    pub(crate) fn path(&self) -> PathBuf {
        path_of(&self.key)
    }
}

/// Makes an object of a file; a file that cannot be opened is blocked.
pub(super) fn object(path: &Path, key: String) -> Object {
    let layout = parse(&key);
    let (size, etag) = path.metadata().map_or_else(
        |_| (0, String::new()),
        |meta| {
            let modified = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            let modified = modified.unwrap_or_default().as_nanos();
            (meta.len(), format!("{:x}-{modified:x}", meta.len()))
        },
    );
    let (json_estimate, is_archive, blocked) = match File::open(path) {
        Ok(file) => {
            let (json_estimate, is_archive) = look_at(file, size, &key);
            (json_estimate, is_archive, None)
        }
        Err(err) => (size, false, Some(reason_of(Some(&err)))),
    };
    Object { key, place: Place::File, size, etag, json_estimate, layout, is_archive, blocked }
}

/// Why a file or a folder cannot be read.
fn reason_of(err: Option<&std::io::Error>) -> String {
    let why = err.map_or_else(|| "unknown".to_owned(), ToString::to_string);
    format!("cannot be read: {why}")
}

fn is_broken_link(err: &walkdir::Error) -> bool {
    let kind = err.io_error().map(std::io::Error::kind);
    err.loop_ancestor().is_some()
        || kind == Some(std::io::ErrorKind::NotFound)
        || err.path().is_some_and(Path::is_symlink)
}

/// The path as text; different paths never become the same text.
pub(super) fn key_of(path: &Path) -> String {
    use std::fmt::Write;
    let mut key = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        // A name may hold what stands for a byte.
        key.push_str(&chunk.valid().replace("\\x", "\\x5Cx"));
        for byte in chunk.invalid() {
            let _ = write!(key, "\\x{byte:02X}");
        }
    }
    key
}

/// The path of a key: what [`key_of`] wrote as `\xNN` is a byte again.
pub(super) fn path_of(key: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let byte = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(b"\\x"),
        }
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes.extend_from_slice(rest.as_bytes());
    path_of_bytes(bytes)
}

#[cfg(unix)]
fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// As many bytes of a file as are looked at when it is listed.
const HEAD_BYTES: u64 = 4096;

/// Estimates the JSON bytes of a file, and says whether it is an archive. The trailer of gzip covers the last
/// member only, so the file's size is the minimum.
fn look_at(mut file: File, size: u64, key: &str) -> (u64, bool) {
    use std::io::{Read, Seek, SeekFrom};
    let mut head = Vec::new();
    if file.by_ref().take(HEAD_BYTES).read_to_end(&mut head).is_err() {
        return (size, false);
    }
    if begins_archive(&head, key) {
        return (size, true);
    }
    let mut tail = [0; 4];
    let is_gzip = head.starts_with(&[0x1f, 0x8b]);
    let has_tail =
        is_gzip && file.seek(SeekFrom::End(-4)).is_ok() && file.read_exact(&mut tail).is_ok();
    (estimate_text(&head, has_tail.then_some(tail), size), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::source::{Listing, Narrow, Source};
    use crate::storage::S3;

    async fn list(sources: Vec<Source>) -> Result<(Vec<Object>, ListingReport)> {
        let mut listing = Listing::open(sources, &S3::default(), crate::units::Day(20_000)).await?;
        let mut objects = Vec::new();
        while let Some(page) = listing.next().await? {
            objects.extend(page);
        }
        Ok((objects, listing.report()))
    }

    #[tokio::test]
    async fn a_folder_is_listed_without_hidden_names_and_digests_only_if_asked_for() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/02/b.json.gz",
            "AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01/a.json.gz",
            "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2024/05/01/d.json.gz",
            "AWSLogs/111122223333/Config/us-east-1/2024/5/1/c.json.gz",
            "_trailmill/x.json",
            ".hidden.json",
            "loose.json",
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }

        let all = vec![
            Location::from(root.path().to_owned()).into(),
            Location::from(root.path().join("loose.json")).into(),
        ];
        let (objects, report) = list(all).await.unwrap();

        let names: Vec<_> = objects.iter().map(|o| o.key.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["loose.json", "a.json.gz", "b.json.gz"]);
        assert_eq!((report.objects_ignored, report.objects_listed), (2, 4));
        assert_eq!(report.names_hidden, 1, "a lake's own are not counted");
        let narrow =
            Narrow { digests: crate::source::DigestFolders::Included, ..Narrow::default() };
        let window = Window { narrow, ..Window::default() };
        let with = Source { location: Location::from(root.path().to_owned()), window };
        let (objects, report) = list(vec![with]).await.unwrap();
        assert_eq!((objects.len(), report.objects_ignored), (4, 1));
        let absent = Location::from(root.path().join("absent"));
        assert!(list(vec![absent.into()]).await.is_err());
        let to = Narrow { to: "2024-05-01".parse().ok(), ..Narrow::default() };
        let window = Window { narrow: to, ..Window::default() };
        let narrowed = Source { location: Location::from(root.path().to_owned()), window };
        let (objects, report) = list(vec![narrowed]).await.unwrap();
        assert_eq!((objects.len(), report.objects_unwanted), (1, 2));
    }

    #[test]
    fn a_path_in_another_encoding_is_found_again_by_its_key() {
        use std::os::unix::ffi::OsStrExt;
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"/a/\xff\xe9b/\\xFF"));
        assert_eq!(key_of(odd), r"/a/\xFF\xE9b/\x5CxFF", "a name may hold what stands for a byte");
        assert_eq!(path_of(&key_of(odd)), odd);
    }
}
