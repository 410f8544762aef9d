//! Which sources have been listed from one end to the other, and when: what a look-back counts from.
//!
//! A small document for a source and a day, put if-absent after a run that listed everything that an
//! earlier one had not, and converted all of it. Others of the same source are removed then.

use crate::error::{ErrorKind, Result};
use crate::lake::document::{self, to_json};
use crate::lake::names::{self, Folder};
use crate::notice::tell;
use crate::storage::Storage;
use crate::units::Day;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// A source that has been listed completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteListing {
    /// Its address.
    pub source: String,
    /// The day on which the listing began, `YYYY-MM-DD` in UTC.
    pub listed: String,
    /// Objects that a listing of all of it saw.
    #[serde(default)]
    pub objects: u64,
}

impl CompleteListing {
    /// Notes a listing that saw so many objects.
    pub fn new(source: String, day: Day, objects: u64) -> Self {
        Self { source, listed: day.to_string(), objects }
    }

    /// Returns the day, if it is one.
    pub fn day(&self) -> Option<Day> {
        self.listed.parse().ok()
    }

    fn key(&self) -> String {
        names::listing(xxh3_64(self.source.as_bytes()), &self.listed)
    }

    /// Reads what is known of all sources. A document that is damaged says nothing: its source is listed
    /// from one end to the other, which makes it again.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn read_all(storage: &Storage) -> Result<Vec<Self>> {
        let mut out = Vec::new();
        for listed in storage.list(&Folder::Listings.path()).await? {
            let bytes = storage.read(&listed.key).await?.unwrap_or_default();
            match document::parse(&listed.key, &bytes) {
                Ok(listing) => out.push(listing),
                Err(err) if err.kind() == ErrorKind::Damaged => tell(&format!(
                    "ignoring the damaged document {} of a complete listing: its source is listed \
                     in full, which rebuilds it",
                    listed.key
                )),
                Err(err) => return Err(err),
            }
        }
        Ok(out)
    }

    /// Writes the document unless `known` has it, and removes others of the source.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn write(&self, storage: &Storage, known: &[Self]) -> Result<()> {
        // One a day: how many objects there were that day is not so exact.
        if known.iter().any(|known| known.source == self.source && known.listed == self.listed) {
            return Ok(());
        }
        storage.put_over(&self.key(), to_json(self)?).await?;
        // Also later ones, which a clock that was ahead has left.
        for old in known.iter().filter(|old| old.source == self.source && old.day() != self.day()) {
            storage.delete(&old.key()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_damaged_document_says_nothing_and_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let listing = CompleteListing::new("s3://b/".into(), Day(20_000), 7);
        listing.write(&storage, &[]).await.unwrap();
        std::fs::write(folder.path().join(listing.key()), "{\"source\":").unwrap();

        assert_eq!(CompleteListing::read_all(&storage).await.unwrap(), []);
        listing.write(&storage, &[]).await.unwrap();

        assert_eq!(CompleteListing::read_all(&storage).await.unwrap(), [listing]);
    }
}
