//! Glue's own documents: `TableInput`, `PartitionInput` and what they hold, as serde structs.
//!
//! The field names are Glue's, so that a file of the local catalog can be given to `aws glue
//! create-table --table-input file://…` as it is. Each document keeps the keys this crate does not
//! know in `other`, so that reading and writing loses nothing. `merged_over` is the
//! read-modify-write that Glue's replace-everything updates need: our own fields come from us, and
//! foreign parameters, comments and keys from the existing document. "Nothing to update" is then
//! plain equality with that document.

use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::parameters::{LAKE, PARTITIONS, PROJECTED, SCHEMA_VERSION, SHOWS, VIEW, VIRTUAL_VIEW};

/// Parameters of a table, partition, storage descriptor or serde.
pub type Parameters = BTreeMap<String, String>;

/// A column of a table, or a partition column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Column {
    /// The name, of `[a-z0-9_]`.
    pub name: String,
    /// The Hive type string.
    #[serde(rename = "Type", default)]
    pub hive_type: String,
    /// Description for people, at most 255 characters; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Keys this crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Column {
    /// Creates a column without a comment.
    pub fn new(name: impl Into<String>, hive_type: impl Into<String>) -> Self {
        Self { name: name.into(), hive_type: hive_type.into(), ..Self::default() }
    }

    /// Sets the comment.
    #[must_use]
    pub fn with_comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = comment.into();
        self
    }
}

/// A column list that partitions share: an inferred schema is tens of kilobytes of type text, and a
/// lake has tens of thousands of partitions.
#[derive(Clone, Debug, Default)]
pub struct Columns(Arc<Vec<Column>>);

impl Columns {
    /// Returns the same names and types alone, as partitions carry them.
    #[must_use]
    pub fn bare(&self) -> Self {
        self.iter().map(|c| Column::new(&c.name, &c.hive_type)).collect()
    }

    /// Returns a short text that two lists share exactly if their names and types are equal. Each
    /// partition carries that of its columns, so that a stale one is found without its columns.
    pub fn fingerprint(&self) -> String {
        let mut text = Vec::new();
        for column in self.iter() {
            for part in [&column.name, &column.hive_type] {
                text.extend_from_slice(part.as_bytes());
                text.push(0);
            }
        }
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&text))
    }

    /// Returns these columns with the comments of `existing`.
    fn merged_over(&self, existing: &Self) -> Self {
        if self == existing || existing.iter().all(|c| c.comment.is_empty() && c.other.is_empty()) {
            return self.clone();
        }
        let theirs: BTreeMap<&str, &Column> =
            existing.iter().map(|c| (c.name.as_str(), c)).collect();
        let merge = |ours: &Column| match theirs.get(ours.name.as_str()) {
            None => ours.clone(),
            Some(theirs) => Column {
                comment: kept(&theirs.comment, &ours.comment),
                other: theirs.other.clone(),
                ..ours.clone()
            },
        };
        self.iter().map(merge).collect()
    }

    /// Returns these columns, followed by those that only `existing` has: columns added by others.
    fn join(&self, existing: &Self) -> Self {
        let mut known: HashSet<&str> = self.iter().map(|c| c.name.as_str()).collect();
        let mut foreign = existing.iter().filter(|c| known.insert(c.name.as_str())).peekable();
        if foreign.peek().is_none() {
            return self.clone();
        }
        self.iter().chain(foreign).cloned().collect()
    }
}

impl Deref for Columns {
    type Target = [Column];
    fn deref(&self) -> &[Column] {
        &self.0
    }
}

impl From<Vec<Column>> for Columns {
    fn from(columns: Vec<Column>) -> Self {
        Self(Arc::new(columns))
    }
}

impl FromIterator<Column> for Columns {
    fn from_iter<I: IntoIterator<Item = Column>>(columns: I) -> Self {
        Self(Arc::new(columns.into_iter().collect()))
    }
}

