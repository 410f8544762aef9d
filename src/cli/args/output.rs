//! What a command says, and how.

use crate::cli::args::values::megabytes;
use crate::cli::console::{Color, LogFormat};
use crate::scan::{CacheOptions, DEFAULT_CACHE};
use crate::units::ByteCount;
use clap::{ArgAction, Args as Group, ValueEnum};
use std::path::PathBuf;

/// Format of a report on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How stderr is written; for every command. Formats are read before arguments are parsed, see
/// [`crate::cli::console::open_console`].
#[derive(Debug, Group)]
pub(in crate::cli) struct ConsoleArgs {
    /// Format of messages, progress and errors on stderr [default: text; json in AWS Batch]
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "TRAILMILL_LOG_FORMAT",
        hide_env_values = true,
        help_heading = "Messages"
    )]
    pub log_format: Option<LogFormat>,

    /// File with defaults of options [default: trailmill/trailmill.toml in the user's folder of
    /// configuration]; TRAILMILL_ variables, such as TRAILMILL_MEMORY for --memory, are stronger
    #[arg(long, global = true, value_name = "FILE", help_heading = "Messages")]
    pub config: Option<PathBuf>,

    /// Colors in messages, help and errors
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Messages"
    )]
    pub color: Color,

    /// Log units, files and catalog changes to stderr; -vv also logs each request
    #[arg(long, short, global = true, action = ArgAction::Count, help_heading = "Messages")]
    pub verbose: u8,
}

#[derive(Debug, Group)]
pub(in crate::cli) struct OutputArgs {
    /// Format of the report on stdout
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub report: Format,

    /// Show no progress
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

/// For a command that answers on stdout.
#[derive(Debug, Group)]
pub(in crate::cli) struct AnswerArgs {
    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Suppress everything on stderr except errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Where a command that reads rows keeps the files of a lake in a bucket.
#[derive(Debug, Group)]
pub(in crate::cli) struct CacheArgs {
    /// Folder for files of a lake in a bucket [default: trailmill in the user's cache folder]
    #[arg(long, value_name = "FOLDER", help_heading = "Cache")]
    pub cache: Option<PathBuf>,

    /// Bytes that the cache may hold; files that were not used for longest make room
    #[arg(long, value_name = "BYTES", default_value = megabytes(DEFAULT_CACHE), help_heading = "Cache")]
    pub cache_size: ByteCount,
}

impl CacheArgs {
    /// Returns what the arguments ask for.
    pub(in crate::cli) fn options(&self) -> CacheOptions {
        let folder = self.cache.clone().or(CacheOptions::default().folder);
        CacheOptions { folder, limit: self.cache_size.0 }
    }
}

/// What a run reports beside its result.
#[derive(Debug, Group)]
pub(in crate::cli) struct EndingArgs {
    /// Write metrics of every unit and of the run to stderr; emf is CloudWatch's embedded metric
    /// format
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
    pub metrics: Option<MetricsFormat>,

    /// End with exit code 0 instead of 1 when some input was quarantined
    #[arg(long, help_heading = "Output")]
    pub allow_quarantine: bool,
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum MetricsFormat {
    /// CloudWatch's embedded metric format, one JSON object a line
    Emf,
}
