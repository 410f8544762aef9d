//! A view: its columns and what it selects.

use crate::catalog::{Column, Dialect};

/// A view of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The view's name: the table's, and a suffix.
    pub name: String,
    /// What it shows, in one line.
    pub description: &'static str,
    /// Its columns with their types and comments, in the order in which it selects them.
    pub columns: Vec<Column>,
    /// What it selects, in the dialect that it was made for.
    pub select: String,
}

impl View {
    /// Returns the `CREATE OR REPLACE VIEW` statement. Only Spark's has a place for comments.
    pub fn create(&self, dialect: Dialect, database: &str) -> String {
        let (database, name) = (dialect.quote(database), dialect.quote(&self.name));
        let columns = match dialect {
            Dialect::Spark => self.commented(dialect),
            Dialect::Athena | Dialect::DuckDb => String::new(),
        };
        format!("CREATE OR REPLACE VIEW {database}.{name}{columns} AS\n{}", self.select)
    }

    fn commented(&self, dialect: Dialect) -> String {
        let column = |column: &Column| {
            let name = dialect.quote(&column.name);
            match column.comment.as_str() {
                "" => name,
                comment => format!("{name} COMMENT {}", dialect.text(comment)),
            }
        };
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        format!(" (\n  {}\n)", columns.join(",\n  "))
    }
}
