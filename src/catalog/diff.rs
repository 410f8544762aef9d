//! The difference between the catalog that the lake wants and the existing one.
//!
//! [`diff()`] is a pure function, the same for every catalog. Wanted documents are laid over
//! existing ones (see `merged_over` in `input.rs`); documents that then equal the existing ones
//! need no call. A table that is not ours to change (an Iceberg table, a view, a CloudTrail-serde
//! table of the same name, other partition columns) is refused rather than overwritten. A
//! [`CatalogDiff`] prints one line per difference; [`CatalogDiff::report`] is the same for
//! machines, without the documents themselves.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::hive_type::type_change_is_additive;
use super::parameters::{COLUMNS, LAKE, SCHEMA_VERSION, SERDE, VIEWS};
use super::{
    Column, Parameters, PartitionDefinition, PartitionIndex, PartitionInput, Publication,
    StorageDescriptor, TableDefinition, TableInput,
};
use crate::error::{Error, Result};

/// Treatment of partitions that exist and are not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExtraPartition {
    /// Leave them: the wanted list has only partitions that a run touched.
    Keep,
    /// Delete them: the wanted list is the whole lake.
    Delete,
}

/// A table as the catalog has it now.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// Whether the database exists.
    pub database: bool,
    /// The table, if it exists.
    pub table: Option<TableInput>,
    /// The version of the table that was read, where the catalog counts versions.
    pub version: Option<String>,
    /// Its partitions: all of them, or those that [`diff()`] is asked about. One without columns is
    /// one whose columns are known to be others than the table's.
    pub partitions: Vec<PartitionInput>,
    /// The columns of its partition indexes.
    pub indexes: Vec<Vec<String>>,
}

impl Existing {
    /// Returns whether the table was published with partition projection by us.
    pub fn is_projected(&self) -> bool {
        self.table.as_ref().is_some_and(TableInput::is_projected)
    }
}

/// A table as the lake wants it, whatever the catalog has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The table, as it would be created.
    pub input: TableInput,
    owned_parameters: Vec<&'static str>,
}

impl Wanted {
    /// Creates one whose parameters with these beginnings are ours alone.
    pub(super) fn new(input: TableInput, owned_parameters: Vec<&'static str>) -> Self {
        Self { input, owned_parameters }
    }

    /// Returns the table to write over `found`: our own fields as we want them, the rest unchanged.
    ///
    /// # Errors `Config` if the existing table is not ours to change.
    pub fn over(&self, found: &TableInput) -> Result<TableInput> {
        refuse_foreign(&self.input, found)?;
        let mut merged = self.input.merged_over(found);
        let is_stale = |name: &str| {
            self.owned_parameters.iter().any(|start| name.starts_with(start))
                && !self.input.parameters.contains_key(name)
        };
        merged.parameters.retain(|name, _| !is_stale(name));
        Ok(merged)
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants' docs say it")]
pub enum Change {
    /// A column is new at its place.
    ColumnAdded { column: String },
    /// A column is gone.
    ColumnRemoved { column: String },
    /// The columns both have stand in another order.
    ColumnsReordered,
    /// The columns are known to be others than the table's; which ones was not read.
    Columns,
    /// A column's type differs; additive: it only grew at the end of structs.
    ColumnType { column: String, additive: bool },
    /// The description of a column, partition column, table or view differs: one is added where none was, and
    /// taken away from a view.
    Comment { on: String },
    /// A parameter of the table, partition, storage or serde differs.
    Parameter { name: String, from: Option<String>, to: String },
    /// A parameter that is ours is gone.
    ParameterRemoved { name: String },
    /// The folder differs.
    Location { from: String, to: String },
    /// What a view selects differs.
    Definition,
    /// Formats, table type or bucketing differ from those of a Parquet table.
    Format,
}

/// A table to update.
#[derive(Clone, Debug, PartialEq)]
pub struct TableUpdate {
    /// The whole document to write.
    pub input: TableInput,
    /// The differences.
    pub changes: Vec<Change>,
    /// Whether every partition registered so far can still be read.
    pub additive: bool,
}

/// A partition to update.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionUpdate {
    /// The whole document to write.
    pub input: PartitionInput,
    /// The differences.
    pub changes: Vec<Change>,
}

/// Changes to a catalog, in this order: database, table, partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogDiff {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// Whether to create the database.
    pub create_database: bool,
    /// The table to create.
    pub create_table: Option<TableInput>,
    /// The table to update.
    pub update_table: Option<TableUpdate>,
    /// Partitions to create, sorted by values.
    pub create_partitions: Vec<PartitionInput>,
    /// Partitions to update, sorted by values.
    pub update_partitions: Vec<PartitionUpdate>,
    /// Values of partitions to delete, sorted.
    pub delete_partitions: Vec<Vec<String>>,
    /// The partition index to create.
    pub create_index: Option<PartitionIndex>,
    /// The version of the table that the diff was made from, where the catalog counts versions.
    pub version: Option<String>,
    /// Warnings; no change follows from them.
    pub warnings: Vec<String>,
    /// The wanted table, to compute the diff again when the table changes concurrently.
    pub wanted: Wanted,
    /// Differences of the table's views, empty ones included; each is a diff of its own.
    pub views: Vec<CatalogDiff>,
    /// Whether to delete the view that this is a diff of.
    pub delete_view: bool,
    /// Whether something of the view's name exists that is not ours.
    pub is_refused: bool,
}

