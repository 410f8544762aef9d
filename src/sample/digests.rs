//! Signed chains of digests over the logs of a sample.
//!
//! The key is made for the sample and thrown away: its public half and the signatures, which S3 would keep
//! as metadata, lie beside the logs in `_evidence`. Every account and region has a chain from the first
//! hour of the sample to the last; hours without logs have empty digests.

use super::layout::{Account, Address, Family};
use super::{Scratch, put_file};
use crate::error::{Error, ErrorKind, Result};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The folder for keys and signatures, below that of the sample.
pub const EVIDENCE: &str = "_evidence";

/// The bucket that digests name.
pub(super) const BUCKET: &str = "acme-org-trail";

const HOUR: i64 = 3600;

/// A log that was written.
#[derive(Debug)]
pub(super) struct WrittenLog {
    pub address: Address,
    pub key: String,
    /// The SHA-256 of its JSON, hexadecimal.
    pub hash: String,
}

/// A chain that was written.
#[derive(Debug)]
pub(super) struct WrittenChain {
    /// Keys of digests, from the oldest to the newest.
    pub digests: Vec<String>,
    /// Keys of logs, by time.
    pub logs: Vec<String>,
    signatures: Vec<String>,
    pub bytes_json: u64,
    pub bytes_compressed: u64,
}

/// Returns the SHA-256 of bytes, hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

struct Signer {
    key: RsaKeyPair,
    fingerprint: String,
}

impl Signer {
    fn new() -> Result<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048)
            .map_err(|_| Error::new(ErrorKind::Io, "cannot make a key to sign digests with"))?;
        let fingerprint = hex::encode(Md5::digest(key.public_key().as_ref()));
        Ok(Self { key, fingerprint })
    }

    fn sign(&self, text: &str) -> Result<String> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| Error::new(ErrorKind::Bug, "cannot sign a digest"))?;
        Ok(hex::encode(signature))
    }
}

/// Writes the chains over all logs, the key and the signatures.
pub(super) fn write_chains(
    folder: &Path,
    accounts: &[Account],
    logs: Vec<WrittenLog>,
) -> Result<Vec<WrittenChain>> {
    let times = logs.iter().map(|log| log.address.delivered);
    let (first, last) = (times.clone().min().unwrap_or(0), times.max().unwrap_or(0));
    let hours = first.div_euclid(HOUR)..=last.div_euclid(HOUR);
    let mut places: BTreeMap<(usize, &str), Vec<WrittenLog>> = BTreeMap::new();
    for log in logs {
        places.entry((log.address.account, log.address.region)).or_default().push(log);
    }
    let signer = Signer::new()?;
    let places: Vec<_> = places.into_iter().collect();
    let chains: Vec<WrittenChain> = places
        .into_par_iter()
        .map(|(_, logs)| write_chain(folder, accounts, &signer, logs, hours.clone()))
        .collect::<Result<_>>()?;
    let validity = (hours.start() * HOUR - HOUR, hours.end() * HOUR + 30 * 24 * HOUR);
    let keys = json!({"PublicKeyList": [{
        "Fingerprint": signer.fingerprint,
        "ValidityStartTime": validity.0,
        "ValidityEndTime": validity.1,
        "Value": STANDARD.encode(signer.key.public_key().as_ref()),
    }]});
    put_json(&folder.join(EVIDENCE).join("keys.json"), &keys)?;
    let signatures = chains.iter().flat_map(|chain| chain.digests.iter().zip(&chain.signatures));
    let signatures: Vec<Value> = signatures
        .map(|(object, signature)| json!({"object": object, "signature": signature}))
        .collect();
    let signatures = json!({ "signatures": signatures });
    put_json(&folder.join(EVIDENCE).join("signatures.json"), &signatures)?;
    Ok(chains)
}

fn put_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot render evidence").because(err))?;
    put_file(path, &text)
}

