//! A table of the lake as polars scans it.

use crate::catalog::HiveType;
use crate::error::Result;
use crate::query::rewrite::Words;
use crate::query::types::{data_type, narrowed};
use crate::scan::LiveFile;
use crate::units::Day;
use polars::prelude::{
    CastColumnsPolicy, Column, DataFrame, DataType, DslBuilder, ExtraColumnsPolicy, HiveOptions,
    IntoColumn, LazyFrame, MissingColumnsPolicy, NamedFrom, ParquetOptions, PlRefPath,
    PolarsResult, ScanSources, Schema, Series, TableStatistics, TimeUnit, UnifiedScanArgs,
};
use std::sync::Arc;

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type, as the catalog writes it.
    pub hive_type: String,
    data_type: DataType,
}

impl TableColumn {
    /// Creates a column of a type of the catalog.
    ///
    /// # Errors
    /// `Config` when the type is not one that this program writes.
    pub fn new(name: &str, hive_type: &str) -> Result<Self> {
        let data_type = data_type(&HiveType::parse(hive_type)?);
        Ok(Self { name: name.to_owned(), hive_type: hive_type.to_owned(), data_type })
    }
}

/// A table: its columns, and the files that hold its rows.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, without the partition keys.
    pub columns: Vec<TableColumn>,
    /// Its partition keys, in the order of the path; all are strings.
    pub keys: Vec<String>,
    /// Its live files.
    pub files: Vec<LiveFile>,
}

/// The column with a row's instant: of each file, the manifest has the least and the greatest.
const INSTANT: &str = "event_timestamp";
/// The column with the day of that instant, where it is not a partition key.
const DATE: &str = "event_date";

