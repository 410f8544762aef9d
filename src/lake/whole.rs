//! Whether all manifests are there.
//!
//! Units have numbers without gaps, from 0 on, and a checkpoint is named by the last one that it covers.
//! The only gaps that the protocol makes are those of an open plan: its end puts manifests side by side.
//! Any other is a manifest that somebody or something has removed. Its files would look like what a
//! crashed run left, and its objects like new ones, so that nothing goes on before it is back.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::manifest::Manifest;
use crate::lake::names::{self, Folder};
use crate::lake::work_plan::WorkPlan;
use crate::storage::{Listed, Storage};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Documents that are read side by side.
const READS: usize = 16;

/// Runs of missing numbers that are named.
const MOST_NAMED: usize = 20;

/// Manifests that every run looks for.
const MOST_LISTED: u64 = 10_000;

impl Manifest {
    /// Reads all manifests, by unit number: what a check of every file needs, and nothing else.
    ///
    /// # Errors
    /// `Damaged` for one that cannot be read, and when some are missing.
    pub async fn read_all(storage: &Storage) -> Result<Vec<Self>> {
        let end = end_of_checkpoint(storage).await?;
        stream::iter(manifests(storage, 0, end).await?)
            .map(|listed| async move { Self::read(storage, &listed.key).await })
            .buffered(READS)
            .try_collect()
            .await
    }
}

/// Lists the manifests of units from `from` on, up to `end` at least; all of them are there.
///
/// # Errors
/// `Damaged` when some are missing; `Unavailable`, `Denied`, `Io`.
pub(super) async fn manifests(storage: &Storage, from: u64, end: u64) -> Result<Vec<Listed>> {
    let (mut listed, mut missing) = look(storage, from, end).await?;
    if !missing.is_empty() {
        // A folder that is written to meanwhile may show the later of two and not the earlier.
        let before = missing;
        (listed, missing) = look(storage, from, end).await?;
        missing.retain(|number| before.contains(number));
    }
    if missing.is_empty() { Ok(listed) } else { Err(damaged(&missing)) }
}

/// Returns the numbers of units up to `end` at least that have no manifest and should have one.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`.
pub(super) async fn missing(storage: &Storage, end: u64) -> Result<BTreeSet<u64>> {
    look(storage, 0, end).await.map(|(_, missing)| missing)
}

async fn look(storage: &Storage, from: u64, end: u64) -> Result<(Vec<Listed>, BTreeSet<u64>)> {
    let after = from.checked_sub(1).map(names::manifest);
    let listed = storage.list_after(&Folder::Manifests.path(), after.as_deref()).await?;
    let numbers = listed.iter().filter_map(|listed| Folder::Manifests.number_of(&listed.key));
    let there: BTreeSet<u64> = numbers.collect();
    let end = end.max(there.last().map_or(0, |last| last + 1));
    let mut missing: BTreeSet<u64> = (from..end).filter(|number| !there.contains(number)).collect();
    if !missing.is_empty()
        && let Some(plan) = WorkPlan::find_open(storage).await?
    {
        missing.retain(|number| !(plan.first_number..=plan.end_number()).contains(number));
    }
    Ok((listed, missing))
}

/// Returns the number that the newest checkpoint covers units before, by its name; 0 without one.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`.
pub(super) async fn end_of_checkpoint(storage: &Storage) -> Result<u64> {
    let listed = storage.list(&Folder::Checkpoints.path()).await?;
    let numbers = listed.iter().rev().map(|listed| Folder::Checkpoints.number_of(&listed.key));
    let newest = numbers.flatten().next();
    Ok(newest.map_or(0, |number| number + 1))
}

fn damaged(missing: &BTreeSet<u64>) -> Error {
    let message = "manifests are missing: put them back from a backup or earlier versions of the \
                   objects, or let `trailmill repair` make them from the files of their units";
    Error::new(ErrorKind::Damaged, message).at("units", ranges(missing))
}

/// Renders numbers as `3, 7-9`.
pub(super) fn ranges(numbers: &BTreeSet<u64>) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let mut text = String::new();
    for (first, last) in runs.iter().take(MOST_NAMED) {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = match first == last {
            true => write!(text, "{comma}{first}"),
            false => write!(text, "{comma}{first}-{last}"),
        };
    }
    if runs.len() > MOST_NAMED {
        text.push_str(" and more");
    }
    text
}

/// Makes sure that no manifest before a unit's number is missing. It takes a request for a thousand of
/// them, and is left to `catalog sync`, `catalog diff` and `repair` where that would be many.
///
/// # Errors
/// `Damaged` when one is; `Unavailable`, `Denied`, `Io`.
pub async fn refuse_missing(storage: &Storage, end: u64) -> Result<()> {
    if end > MOST_LISTED {
        return Ok(());
    }
    manifests(storage, 0, end).await.map(|_| ())
}

/// Makes sure that a lake without a unit never had one.
///
/// # Errors
/// `Damaged` when something is there that is only written after a commit; `Unavailable`, `Denied`, `Io`.
pub async fn refuse_forgotten(storage: &Storage) -> Result<()> {
    for folder in [Folder::Checkpoints, Folder::Ledger, Folder::Listings, Folder::Runs] {
        let folder = folder.path();
        if !storage.is_empty(&folder).await? {
            let message = "the lake's manifests are gone: put the folder `_trailmill/manifests` \
                           back from a backup, or convert into a new lake";
            return Err(Error::new(ErrorKind::Damaged, message).at("written after them", folder));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_numbers_are_named_in_runs() {
        let text = |numbers: &[u64]| ranges(&numbers.iter().copied().collect());
        assert_eq!(text(&[3]), "3");
        assert_eq!(text(&[9, 3, 8, 7]), "3, 7-9");
        let many: Vec<u64> = (0..100).map(|n| 2 * n).collect();
        assert!(text(&many).ends_with("36, 38 and more"), "{}", text(&many));
    }

    #[tokio::test]
    async fn a_gap_is_damage_and_so_is_an_end_before_the_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        for number in [0, 1, 4] {
            storage.put_new(&names::manifest(number), "").await.unwrap();
        }

        assert_eq!(manifests(&storage, 4, 5).await.unwrap().len(), 1);
        let err = manifests(&storage, 0, 0).await.unwrap_err();
        assert_eq!((err.kind(), err.place("units")), (ErrorKind::Damaged, Some("2-3")));
        let err = manifests(&storage, 4, 7).await.unwrap_err();
        assert_eq!(err.place("units"), Some("5-6"));

        storage.put_new(&names::checkpoint(7), "").await.unwrap();
        assert_eq!(end_of_checkpoint(&storage).await.unwrap(), 7);
        assert_eq!(missing(&storage, 7).await.unwrap(), BTreeSet::from([2, 3, 5, 6]));
        assert_eq!(refuse_forgotten(&storage).await.unwrap_err().kind(), ErrorKind::Damaged);
    }
}
