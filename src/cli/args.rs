//! What can be typed. Parsing does no work; defaults are the rooms' constants.

use crate::aws::AwsOptions;
use crate::cli::plan_args::{FinishArgs, PlanArgs};
use crate::decode::{DEFAULT_MAX_OBJECT_BYTES, DEFAULT_MAX_RATIO};
use crate::engine::{
    DEFAULT_TABLE, DEFAULT_TARGET_FILE_SIZE, DEFAULT_UNIT_SIZE, Duplicates, SchemaMode,
};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::parquet::{Compression, DEFAULT_COMPRESSION};
use crate::partition::{DEFAULT_PARTITION_BY, PartitionBy};
use crate::sample::{DEFAULT_ACCOUNTS, DEFAULT_DAYS, DEFAULT_SEED, DEFAULT_SIZE};
use crate::source::Narrow;
use crate::storage::{
    DEFAULT_LEASE, DEFAULT_REQUESTS, DEFAULT_RETRY_TIMEOUT, Encryption, S3, S3Options,
};
use crate::units::{ByteCount, Day};
use crate::verify::{DEFAULT_MAX_DIFFERENCES, DuplicateRule};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  trailmill sample logs --size 100MB        make an archive to try things on
  trailmill convert logs lake               convert it, and again whenever logs grew
  trailmill catalog show lake               see tables, partitions and columns
  trailmill catalog ddl lake --dialect duckdb | duckdb
  trailmill doctor s3://logs s3://lake/x    try every permission before the first run
  trailmill verify logs lake                prove that nothing is lost or doubled

An array job of AWS Batch, where one machine is not enough:
  trailmill plan s3://logs s3://lake/x --shards auto
  trailmill convert --plan s3://lake/x      each child; the array's index says which part
  trailmill finish --plan s3://lake/x       when all are done

Exit codes:
  0  all done                     1  done, but some input was set aside, or something differs
  2  wrong usage                  3  stopped by an error that will not pass
  75 try again later: another run holds the lake, or this one was interrupted, or units of a plan lack";

/// What a report of a fault needs; `build.rs` knows the commit.
const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("TRAILMILL_BUILD"));

/// Convert AWS CloudTrail logs to partitioned Parquet with its own catalog, no crawler.
///
/// Reads folders, files and archives of CloudTrail objects in any of their layouts, infers the
/// nested schema, and writes a lake that Athena, Spark, DuckDB and Polars read. Nothing is lost,
/// nothing is doubled, and a run that was killed is finished by the next one.
#[derive(Debug, Parser)]
#[command(name = "trailmill", version, long_version = LONG_VERSION)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Convert(Box<ConvertArgs>),
    Plan(Box<PlanArgs>),
    Finish(Box<FinishArgs>),
    Catalog(CatalogArgs),
    Repair(Box<RepairArgs>),
    Schema(SchemaArgs),
    Verify(VerifyArgs),
    Quarantine(QuarantineArgs),
    Doctor(Box<DoctorArgs>),
    Sample(SampleArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder.
    Man {
        /// Folder to write into
        folder: PathBuf,
    },
}

/// How a report is written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Group)]
pub(super) struct OutputArgs {
    /// How the report is written to stdout
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub report: Format,

    /// Show no progress
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

#[derive(Clone, Debug, Group)]
pub(super) struct PlaceArgs {
    /// Folders, files, archives (.json, .json.gz, .tar, .tar.gz, .zip) or s3://bucket/prefix to read
    #[arg(required = true, value_name = "SOURCE", value_parser = location())]
    pub sources: Vec<Location>,

    /// The lake: a folder or s3://bucket/prefix
    #[arg(value_name = "LAKE", value_parser = location())]
    pub lake: Location,

    #[command(flatten)]
    pub aws: AwsArgs,
}

/// A lake that is there already.
#[derive(Clone, Debug, Group)]
pub(super) struct LakePlace {
    /// The lake: a folder or s3://bucket/prefix
    #[arg(value_name = "LAKE", value_parser = location())]
    pub lake: Location,

