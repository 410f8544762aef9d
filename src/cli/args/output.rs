//! What a command says, and how.

use clap::{Args as Group, ValueEnum};

/// Format of a report on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
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
