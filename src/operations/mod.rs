//! What the product does, a verb a file: each joins the rooms below it into one run.

mod check_files;
mod convert;
mod discard_plan;
mod estimate;
mod finish_plan;
mod infer;
mod look_back;
mod make_plan;
mod open_plan;
mod options_check;
mod preflight;
mod recover;
mod register;
mod repair;
mod restore;
mod run_child;
mod run_log;
mod stratified_sample;
mod strict;
mod sweep;
mod target;

pub use check_files::{FileCheck, check_files, repair_files};
pub use convert::convert;
pub use discard_plan::{DiscardOptions, discard_plan};
pub use estimate::{Estimate, estimate};
pub use finish_plan::{FinishOptions, Finished, Missing, finish_plan};
pub use infer::infer;
pub use make_plan::{Children, Planned, make_plan};
pub use open_plan::{find_plan, lake_of_plan};
pub use register::{after_commit, apply_plans, catalog_plan, open_catalog, refresh_catalog};
pub use repair::{RepairReport, RepairedUnit, base_table, repair};
pub use run_child::{ArrayChild, ChildOptions, convert_plan};
