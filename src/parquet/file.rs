//! The files of one family in a unit: ordered rows to encoded Parquet, one partition at a time.
//!
//! A file of the typed table has the rows of a file of the main table, in the same order and row groups:
//! columns that both have are encoded once.

use crate::error::Result;
use crate::family::{ColumnSpec, Form, Role};
use crate::parquet::arrange::Order;
use crate::parquet::encode::{Chunk, Encoder};
use crate::parquet::footer::{FileSchema, Footer, MAGIC};
use crate::parquet::leaf::Leaf;
use crate::parquet::levels::{Levels, Stream};
use crate::parquet::placement::place;
use crate::parquet::shape::{
    Fitting, OnLeaf, Shape, complete, parquet_type, plain_type, text_type, walk, whole_shape,
};
use crate::parquet::{Compression, WriteOptions};
use crate::rows::{Cell, TableRows, TextColumn, Texts, Tree, Values};
use crate::schema::Lock;
use crate::units::EpochMillis;
use polars_parquet::parquet::metadata::{ColumnDescriptor, KeyValue};
use polars_parquet::parquet::schema::Repetition;
use polars_parquet::parquet::schema::types::{
    FieldInfo, ParquetType, PhysicalType, PrimitiveConvertedType, PrimitiveLogicalType,
    PrimitiveType, TimeUnit,
};
use std::ops::Range;

/// The most rows of a row group. Readers of object stores skip columns only where what is between is larger than what
/// they fetch at once (1 MB with Trino): with 25,000 rows, a question for a principal read ten times as much.
const ROW_GROUP_ROWS: usize = 100_000;

/// Rows from which on a file has all members of an inferred column, for each one that it has no value
/// for: such a member takes some 150 bytes, and all of them must stay under 5 % of the file.
const ROWS_PER_ABSENT_LEAF: usize = 100;

/// Returns how many rows each row group of a file gets, but for the last one, which has fewer by less than the
/// number of row groups.
pub fn row_group_rows(rows: usize) -> usize {
    rows.div_ceil(rows.div_ceil(ROW_GROUP_ROWS).max(1)).max(1)
}

/// One finished Parquet file, still in memory.
#[derive(Debug)]
pub struct EncodedFile {
    /// Which of the family's tables it is of.
    pub form: Form,
    /// The partition's path, `account=…/region=…/event_date=…`.
    pub partition: String,
    /// Its number among the files of its table and partition.
    pub number: usize,
    /// The file.
    pub bytes: Vec<u8>,
    /// Its rows.
    pub rows: u64,
    /// The earliest event.
    pub min_instant: EpochMillis,
    /// The latest event.
    pub max_instant: EpochMillis,
}

/// What became of the rows of one partition.
#[derive(Debug, Default)]
pub struct Written {
    /// The files in order; one of the typed table follows the one of the main table with the same rows.
    pub files: Vec<EncodedFile>,
    /// Values of free-form fields that the inferred columns could not hold.
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

/// A column with its type; nothing for one that a file has not.
type TypedSource<'a> = Option<(Source<'a>, ParquetType)>;

/// Writes an arranged table, partition by partition, on any thread.
#[derive(Debug)]
pub struct TableWriter<'a> {
    table: &'a TableRows,
    order: &'a Order,
    texts: &'a Texts,
    lock: &'a Lock,
    options: &'a WriteOptions,
    /// The columns that every file has; nothing at the places of inferred ones.
    documented: Vec<TypedSource<'a>>,
    /// The columns of the main table.
    main: Vec<usize>,
    schema: FileSchema,
    /// The columns of the typed table; none without one.
    typed: Vec<usize>,
}

