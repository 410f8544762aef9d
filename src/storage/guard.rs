//! Permission to write, asked by a bucket before each attempt.

use crate::error::{Error, Result};
use async_trait::async_trait;
use std::fmt::Debug;

/// Knows whether this process is still the lake's only writer.
#[async_trait]
pub(super) trait Guard: Debug + Send + Sync {
    /// Confirms it before an attempt to write.
    ///
    /// # Errors
    /// `Busy` if another run has the lake; `Unavailable` if that cannot be known.
    async fn confirm(&self) -> Result<()>;

    /// Returns the error to report as soon as the lake is lost.
    async fn lost(&self) -> Error;
}
