//! A unit's manifest: what it did. Writing it is the commit.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::data_file::DataFile;
use crate::lake::document::{pack, unpack};
use crate::lake::lock::LockName;
use crate::lake::names::{self, Folder};
use crate::lake::object_record::{ObjectOutcome, ObjectRecord, Tally};
use crate::lake::settings::OutputSettings;
use crate::lake::unit::{DayCopies, UnitId};
use crate::storage::{Put, Storage};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Documents that are read side by side.
const READS: usize = 16;

/// What a unit did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The unit.
    pub unit: UnitId,
    /// The settings that change output; none for a barrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<OutputSettings>,
    /// The database that its tables are in; empty for a barrier.
    #[serde(default)]
    pub database: String,
    /// The schema lock its files were written with.
    pub schema: LockName,
    /// Its objects.
    pub objects: Vec<ObjectRecord>,
    /// Its files.
    pub files: Vec<DataFile>,
    /// The sum over its objects.
    pub tally: Tally,
    /// JSON bytes of its objects.
    pub bytes_json: u64,
    /// Values that the nested columns could not hold.
    pub nested_values_unfit: u64,
    /// Event days (since 1970) with the fingerprints kept for each.
    pub days: BTreeMap<i32, DayCopies>,
    /// Object members and objects passed over inside archives.
    #[serde(default)]
    pub passed_over: u64,
    /// Members of archives that were not read because of hidden names.
    #[serde(default)]
    pub members_hidden: u64,
    /// Objects and archives with padding between or after the members of their gzip stream.
    #[serde(default)]
    pub objects_padded: u64,
    /// Records that were in wrappers.
    #[serde(default)]
    pub records_unwrapped: u64,
    /// Records in wrappers that are not known, which were not read.
    #[serde(default)]
    pub records_unread: u64,
    /// Of a compaction, the files whose rows its files have in their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<DataFile>,
    /// For a barrier, the units that it ends; see [`Manifest::barrier`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barrier: Option<Vec<UnitId>>,
    /// Of a manifest that `repair` has made: its objects as the ledger had them, since nothing names
    /// them; the month of delivery and the entry in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovered: Vec<(u32, String)>,
}

/// A manifest cannot be made again from other documents: the objects of its unit are only there.
fn unreadable(key: &str, err: Error) -> Error {
    if err.kind() != ErrorKind::Damaged {
        return err;
    }
    let message = "manifest is damaged: put it back from a backup or an earlier version of the object, \
                   or let `trailmill repair` make one from the files of its unit";
    Error::new(ErrorKind::Damaged, message).at("key", key).because(err)
}