impl<'a> TableWriter<'a> {
    /// Creates a writer of a table that [`arrange`](crate::parquet::arrange) has put in `order`; inferred
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
        let main = table.columns_of(Form::Main);
        let types = main.iter().filter_map(|at| documented[*at].as_ref());
        let schema = FileSchema::new(types.map(|(_, parquet)| parquet.clone()).collect())?;
        let typed = match table.has_typed() {
            true => table.columns_of(Form::Typed),
            false => Vec::new(),
        };
        Ok(Self { table, order, texts, lock, options, documented, main, schema, typed })
    }

    /// Encodes the rows of a partition, by its place in the order, into one file of each table, or more
    /// when the target size is reached.
    ///
    /// # Errors
    /// `Bug` when polars refuses what was encoded.
    pub fn write(&self, partition: usize, encoder: &mut Encoder) -> Result<Written> {
        let (partition, rows) = self.order.slices[partition].clone();
        let mut written = Written::default();
        let inferred = self.inferred(rows.clone(), &mut written.unfit);
        let column = |at: &usize| self.documented[*at].as_ref().or(inferred[*at].as_ref());
        let typed_schema = match self.typed.is_empty() {
            true => None,
            false => {
                let types = self.typed.iter().filter_map(column);
                Some(FileSchema::new(types.map(|(_, parquet)| parquet.clone()).collect())?)
            }
        };
        let has_typed = typed_schema.is_some();
        let group_rows = row_group_rows(rows.len()) as u32;
        let (mut next, mut number) = (rows.start, 0);
        while next < rows.end {
            let first = next;
            let mut main = OpenFile::new(&self.schema);
            let mut typed = typed_schema.as_ref().map(OpenFile::new);
            let is_full = |main: &OpenFile<'_>| main.size() >= self.options.target_file_bytes;
            while next < rows.end && (next == first || !is_full(&main)) {
                let group = next..rows.end.min(next + group_rows);
                let mut chunks = Chunks { writer: self, rows: group.clone(), encoder };
                let places = chunks.main(&mut main, column)?;
                if let Some(typed) = &mut typed {
                    chunks.typed(typed, &main, &places, column)?;
                }
                next = group.end;
            }
            let files = [(Form::Main, Some(main)), (Form::Typed, typed)];
            for (form, file) in files {
                let Some(file) = file else { continue };
                let bytes = file.end(self.metadata(form, has_typed))?;
                written.files.push(self.file(form, partition, number, first..next, bytes));
            }
            number += 1;
        }
        Ok(written)
    }

    fn file(
        &self,
        form: Form,
        partition: u32,
        number: usize,
        rows: Range<u32>,
        bytes: Vec<u8>,
    ) -> EncodedFile {
        let numbers = &self.order.rows[rows.start as usize..rows.end as usize];
        let instants = || numbers.iter().map(|row| self.table.rows[*row as usize].instant);
        EncodedFile {
            form,
            partition: self.table.partitions[partition as usize].clone(),
            number,
            bytes,
            rows: u64::from(rows.end - rows.start),
            min_instant: instants().min().unwrap_or_default(),
            max_instant: instants().max().unwrap_or_default(),
        }
    }

    fn metadata(&self, form: Form, has_typed: bool) -> Vec<KeyValue> {
        let entry = |key: &str, value: String| KeyValue { key: key.to_owned(), value: Some(value) };
        let mut entries = vec![
            entry("trailmill.version", env!("CARGO_PKG_VERSION").to_owned()),
            entry("trailmill.schema_version", self.lock.version.to_string()),
            entry("trailmill.unit", self.options.unit.clone()),
            entry("trailmill.sorted_by", "eventsource,eventname,event_timestamp".to_owned()),
        ];
        if form == Form::Main {
            // Who proves the lake from its files knows by this that one of the typed table is missing.
            entries.push(entry("trailmill.typed", has_typed.to_string()));
        } else if self.has_open_keys() {
            // And by this, that members may be missing.
            entries.push(entry("trailmill.open_keys", true.to_string()));
        }
        entries
    }

    fn has_open_keys(&self) -> bool {
        let is_open =
            |values: &Values| matches!(values, Values::Nested(tree) if tree.has_open_keys());
        self.table.values.iter().any(is_open)
    }

    /// The file's inferred columns with their types, each at its place.
    fn inferred(&self, rows: Range<u32>, unfit: &mut u64) -> Vec<TypedSource<'_>> {
        let columns = self.table.specs.iter().zip(&self.table.values);
        let inferred = columns.map(|(spec, values)| {
            let Values::Nested(tree) = values else { return None };
            let field = self.lock.column(self.table.family, spec.name)?;
            let mut fitting = Fitting { tree, texts: self.texts, unfit: 0 };
            let shape = fitting.shape(0, &field.kind, rows.clone());
            *unfit += fitting.unfit;
            let absent = field.kind.leaves() - shape.as_ref().map_or(0, Shape::leaves);
            let is_worth_all = rows.len() >= absent * ROWS_PER_ABSENT_LEAF;
            let shape = if is_worth_all { complete(shape, &field.kind) } else { shape }?;
            let parquet = parquet_type(spec.name, &shape);
            Some((Source::Tree { tree, shape }, parquet))
        });
        inferred.collect()
    }

    /// Encodes a column of some rows; returns its chunks.
    fn column(&self, source: &Source<'_>, rows: Range<u32>, on_leaf: OnLeaf<'_>) -> Result<()> {
        let numbers = &self.order.rows[rows.start as usize..rows.end as usize];
        let mut present = Vec::with_capacity(numbers.len());
        match source {
            Source::Text(column) => {
                let mut cells = Vec::with_capacity(numbers.len());
                for row in numbers {
                    let cell = column.cell(*row);
                    present.push(u8::from(!cell.is_null()));
                    if !cell.is_null() {
                        cells.push(cell);
                    }
                }
                self.texts(column, &cells, flat(&present), on_leaf)
            }
            Source::Instants => {
                present.resize(numbers.len(), 1);
                let instant = |row: &u32| self.table.rows[*row as usize].instant;
                let instants: Vec<_> = numbers.iter().map(instant).collect();
                on_leaf(&Leaf::Bigint(&instants), flat(&present))
            }
            Source::Booleans(flags) => {
                let mut booleans = Vec::new();
                for row in numbers {
                    let flag = flags[*row as usize];
                    present.push(u8::from(flag.is_some()));
                    booleans.extend(flag);
                }
                on_leaf(&Leaf::Boolean(&booleans), flat(&present))
            }
            Source::Tree { tree, shape } => {
                walk(tree, shape, &Stream::rows(rows.start, rows.end), self.texts, on_leaf)
            }
        }
    }

    /// Hands out the values of a text column.
    fn texts(
        &self,
        column: &TextColumn,
        cells: &[Cell],
        levels: Levels<'_>,
        on_leaf: OnLeaf<'_>,
    ) -> Result<()> {
        if column.is_interned() {
            return on_leaf(&Leaf::Interned { cells, texts: self.texts }, levels);
        }
        let values: Vec<_> = cells.iter().map(|cell| self.texts.get(*cell)).collect();
        on_leaf(&Leaf::Text { values: &values, ids: column.holds_ids() }, levels)
    }
}

