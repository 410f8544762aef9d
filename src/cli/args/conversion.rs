//! How a conversion works.

use crate::cli::args::aws::{AwsArgs, WritingArgs};
use crate::cli::args::catalog::{CatalogPlaceArgs, PublicationArgs};
use crate::cli::args::input::{InputArgs, RetryName};
use crate::cli::args::values::{bytes, megabytes};
use crate::cli::machine::{memory, threads};
use crate::decode::{Caps, Passwords};
use crate::engine::{ConvertOptions, Integrity, Retry};
use crate::error::{Error, Result};
use crate::lake::{
    DEFAULT_TABLE, DEFAULT_TARGET_FILE_SIZE, DEFAULT_UNIT_SIZE, OutputSettings, SchemaMode,
};
use crate::location::Location;
use crate::parquet::{Compression, DEFAULT_COMPRESSION};
use crate::partition::PartitionBy;
use crate::source::{DigestFolders, Narrow};
use crate::units::ByteCount;
use clap::Args as Group;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The least bytes of `--memory`: what is below is a number without its unit.
const LEAST_MEMORY: u64 = 1_000;

/// How a conversion works.
#[derive(Debug, Group)]
pub(in crate::cli) struct ConversionArgs {
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub lake: LakeArgs,
    #[command(flatten)]
    pub catalog: CatalogPlaceArgs,
    #[command(flatten)]
    pub work: WorkArgs,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub writing: WritingArgs,
}

/// Partition keys, or the wish that they are chosen.
#[derive(Clone, Debug)]
pub(in crate::cli) enum PartitionArg {
    Auto,
    By(PartitionBy),
}

impl PartitionArg {
    fn keys(&self) -> PartitionBy {
        match self {
            Self::Auto => PartitionBy::default(),
            Self::By(keys) => keys.clone(),
        }
    }
}

impl FromStr for PartitionArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::By) }
    }
}

#[derive(Debug, Group)]
pub(in crate::cli) struct LakeArgs {
    /// Partition keys in order: account, region, event_date, year, month, day, hour, event_source,
    /// organization; fixed once the lake exists. auto: event_date, account,event_date or
    /// account,region,event_date, as fits the volume of a new lake's sources; else what the lake has
    #[arg(long, value_name = "KEYS", default_value = "auto", help_heading = "Lake")]
    pub partition_by: PartitionArg,

    /// Write no typed tables, which have the JSON texts as nested columns
    #[arg(long, help_heading = "Lake")]
    pub no_typed: bool,

    /// Whether new fields are added to the typed tables: evolve or frozen
    #[arg(long, value_name = "MODE", default_value = "evolve", help_heading = "Lake")]
    pub schema: SchemaMode,

    /// Codec of the Parquet files: zstd, zstd:LEVEL (1 to 22), snappy, gzip or none [default: zstd:1]
    #[arg(long, value_name = "CODEC", help_heading = "Lake")]
    pub compression: Option<Compression>,

    /// Size at which a new data file is begun; reached only with a large --unit-size
    #[arg(long, value_name = "BYTES", default_value = megabytes(DEFAULT_TARGET_FILE_SIZE.0),
        value_parser = bytes(1), help_heading = "Lake")]
    pub target_file_size: ByteCount,

    /// JSON bytes converted as one unit, into one file per partition: larger units make fewer and
    /// larger files and take more memory
    #[arg(long, value_name = "BYTES", default_value = megabytes(DEFAULT_UNIT_SIZE.0),
        value_parser = bytes(1), help_heading = "Lake")]
    pub unit_size: ByteCount,

    /// Create the lake in a folder or prefix that has other files in it
    #[arg(long, help_heading = "Lake")]
    pub into_existing: bool,

    /// Base name of the tables; families add _insight, _network_activity, _aggregated, _digest
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TABLE, help_heading = "Catalog")]
    pub table: String,
}

#[derive(Debug, Group)]
pub(in crate::cli) struct WorkArgs {
    /// Worker threads [default: one per processor]; the output does not depend on them
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Work")]
    pub threads: Option<u16>,

