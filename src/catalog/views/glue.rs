//! A view as Glue keeps it, and as Athena and Trino read it.
//!
//! Its statement is in the table's view text: a comment with the base64 of a JSON document, in which every
//! column has its type in Trino's words. Trino's Hive connector calls that a Presto view. The columns of
//! the storage descriptor, in Hive's words, are for people and for what lists columns without reading views.
//!
//! What the view shows is in the text and in a parameter, and never in the table's description: Trino takes a
//! description for the parameter `comment`, by whose value `Presto View` it knows that a table is a view
//! (`GlueToTrinoConverter`, `ViewReaderUtil.isTrinoView`; seen in 435).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::view::View;
use crate::catalog::parameters::{LAKE, SHOWS, VIEW, VIRTUAL_VIEW};
use crate::catalog::{Columns, HiveType, StorageDescriptor, TableInput};
use crate::error::{Error, ErrorKind, Result};

/// The catalog that Athena calls the account's own.
const CATALOG: &str = "awsdatacatalog";
/// The most characters that Glue takes as a view's text.
const MAX_TEXT: usize = 409_600;

/// What the view's text is made of, in the order of Trino's own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition<'a> {
    original_sql: &'a str,
    catalog: &'static str,
    schema: &'a str,
    columns: Vec<DefinedColumn<'a>>,
    comment: &'static str,
    /// Trino refuses a view that has neither this nor an owner. In Athena, who asks needs access to what the
    /// view reads in any case.
    run_as_invoker: bool,
}

#[derive(Serialize)]
struct DefinedColumn<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    trino_type: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    comment: &'a str,
}

/// Returns the document of a view that selects in Athena's dialect.
///
/// # Errors
/// `Config` for a column of a type that this crate does not write, or for a view that Glue does not take.
pub fn view_input(view: &View, database: &str, table: &str, lake: &str) -> Result<TableInput> {
    let place = |err: Error| err.at("view", &view.name);
    let text = text(view, database).map_err(place)?;
    if text.len() > MAX_TEXT {
        let message =
            format!("the view's text is longer than Glue's limit of {MAX_TEXT} characters");
        return Err(place(Error::config(message)));
    }
    let parameters = [
        ("comment", "Presto View"),
        ("presto_view", "true"),
        (LAKE, lake),
        (VIEW, table),
        (SHOWS, view.description),
    ];
    Ok(TableInput {
        name: view.name.clone(),
        storage_descriptor: StorageDescriptor {
            columns: Columns::from(view.columns.clone()),
            ..StorageDescriptor::default()
        },
        table_type: VIRTUAL_VIEW.into(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        view_original_text: Some(text),
        view_expanded_text: Some("/* Presto View */".into()),
        ..TableInput::default()
    })
}

fn text(view: &View, database: &str) -> Result<String> {
    let mut columns = Vec::new();
    for column in &view.columns {
        let (name, comment) = (column.name.as_str(), column.comment.as_str());
        let hive_type = HiveType::parse(&column.hive_type).map_err(|err| err.at("column", name))?;
        columns.push(DefinedColumn { name, trino_type: trino_type(&hive_type), comment });
    }
    let definition = Definition {
        original_sql: &view.select,
        catalog: CATALOG,
        schema: database,
        columns,
        comment: view.description,
        run_as_invoker: true,
    };
    let json = serde_json::to_vec(&definition).map_err(|err| {
        Error::new(ErrorKind::Bug, "cannot serialize the definition of a view").because(err)
    })?;
    Ok(format!("/* Presto View: {} */", STANDARD.encode(json)))
}

/// Returns a type as Trino writes it. The depth is limited by the parser.
fn trino_type(hive_type: &HiveType) -> String {
    let mut out = String::new();
    push_type(&mut out, hive_type);
    out
}

fn push_type(out: &mut String, hive_type: &HiveType) {
    match hive_type {
        HiveType::Primitive(name) => out.push_str(match name.as_str() {
            "string" => "varchar",
            "int" => "integer",
            "float" => "real",
            "binary" => "varbinary",
            "timestamp" => "timestamp(3)",
            same => same,
        }),
        HiveType::Array(element) => {
            out.push_str("array(");
            push_type(out, element);
            out.push(')');
        }
        HiveType::Map(key, value) => {
            out.push_str("map(");
            push_type(out, key);
            out.push(',');
            push_type(out, value);
            out.push(')');
        }
        HiveType::Struct(fields) => {
            for (i, field) in fields.iter().enumerate() {
                out.push_str(if i == 0 { "row(" } else { "," });
                // Names are of `[a-z0-9_]`; quoted, none is a word of the language.
                let _ = write!(out, "\"{}\" ", field.name);
                push_type(out, &field.hive_type);
            }
            out.push(')');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixtures::definition;
    use crate::catalog::{Dialect, ViewSelection, views::views};

    #[test]
    fn types_are_written_as_trino_reads_them() {
        for (hive, trino) in [
            ("string", "varchar"),
            ("timestamp", "timestamp(3)"),
            ("decimal(10,2)", "decimal(10,2)"),
            (
                "array<struct<from:int,x:map<string,double>>>",
                "array(row(\"from\" integer,\"x\" map(varchar,double)))",
            ),
        ] {
            assert_eq!(trino_type(&HiveType::parse(hive).expect("a type")), trino);
        }
    }

    #[test]
    fn the_text_holds_the_statement_and_a_type_for_every_column() {
        let table = definition().table_input();
        let all = views(Dialect::Athena, "lake", &table, &ViewSelection::all());

        for view in all {
            let input = view_input(&view, "lake", "cloudtrail", "s3://lake/").expect("a view");

            let text = input.view_original_text.as_deref().expect("a text");
            let encoded = text.strip_prefix("/* Presto View: ").and_then(|t| t.strip_suffix(" */"));
            let json = STANDARD.decode(encoded.expect("a comment")).expect("base64");
            let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
            assert_eq!(json["originalSql"], view.select.as_str());
            assert_eq!((&json["catalog"], &json["schema"]), (&CATALOG.into(), &"lake".into()));
            let columns = json["columns"].as_array().expect("columns");
            assert_eq!(columns.len(), view.columns.len());
            assert_eq!(json["comment"], view.description);
            assert_eq!((input.shows(), input.description.as_str()), (view.description, ""));
            assert_eq!(input.storage_descriptor.columns.len(), view.columns.len());
        }
    }

    #[test]
    fn a_text_that_glue_does_not_take_is_refused() {
        let table = definition().table_input();
        let mut view = views(Dialect::Athena, "lake", &table, &ViewSelection::all()).remove(0);
        view.select = "x".repeat(MAX_TEXT);

        let refused = view_input(&view, "lake", "cloudtrail", "s3://lake/").expect_err("too long");

        assert!(refused.to_string().contains("(view cloudtrail_flat)"), "{refused}");
    }
}
