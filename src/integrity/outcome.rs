//! What a validation found, for reports.

use crate::integrity::digest_name::ChainId;
use crate::integrity::verdict::{Finding, Verdict, show_time};
use crate::units::EpochMillis;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Findings that a report lists; all are counted.
pub const MOST_FINDINGS: usize = 1_000;

/// The result of a validation in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything that was asked about is proven.
    AllProven,
    /// Something is not proven.
    NotProven,
    /// There are no digests.
    #[default]
    NothingToProve,
}

/// A chain of digests.
#[derive(Clone, Debug, Serialize)]
pub struct ChainReport {
    /// Which one.
    #[serde(flatten)]
    pub id: ChainId,
    /// Digests of it in the period.
    pub digests: u64,
    /// Those that are verified.
    pub digests_verified: u64,
    /// Verified digests that say that nothing was delivered.
    pub digests_empty: u64,
    /// Logs that verified digests list.
    pub logs_listed: u64,
    /// The times of delivery that verified digests cover without a hole, as start and end.
    pub windows: Vec<[String; 2]>,
    /// Key and SHA-256 of the newest verified digest, which commits to those before it.
    pub newest: Option<[String; 2]>,
    #[serde(skip)]
    pub(super) last: EpochMillis,
}

/// The keys that digests were checked with.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeysReport {
    /// Where they came from.
    pub from: String,
    /// What to know about that.
    pub warnings: BTreeSet<String>,
    /// The fingerprints that digests name, with whether there is a key.
    pub fingerprints: BTreeMap<String, bool>,
}

/// What a validation found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IntegrityReport {
    /// The result.
    pub outcome: Outcome,
    /// What was read.
    pub sources: Vec<String>,
    /// The first day of delivery that was asked about; none for all.
    pub first_day: Option<String>,
    /// The last day.
    pub last_day: Option<String>,
    /// When it was checked.
    pub checked_at: String,
    /// The keys.
    pub keys: KeysReport,
    /// The chains, by account, region and trail.
    pub chains: Vec<ChainReport>,
    /// Digests by verdict, missing ones included.
    pub digests: BTreeMap<Verdict, u64>,
    /// Logs by verdict, missing ones included.
    pub logs: BTreeMap<Verdict, u64>,
    /// Holes of chains by verdict, and folders that could not be listed.
    pub holes: BTreeMap<Verdict, u64>,
    /// What is not proven, in the order of places.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are listed.
    pub findings_omitted: u64,
    /// Objects outside of the layout, about which digests say nothing.
    pub objects_other: u64,
    /// Bytes as stored that were read.
    pub bytes_read: u64,
    /// Bytes of content that were hashed.
    pub bytes_hashed: u64,
    /// LIST requests to S3.
    pub list_requests: u64,
    #[serde(skip)]
    pub(super) is_any_verified: bool,
}

impl IntegrityReport {
    /// Returns whether everything is proven.
    pub fn proves(&self) -> bool {
        self.outcome == Outcome::AllProven
    }

    /// Returns how many digests or logs have a verdict.
    pub fn count(counts: &BTreeMap<Verdict, u64>, is: impl Fn(Verdict) -> bool) -> u64 {
        counts.iter().filter(|(verdict, _)| is(**verdict)).map(|(_, count)| count).sum()
    }

    pub(super) fn note(&mut self, finding: Finding) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else {
            self.findings_omitted += 1;
        }
    }

    /// Decides the outcome, when everything has been counted.
    pub(super) fn close(&mut self) {
        self.findings.sort();
        self.chains.sort_by(|a, b| a.id.cmp(&b.id));
        let all = [&self.digests, &self.logs, &self.holes];
        let is_good = all.iter().all(|counts| counts.keys().all(|verdict| verdict.is_good()));
        self.outcome = match (self.digests.is_empty(), is_good && self.is_any_verified) {
            (true, _) => Outcome::NothingToProve,
            (false, true) => Outcome::AllProven,
            (false, false) => Outcome::NotProven,
        };
    }
}

/// Joins windows of digests, from the newest to the oldest, to stretches of time without a hole.
pub(super) fn join_windows(windows: &[(EpochMillis, EpochMillis)]) -> Vec<[String; 2]> {
    let mut joined: Vec<(EpochMillis, EpochMillis)> = Vec::new();
    for (start, end) in windows {
        match joined.last_mut() {
            Some(newer) if newer.0 <= *end => newer.0 = newer.0.min(*start),
            _ => joined.push((*start, *end)),
        }
    }
    joined.reverse();
    joined.into_iter().map(|(start, end)| [show_time(start), show_time(end)]).collect()
}
