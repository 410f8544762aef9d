//! Partition projection: parameters of a table from which Athena and Trino make up its partitions.
//!
//! Nothing is registered then, and nothing needs to be when a day begins; a query that names a
//! partition without data reads nothing. Every partition column must be described, and the template
//! of the folder must hold each. Dates reach from the lake's first one to tomorrow. Columns with few
//! values (accounts, regions) list them; one with more than [`MAX_ENUM_VALUES`] is `injected`: every
//! query must then name its value with `=`. From the Athena guide, "Supported types for
//! partition projection"; it advises a few dozen values for a list.

use std::collections::BTreeSet;

use super::parameters::{PARTITIONS, PROJECTED};
use super::{Parameters, PartitionDefinition, TableDefinition};

/// The most values of a partition column that are listed; a column with more is `injected`.
pub const MAX_ENUM_VALUES: usize = 60;

/// Returns the parameters that describe the partitions of a table, as they are in the lake.
pub fn projection_parameters(
    table: &TableDefinition,
    partitions: &[PartitionDefinition],
) -> Parameters {
    let mut parameters = Parameters::new();
    parameters.insert("projection.enabled".into(), "true".into());
    parameters.insert(PARTITIONS.into(), PROJECTED.into());
    let mut template = table.location.clone();
    let keys = table.partition_keys.iter().map(|key| key.name.as_str());
    for (i, key) in keys.enumerate() {
        template.push_str(&format!("{key}=${{{key}}}/"));
        let values: BTreeSet<&str> =
            partitions.iter().filter_map(|p| p.values.get(i)).map(String::as_str).collect();
        for (name, value) in describe(key, &values) {
            parameters.insert(format!("projection.{key}.{name}"), value);
        }
    }
    parameters.insert("storage.location.template".into(), template);
    parameters
}

/// Describes one partition column.
fn describe(key: &str, values: &BTreeSet<&str>) -> Vec<(&'static str, String)> {
    let first = values.first().copied().unwrap_or_default();
    match key {
        "event_date" => vec![
            ("type", "date".into()),
            ("format", "yyyy-MM-dd".into()),
            ("range", format!("{first},NOW+1DAYS")),
            ("interval", "1".into()),
            ("interval.unit", "DAYS".into()),
        ],
        // As a date, so that a new year needs no change of the table.
        "year" => vec![
            ("type", "date".into()),
            ("format", "yyyy".into()),
            ("range", format!("{first},NOW+1DAYS")),
            ("interval", "1".into()),
            ("interval.unit", "YEARS".into()),
        ],
        "month" => integer("1,12"),
        "day" => integer("1,31"),
        "hour" => integer("0,23"),
        _ if values.len() > MAX_ENUM_VALUES => vec![("type", "injected".into())],
        _ => {
            let values: Vec<&str> = values.iter().copied().collect();
            vec![("type", "enum".into()), ("values", values.join(","))]
        }
    }
}

fn integer(range: &str) -> Vec<(&'static str, String)> {
    vec![("type", "integer".into()), ("range", range.into()), ("digits", "2".into())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixtures::{definition, partition};

    #[test]
    fn every_partition_column_is_described_and_stands_in_the_template() {
        let partitions =
            [partition("us-east-1", "2026-01-03"), partition("eu-west-1", "2025-12-31")];

        let found = projection_parameters(&definition(), &partitions);

        let want: Parameters = [
            ("projection.enabled", "true"),
            ("projection.account.type", "enum"),
            ("projection.account.values", "111122223333"),
            ("projection.region.type", "enum"),
            ("projection.region.values", "eu-west-1,us-east-1"),
            ("projection.event_date.type", "date"),
            ("projection.event_date.format", "yyyy-MM-dd"),
            ("projection.event_date.range", "2025-12-31,NOW+1DAYS"),
            ("projection.event_date.interval", "1"),
            ("projection.event_date.interval.unit", "DAYS"),
            (
                "storage.location.template",
                "s3://bucket/lake/cloudtrail/account=${account}/region=${region}/event_date=${event_date}/",
            ),
            ("trailmill.partitions", "projected"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        assert_eq!(found, want);
    }

    #[test]
    fn parts_of_a_date_are_padded_and_a_year_needs_no_upkeep() {
        let mut table = definition();
        table.partition_keys = ["year", "month", "day", "hour"]
            .map(|name| crate::catalog::Column::new(name, "string"))
            .into();
        let mut one = partition("x", "y");
        one.values = ["2026", "01", "02", "03"].map(String::from).into();

        let found = projection_parameters(&table, &[one]);

        assert_eq!(found["projection.year.range"], "2026,NOW+1DAYS");
        assert_eq!(found["projection.year.format"], "yyyy");
        for (key, range) in [("month", "1,12"), ("day", "1,31"), ("hour", "0,23")] {
            assert_eq!(found[&format!("projection.{key}.type")], "integer");
            assert_eq!(found[&format!("projection.{key}.range")], range);
            assert_eq!(found[&format!("projection.{key}.digits")], "2");
        }
    }

    #[test]
    fn too_many_values_to_list_are_injected() {
        let many: Vec<_> = (0..=MAX_ENUM_VALUES)
            .map(|i| {
                let mut one = partition("eu-west-1", "2026-01-02");
                one.values[0] = format!("{i:012}");
                one
            })
            .collect();

        let found = projection_parameters(&definition(), &many);

        assert_eq!(found["projection.account.type"], "injected");
        assert!(!found.contains_key("projection.account.values"));
        let listed = projection_parameters(&definition(), &many[1..]);
        assert_eq!(listed["projection.account.type"], "enum");
    }
}
