//! Values in JSON texts: `json_extract_scalar(requestparameters, '$.bucketName')`.

use crate::parse::{Cursor, Parser, ScalarKind};
use crate::query::functions::{Made, flag_type, number_type, strings, text_type};
use polars::prelude::polars_bail;
use polars::prelude::{
    BooleanChunked, Column, Int64Chunked, IntoSeries, NewChunkedArray, PolarsResult, Series,
    StringChunked,
};

pub(super) fn all() -> Vec<Made> {
    let text = |name, compute| Made { name, arguments: 2..=2, returns: text_type, compute };
    vec![
        text("json_extract_scalar", |columns| texts(columns, scalar)),
        text("json_extract", |columns| texts(columns, raw)),
        text("json_query", |columns| texts(columns, raw)),
        text("json_extract_string", |columns| texts(columns, text_or_raw)),
        Made {
            name: "json_array_length",
            arguments: 1..=1,
            returns: number_type,
            compute: |columns| {
                let length = |cursor: &mut Cursor<'_>| cursor.array_len().map(|len| len as i64);
                let lengths: Int64Chunked = whole(&strings(&columns[0])?, length);
                Ok(lengths.into_series())
            },
        },
        Made {
            name: "json_size",
            arguments: 2..=2,
            returns: number_type,
            compute: |columns| {
                let sizes: Vec<Option<i64>> = found(columns, |cursor| {
                    let len = cursor.array_len().or(cursor.object_len()).unwrap_or(0);
                    Some(len as i64)
                })?;
                Ok(Int64Chunked::from_iter_options("".into(), sizes.into_iter()).into_series())
            },
        },
        Made {
            name: "json_array_contains",
            arguments: 2..=2,
            returns: flag_type,
            compute: array_contains,
        },
    ]
}

/// A step of a path.
#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Reads a path: `$`, then `.key`, `["key"]`, `['key']` or `[0]`.
fn path(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, behind) = after.split_at(end);
            let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
            if key.is_empty() || key == "*" {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = behind;
        } else {
            let after = rest.strip_prefix('[')?;
            let (step, behind) = match after.chars().next()? {
                quote @ ('"' | '\'') => {
                    let (key, behind) = after[1..].split_once(quote)?;
                    (Step::Key(key.to_owned()), behind.strip_prefix(']')?)
                }
                _ => {
                    let (index, behind) = after.split_once(']')?;
                    (Step::Index(index.trim().parse().ok()?), behind)
                }
            };
            steps.push(step);
            rest = behind;
        }
    }
    Some(steps)
}

/// Moves a cursor to the value at a path; returns whether there is one.
fn walk(cursor: &mut Cursor<'_>, steps: &[Step]) -> bool {
    steps.iter().all(|step| match step {
        Step::Key(wanted) => {
            let Some(len) = cursor.object_len() else { return false };
            cursor.enter(len);
            for _ in 0..len {
                if cursor.key().text == wanted {
                    return true;
                }
                cursor.skip();
                cursor.end_entry();
            }
            false
        }
        Step::Index(wanted) => {
            let Some(len) = cursor.array_len().filter(|len| wanted < len) else { return false };
            cursor.enter(len);
            for _ in 0..*wanted {
                cursor.skip();
                cursor.end_entry();
            }
            true
        }
    })
}

/// A text that cannot hold the last key of a path is not parsed.
fn cannot_have(text: &str, steps: &[Step]) -> bool {
    let key = steps.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key),
        Step::Index(_) => None,
    });
    key.is_some_and(|key| !text.contains('\\') && !text.contains(key.as_str()))
}

