//! Objects that were unproven when they were converted, and whose digests came later.
//!
//! A manifest keeps the hash of every object that was converted with `--integrity`, and never changes. What
//! later digests prove by these hashes is written here, in one document that is named by its contents. Units
//! below `settled` have nothing left that could be proven, so that later runs do not read their manifests
//! again.

use crate::error::Result;
use crate::integrity::{Proofs, Verdict};
use crate::lake::document::{replace_list, unpack};
use crate::lake::manifest::Manifest;
use crate::lake::names::Folder;
use crate::lake::object_record::ObjectRecord;
use crate::lake::unit::UnitId;
use crate::lake::whole::manifests;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Objects that were proven after they were converted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrades {
    /// The first unit that may have objects which can still be proven.
    pub settled: u64,
    /// Units all of whose objects that no digest listed are proven by now.
    pub units: BTreeSet<String>,
    /// Of other units, the keys of objects that are proven by now.
    pub objects: BTreeMap<String, BTreeSet<String>>,
}

impl Upgrades {
    /// Reads what runs have written.
    ///
    /// # Errors
    /// `Damaged` for a document that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn read(storage: &Storage) -> Result<Self> {
        let mut all = Self::default();
        for listed in storage.list(&Folder::Integrity.path()).await? {
            let bytes = storage.read(&listed.key).await?.unwrap_or_default();
            let one: Self = unpack(&listed.key, &bytes)?;
            all.settled = all.settled.max(one.settled);
            all.units.extend(one.units);
            for (unit, keys) in one.objects {
                all.objects.entry(unit).or_default().extend(keys);
            }
        }
        Ok(all)
    }

    /// Returns the verdict on an object by now; none if it was converted without one.
    pub fn verdict(&self, unit: &UnitId, object: &ObjectRecord) -> Option<Verdict> {
        let verdict = object.integrity.as_ref()?.verdict;
        let unit = unit.to_string();
        let is_proven = verdict == Verdict::InNoDigest
            && (self.units.contains(&unit)
                || self.objects.get(&unit).is_some_and(|keys| keys.contains(&object.key)));
        Some(if is_proven { Verdict::VerifiedRelocated } else { verdict })
    }

    /// Compares the hashes of unproven objects with what digests say by now; returns how many are proven
    /// that were not.
    ///
    /// # Errors
    /// As for reading manifests; `Unavailable`, `Denied`, `Io`.
    pub async fn add(storage: &Storage, proofs: &Proofs) -> Result<u64> {
        let mut all = Self::read(storage).await?;
        let before = all.clone();
        let (mut count, mut is_settled) = (0, true);
        for listed in manifests(storage, before.settled, before.settled).await? {
            let manifest = Manifest::read(storage, &listed.key).await?;
            let (proven, is_open) = all.judge(&manifest, proofs);
            count += proven;
            is_settled &= !is_open;
            if is_settled {
                all.settled = manifest.unit.number + 1;
            }
        }
        if all != before {
            replace_list(storage, Folder::Integrity, &all, false).await?;
        }
        Ok(count)
    }

    /// Adds what is proven of a unit; returns how many objects, and whether others may be later.
    fn judge(&mut self, manifest: &Manifest, proofs: &Proofs) -> (u64, bool) {
        let unit = manifest.unit.to_string();
        let (mut count, mut is_open) = (0, false);
        for object in &manifest.objects {
            let Some(proof) = &object.integrity else { continue };
            if self.verdict(&manifest.unit, object) != Some(Verdict::InNoDigest) {
                continue;
            }
            if proofs.verdict(&object.key, &proof.sha256, false).proves() {
                self.objects.entry(unit.clone()).or_default().insert(object.key.clone());
                count += 1;
            } else {
                is_open = true;
            }
        }
        if !is_open && self.objects.remove(&unit).is_some() {
            self.units.insert(unit);
        }
        (count, is_open)
    }
}
