//! A view as a list of names.

use super::derived::{DERIVED, Derived, MEASURES, SHARED};
use super::view::View;
use crate::catalog::{Column, Dialect, TableInput};

/// A view before it is written in a dialect.
pub(super) struct Shape {
    /// What its name ends with.
    pub(super) suffix: &'static str,
    /// What it shows, in one line.
    pub(super) description: &'static str,
    /// Names of derived columns, and of columns of the table.
    pub(super) columns: &'static [&'static str],
    /// What is counted for each combination of the columns; none: a row is an event.
    pub(super) measures: &'static [&'static str],
    /// Which events it is about.
    pub(super) filter: Option<&'static str>,
    /// Whether only management and data events can be meant.
    pub(super) is_of_events: bool,
}

/// What the names of tables of network activity events end with.
const NETWORK_ACTIVITY: &str = "_network_activity";

/// Columns that every event table has.
const NEEDED: [&str; 18] = [
    "useridentity",
    "eventsource",
    "eventname",
    "awsregion",
    "sourceipaddress",
    "useragent",
    "errorcode",
    "errormessage",
    "responseelements",
    "additionaleventdata",
    "requestid",
    "eventid",
    "eventtype",
    "readonly",
    "recipientaccountid",
    "vpcendpointid",
    "tlsdetails",
    "event_timestamp",
];

/// What a row can be partitioned by, and has a column for in layouts without that partition key.
const PLACES: [&str; 3] = ["account", "region", "event_date"];

/// Returns the view of a table; none if it does not have the columns for it.
pub(super) fn view(
    dialect: Dialect,
    database: &str,
    table: &TableInput,
    shape: &Shape,
) -> Option<View> {
    let own = |name: &str| table.columns().iter().find(|column| column.name == name);
    let is_left_out = shape.is_of_events && table.name.ends_with(NETWORK_ACTIVITY);
    if is_left_out || !NEEDED.iter().all(|name| own(name).is_some()) {
        return None;
    }
    let names = shape.columns.iter().chain(&PLACES);
    let mut columns: Vec<(Column, String)> =
        names.filter_map(|name| column(dialect, name, &own)).collect();
    let grouped = columns.len();
    columns.extend(shape.measures.iter().filter_map(|name| measure(dialect, name, &own)));
    let keys = table.partition_keys.iter();
    columns.extend(keys.map(|key| (key.clone(), dialect.quote(&key.name))));
    let selected: Vec<&str> = columns.iter().map(|(_, sql)| sql.as_str()).collect();
    let mut select = format!(
        "SELECT\n  {}\nFROM {}.{}",
        selected.join(",\n  "),
        dialect.quote(database),
        dialect.quote(&table.name),
    );
    if let Some(filter) = shape.filter {
        select.push_str("\nWHERE ");
        select.push_str(&expand(dialect, filter));
    }
    if !shape.measures.is_empty() {
        let counted = columns.len() - table.partition_keys.len();
        let groups: Vec<String> =
            (1..=grouped).chain(counted + 1..=columns.len()).map(|at| at.to_string()).collect();
        select.push_str("\nGROUP BY ");
        select.push_str(&groups.join(", "));
    }
    Some(View {
        name: format!("{}_{}", table.name, shape.suffix),
        description: shape.description,
        columns: columns.into_iter().map(|(column, _)| column).collect(),
        select,
    })
}

/// Returns a column and its SQL; none if the table lacks what it is made of.
fn column<'a>(
    dialect: Dialect,
    name: &str,
    own: &impl Fn(&str) -> Option<&'a Column>,
) -> Option<(Column, String)> {
    match DERIVED.iter().find(|derived| derived.name == name) {
        Some(derived) => made(dialect, derived, own),
        None => own(name).map(|column| (bare(column), name.to_owned())),
    }
}

fn measure<'a>(
    dialect: Dialect,
    name: &str,
    own: &impl Fn(&str) -> Option<&'a Column>,
) -> Option<(Column, String)> {
    made(dialect, MEASURES.iter().find(|measure| measure.name == name)?, own)
}

fn made<'a>(
    dialect: Dialect,
    derived: &Derived,
    own: &impl Fn(&str) -> Option<&'a Column>,
) -> Option<(Column, String)> {
    if derived.needs.is_some_and(|needed| own(needed).is_none()) {
        return None;
    }
    let column = Column::new(derived.name, derived.hive_type).with_comment(derived.comment);
    Some((column, format!("{} AS {}", expand(dialect, derived.expression), derived.name)))
}

/// A column without what Glue or others keep beside it.
pub(super) fn bare(column: &Column) -> Column {
    Column::new(&column.name, &column.hive_type).with_comment(&column.comment)
}

/// Replaces the shared expressions, then `{json:column.key}` and `{bytes:key}`.
pub(super) fn expand(dialect: Dialect, expression: &str) -> String {
    let mut text = expression.to_owned();
    for (name, shared) in SHARED {
        text = text.replace(name, shared);
    }
    let mut done = String::new();
    let mut rest = text.as_str();
    while let Some((before, (inside, after))) =
        rest.split_once('{').and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
    {
        done.push_str(before);
        done.push_str(&match inside.split_once(':') {
            Some(("bytes", key)) => bytes(dialect, key),
            Some((_, path)) => {
                let (column, key) = path.split_once('.').unwrap_or((path, ""));
                json_text(dialect, column, key)
            }
            None => inside.to_owned(),
        });
        rest = after;
    }
    done + rest
}

/// Returns the text at a path of a JSON column.
pub(super) fn json_text(dialect: Dialect, column: &str, key: &str) -> String {
    let function = match dialect {
        Dialect::Athena => "json_extract_scalar",
        Dialect::Spark => "get_json_object",
        Dialect::DuckDb => "json_extract_string",
    };
    format!("{function}({column}, '$.{key}')")
}

/// S3 writes byte counts both as `12` and as `12.0`.
fn bytes(dialect: Dialect, key: &str) -> String {
    let text = json_text(dialect, "additionaleventdata", key);
    format!("TRY_CAST(TRY_CAST({text} AS double) AS bigint)")
}
