//! Signatures of digests in a file: what `--save-evidence` keeps of the metadata that copies lose.

use crate::error::{Error, Result};
use crate::integrity::digest_name::file_name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Signatures, by the names of digests: a name has account, region, trail and time in it.
#[derive(Clone, Debug, Default)]
pub struct Signatures(BTreeMap<String, Signature>);

/// The signature of a digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Signature {
    /// The key of the digest.
    pub object: String,
    /// The signature, hexadecimal.
    pub signature: String,
}

#[derive(Deserialize, Serialize)]
struct Document {
    signatures: Vec<Signature>,
}

impl Signatures {
    /// Reads a file of signatures.
    ///
    /// # Errors
    /// `Config` for another file.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let document: Document = serde_json::from_slice(text).map_err(|err| {
            Error::config("invalid file of signatures: expected what `--save-evidence` writes")
                .because(err)
        })?;
        let mut out = Self::default();
        document.signatures.into_iter().for_each(|signature| out.add(signature));
        Ok(out)
    }

    /// Adds a signature.
    pub fn add(&mut self, signature: Signature) {
        self.0.insert(file_name(&signature.object).to_owned(), signature);
    }

    /// Returns the signature of a digest, by its key wherever it lies.
    pub fn of(&self, key: &str) -> Option<&str> {
        self.0.get(file_name(key)).map(|found| found.signature.as_str())
    }

    /// Returns all signatures, by key.
    pub fn all(&self) -> impl Iterator<Item = &Signature> {
        self.0.values()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the signatures as a file, which [`Signatures::parse`] reads.
    ///
    /// # Errors
    /// `Io` when they cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let document = Document { signatures: self.all().cloned().collect() };
        let text = serde_json::to_vec_pretty(&document);
        text.map_err(|err| Error::io("cannot render the signatures", err))
    }
}
