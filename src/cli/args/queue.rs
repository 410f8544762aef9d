//! Windows of a queue's objects.

use crate::cli::args::values::{bytes, length_of_time, megabytes};
use crate::queue::WindowLimits;
use crate::units::ByteCount;
use clap::Args as Group;
use std::time::Duration;

/// When objects that a queue has named are converted.
#[derive(Clone, Copy, Debug, Group)]
pub(in crate::cli) struct WindowArgs {
    /// Convert once so many bytes of JSON have arrived (estimated); with more than --unit-size, raise
    /// that, too
    #[arg(long, value_name = "BYTES", default_value = megabytes(WindowLimits::default().bytes.0),
        value_parser = bytes(1), requires = "queue", help_heading = "Queue")]
    pub window_bytes: ByteCount,

    /// Convert once so many objects have arrived
    #[arg(long, value_name = "COUNT", default_value = "10000", requires = "queue",
        value_parser = clap::value_parser!(u32).range(1..), help_heading = "Queue")]
    pub window_objects: u32,

    /// Convert what has arrived after this time: 90s, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = length_of_time, requires = "queue",
        help_heading = "Queue")]
    pub window_age: Duration,
}

impl WindowArgs {
    /// Returns when a window closes.
    pub(in crate::cli) fn limits(&self) -> WindowLimits {
        let Self { window_bytes: bytes, window_objects, window_age: age } = *self;
        WindowLimits { bytes, objects: window_objects as usize, age }
    }
}
