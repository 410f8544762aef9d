//! Calls of functions, and literals, that polars-sql spells in another way.

use crate::query::functions::timestamp;
use crate::units::{Day, EpochMillis, read_instant};
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, DateTimeField, DuplicateTreatment, Expr,
    ExtractSyntax, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, Interval, ObjectName, TimezoneInfo,
    TypedString, Value, ValueWithSpan,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// Functions that differ by their names only.
const RENAMED: [(&str, &str); 17] = [
    // Any value but null; of several, the same one every time.
    ("any_value", "max"),
    ("arbitrary", "max"),
    ("array_distinct", "array_unique"),
    ("array_join", "array_to_string"),
    ("bool_and", "min"),
    ("bool_or", "max"),
    ("cardinality", "array_length"),
    ("contains", "array_contains"),
    ("every", "min"),
    ("get_json_object", "json_extract_scalar"),
    ("len", "length"),
    ("list", "array_agg"),
    ("nvl", "coalesce"),
    ("regexp_matches", "regexp_like"),
    ("split", "string_to_array"),
    ("stddev_samp", "stddev"),
    ("var_samp", "variance"),
];

/// Functions of Trino that do nothing here: JSON is its text, and what cannot be computed is null.
const TRANSPARENT: [&str; 5] = ["json_format", "json_parse", "map_entries", "try", "at_utc"];

/// Parts of an instant, by the functions that return them.
const PARTS: [(&str, DateTimeField); 13] = [
    ("year", DateTimeField::Year),
    ("quarter", DateTimeField::Quarter),
    ("month", DateTimeField::Month),
    ("week", DateTimeField::IsoWeek),
    ("day", DateTimeField::Day),
    ("day_of_month", DateTimeField::Day),
    ("day_of_week", DateTimeField::Isodow),
    ("dow", DateTimeField::Isodow),
    ("day_of_year", DateTimeField::DayOfYear),
    ("doy", DateTimeField::DayOfYear),
    ("hour", DateTimeField::Hour),
    ("minute", DateTimeField::Minute),
    ("second", DateTimeField::Second),
];

/// Functions whose numbers polars keeps in few bits, without a sign at that.
const NARROW: [&str; 9] = [
    "array_length",
    "bit_length",
    "char_length",
    "character_length",
    "count",
    "dense_rank",
    "length",
    "rank",
    "strpos",
];

/// Makes a bigint of what polars has as a smaller number: `count(*) - 2` is to be less than nothing.
pub(super) fn widened(expr: Expr) -> Expr {
    let is_narrow = match &expr {
        Expr::Function(function) => NARROW.contains(&function.name.to_string().as_str()),
        Expr::Extract { .. } | Expr::Position { .. } => true,
        _ => false,
    };
    if !is_narrow {
        return expr;
    }
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::BigInt(None),
        array: false,
        format: None,
    }
}

/// Makes `/` of two integers whole, as in Athena.
pub(super) fn whole_quotient(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::Divide, right }
            if is_integer(left) && is_integer(right) =>
        {
            let op = BinaryOperator::DuckIntegerDivide;
            Some(Expr::BinaryOp { left: left.clone(), op, right: right.clone() })
        }
        _ => None,
    }
}

/// Whether an expression is an integer by what is written: the type of a column is not known here.
fn is_integer(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(&value.value, Value::Number(text, _) if !text.contains('.')),
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_integer(inner),
        Expr::Cast { data_type, .. } => matches!(
            data_type,
            DataType::BigInt(_) | DataType::Integer(_) | DataType::Int(_) | DataType::SmallInt(_)
        ),
        Expr::BinaryOp { left, op, right } => {
            let is_whole = matches!(
                op,
                BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Modulo
                    | BinaryOperator::DuckIntegerDivide
            );
            is_whole && is_integer(left) && is_integer(right)
        }
        _ => false,
    }
}

