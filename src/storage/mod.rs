//! Where the lake's bytes are: a folder or a bucket, through object_store.
//!
//! Nothing is replaced in place. A put either makes a new key or says that the key is there; data
//! files are staged out of readers' sight first and moved into place when their unit commits.

mod lease;

use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use futures::TryStreamExt;
pub use lease::Lease;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything of ours in a lake lies under this folder; readers pass over names with `_`.
pub const OWN: &str = "_trailmill";

/// What a put-if-absent found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The key is new.
    Created,
    /// The key was there and was left as it was.
    Exists,
}

/// A listed object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key in the lake.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A lake's storage.
#[derive(Clone, Debug)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    root: PathBuf,
}

impl Storage {
    /// Opens the lake in a local folder, which is made if it is absent.
    ///
    /// # Errors
    /// `Config` when the path is not a folder or cannot be made one.
    pub fn local(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .and_then(|()| folder.canonicalize())
            .map_err(|err| {
                Error::config("cannot use the lake's folder")
                    .at("path", folder.display())
                    .because(err)
            })
            .and_then(|root| {
                let store = LocalFileSystem::new_with_prefix(&root).map_err(|err| {
                    Error::config("cannot open the lake").at("path", root.display()).because(err)
                })?;
                Ok(Self { store: Arc::new(store), root })
            })
    }

    /// Returns the folder of a local lake.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the lake's address as the catalog writes it, ending in `/`.
    pub fn address(&self) -> String {
        format!("file://{}/", self.root.display())
    }

    /// Puts `bytes` at `key` unless the key is taken.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub async fn put_new(&self, key: &str, bytes: impl Into<Bytes>) -> Result<Put> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let bytes: Bytes = bytes.into();
        match self.store.put_opts(&parse(key)?, bytes.into(), options).await {
            Ok(_) => Ok(Put::Created),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Put::Exists),
            Err(err) => Err(failed("write", key, err)),
        }
    }

    /// Puts a data file where readers do not look; [`Storage::publish`] moves it into place.
    /// A file staged before under the same key is replaced.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub async fn stage(&self, unit: &str, key: &str, bytes: Vec<u8>) -> Result<()> {
        let staged = staged(unit, key);
        let bytes: Bytes = bytes.into();
        match self.store.put(&parse(&staged)?, bytes.into()).await {
            Ok(_) => Ok(()),
            Err(err) => Err(failed("write", key, err)),
        }
    }

    /// Moves a staged file into place.
    ///
    /// A file that is there already came from the same unit before a crash: the staged one must
    /// equal it, and goes.
    ///
    /// # Errors
    /// `Io` when the store fails, `Damaged` when another file has the name.
    pub async fn publish(&self, unit: &str, key: &str) -> Result<()> {
        let from = parse(&staged(unit, key))?;
        match self.store.rename_if_not_exists(&from, &parse(key)?).await {
            Ok(()) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let here = self.read(key).await?.unwrap_or_default();
                let there = self.read(from.as_ref()).await?.unwrap_or_default();
                if here != there {
                    return Err(Error::new(
                        ErrorKind::Damaged,
                        "a data file of an unfinished unit has other bytes than before",
                    )
                    .at("file", key));
                }
                self.delete(from.as_ref()).await
            }
            Err(err) => Err(failed("move into place", key, err)),
        }
    }

    /// Removes everything staged for all units; nobody else may be writing.
    ///
    /// # Errors
    /// `Io` when the folder cannot be emptied.
    pub fn clear_staged(&self) -> Result<()> {
        match std::fs::remove_dir_all(self.root.join(OWN).join("staged")) {
            Ok(()) => Ok(()),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(Error::io("cannot clear staged files", err)),
        }
    }

    /// Removes what a killed put left beside documents: `<name>#<number>`, which no listing shows.
    ///
    /// # Errors
    /// `Io` when a folder cannot be read.
    pub fn clear_half_written(&self) -> Result<()> {
        let failed = |err| Error::io("cannot clear half-written files", err);
        let own = self.root.join(OWN);
        for folder in ["schema", "manifests", "intents", "copies", "quarantine", "runs"] {
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

    /// Makes everything written so far survive a loss of power.
    ///
    /// # Errors
    /// `Io` when the file system reports that it could not.
    pub fn sync(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        {
            let folder = std::fs::File::open(&self.root)
                .map_err(|err| Error::io("cannot open the lake's folder", err))?;
            rustix::fs::syncfs(&folder)
                .map_err(|err| Error::io("cannot sync the lake's file system", err))?;
        }
        Ok(())
    }

    /// Returns the bytes at `key`, or nothing when it is absent.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>> {
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

    /// Returns the objects under `prefix`, sorted by key.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let prefix = parse(prefix)?;
        let found: Vec<_> = self
            .store
            .list(Some(&prefix))
            .map_ok(|meta| Listed { key: meta.location.to_string(), size: meta.size })
            .try_collect()
            .await
            .map_err(|err| failed("list", prefix.as_ref(), err))?;
        let mut found = found;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// Removes the object at `key`; an absent one is no error.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub async fn delete(&self, key: &str) -> Result<()> {
        match self.store.delete(&parse(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(err) => Err(failed("delete", key, err)),
        }
    }
}

/// One flat folder per unit: a partition's folders need not be made twice.
fn staged(unit: &str, key: &str) -> String {
    format!("{OWN}/staged/{unit}/{:032x}", xxhash_rust::xxh3::xxh3_128(key.as_bytes()))
}

fn parse(key: &str) -> Result<Key> {
    Key::parse(key)
        .map_err(|err| Error::new(ErrorKind::Bug, "not a key").at("key", key).because(err))
}

fn failed(verb: &str, key: &str, err: object_store::Error) -> Error {
    Error::io(format!("cannot {verb}"), err).at("key", key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lake() -> (tempfile::TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        (folder, storage)
    }

    #[tokio::test]
    async fn the_first_put_wins() {
        let (_folder, lake) = lake();
        assert_eq!(lake.put_new("a/b=1/x", "one").await.unwrap(), Put::Created);
        assert_eq!(lake.put_new("a/b=1/x", "two").await.unwrap(), Put::Exists);
        assert_eq!(lake.read("a/b=1/x").await.unwrap().unwrap(), "one");
        assert_eq!(lake.read("a/b=1/y").await.unwrap(), None);
        lake.delete("a/b=1/x").await.unwrap();
        lake.delete("a/b=1/x").await.unwrap();
        assert!(lake.list("a").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_staged_file_appears_once_and_whole() {
        let (_folder, lake) = lake();
        lake.stage("u1", "t/p=1/f", b"rows".to_vec()).await.unwrap();
        assert_eq!(lake.read("t/p=1/f").await.unwrap(), None);
        lake.publish("u1", "t/p=1/f").await.unwrap();
        lake.stage("u1", "t/p=1/f", b"rows".to_vec()).await.unwrap();
        lake.publish("u1", "t/p=1/f").await.unwrap();
        assert_eq!(lake.list("t").await.unwrap().len(), 1);
        lake.stage("u1", "t/p=1/f", b"other".to_vec()).await.unwrap();
        let err = lake.publish("u1", "t/p=1/f").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Damaged);
        lake.clear_staged().unwrap();
        assert!(lake.list("_trailmill").await.unwrap().is_empty());
    }
}
