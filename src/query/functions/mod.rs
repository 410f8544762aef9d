//! Athena's functions that polars-sql does not have, as user-defined functions of polars.
//!
//! All of them go row by row: null in, null out, and null for what cannot be computed (Trino ends the query
//! at some of that). JSON is read where it stands, by the cursor of `parse`, and no tree is built.

mod format;
mod json;
mod lists;
mod network;
mod text;
mod time;

use polars::prelude::{
    BaseColumnUdf, Column, DataType, Field, IntoColumn, PolarsResult, Schema, Series,
    StringChunked, UserDefinedFunction,
};
use polars::prelude::{polars_bail, polars_ensure};
use polars::sql::FunctionRegistry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
pub(super) use time::timestamp;

/// The functions by their names.
#[derive(Clone)]
pub(super) struct Functions {
    named: BTreeMap<&'static str, UserDefinedFunction>,
    /// Those that take a member out of a struct, made when they are asked for.
    members: Arc<Mutex<BTreeMap<String, UserDefinedFunction>>>,
}

/// What the name of a function begins with that takes the member of that name out of a struct.
pub(super) const MEMBER: &str = "_member_";

impl Functions {
    /// Returns all of them.
    pub(super) fn all() -> Self {
        let all = [json::all(), lists::all(), network::all(), text::all(), time::all()];
        let all = all.into_iter().flatten();
        let named = all.map(|made: Made| (made.name, made.function())).collect();
        Self { named, members: Arc::default() }
    }

    /// Returns their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().copied()
    }
}

impl FunctionRegistry for Functions {
    fn register(&mut self, _name: &str, _function: UserDefinedFunction) -> PolarsResult<()> {
        polars_bail!(InvalidOperation: "functions cannot be added")
    }

    fn get_udf(&self, name: &str) -> PolarsResult<Option<UserDefinedFunction>> {
        let Some(member) = name.strip_prefix(MEMBER) else {
            return Ok(self.named.get(name).cloned());
        };
        // The same function every time: polars compares expressions by it.
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let known = members.entry(member.to_owned()).or_insert_with(|| member_of(member));
        Ok(Some(known.clone()))
    }

    fn contains(&self, name: &str) -> bool {
        name.starts_with(MEMBER) || self.named.contains_key(name)
    }
}

/// What a function returns for arguments of some types.
type Typed = fn(&[Field]) -> PolarsResult<DataType>;
/// A function over the columns of its arguments, which all have one length.
type Computed = fn(&[Column]) -> PolarsResult<Series>;

/// A function: its name, how many arguments it takes, its type and its work.
struct Made {
    name: &'static str,
    arguments: std::ops::RangeInclusive<usize>,
    returns: Typed,
    compute: Computed,
}

impl Made {
    fn function(self) -> UserDefinedFunction {
        let Self { name, arguments, returns, compute } = self;
        let run = move |columns: &mut [Column]| {
            let rows = common_length(columns);
            if rows == 0 {
                // Without a row there is no literal either.
                let fields: Vec<Field> =
                    columns.iter().map(|column| column.field().into_owned()).collect();
                let name = fields.first().map_or_else(|| "".into(), |field| field.name().clone());
                return Ok(Column::new_empty(name, &returns(&fields)?));
            }
            let columns: Vec<Column> =
                columns.iter().map(|column| stretched(column, rows)).collect();
            let found = compute(&columns)?;
            let name = columns.first().map_or_else(|| "".into(), |column| column.name().clone());
            Ok(found.with_name(name).into_column())
        };
        let typed = move |_: &Schema, fields: &[Field]| {
            let count = fields.len();
            polars_ensure!(
                arguments.contains(&count),
                SQLSyntax: "{name} takes {} to {} arguments, and has {count}",
                arguments.start(), arguments.end()
            );
            let name = fields.first().map_or_else(|| "".into(), |field| field.name().clone());
            Ok(Field::new(name, returns(fields)?))
        };
        let mut made = UserDefinedFunction::new(name.into(), BaseColumnUdf::new(run, typed));
        made.options.set_elementwise();
        made
    }
}

/// Makes the function that takes a member out of a struct.
fn member_of(name: &str) -> UserDefinedFunction {
    let (of, typed) = (name.to_owned(), name.to_owned());
    let run = move |columns: &mut [Column]| {
        let member = columns[0].as_materialized_series().struct_()?.field_by_name(&of)?;
        Ok(member.with_name(columns[0].name().clone()).into_column())
    };
    let typed = move |_: &Schema, fields: &[Field]| {
        let member = fields.first().and_then(|field| match field.dtype() {
            DataType::Struct(members) => members.iter().find(|it| it.name().as_str() == typed),
            _ => None,
        });
        let Some(member) = member else {
            polars_bail!(StructFieldNotFound: "{typed}");
        };
        Ok(Field::new(fields[0].name().clone(), member.dtype().clone()))
    };
    let mut made =
        UserDefinedFunction::new(format!("{MEMBER}{name}").into(), BaseColumnUdf::new(run, typed));
    made.options.set_elementwise();
    made
}

/// A literal has one row; nothing else differs in length.
fn common_length(columns: &[Column]) -> usize {
    match columns.iter().any(Column::is_empty) {
        true => 0,
        false => columns.iter().map(Column::len).max().unwrap_or(0),
    }
}

fn stretched(column: &Column, rows: usize) -> Column {
    if column.len() == rows || column.len() != 1 {
        column.clone()
    } else {
        column.new_from_index(0, rows)
    }
}

/// Returns the values of a column as strings.
fn strings(column: &Column) -> PolarsResult<StringChunked> {
    match column.dtype() {
        DataType::String => Ok(column.str()?.clone()),
        _ => Ok(column.cast(&DataType::String)?.str()?.clone()),
    }
}

/// Returns the value of a column that is the same in all rows, as literals are.
fn constant(column: &Column, what: &str) -> PolarsResult<Option<String>> {
    let values = strings(column)?;
    let first = values.get(0).map(str::to_owned);
    let is_same = values.iter().all(|value| value == first.as_deref());
    polars_ensure!(is_same, SQLInterface: "{what} must be a literal");
    Ok(first)
}

fn text_type(_: &[Field]) -> PolarsResult<DataType> {
    Ok(DataType::String)
}

fn number_type(_: &[Field]) -> PolarsResult<DataType> {
    Ok(DataType::Int64)
}

fn flag_type(_: &[Field]) -> PolarsResult<DataType> {
    Ok(DataType::Boolean)
}
