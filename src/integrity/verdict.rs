//! What can be said of a digest, a log or a stretch of time, and who it is said of.

use crate::units::{EpochMillis, civil};
use serde::{Deserialize, Serialize};

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Signed by CloudTrail, at the place that it was delivered to.
    Verified,
    /// Signed by CloudTrail, and copied from the place that it was delivered to.
    VerifiedRelocated,
    /// Delivered within the last two hours: its digest is still to come.
    Pending,
    /// A log whose digest is not verified.
    Unproven,
    /// The newest digest before the end or a break of its chain, which has no signature here.
    UnsignedNewest,
    /// The content is not the one that was signed.
    HashMismatch,
    /// The signature is not that of the digest.
    SignatureMismatch,
    /// The digest was signed for another place: it was renamed, or replayed.
    Misplaced,
    /// Not a digest, or a gzip member that is damaged or truncated.
    InvalidFormat,
    /// Bytes follow the gzip member.
    TrailingData,
    /// The public key is not among the keys.
    KeyUnknown,
    /// It cannot be read.
    Unreadable,
    /// Named by a digest, and not there.
    Missing,
    /// No digests: validation or logging was off, and a new chain began.
    Gap,
    /// The chain ends before the logs, the window, or the trail's chains in other regions do.
    Truncated,
    /// A log that no digest lists.
    InNoDigest,
}

impl Verdict {
    /// Returns whether it is compatible with everything being proven.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Verified | Self::VerifiedRelocated | Self::Pending)
    }

    /// Returns whether something was proven.
    pub fn proves(self) -> bool {
        matches!(self, Self::Verified | Self::VerifiedRelocated)
    }

    /// Returns what it is called in texts.
    pub fn words(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::VerifiedRelocated => "verified, relocated",
            Self::Pending => "pending: the digest is still to come",
            Self::Unproven => "unproven: the digest is not verified",
            Self::UnsignedNewest => "unsigned: newest of its chain, without a signature",
            Self::HashMismatch => "hash mismatch",
            Self::SignatureMismatch => "signature mismatch",
            Self::Misplaced => "signed for another place",
            Self::InvalidFormat => "invalid format",
            Self::TrailingData => "trailing data",
            Self::KeyUnknown => "public key unknown",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
            Self::Gap => "gap",
            Self::Truncated => "truncated",
            Self::InNoDigest => "in no digest",
        }
    }
}

/// What a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A stretch of time of a chain.
    Chain,
    /// A digest.
    Digest,
    /// A log.
    Log,
    /// A folder that could not be listed.
    Folder,
    /// An archive that could not be read to its end.
    Archive,
}

/// A verdict that is not good, with its place and time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What the verdict is about.
    pub subject: Subject,
    /// The verdict.
    pub verdict: Verdict,
    /// The object or chain.
    pub object: String,
    /// Start of the time of delivery that it concerns.
    pub from: Option<String>,
    /// End of that time.
    pub to: Option<String>,
    /// What else is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Finding {
    pub(super) fn new(subject: Subject, verdict: Verdict, object: impl Into<String>) -> Self {
        let object = object.into();
        Self { subject, verdict, object, from: None, to: None, detail: None }
    }

    pub(super) fn between(mut self, from: Option<EpochMillis>, to: Option<EpochMillis>) -> Self {
        (self.from, self.to) = (from.map(show_time), to.map(show_time));
        self
    }

    pub(super) fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Writes an instant as digests do.
pub fn show_time(millis: EpochMillis) -> String {
    let (year, month, day, hour) = civil(millis);
    let seconds = millis.rem_euclid(3_600_000) / 1000;
    let (minute, second) = (seconds / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
