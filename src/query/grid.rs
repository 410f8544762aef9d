//! The answer of a statement: rows and columns, and the forms in which they are written.

use crate::error::{Error, Result};
use crate::query::functions::timestamp;
use crate::text::{clean, fitted, safe_in_sheet};
use crate::units::Day;
use polars::prelude::{
    AnyValue, BooleanChunked, DataFrame, DataType, ListChunked, Series, StructChunked, TimeUnit,
};
use serde_json::{Map, Value};
use std::io::Write;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GridForm {
    /// Columns for people.
    Table,
    /// CSV with a line of names.
    Csv,
    /// One array of objects.
    Json,
    /// An object a line.
    Jsonl,
}

/// The widest column of a table, in characters; longer values are cut.
const WIDEST: usize = 60;

/// An answer.
#[derive(Clone, Debug)]
pub struct Grid {
    frame: DataFrame,
    cells: Vec<Cells>,
}

/// The values of a column, nested ones taken apart.
#[derive(Clone, Debug)]
enum Cells {
    Plain(Series),
    /// Which rows have a struct, and its members with their names.
    Struct(BooleanChunked, Vec<(String, Cells)>),
    List(ListChunked),
}

impl Grid {
    /// Takes the rows of a frame.
    pub fn new(frame: DataFrame) -> Self {
        let cells = frame.columns().iter().map(|it| Cells::of(it.as_materialized_series()));
        let cells = cells.collect();
        Self { frame, cells }
    }

