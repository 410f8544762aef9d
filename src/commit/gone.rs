//! Data files that manifests name and that are gone: removed by hand, or by a lifecycle rule.
//!
//! `catalog sync` notes them, so that every later run leaves them out of what it tells the catalog. A
//! document holds the whole list and is named by its contents; a file that comes back leaves the list.

use crate::commit::manifest::{DataFile, pack, unpack};
use crate::error::{ErrorKind, Result};
use crate::notice::tell;
use crate::storage::{OWN, Storage};
use xxhash_rust::xxh3::xxh3_128;

const FOLDER: &str = "gone";

/// Reads the files that are known to be gone, sorted by key. A list that is damaged says nothing: the
/// next sync looks again.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`.
pub async fn read_gone(storage: &Storage) -> Result<Vec<DataFile>> {
    // A run that was killed may leave an older list beside the newer: what either names is looked at
    // again by the next sync.
    let mut gone: Vec<DataFile> = Vec::new();
    for listed in storage.list(&format!("{OWN}/{FOLDER}")).await? {
        let bytes = storage.read(&listed.key).await?.unwrap_or_default();
        match unpack::<Vec<DataFile>>(&listed.key, &bytes) {
            Ok(files) => gone.extend(files),
            Err(err) if err.kind() == ErrorKind::Damaged => tell(&format!(
                "the list {} of data files that are gone is damaged and left out: \
                 `trailmill catalog sync` makes it again",
                listed.key
            )),
            Err(err) => return Err(err),
        }
    }
    gone.sort_by(|a, b| a.key.cmp(&b.key));
    gone.dedup_by(|a, b| a.key == b.key);
    Ok(gone)
}

/// Writes the files that are gone, all of them; writes nothing when that is known.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`.
pub async fn write_gone(storage: &Storage, gone: &[DataFile]) -> Result<()> {
    let there = storage.list(&format!("{OWN}/{FOLDER}")).await?;
    let bytes = pack(&gone)?;
    let key = format!("{OWN}/{FOLDER}/{:032x}.json.gz", xxh3_128(&bytes));
    if !gone.is_empty() {
        storage.put_over(&key, bytes).await?;
    }
    for listed in there {
        if gone.is_empty() || listed.key != key {
            storage.delete(&listed.key).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_list_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let file = |key: &str| DataFile {
            key: key.into(),
            table: "t".into(),
            partition: "p=1".into(),
            rows: 1,
            bytes: 1,
            min_instant: 0,
            max_instant: 0,
        };
        assert!(read_gone(&storage).await.unwrap().is_empty());
        write_gone(&storage, &[file("a"), file("b")]).await.unwrap();
        write_gone(&storage, &[file("b")]).await.unwrap();
        assert_eq!(read_gone(&storage).await.unwrap(), [file("b")]);
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