impl Table {
    /// Returns the names of all columns, the partition keys last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str()).chain(self.keys.iter().map(|k| &**k))
    }

    /// Returns a scan of all its files, which lie where `path` says, from whose plan can be seen which of
    /// them a statement needs; of structs, the members that it names.
    pub(super) fn scan(
        &self,
        path: &dyn Fn(&LiveFile) -> String,
        words: &Words,
    ) -> PolarsResult<LazyFrame> {
        let schema = self.schema(words);
        let statistics = TableStatistics(Arc::new(self.statistics(&schema, words)?));
        self.scan_of(&self.files, path, schema, (Some(statistics), false))
    }

    /// Returns a scan of some of its files.
    pub(super) fn scan_kept(
        &self,
        files: &[LiveFile],
        path: &dyn Fn(&LiveFile) -> String,
        words: &Words,
    ) -> PolarsResult<LazyFrame> {
        let is_struct = |column: &&TableColumn| matches!(column.data_type, DataType::Struct(_));
        let mut structs = self.columns.iter().filter(is_struct);
        let names_struct = structs.any(|column| words.named.contains(&column.name));
        self.scan_of(files, path, self.schema(words), (None, names_struct))
    }

    fn schema(&self, words: &Words) -> Schema {
        let column = |column: &TableColumn| {
            let whole = column.data_type.clone();
            let is_narrow = !words.has_wildcard && words.named.contains(&column.name);
            let data_type = if is_narrow { narrowed(&column.name, whole, words) } else { whole };
            (column.name.as_str().into(), data_type)
        };
        self.columns.iter().map(column).collect()
    }

    fn scan_of(
        &self,
        files: &[LiveFile],
        path: &dyn Fn(&LiveFile) -> String,
        of_files: Schema,
        (table_statistics, names_struct): (Option<TableStatistics>, bool),
    ) -> PolarsResult<LazyFrame> {
        let hive: Schema =
            self.keys.iter().map(|key| (key.as_str().into(), DataType::String)).collect();
        let paths = files.iter().map(|file| PlRefPath::new(path(file)));
        let args = UnifiedScanArgs {
            glob: false,
            hive_options: HiveOptions {
                enabled: Some(!self.keys.is_empty()),
                hive_start_idx: 0,
                schema: Some(Arc::new(hive)),
                try_parse_dates: false,
            },
            cast_columns_policy: CastColumnsPolicy {
                missing_struct_fields: MissingColumnsPolicy::Insert,
                extra_struct_fields: ExtraColumnsPolicy::Ignore,
                ..CastColumnsPolicy::ERROR_ON_MISMATCH
            },
            missing_columns_policy: MissingColumnsPolicy::Insert,
            extra_columns_policy: ExtraColumnsPolicy::Ignore,
            table_statistics,
            ..UnifiedScanArgs::default()
        };
        let options = ParquetOptions {
            schema: Some(Arc::new(of_files)),
            // polars 0.55.2 fails on a condition on a member that a file does not have, where it looks at the
            // statistics of row groups ("field not found"). Whole files are left out all the same.
            use_statistics: !names_struct,
            ..ParquetOptions::default()
        };
        let sources = ScanSources::Paths(paths.collect());
        Ok(DslBuilder::scan_parquet(sources, options, args)?.build().into())
    }

    /// What is known of each file without opening it: least and greatest value and nulls of each column
    /// that a statement names; null where that is not known.
    fn statistics(&self, schema: &Schema, words: &Words) -> PolarsResult<DataFrame> {
        let count = self.files.len();
        let rows = self.files.iter().map(|file| u32::try_from(file.file.rows).unwrap_or(u32::MAX));
        let rows: Vec<u32> = rows.collect();
        let mut columns: Vec<Column> = vec![Series::new("len".into(), rows).into_column()];
        let mut add = |name: &str, bounds: [Series; 2], nulls: Series| {
            for (series, suffix) in bounds.into_iter().chain([nulls]).zip(["min", "max", "nc"]) {
                columns.push(series.with_name(format!("{name}_{suffix}").into()).into_column());
            }
        };
        let none = || Series::new("".into(), vec![0_u32; count]);
        for (name, data_type) in
            schema.iter().filter(|(name, _)| words.named.contains(name.as_str()))
        {
            match name.as_str() {
                INSTANT => add(name, self.instants()?, none()),
                DATE => add(name, self.days(), none()),
                _ => {
                    let unknown = || Series::full_null("".into(), count, data_type);
                    let nulls = Series::full_null("".into(), count, &counts_of(data_type));
                    add(name, [unknown(), unknown()], nulls);
                }
            }
        }
        for (at, key) in self.keys.iter().enumerate().filter(|(_, key)| words.named.contains(*key))
        {
            let value = |file: &LiveFile| file.partition.get(at).map(|(_, value)| value.clone());
            let values: Vec<Option<String>> = self.files.iter().map(value).collect();
            let values = Series::new("".into(), values);
            add(key, [values.clone(), values], none());
        }
        DataFrame::new(count, columns)
    }

    fn instants(&self) -> PolarsResult<[Series; 2]> {
        let whole = DataType::Datetime(TimeUnit::Milliseconds, None);
        let least: Vec<i64> = self.files.iter().map(|file| file.file.min_instant).collect();
        let greatest: Vec<i64> = self.files.iter().map(|file| file.file.max_instant).collect();
        let series = |values: Vec<i64>| Series::new("".into(), values).cast(&whole);
        Ok([series(least)?, series(greatest)?])
    }

    fn days(&self) -> [Series; 2] {
        let day = |instant: i64| Day::of(instant).to_string();
        let least: Vec<String> = self.files.iter().map(|it| day(it.file.min_instant)).collect();
        let greatest: Vec<String> = self.files.iter().map(|it| day(it.file.max_instant)).collect();
        [Series::new("".into(), least), Series::new("".into(), greatest)]
    }
}

/// The type of counts of nulls: one for each leaf of a struct.
fn counts_of(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => {
            let field = |field: &polars::prelude::Field| {
                polars::prelude::Field::new(field.name().clone(), counts_of(field.dtype()))
            };
            DataType::Struct(fields.iter().map(field).collect())
        }
        _ => DataType::UInt32,
    }
}
