//! Functions that the dialects spell differently.

use super::value::{Kind, Value};
use crate::catalog::Dialect;
use crate::catalog::views::shape::json_text;

/// An address of IPv4 or IPv6; `sourceIPAddress` may also be the name of a service.
const ADDRESS: &str = "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])[.]){3}\
    (25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$\
    |^[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*$";

/// Writes expressions of one dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sql(pub(super) Dialect);

impl Sql {
    /// Returns the text at a path of a JSON column.
    pub(super) fn json(self, column: &str, path: &str) -> String {
        json_text(self.0, column, path)
    }

    /// Returns the instant that a text in ISO 8601 names; null for any other text.
    pub(super) fn instant(self, text: &str) -> String {
        match self.0 {
            Dialect::Athena => format!("CAST(TRY(from_iso8601_timestamp({text})) AS timestamp(3))"),
            Dialect::Spark => format!("TRY_CAST({text} AS timestamp)"),
            Dialect::DuckDb => format!("TRY_CAST({text} AS timestamptz)"),
        }
    }

    /// Returns the milliseconds from 1970 to an instant.
    pub(super) fn epoch_ms(self, instant: &str) -> String {
        match self.0 {
            Dialect::Athena => {
                format!("date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00', {instant})")
            }
            Dialect::Spark => format!("unix_millis({instant})"),
            Dialect::DuckDb => format!("epoch_ms({instant})"),
        }
    }

    /// Returns a condition: a text matches a regular expression, which has no backslash.
    pub(super) fn matches(self, text: &str, pattern: &str) -> String {
        let function = match self.0 {
            Dialect::Athena | Dialect::Spark => "regexp_like",
            Dialect::DuckDb => "regexp_matches",
        };
        format!("{function}({text}, '{pattern}')")
    }

    /// Returns a condition: a text is an IP address.
    pub(super) fn is_address(self, text: &str) -> String {
        self.matches(text, ADDRESS)
    }

    /// Returns an array of literals.
    pub(super) fn texts(self, texts: &[&str]) -> Value {
        let texts = texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ");
        let array = match self.0 {
            Dialect::Athena => format!("CAST(ARRAY[{texts}] AS array(varchar))"),
            Dialect::Spark => format!("array({texts})"),
            Dialect::DuckDb => format!("[{texts}]"),
        };
        Value::Scalar(Kind::Texts, array)
    }

    /// Returns a map of texts, with every key, also where its value is null.
    pub(super) fn text_map(self, entries: &[(&str, String)]) -> Value {
        let join = |entry: &dyn Fn(&(&str, String)) -> String| {
            entries.iter().map(entry).collect::<Vec<_>>().join(", ")
        };
        let map = match self.0 {
            Dialect::Athena => format!(
                "CAST(MAP(ARRAY[{}], ARRAY[{}]) AS map(varchar, varchar))",
                join(&|(key, _)| format!("'{key}'")),
                join(&|(_, value)| value.clone()),
            ),
            Dialect::Spark => format!("map({})", join(&|(key, value)| format!("'{key}', {value}"))),
            Dialect::DuckDb => {
                format!("MAP {{{}}}", join(&|(key, value)| format!("'{key}': {value}")))
            }
        };
        Value::Scalar(Kind::TextMap, map)
    }
}