/// Makes the sum of no values null, which polars has as 0.
pub(super) fn sum_or_null(function: &Function) -> Option<Expr> {
    let is_sum = function.name.to_string() == "sum" && function.over.is_none();
    let [of] = <[Expr; 1]>::try_from(arguments(function)?).ok().filter(|_| is_sum)?;
    let mut count = call("count", vec![of]);
    if let Expr::Function(count) = &mut count {
        count.filter.clone_from(&function.filter);
    }
    let is_any = Expr::BinaryOp {
        left: Box::new(count),
        op: BinaryOperator::Gt,
        right: Box::new(Expr::value(Value::Number("0".to_owned(), false))),
    };
    let when = CaseWhen { condition: is_any, result: Expr::Function(function.clone()) };
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![when],
        else_result: None,
    })
}

/// Returns whether a call is one of an aggregate.
pub(super) fn is_aggregate(function: &Function) -> bool {
    const AGGREGATES: [&str; 14] = [
        "array_agg",
        "avg",
        "corr",
        "count",
        "first",
        "last",
        "max",
        "median",
        "min",
        "stddev",
        "string_agg",
        "sum",
        "total",
        "variance",
    ];
    function.over.is_none() && AGGREGATES.contains(&function.name.to_string().as_str())
}

/// Makes a call.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let argument = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    let args = arguments.into_iter().map(argument).collect();
    let list = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Returns the arguments of a call, if all are expressions without a name.
pub(super) fn arguments(function: &Function) -> Option<Vec<Expr>> {
    match &function.args {
        FunctionArguments::None => Some(Vec::new()),
        FunctionArguments::Subquery(_) => None,
        FunctionArguments::List(list) => {
            let expr = |argument: &FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            };
            list.args.iter().map(expr).collect()
        }
    }
}

/// Returns what a call becomes; nothing where it stays.
pub(super) fn rewritten(function: &Function, now: EpochMillis) -> Result<Option<Expr>, String> {
    let name = function.name.to_string();
    let name = name.trim_matches('"');
    let given = arguments(function).unwrap_or_default();
    if let Some(part) = PARTS.iter().find(|(part, _)| *part == name).map(|(_, part)| part.clone()) {
        let [of] =
            <[Expr; 1]>::try_from(given).map_err(|_| format!("{name} takes one argument"))?;
        let expr = Box::new(of);
        return Ok(Some(Expr::Extract { field: part, syntax: ExtractSyntax::From, expr }));
    }
    Ok(Some(match (name, &given[..]) {
        ("current_date", []) => date(Day::of(now)),
        ("current_timestamp" | "now" | "localtimestamp", []) => instant(now),
        (name, [only]) if TRANSPARENT.contains(&name) => only.clone(),
        ("date", [of]) => call("to_date", vec![of.clone()]),
        ("max_by", [of, by]) => first_by(of, by, "DESC")?,
        ("min_by", [of, by]) => first_by(of, by, "ASC")?,
        ("approx_distinct", [of, ..]) => distinct("count", of.clone()),
        ("count_if", [condition]) => counted(condition.clone()),
        ("if", [condition, then]) => {
            call("if", vec![condition.clone(), then.clone(), Expr::value(Value::Null)])
        }
        ("replace", [text, old]) => {
            call("replace", vec![text.clone(), old.clone(), quoted(String::new())])
        }
        ("element_at", [of, Expr::Value(at)])
            if matches!(at.value, Value::SingleQuotedString(_)) =>
        {
            call("map_value", vec![of.clone(), Expr::Value(at.clone())])
        }
        ("element_at", [of, at]) => call("array_get", vec![of.clone(), at.clone()]),
        ("contains", [Expr::Value(block), address]) if matches!(&block.value, Value::SingleQuotedString(it) if it.contains('/')) => {
            call("contains_address", vec![Expr::Value(block.clone()), address.clone()])
        }
        ("listagg" | "string_agg", _) if !function.within_group.is_empty() => {
            ordered_within(function)
        }
        _ => return Ok(renamed(function, name)),
    }))
}

fn renamed(function: &Function, name: &str) -> Option<Expr> {
    let (_, new) = RENAMED.iter().find(|(old, _)| *old == name)?;
    let mut function = function.clone();
    function.name = ObjectName::from(vec![Ident::new(*new)]);
    Some(Expr::Function(function))
}

