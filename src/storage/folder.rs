//! A lake in a local folder: files are staged out of sight and renamed into place.
//!
//! Bytes are on the disk before they get their name: a file named too early is empty after a loss of
//! power. A document is written beside its final path, synced and renamed, then its folder is synced. The
//! files of many units are renamed after one [`Folder::sync`] and named by manifests after another. Where the system cannot sync a file system
//! as a whole, every file is synced by itself.

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Listed, OWN, Put};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use std::fs::File;
use std::io::{ErrorKind as IoKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether [`Folder::sync`] syncs everything at once.
const HAS_SYNCFS: bool = cfg!(target_os = "linux");

/// When a document survives a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durable {
    /// As soon as it is put.
    Now,
    /// From the next [`Folder::sync`] on; until then its name may come back without its bytes.
    AtSync,
}

/// What happens to an existing document with other bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    /// It stays.
    Stays,
    /// It gives way.
    GivesWay,
}

/// The folder of a lake.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    store: Arc<LocalFileSystem>,
    pub(super) root: PathBuf,
    /// Distinguishes the files that this process stages from those of other processes.
    process: Arc<str>,
}

impl Folder {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let cannot = |message, path: &Path| Error::config(message).at("path", path.display());
        let root = std::fs::create_dir_all(folder)
            .and_then(|()| folder.canonicalize())
            .map_err(|err| cannot("cannot use the lake's folder", folder).because(err))?;
        let store = LocalFileSystem::new_with_prefix(&root)
            .map_err(|err| cannot("cannot open the lake", &root).because(err))?;
        Ok(Self { store: Arc::new(store), root, process: process().into() })
    }

    /// Puts a document, on a thread that may wait for the disk.
    pub(super) async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        durable: Durable,
        there: There,
    ) -> Result<Put> {
        let path = self.root.join(parse(key)?.as_ref());
        let put = tokio::task::spawn_blocking(move || put(&path, &bytes, durable, there));
        put.await
            .map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))?
            .map_err(|err| Error::io("cannot write", err).at("key", key))
    }

    /// Stages a data file; plain system calls, since a lake has very many of them.
    pub(super) fn stage(&self, unit: &str, key: &str, bytes: &[u8]) -> Result<()> {
        let path = self.root.join(self.staging_path(unit, key));
        let written = match std::fs::write(&path, bytes) {
            Err(err) if err.kind() == IoKind::NotFound => {
                make_parent(&path).and_then(|()| std::fs::write(&path, bytes))
            }
            written => written,
        };
        written
            .and_then(|()| if HAS_SYNCFS { Ok(()) } else { sync_path(&path) })
            .map_err(|err| Error::io("cannot write", err).at("key", key))
    }

    /// Renames a staged document into place if it has these bytes and the name is free; returns whether it
    /// did. Does not sync the folder.
    pub(super) fn name_staged(&self, unit: &str, key: &str, bytes: &[u8]) -> Result<bool> {
        let (from, to) = (self.root.join(self.staging_path(unit, key)), self.root.join(key));
        let failed = |err| Error::io("cannot move into place", err).at("key", key);
        match std::fs::read(&from) {
            Ok(staged) if staged == bytes => {}
            Ok(_) => return Ok(false),
            Err(err) if err.kind() == IoKind::NotFound => return Ok(false),
            Err(err) => return Err(failed(err)),
        }
        make_parent(&to).map_err(failed)?;
        match move_new(&from, &to) {
            Ok(()) => Ok(true),
            Err(err) if err.kind() == IoKind::AlreadyExists => {
                std::fs::remove_file(&from).map(|()| false).map_err(failed)
            }
            Err(err) => Err(failed(err)),
        }
    }

    /// Makes the names of a folder survive a loss of power.
    pub(super) fn sync_names(&self, folder: &str) -> Result<()> {
        match sync_path(&self.root.join(folder)) {
            Err(err) if err.kind() != IoKind::NotFound => {
                Err(Error::io("cannot sync a folder", err).at("folder", folder))
            }
            _ => Ok(()),
        }
    }

    /// Renames a staged file into place, which must be free.
    pub(super) fn promote(&self, unit: &str, key: &str) -> Result<()> {
        let (from, to) = (self.root.join(self.staging_path(unit, key)), self.root.join(key));
        let moved = match move_new(&from, &to) {
            Err(err) if err.kind() == IoKind::NotFound => {
                make_parent(&to).and_then(|()| move_new(&from, &to))
            }
            moved => moved,
        };
        let failed = |err| Error::io("cannot move into place", err).at("key", key);
        match moved {
            Err(err) if err.kind() == IoKind::AlreadyExists => {
                let is_same =
                    std::fs::read(&from).map_err(failed)? == std::fs::read(&to).map_err(failed)?;
                if !is_same {
                    return Err(super::other_bytes(key));
                }
                std::fs::remove_file(&from).map_err(failed)?;
            }
            moved => moved.map_err(failed)?,
        }
        if HAS_SYNCFS { Ok(()) } else { sync_parent(&to).map_err(failed) }
    }

    /// Returns where a file is staged: one flat folder per unit, so that partition folders are made once.
    fn staging_path(&self, unit: &str, key: &str) -> String {
        let name = xxhash_rust::xxh3::xxh3_128(key.as_bytes());
        format!("{OWN}/staged/{}/{unit}/{name:032x}", self.process)
    }

    pub(super) fn clear_staged(&self) -> Result<()> {
        self.delete_all(&format!("{OWN}/staged"))
    }

    pub(super) fn delete_all(&self, folder: &str) -> Result<()> {
        match std::fs::remove_dir_all(self.root.join(folder)) {
            Ok(()) => Ok(()),
            Err(err) if err.kind() == IoKind::NotFound => Ok(()),
            Err(err) => Err(Error::io("cannot remove a folder", err).at("folder", folder)),
        }
    }

    /// Returns the names of the folders in a folder.
    pub(super) fn folders(&self, folder: &str) -> Result<Vec<String>> {
        let failed = |err| Error::io("cannot list a folder", err).at("folder", folder);
        let entries = match std::fs::read_dir(self.root.join(folder)) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    /// Removes the remains of killed puts: `<name>#<number>`, which no listing shows.
    pub(super) fn clear_half_written(&self) -> Result<()> {
        let own = self.folders(OWN)?;
        own.iter().try_for_each(|folder| self.clear_half_written_in(&format!("{OWN}/{folder}")))
    }

    pub(super) fn clear_half_written_in(&self, folder: &str) -> Result<()> {
        let failed = |err| Error::io("cannot clear half-written files", err).at("folder", folder);
        let entries = match std::fs::read_dir(self.root.join(folder)) {
            Err(err) if err.kind() == IoKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let is_half = name.to_string_lossy().rsplit_once('#').is_some_and(|(_, number)| {
                !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
            });
            if is_half {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        {
            let folder = std::fs::File::open(&self.root)
                .map_err(|err| Error::io("cannot open the lake's folder", err))?;
            rustix::fs::syncfs(&folder)
                .map_err(|err| Error::io("cannot sync the lake's file system", err))?;
        }
        Ok(())
    }

    pub(super) async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        let found = match self.store.get(&parse(key)?).await {
            Ok(found) => found.bytes().await,
            Err(err) => Err(err),
        };
        match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(err) => Err(failed("read", key, err)),
        }
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let prefix = parse(prefix)?;
        self.store
            .list(Some(&prefix))
            .map_ok(|meta| Listed { key: meta.location.to_string(), size: meta.size })
            .try_collect()
            .await
            .map_err(|err| failed("list", prefix.as_ref(), err))
    }

    pub(super) async fn delete(&self, key: &str) -> Result<()> {
        match self.store.delete(&parse(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(err) => Err(failed("delete", key, err)),
        }
    }
}

fn put(path: &Path, bytes: &[u8], durable: Durable, there: There) -> std::io::Result<Put> {
    let is_synced = durable == Durable::Now || !HAS_SYNCFS;
    let found = match std::fs::read(path) {
        Ok(found) => Some(found),
        Err(err) if err.kind() == IoKind::NotFound => None,
        Err(err) => return Err(err),
    };
    let outcome = match found {
        // The process that put it may have died before the sync.
        Some(found) if found == bytes => {
            if is_synced {
                sync_path(path)?;
            }
            Put::Same
        }
        Some(_) if there == There::Stays => return Ok(Put::Differs),
        _ => {
            let half = write_half(path, bytes, is_synced)?;
            let moved = match there {
                There::Stays => move_new(&half, path),
                There::GivesWay => std::fs::rename(&half, path),
            };
            if let Err(err) = moved {
                let _ = std::fs::remove_file(&half);
                if err.kind() != IoKind::AlreadyExists {
                    return Err(err);
                }
                // Somebody else was faster.
                return put(path, bytes, durable, there);
            }
            Put::Created
        }
    };
    if is_synced {
        sync_parent(path)?;
    }
    Ok(outcome)
}

/// Writes a document beside its place, as `<name>#<number>`: no listing shows it, and the next run
/// removes it if this one dies.
fn write_half(path: &Path, bytes: &[u8], is_synced: bool) -> std::io::Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut half = path.as_os_str().to_owned();
        half.push(format!("#{}{number:06}", std::process::id()));
        let half = PathBuf::from(half);
        let mut file = match File::create_new(&half) {
            Ok(file) => file,
            Err(err) if err.kind() == IoKind::AlreadyExists => continue,
            Err(err) if err.kind() == IoKind::NotFound => {
                make_parent_surely(path, is_synced)?;
                continue;
            }
            Err(err) => return Err(err),
        };
        let written =
            file.write_all(bytes).and_then(|()| if is_synced { file.sync_all() } else { Ok(()) });
        return match written {
            Ok(()) => Ok(half),
            Err(err) => {
                let _ = std::fs::remove_file(&half);
                Err(err)
            }
        };
    }
}