    /// Memory for objects and rows in flight [default: 256MB per thread, 512MB at least]
    #[arg(long, value_name = "BYTES", value_parser = bytes(LEAST_MEMORY), help_heading = "Work")]
    pub memory: Option<ByteCount>,

    /// File with the passwords of encrypted zip and 7z archives, one a line, which are tried in turn;
    /// children of an array job need the file that the plan was made with
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub archive_password_file: Option<PathBuf>,
}

impl WorkArgs {
    /// Reads the passwords of archives.
    ///
    /// # Errors
    /// `Config` for a file that cannot be read, or without a password.
    pub(in crate::cli) fn passwords(&self) -> Result<Passwords> {
        passwords(self.archive_password_file.as_deref())
    }
}

/// Reads a file of passwords.
///
/// # Errors
/// As [`WorkArgs::passwords`].
pub(in crate::cli) fn passwords(file: Option<&Path>) -> Result<Passwords> {
    let Some(path) = file else { return Ok(Passwords::default()) };
    let text = std::fs::read_to_string(path).map_err(|err| {
        let message = "cannot read the file of `--archive-password-file`";
        Error::config(message).at("path", path.display()).because(err)
    })?;
    let passwords = Passwords::from_lines(&text);
    if passwords.is_empty() {
        let message = "no password in the file of `--archive-password-file`: expected one a line";
        return Err(Error::config(message).at("path", path.display()));
    }
    Ok(passwords)
}

impl ConversionArgs {
    /// Returns how long a request is repeated.
    pub(in crate::cli) fn patience(&self) -> Duration {
        Duration::from_secs(self.aws.retry_timeout)
    }

    /// Returns the options of a conversion of these sources into this lake.
    ///
    /// # Errors
    /// `Config` for options that contradict each other.
    pub(in crate::cli) fn options(
        &self,
        publication: &PublicationArgs,
        sources: Vec<Location>,
        lake: Location,
    ) -> Result<ConvertOptions> {
        self.writing.encryption.refuse_folder(&lake)?;
        self.catalog.refuse_none(publication)?;
        let (threads, passwords) = (threads(self.work.threads), self.work.passwords()?);
        let (table, retry) = (self.lake.table.clone(), self.aws.retry_timeout);
        Ok(ConvertOptions {
            s3: self.aws.s3_and_glue(Some(&self.writing), &self.catalog.glue)?,
            catalog: self.catalog.options(publication, retry, table),
            sources,
            lake,
            into_existing: self.lake.into_existing,
            threads,
            memory: memory(self.work.memory, threads),
            is_layout_chosen: matches!(self.lake.partition_by, PartitionArg::Auto),
            output: OutputSettings {
                partition_by: self.lake.partition_by.keys(),
                typed: !self.lake.no_typed,
                schema: self.lake.schema,
                duplicates: self.input.duplicates,
                compression: self.lake.compression.unwrap_or(DEFAULT_COMPRESSION),
                target_file_size: self.lake.target_file_size,
                unit_size: self.lake.unit_size,
                caps: Caps {
                    max_object_bytes: self.input.max_object_size.0,
                    max_ratio: self.input.max_ratio,
                },
                table: self.lake.table.clone(),
                unwrap: self.input.reading.unwrap,
                assume_utc: self.input.reading.assume_utc,
                digests: !self.input.reading.no_digests,
                hidden: self.input.reading.hidden,
                passwords: passwords.check(),
                ..OutputSettings::default()
            },
            narrow: Narrow {
                digests: match self.input.reading.no_digests {
                    true => DigestFolders::LeftOut,
                    false => DigestFolders::Included,
                },
                ..self.input.narrow.narrow()?
            },
            look_back_days: self.input.look_back,
            full: self.input.full,
            from_digests: self.input.from_digests,
            named_days: None,
            strict: self.input.strict,
            retry: Retry {
                quarantined: self.input.retry.contains(&RetryName::Quarantined),
                ignored: self.input.retry.contains(&RetryName::Ignored),
            },
            integrity: Integrity::default(),
            passwords,
            notes_event_times: false,
        })
    }
}
