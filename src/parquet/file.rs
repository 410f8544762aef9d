//! The files of one table in a unit: ordered rows to encoded Parquet, one partition at a time.

use crate::error::Result;
use crate::parquet::arrange::Order;
use crate::parquet::encode::{Chunk, Encoder};
use crate::parquet::footer::{FileSchema, Footer, MAGIC};
use crate::parquet::leaf::Leaf;
use crate::parquet::levels::{Levels, Stream};
use crate::parquet::shape::{
    Fitting, OnLeaf, Shape, parquet_type, plain_type, text_type, walk, whole_shape,
};
use crate::parquet::{Compression, WriteOptions};
use crate::rows::{Cell, TableRows, TextColumn, Texts, Tree, Values};
use crate::schema::{ColumnSpec, Lock, Role};
use crate::units::EpochMillis;
use polars_parquet::parquet::metadata::KeyValue;
use polars_parquet::parquet::schema::Repetition;
use polars_parquet::parquet::schema::types::{
    FieldInfo, ParquetType, PhysicalType, PrimitiveConvertedType, PrimitiveLogicalType,
    PrimitiveType, TimeUnit,
};
use std::ops::Range;

/// The most rows of a row group.
pub const ROW_GROUP_ROWS: u32 = 100_000;

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
#[derive(Debug)]
enum Source<'a> {
    Text(&'a TextColumn),
    Instants,
    Booleans(&'a [Option<bool>]),
    Tree { tree: &'a Tree, shape: Shape },
}

/// Writes an arranged table, partition by partition, on any thread.
#[derive(Debug)]
pub struct TableWriter<'a> {
    table: &'a TableRows,
    order: &'a Order,
    texts: &'a Texts,
    lock: &'a Lock,
    options: &'a WriteOptions,
    /// The columns that every file has; nothing at the places of inferred ones.
    documented: Vec<Option<(Source<'a>, ParquetType)>>,
    /// Of files without inferred columns.
    schema: FileSchema,
}

impl<'a> TableWriter<'a> {
    /// Creates a writer of a table that [`arrange`](crate::parquet::arrange) has put in `order`; nested
    /// columns have the schema of `lock`.
    ///
    /// # Errors
    /// `Bug` when polars refuses the schema.
    pub fn new(
        table: &'a TableRows,
        order: &'a Order,
        texts: &'a Texts,
        lock: &'a Lock,
        options: &'a WriteOptions,
    ) -> Result<Self> {
        let columns = table.specs.iter().zip(&table.values);
        let documented: Vec<_> = columns.map(|(spec, values)| documented(spec, values)).collect();
        let types = documented.iter().flatten().map(|(_, parquet)| parquet.clone()).collect();
        let schema = FileSchema::new(types)?;
        Ok(Self { table, order, texts, lock, options, documented, schema })
    }

    /// Encodes the rows of a partition, by its place in the order, into one file, or more when the
    /// target size is reached.
    ///
    /// # Errors
    /// `Bug` when polars refuses what was encoded.
    pub fn write(&self, partition: usize, encoder: &mut Encoder) -> Result<Written> {
        let (partition, rows) = self.order.slices[partition].clone();
        let partition = &self.table.partitions[partition as usize];
        let mut written = Written::default();
        let inferred = self.inferred(rows.clone(), &mut written.unfit);
        let columns = || {
            let both = self.documented.iter().zip(&inferred);
            both.filter_map(|(documented, inferred)| documented.as_ref().or(inferred.as_ref()))
        };
        let with_inferred = match inferred.iter().any(Option::is_some) {
            true => Some(FileSchema::new(columns().map(|(_, parquet)| parquet.clone()).collect())?),
            false => None,
        };
        let schema = with_inferred.as_ref().unwrap_or(&self.schema);
        let columns: Vec<&Source<'_>> = columns().map(|(column, _)| column).collect();
        let mut next = rows.start;
        while next < rows.end {
            let first = next;
            let mut file = MAGIC.to_vec();
            let mut groups = Vec::new();
            let is_full = |file: &Vec<u8>| file.len() as u64 >= self.options.target_file_bytes;
            while next < rows.end && (next == first || !is_full(&file)) {
                let group = next..rows.end.min(next + ROW_GROUP_ROWS);
                let chunks = self.row_group(&columns, schema, group.clone(), encoder, &mut file)?;
                groups.push((u64::from(group.end - group.start), chunks));
                next = group.end;
            }
            Footer { schema, groups, metadata: self.metadata() }.write(&mut file)?;
            let rows = &self.order.rows[first as usize..next as usize];
            let instants = || rows.iter().map(|row| self.table.rows[*row as usize].instant);
            written.files.push(EncodedFile {
                partition: partition.clone(),
                bytes: file,
                rows: u64::from(next - first),
                min_instant: instants().min().unwrap_or_default(),
                max_instant: instants().max().unwrap_or_default(),
            });
        }
        Ok(written)
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

    /// The file's inferred columns with their types, each at its place.
    fn inferred(
        &self,
        rows: Range<u32>,
        unfit: &mut u64,
    ) -> Vec<Option<(Source<'_>, ParquetType)>> {
        let columns = self.table.specs.iter().zip(&self.table.values);
        let inferred = columns.map(|(spec, values)| {
            let Values::Nested(tree) = values else { return None };
            let field = self.lock.column(self.table.family, spec.name)?;
            let mut fitting = Fitting { tree, texts: self.texts, unfit: 0 };
            let shape = fitting.shape(0, &field.kind, rows.clone());
            *unfit += fitting.unfit;
            let shape = shape?;
            let parquet = parquet_type(spec.name, &shape);
            Some((Source::Tree { tree, shape }, parquet))
        });
        inferred.collect()
    }

    fn row_group(
        &self,
        columns: &[&Source<'_>],
        schema: &FileSchema,
        rows: Range<u32>,
        encoder: &mut Encoder,
        file: &mut Vec<u8>,
    ) -> Result<Vec<Chunk>> {
        let leaves = schema.descriptor.columns();
        let mut chunks = Vec::with_capacity(leaves.len());
        let compression = self.options.compression.options();
        let mut put = |leaf: &Leaf<'_>, levels: Levels<'_>| -> Result<()> {
            let column = &leaves[chunks.len()];
            chunks.push(encoder.encode(leaf, levels, column, compression, file)?);
            Ok(())
        };
        let numbers = &self.order.rows[rows.start as usize..rows.end as usize];
        let base = Stream::rows(rows.start, rows.end);
        let mut present = Vec::with_capacity(numbers.len());
        let (mut cells, mut booleans) = (Vec::new(), Vec::new());
        let mut values = Vec::new();
        for column in columns {
            present.clear();
            match column {
                Source::Text(column) => {
                    cells.clear();
                    for row in numbers {
                        let cell = column.cell(*row);
                        present.push(u8::from(!cell.is_null()));
                        if !cell.is_null() {
                            cells.push(cell);
                        }
                    }
                    self.texts(column, &cells, &mut values, flat(&present), &mut put)?;
                }
                Source::Instants => {
                    present.resize(numbers.len(), 1);
                    let instant = |row: &u32| self.table.rows[*row as usize].instant;
                    let instants: Vec<_> = numbers.iter().map(instant).collect();
                    put(&Leaf::Bigint(&instants), flat(&present))?;
                }
                Source::Booleans(flags) => {
                    booleans.clear();
                    for row in numbers {
                        let flag = flags[*row as usize];
                        present.push(u8::from(flag.is_some()));
                        booleans.extend(flag);
                    }
                    put(&Leaf::Boolean(&booleans), flat(&present))?;
                }
                Source::Tree { tree, shape } => walk(tree, shape, &base, self.texts, &mut put)?,
            }
        }
        Ok(chunks)
    }

    /// Hands out the values of a text column.
    fn texts<'v>(
        &'v self,
        column: &TextColumn,
        cells: &[Cell],
        values: &mut Vec<&'v [u8]>,
        levels: Levels<'_>,
        on_leaf: OnLeaf<'_>,
    ) -> Result<()> {
        if column.is_interned() {
            return on_leaf(&Leaf::Interned { cells, texts: self.texts }, levels);
        }
        values.clear();
        values.extend(cells.iter().map(|cell| self.texts.get(*cell)));
        on_leaf(&Leaf::Text { values, ids: column.holds_ids() }, levels)
    }
}

/// The levels of an optional column without structure.
fn flat(present: &[u8]) -> Levels<'_> {
    Levels { def: present, rep: &[], max_def: 1, max_rep: 0 }
}

/// A column that every file has, with its type; nothing for an inferred one.
fn documented<'a>(spec: &ColumnSpec, values: &'a Values) -> Option<(Source<'a>, ParquetType)> {
    Some(match values {
        Values::Text(column) => (Source::Text(column), text_type(spec.name, Repetition::Optional)),
        Values::Instants => (Source::Instants, timestamp_type(spec.name)),
        Values::Booleans(flags) => {
            (Source::Booleans(flags), plain_type(spec.name, PhysicalType::Boolean))
        }
        Values::Typed(tree) => {
            let Role::Typed(_, kind) = &spec.role else { return None };
            let shape = whole_shape(tree, 0, kind);
            let parquet = parquet_type(spec.name, &shape);
            (Source::Tree { tree, shape }, parquet)
        }
        Values::Nested(_) => return None,
    })
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
