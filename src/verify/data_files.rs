//! The lake as `verify` reads it: from the files alone, without ledger, manifest or schema lock.
//!
//! Parquet files are read row group by row group, checked columns only. A column that is missing,
//! of another type or out of place is a problem of its file and reads as null, so that the rows
//! around it are still compared. A file that cannot be read is a problem, not an error: the
//! records it should hold are then missing.

use super::contract::{CONTRACT_COLUMNS, Column, Family, Member, Shape};
use super::expected;
use super::files::{DataFile, Files, Place, Placed, no_buckets};
use super::lists::spans;
use super::moved;
use super::nested;
use super::places;
use super::row::Row;
use crate::error::{Error, Result};
use crate::location::Location;
use polars::io::SerReader;
use polars::io::mmap::MmapBytesReader;
use polars::io::parquet::read::{FileMetadata, ParallelStrategy, ParquetReader};
use polars::prelude::{
    BooleanChunked, DataFrame, DataType, Int64Chunked, PolarsResult, Series, StringChunked,
    TimeUnit,
};
use polars_parquet::parquet::metadata::SchemaDescriptor;
use polars_parquet::parquet::schema::types::{GroupConvertedType, GroupLogicalType, ParquetType};
use rayon::prelude::*;
use std::fs::File;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use walkdir::WalkDir;

/// One data file of a table.
#[derive(Debug)]
pub(super) struct LakeFile {
    place: Place,
    /// The path below the lake, with `/` between folders.
    pub(super) name: String,
    /// The path below its table, which a file and its counterpart in the other table share.
    pub(super) below_table: String,
    pub(super) family: Family,
    pub(super) table: Table,
}

/// Which of a family's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// The records.
    Main,
    /// The same rows with nested columns.
    Typed,
}

impl Table {
    pub(super) fn name(self, family: Family, base: &str) -> String {
        match self {
            Self::Main => family.table(base),
            Self::Typed => family.typed_table(base),
        }
    }
}

impl LakeFile {
    /// Returns the checked columns, in the order they are hashed.
    pub(super) fn columns(&self) -> Vec<Column> {
        let names = self.family.typed_columns();
        let is_checked =
            |column: &&Column| self.table == Table::Main || names.contains(&column.name);
        self.family.columns().iter().filter(is_checked).copied().collect()
    }
}

impl Placed for LakeFile {
    fn place(&self) -> &Place {
        &self.place
    }
}

