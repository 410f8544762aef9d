//! Validates sources: group by group, chain by chain.

use crate::decode::Passwords;
use crate::error::Result;
use crate::integrity::chain::{JudgedChain, judge_chain};
use crate::integrity::digest_name::{ChainId, DigestName, file_name};
use crate::integrity::inventory::{FoundDigest, HOUR, Inventory, PATIENCE, Period};
use crate::integrity::join::{JudgedLogs, judge_logs, truncated};
use crate::integrity::key_ring::{KeyRing, PublicKey};
use crate::integrity::key_source::KeySource;
use crate::integrity::outcome::{ChainReport, IntegrityReport, KeysReport, join_windows};
use crate::integrity::reading::Reading;
use crate::integrity::scan::Scan;
use crate::integrity::signatures::{Signature, Signatures};
use crate::integrity::verdict::{Finding, Subject, Verdict, show_time};
use crate::keys::parse as parse_layout;
use crate::location::Location;
use crate::source::{DigestFolders, Listing, Narrow, Source, Window};
use crate::storage::S3;
use crate::units::{Day, EpochMillis};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What to validate, and with what.
#[derive(Debug)]
pub struct IntegrityOptions {
    /// Folders, files and prefixes of buckets.
    pub sources: Vec<Location>,
    /// S3.
    pub s3: Arc<S3>,
    /// Days, accounts, regions and organizations that are asked about.
    pub narrow: Narrow,
    /// The trail that is asked about; none for all.
    pub trail: Option<String>,
    /// The public keys that are there.
    pub keys: KeyRing,
    /// Where further ones are asked for.
    pub key_source: Option<KeySource>,
    /// Where they came from.
    pub keys_from: String,
    /// Signatures of digests whose metadata is lost.
    pub signatures: Signatures,
    /// Threads that hash.
    pub threads: usize,
    /// The largest log, decoded, in bytes.
    pub largest_log: u64,
    /// What is tried on archives that are encrypted.
    pub passwords: Passwords,
    /// The time of the validation.
    pub now: EpochMillis,
}

/// What was found, and what proves it later.
#[derive(Debug)]
pub struct Validation {
    /// The report.
    pub report: IntegrityReport,
    /// The keys that were used.
    pub keys: KeyRing,
    /// Signatures that no digest repeats: of the newest digests, and of those before a break.
    pub signatures: Signatures,
}

/// Validates everything in the sources. `on_progress` is told the bytes of every object.
///
/// # Errors
/// As for a listing; `Unavailable` when a bucket does not answer.
pub async fn validate(
    options: IntegrityOptions,
    on_progress: Arc<dyn Fn(u64) + Send + Sync>,
) -> Result<Validation> {
    let narrow = &options.narrow;
    let period = Period { first: narrow.from, last: narrow.to, now: options.now };
    let mut run = Run::new(&options, period);
    let wanted = Narrow {
        // The digests of a day's last logs are in the folder of the next one.
        to: narrow.to.map(|day| day.plus(1)),
        digests: DigestFolders::Included,
        ..narrow.clone()
    };
    let window = Window { narrow: wanted, ..Window::default() };
    let sources = options.sources.iter().cloned();
    let sources: Vec<Source> =
        sources.map(|location| Source { location, window: window.clone() }).collect();
    let remote = sources.iter().filter(|source| source.location.is_s3()).count();
    let is_grouped = remote == 0 || remote == sources.len();
    let listing = Listing::open(sources, &options.s3, Day::of(options.now)).await?;
    let reading = Reading {
        period,
        signatures: options.signatures,
        threads: options.threads,
        requests: options.s3.requests(),
        largest_log: options.largest_log,
        passwords: options.passwords,
        digests: DigestFolders::Included,
    };
    let mut scan = Scan::new(listing, reading, is_grouped, on_progress);
    let mut key_source = options.key_source;
    while let Some(group) = scan.next().await? {
        if let Some(source) = &mut key_source {
            source.add_keys(&group.digests, &mut run.out.keys).await?;
        }
        run.judge(group);
    }
    run.finish(&scan);
    Ok(run.out)
}

struct Run {
    period: Period,
    trail: Option<String>,
    narrow: Narrow,
    signatures: Signatures,
    out: Validation,
}

impl Run {
    fn new(options: &IntegrityOptions, period: Period) -> Self {
        let keys = KeysReport { from: options.keys_from.clone(), ..KeysReport::default() };
        let report = IntegrityReport {
            sources: options.sources.iter().map(ToString::to_string).collect(),
            first_day: period.first.map(|day| day.to_string()),
            last_day: period.last.map(|day| day.to_string()),
            checked_at: show_time(options.now),
            keys,
            ..IntegrityReport::default()
        };
        let (keys, signatures) = (options.keys.clone(), Signatures::default());
        Self {
            period,
            trail: options.trail.clone(),
            narrow: options.narrow.clone(),
            signatures: options.signatures.clone(),
            out: Validation { report, keys, signatures },
        }
    }

