//! Relations in FROM: arrays that are unnested beside a table.

use crate::query::rewrite::calls::arguments;
use sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, Select, TableFactor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// Returns the name that a relation is given, or has.
pub(super) fn alias_of(factor: &TableFactor) -> Option<&Ident> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::UNNEST { alias, .. } => alias.as_ref().map(|alias| &alias.name),
        _ => None,
    }
}

/// Arranges FROM so that every array is unnested by a cross join, and rows without elements are left out,
/// as SQL has it; returns the names of what is unnested.
pub(super) fn arrange(select: &mut Select) -> Result<Vec<String>, String> {
    join_what_is_listed(select);
    let mut names = Vec::new();
    for from in &mut select.from {
        let mut arrays = Vec::new();
        for join in &mut from.joins {
            let TableFactor::UNNEST { alias, array_exprs, .. } = &mut join.relation else {
                continue;
            };
            names.extend(alias.iter().map(|alias| alias.name.value.clone()));
            for array in array_exprs {
                if let Some(inner) = without_row(array) {
                    *array = inner;
                }
                arrays.push(column_of(array)?);
            }
        }
        if !arrays.is_empty() {
            leave_out_empty(&mut from.relation, &arrays)?;
        }
    }
    Ok(names)
}

/// Makes `FROM t, UNNEST(a) AS u (x)` a cross join.
fn join_what_is_listed(select: &mut Select) {
    let is_array = |relation: &TableFactor| matches!(relation, TableFactor::UNNEST { .. });
    let mut at = 1;
    while at < select.from.len() {
        if is_array(&select.from[at].relation) {
            let listed = select.from.remove(at);
            let join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
            let join = Join { relation: listed.relation, global: false, join_operator };
            let before = &mut select.from[at - 1].joins;
            before.push(join);
            before.extend(listed.joins);
        } else {
            at += 1;
        }
    }
}

/// Takes `transform(a, x -> ROW(x))` as `a`: in Trino, it keeps the members of each element together,
/// which they are here.
fn without_row(array: &Expr) -> Option<Expr> {
    let called = |expr: &Expr, name: &str| match expr {
        Expr::Function(function) if function.name.to_string() == name => arguments(function),
        _ => None,
    };
    let inner = called(array, "transform")?;
    let [of, Expr::BinaryOp { left, op: BinaryOperator::Arrow, right }] = &inner[..] else {
        return None;
    };
    let is_row = called(right, "row")?.as_slice() == [(**left).clone()];
    is_row.then(|| of.clone())
}

fn column_of(array: &Expr) -> Result<String, String> {
    match array {
        Expr::Identifier(name) => Ok(name.to_string()),
        Expr::CompoundIdentifier(parts) => {
            Ok(parts.last().map(ToString::to_string).unwrap_or_default())
        }
        other => Err(format!("UNNEST of `{other}` is not supported: expected a column")),
    }
}

/// polars keeps a row, with null, for an array that is null or empty.
fn leave_out_empty(relation: &mut TableFactor, arrays: &[String]) -> Result<(), String> {
    let TableFactor::Table { name, alias, .. } = &*relation else { return Ok(()) };
    let last = name.0.last().map(ToString::to_string).unwrap_or_default();
    let alias = alias.as_ref().map_or(last, |alias| alias.name.to_string());
    let tests: Vec<String> =
        arrays.iter().map(|array| format!("array_length({array}) > 0")).collect();
    let text = format!("(SELECT * FROM {name} WHERE {}) AS {alias}", tests.join(" OR "));
    let parsed = Parser::new(&GenericDialect).try_with_sql(&text);
    *relation = parsed.and_then(|mut it| it.parse_table_factor()).map_err(|err| err.to_string())?;
    Ok(())
}
