//! Files joined to one, row group by row group and leaf by leaf.

use crate::error::Result;
use crate::merge::input::Input;
use crate::merge::order::{Order, Place};
use crate::merge::page::{Page, Value, damaged};
use crate::merge::union::{Absent, Union};
use crate::parquet::{Compression, Encoder, LeafChunk, LeafValues, MergedFile, ROW_GROUP_ROWS};
use hashbrown::HashMap;
use polars_parquet::parquet::metadata::ColumnDescriptor;
use polars_parquet::parquet::schema::types::PhysicalType;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// A file of the main table, and the one of the typed table with the same rows.
#[derive(Debug)]
pub struct Joined {
    /// The bytes of the file of the main table.
    pub main: Vec<u8>,
    /// The bytes of the other, if the inputs have such files.
    pub typed: Option<Vec<u8>>,
}

/// One table's side of a join.
#[derive(Clone, Copy, Debug)]
struct Side<'a> {
    inputs: &'a [Input],
    union: &'a Union,
}

/// Joins files; those of the typed table have the rows of those of the main table, in the same order. `notes`
/// are for the footers, of the main table first.
///
/// # Errors
/// `Damaged` when an input cannot be read; `Bug` when polars refuses what was encoded.
pub fn join(
    (inputs, union): (&[Input], &Union),
    typed: Option<(&[Input], &Union)>,
    order: &Order,
    compression: Compression,
    notes: [Vec<(String, String)>; 2],
) -> Result<Joined> {
    let main = Side { inputs, union };
    let mut file = MergedFile::new(union.types().to_vec())?;
    let typed = typed.map(|(inputs, union)| Side { inputs, union });
    let mut other = match &typed {
        Some(side) => Some(MergedFile::new(side.union.types().to_vec())?),
        None => None,
    };
    let shared: HashMap<&str, usize> =
        union.paths().iter().enumerate().map(|(at, path)| (path.as_str(), at)).collect();
    for places in order.places.chunks(ROW_GROUP_ROWS as usize) {
        let leaves = 0..union.paths().len();
        let chunks = main.encode(leaves.collect(), places, compression)?;
        file.add_group(places.len() as u64, chunks.iter().map(|(_, chunk)| chunk), true);
        let (Some(side), Some(other)) = (typed, &mut other) else { continue };
        let paths = side.union.paths().iter().enumerate();
        let own: Vec<usize> = paths
            .filter(|(_, path)| !shared.contains_key(path.as_str()))
            .map(|(at, _)| at)
            .collect();
        let own: HashMap<usize, LeafChunk> =
            side.encode(own, places, compression)?.into_iter().collect();
        let mut of_group = Vec::with_capacity(side.union.paths().len());
        for (at, path) in side.union.paths().iter().enumerate() {
            let found = match shared.get(path.as_str()) {
                Some(main) => chunks.get(*main).map(|(_, chunk)| chunk),
                None => own.get(&at),
            };
            of_group.push(found.ok_or_else(damaged)?);
        }
        // One table with Bloom filters is enough to find an id.
        other.add_group(places.len() as u64, of_group, false);
    }
    let [of_main, of_typed] = notes;
    let typed = other.map(|other| other.end(of_typed)).transpose()?;
    Ok(Joined { main: file.end(of_main)?, typed })
}

impl Side<'_> {
    /// Encodes leaves of some rows, side by side.
    fn encode(
        &self,
        leaves: Vec<usize>,
        places: &[Place],
        compression: Compression,
    ) -> Result<Vec<(usize, LeafChunk)>> {
        let (ranges, absent) = (ranges(places, self.inputs.len()), Absent::default());
        let encode = |encoder: &mut Encoder, leaf: usize| {
            let column = self.union.leaf(leaf).ok_or_else(damaged)?;
            let mut parts = Vec::with_capacity(self.inputs.len());
            for (input, rows) in self.inputs.iter().enumerate().zip(&ranges) {
                parts.push(match rows.is_empty() {
                    true => Arc::default(),
                    false => self.union.pages(input, leaf, rows, &absent)?,
                });
            }
            let gathered = Gathered::of(column, places, &parts)?;
            let Gathered { def, rep, values } = &gathered;
            let chunk = LeafChunk::encode(encoder, values, (def, rep), column, compression)?;
            Ok((leaf, chunk))
        };
        leaves.into_par_iter().map_init(Encoder::default, encode).collect()
    }
}

