//! The threads that wait for storage and catalog.

use crate::error::{Error, Result};
use tokio::runtime::Runtime;

/// Threads that read and write a local lake's documents: each keeps memory that it has freed.
const BLOCKING_THREADS: usize = 8;

/// Starts the threads that wait for storage and catalog.
///
/// # Errors
/// `Io` when they cannot be started.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|err| Error::io("cannot start the I/O threads", err))
}
