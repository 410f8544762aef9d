//! A unit's intent: what it is about to do, written before its data.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::document::{pack, unpack};
use crate::lake::names::{self, Folder};
use crate::lake::settings::UnitBasis;
use crate::lake::unit::UnitId;
use crate::notice::tell;
use crate::storage::Storage;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

/// Documents that are read side by side.
const READS: usize = 16;

/// What a unit is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The unit.
    pub unit: UnitId,
    /// What it was cut with: a run with other settings, or after another barrier, abandons the intent.
    /// None where the document is damaged.
    pub basis: Option<UnitBasis>,
    /// Key and etag of its objects, in order.
    pub objects: Vec<(String, String)>,
}

impl Intent {
    /// Writes the intent; one that is there already is the same, since its identity is its content. In
    /// a folder it survives a loss of power from the sync on that comes before its unit's files get
    /// their names.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub async fn write(&self, storage: &Storage) -> Result<()> {
        storage.put_of_unit(&names::intent(&self.unit), pack(self)?).await
    }

    /// Reads all intents, by unit number. One that is damaged is an intent of no objects, which no run
    /// can finish: its name says whose files are to be removed, and its objects are converted anew.
    ///
    /// # Errors
    /// `Damaged` for a document that is not named like an intent.
    pub async fn read_all(storage: &Storage) -> Result<Vec<Self>> {
        stream::iter(storage.list(&Folder::Intents.path()).await?)
            .map(|listed| async move {
                let bytes = storage.read(&listed.key).await?.unwrap_or_default();
                unpack(&listed.key, &bytes).or_else(|err| Self::unreadable(&listed.key, err))
            })
            .buffered(READS)
            .try_collect()
            .await
    }

    /// Returns whether a barrier has ended the unit: it was cut before the last one that is known. One that
    /// was cut after a later barrier is not ended; what is known is old, then.
    pub fn is_ended_by(&self, barrier: Option<u64>) -> bool {
        // Which barrier a damaged one came after is not known: only a new one ends it for certain.
        self.basis.as_ref().is_some_and(|basis| basis.barrier < barrier)
    }

    /// Returns what is left of an intent that cannot be read.
    fn unreadable(key: &str, err: Error) -> Result<Self> {
        if err.kind() != ErrorKind::Damaged {
            return Err(err);
        }
        let Some(unit) = Folder::Intents.unit_of(key) else { return Err(err) };
        tell(&format!(
            "ignoring the damaged intent {key}, perhaps after a power loss: if its unit is not in \
             the lake, its objects are converted again"
        ));
        Ok(Self { unit, basis: None, objects: Vec::new() })
    }

    /// Removes a unit's intent.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub async fn remove(storage: &Storage, unit: &UnitId) -> Result<()> {
        storage.delete(&names::intent(unit)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::settings::OutputSettings;

    #[test]
    fn an_intent_is_ended_by_later_barriers_only() {
        let intent = |barrier| Intent {
            unit: UnitId { number: 9, identity: "ab".into() },
            basis: Some(UnitBasis::after_barrier(OutputSettings::default(), barrier)),
            objects: Vec::new(),
        };
        assert!(!intent(None).is_ended_by(None));
        assert!(intent(None).is_ended_by(Some(0)));
        assert!(!intent(Some(7)).is_ended_by(Some(7)));
        assert!(intent(Some(7)).is_ended_by(Some(12)));
        assert!(!intent(Some(12)).is_ended_by(Some(7)) && !intent(Some(7)).is_ended_by(None));
    }

    #[tokio::test]
    async fn an_intent_reads_back_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let unit = UnitId { number: 3, identity: "ab".into() };
        let intent = Intent {
            unit: unit.clone(),
            basis: Some(UnitBasis::after_barrier(OutputSettings::default(), None)),
            objects: vec![("k".into(), "e".into())],
        };
        intent.write(&storage).await.unwrap();
        assert_eq!(Intent::read_all(&storage).await.unwrap(), [intent]);
        Intent::remove(&storage, &unit).await.unwrap();
        assert!(Intent::read_all(&storage).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_damaged_intent_is_one_that_nobody_can_finish() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let unit = UnitId { number: 3, identity: "0123456789abcdef".into() };
        let whole = Intent {
            unit: unit.clone(),
            basis: Some(UnitBasis::after_barrier(OutputSettings::default(), None)),
            objects: vec![("k".into(), "e".into())],
        };
        let packed = pack(&whole).unwrap();
        for damaged in [&[][..], &packed[..packed.len() / 2], b"no gzip"] {
            storage.put_over(&names::intent(&unit), damaged.to_vec()).await.unwrap();

            let read = Intent::read_all(&storage).await.unwrap();

            assert!(read.len() == 1 && read[0].unit == unit && read[0].objects.is_empty());
            assert!(!read[0].is_ended_by(Some(7)), "that is not known");
        }
        whole.write(&storage).await.unwrap();
        assert_eq!(Intent::read_all(&storage).await.unwrap(), [whole], "it is replaced");
        storage.put_new("_trailmill/intents/other.json.gz", "").await.unwrap();
        assert_eq!(Intent::read_all(&storage).await.unwrap_err().kind(), ErrorKind::Damaged);
        storage.delete("_trailmill/intents/other.json.gz").await.unwrap();
        Intent::remove(&storage, &unit).await.unwrap();
        assert!(Intent::read_all(&storage).await.unwrap().is_empty());
    }
}
