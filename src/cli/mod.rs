//! The command line: arguments, progress, report, exit code. stdout is data, stderr is for people.
//!
//! `commands` has a file for each command: its arguments, its run and its text. `args` has the
//! arguments that commands share.

#![allow(
    rustdoc::bare_urls,
    reason = "comments on arguments are their help texts, where brackets would show"
)]

mod answered;
mod args;
mod buckets;
mod certificate_file;
mod commands;
mod config_file;
mod console;
mod exit;
mod identity;
mod machine;
mod metrics;
mod progress_display;
mod prompt;
mod queue_run;
mod report;
mod run_report;
mod signals;
mod time_left;

pub use exit::{EXIT_INCOMPLETE, EXIT_OK, EXIT_STOPPED, EXIT_TRY_LATER, EXIT_USAGE};

use crate::error::Error;
use clap::{CommandFactory, FromArgMatches};
use commands::Args;
use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let color = console::open_console(&arguments);
    let command = match config_file::configure(Args::command().color(color), &arguments) {
        Ok(command) => command,
        Err(err) => {
            console::say_error(&err);
            return ExitCode::from(exit::exit_code(&err));
        }
    };
    let parsed = command.try_get_matches_from(arguments);
    let args = match parsed.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(err) => {
            let code = if err.use_stderr() { EXIT_USAGE } else { EXIT_OK };
            console::say_usage(&err);
            return ExitCode::from(code);
        }
    };
    console::open_log(args.console.verbose);
    crate::notice::tell_with(|message| console::say(false, message));
    match commands::run(args) {
        Ok(code) => ExitCode::from(code),
        Err(err) if is_broken_pipe(&err) => ExitCode::from(EXIT_OK),
        Err(err) => {
            console::say_error(&err);
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
