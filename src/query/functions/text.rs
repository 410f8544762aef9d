//! Regular expressions, and what else Athena does with text.

use crate::query::functions::{Made, constant, strings, text_type};
use polars::prelude::polars_ensure;
use polars::prelude::{
    Column, DataType, IntoSeries, PolarsResult, Series, StringChunked, StringNameSpaceImpl,
};

pub(super) fn all() -> Vec<Made> {
    vec![
        Made {
            name: "regexp_extract",
            arguments: 2..=3,
            returns: text_type,
            compute: regexp_extract,
        },
        Made {
            name: "regexp_replace",
            arguments: 2..=3,
            returns: text_type,
            compute: regexp_replace,
        },
        Made {
            name: "to_hex",
            arguments: 1..=1,
            returns: text_type,
            compute: |columns| {
                let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect();
                let texts = strings(&columns[0])?;
                let found: StringChunked =
                    texts.iter().map(|text| text.map(hex) as Option<String>).collect();
                Ok(found.into_series())
            },
        },
        Made {
            name: "to_utf8",
            arguments: 1..=1,
            returns: text_type,
            compute: |columns| Ok(strings(&columns[0])?.into_series()),
        },
    ]
}

/// The text that a group of an expression matched first: the whole match without a group.
fn regexp_extract(columns: &[Column]) -> PolarsResult<Series> {
    let group = match columns.get(2) {
        None => 0,
        Some(column) => {
            let numbers = column.cast(&DataType::Int64)?;
            let first = numbers.i64()?.get(0).unwrap_or(0);
            polars_ensure!(first >= 0, SQLInterface: "regexp_extract takes the number of a group");
            first as usize
        }
    };
    let texts = strings(&columns[0])?;
    let Some(pattern) = constant(&columns[1], "the pattern of regexp_extract")? else {
        return Ok(Series::full_null("".into(), texts.len(), &DataType::String));
    };
    let pattern = StringChunked::from_iter([pattern]);
    Ok(texts.extract(&pattern, group)?.into_series())
}

/// Replaces what an expression matches; `$1` stands for its first group.
fn regexp_replace(columns: &[Column]) -> PolarsResult<Series> {
    let texts = strings(&columns[0])?;
    let pattern = constant(&columns[1], "the pattern of regexp_replace")?;
    let new = match columns.get(2) {
        None => Some(String::new()),
        Some(column) => constant(column, "the replacement of regexp_replace")?,
    };
    let (Some(pattern), Some(new)) = (pattern, new) else {
        return Ok(Series::full_null("".into(), texts.len(), &DataType::String));
    };
    Ok(texts.replace_all(&pattern, &new)?.into_series())
}
