//! A sample of what a plan lists, to infer a schema from before anything is converted.
//!
//! The listing is divided into strata: family, account, region and month of delivery. Of each stratum
//! the objects with the smallest hashes of their keys are kept, an equal share of the sample, and when
//! there are more strata than objects may be read, those with the smallest hashes: the same listing
//! gives the same sample, in memory that does not grow with it. What has no layout is one stratum.

use crate::keys::Layout;
use crate::lake::month;
use crate::source::Object;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Objects of a stratum that are kept at least: some strata have fewer than their share.
const LEAST_KEPT: usize = 3;

/// Larger objects are no samples: the largest archive would take as long as a unit.
const MAX_BYTES: u64 = 64 << 20;

/// The sample so far.
#[derive(Debug)]
pub(super) struct Sample {
    most: usize,
    /// By the hash of a stratum, its objects by the hashes of their keys.
    strata: BTreeMap<u64, BTreeMap<u64, Object>>,
}

impl Sample {
    /// Begins a sample of at most so many objects.
    pub(super) fn new(most: usize) -> Self {
        Self { most, strata: BTreeMap::new() }
    }

    /// Sees an object.
    pub(super) fn see(&mut self, object: &Object) {
        if object.size > MAX_BYTES || self.most == 0 {
            return;
        }
        let stratum = stratum_of(&object.layout);
        let is_full = self.strata.len() >= self.most;
        if is_full && self.strata.last_key_value().is_some_and(|(last, _)| *last < stratum) {
            return;
        }
        let hash = xxh3_64(object.key.as_bytes());
        let kept = self.kept();
        let objects = self.strata.entry(stratum).or_default();
        let is_smaller = objects.last_key_value().is_none_or(|(last, _)| hash < *last);
        if objects.len() < kept || is_smaller {
            objects.insert(hash, object.clone());
            while objects.len() > kept {
                objects.pop_last();
            }
        }
        if self.strata.len() > self.most {
            self.strata.pop_last();
        }
    }

    /// Objects of a stratum that are kept: fewer as strata are found, so that what is left in the end
    /// does not depend on their order.
    fn kept(&self) -> usize {
        (self.most / self.strata.len().max(1)).max(LEAST_KEPT)
    }

    /// Returns the objects: the first of each stratum, then the second of each, as many as there may be,
    /// in the order of their keys.
    pub(super) fn into_objects(self) -> Vec<Object> {
        let kept = self.kept();
        let first = |objects: BTreeMap<u64, Object>| objects.into_values().take(kept).collect();
        let strata: Vec<Vec<Object>> = self.strata.into_values().map(first).collect();
        let turns = (0..kept).flat_map(|turn| strata.iter().filter_map(move |s| s.get(turn)));
        let mut objects: Vec<Object> = turns.take(self.most).cloned().collect();
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        objects
    }
}

fn stratum_of(layout: &Layout) -> u64 {
    let Layout { folder, account, region, .. } = layout;
    let place = format!("{folder:?} {account} {region}");
    xxh3_64_with_seed(place.as_bytes(), u64::from(month(layout)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::parse as parse_layout;
    use crate::source::Place;

    fn object(account: u64, month: u32, n: u32) -> Object {
        let key = format!(
            "AWSLogs/{:012}/CloudTrail/eu-west-1/2024/{month:02}/01/{n}.json.gz",
            111_100_000_000 + account
        );
        Object {
            layout: parse_layout(&key),
            place: Place::File,
            key,
            size: 1,
            etag: String::new(),
            json_estimate: 1,
            is_archive: false,
            blocked: None,
        }
    }

    #[test]
    fn every_stratum_is_in_the_sample_whatever_the_order_and_however_small() {
        let mut objects: Vec<Object> = (0..5000).map(|n| object(0, 1, n)).collect();
        objects.extend((1..20).map(|account| object(account, 1 + account as u32 % 12, 0)));
        let sampled = |objects: &[Object]| {
            let mut sample = Sample::new(30);
            objects.iter().for_each(|object| sample.see(object));
            sample.into_objects().into_iter().map(|object| object.key).collect::<Vec<_>>()
        };

        let keys = sampled(&objects);
        assert_eq!(keys.len(), 22);
        objects.reverse();
        assert_eq!(sampled(&objects), keys);
        assert_eq!(sampled(&objects[..10]).len(), 10);
        assert_eq!(sampled(&objects[100..4000]).len(), 30, "one stratum has all of the sample");
    }

    #[test]
    fn more_strata_than_may_be_read_do_not_grow_it() {
        let mut sample = Sample::new(10);
        (0..1000).for_each(|account| sample.see(&object(account, 1, 0)));
        assert_eq!(sample.strata.len(), 10);
        assert_eq!(sample.into_objects().len(), 10);
    }
}
