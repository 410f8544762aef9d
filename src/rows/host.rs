//! How a segment is parsed, and who has it parsed.

use crate::error::Result;
use crate::integrity::Proofs;
use crate::lake::Unwrap;
use crate::partition::PartitionBy;
use crate::rows::fingerprint::Fingerprints;
use crate::rows::parsed::Parsed;
use std::sync::Arc;

/// What decides how records become rows.
#[derive(Clone, Debug)]
pub(crate) struct RowOptions {
    pub partition_by: PartitionBy,
    /// Whether typed tables are made.
    pub typed: bool,
    pub keeps_copies: bool,
    /// Which wrappers records are taken out of.
    pub unwrap: Unwrap,
    /// Whether a time without a zone is UTC.
    pub assume_utc: bool,
    /// Whether digests are converted.
    pub digests: bool,
    /// Whether hidden members of archives are read.
    pub reads_hidden: bool,
    pub fingerprints: Fingerprints,
    /// JSON bytes of a unit.
    pub unit_size: u64,
    /// What objects are judged by, if they are.
    pub proofs: Option<Arc<Proofs>>,
}

impl RowOptions {
    /// Returns how much may be parsed of `json` bytes before it is handed over as a part: what the
    /// segment has taken of the memory. It depends on input and options alone, as the files do.
    pub(super) fn most_parsed(&self, json: u64) -> u64 {
        let most = MEMORY_PER_JSON_BYTE.saturating_mul(self.unit_size).max(LEAST_PART);
        MEMORY_PER_JSON_BYTE.saturating_mul(json).clamp(LEAST_PART, most)
    }
}

/// Memory that a segment takes for each byte of its JSON, while it is in flight: its distinct texts,
/// cells and trees, and its share of what workers take.
pub(crate) const MEMORY_PER_JSON_BYTE: u64 = 2;

/// What is parsed is not handed over before it takes this: 16 MiB.
const LEAST_PART: u64 = 16 << 20;

/// What a segment asks of whoever has it parsed.
pub(crate) trait Host {
    /// Is told before an object takes memory: how many bytes of JSON the segment has with it, and the
    /// object alone.
    fn make_room(&mut self, json: u64, object: u64) -> Result<()>;

    /// Takes what has been parsed so far, of an object that goes on, and leaves empty buffers.
    fn take_part(&mut self, parsed: &mut Parsed) -> Result<()>;
}

/// Looks at what is parsed, and keeps nothing of it.
pub(crate) struct Visiting<'v>(pub(crate) &'v mut dyn FnMut(&Parsed) -> Result<()>);

impl Host for Visiting<'_> {
    fn make_room(&mut self, _json: u64, _object: u64) -> Result<()> {
        Ok(())
    }

    fn take_part(&mut self, parsed: &mut Parsed) -> Result<()> {
        (self.0)(parsed)?;
        parsed.clear();
        Ok(())
    }
}