impl Manifest {
    /// Returns why an object of the unit gave no record, if it is so and it was not quarantined.
    pub fn why_without_records<'m>(&'m self, object: &'m ObjectRecord) -> Option<&'m str> {
        match &object.outcome {
            ObjectOutcome::Ignored(kind) => Some(kind),
            ObjectOutcome::Converted if object.tally.read == 0 => Some("an empty list of records"),
            ObjectOutcome::Archive => {
                let is_in = |other: &ObjectRecord| {
                    let rest =
                        other.key.strip_prefix(&object.key).filter(|_| other.etag.is_empty());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("!/"))
                };
                (!self.objects.iter().any(is_in)).then_some("an archive without logs")
            }
            ObjectOutcome::Converted | ObjectOutcome::Quarantined(_) => None,
        }
    }

    /// Returns the manifest of a unit without objects and files.
    pub fn empty(
        unit: UnitId,
        settings: Option<OutputSettings>,
        database: String,
        schema: LockName,
    ) -> Self {
        Self {
            unit,
            settings,
            database,
            schema,
            objects: Vec::new(),
            files: Vec::new(),
            tally: Tally::default(),
            bytes_json: 0,
            nested_values_unfit: 0,
            days: BTreeMap::new(),
            passed_over: 0,
            members_hidden: 0,
            objects_padded: 0,
            records_unwrapped: 0,
            records_unread: 0,
            replaced: Vec::new(),
            barrier: None,
            recovered: Vec::new(),
        }
    }

    /// Returns a barrier: a manifest without objects that takes a number.
    ///
    /// Manifests are put if-absent, by number alone and in order, so that once a barrier has a number, no
    /// unit of that number or begun for a later one can commit: not by a writer that lost its lease, not
    /// by a request that was on its way for an hour. What such units wrote is nobody's then and may be
    /// removed. Units that are cut after a barrier have other identities (see [`UnitBasis`](crate::lake::UnitBasis)), so that
    /// a removal that comes late hits nothing that counts.
    ///
    /// `salt` tells it from every other: of two equal ones, each writer would take the other's for its own.
    pub fn barrier(number: u64, abandoned: Vec<UnitId>, salt: u64) -> Self {
        Self {
            barrier: Some(abandoned),
            ..Self::empty(
                UnitId::of_barrier(number, salt),
                None,
                String::new(),
                LockName::default(),
            )
        }
    }

    /// Returns the manifest of a compaction: files in the place of others with the same rows. It has no
    /// objects, and says nothing of how the next unit is written.
    pub fn compaction(unit: UnitId, replaced: Vec<DataFile>, files: Vec<DataFile>) -> Self {
        Self { replaced, files, ..Self::empty(unit, None, String::new(), LockName::default()) }
    }

    /// Stages the manifest beside its unit's files in a folder, so that one sync serves all of them.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn stage(&self, storage: &Storage) -> Result<()> {
        let unit = self.unit.to_string();
        storage.stage(&unit, &names::manifest(self.unit.number), &pack(self)?).map(|_| ())
    }

    /// Makes manifests that were staged and written survive a loss of power.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub fn sync(storage: &Storage) -> Result<()> {
        storage.sync_names(&Folder::Manifests.path())
    }

    /// Writes the manifest: the commit. One that was staged needs [`Manifest::sync`] as well.
    ///
    /// # Errors
    /// `Busy` when another run committed a unit of this number and identity.
    pub async fn write(&self, storage: &Storage) -> Result<()> {
        let (unit, key) = (self.unit.to_string(), names::manifest(self.unit.number));
        match storage.put_staged(&unit, &key, pack(self)?).await? {
            Put::Created | Put::Same => Ok(()),
            Put::Differs => {
                Err(Error::new(ErrorKind::Busy, "another run committed a unit of this number")
                    .at("unit", &self.unit))
            }
        }
    }

    /// Writes a copy of a compaction's manifest. Of other units `repair` can tell from their files what they
    /// were; which files a compaction replaced nothing else says.
    ///
    /// # Errors
    /// `Damaged` when another copy of the unit is there; `Unavailable`, `Denied`, `Io`.
    pub async fn write_copy(&self, storage: &Storage) -> Result<()> {
        storage.put_of_unit(&names::manifest_copy(&self.unit), pack(self)?).await
    }

    /// Reads the copy of the manifest of a compaction by its number, if there is one that can be read.
    ///
    /// # Errors
    /// `Config` for a copy of a later version; `Unavailable`, `Denied`, `Io`.
    pub(super) async fn read_copy(storage: &Storage, number: u64) -> Result<Option<Self>> {
        let (after, until) = Folder::Replaced.range_of(number);
        let folder = Folder::Replaced.path();
        for listed in storage.list_between(&folder, Some(&after), Some(&until)).await? {
            match Self::read(storage, &listed.key).await {
                Ok(manifest) if manifest.unit.number == number => return Ok(Some(manifest)),
                Err(err) if err.kind() != ErrorKind::Damaged => return Err(err),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Returns whether any manifest is as wanted; the newest are looked at first.
    ///
    /// # Errors
    /// `Damaged` for one that cannot be read.
    pub async fn any_newest_first(
        storage: &Storage,
        is_wanted: impl Fn(&Self) -> bool,
    ) -> Result<bool> {
        let mut listed = storage.list(&Folder::Manifests.path()).await?;
        listed.reverse();
        let mut manifests = stream::iter(listed)
            .map(|listed| async move { Self::read(storage, &listed.key).await })
            .buffered(READS);
        while let Some(manifest) = manifests.try_next().await? {
            if is_wanted(&manifest) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the manifest at a key.
    ///
    /// # Errors
    /// `Damaged` when it cannot be read.
    pub(super) async fn read(storage: &Storage, key: &str) -> Result<Self> {
        let bytes = storage.read(key).await?.unwrap_or_default();
        unpack(key, &bytes).map_err(|err| unreadable(key, err))
    }

    /// Returns whether a unit is committed.
    ///
    /// # Errors
    /// `Damaged` when the manifest of its number cannot be read.
    pub async fn is_committed(storage: &Storage, unit: &UnitId) -> Result<bool> {
        Ok(Self::of_unit(storage, unit).await?.is_some())
    }

    /// Returns the manifest of a unit, if it is committed.
    ///
    /// # Errors
    /// `Damaged` when the manifest of its number cannot be read.
    pub async fn of_unit(storage: &Storage, unit: &UnitId) -> Result<Option<Self>> {
        let key = names::manifest(unit.number);
        let Some(bytes) = storage.read(&key).await? else { return Ok(None) };
        let manifest: Self = unpack(&key, &bytes).map_err(|err| unreadable(&key, err))?;
        Ok(Some(manifest).filter(|manifest| manifest.unit == *unit))
    }

    /// Returns whether its files are where a compaction has put them, and not in their table's folder.
    pub fn is_moved(&self) -> bool {
        self.files.iter().any(|file| names::generation_of(&file.key).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_barriers_at_one_number_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        Manifest::barrier(3, Vec::new(), 1).write(&storage).await.unwrap();

        let err = Manifest::barrier(3, Vec::new(), 2).write(&storage).await.unwrap_err();

        assert_eq!(err.kind(), ErrorKind::Busy);
    }
}
