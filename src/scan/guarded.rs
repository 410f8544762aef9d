//! Calls of polars on bytes that may be damaged.

use crate::error::{Error, ErrorKind, Result};
use polars::prelude::{PolarsError, PolarsResult};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs polars on bytes that may be damaged: its readers panic on some of them.
pub(super) fn guarded<T>(name: &str, run: impl FnOnce() -> PolarsResult<T>) -> Result<T> {
    let damaged = || {
        let message = "cannot read a data file: run `trailmill verify` on the lake";
        Error::new(ErrorKind::Damaged, message).at("file", name)
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(PolarsError::IO { error, .. })) => {
            Err(Error::io("cannot read a data file", std::io::Error::other(error)).at("file", name))
        }
        Ok(Err(err)) => Err(damaged().because(err)),
        Err(_) => Err(damaged()),
    }
}
