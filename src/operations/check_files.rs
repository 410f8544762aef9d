//! What lies in the lake against what its manifests say.
//!
//! A run that was killed and never started again leaves data files that no manifest names, and readers
//! see them. Somebody may have removed files by hand. Both are found by comparing names; what is
//! nobody's but looks unlike a file of ours is only told.

use crate::error::Result;
use crate::lake::{
    DataFile, GoneFile, Intent, Loss, Manifest, UnitId, WorkPlan, live_files,
    names::{self, Folder, unit_of},
    read_gone, write_gone,
};
use crate::operations::sweep::{raise_barrier, remove_all};
use crate::storage::{Listed, Storage};
use hashbrown::{HashMap, HashSet};
use serde::Serialize;
use std::collections::BTreeSet;

/// Differences between the data files that exist and those that manifests name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileCheck {
    /// Files of ours that no manifest, no unfinished unit and no open plan names: what a crashed run
    /// left.
    pub orphaned: Vec<String>,
    /// Files that a manifest names and that are gone, unless their rows were restored, or the loss was
    /// accepted.
    pub missing: Vec<String>,
    /// Records in them.
    pub rows_missing: u64,
    /// Files that the lake takes for gone and that are there again.
    pub returned: Vec<String>,
    /// Files that are there again, and whose rows were restored in other files.
    pub doubled: Vec<String>,
    /// Files in a table's folder that are not ours; readers of the table read them too.
    pub foreign: Vec<String>,
    /// All files that are gone, sorted by key.
    #[serde(skip)]
    pub gone: Vec<GoneFile>,
    /// What the lake says about those of `doubled`.
    #[serde(skip)]
    restored: Vec<GoneFile>,
    /// The number of the next manifest.
    #[serde(skip)]
    next_number: u64,
    /// Whether the next numbers are those of an open plan.
    #[serde(skip)]
    is_planned: bool,
}

impl FileCheck {
    /// Returns whether files and manifests agree.
    pub fn is_clean(&self) -> bool {
        self.orphaned.is_empty()
            && self.missing.is_empty()
            && self.returned.is_empty()
            && self.doubled.is_empty()
            && self.foreign.is_empty()
    }

    /// Adds the files that are gone, with what is known of them.
    fn add_gone(&mut self, mut gone: Vec<DataFile>, known: Vec<GoneFile>) {
        let mut known: HashMap<String, GoneFile> =
            known.into_iter().map(|known| (known.file.key.clone(), known)).collect();
        gone.sort_by(|a, b| a.key.cmp(&b.key));
        for file in gone {
            let loss = known.remove(&file.key).map_or(Loss::Lost, |known| known.loss);
            if loss == Loss::Lost {
                self.missing.push(file.key.clone());
                self.rows_missing += file.records();
            }
            self.gone.push(GoneFile { file, loss });
        }
        for (key, known) in known {
            match known.loss {
                Loss::Restored => self.restored.push(known),
                Loss::Lost | Loss::Accepted => self.returned.push(key),
            }
        }
        self.returned.sort();
        self.restored.sort_by(|a, b| a.file.key.cmp(&b.file.key));
        self.doubled = self.restored.iter().map(|known| known.file.key.clone()).collect();
    }

    /// Returns what the lake is to know of files that are gone.
    pub(super) fn to_note(&self) -> Vec<GoneFile> {
        self.gone.iter().chain(&self.restored).cloned().collect()
    }
}

/// Compares the files of every table that the manifests name.
///
/// # Errors
/// `Io`, `Denied` or `Unavailable` when the lake cannot be listed.
pub(super) async fn check_files(storage: &Storage, manifests: &[Manifest]) -> Result<FileCheck> {
    let intents = Intent::read_all(storage).await?;
    let unfinished: HashSet<UnitId> = intents.into_iter().map(|intent| intent.unit).collect();
    let plan = WorkPlan::find_open(storage).await?;
    let is_planned = |unit: &UnitId| {
        let planned = plan.as_ref().map(|plan| plan.first_number..plan.end_number());
        planned.is_some_and(|planned| planned.contains(&unit.number))
    };
    let files = || live_files(manifests);
    // They wait to be removed, or are.
    let replaced = manifests.iter().flat_map(|manifest| &manifest.replaced);
    let replaced: HashSet<&str> = replaced.map(|file| file.key.as_str()).collect();
    let tables: BTreeSet<&str> = files().map(|file| file.table.as_str()).collect();
    let mut missing: HashSet<&str> = files().map(|file| file.key.as_str()).collect();
    let mut check = FileCheck {
        next_number: manifests.last().map_or(0, |manifest| manifest.unit.number + 1),
        is_planned: plan.is_some(),
        ..FileCheck::default()
    };
    let compacted = storage.list(&Folder::Compacted.path()).await?;
    let is_theirs = |listed: &Listed| {
        names::generation_of(&listed.key).is_some_and(|(table, ..)| tables.contains(table))
    };
    let mut listed: Vec<Listed> = compacted.into_iter().filter(is_theirs).collect();
    for table in &tables {
        let of_table = storage.list(table).await?.into_iter();
        listed.extend(of_table.filter(|listed| !is_hidden(&listed.key)));
    }
    for Listed { key, .. } in listed {
        if missing.remove(key.as_str()) || replaced.contains(key.as_str()) {
            continue;
        }
        match unit_of(&key) {
            Some(unit) if unfinished.contains(&unit) || is_planned(&unit) => {}
            Some(_) => check.orphaned.push(key),
            None => check.foreign.push(key),
        }
    }
    let gone = files().filter(|file| missing.contains(file.key.as_str())).cloned().collect();
    check.add_gone(gone, read_gone(storage).await?);
    Ok(check)
}

