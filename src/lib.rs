//! CloudTrail logs to partitioned Parquet.
pub mod catalog;
pub mod cli;
pub mod columns;
pub mod commit;
pub mod decode;
pub mod error;
pub mod parse;
pub mod partition;
pub mod pipeline;
pub mod sample;
pub mod schema;
pub mod source;
pub mod storage;
pub mod units;
pub mod verify;
pub mod write;
