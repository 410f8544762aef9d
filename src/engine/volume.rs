//! What a listing says of the volume of accounts, regions and days, and which partitions fit it.
//!
//! A query that names a day, an account or a region opens the files of its partitions and no others; each
//! partition has a file for every unit that touches it. So partitions are as fine as they can be without
//! being small: finer ones prune more, and small files cost every reader more than they hold.

use crate::keys::Layout;
use crate::partition::{PartitionBy, PartitionKey};
use crate::units::{ByteCount, counted};
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// JSON of a partition, on average, from which on it is large enough: some 16 MB of Parquet.
const ENOUGH: ByteCount = ByteCount(200_000_000);

/// JSON of a partition, on average, above which finer ones are taken though they are small, down to
/// [`LEAST`]: some 4 GB of Parquet.
const TOO_MUCH: ByteCount = ByteCount(50_000_000_000);

/// JSON of the smallest partitions, on average, that are chosen over too large ones.
const LEAST: ByteCount = ByteCount(12_000_000);

/// Partitions that are too few to be warned of, however small they are.
const FEW: u64 = 100;

/// The choices, from coarse to fine.
const CHOICES: [&[PartitionKey]; 3] = [
    &[PartitionKey::EventDate],
    &[PartitionKey::Account, PartitionKey::EventDate],
    &[PartitionKey::Account, PartitionKey::Region, PartitionKey::EventDate],
];

/// The volume of what is listed, by what the keys of objects say.
#[derive(Clone, Debug, Default)]
pub struct Volume {
    objects: u64,
    /// JSON bytes, about, by account, region and delivery date.
    places: HashMap<[Arc<str>; 3], u64>,
}

/// What partitions of some keys would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The keys.
    pub partition_by: PartitionBy,
    /// Partitions, about.
    pub partitions: u64,
    /// JSON bytes of one, about, on average.
    pub json_each: u64,
}

/// The partition keys that were chosen for a new lake, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionChoice {
    /// The keys.
    pub partition_by: PartitionBy,
    /// Objects that were listed for it.
    pub objects: u64,
    /// What could be chosen, from coarse to fine; nothing if the keys of objects name no days.
    pub candidates: Vec<Candidate>,
}

/// Returns what the account, the region and the delivery date of an object's key say of a partition key: nothing
/// of one that only its records have. All are of one organization.
pub(crate) fn named_value(key: PartitionKey, [account, region, date]: [&str; 3]) -> Option<&str> {
    match key {
        PartitionKey::Account => Some(account),
        PartitionKey::Region => Some(region),
        PartitionKey::EventDate | PartitionKey::Day => Some(date),
        PartitionKey::Year => date.get(..4),
        PartitionKey::Month => date.get(..7),
        PartitionKey::Organization => Some(""),
        PartitionKey::Hour | PartitionKey::EventSource => None,
    }
}

impl Volume {
    /// Adds an object.
    pub fn add(&mut self, layout: &Layout, json: u64) {
        self.objects += 1;
        if layout.day().is_none() {
            return;
        }
        let Layout { account, region, date, .. } = layout;
        let place = [account, region, date].map(Arc::clone);
        *self.places.entry(place).or_default() += json;
    }

    /// Returns how many objects were added.
    pub fn objects(&self) -> u64 {
        self.objects
    }

    /// Returns what partitions of these keys would be; nothing where the keys of objects do not say.
    pub fn candidate(&self, by: &PartitionBy) -> Option<Candidate> {
        let mut partitions: HashSet<Vec<&str>> = HashSet::new();
        for [account, region, date] in self.places.keys() {
            let value = |key: &PartitionKey| named_value(*key, [account, region, date]);
            partitions.insert(by.keys().iter().map(value).collect::<Option<_>>()?);
        }
        let count = partitions.len() as u64;
        let json_each = self.places.values().sum::<u64>().checked_div(count)?;
        Some(Candidate { partition_by: by.clone(), partitions: count, json_each })
    }

