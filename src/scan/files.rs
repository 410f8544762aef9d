//! Where the data files of a lake can be read from: its own folder, or a cache of those in a bucket.

use crate::error::{Error, ErrorKind, Result};
use crate::scan::cache::FileCache;
use crate::scan::live::{LiveFile, MISSING_FILE};
use crate::storage::Storage;
use std::path::{Path, PathBuf};

/// Bytes that a cache holds unless told otherwise.
pub const DEFAULT_CACHE: u64 = 10_000_000_000;

/// How files of a lake in a bucket are kept.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// The folder: by default, in the user's cache folder.
    pub folder: Option<PathBuf>,
    /// How many bytes, of all lakes together.
    pub limit: u64,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { folder: user_cache(), limit: DEFAULT_CACHE }
    }
}

/// Where the user's caches are.
fn user_cache() -> Option<PathBuf> {
    let of_user = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let of_user = of_user.filter(|folder| folder.is_absolute());
    let folder = of_user.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(folder.join("trailmill"))
}

/// The data files of a lake, as files of this machine.
#[derive(Debug)]
pub struct DataFiles {
    storage: Storage,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The lake's folder.
    Folder(PathBuf),
    Cache(FileCache),
}

impl DataFiles {
    /// Opens the files of a lake; the cache is used by a lake in a bucket alone.
    ///
    /// # Errors
    /// `Config` for a lake in a bucket when there is no folder to keep files in; `Io` when it cannot be made.
    pub fn open(storage: &Storage, cache: &CacheOptions) -> Result<Self> {
        let place = match (storage.root(), &cache.folder) {
            (Some(root), _) => Place::Folder(root.to_owned()),
            (None, Some(folder)) => {
                let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                Place::Cache(FileCache::open(&folder, storage, cache.limit)?)
            }
            (None, None) => {
                let message =
                    "no folder for the files of a lake in a bucket: give `--cache FOLDER`";
                return Err(Error::config(message));
            }
        };
        Ok(Self { storage: storage.clone(), place })
    }

    /// Returns the folder that all of them are in.
    pub fn folder(&self) -> &Path {
        match &self.place {
            Place::Folder(root) => root,
            Place::Cache(cache) => cache.folder(),
        }
    }

    /// Returns whether files are fetched before they are read.
    pub fn is_cache(&self) -> bool {
        matches!(self.place, Place::Cache(_))
    }

    /// Returns where a file is, once it has been fetched.
    pub fn path(&self, file: &LiveFile) -> PathBuf {
        match &self.place {
            Place::Folder(root) => root.join(&file.file.key),
            Place::Cache(cache) => cache.path(file),
        }
    }

    /// Sees to it that files are where [`DataFiles::path`] says; returns the bytes that were fetched.
    ///
    /// # Errors
    /// `Damaged` when the lake has lost one; `Unavailable`, `Denied`, `Io`.
    pub async fn fetch(&self, files: &[LiveFile]) -> Result<u64> {
        match &self.place {
            Place::Folder(root) => files.iter().try_for_each(|it| require(root, it)).map(|()| 0),
            Place::Cache(cache) => cache.fetch(&self.storage, files).await,
        }
    }
}

/// Makes sure that a file is in the lake's folder.
fn require(root: &Path, file: &LiveFile) -> Result<()> {
    if root.join(&file.file.key).is_file() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Damaged, MISSING_FILE).at("file", &file.file.key))
}
