//! The catalog entries that the lake wants: a table and its partitions, in the lake's own terms.
//!
//! [`TableDefinition::validate`] holds the limits of Glue and Athena, so that a table that a service
//! would refuse is refused before the first call, with the column named. The inputs follow the
//! shape that awswrangler has proven with Athena. Counts go into the parameters under the names
//! that crawlers use (`recordCount`, `sizeKey`, `objectCount`, `averageRecordSize`) and those that
//! Hive, Trino and Spark plan with (`numRows`, `totalSize`, `numFiles`). `UPDATED_BY_CRAWLER` is
//! never written: no crawler was here.

use std::collections::HashSet;

use super::parameters::{
    COLUMNS, INPUT_FORMAT, OUTPUT_FORMAT, PARTITION_FILTERING, PARTITIONS, SCHEMA_VERSION, SERDE,
    VIEWS,
};
use super::{
    Column, Columns, HiveType, Parameters, PartitionIndex, PartitionInput, SerdeInfo,
    StorageDescriptor, TableInput, ViewSelection,
};
use crate::error::{Error, Result};

/// Glue's longest database, table or column name, and longest comment, in characters.
pub(super) const MAX_NAME: usize = 255;
const MAX_TYPE: usize = 131_072;
const MAX_DESCRIPTION: usize = 2_048;
const MAX_LOCATION: usize = 2_056;
const MAX_VALUE: usize = 1_024;
const MAX_PARAMETER: usize = 512_000;

const CODECS: [&str; 7] = ["zstd", "snappy", "gzip", "lz4", "lzo", "none", "uncompressed"];

/// How engines learn of a table's partitions. Never both: Athena passes over registered partitions
/// where projection is on, and everything but Athena and Trino knows only registered ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publication {
    /// Each partition is registered; parameters of others about projection are left alone.
    #[default]
    Registered,
    /// As before, and what says otherwise is removed from the table.
    RegisteredAgain,
    /// No partition is registered; parameters of the table say how to make them up.
    Projected,
}

impl Publication {
    /// Returns the name prefixes of parameters that are ours alone: those that we do not set are
    /// removed.
    pub(super) fn owned_parameters(self) -> &'static [&'static str] {
        match self {
            Self::Registered => &[],
            Self::RegisteredAgain | Self::Projected => {
                &["projection.", "storage.location.template", PARTITIONS]
            }
        }
    }
}

/// A table of the lake.
#[derive(Clone, Debug, Default)]
pub struct TableDefinition {
    /// The database, of `[a-z0-9_]`.
    pub database: String,
    /// The table, of `[a-z0-9_]`.
    pub name: String,
    /// Its folder, `s3://…/` or `file:///…/`.
    pub location: String,
    /// Its data columns, in order.
    pub columns: Vec<Column>,
    /// Its partition columns, in order; all are `string`.
    pub partition_keys: Vec<Column>,
    /// The Parquet codec in lower case: `zstd`.
    pub compression: String,
    /// Description for people.
    pub description: String,
    /// The version of the schema lock it was made from.
    pub schema_version: u32,
    /// Records in the table.
    pub rows: u64,
    /// Bytes of its data files.
    pub bytes: u64,
    /// Its data files.
    pub files: u64,
    /// Further table parameters to own (`projection.enabled`, …); win over those above.
    pub parameters: Parameters,
    /// How its partitions are published.
    pub publication: Publication,
    /// Whether Glue keeps an index over all partition columns.
    pub has_partition_index: bool,
    /// The sets of views that the catalog is to keep beside it; none: those that it keeps now.
    pub views: Option<ViewSelection>,
}

/// A partition of the lake.
#[derive(Clone, Debug, Default)]
pub struct PartitionDefinition {
    /// The values, in the order of the table's partition columns.
    pub values: Vec<String>,
    /// Its folder, ending in `/`.
    pub location: String,
    /// Records in the partition.
    pub rows: u64,
    /// Bytes of its data files.
    pub bytes: u64,
    /// Its data files.
    pub files: u64,
}

