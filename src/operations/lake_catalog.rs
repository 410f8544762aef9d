//! A lake's catalog, to be read: its tables and their partitions.

use crate::catalog::{Catalog, PartitionInput, TableInput};
use crate::engine::CatalogOptions;
use crate::error::{Error, Result};
use crate::lake::{Known, Snapshot};
use crate::operations::register::open_catalog;
use crate::operations::repair::base_table;
use crate::schema::tables;
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
}

/// The catalog of a lake, and the names that the lake's tables have there.
#[derive(Debug)]
pub struct LakeCatalog {
    catalog: Catalog,
    database: String,
    names: Vec<String>,
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
        Ok(Self { catalog, database: options.database_of(&lake), names })
    }

    /// Reads each of the lake's tables, in every database that has it.
    ///
    /// # Errors
    /// `Damaged` for a document that cannot be read; `Denied` and `Unavailable` from Glue.
    pub async fn tables(&self) -> Result<Vec<RegisteredTable>> {
        let mut all = Vec::new();
        for database in self.catalog.databases(&self.database).await? {
            for table in self.catalog.tables(&database, &self.names).await? {
                let partitions = self.catalog.partitions(&database, &table).await?;
                all.push(RegisteredTable { database: database.clone(), table, partitions });
            }
        }
        Ok(all)
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
