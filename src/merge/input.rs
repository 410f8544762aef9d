//! A data file to be merged: its footer, and the pages of its leaves.

use crate::error::Result;
use crate::merge::page::{Inflater, Page, Pages, Wanted, damaged};
use bytes::Bytes;
use hashbrown::HashMap;
use polars_parquet::parquet::compression::Compression;
use polars_parquet::parquet::metadata::{Descriptor, FileMetadata, RowGroupMetadata};
use polars_parquet::parquet::read::read_metadata;
use polars_parquet::parquet::schema::types::ParquetType;
use std::io::Cursor;
use std::ops::Range;

/// A data file whose footer has been read.
#[derive(Debug)]
pub struct Input {
    name: String,
    bytes: Bytes,
    footer: FileMetadata,
    /// The rows of each row group.
    groups: Vec<Range<u64>>,
    /// By path, the number of each leaf.
    leaves: HashMap<String, usize>,
    /// By path, a leaf inside each group of the schema.
    inside: HashMap<String, usize>,
}

impl Input {
    /// Reads a file's footer; `name` is for messages.
    ///
    /// # Errors
    /// `Damaged` when it is not a Parquet file.
    pub fn open(name: &str, bytes: Bytes) -> Result<Self> {
        let footer = read_metadata(&mut Cursor::new(&bytes))
            .map_err(|err| damaged().at("file", name).because(err))?;
        let mut groups = Vec::with_capacity(footer.row_groups.len());
        let mut next = 0;
        for group in &footer.row_groups {
            let end = next + group.num_rows() as u64;
            groups.push(next..end);
            next = end;
        }
        let (mut leaves, mut inside) = (HashMap::new(), HashMap::new());
        for (at, column) in footer.schema_descr.columns().iter().enumerate() {
            let mut path = String::new();
            for (depth, part) in column.path_in_schema.iter().enumerate() {
                if depth > 0 {
                    inside.entry(path.clone()).or_insert(at);
                    path.push('.');
                }
                path.push_str(part);
            }
            leaves.insert(path, at);
        }
        Ok(Self { name: name.to_owned(), bytes, footer, groups, leaves, inside })
    }

    /// Returns how many rows it has.
    pub fn rows(&self) -> u64 {
        self.groups.last().map_or(0, |group| group.end)
    }

    /// Returns how many bytes it has.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the rows of each row group.
    pub(super) fn groups(&self) -> &[Range<u64>] {
        &self.groups
    }

    /// Returns what the writer noted under a key.
    pub fn note(&self, key: &str) -> Option<&str> {
        let entries = self.footer.key_value_metadata.iter().flatten();
        entries.filter(|entry| entry.key == key).find_map(|entry| entry.value.as_deref())
    }

    /// Returns the columns.
    pub(super) fn types(&self) -> &[ParquetType] {
        self.footer.schema_descr.fields()
    }

    /// Returns the number of a leaf, by its path.
    pub(super) fn leaf(&self, path: &str) -> Option<usize> {
        self.leaves.get(path).copied()
    }

    /// Returns the deepest group above a path that the file has, and a leaf inside it; nothing where it
    /// has not even the column.
    pub(super) fn group_above<'p>(&self, path: &'p str) -> Option<(&'p str, usize)> {
        let mut above = path;
        while let Some((group, _)) = above.rsplit_once('.') {
            if let Some(leaf) = self.inside.get(group) {
                return Some((group, *leaf));
            }
            above = group;
        }
        None
    }

    /// Returns how many bytes of the file a leaf takes.
    pub(super) fn bytes_of(&self, leaf: usize) -> u64 {
        let groups = self.footer.row_groups.iter();
        let chunks = groups.filter_map(|group| group.parquet_columns().get(leaf));
        chunks.map(|chunk| chunk.byte_range().end - chunk.byte_range().start).sum()
    }

    /// Returns whether some rows of a leaf are, byte by byte, those of a leaf of another file: so are the columns
    /// that two tables share.
    pub(super) fn is_same(
        &self,
        leaf: usize,
        (other, of_other): (&Self, usize),
        rows: &Range<u64>,
    ) -> bool {
        let is_wanted =
            |of_group: &Range<u64>| of_group.end > rows.start && of_group.start < rows.end;
        let mut groups = self.groups.iter().enumerate().filter(|(_, group)| is_wanted(group));
        self.groups == other.groups
            && groups.all(|(group, _)| {
                let ours = self.chunk(group, leaf);
                ours.is_some() && ours == other.chunk(group, of_other)
            })
    }

    /// Returns what a column chunk has, its codec, and its bytes.
    fn chunk(&self, group: usize, leaf: usize) -> Option<(&Descriptor, Compression, &[u8])> {
        let chunk = self.footer.row_groups.get(group)?.parquet_columns().get(leaf)?;
        let range = chunk.byte_range();
        let bytes = self.bytes.get(range.start as usize..range.end as usize)?;
        Some((&chunk.descriptor().descriptor, chunk.compression(), bytes))
    }

    /// Reads the pages of a leaf that have any of some rows.
    ///
    /// # Errors
    /// `Damaged` when they cannot be read.
    pub(super) fn pages(
        &self,
        leaf: usize,
        rows: &Range<u64>,
        (wanted, inflater): (Wanted, &mut Inflater),
    ) -> Result<Vec<Page>> {
        let mut out = Vec::new();
        for (group, of_group) in self.groups.iter().enumerate() {
            if of_group.end <= rows.start || of_group.start >= rows.end {
                continue;
            }
            let columns = self.footer.row_groups.get(group).map(RowGroupMetadata::parquet_columns);
            let chunk = columns.and_then(|columns| columns.get(leaf)).ok_or_else(damaged)?;
            let range = chunk.byte_range();
            let bytes = self.bytes.get(range.start as usize..range.end as usize);
            let bytes = bytes.ok_or_else(|| damaged().at("file", &self.name))?;
            let column = chunk.descriptor();
            let codec = chunk.compression();
            let mut pages = Pages::new(bytes, codec, column, of_group.clone(), (wanted, inflater));
            let mut next = rows.start.max(of_group.start);
            let end = rows.end.min(of_group.end);
            while next < end {
                let page = pages.next(next).map_err(|err| err.at("file", &self.name))?;
                let page = page.ok_or_else(|| damaged().at("file", &self.name))?;
                next = page.range().end;
                out.push(page);
            }
        }
        Ok(out)
    }
}
