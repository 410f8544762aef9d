//! The plan of an array job: its document, its units, and which of them are done.
//!
//! `plans/<id>.json` names the parts that hold the units, in their order. It is put if-absent when
//! they are durable; from then on the plan is open, and nobody but its own jobs writes to the lake. A
//! unit that is done has a document of its own, also put if-absent, which becomes its manifest when all
//! units are done. `plans/<id>.end.json` ends a plan: it was finished or discarded. The other documents
//! are removed then.
//!
//! A plan can have millions of units and a hundred million objects: nothing here holds them all.

use crate::error::{Error, ErrorKind, Result};
use crate::integrity::IntegrityMode;
use crate::lake::claims::Claims;
use crate::lake::compaction::{CompactionSettings, PartitionFiles};
use crate::lake::document::{self, pack, to_json, unpack};
use crate::lake::lock::LockName;
use crate::lake::names::{self, Folder};
use crate::lake::settings::OutputSettings;
use crate::lake::unit::UnitId;
use crate::source::ListingReport;
use crate::storage::{Put, Storage};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A run of units that lie in one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPart {
    /// Units.
    pub units: u64,
    /// What they weigh together.
    pub weight: u64,
}

/// What a plan comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTotals {
    /// Units.
    pub units: u64,
    /// Objects.
    pub objects: u64,
    /// Their bytes as stored.
    pub bytes: u64,
    /// An estimate of their JSON bytes.
    pub bytes_json: u64,
    /// An estimate of the data files: delivery days of an account and region, unit by unit.
    pub files: u64,
    /// What the work weighs, in bytes of JSON: requests count as well.
    pub weight: u64,
}

/// The document of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkPlan {
    /// The number of its first unit, and sixteen hexadecimal digits.
    pub id: String,
    /// When it was made, in UTC.
    pub made: String,
    /// What was listed.
    pub sources: Vec<String>,
    /// The settings that change output, with the version of the program that made it.
    pub settings: OutputSettings,
    /// The database of the catalog.
    pub database: String,
    /// The schema lock that all its units are written with.
    pub schema: LockName,
    /// The number of its first unit in the lake.
    pub first_number: u64,
    /// Children that it was cut for.
    pub children: u32,
    /// What it comes to.
    pub totals: PlanTotals,
    /// Where its units are.
    pub parts: Vec<PlanPart>,
    /// What the listing saw.
    pub listing: ListingReport,
    /// Objects that the lake had.
    pub objects_known: u64,
    /// Objects that the listing says cannot be read, by reason.
    #[serde(default)]
    pub unavailable: BTreeMap<String, u64>,
    /// Fields that the sample added to the schema.
    pub new_fields: Vec<String>,
    /// The day on which everything was listed, if it was.
    pub listed: Option<String>,
    /// What digests said when it was made, if they were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<PlanIntegrity>,
    /// How its units compact partitions; none where they convert objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compaction: Option<CompactionSettings>,
}

/// What digests said when a plan was made; what they list of its objects is kept part by part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanIntegrity {
    /// What is done about logs.
    pub mode: IntegrityMode,
    /// Digests of the sources that were read.
    pub digests: u64,
    /// Of them, those that are verified.
    pub digests_verified: u64,
    /// Objects of earlier runs that were in no digest and are proven by now.
    pub objects_upgraded: u64,
}

/// A unit of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedUnit {
    /// See [`UnitBasis::of_plan`](crate::lake::UnitBasis::of_plan) and [`UnitId::of_compaction`].
    pub identity: String,
    /// What it weighs, in bytes of JSON.
    pub weight: u64,
    /// Its objects.
    pub objects: Vec<PlannedObject>,
    /// The partition that it compacts, in a plan for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Box<PartitionFiles>>,
}

