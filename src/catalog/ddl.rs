//! The same tables as SQL, to run, review or keep the statements.
//!
//! Three dialects. Athena's DDL is Hive's: identifiers in backticks, also inside `struct<…>` where a
//! member is a reserved word or does not begin with a letter; partitions are added at most
//! [`MAX_PARTITIONS`] a statement and well under Athena's 262,144 bytes of query. Spark's form is
//! `USING PARQUET`, which needs no Hive and works in its in-memory catalog. `DuckDB` has no
//! partitions to register: its table is a view over the files, with partition values kept as text.
//! Statements carry no semicolon, as Athena's API wants one at a time; [`script`] joins them.

mod duckdb;

use std::fmt::Write;

use super::{HiveType, PartitionInput, TableInput};
use crate::error::{Error, Result};

/// The most partitions in one `ALTER TABLE … ADD`.
pub const MAX_PARTITIONS: usize = 100;
/// Athena's limit on a statement, in bytes.
pub const MAX_ATHENA_STATEMENT: usize = 262_144;
const MAX_STATEMENT: usize = 131_072;

/// Hive's reserved words, as Athena's guide lists them for DDL.
const RESERVED: &str = " all alter and array as authorization between bigint binary boolean both \
    by case cashe cast char column conf constraint commit create cross cube current current_date \
    current_timestamp cursor database date dayofweek decimal delete describe distinct div double \
    drop else end exchange exists extended external extract false fetch float floor following for \
    foreign from full function grant group grouping having if import in inner insert int integer \
    intersect interval into is join lateral left less like local macro map more none not null \
    numeric of on only or order out outer over partialscan partition percent preceding precision \
    preserve primary procedure range reads reduce regexp references revoke right rlike rollback \
    rollup row rows select set smallint start table tablesample then time timestamp to transform \
    trigger true truncate unbounded union uniquejoin update user using utc_timestamp values \
    varchar views when where window with ";

/// An SQL dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Athena engine v3: Hive for DDL, Trino for views.
    Athena,
    /// Spark SQL 3.3 and later, also without a Hive metastore.
    Spark,
    /// `DuckDB`.
    DuckDb,
}

impl Dialect {
    /// Quotes an identifier of a query or view.
    pub(super) fn quote(self, name: &str) -> String {
        match self {
            Self::Athena | Self::DuckDb => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Spark => backtick(name),
        }
    }

    /// Quotes a text of a definition; Athena's are Hive's.
    pub(super) fn text(self, text: &str) -> String {
        match self {
            // Hive and Spark read backslashes in literals; `'a''b'` is two of them, joined to `ab`.
            Self::Athena | Self::Spark => {
                format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
            }
            Self::DuckDb => format!("'{}'", text.replace('\'', "''")),
        }
    }
}

/// Returns the statement that creates a database.
pub fn create_database(dialect: Dialect, database: &str) -> String {
    match dialect {
        Dialect::DuckDb => format!("CREATE SCHEMA IF NOT EXISTS {}", dialect.quote(database)),
        _ => format!("CREATE DATABASE IF NOT EXISTS {}", backtick(database)),
    }
}

/// Returns the statement that creates a table without its partitions; in `DuckDB`, a view of files, which
/// lie where the partitions are.
///
/// # Errors
/// `Config` if a column's type does not parse, if the statement is longer than Athena takes, or if
/// `DuckDB` cannot read the folder.
pub fn create_table(
    dialect: Dialect,
    database: &str,
    table: &TableInput,
    partitions: &[PartitionInput],
) -> Result<String> {
    match dialect {
        Dialect::Athena => create_athena(database, table),
        Dialect::Spark => create_spark(database, table),
        Dialect::DuckDb => duckdb::create_view(database, table, partitions),
    }
}

