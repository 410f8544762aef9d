//! Units that earlier runs announced: to finish, or to abandon.

use crate::engine::ConvertOptions;
use crate::engine::feed::{LEDGER_SHARE, Resumed};
use crate::engine::tasks::all;
use crate::engine::unit::Unit;
use crate::engine::unreadable::{Broken, Unreadable, try_all};
use crate::error::Result;
use crate::lake::{Intent, Known, Manifest, Snapshot, UnitBasis, UnitId, entry, month};
use crate::location::Location;
use crate::operations::sweep::{clean_up, raise_barrier};
use crate::source::{Object, find};
use crate::storage::Storage;
use tokio::task::JoinSet;

/// What earlier runs began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recovery {
    /// Units to finish.
    pub resumed: Resumed,
    /// Units that cannot be finished as they were announced: other settings, objects that are gone or
    /// known, a number that is taken.
    pub abandoned: Vec<UnitId>,
    /// Whether some of them might still be committed by a writer that was cut off.
    pub needs_barrier: bool,
    /// Intents with numbers that no manifest has.
    pub(super) open: Vec<Intent>,
    /// Intents whose manifest exists: only their removal is left.
    pub finished: Vec<UnitId>,
}

impl Recovery {
    /// Takes in an intent, by what has become of its number.
    ///
    /// # Errors
    /// `Damaged` when the manifest of its number cannot be read.
    pub(super) async fn sort_in(
        &mut self,
        storage: &Storage,
        lake: &Snapshot,
        intent: Intent,
    ) -> Result<()> {
        if intent.unit.number >= lake.next_number() {
            self.open.push(intent);
        } else if Manifest::is_committed(storage, &intent.unit).await? {
            self.finished.push(intent.unit);
        } else {
            self.abandoned.push(intent.unit);
        }
        Ok(())
    }

    /// Gives up an intent whose number is free.
    fn abandon(&mut self, intent: Intent, barrier: Option<u64>) {
        self.needs_barrier |= !intent.is_ended_by(barrier);
        self.abandoned.push(intent.unit);
    }

    /// Gives up all intents whose numbers are free.
    pub(super) fn abandon_open(&mut self, barrier: Option<u64>) {
        for intent in std::mem::take(&mut self.open) {
            self.abandon(intent, barrier);
        }
    }
}

/// Sorts the intents that earlier runs left; finds the objects of those that are to be finished in these
/// sources, whatever this run is narrowed to.
///
/// # Errors
/// As for a listing, and for reading manifests.
pub(crate) async fn recover(
    options: &ConvertOptions,
    sources: &[Location],
    storage: &Storage,
    known: &Known,
    intents: Vec<Intent>,
    broken: &Broken,
) -> Result<Recovery> {
    let lake = &known.snapshot;
    let basis = UnitBasis::after_barrier(options.output.clone(), lake.barrier());
    let mut ledger = known.ledger(storage, options.memory.0 / LEDGER_SHARE);
    let resumed = Resumed { next_number: lake.next_number(), ..Resumed::default() };
    let mut recovery = Recovery { resumed, ..Recovery::default() };
    for intent in intents {
        recovery.sort_in(storage, lake, intent).await?;
    }
    let open = std::mem::take(&mut recovery.open);
    let wanted = open.iter().flat_map(|intent| &intent.objects);
    let found = find(sources, &options.s3, wanted).await?;
    // Units must have the numbers of an undisturbed run. Intents are written in the order of their
    // numbers, so that a killed run leaves no gap; what does not follow on the manifests came from a
    // writer that was cut off, or another intent was removed.
    for intent in open {
        let is_next = intent.unit.number == recovery.resumed.next_number
            && intent.basis.as_ref() == Some(&basis);
        let objects = intent.objects.iter().map(|(key, etag)| {
            found.get(key).filter(|object| is_next && object.etag == *etag).cloned()
        });
        let objects = objects.collect::<Option<Vec<Object>>>();
        let objects = match objects {
            Some(objects) if !broken.has_any(&objects) && can_all_be_read(&objects).await? => {
                objects
            }
            _ => {
                recovery.abandon(intent, lake.barrier());
                continue;
            }
        };
        let entry = |o: &Object| (month(&o.layout), entry(&o.layout, &o.key, &o.etag));
        let entries: Vec<_> = objects.iter().map(entry).collect();
        let is_taken = entries.iter().any(|(_, entry)| recovery.resumed.taken.contains(entry));
        if is_next && !is_taken && !ledger.contains_any(&entries).await? {
            recovery.resumed.taken.extend(entries.iter().map(|(_, entry)| *entry));
            recovery.resumed.next_number += 1;
            recovery.resumed.units.push(Unit {
                id: intent.unit,
                objects,
                is_resumed: true,
                is_planned: false,
                unavailable: Vec::new(),
            });
        } else {
            recovery.abandon(intent, lake.barrier());
        }
    }
    Ok(recovery)
}

/// Whether a unit can be made again of its objects: then every byte is there, not only the first.
pub(super) async fn can_all_be_read(objects: &[Object]) -> Result<bool> {
    if objects.iter().any(|object| object.blocked.is_some()) {
        return Ok(false);
    }
    let mut tasks = JoinSet::new();
    for object in objects {
        let object = object.clone();
        tasks.spawn(async move {
            match try_all(&object).await {
                Ok(()) => Ok(true),
                // What is a matter of this object only.
                Err(err) => Unreadable::default().leave_out(&object, err).map(|_| false),
            }
        });
    }
    Ok(all(tasks).await?.into_iter().all(|is_well| is_well))
}

/// Gives up what an earlier run began, unless all of it can be finished.
///
/// # Errors
/// As [`raise_barrier`].
pub(super) async fn end_unfinished(
    storage: &Storage,
    known: &mut Known,
    recovery: &mut Recovery,
) -> Result<()> {
    if !recovery.needs_barrier {
        return Ok(());
    }
    // Units are finished in order or not at all: later ones were cut with those before them in mind.
    recovery.abandoned.extend(recovery.resumed.units.drain(..).map(|unit| unit.id));
    recovery.resumed.taken.clear();
    let number = known.snapshot.next_number();
    known.add(&raise_barrier(storage, number, recovery.abandoned.clone()).await?);
    recovery.resumed.next_number = known.snapshot.next_number();
    Ok(())
}

/// Gives up all units that earlier runs announced and did not commit.
///
/// # Errors
/// As [`raise_barrier`]; `Damaged` for a manifest that cannot be read.
pub(super) async fn end_all(storage: &Storage, known: &mut Known, table: &str) -> Result<()> {
    let mut recovery = Recovery::default();
    for intent in Intent::read_all(storage).await? {
        recovery.sort_in(storage, &known.snapshot, intent).await?;
    }
    recovery.abandon_open(known.snapshot.barrier());
    end_unfinished(storage, known, &mut recovery).await?;
    clean_up(storage, &recovery.abandoned, &recovery.finished, table).await
}