    #[command(flatten)]
    pub aws: AwsArgs,
}

/// How AWS is reached; what is not given comes from the environment and the shared configuration
/// files, as for every AWS tool.
#[derive(Clone, Debug, Group)]
pub(super) struct AwsArgs {
    /// Profile of the shared AWS configuration files; keys in the environment do not count beside it
    #[arg(long, value_name = "NAME", help_heading = "AWS")]
    pub profile: Option<String>,

    /// Stop with exit code 2, before anything is read or written, if the credentials are those of
    /// another account
    #[arg(long, value_name = "ID", value_parser = account, help_heading = "AWS")]
    pub expect_account: Option<String>,

    /// Region of the catalog, and of buckets at an --endpoint-url
    #[arg(long, value_name = "REGION", help_heading = "AWS")]
    pub aws_region: Option<String>,

    /// Endpoint of every service, for S3-compatible stores and test servers
    #[arg(long, value_name = "URL", help_heading = "AWS")]
    pub endpoint_url: Option<String>,

    /// Endpoint of S3 alone
    #[arg(long, value_name = "URL", help_heading = "AWS")]
    pub s3_endpoint_url: Option<String>,

    /// Endpoint of Glue alone
    #[arg(long, value_name = "URL", help_heading = "AWS")]
    pub glue_endpoint_url: Option<String>,

    /// Requests to S3 in flight at once
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_REQUESTS as u16,
        value_parser = clap::value_parser!(u16).range(1..=10_000), help_heading = "AWS")]
    pub requests: u16,

    /// Seconds for which a request that is throttled or not answered is tried again
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_RETRY_TIMEOUT.as_secs(), help_heading = "AWS")]
    pub retry_timeout: u64,

    /// Seconds without an answer from S3 after which other runs may take over the lake
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_LEASE.as_secs(),
        value_parser = clap::value_parser!(u64).range(2..=3600), help_heading = "AWS")]
    pub lease_timeout: u64,

    /// Pay for requests to buckets whose requester pays
    #[arg(long, help_heading = "AWS")]
    pub request_payer: bool,
}

/// How new objects of a lake in S3 are encrypted.
#[derive(Clone, Debug, Group)]
pub(super) struct EncryptionArgs {
    /// Encryption of new objects at rest [default: as the bucket's default says]
    #[arg(long, value_enum, help_heading = "AWS")]
    pub sse: Option<EncryptionName>,

    /// KMS key of --sse aws:kms: an id, an ARN or an alias [default: the account's key for S3]
    #[arg(long, value_name = "KEY", requires = "sse", help_heading = "AWS")]
    pub sse_kms_key_id: Option<String>,
}

/// A way of encrypting objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EncryptionName {
    /// SSE-S3
    #[value(name = "AES256")]
    S3,
    /// SSE-KMS
    #[value(name = "aws:kms")]
    Kms,
}

impl AwsArgs {
    /// Returns S3 as these options say.
    ///
    /// # Errors
    /// `Config` for a KMS key without SSE-KMS.
    pub(super) fn s3(&self, encryption: Option<&EncryptionArgs>) -> Result<Arc<S3>> {
        let who = AwsOptions {
            profile: self.profile.clone(),
            region: self.aws_region.clone(),
            endpoint_url: self.endpoint_url.clone(),
            s3_endpoint_url: self.s3_endpoint_url.clone(),
            glue_endpoint_url: self.glue_endpoint_url.clone(),
        };
        let encryption = match encryption.map(|args| (args.sse, args.sse_kms_key_id.clone())) {
            None | Some((None, _)) => Encryption::BucketDefault,
            Some((Some(EncryptionName::Kms), key)) => Encryption::Kms(key),
            Some((Some(EncryptionName::S3), None)) => Encryption::S3,
            Some((Some(EncryptionName::S3), Some(_))) => {
                return Err(Error::config("`--sse-kms-key-id` goes with `--sse aws:kms`"));
            }
        };
        let options = S3Options {
            requests: usize::from(self.requests),
            retry_timeout: Duration::from_secs(self.retry_timeout),
            encryption,
            request_payer: self.request_payer,
            lease: Duration::from_secs(self.lease_timeout),
        };
        Ok(Arc::new(S3::new(who, options)))
    }
}

