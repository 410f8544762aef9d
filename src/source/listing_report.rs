//! What a listing saw, for the report and for plans.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What digests spared a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestSavings {
    /// Digests that were read.
    pub digests: u64,
    /// Folders of regions of which only the days that digests name were listed, and the last ones.
    pub regions: u64,
    /// Folders of regions without digests that tell, which were listed as without them.
    pub regions_listed: u64,
    /// LIST requests saved, about: by the logs that digests name for a day; negative if it took more.
    pub requests_saved: i64,
}

/// What a listing saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingReport {
    /// LIST requests to S3, without retries.
    pub requests: u64,
    /// Log objects seen, wanted or not.
    pub objects_listed: u64,
    /// Of them, objects that a narrowing option or the look-back leaves out.
    pub objects_unwanted: u64,
    /// Digests and other services' objects that were listed and passed over.
    pub objects_ignored: u64,
    /// Folders of digests and other services that were not listed at all, by name.
    pub folders_ignored: BTreeMap<String, u64>,
    /// Files and folders passed over because their names begin with `.` or `_`; those of a lake are not counted.
    #[serde(default)]
    pub names_hidden: u64,
    /// Folders and prefixes that could not be listed, with the reason.
    #[serde(default)]
    pub folders_unreadable: BTreeMap<String, String>,
    /// What digests spared, where they were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_digests: Option<DigestSavings>,
    /// With a look-back, the first delivery date listed of each source that has one.
    pub since: BTreeMap<String, String>,
}