/// Removes what crashed runs left, and notes what is gone; with `accepts_loss`, for good.
///
/// A file whose number another unit has is nobody's. One with a number that is free may be about to be
/// committed by a writer that was cut off: a barrier makes that impossible before it is removed. While a
/// plan is open the numbers are the plan's, and such files wait for its end.
///
/// # Errors
/// `Busy` when another run has the lake or has committed; `Io`, `Denied` or `Unavailable` from the store.
pub(super) async fn repair_files(
    storage: &Storage,
    check: &FileCheck,
    accepts_loss: bool,
) -> Result<()> {
    let is_free = |key: &&String| unit_of(key).is_none_or(|unit| unit.number >= check.next_number);
    let (free, taken): (Vec<_>, Vec<_>) = check.orphaned.iter().partition(is_free);
    let mut dead: Vec<String> = taken.into_iter().cloned().collect();
    if !free.is_empty() && !check.is_planned {
        raise_barrier(storage, check.next_number, Vec::new()).await?;
        dead.extend(free.into_iter().cloned());
    }
    remove_all(storage, dead).await?;
    let mut noted = check.to_note();
    for gone in noted.iter_mut().filter(|gone| accepts_loss && gone.loss == Loss::Lost) {
        gone.loss = Loss::Accepted;
    }
    write_gone(storage, &noted).await
}

fn is_hidden(key: &str) -> bool {
    key.split('/').any(|part| part.starts_with(['_', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_names_is_sorted_by_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let named = "t/p=1/part-00000001-0123456789abcdef-0000-00.parquet";
        let unit = UnitId { number: 1, identity: "0123456789abcdef".into() };
        let mut manifest = Manifest::empty(unit, None, String::new(), Default::default());
        for key in [named, "t/p=2/part-00000001-0123456789abcdef-0000-00.parquet"] {
            manifest.files.push(crate::lake::DataFile {
                key: key.into(),
                table: "t".into(),
                partition: "p=1".into(),
                rows: 1,
                bytes: 1,
                min_instant: 0,
                max_instant: 0,
            });
        }
        let orphan = "t/p=1/part-00000002-0123456789abcdef-0000-00.parquet";
        for key in [named, orphan, "t/p=1/x.csv", "t/p=1/_SUCCESS"] {
            storage.put_once(key, "x").await.unwrap();
        }

        let check = check_files(&storage, &[manifest.clone()]).await.unwrap();

        assert_eq!(check.orphaned, [orphan]);
        assert_eq!(check.missing, ["t/p=2/part-00000001-0123456789abcdef-0000-00.parquet"]);
        assert_eq!(check.foreign, ["t/p=1/x.csv"]);
        repair_files(&storage, &check, false).await.unwrap();
        assert_eq!(storage.list("t").await.unwrap().len(), 3);
        let check = check_files(&storage, &[manifest.clone()]).await.unwrap();
        assert_eq!((check.missing.len(), check.rows_missing), (1, 1), "it is told every time");
        repair_files(&storage, &check, true).await.unwrap();
        let check = check_files(&storage, &[manifest.clone()]).await.unwrap();
        assert!(check.missing.is_empty(), "it is accepted");
        assert_eq!(check.gone.len(), 1);
        let restored = GoneFile { loss: Loss::Restored, ..check.gone[0].clone() };
        storage.put_once(&check.gone[0].file.key, "x").await.unwrap();
        let check = check_files(&storage, &[manifest.clone()]).await.unwrap();
        assert_eq!(check.returned, ["t/p=2/part-00000001-0123456789abcdef-0000-00.parquet"]);
        write_gone(&storage, &[restored]).await.unwrap();
        for _ in 0..2 {
            let check = check_files(&storage, &[manifest.clone()]).await.unwrap();
            assert_eq!(check.doubled, ["t/p=2/part-00000001-0123456789abcdef-0000-00.parquet"]);
            repair_files(&storage, &check, true).await.unwrap();
        }
    }
}