/// Tells sources from the lake, which comes last.
///
/// # Errors
/// `Config` when there are no two places.
pub(super) fn sources_and_lake(places: &[Location]) -> Result<(Vec<Location>, Location)> {
    match places {
        [sources @ .., lake] if !sources.is_empty() => Ok((sources.to_vec(), lake.clone())),
        _ => Err(Error::config("give at least one source, and the lake")),
    }
}

/// Parses a path or an `s3://` address.
pub(super) fn location() -> impl TypedValueParser<Value = Location> {
    OsStringValueParser::new().try_map(|text| Location::parse(&text))
}

/// Convert what is new in the sources into the lake, or a part of a plan.
///
/// Lists the sources, passes over what the lake's ledger knows, converts the rest and brings the
/// lake's catalog in line. Run it as often as you like: with nothing new it writes nothing. A run
/// that was killed is finished by the next one, to the same lake as if it had not been killed.
///
/// What cannot be converted is set aside in the lake's quarantine with its raw bytes and the reason
/// (`trailmill quarantine LAKE`), and the rest goes on.
///
/// With `--plan`, one child of an array job: converts its part of a plan's units, beside the other
/// children, twice or late without harm; see `trailmill plan --shards` and `trailmill finish`.
#[derive(Debug, Group)]
#[command(override_usage = "trailmill convert [OPTIONS] <SOURCE>... <LAKE>
       trailmill convert [OPTIONS] --plan <PLAN>")]
pub(super) struct ConvertArgs {
    /// Folders, files, archives (.json, .json.gz, .tar, .tar.gz, .zip) or s3://bucket/prefix to read;
    /// and the lake: a folder or s3://bucket/prefix
    #[arg(required_unless_present = "plan", num_args = 2.., value_name = "SOURCE, LAKE",
        value_parser = location())]
    pub places: Vec<Location>,

    /// Convert a part of this plan: its document, or the lake for the one that is open there
    #[arg(
        long,
        value_name = "PLAN",
        value_parser = location(),
        conflicts_with_all = ["places", "LakeArgs", "InputArgs", "NarrowArgs",
            "CatalogPlaceArgs", "PublicationArgs", "allow_quarantine"],
        help_heading = "Array job"
    )]
    pub plan: Option<Location>,

    /// Number of this child, from 0 [env: AWS_BATCH_JOB_ARRAY_INDEX] [default: the whole plan]
    #[arg(long, value_name = "NUMBER", help_heading = "Array job")]
    pub array_index: Option<u32>,

    /// Children of the array [env: AWS_BATCH_JOB_ARRAY_SIZE] [default: the shards of the plan]
    #[arg(long, value_name = "COUNT", help_heading = "Array job")]
    pub array_size: Option<u32>,

    /// Bring back the rows of data files that are gone, as `catalog diff` names them: their sources are
    /// read again, whatever else narrows the run, and exactly the rows that are lost are written
    #[arg(long, conflicts_with = "plan", help_heading = "Input")]
    pub restore: bool,

    #[command(flatten)]
    pub conversion: ConversionArgs,
    #[command(flatten)]
    pub publication: PublicationArgs,
    #[command(flatten)]
    pub ending: EndingArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How a conversion works.
#[derive(Debug, Group)]
pub(super) struct ConversionArgs {
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub encryption: EncryptionArgs,
    #[command(flatten)]
    pub lake: LakeArgs,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub work: WorkArgs,
    #[command(flatten)]
    pub catalog: CatalogPlaceArgs,
}

/// What a run tells those who watch it.
#[derive(Debug, Group)]
pub(super) struct EndingArgs {
    /// Write metrics of every unit and of the run to stderr: emf is CloudWatch's embedded format
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
    pub metrics: Option<MetricsFormat>,

