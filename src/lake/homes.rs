//! Where the files of a partition are: in their table's folder, or where a compaction has put them.
//!
//! A bucket has no exchange of folders: there a compaction writes to a folder of its own, and the catalog is
//! told. What is converted later goes where the partition's files are, since a catalog has one location for it.

use crate::lake::data_file::DataFile;
use crate::lake::names;
use crate::lake::unit::UnitId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Partitions that lie in the folder of a compaction: by table and partition, its unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Homes(BTreeMap<String, BTreeMap<String, UnitId>>);

impl Homes {
    /// Takes in a file; files come in the order of their units.
    pub(super) fn note(&mut self, file: &DataFile) {
        let Some((table, partition, unit)) = names::generation_of(&file.key) else { return };
        let partitions = self.0.entry(table.to_owned()).or_default();
        let last = partitions.entry(partition.to_owned()).or_insert_with(|| unit.clone());
        if unit > *last {
            *last = unit;
        }
    }

    /// Returns whether no partition was moved.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the folder of a partition, without a slash at its end.
    pub fn folder(&self, table: &str, partition: &str) -> String {
        match self.0.get(table).and_then(|partitions| partitions.get(partition)) {
            Some(unit) => names::generation(table, partition, unit),
            None => names::partition_folder(table, partition),
        }
    }
}