impl PartialEq for Columns {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

/// Glue's `SerDeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SerdeInfo {
    /// The Java class that reads and writes rows.
    pub serialization_library: String,
    /// Its settings.
    pub parameters: Parameters,
    /// Keys this crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Glue's `StorageDescriptor`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StorageDescriptor {
    /// The data columns; without the partition columns. Absent in a partition: as in its table.
    #[serde(skip_serializing_if = "is_empty")]
    pub columns: Columns,
    /// The folder, ending in `/`.
    pub location: String,
    /// The Java class that reads files.
    pub input_format: String,
    /// The Java class that writes files.
    pub output_format: String,
    /// Whether the data is compressed.
    pub compressed: bool,
    /// -1: not bucketed.
    pub number_of_buckets: i64,
    /// The row format.
    pub serde_info: SerdeInfo,
    /// Empty, and written: `SHOW CREATE TABLE` fails without it.
    pub bucket_columns: Vec<String>,
    /// Empty; an order is not declared.
    pub sort_columns: Vec<Value>,
    /// Written even when empty: Glue jobs fail on partitions without it.
    pub parameters: Parameters,
    /// Always false.
    pub stored_as_sub_directories: bool,
    /// Keys this crate does not know (`SkewedInfo`).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl StorageDescriptor {
    fn merged_over(&self, existing: &Self) -> Self {
        let ours = &self.serde_info;
        let theirs = &existing.serde_info;
        Self {
            columns: self.columns.merged_over(&existing.columns),
            serde_info: SerdeInfo {
                parameters: join(&ours.parameters, &theirs.parameters),
                other: theirs.other.clone(),
                ..ours.clone()
            },
            parameters: join(&self.parameters, &existing.parameters),
            other: existing.other.clone(),
            ..self.clone()
        }
    }
}

/// Glue's `TableInput`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TableInput {
    /// The table's name.
    pub name: String,
    /// Description for people, at most 2048 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Columns, location and format.
    pub storage_descriptor: StorageDescriptor,
    /// The partition columns in order; written even when empty, Athena needs it.
    #[serde(default)]
    pub partition_keys: Vec<Column>,
    /// `EXTERNAL_TABLE` or `VIRTUAL_VIEW`.
    #[serde(default)]
    pub table_type: String,
    /// Settings and counts.
    #[serde(default)]
    pub parameters: Parameters,
    /// What a view selects, in the form of the engine that reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_original_text: Option<String>,
    /// What stands for it in engines that cannot read that form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_expanded_text: Option<String>,
    /// Keys this crate does not know (`Owner`, `Retention`).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl TableInput {
    /// Returns whether it was published with partition projection by us: no partition is registered.
    pub fn is_projected(&self) -> bool {
        self.parameters.get(PARTITIONS).is_some_and(|value| value == PROJECTED)
    }

    /// Returns this table with the fields of `existing` that we do not own: other parameters and
    /// columns, unknown keys, and comments and a table's description where there are any. A view's
    /// description is ours: with any, Trino does not take it for a view (see [`super::views`]).
    #[must_use]
    pub fn merged_over(&self, existing: &Self) -> Self {
        let merge_key = |ours: &Column| {
            let theirs = existing.partition_keys.iter().find(|k| k.name == ours.name);
            theirs.map_or_else(
                || ours.clone(),
                |theirs| Column {
                    comment: kept(&theirs.comment, &ours.comment),
                    other: theirs.other.clone(),
                    ..ours.clone()
                },
            )
        };
        let mut storage_descriptor =
            self.storage_descriptor.merged_over(&existing.storage_descriptor);
        // What a view selects is its columns: others cannot add any.
        if !self.is_view() {
            storage_descriptor.columns =
                storage_descriptor.columns.join(&existing.storage_descriptor.columns);
        }
        let description = match self.is_view() {
            true => self.description.clone(),
            false => kept(&existing.description, &self.description),
        };
        let text = |ours: &Option<String>, theirs: &Option<String>| ours.clone().or(theirs.clone());
        Self {
            name: self.name.clone(),
            description,
            storage_descriptor,
            partition_keys: self.partition_keys.iter().map(merge_key).collect(),
            table_type: self.table_type.clone(),
            parameters: join(&self.parameters, &existing.parameters),
            view_original_text: text(&self.view_original_text, &existing.view_original_text),
            view_expanded_text: text(&self.view_expanded_text, &existing.view_expanded_text),
            other: existing.other.clone(),
        }
    }

    /// Returns whether the table was made by this crate.
    pub fn is_ours(&self) -> bool {
        self.parameters.contains_key(SCHEMA_VERSION)
    }

    /// Returns whether it is a view.
    pub fn is_view(&self) -> bool {
        self.table_type == VIRTUAL_VIEW
    }

    /// Returns whether it is a view that this crate made, for the lake at this address.
    pub fn is_view_of(&self, lake: &str) -> bool {
        let is_made = self.is_view() && self.parameters.contains_key(VIEW);
        is_made && self.parameters.get(LAKE).is_some_and(|it| it == lake)
    }

    /// Returns what a view of ours shows, in one line; empty for anything else.
    pub fn shows(&self) -> &str {
        self.parameters.get(SHOWS).map_or("", String::as_str)
    }

    /// Returns the data columns.
    pub fn columns(&self) -> &[Column] {
        &self.storage_descriptor.columns
    }

    /// Returns the table's folder.
    pub fn location(&self) -> &str {
        &self.storage_descriptor.location
    }

    /// Returns `account=…/region=…` for the values of a partition.
    pub fn partition_name(&self, values: &[String]) -> String {
        let mut name = String::new();
        for (i, value) in values.iter().enumerate() {
            let key = self.partition_keys.get(i).map_or("?", |k| k.name.as_str());
            name.push_str(if i == 0 { "" } else { "/" });
            name.push_str(key);
            name.push('=');
            name.extend(value.escape_debug());
        }
        name
    }
}