/// Returns whether Athena and Glue take `name` as it is: 1 to 255 of `a-z`, `0-9`, `_`.
pub fn is_name(name: &str) -> bool {
    let is_allowed = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}

impl TableDefinition {
    /// Checks the definition against the limits of Glue and Athena.
    ///
    /// # Errors
    /// `Config`, naming the column or value that a service would refuse.
    pub fn validate(&self) -> Result<()> {
        check_name("database", &self.database)?;
        check_name("table", &self.name)?;
        check_location(&self.location)?;
        check_text("description", &self.description, MAX_DESCRIPTION)?;
        if !CODECS.contains(&self.compression.as_str()) {
            return Err(refused("unknown compression codec").at("codec", &self.compression));
        }
        for (key, value) in &self.parameters {
            check_text("parameter name", key, MAX_NAME)?;
            if value.chars().count() > MAX_PARAMETER {
                return Err(refused("a parameter is too long").at("parameter", key));
            }
        }
        self.validate_columns()
    }

    fn validate_columns(&self) -> Result<()> {
        if self.columns.is_empty() {
            return Err(refused("the table has no columns").at("table", &self.name));
        }
        let mut seen = HashSet::new();
        for column in &self.columns {
            let place = |err: Error| err.at("column", &column.name);
            check_name("column", &column.name)?;
            if !seen.insert(column.name.as_str()) {
                return Err(place(refused("duplicate column")));
            }
            if column.hive_type.len() > MAX_TYPE {
                let message = format!("the column's type is longer than {MAX_TYPE} characters");
                return Err(place(refused(message)));
            }
            HiveType::parse(&column.hive_type).map_err(place)?;
            check_text("comment", &column.comment, MAX_NAME).map_err(place)?;
        }
        for key in &self.partition_keys {
            let place = |err: Error| err.at("column", &key.name);
            check_name("partition column", &key.name)?;
            if !seen.insert(&key.name) {
                let message = "a partition column is duplicate or also a data column";
                return Err(place(refused(message)));
            }
            check_text("comment", &key.comment, MAX_NAME).map_err(place)?;
        }
        Ok(())
    }

    /// Checks a partition against this table and the limits of Glue.
    ///
    /// # Errors
    /// `Config`, naming the partition's folder.
    pub fn validate_partition(&self, partition: &PartitionDefinition) -> Result<()> {
        let place = |err: Error| err.at("partition", &partition.location);
        if partition.values.len() != self.partition_keys.len() {
            let message = "a partition needs one value for each partition column";
            return Err(place(refused(message)));
        }
        for value in &partition.values {
            if value.is_empty() {
                return Err(place(refused("a partition value is empty")));
            }
            check_text("partition value", value, MAX_VALUE).map_err(place)?;
        }
        check_location(&partition.location)
    }

    /// Returns the document that Glue's `CreateTable` takes.
    pub fn table_input(&self) -> TableInput {
        let mut parameters = counts(self.rows, self.bytes, self.files);
        parameters.extend(self.format_parameters());
        let codec = match self.compression.as_str() {
            "none" => "UNCOMPRESSED".to_owned(),
            codec => codec.to_uppercase(),
        };
        parameters.insert("EXTERNAL".into(), "TRUE".into());
        parameters.insert("parquet.compression".into(), codec);
        parameters.insert(SCHEMA_VERSION.into(), self.schema_version.to_string());
        if let Some(views) = self.views.as_ref().filter(|views| !views.is_empty()) {
            parameters.insert(VIEWS.into(), views.to_string());
        }
        if self.has_partition_index {
            parameters.insert(PARTITION_FILTERING.into(), "true".into());
        }
        parameters.extend(self.parameters.iter().map(|(k, v)| (k.clone(), v.clone())));
        TableInput {
            name: self.name.clone(),
            description: self.description.clone(),
            storage_descriptor: self.storage(self.columns.clone().into(), &self.location),
            partition_keys: self.partition_keys.clone(),
            table_type: "EXTERNAL_TABLE".into(),
            parameters,
            ..TableInput::default()
        }
    }