fn distinct(name: &str, of: Expr) -> Expr {
    let mut made = call(name, vec![of]);
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut made {
        list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
    }
    made
}

/// Counts rows that meet a condition.
fn counted(condition: Expr) -> Expr {
    let mut made = call("count", Vec::new());
    if let Expr::Function(function) = &mut made {
        if let FunctionArguments::List(list) = &mut function.args {
            list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
        }
        function.filter = Some(Box::new(condition));
    }
    made
}

/// Moves the order of `listagg(x, ',') WITHIN GROUP (ORDER BY y)` into the call.
fn ordered_within(function: &Function) -> Expr {
    let mut function = function.clone();
    let order = std::mem::take(&mut function.within_group);
    if let FunctionArguments::List(list) = &mut function.args {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    Expr::Function(function)
}

fn quoted(text: String) -> Expr {
    Expr::value(Value::SingleQuotedString(text))
}

/// Returns the literal of an instant.
pub(super) fn instant(at: EpochMillis) -> Expr {
    let value = ValueWithSpan::from(Value::SingleQuotedString(timestamp(at)));
    let data_type = DataType::Timestamp(None, TimezoneInfo::None);
    Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false })
}

/// Returns the literal of a day: polars-sql casts what is written `DATE '…'`, and warns of that.
pub(super) fn date(day: Day) -> Expr {
    call("date", vec![quoted(day.to_string())])
}

/// The value of the row with the greatest or least value of another column.
fn first_by(of: &Expr, by: &Expr, order: &str) -> Result<Expr, String> {
    let text = format!("array_get(array_agg({of} ORDER BY {by} {order} NULLS LAST), 1)");
    let parsed = Parser::new(&GenericDialect).try_with_sql(&text);
    parsed.and_then(|mut it| it.parse_expr()).map_err(|err| err.to_string())
}

/// Returns what a literal or an operator becomes that polars-sql does not take; nothing where it stays.
pub(super) fn rewritten_literal(expr: &Expr) -> Result<Option<Expr>, String> {
    Ok(match expr {
        Expr::TypedString(TypedString { data_type: DataType::Timestamp(..), value, .. }) => {
            let Value::SingleQuotedString(text) = &value.value else { return Ok(None) };
            let whole =
                if text.trim().len() == 10 { format!("{text} 00:00:00") } else { text.clone() };
            let at = read_instant(whole.trim().as_bytes(), true).ok_or_else(|| {
                format!("invalid timestamp `{text}`: expected 2026-10-01 02:03:04")
            })?;
            Some(instant(at))
        }
        Expr::TypedString(TypedString { data_type: DataType::Date, value, .. }) => {
            let Value::SingleQuotedString(text) = &value.value else { return Ok(None) };
            let day = text.trim().parse::<Day>();
            Some(date(day.map_err(|_| format!("invalid date `{text}`: expected 2026-10-01"))?))
        }
        Expr::Interval(interval) => whole_interval(interval),
        Expr::Like { negated, expr, pattern, escape_char: Some(escape), .. } => {
            Some(escaped_like(*negated, expr, pattern, escape)?)
        }
        Expr::Like { negated, expr, pattern, escape_char: None, any: false } => {
            simple_like(*negated, expr, pattern)
        }
        Expr::InList { expr, list, negated } if !list.iter().all(is_plain) => {
            let equal = |value: &Expr| Expr::BinaryOp {
                left: expr.clone(),
                op: BinaryOperator::Eq,
                right: Box::new(value.clone()),
            };
            let any = list.iter().map(equal).reduce(|left, right| Expr::BinaryOp {
                left: Box::new(left),
                op: BinaryOperator::Or,
                right: Box::new(right),
            });
            let any = any.map(|any| Expr::Nested(Box::new(any)));
            let not = |any| Expr::UnaryOp { op: sqlparser::ast::UnaryOperator::Not, expr: any };
            any.map(|any| if *negated { not(Box::new(any)) } else { any })
        }
        _ => None,
    })
}

