//! One digest, as CloudTrail writes it (docs/aws-facts.md A34).

use crate::error::{Error, Result};
use crate::units::{EpochMillis, parse_event_time};
use serde::Deserialize;

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// What a digest says.
#[derive(Clone, Debug)]
pub(super) struct Digest {
    /// Start of its window, by the time of delivery.
    pub start: EpochMillis,
    /// End of its window.
    pub end: EpochMillis,
    /// The end as it is written: what is signed.
    pub end_text: String,
    /// The bucket that it was delivered to.
    pub bucket: String,
    /// The key that it was delivered to.
    pub key: String,
    /// The fingerprint of the key that signed it.
    pub fingerprint: String,
    /// The digest before, unless it starts a chain.
    pub previous: Option<Previous>,
    /// The logs delivered in the window.
    pub logs: Vec<ListedLog>,
}

/// What a digest says of the one before it.
#[derive(Clone, Debug)]
pub(super) struct Previous {
    /// Its key.
    pub key: String,
    /// The SHA-256 of its content.
    pub hash: Hash,
    /// Its signature, hexadecimal.
    pub signature: String,
}

/// A log that a digest lists.
#[derive(Clone, Debug)]
pub(super) struct ListedLog {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// The SHA-256 of its content.
    pub hash: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    digest_start_time: String,
    digest_end_time: String,
    #[serde(rename = "digestS3Bucket")]
    bucket: String,
    #[serde(rename = "digestS3Object")]
    key: String,
    digest_public_key_fingerprint: String,
    digest_signature_algorithm: String,
    #[serde(rename = "previousDigestS3Object")]
    previous_key: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_hash_algorithm: Option<String>,
    previous_digest_signature: Option<String>,
    log_files: Vec<LogFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogFile {
    #[serde(rename = "s3Bucket")]
    bucket: String,
    #[serde(rename = "s3Object")]
    key: String,
    hash_value: String,
    hash_algorithm: String,
}

impl Digest {
    /// Reads a digest's content.
    ///
    /// # Errors
    /// `BadInput` for what is not a digest.
    pub(super) fn parse(content: &[u8]) -> Result<Self> {
        let document: Document = serde_json::from_slice(content)
            .map_err(|err| Error::bad_input("not a digest").because(err))?;
        if document.digest_signature_algorithm != "SHA256withRSA" {
            return Err(Error::bad_input("unknown signature algorithm: expected SHA256withRSA"));
        }
        let time = |text: &str| {
            parse_event_time(text.as_bytes())
                .ok_or_else(|| Error::bad_input("invalid time of the digest's window"))
        };
        let listed = |log: LogFile| {
            let hash = parse_hash(&log.hash_value, &log.hash_algorithm)?;
            Ok(ListedLog { bucket: log.bucket, key: log.key, hash })
        };
        let previous = match (
            document.previous_key,
            document.previous_digest_hash_value,
            document.previous_digest_signature,
        ) {
            (None, None, None) => None,
            (Some(key), Some(hash), Some(signature)) => {
                let algorithm = document.previous_digest_hash_algorithm.unwrap_or_default();
                Some(Previous { key, hash: parse_hash(&hash, &algorithm)?, signature })
            }
            _ => return Err(Error::bad_input("the previous digest is named only in part")),
        };
        Ok(Self {
            start: time(&document.digest_start_time)?,
            end: time(&document.digest_end_time)?,
            end_text: document.digest_end_time,
            bucket: document.bucket,
            key: document.key,
            fingerprint: document.digest_public_key_fingerprint,
            previous,
            logs: document.log_files.into_iter().map(listed).collect::<Result<_>>()?,
        })
    }
}

fn parse_hash(text: &str, algorithm: &str) -> Result<Hash> {
    let mut hash = [0; 32];
    if algorithm != "SHA-256" || hex::decode_to_slice(text, &mut hash).is_err() {
        return Err(Error::bad_input("invalid hash: expected 64 hexadecimal digits of SHA-256"));
    }
    Ok(hash)
}
