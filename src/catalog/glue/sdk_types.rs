//! Between our documents and the SDK's types.
//!
//! Nothing that Glue takes back in an input is lost on the way: what we have no field for goes into
//! `other` under Glue's own name, and comes from there. What Glue only gives out (times, creator,
//! version, registration) is left behind: an input that holds it is refused. Empty lists and maps are
//! written where engines need them (see `input.rs`).

use std::collections::HashMap;

use aws_sdk_glue::types as sdk;
use aws_smithy_types::DateTime;
use serde_json::{Map, Value, json};

use crate::catalog::{
    Column, Columns, Parameters, PartitionIndex, PartitionInput, SerdeInfo, StorageDescriptor,
    TableInput,
};
use crate::error::{Error, ErrorKind, Result};

type Other = Map<String, Value>;

/// Returns our document of a table that Glue returned.
pub(super) fn table_from(table: sdk::Table) -> TableInput {
    let mut other = Other::new();
    keep(&mut other, "Owner", table.owner);
    keep(&mut other, "LastAccessTime", table.last_access_time.map(seconds));
    keep(&mut other, "LastAnalyzedTime", table.last_analyzed_time.map(seconds));
    keep(&mut other, "Retention", Some(table.retention).filter(|days| *days != 0));
    // A link to a table of another catalog: never ours, and refused before it is written.
    keep(&mut other, "TargetTable", table.target_table.map(|target| target.name));
    TableInput {
        name: table.name,
        description: table.description.unwrap_or_default(),
        storage_descriptor: storage_from(table.storage_descriptor),
        partition_keys: table.partition_keys.into_iter().flatten().map(column_from).collect(),
        table_type: table.table_type.unwrap_or_default(),
        parameters: parameters_from(table.parameters),
        view_original_text: table.view_original_text,
        view_expanded_text: table.view_expanded_text,
        other,
    }
}

/// Returns our document of a partition that Glue returned.
pub(super) fn partition_from(partition: sdk::Partition) -> PartitionInput {
    let mut other = Other::new();
    keep(&mut other, "LastAccessTime", partition.last_access_time.map(seconds));
    keep(&mut other, "LastAnalyzedTime", partition.last_analyzed_time.map(seconds));
    PartitionInput {
        values: partition.values.unwrap_or_default(),
        storage_descriptor: storage_from(partition.storage_descriptor),
        parameters: parameters_from(partition.parameters),
        other,
    }
}

fn storage_from(storage: Option<sdk::StorageDescriptor>) -> StorageDescriptor {
    let Some(storage) = storage else { return StorageDescriptor::default() };
    let mut other = Other::new();
    keep(&mut other, "AdditionalLocations", storage.additional_locations);
    keep(&mut other, "SkewedInfo", storage.skewed_info.map(skewed_from));
    keep(&mut other, "SchemaReference", storage.schema_reference.map(reference_from));
    StorageDescriptor {
        columns: storage.columns.into_iter().flatten().map(column_from).collect(),
        location: storage.location.unwrap_or_default(),
        input_format: storage.input_format.unwrap_or_default(),
        output_format: storage.output_format.unwrap_or_default(),
        compressed: storage.compressed,
        number_of_buckets: storage.number_of_buckets.into(),
        serde_info: storage.serde_info.map(serde_from).unwrap_or_default(),
        bucket_columns: storage.bucket_columns.unwrap_or_default(),
        sort_columns: storage
            .sort_columns
            .into_iter()
            .flatten()
            .map(|order| json!({"Column": order.column, "SortOrder": order.sort_order}))
            .collect(),
        parameters: parameters_from(storage.parameters),
        stored_as_sub_directories: storage.stored_as_sub_directories,
        other,
    }
}

fn serde_from(serde: sdk::SerDeInfo) -> SerdeInfo {
    let mut other = Other::new();
    keep(&mut other, "Name", serde.name);
    SerdeInfo {
        serialization_library: serde.serialization_library.unwrap_or_default(),
        parameters: parameters_from(serde.parameters),
        other,
    }
}

fn skewed_from(skewed: sdk::SkewedInfo) -> Value {
    let mut all = Other::new();
    keep(&mut all, "SkewedColumnNames", skewed.skewed_column_names);
    keep(&mut all, "SkewedColumnValues", skewed.skewed_column_values);
    let places = skewed.skewed_column_value_location_maps;
    keep(&mut all, "SkewedColumnValueLocationMaps", places.map(object));
    Value::Object(all)
}

