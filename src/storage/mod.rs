//! The lake's bytes: in a folder or a bucket, through `object_store`.
//!
//! A bucket is anything with `object_store`'s trait: S3, memory, or a test's store that fails on purpose.
//! A folder is more than the trait: staged files, syncs in a fixed order and a lock need system calls.
//!
//! Nothing is replaced in place. A put either makes a new key or reports that the key is taken. In a
//! folder, data files are staged out of readers' sight and renamed when their unit commits. A bucket
//! has no rename: there they are put under their final names, which come from the unit's identity, and
//! it is the manifest that says that they count.

mod answers;
mod body;
mod bucket;
mod checksum;
mod durable;
mod exchange;
mod fence;
mod folder;
mod guard;
mod holder;
mod lease;
mod options;
mod page;
mod public;
mod s3;
mod sdk;
mod store;

use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
pub use bucket::Bucket;
use bytes::Bytes;
use fence::Fence;
use folder::{Durable, Folder, There};
pub use holder::salt;
pub use lease::Lease;
use object_store::memory::InMemory;
pub use options::{DEFAULT_REQUESTS, DEFAULT_RETRY_TIMEOUT, Encryption, S3Options};
pub use page::{BucketObject, Page};
pub use public::PublicAccess;
pub use s3::S3;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Everything of ours in a lake lies under this folder; readers pass over names with `_`.
pub const OWN: &str = "_trailmill";

/// How long a lease lasts without a renewal, by default.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// The outcome of a put-if-absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The key is new.
    Created,
    /// The key was there with the same bytes.
    Same,
    /// The key was there with other bytes, and was left as it was.
    Differs,
}

/// A listed object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key in the lake.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A lake's storage. The storage of the lake's writer confirms the lease before each write.
#[derive(Clone, Debug)]
pub struct Storage(Kind, Option<Fence>);

#[derive(Clone, Debug)]
enum Kind {
    Folder(Folder),
    Bucket {
        bucket: Bucket,
        /// Empty, or ends in `/`.
        prefix: String,
    },
}

impl Storage {
    /// Opens a lake; a local folder is made if it is absent.
    ///
    /// # Errors
    /// `Config` when the place cannot be a lake, `Denied`, `Unavailable`.
    pub async fn open(lake: &Location, s3: &S3) -> Result<Self> {
        match lake {
            Location::Local(folder) => Self::local(folder),
            Location::S3 { bucket, prefix } => {
                let prefix = prefix.trim_matches('/');
                let is_plain = prefix.is_empty() || prefix.split('/').all(is_plain_part);
                if !is_plain {
                    let message =
                        "invalid lake prefix: expected parts of letters, digits and `-_.=`";
                    return Err(Error::config(message).at("prefix", prefix));
                }
                let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
                Ok(Self(Kind::Bucket { bucket: s3.bucket(bucket).await?, prefix }, None))
            }
        }
    }

    /// Opens the lake in a local folder, which is made if it is absent.
    ///
    /// # Errors
    /// `Config` when the path is not a folder or cannot be made one.
    pub fn local(folder: &Path) -> Result<Self> {
        Folder::open(folder).map(|folder| Self(Kind::Folder(folder), None))
    }

    /// Opens an empty lake in memory. It behaves like a lake in a bucket.
    pub fn memory() -> Self {
        let requests = Arc::new(tokio::sync::Semaphore::new(DEFAULT_REQUESTS));
        let store = Arc::new(InMemory::new());
        let bucket = Bucket::in_store("memory", store, requests, S3Options::default());
        Self(Kind::Bucket { bucket, prefix: String::new() }, None)
    }

    /// Returns the same storage behind a lease.
    fn behind(&self, fence: Fence) -> Self {
        let kind = match (&self.0, &fence) {
            (Kind::Bucket { bucket, prefix }, Fence::Bucket(leased)) => {
                let guard = Arc::clone(leased) as Arc<dyn guard::Guard>;
                Kind::Bucket { bucket: bucket.guarded(guard), prefix: prefix.clone() }
            }
            (kind, _) => kind.clone(),
        };
        Self(kind, Some(fence))
    }

