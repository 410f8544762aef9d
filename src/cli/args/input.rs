//! Which part of the sources is read, and what is made of odd input.

use crate::cli::args::values::{account, bytes, megabytes, region};
use crate::decode::{DEFAULT_MAX_OBJECT_BYTES, DEFAULT_MAX_RATIO};
use crate::engine::{Duplicates, Unwrap};
use crate::error::{Error, Result};
use crate::source::{DigestFolders, Narrow};
use crate::units::{ByteCount, Day};
use clap::{Args as Group, ValueEnum};

/// Which part of the sources is listed. An object whose key lacks the account, region, date or
/// organization that an option asks for is left out.
#[derive(Clone, Debug, Default, Group)]
pub(in crate::cli) struct NarrowArgs {
    /// First delivery date, YYYY-MM-DD: the date in the key
    #[arg(long, value_name = "DATE", help_heading = "Input")]
    pub from: Option<Day>,

    /// Last delivery date, YYYY-MM-DD
    #[arg(long, value_name = "DATE", help_heading = "Input")]
    pub to: Option<Day>,

    /// Only these accounts, by the key; repeat the option or separate values with commas
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = account, help_heading = "Input")]
    pub account: Vec<String>,

    /// Only these regions, by the key; --aws-region sets the region of the AWS clients
    #[arg(long, value_name = "REGION", value_delimiter = ',', value_parser = region, help_heading = "Input")]
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
    pub(in crate::cli) fn narrow(&self) -> Result<Narrow> {
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
            digests: DigestFolders::default(),
        })
    }
}

/// What is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum RetryName {
    /// Objects that were quarantined whole
    Quarantined,
    /// Objects that were ignored because they are not logs
    Ignored,
}

/// How input is read; the same for `convert` and `verify`.
#[derive(Clone, Copy, Debug, Group)]
pub(in crate::cli) struct ReadingArgs {
    /// Read files, folders and members of archives whose names begin with `.` or `_`, too; never a
    /// lake's `_trailmill`
    #[arg(long, help_heading = "Input")]
    pub hidden: bool,

    /// Leave digests out: no table of them, and their folders are not listed
    #[arg(long, help_heading = "Input")]
    pub no_digests: bool,

    /// Wrappers that records are taken out of: off, known (LookupEvents, EventBridge, CloudWatch Logs, Splunk,
    /// Elasticsearch and many more) or any
    #[arg(long, value_name = "WHICH", default_value = "known", help_heading = "Input")]
    pub unwrap: Unwrap,

    /// Read event times without a zone as UTC; without it, records that have them are quarantined
    #[arg(long, help_heading = "Input")]
    pub assume_utc: bool,
}

#[derive(Debug, Group)]
pub(in crate::cli) struct InputArgs {
    #[command(flatten)]
    pub narrow: NarrowArgs,

    /// Days to list again in a bucket, counted back from its last full listing [default: 35;
    /// everything the first time, and for up to 100,000 objects]
    #[arg(long, value_name = "DAYS", conflicts_with = "full", help_heading = "Input")]
    pub look_back: Option<u32>,

    /// List everything, whatever its delivery date
    #[arg(long, help_heading = "Input")]
    pub full: bool,

    /// Read CloudTrail's digests first, and list only days on which they name logs that were delivered
    /// since the last full listing, and the last days; regions without digests are listed as always
    #[arg(long, help_heading = "Input")]
    pub from_digests: bool,

    /// Stop with exit code 3, before anything is committed, if any input would be quarantined
    #[arg(long, help_heading = "Input")]
    pub strict: bool,

    /// Read again objects that were quarantined whole or ignored because they are not logs. Happens
    /// by itself after a limit or the program's version has changed; objects that could not be read
    /// are always tried again
    #[arg(long, value_name = "WHAT", value_delimiter = ',', help_heading = "Input")]
    pub retry: Vec<RetryName>,

    #[command(flatten)]
    pub reading: ReadingArgs,

    /// Copies of records that the lake has: drop (count and leave out) or keep; records of an
    /// object's earlier version are never doubled
    #[arg(long, value_name = "RULE", default_value = "drop", help_heading = "Input")]
    pub duplicates: Duplicates,

    /// Largest decoded object; larger ones are quarantined
    #[arg(long, value_name = "BYTES", default_value = megabytes(DEFAULT_MAX_OBJECT_BYTES),
        value_parser = bytes(1), help_heading = "Input")]
    pub max_object_size: ByteCount,

    /// Largest ratio of decoded to compressed bytes; objects above it are quarantined as
    /// decompression bombs
    #[arg(long, value_name = "RATIO", default_value_t = DEFAULT_MAX_RATIO,
        value_parser = clap::value_parser!(u64).range(1..), help_heading = "Input")]
    pub max_ratio: u64,
}