impl PlannedUnit {
    /// Returns the partition that it compacts.
    ///
    /// # Errors
    /// `Damaged` for a unit that has none.
    pub fn compacts(&self) -> Result<&PartitionFiles> {
        let without = || Error::new(ErrorKind::Damaged, "unit of the plan has no partition");
        self.partition.as_deref().ok_or_else(without)
    }
}

/// An object of a plan: key, etag, bytes as stored, and an estimate of its JSON bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedObject(pub String, pub String, pub u64, pub u64);

/// How a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanEnd {
    /// Its units are in the lake.
    Finished,
    /// It was discarded, and the files of its units were removed.
    Discarded,
}

#[derive(Serialize, Deserialize)]
struct EndDocument {
    outcome: PlanEnd,
}

impl WorkPlan {
    /// Begins the document of a plan that starts at a unit's number; `salt` tells it from others.
    pub fn begin(first_number: u64, salt: u64, settings: OutputSettings, database: String) -> Self {
        Self {
            id: names::plan_id(first_number, salt),
            made: String::new(),
            sources: Vec::new(),
            settings,
            database,
            schema: LockName::default(),
            first_number,
            children: 1,
            totals: PlanTotals::default(),
            parts: Vec::new(),
            listing: ListingReport::default(),
            objects_known: 0,
            unavailable: BTreeMap::new(),
            new_fields: Vec::new(),
            listed: None,
            integrity: None,
            compaction: None,
        }
    }

    /// Returns the key of a plan's document.
    pub fn key(&self) -> String {
        names::plan(&self.id)
    }

