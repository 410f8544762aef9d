//! Data files that manifests name and that are gone: removed by hand, or by a lifecycle rule.
//!
//! `catalog sync` notes them, so that every later run leaves them out of what it tells the catalog, and so
//! does `convert --restore`, which brings their rows back in other files. A document holds the whole list
//! and is named by its contents; a file that comes back leaves the list, unless its rows were restored.

use crate::error::{ErrorKind, Result};
use crate::lake::data_file::DataFile;
use crate::lake::document::{replace_list, unpack};
use crate::lake::names::Folder;
use crate::notice::tell;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// What is known of the rows of a file that is gone. None ever becomes an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The lake lacks them.
    Lost,
    /// The lake lacks them, and somebody has said that it may.
    Accepted,
    /// Other files have them.
    Restored,
}

/// A data file that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneFile {
    /// The file as its manifest has it.
    #[serde(flatten)]
    pub file: DataFile,
    /// What is known of its rows.
    pub loss: Loss,
}

/// Reads the files that are known to be gone, sorted by key. A list that is damaged says nothing: the
/// next sync looks again.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`.
pub async fn read_gone(storage: &Storage) -> Result<Vec<GoneFile>> {
    // A run that was killed may leave an older list beside the newer: what either names is looked at
    // again by the next sync, and of what they say about a file the later counts.
    let mut gone: Vec<GoneFile> = Vec::new();
    for listed in storage.list(&Folder::Gone.path()).await? {
        let bytes = storage.read(&listed.key).await?.unwrap_or_default();
        match unpack::<Vec<GoneFile>>(&listed.key, &bytes) {
            Ok(files) => gone.extend(files),
            Err(err) if err.kind() == ErrorKind::Damaged => tell(&format!(
                "ignoring the damaged list {} of missing data files: `trailmill catalog sync` \
                 rebuilds it",
                listed.key
            )),
            Err(err) => return Err(err),
        }
    }
    gone.sort_by(|a, b| (&a.file.key, Reverse(a.loss)).cmp(&(&b.file.key, Reverse(b.loss))));
    gone.dedup_by(|a, b| a.file.key == b.file.key);
    Ok(gone)
}

/// Writes the files that are gone, all of them.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`.
pub async fn write_gone(storage: &Storage, gone: &[GoneFile]) -> Result<()> {
    replace_list(storage, Folder::Gone, &gone, gone.is_empty()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_list_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let file = |key: &str| GoneFile {
            file: DataFile {
                key: key.into(),
                table: "t".into(),
                partition: "p=1".into(),
                rows: 1,
                bytes: 1,
                min_instant: 0,
                max_instant: 0,
            },
            loss: Loss::Lost,
        };
        assert!(read_gone(&storage).await.unwrap().is_empty());
        write_gone(&storage, &[file("a"), file("b")]).await.unwrap();
        write_gone(&storage, &[file("b")]).await.unwrap();
        assert_eq!(read_gone(&storage).await.unwrap(), [file("b")]);
        // What a run that was killed between the two leaves.
        let earlier = storage.list("_trailmill").await.unwrap().remove(0).key;
        let bytes = storage.read(&earlier).await.unwrap().unwrap();
        let restored = GoneFile { loss: Loss::Restored, ..file("b") };
        write_gone(&storage, std::slice::from_ref(&restored)).await.unwrap();
        storage.put_over(&earlier, bytes).await.unwrap();
        assert_eq!(read_gone(&storage).await.unwrap(), [restored]);
        for listed in storage.list("_trailmill").await.unwrap() {
            std::fs::write(folder.path().join(listed.key), "").unwrap();
        }
        assert!(read_gone(&storage).await.unwrap().is_empty(), "a damaged list says nothing");
        write_gone(&storage, &[file("b")]).await.unwrap();
        assert_eq!(read_gone(&storage).await.unwrap(), [file("b")]);
        write_gone(&storage, &[]).await.unwrap();
        assert!(storage.list("_trailmill").await.unwrap().is_empty());
    }
}