/// Whether polars-sql takes an expression as an element of a list.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::UnaryOp { expr, .. } => matches!(**expr, Expr::Value(_)),
        _ => false,
    }
}

/// Writes `INTERVAL '30' DAY` as `INTERVAL '30 day'`.
fn whole_interval(interval: &Interval) -> Option<Expr> {
    let unit = interval.leading_field.as_ref()?;
    let count = match &*interval.value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::Number(text, _) => text.clone(),
            _ => return None,
        },
        _ => return None,
    };
    Some(Expr::Interval(Interval {
        value: Box::new(quoted(format!("{} {}", count.trim(), unit.to_string().to_lowercase()))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }))
}

/// Writes `x + INTERVAL '-7 day'` as `x - INTERVAL '7 day'`.
pub(super) fn without_negative_interval(expr: &Expr) -> Option<Expr> {
    let Expr::BinaryOp { left, op, right } = expr else { return None };
    let Expr::Interval(interval) = &**right else { return None };
    let Expr::Value(value) = &*interval.value else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let positive = text.trim().strip_prefix('-')?;
    let op = match op {
        BinaryOperator::Plus => BinaryOperator::Minus,
        BinaryOperator::Minus => BinaryOperator::Plus,
        _ => return None,
    };
    let value = Box::new(quoted(positive.to_owned()));
    let right = Box::new(Expr::Interval(Interval { value, ..interval.clone() }));
    Some(Expr::BinaryOp { left: left.clone(), op, right })
}

/// Writes LIKE with an escape as a regular expression.
fn escaped_like(
    negated: bool,
    expr: &Expr,
    pattern: &Expr,
    escape: &ValueWithSpan,
) -> Result<Expr, String> {
    let text = |value: &Value| match value {
        Value::SingleQuotedString(text) => Some(text.clone()),
        _ => None,
    };
    let pattern = match pattern {
        Expr::Value(value) => text(&value.value),
        _ => None,
    };
    let escape = text(&escape.value).and_then(|text| text.chars().next());
    let (Some(pattern), Some(escape)) = (pattern, escape) else {
        return Err("LIKE … ESCAPE takes a literal pattern and one character".to_owned());
    };
    let mut regex = String::from("(?s)^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == escape => push_literal(&mut regex, chars.next().unwrap_or(escape)),
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            c => push_literal(&mut regex, c),
        }
    }
    regex.push('$');
    Ok(negated_if(negated, call("regexp_like", vec![expr.clone(), quoted(regex)])))
}

/// Writes LIKE with `%` at the ends of its pattern alone without a regular expression that is held against
/// every character, as polars-sql does: a quarter of a report's processor time.
fn simple_like(negated: bool, expr: &Expr, pattern: &Expr) -> Option<Expr> {
    let Expr::Value(value) = pattern else { return None };
    let Value::SingleQuotedString(pattern) = &value.value else { return None };
    let inner = pattern.trim_matches('%');
    if inner.is_empty() || inner.contains(['%', '_']) {
        return None;
    }
    let (function, text) = match (pattern.starts_with('%'), pattern.ends_with('%')) {
        (false, false) => return None,
        (false, true) => ("starts_with", inner.to_owned()),
        (true, false) => ("ends_with", inner.to_owned()),
        (true, true) => {
            let mut regex = String::new();
            inner.chars().for_each(|c| push_literal(&mut regex, c));
            ("regexp_like", regex)
        }
    };
    Some(negated_if(negated, call(function, vec![expr.clone(), quoted(text)])))
}

fn negated_if(negated: bool, expr: Expr) -> Expr {
    let not = |expr| Expr::UnaryOp { op: sqlparser::ast::UnaryOperator::Not, expr };
    // In parentheses: NOT binds less than what may stand around a LIKE.
    if negated { Expr::Nested(Box::new(not(Box::new(expr)))) } else { expr }
}

fn push_literal(regex: &mut String, c: char) {
    if c.is_ascii_punctuation() {
        regex.push('\\');
    }
    regex.push(c);
}
