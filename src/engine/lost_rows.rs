//! Rows that are gone from the lake and are written again.

use crate::engine::scope::scope_of;
use crate::lake::{Scope, UnitId, names};
use crate::rows::{Parsed, Row};
use hashbrown::{HashMap, HashSet};

/// Which rows of which units are gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct LostRows {
    /// Numbers of partitions, by table and path.
    places: HashMap<(String, String), u32>,
    /// By the key of a unit's fingerprints, the partitions in which it has no file any more.
    units: HashMap<String, HashSet<u32>>,
}

/// By fingerprint, the partitions of a segment's rows that may be lost.
pub(crate) type AskedPlaces = HashMap<(Scope, u128), Vec<u32>>;

impl LostRows {
    pub(crate) fn add(&mut self, unit: &UnitId, table: &str, partition: &str) {
        let number = self.places.len() as u32;
        let place = (table.to_owned(), partition.to_owned());
        let number = *self.places.entry(place).or_insert(number);
        self.units.entry(names::copies(unit)).or_default().insert(number);
    }

    /// Returns the partitions of rows, for fingerprints all of whose rows are in one that may be lost.
    pub(crate) fn places_of(
        &self,
        parsed: &Parsed,
        base: &str,
        fingerprint: impl Fn(&Row) -> u128,
    ) -> AskedPlaces {
        let mut asked = AskedPlaces::new();
        let mut elsewhere = Vec::new();
        for table in &parsed.tables {
            let name = table.family.table(base);
            let number = |path: &String| self.places.get(&(name.clone(), path.clone())).copied();
            let places: Vec<Option<u32>> = table.partitions.iter().map(number).collect();
            if places.iter().all(Option::is_none) {
                continue;
            }
            for row in &table.rows {
                let key = (scope_of(row), fingerprint(row));
                match places[row.partition as usize] {
                    Some(place) => asked.entry(key).or_default().push(place),
                    None => elsewhere.push(key),
                }
            }
        }
        elsewhere.iter().for_each(|key| {
            asked.remove(key);
        });
        asked
    }

    /// Returns whether rows of these partitions are gone, of the unit whose fingerprints lie at a key.
    pub(crate) fn are_gone(&self, key: &str, places: Option<&Vec<u32>>) -> bool {
        let Some((lost, places)) = self.units.get(key).zip(places) else { return false };
        places.iter().all(|place| lost.contains(place))
    }
}