    /// End with exit code 0, and not 1, when some input was set aside
    #[arg(long, help_heading = "Output")]
    pub allow_quarantine: bool,
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MetricsFormat {
    /// CloudWatch's embedded metric format, one JSON object a line
    Emf,
}

#[derive(Debug, Group)]
pub(super) struct LakeArgs {
    /// Partition keys in order: account, region, event_date, year, month, day, hour, event_source,
    /// organization; a lake keeps those it began with
    #[arg(long, value_name = "KEYS", default_value = DEFAULT_PARTITION_BY, help_heading = "Lake")]
    pub partition_by: PartitionBy,

    /// Write only the documented columns with their JSON text, no inferred nested ones
    #[arg(long, help_heading = "Lake")]
    pub no_nested: bool,

    /// Whether new fields are added to the nested columns: evolve or frozen
    #[arg(long, value_name = "MODE", default_value = "evolve", help_heading = "Lake")]
    pub schema: SchemaMode,

    /// Codec of the Parquet files: zstd, zstd:LEVEL (1 to 22), snappy, gzip or none
    #[arg(long, value_name = "CODEC", default_value_t = DEFAULT_COMPRESSION, help_heading = "Lake")]
    pub compression: Compression,

    /// Size at which a data file ends; files get there only with a large --unit-size
    #[arg(long, value_name = "BYTES", default_value = mib(DEFAULT_TARGET_FILE_SIZE), help_heading = "Lake")]
    pub target_file_size: ByteCount,

    /// JSON bytes converted as one unit, into one file per partition: larger units make fewer and
    /// larger files and take more memory
    #[arg(long, value_name = "BYTES", default_value = mib(DEFAULT_UNIT_SIZE), help_heading = "Lake")]
    pub unit_size: ByteCount,

    /// Make a lake of a folder or a prefix that has other things in it already
    #[arg(long, help_heading = "Lake")]
    pub into_existing: bool,

    /// Base name of the tables; families add _insight, _network_activity, _aggregated
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TABLE, help_heading = "Catalog")]
    pub table: String,
}

/// Which part of the sources is listed. An object whose key does not say what an option asks for is
/// left out.
#[derive(Clone, Debug, Default, Group)]
pub(super) struct NarrowArgs {
    /// First delivery date, YYYY-MM-DD: the date in the key
    #[arg(long, value_name = "DATE", help_heading = "Input")]
    pub from: Option<Day>,

    /// Last delivery date, YYYY-MM-DD
    #[arg(long, value_name = "DATE", help_heading = "Input")]
    pub to: Option<Day>,

    /// Only these accounts, by the key; may be given again or with commas
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = account, help_heading = "Input")]
    pub account: Vec<String>,

    /// Only these regions, by the key; --aws-region is the one of the AWS clients
    #[arg(long, value_name = "REGION", value_delimiter = ',', help_heading = "Input")]
    pub region: Vec<String>,

    /// Only these organizations, by the key
    #[arg(long, value_name = "o-ID", value_delimiter = ',', help_heading = "Input")]
    pub organization: Vec<String>,
}

impl NarrowArgs {
    /// Returns what is wanted.
    ///
    /// # Errors
    /// `Config` when no day is left.
    pub(super) fn narrow(&self) -> Result<Narrow> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(Error::config(format!("`--from {from}` is after `--to {to}`")));
        }
        Ok(Narrow {
            from: self.from,
            to: self.to,
            accounts: self.account.iter().cloned().collect(),
            regions: self.region.iter().cloned().collect(),
            organizations: self.organization.iter().cloned().collect(),
        })
    }
}

fn account(text: &str) -> Result<String> {
    let is_account = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let wrong = || Error::config(format!("`{text}` is no account: write its twelve digits"));
    is_account.then(|| text.to_owned()).ok_or_else(wrong)
}

/// What is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RetryName {
    /// Objects that were set aside whole
    Quarantined,
    /// Objects that were taken for other things than logs
    Ignored,
}

#[derive(Debug, Group)]
pub(super) struct InputArgs {
    #[command(flatten)]
    pub narrow: NarrowArgs,

    /// Days that a bucket is listed again, counted back from the last run that listed all of it
    /// [default: 35; everything the first time, and where there are up to 100,000 objects]
    #[arg(long, value_name = "DAYS", help_heading = "Input")]
    pub look_back: Option<u32>,

