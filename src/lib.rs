//! Turns AWS CloudTrail log objects into partitioned Parquet, with a catalog of its own.
//!
//! # Map of the crate
//!
//! Data flows down the list; a room names only rooms above it (`tests/architecture.rs` is the
//! rule, this list its summary). A library user needs [`convert`] and the other verbs of
//! [`operations`], and the rooms with a link, which hold their options, reports and errors.
//!
//! | room | job |
//! |---|---|
//! | [`error`], [`units`] | what went wrong and what a caller may do; byte counts and instants |
//! | `notice`, `text` | notices from rooms that do not print; names as people may see them |
//! | `html` | pages that run nothing and ask for nothing |
//! | [`location`], `aws` | paths and `s3://` addresses; one identity for every AWS client |
//! | `decode` | gunzip, capped |
//! | `family` | the families of objects: what tells one from another, and what adding one takes |
//! | `parse` | containers, records, and a cursor over simd-json's tape |
//! | `schema` | kinds and their merge, the lock that only grows |
//! | `keys` | what an object's key says |
//! | [`partition`] | partition values, validated |
//! | `codec` | how pages are compressed |
//! | [`storage`] | where the lake's bytes are; the lease |
//! | `source` | which objects there are, archives |
//! | `integrity` | CloudTrail's signed digests: chains, verdicts, keys |
//! | [`lake`] | the lake's own documents: intents, manifests, ledger, fingerprints, quarantine |
//! | `rows` | objects to rows: texts by reference and sparse trees |
//! | `parquet` | ordered rows to Parquet pages and files, through polars |
//! | `scan` | a lake's rows: live files, row groups, columns, through polars |
//! | `merge` | data files to fewer ones with the same rows, and the proof |
//! | `history` | event history: filters, records, CSV |
//! | [`catalog`] | tables and partitions as Glue's documents, DDL, views |
//! | `query` | SQL over the tables: Athena's text and functions, polars' engine |
//! | `queue` | messages that name objects: what they say, and what becomes of them |
//! | `report` | a report of activity: panels as SQL, a document, a page with charts |
//! | [`engine`] | the machine: fetch, parse, resolve, encode, commit; threads, order, byte budget |
//! | [`operations`] | what the product does, a verb a file |
//! | `sample` | made-up archives in the real layout |
//! | `verify` | the proof, which shares no code with the writer |
//! | `doctor` | what a first run would trip over, and the missing IAM policy |
//! | `cli` | arguments, progress, report, exit code |
//!
//! # How one unit becomes rows
//!
//! A worker decodes the unit's objects into one buffer, parses them in chunks that stay in the
//! cache, and notes per column where the texts stand; free-form values are shredded into one sparse
//! list per path, before any schema is known. In the order of units, copies are dropped and what was
//! seen is merged into the lock. Then any worker orders the rows and encodes each partition; the
//! files are staged, and units commit in order. The output does not depend on threads.
//!
//! # Converting a folder
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use trailmill::{ConvertOptions, Progress, convert};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
//! # std::fs::create_dir(&logs)?;
//! # let record = r#"{"eventVersion":"1.11","eventTime":"2026-10-01T02:03:04Z","eventID":"1",
//! #     "eventSource":"sts.amazonaws.com","eventName":"GetCallerIdentity","awsRegion":"us-east-1",
//! #     "recipientAccountId":"111122223333","eventCategory":"Management"}"#;
//! # std::fs::write(logs.join("log.json"), format!("{{\"Records\":[{record}]}}"))?;
//! let options =
//!     ConvertOptions { sources: vec![logs.into()], lake: lake.into(), ..ConvertOptions::default() };
//!
//! let report = convert(&options, &Progress::default(), &AtomicBool::new(false))?;
//!
//! assert_eq!(report.records_written, 1);
//! # Ok(())
//! # }
//! ```

pub mod catalog;
pub mod engine;
pub mod error;
pub mod lake;
pub mod location;
pub mod operations;
pub mod partition;
pub mod storage;
pub mod units;

// Named by the program, the tests and the benches; the documentation of the library leaves these rooms out.
#[cfg_attr(doc, doc(hidden))]
pub mod aws;
#[cfg_attr(doc, doc(hidden))]
pub mod cli;
#[cfg_attr(doc, doc(hidden))]
pub mod codec;
#[cfg_attr(doc, doc(hidden))]
pub mod decode;
#[cfg_attr(doc, doc(hidden))]
pub mod doctor;
#[cfg_attr(doc, doc(hidden))]
pub mod family;
#[cfg_attr(doc, doc(hidden))]
pub mod history;
#[cfg_attr(doc, doc(hidden))]
pub mod integrity;
#[cfg_attr(doc, doc(hidden))]
pub mod keys;
#[cfg_attr(doc, doc(hidden))]
pub mod merge;
#[cfg_attr(doc, doc(hidden))]
pub mod notice;
#[cfg_attr(doc, doc(hidden))]
pub mod parquet;
#[cfg_attr(doc, doc(hidden))]
pub mod parse;
#[cfg_attr(doc, doc(hidden))]
pub mod query;
#[cfg_attr(doc, doc(hidden))]
pub mod queue;
#[cfg_attr(doc, doc(hidden))]
pub mod report;
#[cfg_attr(doc, doc(hidden))]
pub mod rows;
#[cfg_attr(doc, doc(hidden))]
pub mod sample;
#[cfg_attr(doc, doc(hidden))]
pub mod scan;
#[cfg_attr(doc, doc(hidden))]
pub mod schema;
#[cfg_attr(doc, doc(hidden))]
pub mod source;
#[cfg_attr(doc, doc(hidden))]
pub mod text;
#[cfg_attr(doc, doc(hidden))]
pub mod verify;

mod html;

pub use engine::{ConvertOptions, Progress, Report};
pub use error::{Error, ErrorKind, Result};
pub use lake::OutputSettings;
pub use location::Location;
pub use operations::convert;
