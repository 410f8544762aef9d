//! Where the rows of a unit are by now: in its own files, or in those of the compactions that replaced them.

use crate::lake::{DataFile, Manifest};
use hashbrown::{HashMap, HashSet};

/// The compaction that replaced each file.
#[derive(Debug, Default)]
pub(super) struct Successors<'m>(HashMap<&'m str, &'m Manifest>);

impl<'m> Successors<'m> {
    /// Takes in all manifests.
    pub(super) fn of(manifests: &'m [Manifest]) -> Self {
        let replaced = |manifest: &'m Manifest| {
            manifest.replaced.iter().map(move |file| (file.key.as_str(), manifest))
        };
        Self(manifests.iter().flat_map(replaced).collect())
    }

    /// Returns the files that may have rows of a unit's files, each once. Of which of a compaction's
    /// inputs a row was is not known, so that all its files of the table count.
    pub(super) fn files(&self, manifest: &'m Manifest) -> Vec<&'m DataFile> {
        let mut seen = HashSet::new();
        let mut waiting: Vec<&'m DataFile> = manifest.files.iter().rev().collect();
        let mut found = Vec::new();
        while let Some(file) = waiting.pop() {
            if !seen.insert(file.key.as_str()) {
                continue;
            }
            match self.0.get(file.key.as_str()) {
                Some(by) => waiting.extend(by.files.iter().filter(|new| new.table == file.table)),
                None => found.push(file),
            }
        }
        found
    }
}
