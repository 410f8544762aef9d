//! A leaf of a row group that is made, put together from the pages of all inputs.

use crate::error::Result;
use crate::merge::order::{Rows, Spread};
use crate::merge::page::{Levels, Page, Texts, Values, damaged};
use crate::parquet::LeafValues;
use polars_parquet::parquet::metadata::ColumnDescriptor;
use polars_parquet::parquet::schema::types::PhysicalType;
use std::sync::Arc;

/// The levels and values of a leaf, as they are put together.
pub(super) struct Gathered<'p> {
    pub(super) def: Vec<u8>,
    /// Empty where nothing repeats.
    pub(super) rep: Vec<u8>,
    pub(super) values: LeafValues<'p>,
}

/// Puts the rows of a row group together from the pages of each input; `base` has the levels of the group that
/// the leaf is in, down to this one, and `slots` is room for every entry.
///
/// # Errors
/// `Damaged` for pages that do not fit the leaf or each other.
pub(super) fn gather<'p>(
    column: &ColumnDescriptor,
    spread: &Spread<'_>,
    parts: &'p [Arc<Vec<Page>>],
    (base, base_level): (Option<&[u8]>, u8),
    slots: &mut Vec<u32>,
) -> Result<Gathered<'p>> {
    let mut pool = Pool::new(column.descriptor.primitive_type.physical_type)?;
    let starts = starts(spread, parts);
    let entries = starts.as_ref().map_or(spread.places.len(), |(_, entries)| *entries);
    let starts = starts.as_ref().map(|(starts, _)| &starts[..]);
    let mut def = vec![0; entries];
    match (base, starts) {
        (Some(base), None) => def.copy_from_slice(base),
        (Some(base), Some(starts)) => {
            base.iter().zip(starts).for_each(|(level, start)| def[*start] = *level);
        }
        (None, _) => {}
    }
    let rep = if column.descriptor.max_rep_level > 0 { vec![0; entries] } else { Vec::new() };
    if slots.len() < entries {
        slots.resize(entries, 0);
    }
    let max_def = column.descriptor.max_def_level as u8;
    let mut filling = Filling { def, rep, slots, starts, max_def, base_level, values: 0 };
    for (pages, rows) in parts.iter().zip(&spread.inputs) {
        for page in pages.iter() {
            let numbers = pool.add(page)?;
            filling.fill(page, &numbers, rows);
        }
    }
    let (def, rep, ids) = filling.end()?;
    Ok(Gathered { def, rep, values: pool.values(ids) })
}

/// Returns where the entries of each row begin, and how many there are; nothing where every row has one.
fn starts(spread: &Spread<'_>, parts: &[Arc<Vec<Page>>]) -> Option<(Vec<usize>, usize)> {
    let mut starts: Option<Vec<usize>> = None;
    for (pages, rows) in parts.iter().zip(&spread.inputs) {
        for page in pages.iter() {
            let Levels::Nested { starts: of_page, .. } = &page.levels else { continue };
            let counts = starts.get_or_insert_with(|| vec![1; spread.places.len()]);
            for (row, place) in rows.places(page.range()) {
                counts[place] = (of_page[row + 1].0 - of_page[row].0) as usize;
            }
        }
    }
    let mut starts = starts?;
    let mut entries = 0;
    for start in &mut starts {
        (*start, entries) = (entries, entries + *start);
    }
    Some((starts, entries))
}

/// The levels of a leaf that is put together, and the numbers of its values.
struct Filling<'f> {
    def: Vec<u8>,
    rep: Vec<u8>,
    /// By entry, the number of its value, where the level says that it has one.
    slots: &'f mut [u32],
    /// By row, its first entry; nothing where every row has one.
    starts: Option<&'f [usize]>,
    max_def: u8,
    /// Levels up to this one are there already.
    base_level: u8,
    values: usize,
}

