//! The views that a lake has in Glue.

use crate::catalog::{
    Catalog, CatalogDiff, Comparison, Dialect, TableInput, View, ViewSelection, diff_dropped_view,
    diff_view,
    views::{view_input, views},
};
use crate::engine::CatalogOptions;
use crate::error::{Error, Result};

/// Refuses a choice of views where there can be none.
///
/// # Errors
/// `Config` for the lake's own catalog, which no engine reads views from.
pub(super) fn refuse_idle_views(catalog: &Catalog, options: &CatalogOptions) -> Result<()> {
    if options.views.is_none() || matches!(catalog, Catalog::Glue(_)) {
        return Ok(());
    }
    let message = "`--views` registers views in Glue, and the lake's own catalog has none: give \
                   `--catalog glue`, or print their SQL with `trailmill catalog ddl --views-only`";
    Err(Error::config(message))
}

/// Returns the views that a table can have in Glue.
pub(super) fn glue_views(
    database: &str,
    table: &TableInput,
    selection: &ViewSelection,
) -> Vec<View> {
    views(Dialect::Athena, database, table, selection)
}

/// Compares a table's views with those that the catalog has, and puts the differences beside the table's.
/// Views that are not wanted are looked for only in a full comparison, or where a choice is made.
///
/// # Errors
/// `Denied` and `Unavailable` from Glue.
pub(super) async fn compare_views(
    catalog: &Catalog,
    diff: &mut CatalogDiff,
    options: &CatalogOptions,
    selection: &ViewSelection,
    comparison: Comparison,
    lake: &str,
) -> Result<()> {
    let (database, table) = (diff.database.clone(), diff.wanted.input.clone());
    let wanted = glue_views(&database, &table, selection);
    for view in &wanted {
        match view_input(view, &database, &table.name, lake) {
            Ok(input) => {
                let found = catalog.view(&database, &view.name).await?;
                diff.views.push(diff_view(&database, input, found.as_ref()));
            }
            Err(err) => diff.warnings.push(format!("view {} is left out: {err}", view.name)),
        }
    }
    if options.views.is_none() && comparison != Comparison::Full {
        return Ok(());
    }
    for view in glue_views(&database, &table, &ViewSelection::all()) {
        if diff.views.iter().any(|kept| kept.table == view.name) {
            continue;
        }
        if let Some((found, _)) = catalog.view(&database, &view.name).await? {
            diff.views.extend(diff_dropped_view(&database, &found, lake));
        }
    }
    Ok(())
}