    fn wants(&self, chain: &ChainId) -> bool {
        self.trail.as_deref().is_none_or(|trail| trail == &*chain.trail)
    }

    fn judge(&mut self, mut group: Inventory) {
        group.logs.sort_by(|a, b| file_name(&a.address).cmp(file_name(&b.address)));
        for address in &group.strays {
            let detail = "it lies among the digests and does not have the name of one";
            let finding = Finding::new(Subject::Digest, Verdict::InvalidFormat, address);
            self.count_digest(Verdict::InvalidFormat, Some(finding.saying(detail)));
        }
        for (archive, verdict, why) in &group.damaged {
            self.add_hole(Finding::new(Subject::Archive, *verdict, archive).saying(why));
        }
        let mut by_chain: BTreeMap<&ChainId, Vec<&FoundDigest>> = BTreeMap::new();
        for found in &group.digests {
            by_chain.entry(&found.name.chain).or_default().push(found);
        }
        let chains: Vec<JudgedChain<'_>> = by_chain
            .into_iter()
            .map(|(id, found)| judge_chain(id, found, &self.out.keys, &self.period))
            .collect();
        let logs = judge_logs(&group.logs, &chains, |chain| self.wants(&chain.id), &self.period);
        let wanted: Vec<_> = chains.iter().filter(|chain| self.wants(&chain.id)).collect();
        wanted.iter().for_each(|chain| self.add_chain(chain));
        self.add_truncated(&wanted, &group, &logs);
        self.add_logs(logs);
    }

    fn add_chain(&mut self, chain: &JudgedChain<'_>) {
        let mut report = ChainReport {
            id: chain.id.clone(),
            digests: 0,
            digests_verified: 0,
            digests_empty: 0,
            logs_listed: 0,
            windows: Vec::new(),
            newest: None,
            last: chain.last,
        };
        let mut windows = Vec::new();
        for judged in chain.digests.iter().filter(|judged| judged.is_wanted) {
            report.digests += 1;
            let is_good = judged.verdict.is_good();
            self.count_digest(judged.verdict, (!is_good).then(|| judged.finding()));
            let Some(digest) = judged.digest() else { continue };
            let fingerprints = &mut self.out.report.keys.fingerprints;
            fingerprints.insert(digest.fingerprint.clone(), self.out.keys.has(&digest.fingerprint));
            if judged.verdict.proves() {
                report.digests_verified += 1;
                report.digests_empty += u64::from(digest.logs.is_empty());
                report.logs_listed += digest.logs.len() as u64;
                windows.push((digest.start, digest.end));
                if let (None, Ok((_, hash))) = (&report.newest, &judged.found.content) {
                    report.newest = Some([digest.key.clone(), hex::encode(hash)]);
                }
            }
            if let Some(signature) = judged.found.signature.clone().filter(|_| !judged.is_repeated)
            {
                self.out.signatures.add(Signature { object: digest.key.clone(), signature });
            }
        }
        report.windows = join_windows(&windows);
        self.out.report.is_any_verified |= report.digests_verified > 0;
        for hole in &chain.holes {
            match hole.subject {
                Subject::Digest => self.count_digest(hole.verdict, Some(hole.clone())),
                _ => self.add_hole(hole.clone()),
            }
        }
        if report.digests > 0 || !chain.holes.is_empty() {
            self.out.report.chains.push(report);
        }
    }

