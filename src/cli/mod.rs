//! The command line: arguments, progress, report, exit code. stdout is data, stderr is for people.
//!
//! `commands` has a file for each command: its arguments, its run and its text. `args` has the
//! arguments that commands share.

mod args;
mod buckets;
mod commands;
mod exit;
mod identity;
mod machine;
mod metrics;
mod progress;
mod report;
mod run_report;
mod signals;

pub use exit::{EXIT_INCOMPLETE, EXIT_OK, EXIT_STOPPED, EXIT_TRY_LATER, EXIT_USAGE};

use crate::error::Error;
use clap::Parser;
use commands::Args;
use std::error::Error as _;
use std::process::ExitCode;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(err) => {
            let code = if err.use_stderr() { EXIT_USAGE } else { EXIT_OK };
            let _ = err.print();
            return ExitCode::from(code);
        }
    };
    crate::notice::tell_with(|message| progress::say(false, message));
    match commands::run(args) {
        Ok(code) => ExitCode::from(code),
        Err(err) if is_broken_pipe(&err) => ExitCode::from(EXIT_OK),
        Err(err) => {
            progress::say_error(&err);
            ExitCode::from(exit::exit_code(&err))
        }
    }
}

/// Returns whether the reader of our output went away, as in `trailmill … | head`: not a failure.
fn is_broken_pipe(err: &Error) -> bool {
    let mut cause = err.source();
    while let Some(err) = cause {
        if let Some(io) = err.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::BrokenPipe
        {
            return true;
        }
        cause = err.source();
    }
    false
}
