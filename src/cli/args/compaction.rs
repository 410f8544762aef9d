//! What is compacted, and how: for `compact`, and for a plan of it.

use crate::cli::args::values::{bytes, duration};
use crate::engine::CatalogOptions;
use crate::history::Pattern;
use crate::operations::{CompactOptions, DEFAULT_COMPACTED_SIZE};
use crate::parquet::Compression;
use crate::storage::S3;
use crate::units::ByteCount;
use clap::Args as Group;
use std::sync::Arc;

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// Which partitions are compacted, and to what. Their defaults are not clap's: a plan of a conversion has none of
/// these.
#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct CompactionArgs {
    /// Compact partitions whose newest event is older than this: 12h, 35d or 8w [default: 35d]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Compaction")]
    pub older_than: Option<i64>,
    /// Size of the files that are written; files of half of it stay as they are [default: 256MB]
    #[arg(long, value_name = "BYTES", value_parser = bytes(1_000), help_heading = "Compaction")]
    pub target: Option<ByteCount>,
    /// Only partitions whose path matches a glob, such as 'event_date=2026-10-*'
    #[arg(long, value_name = "GLOB", help_heading = "Compaction")]
    pub partitions: Vec<Pattern>,
    /// Small files that a partition must have to be compacted [default: 2]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(2..),
        help_heading = "Compaction")]
    pub min_files: Option<u32>,
    /// How long replaced files of a lake in a bucket stay after Glue was told [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Compaction")]
    pub grace: Option<i64>,
}

impl CompactionArgs {
    /// Returns the options of a compaction by so many threads, in so much memory.
    pub(in crate::cli) fn options(
        &self,
        s3: Arc<S3>,
        catalog: CatalogOptions,
        compression: Compression,
        (threads, memory): (usize, ByteCount),
    ) -> CompactOptions {
        CompactOptions {
            s3,
            catalog,
            older_than: self.older_than.unwrap_or(35 * 24 * HOUR),
            target: self.target.unwrap_or(DEFAULT_COMPACTED_SIZE),
            partitions: self.partitions.clone(),
            min_files: self.min_files.unwrap_or(2) as usize,
            compression,
            grace: self.grace.unwrap_or(24 * HOUR),
            memory,
            threads,
            dry_run: false,
        }
    }

    /// Returns the name of an option that was given, if any was.
    pub(in crate::cli) fn given(&self) -> Option<&'static str> {
        [
            (self.older_than.is_some(), "--older-than"),
            (self.target.is_some(), "--target"),
            (!self.partitions.is_empty(), "--partitions"),
            (self.min_files.is_some(), "--min-files"),
            (self.grace.is_some(), "--grace"),
        ]
        .into_iter()
        .find_map(|(is_given, name)| is_given.then_some(name))
    }
}
