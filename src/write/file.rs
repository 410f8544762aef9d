//! The files of one table in a unit: ordered rows to encoded Parquet, one partition at a time.

use crate::columns::{Cell, SideText, TableRows, Tree, Values};
use crate::error::Result;
use crate::schema::{Lock, Role};
use crate::units::EpochMillis;
use crate::write::arrange::Order;
use crate::write::encode::{Leaf, Pages, bug, encode};
use crate::write::layout::{
    Fitting, Shape, Texts, parquet_type, plain_type, text_type, walk, whole_shape,
};
use crate::write::levels::Stream;
use crate::write::{Compression, WriteOptions};
use polars_parquet::parquet::FallibleStreamingIterator;
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::parquet::metadata::{KeyValue, SchemaDescriptor};
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::parquet::schema::Repetition;
use polars_parquet::parquet::schema::types::{
    FieldInfo, ParquetType, PhysicalType, PrimitiveConvertedType, PrimitiveLogicalType,
    PrimitiveType, TimeUnit,
};
use polars_parquet::parquet::write::{
    DynIter, DynStreamingIterator, FileWriter, Version, WriteOptions as FileOptions,
};
use std::ops::Range;

/// The most rows of a row group.
pub const ROW_GROUP_ROWS: u32 = 100_000;

/// Columns whose values are ids: a dictionary would only cost.
const ID_COLUMNS: [&str; 3] = ["eventid", "requestid", "sharedeventid"];

/// One finished Parquet file, still in memory.
#[derive(Debug)]
pub struct EncodedFile {
    /// The partition's path, `account=…/region=…/event_date=…`.
    pub partition: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// Its rows.
    pub rows: u64,
    /// The earliest event.
    pub min_instant: EpochMillis,
    /// The latest event.
    pub max_instant: EpochMillis,
}

/// What became of the rows of one table.
#[derive(Debug, Default)]
pub struct Written {
    /// The files, by partition and then in order.
    pub files: Vec<EncodedFile>,
    /// Values of free-form fields that the nested columns could not hold.
    pub unfit: u64,
}