    /// Confirms the lease, if this is the storage of the lake's writer.
    ///
    /// # Errors
    /// `Busy` when another run has the lake; `Unavailable` when that cannot be known.
    pub async fn confirm(&self) -> Result<()> {
        match &self.1 {
            Some(fence) => fence.confirm().await,
            None => Ok(()),
        }
    }

    /// Like [`Storage::confirm`], but always asks the store: before deleting listed objects.
    ///
    /// # Errors
    /// As [`Storage::confirm`].
    pub async fn confirm_now(&self) -> Result<()> {
        match &self.1 {
            Some(fence) => fence.confirm_now().await,
            None => Ok(()),
        }
    }

    /// Returns the error for further writes if the lease is known to be lost; makes no request.
    pub fn lost(&self) -> Option<Error> {
        self.1.as_ref().and_then(Fence::lost)
    }

    /// Returns the folder of a local lake.
    pub fn root(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Folder(folder) => Some(&folder.root),
            Kind::Bucket { .. } => None,
        }
    }

    /// Returns whether requests wait for a network.
    pub fn is_remote(&self) -> bool {
        matches!(self.0, Kind::Bucket { .. })
    }

    /// Returns the lake's address as the catalog writes it, ending in `/`.
    pub fn address(&self) -> String {
        match &self.0 {
            Kind::Folder(folder) => format!("file://{}/", folder.root.display()),
            Kind::Bucket { bucket, prefix } => bucket.address(prefix),
        }
    }

    /// Puts `bytes` at `key` unless the key is taken. The object survives a loss of power afterwards.
    ///
    /// # Errors
    /// `Io`, `Denied` or `Unavailable` when the store fails.
    pub async fn put_new(&self, key: &str, bytes: impl Into<Bytes>) -> Result<Put> {
        let bytes = bytes.into();
        self.confirm().await?;
        match &self.0 {
            Kind::Folder(folder) => folder.put(key, bytes, Durable::Now, There::Stays).await,
            Kind::Bucket { bucket, prefix } => {
                bucket.put_new(&format!("{prefix}{key}"), bytes).await
            }
        }
    }

    /// Puts `bytes` at `key`, which must be absent or have the same bytes.
    ///
    /// # Errors
    /// As [`Storage::put_new`]; `Damaged` when other bytes are there.
    pub async fn put_once(&self, key: &str, bytes: impl Into<Bytes>) -> Result<()> {
        match self.put_new(key, bytes).await? {
            Put::Created | Put::Same => Ok(()),
            Put::Differs => Err(other_bytes(key)),
        }
    }

    /// Stages a data file out of readers' sight, for [`Storage::promote`]. Returns `false` in a bucket, where
    /// data files are put under their final names.
    ///
    /// # Errors
    /// `Io` when the file cannot be written.
    pub fn stage(&self, unit: &str, key: &str, bytes: &[u8]) -> Result<bool> {
        match &self.0 {
            Kind::Folder(folder) => folder.stage(unit, key, bytes).map(|()| true),
            Kind::Bucket { .. } => Ok(false),
        }
    }

    /// Renames the staged files of a unit to their final names.
    ///
    /// # Errors
    /// `Io` when the store fails, `Damaged` when another file has the name.
    pub async fn promote(&self, unit: String, keys: Vec<String>) -> Result<()> {
        self.confirm().await?;
        match &self.0 {
            Kind::Folder(folder) => {
                let folder = folder.clone();
                let promote = move || keys.iter().try_for_each(|key| folder.promote(&unit, key));
                tokio::task::spawn_blocking(promote)
                    .await
                    .map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))?
            }
            Kind::Bucket { .. } => Ok(()),
        }
    }

    /// Removes the half-written files of a killed run. Only the lake's writer may call it.
    ///
    /// # Errors
    /// `Io` when a folder cannot be emptied.
    pub fn clear_half_written(&self) -> Result<()> {
        match &self.0 {
            Kind::Folder(folder) => {
                folder.clear_staged().and_then(|()| folder.clear_half_written())
            }
            // A put to a bucket is atomic, and none is in parts.
            Kind::Bucket { .. } => Ok(()),
        }
    }

    /// Removes what killed runs have left half-written in one folder, before it comes into readers' sight.
    ///
    /// # Errors
    /// `Io` when the folder cannot be emptied of it.
    pub fn clear_half_written_in(&self, folder: &str) -> Result<()> {
        match &self.0 {
            Kind::Folder(lake) => lake.clear_half_written_in(folder),
            Kind::Bucket { .. } => Ok(()),
        }
    }

    /// Makes everything written so far survive a loss of power.
    ///
    /// # Errors
    /// `Io` when the file system reports that it could not.
    pub fn sync(&self) -> Result<()> {
        match &self.0 {
            Kind::Folder(folder) => folder.sync(),
            Kind::Bucket { .. } => Ok(()),
        }
    }

    /// Returns the bytes at `key`, or `None` if the key is absent.
    ///
    /// # Errors
    /// `Io`, `Denied` or `Unavailable` when the store fails.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        match &self.0 {
            Kind::Folder(folder) => folder.read(key).await,
            Kind::Bucket { bucket, prefix } => bucket.get(&format!("{prefix}{key}"), None).await,
        }
    }

    /// Returns the object at `key` of a lake in a bucket, as a listing of the bucket would show it, or `None`
    /// if the key is absent; the files of a folder are no objects.
    ///
    /// # Errors
    /// `Denied`, `Unavailable`, `Io`.
    pub async fn head(&self, key: &str) -> Result<Option<BucketObject>> {
        match &self.0 {
            Kind::Folder(_) => Ok(None),
            Kind::Bucket { bucket, prefix } => bucket.head(&format!("{prefix}{key}")).await,
        }
    }

    /// Returns the bytes of an object as [`Storage::head`] showed it, or `None` if it is gone.
    ///
    /// # Errors
    /// `Unavailable` also when the object has another etag by now; `Denied`, `Io`.
    pub async fn read_object(&self, object: &BucketObject) -> Result<Option<Bytes>> {
        match &self.0 {
            Kind::Folder(_) => Ok(None),
            Kind::Bucket { bucket, .. } => {
                bucket.get_listed(&object.key, &object.etag, object.size).await
            }
        }
    }

    /// Returns the objects in the folder `prefix` and below, sorted by key.
    ///
    /// # Errors
    /// `Io`, `Denied` or `Unavailable` when the store fails.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        self.list_between(prefix, None, None).await
    }

    /// Returns the objects in the folder `prefix` and below whose keys come after `after`, sorted.
    ///
    /// # Errors
    /// As [`Storage::list`].
    pub async fn list_after(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>> {
        self.list_between(prefix, after, None).await
    }

    /// Returns the objects in the folder `prefix` and below whose keys come after `after` and before
    /// `until`, sorted.
    ///
    /// # Errors
    /// As [`Storage::list`].
    pub async fn list_between(
        &self,
        prefix: &str,
        after: Option<&str>,
        until: Option<&str>,
    ) -> Result<Vec<Listed>> {
        let mut found = match &self.0 {
            Kind::Folder(folder) => folder.list(prefix).await?,
            Kind::Bucket { bucket, prefix: lake } => {
                let in_bucket = |key: &str| format!("{lake}{key}");
                let (after, until) = (after.map(in_bucket), until.map(in_bucket));
                let folder = format!("{lake}{prefix}/");
                let between = (after.as_deref(), until.as_deref());
                list_bucket(bucket, &folder, between, lake.len()).await?
            }
        };
        found.retain(|listed| {
            let key = listed.key.as_str();
            after.is_none_or(|after| key > after) && until.is_none_or(|until| key < until)
        });
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// Returns the names of the folders in the folder `prefix`, sorted.
    ///
    /// # Errors
    /// As [`Storage::list`].
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names = match &self.0 {
            Kind::Folder(folder) => folder.folders(prefix)?,
            Kind::Bucket { bucket, prefix: lake } => {
                bucket_folders(bucket, &format!("{lake}{prefix}/")).await?
            }
        };
        names.sort();
        Ok(names)
    }

    /// Returns whether the folder `prefix` is empty or absent.
    ///
    /// # Errors
    /// As [`Storage::list`].
    pub async fn is_empty(&self, prefix: &str) -> Result<bool> {
        match &self.0 {
            Kind::Folder(folder) => folder.list(prefix).await.map(|found| found.is_empty()),
            Kind::Bucket { bucket, prefix: lake } => {
                let page = bucket.page(&format!("{lake}{prefix}/"), false, None, None).await?;
                Ok(page.objects.is_empty())
            }
        }
    }

    /// Removes the object at `key`, if there is one.
    ///
    /// # Errors
    /// `Io`, `Denied` or `Unavailable` when the store fails.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.confirm().await?;
        match &self.0 {
            Kind::Folder(folder) => folder.delete(key).await,
            Kind::Bucket { bucket, prefix } => bucket.delete(&format!("{prefix}{key}")).await,
        }
    }

    /// Removes everything in the folder `prefix` and below, if there is such a folder.
    ///
    /// # Errors
    /// `Io`, `Denied` or `Unavailable` when the store fails.
    pub async fn delete_all(&self, prefix: &str) -> Result<()> {
        self.confirm().await?;
        match &self.0 {
            Kind::Folder(folder) => folder.delete_all(prefix),
            Kind::Bucket { bucket, prefix: lake } => {
                bucket.delete_all(&format!("{lake}{prefix}/")).await
            }
        }
    }
}

