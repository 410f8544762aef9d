//! CloudTrail logs to partitioned Parquet.
pub mod decode;
pub mod error;
pub mod parse;
pub mod schema;
pub mod units;
