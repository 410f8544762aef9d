//! What a bucket asks before it changes something.

use crate::error::{Error, Result};
use async_trait::async_trait;
use std::fmt::Debug;

/// Whether the one writer of a lake still is that.
#[async_trait]
pub(super) trait Guard: Debug + Send + Sync {
    /// Makes sure of it, before an attempt to change something.
    ///
    /// # Errors
    /// `Busy` when it is not; `Unavailable` when that cannot be known.
    async fn confirm(&self) -> Result<()>;

    /// Returns once it is known not to be, with what is to be said then.
    async fn lost(&self) -> Error;
}
