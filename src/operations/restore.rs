//! Bringing back the rows of data files that are gone.
//!
//! The objects that a lost file was made of are read again, as units of their own. The lake's fingerprints
//! say that it has all their rows; those of a unit do not count for rows of a partition in which all of the
//! unit's files are gone. So exactly the rows that are lost are new. Where some of a unit's files in a
//! partition are left, they are removed first, if all objects of the unit are still there: which of the rows
//! they hold is not known.
//!
//! What is gone is noted before anything is removed, and what is back after everything is committed. A run
//! that was killed leaves files that are lost, or rows that are back and not noted: the next run finds the
//! latter as copies, in the documents of the units that brought them back.

use crate::engine::cut::cut;
use crate::engine::lost_rows::LostRows;
use crate::engine::{ConvertOptions, RestoreReport};
use crate::error::{Error, Result};
use crate::family::main_table;
use crate::lake::{GoneFile, Loss, Manifest, ObjectOutcome, Snapshot, write_gone};
use crate::operations::check_files::check_files;
use crate::operations::recover::{Recovery, can_all_be_read};
use crate::operations::successors::Successors;
use crate::operations::sweep::remove_all;
use crate::source::{Object, find};
use crate::storage::Storage;
use hashbrown::{HashMap, HashSet};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Objects that are named when they are gone; all are counted.
const OBJECTS_NAMED: usize = 5;

/// What a run restores.
#[derive(Debug, Default)]
pub(super) struct Restore {
    pub(super) lost: LostRows,
    units: Vec<LostUnit>,
    /// Files with rows that cannot be known to be back, since nothing names their objects.
    unknown: HashSet<String>,
    /// All files that are gone, or will be once what is left of them is removed.
    gone: Vec<GoneFile>,
    /// Files to remove.
    left: Vec<String>,
    /// Objects that are gone from the sources, were replaced there or cannot be read.
    objects_gone: BTreeSet<String>,
    /// The numbers of the units that restore.
    numbers: Range<u64>,
}

/// A unit that has lost files.
#[derive(Debug, Default)]
struct LostUnit {
    /// Key and etag of its objects and of members of archives, and the rows that it wrote for each.
    objects: HashMap<(String, String), u64>,
    /// Keys of those of its files whose rows are brought back, as far as its objects are there.
    files: HashSet<String>,
}

/// A unit's files in one partition.
#[derive(Debug, Default)]
struct Place<'m> {
    gone: Vec<&'m str>,
    left: Vec<&'m crate::lake::DataFile>,
    is_lost: bool,
    is_accepted: bool,
}

impl Place<'_> {
    /// Returns whether files are left beside those that are lost.
    fn has_rest(&self) -> bool {
        self.is_lost && !self.left.is_empty()
    }
}

impl Restore {
    /// Finds what is gone, and puts units of the objects that it was made of before all others.
    ///
    /// # Errors
    /// `Config` when the lost rows were written under another rule about copies; as for reading
    /// manifests and for finding objects.
    pub(super) async fn begin(
        options: &ConvertOptions,
        storage: &Storage,
        lake: &Snapshot,
        recovery: &mut Recovery,
    ) -> Result<Self> {
        let manifests = Manifest::read_all(storage).await?;
        let check = check_files(storage, &manifests).await?;
        let losses: HashMap<&str, Loss> =
            check.gone.iter().map(|gone| (gone.file.key.as_str(), gone.loss)).collect();
        let successors = Successors::of(&manifests);
        // A compaction has no rows of its own.
        let units = || manifests.iter().filter(|manifest| manifest.replaced.is_empty());
        let is_lost = |manifest: &&Manifest| {
            let mut files = successors.files(manifest).into_iter();
            files.any(|file| losses.get(file.key.as_str()) == Some(&Loss::Lost))
        };
        let damaged: Vec<&Manifest> = units().filter(is_lost).collect();
        refuse_other_options(options, &damaged)?;
        let wanted: Vec<(String, String)> =
            damaged.iter().flat_map(|manifest| sources_of(manifest)).collect();
        let found = find(&options.sources, &options.s3, &wanted).await?;
        let mut restore = Self { gone: check.to_note(), ..Self::default() };
        let mut objects = Vec::new();
        let mut damaged_units = Vec::new();
        for manifest in damaged {
            let (there, missing) = sources_found(manifest, &found);
            let places = places(manifest, &successors, &losses);
            // What is left of a partition is not removed before all that is lost with it was read once.
            let has_rest = places.values().any(Place::has_rest);
            let is_whole = manifest.recovered.is_empty()
                && missing.is_empty()
                && (!has_rest || can_all_be_read(&there).await?);
            restore.objects_gone.extend(missing);
            damaged_units.push(Damaged { manifest, places, is_whole, there });
        }
        let needed = needed(&damaged_units);
        for damaged in damaged_units {
            if restore.add_unit(&damaged, &needed) {
                objects.extend(damaged.there);
            }
        }
        for manifest in units() {
            restore.add_lost_rows(manifest, &places(manifest, &successors, &losses));
        }
        let mut seen = HashSet::new();
        objects.retain(|object| seen.insert((object.key.clone(), object.etag.clone())));
        let units = cut(options, lake.barrier(), recovery.resumed.next_number, objects)?;
        let first = recovery.resumed.next_number;
        recovery.resumed.next_number += units.len() as u64;
        restore.numbers = first..recovery.resumed.next_number;
        recovery.resumed.units.extend(units);
        Ok(restore)
    }

