//! One criterion of a question: columns of strings, and what one of them must have.

use crate::error::Result;
use crate::scan::{OpenFile, TextColumn};

/// What one of several columns must have; a null counts as an empty string.
pub(super) struct Criterion<'a> {
    columns: &'static [&'static str],
    /// The only values that are wanted, where they are known: Bloom filters are asked for them.
    only: Vec<String>,
    is_wanted: Box<dyn Fn(&str) -> bool + 'a>,
}

impl<'a> Criterion<'a> {
    /// Creates a criterion.
    pub(super) fn new(
        columns: &'static [&'static str],
        is_wanted: impl Fn(&str) -> bool + 'a,
    ) -> Self {
        Self { columns, only: Vec::new(), is_wanted: Box::new(is_wanted) }
    }

    /// Says that no other values are wanted than these.
    pub(super) fn only(self, only: Vec<String>) -> Self {
        Self { only, ..self }
    }

    /// Returns the rows of a row group that meet all criteria, in ascending order.
    ///
    /// What its Bloom filters and dictionaries rule out is found before a page is read. Then one criterion after another
    /// is looked at for the rows that are left, so that the first ones should be those whose rows lie together.
    ///
    /// # Errors
    /// `Damaged` when the columns cannot be read.
    pub(super) fn rows(all: &[Self], file: &OpenFile, group: usize) -> Result<Vec<usize>> {
        let mut opened: Vec<Vec<TextColumn<'_>>> = Vec::new();
        for criterion in all {
            match criterion.open(file, group)? {
                Some(columns) => opened.push(columns),
                None => return Ok(Vec::new()),
            }
        }
        let mut rows: Option<Vec<usize>> = None;
        for columns in opened {
            let mut found = Vec::new();
            for column in columns {
                found = union(&found, &column.rows(rows.as_deref())?);
            }
            if found.is_empty() {
                return Ok(found);
            }
            rows = Some(found);
        }
        Ok(rows.unwrap_or_else(|| (0..file.rows(group)).collect()))
    }

    /// Returns its columns; nothing if no row can meet it.
    fn open<'s>(&'s self, file: &'s OpenFile, group: usize) -> Result<Option<Vec<TextColumn<'s>>>> {
        let mut can_be = self.only.is_empty();
        for (column, value) in
            self.columns.iter().flat_map(|it| self.only.iter().map(move |of| (it, of)))
        {
            can_be = can_be || file.may_equal(group, column, value)?;
        }
        let mut may_match = false;
        let mut columns = Vec::new();
        for name in self.columns.iter().filter(|_| can_be) {
            let column = file.texts(group, name, &*self.is_wanted)?;
            may_match = may_match || column.may_match()?;
            columns.push(column);
        }
        Ok(may_match.then_some(columns))
    }
}

/// Returns the rows that are in one list or in the other; all are in ascending order.
pub(super) fn union(one: &[usize], other: &[usize]) -> Vec<usize> {
    if one.is_empty() {
        return other.to_vec();
    }
    let mut out = [one, other].concat();
    // Two runs are merged.
    out.sort();
    out.dedup();
    out
}

/// Returns the rows of one list that are not in the other; all are in ascending order.
pub(super) fn without(one: &[usize], other: &[usize]) -> Vec<usize> {
    let mut others = other.iter().peekable();
    let is_left = |row: &&usize| {
        while others.next_if(|other| other < row).is_some() {}
        others.peek() != Some(row)
    };
    one.iter().filter(is_left).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_joined_and_taken_away_in_their_order() {
        assert_eq!(union(&[1, 4, 9], &[2, 4, 5]), [1, 2, 4, 5, 9]);
        assert_eq!(union(&[], &[2, 4]), union(&[2, 4], &[]));
        assert_eq!(without(&[1, 4, 9], &[0, 4, 5, 10]), [1, 9]);
        assert_eq!(without(&[1, 4], &[]), [1, 4]);
    }
}