    /// Returns the index over all partition columns that Glue's `CreatePartitionIndex` takes.
    pub fn partition_index(&self) -> Option<PartitionIndex> {
        let keys = || self.partition_keys.iter().map(|key| key.name.clone()).collect();
        let index = || PartitionIndex { index_name: "trailmill".into(), keys: keys() };
        (self.has_partition_index && !self.partition_keys.is_empty()).then(index)
    }

    /// Returns the document that Glue's `BatchCreatePartition` takes. It carries the names and types
    /// of the table's columns. For many partitions, [`TableDefinition::partition_inputs`] shares them.
    pub fn partition_input(&self, partition: &PartitionDefinition) -> PartitionInput {
        let columns = self.bare_columns();
        self.partition_with(&columns, &columns.fingerprint(), partition)
    }

    /// Returns the documents of many partitions, which share one column list.
    pub fn partition_inputs(&self, partitions: &[PartitionDefinition]) -> Vec<PartitionInput> {
        self.partition_inputs_with(&self.bare_columns(), partitions)
    }

    /// Returns the documents of many partitions of a table that has more columns than ours.
    pub fn partition_inputs_with(
        &self,
        columns: &Columns,
        partitions: &[PartitionDefinition],
    ) -> Vec<PartitionInput> {
        let fingerprint = columns.fingerprint();
        partitions.iter().map(|p| self.partition_with(columns, &fingerprint, p)).collect()
    }

    fn partition_with(
        &self,
        columns: &Columns,
        fingerprint: &str,
        partition: &PartitionDefinition,
    ) -> PartitionInput {
        let mut parameters = counts(partition.rows, partition.bytes, partition.files);
        parameters.extend(self.format_parameters());
        parameters.insert(COLUMNS.into(), fingerprint.into());
        PartitionInput {
            values: partition.values.clone(),
            storage_descriptor: self.storage(columns.clone(), &partition.location),
            parameters,
            ..PartitionInput::default()
        }
    }

    fn bare_columns(&self) -> Columns {
        self.columns.iter().map(|c| Column::new(&c.name, &c.hive_type)).collect()
    }

    fn storage(&self, columns: Columns, location: &str) -> StorageDescriptor {
        StorageDescriptor {
            columns,
            location: location.to_owned(),
            input_format: INPUT_FORMAT.into(),
            output_format: OUTPUT_FORMAT.into(),
            compressed: !matches!(self.compression.as_str(), "none" | "uncompressed"),
            number_of_buckets: -1,
            serde_info: SerdeInfo {
                serialization_library: SERDE.into(),
                parameters: [("serialization.format".into(), "1".into())].into(),
                ..SerdeInfo::default()
            },
            parameters: self.format_parameters(),
            ..StorageDescriptor::default()
        }
    }

    fn format_parameters(&self) -> Parameters {
        [
            ("classification".into(), "parquet".into()),
            ("compressionType".into(), self.compression.clone()),
            ("typeOfData".into(), "file".into()),
        ]
        .into()
    }
}

fn counts(rows: u64, bytes: u64, files: u64) -> Parameters {
    let average = bytes.checked_div(rows).unwrap_or(0);
    [
        ("recordCount", rows),
        ("sizeKey", bytes),
        ("objectCount", files),
        ("averageRecordSize", average),
        ("numRows", rows),
        ("totalSize", bytes),
        ("numFiles", files),
    ]
    .map(|(key, count)| (key.to_owned(), count.to_string()))
    .into()
}

fn refused(message: impl Into<String>) -> Error {
    Error::config(message)
}