/// Glue's `PartitionInput`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PartitionInput {
    /// The values, in the order of the table's partition columns.
    pub values: Vec<String>,
    /// Columns, location and format.
    pub storage_descriptor: StorageDescriptor,
    /// Settings and counts.
    #[serde(default)]
    pub parameters: Parameters,
    /// Keys this crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl PartitionInput {
    /// Returns this partition with the fields of `existing` that we do not own.
    #[must_use]
    pub fn merged_over(&self, existing: &Self) -> Self {
        Self {
            values: self.values.clone(),
            storage_descriptor: self.storage_descriptor.merged_over(&existing.storage_descriptor),
            parameters: join(&self.parameters, &existing.parameters),
            other: existing.other.clone(),
        }
    }
}

/// Glue's `PartitionIndex`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PartitionIndex {
    /// The index's name.
    pub index_name: String,
    /// Partition columns, in order.
    pub keys: Vec<String>,
}

/// Glue's `DatabaseInput`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DatabaseInput {
    /// The database's name.
    pub name: String,
    /// Description for people, at most 2048 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Keys this crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The description of a database that is created.
pub(super) const DATABASE_DESCRIPTION: &str =
    "AWS CloudTrail events as Parquet, written by trailmill";

fn join(ours: &Parameters, theirs: &Parameters) -> Parameters {
    let mut all = theirs.clone();
    all.extend(ours.iter().map(|(k, v)| (k.clone(), v.clone())));
    all
}

/// Descriptions written by users win over ours.
fn kept(theirs: &str, ours: &str) -> String {
    if theirs.is_empty() { ours } else { theirs }.to_owned()
}

