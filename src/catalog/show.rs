//! The contents of a catalog, as text for people.
//!
//! Pure: takes documents, returns a `String`. Counts are those in the parameters of the partitions,
//! or of the table where it has none; a count that is missing or no number is shown as 0, as foreign
//! catalogs need not have it. Nested types are drawn as a tree and cut at a depth, because an inferred
//! struct can have thousands of members.

use std::fmt::Write;

use serde::Serialize;

use super::{Column, HiveType, Parameters, PartitionInput, StructField, TableInput};
use crate::text::clean;
use crate::units::{ByteCount, grouped};

/// How deep nested types are drawn by default.
pub const DEFAULT_DEPTH: usize = 2;

/// Summary of a table, one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableSummary {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// Data columns.
    pub columns: usize,
    /// Registered partitions.
    pub partitions: usize,
    /// Records.
    pub rows: u64,
    /// Bytes of data files.
    pub bytes: u64,
    /// Data files.
    pub files: u64,
    /// The folder.
    pub location: String,
    /// Views of the table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<ViewSummary>,
}

/// Summary of a view, one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ViewSummary {
    /// The view.
    pub view: String,
    /// Its columns.
    pub columns: usize,
    /// What it shows.
    pub description: String,
}

impl TableSummary {
    /// Sums up a table.
    pub fn new(database: &str, table: &TableInput, partitions: &[PartitionInput]) -> Self {
        let sum = |name| match partitions {
            [] => count(&table.parameters, name),
            _ => partitions
                .iter()
                .fold(0, |sum: u64, p| sum.saturating_add(count(&p.parameters, name))),
        };
        Self {
            database: database.to_owned(),
            table: table.name.clone(),
            columns: table.columns().len(),
            partitions: partitions.len(),
            rows: sum("recordCount"),
            bytes: sum("sizeKey"),
            files: sum("objectCount"),
            location: table.location().to_owned(),
            views: Vec::new(),
        }
    }

    /// Adds the table's views.
    #[must_use]
    pub fn with_views(mut self, views: &[TableInput]) -> Self {
        let summary = |view: &TableInput| ViewSummary {
            view: view.name.clone(),
            columns: view.columns().len(),
            description: view.shows().to_owned(),
        };
        self.views.extend(views.iter().map(summary));
        self
    }
}

/// Returns one line per table, in aligned columns.
pub fn tables(summaries: &[TableSummary]) -> String {
    let head = ["TABLE", "COLUMNS", "PARTITIONS", "ROWS", "SIZE", "FILES", "LOCATION"];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(summaries.iter().map(|s| {
        [
            clean(&format!("{}.{}", s.database, s.table)),
            s.columns.to_string(),
            grouped(s.partitions as u64),
            grouped(s.rows),
            ByteCount(s.bytes).to_string(),
            grouped(s.files),
            clean(&s.location),
        ]
    }));
    // Names to the left, numbers to the right.
    aligned(&lines, |i| i == 0 || i == 6)
}

/// Returns one line per view of these tables, in aligned columns; empty if there is none.
pub fn views(summaries: &[TableSummary]) -> String {
    let mut lines = vec![["VIEW", "COLUMNS", "SHOWS"].map(str::to_owned)];
    for table in summaries {
        lines.extend(table.views.iter().map(|view| {
            [
                clean(&format!("{}.{}", table.database, view.view)),
                view.columns.to_string(),
                clean(&view.description),
            ]
        }));
    }
    match lines.len() {
        1 => String::new(),
        _ => format!("\n{}", aligned(&lines, |i| i != 1)),
    }
}

fn aligned<const N: usize>(lines: &[[String; N]], is_left: impl Fn(usize) -> bool) -> String {
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (i, cell) in line.iter().enumerate() {
            let width = lines.iter().filter_map(|l| l.get(i)).map(|c| c.chars().count()).max();
            let width = width.unwrap_or_default();
            let _ = match is_left(i) {
                true => write!(row, "{cell:<width$}  "),
                false => write!(row, "{cell:>width$}  "),
            };
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Returns a table with its columns; nested types are drawn `depth` levels deep.
pub fn table(
    database: &str,
    table: &TableInput,
    partitions: &[PartitionInput],
    depth: usize,
) -> String {
    let summary = TableSummary::new(database, table, partitions);
    let mut text = clean(&format!("{}.{}", summary.database, summary.table)) + "\n";
    let keys: Vec<&str> = table.partition_keys.iter().map(|k| k.name.as_str()).collect();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<13}{}", clean(value));
        }
    };
    line("description", &table.description);
    line("location", &summary.location);
    line("partitioned", &keys.join(", "));
    line("partitions", &grouped(summary.partitions as u64));
    line("rows", &grouped(summary.rows));
    line("size", &ByteCount(summary.bytes).to_string());
    line("files", &grouped(summary.files));
    line("columns", &summary.columns.to_string());
    push_columns(&mut text, table.columns(), depth);
    text
}

