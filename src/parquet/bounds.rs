//! The smallest and the largest value of pages and chunks, from which readers prune.

use crate::parquet::leaf::Leaf;

/// Minimum and maximum are cut to this many bytes, as parquet-mr and arrow-rs do; they stay bounds.
/// They stand in the column chunk, and in the column index if there is one.
const MAX_STATISTICS_BYTES: usize = 64;
/// Of JSON, whose beginning is a brace and a name that most have: readers look into it and leave nothing out by how it
/// begins.
const MAX_STATISTICS_BYTES_OF_JSON: usize = 8;

/// The smallest and the largest value, as Parquet writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub min: Vec<u8>,
    pub max: Vec<u8>,
    /// Whether they are values themselves, and not cut.
    pub is_min_exact: bool,
    pub is_max_exact: bool,
}

impl Bounds {
    pub(super) fn new<const N: usize>(min: [u8; N], max: [u8; N]) -> Self {
        let (min, max) = (min.to_vec(), max.to_vec());
        Self { min, max, is_min_exact: true, is_max_exact: true }
    }

    /// The bounds of texts.
    pub(super) fn of_texts<'v>(mut values: impl Iterator<Item = &'v [u8]>) -> Option<Self> {
        let first = values.next()?;
        let (mut min, mut max) = (first, first);
        for value in values {
            if value < min {
                min = value;
            } else if value > max {
                max = value;
            }
        }
        let (is_min_exact, is_max_exact) =
            (min.len() <= most_bytes(min), max.len() <= most_bytes(max));
        Some(Bounds { min: lower(min), max: upper(max), is_min_exact, is_max_exact })
    }

    /// The bounds of all pages of a leaf together.
    pub(super) fn of_pages<'p>(
        leaf: &Leaf<'_>,
        mut pages: impl Iterator<Item = &'p Self>,
    ) -> Option<Self> {
        let is_less = |x: &[u8], y: &[u8]| match leaf {
            Leaf::Bigint(_) => number(x, i64::from_le_bytes) < number(y, i64::from_le_bytes),
            Leaf::Double(_) => number(x, f64::from_le_bytes) < number(y, f64::from_le_bytes),
            _ => x < y,
        };
        let mut all = pages.next()?.clone();
        for Self { min, max, is_min_exact, is_max_exact } in pages {
            // Of a cut bound and an equal value, the value is the bound.
            if is_less(min, &all.min) {
                (all.min, all.is_min_exact) = (min.clone(), *is_min_exact);
            } else if *min == all.min {
                all.is_min_exact |= is_min_exact;
            }
            if is_less(&all.max, max) {
                (all.max, all.is_max_exact) = (max.clone(), *is_max_exact);
            } else if *max == all.max {
                all.is_max_exact |= is_max_exact;
            }
        }
        Some(all)
    }
}

fn number<T>(bytes: &[u8], read: fn([u8; 8]) -> T) -> Option<T> {
    bytes.try_into().ok().map(read)
}

fn most_bytes(value: &[u8]) -> usize {
    if value.starts_with(b"{") { MAX_STATISTICS_BYTES_OF_JSON } else { MAX_STATISTICS_BYTES }
}

/// A prefix that ends at a character.
fn prefix(value: &[u8]) -> &[u8] {
    let mut end = most_bytes(value);
    while end > 0 && value[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &value[..end]
}

fn lower(value: &[u8]) -> Vec<u8> {
    if value.len() <= most_bytes(value) { value.to_vec() } else { prefix(value).to_vec() }
}

/// The smallest ASCII-stepped prefix above the value; the whole value when there is none.
fn upper(value: &[u8]) -> Vec<u8> {
    if value.len() <= most_bytes(value) {
        return value.to_vec();
    }
    let mut bound = prefix(value).to_vec();
    while let Some(last) = bound.pop() {
        if last < 0x7E {
            bound.push(last + 1);
            return bound;
        }
    }
    value.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cut_statistics_stay_bounds(text in "\\{?\\PC{0,400}", other in "\\{?\\PC{0,400}") {
            let (min, max) = (text.as_bytes().min(other.as_bytes()), text.as_bytes().max(other.as_bytes()));
            prop_assert!(lower(min).as_slice() <= min);
            prop_assert!(upper(max).as_slice() >= max);
            prop_assert!(std::str::from_utf8(&lower(min)).is_ok());
            prop_assert!(std::str::from_utf8(&upper(max)).is_ok());
        }
    }
}
