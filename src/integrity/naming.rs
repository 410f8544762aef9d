//! The days on which logs lie that digests name, and the time that they cover without a hole.
//!
//! A digest lists what was delivered in its hour, whatever the day in the keys. From the newest unbroken run of
//! digests it is known where anything new can lie; what was delivered before or after is listed.

use crate::integrity::chain::{JudgedChain, JudgedDigest};
use crate::integrity::inventory::{HOUR, PATIENCE};
use crate::integrity::verdict::Verdict;
use crate::keys::parse as parse_layout;
use crate::source::{NamedDays, RegionDays};
use crate::units::{Day, EpochMillis};
use std::collections::{BTreeMap, BTreeSet};

/// Days that were complete when a source was listed last: what was delivered on that day may not be.
const LISTED_AGAIN: i32 = 1;

/// What the chains of one region say together.
#[derive(Debug)]
struct Region {
    /// From here on the digests of all chains cover the time.
    start: EpochMillis,
    /// Up to here.
    end: EpochMillis,
    days: BTreeSet<Day>,
    logs: u64,
    hours: i64,
}

/// Collects what digests name.
pub(super) struct Naming<'a> {
    /// The day on which what lies at an address was listed last, from one end to the other.
    last_listed: &'a (dyn Fn(&str) -> Option<Day> + Send + Sync),
    /// Whether digests are believed that no key is known for.
    is_lenient: bool,
    regions: BTreeMap<String, Region>,
    digests: u64,
}

impl<'a> Naming<'a> {
    pub(super) fn new(
        last_listed: &'a (dyn Fn(&str) -> Option<Day> + Send + Sync),
        is_lenient: bool,
    ) -> Self {
        Self { last_listed, is_lenient, regions: BTreeMap::new(), digests: 0 }
    }

    /// Adds a chain, which was walked through.
    pub(super) fn add(&mut self, chain: &JudgedChain<'_>) {
        self.digests += chain.digests.len() as u64;
        let believed: Vec<&JudgedDigest<'_>> =
            chain.digests.iter().filter(|judged| self.believes(judged.verdict)).collect();
        let newest = believed.first().and_then(|judged| region_of(&judged.found.address));
        let Some(address) = newest else { return };
        let since = (self.last_listed)(&address).map(|day| start_of(day.plus(-LISTED_AGAIN)));
        let mut days = BTreeSet::new();
        let (mut run, mut logs, mut hours): (Option<(EpochMillis, EpochMillis)>, _, _) =
            (None, 0, 0);
        let mut is_broken = false;
        for digest in believed.iter().filter_map(|judged| judged.digest()) {
            run = match run {
                None => Some((digest.start, digest.end)),
                Some((start, end)) if !is_broken && digest.end >= start => {
                    Some((start.min(digest.start), end))
                }
                broken => {
                    is_broken = true;
                    broken
                }
            };
            logs += digest.logs.len() as u64;
            hours += (digest.end - digest.start) / HOUR;
            // What earlier digests name was listed when it was new.
            if since.is_none_or(|since| digest.end >= since) {
                days.extend(digest.logs.iter().filter_map(|log| parse_layout(&log.key).day()));
            }
        }
        let Some((start, end)) = run else { return };
        let region = self.regions.entry(address).or_insert(Region {
            start: EpochMillis::MIN,
            end: EpochMillis::MAX,
            days: BTreeSet::new(),
            logs: 0,
            hours: 0,
        });
        region.days.append(&mut days);
        region.logs += logs;
        // Backfilled files have no digest every hour, and cover nothing.
        if !chain.id.is_backfill {
            region.start = region.start.max(start);
            region.end = region.end.min(end);
            region.hours = region.hours.max(hours);
        }
    }

    fn believes(&self, verdict: Verdict) -> bool {
        let is_unchecked = matches!(verdict, Verdict::KeyUnknown | Verdict::UnsignedNewest);
        verdict.proves() || (self.is_lenient && is_unchecked)
    }

    /// Returns the days to list.
    pub(super) fn finish(self) -> NamedDays {
        let mut named = NamedDays::new(self.digests);
        for (address, region) in self.regions {
            if region.start == EpochMillis::MIN {
                continue;
            }
            let last = (self.last_listed)(&address).map(|day| day.plus(-LISTED_AGAIN));
            let is_covered = last.is_some_and(|last| region.start <= start_of(last));
            let newest = Day::of(region.end - PATIENCE);
            let per_hour = region.logs as f64 / region.hours.max(1) as f64;
            let days = RegionDays {
                before: (!is_covered).then(|| Day::of(region.start)),
                days: region.days,
                from: last.map_or(newest, |last| newest.min(last)),
                logs_per_day: (per_hour * 24.0) as u64,
            };
            named.add(address, days);
        }
        named
    }
}

fn start_of(day: Day) -> EpochMillis {
    i64::from(day.0) * 24 * HOUR
}

/// Returns the address of the folder of logs that a digest in a bucket is about.
fn region_of(address: &str) -> Option<String> {
    const FOLDER: &str = "/CloudTrail-Digest/";
    let at = address.starts_with("s3://").then(|| address.rfind(FOLDER)).flatten()?;
    let region = address.get(at + FOLDER.len()..)?.split('/').next()?;
    Some(format!("{}/CloudTrail/{region}/", address.get(..at)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_logs_lies_beside_that_of_digests() {
        let digest =
            "s3://b/p/AWSLogs/o-1/111122223333/CloudTrail-Digest/eu-west-1/2026/10/01/x.json.gz";
        let logs = "s3://b/p/AWSLogs/o-1/111122223333/CloudTrail/eu-west-1/";
        assert_eq!(region_of(digest).as_deref(), Some(logs));
        assert_eq!(region_of("/copy/AWSLogs/1/CloudTrail-Digest/eu-west-1/x"), None);
        assert_eq!(region_of("s3://b/x.json.gz"), None);
    }
}