    /// Notes chains that end before logs that no digest lists, or before the end of the period.
    fn add_truncated(&mut self, chains: &[&JudgedChain<'_>], group: &Inventory, logs: &JudgedLogs) {
        let mut newest: BTreeMap<(String, String), EpochMillis> = BTreeMap::new();
        for (at, time) in &logs.unlisted {
            let Some(log) = group.logs.get(*at) else { continue };
            let layout = parse_layout(&log.address);
            let place = (layout.account.to_string(), layout.region.to_string());
            let known = newest.entry(place).or_insert(*time);
            *known = (*known).max(*time);
        }
        let until = self.period.to().map(|to| to.min(self.period.now - PATIENCE));
        let chains = chains.iter().filter(|chain| !chain.id.is_backfill);
        let mut last: BTreeMap<(String, String), &JudgedChain<'_>> = BTreeMap::new();
        for chain in chains {
            let place = (chain.id.account.to_string(), chain.id.region.to_string());
            let known = last.entry(place).or_insert(chain);
            if known.last < chain.last {
                *known = chain;
            }
            if let Some(hole) = until.and_then(|until| {
                truncated(chain, until, "the period goes on and there are no more digests")
            }) {
                self.add_hole(hole);
            }
        }
        for (place, chain) in last {
            let why = "logs go on that no digest lists";
            let until = newest.get(&place).copied().filter(|_| until.is_none());
            if let Some(hole) = until.and_then(|until| truncated(chain, until, why)) {
                self.add_hole(hole);
            }
        }
    }

    fn add_logs(&mut self, logs: JudgedLogs) {
        for (verdict, finding) in logs.verdicts {
            *self.out.report.logs.entry(verdict).or_default() += 1;
            finding.into_iter().for_each(|finding| self.out.report.note(finding));
        }
        for missing in logs.missing {
            *self.out.report.logs.entry(missing.verdict).or_default() += 1;
            self.out.report.note(missing);
        }
    }

    fn count_digest(&mut self, verdict: Verdict, finding: Option<Finding>) {
        *self.out.report.digests.entry(verdict).or_default() += 1;
        finding.into_iter().for_each(|finding| self.out.report.note(finding));
    }

    fn add_hole(&mut self, hole: Finding) {
        *self.out.report.holes.entry(hole.verdict).or_default() += 1;
        self.out.report.note(hole);
    }

    /// Notes digests that the file of signatures names and that no chain reaches.
    fn add_known_missing(&mut self) {
        let chains = self.out.report.chains.iter();
        let last: BTreeMap<_, _> = chains.map(|chain| (&chain.id, chain.last)).collect();
        let mut missing = Vec::new();
        for Signature { object, .. } in self.signatures.all() {
            let Some(DigestName { chain, end }) = DigestName::parse(object) else { continue };
            let layout = parse_layout(object);
            let is_asked = self.wants(&chain)
                && self.narrow.wants_account(&chain.account)
                && self.narrow.wants_region(&chain.region)
                && self.narrow.wants_organization(&layout.organization)
                && self.period.overlaps(end - HOUR, end);
            if is_asked && last.get(&chain).is_none_or(|last| *last < end) {
                let finding = Finding::new(Subject::Digest, Verdict::Missing, object);
                let finding = finding.between(Some(end - HOUR), Some(end));
                missing.push(finding.saying("named by the file of signatures"));
            }
        }
        missing.into_iter().for_each(|finding| self.count_digest(finding.verdict, Some(finding)));
    }

    /// Notes chains that end before those of the same trail in other regions, and closes the report.
    fn finish(&mut self, scan: &Scan) {
        let mut newest: BTreeMap<_, EpochMillis> = BTreeMap::new();
        for chain in self.out.report.chains.iter().filter(|chain| !chain.id.is_backfill) {
            let ChainId { account, trail, home_region, .. } = &chain.id;
            let trail = (Arc::clone(account), Arc::clone(trail), Arc::clone(home_region));
            let known = newest.entry(trail).or_insert(chain.last);
            *known = (*known).max(chain.last);
        }
        self.add_known_missing();
        let mut holes = Vec::new();
        for chain in self.out.report.chains.iter().filter(|chain| !chain.id.is_backfill) {
            let ChainId { account, trail, home_region, .. } = &chain.id;
            let trail = (Arc::clone(account), Arc::clone(trail), Arc::clone(home_region));
            let until = newest.get(&trail).copied().unwrap_or(chain.last);
            if self.period.to().is_none() && until > chain.last + PATIENCE {
                let hole = Finding::new(Subject::Chain, Verdict::Truncated, chain.id.to_string());
                let why = "the trail's digests go on in other regions";
                holes.push(hole.between(Some(chain.last), Some(until)).saying(why));
            }
        }
        holes.into_iter().for_each(|hole| self.add_hole(hole));
        let listing = scan.listing_report();
        for (folder, why) in listing.folders_unreadable {
            let finding = Finding::new(Subject::Folder, Verdict::Unreadable, folder);
            self.add_hole(finding.saying(why));
        }
        let report = &mut self.out.report;
        for key in self.out.keys.all().filter(|key| !PublicKey::is_whole(key)) {
            let said = format!(
                "the fingerprint {} is not that of the key's bytes: the key was changed, or \
                 CloudTrail makes fingerprints in another way by now",
                key.fingerprint
            );
            report.keys.warnings.insert(said);
        }
        report.list_requests = listing.requests;
        report.objects_other = scan.totals().objects_other.load(Ordering::Relaxed);
        report.bytes_read = scan.totals().bytes_read.load(Ordering::Relaxed);
        report.bytes_hashed = scan.totals().bytes_hashed.load(Ordering::Relaxed);
        report.close();
    }
}