/// Returns the statements that add partitions; none in `DuckDB`.
pub fn add_partitions(
    dialect: Dialect,
    database: &str,
    table: &TableInput,
    partitions: &[PartitionInput],
) -> Vec<String> {
    let name = format!("{}.{}", backtick(database), backtick(&table.name));
    let head = format!("ALTER TABLE {name} ADD IF NOT EXISTS");
    let mut statements = Vec::new();
    if dialect == Dialect::DuckDb {
        return statements;
    }
    let (mut statement, mut count) = (head.clone(), 0);
    for partition in partitions {
        let clause = partition_clause(dialect, table, partition);
        let is_full = count == MAX_PARTITIONS || statement.len() + clause.len() > MAX_STATEMENT;
        if is_full && count > 0 {
            statements.push(std::mem::replace(&mut statement, head.clone()));
            count = 0;
        }
        statement.push_str(&clause);
        count += 1;
    }
    if count > 0 {
        statements.push(statement);
    }
    statements
}

/// Joins statements to a script that ends each with a semicolon.
pub fn script<S: AsRef<str>>(statements: impl IntoIterator<Item = S>) -> String {
    let mut script = String::new();
    for statement in statements {
        script.push_str(if script.is_empty() { "" } else { "\n" });
        script.push_str(statement.as_ref());
        script.push_str(";\n");
    }
    script
}

fn partition_clause(dialect: Dialect, table: &TableInput, partition: &PartitionInput) -> String {
    let pairs = table.partition_keys.iter().zip(&partition.values);
    let pairs: Vec<String> = pairs
        .map(|(key, value)| format!("{}={}", backtick(&key.name), dialect.text(value)))
        .collect();
    let location = dialect.text(&partition.storage_descriptor.location);
    format!("\n  PARTITION ({}) LOCATION {location}", pairs.join(", "))
}

fn create_athena(database: &str, table: &TableInput) -> Result<String> {
    let dialect = Dialect::Athena;
    let mut sql = format!(
        "CREATE EXTERNAL TABLE IF NOT EXISTS {}.{} (\n{}\n)\n",
        backtick(database),
        backtick(&table.name),
        column_list(dialect, table.columns())?
    );
    if !table.description.is_empty() {
        push(&mut sql, format_args!("COMMENT {}\n", dialect.text(&table.description)));
    }
    if !table.partition_keys.is_empty() {
        let keys = column_list(dialect, &table.partition_keys)?;
        push(&mut sql, format_args!("PARTITIONED BY (\n{keys}\n)\n"));
    }
    let storage = &table.storage_descriptor;
    push(
        &mut sql,
        format_args!(
            "ROW FORMAT SERDE {}\nSTORED AS INPUTFORMAT {}\nOUTPUTFORMAT {}\nLOCATION {}\n",
            dialect.text(&storage.serde_info.serialization_library),
            dialect.text(&storage.input_format),
            dialect.text(&storage.output_format),
            dialect.text(&storage.location),
        ),
    );
    let properties: Vec<String> = table
        .parameters
        .iter()
        .filter(|(name, _)| is_published(name))
        .map(|(name, value)| format!("  {}={}", dialect.text(name), dialect.text(value)))
        .collect();
    push(&mut sql, format_args!("TBLPROPERTIES (\n{}\n)", properties.join(",\n")));
    if sql.len() > MAX_ATHENA_STATEMENT {
        let message = format!(
            "the statement has {} bytes, and Athena's limit is {MAX_ATHENA_STATEMENT}: \
             use `catalog sync`, or convert with `--no-nested`",
            sql.len()
        );
        return Err(Error::config(message).at("table", &table.name));
    }
    Ok(sql)
}

/// Counts change with every run and are no part of a definition.
fn is_published(parameter: &str) -> bool {
    matches!(parameter, "classification" | "parquet.compression" | "storage.location.template")
        || ["trailmill.", "projection."].iter().any(|prefix| parameter.starts_with(prefix))
}

