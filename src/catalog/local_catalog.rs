//! The local catalog: Glue's documents in a folder of the lake.
//!
//! ```text
//! databases/<database>/database.json                     DatabaseInput
//! databases/<database>/tables/<table>/table.json         TableInput
//! databases/<database>/tables/<table>/partitions.jsonl   PartitionInput, one a line, by Values
//! ```
//!
//! Every file is replaced whole: written to a hidden name beside it, synced, renamed. A file whose
//! bytes would not change is not touched. In `partitions.jsonl` a partition whose columns are those
//! of its table leaves `Columns` out, as Glue allows, and gets them back when it is read: an inferred
//! schema is tens of kilobytes, and writing it once per partition would be most of the lake.
//! There is no lock here; the lake's lease is the lock. All of it follows from the lake: a document that
//! is damaged counts as absent when the catalog is brought in line, which makes it again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind as IoKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::definition::check_name;
use super::input::DATABASE_DESCRIPTION;
use super::{
    Applied, CatalogDiff, Columns, DatabaseInput, Existing, PartitionInput, TableInput, is_name,
};
use crate::error::{Error, ErrorKind, Result};
use crate::notice::tell;

/// A catalog in a folder.
#[derive(Clone, Debug)]
pub struct LocalCatalog {
    root: PathBuf,
}

impl LocalCatalog {
    /// Opens the catalog in a folder, usually `<lake>/_trailmill/catalog`. A folder that is not there
    /// is an empty catalog, and is created by the first [`LocalCatalog::apply`].
    ///
    /// # Errors
    /// `Config` if the path is not a folder.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        match fs::metadata(&root) {
            Ok(metadata) if !metadata.is_dir() => {
                Err(Error::config("the catalog is not a folder").at("path", root.display()))
            }
            Err(err) if err.kind() != IoKind::NotFound => {
                Err(Error::io("cannot open the catalog", err).at("path", root.display()))
            }
            _ => Ok(Self { root }),
        }
    }

    /// Returns the names of the databases, sorted.
    ///
    /// # Errors
    /// `Io` if the folder cannot be listed.
    pub fn databases(&self) -> Result<Vec<String>> {
        folders_with(&self.root.join("databases"), "database.json")
    }

    /// Returns the names of the tables of a database, sorted; none if there is no such database.
    ///
    /// # Errors
    /// `Config` for an impossible name, `Io` if the folder cannot be listed.
    pub fn tables(&self, database: &str) -> Result<Vec<String>> {
        folders_with(&self.database_folder(database)?.join("tables"), "table.json")
    }

    /// Returns a table, if there is one.
    ///
    /// # Errors
    /// `Config` for an impossible name, `Damaged` if the file is not a `TableInput` of that name.
    pub fn table(&self, database: &str, table: &str) -> Result<Option<TableInput>> {
        let path = self.table_folder(database, table)?.join("table.json");
        let Some(bytes) = read(&path)? else { return Ok(None) };
        let input: TableInput = parse(&bytes).map_err(|err| err.at("path", path.display()))?;
        if input.name != table {
            return Err(damaged(
                "the document belongs to a table of another \
                                name",
            )
            .at("path", path.display()));
        }
        Ok(Some(input))
    }

    /// Returns the partitions of a table, sorted by values; none if there is no such table.
    ///
    /// # Errors
    /// `Config` for an impossible name, `Damaged` with the line that is not a `PartitionInput` of
    /// that table.
    pub fn partitions(&self, database: &str, table: &str) -> Result<Vec<PartitionInput>> {
        let Some(input) = self.table(database, table)? else { return Ok(Vec::new()) };
        Ok(self.partitions_of(database, &input)?.into_values().collect())
    }

    /// Returns the state that [`super::diff()`] compares with; damaged documents count as absent.
    ///
    /// # Errors
    /// `Config` for an impossible name, `Io` if a document cannot be read.
    pub fn existing(&self, database: &str, table: &str) -> Result<Existing> {
        let input = or_absent(self.table(database, table), tell)?;
        let partitions = match &input {
            Some(input) => or_absent(self.partitions_of(database, input), tell)?,
            None => BTreeMap::new(),
        };
        Ok(Existing {
            database: or_absent(self.database(database), tell)?.is_some(),
            table: input,
            partitions: partitions.into_values().collect(),
            // Neither versions nor indexes are kept here: the lease is the lock.
            ..Existing::default()
        })
    }

    /// Applies a diff. Safe to repeat: the second time writes nothing.
    ///
    /// # Errors
    /// `Io` if a file cannot be written, `Config` if the diff has partitions for a table that neither
    /// exists nor is created.
    pub fn apply(&self, diff: &CatalogDiff) -> Result<Applied> {
        let folder = self.table_folder(&diff.database, &diff.table)?;
        // The diff was made from the readable documents, and damage was reported then.
        let untold = |_: &str| {};
        let before = or_absent(self.table(&diff.database, &diff.table), untold)?;
        let mut partitions = match &before {
            Some(table) => or_absent(self.partitions_of(&diff.database, table), untold)?,
            None => BTreeMap::new(),
        };
        let mut applied = Applied::default();
        if diff.create_database {
            let database = DatabaseInput {
                name: diff.database.clone(),
                description: DATABASE_DESCRIPTION.to_owned(),
                ..DatabaseInput::default()
            };
            let path = self.database_folder(&diff.database)?.join("database.json");
            // A database created in the meantime may have foreign keys: leave it.
            if or_absent(self.database(&diff.database), untold)?.is_none() {
                applied.files += write_changed(&path, &pretty(&database)?)?;
            }
        }
        let wanted = diff.create_table.as_ref().or(diff.update_table.as_ref().map(|u| &u.input));
        if let Some(table) = wanted {
            applied.files += write_changed(&folder.join("table.json"), &pretty(table)?)?;
        }
        for values in &diff.delete_partitions {
            applied.partitions += u64::from(partitions.remove(values).is_some());
        }
        let updates = diff.update_partitions.iter().map(|u| &u.input);
        for partition in diff.create_partitions.iter().chain(updates) {
            let before = partitions.insert(partition.values.clone(), partition.clone());
            applied.partitions += u64::from(before.as_ref() != Some(partition));
        }
        let Some(table) = wanted.or(before.as_ref()) else {
            if partitions.is_empty() {
                return Ok(applied);
            }
            return Err(
                Error::config("cannot add partitions: table not found").at("table", &diff.table)
            );
        };
        let path = folder.join("partitions.jsonl");
        let (has_work, moved) = (applied.partitions > 0, before.as_ref() != Some(table));
        if has_work || (moved && !partitions.is_empty()) {
            applied.files += write_changed(&path, &lines(table, partitions)?)?;
        }
        Ok(applied)
    }

    fn database(&self, database: &str) -> Result<Option<DatabaseInput>> {
        let path = self.database_folder(database)?.join("database.json");
        let Some(bytes) = read(&path)? else { return Ok(None) };
        parse(&bytes).map(Some).map_err(|err| err.at("path", path.display()))
    }

    fn partitions_of(
        &self,
        database: &str,
        table: &TableInput,
    ) -> Result<BTreeMap<Vec<String>, PartitionInput>> {
        let path = self.table_folder(database, &table.name)?.join("partitions.jsonl");
        let bytes = read(&path)?.unwrap_or_default();
        let shared = table.storage_descriptor.columns.bare();
        let mut partitions = BTreeMap::new();
        let place = |err: Error, line| err.at("path", path.display()).at("line", line);
        for (i, line) in bytes.split(|&b| b == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let mut partition: PartitionInput = parse(line).map_err(|err| place(err, i + 1))?;
            if partition.values.len() != table.partition_keys.len() {
                let message = "expected one value for each partition column";
                return Err(place(damaged(message), i + 1));
            }
            let columns = &mut partition.storage_descriptor.columns;
            if columns.is_empty() || *columns == shared {
                *columns = shared.clone();
            }
            if partitions.insert(partition.values.clone(), partition).is_some() {
                return Err(place(damaged("duplicate partition"), i + 1));
            }
        }
        Ok(partitions)
    }

    fn database_folder(&self, database: &str) -> Result<PathBuf> {
        check_name("database", database)?;
        Ok(self.root.join("databases").join(database))
    }

    fn table_folder(&self, database: &str, table: &str) -> Result<PathBuf> {
        check_name("table", table)?;
        Ok(self.database_folder(database)?.join("tables").join(table))
    }
}

