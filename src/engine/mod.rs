//! The machine: units become rows, rows become files, files become commits; on threads, in order,
//! within a byte budget.

mod archive;
mod budget;
mod buffers;
pub(crate) mod cancel;
pub(crate) mod commit;
pub(crate) mod cut;
mod dispatch;
pub(crate) mod driver;
mod encode;
mod event_times;
pub(crate) mod feed;
pub(crate) mod fetch;
pub(crate) mod lost_rows;
mod options;
mod order;
mod parse;
mod progress;
mod queue_report;
mod report;
pub(crate) mod resolve;
pub(crate) mod run;
mod runtime;
mod scope;
mod segment;
pub(crate) mod tasks;
pub(crate) mod unit;
pub(crate) mod unreadable;
mod volume;

pub use crate::lake::{
    DEFAULT_TABLE, DEFAULT_TARGET_FILE_SIZE, DEFAULT_UNIT_SIZE, Duplicates, OutputSettings,
    SchemaMode, Unwrap,
};
pub use event_times::EventTimes;
pub use options::{
    CatalogKind, CatalogOptions, ConvertOptions, DEFAULT_DATABASE, DEFAULT_SAMPLED, DEFAULT_SPEED,
    Integrity, MEMORY_PER_THREAD, Retry,
};
pub use progress::{Progress, Stage, Work};
pub use queue_report::QueueReport;
pub(crate) use report::Done;
pub use report::{
    About, ChildReport, IntegrityTotals, Refreshed, Report, RestoreReport, UnitSummary,
    WithoutRecords,
};
pub use runtime::runtime;
pub use volume::{Candidate, PartitionChoice, Volume};