impl Filling<'_> {
    /// Puts the rows of a page where they go.
    fn fill(&mut self, page: &Page, numbers: &Numbers<'_>, to: &Rows) {
        page.each_run(|level, rows, values| {
            if values.is_none() && level <= self.base_level {
                return;
            }
            let range = page.first_row + rows.start as u64..page.first_row + rows.end as u64;
            let places = to.places(range);
            match (values, numbers) {
                (Some(first), Numbers::From(number)) => {
                    places.for_each(|(n, place)| self.put(place, number + (first + n) as u32));
                }
                (Some(first), Numbers::Entries(number, entries)) => {
                    let entries = &entries[first..];
                    places.for_each(|(n, place)| self.put(place, number + entries[n]));
                }
                (None, _) => places.for_each(|(_, place)| {
                    let entry = self.entry(place);
                    self.def[entry] = level;
                }),
            }
        });
        if let Levels::Nested { def, rep, starts } = &page.levels {
            for (row, place) in to.places(page.range()) {
                let ((from, value), (end, values_end)) = (starts[row], starts[row + 1]);
                let (from, end) = (from as usize, end as usize);
                let entry = self.entry(place);
                let def = &def[from..end];
                self.def[entry..entry + def.len()].copy_from_slice(def);
                self.rep[entry..entry + def.len()].copy_from_slice(&rep[from..end]);
                if value < values_end {
                    let full = memchr::memchr_iter(self.max_def, def);
                    for (n, value) in full.zip(value as usize..) {
                        self.slots[entry + n] = numbers.get(value);
                    }
                    self.values += (values_end - value) as usize;
                }
            }
        }
    }

    #[inline]
    fn entry(&self, place: usize) -> usize {
        self.starts.map_or(place, |starts| starts[place])
    }

    #[inline]
    fn put(&mut self, place: usize, number: u32) {
        let entry = self.entry(place);
        self.def[entry] = self.max_def;
        self.slots[entry] = number;
        self.values += 1;
    }

    /// Returns the levels, and the numbers of the values in their order.
    fn end(self) -> Result<(Vec<u8>, Vec<u8>, Vec<u32>)> {
        let Self { def, rep, slots, max_def, values, .. } = self;
        let mut ids = Vec::with_capacity(values);
        if values > 0 {
            ids.extend(memchr::memchr_iter(max_def, &def).map(|entry| slots[entry]));
        }
        // A group whose leaves have different levels.
        if ids.len() == values { Ok((def, rep, ids)) } else { Err(damaged()) }
    }
}

/// Where a page's values are in the pool.
enum Numbers<'p> {
    /// One after another, from this one on.
    From(u32),
    /// As entries of a dictionary that begins here.
    Entries(u32, &'p [u32]),
}

impl Numbers<'_> {
    fn get(&self, value: usize) -> u32 {
        match self {
            Self::From(first) => first + value as u32,
            Self::Entries(first, entries) => first + entries.get(value).copied().unwrap_or(0),
        }
    }
}

/// All values of the pages of a leaf.
struct Pool<'p> {
    values: LeafValues<'p>,
    /// The dictionary that was added last, and where it begins.
    last: Option<(&'p Arc<Texts>, u32)>,
}

impl<'p> Pool<'p> {
    fn new(physical: PhysicalType) -> Result<Self> {
        let values = match physical {
            PhysicalType::ByteArray => LeafValues::Text { texts: Vec::new(), ids: Vec::new() },
            PhysicalType::Int64 => LeafValues::Bigint(Vec::new()),
            PhysicalType::Double => LeafValues::Double(Vec::new()),
            PhysicalType::Boolean => LeafValues::Boolean(Vec::new()),
            _ => return Err(damaged()),
        };
        Ok(Self { values, last: None })
    }

    fn add(&mut self, page: &'p Page) -> Result<Numbers<'p>> {
        Ok(match (&mut self.values, &page.values) {
            (_, Values::Nothing) => Numbers::From(0),
            (LeafValues::Text { texts, .. }, Values::Plain(added)) => {
                let first = texts.len() as u32;
                texts.extend(added.iter());
                Numbers::From(first)
            }
            (LeafValues::Text { texts, .. }, Values::Dictionary(added, entries)) => {
                let known = self.last.filter(|(last, _)| Arc::ptr_eq(last, added));
                let (_, first) = *self.last.insert(known.unwrap_or_else(|| {
                    let first = texts.len() as u32;
                    texts.extend(added.iter());
                    (added, first)
                }));
                Numbers::Entries(first, entries)
            }
            (LeafValues::Bigint(all), Values::Bigint(added)) => Numbers::From(extend(all, added)),
            (LeafValues::Double(all), Values::Double(added)) => Numbers::From(extend(all, added)),
            (LeafValues::Boolean(all), Values::Boolean(added)) => Numbers::From(extend(all, added)),
            _ => return Err(damaged()),
        })
    }

    /// Returns the values with these numbers.
    fn values(self, ids: Vec<u32>) -> LeafValues<'p> {
        match self.values {
            LeafValues::Text { texts, .. } => LeafValues::Text { texts, ids },
            LeafValues::Bigint(all) => LeafValues::Bigint(select(&all, &ids)),
            LeafValues::Double(all) => LeafValues::Double(select(&all, &ids)),
            LeafValues::Boolean(all) => LeafValues::Boolean(select(&all, &ids)),
        }
    }
}

fn extend<T: Copy>(all: &mut Vec<T>, added: &[T]) -> u32 {
    let first = all.len() as u32;
    all.extend_from_slice(added);
    first
}

fn select<T: Copy>(all: &[T], ids: &[u32]) -> Vec<T> {
    ids.iter().filter_map(|id| all.get(*id as usize).copied()).collect()
}