/// Renders the partitions of a table, without the columns that are the table's.
fn lines(table: &TableInput, partitions: BTreeMap<Vec<String>, PartitionInput>) -> Result<Vec<u8>> {
    let shared = table.storage_descriptor.columns.bare();
    let mut bytes = Vec::new();
    for mut partition in partitions.into_values() {
        if partition.storage_descriptor.columns == shared {
            partition.storage_descriptor.columns = Columns::default();
        }
        serde_json::to_writer(&mut bytes, &partition).map_err(unserializable)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(unserializable)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn unserializable(err: serde_json::Error) -> Error {
    Error::new(ErrorKind::Bug, "cannot serialize a catalog document").because(err)
}

/// Takes a damaged document for an absent one, and says so.
fn or_absent<T: Default>(found: Result<T>, tell: impl Fn(&str)) -> Result<T> {
    match found {
        Err(err) if err.kind() == ErrorKind::Damaged => {
            tell(&format!("rebuilding a damaged document of the lake's catalog: {err}"));
            Ok(T::default())
        }
        found => found,
    }
}

fn damaged(message: &str) -> Error {
    Error::new(ErrorKind::Damaged, message)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|err| damaged("cannot read a catalog document").because(err))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(err) if err.kind() == IoKind::NotFound => Ok(None),
        Err(err) => Err(Error::io("cannot read the catalog", err).at("path", path.display())),
    }
}

/// Returns the valid names of the folders in `folder` that hold the file `marker`.
fn folders_with(folder: &Path, marker: &str) -> Result<Vec<String>> {
    let place = |err| Error::io("cannot list the catalog", err).at("path", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(err) if err.kind() == IoKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(place)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let Ok(name) = entry.map_err(place)?.file_name().into_string() else { continue };
        if is_name(&name) && fs::metadata(folder.join(&name).join(marker)).is_ok() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Replaces a file whole, if its bytes differ. Returns how many files were written: 0 or 1.
fn write_changed(path: &Path, bytes: &[u8]) -> Result<u64> {
    if read(path)?.is_some_and(|before| before == bytes) {
        return Ok(0);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::new(ErrorKind::Bug, "a catalog file has no name"));
    };
    // One name for all runs, since the lease lets only one write: a file left by a killed run is
    // replaced.
    let temporary = folder.join(format!(".{}.tmp", name.to_string_lossy()));
    let replace = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // Not every file system lets a folder be synced; the rename is atomic all the same.
        let _ = File::open(folder).and_then(|f| f.sync_all());
        Ok(())
    };
    match replace() {
        Ok(()) => Ok(1),
        Err(err) => {
            // The first failure is reported; the file left behind is hidden and harmless.
            let _ = fs::remove_file(&temporary);
            Err(Error::io("cannot write the catalog", err).at("path", path.display()))
        }
    }
}

#[cfg(test)]
mod tests;