fn write_chain(
    folder: &Path,
    accounts: &[Account],
    signer: &Signer,
    mut logs: Vec<WrittenLog>,
    hours: std::ops::RangeInclusive<i64>,
) -> Result<WrittenChain> {
    logs.sort_by(|a, b| (a.address.delivered, &a.key).cmp(&(b.address.delivered, &b.key)));
    let mut chain = WrittenChain {
        digests: Vec::new(),
        logs: Vec::new(),
        signatures: Vec::new(),
        bytes_json: 0,
        bytes_compressed: 0,
    };
    let Some(place) = logs.first().map(|log| log.address) else { return Ok(chain) };
    let mut scratch = Scratch::new();
    let mut previous: Option<(String, String)> = None;
    let mut rest = &logs[..];
    for hour in hours {
        let (start, end) = (hour * HOUR, (hour + 1) * HOUR);
        let (listed, later) =
            rest.split_at(rest.partition_point(|log| log.address.delivered < end));
        rest = later;
        let key = Address { family: Family::Digest, delivered: end, ..place }.key(accounts);
        let before = previous.as_ref().zip(chain.digests.last());
        let text = render(accounts, signer, &key, (start, end), listed, before, &chain.signatures);
        let hash = sha256(text.as_bytes());
        let signed = chain.signatures.last().map_or("null", String::as_str);
        let signature = signer.sign(&format!("{}\n{BUCKET}/{key}\n{hash}\n{signed}", time(end)))?;
        scratch.json.clear();
        scratch.json.extend_from_slice(text.as_bytes());
        let compressed = scratch.compress()?;
        put_file(&folder.join(&key), &scratch.gzip[..compressed])?;
        chain.bytes_json += text.len() as u64;
        chain.bytes_compressed += compressed as u64;
        previous = Some((key.clone(), hash));
        chain.digests.push(key);
        chain.signatures.push(signature);
    }
    chain.logs = logs.into_iter().map(|log| log.key).collect();
    Ok(chain)
}

fn render(
    accounts: &[Account],
    signer: &Signer,
    key: &str,
    (start, end): (i64, i64),
    listed: &[WrittenLog],
    before: Option<(&(String, String), &String)>,
    signatures: &[String],
) -> String {
    let account = listed.first().map(|log| &accounts[log.address.account].id);
    let account = account.map_or_else(|| account_of(key), String::clone);
    let newest = listed.iter().map(|log| log.address.delivered).max().map(|at| time(at - 60));
    let oldest = listed.iter().map(|log| log.address.delivered).min().map(|at| time(at - 720));
    let files: Vec<Value> = listed
        .iter()
        .map(|log| {
            json!({"s3Bucket": BUCKET, "s3Object": log.key, "hashValue": log.hash,
                "hashAlgorithm": "SHA-256", "newestEventTime": time(log.address.delivered - 60),
                "oldestEventTime": time(log.address.delivered - 720)})
        })
        .collect();
    let previous = before.map(|((key, hash), _)| (key, hash));
    json!({
        "awsAccountId": account,
        "digestStartTime": time(start),
        "digestEndTime": time(end),
        "digestS3Bucket": BUCKET,
        "digestS3Object": key,
        "digestPublicKeyFingerprint": signer.fingerprint,
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": newest,
        "oldestEventTime": oldest,
        "previousDigestS3Bucket": previous.map(|_| BUCKET),
        "previousDigestS3Object": previous.map(|(key, _)| key),
        "previousDigestHashValue": previous.map(|(_, hash)| hash),
        "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
        "previousDigestSignature": signatures.last(),
        "logFiles": files,
    })
    .to_string()
}

fn account_of(key: &str) -> String {
    let file = key.rsplit('/').next().unwrap_or(key);
    file.split('_').next().unwrap_or_default().to_owned()
}

fn time(seconds: i64) -> String {
    let mut out = Vec::new();
    super::dice::put_time(&mut out, seconds);
    out.push(b'Z');
    String::from_utf8_lossy(&out).into_owned()
}
