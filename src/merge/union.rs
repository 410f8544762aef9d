//! The columns of files together: every member that any of them has, in the lock's order.

use crate::error::{Error, ErrorKind, Result};
use crate::family::Family;
use crate::merge::input::Input;
use crate::merge::order::Spread;
use crate::merge::page::{Inflater, Page, Wanted, damaged};
use crate::schema::{Kind, Lock};
use hashbrown::{HashMap, HashSet};
use polars_parquet::parquet::metadata::{ColumnDescriptor, SchemaDescriptor};
use polars_parquet::parquet::schema::Repetition;
use polars_parquet::parquet::schema::types::ParquetType;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// The schema of a file that takes the rows of others.
#[derive(Debug)]
pub struct Union {
    types: Vec<ParquetType>,
    descriptor: SchemaDescriptor,
    paths: Vec<String>,
    /// By path, the deepest definition and repetition level of each group.
    groups: HashMap<String, (u8, u8)>,
    /// By leaf, whether it is the first one inside of any group.
    is_first: Vec<bool>,
    /// By leaf, the deepest group above it that does not repeat: the length of its path, and its definition level.
    flat_groups: Vec<Option<(usize, u8)>>,
}

/// Pages of leaves that inputs have not, by input and group: most leaves of a group are absent together.
#[derive(Debug, Default)]
pub(super) struct Absent(Mutex<Kept>);

type Kept = HashMap<(usize, String), Arc<Vec<Page>>>;

impl Union {
    /// Joins the columns of files.
    ///
    /// # Errors
    /// `Damaged` when a member has two types: the lock never changes one.
    pub fn of(inputs: &[Input], family: Family, lock: &Lock) -> Result<Self> {
        let mut types: Vec<ParquetType> = Vec::new();
        for input in inputs {
            add_all(&mut types, input.types())?;
        }
        for column in &mut types {
            if let Some(field) = lock.column(family, column.name()) {
                sort(column, &field.kind);
            }
        }
        let descriptor = SchemaDescriptor::new("trailmill".into(), types.clone());
        let paths = descriptor.columns().iter().map(|column| column.path_in_schema.join("."));
        let paths: Vec<String> = paths.collect();
        let is_first = first_leaves(&paths);
        let mut groups = HashMap::new();
        types.iter().for_each(|column| note_groups(column, "", (0, 0), &mut groups));
        let flat_groups = paths.iter().map(|path| flat_group(path, &groups)).collect();
        Ok(Self { paths, types, descriptor, groups, is_first, flat_groups })
    }

    /// Returns the columns.
    pub fn types(&self) -> &[ParquetType] {
        &self.types
    }

    /// Returns the paths of the leaves, in order.
    pub(super) fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Returns a leaf.
    pub(super) fn leaf(&self, leaf: usize) -> Option<&ColumnDescriptor> {
        self.descriptor.columns().get(leaf)
    }

    /// Returns whether a leaf is the first one inside of any group: its levels say where the group is.
    pub(super) fn is_first(&self, leaf: usize) -> bool {
        self.is_first.get(leaf).copied().unwrap_or(true)
    }

    /// Returns the deepest level that [`Union::base`] has.
    pub(super) fn base_level(&self, leaf: usize) -> u8 {
        self.flat_groups.get(leaf).copied().flatten().map_or(0, |(_, level)| level)
    }

    /// Returns what is read of a leaf. The levels of its nulls matter only if it is the first one of a group, or where
    /// they are deeper than what [`Union::base`] has.
    fn wanted(&self, leaf: usize) -> Wanted {
        let levels = self.leaf(leaf).map(|leaf| &leaf.descriptor);
        match levels.map(|leaf| (leaf.max_rep_level, leaf.max_def_level as u8)) {
            Some((0, level)) if !self.is_first(leaf) => Wanted::Above(level.saturating_sub(1)),
            Some(_) if !self.is_first(leaf) => Wanted::Above(self.base_level(leaf)),
            _ => Wanted::Everything,
        }
    }