    /// List everything, however long ago it was delivered
    #[arg(long, help_heading = "Input")]
    pub full: bool,

    /// Stop with exit code 3, before anything is committed, if anything would be set aside
    #[arg(long, help_heading = "Input")]
    pub strict: bool,

    /// Read again what was set aside whole, or taken for other things than logs. Done without being asked
    /// when a limit or the program's version has changed; what could not be read is always tried again
    #[arg(long, value_name = "WHAT", value_delimiter = ',', help_heading = "Input")]
    pub retry: Vec<RetryName>,

    /// Copies of records in the lake: drop (count and leave out) or keep; an object's own earlier
    /// versions are never doubled
    #[arg(long, value_name = "RULE", default_value = "drop", help_heading = "Input")]
    pub duplicates: Duplicates,

    /// Largest decoded object; larger ones are set aside
    #[arg(long, value_name = "BYTES", default_value = mib(ByteCount(DEFAULT_MAX_OBJECT_BYTES)), help_heading = "Input")]
    pub max_object_size: ByteCount,

    /// Largest ratio of decoded to compressed bytes; objects above it are set aside as bombs
    #[arg(long, value_name = "RATIO", default_value_t = DEFAULT_MAX_RATIO, help_heading = "Input")]
    pub max_ratio: u64,
}

#[derive(Debug, Group)]
pub(super) struct WorkArgs {
    /// Worker threads [default: one per processor]; the output does not depend on them
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Work")]
    pub threads: Option<u16>,

    /// Memory for what is in flight [default: 256MiB per thread, 512MiB at least]
    #[arg(long, value_name = "BYTES", help_heading = "Work")]
    pub memory: Option<ByteCount>,
}

/// Which catalog a lake is registered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CatalogName {
    /// The AWS Glue Data Catalog
    Glue,
    /// Documents in the lake itself, a local folder
    Local,
    /// No catalog
    None,
}

/// Whether a thing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

#[derive(Clone, Debug, Group)]
pub(super) struct CatalogPlaceArgs {
    /// Catalog that knows the lake [default: glue for a lake in a bucket, else local]
    #[arg(long, value_enum, value_name = "CATALOG", help_heading = "Catalog")]
    pub catalog: Option<CatalogName>,

    /// Database in the catalog [default: the one the lake is in, else trailmill]
    #[arg(long, value_name = "NAME", help_heading = "Catalog")]
    pub database: Option<String>,

    /// Account that owns the Glue catalog [default: that of the credentials]
    #[arg(long, value_name = "ACCOUNT", help_heading = "Catalog")]
    pub catalog_id: Option<String>,

    /// Stop with exit code 2 if the Glue database does not exist, instead of creating it
    #[arg(long, help_heading = "Catalog")]
    pub no_create_database: bool,
}

/// How partitions are published.
#[derive(Clone, Debug, Default, Group)]
pub(super) struct PublicationArgs {
    /// Let Athena compute partitions from parameters of the table instead of registering them; other
    /// engines see none. A table keeps what was chosen until this is given again; =off registers
    #[arg(
        long,
        value_enum,
        value_name = "on|off",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on",
        conflicts_with = "partition_index",
        help_heading = "Catalog"
    )]
    pub partition_projection: Option<Switch>,

    /// Let Glue keep an index over the partition columns, and Athena use it
    #[arg(long, help_heading = "Catalog")]
    pub partition_index: bool,
}

/// The lake and the catalog of a command about the catalog.
#[derive(Clone, Debug, Group)]
pub(super) struct CatalogLakeArgs {
    #[command(flatten)]
    pub place: LakePlace,
    #[command(flatten)]
    pub catalog: CatalogPlaceArgs,
    #[command(flatten)]
    pub publication: PublicationArgs,
}