fn make_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

/// Makes the folders above a file, and syncs those that got a new entry.
fn make_parent_surely(path: &Path, is_synced: bool) -> std::io::Result<()> {
    let absent: Vec<&Path> = path.ancestors().skip(1).take_while(|above| !above.is_dir()).collect();
    make_parent(path)?;
    if is_synced { absent.iter().rev().try_for_each(|made| sync_parent(made)) } else { Ok(()) }
}

fn sync_path(path: &Path) -> std::io::Result<()> {
    match File::open(path)?.sync_all() {
        // Not every file system lets a folder be synced.
        Err(err) if err.kind() == IoKind::InvalidInput && path.is_dir() => Ok(()),
        synced => synced,
    }
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    // A folder cannot be opened everywhere.
    if cfg!(unix) { path.parent().map_or(Ok(()), sync_path) } else { Ok(()) }
}

/// Renames a file, unless the new name is taken.
fn move_new(from: &Path, to: &Path) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not every file system has it.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            moved => return moved.map_err(std::io::Error::from),
        }
    }
    std::fs::hard_link(from, to).and_then(|()| std::fs::remove_file(from))
}

/// Returns a name for this process that is unique among all machines that share the folder.
fn process() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{}-{:x}", std::process::id(), now.map_or(0, |now| now.as_nanos()))
}

fn parse(key: &str) -> Result<Key> {
    Key::parse(key)
        .map_err(|err| Error::new(ErrorKind::Bug, "not a key").at("key", key).because(err))
}

fn failed(verb: &str, key: &str, err: object_store::Error) -> Error {
    Error::io(format!("cannot {verb}"), err).at("key", key)
}
