//! Statements over rows in memory, for callers that hold them: in the same SQL, with the same functions.

use crate::error::Result;
use crate::query::failure::failed;
use crate::query::functions::Functions;
use crate::query::rewrite::prepare;
use polars::prelude::{DataFrame, IntoLazy};
use polars::sql::SQLContext;
use std::sync::Arc;

/// Runs statements over frames.
pub struct FrameEngine {
    functions: Arc<Functions>,
}

/// A statement over one table that is ready to be run, as often as there are rows.
#[derive(Clone, Debug)]
pub struct FrameStatement {
    sql: String,
    table: String,
}

impl Default for FrameEngine {
    fn default() -> Self {
        Self { functions: Arc::new(Functions::all()) }
    }
}

impl FrameEngine {
    /// Prepares a statement over a table.
    ///
    /// # Errors
    /// `Config` for a text that is not one statement that reads.
    pub fn prepare(&self, sql: &str, table: &str) -> Result<FrameStatement> {
        // Nothing that is run over frames asks for the time.
        let prepared = prepare(sql, &|name| name == table, &self.functions, 0)?;
        Ok(FrameStatement { sql: prepared.sql, table: table.to_owned() })
    }

    /// Runs a statement over the rows of its table.
    ///
    /// # Errors
    /// `Config` for a statement that cannot be run over these columns.
    pub fn run(&self, statement: &FrameStatement, rows: &DataFrame) -> Result<DataFrame> {
        let functions: Arc<Functions> = Arc::clone(&self.functions);
        let mut context = SQLContext::new().with_function_registry(functions);
        context.register(&statement.table, rows.clone().lazy());
        let answer = context.execute(&statement.sql).map_err(failed)?;
        answer.collect().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    #[test]
    fn functions_are_run_over_no_rows_as_well() {
        let engine = FrameEngine::default();
        let sql = "SELECT date_trunc('day', TIMESTAMP '2026-10-01 02:00:00') AS at, \
                   json_extract_scalar(text, '$.a') AS a, count(*) AS n FROM lake.t \
                   WHERE text <> 'x' GROUP BY 1, 2";
        let statement = engine.prepare(sql, "t").unwrap();

        for (text, rows) in [("x", 0), ("{\"a\":1}", 1)] {
            let frame = df!("text" => [text]).unwrap();
            assert_eq!(engine.run(&statement, &frame).unwrap().height(), rows, "{text}");
        }
    }
}
