//! From manifests and the lock to the catalog: what the lake says the tables are.

use crate::catalog::{
    Column, LocalCatalog, OnExtraPartition, PartitionDefinition, Plan, TableDefinition, plan,
};
use crate::commit::Manifest;
use crate::error::Result;
use crate::partition::values_of;
use crate::schema::{Family, Kind, Lock, Role, columns, hive_type};
use crate::storage::{OWN, Storage};
use std::collections::BTreeMap;

/// Names in the catalog.
#[derive(Clone, Debug)]
pub struct CatalogOptions {
    /// The database.
    pub database: String,
    /// The base name of the tables.
    pub table: String,
}

/// Returns the columns of a family's table as the catalog names them.
fn catalog_columns(family: Family, lock: &Lock, nested: bool) -> Vec<Column> {
    columns(family)
        .into_iter()
        .filter_map(|spec| {
            let hive = match &spec.role {
                Role::Nested(_) if !nested => return None,
                // A struct without members is no type; the column comes with its first member.
                Role::Nested(_) => match &lock.column(family, spec.name)?.kind {
                    Kind::Struct(fields) if fields.is_empty() => return None,
                    kind => kind.hive_type(),
                },
                role => hive_type(role)?,
            };
            Some(Column::new(spec.name, hive).with_comment(spec.comment))
        })
        .collect()
}

/// Returns the tables that the manifests describe, with their partitions.
fn tables(
    storage: &Storage,
    manifests: &[Manifest],
    lock: &Lock,
    options: &CatalogOptions,
) -> Vec<(TableDefinition, Vec<PartitionDefinition>)> {
    let address = storage.address();
    let nested = manifests.iter().any(|manifest| manifest.nested);
    let Some(last) = manifests.last() else { return Vec::new() };
    let mut out = Vec::new();
    for family in Family::ALL {
        let name = family.table(&options.table);
        let mut partitions: BTreeMap<&str, PartitionDefinition> = BTreeMap::new();
        let files = manifests.iter().flat_map(|manifest| &manifest.files);
        for file in files.filter(|file| file.table == name) {
            let partition =
                partitions.entry(&file.partition).or_insert_with(|| PartitionDefinition {
                    values: values_of(&file.partition),
                    location: format!("{address}{name}/{}/", file.partition),
                    rows: 0,
                    bytes: 0,
                    files: 0,
                });
            partition.rows += file.rows;
            partition.bytes += file.bytes;
            partition.files += 1;
        }
        if partitions.is_empty() {
            continue;
        }
        let partitions: Vec<_> = partitions.into_values().collect();
        let definition = TableDefinition {
            database: options.database.clone(),
            location: format!("{address}{name}/"),
            name,
            columns: catalog_columns(family, lock, nested),
            partition_keys: last.partition_by.split(',').map(str::to_owned).collect(),
            compression: last.compression.clone(),
            description: family.description().to_owned(),
            schema_version: lock.version,
            rows: partitions.iter().map(|p| p.rows).sum(),
            bytes: partitions.iter().map(|p| p.bytes).sum(),
            files: partitions.iter().map(|p| p.files).sum(),
            ..TableDefinition::default()
        };
        out.push((definition, partitions));
    }
    out
}

/// Opens the lake's own catalog.
///
/// # Errors
/// `Io` when its folder cannot be read.
pub(super) fn local_catalog(storage: &Storage) -> Result<Option<LocalCatalog>> {
    storage.root().map(|root| LocalCatalog::open(root.join(OWN).join("catalog"))).transpose()
}

/// Compares the lake with its catalog; one plan per table, empty ones included.
///
/// # Errors
/// `Damaged` for a catalog document that cannot be read, `Config` for a foreign table of the name.
pub fn catalog_plan(
    storage: &Storage,
    manifests: &[Manifest],
    lock: &Lock,
    options: &CatalogOptions,
) -> Result<Vec<Plan>> {
    let Some(catalog) = local_catalog(storage)? else { return Ok(Vec::new()) };
    tables(storage, manifests, lock, options)
        .into_iter()
        .map(|(table, partitions)| {
            let existing = catalog.existing(&table.database, &table.name)?;
            plan(&table, &partitions, &existing, OnExtraPartition::Delete)
        })
        .collect()
}

/// Brings the lake's catalog in line with its manifests; returns the number of changes. Writes
/// nothing where nothing changed.
///
/// # Errors
/// See [`catalog_plan`]; `Io` when a document cannot be written.
pub fn refresh_catalog(
    storage: &Storage,
    manifests: &[Manifest],
    lock: &Lock,
    options: &CatalogOptions,
) -> Result<u64> {
    let Some(catalog) = local_catalog(storage)? else { return Ok(0) };
    let mut changes = 0;
    for plan in catalog_plan(storage, manifests, lock, options)? {
        if !plan.is_empty() {
            let applied = catalog.apply(&plan)?;
            let is_table_touched = plan.create_table.is_some() || plan.update_table.is_some();
            changes += applied.partitions + u64::from(is_table_touched);
        }
    }
    Ok(changes)
}