async fn list_bucket(
    bucket: &Bucket,
    folder: &str,
    (after, until): (Option<&str>, Option<&str>),
    strip: usize,
) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = bucket.page(folder, false, after, token.as_deref()).await?;
        let last = page.objects.last();
        let is_past = last.zip(until).is_some_and(|(object, until)| object.key.as_str() >= until);
        found.extend(page.objects.into_iter().filter_map(|object| {
            let key = object.key.get(strip..)?.to_owned();
            Some(Listed { key, size: object.size })
        }));
        token = page.next;
        if token.is_none() || is_past {
            return Ok(found);
        }
    }
}

async fn bucket_folders(bucket: &Bucket, folder: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = bucket.page(folder, true, None, token.as_deref()).await?;
        let name =
            |prefix: &String| Some(prefix.strip_prefix(folder)?.trim_matches('/').to_owned());
        names.extend(page.prefixes.iter().filter_map(name));
        token = page.next;
        if token.is_none() {
            return Ok(names);
        }
    }
}

fn is_plain_part(part: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=');
    !part.is_empty() && part.bytes().all(is_allowed) && !part.bytes().all(|b| b == b'.')
}

fn other_bytes(key: &str) -> Error {
    Error::new(ErrorKind::Damaged, "the bytes in the lake differ from those of an unfinished run")
        .at("key", key)
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
        assert_eq!(lake.put_new("a/b=1/x", "two").await.unwrap(), Put::Differs);
        assert_eq!(lake.put_new("a/b=1/x", "one").await.unwrap(), Put::Same);
        assert_eq!(lake.read("a/b=1/x").await.unwrap().unwrap(), "one");
        assert_eq!(lake.read("a/b=1/y").await.unwrap(), None);
        lake.delete("a/b=1/x").await.unwrap();
        lake.delete("a/b=1/x").await.unwrap();
        assert!(lake.list("a").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_staged_file_appears_once_and_whole() {
        let (_folder, lake) = lake();
        let promote = || lake.promote("u1".to_owned(), vec!["t/p=1/f".to_owned()]);
        assert!(lake.stage("u1", "t/p=1/f", b"rows").unwrap());
        assert_eq!(lake.read("t/p=1/f").await.unwrap(), None);
        promote().await.unwrap();
        lake.stage("u1", "t/p=1/f", b"rows").unwrap();
        promote().await.unwrap();
        assert_eq!(lake.list("t").await.unwrap().len(), 1);
        lake.stage("u1", "t/p=1/f", b"other").unwrap();
        let err = promote().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Damaged);
        lake.clear_half_written().unwrap();
        assert!(lake.list("_trailmill").await.unwrap().is_empty());
    }
}
