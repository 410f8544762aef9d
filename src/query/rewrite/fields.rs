//! Members of structs, elements of arrays, values of maps.

use crate::query::functions::MEMBER;
use crate::query::rewrite::calls::call;
use sqlparser::ast::{AccessExpr, Expr, Ident, Subscript, Value};

/// Returns the expression for a path of names.
pub(super) fn path(mut parts: Vec<Ident>) -> Expr {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => Expr::Identifier(only),
        (_, last) => {
            parts.extend(last);
            Expr::CompoundIdentifier(parts)
        }
    }
}

/// Returns the expression for an access such as `element_at(resources, 1).arn` or `tags['x']`.
pub(super) fn access(
    root: &Expr,
    chain: &[AccessExpr],
    shorten: &dyn Fn(&mut Vec<Ident>),
) -> Result<Expr, String> {
    let mut chain = chain.iter().peekable();
    let mut found = match root {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
            let mut parts = match root {
                Expr::CompoundIdentifier(parts) => parts.clone(),
                Expr::Identifier(only) => vec![only.clone()],
                _ => Vec::new(),
            };
            while let Some(AccessExpr::Dot(Expr::Identifier(name))) = chain.peek() {
                parts.push(name.clone());
                chain.next();
            }
            shorten(&mut parts);
            path(parts)
        }
        other => other.clone(),
    };
    for access in chain {
        found = match access {
            // polars-sql has `->`, and loses it among the keys of a GROUP BY.
            AccessExpr::Dot(Expr::Identifier(name)) => {
                call(&format!("{MEMBER}{}", name.value), vec![found])
            }
            AccessExpr::Subscript(Subscript::Index { index }) => {
                let is_name = |value: &Value| matches!(value, Value::SingleQuotedString(_));
                let name = match index {
                    Expr::Value(value) if is_name(&value.value) => "map_value",
                    _ => "array_get",
                };
                call(name, vec![found, index.clone()])
            }
            other => return Err(format!("`{other}` after an expression is not supported")),
        };
    }
    Ok(found)
}
