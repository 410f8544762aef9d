//! The rows of one family in a unit: a row each, and the values of every column.

use crate::family::{ColumnSpec, Family, Form, PLACES, Role};
use crate::partition::PartitionBy;
use crate::rows::key_columns::KeyColumns;
use crate::rows::last_partition::{LastPartition, key_of};
use crate::rows::text::{Cell, Interner, Texts, reserve};
use crate::rows::tree::Tree;
use crate::units::EpochMillis;
use hashbrown::HashMap;

/// One row's facts that are not columns.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Index into [`TableRows::partitions`].
    pub partition: u32,
    /// The object the record came from, in the unit.
    pub object: u32,
    /// The instant of the event.
    pub instant: EpochMillis,
    /// The fingerprint of the record's source text: see `Fingerprints`.
    pub fingerprint: u128,
    /// Whether the record has an event id.
    pub has_event_id: bool,
    /// Records of the same text that come before it in its object, where that matters.
    pub earlier: u32,
    /// The hash of the account and region that the record names: those of copies are equal.
    pub place: u64,
}

/// The values of one column, row by row or by path.
#[derive(Debug)]
pub enum Values {
    /// A text per row.
    Text(TextColumn),
    /// An instant per row; the rows hold it.
    Instants,
    /// A boolean per row.
    Booleans(Vec<Option<bool>>),
    /// A documented shape.
    Typed(Tree),
    /// To be inferred.
    Nested(Tree),
}

/// A text per row, or nothing.
#[derive(Debug, Default)]
pub struct TextColumn {
    pub(super) cells: Vec<Cell>,
    /// Not for ids, of which hardly any two are equal.
    pub(super) interner: Option<Interner>,
}

impl TextColumn {
    /// Returns the cell of a row.
    pub(crate) fn cell(&self, row: u32) -> Cell {
        self.cells[row as usize]
    }

    /// Returns whether hardly any two texts are equal.
    pub(crate) fn holds_ids(&self) -> bool {
        self.interner.is_none()
    }

    /// Returns whether equal texts are equal cells.
    pub(crate) fn is_interned(&self) -> bool {
        self.interner.as_ref().is_some_and(Interner::is_exact)
    }

    pub(super) fn keep(&mut self, text: &[u8], texts: &mut Texts) -> Cell {
        match &mut self.interner {
            Some(interner) => interner.keep(text, texts),
            None => texts.keep(text),
        }
    }
}

/// All rows of one family in a unit.
#[derive(Debug)]
pub struct TableRows {
    /// The family.
    pub family: Family,
    /// The columns: those of the main table in order, then those of the typed table that are inferred.
    pub specs: Vec<ColumnSpec>,
    /// Their values, in the same order.
    pub values: Vec<Values>,
    /// A row each.
    pub rows: Vec<Row>,
    /// The distinct partition paths.
    pub partitions: Vec<String>,
    pub(super) partition_ids: HashMap<Box<[u8]>, u32>,
    pub(super) last_partition: LastPartition,
    /// Per nested column, the column of the same field's text.
    pub(super) nested_from: Vec<Option<usize>>,
    pub(super) keys: KeyColumns,
}

impl TableRows {
    /// Creates the rows of a family in a lake of this layout; without `typed` there are no inferred
    /// columns.
    pub fn new(family: Family, typed: bool, by: &PartitionBy) -> Self {
        let mut specs = family.spec().columns.to_vec();
        let is_column =
            |spec: &&ColumnSpec| matches!(spec.role, Role::Place(place) if !by.has(key_of(place)));
        specs.extend(PLACES.iter().filter(is_column));
        if typed {
            specs.extend(family.spec().typed.inferred);
        }
        let values = specs
            .iter()
            .map(|spec| match &spec.role {
                Role::Typed(_, shape) => Values::Typed(Tree::documented(shape)),
                Role::Nested(_) => Values::Nested(Tree::default()),
                Role::Timestamp => Values::Instants,
                Role::Boolean(_) => Values::Booleans(Vec::new()),
                _ => {
                    let interner = (!spec.is_id).then(Interner::default);
                    Values::Text(TextColumn { cells: Vec::new(), interner })
                }
            })
            .collect();
        let keys = KeyColumns::new(&specs, family.spec());
        let nested_from = specs.iter().map(|spec| match &spec.role {
            Role::Nested(key) => keys.exact(key),
            _ => None,
        });
        let nested_from = nested_from.collect();
        Self {
            family,
            specs,
            values,
            rows: Vec::new(),
            partitions: Vec::new(),
            partition_ids: HashMap::new(),
            last_partition: LastPartition::none(),
            nested_from,
            keys,
        }
    }

    /// Returns which of the columns one of the family's tables has, in its order.
    pub fn columns_of(&self, form: Form) -> Vec<usize> {
        let columns = self.family.columns_of(form).chain(&PLACES);
        columns.filter_map(|spec| self.specs.iter().position(|own| own.name == spec.name)).collect()
    }

    /// Returns whether there are rows of the typed table.
    pub fn has_typed(&self) -> bool {
        self.specs.iter().any(|spec| matches!(spec.role, Role::Nested(_)))
    }

    /// Returns how many values of free-form fields gave way to another spelling of their key.
    pub fn displaced(&self) -> u64 {
        let trees = self.values.iter().map(|values| match values {
            Values::Nested(tree) => tree.displaced(),
            _ => 0,
        });
        trees.sum()
    }

    /// Returns the columns that say what kind of event a row is: `eventsource` and `eventname`.
    pub(crate) fn kind_columns(&self) -> [Option<&TextColumn>; 2] {
        [self.keys.source, self.keys.name].map(|column| match &self.values[column?] {
            Values::Text(column) => Some(column),
            _ => None,
        })
    }

    /// Forgets all rows, and keeps the memory. What was inferred is forgotten too: a schema must not
    /// depend on which unit had the table before.
    pub fn clear(&mut self) {
        for values in &mut self.values {
            match values {
                Values::Text(column) => {
                    column.cells.clear();
                    column.interner.iter_mut().for_each(Interner::clear);
                }
                Values::Instants => {}
                Values::Booleans(flags) => flags.clear(),
                Values::Typed(tree) => tree.clear_values(),
                Values::Nested(tree) => *tree = Tree::default(),
            }
        }
        self.rows.clear();
        self.partitions.clear();
        self.partition_ids.clear();
        self.last_partition = LastPartition::none();
    }

    /// Returns how many bytes the rows take, without their texts.
    pub(crate) fn footprint(&self) -> u64 {
        let of_column = |values: &Values| match values {
            Values::Text(column) => size_of_val(&column.cells[..]),
            Values::Instants => 0,
            Values::Booleans(flags) => size_of_val(&flags[..]),
            Values::Typed(tree) | Values::Nested(tree) => tree.footprint(),
        };
        let columns: usize = self.values.iter().map(of_column).sum();
        (columns + size_of_val(&self.rows[..])) as u64
    }

    /// Makes room for `times` as many rows as there are.
    pub(crate) fn reserve(&mut self, times: f64) {
        for values in &mut self.values {
            match values {
                Values::Text(column) => reserve(&mut column.cells, times),
                Values::Instants => {}
                Values::Booleans(flags) => reserve(flags, times),
                Values::Typed(tree) => tree.reserve(times),
                // Later units do not have its memory: it grows with what is met.
                Values::Nested(_) => {}
            }
        }
        reserve(&mut self.rows, times);
    }
}
