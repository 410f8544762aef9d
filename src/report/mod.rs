//! A report of a lake's activity: aggregates by SQL, as a document and as one page with charts.
//!
//! - `window`: which events, and how fine the axis of time is.
//! - `panels`: the list of panels; `panel`: a panel as a statement, in parts and as a whole.
//! - `batch`, `answers`: events of some files as frames, and the statements run over them and added up.
//! - `coverage`: accounts and regions by day, and gaps.
//! - `document`: what `--output json` prints; `page` draws it.
//!
//! Nothing here reads a clock, so the same lake gives the same bytes. Every text of an answer was written by
//! whoever made the call: it is cut, and the page shows it and lets nothing in it act.

mod answers;
mod batch;
mod coverage;
mod document;
mod page;
mod panel;
mod panels;
mod window;

pub use answers::{Answer, Answers, Asked, Cell, Part};
pub use batch::Batch;
pub use coverage::{Coverage, DayCounts, Gap, Pair};
pub use document::{
    ActivityReport, LakeFacts, PanelAnswer, ProvenRows, REPORT_FORMAT, ReportWindow, TableFacts,
};
pub use page::{PAGE_LIMIT, page};
pub use panel::{Drawing, Kept, Measure, Panel, Question, Stack};
pub use panels::{PANELS, WITH_TEXTS};
pub use window::{Grain, Span, Window, iso};
