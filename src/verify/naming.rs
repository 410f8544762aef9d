//! The second pass: names the differences that the ledger counted.
//!
//! Both sides are read again, in order and in bounded memory: first as many missing records as may
//! be named, then the unexpected rows with the same ids, then others. Files are read in parallel a
//! few at a time and looked at in their order, so that the same lake gets the same report.

use super::balance::{Claim, Rest};
use super::contract::Family;
use super::files::Opening;
use super::row::Fingerprint;
use super::{Comparison, Difference, DifferenceKind, Known, data_files};
use crate::error::Result;
use hashbrown::HashMap;
use std::collections::HashSet;

/// Files read at once before their finds are looked at; reading stops once enough are named.
const FILES_AT_ONCE: usize = 64;

/// A record or a row that has no counterpart.
struct Loose {
    family: Family,
    known: Known,
    event_id: Option<String>,
    /// The object and the record's place in it, or the data file.
    place: String,
    record: Option<u64>,
}

impl Comparison<'_> {
    /// Names up to `room` differences.
    pub(super) fn name(&self, rest: Rest, room: usize) -> Result<Vec<Difference>> {
        let missing = self.missing(rest.missing, room)?;
        let ids: HashSet<_> = missing
            .iter()
            .filter_map(|loose| Some((loose.family, loose.event_id.clone()?)))
            .collect();
        let unexpected = self.unexpected(rest.unexpected, &ids, room)?;
        let mut named = self.pair(missing, unexpected);
        named.sort();
        named.truncate(room);
        Ok(named)
    }

    fn missing(&self, mut open: HashMap<Fingerprint, u64>, room: usize) -> Result<Vec<Loose>> {
        let mut named = Vec::new();
        for files in self.sources.chunks(FILES_AT_ONCE) {
            if named.len() >= room {
                break;
            }
            let find = |file, opening| {
                let mut found = Vec::new();
                self.records(file, opening, &mut |record, row| {
                    let known = Known::of(row, record.family);
                    let is_expected = record.claim == Claim::Expected;
                    if is_expected && found.len() < room && open.contains_key(&known.fingerprint) {
                        found.push(Loose {
                            family: record.family,
                            known,
                            event_id: record.event_id.clone(),
                            place: record.object.to_owned(),
                            record: Some(record.index),
                        });
                    }
                })?;
                Ok(found)
            };
            let found: Vec<Vec<Loose>> = self.each(files, find)?;
            let found = found.into_iter().flatten();
            named.extend(found.filter(|loose| take(&mut open, loose.known.fingerprint)));
        }
        named.truncate(room);
        Ok(named)
    }

    /// Finds the rows whose ids are wanted, and others while there is room.
    fn unexpected(
        &self,
        mut open: HashMap<Fingerprint, u64>,
        ids: &HashSet<(Family, String)>,
        room: usize,
    ) -> Result<Vec<Loose>> {
        let (mut wanted, mut others) = (Vec::new(), Vec::new());
        for files in self.lake.chunks(FILES_AT_ONCE) {
            if wanted.len() >= ids.len() && others.len() >= room {
                break;
            }
            let find = |file: &data_files::LakeFile, opening: Opening<'_>| {
                let data = opening.data_file()?;
                Ok(data_files::read(file, &data, |found: &mut [Vec<Loose>; 2], row, id| {
                    if !open.contains_key(&row.fingerprint(file.family)) {
                        return;
                    }
                    let event_id = id.filter(|id| !id.is_empty()).map(str::to_owned);
                    let key = event_id.clone().map(|id| (file.family, id));
                    let is_wanted = key.is_some_and(|key| ids.contains(&key));
                    let found = &mut found[usize::from(is_wanted)];
                    if found.len() < room {
                        let family = file.family;
                        let known = Known::of(row, family);
                        let place = file.name.clone();
                        found.push(Loose { family, known, event_id, place, record: None });
                    }
                }))
            };
            let found = self.each(files, find)?;
            for [other, same_id] in found.into_iter().flat_map(|file| file.groups) {
                let mut is_open = |loose: &Loose| take(&mut open, loose.known.fingerprint);
                wanted.extend(same_id.into_iter().filter(&mut is_open));
                others.extend(other.into_iter().filter(is_open));
            }
            others.truncate(room);
        }
        wanted.extend(others);
        Ok(wanted)
    }

    /// Joins a missing and an unexpected row of one id into one difference.
    fn pair(&self, missing: Vec<Loose>, unexpected: Vec<Loose>) -> Vec<Difference> {
        let mut by_id: HashMap<(Family, String), Vec<Loose>> = HashMap::new();
        let mut named = Vec::new();
        for mut loose in unexpected {
            match loose.event_id.take() {
                Some(id) => {
                    let key = (loose.family, id.clone());
                    loose.event_id = Some(id);
                    by_id.entry(key).or_default().push(loose);
                }
                None => named.push(self.difference(DifferenceKind::Unexpected, None, Some(loose))),
            }
        }
        for loose in missing {
            let key = loose.event_id.clone().map(|id| (loose.family, id));
            let twin = key.and_then(|key| by_id.get_mut(&key)).filter(|twins| !twins.is_empty());
            let twin = twin.map(|twins| twins.remove(0));
            let kind =
                if twin.is_some() { DifferenceKind::Different } else { DifferenceKind::Missing };
            named.push(self.difference(kind, Some(loose), twin));
        }
        let alone = by_id.into_values().flatten();
        named.extend(
            alone.map(|loose| self.difference(DifferenceKind::Unexpected, None, Some(loose))),
        );
        named
    }

    fn difference(
        &self,
        kind: DifferenceKind,
        record: Option<Loose>,
        row: Option<Loose>,
    ) -> Difference {
        let family = record.as_ref().or(row.as_ref()).map_or(Family::Events, |loose| loose.family);
        let column = record.as_ref().zip(row.as_ref()).and_then(|(record, row)| {
            let pairs = record.known.columns.iter().zip(&row.known.columns);
            let at = pairs.into_iter().position(|(expected, found)| expected != found)?;
            family.columns().get(at).map(|column| column.name.to_owned())
        });
        Difference {
            kind,
            table: family.table(&self.options.table),
            event_id: record.as_ref().or(row.as_ref()).and_then(|loose| loose.event_id.clone()),
            record: record.as_ref().and_then(|loose| loose.record),
            object: record.map(|loose| loose.place),
            file: row.map(|loose| loose.place),
            column,
        }
    }
}

/// Takes one of the open rows under a fingerprint.
fn take(open: &mut HashMap<Fingerprint, u64>, fingerprint: Fingerprint) -> bool {
    match open.get_mut(&fingerprint) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}
