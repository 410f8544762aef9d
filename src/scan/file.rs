//! One Parquet file, by row groups and columns.

use crate::error::{Error, ErrorKind, Result};
use crate::parquet::may_contain;
use crate::scan::Column;
use crate::scan::chunk::Chunk;
use crate::scan::guarded::guarded;
use crate::scan::texts::TextColumn;
use crate::scan::wanted::Wanted;
use polars::polars_utils::mmap::MMapSemaphore;
use polars::prelude::{
    BooleanChunked, DataFrame, IntoColumn, NewChunkedArray, PlSmallStr, PolarsResult, Series,
};
use polars_buffer::Buffer;
use polars_parquet::parquet::metadata::{FileMetadata, SchemaDescriptor};
use polars_parquet::parquet::schema::types::{
    GroupConvertedType, GroupLogicalType, ParquetType, PhysicalType,
};
use polars_parquet::parquet::statistics::Statistics;
use polars_parquet::read::schema::parquet_to_arrow_schema;
use polars_parquet::read::{ColumnChunkMetadata, Filter, RowGroupMetadata, column_iter_to_arrays};
use std::fs::File;
use std::path::Path;

/// A file whose footer has been read, and which is mapped.
pub struct OpenFile {
    name: String,
    bytes: Buffer<u8>,
    footer: FileMetadata,
}

impl OpenFile {
    /// Reads a file's footer; `name` is for messages.
    ///
    /// # Errors
    /// `Damaged` when it is not a Parquet file that can be read.
    pub fn open(name: &str, path: &Path) -> Result<Self> {
        guarded(name, || {
            let mut file = File::open(path)?;
            let footer = polars_parquet::read::read_metadata(&mut file)?;
            let bytes = Buffer::from_owner(MMapSemaphore::new_from_file(&file)?);
            Ok(Self { name: name.to_owned(), bytes, footer })
        })
    }

    /// Returns how many row groups there are.
    pub fn groups(&self) -> usize {
        self.footer.row_groups.len()
    }

    /// Returns how many rows a row group has.
    pub fn rows(&self, group: usize) -> usize {
        self.footer.row_groups.get(group).map_or(0, RowGroupMetadata::num_rows)
    }

    /// Reads columns of a row group, by their names; those that the file has not are left out. Of a struct,
    /// `column.member` reads one member. With `rows`, in ascending order, only those rows.
    ///
    /// # Errors
    /// `Damaged` when they cannot be read; `Bug` for a row group that the file has not.
    pub fn read(
        &self,
        group: usize,
        columns: &[&str],
        rows: Option<&[usize]>,
    ) -> Result<Vec<(String, Column)>> {
        let series = self.series(group, columns, rows)?;
        let column = |series: &Series| (series.name().to_string(), Column::new(series));
        guarded(&self.name, || Ok(series.iter().map(column).collect()))
    }

    /// Reads columns of a row group as a frame of polars; columns and rows are as for [`OpenFile::read`].
    ///
    /// # Errors
    /// As for [`OpenFile::read`].
    pub fn frame(
        &self,
        group: usize,
        columns: &[&str],
        rows: Option<&[usize]>,
    ) -> Result<DataFrame> {
        let series = self.series(group, columns, rows)?;
        let columns = series.into_iter().map(IntoColumn::into_column).collect();
        let height = rows.map_or(self.rows(group), <[usize]>::len);
        guarded(&self.name, || DataFrame::new(height, columns))
    }

