//! Files that compactions replaced: which files are live, and which are to be removed when.
//!
//! Readers may still have the list of a partition's files from before its catalog was told. So files of a
//! bucket stay for a while after that, and a later compaction removes them. The list of units whose files
//! wait for it is one document, named by its contents.

use crate::error::Result;
use crate::lake::data_file::DataFile;
use crate::lake::document::{replace_list, unpack};
use crate::lake::manifest::Manifest;
use crate::lake::names::Folder;
use crate::lake::unit::UnitId;
use crate::storage::Storage;
use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

/// The files that a compaction replaced, since the catalog was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedFiles {
    /// The unit of the compaction.
    pub unit: UnitId,
    /// When the catalog was seen to have the new files, in milliseconds since 1970.
    pub instant: i64,
    /// Whether they have been removed.
    pub is_removed: bool,
}

/// Reads the units whose replaced files wait, or are removed, sorted.
///
/// # Errors
/// `Damaged`, `Unavailable`, `Denied`, `Io`.
pub async fn read_replaced(storage: &Storage) -> Result<Vec<ReplacedFiles>> {
    // Of two lists, one is what a run that was killed has left: a later instant waits longer.
    let mut all: Vec<ReplacedFiles> = Vec::new();
    let listed = storage.list(&Folder::Replaced.path()).await?;
    // The others are copies of manifests.
    for listed in listed.iter().filter(|listed| Folder::Replaced.unit_of(&listed.key).is_none()) {
        let bytes = storage.read(&listed.key).await?.unwrap_or_default();
        all.extend(unpack::<Vec<ReplacedFiles>>(&listed.key, &bytes)?);
    }
    all.sort_by(|a, b| {
        let order = (&a.unit, b.instant).cmp(&(&b.unit, a.instant));
        order.then(a.is_removed.cmp(&b.is_removed))
    });
    all.dedup_by(|a, b| a.unit == b.unit);
    Ok(all)
}

/// Writes the list, all of it.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`.
pub async fn write_replaced(storage: &Storage, all: &[ReplacedFiles]) -> Result<()> {
    replace_list(storage, Folder::Replaced, &all, all.is_empty()).await
}

/// Returns the files that count: those of all manifests that no compaction has replaced.
pub fn live_files(manifests: &[Manifest]) -> impl Iterator<Item = &DataFile> {
    let replaced = manifests.iter().flat_map(|manifest| &manifest.replaced);
    let replaced: HashSet<&str> = replaced.map(|file| file.key.as_str()).collect();
    let files = manifests.iter().flat_map(|manifest| &manifest.files);
    files.filter(move |file| !replaced.contains(file.key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_lists_the_later_instant_counts() {
        let storage = Storage::memory();
        let unit = UnitId { number: 7, identity: "0123456789abcdef".into() };
        let wait = ReplacedFiles { unit, instant: 5, is_removed: false };
        let removed = ReplacedFiles { is_removed: true, ..wait.clone() };
        let later = ReplacedFiles { instant: 9, ..wait.clone() };

        write_replaced(&storage, std::slice::from_ref(&wait)).await.unwrap();
        let listed = storage.list(&Folder::Replaced.path()).await.unwrap().remove(0).key;
        let bytes = storage.read(&listed).await.unwrap().unwrap();
        write_replaced(&storage, &[removed]).await.unwrap();
        storage.put_over(&listed, bytes.clone()).await.unwrap();
        assert_eq!(read_replaced(&storage).await.unwrap(), [wait]);
        write_replaced(&storage, std::slice::from_ref(&later)).await.unwrap();
        storage.put_over(&listed, bytes).await.unwrap();

        assert_eq!(read_replaced(&storage).await.unwrap(), [later]);
    }
}
