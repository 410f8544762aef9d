//! What a command says, and how.

use clap::{Args as Group, ValueEnum};

/// How a report is written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Group)]
pub(in crate::cli) struct OutputArgs {
    /// How the report is written to stdout
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub report: Format,

    /// Show no progress
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

/// What a run tells those who watch it.
#[derive(Debug, Group)]
pub(in crate::cli) struct EndingArgs {
    /// Write metrics of every unit and of the run to stderr: emf is CloudWatch's embedded format
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
    pub metrics: Option<MetricsFormat>,

    /// End with exit code 0, and not 1, when some input was set aside
    #[arg(long, help_heading = "Output")]
    pub allow_quarantine: bool,
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum MetricsFormat {
    /// CloudWatch's embedded metric format, one JSON object a line
    Emf,
}