fn create_spark(database: &str, table: &TableInput) -> Result<String> {
    let dialect = Dialect::Spark;
    // Partition columns of a data source table stand in its column list, and are named again.
    let mut columns = table.columns().to_vec();
    columns.extend(table.partition_keys.iter().cloned());
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {}.{} (\n{}\n)\nUSING PARQUET\n",
        backtick(database),
        backtick(&table.name),
        column_list(dialect, &columns)?
    );
    let keys: Vec<String> = table.partition_keys.iter().map(|k| backtick(&k.name)).collect();
    if !keys.is_empty() {
        push(&mut sql, format_args!("PARTITIONED BY ({})\n", keys.join(", ")));
    }
    push(&mut sql, format_args!("LOCATION {}", dialect.text(table.location())));
    if !table.description.is_empty() {
        push(&mut sql, format_args!("\nCOMMENT {}", dialect.text(&table.description)));
    }
    Ok(sql)
}

fn column_list(dialect: Dialect, columns: &[super::Column]) -> Result<String> {
    let mut list = String::new();
    for column in columns {
        let hive_type =
            HiveType::parse(&column.hive_type).map_err(|err| err.at("column", &column.name))?;
        list.push_str(if list.is_empty() { "  " } else { ",\n  " });
        list.push_str(&backtick(&column.name));
        list.push(' ');
        push_type(&mut list, &hive_type, 1);
        if !column.comment.is_empty() {
            push(&mut list, format_args!(" COMMENT {}", dialect.text(&column.comment)));
        }
    }
    Ok(list)
}

/// Writes a type, a struct's members one a line. The depth is limited by the parser.
fn push_type(sql: &mut String, hive_type: &HiveType, depth: usize) {
    match hive_type {
        HiveType::Primitive(name) => sql.push_str(name),
        HiveType::Array(element) => {
            sql.push_str("array<");
            push_type(sql, element, depth);
            sql.push('>');
        }
        HiveType::Map(key, value) => {
            push(sql, format_args!("map<{key},"));
            push_type(sql, value, depth);
            sql.push('>');
        }
        HiveType::Struct(fields) => {
            sql.push_str("struct<");
            for (i, field) in fields.iter().enumerate() {
                sql.push_str(if i == 0 { "\n" } else { ",\n" });
                sql.push_str(&"  ".repeat(depth + 1));
                push(sql, format_args!("{}:", member(&field.name)));
                push_type(sql, &field.hive_type, depth + 1);
            }
            sql.push('>');
        }
    }
}

/// AWS's own DDL leaves struct members bare; quote only what would not parse.
fn member(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && !RESERVED.contains(&format!(" {name} "));
    if is_plain { name.to_owned() } else { backtick(name) }
}

