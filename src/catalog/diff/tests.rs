//! What a diff says, and what it refuses.

use super::{CatalogDiff, Change, Existing, OnExtraPartition, diff};
use crate::catalog::fixtures::{definition, partition};
use crate::catalog::{
    Column, PartitionDefinition, Publication, TableDefinition, projection_parameters,
};

fn existing(table: &TableDefinition, partitions: &[PartitionDefinition]) -> Existing {
    Existing {
        database: true,
        table: Some(table.table_input()),
        partitions: table.partition_inputs(partitions),
        ..Existing::default()
    }
}

fn planned(
    table: &TableDefinition,
    wanted: &[PartitionDefinition],
    existing: &Existing,
) -> CatalogDiff {
    diff(table, wanted, existing, OnExtraPartition::Delete).expect("a diff")
}

#[test]
fn a_new_lake_creates_everything_in_order() {
    let wanted = [partition("us-east-1", "2026-01-02"), partition("eu-west-1", "2026-01-02")];

    let diff = planned(&definition(), &wanted, &Existing::default());

    assert_eq!(
        diff.to_string(),
        "+ database lake\n\
         + table cloudtrail: 35 columns\n\
         + partition cloudtrail/account=111122223333/region=eu-west-1/event_date=2026-01-02\n\
         + partition cloudtrail/account=111122223333/region=us-east-1/event_date=2026-01-02\n"
    );
}

#[test]
fn what_is_in_sync_needs_nothing() {
    let wanted = [partition("eu-west-1", "2026-01-02")];

    let diff = planned(&definition(), &wanted, &existing(&definition(), &wanted));

    assert!(diff.is_empty());
    assert!(diff.report().in_sync);
    assert_eq!(diff.to_string(), "= table lake.cloudtrail is in sync\n");
}

#[test]
fn what_is_not_ours_is_no_difference_and_is_kept() {
    let wanted = [partition("eu-west-1", "2026-01-02")];
    let mut table = definition();
    let mut found = existing(&table, &wanted);
    let input = found.table.as_mut().expect("a table");
    input.parameters.insert("transient_lastDdlTime".into(), "1700000000".into());
    input.other.insert("Owner".into(), "hadoop".into());
    found.partitions[0].parameters.insert("team".into(), "soc".into());
    assert!(planned(&table, &wanted, &found).is_empty());

    table.rows += 1;
    let mut more = wanted.clone();
    more[0].rows += 1;
    let diff = planned(&table, &more, &found);

    let update = diff.update_table.as_ref().expect("an update");
    assert_eq!(update.input.parameters["transient_lastDdlTime"], "1700000000");
    assert_eq!(update.input.parameters["recordCount"], "1001");
    assert_eq!(update.input.other["Owner"], "hadoop");
    assert_eq!(diff.update_partitions[0].input.parameters["team"], "soc");
}

#[test]
fn growth_is_cascaded_to_partitions_and_called_additive() {
    let wanted = [partition("eu-west-1", "2026-01-02")];
    let old = definition();
    let mut new = definition();
    new.columns.push(Column::new("request", "struct<a:string>"));
    let tls = new.columns.iter_mut().find(|c| c.name == "tlsdetails").expect("a column");
    tls.hive_type = tls.hive_type.replace('>', ",keyexchange:string>");

    let diff = planned(&new, &wanted, &existing(&old, &wanted));

    assert!(diff.update_table.as_ref().is_some_and(|u| u.additive));
    assert_eq!(
        diff.to_string(),
        "~ table cloudtrail: column tlsdetails grew\n\
         ~ table cloudtrail: column request added\n\
         ~ partition cloudtrail/account=111122223333/region=eu-west-1/event_date=2026-01-02: \
         column tlsdetails grew; column request added\n"
    );
}

#[test]
fn other_changes_of_columns_are_told_apart() {
    let old = definition();
    let mut new = definition();
    new.columns.swap(3, 4);
    new.columns[0].hive_type = "bigint".into();
    new.columns[2].comment = "ISO 8601".into();
    new.columns.pop();

    let diff = planned(&new, &[], &existing(&old, &[]));

    let update = diff.update_table.expect("an update");
    assert!(!update.additive);
    assert_eq!(
        update.changes,
        [
            Change::ColumnType { column: "eventversion".into(), additive: false },
            Change::Comment { on: "eventtime".into() },
            Change::ColumnsReordered,
        ]
    );
}

#[test]
fn extra_partitions_are_deleted_only_when_the_whole_lake_is_wanted() {
    let all = [partition("eu-west-1", "2026-01-02"), partition("eu-west-1", "2026-01-03")];
    let found = existing(&definition(), &all);

    let kept = diff(&definition(), &all[..1], &found, OnExtraPartition::Keep).expect("a diff");
    let deleted = planned(&definition(), &all[..1], &found);

    assert!(kept.is_empty());
    assert_eq!(
        deleted.to_string(),
        "- partition cloudtrail/account=111122223333/region=eu-west-1/event_date=2026-01-03\n"
    );
}

#[test]
fn a_moved_partition_and_a_changed_format_are_named() {
    let wanted = [partition("eu-west-1", "2026-01-02")];
    let mut found = existing(&definition(), &wanted);
    found.partitions[0].storage_descriptor.location = "s3://old/".into();
    found.partitions[0].storage_descriptor.number_of_buckets = 0;

    let diff = planned(&definition(), &wanted, &found);

    let changes = &diff.update_partitions[0].changes;
    assert_eq!(changes.len(), 2);
    assert!(changes[0].to_string().starts_with("location s3://old/ -> s3://bucket/"));
    assert_eq!(changes[1], Change::Format);
}

