//! The live data files of a lake.

use crate::error::Result;
use crate::lake::{self, DataFile, Manifest, read_gone};
use crate::storage::Storage;
use std::collections::BTreeSet;

/// What is said of a data file that manifests name and that is not there.
pub const MISSING_FILE: &str = "a data file is missing: `trailmill catalog sync` notes it as lost, and \
                                `trailmill convert --restore` writes its rows again";

/// A data file that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFile {
    /// The file, as its manifest has it.
    pub file: DataFile,
    /// Partition keys and values, in the order of the path.
    pub partition: Vec<(String, String)>,
}

impl LiveFile {
    fn new(file: DataFile) -> Self {
        let pairs = file.partition.split('/').filter_map(|part| part.split_once('='));
        let partition = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { file, partition }
    }

    /// Returns the value of a partition key, if the lake is partitioned by it and the record had one.
    pub fn partition_value(&self, key: &str) -> Option<&str> {
        let found = self.partition.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).filter(|value| *value != "unknown")
    }
}

/// Returns the live files of a lake, newest first by their latest event.
///
/// # Errors
/// `Damaged` when a manifest is missing or cannot be read; `Unavailable`, `Denied`, `Io`.
pub async fn live_files(storage: &Storage) -> Result<Vec<LiveFile>> {
    let gone: BTreeSet<String> =
        read_gone(storage).await?.into_iter().map(|gone| gone.file.key).collect();
    let manifests = Manifest::read_all(storage).await?;
    let files = lake::live_files(&manifests).filter(|file| !gone.contains(&file.key));
    let mut files: Vec<LiveFile> = files.cloned().map(LiveFile::new).collect();
    files.sort_by(|a, b| {
        let order = b.file.max_instant.cmp(&a.file.max_instant);
        order.then_with(|| a.file.key.cmp(&b.file.key))
    });
    Ok(files)
}