fn reference_from(reference: sdk::SchemaReference) -> Value {
    let mut all = Other::new();
    let id = reference.schema_id.map(|id| {
        let mut all = Other::new();
        keep(&mut all, "SchemaArn", id.schema_arn);
        keep(&mut all, "SchemaName", id.schema_name);
        keep(&mut all, "RegistryName", id.registry_name);
        Value::Object(all)
    });
    keep(&mut all, "SchemaId", id);
    keep(&mut all, "SchemaVersionId", reference.schema_version_id);
    keep(&mut all, "SchemaVersionNumber", reference.schema_version_number);
    Value::Object(all)
}

fn column_from(column: sdk::Column) -> Column {
    let mut other = Other::new();
    keep(&mut other, "Parameters", column.parameters.map(object));
    Column {
        name: column.name,
        hive_type: column.r#type.unwrap_or_default(),
        comment: column.comment.unwrap_or_default(),
        other,
    }
}

fn parameters_from(parameters: Option<HashMap<String, String>>) -> Parameters {
    parameters.into_iter().flatten().collect()
}

/// As an object whose names are sorted, so that equal maps are equal.
fn object(map: HashMap<String, String>) -> Value {
    let sorted: Parameters = map.into_iter().collect();
    Value::Object(sorted.into_iter().map(|(key, value)| (key, Value::from(value))).collect())
}

fn keep<T: Into<Value>>(other: &mut Other, name: &str, value: Option<T>) {
    if let Some(value) = value {
        other.insert(name.to_owned(), value.into());
    }
}

/// As Glue writes times in JSON.
fn seconds(time: DateTime) -> Value {
    json!(time.as_secs_f64())
}

/// Returns the SDK's form of a table's document.
///
/// # Errors
/// `Bug` if a required name is missing, which a definition that was validated does not.
pub(super) fn table_to(table: &TableInput) -> Result<sdk::TableInput> {
    let keys = table.partition_keys.iter().map(column_to).collect::<Result<Vec<_>>>()?;
    sdk::TableInput::builder()
        .name(&table.name)
        .set_description(some(&table.description))
        .set_owner(text(&table.other, "Owner"))
        .set_last_access_time(time(&table.other, "LastAccessTime"))
        .set_last_analyzed_time(time(&table.other, "LastAnalyzedTime"))
        .set_retention(whole(&table.other, "Retention"))
        .storage_descriptor(storage_to(&table.storage_descriptor)?)
        .set_partition_keys(Some(keys))
        .set_view_original_text(table.view_original_text.clone())
        .set_view_expanded_text(table.view_expanded_text.clone())
        .set_table_type(some(&table.table_type))
        .set_parameters(parameters_to(&table.parameters))
        .build()
        .map_err(incomplete)
}

/// Returns the SDK's form of a partition's document.
///
/// # Errors
/// As for [`table_to`].
pub(super) fn partition_to(partition: &PartitionInput) -> Result<sdk::PartitionInput> {
    Ok(sdk::PartitionInput::builder()
        .set_values(Some(partition.values.clone()))
        .set_last_access_time(time(&partition.other, "LastAccessTime"))
        .set_last_analyzed_time(time(&partition.other, "LastAnalyzedTime"))
        .storage_descriptor(storage_to(&partition.storage_descriptor)?)
        .set_parameters(parameters_to(&partition.parameters))
        .build())
}

/// Returns the SDK's form of a partition index.
///
/// # Errors
/// As for [`table_to`].
pub(super) fn index_to(index: &PartitionIndex) -> Result<sdk::PartitionIndex> {
    sdk::PartitionIndex::builder()
        .index_name(&index.index_name)
        .set_keys(Some(index.keys.clone()))
        .build()
        .map_err(incomplete)
}

/// Returns the SDK's form of a partition's values.
///
/// # Errors
/// As for [`table_to`].
pub(super) fn values_to(values: &[String]) -> Result<sdk::PartitionValueList> {
    sdk::PartitionValueList::builder().set_values(Some(values.to_vec())).build().map_err(incomplete)
}

