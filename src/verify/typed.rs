//! The typed tables: the rows of the main tables once more, in files of the same names.
//!
//! A file of a main table says in its footer whether the typed table has its rows, too. Of both files a sum
//! is made for each column that they share, over all rows in their order, and for each member of the nested
//! columns, see [`nested`]. So neither side has to be kept, and what is proved of the main table holds for the
//! typed one. Typed files are read first, since they say which members there are.

use super::contract::Family;
use super::data_files::{self, LakeFile, Reading, Table};
use super::nested::{self, Expected, MemberSums, Nested, Shapes};
use super::row::Row;
use super::{Comparison, Difference, DifferenceKind, VerifyReport};
use crate::error::Result;
use hashbrown::HashMap;
use std::sync::Arc;

/// The sums of one row group.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    rows: u64,
    columns: Vec<u64>,
    /// Of a main table: what the texts say about each nested column of the typed one.
    expected: Vec<Expected>,
    /// Of a typed table: the sums of each nested column, and their shapes.
    nested: Vec<MemberSums>,
    shapes: Vec<Option<Arc<Nested>>>,
}

/// The files of the typed tables, read.
pub(super) struct TypedFiles {
    readings: Vec<Reading<Sums>>,
    /// By their counterparts.
    places: HashMap<(Family, String), usize>,
}

impl TypedFiles {
    /// Returns what is expected of the nested columns beside a file of a main table.
    pub(super) fn nested_of(&self, file: &LakeFile) -> NestedOf {
        let reading = self.places.get(&(file.family, file.below_table.clone()));
        let group = reading.and_then(|at| self.readings[*at].groups.first());
        let columns = file.columns();
        let texts = nested::columns(file.family).iter().zip(group.iter().flat_map(|g| &g.shapes));
        let nested = texts.filter_map(|((_, text), shape)| {
            let at = columns.iter().position(|column| column.name == *text)?;
            Some((at, shape.clone()))
        });
        NestedOf(nested.collect())
    }
}

/// The nested columns beside a file of a main table, each with the column of its texts.
pub(super) struct NestedOf(Vec<(usize, Option<Arc<Nested>>)>);

impl NestedOf {
    /// Adds what a row says; before the row is counted.
    pub(super) fn expect(&self, row: &Row, sums: &mut Sums) {
        sums.expected.resize_with(self.0.len(), Expected::default);
        for ((text, nested), expected) in self.0.iter().zip(&mut sums.expected) {
            if let (Some(nested), Some(text)) = (nested, row.text_of(*text)) {
                nested.expect(text, sums.rows, expected);
            }
        }
    }
}

/// Which columns of a file the typed table has from the main one.
pub(super) struct Shared(Vec<usize>);

impl Shared {
    pub(super) fn of(file: &LakeFile) -> Self {
        let names = file.family.typed_columns();
        let columns = file.columns();
        let place = |name: &&str| columns.iter().position(|column| column.name == *name);
        Self(names.iter().filter_map(place).collect())
    }

    /// Adds a row.
    pub(super) fn add(&self, row: &Row, sums: &mut Sums) {
        sums.rows += 1;
        sums.columns.resize(self.0.len(), 0);
        row.add_to(&self.0, &mut sums.columns);
    }
}

/// What is known of a file of a main table.
struct Main<'a> {
    groups: &'a [Sums],
    has_typed: bool,
    is_readable: bool,
    is_met: bool,
}

impl<'a> Main<'a> {
    fn of(reading: &'a Reading<Sums>) -> Self {
        let Reading { groups, problems, has_typed, .. } = reading;
        let is_readable = !problems.contains(&None);
        Self { groups, has_typed: *has_typed, is_readable, is_met: false }
    }
}

