//! The difference between a view that a table is to have and what its name stands for now.
//!
//! A view is a table of the catalog with a text and no files, so that its difference is a [`CatalogDiff`]
//! with hardly anything in it, and is applied by the same calls. What is not ours is never changed, nor is
//! it an error: somebody may have run the SQL of `catalog ddl`, and that must not stop a nightly run.

use super::diff::{TableUpdate, Wanted, table_changes};
use super::parameters::VIEWS;
use super::{CatalogDiff, TableInput, ViewSelection};

/// Compares a wanted view with what the catalog has under its name, and in which version.
pub fn diff_view(
    database: &str,
    wanted: TableInput,
    found: Option<&(TableInput, Option<String>)>,
) -> CatalogDiff {
    let mut diff = CatalogDiff {
        database: database.to_owned(),
        table: wanted.name.clone(),
        wanted: Wanted::new(wanted, Vec::new()),
        ..CatalogDiff::default()
    };
    let Some((found, version)) = found else {
        diff.create_table = Some(diff.wanted.input.clone());
        return diff;
    };
    diff.version.clone_from(version);
    match diff.wanted.over(found) {
        Ok(input) if input == *found => {}
        Ok(input) => {
            let changes = table_changes(found, &input);
            diff.update_table = Some(TableUpdate { input, changes, additive: true });
        }
        Err(_) => diff.is_refused = true,
    }
    diff
}

/// Returns the deletion of a view that is no longer wanted; none for what is not ours.
pub fn diff_dropped_view(database: &str, found: &TableInput, lake: &str) -> Option<CatalogDiff> {
    found.is_view_of(lake).then(|| CatalogDiff {
        database: database.to_owned(),
        table: found.name.clone(),
        wanted: Wanted::new(found.clone(), Vec::new()),
        delete_view: true,
        ..CatalogDiff::default()
    })
}

/// Returns the sets of views that a table was registered with; none if there are none, or if a newer version
/// chose them.
pub fn chosen_views(table: &TableInput) -> Option<ViewSelection> {
    table.parameters.get(VIEWS)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixtures::definition;
    use crate::catalog::views::{view_input, views};
    use crate::catalog::{Change, Dialect, ViewSelection};

    const LAKE: &str = "s3://lake/";

    fn flat() -> TableInput {
        let table = definition().table_input();
        let view = views(Dialect::Athena, "lake", &table, &ViewSelection::default()).remove(0);
        view_input(&view, "lake", &table.name, LAKE).expect("a view")
    }

    fn against(found: TableInput) -> CatalogDiff {
        diff_view("lake", flat(), Some(&(found, Some("3".into()))))
    }

    #[test]
    fn a_view_is_created_once_and_then_in_line() {
        let made = diff_view("lake", flat(), None).create_table.expect("a view to create");

        assert!(against(made).is_empty());
    }

    #[test]
    fn comments_and_owners_of_others_are_kept_and_definitions_are_set() {
        let mut edited = flat();
        edited.other.insert("Owner".into(), "hadoop".into());
        let comment = "edited by hand";
        let mut columns = edited.columns().to_vec();
        columns[0].comment = comment.into();
        edited.storage_descriptor.columns = columns.into();
        assert!(against(edited.clone()).is_empty());
        edited.view_original_text = Some("/* Presto View: e30= */".into());

        let diff = against(edited);

        let update = diff.update_table.expect("an update");
        assert_eq!(update.changes, [Change::Definition]);
        assert_eq!(update.input.columns()[0].comment, comment);
        assert_eq!(update.input.view_original_text, flat().view_original_text);
        assert_eq!(diff.version.as_deref(), Some("3"));
    }

    #[test]
    fn a_description_that_hides_a_view_from_trino_is_taken_away() {
        let described = TableInput { description: "by hand".into(), ..flat() };

        let update = against(described).update_table.expect("an update");

        assert_eq!(update.changes, [Change::Comment { on: "cloudtrail_flat".into() }]);
        assert_eq!(update.input, flat());
    }

    #[test]
    fn what_is_not_ours_is_neither_changed_nor_deleted() {
        let table = definition().table_input();
        let (mut by_hand, mut elsewhere) = (flat(), flat());
        by_hand.parameters.remove(super::super::parameters::VIEW);
        let other = elsewhere.parameters.get_mut(super::super::parameters::LAKE);
        *other.expect("a lake") = "s3://other/".into();

        for found in [table, by_hand, elsewhere] {
            assert!(diff_dropped_view("lake", &found, LAKE).is_none());
            let diff = against(found);
            assert!(diff.is_empty() && diff.has_refused());
        }
        assert!(diff_dropped_view("lake", &flat(), LAKE).is_some_and(|diff| !diff.is_empty()));
    }
}