/// A diff for machines: names and changes, without the documents.
#[expect(clippy::struct_excessive_bools, reason = "a report, not a state")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffReport {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// Whether there is nothing to do.
    pub in_sync: bool,
    /// Whether to create the database.
    pub create_database: bool,
    /// Whether to create the table.
    pub create_table: bool,
    /// Differences of the table.
    pub table_changes: Vec<Change>,
    /// Whether the change of the table leaves registered partitions readable.
    pub additive: bool,
    /// `key=value/…` of partitions to create.
    pub create_partitions: Vec<String>,
    /// `key=value/…` of partitions to update, and what differs.
    pub update_partitions: BTreeMap<String, Vec<Change>>,
    /// `key=value/…` of partitions to delete.
    pub delete_partitions: Vec<String>,
    /// The columns of the partition index to create.
    pub create_index: Vec<String>,
    /// Views to create.
    pub create_views: Vec<String>,
    /// Views to update, and what differs.
    pub update_views: BTreeMap<String, Vec<Change>>,
    /// Views to delete.
    pub delete_views: Vec<String>,
    /// Names of views that something has that is not ours, which is left alone.
    pub refused_views: Vec<String>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// Compares the wanted table with the existing one.
///
/// # Errors `Config` if a service would refuse the wanted table, if a partition is wanted twice, or
/// if the existing table is not a Parquet table with the same partition columns.
pub fn diff(
    table: &TableDefinition,
    partitions: &[PartitionDefinition],
    existing: &Existing,
    on_extra: OnExtraPartition,
) -> Result<CatalogDiff> {
    table.validate()?;
    let mut owned_parameters = table.publication.owned_parameters().to_vec();
    owned_parameters.extend(table.views.as_ref().map(|_| VIEWS));
    let wanted = Wanted::new(table.table_input(), owned_parameters);
    let mut diff = CatalogDiff {
        database: table.database.clone(),
        table: table.name.clone(),
        create_database: !existing.database,
        version: existing.version.clone(),
        ..CatalogDiff::default()
    };
    let mut columns = wanted.input.storage_descriptor.columns.bare();
    match &existing.table {
        None => diff.create_table = Some(wanted.input.clone()),
        Some(found) => {
            let input = wanted.over(found)?;
            diff.warnings = warnings(&wanted.input, &input, found);
            columns = input.storage_descriptor.columns.bare();
            if input != *found {
                let changes = table_changes(found, &input);
                let additive = super::is_additive(found.columns(), input.columns());
                diff.update_table = Some(TableUpdate { input, changes, additive });
            }
        }
    }
    diff.create_index = table.partition_index().filter(|i| !existing.indexes.contains(&i.keys));
    diff.wanted = wanted;
    if table.publication == Publication::Projected {
        diff.delete_all(&existing.partitions);
        return Ok(diff);
    }
    let inputs = table.partition_inputs_with(&columns, partitions);
    for definition in partitions {
        table.validate_partition(definition)?;
    }
    diff.compare_partitions(inputs, &existing.partitions, on_extra)?;
    Ok(diff)
}

impl CatalogDiff {
    /// Returns whether the catalog is in line with the lake.
    pub fn is_empty(&self) -> bool {
        !self.create_database
            && self.create_table.is_none()
            && self.update_table.is_none()
            && self.create_partitions.is_empty()
            && self.update_partitions.is_empty()
            && self.delete_partitions.is_empty()
            && self.create_index.is_none()
            && !self.delete_view
            && self.views.iter().all(Self::is_empty)
    }

    /// Returns whether something of a view's name is not ours: no run can bring that in line.
    pub fn has_refused(&self) -> bool {
        self.is_refused || self.views.iter().any(Self::has_refused)
    }