/// The rows of each input among some places.
fn ranges(places: &[Place], inputs: usize) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = vec![0..0; inputs];
    for place in places {
        let Some(range) = ranges.get_mut(place.input as usize) else { continue };
        let row = u64::from(place.row);
        *range = match range.is_empty() {
            true => row..row + 1,
            false => range.start.min(row)..range.end.max(row + 1),
        };
    }
    ranges
}

/// The levels and values of a leaf, as they are put together.
struct Gathered<'p> {
    def: Vec<u8>,
    rep: Vec<u8>,
    values: LeafValues<'p>,
}

impl<'p> Gathered<'p> {
    /// Takes the rows at some places from the pages of each input.
    fn of(
        column: &ColumnDescriptor,
        places: &[Place],
        parts: &'p [Arc<Vec<Page>>],
    ) -> Result<Self> {
        let descriptor = &column.descriptor;
        let repeats = descriptor.max_rep_level > 0;
        let values = match descriptor.primitive_type.physical_type {
            PhysicalType::ByteArray => LeafValues::Text(Vec::new()),
            PhysicalType::Int64 => LeafValues::Bigint(Vec::new()),
            PhysicalType::Double => LeafValues::Double(Vec::new()),
            PhysicalType::Boolean => LeafValues::Boolean(Vec::new()),
            _ => return Err(damaged()),
        };
        let mut gathered = Self { def: Vec::new(), rep: Vec::new(), values };
        if parts.iter().flat_map(|pages| pages.iter()).all(Page::is_void) {
            gathered.def = vec![0; places.len()];
            gathered.rep = vec![0; if repeats { places.len() } else { 0 }];
            return Ok(gathered);
        }
        let mut cursors = vec![0_usize; parts.len()];
        for place in places {
            let (input, row) = (place.input as usize, u64::from(place.row));
            let (pages, cursor) =
                parts.get(input).zip(cursors.get_mut(input)).ok_or_else(damaged)?;
            let page = page_of(pages, cursor, row).ok_or_else(damaged)?;
            gathered.add(page, (row - page.first_row) as usize, repeats)?;
        }
        Ok(gathered)
    }

    fn add(&mut self, page: &'p Page, row: usize, repeats: bool) -> Result<()> {
        let (entries, values) = page.row(row);
        self.def.extend_from_slice(&page.def[entries.clone()]);
        if repeats {
            self.rep.extend_from_slice(page.rep.get(entries).ok_or_else(damaged)?);
        }
        for number in values {
            match (&mut self.values, page.value(number).ok_or_else(damaged)?) {
                (LeafValues::Text(all), Value::Text(value)) => all.push(value),
                (LeafValues::Bigint(all), Value::Bigint(value)) => all.push(value),
                (LeafValues::Double(all), Value::Double(value)) => all.push(value),
                (LeafValues::Boolean(all), Value::Boolean(value)) => all.push(value),
                _ => return Err(damaged()),
            }
        }
        Ok(())
    }
}

/// Returns the page of a row: mostly that of the row before, or the next.
fn page_of<'p>(pages: &'p [Page], cursor: &mut usize, row: u64) -> Option<&'p Page> {
    let is_it = |page: &Page| page.range().contains(&row);
    if !pages.get(*cursor).is_some_and(is_it) {
        *cursor = pages.iter().position(is_it)?;
    }
    pages.get(*cursor)
}
