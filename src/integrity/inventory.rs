//! What lies in a source: digests with what they say, and logs with the hashes of their contents.

use crate::error::Error;
use crate::integrity::content::Problem;
use crate::integrity::digest::{Digest, Hash};
use crate::integrity::digest_name::{DigestName, file_name, home_of, is_in_layout};
use crate::integrity::verdict::Verdict;
use crate::keys::parse as parse_layout;
use crate::units::{Day, EpochMillis, parse_event_time};
use std::collections::HashMap;

/// Hours by which digests may be late, and for which logs may wait for theirs.
pub(super) const PATIENCE: EpochMillis = 2 * HOUR;

pub(super) const HOUR: EpochMillis = 3_600_000;

/// A digest that lies there.
#[derive(Debug)]
pub(super) struct FoundDigest {
    pub address: String,
    pub name: DigestName,
    pub content: Result<(Digest, Hash), Unusable>,
    /// Its own signature: of its metadata, or of a file of signatures.
    pub signature: Option<String>,
    /// When it was signed, if its metadata says so: a backfill digest is signed long after its hour.
    pub signed_at: Option<EpochMillis>,
}

/// What S3 keeps beside a digest.
#[derive(Clone, Debug, Default)]
pub(super) struct Metadata {
    pub signature: Option<String>,
    pub signed_at: Option<EpochMillis>,
}

impl Metadata {
    /// Reads an object's user metadata.
    pub(super) fn of(mut fields: HashMap<String, String>) -> Self {
        let signed_at = fields.get("backfill-generation-timestamp");
        let signed_at = signed_at.and_then(|text| parse_event_time(text.as_bytes()));
        Self { signature: fields.remove("signature"), signed_at }
    }
}

/// Why nothing can be said of an object's content.
#[derive(Debug)]
pub(super) enum Unusable {
    Content(Problem),
    /// It is not a digest.
    Format(Error),
}

impl Unusable {
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Content(problem) => verdict_of(problem),
            Self::Format(_) => Verdict::InvalidFormat,
        }
    }

    pub(super) fn detail(&self) -> Option<String> {
        match self {
            Self::Content(Problem::Unreadable(why)) => Some(why.clone()),
            Self::Content(Problem::TooLarge) => Some("decoded size is over the limit".to_owned()),
            Self::Content(_) => None,
            Self::Format(err) => Some(err.to_string()),
        }
    }
}

pub(super) fn verdict_of(problem: &Problem) -> Verdict {
    match problem {
        Problem::Damaged | Problem::TooLarge => Verdict::InvalidFormat,
        Problem::Trailing => Verdict::TrailingData,
        Problem::Unreadable(_) => Verdict::Unreadable,
    }
}

/// A log that lies there.
#[derive(Debug)]
pub(super) struct FoundLog {
    pub address: Box<str>,
    pub content: Result<Hash, Problem>,
}

/// What lies there of some accounts and regions.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub digests: Vec<FoundDigest>,
    pub logs: Vec<FoundLog>,
    /// What lies among the digests and has not the name of one.
    pub strays: Vec<String>,
    /// Archives that cannot be read to their end, with the reason.
    pub damaged: Vec<(String, Verdict, String)>,
}

impl Inventory {
    pub(super) fn is_empty(&self) -> bool {
        let is_without_logs = self.digests.is_empty() && self.logs.is_empty();
        is_without_logs && self.strays.is_empty() && self.damaged.is_empty()
    }
}

/// Returns whether an object lies where a digest says, in its bucket or in a copy of it: in the layout its
/// folders count, elsewhere its name.
pub(super) fn is_copy_of(recorded: &str, address: &str) -> bool {
    match is_in_layout(address) {
        true => home_of(recorded) == home_of(address),
        false => file_name(recorded) == file_name(address),
    }
}

/// The time that is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    /// The first day of delivery.
    pub first: Option<Day>,
    /// The last day of delivery.
    pub last: Option<Day>,
    pub now: EpochMillis,
}

impl Period {
    pub(super) fn from(&self) -> Option<EpochMillis> {
        self.first.map(|day| i64::from(day.0) * 24 * HOUR)
    }

    pub(super) fn to(&self) -> Option<EpochMillis> {
        self.last.map(|day| (i64::from(day.0) + 1) * 24 * HOUR)
    }

    /// Returns whether logs of the period may be delivered in a stretch of time.
    pub(super) fn overlaps(&self, start: EpochMillis, end: EpochMillis) -> bool {
        self.from().is_none_or(|from| end > from)
            && self.to().is_none_or(|to| start < to + PATIENCE)
    }

    /// Returns whether a log belongs to the period: by the date in its key.
    pub(super) fn wants(&self, key: &str) -> bool {
        if self.first.is_none() && self.last.is_none() {
            return true;
        }
        let day = parse_layout(key).day();
        day.is_none_or(|day| {
            self.first.is_none_or(|first| day >= first) && self.last.is_none_or(|last| day <= last)
        })
    }

    /// Returns whether the digest of something delivered at this time may be still to come.
    pub(super) fn is_pending(&self, time: EpochMillis) -> bool {
        (self.now - PATIENCE..=self.now + PATIENCE).contains(&time)
    }
}