pub(super) fn check_name(what: &'static str, name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    let message = format!("invalid {what} name: expected 1 to {MAX_NAME} of a-z, 0-9 and `_`");
    let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    Err(refused(message).at(what, shown))
}

fn check_text(what: &'static str, text: &str, most: usize) -> Result<()> {
    if text.chars().count() > most {
        return Err(refused(format!("the {what} is longer than {most} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(refused(format!("the {what} holds a control character")));
    }
    Ok(())
}

fn check_location(location: &str) -> Result<()> {
    check_text("location", location, MAX_LOCATION)?;
    let is_known = location.starts_with("s3://") || location.starts_with("file:///");
    if is_known && location.ends_with('/') {
        return Ok(());
    }
    Err(refused("invalid location: expected `s3://…/` or `file:///…/`").at("location", location))
}

#[cfg(test)]
mod tests {
    use super::TableDefinition;
    use crate::catalog::Column;
    use crate::catalog::fixtures::{definition, partition};

    fn refusal(change: impl FnOnce(&mut TableDefinition)) -> String {
        let mut table = definition();
        change(&mut table);
        table.validate().expect_err("a service refuses it").to_string()
    }

    #[test]
    fn the_contract_table_is_valid() {
        let table = definition();

        assert!(table.validate().is_ok());
        assert!(table.validate_partition(&partition("eu-west-1", "2026-01-02")).is_ok());
    }

    #[test]
    fn what_glue_or_athena_refuse_is_refused_first() {
        let long_type = format!("struct<{}z:int>", "abcdefghij:string,".repeat(8_000));
        for (message, why) in [
            (refusal(|t| t.name = "CloudTrail".into()), "table name"),
            (refusal(|t| t.database = "a-b".into()), "database name"),
            (refusal(|t| t.name = "a".repeat(256)), "table name"),
            (refusal(|t| t.location = "s3://b/x".into()), "invalid location"),
            (refusal(|t| t.location = "/tmp/".into()), "invalid location"),
            (refusal(|t| t.columns.clear()), "no columns"),
            (refusal(|t| t.columns.push(Column::new("eventname", "int"))), "duplicate"),
            (refusal(|t| t.columns.push(Column::new("x-y", "int"))), "column name"),
            (refusal(|t| t.columns.push(Column::new("x", "struct<>"))), "(byte 7, column x)"),
            (refusal(|t| t.columns.push(Column::new("x", &long_type))), "131072"),
            (
                refusal(|t| {
                    let column = Column::new("x", "int").with_comment("é".repeat(256));
                    t.columns.push(column);
                }),
                "longer than 255",
            ),
            (
                refusal(|t| t.partition_keys.push(Column::new("awsregion", "string"))),
                "also a data column",
            ),
            (refusal(|t| t.compression = "bzip2".into()), "codec"),
        ] {
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn a_partition_needs_a_value_for_each_key() {
        let table = definition();
        let mut short = partition("eu-west-1", "2026-01-02");
        short.values.pop();
        let mut empty = partition("eu-west-1", "2026-01-02");
        empty.values[0].clear();

        assert!(table.validate_partition(&short).is_err());
        assert!(table.validate_partition(&empty).is_err());
    }

    #[test]
    fn a_partition_carries_the_columns_of_its_table_and_its_own_counts() {
        let table = definition();

        let input = table.partition_input(&partition("eu-west-1", "2026-01-02"));

        let types = |columns: &[Column]| -> Vec<(String, String)> {
            columns.iter().map(|c| (c.name.clone(), c.hive_type.clone())).collect()
        };
        assert_eq!(types(&input.storage_descriptor.columns), types(table.table_input().columns()));
        assert_eq!(input.parameters["recordCount"], "10");
        assert_eq!(input.parameters["averageRecordSize"], "100");
        assert!(!table.table_input().parameters.contains_key("UPDATED_BY_CRAWLER"));
    }
}