    /// Returns a column of strings, or a member of structs, of a row group, with a condition for its values.
    ///
    /// # Errors
    /// As for [`OpenFile::read`].
    pub fn texts<'a>(
        &'a self,
        group: usize,
        column: &str,
        is_wanted: &'a dyn Fn(&str) -> bool,
    ) -> Result<TextColumn<'a>> {
        let rows = self.group(group)?.num_rows();
        TextColumn::new(&self.name, self.leaf(group, column)?, rows, is_wanted)
    }

    /// Returns whether a row group may have a string in a column: it has not where the column's Bloom filter
    /// says so.
    ///
    /// # Errors
    /// As for [`OpenFile::read`].
    pub fn may_equal(&self, group: usize, column: &str, value: &str) -> Result<bool> {
        let Some(chunk) = self.leaf(group, column)? else { return Ok(false) };
        let start = chunk.metadata.bloom_filter_offset();
        let start = start.and_then(|start| usize::try_from(start).ok());
        match start.and_then(|start| self.bytes.get(start..)) {
            Some(filter) => Ok(may_contain(filter, value)),
            None => Ok(true),
        }
    }

    /// Returns what all strings of a column begin with, as far as its statistics tell.
    ///
    /// # Errors
    /// As for [`OpenFile::read`].
    pub fn beginning(&self, group: usize, column: &str) -> Result<String> {
        let Some(chunk) = self.leaf(group, column)? else { return Ok(String::new()) };
        guarded(&self.name, || {
            let statistics = chunk.metadata.statistics(&self.footer.footer_buf).transpose()?;
            Ok(statistics.as_ref().map(common_beginning).unwrap_or_default())
        })
    }

    fn group(&self, group: usize) -> Result<&RowGroupMetadata> {
        let missing = || Error::new(ErrorKind::Bug, "no such row group").at("file", &self.name);
        self.footer.row_groups.get(group).ok_or_else(missing)
    }

    /// The chunk of a column of strings, or of a member of structs.
    fn leaf(&self, group: usize, column: &str) -> Result<Option<Chunk<'_>>> {
        let root = column.split('.').next().unwrap_or_default();
        let Some(mut chunks) = self.group(group)?.columns_under_root_iter(root) else {
            return Ok(None);
        };
        let found = chunks.find(|chunk| {
            let path = &chunk.descriptor().path_in_schema;
            path.iter().map(PlSmallStr::as_str).eq(column.split('.'))
                && chunk.physical_type() == PhysicalType::ByteArray
        });
        guarded(&self.name, || Ok(found.map(|found| Chunk::new(found, &self.bytes))))
    }

    fn series(
        &self,
        group: usize,
        columns: &[&str],
        rows: Option<&[usize]>,
    ) -> Result<Vec<Series>> {
        let row_group = self.group(group)?;
        guarded(&self.name, || {
            let filter = filter(row_group.num_rows(), rows);
            let wanted = Wanted::of(columns);
            let series = wanted.iter().map(|wanted| self.column(row_group, wanted, &filter));
            series.filter_map(PolarsResult::transpose).collect()
        })
    }

    /// Reads a column, or some members of one; nothing if the file has it not.
    fn column(
        &self,
        group: &RowGroupMetadata,
        wanted: &Wanted<'_>,
        filter: &Filter,
    ) -> PolarsResult<Option<Series>> {
        let mut fields = self.footer.schema_descr.fields().iter();
        let field = fields.find(|field| field.name() == wanted.root);
        let chunks = group.columns_under_root_iter(wanted.root);
        let field = field.and_then(|field| wanted.narrow(&map_as_list(field.clone())));
        let (Some(field), Some(chunks)) = (field, chunks) else {
            return Ok(None);
        };
        let leaves = SchemaDescriptor::new(wanted.root.into(), vec![field.clone()]);
        let is_kept = |chunk: &&ColumnChunkMetadata| {
            let path = &chunk.descriptor().path_in_schema;
            leaves.columns().iter().any(|leaf| leaf.path_in_schema == *path)
        };
        let (pages, types) = chunks
            .filter(is_kept)
            .map(|chunk| Chunk::new(chunk, &self.bytes))
            .map(|chunk| (chunk.pages(), chunk.primitive_type()))
            .unzip();
        let schema = parquet_to_arrow_schema(&[field]);
        let Some(field) = schema.iter_values().next() else { return Ok(None) };
        let (arrays, _) = column_iter_to_arrays(pages, types, field.clone(), Some(filter.clone()))?;
        Series::try_from((field, arrays)).map(|series| Some(series.rechunk()))
    }
}