    /// Chooses the partition keys of a new lake.
    pub fn choose(&self) -> PartitionChoice {
        let by = |keys: &&[PartitionKey]| PartitionBy::try_from(keys.to_vec()).ok();
        let candidates: Vec<Candidate> =
            CHOICES.iter().filter_map(by).filter_map(|by| self.candidate(&by)).collect();
        let is_better = |coarse: &Candidate, fine: &Candidate| {
            fine.json_each >= ENOUGH.0
                || (coarse.json_each > TOO_MUCH.0 && fine.json_each >= LEAST.0)
        };
        let mut best: Option<&Candidate> = None;
        for candidate in &candidates {
            if best.is_none_or(|best| is_better(best, candidate)) {
                best = Some(candidate);
            }
        }
        let partition_by = match best {
            Some(best) => best.partition_by.clone(),
            None => by(&CHOICES[0]).unwrap_or_default(),
        };
        PartitionChoice { partition_by, objects: self.objects, candidates }
    }

    /// Returns what a person should know about partitions of these keys: that they would be small, where
    /// others would not.
    pub fn warning(&self, by: &PartitionBy) -> Option<String> {
        let candidate = self.candidate(by)?;
        let better = self.candidate(&self.choose().partition_by)?;
        let is_small = candidate.partitions > FEW
            && candidate.json_each < LEAST.0
            && better.partitions < candidate.partitions;
        is_small.then(|| {
            format!(
                "partitions by {by} are small: {candidate}; a new lake with `--partition-by {}` \
                 would have {better}",
                better.partition_by
            )
        })
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions = counted(self.partitions, "partition");
        write!(f, "{partitions} of {} of JSON", ByteCount(self.json_each))
    }
}

impl fmt::Display for PartitionChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.partition_by)?;
        if self.candidates.is_empty() {
            return f.write_str(", since the keys of objects name no days");
        }
        for (at, candidate) in self.candidates.iter().enumerate() {
            let keys = &candidate.partition_by;
            match at {
                0 => write!(f, "; by {keys} {candidate}")?,
                _ => write!(f, ", by {keys} {candidate}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::parse;

    /// The volume of days in which each region of each account has so much JSON.
    fn volume(accounts: u32, regions: u32, days: u32, json: u64) -> Volume {
        let mut volume = Volume::default();
        for account in 0..accounts {
            for region in 0..regions {
                for day in 1..=days {
                    let key = format!(
                        "AWSLogs/{account:012}/CloudTrail/xx-made-{region}/2026/01/{day:02}/x.json.gz"
                    );
                    volume.add(&parse(&key), json);
                }
            }
        }
        volume
    }

    fn chosen(volume: &Volume) -> String {
        volume.choose().partition_by.to_string()
    }

    #[test]
    fn partitions_are_as_fine_as_they_can_be_without_being_small() {
        // 200 events of some 1.3 kB.
        assert_eq!(chosen(&volume(100, 17, 1, 260_000)), "event_date");
        assert_eq!(chosen(&volume(1, 1, 3, 1)), "event_date");
        assert_eq!(chosen(&volume(2, 17, 3, 20_000_000)), "account,event_date");
        assert_eq!(chosen(&volume(2, 2, 3, 300_000_000)), "account,region,event_date");
        // 10,000 accounts of 5 MB make a day of 50 GB, and such partitions are too small.
        assert_eq!(chosen(&volume(5_000, 1, 1, 11_000_000)), "event_date");
        assert_eq!(chosen(&volume(5_000, 1, 1, 13_000_000)), "account,event_date");
    }

    #[test]
    fn keys_that_name_no_days_make_days() {
        let mut volume = Volume::default();
        volume.add(&parse("export/events.json"), 1 << 40);

        let choice = volume.choose();

        assert_eq!(choice.partition_by.to_string(), "event_date");
        assert_eq!(choice.to_string(), "event_date, since the keys of objects name no days");
        assert_eq!(volume.warning(&PartitionBy::default()), None);
    }

    #[test]
    fn small_partitions_are_told_where_others_would_be_larger() {
        let volume = volume(100, 17, 1, 260_000);
        let warned = |by: &str| volume.warning(&by.parse().unwrap());

        let said = warned("account,region,event_date").unwrap();
        assert!(said.contains("1,700 partitions of 260 kB of JSON"), "{said}");
        assert!(
            said.contains("--partition-by event_date` would have 1 partition of 442 MB"),
            "{said}"
        );
        assert_eq!(warned("event_date"), None);
        assert_eq!(warned("region,event_date"), None, "seventeen are few");
        assert_eq!(warned("event_source"), None, "keys do not say");
        assert_eq!(
            volume.choose().to_string(),
            "event_date; by event_date 1 partition of 442 MB of JSON, by account,event_date 100 \
             partitions of 4.42 MB of JSON, by account,region,event_date 1,700 partitions of 260 kB \
             of JSON"
        );
    }
}
