//! A lake in a local folder: files are staged out of sight and renamed into place.

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Listed, OWN, Put};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of a lake.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    store: Arc<LocalFileSystem>,
    pub(super) root: PathBuf,
    /// Tells what this process stages from what another does that converts the same unit.
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

    pub(super) async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Put> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&parse(key)?, bytes.clone().into(), options).await {
            Ok(_) => Ok(Put::Created),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let there = self.read(key).await?;
                Ok(if there.is_some_and(|there| there == bytes) { Put::Same } else { Put::Differs })
            }
            Err(err) => Err(failed("write", key, err)),
        }
    }

    /// Writes a file to be published; plain system calls, since a lake has very many of them.
    pub(super) fn stage(&self, unit: &str, key: &str, bytes: &[u8]) -> Result<()> {
        let path = self.root.join(self.staged(unit, key));
        let written = match std::fs::write(&path, bytes) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                make_parent(&path).and_then(|()| std::fs::write(&path, bytes))
            }
            written => written,
        };
        written.map_err(|err| Error::io("cannot write", err).at("key", key))
    }

    /// Moves a staged file into place, which must be free.
    pub(super) fn publish(&self, unit: &str, key: &str) -> Result<()> {
        let (from, to) = (self.root.join(self.staged(unit, key)), self.root.join(key));
        let moved = match move_new(&from, &to) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                make_parent(&to).and_then(|()| move_new(&from, &to))
            }
            moved => moved,
        };
        let failed = |err| Error::io("cannot move into place", err).at("key", key);
        match moved {
            Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => {
                let is_same =
                    std::fs::read(&from).map_err(failed)? == std::fs::read(&to).map_err(failed)?;
                if !is_same {
                    return Err(super::other_bytes(key));
                }
                std::fs::remove_file(&from).map_err(failed)
            }
            moved => moved.map_err(failed),
        }
    }

    /// One flat folder per unit: a partition's folders need not be made twice.
    fn staged(&self, unit: &str, key: &str) -> String {
        let name = xxhash_rust::xxh3::xxh3_128(key.as_bytes());
        format!("{OWN}/staged/{}/{unit}/{name:032x}", self.process)
    }

    pub(super) fn clear_staged(&self) -> Result<()> {
        self.delete_all(&format!("{OWN}/staged"))
    }

    pub(super) fn delete_all(&self, folder: &str) -> Result<()> {
        match std::fs::remove_dir_all(self.root.join(folder)) {
            Ok(()) => Ok(()),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(Error::io("cannot remove a folder", err).at("folder", folder)),
        }
    }

    /// The names of the folders in a folder.
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

    /// Removes what a killed put left beside documents: `<name>#<number>`, which no listing shows.
    pub(super) fn clear_half_written(&self) -> Result<()> {
        let failed = |err| Error::io("cannot clear half-written files", err);
        let own = self.root.join(OWN);
        for folder in super::DOCUMENTS {
            let entries = match std::fs::read_dir(own.join(folder)) {
                Ok(entries) => entries,
                Err(err) if err.kind() == std::io::ErrorKind::NotFound => continue,
                Err(err) => return Err(failed(err)),
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

fn make_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
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

/// What no other process on any machine that shares the folder is called, as good as certainly.
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
