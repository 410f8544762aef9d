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
    let text = text.strip_prefix("sql parser error: ").unwrap_or(text);
    let mut text = clean(text.trim()).replace("\\n", " ");
    if let Some(name) = text.strip_prefix("relation '").and_then(|it| it.split('\'').next()) {
        text = format!("table `{name}` not found: `.tables` lists the tables and views");
    } else if let Some(name) = text.strip_prefix("unsupported function '") {
        text = format!("unknown function `{}`", name.trim_end_matches('\''));
    }
    format!("cannot run the query: {text}")
}
