//! A file of leaves that were Parquet before: no rows, no texts by reference, only levels and values.

use crate::error::Result;
use crate::parquet::Compression;
use crate::parquet::encode::{Chunk, Encoder};
use crate::parquet::footer::{FileSchema, Footer, MAGIC};
use crate::parquet::leaf::Leaf;
use crate::parquet::levels::Levels;
use crate::parquet::placement::place;
use polars_parquet::parquet::metadata::{ColumnDescriptor, KeyValue};
use polars_parquet::parquet::schema::types::ParquetType;

/// The values of a leaf, without nulls, in the order of its levels.
#[derive(Clone, Debug)]
pub enum LeafValues<'v> {
    /// Texts, and the number of each value's text; equal texts may have several numbers.
    Text {
        /// The texts.
        texts: Vec<&'v [u8]>,
        /// By value, which text it is.
        ids: Vec<u32>,
    },
    /// Integers.
    Bigint(Vec<i64>),
    /// Doubles.
    Double(Vec<f64>),
    /// Booleans.
    Boolean(Vec<bool>),
}

/// A column chunk that is not part of a file yet.
#[derive(Debug)]
pub struct LeafChunk {
    bytes: Vec<u8>,
    chunk: Chunk,
}

impl LeafChunk {
    /// Encodes a leaf from its final levels and its values.
    ///
    /// # Errors
    /// `Bug` when polars refuses what was encoded.
    pub fn encode(
        encoder: &mut Encoder,
        values: &LeafValues<'_>,
        (def, rep): (&[u8], &[u8]),
        column: &ColumnDescriptor,
        compression: Compression,
    ) -> Result<Self> {
        let leaf = match values {
            LeafValues::Text { texts, ids } => Leaf::Numbered { texts, ids },
            LeafValues::Bigint(values) => Leaf::Bigint(values),
            LeafValues::Double(values) => Leaf::Double(values),
            LeafValues::Boolean(values) => Leaf::Boolean(values),
        };
        let levels = Levels {
            def,
            rep,
            max_def: column.descriptor.max_def_level as u8,
            max_rep: column.descriptor.max_rep_level as u8,
        };
        let mut bytes = Vec::new();
        let chunk = encoder.encode(&leaf, levels, column, compression.options(), &mut bytes)?;
        Ok(Self { bytes, chunk })
    }
}

/// A file to which row groups are added, each with a chunk for every leaf of the schema.
#[derive(Debug)]
pub struct MergedFile {
    schema: FileSchema,
    bytes: Vec<u8>,
    groups: Vec<(u64, Vec<Chunk>)>,
}

impl MergedFile {
    /// Begins a file with these columns, with room for so many bytes.
    ///
    /// # Errors
    /// `Bug` when polars refuses the schema.
    pub fn new(types: Vec<ParquetType>, room: usize) -> Result<Self> {
        let schema = FileSchema::new(types)?;
        let mut bytes = Vec::with_capacity(room);
        bytes.extend_from_slice(MAGIC);
        Ok(Self { schema, bytes, groups: Vec::new() })
    }

    /// Returns the leaves, in their order.
    pub fn leaves(&self) -> &[ColumnDescriptor] {
        self.schema.descriptor.columns()
    }

    /// Adds a row group, from the chunks of all leaves in their order; Bloom filters only if wanted.
    pub fn add_group(&mut self, rows: u64, leaves: &[&LeafChunk], has_blooms: bool) {
        let chunks: Vec<_> = leaves.iter().map(|it| (&it.bytes[..], &it.chunk)).collect();
        let columns = self.schema.descriptor.columns();
        self.groups.push((rows, place(columns, &chunks, has_blooms, &mut self.bytes)));
    }

    /// Ends the file; returns its bytes.
    ///
    /// # Errors
    /// `Bug` when polars refuses the footer.
    pub fn end(self, metadata: Vec<(String, String)>) -> Result<Vec<u8>> {
        let Self { schema, mut bytes, groups } = self;
        let entry = |(key, value)| KeyValue { key, value: Some(value) };
        let metadata = metadata.into_iter().map(entry).collect();
        Footer { schema: &schema, groups, metadata }.write(&mut bytes)?;
        Ok(bytes)
    }
}
