//! The typed tables: the rows of the main tables once more, in files of the same names.
//!
//! A file of a main table says in its footer whether the typed table has its rows, too. Of both files a sum
//! is made for each column that they share, over all rows in their order. So neither side has to be kept, and
//! what is proved of the main table holds for these columns of the typed one. Its nested columns are an
//! index over texts of the main table, and are not compared with them.

use super::contract::Family;
use super::data_files::{self, LakeFile, Reading, Table};
use super::row::Row;
use super::{Comparison, Difference, DifferenceKind, VerifyReport};
use crate::error::Result;
use hashbrown::HashMap;

/// The sums of one row group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    rows: u64,
    columns: Vec<u64>,
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
    /// Compares the typed tables with the main ones, whose files were read before.
    pub(super) fn compare_typed(
        &self,
        mains: &[Reading<Sums>],
        report: &mut VerifyReport,
    ) -> Result<()> {
        let key = |file: &LakeFile| (file.family, file.below_table.clone());
        let pairs = self.lake.iter().zip(mains);
        let pairs = pairs.map(|(file, reading)| (key(file), Main::of(reading)));
        let mut mains: HashMap<(Family, String), Main<'_>> = pairs.collect();
        let readings = self.each(&self.typed, |file, opening| {
            let (data, shared) = (opening.data_file()?, Shared::of(file));
            Ok(data_files::read(file, &data, |sums: &mut Sums, row, _| shared.add(row, sums)))
        })?;
        report.typed_files_read = self.typed.len() as u64;
        for (file, reading) in self.typed.iter().zip(readings) {
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
                self.compare_groups(file, main.groups, &reading.groups, report);
            }
        }
        let mut missing: Vec<_> =
            mains.iter().filter(|(_, main)| main.has_typed && !main.is_met).collect();
        missing.sort_by_key(|(key, _)| (*key).clone());
        for ((family, below), _) in missing {
            let name = format!("{}/{below}", family.typed_table(&self.options.table));
            self.note_typed(DifferenceKind::Missing, *family, &name, None, report);
        }
        Ok(())
    }

    fn compare_groups(
        &self,
        file: &LakeFile,
        main: &[Sums],
        typed: &[Sums],
        report: &mut VerifyReport,
    ) {
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
