//! The partition of the row before: most rows have the same, and none of them makes its path again.

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
}

impl LastPartition {
    /// No row's: no instant is in this hour.
    pub(super) fn none() -> Self {
        let (account, region, event_source) = (Vec::new(), Vec::new(), Vec::new());
        Self { id: 0, object: 0, hour: i64::MIN, account, region, event_source }
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
