//! What units of a plan did: documents that wait in the plan, and become manifests at its end.

use crate::error::{Error, ErrorKind, Result};
use crate::family::Family;
use crate::lake::compaction::LeftPartition;
use crate::lake::document::{pack, unpack};
use crate::lake::lock::LockName;
use crate::lake::manifest::Manifest;
use crate::lake::names::{self, Folder};
use crate::lake::unavailable::UnavailableObject;
use crate::lake::unit::UnitId;
use crate::lake::work_plan::WorkPlan;
use crate::schema::Observed;
use crate::storage::{Put, Storage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a nested column held that the plan's schema has no place for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The table.
    pub family: Family,
    /// The column.
    pub column: String,
    /// What was seen.
    pub seen: Observed,
}

/// What a unit of a plan did. Every attempt at the unit says the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitDone {
    /// The manifest that it will have.
    pub manifest: Manifest,
    /// What the next plan's schema will have a place for.
    pub news: Vec<News>,
    /// Bytes of its objects as stored.
    pub bytes_compressed: u64,
    /// Records that it quarantined, by reason.
    pub quarantined_by_reason: BTreeMap<String, u64>,
    /// What it left out, since it could not be read.
    #[serde(default)]
    pub unavailable: Vec<UnavailableObject>,
    /// Why the partition that it was to compact is left as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<LeftPartition>,
}

impl UnitDone {
    /// What a unit did that compacts a partition.
    pub fn compaction(manifest: Manifest, left: Option<LeftPartition>) -> Self {
        Self {
            manifest,
            news: Vec::new(),
            bytes_compressed: 0,
            quarantined_by_reason: BTreeMap::new(),
            unavailable: Vec::new(),
            left,
        }
    }
}

impl WorkPlan {
    /// Lists which of some units are done, in order.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn list_done(
        &self,
        storage: &Storage,
        units: std::ops::Range<u64>,
    ) -> Result<Vec<u64>> {
        let after = units.start.checked_sub(1).map(|unit| names::done(&self.id, unit));
        let until = names::done(&self.id, units.end);
        let folder = names::done_folder(&self.id);
        let listed = storage.list_between(&folder, after.as_deref(), Some(&until)).await?;
        let found = listed.iter().filter_map(|listed| names::done_unit(&self.id, &listed.key));
        Ok(found.filter(|unit| units.contains(unit)).collect())
    }

    /// Decides which objects of a unit are left out, before anything of it is written. The decision of the
    /// first attempt holds for all of them, and is returned.
    ///
    /// # Errors
    /// `Damaged` when that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn leave_out(
        &self,
        storage: &Storage,
        unit: &UnitId,
        missing: Vec<UnavailableObject>,
    ) -> Result<Vec<UnavailableObject>> {
        let key = names::left_out(&self.id, unit.number);
        match storage.put_new(&key, pack(&missing)?).await? {
            Put::Created | Put::Same => Ok(missing),
            Put::Differs => unpack(&key, &storage.read(&key).await?.unwrap_or_default()),
        }
    }

    /// Writes what a unit did; a document that an equal attempt has written is as good.
    ///
    /// # Errors
    /// `Damaged` when another attempt did something else; `Unavailable`, `Denied`, `Io`.
    pub async fn write_done(&self, storage: &Storage, done: &UnitDone) -> Result<()> {
        let unit = done.manifest.unit.number - self.first_number;
        let key = names::done(&self.id, unit);
        match storage.put_new(&key, pack(done)?).await? {
            Put::Created | Put::Same => Ok(()),
            Put::Differs => Err(Error::new(
                ErrorKind::Damaged,
                "two attempts at a unit of the plan had different results",
            )
            .at("unit", &done.manifest.unit)),
        }
    }

    /// Reads what a unit did.
    ///
    /// # Errors
    /// `Damaged` when it is not there or cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn read_done(&self, storage: &Storage, unit: u64) -> Result<UnitDone> {
        let key = names::done(&self.id, unit);
        let gone = || Error::new(ErrorKind::Damaged, "unit of the plan is missing").at("key", &key);
        let bytes = storage.read(&key).await?.ok_or_else(gone)?;
        let done: UnitDone = unpack(&key, &bytes).map_err(|err| {
            if err.kind() == ErrorKind::Config {
                return err;
            }
            let message =
                "document of a unit of the plan is damaged: remove it, and run its child again";
            Error::new(ErrorKind::Damaged, message).at("key", &key).because(err)
        })?;
        if done.manifest.unit.number != self.first_number + unit {
            let message = "document of a plan's unit names another unit";
            return Err(Error::new(ErrorKind::Damaged, message).at("key", &key));
        }
        Ok(done)
    }

    /// Lists the units that are committed to the lake, in order.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn list_committed(&self, storage: &Storage) -> Result<Vec<u64>> {
        let after = self.first_number.checked_sub(1).map(names::manifest);
        let until = names::manifest(self.end_number());
        let manifests = Folder::Manifests.path();
        let listed = storage.list_between(&manifests, after.as_deref(), Some(&until)).await?;
        let numbers = listed.iter().filter_map(|l| Folder::Manifests.number_of(&l.key));
        Ok(numbers.map(|number| number - self.first_number).collect())
    }

    /// Returns the manifest that ends a plan whose units saw more than its schema has a place for: it
    /// has no objects, and names the schema of the next plan.
    pub fn closing_manifest(&self, schema: &LockName) -> Manifest {
        let unit = UnitId::of_plan_end(self.end_number(), &self.id);
        Manifest::empty(unit, Some(self.settings.clone()), self.database.clone(), schema.clone())
    }
}
