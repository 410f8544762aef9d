//! Partitions that are compacted, and how: what a plan keeps of them.

use crate::codec::Compression;
use crate::lake::data_file::DataFile;
use crate::units::ByteCount;
use serde::{Deserialize, Serialize};

/// Files that become one: of the main table, and those with the same rows of the typed one, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBatch {
    /// Of the main table.
    pub main: Vec<DataFile>,
    /// Of the typed table.
    pub typed: Vec<DataFile>,
}

/// A partition that is to be compacted, of both tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionFiles {
    /// The main table.
    pub table: String,
    /// The partition.
    pub partition: String,
    /// The files that are merged.
    pub batches: Vec<FileBatch>,
    /// The other live files.
    pub kept: Vec<DataFile>,
}

impl FileBatch {
    /// Returns the bytes of the files, of both tables.
    pub fn bytes(&self) -> u64 {
        self.main.iter().chain(&self.typed).map(|file| file.bytes).sum()
    }
}

impl PartitionFiles {
    /// Returns all files that are merged.
    pub fn inputs(&self) -> impl Iterator<Item = &DataFile> {
        self.batches.iter().flat_map(|batch| batch.main.iter().chain(&batch.typed))
    }

    /// Returns it as one that is left as it is.
    pub fn left(&self, reason: String) -> LeftPartition {
        let (table, partition) = (self.table.clone(), self.partition.clone());
        LeftPartition { table, partition, reason }
    }
}

/// A partition that is left as it is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftPartition {
    /// The main table.
    pub table: String,
    /// The partition.
    pub partition: String,
    /// The reason.
    pub reason: String,
}

/// How the units of a plan compact partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactionSettings {
    /// How pages are compressed.
    pub compression: Compression,
    /// The size of a file.
    pub target: ByteCount,
    /// Milliseconds that replaced files of a bucket stay after the catalog was told.
    pub grace: i64,
    /// Partitions that are due and cannot be compacted.
    pub left: Vec<LeftPartition>,
}
