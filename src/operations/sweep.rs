//! Ending for good what can no longer be finished: units of earlier runs, of writers that were cut off, of
//! discarded plans.
//!
//! Nothing is removed because one listing did not show who needs it. A unit is dead when another manifest
//! has its number, or when it was cut before the lake's last barrier. Where neither holds, a barrier is
//! raised first: if that succeeds, the unit can never commit, and if another writer was faster, the run
//! ends and leaves everything as it is.

use crate::engine::tasks::all;
use crate::error::Result;
use crate::family::tables;
use crate::lake::names::{self, Folder};
use crate::lake::{Abandoned, Intent, Known, Manifest, UnitId, WorkPlan};
use crate::storage::{Storage, salt};
use tokio::task::JoinSet;

/// Takes the lake's next number, so that no unit that was begun for it or a later one can commit.
///
/// # Errors
/// `Busy` when another writer has committed; `Unavailable`, `Denied`, `Io`.
pub(super) async fn raise_barrier(
    storage: &Storage,
    number: u64,
    units: Vec<UnitId>,
) -> Result<Manifest> {
    let manifest = Manifest::barrier(number, units, salt());
    manifest.write(storage).await?;
    storage.sync()?;
    Ok(manifest)
}

/// Removes what dead units left: their files now, and what comes late in a later run.
///
/// # Errors
/// `Busy` when another run has the lake; `Unavailable`, `Denied`, `Io`.
pub(super) async fn clean_up(
    storage: &Storage,
    abandoned: &[UnitId],
    finished: &[UnitId],
    table: &str,
) -> Result<()> {
    for unit in finished {
        Intent::remove(storage, unit).await?;
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let late = Abandoned::read_old(storage, now).await?;
    if abandoned.is_empty() && late.is_empty() {
        return Ok(());
    }
    Abandoned::mark(storage, abandoned, now).await?;
    let is_dead = |unit: &UnitId| abandoned.contains(unit) || late.contains(unit);
    remove_files(storage, table, is_dead).await?;
    for unit in abandoned {
        Intent::remove(storage, unit).await?;
    }
    for unit in &late {
        Abandoned::unmark(storage, unit).await?;
    }
    Ok(())
}

/// Removes the files that children of a discarded plan wrote, before the numbers of its units are used
/// again: what has a number that no committed unit has, and is not announced. The lake is the caller's,
/// and no plan is open. The names of a plan's units are nobody else's, and it can never be finished.
///
/// # Errors
/// `Busy` when another run has the lake; `Unavailable`, `Denied`, `Io`.
pub(super) async fn sweep_discarded(
    storage: &Storage,
    known: &Known,
    intents: &[Intent],
    table: &str,
) -> Result<()> {
    let next_number = known.snapshot.next_number();
    if !WorkPlan::was_given_up_at(storage, next_number).await? {
        return Ok(());
    }
    let is_announced = |unit: &UnitId| intents.iter().any(|intent| intent.unit == *unit);
    let is_left = |unit: &UnitId| unit.number >= next_number && !is_announced(unit);
    remove_files(storage, table, is_left).await
}

/// Removes the data files of units, and what goes with them.
async fn remove_files(
    storage: &Storage,
    table: &str,
    is_one: impl Fn(&UnitId) -> bool,
) -> Result<()> {
    let mut keys = Vec::new();
    for table in tables(table) {
        let files = storage.list(&table).await?.into_iter().map(|file| file.key);
        keys.extend(files.filter(|key| names::unit_of(key).is_some_and(|unit| is_one(&unit))));
    }
    // Of a local lake, the files of other units there are links of files that stay.
    keys.extend(generation_files(storage, &is_one).await?);
    for folder in [Folder::Quarantine, Folder::Copies, Folder::Replaced] {
        let files = storage.list(&folder.path()).await?.into_iter().map(|file| file.key);
        keys.extend(files.filter(|key| folder.unit_of(key).is_some_and(|unit| is_one(&unit))));
    }
    remove_all(storage, keys).await
}

/// Returns the files in the folders that compactions of these units write to.
pub(super) async fn generation_files(
    storage: &Storage,
    is_one: impl Fn(&UnitId) -> bool,
) -> Result<Vec<String>> {
    let files = storage.list(&Folder::Compacted.path()).await?.into_iter().map(|file| file.key);
    Ok(files
        .filter(|key| names::generation_of(key).is_some_and(|(_, _, unit)| is_one(&unit)))
        .collect())
}

/// Removes keys that were listed, side by side, if they were listed by the lake's only writer.
///
/// # Errors
/// `Busy` when another run has the lake; `Unavailable`, `Denied`, `Io`.
pub(super) async fn remove_all(storage: &Storage, keys: Vec<String>) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    storage.confirm_now().await?;
    let mut tasks = JoinSet::new();
    for key in keys {
        let storage = storage.clone();
        tasks.spawn(async move { storage.delete(&key).await });
    }
    all(tasks).await.map(|_| ())
}