    /// Says what can be brought back of a unit, and returns whether anything can; files that are `needed`
    /// stay.
    fn add_unit(&mut self, damaged: &Damaged<'_>, needed: &HashSet<&str>) -> bool {
        let Damaged { manifest, places, .. } = damaged;
        let mut unit = LostUnit::default();
        for place in places.values().filter(|place| place.is_lost) {
            if place.left.iter().any(|file| needed.contains(file.key.as_str())) {
                continue;
            }
            unit.files.extend(place.gone.iter().map(|key| (*key).to_owned()));
            for file in &place.left {
                unit.files.insert(file.key.clone());
                // A compacted file is of many units.
                if !self.left.contains(&file.key) {
                    self.left.push(file.key.clone());
                    self.gone.push(GoneFile { file: (*file).clone(), loss: Loss::Lost });
                }
            }
        }
        if unit.files.is_empty() {
            return false;
        }
        for object in &manifest.objects {
            let key = (object.key.clone(), object.etag.clone());
            *unit.objects.entry(key).or_default() += object.tally.written;
        }
        match manifest.recovered.is_empty() {
            true => self.units.push(unit),
            false => self.unknown.extend(unit.files),
        }
        true
    }

    /// Notes the partitions in which a unit has no file, of either table, unless all that was lost there was accepted.
    fn add_lost_rows(&mut self, manifest: &Manifest, places: &Places<'_>) {
        for ((table, partition), place) in places {
            let is_removed = |file: &&crate::lake::DataFile| self.left.contains(&file.key);
            if !place.gone.is_empty() && !place.is_accepted && place.left.iter().all(is_removed) {
                self.lost.add(&manifest.unit, table, partition);
            }
        }
    }

    /// Notes what is gone, and removes what is left of files whose other rows are lost; returns all
    /// that is gone then.
    ///
    /// # Errors
    /// `Busy` when another run has the lake; `Unavailable`, `Denied`, `Io`.
    pub(super) async fn remove_rest(&self, storage: &Storage) -> Result<Vec<GoneFile>> {
        write_gone(storage, &self.gone).await?;
        storage.sync()?;
        remove_all(storage, self.left.clone()).await?;
        Ok(self.gone.clone())
    }

    /// Notes what is back, by what the run's units say; returns all that is gone, and the sum.
    ///
    /// # Errors
    /// `Damaged` for a manifest that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub(super) async fn end(self, storage: &Storage) -> Result<(Vec<GoneFile>, RestoreReport)> {
        let Self { units, unknown, mut gone, objects_gone, numbers, .. } = self;
        let read: RefCell<HashMap<(String, String), u64>> = RefCell::default();
        Manifest::any_newest_first(storage, |manifest| {
            let is_ours = numbers.contains(&manifest.unit.number);
            for object in manifest.objects.iter().filter(|_| is_ours) {
                let rows = object.tally.written + object.tally.duplicate;
                let key = (object.key.clone(), object.etag.clone());
                *read.borrow_mut().entry(key).or_default() += rows;
            }
            manifest.unit.number < numbers.start
        })
        .await?;
        let read = read.into_inner();
        // Each of its rows is in the lake: written by this run, or a copy of one that is there.
        let is_back = |unit: &&LostUnit| {
            unit.objects.iter().all(|(key, rows)| read.get(key).copied().unwrap_or(0) >= *rows)
        };
        // A file is back when all units are that have rows in it.
        let (back, away): (Vec<&LostUnit>, Vec<&LostUnit>) = units.iter().partition(is_back);
        let away: HashSet<&String> =
            away.iter().flat_map(|unit| &unit.files).chain(&unknown).collect();
        let back: HashSet<&String> =
            back.iter().flat_map(|unit| &unit.files).filter(|file| !away.contains(file)).collect();
        let mut report = RestoreReport {
            objects_gone: objects_gone.len() as u64,
            objects: objects_gone.into_iter().take(OBJECTS_NAMED).collect(),
            ..RestoreReport::default()
        };
        for gone in gone.iter_mut().filter(|gone| gone.loss == Loss::Lost) {
            let is_back = back.contains(&gone.file.key);
            let (files, rows) = match is_back {
                true => (&mut report.files, &mut report.rows),
                false => (&mut report.files_left, &mut report.rows_left),
            };
            *files += 1;
            *rows += gone.file.records();
            if is_back {
                gone.loss = Loss::Restored;
            }
        }
        write_gone(storage, &gone).await?;
        Ok((gone, report))
    }
}