fn storage_to(storage: &StorageDescriptor) -> Result<sdk::StorageDescriptor> {
    // An empty list, too: Trino reads it, and fails on one that is absent.
    let columns = storage.columns.iter().map(column_to).collect::<Result<Vec<_>>>()?;
    let sorted = storage.sort_columns.iter().map(order_to).collect::<Result<Vec<_>>>()?;
    let serde = &storage.serde_info;
    let serde = sdk::SerDeInfo::builder()
        .set_name(text(&serde.other, "Name"))
        .set_serialization_library(some(&serde.serialization_library))
        .set_parameters(parameters_to(&serde.parameters))
        .build();
    Ok(sdk::StorageDescriptor::builder()
        .set_columns(Some(columns))
        .location(&storage.location)
        .set_additional_locations(texts(&storage.other, "AdditionalLocations"))
        .set_input_format(some(&storage.input_format))
        .set_output_format(some(&storage.output_format))
        .compressed(storage.compressed)
        .number_of_buckets(i32::try_from(storage.number_of_buckets).unwrap_or(-1))
        .serde_info(serde)
        .set_bucket_columns(Some(storage.bucket_columns.clone()))
        .set_sort_columns(Some(sorted))
        .set_parameters(parameters_to(&storage.parameters))
        .set_skewed_info(part(&storage.other, "SkewedInfo").map(skewed_to))
        .stored_as_sub_directories(storage.stored_as_sub_directories)
        .set_schema_reference(part(&storage.other, "SchemaReference").map(reference_to))
        .build())
}

fn skewed_to(skewed: &Other) -> sdk::SkewedInfo {
    sdk::SkewedInfo::builder()
        .set_skewed_column_names(texts(skewed, "SkewedColumnNames"))
        .set_skewed_column_values(texts(skewed, "SkewedColumnValues"))
        .set_skewed_column_value_location_maps(map(skewed, "SkewedColumnValueLocationMaps"))
        .build()
}

fn reference_to(reference: &Other) -> sdk::SchemaReference {
    let id = part(reference, "SchemaId").map(|id| {
        sdk::SchemaId::builder()
            .set_schema_arn(text(id, "SchemaArn"))
            .set_schema_name(text(id, "SchemaName"))
            .set_registry_name(text(id, "RegistryName"))
            .build()
    });
    sdk::SchemaReference::builder()
        .set_schema_id(id)
        .set_schema_version_id(text(reference, "SchemaVersionId"))
        .set_schema_version_number(reference.get("SchemaVersionNumber").and_then(Value::as_i64))
        .build()
}

fn order_to(order: &Value) -> Result<sdk::Order> {
    let column = order.get("Column").and_then(Value::as_str).unwrap_or_default();
    let ascending = order.get("SortOrder").and_then(Value::as_i64).unwrap_or(1);
    sdk::Order::builder()
        .column(column)
        .sort_order(i32::from(ascending != 0))
        .build()
        .map_err(incomplete)
}

fn column_to(column: &Column) -> Result<sdk::Column> {
    sdk::Column::builder()
        .name(&column.name)
        .set_type(some(&column.hive_type))
        .set_comment(some(&column.comment))
        .set_parameters(map(&column.other, "Parameters"))
        .build()
        .map_err(incomplete)
}