    /// Returns the rows as polars has them.
    pub fn frame(&self) -> &DataFrame {
        &self.frame
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.frame.height()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the names of the columns.
    pub fn names(&self) -> Vec<&str> {
        self.frame.columns().iter().map(|column| column.name().as_str()).collect()
    }

    /// Returns a value: null, a boolean, a number, a string, or an array or object for nested ones. Instants
    /// are written as Athena shows them, `2026-10-01 02:03:04.000`.
    pub fn value(&self, row: usize, column: usize) -> Value {
        self.cells.get(column).map_or(Value::Null, |cells| cells.value(row))
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn write(&self, form: GridForm, out: impl Write) -> Result<()> {
        match form {
            GridForm::Table => self.write_table(out),
            GridForm::Csv => self.write_csv(out),
            GridForm::Json | GridForm::Jsonl => self.write_json(form, out),
        }
        .map_err(|err| Error::io("cannot write to stdout", err))
    }

    /// A value as one text; nested ones as JSON.
    fn text(&self, row: usize, column: usize) -> String {
        match self.value(row, column) {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    fn write_table(&self, mut out: impl Write) -> std::io::Result<()> {
        let columns = self.frame.width();
        let line = |row: usize| -> Vec<String> {
            (0..columns).map(|column| clean(&self.text(row, column))).collect()
        };
        let names: Vec<String> = self.names().iter().map(|name| clean(name)).collect();
        let width = |text: &String| text.chars().count();
        let mut widths: Vec<usize> = names.iter().map(width).collect();
        for row in 0..self.len() {
            for (widest, text) in widths.iter_mut().zip(line(row)) {
                *widest = (*widest).max(width(&text));
            }
        }
        let is_number: Vec<bool> = self
            .frame
            .columns()
            .iter()
            .map(|column| column.dtype().is_primitive_numeric())
            .collect();
        let shown = |values: &[String]| {
            let cells = values.iter().zip(&widths).zip(&is_number);
            let cell = |((text, width), is_number): ((&String, &usize), &bool)| {
                let width = (*width).min(WIDEST);
                if *is_number { format!("{text:>width$}") } else { fitted(text, width) }
            };
            cells.map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        writeln!(out, "{}", shown(&names))?;
        let rule: Vec<String> = widths.iter().map(|it| "-".repeat((*it).min(WIDEST))).collect();
        writeln!(out, "{}", rule.join("  "))?;
        for row in 0..self.len() {
            writeln!(out, "{}", shown(&line(row)))?;
        }
        out.flush()
    }

    fn write_csv(&self, out: impl Write) -> std::io::Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        let names = self.names().into_iter().map(|name| safe_in_sheet(name.to_owned()));
        rows.write_record(names)?;
        // A negative number is no formula.
        let is_number: Vec<bool> = self
            .frame
            .columns()
            .iter()
            .map(|column| column.dtype().is_primitive_numeric())
            .collect();
        for row in 0..self.len() {
            let value = |(column, is_number): (usize, &bool)| {
                let text = self.text(row, column);
                if *is_number { text } else { safe_in_sheet(text) }
            };
            rows.write_record(is_number.iter().enumerate().map(value))?;
        }
        rows.flush()
    }

    fn write_json(&self, form: GridForm, mut out: impl Write) -> std::io::Result<()> {
        let names = self.names();
        let object = |row: usize| {
            let values = names.iter().enumerate();
            let members = values.map(|(at, name)| ((*name).to_owned(), self.value(row, at)));
            Value::Object(members.collect::<Map<_, _>>())
        };
        if form == GridForm::Jsonl {
            for row in 0..self.len() {
                writeln!(out, "{}", object(row))?;
            }
            return out.flush();
        }
        write!(out, "[")?;
        for row in 0..self.len() {
            write!(out, "{}{}", if row == 0 { "\n" } else { ",\n" }, object(row))?;
        }
        writeln!(out, "{}]", if self.is_empty() { "" } else { "\n" })?;
        out.flush()
    }
}

impl Cells {
    fn of(series: &Series) -> Self {
        match series.dtype() {
            DataType::Struct(_) => {
                let members =
                    series.struct_().map_or_else(|_| Vec::new(), StructChunked::fields_as_series);
                let member = |field: &Series| (field.name().to_string(), Self::of(field));
                Self::Struct(series.is_not_null(), members.iter().map(member).collect())
            }
            DataType::List(_) => match series.list() {
                Ok(list) => Self::List(list.clone()),
                Err(_) => Self::Plain(series.clone()),
            },
            _ => Self::Plain(series.clone()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Plain(series) => series.len(),
            Self::Struct(is_there, _) => is_there.len(),
            Self::List(list) => list.len(),
        }
    }

    fn value(&self, row: usize) -> Value {
        match self {
            Self::Plain(series) => series.get(row).map_or(Value::Null, |value| plain(&value)),
            Self::Struct(is_there, _) if is_there.get(row) != Some(true) => Value::Null,
            Self::Struct(_, members) => {
                let member = |(name, cells): &(String, Self)| (name.clone(), cells.value(row));
                Value::Object(members.iter().map(member).collect())
            }
            Self::List(list) => list.get_as_series(row).map_or(Value::Null, |it| elements(&it)),
        }
    }
}

fn plain(value: &AnyValue<'_>) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(flag) => Value::Bool(*flag),
        AnyValue::String(text) => Value::String((*text).to_owned()),
        AnyValue::StringOwned(text) => Value::String(text.to_string()),
        AnyValue::Float32(number) => Value::from(*number),
        AnyValue::Float64(number) => Value::from(*number),
        AnyValue::Date(day) => Value::String(Day(*day).to_string()),
        AnyValue::Datetime(at, unit, _) => Value::String(timestamp(in_millis(*at, *unit))),
        AnyValue::DatetimeOwned(at, unit, _) => Value::String(timestamp(in_millis(*at, *unit))),
        other => match other.extract::<i64>() {
            Some(number) => Value::from(number),
            None => Value::String(other.to_string()),
        },
    }
}

/// The elements of a list; those of a list of pairs of a key and a value, which is a map, by their keys.
fn elements(values: &Series) -> Value {
    let cells = Cells::of(values);
    if let Cells::Struct(_, members) = &cells
        && let [(key, keys), (value, values)] = &members[..]
        && key == "key"
        && value == "value"
    {
        let pair = |row| Some((keys.value(row).as_str()?.to_owned(), values.value(row)));
        return Value::Object((0..keys.len()).filter_map(pair).collect());
    }
    Value::Array((0..values.len()).map(|row| cells.value(row)).collect())
}

fn in_millis(at: i64, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Milliseconds => at,
        TimeUnit::Microseconds => at.div_euclid(1_000),
        TimeUnit::Nanoseconds => at.div_euclid(1_000_000),
    }
}
