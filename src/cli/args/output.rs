//! What a command says, and how.

use crate::cli::console::{Color, LogFormat};
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
