//! Event history: which events answer a question, and how they are shown.
//!
//! - [`Filter`]: the question. Different criteria must all hold, several values of one any.
//! - [`Event`]: what a table, a CSV or a count shows of a row.
//! - `record`: a row as the JSON record that it was made of.
//! - [`Output`]: the forms of an answer.
//!
//! It knows rows, not files; `operations/history.rs` reads them.

mod about;
mod columns;
mod console;
mod criterion;
mod event;
mod filter;
mod output;
mod pattern;
mod record;
mod resources;

pub use columns::Rows;
pub use event::{COLUMNS as EVENT_COLUMNS, Event, Field};
pub use filter::{Filter, IpRange};
pub use output::{Output, Writer};
pub use pattern::Pattern;
pub use record::{columns as record_columns, record};
pub use resources::{REQUEST_COLUMNS, RESOURCE_COLUMNS};