fn incomplete(err: aws_smithy_types::error::operation::BuildError) -> Error {
    Error::new(ErrorKind::Bug, "a catalog document is incomplete").because(err)
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn text(other: &Other, name: &str) -> Option<String> {
    other.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn texts(other: &Other, name: &str) -> Option<Vec<String>> {
    let values = other.get(name)?.as_array()?;
    Some(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn map(other: &Other, name: &str) -> Option<HashMap<String, String>> {
    let values = part(other, name)?.iter();
    Some(values.filter_map(|(key, v)| Some((key.clone(), v.as_str()?.to_owned()))).collect())
}

fn part<'a>(other: &'a Other, name: &str) -> Option<&'a Other> {
    other.get(name)?.as_object()
}

fn whole(other: &Other, name: &str) -> Option<i32> {
    other.get(name)?.as_i64()?.try_into().ok()
}

fn time(other: &Other, name: &str) -> Option<DateTime> {
    Some(DateTime::from_secs_f64(other.get(name)?.as_f64()?))
}

fn parameters_to(parameters: &Parameters) -> Option<HashMap<String, String>> {
    Some(parameters.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Lists that are equal become one: an inferred schema is tens of kilobytes.
#[derive(Debug, Default)]
pub(super) struct Shared(Vec<Columns>);

impl Shared {
    /// Starts with a list that most are expected to equal.
    pub(super) fn with(columns: Columns) -> Self {
        Self(vec![columns])
    }

    /// Returns the list that is kept for all its equals.
    pub(super) fn one(&mut self, columns: Columns) -> Columns {
        if let Some(known) = self.0.iter().find(|known| **known == columns) {
            return known.clone();
        }
        self.0.push(columns.clone());
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixtures::{definition, partition};

    /// The response of Glue for an input.
    fn returned(input: &sdk::TableInput) -> sdk::Table {
        sdk::Table::builder()
            .name(input.name())
            .set_description(input.description().map(str::to_owned))
            .set_owner(input.owner().map(str::to_owned))
            .set_last_access_time(input.last_access_time().copied())
            .retention(input.retention())
            .set_storage_descriptor(input.storage_descriptor().cloned())
            .set_partition_keys(Some(input.partition_keys().to_vec()))
            .set_view_original_text(input.view_original_text().map(str::to_owned))
            .set_table_type(input.table_type().map(str::to_owned))
            .set_parameters(input.parameters().cloned())
            .version_id("7")
            .created_by("somebody")
            .build()
            .expect("complete")
    }

    #[test]
    fn a_table_comes_back_as_it_was_sent() {
        let table = definition().table_input();

        let sent = table_to(&table).expect("complete");

        assert_eq!(sent.partition_keys().len(), 3);
        assert!(sent.storage_descriptor().is_some_and(|s| s.bucket_columns.is_some()));
        assert_eq!(table_from(returned(&sent)), table);
    }

    #[test]
    fn what_others_wrote_goes_both_ways() {
        let mut value = serde_json::to_value(definition().table_input()).expect("serializable");
        value["Owner"] = json!("hadoop");
        value["Retention"] = json!(7);
        value["LastAccessTime"] = json!(1_700_000_000.0);
        value["ViewOriginalText"] = json!("a note");
        let storage = &mut value["StorageDescriptor"];
        storage["AdditionalLocations"] = json!(["s3://b/more/"]);
        storage["SkewedInfo"] = json!({
            "SkewedColumnNames": [], "SkewedColumnValues": ["x"],
            "SkewedColumnValueLocationMaps": {"x": "y"},
        });
        storage["SchemaReference"] = json!({
            "SchemaId": {"SchemaName": "n", "RegistryName": "r"}, "SchemaVersionNumber": 3,
        });
        storage["SortColumns"] = json!([{"Column": "eventtime", "SortOrder": 0}]);
        storage["SerdeInfo"]["Name"] = json!("serde");
        storage["Columns"][0]["Parameters"] = json!({"pii": "no"});
        storage["Columns"][0]["Comment"] = json!("the version");
        let table: TableInput = serde_json::from_value(value).expect("readable");

        let sent = table_to(&table).expect("complete");

        assert_eq!(table_from(returned(&sent)), table);
    }

    #[test]
    fn a_partition_comes_back_as_it_was_sent() {
        let mut one = definition().partition_input(&partition("eu-west-1", "2026-01-02"));
        one.other.insert("LastAccessTime".into(), json!(1_700_000_000.5));

        let sent = partition_to(&one).expect("complete");
        let returned = sdk::Partition::builder()
            .set_values(sent.values.clone())
            .set_storage_descriptor(sent.storage_descriptor.clone())
            .set_parameters(sent.parameters.clone())
            .set_last_access_time(sent.last_access_time)
            .database_name("lake")
            .build();

        assert_eq!(partition_from(returned), one);
    }

    #[test]
    fn equal_column_lists_are_kept_once() {
        let columns = || definition().table_input().storage_descriptor.columns.bare();
        let mut shared = Shared::with(columns());

        let (first, second) = (shared.one(columns()), shared.one(Columns::default()));

        assert_eq!(first, columns());
        assert!(second.is_empty());
        assert_eq!(shared.0.len(), 2);
    }
}