    /// Returns whether an input says nothing of a leaf that its base does not: it has neither the leaf, nor a list
    /// that the leaf would be in.
    pub(super) fn is_silent(&self, input: &Input, leaf: usize) -> bool {
        let Some(path) = self.paths.get(leaf) else { return true };
        let repeats = |(group, _): (&str, usize)| self.groups.get(group).is_none_or(|it| it.1 > 0);
        input.leaf(path).is_none() && !input.group_above(path).is_some_and(repeats)
    }

    /// Returns all leaves, those first that take the most bytes of the inputs.
    pub(super) fn heaviest_first(&self, inputs: &[Input]) -> Vec<usize> {
        let bytes = |path: &String| -> u64 {
            let there = inputs.iter().filter_map(|input| Some((input, input.leaf(path)?)));
            there.map(|(input, leaf)| input.bytes_of(leaf)).sum()
        };
        let bytes: Vec<u64> = self.paths.iter().map(bytes).collect();
        let mut leaves: Vec<usize> = (0..self.paths.len()).collect();
        leaves.sort_by_key(|leaf| std::cmp::Reverse(bytes[*leaf]));
        leaves
    }

    /// Returns whether an input has a leaf.
    pub(super) fn has(&self, input: &Input, leaf: usize) -> bool {
        self.paths.get(leaf).is_some_and(|path| input.leaf(path).is_some())
    }

    /// Reads the pages of a leaf of the union that have any of some rows of an input, which may not have it;
    /// `absent` keeps those that stand for others, by the number of the input.
    ///
    /// # Errors
    /// `Damaged` when they cannot be read.
    pub(super) fn pages(
        &self,
        (number, input): (usize, &Input),
        leaf: usize,
        rows: &Range<u64>,
        (absent, inflater): (&Absent, &mut Inflater),
    ) -> Result<Arc<Vec<Page>>> {
        let path = self.paths.get(leaf).ok_or_else(damaged)?;
        if let Some(there) = input.leaf(path) {
            return input.pages(there, rows, (self.wanted(leaf), inflater)).map(Arc::new);
        }
        let Some((group, beside)) = input.group_above(path) else {
            return Ok(Arc::new(vec![Page::of_nothing(rows.clone())]));
        };
        let key = (number, group.to_owned());
        let kept = || absent.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept().get(&key).cloned();
        if let Some(found) = found {
            return Ok(found);
        }
        let levels = *self.groups.get(group).ok_or_else(damaged)?;
        let pages = input.pages(beside, rows, (Wanted::Levels, inflater))?;
        let pages = Arc::new(pages.iter().map(|page| page.of_group(levels)).collect());
        kept().insert(key, Arc::clone(&pages));
        Ok(pages)
    }
}

/// The levels of groups that do not repeat, row by row, by their paths: all leaves of a group have them.
#[derive(Debug, Default)]
pub(super) struct Bases(Mutex<HashMap<String, Arc<Vec<u8>>>>);

impl Union {
    /// Returns the levels of a row group's rows down to the deepest group above a leaf that does not repeat;
    /// nothing for a column that is in none.
    ///
    /// # Errors
    /// `Damaged` when they cannot be read.
    pub(super) fn base(
        &self,
        inputs: &[Input],
        leaf: usize,
        spread: &Spread<'_>,
        (bases, inflater): (&Bases, &mut Inflater),
    ) -> Result<Option<Arc<Vec<u8>>>> {
        let path = self.paths.get(leaf).ok_or_else(damaged)?;
        let Some((length, own_level)) = self.flat_groups.get(leaf).copied().flatten() else {
            return Ok(None);
        };
        let own = path.get(..length).ok_or_else(damaged)?;
        let kept = || bases.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept().get(own).cloned();
        if found.is_some() {
            return Ok(found);
        }
        let mut base = vec![0; spread.places.len()];
        for (input, rows) in inputs.iter().zip(&spread.inputs) {
            let Some((group, beside)) = input.group_above(path) else { continue };
            let (level, _) = *self.groups.get(group).ok_or_else(damaged)?;
            for page in input.pages(beside, &rows.range, (Wanted::Levels, &mut *inflater))? {
                let mut row = page.first_row;
                for run in page.group_runs(level.min(own_level)) {
                    let end = row + u64::from(run.entries);
                    if run.level > 0 {
                        rows.places(row..end).for_each(|(_, place)| base[place] = run.level);
                    }
                    row = end;
                }
            }
        }
        let base = Arc::new(base);
        kept().insert(own.to_owned(), Arc::clone(&base));
        Ok(Some(base))
    }
}

