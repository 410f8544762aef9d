//! What the product does, a verb a file: each joins the rooms below it into one run.

mod activity_report;
mod array_cost;
mod check_files;
mod choose_files;
mod compact;
mod compact_partition;
mod convert;
mod discard_plan;
mod estimate;
mod finish_plan;
mod history;
mod infer;
mod lake_catalog;
mod list_ignored;
mod list_quarantine;
mod look_back;
mod make_plan;
mod open_lake;
mod open_plan;
mod options_check;
mod partitioning;
mod preflight;
mod prove;
mod proven_rows;
mod query;
mod recover;
mod register;
mod repair;
mod restore;
mod run_child;
mod run_log;
mod stratified_sample;
mod strict;
mod successors;
mod sweep;
mod switch;
mod sync;
mod target;

pub use activity_report::{MadeReport, ReportOptions, activity_report};
pub use array_cost::{ArrayCost, Prices};
pub use check_files::FileCheck;
pub use compact::{
    CompactOptions, CompactReport, CompactedPartition, DEFAULT_COMPACTED_SIZE, SkippedPartition,
    compact,
};
pub use convert::convert;
pub use discard_plan::{DiscardOptions, discard_plan};
pub use estimate::{Estimate, estimate};
pub use finish_plan::{FinishOptions, Finished, Missing, finish_plan};
pub use history::{HistoryOptions, HistoryReport, history};
pub use infer::infer;
pub use lake_catalog::{LakeCatalog, RegisteredTable};
pub use list_ignored::{Ignored, list_ignored};
pub use list_quarantine::list_quarantine;
pub use make_plan::{Children, Planned, make_plan};
pub use open_lake::{open_lake, read_lake_lock};
pub use open_plan::{find_plan, lake_of_plan};
pub use proven_rows::{PartitionProof, proven_rows};
pub use query::{DEFAULT_CACHE, QueryAnswer, QueryEngine, QueryOptions};
pub use repair::{RepairReport, RepairedUnit, repair};
pub use run_child::{ArrayChild, ChildOptions, convert_plan};
pub use sync::{Differences, SyncOptions, sync};
