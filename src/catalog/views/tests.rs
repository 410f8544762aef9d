use super::derived::{DERIVED, MEASURES};
use super::{View, ViewSelection, daily, events};
use crate::catalog::fixtures::definition;
use crate::catalog::{Column, Dialect, HiveType, TableInput};

const DIALECTS: [Dialect; 3] = [Dialect::Athena, Dialect::Spark, Dialect::DuckDb];

fn views(dialect: Dialect, table: &TableInput) -> Vec<View> {
    super::views(dialect, "lake", table, &ViewSelection::default())
}

#[test]
fn every_name_is_a_column_of_the_contract_or_is_derived() {
    let table = definition().table_input();
    let own = |name: &str| table.columns().iter().any(|column| column.name == name);
    let derived = |name: &str| DERIVED.iter().any(|derived| derived.name == name);

    for shape in events::SHAPES.iter().chain(&daily::SHAPES) {
        for name in shape.columns {
            assert!(own(name) != derived(name), "{name} in {}", shape.suffix);
        }
        for name in shape.measures {
            assert!(MEASURES.iter().any(|measure| measure.name == *name), "{name}");
        }
    }
}

#[test]
fn no_placeholder_is_left_and_partition_columns_come_last() {
    for dialect in DIALECTS {
        let views = views(dialect, &definition().table_input());

        assert_eq!(views.len(), 14);
        for view in views {
            assert!(!view.select.contains(['{', '}']), "{}", view.select);
            let last = format!("{}\nFROM ", dialect.quote("event_date"));
            assert!(view.select.contains(&last), "{}", view.select);
        }
    }
}

#[test]
fn every_column_has_a_type_and_derived_ones_a_comment() {
    let mut table = definition().table_input();
    let commented = table.columns().iter().cloned().map(|column| column.with_comment("it"));
    table.storage_descriptor.columns = commented.collect();
    let keys = table.partition_keys.iter().cloned().map(|key| key.with_comment("it"));
    table.partition_keys = keys.collect();

    for view in views(Dialect::Athena, &table) {
        let mut names: Vec<&str> = view.columns.iter().map(|column| &*column.name).collect();
        for column in &view.columns {
            assert!(HiveType::parse(&column.hive_type).is_ok(), "{}", column.name);
            assert!(!column.comment.is_empty(), "{} of {}", column.name, view.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), view.columns.len(), "{}", view.name);
    }
}

#[test]
fn dialects_differ_in_quotes_and_the_json_function_only() {
    let table = definition().table_input();
    let neutral = |dialect, function| -> Vec<String> {
        let views = views(dialect, &table).into_iter();
        views.map(|v| v.select.replace('`', "\"").replace(function, "json")).collect()
    };

    let athena = neutral(Dialect::Athena, "json_extract_scalar");

    assert_eq!(athena, neutral(Dialect::Spark, "get_json_object"));
    assert_eq!(athena, neutral(Dialect::DuckDb, "json_extract_string"));
}

#[test]
fn views_are_quoted_as_athena_reads_them() {
    let views = views(Dialect::Athena, &definition().table_input());
    let view = views.iter().find(|view| view.name == "cloudtrail_s3_access").expect("a view");

    let sql = view.create(Dialect::Athena, "lake");

    let start = "CREATE OR REPLACE VIEW \"lake\".\"cloudtrail_s3_access\" AS\nSELECT\n";
    assert!(sql.starts_with(start), "{sql}");
    let end = "FROM \"lake\".\"cloudtrail\"\nWHERE eventsource = 's3.amazonaws.com'";
    assert!(sql.ends_with(end), "{sql}");
}

#[test]
fn a_daily_view_groups_by_everything_that_it_does_not_count() {
    let views = views(Dialect::DuckDb, &definition().table_input());
    let view = views.iter().find(|view| view.name == "cloudtrail_daily_s3").expect("a view");

    let names: Vec<&str> = view.columns.iter().map(|column| &*column.name).collect();

    assert_eq!(names[5], "events");
    assert_eq!(names[11..], ["account", "region", "event_date"]);
    assert!(view.select.ends_with("GROUP BY 1, 2, 3, 4, 5, 12, 13, 14"), "{}", view.select);
}

#[test]
fn account_region_and_day_are_in_every_view_in_every_layout() {
    let mut table = definition();
    table.partition_keys = ["year", "month"].map(|name| Column::new(name, "string")).into();
    let places = ["account", "region", "event_date"].map(|name| Column::new(name, "string"));
    table.columns.extend(places);

    for view in views(Dialect::Athena, &table.table_input()) {
        let has = |name: &str| view.columns.iter().any(|column| column.name == name);
        let is_dated = has("event_date") && has("account") && has("region");
        assert!(is_dated, "{}", view.name);
    }
}

#[test]
fn views_that_cannot_mean_anything_are_left_out() {
    let mut insight = definition();
    insight.columns.retain(|c| c.name != "useridentity");
    let mut plain = definition();
    plain.columns.retain(|c| c.name != "s3_key");
    let mut network = definition();
    network.name = "cloudtrail_network_activity".into();

    assert!(views(Dialect::Athena, &insight.table_input()).is_empty());
    assert!(!views(Dialect::Athena, &plain.table_input())[0].select.contains("s3_key"));
    let network = views(Dialect::Athena, &network.table_input());
    let names = network.iter().map(|view| view.name.as_str());
    let suffixes: Vec<&str> =
        names.filter_map(|name| name.strip_prefix("cloudtrail_network_activity_")).collect();
    let wanted = [
        "flat",
        "errors",
        "daily_activity",
        "daily_errors",
        "daily_clients",
        "bootstrap",
        "by_day",
    ];
    assert_eq!(suffixes, wanted);
}

#[test]
fn sparks_views_have_comments() {
    let views = views(Dialect::Spark, &definition().table_input());

    let sql = views[0].create(Dialect::Spark, "lake");

    let start = "CREATE OR REPLACE VIEW `lake`.`cloudtrail_flat` (\n  `event_timestamp`,\n";
    assert!(sql.starts_with(start), "{sql}");
    assert!(sql.contains("`is_error` COMMENT 'whether the call failed'"), "{sql}");
}
