//! The walk through one chain of digests, from the newest to the oldest.
//!
//! A digest is signed if its own signature is good; a copy that lost its metadata is signed by the
//! signature that its successor repeats. Its content must also be what its successor says, and it must
//! lie where it says. What a digest that is not verified says of others is not believed.

use crate::integrity::digest::{Digest, Previous};
use crate::integrity::digest_name::{ChainId, DigestName};
use crate::integrity::inventory::{FoundDigest, HOUR, Period, is_copy_of};
use crate::integrity::key_ring::KeyRing;
use crate::integrity::signature::is_signed;
use crate::integrity::verdict::{Finding, Subject, Verdict};
use crate::units::{EpochMillis, civil};

/// Missing digests that are named one by one, for each hole.
const NAMED_AT_MOST: i64 = 24 * 31;

/// A digest and its verdict.
#[derive(Debug)]
pub(super) struct JudgedDigest<'a> {
    pub found: &'a FoundDigest,
    pub verdict: Verdict,
    pub detail: Option<String>,
    /// Whether it speaks of the time that is asked about.
    pub is_wanted: bool,
    /// Whether its successor repeats its signature.
    pub is_repeated: bool,
}

/// A chain, walked through.
#[derive(Debug)]
pub(super) struct JudgedChain<'a> {
    pub id: ChainId,
    /// From the newest to the oldest.
    pub digests: Vec<JudgedDigest<'a>>,
    /// Digests that are missing, and gaps.
    pub holes: Vec<Finding>,
    /// The end of the newest digest.
    pub last: EpochMillis,
}

impl JudgedDigest<'_> {
    pub(super) fn digest(&self) -> Option<&Digest> {
        self.found.content.as_ref().ok().map(|(digest, _)| digest)
    }

    pub(super) fn finding(&self) -> Finding {
        let end = self.found.name.end;
        let start = self.digest().map_or(end - HOUR, |digest| digest.start);
        let finding = Finding::new(Subject::Digest, self.verdict, &self.found.address)
            .between(Some(start), Some(end));
        Finding { detail: self.detail.clone(), ..finding }
    }
}

/// The digest after those that are looked at next.
struct Newer<'a> {
    digest: &'a Digest,
    /// Whether what it says is believed.
    is_trusted: bool,
}

impl<'a> Newer<'a> {
    fn previous(&self) -> Option<&'a Previous> {
        self.digest.previous.as_ref()
    }
}

/// Walks through a chain: `found` is not empty.
pub(super) fn judge_chain<'a>(
    id: &ChainId,
    mut found: Vec<&'a FoundDigest>,
    ring: &KeyRing,
    period: &Period,
) -> JudgedChain<'a> {
    found.sort_by(|a, b| (a.name.end, &a.address).cmp(&(b.name.end, &b.address)));
    let last = found.last().map_or(0, |found| found.name.end);
    let mut chain = JudgedChain { id: id.clone(), digests: Vec::new(), holes: Vec::new(), last };
    let mut newer: Option<Newer<'_>> = None;
    for copies in found.chunk_by(|a, b| a.name.end == b.name.end).rev() {
        let first = chain.digests.len();
        for copy in copies {
            let link = newer.as_ref().and_then(|newer| {
                let previous = newer.previous()?;
                is_copy_of(&previous.key, &copy.address).then_some((previous, newer.is_trusted))
            });
            let (verdict, detail) = judge(copy, link, ring);
            let start = copy.content.as_ref().map_or(copy.name.end - HOUR, |(d, _)| d.start);
            let is_wanted = period.overlaps(start, copy.name.end);
            let is_repeated = link.is_some();
            chain.digests.push(JudgedDigest {
                found: copy,
                verdict,
                detail,
                is_wanted,
                is_repeated,
            });
        }
        if let Some(newer) = newer.filter(|newer| newer.is_trusted) {
            let is_named = |previous: &Previous| {
                copies.iter().any(|copy| is_copy_of(&previous.key, &copy.address))
            };
            if !newer.previous().is_some_and(is_named) {
                let end = copies.first().map(|copy| copy.name.end);
                add_hole(&mut chain, newer.digest, end, period);
            }
        }
        // The best of the copies stands for all.
        let copies = chain.digests.get(first..).unwrap_or_default();
        let best = copies.iter().min_by_key(|copy| copy.verdict);
        newer = best.and_then(|copy| {
            let is_trusted = copy.verdict.proves() || copy.verdict == Verdict::UnsignedNewest;
            let (digest, _) = copy.found.content.as_ref().ok()?;
            Some(Newer { digest, is_trusted })
        });
    }
    if let Some(oldest) = newer.filter(|oldest| oldest.is_trusted) {
        add_hole(&mut chain, oldest.digest, None, period);
    }
    chain
}

