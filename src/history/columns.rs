//! The columns of an event table by name.

use crate::scan::Column;

/// The columns of a row group that were read.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    columns: Vec<(String, Column)>,
}

impl Rows {
    /// Takes columns by their names.
    pub fn new(columns: Vec<(String, Column)>) -> Self {
        Self { columns }
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.column("event_timestamp").map_or(0, Column::len)
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the event ID of a row; empty for null.
    pub fn id(&self, row: usize) -> String {
        self.text("eventid", row).to_owned()
    }

    /// Returns all columns, in the order in which they were read.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (name.as_str(), column))
    }

    /// Returns a column.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(have, _)| have == name).map(|(_, column)| column)
    }

    /// Returns the text of a row in a column; empty for null.
    pub(super) fn text(&self, name: &str, row: usize) -> &str {
        self.column(name).and_then(|column| column.text(row)).unwrap_or("")
    }

    /// Returns the text of a member of `useridentity`; empty for null.
    pub(super) fn identity(&self, path: &[&str], row: usize) -> &str {
        self.member("useridentity", path.iter().copied(), row)
    }

    /// Returns the text of a member, by the column's name and the path in it with dots between; empty for null.
    pub(super) fn dotted(&self, name: &str, row: usize) -> &str {
        let mut path = name.split('.');
        self.member(path.next().unwrap_or_default(), path, row)
    }

    fn member<'n>(&self, name: &str, path: impl Iterator<Item = &'n str>, row: usize) -> &str {
        let member = self.column(name).and_then(|column| column.member(path));
        member.and_then(|member| member.text(row)).unwrap_or("")
    }

    /// Returns the instant of a row, in milliseconds since 1970.
    pub fn instant(&self, row: usize) -> i64 {
        let instants = self.column("event_timestamp");
        instants.and_then(|column| column.number(row)).unwrap_or(0)
    }
}
