//! A lake's catalog, to be read: its tables and their partitions.

use crate::catalog::{Catalog, PartitionInput, TableInput, chosen_views};
use crate::engine::CatalogOptions;
use crate::error::{Error, Result};
use crate::family::tables;
use crate::lake::{Known, Snapshot};
use crate::operations::lake_views::glue_views;
use crate::operations::register::open_catalog;
use crate::operations::repair::base_table;
use crate::storage::{S3, Storage};

/// A table as its catalog has it.
#[derive(Clone, Debug)]
pub struct RegisteredTable {
    /// Its database.
    pub database: String,
    /// The table.
    pub table: TableInput,
    /// Its partitions.
    pub partitions: Vec<PartitionInput>,
    /// Its views that the catalog has.
    pub views: Vec<TableInput>,
}

/// The catalog of a lake, and the names that the lake's tables have there.
#[derive(Debug)]
pub struct LakeCatalog {
    catalog: Catalog,
    database: String,
    /// Whether the database was asked for by its name.
    is_named: bool,
    names: Vec<String>,
    address: String,
}

impl LakeCatalog {
    /// Opens the catalog of a lake.
    ///
    /// # Errors
    /// `Config` for a lake without a catalog, or with one that cannot be reached.
    pub async fn open(storage: &Storage, options: &CatalogOptions, s3: &S3) -> Result<Self> {
        let lake = Known::read(storage).await?.snapshot;
        let options = options_of(&lake, options);
        let catalog = require_catalog(storage, &lake, &options, s3).await?;
        let names = tables(&options.table);
        let (database, is_named) = (options.database_of(&lake), options.database.is_some());
        Ok(Self { catalog, database, is_named, names, address: storage.address() })
    }

    /// Reads each of the lake's tables, in every database that has it, or in the one that was asked for.
    ///
    /// # Errors
    /// `Config` if there is no such database; `Damaged` for a document that cannot be read; `Denied` and `Unavailable` from Glue.
    pub async fn tables(&self) -> Result<Vec<RegisteredTable>> {
        let mut all = Vec::new();
        let mut databases = self.catalog.databases(&self.database).await?;
        if self.is_named {
            databases.retain(|database| *database == self.database);
            if databases.is_empty() {
                let message = "there is no such database in the lake's catalog";
                return Err(Error::config(message).at("database", &self.database));
            }
        }
        for database in databases {
            for table in self.catalog.tables(&database, &self.names).await? {
                let partitions = self.catalog.partitions(&database, &table).await?;
                let views = self.views(&database, &table).await?;
                all.push(RegisteredTable { database: database.clone(), table, partitions, views });
            }
        }
        Ok(all)
    }

    async fn views(&self, database: &str, table: &TableInput) -> Result<Vec<TableInput>> {
        let mut found = Vec::new();
        let Some(selection) = chosen_views(table) else { return Ok(found) };
        for view in glue_views(database, table, &selection) {
            let view = self.catalog.view(database, &view.name).await?.map(|(view, _)| view);
            found.extend(view.filter(|view| view.is_view_of(&self.address)));
        }
        Ok(found)
    }
}

/// Returns the options with the base name that the lake's tables were made with.
pub(super) fn options_of(lake: &Snapshot, options: &CatalogOptions) -> CatalogOptions {
    CatalogOptions { table: base_table(lake.tables()), ..options.clone() }
}

/// Opens a lake's catalog, which it must have.
pub(super) async fn require_catalog(
    storage: &Storage,
    lake: &Snapshot,
    options: &CatalogOptions,
    s3: &S3,
) -> Result<Catalog> {
    let none = || Error::config("`--catalog none` leaves no catalog to read: give another");
    open_catalog(storage, lake, options, s3).await?.ok_or_else(none)
}
