//! Views with other names for the same columns, for queries that were written for other tables.
//!
//! `<table>_bootstrap` has the partition names of AWS's security-analytics-bootstrap, `<table>_by_day` the
//! year, month and day of AWS's examples. Both are made of `account`, `region` and `event_date`, which every
//! layout has; engines that evaluate a filter on partition values before they read prune through them.
//! `<table>_structs`, of a typed table, has its nested columns under the names of the texts, for queries that
//! reach into `requestparameters.bucketname`.

use super::shape::bare;
use super::view::View;
use crate::catalog::{Column, Dialect, TableInput};

/// A view: what its name ends with, what it shows, and its columns beside those that keep their names.
struct Renaming {
    suffix: &'static str,
    description: &'static str,
    /// A name, its expression and its comment.
    columns: &'static [(&'static str, &'static str, &'static str)],
    /// Columns that have their new names alone.
    replaced: &'static [&'static str],
}

const BOOTSTRAP: Renaming = Renaming {
    suffix: "bootstrap",
    description: "the partition names of AWS's security-analytics-bootstrap",
    columns: &[
        ("account_partition", "account", "account the event belongs to"),
        ("region_partition", "region", "region of the event"),
        ("date_partition", "replace(event_date, '-', '/')", "day of the event, UTC: yyyy/mm/dd"),
    ],
    replaced: &[],
};

const BY_DAY: Renaming = Renaming {
    suffix: "by_day",
    description: "the year, month and day of the event",
    columns: &[
        ("year", "substr(event_date, 1, 4)", "year of the event, UTC"),
        ("month", "substr(event_date, 6, 2)", "month of the event, UTC: 01 to 12"),
        ("day", "substr(event_date, 9, 2)", "day of the month of the event, UTC: 01 to 31"),
    ],
    replaced: &["year", "month", "day"],
};

const STRUCTS: Renaming = Renaming {
    suffix: "structs",
    description: "nested columns under the names of the JSON texts",
    columns: &[
        ("requestparameters", "request", "inferred from the JSON text of requestparameters"),
        ("responseelements", "response", "inferred from the JSON text of responseelements"),
        ("additionaleventdata", "additional", "inferred from the JSON text of additionaleventdata"),
        (
            "serviceeventdetails",
            "service_details",
            "inferred from the JSON text of serviceeventdetails",
        ),
    ],
    replaced: &["request", "response", "additional", "service_details"],
};

/// Returns the views of a table with event columns; of a typed one, those of its nested columns.
pub(super) fn renamed(dialect: Dialect, database: &str, table: &TableInput) -> Vec<View> {
    let has = |name: &str| names(table).any(|own| own == name);
    let renamings: &[Renaming] = match has("useridentity") {
        false => &[],
        true if has("requestparameters") => &[BOOTSTRAP, BY_DAY],
        true => &[STRUCTS],
    };
    renamings.iter().map(|renaming| view(dialect, database, table, renaming)).collect()
}

/// All columns of a table, its partition columns last.
fn all(table: &TableInput) -> impl Iterator<Item = &Column> {
    table.columns().iter().chain(&table.partition_keys)
}

fn names(table: &TableInput) -> impl Iterator<Item = &str> {
    all(table).map(|column| &*column.name)
}

fn view(dialect: Dialect, database: &str, table: &TableInput, renaming: &Renaming) -> View {
    let quote = |name: &str| dialect.quote(name);
    // What a file's members are made of comes with the first of them.
    let is_there = |(_, expression, _): &&(&str, &str, &str)| {
        expression.contains('(') || names(table).any(|name| name == *expression)
    };
    let is_key = |name: &str| table.partition_keys.iter().any(|key| key.name == name);
    let kept = |wants_keys: bool| {
        let is_kept = |column: &&Column| !renaming.replaced.contains(&&*column.name);
        let kept = all(table).filter(is_kept);
        kept.filter(move |column| is_key(&column.name) == wants_keys)
    };
    let mut columns: Vec<Column> = kept(false).map(bare).collect();
    let mut selected: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
    for (name, expression, comment) in renaming.columns.iter().filter(is_there) {
        let own = all(table).find(|column| column.name == *expression);
        let hive_type = own.map_or("string", |column| &column.hive_type);
        columns.push(Column::new(*name, hive_type).with_comment(*comment));
        selected.push(format!("{expression} AS {}", quote(name)));
    }
    columns.extend(kept(true).map(bare));
    selected.extend(kept(true).map(|column| quote(&column.name)));
    let name = format!("{}_{}", table.name, renaming.suffix);
    let from = format!("{}.{}", quote(database), quote(&table.name));
    // DuckDB knows a nested column by the files that have it, and there may be none.
    let nested = renaming.columns.iter().filter(is_there).map(|(_, expression, _)| *expression);
    let nulls: Vec<String> = nested
        .filter(|_| dialect == Dialect::DuckDb && renaming.suffix == STRUCTS.suffix)
        .map(|column| format!("NULL AS {}", quote(column)))
        .collect();
    let from = match nulls.is_empty() {
        true => from,
        false => format!(
            "(SELECT * FROM {from} UNION ALL BY NAME SELECT {} WHERE false)",
            nulls.join(", ")
        ),
    };
    let select = format!("SELECT\n  {}\nFROM {from}", selected.join(",\n  "));
    View { name, description: renaming.description, columns, select }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixtures::definition;

    fn sql(table: &TableInput) -> Vec<String> {
        let views = renamed(Dialect::Athena, "lake", table).into_iter();
        views.map(|view| view.create(Dialect::Athena, "lake")).collect()
    }

    #[test]
    fn partitions_have_the_names_of_the_bootstrap_and_of_dates() {
        let views = sql(&definition().table_input());

        assert_eq!(views.len(), 2);
        assert!(
            views[0].starts_with("CREATE OR REPLACE VIEW \"lake\".\"cloudtrail_bootstrap\" AS\n")
        );
        assert!(views[0].contains("replace(event_date, '-', '/') AS \"date_partition\",\n"));
        assert!(views[1].contains("substr(event_date, 6, 2) AS \"month\",\n"));
        for view in views {
            assert!(view.ends_with("\"event_date\"\nFROM \"lake\".\"cloudtrail\""), "{view}");
            assert!(view.contains("\"requestparameters\""));
        }
    }

    #[test]
    fn a_name_is_there_once_in_every_layout() {
        let mut table = definition();
        table.partition_keys =
            ["year", "month", "day"].map(|name| Column::new(name, "string")).into();
        let places = ["account", "region", "event_date"].map(|name| Column::new(name, "string"));
        table.columns.extend(places);

        for view in sql(&table.table_input()) {
            for name in ["account", "event_date", "year", "day"] {
                assert!(view.matches(&format!("\"{name}\"")).count() <= 1, "{name}: {view}");
            }
        }
    }

    #[test]
    fn nested_columns_have_the_names_of_the_texts() {
        let mut typed = definition();
        typed.name = "cloudtrail_typed".into();
        let is_shared = |column: &Column| ["useridentity", "eventname"].contains(&&*column.name);
        typed.columns.retain(is_shared);
        typed.columns.push(Column::new("request", "struct<bucketname:string>"));

        let [view] = &sql(&typed.table_input())[..] else { panic!() };

        assert!(
            view.contains("\"cloudtrail_typed_structs\"") && !view.contains("responseelements")
        );
        assert!(
            view.contains("  request AS \"requestparameters\",\n") && !view.contains("\"request\"")
        );
        let mut insight = definition();
        insight.columns.retain(|column| column.name != "useridentity");
        assert!(sql(&insight.table_input()).is_empty());
    }
}