/// Lists the data files of every main or typed table in name order; what starts with `_` or `.` is not
/// data.
pub(super) fn list(
    lake: &Location,
    base: &str,
    which: Table,
    buckets: Option<&dyn Files>,
) -> Result<Vec<LakeFile>> {
    let mut files = Vec::new();
    for family in Family::ALL {
        let table = which.name(family, base);
        let folder = moved::folder(&table);
        let compacted = list_below(lake, &folder, buckets)?;
        let below =
            |name: &str, folder: &str| name.get(folder.len() + 1..).unwrap_or("").to_owned();
        let compacted: Vec<_> = compacted
            .into_iter()
            .map(|(name, place)| (below(&name, &folder), name, place))
            .collect();
        let last = moved::last_units(lake, buckets, compacted.iter().map(|(below, ..)| &**below))?;
        for (name, place) in list_below(lake, &table, buckets)? {
            let below_table = below(&name, &table);
            let partition = below_table.rsplit_once('/').map_or("", |(partition, _)| partition);
            if !last.contains_key(partition) {
                files.push(LakeFile { name, below_table, place, family, table: which });
            }
        }
        for (below, name, place) in &compacted {
            let Some((partition, unit, file)) = moved::parts(below) else { continue };
            if last.get(partition) == Some(&unit) {
                let below_table = format!("{partition}/{file}");
                let (name, place) = (name.clone(), place.clone());
                files.push(LakeFile { name, below_table, place, family, table: which });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Lists the data files in a folder of the lake.
fn list_below(
    lake: &Location,
    folder: &str,
    buckets: Option<&dyn Files>,
) -> Result<Vec<(String, Place)>> {
    let Location::S3 { bucket, prefix } = lake else {
        return lake.local().map_or_else(|| Ok(Vec::new()), |root| list_folder(root, folder));
    };
    let buckets = buckets.ok_or_else(|| no_buckets(&lake.to_string()))?;
    let lake = prefix.trim_matches('/');
    let lake = if lake.is_empty() { String::new() } else { format!("{lake}/") };
    let found = buckets.list(bucket, &format!("{lake}{folder}/"))?.into_iter();
    let named = found
        .map(|file| (file.key.get(lake.len()..).unwrap_or("").to_owned(), Place::Remote(file)));
    Ok(named.filter(|(name, _)| is_data_name(name, folder)).collect())
}

/// Whether an engine would take a key below the lake for data of the table.
fn is_data_name(name: &str, table: &str) -> bool {
    let below = name.strip_prefix(table).unwrap_or("");
    let mut parts = below.split('/');
    below.ends_with(".parquet") && !parts.any(|part| part.starts_with(['_', '.']))
}

fn list_folder(lake: &Path, table: &str) -> Result<Vec<(String, Place)>> {
    let mut files = Vec::new();
    let root = lake.join(table);
    if !root.is_dir() {
        return Ok(files);
    }
    let is_data = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !name.starts_with(['_', '.'])
    };
    for entry in WalkDir::new(&root).follow_links(true).into_iter().filter_entry(is_data) {
        let entry = entry.map_err(|err| Error::io("cannot list lake", err))?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|e| e == "parquet") {
            let below = entry.path().strip_prefix(lake).unwrap_or(entry.path());
            let name: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            files.push((name.join("/"), Place::Local(entry.into_path())));
        }
    }
    Ok(files)
}

/// Result of reading one file.
#[derive(Debug)]
pub(super) struct Reading<T> {
    /// The result of each row group, in order.
    pub(super) groups: Vec<T>,
    /// Rows by the footer, rows read.
    pub(super) rows: (u64, u64),
    /// Columns that are not as they should be; `None` stands for the file itself.
    pub(super) problems: Vec<Option<String>>,
    /// Whether the file says that the typed table has its rows, too.
    pub(super) has_typed: bool,
    /// Whether the file says that its nested columns may lack members, since objects had too many keys.
    pub(super) has_open_keys: bool,
}

/// Reads a file's rows; `each` gets a group's state, a row and the row's event id.
pub(super) fn read<T: Default + Send>(
    file: &LakeFile,
    data: &DataFile<'_>,
    each: impl Fn(&mut T, &Row, Option<&str>) + Sync,
) -> Reading<T> {
    read_frames(file, data, each, |_, _| {})
}

/// Reads a file's rows; `whole` gets a group's state and all that is read of it, after its rows.
pub(super) fn read_frames<T: Default + Send>(
    file: &LakeFile,
    data: &DataFile<'_>,
    each: impl Fn(&mut T, &Row, Option<&str>) + Sync,
    whole: impl Fn(&mut T, &DataFrame) + Sync,
) -> Reading<T> {
    let mut reading = Reading {
        groups: Vec::new(),
        rows: (0, 0),
        problems: Vec::new(),
        has_typed: false,
        has_open_keys: false,
    };
    let Some(opened) = guarded(|| Opened::new(file, data)) else {
        reading.problems.push(None);
        return reading;
    };
    (reading.has_typed, reading.has_open_keys) = (opened.has_typed, opened.has_open_keys);
    let columns = file.columns();
    reading.rows.0 = opened.groups.iter().map(|group| group.num_rows as u64).sum();
    reading.problems.extend(opened.problems.iter().cloned().map(Some));
    let one = |metadata: &Arc<FileMetadata>| {
        guarded(|| {
            let frame = opened.group(data, metadata)?;
            let mut state = T::default();
            let mut retyped = rows_of(&frame, &columns, file.family, &mut |row, id| {
                each(&mut state, row, id);
            });
            let misplaced = places::wrong(&frame, file.family, &file.below_table);
            retyped.extend(misplaced.into_iter().map(str::to_owned));
            whole(&mut state, &frame);
            Ok((state, frame.height() as u64, retyped))
        })
    };
    let groups: Vec<_> = opened.groups.par_iter().map(one).collect();
    for group in groups {
        let Some((state, rows, retyped)) = group else {
            reading.problems.push(None);
            continue;
        };
        reading.groups.push(state);
        reading.rows.1 += rows;
        for column in retyped.into_iter().map(Some) {
            if !reading.problems.contains(&column) {
                reading.problems.push(column);
            }
        }
    }
    reading
}

/// Runs polars on bytes that may be damaged: its readers panic on some of them.
fn guarded<T>(run: impl FnOnce() -> PolarsResult<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()?.ok()
}

/// A file's footer, one row group each, and the checked columns it has.
struct Opened {
    groups: Vec<Arc<FileMetadata>>,
    columns: Vec<String>,
    problems: Vec<String>,
    has_typed: bool,
    has_open_keys: bool,
}

impl Opened {
    fn new(file: &LakeFile, data: &DataFile<'_>) -> PolarsResult<Self> {
        let mut footer = match data {
            DataFile::Path(path) => polars_parquet::read::read_metadata(&mut File::open(path)?)?,
            DataFile::Bytes(bytes) => polars_parquet::read::read_metadata(&mut Cursor::new(bytes))?,
        };
        let says = |key: &str| {
            let mut entries = footer.key_value_metadata.iter().flatten();
            entries.any(|entry| entry.key == key && entry.value.as_deref() == Some("true"))
        };
        let (has_typed, has_open_keys) = (says("trailmill.typed"), says("trailmill.open_keys"));
        // The Parquet types alone say what a column is, not what its writer noted beside them.
        footer.key_value_metadata = None;
        footer.schema_descr = without_maps(&footer.schema_descr);
        let schema = polars_parquet::read::infer_schema(&footer)?;
        let groups = std::mem::take(&mut footer.row_groups).into_iter().map(|group| {
            let mut one = footer.clone();
            one.num_rows = group.num_rows();
            one.row_groups = vec![group];
            Arc::new(one)
        });
        let groups = groups.collect();
        let (mut columns, mut problems, mut after) = (Vec::new(), Vec::new(), None);
        for (at, column) in file.columns().iter().enumerate() {
            let place = schema.index_of(column.name);
            let is_ordered = file.table == Table::Typed
                || (column.name != "extra_fields" && at < CONTRACT_COLUMNS);
            if place.is_none() || (is_ordered && place < after) {
                problems.push(column.name.to_owned());
            }
            if place.is_some() {
                columns.push(column.name.to_owned());
            }
            after = after.max(place);
        }
        // Without columns to compare, rows are counted only.
        if !columns.is_empty() {
            let nested = nested::columns(file.family).iter().map(|(nested, _)| *nested);
            let nested = nested.filter(|_| file.table == Table::Typed);
            let more = nested.chain(places::columns().iter().copied());
            let more = more.filter(|name| schema.contains(name));
            columns.extend(more.map(str::to_owned));
        }
        Ok(Self { groups, columns, problems, has_typed, has_open_keys })
    }

    /// Reads one row group, through a footer that knows of no other.
    fn group(&self, data: &DataFile<'_>, metadata: &Arc<FileMetadata>) -> PolarsResult<DataFrame> {
        if self.columns.is_empty() {
            return Ok(DataFrame::empty_with_height(metadata.num_rows));
        }
        match data {
            DataFile::Path(path) => self.group_of(File::open(path)?, metadata),
            DataFile::Bytes(bytes) => self.group_of(Cursor::new(bytes.as_slice()), metadata),
        }
    }

    fn group_of(
        &self,
        data: impl MmapBytesReader,
        metadata: &Arc<FileMetadata>,
    ) -> PolarsResult<DataFrame> {
        let mut reader = ParquetReader::new(data)
            .with_columns(Some(self.columns.clone()))
            .read_parallel(ParallelStrategy::None)
            .set_rechunk(true);
        reader.set_metadata(Arc::clone(metadata));
        reader.finish()
    }
}

/// Returns the schema with every MAP as the list of pairs that it is.
///
/// The bytes and levels of both are the same, but polars' reader asserts, in builds with debug
/// assertions, that there are no maps (`assert_dtypes` in polars-io 0.55.2).
fn without_maps(schema: &SchemaDescriptor) -> SchemaDescriptor {
    let fields = schema.fields().iter().cloned().map(map_as_list);
    SchemaDescriptor::new(schema.name().into(), fields.collect())
}

fn map_as_list(field: ParquetType) -> ParquetType {
    let ParquetType::GroupType { field_info, mut logical_type, mut converted_type, fields } = field
    else {
        return field;
    };
    if logical_type == Some(GroupLogicalType::Map)
        || converted_type == Some(GroupConvertedType::Map)
    {
        (logical_type, converted_type) =
            (Some(GroupLogicalType::List), Some(GroupConvertedType::List));
    }
    let fields = fields.into_iter().map(map_as_list).collect();
    ParquetType::GroupType { field_info, logical_type, converted_type, fields }
}

/// Hands over every row of a frame; returns the columns whose type is not what it must be.
fn rows_of(
    frame: &DataFrame,
    columns: &[Column],
    family: Family,
    each: &mut dyn FnMut(&Row, Option<&str>),
) -> Vec<String> {
    let mut retyped = Vec::new();
    let view = |column: &Column| {
        let series =
            frame.column(column.name).ok().map(polars::prelude::Column::as_materialized_series);
        View::new(series, column.shape, column.name, &mut retyped)
    };
    let views: Vec<View> = columns.iter().map(view).collect();
    let ids = columns.iter().position(|column| column.name == "eventid").map(|at| &views[at]);
    let mut row = Row::default();
    for at in 0..frame.height() {
        row.clear();
        for view in &views {
            view.put(at, family, &mut row);
            row.end_column();
        }
        let id = match ids {
            Some(View::Text(ids)) => ids.get(at),
            _ => None,
        };
        each(&row, id);
    }
    retyped
}

/// A column in the shape its values are read in.
enum View {
    Text(StringChunked),
    FreeForm(StringChunked),
    Extra(StringChunked),
    Flag(BooleanChunked),
    Instant(Int64Chunked),
    Struct(Vec<View>),
    /// Elements, or keys and values as two members, and where each row's begin and end.
    List(Vec<Option<(usize, usize)>>, Box<View>),
    /// A map; pairs are put in the order of their keys.
    Map(Vec<Option<(usize, usize)>>, StringChunked, StringChunked),
    /// One null.
    Absent,
}

impl View {
    /// Takes a series apart; one of another type reads as null and its path is noted.
    fn new(series: Option<&Series>, shape: Shape, path: &str, retyped: &mut Vec<String>) -> Self {
        let view = series.map(|series| Self::typed(&series.rechunk(), shape, path, retyped));
        match (view, shape) {
            (Some(Some(view)), _) => view,
            (lost, shape) => {
                if lost.is_some() {
                    retyped.push(path.to_owned());
                }
                match shape {
                    Shape::Struct(members) => Self::members(None, members, path, retyped),
                    _ => Self::Absent,
                }
            }
        }
    }

    fn typed(series: &Series, shape: Shape, path: &str, retyped: &mut Vec<String>) -> Option<Self> {
        Some(match shape {
            Shape::Text => Self::Text(series.str().ok()?.clone()),
            Shape::FreeForm => Self::FreeForm(series.str().ok()?.clone()),
            Shape::Extra => Self::Extra(series.str().ok()?.clone()),
            Shape::Flag => Self::Flag(series.bool().ok()?.clone()),
            Shape::Instant => match series.dtype() {
                DataType::Datetime(TimeUnit::Milliseconds, Some(_)) => {
                    Self::Instant(series.datetime().ok()?.physical().clone())
                }
                _ => return None,
            },
            Shape::Struct(members) => {
                let fields = series.struct_().ok()?.fields_as_series();
                Self::members(Some(&fields), members, path, retyped)
            }
            Shape::List(members) => {
                let list = series.list().ok()?;
                let inner = list.get_inner();
                inner.struct_().ok()?;
                let items = Self::new(Some(&inner), Shape::Struct(members), path, retyped);
                Self::List(spans(list)?, Box::new(items))
            }
            Shape::Map => {
                let list = series.list().ok()?;
                let pairs = list.get_inner().struct_().ok()?.fields_as_series();
                let [keys, values] = pairs.as_slice() else { return None };
                Self::Map(spans(list)?, keys.str().ok()?.clone(), values.str().ok()?.clone())
            }
        })
    }

    fn members(
        fields: Option<&[Series]>,
        members: &[Member],
        path: &str,
        retyped: &mut Vec<String>,
    ) -> Self {
        let view = |member: &Member| {
            let field = fields.unwrap_or_default().iter().find(|f| f.name() == member.name);
            Self::new(field, member.shape, &format!("{path}.{}", member.name), retyped)
        };
        Self::Struct(members.iter().map(view).collect())
    }

    /// Adds the value of row `at`, in the words of [`expected`].
    fn put(&self, at: usize, family: Family, row: &mut Row) {
        match self {
            Self::Text(values) => row.text(values.get(at).map(str::as_bytes)),
            Self::FreeForm(values) => match values.get(at) {
                Some(value) => row.json(value.as_bytes()),
                None => row.null(),
            },
            Self::Extra(values) => expected::extra(values.get(at).map(str::as_bytes), family, row),
            Self::Flag(values) => row.flag(values.get(at)),
            Self::Instant(values) => row.number(values.get(at)),
            Self::Struct(members) => members.iter().for_each(|member| member.put(at, family, row)),
            Self::List(spans, items) => match spans[at] {
                Some((start, end)) => {
                    row.count(end - start);
                    (start..end).for_each(|item| items.put(item, family, row));
                }
                None => row.null(),
            },
            Self::Map(spans, keys, values) => match spans[at] {
                Some((start, end)) => {
                    row.count(end - start);
                    let mut pairs: Vec<_> =
                        (start..end).map(|pair| (keys.get(pair), values.get(pair))).collect();
                    pairs.sort_unstable();
                    for (key, value) in pairs {
                        row.text(key.map(str::as_bytes));
                        row.text(value.map(str::as_bytes));
                    }
                }
                None => row.null(),
            },
            Self::Absent => row.null(),
        }
    }
}