/// A unit with lost files, and what is there of its objects.
struct Damaged<'m> {
    manifest: &'m Manifest,
    places: Places<'m>,
    /// Whether all of its objects are there.
    is_whole: bool,
    there: Vec<Object>,
}

/// Returns the files that must stay: their rows could not be brought back with those that are lost.
fn needed<'m>(units: &[Damaged<'m>]) -> HashSet<&'m str> {
    let mut needed: HashSet<&str> = HashSet::new();
    loop {
        let before = needed.len();
        for Damaged { places, is_whole, .. } in units {
            for place in places.values().filter(|place| place.has_rest()) {
                let keys = || place.left.iter().map(|file| file.key.as_str());
                if !is_whole || keys().any(|key| needed.contains(key)) {
                    needed.extend(keys());
                }
            }
        }
        if needed.len() == before {
            return needed;
        }
    }
}

type Places<'m> = BTreeMap<(&'m str, &'m str), Place<'m>>;

/// The files that have a unit's rows, by main table and partition: what is lost of one table is written again
/// with what the other has of the same rows.
fn places<'m>(
    manifest: &'m Manifest,
    successors: &Successors<'m>,
    losses: &HashMap<&str, Loss>,
) -> Places<'m> {
    let mut places: Places<'m> = BTreeMap::new();
    for file in successors.files(manifest) {
        let new = || Place { is_accepted: true, ..Place::default() };
        let place =
            places.entry((main_table(&file.table), file.partition.as_str())).or_insert_with(new);
        let Some(loss) = losses.get(file.key.as_str()) else {
            place.left.push(file);
            continue;
        };
        place.gone.push(&file.key);
        place.is_lost |= *loss == Loss::Lost;
        place.is_accepted &= *loss == Loss::Accepted;
    }
    places
}

/// Returns the objects that a unit has rows of, as far as they can be read, and the keys of the others.
fn sources_found(
    manifest: &Manifest,
    found: &std::collections::HashMap<String, Object>,
) -> (Vec<Object>, Vec<String>) {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for (key, etag) in sources_of(manifest) {
        match found.get(&key).filter(|object| object.etag == etag && object.blocked.is_none()) {
            Some(object) => there.push(object.clone()),
            None => missing.push(key),
        }
    }
    (there, missing)
}

/// Key and etag of the objects that a unit has rows of.
fn sources_of(manifest: &Manifest) -> impl Iterator<Item = (String, String)> {
    let has_rows = |object: &&crate::lake::ObjectRecord| {
        let is_archive = object.outcome == ObjectOutcome::Archive;
        !object.etag.is_empty() && (is_archive || object.tally.written > 0)
    };
    manifest.objects.iter().filter(has_rows).map(|object| (object.key.clone(), object.etag.clone()))
}

/// Options that decide which rows an object has must be those of the missing files. Fingerprints of rows
/// that were kept as copies differ from those of rows that were not: a run under the other rule would not
/// know the rows that are there.
fn refuse_other_options(options: &ConvertOptions, damaged: &[&Manifest]) -> Result<()> {
    for manifest in damaged {
        let Some(given) = &manifest.settings else { continue };
        let used = if given.duplicates != options.output.duplicates {
            format!("with `--duplicates {}`", given.duplicates)
        } else if given.unwrap != options.output.unwrap {
            format!("with `--unwrap {}`", given.unwrap)
        } else if given.assume_utc != options.output.assume_utc {
            format!("{} `--assume-utc`", if given.assume_utc { "with" } else { "without" })
        } else {
            continue;
        };
        let message =
            format!("missing files were converted {used}: restore them with the same options");
        return Err(Error::config(message).at("unit", &manifest.unit));
    }
    Ok(())
}
