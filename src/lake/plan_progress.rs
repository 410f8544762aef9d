//! What units of a plan did: documents that wait in the plan, and become manifests at its end.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::LockName;
use crate::lake::manifest::{Manifest, Tally, UnitId, manifest_key, pack, unit_identity, unpack};
use crate::lake::unavailable::UnavailableObject;
use crate::lake::work_plan::{WorkPlan, planned, work_folder};
use crate::schema::{Family, Observed};
use crate::storage::{OWN, Put, Storage};
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
    /// What it set aside, by reason.
    pub quarantined_by_reason: BTreeMap<String, u64>,
    /// What it left out, since it could not be read.
    #[serde(default)]
    pub unavailable: Vec<UnavailableObject>,
}

impl WorkPlan {
    fn done_folder(&self) -> String {
        format!("{}/done", work_folder(&self.id))
    }

    fn done_key(&self, unit: u64) -> String {
        format!("{}/{unit:08}.json.gz", self.done_folder())
    }

    /// Returns which of some units are done, in order.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn done(&self, storage: &Storage, units: std::ops::Range<u64>) -> Result<Vec<u64>> {
        let after = units.start.checked_sub(1).map(|unit| self.done_key(unit));
        let until = self.done_key(units.end);
        let listed =
            storage.list_between(&self.done_folder(), after.as_deref(), Some(&until)).await?;
        let found = listed.iter().filter_map(|listed| number_in(&listed.key));
        Ok(found.filter(|unit| units.contains(unit)).collect())
    }

    /// Says which objects of a unit are left out, before anything of it is written: what the first attempt
    /// says holds for all of them. Returns what holds.
    ///
    /// # Errors
    /// `Damaged` when that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn leave_out(
        &self,
        storage: &Storage,
        unit: &UnitId,
        missing: Vec<UnavailableObject>,
    ) -> Result<Vec<UnavailableObject>> {
        let key = format!("{}/left-out/{:08}.json.gz", work_folder(&self.id), unit.number);
        match storage.put_new(&key, pack(&missing)?).await? {
            Put::Created | Put::Same => Ok(missing),
            Put::Differs => unpack(&key, &storage.read(&key).await?.unwrap_or_default()),
        }
    }

    /// Notes that a unit is done; that it is already, by another attempt, is as good.
    ///
    /// # Errors
    /// `Damaged` when another attempt did something else; `Unavailable`, `Denied`, `Io`.
    pub async fn write_done(&self, storage: &Storage, done: &UnitDone) -> Result<()> {
        let unit = done.manifest.unit.number - self.first_number;
        let key = self.done_key(unit);
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
        let key = self.done_key(unit);
        let gone = || Error::new(ErrorKind::Damaged, "unit of the plan is missing").at("key", &key);
        let bytes = storage.read(&key).await?.ok_or_else(gone)?;
        let done: UnitDone = unpack(&key, &bytes).map_err(|err| {
            if err.kind() == ErrorKind::Config {
                return err;
            }
            let message =
                "unit of the plan is damaged: remove the document, and run its child again";
            Error::new(ErrorKind::Damaged, message).at("key", &key).because(err)
        })?;
        if done.manifest.unit.number != self.first_number + unit {
            let message = "document of a plan's unit names another unit";
            return Err(Error::new(ErrorKind::Damaged, message).at("key", &key));
        }
        Ok(done)
    }

    /// Returns which units are the lake's by now, in order.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn committed(&self, storage: &Storage) -> Result<Vec<u64>> {
        let after = self.first_number.checked_sub(1).map(manifest_key);
        let until = manifest_key(self.end_number());
        let manifests = format!("{OWN}/manifests");
        let listed = storage.list_between(&manifests, after.as_deref(), Some(&until)).await?;
        Ok(listed.iter().filter_map(|l| number_in(&l.key)).map(|n| n - self.first_number).collect())
    }

    /// Returns the manifest that ends a plan whose units saw more than its schema has a place for: it
    /// has no objects, and names the schema of the next plan.
    pub fn closing(&self, schema: &LockName) -> Manifest {
        let settings = &self.settings;
        let codec = settings.compression.split(':').next().unwrap_or_default();
        let unit = self.unit_id(self.totals.units, &unit_identity(&planned("end", &self.id), []));
        Manifest {
            unit,
            settings: planned("end", &self.id),
            partition_by: settings.partition_by.clone(),
            database: settings.database.clone(),
            compression: codec.to_owned(),
            nested: settings.nested,
            schema: schema.clone(),
            objects: Vec::new(),
            files: Vec::new(),
            tally: Tally::default(),
            bytes_json: 0,
            nested_values_unfit: 0,
            days: BTreeMap::new(),
            passed_over: 0,
            objects_padded: 0,
            barrier: None,
            recovered: Vec::new(),
        }
    }
}

/// The number that a document is named by.
pub(super) fn number_in(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.split('.').next()?.parse().ok()
}