fn flat_group(path: &str, groups: &HashMap<String, (u8, u8)>) -> Option<(usize, u8)> {
    let mut above = path;
    loop {
        (above, _) = above.rsplit_once('.')?;
        if let Some((level, 0)) = groups.get(above) {
            return Some((above.len(), *level));
        }
    }
}

/// Says of each leaf whether it is the first one inside of any group.
fn first_leaves(paths: &[String]) -> Vec<bool> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut out = Vec::with_capacity(paths.len());
    for path in paths {
        let mut is_first = false;
        for (end, _) in path.match_indices('.') {
            is_first |= seen.insert(path.get(..end).unwrap_or_default());
        }
        out.push(is_first);
    }
    out
}

/// Adds members that are not there yet, each after the one that it follows.
fn add_all(into: &mut Vec<ParquetType>, from: &[ParquetType]) -> Result<()> {
    let mut after = 0;
    for new in from {
        // Both have mostly the same order.
        let is_it = |there: &ParquetType| there.name() == new.name();
        let found = into[after..].iter().position(is_it).map(|at| after + at);
        match found.or_else(|| into.iter().position(is_it)) {
            Some(at) => {
                add(&mut into[at], new)?;
                after = at + 1;
            }
            None => {
                into.insert(after, new.clone());
                after += 1;
            }
        }
    }
    Ok(())
}

fn add(into: &mut ParquetType, from: &ParquetType) -> Result<()> {
    let different = || {
        let message =
            "a column has different types in files of one partition: run `trailmill verify`";
        Error::new(ErrorKind::Damaged, message).at("column", from.name())
    };
    match (into, from) {
        (
            ParquetType::GroupType { field_info, logical_type, fields, .. },
            ParquetType::GroupType {
                field_info: other_info,
                logical_type: other_type,
                fields: others,
                ..
            },
        ) if field_info == other_info && logical_type == other_type => add_all(fields, others),
        (ParquetType::PrimitiveType(there), ParquetType::PrimitiveType(new)) if there == new => {
            Ok(())
        }
        _ => Err(different()),
    }
}

/// Puts members in the order of the lock; those that it does not know stay at the end.
fn sort(column: &mut ParquetType, kind: &Kind) {
    let ParquetType::GroupType { fields, .. } = column else { return };
    match kind {
        Kind::Struct(members) => {
            let place: HashMap<&str, usize> =
                members.iter().enumerate().map(|(at, field)| (field.name.as_str(), at)).collect();
            fields.sort_by_key(|field| place.get(field.name()).copied().unwrap_or(usize::MAX));
            for field in fields {
                if let Some(at) = place.get(field.name()) {
                    sort(field, &members[*at].kind);
                }
            }
        }
        Kind::List(element) => {
            let Some(ParquetType::GroupType { fields, .. }) = fields.first_mut() else { return };
            fields.iter_mut().for_each(|field| sort(field, element));
        }
        _ => {}
    }
}

fn note_groups(
    column: &ParquetType,
    above: &str,
    (def, rep): (u8, u8),
    groups: &mut HashMap<String, (u8, u8)>,
) {
    let ParquetType::GroupType { field_info, fields, .. } = column else { return };
    let path = match above {
        "" => column.name().to_owned(),
        above => format!("{above}.{}", column.name()),
    };
    let levels = match field_info.repetition {
        Repetition::Required => (def, rep),
        Repetition::Optional => (def + 1, rep),
        Repetition::Repeated => (def + 1, rep + 1),
    };
    fields.iter().for_each(|field| note_groups(field, &path, levels, groups));
    groups.insert(path, levels);
}
