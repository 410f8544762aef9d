//! SQL over a lake's tables: Athena's text, polars' engine.
//!
//! - [`Table`]: a table's columns, partition keys and live files, as polars scans them.
//! - `rewrite`: a statement in Athena's spelling becomes one that polars-sql understands.
//! - `functions`: Athena's functions that polars-sql does not have.
//! - [`Session`]: tables and views; a statement becomes a [`Plan`], which knows the files it reads.
//! - [`FrameEngine`]: the same over rows in memory.
//! - [`Grid`]: the answer, as a table for people, CSV or JSON.
//!
//! Files come from the lake's manifests. Which of them a statement needs is polars' own judgment of the
//! optimized plan: it is given every file's partition values and times, so that views, aliases and joins are
//! seen through, and a file is left out only where no row of it can count.
//!
//! All of it is synchronous, and polars panics on some damaged bytes: callers run it on a thread of its own.

mod explain;
mod failure;
mod frames;
mod functions;
mod grid;
mod plain_folder;
mod rewrite;
mod session;
mod table;
mod types;

pub use explain::{Explained, Scan};
pub use failure::on_own_thread;
pub use frames::{FrameEngine, FrameStatement};
pub use grid::{Grid, GridForm};
pub use plain_folder::PlainFolder;
pub use rewrite::split_statements;
pub use session::{Plan, Session};
pub use table::{Table, TableColumn};
