//! What polars says when it fails, as an error of ours.

use crate::error::{Error, ErrorKind, Result};
use crate::text::clean;
use polars::prelude::PolarsError;

/// Stack of the thread that plans and runs: expressions are walked by recursion.
const STACK: usize = 64 << 20;

/// Runs polars on a thread of its own: it panics on some damaged files and on some statements.
///
/// # Errors
/// Those of `run`; `Damaged` when it panics.
pub fn on_own_thread<T: Send>(run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("query".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, run)
            .map_err(|err| Error::io("cannot start a thread", err))?;
        thread.join().unwrap_or_else(|_| {
            let message = "the query engine gave up: run `trailmill verify` to see whether a data \
                           file is damaged, else write the query in another way";
            Err(Error::new(ErrorKind::Damaged, message))
        })
    })
}

/// Returns the error for a statement that polars did not accept, or could not answer.
pub(super) fn failed(err: PolarsError) -> Error {
    match err {
        PolarsError::IO { error, .. } => {
            Error::io("cannot read a data file", std::io::Error::other(error))
        }
        PolarsError::Context { error, .. } => failed(*error),
        err => {
            let text = err.to_string();
            if text.contains("File out of specification") || text.contains("parquet: ") {
                let message = "cannot read a data file: run `trailmill verify` on the lake";
                return Error::new(ErrorKind::Damaged, message).because(err);
            }
            Error::config(message(&text))
        }
    }
}

/// Keeps what is wrong with a statement, and neither values of rows nor the plan.
fn message(text: &str) -> String {
    let text = text.split("\n\n").next().unwrap_or(text);
    let text = text.split(": [").next().unwrap_or(text);
    let text = text.split(" { ").next().unwrap_or(text);
    let text = text.strip_prefix("sql parser error: ").unwrap_or(text);
    let text = clean(text.trim()).replace("\\n", " ");
    let named = |start: &str, end: char| {
        let rest = &text[text.find(start)? + start.len()..];
        rest.split(end).next().map(str::to_owned)
    };
    let what = if let Some(name) = named("unable to find column \"", '"') {
        format!("column `{name}` not found")
    } else if let Some(name) = named("field not found: ", ' ') {
        format!("member `{name}` not found in its struct")
    } else if let Some(name) = named("relation '", '\'') {
        format!("table `{name}` not found")
    } else if let Some(name) = named("unsupported function '", '\'') {
        format!("unknown function `{name}`")
    } else if text.contains("unexpected subquery") || text.starts_with("subquery comparisons") {
        "a subquery as a value is not supported: use IN or a join".to_owned()
    } else if let Some(kind) = text.strip_prefix("expression ").filter(|it| !it.contains(' ')) {
        format!("{kind} is not supported")
    } else {
        text
    };
    format!("cannot run the query: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_what_is_wrong_and_show_no_values() {
        for (text, wanted) in [
            (
                "not found: unable to find column \"x\"; valid columns: [\"y\"]",
                "column `x` not found",
            ),
            ("unsupported function 'f'", "unknown function `f`"),
            (
                "expression Exists { subquery: Query { a } } is not currently supported",
                "Exists is not supported",
            ),
            (
                "conversion from `str` to `i64` failed in column 'c' for 1 out of 1 values: [\"secret\"]",
                "conversion from `str` to `i64` failed in column 'c' for 1 out of 1 values",
            ),
            (
                "field not found: arm\n\nResolved plan until failure:",
                "member `arm` not found in its struct",
            ),
        ] {
            assert_eq!(message(text), format!("cannot run the query: {wanted}"));
        }
    }
}
