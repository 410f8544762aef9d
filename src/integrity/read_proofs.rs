//! Reads the digests of sources, and no logs.

use crate::error::Result;
use crate::integrity::chain::judge_chain;
use crate::integrity::digest_name::ChainId;
use crate::integrity::inventory::{FoundDigest, Period};
use crate::integrity::key_ring::KeyRing;
use crate::integrity::key_source::KeySource;
use crate::integrity::proofs::{IntegrityMode, Proofs};
use crate::integrity::scan::{Reading, Scan};
use crate::integrity::signatures::Signatures;
use crate::source::{DigestFolders, Listing, Source};
use crate::storage::S3;
use crate::units::{Day, EpochMillis};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where digests are read, and what they are checked with.
#[derive(Debug)]
pub struct ProofOptions {
    /// The sources of a conversion, with their windows.
    pub sources: Vec<Source>,
    /// S3.
    pub s3: Arc<S3>,
    /// What the conversion does about logs.
    pub mode: IntegrityMode,
    /// The public keys that are there.
    pub keys: KeyRing,
    /// Where further ones are asked for.
    pub key_source: Option<KeySource>,
    /// Signatures of digests whose metadata is lost.
    pub signatures: Signatures,
    /// Threads that hash.
    pub threads: usize,
    /// The time of the run.
    pub now: EpochMillis,
}

/// Returns what the verified digests of the sources list.
///
/// # Errors
/// As for a listing; `Unavailable` when a bucket does not answer.
pub async fn read_proofs(options: ProofOptions) -> Result<Proofs> {
    let ProofOptions { mut sources, s3, mode, mut keys, mut key_source, signatures, .. } = options;
    for source in &mut sources {
        let narrow = &mut source.window.narrow;
        narrow.digests = DigestFolders::Alone;
        // The digests of a day's last logs are in the folder of the next one.
        narrow.to = narrow.to.map(|day| day.plus(1));
    }
    let period = Period { first: None, last: None, now: options.now };
    let listing = Listing::open(sources, &s3, Day::of(options.now)).await?;
    let threads = options.threads;
    let reading = Reading { period, signatures, threads, requests: s3.requests(), largest_log: 0 };
    let mut scan = Scan::new(listing, reading, true, Arc::new(|_| {}));
    let mut proofs = Proofs::new(mode);
    while let Some(group) = scan.next().await? {
        if let Some(source) = &mut key_source {
            source.add_keys(&group.digests, &mut keys).await?;
        }
        let mut by_chain: BTreeMap<&ChainId, Vec<&FoundDigest>> = BTreeMap::new();
        for found in &group.digests {
            by_chain.entry(&found.name.chain).or_default().push(found);
        }
        for (id, found) in by_chain {
            proofs.add(&judge_chain(id, found, &keys, &period));
        }
    }
    Ok(proofs)
}
