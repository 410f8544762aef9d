//! Reads the digests of sources, and no logs.

use crate::decode::Passwords;
use crate::error::Result;
use crate::integrity::chain::judge_chain;
use crate::integrity::digest_name::ChainId;
use crate::integrity::inventory::{FoundDigest, Period};
use crate::integrity::key_ring::KeyRing;
use crate::integrity::key_source::KeySource;
use crate::integrity::naming::Naming;
use crate::integrity::proofs::{IntegrityMode, Proofs};
use crate::integrity::reading::Reading;
use crate::integrity::scan::Scan;
use crate::integrity::signatures::Signatures;
use crate::source::{DigestFolders, Listing, NamedDays, Source};
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
    /// The largest member of an archive, in bytes.
    pub largest_log: u64,
    /// What is tried on archives that are encrypted.
    pub passwords: Passwords,
    /// The time of the run.
    pub now: EpochMillis,
}

/// The day on which what lies at an address was listed last, from one end to the other.
pub type LastListed = dyn Fn(&str) -> Option<Day> + Send + Sync;

/// What digests say.
#[derive(Debug)]
pub struct ReadDigests {
    /// What the verified ones list.
    pub proofs: Proofs,
    /// The days that may have something new, if they were asked for.
    pub named: Option<NamedDays>,
}

/// Returns what the digests of the sources say; with the last listings, which days may have something new, too.
///
/// # Errors
/// As for a listing; `Unavailable` when a bucket does not answer.
pub async fn read_proofs(
    options: ProofOptions,
    last_listed: Option<&LastListed>,
) -> Result<ReadDigests> {
    let ProofOptions { mut sources, s3, mode, mut keys, mut key_source, signatures, .. } = options;
    let mut naming = last_listed.map(|last| Naming::new(last, mode == IntegrityMode::Off));
    for source in &mut sources {
        let narrow = &mut source.window.narrow;
        narrow.digests = DigestFolders::Alone;
        // The digests of a day's last logs are in the folder of the next one.
        narrow.to = narrow.to.map(|day| day.plus(1));
    }
    let period = Period { first: None, last: None, now: options.now };
    let listing = Listing::open(sources, &s3, Day::of(options.now)).await?;
    let reading = Reading {
        period,
        signatures,
        threads: options.threads,
        requests: s3.requests(),
        largest_log: options.largest_log,
        passwords: options.passwords,
        digests: DigestFolders::Alone,
    };
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
            let chain = judge_chain(id, found, &keys, &period);
            if mode != IntegrityMode::Off {
                proofs.add(&chain);
            }
            if let Some(naming) = &mut naming {
                naming.add(&chain);
            }
        }
    }
    Ok(ReadDigests { proofs, named: naming.map(Naming::finish) })
}
