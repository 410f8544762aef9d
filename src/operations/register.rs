//! From manifests and the lock to the catalog: what the lake says the tables are.

use crate::catalog::{
    Catalog, CatalogDiff, Column, Comparison, Existing, GlueCatalog, LAKE, LocalCatalog,
    OnExtraPartition, Parameters, PartitionDefinition, Permission, Publication, Reading,
    TableDefinition, chosen_views, diff, projection_parameters, refuse_foreign,
};
use crate::engine::{CatalogKind, CatalogOptions, Refreshed};
use crate::error::{Error, ErrorKind, Result};
use crate::family::{ColumnSpec, Family, Form, PLACES, Role};
use crate::lake::{OutputSettings, Snapshot, names::Folder};
use crate::operations::lake_views::{compare_views, refuse_idle_views};
use crate::partition::{PartitionKey, values_of};
use crate::schema::{Kind, Lock, hive_type};
use crate::storage::{S3, Storage};
use std::collections::BTreeMap;

/// Returns the columns of a table as the catalog names them.
fn catalog_columns(family: Family, form: Form, lock: &Lock, keys: &[String]) -> Vec<Column> {
    let is_key = |spec: &&ColumnSpec| keys.iter().any(|key| key == spec.name);
    let places = PLACES.iter().filter(|spec| !is_key(spec));
    family
        .columns_of(form)
        .chain(places)
        .filter_map(|spec| {
            let hive = match &spec.role {
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

/// Returns the tables that the lake holds, with their partitions.
fn tables(
    storage: &Storage,
    lake: &Snapshot,
    lock: &Lock,
    options: &CatalogOptions,
) -> Vec<(TableDefinition, Vec<PartitionDefinition>)> {
    let Some(last) = lake.last() else { return Vec::new() };
    let mut out = Vec::new();
    let keys = last.settings.partition_by.names();
    for (family, form) in all_tables() {
        let mut table = definition(storage, lake, lock, options, (family, form), &keys);
        let Some(totals) = lake.partitions(&table.name) else { continue };
        let partitions: Vec<PartitionDefinition> = totals
            .iter()
            .map(|(partition, totals)| PartitionDefinition {
                values: values_of(partition),
                location: format!(
                    "{}{}/",
                    storage.address(),
                    lake.homes().folder(&table.name, partition)
                ),
                rows: totals.rows,
                bytes: totals.bytes,
                files: totals.files,
            })
            .collect();
        table.compression = last.settings.compression.codec().to_owned();
        table.rows = partitions.iter().map(|p| p.rows).sum();
        table.bytes = partitions.iter().map(|p| p.bytes).sum();
        table.files = partitions.iter().map(|p| p.files).sum();
        out.push((table, partitions));
    }
    out
}

/// Returns the tables that a lake has or may have, without what lies in them: the main ones all, the typed
/// ones that have files.
pub(super) fn lake_tables(
    storage: &Storage,
    lake: &Snapshot,
    lock: &Lock,
    options: &CatalogOptions,
) -> Vec<TableDefinition> {
    let keys = lake.last().map(|last| last.settings.partition_by.names()).unwrap_or_default();
    let has_files = |table: &TableDefinition| lake.partitions(&table.name).is_some();
    all_tables()
        .map(|(family, form)| {
            (form, definition(storage, lake, lock, options, (family, form), &keys))
        })
        .filter(|(form, table)| *form == Form::Main || has_files(table))
        .map(|(_, table)| table)
        .collect()
}

/// All tables that a lake may have.
fn all_tables() -> impl Iterator<Item = (Family, Form)> {
    let both = Family::ALL.into_iter().flat_map(|family| Form::ALL.map(|form| (family, form)));
    both.filter(|(family, form)| *form == Form::Main || family.has_typed_table())
}

/// Returns a table without what lies in it.
fn definition(
    storage: &Storage,
    lake: &Snapshot,
    lock: &Lock,
    options: &CatalogOptions,
    (family, form): (Family, Form),
    keys: &[String],
) -> TableDefinition {
    let name = family.table_of(form, &options.table);
    let description = match form {
        Form::Main => family.description().to_owned(),
        Form::Typed => format!("{}: JSON texts as nested columns", family.description()),
    };
    TableDefinition {
        database: options.database_of(lake),
        location: format!("{}{name}/", storage.address()),
        name,
        columns: catalog_columns(family, form, lock, keys),
        partition_keys: keys.iter().map(|key| key_column(key)).collect(),
        compression: "none".to_owned(),
        description,
        schema_version: lock.version,
        ..TableDefinition::default()
    }
}

/// Returns a partition column as the catalog has it.
fn key_column(name: &str) -> Column {
    let comment = PartitionKey::named(name).map_or("", PartitionKey::comment);
    Column::new(name, "string").with_comment(comment)
}

/// Opens the catalog of a lake; nothing if it has none.
///
/// # Errors
/// `Config` when the lake cannot have that catalog, or when Glue cannot be reached for lack of a
/// region or credentials, or when its database is missing and may not be made.
pub(super) async fn open_catalog(
    storage: &Storage,
    lake: &Snapshot,
    options: &CatalogOptions,
    s3: &S3,
) -> Result<Option<Catalog>> {
    let root = storage.root();
    let by_default = if root.is_none() { CatalogKind::Glue } else { CatalogKind::Local };
    match (options.kind.unwrap_or(by_default), root) {
        (CatalogKind::None, _) => Ok(None),
        (CatalogKind::Local, None) => {
            let message = "a lake in a bucket has no catalog of its own: \
                           give `--catalog glue` or `--catalog none`";
            Err(Error::config(message).at("lake", storage.address()))
        }
        (CatalogKind::Local, Some(root)) => {
            Ok(Some(Catalog::Local(LocalCatalog::open(root.join(Folder::Catalog.path()))?)))
        }
        (CatalogKind::Glue, _) => {
            let writer = storage.clone();
            let permission = Permission::new(move || {
                let writer = writer.clone();
                async move { writer.confirm().await }
            });
            let glue =
                GlueCatalog::new(s3.aws().await, options.glue.clone(), Some(permission)).await?;
            glue.require_database(&options.database_of(lake)).await?;
            Ok(Some(Catalog::Glue(Box::new(glue))))
        }
    }
}

/// Makes sure, before anything is written, that the lake may have every table that a run can make: that
/// none of the name is somebody else's, or was made by this lake at another place.
///
/// # Errors
/// `Config` when one is, or when a service would refuse the table; `Denied` and `Unavailable` from Glue.
pub(super) async fn refuse_others_tables(
    catalog: &Catalog,
    storage: &Storage,
    lake: &Snapshot,
    lock: &Lock,
    options: &CatalogOptions,
    output: &OutputSettings,
) -> Result<()> {
    let keys = output.partition_by.names();
    let is_made = |(_, form): &(Family, Form)| *form == Form::Main || output.typed;
    for table in all_tables().filter(is_made) {
        let mut wanted = definition(storage, lake, lock, options, table, &keys);
        if matches!(catalog, Catalog::Glue(_)) {
            wanted.parameters.insert(LAKE.to_owned(), storage.address());
        }
        wanted.validate()?;
        match catalog.table(&wanted.database, &wanted.name).await {
            Ok(Some(found)) => refuse_foreign(&wanted.table_input(), &found)?,
            Ok(None) => {}
            // A document of a local catalog, which is made again when it is brought in line.
            Err(err) if err.kind() == ErrorKind::Damaged => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
}

/// What is wrong with a setting when something has been written already: that exit code says that nothing
/// was done.
pub(super) fn after_commit(err: Error) -> Error {
    if err.kind() != ErrorKind::Config {
        return err;
    }
    let message = "stopped after changes were written: committed data stays; fix the cause, and \
                   run the same command or `trailmill catalog sync`";
    Error::new(ErrorKind::Io, message).because(err)
}

/// Returns what projection says of the partitions of a lake's tables; asks no catalog.
pub(super) fn projections(
    storage: &Storage,
    lake: &Snapshot,
    lock: &Lock,
    options: &CatalogOptions,
) -> BTreeMap<String, Parameters> {
    let tables = tables(storage, lake, lock, options).into_iter();
    tables
        .map(|(table, partitions)| {
            let parameters = projection_parameters(&table, &partitions);
            (table.name, parameters)
        })
        .collect()
}

/// Says how partitions are published: as an option wants, else as the table was made.
fn set_publication(
    mut table: TableDefinition,
    partitions: &[PartitionDefinition],
    existing: &Existing,
    options: &CatalogOptions,
    lake: Option<String>,
) -> TableDefinition {
    let was_projected = existing.is_projected();
    table.has_partition_index = options.partition_index;
    table.publication = match options.partition_projection {
        Some(false) => Publication::RegisteredAgain,
        None if was_projected && options.partition_index => Publication::RegisteredAgain,
        None if !was_projected => Publication::Registered,
        _ => Publication::Projected,
    };
    if table.publication == Publication::Projected {
        table.parameters = projection_parameters(&table, partitions);
    }
    if let Some(lake) = lake {
        table.parameters.insert(LAKE.to_owned(), lake);
    }
    table
}

/// Compares the lake with its catalog; one diff per table, empty ones included.
///
/// # Errors
/// `Damaged` for a catalog document that cannot be read, `Config` for a foreign table of the name,
/// `Denied` and `Unavailable` from Glue.
pub(super) async fn catalog_diffs(
    catalog: &Catalog,
    storage: &Storage,
    lake: &Snapshot,
    lock: &Lock,
    options: &CatalogOptions,
    comparison: Comparison,
) -> Result<Vec<CatalogDiff>> {
    refuse_idle_views(catalog, options)?;
    let mut diffs = Vec::new();
    let mut views = options.views.clone();
    for (table, partitions) in tables(storage, lake, lock, options) {
        let reading = Reading {
            comparison,
            partitions: partitions.len(),
            has_indexes: options.partition_index,
        };
        let existing = catalog.existing(&table.database, &table.name, &reading).await?;
        // A lake's own catalog moves with it; in a shared one, lakes must not take each other's tables.
        let address = matches!(catalog, Catalog::Glue(_)).then(|| storage.address());
        let mut table = set_publication(table, &partitions, &existing, options, address.clone());
        // A table that is new has the views that the lake's other tables have.
        views = views.or_else(|| existing.table.as_ref().and_then(chosen_views));
        table.views.clone_from(&views);
        let mut diff = diff(&table, &partitions, &existing, OnExtraPartition::Delete)?;
        // Tables share the database: one creates it.
        diff.create_database &= diffs.iter().all(|earlier: &CatalogDiff| !earlier.create_database);
        if let (Some(views), Some(lake)) = (&views, &address) {
            compare_views(catalog, &mut diff, options, views, comparison, lake).await?;
        }
        diffs.push(diff);
    }
    Ok(diffs)
}

/// Does what diffs say; returns the number of changes. Nothing is written where nothing changed.
///
/// # Errors
/// See [`Catalog::apply`].
pub(super) async fn apply_diffs(catalog: &Catalog, diffs: &[CatalogDiff]) -> Result<u64> {
    let mut changes = 0;
    for diff in diffs.iter().filter(|diff| !diff.is_empty()) {
        let applied = catalog.apply(diff).await?;
        let is_table_touched = diff.create_table.is_some() || diff.update_table.is_some();
        let views = diff.views.iter().filter(|view| !view.is_empty()).count() as u64;
        changes += applied.partitions + u64::from(is_table_touched) + views;
    }
    Ok(changes)
}

/// Brings the lake's catalog in line with its manifests.
///
/// # Errors
/// See [`catalog_diffs`] and [`Catalog::apply`].
pub(super) async fn refresh_catalog(
    catalog: &Catalog,
    storage: &Storage,
    lake: &Snapshot,
    lock: &Lock,
    options: &CatalogOptions,
) -> Result<Refreshed> {
    let comparison = Comparison::Fingerprints;
    let diffs = catalog_diffs(catalog, storage, lake, lock, options, comparison).await?;
    let changes = apply_diffs(catalog, &diffs).await?;
    let is_projected =
        !diffs.is_empty() && diffs.iter().all(|diff| diff.wanted.input.is_projected());
    Ok(Refreshed { changes, usage: catalog.usage(), is_projected })
}
