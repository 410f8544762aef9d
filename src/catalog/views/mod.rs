//! Views for BI tools, and with the names of other tables' columns.
//!
//! - [`ViewSet`] names views that are chosen together, [`ViewSelection`] a choice of sets. A further set is a
//!   variant there and a line in [`views`].
//! - `shape`: a view as a list of names; `derived` says what each name stands for, `events` and `daily`
//!   which names each view has.
//! - `renamed`: the table's own columns under other names.
//! - `glue`: a view as Glue keeps it and Athena and Trino read it.
//! - `ocsf`: the events in the classes of OCSF.
//!
//! The SELECT bodies are portable SQL: struct members by dot, `CASE`, `COALESCE`, `NULLIF`, `split_part`,
//! `TRY_CAST`, `GROUP BY` numbers. The dialects differ in two places only: how identifiers are quoted and
//! the function that takes a text out of JSON. So the `DuckDB` form, which tests can run, is evidence for
//! the other two. Every view ends with the partition columns, so that a filter on them prunes as it does
//! on the table.

mod daily;
mod derived;
mod events;
mod glue;
mod ocsf;
mod renamed;
mod selection;
mod shape;
mod view;

pub use glue::view_input;
pub use ocsf::OcsfVersion;
pub use selection::{ViewSelection, ViewSet};
pub use view::View;

use super::{Dialect, TableInput};

/// Returns the views of a table; none for what it does not have the columns for.
pub fn views(
    dialect: Dialect,
    database: &str,
    table: &TableInput,
    selection: &ViewSelection,
) -> Vec<View> {
    let of_set = |set: ViewSet| match set {
        ViewSet::Standard => standard(dialect, database, table),
        ViewSet::Ocsf(version) => ocsf::views(dialect, version, database, table),
    };
    selection.sets().flat_map(of_set).collect()
}

fn standard(dialect: Dialect, database: &str, table: &TableInput) -> Vec<View> {
    let shapes = events::SHAPES.iter().chain(&daily::SHAPES);
    let shaped = shapes.filter_map(|shape| shape::view(dialect, database, table, shape));
    shaped.chain(renamed::renamed(dialect, database, table)).collect()
}

#[cfg(test)]
mod tests;