    /// Returns the diff for `--report json`.
    pub fn report(&self) -> DiffReport {
        let name = |values: &[String]| self.wanted.input.partition_name(values);
        let views = |is_meant: &dyn Fn(&Self) -> bool| -> Vec<String> {
            let meant = self.views.iter().filter(|view| is_meant(view));
            meant.map(|view| view.table.clone()).collect()
        };
        DiffReport {
            database: self.database.clone(),
            table: self.table.clone(),
            in_sync: self.is_empty() && !self.has_refused(),
            create_database: self.create_database,
            create_table: self.create_table.is_some(),
            table_changes: self.update_table.iter().flat_map(|u| u.changes.clone()).collect(),
            additive: self.update_table.as_ref().is_none_or(|u| u.additive),
            create_partitions: self.create_partitions.iter().map(|p| name(&p.values)).collect(),
            update_partitions: self
                .update_partitions
                .iter()
                .map(|u| (name(&u.input.values), u.changes.clone()))
                .collect(),
            delete_partitions: self.delete_partitions.iter().map(|v| name(v)).collect(),
            create_index: self.create_index.iter().flat_map(|i| i.keys.clone()).collect(),
            create_views: views(&|view| view.create_table.is_some()),
            update_views: self.views.iter().filter_map(Self::named_changes).collect(),
            delete_views: views(&|view| view.delete_view),
            refused_views: views(&|view| view.is_refused),
            warnings: self.warnings.clone(),
        }
    }

    /// Returns the name of a view to update, and what differs.
    fn named_changes(&self) -> Option<(String, Vec<Change>)> {
        Some((self.table.clone(), self.update_table.as_ref()?.changes.clone()))
    }

    fn delete_all(&mut self, existing: &[PartitionInput]) {
        let values: BTreeSet<_> = existing.iter().map(|p| p.values.clone()).collect();
        self.delete_partitions = values.into_iter().collect();
        if !self.delete_partitions.is_empty() {
            self.warnings.push(
                "partition projection replaces the registered partitions: engines other than \
                 Athena and Trino see none"
                    .into(),
            );
        }
    }

    fn compare_partitions(
        &mut self,
        wanted: Vec<PartitionInput>,
        existing: &[PartitionInput],
        on_extra: OnExtraPartition,
    ) -> Result<()> {
        let found: BTreeMap<&[String], &PartitionInput> =
            existing.iter().map(|p| (p.values.as_slice(), p)).collect();
        let mut seen = BTreeSet::new();
        for input in wanted {
            if !seen.insert(input.values.clone()) {
                let name = self.wanted.input.partition_name(&input.values);
                return Err(Error::config("duplicate partition").at("partition", name));
            }
            let Some(found) = found.get(input.values.as_slice()) else {
                self.create_partitions.push(input);
                continue;
            };
            let input = input.merged_over(found);
            if input != **found {
                let mut changes = parameter_changes(&found.parameters, &input.parameters);
                let (old, new) = (&found.storage_descriptor, &input.storage_descriptor);
                changes.splice(0..0, storage_changes(old, new));
                // It follows from the columns; alone it is worth a line.
                if changes.len() > 1 {
                    changes.retain(
                        |c| !matches!(c, Change::Parameter { name, .. } if name == COLUMNS),
                    );
                }
                self.update_partitions.push(PartitionUpdate { input, changes });
            }
        }
        if on_extra == OnExtraPartition::Delete {
            let extra = found.keys().filter(|values| !seen.contains(**values));
            self.delete_partitions = extra.map(|values| values.to_vec()).collect();
        }
        self.create_partitions.sort_by(|a, b| a.values.cmp(&b.values));
        self.update_partitions.sort_by(|a, b| a.input.values.cmp(&b.input.values));
        Ok(())
    }
}

/// Refuses a table that belongs to another lake than the one at this address.
///
/// # Errors
/// `Config`, naming the other lake.
fn refuse_other_lake(found: &TableInput, lake: &str) -> Result<()> {
    match found.parameters.get(LAKE).filter(|other| *other != lake) {
        None => Ok(()),
        Some(other) => {
            let message = "a table of this name belongs to another lake, or this lake was moved: choose \
                           another `--database` or `--table`, or drop the table if that lake no \
                           longer exists";
            Err(Error::config(message).at("table", &found.name).at("lake", other))
        }
    }
}

/// Refuses to take over a table that was not made by this lake, or that it made at another address.
///
/// # Errors `Config`, naming the owner or the difference.
pub fn refuse_foreign(wanted: &TableInput, found: &TableInput) -> Result<()> {
    let names = |table: &TableInput| -> Vec<String> {
        table.partition_keys.iter().map(|k| k.name.clone()).collect()
    };
    if let Some(lake) = wanted.parameters.get(LAKE) {
        if wanted.is_view() {
            return refuse_foreign_view(found, lake);
        }
        refuse_other_lake(found, lake)?;
    }
    let is_ours = found.parameters.contains_key(SCHEMA_VERSION);
    let why = if found.storage_descriptor.serde_info.serialization_library != SERDE
        || found.table_type != wanted.table_type
        || found.parameters.contains_key("table_type")
    {
        "a table of this name exists and is not an external Parquet table"
    } else if names(wanted) != names(found) {
        "the existing table has other partition columns; drop it or choose another name"
    } else if !is_ours && wanted.location() != found.location() {
        "a table of this name exists and belongs to other data"
    } else {
        return Ok(());
    };
    Err(Error::config(why).at("table", &found.name))
}

