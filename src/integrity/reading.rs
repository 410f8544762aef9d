//! What is read of one object: a log is hashed, a digest is parsed.

use crate::decode::Passwords;
use crate::integrity::content::{Problem, hash_content};
use crate::integrity::digest::{Digest, Hash};
use crate::integrity::digest_name::DigestName;
use crate::integrity::inventory::{FoundDigest, FoundLog, Inventory, Metadata, Period, Unusable};
use crate::integrity::signatures::Signatures;
use crate::integrity::verdict::Verdict;
use crate::source::DigestFolders;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of objects that are in memory at once.
pub(super) const IN_FLIGHT: usize = 256 << 20;

/// Permits of [`IN_FLIGHT`] are for this many bytes each.
pub(super) const GRAIN: usize = 1 << 10;

/// A digest decodes to at most this many bytes: one that lists 100,000 logs has 40 MB.
pub(super) const LARGEST_DIGEST: u64 = 256 << 20;

/// Bytes that are decoded before they are hashed: they stay in the cache.
const PIECE: usize = 64 << 10;

/// What a scan has read.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub bytes_read: AtomicU64,
    pub bytes_hashed: AtomicU64,
    /// Objects outside of the layout, which may be anything.
    pub objects_other: AtomicU64,
}

/// How objects are read.
#[derive(Debug)]
pub(super) struct Reading {
    pub period: Period,
    pub signatures: Signatures,
    pub threads: usize,
    /// Requests that may be in flight.
    pub requests: usize,
    /// The largest log, decoded.
    pub largest_log: u64,
    /// What is tried on archives that are encrypted.
    pub passwords: Passwords,
    /// Whether logs are read, too.
    pub digests: DigestFolders,
}

/// What an object turned out to be.
pub(super) enum Found {
    Digest(Box<FoundDigest>),
    Log(FoundLog),
    /// It lies among the digests, and has not the name of one.
    Stray(String),
    /// The members of an archive.
    Members(Vec<Found>),
    /// An archive that cannot be read to its end.
    Damaged(String, Verdict, String),
}

/// Returns how many permits of memory so many bytes take; never more than there are.
pub(super) fn permits_for(bytes: u64) -> u32 {
    let permits = usize::try_from(bytes).unwrap_or(usize::MAX) / GRAIN;
    permits.saturating_add(1).min(IN_FLIGHT / GRAIN) as u32
}

/// Hashes a log, or reads a digest, of which all bytes are here.
pub(super) fn read_content(
    address: String,
    is_digest: bool,
    bytes: &[u8],
    metadata: Metadata,
    reading: &Reading,
    totals: &Totals,
) -> Found {
    let limit = if is_digest { LARGEST_DIGEST } else { reading.largest_log };
    let (mut buffer, mut content, mut size) = (vec![0; PIECE], Vec::new(), 0);
    let hash = hash_content(bytes, &mut buffer, limit, |piece| {
        size += piece.len() as u64;
        if is_digest {
            content.extend_from_slice(piece);
        }
    });
    totals.bytes_hashed.fetch_add(size, Ordering::Relaxed);
    if !is_digest {
        return Found::new(address, false, hash);
    }
    let known = || reading.signatures.of(&address).map(str::to_owned);
    let metadata = Metadata { signature: metadata.signature.or_else(known), ..metadata };
    let content = match hash {
        Ok(hash) => Digest::parse(&content).map(|digest| (digest, hash)).map_err(Unusable::Format),
        Err(problem) => Err(Unusable::Content(problem)),
    };
    Found::digest(address, content, metadata)
}

impl Found {
    /// A log by its hash; a log or a digest by the reason why there is none.
    pub(super) fn new(address: String, is_digest: bool, content: Result<Hash, Problem>) -> Self {
        match (is_digest, content) {
            (true, Err(problem)) => {
                Self::digest(address, Err(Unusable::Content(problem)), Metadata::default())
            }
            (_, content) => Self::Log(FoundLog { address: address.into(), content }),
        }
    }

    fn digest(
        address: String,
        content: Result<(Digest, Hash), Unusable>,
        metadata: Metadata,
    ) -> Self {
        let Some(name) = DigestName::parse(&address) else { return Self::Stray(address) };
        let Metadata { signature, signed_at } = metadata;
        Self::Digest(Box::new(FoundDigest { address, name, content, signature, signed_at }))
    }

    /// Adds what it is to what was found before.
    pub(super) fn add_to(self, group: &mut Inventory) {
        match self {
            Self::Digest(digest) => group.digests.push(*digest),
            Self::Log(log) => group.logs.push(log),
            Self::Stray(address) => group.strays.push(address),
            Self::Members(found) => found.into_iter().for_each(|found| found.add_to(group)),
            Self::Damaged(archive, verdict, why) => group.damaged.push((archive, verdict, why)),
        }
    }
}
