//! `trailmill completions`.

use crate::cli::exit::EXIT_OK;
use crate::cli::report::print;
use crate::error::Result;
use clap::Args as Group;

/// Print a completion script for a shell.
#[derive(Debug, Group)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

pub(super) fn run(args: &CompletionsArgs, mut program: clap::Command) -> Result<u8> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut program, "trailmill", &mut out);
    print(&String::from_utf8_lossy(&out))?;
    Ok(EXIT_OK)
}
