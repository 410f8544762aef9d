//! Data files of a lake in a bucket, kept in a folder of this machine.
//!
//! Beside each copy lies a note with the etag of the object that it was made of: a copy counts as long as S3
//! says that the object still has it. The note names the copy by the time of its last change, so that no note
//! is taken for that of another copy; the note's own time is when the copy was last used. The folder belongs
//! to the user alone: it holds what the logs hold.

use crate::error::{Error, ErrorKind, Result};
use crate::scan::live::{LiveFile, MISSING_FILE};
use crate::storage::{BucketObject, Storage};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use tokio::task::JoinSet;

/// Files that are looked at or fetched side by side.
const AT_ONCE: usize = 16;

/// What is added to the name of a copy for that of its note.
const NOTE: &str = "etag";

/// A folder with copies of data files.
#[derive(Debug)]
pub(super) struct FileCache {
    /// The whole folder, of all lakes.
    whole: PathBuf,
    /// The lake's part of it.
    folder: PathBuf,
    limit: u64,
    /// Bytes of all copies, once they have been counted.
    held: Mutex<Option<u64>>,
}

impl FileCache {
    /// Opens the folder for a lake; at most `limit` bytes are kept, of all lakes together.
    pub(super) fn open(folder: &Path, storage: &Storage, limit: u64) -> Result<Self> {
        let name = storage.address().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let whole = folder.to_owned();
        let folder = whole.join(name.trim_matches('-'));
        make_folder(&folder)?;
        Ok(Self { whole, folder, limit, held: Mutex::new(None) })
    }

    /// Returns the lake's part of the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns where the copy of a file is, or will be.
    pub(super) fn path(&self, file: &LiveFile) -> PathBuf {
        self.folder.join(&file.file.key)
    }

    /// Fetches those of the files whose copies are absent or of another object; returns the bytes that were
    /// fetched. Copies that were not used for longest make room.
    pub(super) async fn fetch(&self, storage: &Storage, files: &[LiveFile]) -> Result<u64> {
        let mut files_left = files.iter();
        let mut tasks: JoinSet<Result<u64>> = JoinSet::new();
        let mut fetched = 0;
        loop {
            while tasks.len() < AT_ONCE
                && let Some(file) = files_left.next()
            {
                let (storage, key, path) =
                    (storage.clone(), file.file.key.clone(), self.path(file));
                tasks.spawn(async move { renew(&storage, &key, &path).await });
            }
            let Some(done) = tasks.join_next().await else { break };
            let panicked = |_| Error::new(ErrorKind::Bug, "a fetch of a data file panicked");
            fetched += done.map_err(panicked)??;
        }
        if fetched > 0 {
            self.make_room(files, fetched);
        }
        Ok(fetched)
    }

    /// Removes the oldest copies over the limit, but none of `files`; what cannot be removed stays.
    fn make_room(&self, files: &[LiveFile], fetched: u64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = *held
            && bytes + fetched <= self.limit
        {
            *held = Some(bytes + fetched);
            return;
        }
        let used: BTreeSet<PathBuf> = files.iter().map(|file| self.path(file)).collect();
        let mut copies = copies(&self.whole);
        let mut bytes: u64 = copies.iter().map(|(_, bytes, _)| bytes).sum();
        if bytes > self.limit {
            copies.sort();
            // Some more than must be, so that the folder is not counted again for the next file.
            let goal = self.limit - self.limit / 10;
            for (_, size, path) in copies.into_iter().filter(|(.., path)| !used.contains(path)) {
                if bytes <= goal {
                    break;
                }
                if fs::remove_file(&path).is_ok() {
                    bytes -= size;
                    // Without its copy, a note says nothing.
                    let _ = fs::remove_file(note_of(&path));
                }
            }
        }
        *held = Some(bytes);
    }
}

/// When each copy was last used, its bytes, and where it is.
fn copies(folder: &Path) -> Vec<(SystemTime, u64, PathBuf)> {
    let mut copies = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(path),
                Ok(found) if path.extension().is_none_or(|extension| extension != NOTE) => {
                    // A copy without a note is what a process left behind that was killed.
                    let note = fs::metadata(note_of(&path)).and_then(|note| note.modified());
                    let at = note.or_else(|_| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
                    copies.push((at, found.len(), path));
                }
                _ => {}
            }
        }
    }
    copies
}

/// Sees to it that the copy of a file is that of the object there is; returns the bytes that were fetched.
async fn renew(storage: &Storage, key: &str, path: &Path) -> Result<u64> {
    let missing = || Error::new(ErrorKind::Damaged, MISSING_FILE).at("file", key);
    let object = storage.head(key).await?.ok_or_else(missing)?;
    if is_copy_of(&object, path) {
        if let Ok(note) = File::options().append(true).open(note_of(path)) {
            // Without it, the copy is only removed earlier.
            let _ = note.set_modified(SystemTime::now());
        }
        return Ok(0);
    }
    let bytes = storage.read_object(&object).await?.ok_or_else(missing)?;
    copy(&object, &bytes, path).map_err(|err| {
        Error::io("cannot keep a copy of a data file", err).at("path", path.display())
    })?;
    Ok(bytes.len() as u64)
}

/// Writes a copy and its note; another process may do the same.
fn copy(object: &BucketObject, bytes: &[u8], path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        builder().create(folder)?;
    }
    let half = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&half, bytes)?;
    let note = note(object, &half);
    fs::rename(&half, path)?;
    fs::write(&half, note.unwrap_or_default())?;
    fs::rename(&half, note_of(path))
}

/// Returns whether a copy is of an object.
fn is_copy_of(object: &BucketObject, path: &Path) -> bool {
    let note = note(object, path);
    note.is_some() && fs::read_to_string(note_of(path)).ok() == note
}

/// What a note says of a copy of an object; nothing where there is no copy, or where the store has no etags.
fn note(object: &BucketObject, copy: &Path) -> Option<String> {
    let changed = fs::metadata(copy).and_then(|copy| copy.modified()).ok()?;
    let since = changed.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (!object.etag.is_empty()).then(|| format!("{} {}\n", object.etag, since.as_nanos()))
}

fn note_of(copy: &Path) -> PathBuf {
    copy.with_added_extension(NOTE)
}

fn make_folder(folder: &Path) -> Result<()> {
    builder().create(folder).map_err(|err| {
        Error::io("cannot make the cache folder", err).at("folder", folder.display())
    })
}

fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}