impl Comparison<'_> {
    /// Reads the typed tables.
    pub(super) fn read_typed(&self) -> Result<TypedFiles> {
        let shapes = Shapes::default();
        let readings = self.each(&self.typed, |file, opening| {
            let (data, shared) = (opening.data_file()?, Shared::of(file));
            let each = |sums: &mut Sums, row: &Row, _: Option<&str>| shared.add(row, sums);
            Ok(data_files::read_frames(file, &data, each, |sums, frame| {
                sums.shapes = shapes.of(frame, file.family);
                let columns = nested::columns(file.family).iter().zip(&sums.shapes);
                let column = |((name, _), shape): (&(&str, _), &Option<Arc<Nested>>)| {
                    let column = frame.column(name).ok()?.as_materialized_series();
                    Some(shape.as_ref()?.sums(column))
                };
                sums.nested =
                    columns.map(|column_of| column(column_of).unwrap_or_default()).collect();
            }))
        })?;
        let key = |file: &LakeFile| (file.family, file.below_table.clone());
        let places = self.typed.iter().enumerate().map(|(at, file)| (key(file), at)).collect();
        Ok(TypedFiles { readings, places })
    }

    /// Compares the typed tables with the main ones, whose files were read before.
    pub(super) fn compare_typed(
        &self,
        mains: &[Reading<Sums>],
        typed: &TypedFiles,
        report: &mut VerifyReport,
    ) {
        let key = |file: &LakeFile| (file.family, file.below_table.clone());
        let pairs = self.lake.iter().zip(mains);
        let pairs = pairs.map(|(file, reading)| (key(file), Main::of(reading)));
        let mut mains: HashMap<(Family, String), Main<'_>> = pairs.collect();
        report.typed_files_read = self.typed.len() as u64;
        for (file, reading) in self.typed.iter().zip(&typed.readings) {
            report.typed_rows_checked += reading.rows.1;
            for column in reading.problems.iter().cloned() {
                self.note_typed(DifferenceKind::Different, file.family, &file.name, column, report);
            }
            let Some(main) = mains.get_mut(&key(file)) else {
                self.note_typed(DifferenceKind::Unexpected, file.family, &file.name, None, report);
                continue;
            };
            main.is_met = true;
            if main.is_readable && reading.problems.is_empty() {
                self.compare_groups(file, main.groups, reading, report);
            }
        }
        let mut missing: Vec<_> =
            mains.iter().filter(|(_, main)| main.has_typed && !main.is_met).collect();
        missing.sort_by_key(|(key, _)| (*key).clone());
        for ((family, below), _) in missing {
            let name = format!("{}/{below}", family.typed_table(&self.options.table));
            self.note_typed(DifferenceKind::Missing, *family, &name, None, report);
        }
    }

    fn compare_groups(
        &self,
        file: &LakeFile,
        main: &[Sums],
        reading: &Reading<Sums>,
        report: &mut VerifyReport,
    ) {
        let typed = &reading.groups;
        let rows = |groups: &[Sums]| groups.iter().map(|sums| sums.rows).collect::<Vec<_>>();
        if rows(main) != rows(typed) {
            return self.note_typed(
                DifferenceKind::Different,
                file.family,
                &file.name,
                None,
                report,
            );
        }
        for (at, name) in file.family.typed_columns().iter().enumerate() {
            let sum = |sums: &Sums| sums.columns.get(at).copied();
            if !main.iter().map(sum).eq(typed.iter().map(sum)) {
                let column = Some((*name).to_owned());
                self.note_typed(DifferenceKind::Different, file.family, &file.name, column, report);
            }
        }
        self.compare_nested(file, main, reading, report);
    }

    fn compare_nested(
        &self,
        file: &LakeFile,
        main: &[Sums],
        reading: &Reading<Sums>,
        report: &mut VerifyReport,
    ) {
        let Some(first) = reading.groups.first() else { return };
        for (at, nested) in first.shapes.iter().enumerate() {
            let Some(nested) = nested else { continue };
            let found: Vec<_> =
                reading.groups.iter().filter_map(|sums| sums.nested.get(at)).collect();
            let expected: Vec<_> = main.iter().filter_map(|sums| sums.expected.get(at)).collect();
            if reading.has_open_keys || found.len() != expected.len() {
                report.typed_members_not_compared += nested.members();
                continue;
            }
            let (wrong, unsure) = nested.compare(&found, &expected);
            report.typed_members_not_compared += unsure;
            for path in wrong {
                let column = Some(path.to_owned());
                self.note_typed(DifferenceKind::Different, file.family, &file.name, column, report);
            }
        }
    }

    /// Counts a problem of a typed table, and names it while there is room.
    fn note_typed(
        &self,
        kind: DifferenceKind,
        family: Family,
        file: &str,
        column: Option<String>,
        report: &mut VerifyReport,
    ) {
        report.file_problems += 1;
        if report.differences.len() < self.options.max_differences {
            report.differences.push(Difference {
                kind,
                table: Table::Typed.name(family, &self.options.table),
                event_id: None,
                object: None,
                record: None,
                file: Some(file.to_owned()),
                column,
            });
        }
    }
}