/// A column of the file and where its values come from.
enum Source<'a> {
    Text { cells: &'a [Cell], ids: bool },
    Instants,
    Booleans(&'a [Option<bool>]),
    Tree { tree: &'a Tree, shape: Shape },
}

/// Encodes the rows of `table` for which `keep` holds.
///
/// # Errors
/// `Bug` when polars refuses what was encoded.
pub fn write_table(
    mut table: TableRows,
    source: &[u8],
    side: &SideText,
    keep: &[bool],
    lock: &Lock,
    options: &WriteOptions,
) -> Result<Written> {
    let order = Order::new(&table, source, side, keep);
    order.apply(&mut table);
    let texts = Texts { source, side };
    let mut written = Written::default();
    for values in &table.values {
        if let Values::Nested(tree) = values {
            written.unfit += tree.nodes.iter().map(|node| node.displaced).sum::<u64>();
        }
    }
    for (partition, range) in &order.slices {
        let slice = Slice { table: &table, order: &order, texts, lock, options };
        slice.write(&table.partitions[*partition as usize], range.clone(), &mut written)?;
    }
    Ok(written)
}

struct Slice<'a> {
    table: &'a TableRows,
    order: &'a Order,
    texts: Texts<'a>,
    lock: &'a Lock,
    options: &'a WriteOptions,
}

impl Slice<'_> {
    /// Writes one partition's rows into one file, or more when the target size is reached.
    fn write(&self, partition: &str, rows: Range<u32>, written: &mut Written) -> Result<()> {
        let (columns, types) = self.columns(rows.clone(), &mut written.unfit);
        let schema = SchemaDescriptor::new("trailmill".into(), types);
        let mut next = rows.start;
        while next < rows.end {
            let first = next;
            let (mut groups, mut size) = (Vec::new(), 0);
            while next < rows.end && (next == first || size < self.options.target_file_bytes) {
                let group = next..rows.end.min(next + ROW_GROUP_ROWS);
                let pages = self.row_group(&columns, &schema, group.clone())?;
                size += pages.iter().map(pages_len).sum::<u64>();
                groups.push((u64::from(group.end - group.start), pages));
                next = group.end;
            }
            let instants = || {
                let rows = &self.order.rows[first as usize..next as usize];
                rows.iter().map(|row| self.table.rows[*row as usize].instant)
            };
            written.files.push(EncodedFile {
                partition: partition.to_owned(),
                bytes: self.file(schema.clone(), groups)?,
                rows: u64::from(next - first),
                min_instant: instants().min().unwrap_or_default(),
                max_instant: instants().max().unwrap_or_default(),
            });
        }
        Ok(())
    }

    /// Puts encoded row groups into a file. Page indexes are written where there is more than one
    /// page to choose from: of a file of small chunks they would be a quarter.
    fn file(&self, schema: SchemaDescriptor, groups: Vec<(u64, Vec<Pages>)>) -> Result<Vec<u8>> {
        let pages = groups.iter().flat_map(|(_, columns)| columns);
        let write_statistics = pages.into_iter().any(|Pages(pages)| {
            pages.iter().filter(|page| matches!(page, CompressedPage::Data(_))).count() > 1
        });
        let options = FileOptions { write_statistics, version: Version::V1 };
        let mut writer = FileWriter::new(Vec::new(), schema, options, Some(created_by()));
        for (rows, columns) in groups {
            let columns: Vec<_> = columns
                .into_iter()
                .map(|Pages(pages)| Ok(DynStreamingIterator::new(Finished { pages, passed: 0 })))
                .collect();
            writer.write(rows, DynIter::new(columns.into_iter())).map_err(bug)?;
        }
        writer.end(Some(self.metadata())).map_err(bug)?;
        Ok(writer.into_inner())
    }

    fn metadata(&self) -> Vec<KeyValue> {
        let entry = |key: &str, value: String| KeyValue { key: key.to_owned(), value: Some(value) };
        vec![
            entry("trailmill.version", env!("CARGO_PKG_VERSION").to_owned()),
            entry("trailmill.schema_version", self.lock.version.to_string()),
            entry("trailmill.unit", self.options.unit.clone()),
            entry("trailmill.sorted_by", "eventsource,eventname,event_timestamp".to_owned()),
        ]
    }

    /// The file's columns with their types.
    fn columns(&self, rows: Range<u32>, unfit: &mut u64) -> (Vec<Source<'_>>, Vec<ParquetType>) {
        let (mut columns, mut types) = (Vec::new(), Vec::new());
        for (spec, values) in self.table.specs.iter().zip(&self.table.values) {
            let (column, parquet) = match values {
                Values::Text(cells) => {
                    let ids = ID_COLUMNS.contains(&spec.name);
                    (Source::Text { cells, ids }, text_type(spec.name, Repetition::Optional))
                }
                Values::Instants => (Source::Instants, timestamp_type(spec.name)),
                Values::Booleans(flags) => {
                    (Source::Booleans(flags), plain_type(spec.name, PhysicalType::Boolean))
                }
                Values::Typed(tree) => {
                    let Role::Typed(_, kind) = &spec.role else { continue };
                    let shape = whole_shape(tree, 0, kind);
                    let parquet = parquet_type(spec.name, &shape);
                    (Source::Tree { tree, shape }, parquet)
                }
                Values::Nested(tree) => {
                    let Some(field) = self.lock.column(self.table.family, spec.name) else {
                        continue;
                    };
                    let mut fitting = Fitting { tree, texts: self.texts, unfit: 0 };
                    let shape = fitting.shape(0, &field.kind, rows.clone());
                    *unfit += fitting.unfit;
                    let Some(shape) = shape else { continue };
                    let parquet = parquet_type(spec.name, &shape);
                    (Source::Tree { tree, shape }, parquet)
                }
            };
            columns.push(column);
            types.push(parquet);
        }
        (columns, types)
    }

    fn row_group(
        &self,
        columns: &[Source<'_>],
        schema: &SchemaDescriptor,
        rows: Range<u32>,
    ) -> Result<Vec<Pages>> {
        let mut chunks = Vec::with_capacity(schema.columns().len());
        let compression = self.options.compression.options();
        let mut put = |leaf: &Leaf<'_>, stream: &Stream| -> Result<()> {
            let descriptor = &schema.columns()[chunks.len()].descriptor;
            chunks.push(encode(leaf, stream, descriptor, compression)?);
            Ok(())
        };
        let numbers = &self.order.rows[rows.start as usize..rows.end as usize];
        let base = Stream::rows(rows.start, rows.end);
        for column in columns {
            match column {
                Source::Text { cells, ids } => {
                    let cells = || numbers.iter().map(|row| cells[*row as usize]).enumerate();
                    let present = || cells().filter(|(_, cell)| !cell.is_null());
                    let stream = base.present(present().map(|(i, _)| rows.start + i as u32));
                    let values = present().map(|(_, cell)| self.texts.of(cell)).collect();
                    put(&Leaf::Text { values, ids: *ids }, &stream)?;
                }
                Source::Instants => {
                    let instants =
                        numbers.iter().map(|row| self.table.rows[*row as usize].instant).collect();
                    put(&Leaf::Bigint(instants), &base.present(rows.clone()))?;
                }
                Source::Booleans(flags) => {
                    let flags = || numbers.iter().map(|row| flags[*row as usize]).enumerate();
                    let present = || flags().filter_map(|(i, flag)| flag.map(|flag| (i, flag)));
                    let stream = base.present(present().map(|(i, _)| rows.start + i as u32));
                    put(&Leaf::Boolean(present().map(|(_, flag)| flag).collect()), &stream)?;
                }
                Source::Tree { tree, shape } => walk(tree, shape, &base, self.texts, &mut put)?,
            }
        }
        Ok(chunks)
    }
}