    /// Opens the plan: puts its document.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn open(&self, storage: &Storage) -> Result<()> {
        storage.put_once(&self.key(), to_json(self)?).await
    }

    /// Reads a plan; none of that id: nothing.
    ///
    /// # Errors
    /// `Damaged` when it cannot be read, `Config` for another format.
    pub async fn read(storage: &Storage, id: &str) -> Result<Option<Self>> {
        let key = names::plan(id);
        let Some(bytes) = storage.read(&key).await? else { return Ok(None) };
        let plan: Self = document::parse(&key, &bytes)?;
        if plan.id != id || !plan.is_sound() {
            let message = "plan is damaged: its contents are inconsistent";
            return Err(Error::new(ErrorKind::Damaged, message).at("key", &key));
        }
        Ok(Some(plan))
    }

    /// Whether names are names, and the parts come to the totals: documents may be edited by hand, or
    /// by somebody who may write to the lake and to nothing else.
    fn is_sound(&self) -> bool {
        let is_name = |name: &str| {
            let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            !name.is_empty() && !name.starts_with('_') && name.bytes().all(is_allowed)
        };
        let sum = |of: fn(&PlanPart) -> u64| {
            self.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(of(part)))
        };
        let PlanTotals { units, objects, files, weight, .. } = self.totals;
        let is_small = |count: u64| count < 1 << 40;
        is_name(&self.settings.table)
            && is_name(&self.database)
            && self.children > 0
            && sum(|part| part.units) == Some(units)
            && sum(|part| part.weight) == Some(weight)
            && [units, objects, files, self.first_number].into_iter().all(is_small)
    }

    /// Finds the lake's open plan; there is one at most.
    ///
    /// # Errors
    /// As [`WorkPlan::read`]; `Unavailable`, `Denied`, `Io`.
    pub async fn find_open(storage: &Storage) -> Result<Option<Self>> {
        let found = storage.list(&Folder::Plans.path()).await?;
        let is_ended = |id: &str| found.iter().any(|listed| listed.key == names::plan_end(id));
        let open = found.iter().rev().filter_map(|listed| names::split_plan(&listed.key));
        match open.map(|(_, id)| id).find(|id| !is_ended(id)) {
            Some(id) => Self::read(storage, id).await,
            None => Ok(None),
        }
    }

    /// Returns whether the lake has a plan, open or ended.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn any(storage: &Storage) -> Result<bool> {
        Ok(!storage.is_empty(&Folder::Plans.path()).await?)
    }

    /// Makes sure that nobody else's plan is open: only its own jobs may write to the lake then.
    ///
    /// # Errors
    /// `Busy` when one is; as [`WorkPlan::find_open`].
    pub async fn refuse_open(storage: &Storage) -> Result<()> {
        match Self::find_open(storage).await? {
            None => Ok(()),
            Some(plan) => Err(Error::new(
                ErrorKind::Busy,
                "the lake has an open plan: run its jobs and `trailmill finish`, or discard it \
                 with `trailmill plan discard`",
            )
            .at("plan", storage.address() + &plan.key())),
        }
    }

    /// Returns whether a plan that began at a unit's number was discarded.
    ///
    /// # Errors
    /// As [`WorkPlan::read_end`].
    pub async fn was_given_up_at(storage: &Storage, first_number: u64) -> Result<bool> {
        for listed in storage.list(&Folder::Plans.path()).await? {
            let is_its = names::ended_plan(&listed.key) == Some(first_number);
            if is_its && read_end_at(storage, &listed.key).await? == Some(PlanEnd::Discarded) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads how the plan ended, if it has.
    ///
    /// # Errors
    /// `Damaged` when that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn read_end(&self, storage: &Storage) -> Result<Option<PlanEnd>> {
        read_end_at(storage, &names::plan_end(&self.id)).await
    }

    /// Makes sure that the plan has not ended. What is claimed before that is certain, since claims are
    /// removed after the end.
    ///
    /// # Errors
    /// `Busy` when it has; as [`WorkPlan::read_end`].
    pub async fn refuse_ended(&self, storage: &Storage) -> Result<()> {
        let how = match self.read_end(storage).await? {
            None => return Ok(()),
            Some(PlanEnd::Finished) => "finished",
            Some(PlanEnd::Discarded) => "discarded",
        };
        let message = format!("the plan was {how} by another command");
        Err(Error::new(ErrorKind::Busy, message).at("plan", &self.id))
    }

    /// Removes what ended plans may have left: what a child that was late wrote. No plan is open.
    ///
    /// # Errors
    /// `Busy` when another run has the lake; `Unavailable`, `Denied`, `Io`.
    pub async fn remove_all_work(storage: &Storage) -> Result<()> {
        let ids = storage.folders(&Folder::Planned.path()).await?;
        if ids.is_empty() {
            return Ok(());
        }
        // A plan that another run has begun since then is not among them.
        storage.confirm_now().await?;
        for id in ids {
            storage.delete_all(&names::work(&id)).await?;
        }
        Ok(())
    }

    /// Decides whether the plan is finished or discarded, before either begins; returns what was decided
    /// first. Of a `finish` and a `discard` at the same time, whatever each believes, one goes on.
    ///
    /// # Errors
    /// `Damaged` when the decision cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn decide(&self, storage: &Storage, wanted: PlanEnd) -> Result<PlanEnd> {
        let key = names::plan_decision(&self.id);
        match storage.put_new(&key, to_json(&EndDocument { outcome: wanted })?).await? {
            Put::Created | Put::Same => Ok(wanted),
            Put::Differs => {
                read_end_at(storage, &key).await.map(|decided| decided.unwrap_or(wanted))
            }
        }
    }

    /// Ends the plan.
    ///
    /// # Errors
    /// `Damaged` when it ended otherwise; `Unavailable`, `Denied`, `Io`.
    pub async fn end(&self, storage: &Storage, outcome: PlanEnd) -> Result<()> {
        storage.put_once(&names::plan_end(&self.id), to_json(&EndDocument { outcome })?).await
    }

    /// Removes everything of the plan but its document and its end.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn remove_work(&self, storage: &Storage) -> Result<()> {
        storage.delete_all(&names::work(&self.id)).await
    }

    /// Returns the logs of who owns which record.
    pub fn claims(&self, storage: &Storage) -> Claims {
        Claims::new(storage, names::claims(&self.id))
    }

    /// Writes the next part of a plan that is not open yet.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn add_part(&mut self, storage: &Storage, units: &[PlannedUnit]) -> Result<()> {
        storage.put_once(&names::work_part(&self.id, self.parts.len()), pack(&units)?).await?;
        let weight = units.iter().map(|unit| unit.weight).sum();
        self.parts.push(PlanPart { units: units.len() as u64, weight });
        Ok(())
    }

    /// Reads a part's units.
    ///
    /// # Errors
    /// `Damaged` when it is gone or cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn read_part(&self, storage: &Storage, part: usize) -> Result<Vec<PlannedUnit>> {
        let key = names::work_part(&self.id, part);
        let gone = || Error::new(ErrorKind::Damaged, "part of the plan is missing").at("key", &key);
        unpack(&key, &storage.read(&key).await?.ok_or_else(gone)?)
    }

    /// Writes what digests list of the objects of the part that was added last.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Io`.
    pub async fn add_proofs(&self, storage: &Storage, entries: &BTreeSet<String>) -> Result<()> {
        let part = self.parts.len().saturating_sub(1);
        storage.put_once(&names::work_proofs(&self.id, part), pack(entries)?).await
    }

    /// Reads what digests list of a part's objects.
    ///
    /// # Errors
    /// `Damaged` when it is gone or cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn read_proofs(&self, storage: &Storage, part: usize) -> Result<BTreeSet<String>> {
        let key = names::work_proofs(&self.id, part);
        let gone = || Error::new(ErrorKind::Damaged, "part of the plan is missing").at("key", &key);
        unpack(&key, &storage.read(&key).await?.ok_or_else(gone)?)
    }

    /// Returns what a unit is called in the lake; units are counted from 0 within the plan.
    pub fn unit_id(&self, unit: u64, identity: &str) -> UnitId {
        UnitId { number: self.first_number + unit, identity: identity.to_owned() }
    }

    /// Returns the number in the lake of the unit after the last one.
    pub fn end_number(&self) -> u64 {
        self.first_number + self.totals.units
    }
}