/// Applies `take` to the value at a path in each row.
fn found<T>(
    columns: &[Column],
    take: impl Fn(&mut Cursor<'_>) -> Option<T>,
) -> PolarsResult<Vec<Option<T>>> {
    let (texts, paths) = (strings(&columns[0])?, strings(&columns[1])?);
    let mut parser = Parser::default();
    let mut known: Option<(String, Vec<Step>)> = None;
    let mut out = Vec::with_capacity(texts.len());
    for (text, wanted) in texts.iter().zip(paths.iter()) {
        let (Some(text), Some(wanted)) = (text, wanted) else {
            out.push(None);
            continue;
        };
        if known.as_ref().is_none_or(|(known, _)| known != wanted) {
            let Some(steps) = path(wanted) else {
                polars_bail!(SQLInterface: "invalid JSON path `{wanted}`: expected $.key, $['key'] or $[0]");
            };
            known = Some((wanted.to_owned(), steps));
        }
        let steps = known.as_ref().map_or(&[][..], |(_, steps)| steps);
        if cannot_have(text, steps) {
            out.push(None);
            continue;
        }
        let value = parser.parse(text.as_bytes(), 0..text.len(), |mut cursor, count| {
            if count == 1 && walk(&mut cursor, steps) { take(&mut cursor) } else { None }
        });
        out.push(value.ok().flatten());
    }
    Ok(out)
}

fn texts(columns: &[Column], take: fn(&mut Cursor<'_>) -> Option<String>) -> PolarsResult<Series> {
    let values = found(columns, take)?;
    Ok(StringChunked::from_iter_options("".into(), values.into_iter()).into_series())
}

fn whole<T>(texts: &StringChunked, take: impl Fn(&mut Cursor<'_>) -> Option<i64>) -> T
where
    T: FromIterator<Option<i64>>,
{
    let mut parser = Parser::default();
    let mut value =
        |text: &str| {
            let range = 0..text.len();
            let parsed = parser.parse(text.as_bytes(), range, |mut cursor, count| {
                if count == 1 { take(&mut cursor) } else { None }
            });
            parsed.ok().flatten()
        };
    texts.iter().map(|text| text.and_then(&mut value)).collect()
}

fn is_container(cursor: &Cursor<'_>) -> bool {
    cursor.object_len().is_some() || cursor.array_len().is_some()
}

/// The text of a string, a number or a flag.
fn scalar(cursor: &mut Cursor<'_>) -> Option<String> {
    if is_container(cursor) {
        return None;
    }
    let bytes = cursor.bytes();
    let scalar = cursor.scalar();
    match scalar.kind {
        ScalarKind::Null => None,
        ScalarKind::String => Some(scalar.text.to_owned()),
        _ => std::str::from_utf8(&bytes[scalar.raw]).ok().map(str::to_owned),
    }
}

/// The JSON text of any value.
fn raw(cursor: &mut Cursor<'_>) -> Option<String> {
    let bytes = cursor.bytes();
    let range = cursor.skip();
    std::str::from_utf8(&bytes[range]).ok().map(str::to_owned)
}

fn text_or_raw(cursor: &mut Cursor<'_>) -> Option<String> {
    if is_container(cursor) { raw(cursor) } else { scalar(cursor) }
}

fn array_contains(columns: &[Column]) -> PolarsResult<Series> {
    let (texts, wanted) = (strings(&columns[0])?, strings(&columns[1])?);
    let mut parser = Parser::default();
    let mut has = |text: Option<&str>, wanted: Option<&str>| {
        let (text, wanted) = (text?, wanted?);
        let parsed = parser.parse(text.as_bytes(), 0..text.len(), |mut cursor, count| {
            let len = cursor.array_len().filter(|_| count == 1)?;
            cursor.enter(len);
            let mut is_there = false;
            for _ in 0..len {
                let mut element = cursor.clone();
                is_there |= scalar(&mut element).as_deref() == Some(wanted);
                cursor.skip();
                cursor.end_entry();
            }
            Some(is_there)
        });
        parsed.ok().flatten()
    };
    let found: Vec<Option<bool>> =
        texts.iter().zip(wanted.iter()).map(|(text, wanted)| has(text, wanted)).collect();
    Ok(BooleanChunked::from_iter_options("".into(), found.into_iter()).into_series())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &str, take: fn(&mut Cursor<'_>) -> Option<String>) -> Option<String> {
        let columns = [text, path].map(|text| Column::new("".into(), [text]));
        found(&columns, take).unwrap().pop().unwrap()
    }

    #[test]
    fn a_path_leads_to_one_value() {
        let text = r#" {"a":{"b":[{"c":1},{"c":"x\u0041"}],"d.e":null},"f":true,"g":1.50} "#;

        assert_eq!(at(text, "$.a.b[1].c", scalar).as_deref(), Some("xA"));
        assert_eq!(at(text, "$.a.b[0].c", scalar).as_deref(), Some("1"));
        assert_eq!(at(text, "$['a']['b'][0]", raw).as_deref(), Some(r#"{"c":1}"#));
        assert_eq!(at(text, "$.g", scalar).as_deref(), Some("1.50"));
        assert_eq!(at(text, "$.f", scalar).as_deref(), Some("true"));
        assert_eq!(at(text, "$.a", scalar), None, "an object is no scalar");
        assert_eq!(
            at(text, "$.a.b", text_or_raw).as_deref().map(|it| &it[..9]),
            Some(r#"[{"c":1},"#)
        );
        assert_eq!(at(text, "$['a']['d.e']", raw).as_deref(), Some("null"));
        assert_eq!(at(text, "$['a'].\"d.e\"", scalar), None);
        for absent in ["$.x", "$.a.b[2]", "$.f.g", "$.a[0]"] {
            assert_eq!(at(text, absent, raw), None, "{absent}");
        }
    }

    #[test]
    fn what_is_not_json_has_no_values_and_a_wrong_path_is_an_error() {
        for text in ["", "a", "{", "{\"a\":1}x", "1,2"] {
            assert_eq!(at(text, "$.a", raw), None, "{text}");
        }
        for wrong in ["a", "$a", "$.", "$[", "$[x]", "$['a", "$.*"] {
            assert_eq!(path(wrong), None, "{wrong}");
        }
        assert_eq!(path("$"), Some(Vec::new()));
    }
}
