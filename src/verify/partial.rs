//! A part of the sources: objects left by a retention rule, or selected by options.
//!
//! Rows do not name their object, so that rows of objects that are not compared look unexpected.
//! The converter's ledger says how many rows each unit wrote for each object; a unit's rows lie in
//! files with its name. That number of unexpected rows is excused in those files and in no others,
//! and the files must still hold as many rows as the ledger says. Compared objects are compared in
//! full.

use super::files::{Opening, Place, Placed};
use super::row::Fingerprint;
use super::source_files::SourceFile;
use super::{Comparison, VerifyReport, data_files};
use crate::error::Result;
use hashbrown::HashMap;
use std::fmt;
use std::sync::Arc;

/// Files whose rows are counted together.
const FILES_AT_ONCE: usize = 64;

/// The part of the sources to compare, and the ledger's counts for the rest.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    /// Selects objects by name, as options ask.
    pub wants: Wants,
    /// Whether objects of the ledger may be gone from the sources.
    pub may_be_gone: bool,
    /// The converted units.
    pub units: Vec<ConvertedUnit>,
    /// Units whose rows were merged into common files, each with the name of their group.
    pub merged: HashMap<String, String>,
}

/// Selects objects by name: `/path/to/object` or `s3://bucket/key`.
#[derive(Clone)]
pub struct Wants(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Wants {
    /// Selects the names for which a function is true.
    pub fn new(wants: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(wants))
    }

    fn has(&self, name: &str) -> bool {
        (self.0)(name)
    }
}

impl Default for Wants {
    fn default() -> Self {
        Self::new(|_| true)
    }
}

impl fmt::Debug for Wants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wants")
    }
}

/// A unit of the lake, as the converter's ledger has it.
#[derive(Clone, Debug, Default)]
pub struct ConvertedUnit {
    /// Number and identity, as in the names of its files: `00000007-1f0c2a9be3d45678`.
    pub unit: String,
    /// Rows of its files that are gone and in other units' files now.
    pub rows_restored: u64,
    /// Its objects.
    pub objects: Vec<ConvertedObject>,
}

/// An object of a unit.
#[derive(Clone, Debug, Default)]
pub struct ConvertedObject {
    /// The object's name; a member of an archive is `<archive>!/<member>`.
    pub name: String,
    /// The entity tag of the converted object; empty for members of archives.
    pub etag: String,
    /// Rows that were written for it.
    pub rows: u64,
}

/// Objects and rows that are not compared.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Objects that are no longer there.
    gone: u64,
    /// Objects that options leave out.
    unwanted: u64,
    /// By unit or group, how many rows are excused, and how many there must be in all.
    units: HashMap<String, Excuse>,
    merged: HashMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Excuse {
    rows: u64,
    all_rows: u64,
    rows_restored: u64,
}

impl Partial {
    /// Finds the objects of the ledger that are not compared; keeps the wanted objects in
    /// `sources`.
    pub(super) fn narrow(&self, sources: &mut Vec<SourceFile>) -> Rest {
        let etag = |file: &SourceFile| match file.place() {
            Place::Remote(file) => Some(file.etag.clone()),
            Place::Local(_) => None,
        };
        let there: HashMap<&str, Option<String>> =
            sources.iter().map(|file| (file.key.as_str(), etag(file))).collect();
        let mut rest = Rest { merged: self.merged.clone(), ..Rest::default() };
        for unit in &self.units {
            let group = self.merged.get(&unit.unit).unwrap_or(&unit.unit);
            let excuse = rest.units.entry(group.clone()).or_default();
            for object in &unit.objects {
                excuse.all_rows += object.rows;
                let is_member = object.etag.is_empty();
                // The key of an archive has account and date; the names of its members do not.
                let name = object.name.split("!/").next().unwrap_or(&object.name);
                let is_there = there.get(name).is_some_and(|etag| {
                    is_member || etag.as_ref().is_none_or(|etag| *etag == object.etag)
                });
                if !self.wants.has(name) {
                    rest.unwanted += u64::from(!is_member);
                } else if !is_there && self.may_be_gone {
                    rest.gone += u64::from(!is_member);
                } else {
                    continue;
                }
                excuse.rows += object.rows;
            }
            excuse.rows_restored += unit.rows_restored;
        }
        rest.units.retain(|_, excuse| {
            excuse.all_rows = excuse.all_rows.saturating_sub(excuse.rows_restored);
            excuse.rows > 0
        });
        drop(there);
        sources.retain(|file| self.wants.has(&file.key));
        rest
    }
}

