//! Objects of sources whose bytes could not be had: archived, refused, gone, cut short.
//!
//! They are in no ledger: the next run finds them as new, and tries them again. A document holds the
//! list, for people and for how far a run looks back; it is named by its contents, and a run that was
//! killed leaves an older one, which costs nothing but a longer look back.

use crate::error::Result;
use crate::lake::document::{replace_list, unpack};
use crate::lake::names::Folder;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};

/// An object, or a folder, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnavailableObject {
    /// The object's key; of a folder, its path or prefix.
    pub object: String,
    /// Its etag; empty for a folder.
    pub etag: String,
    /// Bytes as stored.
    pub bytes: u64,
    /// Why.
    pub reason: String,
}

/// What the lake's runs could not read, and have not read since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unavailable {
    /// The objects, sorted; very many are not all named.
    pub objects: Vec<UnavailableObject>,
    /// How many more there are.
    pub unnamed: u64,
    /// The first delivery date among them, `YYYY-MM-DD`.
    pub since: Option<String>,
    /// Whether a folder is among them, in which anything may lie.
    pub has_folders: bool,
}

impl Unavailable {
    /// Reads the list.
    ///
    /// # Errors
    /// `Damaged` for a list that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn read(storage: &Storage) -> Result<Self> {
        let mut all = Self::default();
        for listed in storage.list(&Folder::Unavailable.path()).await? {
            let bytes = storage.read(&listed.key).await?.unwrap_or_default();
            let one: Self = unpack(&listed.key, &bytes)?;
            all.objects.extend(one.objects);
            all.unnamed = all.unnamed.max(one.unnamed);
            all.since = [all.since, one.since].into_iter().flatten().min();
            all.has_folders |= one.has_folders;
        }
        all.objects.sort();
        all.objects.dedup_by(|a, b| a.object == b.object);
        Ok(all)
    }

    /// Replaces the list.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn write(&self, storage: &Storage) -> Result<()> {
        replace_list(storage, Folder::Unavailable, self, *self == Self::default()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_list_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let object = |key: &str| UnavailableObject {
            object: key.into(),
            etag: "e".into(),
            bytes: 1,
            reason: "r".into(),
        };
        let list = |keys: &[&str]| Unavailable {
            objects: keys.iter().map(|key| object(key)).collect(),
            since: Some("2024-05-01".into()),
            ..Unavailable::default()
        };
        assert_eq!(Unavailable::read(&storage).await.unwrap(), Unavailable::default());
        list(&["a", "b"]).write(&storage).await.unwrap();
        list(&["b"]).write(&storage).await.unwrap();
        assert_eq!(Unavailable::read(&storage).await.unwrap(), list(&["b"]));
        Unavailable::default().write(&storage).await.unwrap();
        assert!(storage.list("_trailmill").await.unwrap().is_empty());
    }
}