async fn read_end_at(storage: &Storage, key: &str) -> Result<Option<PlanEnd>> {
    let Some(bytes) = storage.read(key).await? else { return Ok(None) };
    document::parse::<EndDocument>(key, &bytes).map(|end| Some(end.outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_plan_is_open_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        assert_eq!(WorkPlan::find_open(&storage).await.unwrap(), None);
        let mut plan = WorkPlan::begin(7, 0xab, OutputSettings::default(), "d".into());
        let unit = PlannedUnit {
            identity: "0".into(),
            weight: 3,
            objects: vec![PlannedObject("k".into(), "e".into(), 1, 2)],
            partition: None,
        };
        plan.add_part(&storage, std::slice::from_ref(&unit)).await.unwrap();
        plan.totals = PlanTotals { units: 1, weight: 3, ..PlanTotals::default() };
        plan.open(&storage).await.unwrap();

        assert_eq!(WorkPlan::find_open(&storage).await.unwrap(), Some(plan.clone()));
        assert_eq!(WorkPlan::refuse_open(&storage).await.unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!(plan.read_part(&storage, 0).await.unwrap(), [unit]);
        assert_eq!(plan.unit_id(2, "x").number, 9);

        plan.end(&storage, PlanEnd::Finished).await.unwrap();
        plan.remove_work(&storage).await.unwrap();
        plan.remove_work(&storage).await.unwrap();
        assert_eq!(WorkPlan::find_open(&storage).await.unwrap(), None);
        assert_eq!(plan.read_end(&storage).await.unwrap(), Some(PlanEnd::Finished));
        assert!(plan.end(&storage, PlanEnd::Discarded).await.is_err());
        assert!(storage.list("_trailmill/planned").await.unwrap().is_empty());
    }
}
