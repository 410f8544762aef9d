//! One canonical row: the row expected of a record and a row of the lake are the same bytes exactly
//! when they are equal.
//!
//! Every value carries a tag and its length, so that neither a null and an empty string nor two
//! neighbouring texts can be mistaken for each other. A struct is its members: one without any
//! value and a null one are the same. Rows are known by 128 bits of keyed hash, columns by 64 of any;
//! a collision among 10¹² rows has a chance of about 10⁻¹⁵.

use super::contract::Family;
use super::hash::hash;
use super::json;
use xxhash_rust::xxh3::xxh3_64;

/// Identity of a row.
pub(super) type Fingerprint = u128;

/// A row under construction; cleared and used again.
#[derive(Debug, Default)]
pub(super) struct Row {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Row {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(super) fn null(&mut self) {
        self.bytes.push(b'0');
    }

    pub(super) fn text(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => json::framed(b't', value, &mut self.bytes),
            None => self.null(),
        }
    }

    /// Adds JSON text without the whitespace outside its strings.
    pub(super) fn json(&mut self, value: &[u8]) {
        let at = self.bytes.len();
        json::framed(b't', &[], &mut self.bytes);
        let start = self.bytes.len();
        json::minify(value, &mut self.bytes);
        let length = (self.bytes.len() - start) as u64;
        self.bytes[at + 1..start].copy_from_slice(&length.to_le_bytes());
    }

    pub(super) fn flag(&mut self, value: Option<bool>) {
        self.bytes.push(value.map_or(b'0', |value| if value { b'y' } else { b'n' }));
    }

    pub(super) fn number(&mut self, value: Option<i64>) {
        match value {
            Some(value) => json::framed(b'i', &value.to_le_bytes(), &mut self.bytes),
            None => self.null(),
        }
    }

    /// Returns the text of a column that was added as one; nothing of a null.
    pub(super) fn text_of(&self, column: usize) -> Option<&[u8]> {
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes[start..self.ends[column]].strip_prefix(b"t")?.get(size_of::<u64>()..)
    }

    /// Adds how many elements or pairs follow.
    pub(super) fn count(&mut self, count: usize) {
        json::framed(b'l', &(count as u64).to_le_bytes(), &mut self.bytes);
    }

    pub(super) fn end_column(&mut self) {
        self.ends.push(self.bytes.len());
    }

    pub(super) fn fingerprint(&self, family: Family) -> Fingerprint {
        hash(&self.bytes, family)
    }

    /// Adds the values of some columns to a sum for each, which depends on the order of rows.
    pub(super) fn add_to(&self, columns: &[usize], sums: &mut [u64]) {
        for (column, sum) in columns.iter().zip(sums) {
            let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
            let hash = xxh3_64(&self.bytes[start..self.ends[*column]]);
            *sum = sum.rotate_left(23).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ hash;
        }
    }

    /// Returns one hash per column, to say later which one differs.
    pub(super) fn column_hashes(&self) -> Vec<u64> {
        let mut start = 0;
        let hash = |end: &usize| xxh3_64(&self.bytes[std::mem::replace(&mut start, *end)..*end]);
        self.ends.iter().map(hash).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(build: impl Fn(&mut Row)) -> Fingerprint {
        let mut row = Row::default();
        build(&mut row);
        row.fingerprint(Family::Events)
    }

    #[test]
    fn values_that_read_alike_are_told_apart() {
        let rows = [
            row(Row::null),
            row(|row| row.text(Some(b""))),
            row(|row| row.text(Some(b"0"))),
            row(|row| row.flag(Some(true))),
            row(|row| row.count(0)),
            row(|row| [b"ab".as_slice(), b"c"].iter().for_each(|text| row.text(Some(text)))),
            row(|row| [b"a".as_slice(), b"bc"].iter().for_each(|text| row.text(Some(text)))),
        ];

        for (at, one) in rows.iter().enumerate() {
            assert!(!rows[..at].contains(one), "{at}");
        }
        assert_eq!(row(|row| row.json(b"[ 1 ]")), row(|row| row.text(Some(b"[1]"))));
    }
}
