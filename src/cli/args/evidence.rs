//! Files that digests are checked with.

use crate::error::{Error, Result};
use crate::integrity::{KeyRing, Signatures};
use crate::text::clean;
use clap::Args as Group;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Default, Group)]
pub(in crate::cli) struct EvidenceArgs {
    /// File with public keys, as `aws cloudtrail list-public-keys` prints them or --save-evidence
    /// writes them [default: CloudTrail is asked, which takes cloudtrail:ListPublicKeys]
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    pub keys: Option<PathBuf>,

    /// File with signatures of digests, as --save-evidence writes it
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    pub signatures: Option<PathBuf>,
}

impl EvidenceArgs {
    /// Returns the keys of the file; none if CloudTrail is to be asked.
    ///
    /// # Errors
    /// `Config` for a file that cannot be read or holds no keys.
    pub(in crate::cli) fn key_ring(&self) -> Result<Option<KeyRing>> {
        let parse = |path: &PathBuf| {
            KeyRing::parse(&read(path)?).map_err(|err| err.at("path", show_path(path)))
        };
        self.keys.as_ref().map(parse).transpose()
    }

    /// Returns the signatures of the file.
    ///
    /// # Errors
    /// `Config` for a file that cannot be read or holds no signatures.
    pub(in crate::cli) fn signatures(&self) -> Result<Signatures> {
        let Some(path) = &self.signatures else { return Ok(Signatures::default()) };
        Signatures::parse(&read(path)?).map_err(|err| err.at("path", show_path(path)))
    }
}

/// A path, for people.
pub(in crate::cli) fn show_path(path: &Path) -> String {
    clean(&path.display().to_string())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let failed =
        |err| Error::config("cannot read the file").at("path", show_path(path)).because(err);
    std::fs::read(path).map_err(failed)
}
