//! The partition of the row before: most rows have the same, and none of them makes its path again.

use crate::family::Place;
use crate::partition::{Facts, PartitionBy, PartitionKey};

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// What a row's partition is made from; the row before often has the same.
#[derive(Debug)]
pub(super) struct LastPartition {
    pub(super) id: u32,
    object: u32,
    hour: i64,
    account: Vec<u8>,
    region: Vec<u8>,
    event_source: Vec<u8>,
    /// The values of [`Place`]s that are columns, by their numbers.
    places: [Vec<u8>; 3],
}

/// The partition key of the values of a column.
pub(super) fn key_of(place: Place) -> PartitionKey {
    match place {
        Place::Account => PartitionKey::Account,
        Place::Region => PartitionKey::Region,
        Place::EventDate => PartitionKey::EventDate,
    }
}

impl LastPartition {
    /// No row's: no instant is in this hour.
    pub(super) fn none() -> Self {
        let (account, region, event_source) = (Vec::new(), Vec::new(), Vec::new());
        let places = Default::default();
        Self { id: 0, object: 0, hour: i64::MIN, account, region, event_source, places }
    }

    /// Whether a row of `object` made from `facts` belongs to the same partition.
    pub(super) fn is_for(&self, object: u32, facts: &Facts<'_>, by: &PartitionBy) -> bool {
        self.object == object
            && self.hour == facts.instant.div_euclid(HOUR)
            && self.account == facts.account
            && self.region == facts.region
            && (!by.keys().contains(&PartitionKey::EventSource)
                || self.event_source == facts.event_source)
    }

    /// Makes the values of columns: those that a path would have.
    pub(super) fn set_places(&mut self, facts: &Facts<'_>, by: &PartitionBy) {
        for place in [Place::Account, Place::Region, Place::EventDate] {
            let (key, value) = (key_of(place), &mut self.places[place as usize]);
            value.clear();
            if !by.has(key) {
                key.write_value(facts, value);
            }
        }
    }

    /// Returns the value of a column.
    pub(super) fn place(&self, place: Place) -> &[u8] {
        &self.places[place as usize]
    }

    pub(super) fn set(&mut self, id: u32, object: u32, facts: &Facts<'_>) {
        let set = |field: &mut Vec<u8>, text: &[u8]| {
            field.clear();
            field.extend_from_slice(text);
        };
        (self.id, self.object, self.hour) = (id, object, facts.instant.div_euclid(HOUR));
        set(&mut self.account, facts.account);
        set(&mut self.region, facts.region);
        set(&mut self.event_source, facts.event_source);
    }
}
