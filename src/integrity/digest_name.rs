//! The names of digests and of the logs they list.
//!
//! `<account>_CloudTrail-Digest_<region>_<trail>_<home region>_<end>[_backfill].json.gz`. A trail's name
//! may hold `_`, `.` and `-`, so that a name is read from the right as far as the trail. What is
//! compared is the part of a key from `AWSLogs/` on: prefixes and buckets change when an archive is
//! copied.

use crate::units::{EpochMillis, parse_event_time};
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// What the digests of one chain have in common: each trail writes one chain for each account and
/// region, and another one for backfilled files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ChainId {
    /// Twelve digits.
    #[serde(serialize_with = "as_text")]
    pub account: Arc<str>,
    /// The region that the logs are of.
    #[serde(serialize_with = "as_text")]
    pub region: Arc<str>,
    /// The trail's name.
    #[serde(serialize_with = "as_text")]
    pub trail: Arc<str>,
    /// The region that the trail was created in.
    #[serde(serialize_with = "as_text")]
    pub home_region: Arc<str>,
    /// Whether it is the chain of files that were delivered late.
    pub is_backfill: bool,
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, region, trail, home_region, .. } = self;
        write!(f, "{account} {region} trail {trail} of {home_region}")?;
        f.write_str(if self.is_backfill { " (backfill)" } else { "" })
    }
}

/// What the name of a digest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DigestName {
    /// Its chain.
    pub chain: ChainId,
    /// The end of its window, in seconds precision.
    pub end: EpochMillis,
}

impl DigestName {
    /// Reads a key or a path; `None` for what is not a digest.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let file = file_name(key);
        let stem = file.strip_suffix(".json")?;
        let (stem, is_backfill) = match stem.strip_suffix("_backfill") {
            Some(stem) => (stem, true),
            None => (stem, false),
        };
        let (stem, stamp) = stem.rsplit_once('_')?;
        let end = parse_stamp(stamp)?;
        let (stem, home_region) = stem.rsplit_once('_')?;
        let (account, rest) = stem.split_once('_')?;
        let (region, trail) = rest.strip_prefix("CloudTrail-Digest_")?.split_once('_')?;
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if !is_account || !is_region(region) || !is_region(home_region) || trail.is_empty() {
            return None;
        }
        let chain = ChainId {
            account: account.into(),
            region: region.into(),
            trail: trail.into(),
            home_region: home_region.into(),
            is_backfill,
        };
        Some(Self { chain, end })
    }
}

fn is_region(text: &str) -> bool {
    text.contains('-')
        && text.ends_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Returns whether a key is that of a digest, whatever else its name says.
pub(super) fn is_digest(key: &str) -> bool {
    key.contains("/CloudTrail-Digest/") || file_name(key).contains("_CloudTrail-Digest_")
}

/// Returns the last part of a key, without `.gz`: a copy may be unpacked.
pub(super) fn file_name(key: &str) -> &str {
    let file = key.rsplit('/').next().unwrap_or(key);
    file.strip_suffix(".gz").unwrap_or(file)
}

/// Reads `20261001T020000Z`, and `20261001T0200Z` of log files.
pub(super) fn parse_stamp(stamp: &str) -> Option<EpochMillis> {
    let (date, time) = stamp.strip_suffix('Z')?.split_once('T')?;
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if date.len() != 8 || !matches!(time.len(), 4 | 6) || !is_digits(date) || !is_digits(time) {
        return None;
    }
    let second = if time.len() == 6 { &time[4..] } else { "00" };
    let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
    let (hour, minute) = (&time[..2], &time[2..4]);
    parse_event_time(format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").as_bytes())
}

/// Returns when a log was written, by its name: `<account>_<folder>_<region>_<stamp>_<unique>.json.gz`.
pub(super) fn log_time(key: &str) -> Option<EpochMillis> {
    file_name(key).split('_').find_map(parse_stamp)
}

/// Returns the part of a key that copies of an archive keep: from the last `AWSLogs/` on, else the file's
/// name; without `.gz`.
pub(super) fn home_of(key: &str) -> &str {
    let key = key.strip_suffix(".gz").unwrap_or(key);
    let roots = key.rmatch_indices("AWSLogs/").map(|(at, _)| at);
    let root = roots.into_iter().find(|at| *at == 0 || key.as_bytes()[at - 1] == b'/');
    root.map_or_else(|| file_name(key), |at| &key[at..])
}

/// Returns whether a key lies in the layout that trails write, so that its folders count too.
pub(super) fn is_in_layout(key: &str) -> bool {
    home_of(key).starts_with("AWSLogs/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_trails_may_hold_what_separates_the_parts() {
        for (trail, suffix, is_backfill) in [
            ("foo", "", false),
            ("my_trail.of-2_eu-west-1", "", false),
            ("a_backfill", "", false),
            ("under_score_", "_backfill", true),
        ] {
            let key = format!(
                "p/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2026/10/01/111122223333_\
                 CloudTrail-Digest_eu-west-1_{trail}_us-gov-west-1_20261001T020000Z{suffix}.json.gz"
            );
            let name = DigestName::parse(&key).unwrap();
            assert_eq!((&*name.chain.trail, name.chain.is_backfill), (trail, is_backfill));
            assert_eq!(
                (&*name.chain.region, &*name.chain.home_region),
                ("eu-west-1", "us-gov-west-1")
            );
            assert_eq!(name.end, parse_event_time(b"2026-10-01T02:00:00Z").unwrap());
        }
    }

    #[test]
    fn what_is_not_a_digest_is_told_apart() {
        for key in [
            "111122223333_CloudTrail_us-east-1_20261001T0200Z_abc.json.gz",
            "111122223333_CloudTrail-Digest_us-east-1__us-east-1_20261001T020000Z.json.gz",
            "111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_20261301T020000Z.json.gz",
            "1111_CloudTrail-Digest_us-east-1_t_us-east-1_20261001T020000Z.json.gz",
            "x",
            "",
        ] {
            assert_eq!(DigestName::parse(key), None, "{key}");
        }
    }

    #[test]
    fn a_copy_keeps_what_follows_the_last_root() {
        assert_eq!(home_of("s3://b/AWSLogs/AWSLogs/1/x.json.gz"), "AWSLogs/1/x.json");
        assert_eq!(home_of("/tmp/xAWSLogs/1/x.json"), "x.json");
        assert_eq!(home_of("flat/x.json.gz"), "x.json");
        assert_eq!(
            log_time("1_CloudTrail_r_20261001T0200Z_a.json.gz"),
            parse_stamp("20261001T020000Z")
        );
    }
}
