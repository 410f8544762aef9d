//! The command line: arguments, progress, report, exit code. stdout is data, stderr is for people.

mod args;
mod array;
mod buckets;
mod catalog;
mod commands;
mod doctor;
mod identity;
mod lake;
mod machine;
mod metrics;
mod plan_args;
mod plan_report;
mod progress;
mod repair;
mod report;
mod signals;

use crate::error::{Error, ErrorKind, Reaction, Result};
use args::{Args, Command};
use clap::{CommandFactory, Parser};
use std::error::Error as _;
use std::process::ExitCode;

/// All records converted.
pub const EXIT_OK: u8 = 0;
/// Finished; some input was set aside, or a comparison found differences.
pub const EXIT_SET_ASIDE: u8 = 1;
/// Wrong usage or configuration; nothing was converted.
pub const EXIT_USAGE: u8 = 2;
/// Stopped by an error that the same command would meet again.
pub const EXIT_STOPPED: u8 = 3;
/// Stopped by something that passes: the lease is held, the run was interrupted.
pub const EXIT_TRY_LATER: u8 = 75;

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
    match run(args) {
        Ok(code) => ExitCode::from(code),
        Err(err) if is_broken_pipe(&err) => ExitCode::from(EXIT_OK),
        Err(err) => {
            progress::say_error(&err);
            ExitCode::from(exit_code(&err))
        }
    }
}

fn run(args: Args) -> Result<u8> {
    // A conversion commits what is in flight first.
    if !matches!(args.command, Command::Convert(_)) {
        signals::end_on_signal()?;
    }
    match args.command {
        Command::Convert(args) => commands::convert(&args),
        Command::Plan(args) => array::plan(&args),
        Command::Finish(args) => array::finish(&args),
        Command::Catalog(args) => catalog::catalog(&args),
        Command::Repair(args) => repair::repair(&args),
        Command::Schema(args) => commands::schema(&args),
        Command::Verify(args) => commands::verify(&args),
        Command::Quarantine(args) => commands::quarantine(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Sample(args) => commands::sample(&args),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "trailmill", &mut out);
            report::print(&String::from_utf8_lossy(&out))?;
            Ok(EXIT_OK)
        }
        Command::Man { folder } => commands::man(&folder),
    }
}

fn exit_code(err: &Error) -> u8 {
    match (err.kind(), err.kind().reaction()) {
        (ErrorKind::Config, _) => EXIT_USAGE,
        (_, Reaction::TryLater) => EXIT_TRY_LATER,
        _ => EXIT_STOPPED,
    }
}

/// Somebody closed our output, `trailmill … | head`: that is no failure.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_option_has_a_help_text() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Args::command());
    }

    #[test]
    fn errors_have_their_exit_codes() {
        for (kind, code) in [
            (ErrorKind::Config, 2),
            (ErrorKind::Busy, 75),
            (ErrorKind::Interrupted, 75),
            (ErrorKind::Io, 3),
            (ErrorKind::BadInput, 3),
        ] {
            assert_eq!(exit_code(&Error::new(kind, "x")), code);
        }
    }
}