fn judge(
    copy: &FoundDigest,
    link: Option<(&Previous, bool)>,
    ring: &KeyRing,
) -> (Verdict, Option<String>) {
    let (digest, hash) = match &copy.content {
        Ok(content) => content,
        Err(unusable) => return (unusable.verdict(), unusable.detail()),
    };
    if !is_copy_of(&digest.key, &copy.address) {
        return (Verdict::Misplaced, Some(format!("it is signed for {}", digest.key)));
    }
    if link.is_some_and(|(previous, is_trusted)| is_trusted && previous.hash != *hash) {
        return (Verdict::HashMismatch, Some("its successor names another content".to_owned()));
    }
    let repeated = link.map(|(previous, _)| &previous.signature);
    let Some(signature) = copy.signature.as_ref().or(repeated) else {
        return (Verdict::UnsignedNewest, None);
    };
    if !ring.has(&digest.fingerprint) {
        let said = format!("fingerprint {}", digest.fingerprint);
        return (Verdict::KeyUnknown, Some(said));
    }
    let mut keys = ring.named(&digest.fingerprint);
    if !keys.any(|key| is_signed(digest, hash, signature, &key.der)) {
        return (Verdict::SignatureMismatch, None);
    }
    let home = format!("s3://{}/{}", digest.bucket, digest.key);
    let is_home = copy.address == home;
    (if is_home { Verdict::Verified } else { Verdict::VerifiedRelocated }, None)
}

/// Notes what is missing between a digest and the next older one, which ends at `older`, or before the
/// oldest.
fn add_hole(
    chain: &mut JudgedChain<'_>,
    newer: &Digest,
    older: Option<EpochMillis>,
    period: &Period,
) {
    let since = older.or(period.from());
    let start = newer.start;
    let Some(previous) = &newer.previous else {
        // A chain starts here: it need not go further back, unless it is asked to.
        if let Some(since) = since.filter(|since| older.is_some() || *since < start)
            && period.overlaps(since, start)
        {
            let detail =
                "a new chain starts at its end: validation was off, or logging was stopped";
            let gap = Finding::new(Subject::Chain, Verdict::Gap, chain.id.to_string());
            chain.holes.push(gap.between(Some(since), Some(start)).saying(detail));
        }
        return;
    };
    let end = DigestName::parse(&previous.key).map_or(start, |name| name.end);
    if !period.overlaps(since.unwrap_or(end - HOUR), end) {
        return;
    }
    let by = format!("named by the digest that ends {}", newer.end_text);
    let from = since.map_or(end - HOUR, |since| since.max(end - HOUR));
    let named = Finding::new(Subject::Digest, Verdict::Missing, &previous.key);
    chain.holes.push(named.between(Some(from), Some(end)).saying(by));
    let Some(older) = older.filter(|older| *older < from) else { return };
    let hours = (from - older + HOUR - 1) / HOUR;
    if hours > NAMED_AT_MOST {
        let hole = Finding::new(Subject::Digest, Verdict::Missing, chain.id.to_string());
        let detail = format!("{hours} hours without digests");
        chain.holes.push(hole.between(Some(older), Some(from)).saying(detail));
        return;
    }
    for hour in 0..hours {
        let end = from - hour * HOUR;
        let hole = Finding::new(Subject::Digest, Verdict::Missing, name_at(&previous.key, end));
        let window = hole.between(Some(older.max(end - HOUR)), Some(end));
        chain.holes.push(window.saying("inferred: digests are written every hour"));
    }
}

/// Returns the key of a digest with the date and the stamp of another hour.
fn name_at(key: &str, end: EpochMillis) -> String {
    let (year, month, day, hour) = civil(end);
    let seconds = end.rem_euclid(HOUR) / 1000;
    let (minute, second) = (seconds / 60, seconds % 60);
    let (folder, file) = key.rsplit_once('/').unwrap_or(("", key));
    let root = folder.rsplitn(4, '/').last().unwrap_or_default();
    let stem = file.split_once(".json").map_or(file, |(stem, _)| stem);
    let (stem, suffix) = match stem.strip_suffix("_backfill") {
        Some(stem) => (stem, "_backfill.json.gz"),
        None => (stem, ".json.gz"),
    };
    let chain = stem.rsplit_once('_').map_or(stem, |(chain, _)| chain);
    format!(
        "{root}/{year:04}/{month:02}/{day:02}/{chain}_\
         {year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z{suffix}"
    )
}
