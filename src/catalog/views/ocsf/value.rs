//! Values of OCSF attributes, and how each dialect writes them.
//!
//! A value is a tree: scalars are expressions of the dialect, objects and lists are written from their
//! members. Athena's rows get the names of their members by a cast of the whole row; Spark and `DuckDB`
//! name them where they stand.

use crate::catalog::Dialect;

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `string_t`, and `json_t` as its text.
    Text,
    /// `integer_t`.
    Int,
    /// `long_t`, and `timestamp_t`: milliseconds since 1970.
    Long,
    /// `boolean_t`.
    Bool,
    /// `datetime_t`.
    Instant,
    /// An array of `string_t`.
    Texts,
    /// `object_t`: what has no attribute of its own, by its name in CloudTrail.
    TextMap,
}

/// The members of an object, in order.
pub(super) type Members = Vec<(&'static str, Value)>;

/// The value of an attribute.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// An expression and its type.
    Scalar(Kind, String),
    /// An object.
    Object(Members),
    /// An object that is there only under a condition.
    When(String, Members),
    /// An array of objects.
    List(List),
}

/// An array of objects: some that are always there, and one for each element of an array column.
#[derive(Clone, Debug)]
pub(super) struct List {
    /// The objects that are always there; without `each`, at least one.
    pub(super) fixed: Vec<Members>,
    /// An array column, and the object for its element `e`.
    pub(super) each: Option<(&'static str, Members)>,
    /// The condition on an object `o` to be kept.
    pub(super) kept: Option<&'static str>,
}

impl Value {
    /// Returns a text.
    pub(super) fn text(expression: impl Into<String>) -> Self {
        Self::Scalar(Kind::Text, expression.into())
    }

    /// Returns the expression of a view's column.
    pub(super) fn column(&self, dialect: Dialect) -> String {
        let literal = self.literal(dialect);
        match self {
            Self::Object(_) | Self::When(..) if dialect == Dialect::Athena => {
                format!("CAST({literal} AS {})", self.trino_type())
            }
            _ => literal,
        }
    }

    /// Returns the type in Hive's spelling, as Glue has it.
    pub(super) fn hive_type(&self) -> String {
        match self {
            Self::Scalar(kind, _) => match kind {
                Kind::Text => "string",
                Kind::Int => "int",
                Kind::Long => "bigint",
                Kind::Bool => "boolean",
                Kind::Instant => "timestamp",
                Kind::Texts => "array<string>",
                Kind::TextMap => "map<string,string>",
            }
            .to_owned(),
            Self::Object(members) | Self::When(_, members) => hive_struct(members),
            Self::List(list) => format!("array<{}>", hive_struct(list.members())),
        }
    }

    fn trino_type(&self) -> String {
        match self {
            Self::Scalar(kind, _) => match kind {
                Kind::Text => "varchar",
                Kind::Int => "integer",
                Kind::Long => "bigint",
                Kind::Bool => "boolean",
                Kind::Instant => "timestamp(3)",
                Kind::Texts => "array(varchar)",
                Kind::TextMap => "map(varchar, varchar)",
            }
            .to_owned(),
            Self::Object(members) | Self::When(_, members) => row_type(members),
            Self::List(list) => format!("array({})", row_type(list.members())),
        }
    }

    fn literal(&self, dialect: Dialect) -> String {
        match self {
            Self::Scalar(_, expression) => expression.clone(),
            Self::Object(members) => object(dialect, members),
            Self::When(condition, members) => {
                format!("CASE WHEN {condition} THEN {} END", object(dialect, members))
            }
            Self::List(list) => list.literal(dialect),
        }
    }
}

impl List {
    /// All objects of a list have the same members.
    fn members(&self) -> &Members {
        static NONE: Members = Vec::new();
        let each = self.each.as_ref().map(|(_, members)| members);
        self.fixed.first().or(each).unwrap_or(&NONE)
    }

    fn literal(&self, dialect: Dialect) -> String {
        let fixed = || self.fixed(dialect);
        let all = match &self.each {
            None => fixed(),
            Some((array, members)) => {
                let each = self.each(dialect, array, members);
                match self.fixed.is_empty() {
                    true => each,
                    false => format!(
                        "CASE WHEN {array} IS NULL THEN {} ELSE {}({}, {each}) END",
                        fixed(),
                        if dialect == Dialect::DuckDb { "list_concat" } else { "concat" },
                        fixed(),
                    ),
                }
            }
        };
        match (self.kept, dialect) {
            (None, _) => all,
            (Some(kept), Dialect::DuckDb) => format!("[o for o in {all} if {kept}]"),
            (Some(kept), _) => format!("filter({all}, o -> {kept})"),
        }
    }

    fn fixed(&self, dialect: Dialect) -> String {
        let objects = self.fixed.iter().map(|members| object(dialect, members));
        let objects = objects.collect::<Vec<_>>().join(", ");
        match dialect {
            Dialect::Athena => {
                format!("CAST(ARRAY[{objects}] AS array({}))", row_type(self.members()))
            }
            Dialect::Spark => format!("array({objects})"),
            Dialect::DuckDb => format!("[{objects}]"),
        }
    }

    fn each(&self, dialect: Dialect, array: &str, members: &Members) -> String {
        let object = object(dialect, members);
        match dialect {
            Dialect::Athena => {
                format!("transform({array}, e -> CAST({object} AS {}))", row_type(members))
            }
            Dialect::Spark => format!("transform({array}, e -> {object})"),
            Dialect::DuckDb => format!("[{object} for e in {array}]"),
        }
    }
}

fn object(dialect: Dialect, members: &Members) -> String {
    let member = |(name, value): &(&str, Value)| {
        let literal = value.literal(dialect);
        match dialect {
            Dialect::Athena => literal,
            Dialect::Spark => format!("'{name}', {literal}"),
            Dialect::DuckDb => format!("'{name}': {literal}"),
        }
    };
    let members = members.iter().map(member).collect::<Vec<_>>().join(", ");
    match dialect {
        Dialect::Athena => format!("ROW({members})"),
        Dialect::Spark => format!("named_struct({members})"),
        Dialect::DuckDb => format!("{{{members}}}"),
    }
}

fn row_type(members: &Members) -> String {
    let member = |(name, value): &(&str, Value)| format!("\"{name}\" {}", value.trino_type());
    format!("row({})", members.iter().map(member).collect::<Vec<_>>().join(", "))
}

fn hive_struct(members: &Members) -> String {
    let member = |(name, value): &(&str, Value)| format!("{name}:{}", value.hive_type());
    format!("struct<{}>", members.iter().map(member).collect::<Vec<_>>().join(","))
}