impl Rest {
    /// The group of the unit in a file's name, or the unit.
    fn group_of<'n>(&'n self, name: &'n str) -> &'n str {
        let unit = unit_of(name);
        self.merged.get(unit).map_or(unit, String::as_str)
    }

    /// Returns whether rows of a file may be excused.
    fn has(&self, name: &str) -> bool {
        self.units.contains_key(self.group_of(name))
    }

    /// Notes in the report the rows that are not compared; `rows` are the rows of each file, in
    /// order.
    pub(super) fn note(
        &self,
        files: &[data_files::LakeFile],
        rows: &[u64],
        report: &mut VerifyReport,
    ) {
        report.objects_gone = self.gone;
        report.objects_unwanted = self.unwanted;
        let mut found: HashMap<&str, u64> = HashMap::new();
        for (file, rows) in files.iter().zip(rows) {
            *found.entry(self.group_of(&file.name)).or_default() += rows;
        }
        let lacks = self.units.iter().map(|(unit, excuse)| {
            excuse.all_rows.saturating_sub(found.get(unit.as_str()).copied().unwrap_or(0))
        });
        report.rows_lost = lacks.sum();
    }
}

impl Comparison<'_> {
    /// Excuses unexpected rows of objects that are not compared; returns how many.
    pub(super) fn excuse(
        &self,
        rest: &mut Rest,
        unexpected: &mut HashMap<Fingerprint, u64>,
    ) -> Result<u64> {
        let mut excused = 0;
        let files: Vec<&data_files::LakeFile> =
            self.lake.iter().filter(|file| rest.has(&file.name)).collect();
        for files in files.chunks(FILES_AT_ONCE) {
            if unexpected.is_empty() {
                break;
            }
            let open = &*unexpected;
            let find = |file: &&data_files::LakeFile, opening: Opening<'_>| {
                let data = opening.data_file()?;
                let reading =
                    data_files::read(file, &data, |found: &mut Vec<Fingerprint>, row, _| {
                        let row = row.fingerprint(file.family);
                        found.extend(open.contains_key(&row).then_some(row));
                    });
                Ok(reading.groups.concat())
            };
            let found: Vec<Vec<Fingerprint>> = self.each(files, find)?;
            for (file, rows) in files.iter().zip(found) {
                let group = rest.group_of(&file.name).to_owned();
                let Some(excuse) = rest.units.get_mut(&group) else { continue };
                for row in rows {
                    let Some(left) = unexpected.get_mut(&row).filter(|_| excuse.rows > 0) else {
                        continue;
                    };
                    excuse.rows -= 1;
                    excused += 1;
                    *left -= 1;
                    if *left == 0 {
                        unexpected.remove(&row);
                    }
                }
            }
        }
        Ok(excused)
    }
}

/// The unit in a data file's name, `part-<number>-<identity>-…`; empty where there is none.
fn unit_of(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    let Some(rest) = name.strip_prefix("part-") else { return "" };
    let end = rest.match_indices('-').nth(1).map_or(0, |(at, _)| at);
    rest.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::unit_of;

    #[test]
    fn a_unit_is_read_from_the_name_of_a_file() {
        let name = "t/p=1/part-00000007-0123456789abcdef-0000-00.parquet";
        assert_eq!(unit_of(name), "00000007-0123456789abcdef");
        for other in ["t/x.parquet", "t/part-7.parquet", "", "part-00000007-01.parquet"] {
            assert_eq!(unit_of(other), "", "{other}");
        }
    }
}
