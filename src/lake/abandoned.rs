//! Abandoned units: what they left is removed twice.
//!
//! A unit that cannot be finished is marked before its files are removed. A request of a writer that was
//! cut off may put one of them again long after that; a later run, once the mark is old, looks for them
//! again and removes the mark. The unit can never commit by then (see `Manifest::barrier`), and its names
//! are never used again.

use crate::error::Result;
use crate::lake::document::{self, to_json};
use crate::lake::names::{self, Folder};
use crate::lake::unit::UnitId;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};

/// Milliseconds after which no request of an abandoned unit can still be under way: an hour.
const GRACE: i64 = 60 * 60 * 1000;

/// The mark of an abandoned unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    /// The unit.
    pub unit: UnitId,
    /// When it was abandoned, in milliseconds since 1970.
    pub instant: i64,
}

impl Abandoned {
    /// Marks units as abandoned at an instant; units that are marked already keep their mark.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn mark(storage: &Storage, units: &[UnitId], instant: i64) -> Result<()> {
        for unit in units {
            let mark = Self { unit: unit.clone(), instant };
            storage.put_new(&names::abandoned(unit), to_json(&mark)?).await?;
        }
        Ok(())
    }

    /// Reads the marks that are old enough at an instant to look for what came late.
    ///
    /// # Errors
    /// `Damaged` for one that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn read_old(storage: &Storage, instant: i64) -> Result<Vec<UnitId>> {
        let mut old = Vec::new();
        for listed in storage.list(&Folder::Abandoned.path()).await? {
            let bytes = storage.read(&listed.key).await?.unwrap_or_default();
            let mark: Self = document::parse(&listed.key, &bytes)?;
            if instant.saturating_sub(mark.instant) >= GRACE {
                old.push(mark.unit);
            }
        }
        Ok(old)
    }

    /// Removes a unit's mark.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn unmark(storage: &Storage, unit: &UnitId) -> Result<()> {
        storage.delete(&names::abandoned(unit)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mark_is_old_after_the_grace_period_and_not_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let units = [UnitId { number: 3, identity: "ab".into() }];
        Abandoned::mark(&storage, &units, 1000).await.unwrap();
        Abandoned::mark(&storage, &units, GRACE).await.unwrap();

        assert!(Abandoned::read_old(&storage, GRACE + 999).await.unwrap().is_empty());
        assert_eq!(Abandoned::read_old(&storage, GRACE + 1000).await.unwrap(), units);

        Abandoned::unmark(&storage, &units[0]).await.unwrap();
        assert!(Abandoned::read_old(&storage, i64::MAX).await.unwrap().is_empty());
    }
}