fn is_empty(columns: &Columns) -> bool {
    columns.0.is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Column, Columns, TableInput};
    use crate::catalog::fixtures::definition;

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn table_json_has_the_field_names_of_glue_and_survives_the_round_trip() {
        let table = definition().table_input();

        let value = serde_json::to_value(&table).expect("serializable");
        let storage = &value["StorageDescriptor"];

        let names = [
            "Name",
            "Description",
            "StorageDescriptor",
            "PartitionKeys",
            "TableType",
            "Parameters",
        ];
        assert_eq!(keys(&value), names);
        let names = [
            "Columns",
            "Location",
            "InputFormat",
            "OutputFormat",
            "Compressed",
            "NumberOfBuckets",
            "SerdeInfo",
            "BucketColumns",
            "SortColumns",
            "Parameters",
            "StoredAsSubDirectories",
        ];
        assert_eq!(keys(storage), names);
        assert_eq!(keys(&storage["SerdeInfo"]), ["SerializationLibrary", "Parameters"]);
        assert_eq!(storage["Columns"][0], json!({"Name": "eventversion", "Type": "string"}));
        assert_eq!(value["PartitionKeys"][0], json!({"Name": "account", "Type": "string"}));
        assert_eq!(serde_json::from_value::<TableInput>(value).expect("readable"), table);
    }

    #[test]
    fn what_is_foreign_survives_a_merge_at_every_level() {
        let ours = definition().table_input();
        let mut value = serde_json::to_value(&ours).expect("serializable");
        value["Owner"] = json!("hadoop");
        value["Description"] = json!("edited by hand");
        value["Parameters"]["transient_lastDdlTime"] = json!("1700000000");
        value["Parameters"]["recordCount"] = json!("1");
        value["StorageDescriptor"]["SkewedInfo"] = json!({"SkewedColumnNames": []});
        value["StorageDescriptor"]["Columns"][1]["Comment"] = json!("who did it");
        value["StorageDescriptor"]["Columns"][1]["Type"] = json!("struct<type:string>");
        let existing: TableInput = serde_json::from_value(value).expect("readable");

        let merged = ours.merged_over(&existing);

        assert_eq!(merged.other["Owner"], "hadoop");
        assert_eq!(merged.description, "edited by hand");
        assert_eq!(merged.parameters["transient_lastDdlTime"], "1700000000");
        assert_eq!(merged.parameters["recordCount"], ours.parameters["recordCount"]);
        assert!(merged.storage_descriptor.other.contains_key("SkewedInfo"));
        assert_eq!(merged.columns()[1].comment, "who did it");
        assert_eq!(merged.columns()[1].hive_type, ours.columns()[1].hive_type);
        assert_eq!(merged.merged_over(&merged), merged);
    }

    #[test]
    fn columns_of_others_are_kept_at_the_end() {
        let ours = definition().table_input();
        let mut existing = ours.clone();
        let mut columns = ours.columns().to_vec();
        columns.insert(2, Column::new("team", "string").with_comment("whose it is"));
        columns.pop();
        existing.storage_descriptor.columns = columns.into();

        let merged = ours.merged_over(&existing);

        let (last, rest) = merged.columns().split_last().expect("columns");
        assert_eq!(last.comment, "whose it is");
        assert_eq!(rest, ours.columns());
        assert_eq!(merged.merged_over(&merged), merged);
    }

    #[test]
    fn a_fingerprint_knows_names_types_and_order_but_not_comments() {
        let list = |columns: &[(&str, &str)]| -> Columns {
            columns.iter().map(|(name, of)| Column::new(*name, *of)).collect()
        };
        let columns = list(&[("a", "string"), ("b", "int")]);
        let commented: Columns =
            columns.iter().map(|c| c.clone().with_comment("about it")).collect();

        assert_eq!(columns.fingerprint(), commented.fingerprint());
        for other in [
            list(&[("b", "int"), ("a", "string")]),
            list(&[("a", "string")]),
            list(&[("a", "string"), ("b", "bigint")]),
            list(&[("as", "tring"), ("b", "int")]),
        ] {
            assert_ne!(columns.fingerprint(), other.fingerprint());
        }
    }
}
