//! A column of a row group, as values by row.

use polars::prelude::{BooleanChunked, DataType, Int64Chunked, ListChunked, Series, StringChunked};

/// Where the elements of each row's list are; `None` for a null.
type Spans = Vec<Option<(usize, usize)>>;

/// Values of a column, or of a member of its structs.
#[derive(Clone, Debug)]
pub enum Column {
    /// Strings.
    Text(StringChunked),
    /// Booleans.
    Flag(BooleanChunked),
    /// Integers, and instants in milliseconds since 1970.
    Number(Int64Chunked),
    /// Which rows have an object, and its members with their names.
    Struct(BooleanChunked, Vec<(String, Column)>),
    /// Lists of one kind of element.
    List(Spans, Box<Column>),
    /// Objects with open keys: keys and values as strings.
    Map(Spans, StringChunked, StringChunked),
    /// A type that is not read: every value is null.
    Other,
}

impl Column {
    /// Takes a series apart; it must be of one chunk.
    pub(super) fn new(series: &Series) -> Self {
        Self::typed(series).unwrap_or(Self::Other)
    }

    fn typed(series: &Series) -> Option<Self> {
        Some(match series.dtype() {
            DataType::String => Self::Text(series.str().ok()?.clone()),
            DataType::Boolean => Self::Flag(series.bool().ok()?.clone()),
            DataType::Datetime(..) => Self::Number(series.datetime().ok()?.physical().clone()),
            DataType::Int64 => Self::Number(series.i64().ok()?.clone()),
            DataType::Struct(_) => Self::Struct(series.is_not_null(), members(series)?),
            DataType::List(_) => {
                let list = series.list().ok()?;
                let spans = spans(list)?;
                match Self::new(&list.get_inner().rechunk()) {
                    Self::Struct(_, mut pair) if is_pair(&pair) => {
                        let (value, key) = (pair.pop()?.1, pair.pop()?.1);
                        match (key, value) {
                            (Self::Text(keys), Self::Text(values)) => {
                                Self::Map(spans, keys, values)
                            }
                            _ => Self::Other,
                        }
                    }
                    element => Self::List(spans, Box::new(element)),
                }
            }
            _ => return None,
        })
    }

    /// Returns how many values there are; 0 where that is not known.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Flag(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Struct(is_there, _) => is_there.len(),
            Self::List(spans, _) | Self::Map(spans, ..) => spans.len(),
            Self::Other => 0,
        }
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the string of a row.
    pub fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(values) => values.get(row),
            _ => None,
        }
    }

    /// Returns the integer of a row, or its instant.
    pub fn number(&self, row: usize) -> Option<i64> {
        match self {
            Self::Number(values) => values.get(row),
            _ => None,
        }
    }

    /// Returns a member by its path.
    pub fn member<'n>(&self, path: impl IntoIterator<Item = &'n str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |column, name| {
            let Self::Struct(_, members) = column else { return None };
            members.iter().find(|(member, _)| member == name).map(|(_, found)| found)
        })
    }

    /// Returns the elements of a row's list: the column of all elements, and which are the row's.
    pub fn elements(&self, row: usize) -> Option<(&Self, std::ops::Range<usize>)> {
        let Self::List(spans, elements) = self else { return None };
        let (start, end) = (*spans.get(row)?)?;
        Some((elements, start..end))
    }
}

fn is_pair(members: &[(String, Column)]) -> bool {
    matches!(members, [(key, _), (value, _)] if key == "key" && value == "value")
}

fn members(series: &Series) -> Option<Vec<(String, Column)>> {
    let fields = series.struct_().ok()?.fields_as_series();
    let member = |field: &Series| (field.name().to_string(), Column::new(&field.rechunk()));
    Some(fields.iter().map(member).collect())
}

/// Returns where each row's elements lie among the inner values; nothing for a list of several chunks.
fn spans(list: &ListChunked) -> Option<Spans> {
    let validity = list.rechunk_validity();
    let mut chunks = list.downcast_iter();
    let (first, rest) = (chunks.next(), chunks.next());
    if rest.is_some() {
        return None;
    }
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the type is of a crate that is not ours to name"
    )]
    let offsets = first.map(|chunk| chunk.offsets());
    let span = |row: usize| {
        let is_null = validity.as_ref().is_some_and(|bits| !bits.get_bit(row));
        offsets.filter(|_| !is_null).map(|offsets| offsets.start_end(row))
    };
    Some((0..list.len()).map(span).collect())
}