/// What the least and the greatest value both begin with, all values between them do too.
fn common_beginning(statistics: &Statistics) -> String {
    let Statistics::Binary(bounds) = statistics else { return String::new() };
    let (Some(min), Some(max)) = (&bounds.min_value, &bounds.max_value) else {
        return String::new();
    };
    let same = min.iter().zip(max).take_while(|(min, max)| min == max && min.is_ascii());
    same.map(|(byte, _)| char::from(*byte)).collect()
}

/// Which rows of so many are read; all of them if none are named.
fn filter(count: usize, rows: Option<&[usize]>) -> Filter {
    let Some(rows) = rows else { return Filter::new_ranged(0, count) };
    let mut is_wanted = vec![false; count];
    for row in rows {
        if let Some(flag) = is_wanted.get_mut(*row) {
            *flag = true;
        }
    }
    let mask = BooleanChunked::from_slice("".into(), &is_wanted);
    match mask.downcast_iter().next() {
        Some(mask) => Filter::new_masked(mask.values().clone()),
        None => Filter::new_ranged(0, 0),
    }
}

/// Returns a MAP as the list of pairs that it is: the bytes and levels of both are the same, but polars'
/// reader asserts that there are no maps (`assert_dtypes` in polars-io 0.55.2).
fn map_as_list(field: ParquetType) -> ParquetType {
    let ParquetType::GroupType { field_info, mut logical_type, mut converted_type, fields } = field
    else {
        return field;
    };
    if logical_type == Some(GroupLogicalType::Map)
        || converted_type == Some(GroupConvertedType::Map)
    {
        logical_type = Some(GroupLogicalType::List);
        converted_type = Some(GroupConvertedType::List);
    }
    let fields = fields.into_iter().map(map_as_list).collect();
    ParquetType::GroupType { field_info, logical_type, converted_type, fields }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{IntoSeries, NamedFrom, ParquetWriter, StructChunked};

    /// Texts by row: few values, values of their own, long runs; nulls in each.
    fn texts() -> [(&'static str, Vec<Option<String>>); 3] {
        let rows = |text: fn(usize) -> String| {
            (0..5_000).map(|row| (row % 5 != 2).then(|| text(row))).collect::<Vec<_>>()
        };
        [
            ("few", rows(|row| format!("v{}", row % 7))),
            ("own", rows(|row| format!("{}-{row}", "x".repeat(row % 20)))),
            ("run", rows(|row| if row < 400 { String::new() } else { format!("{}", row / 900) })),
        ]
    }

    fn written(columns: Vec<Series>) -> (tempfile::TempDir, OpenFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let columns: Vec<_> = columns.into_iter().map(IntoColumn::into_column).collect();
        let mut frame = DataFrame::new(columns[0].len(), columns).unwrap();
        let writer = ParquetWriter::new(File::create(&path).unwrap());
        writer.with_data_page_size(Some(3_000)).finish(&mut frame).unwrap();
        let file = OpenFile::open("a.parquet", &path).unwrap();
        (folder, file)
    }

    /// The conditions, and rows to look at.
    type Condition = fn(&str) -> bool;
    const CONDITIONS: [Condition; 6] = [
        |text| text == "v3",
        |text| text.ends_with("-1234"),
        |text| text.is_empty(),
        |text| text != "4",
        |_| true,
        |_| false,
    ];

    fn among() -> [Option<Vec<usize>>; 4] {
        [None, Some((0..5_000).step_by(3).collect()), Some(vec![7, 1234, 4999]), Some(vec![])]
    }

    fn check(file: &OpenFile, column: &str, meets: &dyn Fn(usize, Condition) -> bool) {
        for (at, condition) in CONDITIONS.into_iter().enumerate() {
            for some in among() {
                let all = some.clone().unwrap_or_else(|| (0..5_000).collect());
                let want: Vec<usize> =
                    all.into_iter().filter(|row| meets(*row, condition)).collect();
                let texts = file.texts(0, column, &condition).unwrap();
                assert!(want.is_empty() || texts.may_match().unwrap(), "{column} {at}");
                assert_eq!(texts.rows(some.as_deref()).unwrap(), want, "{column} {at} {some:?}");
            }
        }
    }

    #[test]
    fn rows_with_a_wanted_text_are_those_of_the_values() {
        let all = texts();
        let series = |(name, rows): &(&str, Vec<Option<String>>)| Series::new((*name).into(), rows);
        let plain: Vec<Series> = all.iter().map(series).collect();
        let members = StructChunked::from_series("inner".into(), 5_000, plain.iter()).unwrap();
        let outer = [members.into_series()];
        let outer = StructChunked::from_series("outer".into(), 5_000, outer.iter()).unwrap();
        let (_folder, file) = written([plain, vec![outer.into_series()]].concat());

        for (name, rows) in &all {
            let meets = |row: usize, is: Condition| is(rows[row].as_deref().unwrap_or(""));
            check(&file, name, &meets);
            check(&file, &format!("outer.inner.{name}"), &meets);
        }
        check(&file, "nothing", &|_, is| is(""));
    }

    #[test]
    fn a_row_has_a_wanted_text_if_its_list_has() {
        let [(_, few), (_, own), _] = texts();
        let list = |row: usize| -> Vec<Option<String>> {
            let both = [few[row].clone(), own[row].clone(), own[4_999 - row].clone()];
            both.into_iter().take(row % 4).collect()
        };
        let lists: Vec<Series> = (0..5_000).map(|row| Series::new("".into(), list(row))).collect();
        let (_folder, file) = written(vec![Series::new("list".into(), lists)]);

        let path = "list.list.element";
        assert!(file.leaf(0, path).unwrap().is_some());
        check(&file, path, &|row, is| list(row).iter().flatten().any(|text| is(text)));
    }

    #[test]
    fn the_beginning_of_all_texts_is_that_of_their_bounds() {
        let series = |name: &str, texts: [Option<&str>; 3]| Series::new(name.into(), texts);
        let (_folder, file) = written(vec![
            series("same", [Some("arn:aws:s3:::b"), None, Some("arn:aws:kms:::k")]),
            series("other", [Some("a"), Some(""), None]),
            series("long", [Some("\u{e9}a"), Some("\u{e9}b"), None]),
            series("none", [None; 3]),
        ]);

        for (column, beginning) in
            [("same", "arn:aws:"), ("other", ""), ("long", ""), ("none", ""), ("nothing", "")]
        {
            assert_eq!(file.beginning(0, column).unwrap(), beginning, "{column}");
        }
    }

    #[test]
    fn damaged_pages_of_texts_are_an_error_and_no_panic() {
        let [(name, rows), ..] = texts();
        let (folder, file) = written(vec![Series::new(name.into(), rows)]);
        let range = file.leaf(0, name).unwrap().unwrap().metadata.byte_range();
        let bytes = std::fs::read(folder.path().join("a.parquet")).unwrap();
        let path = folder.path().join("b.parquet");

        for at in (range.start..range.end).step_by(11) {
            let mut damaged = bytes.clone();
            damaged[at as usize] ^= 0xff;
            std::fs::write(&path, &damaged).unwrap();
            let file = OpenFile::open("b.parquet", &path).unwrap();
            let is_wanted = |text: &str| text == "v3";
            // Some bytes change a value or nothing at all.
            if let Err(err) = file.texts(0, name, &is_wanted).and_then(|texts| texts.rows(None)) {
                assert_eq!(err.kind(), ErrorKind::Damaged, "{err:?}");
            }
        }
    }
}