/// Refuses to take over what is not a view that we made for the lake at this address.
///
/// # Errors
/// `Config` then.
fn refuse_foreign_view(found: &TableInput, lake: &str) -> Result<()> {
    if found.is_view_of(lake) {
        return Ok(());
    }
    let message = "a table or view of this name exists and was not made for this lake";
    Err(Error::config(message).at("table", &found.name))
}

fn warnings(wanted: &TableInput, merged: &TableInput, found: &TableInput) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_on = |table: &TableInput| {
        table.parameters.get("projection.enabled").is_some_and(|v| v.eq_ignore_ascii_case("true"))
    };
    if is_on(merged) && !is_on(wanted) {
        warnings.push(
            "`projection.enabled` is set on the table: Athena ignores registered partitions".into(),
        );
    }
    let version = |table: &TableInput| -> Option<u32> {
        table.parameters.get(SCHEMA_VERSION).and_then(|v| v.parse().ok())
    };
    if version(found) > version(wanted) {
        warnings.push("the catalog has a newer schema version than the lake".into());
    }
    warnings
}

pub(super) fn table_changes(old: &TableInput, new: &TableInput) -> Vec<Change> {
    let mut changes = storage_changes(&old.storage_descriptor, &new.storage_descriptor);
    for (old, new) in old.partition_keys.iter().zip(&new.partition_keys) {
        changes.extend(column_change(old, new));
    }
    if old.description != new.description {
        changes.push(Change::Comment { on: new.name.clone() });
    }
    changes.extend(parameter_changes(&old.parameters, &new.parameters));
    if old.view_original_text != new.view_original_text {
        changes.push(Change::Definition);
    }
    changes
}

fn storage_changes(old: &StorageDescriptor, new: &StorageDescriptor) -> Vec<Change> {
    let mut changes = column_changes(&old.columns, &new.columns);
    if old.location != new.location {
        changes.push(Change::Location { from: old.location.clone(), to: new.location.clone() });
    }
    changes.extend(parameter_changes(&old.parameters, &new.parameters));
    let (old_serde, new_serde) = (&old.serde_info, &new.serde_info);
    changes.extend(parameter_changes(&old_serde.parameters, &new_serde.parameters));
    // Remaining differences are a format, a class or a flag.
    let rest = StorageDescriptor {
        columns: new.columns.clone(),
        location: new.location.clone(),
        parameters: new.parameters.clone(),
        serde_info: super::SerdeInfo {
            parameters: new_serde.parameters.clone(),
            ..old_serde.clone()
        },
        ..old.clone()
    };
    if rest != *new {
        changes.push(Change::Format);
    }
    changes
}

fn column_changes(old: &[Column], new: &[Column]) -> Vec<Change> {
    if old.is_empty() && !new.is_empty() {
        return vec![Change::Columns];
    }
    let by_name = |columns: &[Column]| -> BTreeMap<String, usize> {
        columns.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect()
    };
    let (old_places, new_places) = (by_name(old), by_name(new));
    let gone = old.iter().filter(|c| !new_places.contains_key(&c.name));
    let mut changes: Vec<Change> =
        gone.map(|c| Change::ColumnRemoved { column: c.name.clone() }).collect();
    let mut places = Vec::new();
    for column in new {
        match old_places.get(&column.name).and_then(|&place| Some((place, old.get(place)?))) {
            None => changes.push(Change::ColumnAdded { column: column.name.clone() }),
            Some((place, before)) => {
                places.push(place);
                changes.extend(column_change(before, column));
            }
        }
    }
    if !places.is_sorted() {
        changes.push(Change::ColumnsReordered);
    }
    changes
}

fn column_change(old: &Column, new: &Column) -> Option<Change> {
    if old.hive_type != new.hive_type {
        let additive = type_change_is_additive(&old.hive_type, &new.hive_type);
        return Some(Change::ColumnType { column: new.name.clone(), additive });
    }
    (old.comment != new.comment).then(|| Change::Comment { on: new.name.clone() })
}

fn parameter_changes(old: &Parameters, new: &Parameters) -> Vec<Change> {
    let differs = new.iter().filter(|(name, value)| old.get(*name) != Some(value));
    let set = differs.map(|(name, value)| Change::Parameter {
        name: name.clone(),
        from: old.get(name).cloned(),
        to: value.clone(),
    });
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    set.chain(gone.map(|name| Change::ParameterRemoved { name: name.clone() })).collect()
}

#[cfg(test)]
mod tests;
