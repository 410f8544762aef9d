//! Where the lake's bytes are: a folder or a bucket, through `object_store`.
//!
//! Nothing is replaced in place. A put either makes a new key or says that the key is there. In a
//! folder, data files are staged out of readers' sight and renamed when their unit commits. A bucket
//! has no rename: there they are put under their final names, which come from the unit's identity, and
//! it is the manifest that says that they count.

mod bucket;
mod durable;
mod fence;
mod folder;
mod holder;
mod lease;
mod public;

use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
pub use bucket::{
    Bucket, BucketObject, DEFAULT_REQUESTS, DEFAULT_RETRY_TIMEOUT, Encryption, Page, S3, S3Options,
};
use bytes::Bytes;
use fence::Fence;
use folder::{Durable, Folder, There};
pub use lease::Lease;
pub use public::PublicAccess;
use std::path::Path;
use std::time::Duration;

/// Everything of ours in a lake lies under this folder; readers pass over names with `_`.
pub const OWN: &str = "_trailmill";

/// How long a lease that is not renewed keeps others from a lake, unless an option says otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// What a put-if-absent found.
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

/// A lake's storage; that of its one writer confirms the lease before it changes anything.
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
                    let message = "a lake's prefix has parts of letters, digits and `-_.=` only";
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

    /// Returns the same storage behind a lease.
    fn fenced(&self, fence: Fence) -> Self {
        let kind = match (&self.0, &fence) {
            (Kind::Bucket { bucket, prefix }, Fence::Bucket(leased)) => {
                Kind::Bucket { bucket: bucket.fenced(leased), prefix: prefix.clone() }
            }
            (kind, _) => kind.clone(),
        };
        Self(kind, Some(fence))
    }

    /// Makes sure, where this is the storage of the lake's writer, that it still is.
    ///
    /// # Errors
    /// `Busy` when another run has the lake; `Unavailable` when that cannot be known.
    pub async fn confirm(&self) -> Result<()> {
        match &self.1 {
            Some(fence) => fence.confirm().await,
            None => Ok(()),
        }
    }

    /// As [`Storage::confirm`], by asking and not by the clock: for what was listed and is to be deleted.
    ///
    /// # Errors
    /// As [`Storage::confirm`].
    pub async fn confirm_now(&self) -> Result<()> {
        match &self.1 {
            Some(fence) => fence.confirm_now().await,
            None => Ok(()),
        }
    }

    /// Returns why nothing may be written any more, once that is known; asks nobody.
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

    /// Returns the bucket of a lake in S3.
    pub fn bucket(&self) -> Option<&Bucket> {
        match &self.0 {
            Kind::Folder(_) => None,
            Kind::Bucket { bucket, .. } => Some(bucket),
        }
    }

    /// Returns the lake's address as the catalog writes it, ending in `/`.
    pub fn address(&self) -> String {
        match &self.0 {
            Kind::Folder(folder) => format!("file://{}/", folder.root.display()),
            Kind::Bucket { bucket, prefix } => bucket.address(prefix),
        }
    }

    /// Puts `bytes` at `key` unless the key is taken. What is there survives a loss of power then.
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

    /// Puts `bytes` at `key`, where nothing but these bytes may be.
    ///
    /// # Errors
    /// As [`Storage::put_new`]; `Damaged` when other bytes are there.
    pub async fn put_once(&self, key: &str, bytes: impl Into<Bytes>) -> Result<()> {
        match self.put_new(key, bytes).await? {
            Put::Created | Put::Same => Ok(()),
            Put::Differs => Err(other_bytes(key)),
        }
    }

    /// Puts a data file out of readers' sight, where it is ready to be published. Returns `false` in a
    /// bucket, which has no such place: there a data file is put under its own name.
    ///
    /// # Errors
    /// `Io` when the file cannot be written.
    pub fn stage(&self, unit: &str, key: &str, bytes: &[u8]) -> Result<bool> {
        match &self.0 {
            Kind::Folder(folder) => folder.stage(unit, key, bytes).map(|()| true),
            Kind::Bucket { .. } => Ok(false),
        }
    }

    /// Makes the files that a unit has staged data files.
    ///
    /// # Errors
    /// `Io` when the store fails, `Damaged` when another file has the name.
    pub async fn publish(&self, unit: String, keys: Vec<String>) -> Result<()> {
        self.confirm().await?;
        match &self.0 {
            Kind::Folder(folder) => {
                let folder = folder.clone();
                let publish = move || keys.iter().try_for_each(|key| folder.publish(&unit, key));
                tokio::task::spawn_blocking(publish)
                    .await
                    .map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))?
            }
            Kind::Bucket { .. } => Ok(()),
        }
    }

    /// Removes what a killed run left half-way where only we look; nobody else may be writing.
    ///
    /// # Errors
    /// `Io` when a folder cannot be emptied.
    pub fn clear_half_written(&self) -> Result<()> {
        match &self.0 {
            Kind::Folder(folder) => {
                folder.clear_staged().and_then(|()| folder.clear_half_written())
            }
            // A put to a bucket is whole or not at all, and none is in parts.
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

    /// Returns the bytes at `key`, or nothing when it is absent.
    ///
    /// # Errors
    /// `Io`, `Denied` or `Unavailable` when the store fails.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        match &self.0 {
            Kind::Folder(folder) => folder.read(key).await,
            Kind::Bucket { bucket, prefix } => bucket.get(&format!("{prefix}{key}"), None).await,
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

    /// Returns whether nothing lies in the folder `prefix`.
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

    /// Removes the object at `key`; an absent one is no error.
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

    /// Removes everything in the folder `prefix` and below; an absent one is no error.
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
    Error::new(ErrorKind::Damaged, "the lake has other bytes here than an unfinished run wrote")
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
        let publish = || lake.publish("u1".to_owned(), vec!["t/p=1/f".to_owned()]);
        assert!(lake.stage("u1", "t/p=1/f", b"rows").unwrap());
        assert_eq!(lake.read("t/p=1/f").await.unwrap(), None);
        publish().await.unwrap();
        lake.stage("u1", "t/p=1/f", b"rows").unwrap();
        publish().await.unwrap();
        assert_eq!(lake.list("t").await.unwrap().len(), 1);
        lake.stage("u1", "t/p=1/f", b"other").unwrap();
        let err = publish().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Damaged);
        lake.clear_half_written().unwrap();
        assert!(lake.list("_trailmill").await.unwrap().is_empty());
    }
}