/// Returns a view with its columns; nested types are drawn `depth` levels deep.
pub fn view(database: &str, view: &TableInput, depth: usize) -> String {
    let mut text = clean(&format!("{database}.{}", view.name)) + "\n";
    let _ = writeln!(text, "  {:<13}{}", "shows", clean(view.shows()));
    let _ = writeln!(text, "  {:<13}{}", "columns", view.columns().len());
    push_columns(&mut text, view.columns(), depth);
    text
}

fn push_columns(text: &mut String, columns: &[Column], depth: usize) {
    let mut tree = Tree { lines: Vec::new(), depth };
    for column in columns {
        if let Ok(hive_type) = HiveType::parse(&column.hive_type) {
            tree.push(&column.name, &hive_type, &column.comment, 0);
        } else {
            // A foreign table may hold types this crate does not write.
            let shown: String = column.hive_type.chars().take(80).collect();
            tree.lines.push((format!("    {}", clean(&column.name)), clean(&shown)));
        }
    }
    let width = tree.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, hive_type) in tree.lines {
        let _ = writeln!(text, "{name:<width$}  {hive_type}");
    }
}

struct Tree {
    lines: Vec<(String, String)>,
    depth: usize,
}

impl Tree {
    fn push(&mut self, name: &str, hive_type: &HiveType, comment: &str, level: usize) {
        let members = hive_type.members();
        let is_cut = level >= self.depth && !members.is_empty();
        let mut shown = outline(hive_type);
        if is_cut {
            let s = if members.len() == 1 { "" } else { "s" };
            let _ = write!(shown, " of {} field{s}", members.len());
        }
        if !comment.is_empty() {
            let _ = write!(shown, "  -- {}", clean(comment));
        }
        self.lines.push((" ".repeat(4 + 2 * level) + &clean(name), shown));
        if !is_cut {
            for StructField { name, hive_type } in members {
                self.push(name, hive_type, "", level + 1);
            }
        }
    }
}

/// A type without its members: `array<struct>`.
fn outline(hive_type: &HiveType) -> String {
    match hive_type {
        HiveType::Primitive(name) => name.clone(),
        HiveType::Array(element) => format!("array<{}>", outline(element)),
        HiveType::Map(key, value) => format!("map<{key},{}>", outline(value)),
        HiveType::Struct(_) => "struct".to_owned(),
    }
}

fn count(parameters: &Parameters, name: &str) -> u64 {
    parameters.get(name).and_then(|value| value.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{TableSummary, grouped, table, tables};
    use crate::catalog::fixtures::{definition, partition};
    use crate::catalog::{Column, PartitionInput};

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn tables_are_one_aligned_line_each_and_counts_come_from_partitions() {
        let definition = definition();
        let partitions: Vec<PartitionInput> =
            ["d1", "d2"].map(|d| definition.partition_input(&partition("eu-west-1", d))).into();
        let input = definition.table_input();

        let text = tables(&[
            TableSummary::new("lake", &input, &partitions),
            TableSummary::new("lake2", &input, &[]),
        ]);

        assert_eq!(
            text,
            "TABLE             COLUMNS  PARTITIONS   ROWS     SIZE  FILES  LOCATION\n\
             lake.cloudtrail        35           2     20  2.00 kB      2  \
             s3://bucket/lake/cloudtrail/\n\
             lake2.cloudtrail       35           0  1,000  50.0 kB      3  \
             s3://bucket/lake/cloudtrail/\n"
        );
    }

    #[test]
    fn nested_types_are_drawn_as_a_tree_and_cut_at_the_depth() {
        let mut definition = definition();
        definition.columns = vec![
            Column::new("a", "array<struct<b:struct<c:int,d:int>,e:string>>")
                .with_comment("nested"),
            Column::new("f", "uniontype<int>"),
        ];

        let text = table("lake", &definition.table_input(), &[], 1);

        let tree = text.split_once("columns      2\n").expect("a list of columns").1;
        assert_eq!(
            tree,
            "    a    array<struct>  -- nested\n      b  struct of 2 fields\n      \
             e  string\n    f    uniontype<int>\n"
        );
    }
}
