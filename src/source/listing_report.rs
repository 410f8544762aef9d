//! What a listing saw, for the report and for plans.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// With a look-back, the first delivery date listed of each source that has one.
    pub since: BTreeMap<String, String>,
}