#[test]
fn a_table_that_is_not_ours_is_refused() {
    let refusal = |change: &dyn Fn(&mut Existing)| {
        let mut found = existing(&definition(), &[]);
        change(&mut found);
        let result = diff(&definition(), &[], &found, OnExtraPartition::Keep);
        result.expect_err("refused").to_string()
    };
    let set = |found: &mut Existing, f: &dyn Fn(&mut crate::catalog::TableInput)| {
        f(found.table.as_mut().expect("a table"));
    };

    let iceberg = refusal(&|e| {
        set(e, &|t| drop(t.parameters.insert("table_type".into(), "ICEBERG".into())));
    });
    let view = refusal(&|e| set(e, &|t| t.table_type = "VIRTUAL_VIEW".into()));
    let keys = refusal(&|e| set(e, &|t| drop(t.partition_keys.pop())));
    let other = refusal(&|e| {
        set(e, &|t| {
            t.parameters.remove("trailmill.schema_version");
            t.storage_descriptor.location = "s3://someone/".into();
        });
    });

    assert!(iceberg.contains("not an external Parquet table"), "{iceberg}");
    assert!(view.contains("not an external Parquet table"), "{view}");
    assert!(keys.contains("other partition columns"), "{keys}");
    assert!(other.contains("belongs to other data"), "{other}");
}

#[test]
fn projection_and_a_newer_schema_are_warned_about() {
    let mut found = existing(&definition(), &[]);
    let parameters = &mut found.table.as_mut().expect("a table").parameters;
    parameters.insert("projection.enabled".into(), "true".into());
    parameters.insert("trailmill.schema_version".into(), "2".into());

    let diff = planned(&definition(), &[], &found);

    assert_eq!(diff.warnings.len(), 2);
    assert!(diff.to_string().contains("! `projection.enabled`"));
}

#[test]
fn a_partition_wanted_twice_is_refused() {
    let twice = [partition("eu-west-1", "2026-01-02"), partition("eu-west-1", "2026-01-02")];

    let result = diff(&definition(), &twice, &Existing::default(), OnExtraPartition::Keep);

    assert!(result.is_err());
}

#[test]
fn the_report_names_differences_without_the_documents() {
    let wanted = [partition("eu-west-1", "2026-01-02")];
    let mut found = existing(&definition(), &wanted);
    found.partitions[0].parameters.insert("recordCount".into(), "9".into());

    let report = planned(&definition(), &wanted, &found).report();

    let json = serde_json::to_value(report).expect("serializable");
    let name = "account=111122223333/region=eu-west-1/event_date=2026-01-02";
    assert_eq!(json["in_sync"], false);
    assert_eq!(
        json["update_partitions"][name],
        serde_json::json!([
            {"change": "parameter", "name": "recordCount", "from": "9", "to": "10"}
        ])
    );
}

#[test]
fn a_partition_whose_columns_are_known_to_be_others_is_updated_with_one_word() {
    let wanted = [partition("eu-west-1", "2026-01-02")];
    let mut found = existing(&definition(), &wanted);
    found.partitions[0].storage_descriptor.columns = Vec::new().into();
    found.partitions[0].parameters.insert("trailmill.columns".into(), "stale".into());

    let diff = planned(&definition(), &wanted, &found);

    assert_eq!(diff.update_partitions[0].changes, [Change::Columns]);
    assert_eq!(
        diff.update_partitions[0].input,
        definition().partition_input(&partition("eu-west-1", "2026-01-02"))
    );
}

#[test]
fn partitions_follow_columns_that_somebody_added_to_the_table() {
    let wanted = [partition("eu-west-1", "2026-01-02")];
    let mut found = existing(&definition(), &wanted);
    let table = found.table.as_mut().expect("a table");
    let mut columns = table.columns().to_vec();
    columns.push(Column::new("ticket", "string"));
    table.storage_descriptor.columns = columns.into();

    let diff = planned(&definition(), &wanted, &found);

    assert!(diff.update_table.is_none());
    let columns = &diff.update_partitions[0].input.storage_descriptor.columns;
    assert_eq!(columns.last().map(|c| c.name.as_str()), Some("ticket"));
}

#[test]
fn projection_takes_the_place_of_partitions_and_goes_without_a_trace() {
    let wanted = [partition("eu-west-1", "2026-01-02")];
    let mut projected = definition();
    projected.publication = Publication::Projected;
    projected.parameters = projection_parameters(&projected, &wanted);

    let there = planned(&projected, &wanted, &existing(&definition(), &wanted));

    assert_eq!(there.delete_partitions, [wanted[0].values.clone()]);
    let input = there.update_table.expect("an update").input;
    assert_eq!(input.parameters["projection.enabled"], "true");
    let found = Existing { database: true, table: Some(input), ..Existing::default() };
    assert!(found.is_projected());
    assert!(planned(&projected, &wanted, &found).is_empty());
    let mut registered = definition();
    registered.publication = Publication::RegisteredAgain;
    let back = planned(&registered, &wanted, &found);
    assert_eq!(back.update_table.expect("an update").input, definition().table_input());
    assert_eq!(back.create_partitions.len(), 1);
}

#[test]
fn an_index_is_created_once() {
    let mut table = definition();
    table.has_partition_index = true;
    let mut found = existing(&table, &[]);

    let first = planned(&table, &[], &found);
    found.indexes.push(table.partition_keys.iter().map(|key| key.name.clone()).collect());

    assert_eq!(first.to_string(), "+ index cloudtrail.trailmill: account, region, event_date\n");
    assert!(planned(&table, &[], &found).is_empty());
}
