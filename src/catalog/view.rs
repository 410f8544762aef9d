//! A view, as `catalog ddl` prints it.

/// A view of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The view's name: the table's, and a suffix.
    pub name: String,
    /// What it shows, in one line.
    pub description: &'static str,
    /// The `CREATE OR REPLACE VIEW` statement.
    pub sql: String,
}
