//! The catalog: what engines are told about the lake, and how it is brought in line with it.
//!
//! Everything here but [`LocalCatalog`] is pure data. A [`TableDefinition`] says what the lake
//! holds; [`plan()`] compares it with what a catalog says now ([`Existing`]) and returns a [`Plan`];
//! an implementation applies it. `local` keeps Glue's own `TableInput` and `PartitionInput` JSON in
//! a folder of the lake; a `glue` implementation reads into the same [`Existing`] and applies the
//! same [`Plan`], in batches of Glue's sizes. [`ddl`] and [`views`] render the same inputs as SQL
//! for Athena, Spark and `DuckDB`, [`show`] as text for people.
//!
//! The policy: what is ours is set, what is not ours (parameters, comments, keys we do not know)
//! is kept, and an update that would change nothing is not made. No crawler is involved, and none
//! is named. This room logs nothing and prints nothing.

pub mod ddl;
mod definition;
mod hive_type;
mod input;
mod local;
mod plan;
pub mod show;
pub mod views;

pub use ddl::Dialect;
pub use definition::{PartitionDefinition, TableDefinition, is_name};
pub use hive_type::{HiveType, MAX_TYPE_DEPTH, StructField, is_additive};
pub use input::{
    Column, Columns, DatabaseInput, Parameters, PartitionInput, SerdeInfo, StorageDescriptor,
    TableInput,
};
pub use local::{Applied, LocalCatalog};
pub use plan::{
    Change, Existing, OnExtraPartition, PartitionUpdate, Plan, PlanReport, TableUpdate, plan,
};
pub use views::View;

#[cfg(test)]
mod fixtures;