/// Hands finished pages to polars' file writer.
struct Finished {
    pages: Vec<CompressedPage>,
    passed: usize,
}

impl FallibleStreamingIterator for Finished {
    type Item = CompressedPage;
    type Error = ParquetError;

    fn advance(&mut self) -> std::result::Result<(), ParquetError> {
        self.passed += 1;
        Ok(())
    }

    fn get(&self) -> Option<&CompressedPage> {
        self.pages.get(self.passed.checked_sub(1)?)
    }
}

fn pages_len(pages: &Pages) -> u64 {
    pages
        .0
        .iter()
        .map(|page| match page {
            CompressedPage::Data(page) => page.compressed_size() as u64,
            // Dictionaries are capped at a megabyte; their compressed size is not public.
            CompressedPage::Dict(_) => 0,
        })
        .sum()
}

fn timestamp_type(name: &str) -> ParquetType {
    ParquetType::PrimitiveType(PrimitiveType {
        field_info: FieldInfo { name: name.into(), repetition: Repetition::Optional, id: None },
        logical_type: Some(PrimitiveLogicalType::Timestamp {
            unit: TimeUnit::Milliseconds,
            is_adjusted_to_utc: true,
        }),
        converted_type: Some(PrimitiveConvertedType::TimestampMillis),
        physical_type: PhysicalType::Int64,
    })
}

/// parquet-mr ignores text statistics of a writer whose name it cannot parse.
fn created_by() -> String {
    format!("trailmill version {} (build polars-parquet 0.55.2)", env!("CARGO_PKG_VERSION"))
}

impl Compression {
    fn options(self) -> polars_parquet::parquet::compression::CompressionOptions {
        use polars_parquet::parquet::compression::{CompressionOptions as Options, ZstdLevel};
        match self {
            Self::Zstd(level) => Options::Zstd(ZstdLevel::try_new(level).ok()),
            Self::Snappy => Options::Snappy,
            Self::Gzip => Options::Gzip(None),
            Self::None => Options::Uncompressed,
        }
    }
}
