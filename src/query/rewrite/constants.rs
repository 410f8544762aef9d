//! Expressions without columns, worked out once: files are left out by their values.

use crate::query::functions::Functions;
use crate::query::rewrite::calls::{arguments, date, instant};
use crate::units::Day;
use polars::prelude::{AnyValue, TimeUnit};
use polars::sql::SQLContext;
use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};
use std::sync::Arc;

/// Returns the value of an expression, if it is one of functions of time, casts or operators over
/// literals, and polars can tell.
pub(super) fn folded(expr: &Expr, functions: &Functions) -> Option<Expr> {
    let is_done = match expr {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::Function(function) => function.name.to_string() == "date",
        _ => false,
    };
    if is_done || !is_constant(expr, functions) {
        return None;
    }
    let registry = Arc::new(functions.clone());
    let mut context = SQLContext::new().with_function_registry(registry);
    let frame = context.execute(&format!("SELECT {expr} AS v")).ok()?.collect().ok()?;
    let value = frame.column("v").ok()?.get(0).ok()?.into_static();
    literal(&value)
}

fn is_constant(expr: &Expr, functions: &Functions) -> bool {
    let is = |inner: &Expr| is_constant(inner, functions);
    match expr {
        Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is(expr),
        Expr::BinaryOp { left, op, right } => {
            let is_sum = matches!(op, BinaryOperator::Plus | BinaryOperator::Minus);
            is_sum && is(left) && is(right)
        }
        Expr::Function(function) => {
            let name = function.name.to_string();
            let is_ours = name == "date" || functions.names().any(|ours| ours == name);
            is_ours && arguments(function).is_some_and(|all| all.iter().all(is))
        }
        _ => false,
    }
}

fn literal(value: &AnyValue<'_>) -> Option<Expr> {
    Some(match value {
        AnyValue::String(text) => Expr::value(Value::SingleQuotedString((*text).to_owned())),
        AnyValue::StringOwned(text) => Expr::value(Value::SingleQuotedString(text.to_string())),
        AnyValue::Boolean(flag) => Expr::value(Value::Boolean(*flag)),
        AnyValue::Int32(number) => Expr::value(Value::Number(number.to_string(), false)),
        AnyValue::Int64(number) => Expr::value(Value::Number(number.to_string(), false)),
        AnyValue::Date(day) => date(Day(*day)),
        AnyValue::Datetime(at, unit, _) | AnyValue::DatetimeOwned(at, unit, _) => {
            instant(match unit {
                TimeUnit::Milliseconds => *at,
                TimeUnit::Microseconds => at.div_euclid(1_000),
                TimeUnit::Nanoseconds => at.div_euclid(1_000_000),
            })
        }
        _ => return None,
    })
}
