//! End to end: the program as people run it, on made-up archives in temporary folders.
//!
//! One binary, so that it links once. Every test has a folder of its own; what they share is in
//! `support`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod activity_report;
mod allocation;
mod architecture;
mod archived_chains;
mod array;
mod bad_input;
mod bounded;
#[cfg(target_os = "linux")]
mod breaking;
mod cases_contained;
mod cases_wrapped;
mod catalog;
mod cli;
mod commit;
mod commit_in_memory;
mod compact;
mod compact_in_memory;
mod compact_plan;
mod contained;
mod convert;
mod copies;
mod damage;
mod documented;
mod documents;
mod embedded;
mod failing_store;
mod fuzzed;
mod history;
mod integrity;
mod more_wrappers;
mod options;
mod packing;
mod piped;
mod protocol;
mod proven_plans;
mod query;
mod queue;
mod real_data;
mod refusals;
mod report_schema;
mod restore;
mod retry;
mod scale;
mod schema;
mod storage;
mod support;
mod wrapped;
