//! Files that digests are checked with.

use crate::engine::Integrity;
use crate::error::{Error, Result};
use crate::integrity::{IntegrityMode, KeyRing, Signatures};
use crate::text::clean;
use clap::{Args as Group, ValueEnum};
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// What a conversion does about log file integrity.
#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct ProofArgs {
    /// Log file integrity: record hashes every log and records whether CloudTrail's digests prove it;
    /// require converts only what is proven, and quarantines what is not what was delivered
    #[arg(long, value_name = "MODE", default_value = "off", help_heading = "Evidence")]
    pub integrity: IntegrityName,

    #[command(flatten)]
    pub evidence: EvidenceArgs,
}

/// What is done about the integrity of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum IntegrityName {
    /// Nothing
    Off,
    /// Hash every log, and record what digests say of it
    Record,
    /// Convert only what digests prove
    Require,
}

impl ProofArgs {
    /// Returns what is done about the integrity of logs; a question to CloudTrail is repeated for so long.
    ///
    /// # Errors
    /// `Config` for evidence that is not used, or a file of it that cannot be read.
    pub(in crate::cli) fn integrity(&self, patience: Duration) -> Result<Integrity> {
        let mode = match self.integrity {
            IntegrityName::Off => IntegrityMode::Off,
            IntegrityName::Record => IntegrityMode::Record,
            IntegrityName::Require => IntegrityMode::Require,
        };
        let has_files = self.evidence.keys.is_some() || self.evidence.signatures.is_some();
        if mode == IntegrityMode::Off && has_files {
            let message = "`--keys` and `--signatures` require `--integrity record` or `require`";
            return Err(Error::config(message));
        }
        let (keys, signatures) = (self.evidence.key_ring()?, self.evidence.signatures()?);
        Ok(Integrity { mode, keys, signatures, patience, proofs: None })
    }
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
