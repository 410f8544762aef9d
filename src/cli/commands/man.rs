//! `trailmill man`.

use crate::cli::exit::EXIT_OK;
use crate::error::{Error, Result};
use clap::Args as Group;
use std::path::PathBuf;

/// Write the manual pages into a folder.
#[derive(Debug, Group)]
pub(super) struct ManArgs {
    /// Folder to write into
    pub folder: PathBuf,
}

pub(super) fn run(args: &ManArgs, program: clap::Command) -> Result<u8> {
    std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(program, &args.folder))
        .map_err(|err| Error::io("cannot write the manual pages", err))?;
    Ok(EXIT_OK)
}