/// A file that is being written.
struct OpenFile<'s> {
    schema: &'s FileSchema,
    bytes: Vec<u8>,
    groups: Vec<(u64, Vec<Chunk>)>,
}

impl<'s> OpenFile<'s> {
    fn new(schema: &'s FileSchema) -> Self {
        Self { schema, bytes: MAGIC.to_vec(), groups: Vec::new() }
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn end(self, metadata: Vec<KeyValue>) -> Result<Vec<u8>> {
        let Self { schema, mut bytes, groups } = self;
        Footer { schema, groups, metadata }.write(&mut bytes)?;
        Ok(bytes)
    }
}

/// The chunks of one row group of both tables.
struct Chunks<'w, 'a> {
    writer: &'w TableWriter<'a>,
    rows: Range<u32>,
    encoder: &'w mut Encoder,
}

impl Chunks<'_, '_> {
    /// Encodes the row group of the main table; returns, by column, where its chunks are.
    fn main<'c, 'v: 'c>(
        &mut self,
        file: &mut OpenFile<'_>,
        column: impl Fn(&usize) -> Option<&'c (Source<'v>, ParquetType)>,
    ) -> Result<Vec<Range<usize>>> {
        let leaves = file.schema.descriptor.columns();
        let mut places = vec![0..0; self.writer.documented.len()];
        let (mut chunks, mut bytes) = (Vec::with_capacity(leaves.len()), Vec::new());
        for at in &self.writer.main {
            let Some((source, _)) = column(at) else { continue };
            let first = chunks.len();
            self.encode(source, leaves, &mut chunks, &mut bytes)?;
            places[*at] = first..chunks.len();
        }
        let chunks: Vec<_> = chunks.iter().map(|chunk| (&bytes[..], chunk)).collect();
        let placed = place(leaves, &chunks, true, &mut file.bytes);
        file.groups.push((self.rows.len() as u64, placed));
        Ok(places)
    }

    /// Makes the row group of the typed table: the columns that both have are the bytes of the other file.
    fn typed<'c, 'v: 'c>(
        &mut self,
        file: &mut OpenFile<'_>,
        main: &OpenFile<'_>,
        places: &[Range<usize>],
        column: impl Fn(&usize) -> Option<&'c (Source<'v>, ParquetType)>,
    ) -> Result<()> {
        let leaves = file.schema.descriptor.columns();
        let mut chunks = Vec::with_capacity(leaves.len());
        let shared = main.groups.last().map_or(&[][..], |(_, chunks)| chunks);
        for at in &self.writer.typed {
            match (shared.get(places[*at].clone()), column(at)) {
                (Some(shared), _) if !shared.is_empty() => {
                    let copy = |chunk: &Chunk| chunk.copy(&main.bytes, &mut file.bytes);
                    chunks.extend(shared.iter().map(copy));
                }
                (_, Some((source, _))) => {
                    self.encode(source, leaves, &mut chunks, &mut file.bytes)?;
                }
                _ => {}
            }
        }
        file.groups.push((self.rows.len() as u64, chunks));
        Ok(())
    }

    fn encode(
        &mut self,
        source: &Source<'_>,
        leaves: &[ColumnDescriptor],
        chunks: &mut Vec<Chunk>,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let Self { writer, rows, encoder } = self;
        let compression = writer.options.compression.options();
        let mut put = |leaf: &Leaf<'_>, levels: Levels<'_>| -> Result<()> {
            let column = &leaves[chunks.len()];
            chunks.push(encoder.encode(leaf, levels, column, compression, bytes)?);
            Ok(())
        };
        writer.column(source, rows.clone(), &mut put)
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
            let Role::Typed(_, documented) = &spec.role else { return None };
            let shape = whole_shape(tree, 0, documented);
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
    pub(super) fn options(self) -> polars_parquet::parquet::compression::CompressionOptions {
        use polars_parquet::parquet::compression::{CompressionOptions as Options, ZstdLevel};
        match self {
            Self::Zstd(level) => Options::Zstd(ZstdLevel::try_new(level).ok()),
            Self::Snappy => Options::Snappy,
            Self::Gzip => Options::Gzip(None),
            Self::None => Options::Uncompressed,
        }
    }
}
