//! Values of maps, and arrays in order.

use crate::query::functions::Made;
use polars::prelude::polars_bail;
use polars::prelude::{
    Column, DataType, Field, IntoSeries, ListNameSpaceImpl, PolarsResult, Series, SortOptions,
    StringChunked,
};

pub(super) fn all() -> Vec<Made> {
    vec![
        Made { name: "map_value", arguments: 2..=2, returns: value_type, compute: map_value },
        Made {
            name: "array_sort",
            arguments: 1..=1,
            returns: |fields| Ok(fields[0].dtype().clone()),
            compute: |columns| {
                let options = SortOptions::default().with_nulls_last(true);
                Ok(columns[0].list()?.lst_sort(options)?.into_series())
            },
        },
    ]
}

/// A map is a list of pairs of strings.
fn value_type(fields: &[Field]) -> PolarsResult<DataType> {
    if let DataType::List(inner) = fields[0].dtype()
        && let DataType::Struct(pair) = &**inner
        && matches!(&pair[..], [key, value] if key.name() == "key" && value.name() == "value")
    {
        return Ok(DataType::String);
    }
    polars_bail!(SQLInterface: "element_at takes a number for an array, and a name for a map only");
}

fn map_value(columns: &[Column]) -> PolarsResult<Series> {
    let (maps, wanted) = (columns[0].list()?, columns[1].str()?);
    let mut values: Vec<Option<String>> = Vec::with_capacity(maps.len());
    for row in 0..maps.len() {
        values.push(match (maps.get_as_series(row), wanted.get(row)) {
            (Some(pairs), Some(wanted)) => value_of(&pairs, wanted)?,
            _ => None,
        });
    }
    Ok(values.into_iter().collect::<StringChunked>().into_series())
}

fn value_of(pairs: &Series, wanted: &str) -> PolarsResult<Option<String>> {
    let pairs = pairs.struct_()?;
    let (keys, values) = (pairs.field_by_name("key")?, pairs.field_by_name("value")?);
    let (keys, values) = (keys.str()?, values.str()?);
    let at = keys.iter().position(|key| key == Some(wanted));
    Ok(at.and_then(|at| values.get(at)).map(str::to_owned))
}
