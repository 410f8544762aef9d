//! Documents that are put together and synced once, and documents that may be replaced.
//!
//! [`Storage::put_new`] waits for the disk, twice for each document of a local lake. The functions here
//! put documents that do not depend on each other, and one [`Storage::sync`] makes all of them survive a
//! loss of power before anything that names them is written. In a bucket there is nothing to sync.

use crate::error::Result;
use crate::storage::folder::{Durable, There};
use crate::storage::{Bucket, Kind, Put, Storage};
use bytes::Bytes;

impl Storage {
    /// Puts a document of an uncommitted unit; every attempt at the unit puts the same bytes. In a folder it
    /// survives a loss of power from the next [`Storage::sync`] on, and replaces the remains of an earlier
    /// attempt.
    ///
    /// # Errors
    /// As [`Storage::put_once`].
    pub async fn put_of_unit(&self, key: &str, bytes: impl Into<Bytes>) -> Result<()> {
        self.confirm().await?;
        match &self.0 {
            Kind::Folder(folder) => {
                folder.put(key, bytes.into(), Durable::AtSync, There::GivesWay).await.map(|_| ())
            }
            Kind::Bucket { .. } => self.put_once(key, bytes).await,
        }
    }

    /// Puts a document that is named by a hash of its bytes; other bytes under its name are damaged and are
    /// replaced. In a folder it survives a loss of power from the next [`Storage::sync`] on.
    ///
    /// # Errors
    /// As [`Storage::put_new`].
    pub async fn put_hashed(&self, key: &str, bytes: impl Into<Bytes>) -> Result<()> {
        self.put_over_when(key, bytes.into(), Durable::AtSync).await
    }

    /// Puts a document that is derived from others; other bytes under its name are damaged or out of date
    /// and are replaced.
    ///
    /// # Errors
    /// As [`Storage::put_new`].
    pub async fn put_over(&self, key: &str, bytes: impl Into<Bytes>) -> Result<()> {
        self.put_over_when(key, bytes.into(), Durable::Now).await
    }

    async fn put_over_when(&self, key: &str, bytes: Bytes, durable: Durable) -> Result<()> {
        self.confirm().await?;
        match &self.0 {
            Kind::Folder(folder) => {
                folder.put(key, bytes, durable, There::GivesWay).await.map(|_| ())
            }
            Kind::Bucket { bucket, prefix } => {
                put_over(bucket, &format!("{prefix}{key}"), bytes).await
            }
        }
    }

    /// Puts a document like [`Storage::put_new`]. If the unit has staged and synced the same bytes, only
    /// renames them; [`Storage::sync_names`] of the folder makes the name survive a loss of power.
    ///
    /// # Errors
    /// As [`Storage::put_new`].
    pub async fn put_staged(&self, unit: &str, key: &str, bytes: impl Into<Bytes>) -> Result<Put> {
        self.confirm().await?;
        let bytes = bytes.into();
        match &self.0 {
            Kind::Folder(folder) if folder.name_staged(unit, key, &bytes)? => Ok(Put::Created),
            _ => self.put_new(key, bytes).await,
        }
    }

    /// Returns whether the lake's prefix or folder holds no objects at all.
    ///
    /// # Errors
    /// As [`Storage::list`].
    pub async fn has_nothing(&self) -> Result<bool> {
        match &self.0 {
            Kind::Folder(folder) => folder.list("").await.map(|found| found.is_empty()),
            Kind::Bucket { bucket, prefix } => {
                bucket.page(prefix, false, None, None).await.map(|page| page.objects.is_empty())
            }
        }
    }

    /// Makes the names in a folder of documents survive a loss of power.
    ///
    /// # Errors
    /// `Io` when the file system reports that it could not.
    pub fn sync_names(&self, folder: &str) -> Result<()> {
        match &self.0 {
            Kind::Folder(lake) => lake.sync_names(folder),
            Kind::Bucket { .. } => Ok(()),
        }
    }
}

async fn put_over(bucket: &Bucket, key: &str, bytes: Bytes) -> Result<()> {
    while bucket.put_new(key, bytes.clone()).await? == Put::Differs {
        let Some((_, etag)) = bucket.get_with_etag(key).await? else { continue };
        // After a lost answer the next turn finds these bytes.
        if bucket.replace_patiently(key, &etag, bytes.clone()).await?.is_some() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_follows_from_others_replaces_what_a_loss_of_power_left() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Storage::local(folder.path()).unwrap();
        for key in ["a/x", "b/c/x", "d/x"] {
            lake.put_new(key, "").await.unwrap();
        }

        lake.put_of_unit("a/x", "one").await.unwrap();
        lake.put_hashed("b/c/x", "two").await.unwrap();
        lake.put_over("d/x", "three").await.unwrap();

        for (key, bytes) in [("a/x", "one"), ("b/c/x", "two"), ("d/x", "three")] {
            assert_eq!(lake.read(key).await.unwrap().unwrap(), bytes);
        }
        assert_eq!(std::fs::read_dir(folder.path().join("b/c")).unwrap().count(), 1, "no halves");
    }

    #[tokio::test]
    async fn a_staged_document_gets_a_name_that_is_free_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Storage::local(folder.path()).unwrap();
        let staged = || lake.stage("u", "m/1", b"one").unwrap();
        staged();
        assert_eq!(lake.put_staged("u", "m/1", "one").await.unwrap(), Put::Created);
        lake.sync_names("m").unwrap();
        staged();
        assert_eq!(lake.put_staged("u", "m/1", "one").await.unwrap(), Put::Same);
        assert_eq!(lake.put_staged("u", "m/1", "two").await.unwrap(), Put::Differs);
        assert_eq!(lake.put_staged("u", "m/2", "two").await.unwrap(), Put::Created);
        assert_eq!(lake.read("m/1").await.unwrap().unwrap(), "one");
    }
}
