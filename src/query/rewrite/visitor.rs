//! The walk over a statement, and what is done to its queries and expressions.

use crate::query::functions::Functions;
use crate::query::rewrite::{Words, calls, constants, fields, tables};
use crate::units::EpochMillis;
use sqlparser::ast::{
    DataType, Expr, GroupByExpr, Ident, ObjectName, ObjectNamePart, OrderByKind, Query, Select,
    SelectItem, SetExpr, TableFactor, Value, VisitorMut, visit_expressions,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Rewrites a statement in place; stops with a message where that is not possible.
pub(super) struct Rewriter<'a> {
    is_table: &'a dyn Fn(&str) -> bool,
    functions: &'a Functions,
    now: EpochMillis,
    relations: BTreeSet<String>,
    /// Names of common table expressions, and of relations in FROM.
    names: BTreeSet<String>,
    /// Names of what is unnested: columns do not bear them.
    unnested: BTreeSet<String>,
    words: Words,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        is_table: &'a dyn Fn(&str) -> bool,
        functions: &'a Functions,
        now: EpochMillis,
    ) -> Self {
        let (relations, names, unnested, words) = Default::default();
        Self { is_table, functions, now, relations, names, unnested, words }
    }

    /// Returns the relations that were read, the names that were given, and the words of expressions.
    pub(super) fn into_parts(self) -> (BTreeSet<String>, BTreeSet<String>, Words) {
        (self.relations, self.names, self.words)
    }

    /// Drops from a path what is not a table, a column or a member.
    fn shorten(&self, parts: &mut Vec<Ident>) {
        let is_given = |part: &Ident| self.names.contains(&part.value);
        let is_of_unnested = parts.len() > 1 && self.unnested.contains(&parts[0].value);
        let is_of_database =
            parts.len() > 2 && (self.is_table)(&parts[1].value) && !is_given(&parts[0]);
        if is_of_unnested || is_of_database {
            parts.remove(0);
        }
    }

    fn note(&mut self, ident: Option<&Ident>) {
        self.words.whole.extend(ident.map(|ident| ident.value.clone()));
    }

    fn rewritten(&mut self, expr: &Expr) -> Result<Option<Expr>, String> {
        Ok(match expr {
            Expr::Identifier(ident) => {
                self.note(Some(ident));
                None
            }
            Expr::CompoundIdentifier(parts) => {
                let mut parts = parts.clone();
                self.shorten(&mut parts);
                self.note(parts.last());
                Some(fields::path(parts))
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                Some(fields::access(root, access_chain, &|parts| self.shorten(parts))?)
            }
            Expr::Function(function) => match calls::rewritten(function, self.now)? {
                Some(other) => Some(constants::folded(&other, self.functions).unwrap_or(other)),
                None => constants::folded(expr, self.functions),
            },
            Expr::AtTimeZone { timestamp, time_zone } => {
                let arguments = vec![(**timestamp).clone(), (**time_zone).clone()];
                let call = calls::call("at_timezone", arguments);
                Some(constants::folded(&call, self.functions).unwrap_or(call))
            }
            Expr::Cast { expr: inner, data_type: DataType::Custom(name, _), .. } => {
                match name.to_string().as_str() {
                    "ipaddress" => Some(calls::call("ipaddress", vec![(**inner).clone()])),
                    _ => None,
                }
            }
            Expr::Cast { expr: inner, data_type: DataType::JSON, .. } => Some((**inner).clone()),
            Expr::Cast { expr: inner, data_type: DataType::Date, .. } => {
                let call = calls::call("to_date", vec![(**inner).clone()]);
                Some(constants::folded(&call, self.functions).unwrap_or(call))
            }
            Expr::Cast { expr: inner, data_type: DataType::Timestamp(..), .. } => {
                let call = calls::call("to_timestamp", vec![(**inner).clone()]);
                Some(constants::folded(&call, self.functions).unwrap_or(call))
            }
            Expr::BinaryOp { .. } | Expr::Cast { .. } => {
                let signed =
                    calls::without_negative_interval(expr).or_else(|| calls::whole_quotient(expr));
                let expr = signed.as_ref().unwrap_or(expr);
                constants::folded(expr, self.functions).or(signed)
            }
            other => calls::rewritten_literal(other)?,
        })
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = &cte.alias.name.value;
            // polars-sql would read the table.
            if (self.is_table)(name) {
                return ControlFlow::Break(format!(
                    "`{name}` is a table of the lake: give the WITH query another name"
                ));
            }
            self.names.insert(name.clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<String> {
        match tables::arrange(select) {
            Ok(unnested) => self.unnested.extend(unnested),
            Err(message) => return ControlFlow::Break(message),
        }
        let is_wildcard = |item: &SelectItem| {
            matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
        };
        self.words.has_wildcard |= select.projection.iter().any(is_wildcard);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<String> {
        if let Some(alias) = tables::alias_of(factor) {
            self.names.insert(alias.value.clone());
        }
        match factor {
            TableFactor::Table { args: Some(_), name, .. } | TableFactor::Function { name, .. } => {
                ControlFlow::Break(format!("table function `{name}` is not supported"))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<String> {
        if let Some(ObjectNamePart::Identifier(last)) = relation.0.last().cloned() {
            self.relations.insert(last.value.clone());
            *relation = ObjectName::from(last);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        match self.rewritten(expr) {
            Ok(Some(other)) => *expr = other,
            Ok(None) => {}
            Err(message) => return ControlFlow::Break(message),
        }
        if let Expr::Function(function) = &*expr
            && let Some(sum) = calls::sum_or_null(function)
        {
            *expr = sum;
        }
        if matches!(expr, Expr::Function(_) | Expr::Extract { .. } | Expr::Position { .. }) {
            *expr = calls::widened(expr.clone());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<String> {
        if select.projection.iter().any(|item| expression(item).is_some_and(is_window_of_sums)) {
            let message = "a window function over an aggregate is not supported: put the aggregate \
                           into a subquery";
            return ControlFlow::Break(message.to_owned());
        }
        name_columns(&mut select.projection);
        let GroupByExpr::Expressions(keys, _) = &mut select.group_by else {
            return ControlFlow::Continue(());
        };
        // A wildcard is any number of columns.
        let is_counted = |item: &SelectItem| {
            matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
        };
        let known = select.projection.iter().take_while(|item| is_counted(item));
        let known: Vec<&Expr> = known.filter_map(|item| expression(item)).collect();
        for key in keys.iter_mut().filter(|key| !matches!(key, Expr::Identifier(_))) {
            if let Some(at) = known.iter().position(|expr| *expr == key) {
                *key = Expr::value(Value::Number((at + 1).to_string(), false));
            }
        }
        if !keys.is_empty() {
            select.projection.iter_mut().for_each(keep_name_of_key);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        let SetExpr::Select(select) = &*query.body else { return ControlFlow::Continue(()) };
        let Some(order) = &mut query.order_by else { return ControlFlow::Continue(()) };
        let OrderByKind::Expressions(orders) = &mut order.kind else {
            return ControlFlow::Continue(());
        };
        for order in orders {
            // Whatever the direction, as in Athena.
            order.options.nulls_first.get_or_insert(false);
            let is_it = |item: &&SelectItem| expression(item) == Some(&order.expr);
            let named = select.projection.iter().find(is_it).and_then(name_of);
            if let Some(name) = named.filter(|_| !matches!(order.expr, Expr::Identifier(_))) {
                order.expr = Expr::Identifier(name);
            }
        }
        ControlFlow::Continue(())
    }
}

/// `sum(count(*)) OVER ()`: polars-sql answers it, and not with the sum.
fn is_window_of_sums(expr: &Expr) -> bool {
    let is_sum = |inner: &Expr| match inner {
        Expr::Function(inner) if calls::is_aggregate(inner) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let found = visit_expressions(expr, |outer: &Expr| match outer {
        Expr::Function(outer) if outer.over.is_some() => visit_expressions(&outer.args, is_sum),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

fn expression(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// A member of a struct that is a key of a `GROUP BY` under another name: polars-sql looks for it under its
/// own name afterwards, and does not find it. The value of a call has no name of its own.
fn keep_name_of_key(item: &mut SelectItem) {
    if let SelectItem::ExprWithAlias { expr, .. } = item
        && matches!(expr, Expr::CompoundIdentifier(_))
    {
        *expr = calls::call("COALESCE", vec![expr.clone()]);
    }
}

/// Returns the name that a column of the answer has.
fn name_of(item: &SelectItem) -> Option<Ident> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().cloned(),
        _ => None,
    }
}

/// Gives columns of the answer names that differ: `_col0` to those without one, as Athena does, and `arn_2`
/// to the second `arn`, where Athena has two.
fn name_columns(projection: &mut [SelectItem]) {
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (at, item) in projection.iter_mut().enumerate() {
        let name = match item {
            SelectItem::UnnamedExpr(Expr::Function(it)) if it.name.to_string() == "columns" => {
                continue;
            }
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => name_of(item),
            _ => continue,
        };
        let wanted = name.as_ref().map_or_else(|| format!("_col{at}"), |name| name.value.clone());
        let mut given = wanted.clone();
        let mut count = 1;
        while !used.insert(given.clone()) {
            count += 1;
            given = format!("{wanted}_{count}");
        }
        if name.is_some_and(|name| name.value == given) {
            continue;
        }
        if let Some(expr) = expression(item).cloned() {
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', given) };
        }
    }
}