fn backtick(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn push(sql: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = sql.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::{Dialect, add_partitions, create_database, create_table, script};
    use crate::catalog::fixtures::{definition, partition};
    use crate::catalog::{Column, PartitionDefinition, TableInput};

    fn small() -> TableInput {
        let mut table = definition();
        table.columns = vec![
            Column::new("_id", "string").with_comment("the record's id"),
            Column::new("request", "struct<date:string,a:array<struct<_x:int,type:string>>>"),
        ];
        table.table_input()
    }

    #[test]
    fn athena_ddl_quotes_what_must_be_quoted_and_names_the_parquet_classes() {
        let sql = create_table(Dialect::Athena, "lake", &small(), &[]).expect("a statement");

        assert_eq!(
            sql,
            "CREATE EXTERNAL TABLE IF NOT EXISTS `lake`.`cloudtrail` (
  `_id` string COMMENT 'the record\\'s id',
  `request` struct<
    `date`:string,
    a:array<struct<
      `_x`:int,
      type:string>>>
)
COMMENT 'CloudTrail events'
PARTITIONED BY (
  `account` string,
  `region` string,
  `event_date` string
)
ROW FORMAT SERDE 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'
STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat'
LOCATION 's3://bucket/lake/cloudtrail/'
TBLPROPERTIES (
  'classification'='parquet',
  'parquet.compression'='ZSTD',
  'trailmill.schema_version'='1'
)"
        );
    }

    #[test]
    fn spark_ddl_needs_no_hive() {
        let sql = create_table(Dialect::Spark, "lake", &small(), &[]).expect("a statement");

        assert!(sql.starts_with("CREATE TABLE IF NOT EXISTS `lake`.`cloudtrail` (\n"));
        assert!(sql.contains(r"`_id` string COMMENT 'the record\'s id'"));
        assert!(
            sql.contains("  `event_date` string\n)\nUSING PARQUET\nPARTITIONED BY (`account`, ")
        );
    }

    #[test]
    fn duckdb_reads_the_files_and_keeps_accounts_as_text() {
        let mut table = small();
        table.storage_descriptor.location = "file:///data/lake/cloudtrail/".into();

        let sql = create_table(Dialect::DuckDb, "lake", &table, &[]).expect("a statement");

        assert!(sql.contains("read_parquet('/data/lake/cloudtrail/**/*.parquet', "));
        assert!(sql.contains("hive_types_autocast = false"));
        assert!(add_partitions(Dialect::DuckDb, "lake", &table, &[]).is_empty());
    }

    #[test]
    fn two_hundred_and_fifty_partitions_make_three_statements() {
        let table = definition();
        let days: Vec<PartitionDefinition> =
            (0..250).map(|day| partition("eu-west-1", &format!("d{day:03}"))).collect();
        let partitions = table.partition_inputs(&days);

        let input = table.table_input();
        let statements = add_partitions(Dialect::Athena, "lake", &input, &partitions);

        let counts: Vec<usize> =
            statements.iter().map(|s| s.matches("PARTITION (").count()).collect();
        assert_eq!(counts, [100, 100, 50]);
        assert!(statements[0].starts_with(
            "ALTER TABLE `lake`.`cloudtrail` ADD IF NOT EXISTS\n  PARTITION \
             (`account`='111122223333', `region`='eu-west-1', `event_date`='d000') LOCATION 's3://"
        ));
    }

    #[test]
    fn long_locations_fill_a_statement_before_the_count_does() {
        let table = definition();
        let day = |n: usize| PartitionDefinition {
            location: format!("s3://bucket/{}/", "x".repeat(2_000)),
            ..partition("eu-west-1", &format!("d{n:03}"))
        };
        let days: Vec<PartitionDefinition> = (0..100).map(day).collect();

        let input = table.table_input();
        let partitions = table.partition_inputs(&days);
        let statements = add_partitions(Dialect::Athena, "lake", &input, &partitions);

        assert_eq!(statements.len(), 2);
        assert!(statements.iter().all(|s| s.len() < super::MAX_ATHENA_STATEMENT / 2 + 4_096));
    }

    #[test]
    fn a_value_cannot_end_its_quotes() {
        let table = definition();
        let input = table.partition_input(&partition("it's", "d"));
        let partitions = std::slice::from_ref(&input);

        let athena = add_partitions(Dialect::Athena, "lake", &table.table_input(), partitions);
        let spark = add_partitions(Dialect::Spark, "lake", &table.table_input(), partitions);

        assert!(athena[0].contains(r"`region`='it\'s'"));
        assert!(spark[0].contains(r"`region`='it\'s'"));
    }

    #[test]
    fn a_statement_that_athena_would_refuse_is_refused_with_a_way_out() {
        let mut table = definition();
        let members: Vec<String> = (0..6_000).map(|i| format!("member_{i}:string")).collect();
        for name in ["request", "response", "additional"] {
            table.columns.push(Column::new(name, format!("struct<{}>", members.join(","))));
        }

        let result = create_table(Dialect::Athena, "lake", &table.table_input(), &[]);

        assert!(result.expect_err("too long").to_string().contains("--no-nested"));
        assert!(create_table(Dialect::Spark, "lake", &table.table_input(), &[]).is_ok());
    }

    #[test]
    fn a_script_ends_each_statement() {
        let statements = [create_database(Dialect::Athena, "lake"), "SELECT 1".into()];

        let script = script(statements);

        assert_eq!(script, "CREATE DATABASE IF NOT EXISTS `lake`;\n\nSELECT 1;\n");
    }
}