/// Make manifests again that somebody removed or that are damaged, from what else is in the lake.
///
/// Nothing is removed. Files of a unit that lost its manifest count again; where nothing says any more
/// which objects they came from, those are converted anew, and found to be copies of what is there, or the
/// files are set aside for them. Writes nothing when no manifest is lost; exit code 1 when files were set
/// aside or are gone themselves.
#[derive(Debug, Group)]
pub(super) struct RepairArgs {
    #[command(flatten)]
    pub place: LakePlace,
    #[command(flatten)]
    pub encryption: EncryptionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Show, compare and repair the lake's catalog; print it as SQL.
#[derive(Debug, Group)]
pub(super) struct CatalogArgs {
    #[command(subcommand)]
    pub command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CatalogCommand {
    /// Show the tables, or one of them with its columns.
    Show {
        #[command(flatten)]
        lake: CatalogLakeArgs,
        /// A table to show with its columns
        table: Option<String>,
        /// How deep nested types are drawn
        #[arg(long, default_value_t = crate::catalog::show::DEFAULT_DEPTH)]
        depth: usize,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the SQL that creates the tables, their partitions and views for BI tools.
    Ddl {
        #[command(flatten)]
        lake: CatalogLakeArgs,
        /// SQL dialect
        #[arg(long, value_enum, default_value = "athena")]
        dialect: DialectName,
        /// Leave out the views
        #[arg(long)]
        no_views: bool,
    },
    /// Print what differs between the lake and its catalog; exit code 1 if anything does.
    ///
    /// Everything is compared, the columns of every partition included.
    Diff {
        #[command(flatten)]
        lake: CatalogLakeArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Bring the catalog in line with the lake.
    ///
    /// Everything is compared, the columns of every partition included; `convert`, which does the
    /// same at its end, goes by a fingerprint of them.
    Sync {
        #[command(flatten)]
        lake: CatalogLakeArgs,
        #[command(flatten)]
        encryption: EncryptionArgs,
        /// Only print what would be done
        #[arg(long)]
        dry_run: bool,
        /// Accept for good that rows of data files that are gone are lost; `convert --restore` brings them
        /// back where their sources are still there
        #[arg(long)]
        accept_loss: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// An SQL dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DialectName {
    /// Athena engine version 3
    Athena,
    /// Spark SQL
    Spark,
    /// DuckDB: views over the files
    Duckdb,
}

/// Show, infer and compare schemas of the nested columns.
#[derive(Debug, Group)]
pub(super) struct SchemaArgs {
    #[command(subcommand)]
    pub command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Show a lake's schema lock, or without a lake the one every lake starts from.
    Show {
        /// The lake: a folder or s3://bucket/prefix
        #[arg(value_parser = location())]
        lake: Option<Location>,
        #[command(flatten)]
        aws: Box<AwsArgs>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Infer the schema of sources and write nothing.
    Infer {
        /// Files, folders or s3://bucket/prefix to read
        #[arg(required = true, value_parser = location())]
        sources: Vec<Location>,
        #[command(flatten)]
        aws: Box<AwsArgs>,
        #[command(flatten)]
        narrow: Box<NarrowArgs>,
        /// Show only what the sources hold, without the fields every lake starts from
        #[arg(long)]
        bare: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Compare two schemas; each is a lake, a schema file or `seed`. Exit code 1 if they differ.
    Diff {
        /// The first
        #[arg(value_parser = location())]
        old: Location,
        /// The second
        #[arg(value_parser = location())]
        new: Location,
        #[command(flatten)]
        aws: Box<AwsArgs>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Prove that the lake holds exactly the records of the sources.
///
/// Reads both sides with code that shares nothing with the converter, compares every documented
/// column and every free-form text of every record, and names what differs. Exit code 1 if anything
/// does.
///
/// With `--from`, `--to` and the like, objects are compared whose keys say so, and of the lake's rows
/// those that the ledger does not count for other objects.
#[derive(Debug, Group)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub places: PlaceArgs,

    #[command(flatten)]
    pub narrow: NarrowArgs,

    /// Objects may be gone from the sources since they were converted, as a retention removes them: those
    /// that are there are compared, and the others counted
    #[arg(long, help_heading = "Input")]
    pub source_may_be_partial: bool,

    /// Base name of the tables
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TABLE)]
    pub table: String,

    /// Whether the lake was made with copies dropped or kept
    #[arg(long, value_name = "RULE", default_value = "drop")]
    pub duplicates: Duplicates,

    /// Largest decoded object, as the lake was made with
    #[arg(long, value_name = "BYTES", default_value = mib(ByteCount(DEFAULT_MAX_OBJECT_BYTES)))]
    pub max_object_size: ByteCount,

    /// Largest ratio of decoded to compressed bytes, as the lake was made with
    #[arg(long, value_name = "RATIO", default_value_t = DEFAULT_MAX_RATIO)]
    pub max_ratio: u64,

    /// Differences to name; all are counted
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_MAX_DIFFERENCES)]
    pub max_differences: usize,

    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub output: OutputArgs,
}

/// List what was set aside, or write one entry's raw bytes to stdout.
#[derive(Debug, Group)]
pub(super) struct QuarantineArgs {
    #[command(flatten)]
    pub place: LakePlace,

    /// Number of the entry whose raw bytes are written
    #[arg(long, value_name = "NUMBER")]
    pub raw: Option<usize>,

    #[command(flatten)]
    pub output: OutputArgs,
}

/// Check, before a first run, everything that it needs.
///
/// Tries credentials, clock, regions and every permission one by one: listing and reading the sources,
/// a probe under `_trailmill/` of the lake that is put, read and removed, keys of KMS, and the calls to
/// Glue, on a temporary table that is removed again. Changes nothing that is there. What is missing
/// is printed as an IAM policy to paste. Exit code 1 if anything is missing, 2 without credentials, 75
/// if a service does not answer.
#[derive(Debug, Group)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub places: PlaceArgs,
    #[command(flatten)]
    pub encryption: EncryptionArgs,

    /// Catalog that is to know the lake [default: glue for a lake in a bucket, else local]
    #[arg(long, value_enum, value_name = "CATALOG", help_heading = "Catalog")]
    pub catalog: Option<CatalogName>,

    /// Database in the catalog [default: the one the lake is in, else trailmill]
    #[arg(long, value_name = "NAME", help_heading = "Catalog")]
    pub database: Option<String>,

    /// Account that owns the Glue catalog [default: that of the credentials]
    #[arg(long, value_name = "NUMBER", help_heading = "Catalog")]
    pub catalog_id: Option<String>,

    /// Base name of the tables
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TABLE, help_heading = "Catalog")]
    pub table: String,

