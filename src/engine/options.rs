//! What a run is told.

use crate::catalog::GlueOptions;
use crate::decode::Caps;
use crate::error::{Error, Result};
use crate::lake::Summary;
use crate::location::Location;
use crate::parquet::Compression;
use crate::partition::PartitionBy;
use crate::rows::{Fingerprints, RowOptions};
use crate::source::Narrow;
use crate::storage::S3;
use crate::units::ByteCount;
use std::str::FromStr;
use std::sync::Arc;

/// JSON bytes that are converted as one unit, unless an option says otherwise. A unit becomes one
/// file per partition; CloudTrail Parquet takes 5 to 10 % of its JSON.
pub const DEFAULT_UNIT_SIZE: ByteCount = ByteCount::mib(64);

/// The size at which a data file ends, unless an option says otherwise.
pub const DEFAULT_TARGET_FILE_SIZE: ByteCount = ByteCount::mib(128);

/// Memory per thread when no option says otherwise; 512 MiB at least.
pub const MEMORY_PER_THREAD: ByteCount = ByteCount::mib(256);

/// Objects that a plan's schema is inferred from, unless an option says otherwise.
pub const DEFAULT_SAMPLED: usize = 256;

/// MB of JSON that a vCPU converts in a second, for estimates: with nested columns, measured on two
/// cores that are two threads of one, less some for waiting for S3. docs/benchmarks.md has it, too.
pub const DEFAULT_SPEED: f64 = 75.0;

/// The database in the catalog, unless an option says otherwise.
pub const DEFAULT_DATABASE: &str = "trailmill";

/// The base name of the tables, unless an option says otherwise.
pub const DEFAULT_TABLE: &str = "cloudtrail";

/// Whether the schema lock may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaMode {
    /// New fields are added to the lock.
    Evolve,
    /// Only fields that are locked become nested columns.
    Frozen,
}

impl FromStr for SchemaMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "evolve" => Ok(Self::Evolve),
            "frozen" => Ok(Self::Frozen),
            _ => Err(Error::config(format!(
                "unknown schema mode `{text}`: expected evolve or \
                                            frozen"
            ))),
        }
    }
}

/// What happens to exact copies of records that are in the lake already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// They are counted and not written again.
    Drop,
    /// They are written.
    Keep,
}

impl FromStr for Duplicates {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "drop" => Ok(Self::Drop),
            "keep" => Ok(Self::Keep),
            _ => Err(Error::config(format!(
                "unknown rule for duplicates `{text}`: expected drop or \
                                            keep"
            ))),
        }
    }
}

/// What earlier runs set aside that is tried again, though neither the limits nor the program changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Objects that were set aside whole.
    pub quarantined: bool,
    /// Objects that were taken for those of another kind.
    pub ignored: bool,
}

/// Which catalog is brought in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogKind {
    /// The AWS Glue Data Catalog.
    Glue,
    /// Documents in the lake, where that is a local folder.
    Local,
    /// None: the lake is written, and no catalog is told.
    None,
}

/// The catalog, the names in it, and how partitions are published.
#[derive(Clone, Debug)]
pub struct CatalogOptions {
    /// The database; none: the one the lake is in, else [`DEFAULT_DATABASE`].
    pub database: Option<String>,
    /// The base name of the tables.
    pub table: String,
    /// Which catalog; none: Glue for a lake in a bucket, else the lake's own.
    pub kind: Option<CatalogKind>,
    /// Which of Glue's catalogs, and what may be done to it.
    pub glue: GlueOptions,
    /// Whether partitions are projected instead of registered; none: as the table is now.
    pub partition_projection: Option<bool>,
    /// Whether Glue is to keep an index over the partition columns. An index that is there stays.
    pub partition_index: bool,
}

impl CatalogOptions {
    /// Returns the options for a base name, with everything else as by default.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            database: None,
            table: table.into(),
            kind: None,
            glue: GlueOptions::default(),
            partition_projection: None,
            partition_index: false,
        }
    }

    /// Returns the database of a lake.
    pub fn database_of(&self, lake: &Summary) -> String {
        let last = lake.last.as_ref().map(|last| last.database.clone());
        let known = self.database.clone().or(last.filter(|name| !name.is_empty()));
        known.unwrap_or_else(|| DEFAULT_DATABASE.to_owned())
    }
}

/// Everything that a conversion is told.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// Files, folders and prefixes of buckets to read.
    pub sources: Vec<Location>,
    /// What is wanted of the sources.
    pub narrow: Narrow,
    /// Days before the last complete listing of a bucket that are listed again; none: 35, but
    /// everything where there is little.
    pub look_back_days: Option<u32>,
    /// Whether everything is listed, however long ago it was delivered.
    pub full: bool,
    /// Where the lake is.
    pub lake: Location,
    /// Whether a place that has other things in it already may become a lake.
    pub into_existing: bool,
    /// Whether rows of data files that are gone are written again, from their sources.
    pub restore: bool,
    /// How S3 is reached.
    pub s3: Arc<S3>,
    /// Worker threads.
    pub threads: usize,
    /// Bytes in flight.
    pub memory: ByteCount,
    /// JSON bytes of a unit.
    pub unit_size: ByteCount,
    /// The size at which a data file ends.
    pub target_file_size: ByteCount,
    /// Codec and level.
    pub compression: Compression,
    /// Partition keys, in order.
    pub partition_by: PartitionBy,
    /// Whether nested columns are written.
    pub nested: bool,
    /// Whether anything set aside stops the run before it commits.
    pub strict: bool,
    /// Whether the schema may grow.
    pub schema: SchemaMode,
    /// What happens to copies.
    pub duplicates: Duplicates,
    /// Limits of one object.
    pub caps: Caps,
    /// What was set aside and is tried again.
    pub retry: Retry,
    /// The catalog and the names in it.
    pub catalog: CatalogOptions,
}

impl ConvertOptions {
    /// Returns what decides how records become rows. What writes nothing needs no lake's fingerprints.
    pub(crate) fn rows(&self, nested: bool, fingerprints: Fingerprints) -> RowOptions {
        RowOptions {
            partition_by: self.partition_by.clone(),
            nested,
            keeps_copies: self.duplicates == Duplicates::Keep,
            fingerprints,
            unit_size: self.unit_size.0,
        }
    }

    /// Returns the settings that change output, as one line; part of every unit's identity.
    pub(crate) fn settings(&self) -> String {
        format!(
            "trailmill {} partition_by={} nested={} frozen={} duplicates={} compression={} \
             target={} unit={} max_object={} max_ratio={} table={}{}",
            env!("CARGO_PKG_VERSION"),
            self.partition_by,
            self.nested,
            self.schema == SchemaMode::Frozen,
            self.duplicates == Duplicates::Drop,
            self.compression,
            self.target_file_size.0,
            self.unit_size.0,
            self.caps.max_object_bytes,
            self.caps.max_ratio,
            self.catalog.table,
            if self.restore { " restore=true" } else { "" },
        )
    }
}
