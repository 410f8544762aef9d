//! Differences for people.

use std::fmt;

use super::{CatalogDiff, Change, PartitionUpdate};
use crate::text::clean;

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ColumnAdded { column } => write!(f, "column {column} added"),
            Self::ColumnRemoved { column } => write!(f, "column {column} removed"),
            Self::ColumnsReordered => f.write_str("columns reordered"),
            Self::Columns => f.write_str("columns set to those of the table"),
            Self::ColumnType { column, additive: true } => write!(f, "column {column} grew"),
            Self::ColumnType { column, additive: false } => {
                write!(f, "column {column} changed type, not additive")
            }
            Self::Comment { on } => write!(f, "description of {on}"),
            Self::Parameter { name, from: None, to } => write!(f, "parameter {name} set to {to}"),
            Self::Parameter { name, from: Some(from), to } => {
                write!(f, "parameter {name} {from} -> {to}")
            }
            Self::ParameterRemoved { name } => write!(f, "parameter {name} removed"),
            Self::Location { from, to } => write!(f, "location {from} -> {to}"),
            Self::Definition => f.write_str("definition"),
            Self::Format => f.write_str("storage format"),
        }
    }
}

/// One line per difference, then one per warning; nothing to do is one line, too.
impl fmt::Display for CatalogDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (database, table) = (clean(&self.database), clean(&self.table));
        let name = |values: &[String]| clean(&self.wanted.input.partition_name(values));
        if self.is_empty() {
            writeln!(f, "= table {database}.{table} is in sync")?;
        }
        if self.create_database {
            writeln!(f, "+ database {database}")?;
        }
        if let Some(input) = &self.create_table {
            writeln!(f, "+ table {table}: {} columns", input.columns().len())?;
        }
        for change in self.update_table.iter().flat_map(|u| &u.changes) {
            writeln!(f, "~ table {table}: {}", clean(&change.to_string()))?;
        }
        if let Some(index) = &self.create_index {
            let named = format!("{}: {}", index.index_name, index.keys.join(", "));
            writeln!(f, "+ index {table}.{}", clean(&named))?;
        }
        for partition in &self.create_partitions {
            writeln!(f, "+ partition {table}/{}", name(&partition.values))?;
        }
        for PartitionUpdate { input, changes } in &self.update_partitions {
            let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
            let changes = clean(&changes.join("; "));
            writeln!(f, "~ partition {table}/{}: {changes}", name(&input.values))?;
        }
        for values in &self.delete_partitions {
            writeln!(f, "- partition {table}/{}", name(values))?;
        }
        self.views.iter().try_for_each(|view| view.write_view(f))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "! {}", clean(warning)))
    }
}

impl CatalogDiff {
    /// Writes the lines of a view; none if there is nothing to do.
    fn write_view(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = clean(&self.table);
        if let Some(input) = &self.create_table {
            writeln!(f, "+ view {name}: {} columns", input.columns().len())?;
        }
        for change in self.update_table.iter().flat_map(|update| &update.changes) {
            writeln!(f, "~ view {name}: {}", clean(&change.to_string()))?;
        }
        if self.delete_view {
            writeln!(f, "- view {name}")?;
        }
        if self.is_refused {
            writeln!(
                f,
                "! view {name}: a table or view of this name was not made for this lake and is left \
                 alone; drop it, and run `trailmill catalog sync` again"
            )?;
        }
        Ok(())
    }
}