    #[command(flatten)]
    pub output: OutputArgs,
}

/// Write a realistic archive of made-up CloudTrail logs in the real key layout.
///
/// The same options write the same bytes. Accounts, regions, services, odd keys, polymorphic
/// fields, late events and duplicates are all there; nothing in it is real.
#[derive(Debug, Group)]
pub(super) struct SampleArgs {
    /// Folder to write into; it must be empty or absent
    pub folder: PathBuf,

    /// JSON bytes of the archive, before compression
    #[arg(long, value_name = "BYTES", default_value = bytes(DEFAULT_SIZE))]
    pub size: ByteCount,

    /// Seed of everything that looks random
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_SEED)]
    pub seed: u64,

    /// Accounts
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_ACCOUNTS)]
    pub accounts: usize,

    /// Days of delivery
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_DAYS)]
    pub days: u32,

    /// Write this many objects of under 1 kB instead of --size
    #[arg(long, value_name = "COUNT")]
    pub small_objects: Option<u64>,

    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub output: OutputArgs,
}

fn mib(count: ByteCount) -> clap::builder::Resettable<clap::builder::OsStr> {
    clap::builder::Resettable::Value(format!("{}MiB", count.0 >> 20).into())
}

fn bytes(count: u64) -> clap::builder::Resettable<clap::builder::OsStr> {
    clap::builder::Resettable::Value(format!("{}MB", count / 1_000_000).into())
}

impl From<Duplicates> for DuplicateRule {
    fn from(rule: Duplicates) -> Self {
        match rule {
            Duplicates::Drop => Self::Drop,
            Duplicates::Keep => Self::Keep,
        }
    }
}
