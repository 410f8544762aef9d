//! The catalog: the lake's tables as engines see them, and bringing them in line with the lake.
//!
//! Everything here but [`LocalCatalog`] and [`GlueCatalog`] is pure data. A [`TableDefinition`] says
//! what the lake holds; [`diff()`] compares it with what a catalog says now ([`Existing`]) and returns
//! a [`CatalogDiff`]; a [`Catalog`] applies it. `local` keeps Glue's own `TableInput` and `PartitionInput`
//! JSON in a folder of the lake; `glue` reads into the same [`Existing`] and applies the same
//! [`CatalogDiff`], in batches of Glue's sizes. [`ddl`] and [`views`] render the same inputs as SQL
//! for Athena, Spark and `DuckDB`, [`show`] as text for people.
//!
//! The policy: what is ours is set, what is not ours (parameters, comments, keys we do not know)
//! is kept, and an update that would change nothing is not made. No crawler is involved, and none
//! is named. This room logs nothing and prints nothing.

pub mod ddl;
mod definition;
mod diff;
pub mod glue;
mod hive_type;
mod input;
mod local_catalog;
mod parameters;
mod projection;
pub mod show;
mod view_diff;
pub mod views;

pub use ddl::Dialect;
pub use definition::{PartitionDefinition, Publication, TableDefinition, is_name};
pub use diff::{
    CatalogDiff, Change, DiffReport, Existing, OnExtraPartition, PartitionUpdate, TableUpdate,
    Wanted, diff, refuse_foreign,
};
pub use glue::{GlueCatalog, GlueOptions, Permission};
pub use hive_type::{HiveType, MAX_TYPE_DEPTH, StructField, is_additive};
pub use input::{
    Column, Columns, DatabaseInput, Parameters, PartitionIndex, PartitionInput, SerdeInfo,
    StorageDescriptor, TableInput,
};
pub use local_catalog::LocalCatalog;
pub use parameters::LAKE;
pub use projection::{MAX_ENUM_VALUES, projection_parameters};
pub use view_diff::{chosen_views, diff_dropped_view, diff_view};
pub use views::{OcsfVersion, View, ViewSelection, ViewSet};

use crate::error::Result;

/// Changes made by applying a diff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Documents written: files of the local catalog, tables and databases of Glue; 0 if the
    /// catalog was in line already.
    pub files: u64,
    /// Partitions created, updated or deleted by the diff.
    pub partitions: u64,
}

/// Calls to a catalog since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Requests sent, repeated ones included; none for the local catalog.
    pub calls: u64,
    /// Of them, requests that may change something.
    pub writes: u64,
    /// Responses that said: too many requests.
    pub throttled: u64,
    /// Requests repeated because the response was lost or the service failed.
    pub unanswered: u64,
}

/// How much of a table is read for a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Everything: also finds columns that were changed in one partition.
    Full,
    /// All but the columns of partitions; a fingerprint among their parameters stands for them.
    Fingerprints,
}

/// The parts of a table to read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// How much of partitions is read.
    pub comparison: Comparison,
    /// How many partitions there will be, about; many are read in parallel.
    pub partitions: usize,
    /// Whether partition indexes are read.
    pub has_indexes: bool,
}

/// A catalog: in a folder of the lake, or Glue.
#[derive(Debug)]
pub enum Catalog {
    /// Documents in a folder of the lake.
    Local(LocalCatalog),
    /// The AWS Glue Data Catalog.
    Glue(Box<GlueCatalog>),
}

impl Catalog {
    /// Returns the state that [`diff()`] compares with.
    ///
    /// # Errors
    /// Those of [`LocalCatalog::existing`] and [`GlueCatalog::existing`].
    pub async fn existing(
        &self,
        database: &str,
        table: &str,
        reading: &Reading,
    ) -> Result<Existing> {
        match self {
            Self::Local(catalog) => catalog.existing(database, table),
            Self::Glue(catalog) => catalog.existing(database, table, reading).await,
        }
    }

    /// Applies a diff. Safe to repeat.
    ///
    /// # Errors
    /// Those of [`LocalCatalog::apply`] and [`GlueCatalog::apply`].
    pub async fn apply(&self, diff: &CatalogDiff) -> Result<Applied> {
        match self {
            Self::Local(catalog) => catalog.apply(diff),
            Self::Glue(catalog) => catalog.apply(diff).await,
        }
    }

    /// Returns the databases of a lake, sorted: all of the local catalog; of Glue, where others have
    /// theirs beside it, `named` if it is there.
    ///
    /// # Errors
    /// As for [`Catalog::existing`].
    pub async fn databases(&self, named: &str) -> Result<Vec<String>> {
        match self {
            Self::Local(catalog) => catalog.databases(),
            Self::Glue(catalog) => {
                let is_there = catalog.has_database(named).await?;
                Ok(is_there.then(|| named.to_owned()).into_iter().collect())
            }
        }
    }

    /// Returns the tables of a lake: all of the local catalog; of Glue those of `named` that are
    /// there and are ours.
    ///
    /// # Errors
    /// As for [`Catalog::existing`].
    pub async fn tables(&self, database: &str, named: &[String]) -> Result<Vec<TableInput>> {
        let mut found = Vec::new();
        match self {
            Self::Local(catalog) => {
                for name in catalog.tables(database)? {
                    found.extend(catalog.table(database, &name)?);
                }
            }
            Self::Glue(catalog) => {
                for name in named {
                    let table = catalog.table(database, name).await?.map(|(table, _)| table);
                    found.extend(table.filter(TableInput::is_ours));
                }
            }
        }
        Ok(found)
    }

    /// Returns a table of this name, whosever it is.
    ///
    /// # Errors
    /// As for [`Catalog::existing`].
    pub async fn table(&self, database: &str, name: &str) -> Result<Option<TableInput>> {
        match self {
            Self::Local(catalog) => catalog.table(database, name),
            Self::Glue(catalog) => Ok(catalog.table(database, name).await?.map(|(table, _)| table)),
        }
    }

    /// Returns what has the name of a view, and its version; nothing in a local catalog, which has no views.
    ///
    /// # Errors
    /// As for [`Catalog::existing`].
    pub async fn view(
        &self,
        database: &str,
        name: &str,
    ) -> Result<Option<(TableInput, Option<String>)>> {
        match self {
            Self::Local(_) => Ok(None),
            Self::Glue(catalog) => catalog.table(database, name).await,
        }
    }

    /// Returns the partitions of a table, sorted by values, with their columns left out where they
    /// are the table's.
    ///
    /// # Errors
    /// As for [`Catalog::existing`].
    pub async fn partitions(
        &self,
        database: &str,
        table: &TableInput,
    ) -> Result<Vec<PartitionInput>> {
        match self {
            Self::Local(catalog) => catalog.partitions(database, &table.name),
            Self::Glue(catalog) => catalog.partitions(database, table).await,
        }
    }

    /// Returns the calls to the catalog so far.
    pub fn usage(&self) -> Usage {
        match self {
            Self::Local(_) => Usage::default(),
            Self::Glue(catalog) => catalog.usage(),
        }
    }
}

#[cfg(test)]
mod fixtures;
