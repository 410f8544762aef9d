//! Data files of a lake in a bucket, kept in a folder of this machine.
//!
//! A live data file is never overwritten with other bytes, so that its key and its size say whether a copy is
//! the file. The folder belongs to the user alone: it holds what the logs hold.

use crate::error::{Error, ErrorKind, Result};
use crate::scan::live::{LiveFile, MISSING_FILE};
use crate::storage::Storage;
use std::fs::{self, DirBuilder, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio::task::JoinSet;

/// Files that are fetched side by side.
const AT_ONCE: usize = 8;

/// A folder with copies of data files.
#[derive(Clone, Debug)]
pub struct FileCache {
    /// The whole folder, of all lakes.
    folder: PathBuf,
    /// The lake's part of it.
    lake: PathBuf,
    limit: u64,
}

impl FileCache {
    /// Opens the folder for a lake; at most `limit` bytes are kept, of all lakes together.
    ///
    /// # Errors
    /// `Io` when it cannot be made.
    pub fn open(folder: &Path, storage: &Storage, limit: u64) -> Result<Self> {
        let name = storage.address().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let lake = folder.join(name.trim_matches('-'));
        make_folder(&lake)?;
        Ok(Self { folder: folder.to_owned(), lake, limit })
    }

    /// Returns where the copy of a file is, or will be.
    pub fn path(&self, file: &LiveFile) -> PathBuf {
        self.lake.join(&file.file.key)
    }

    /// Fetches those of the files that are not there; returns the bytes that were fetched. Copies that were
    /// not used for longest make room.
    ///
    /// # Errors
    /// `Damaged` when the lake has lost one; `Unavailable`, `Denied`, `Io`.
    pub async fn fetch(&self, storage: &Storage, files: &[LiveFile]) -> Result<u64> {
        let mut missing = files.iter().filter(|file| !self.has(file));
        let mut tasks: JoinSet<Result<u64>> = JoinSet::new();
        let mut fetched = 0;
        loop {
            while tasks.len() < AT_ONCE
                && let Some(file) = missing.next()
            {
                let (storage, key, path) =
                    (storage.clone(), file.file.key.clone(), self.path(file));
                tasks.spawn(async move { copy(&storage, &key, &path).await });
            }
            let Some(done) = tasks.join_next().await else { break };
            let panicked = |_| Error::new(ErrorKind::Bug, "a fetch of a data file panicked");
            fetched += done.map_err(panicked)??;
        }
        if fetched > 0 {
            self.make_room(files);
        }
        Ok(fetched)
    }

    /// Returns whether the copy of a file is there, and notes that it is used.
    fn has(&self, file: &LiveFile) -> bool {
        let path = self.path(file);
        let is_whole = fs::metadata(&path).is_ok_and(|found| found.len() == file.file.bytes);
        if is_whole && let Ok(copy) = File::open(&path) {
            // Without it, the copy is only removed earlier.
            let _ = copy.set_modified(SystemTime::now());
        }
        is_whole
    }

    /// Removes the oldest copies over the limit, but none of `files`; what cannot be removed stays.
    fn make_room(&self, files: &[LiveFile]) {
        let used: Vec<PathBuf> = files.iter().map(|file| self.path(file)).collect();
        let mut copies = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(found) if found.is_dir() => folders.push(entry.path()),
                    Ok(found) => {
                        let at = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                        copies.push((at, found.len(), entry.path()));
                    }
                    Err(_) => {}
                }
            }
        }
        let mut total: u64 = copies.iter().map(|(_, bytes, _)| bytes).sum();
        copies.sort();
        for (_, bytes, path) in copies {
            if total <= self.limit {
                break;
            }
            if !used.contains(&path) && fs::remove_file(&path).is_ok() {
                total -= bytes;
            }
        }
    }
}

/// Copies a file of the lake; another process may do the same.
async fn copy(storage: &Storage, key: &str, path: &Path) -> Result<u64> {
    let bytes = storage
        .read(key)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::Damaged, MISSING_FILE).at("file", key))?;
    let failed = |err: std::io::Error| {
        Error::io("cannot keep a copy of a data file", err).at("path", path.display())
    };
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let half = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&half, &bytes).map_err(failed)?;
    fs::rename(&half, path).map_err(failed)?;
    Ok(bytes.len() as u64)
}

fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|err| {
        Error::io("cannot make the cache folder", err).at("folder", folder.display())
    })
}
