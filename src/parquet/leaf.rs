//! The values of one leaf of a column, as they are encoded.

use crate::rows::{Cell, Texts};

/// The values of one leaf, without nulls, in the order of its levels.
#[derive(Debug)]
pub(crate) enum Leaf<'a> {
    /// Texts; `ids` says that hardly any two are equal.
    Text {
        values: &'a [&'a [u8]],
        ids: bool,
    },
    /// Texts of which equal ones are equal cells.
    Interned {
        cells: &'a [Cell],
        texts: &'a Texts,
    },
    /// Texts by number; several numbers may have equal texts.
    Numbered {
        texts: &'a [&'a [u8]],
        ids: &'a [u32],
    },
    Bigint(&'a [i64]),
    Double(&'a [f64]),
    Boolean(&'a [bool]),
}

impl Leaf<'_> {
    /// Returns the number of values.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text { values, .. } => values.len(),
            Self::Interned { cells, .. } => cells.len(),
            Self::Numbered { ids, .. } => ids.len(),
            Self::Bigint(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }

    /// Returns a text by its number; an empty one where there are none.
    pub(super) fn text(&self, number: usize) -> &[u8] {
        match self {
            Self::Text { values, .. } => values[number],
            Self::Interned { cells, texts } => texts.get(cells[number]),
            Self::Numbered { texts, ids } => texts[ids[number] as usize],
            Self::Bigint(_) | Self::Double(_) | Self::Boolean(_) => &[],
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. } | Self::Interned { .. } | Self::Numbered { .. })
    }
}
