//! Chains of digests, made as CloudTrail makes them, in every layout and with every change.

use crate::support::{Run, gunzip, gzip, run};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;
use trailmill::decode::Passwords;
use trailmill::engine::Report;
use trailmill::integrity::{
    IntegrityOptions, KeyRing, Outcome, Signature, Signatures, Validation, Verdict, validate,
};
use trailmill::source::Narrow;
use trailmill::storage::S3;
use trailmill::units::civil;

/// 2026-10-01T00:00:00Z, in hours.
const FIRST: i64 = 20_727 * 24;

const BUCKET: &str = "trail-bucket";

struct Signer {
    key: RsaKeyPair,
    fingerprint: String,
}

/// Making keys takes a while, so that all tests share them.
fn signers() -> &'static [Signer; 2] {
    static SIGNERS: OnceLock<[Signer; 2]> = OnceLock::new();
    SIGNERS.get_or_init(|| {
        [0, 1].map(|_| {
            let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let fingerprint = hex::encode(Md5::digest(key.public_key().as_ref()));
            Signer { key, fingerprint }
        })
    })
}

pub(crate) fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn keys_of(signers: &[&Signer]) -> Vec<u8> {
    let keys: Vec<Value> = signers
        .iter()
        .map(|signer| {
            json!({"Fingerprint": signer.fingerprint, "ValidityStartTime": 1.0,
                "ValidityEndTime": 9e9, "Value": STANDARD.encode(signer.key.public_key().as_ref())})
        })
        .collect();
    json!({ "PublicKeyList": keys }).to_string().into_bytes()
}

fn stamp(seconds: i64) -> (String, String, String) {
    let (year, month, day, hour) = civil(seconds * 1000);
    let (minute, second) = (seconds % 3600 / 60, seconds % 60);
    (
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"),
        format!("{year:04}/{month:02}/{day:02}"),
    )
}

/// One chain.
#[derive(Clone, Copy)]
pub(crate) struct Chain {
    pub(crate) root: &'static str,
    pub(crate) account: &'static str,
    pub(crate) region: &'static str,
    pub(crate) trail: &'static str,
    pub(crate) suffix: &'static str,
}

pub(crate) const PLAIN: Chain = Chain {
    root: "AWSLogs/",
    account: "111122223333",
    region: "us-east-1",
    trail: "foo",
    suffix: "",
};

/// One digest of a chain.
#[derive(Clone, Copy)]
struct Hour {
    hour: i64,
    logs: usize,
    signer: usize,
    is_start: bool,
}

fn hours(range: std::ops::Range<i64>) -> Vec<Hour> {
    let logs = |hour: i64| if hour % 3 == 2 { 0 } else { 1 + hour as usize % 2 };
    range.map(|hour| Hour { hour, logs: logs(hour), signer: 0, is_start: hour == 0 }).collect()
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) signatures: Signatures,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), signatures: Signatures::default() }
    }

    pub(crate) fn with(chains: &[Chain]) -> Self {
        let mut world = Self::new();
        for chain in chains {
            world.add(chain, &hours(0..6));
        }
        world
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.path(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(key)
    }

    /// Writes a chain; returns the keys of its digests.
    fn add(&mut self, chain: &Chain, hours: &[Hour]) -> Vec<String> {
        let Chain { root, account, region, trail, suffix } = chain;
        let mut previous: Option<(String, String, String)> = None;
        let mut digests = Vec::new();
        for Hour { hour, logs, signer, is_start } in hours {
            let (start, end) = ((FIRST + hour) * 3600, (FIRST + hour + 1) * 3600);
            let (end_text, end_stamp, date) = stamp(end);
            let listed: Vec<Value> = (0..*logs)
                .map(|number| {
                    let (text, stamp, date) = stamp(start + 300 * number as i64);
                    let content = json!({"Records": [{"eventTime": text, "number": number}]});
                    let content = content.to_string();
                    let name = format!(
                        "{account}_CloudTrail_{region}_{}Z_{trail}{suffix}{number}.json.gz",
                        &stamp[..13]
                    );
                    let key = format!("{root}{account}/CloudTrail/{region}/{date}/{name}");
                    self.put(&key, &gzip(content.as_bytes()));
                    let hash = hex::encode(digest(&SHA256, content.as_bytes()));
                    json!({"s3Bucket": BUCKET, "s3Object": key, "hashValue": hash,
                        "hashAlgorithm": "SHA-256", "newestEventTime": text, "oldestEventTime": text})
                })
                .collect();
            let key = format!(
                "{root}{account}/CloudTrail-Digest/{region}/{date}/{account}_CloudTrail-Digest_\
                 {region}_{trail}_us-east-1_{end_stamp}{suffix}.json.gz"
            );
            let before = previous.take().filter(|_| !is_start);
            let before = before.as_ref();
            let content = json!({
                "awsAccountId": account,
                "digestStartTime": stamp(start).0,
                "digestEndTime": end_text,
                "digestS3Bucket": BUCKET,
                "digestS3Object": key,
                "digestPublicKeyFingerprint": signers()[*signer].fingerprint,
                "digestSignatureAlgorithm": "SHA256withRSA",
                "newestEventTime": Value::Null,
                "oldestEventTime": Value::Null,
                "previousDigestS3Bucket": before.map(|_| BUCKET),
                "previousDigestS3Object": before.map(|before| &before.0),
                "previousDigestHashValue": before.map(|before| &before.1),
                "previousDigestHashAlgorithm": before.map(|_| "SHA-256"),
                "previousDigestSignature": before.map(|before| &before.2),
                "logFiles": listed,
            });
            let content = content.to_string();
            let hash = hex::encode(digest(&SHA256, content.as_bytes()));
            let last = before.map_or("null", |before| &before.2);
            let text = format!("{end_text}\n{BUCKET}/{key}\n{hash}\n{last}");
            let mut signature = vec![0; 256];
            let private = &signers()[*signer].key;
            let random = SystemRandom::new();
            private.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
            let signature = hex::encode(signature);
            self.put(&key, &gzip(content.as_bytes()));
            self.signatures.add(Signature { object: key.clone(), signature: signature.clone() });
            previous = Some((key.clone(), hash, signature));
            digests.push(key);
        }
        digests
    }

    fn options(&self) -> IntegrityOptions {
        IntegrityOptions {
            sources: vec![self.folder.path().to_owned().into()],
            s3: Arc::new(S3::default()),
            narrow: Narrow::default(),
            trail: None,
            keys: KeyRing::parse(&keys_of(&[&signers()[0], &signers()[1]])).unwrap(),
            keys_from: "the test".to_owned(),
            key_source: None,
            signatures: self.signatures.clone(),
            threads: 2,
            largest_log: 1 << 20,
            passwords: Passwords::default(),
            now: (FIRST + 24 * 60) * 3_600_000,
        }
    }

    fn signatures_of(&self, digests: &[String]) -> Signatures {
        let mut some = Signatures::default();
        for object in digests {
            let signature = self.signatures.of(object).unwrap().to_owned();
            some.add(Signature { object: object.clone(), signature });
        }
        some
    }

    pub(crate) fn validate(&self) -> Validation {
        run_validation(self.options())
    }

    pub(crate) fn validate_with(&self, change: impl FnOnce(&mut IntegrityOptions)) -> Validation {
        let mut options = self.options();
        change(&mut options);
        run_validation(options)
    }

    /// The keys of all objects.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = walkdir::WalkDir::new(self.folder.path())
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let path = entry.path().strip_prefix(self.folder.path()).unwrap();
                path.to_str().unwrap().to_owned()
            })
            .collect();
        keys.sort();
        keys
    }
}

fn run_validation(options: IntegrityOptions) -> Validation {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap());
    runtime.block_on(validate(options, Arc::new(|_| {}))).unwrap()
}

#[track_caller]
pub(crate) fn assert_proven(validation: &Validation) {
    let report = &validation.report;
    assert_eq!(report.outcome, Outcome::AllProven, "{:#?}", report.findings);
}

/// The verdicts that are not good, with how often each was given.
fn problems(validation: &Validation) -> BTreeMap<Verdict, usize> {
    let mut problems = BTreeMap::new();
    for finding in &validation.report.findings {
        *problems.entry(finding.verdict).or_default() += 1;
    }
    problems
}

#[track_caller]
pub(crate) fn assert_problems(validation: &Validation, want: &[(Verdict, usize)]) {
    let want: BTreeMap<_, _> = want.iter().copied().collect();
    assert_eq!(problems(validation), want, "{:#?}", validation.report.findings);
    let is_proven = validation.report.outcome == Outcome::AllProven;
    assert_eq!(is_proven, want.is_empty());
}

#[test]
fn a_chain_with_a_start_and_empty_hours_is_proven() {
    let world = World::with(&[PLAIN]);

    let validation = world.validate();

    assert_proven(&validation);
    let report = &validation.report;
    assert_eq!(report.digests, [(Verdict::VerifiedRelocated, 6)].into());
    assert_eq!(report.logs, [(Verdict::VerifiedRelocated, 6)].into());
    let [chain] = &report.chains[..] else { panic!("one chain") };
    assert_eq!((chain.digests_empty, chain.logs_listed), (2, 6));
    assert_eq!(chain.windows, [["2026-10-01T00:00:00Z", "2026-10-01T06:00:00Z"]]);
}

#[test]
fn layouts_trails_and_their_names_are_told_apart() {
    let world = World::with(&[
        PLAIN,
        Chain { trail: "under_score.dot-dash_us-east-1", ..PLAIN },
        Chain { root: "AWSLogs/o-abc123/", account: "444455556666", ..PLAIN },
        Chain { root: "a/b/AWSLogs/o-abc123/", region: "eu-west-1", ..PLAIN },
        Chain { root: "o-abc123/AWSLogs/o-abc123/", region: "us-gov-west-1", ..PLAIN },
        Chain { suffix: "_backfill", ..PLAIN },
    ]);

    let validation = world.validate();

    assert_proven(&validation);
    assert_eq!(validation.report.chains.len(), 6);
    let backfill: Vec<_> = validation.report.chains.iter().filter(|c| c.id.is_backfill).collect();
    assert_eq!((backfill.len(), backfill[0].digests_verified), (1, 6));
    let one = world.validate_with(|options| options.trail = Some("foo".to_owned()));
    assert_proven(&one);
    assert_eq!(one.report.chains.len(), 5);
}

#[test]
fn keys_change_within_a_chain_and_come_in_two_encodings() {
    let mut world = World::new();
    let mut hours = hours(0..6);
    hours[3..].iter_mut().for_each(|hour| hour.signer = 1);
    world.add(&PLAIN, &hours);
    assert_proven(&world.validate());

    let first = KeyRing::parse(&keys_of(&[&signers()[0]])).unwrap();
    let unknown = world.validate_with(|options| options.keys = first);
    let verdicts = &unknown.report.digests;
    assert_eq!(verdicts[&Verdict::KeyUnknown], 3, "{verdicts:?}");
    assert_eq!(verdicts[&Verdict::VerifiedRelocated], 3);
    assert_eq!(unknown.report.logs[&Verdict::Unproven], 3);

    // RFC 5280: an algorithm and a bit string around the same key.
    let head = hex::decode("30820122300d06092a864886f70d01010105000382010f00").unwrap();
    let keys = signers().each_ref().map(|signer| {
        let value = [&head, signer.key.public_key().as_ref()].concat();
        json!({"Fingerprint": signer.fingerprint, "Value": STANDARD.encode(value)})
    });
    let ring = json!({ "PublicKeyList": keys }).to_string();
    let ring = KeyRing::parse(ring.as_bytes()).unwrap();
    let other = world.validate_with(|options| options.keys = ring);
    assert_proven(&other);
    assert_eq!(other.report.keys.warnings.len(), 2, "the fingerprints are of other bytes");
}

#[test]
fn a_copy_without_metadata_is_proven_but_for_the_newest_digest() {
    let world = World::with(&[PLAIN]);

    let validation = world.validate_with(|options| options.signatures = Signatures::default());

    assert_problems(&validation, &[(Verdict::UnsignedNewest, 1)]);
    assert_eq!(validation.report.digests[&Verdict::VerifiedRelocated], 5);
    let newest = validation.report.findings[0].object.clone();
    assert!(newest.ends_with("20261001T060000Z.json.gz"), "{newest}");

    // The one signature that nothing repeats is what is kept as evidence.
    let kept = world.validate().signatures;
    assert_eq!(kept.len(), 1);
    let kept = Signatures::parse(&kept.to_json().unwrap()).unwrap();
    assert_proven(&world.validate_with(|options| options.signatures = kept));
}

#[test]
fn copies_without_folders_or_without_gzip_are_proven() {
    let world = World::with(&[PLAIN]);
    let (flat, plain) = (World::new(), World::new());
    for key in world.keys() {
        let bytes = std::fs::read(world.path(&key)).unwrap();
        flat.put(key.rsplit('/').next().unwrap(), &bytes);
        plain.put(key.trim_end_matches(".gz"), &gunzip(&bytes));
    }

    for copy in [&flat, &plain] {
        let signatures = world.signatures.clone();
        let validation = copy.validate_with(|options| options.signatures = signatures);
        assert_proven(&validation);
        assert_eq!(validation.report.logs, [(Verdict::VerifiedRelocated, 6)].into());
    }
}

#[test]
fn holes_are_named_with_their_time() {
    let mut world = World::new();
    let digests = world.add(&PLAIN, &hours(0..8));
    for digest in &digests[3..5] {
        std::fs::remove_file(world.path(digest)).unwrap();
    }

    let missing = world.validate();

    // The logs of the two hours are in no digest any more.
    assert_problems(&missing, &[(Verdict::Missing, 2), (Verdict::InNoDigest, 3)]);
    let holes = missing.report.findings.iter().filter(|f| f.verdict == Verdict::Missing);
    let holes: Vec<_> = holes.map(|f| (f.object.clone(), f.from.clone(), f.to.clone())).collect();
    let time = |hour| Some(format!("2026-10-01T{hour:02}:00:00Z"));
    assert_eq!(holes[0], (digests[3].clone(), time(3), time(4)), "inferred");
    assert_eq!(holes[1], (digests[4].clone(), time(4), time(5)), "named");
    let windows = &missing.report.chains[0].windows;
    assert_eq!(windows.len(), 2, "{windows:?}");
}

#[test]
fn a_stop_of_logging_is_a_gap() {
    let mut world = World::new();
    let mut all = hours(0..9);
    all.retain(|hour| !(3..6).contains(&hour.hour));
    all[3].is_start = true;
    world.add(&PLAIN, &all);

    let validation = world.validate();

    assert_problems(&validation, &[(Verdict::Gap, 1)]);
    let gap = &validation.report.findings[0];
    assert_eq!(gap.from.as_deref(), Some("2026-10-01T03:00:00Z"));
    assert_eq!(gap.to.as_deref(), Some("2026-10-01T06:00:00Z"));
}

#[test]
fn a_chain_whose_newest_digests_are_gone_is_truncated() {
    let mut world = World::new();
    let digests = world.add(&PLAIN, &hours(0..8));
    for digest in &digests[4..] {
        std::fs::remove_file(world.path(digest)).unwrap();
    }
    let kept = world.signatures_of(&digests[..4]);
    let validate = |world: &World, kept: &Signatures| {
        world.validate_with(|options| options.signatures = kept.clone())
    };
    let gone = validate(&world, &kept);
    assert_problems(&gone, &[(Verdict::Truncated, 1), (Verdict::InNoDigest, 4)]);
    // Signatures that were kept tell of digests that are gone.
    let want = [(Verdict::Truncated, 1), (Verdict::InNoDigest, 4), (Verdict::Missing, 4)];
    assert_problems(&world.validate(), &want);

    // Without logs, only the trail's chains in other regions tell.
    let others = world.add(&Chain { region: "eu-west-1", ..PLAIN }, &hours(0..8));
    let kept = world.signatures_of(&[&digests[..4], &others].concat());
    for key in world.keys().iter().filter(|key| key.contains("/CloudTrail/us-east-1")) {
        let listed = ["T00", "T01", "T02", "T03"].iter().any(|hour| key.contains(hour));
        if !listed {
            std::fs::remove_file(world.path(key)).unwrap();
        }
    }
    assert_problems(&validate(&world, &kept), &[(Verdict::Truncated, 1)]);
}

#[test]
fn days_narrow_what_is_asked_about() {
    let mut world = World::new();
    let digests = world.add(&PLAIN, &hours(0..72));
    let day = |text: &str| Some(text.parse().unwrap());
    let between = |from, to| {
        let narrow = Narrow { from, to, ..Narrow::default() };
        world.validate_with(|options| options.narrow = narrow)
    };

    let middle = between(day("2026-10-02"), day("2026-10-02"));
    assert_proven(&middle);
    assert_eq!(middle.report.logs[&Verdict::VerifiedRelocated], 24);
    assert_problems(&between(day("2026-10-02"), day("2026-10-09")), &[(Verdict::Truncated, 1)]);
    assert_problems(&between(day("2026-09-30"), day("2026-10-02")), &[(Verdict::Gap, 1)]);
    // What lies outside may be gone.
    std::fs::remove_file(world.path(&digests[5])).unwrap();
    std::fs::remove_file(world.path(&digests[60])).unwrap();
    assert_proven(&between(day("2026-10-02"), day("2026-10-02")));
}

#[test]
fn logs_of_the_last_hours_wait_for_their_digest() {
    let mut world = World::new();
    let digests = world.add(&PLAIN, &hours(0..2));
    std::fs::remove_file(world.path(&digests[1])).unwrap();
    let kept = world.signatures_of(&digests[..1]);
    let now = |hour| {
        let kept = kept.clone();
        move |options: &mut IntegrityOptions| {
            options.now = (FIRST + hour) * 3_600_000;
            options.signatures = kept;
        }
    };

    let early = world.validate_with(now(2));
    assert_proven(&early);
    assert_eq!(early.report.logs[&Verdict::Pending], 2);
    assert_problems(&world.validate_with(now(5)), &[(Verdict::InNoDigest, 2)]);
}

#[test]
fn no_digests_are_nothing_to_prove() {
    let world = World::with(&[PLAIN]);
    for key in world.keys().iter().filter(|key| key.contains("Digest")) {
        std::fs::remove_file(world.path(key)).unwrap();
    }
    let gone = world.validate_with(|options| options.signatures = Signatures::default());
    assert_eq!(gone.report.outcome, Outcome::NothingToProve);
    assert_eq!(world.validate().report.outcome, Outcome::NotProven, "signatures name digests");
    assert_eq!(World::new().validate().report.outcome, Outcome::NothingToProve);
}

/// A change to one object of a chain.
#[derive(Clone, Debug)]
enum Change {
    Flip(u8),
    Delete,
    Swap(prop::sample::Index),
    Append(Vec<u8>),
    AppendMember(Vec<u8>),
    Truncate,
    Rename,
    Replay(prop::sample::Index),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => (1..=255_u8).prop_map(Change::Flip),
        1 => Just(Change::Delete),
        2 => any::<prop::sample::Index>().prop_map(Change::Swap),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Change::Append),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Change::AppendMember),
        2 => Just(Change::Truncate),
        1 => Just(Change::Rename),
        2 => any::<prop::sample::Index>().prop_map(Change::Replay),
    ]
}

/// The content, if the bytes are one gzip member and nothing else.
fn content(bytes: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
    let mut content = Vec::new();
    decoder.read_to_end(&mut content).ok()?;
    decoder.into_inner().is_empty().then_some(content)
}

#[test]
fn no_single_change_leaves_everything_proven() {
    let world = World::with(&[PLAIN]);
    let keys = world.keys();
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() };
    let strategy = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), changes());

    proptest!(config, |((object, byte, change) in strategy)| {
        let key = object.get(&keys[..]);
        let (path, bytes) = (world.path(key), std::fs::read(world.path(key)).unwrap());
        let at = byte.index(bytes.len());
        let mut changed = bytes.clone();
        let mut others: Vec<(PathBuf, Option<Vec<u8>>)> = Vec::new();
        let read = |path: &Path| std::fs::read(path).unwrap();
        match &change {
            Change::Flip(mask) => changed[at] ^= mask,
            Change::Append(more) => changed.extend(more),
            Change::AppendMember(more) => changed.extend(gzip(more)),
            Change::Truncate => changed.truncate(at),
            Change::Replay(other) => changed = read(&world.path(&keys[other.index(keys.len())])),
            Change::Swap(other) => {
                let other = world.path(&keys[other.index(keys.len())]);
                changed = read(&other);
                others.push((other.clone(), Some(read(&other))));
                std::fs::write(other, &bytes).unwrap();
            }
            Change::Rename => {
                let other = path.with_file_name(format!("x{}", path.file_name().unwrap().to_str().unwrap()));
                std::fs::write(&other, &bytes).unwrap();
                others.push((other, None));
            }
            Change::Delete => {}
        }
        std::fs::write(&path, &changed).unwrap();
        if matches!(change, Change::Delete | Change::Rename) {
            std::fs::remove_file(&path).unwrap();
        }

        let validation = world.validate();

        let is_changed = content(&changed) != content(&bytes)
            || matches!(change, Change::Delete | Change::Rename);
        for (other, bytes) in others {
            match bytes {
                Some(bytes) => std::fs::write(other, bytes).unwrap(),
                None => std::fs::remove_file(other).unwrap(),
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        prop_assert_eq!(validation.report.proves(), !is_changed, "{}", key);
    });
    assert_proven(&world.validate());
}

/// The certificate names what is missing, as text, as JSON and as a page.
fn certificates_say(args: &[&str], signatures: &str, folder: &Path) {
    for name in ["page.txt", "page.json", "page.html"] {
        let file = folder.join(name);
        let more = [signatures, "--quiet", "--certificate", file.to_str().unwrap()];
        run(args.iter().copied().chain(more)).exits(1);
        let page = std::fs::read_to_string(&file).unwrap();
        assert!(page.contains("NOT PROVEN") && page.contains("missing"), "{page}");
        assert!(!name.ends_with("json") || serde_json::from_str::<Value>(&page).is_ok());
        assert!(!name.ends_with("html") || page.starts_with("<!DOCTYPE html>"), "{page}");
    }
}

#[test]
fn a_sample_shows_what_each_change_looks_like() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, verdict) in [
        (None, "Proven"),
        (Some("edit-log"), "hash mismatch"),
        (Some("delete-log"), "missing"),
        (Some("forge-log"), "in no digest"),
        (Some("append-log"), "trailing data"),
        (Some("truncate-log"), "invalid format"),
        (Some("swap-logs"), "hash mismatch"),
        (Some("rename-log"), "in no digest"),
        (Some("edit-digest"), "hash mismatch"),
        (Some("delete-digest"), "missing"),
        (Some("delete-digests"), "inferred"),
        (Some("delete-newest-digests"), "truncated"),
        (Some("replay-digest"), "signed for another place"),
        (Some("truncate-digest"), "invalid format"),
    ] {
        let logs = folder.path().join(kind.unwrap_or("clean"));
        let logs = logs.to_str().unwrap();
        let mut sample = strings(&["sample", logs, "--size", "2MB", "--accounts", "1"]);
        sample.extend(strings(&["--days", "1", "--digests", "--quiet"]));
        sample.extend(kind.iter().flat_map(|kind| strings(&["--tamper", kind])));
        run(sample).exits(0);
        let evidence = |name: &str| format!("{logs}/_evidence/{name}.json");

        let args = ["integrity", logs, "--keys", &evidence("keys"), "--signatures"];
        let done = run(args.iter().copied().chain([evidence("signatures").as_str(), "--quiet"]));

        let text = done.exits(i32::from(kind.is_some())).text();
        assert!(text.contains(verdict), "{kind:?}: {text}");
        if kind == Some("delete-log") {
            certificates_say(&args, &evidence("signatures"), folder.path());
        }
    }
}

/// A small archive with digests, of one account and day; `more` are further options of `sample`.
pub(crate) fn sample(folder: &Path, more: &[&str]) -> [String; 4] {
    let logs = folder.to_str().unwrap();
    let size = if more.is_empty() { "300kB" } else { "2MB" };
    let mut args = strings(&["sample", logs, "--size", size, "--accounts", "1"]);
    args.extend(strings(&["--days", "1", "--digests", "--quiet"]));
    args.extend(strings(more));
    run(args).exits(0);
    let evidence = |name: &str| format!("{logs}/_evidence/{name}.json");
    ["--keys".to_owned(), evidence("keys"), "--signatures".to_owned(), evidence("signatures")]
}

/// Converts with `--integrity` and insists on an exit code.
pub(crate) fn convert(logs: &Path, lake: &Path, mode: &str, evidence: &[String], code: i32) -> Run {
    let (logs, lake) = (logs.to_str().unwrap(), lake.to_str().unwrap());
    let args = ["convert", logs, lake, "--integrity", mode, "--report", "json", "--quiet"];
    run(args.iter().map(|arg| (*arg).to_owned()).chain(evidence.iter().cloned())).exits(code)
}

/// Whether a partition is of a main table: typed tables have the same rows once more.
fn is_main(partition: &Value) -> bool {
    let table = partition["table"].as_str().unwrap();
    !table.ends_with("_typed") && !table.ends_with("_digest")
}

/// Rows of a lake's tables of logs: proven, unproven, not checked.
pub(crate) fn rows_by_proof(lake: &Path) -> [u64; 3] {
    let args = ["catalog", "show", lake.to_str().unwrap(), "--integrity", "--report", "json"];
    let partitions = run(args).exits(0).json();
    let partitions = partitions.as_array().unwrap().iter();
    ["rows_proven", "rows_unproven", "rows_unchecked"].map(|name| {
        partitions.clone().filter(|one| is_main(one)).map(|one| one[name].as_u64().unwrap()).sum()
    })
}

/// The records of a conversion that are not digests.
pub(crate) fn logs_written(report: &Report) -> u64 {
    report.records_written - report.rows_by_table.get("cloudtrail_digest").unwrap_or(&0)
}

#[test]
fn a_conversion_records_what_digests_prove() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    let evidence = sample(&logs, &[]);

    let report = convert(&logs, &lake, "record", &evidence, 0).report();

    let totals = report.integrity.clone().unwrap();
    assert_eq!(totals.objects.keys().collect::<Vec<_>>(), [&Verdict::VerifiedRelocated]);
    assert_eq!(totals.records[&Verdict::VerifiedRelocated], logs_written(&report));
    assert!(totals.digests > 0 && totals.digests == totals.digests_verified);
    assert_eq!(rows_by_proof(&lake), [logs_written(&report), 0, 0]);
    let plain = folder.path().join("plain");
    let (logs, plain_path) = (logs.to_str().unwrap(), plain.to_str().unwrap());
    run(["convert", logs, plain_path, "--quiet"]).exits(0);
    assert_eq!(rows_by_proof(&plain), [0, 0, logs_written(&report)]);

    let verify = |lake: &str, code| {
        let args = ["verify", logs, lake, "--integrity", "--report", "json", "--quiet"];
        run(args).exits(code).json()
    };
    let proven = verify(lake.to_str().unwrap(), 0);
    let objects = totals.objects[&Verdict::VerifiedRelocated];
    let want = json!({"objects_proven": objects, "objects_unproven": 0, "objects_changed": 0});
    assert_eq!(proven["integrity"], want);
    let of_proven = proven["partitions"].as_array().unwrap().iter().filter(|one| is_main(one));
    let rows: u64 = of_proven.map(|one| one["rows_proven"].as_u64().unwrap()).sum();
    assert_eq!(rows, logs_written(&report));
    assert_eq!(verify(plain_path, 1)["integrity"]["objects_unproven"], objects);

    for (lake, code, result) in
        [(lake.to_str().unwrap(), 0, "PROVEN: every row"), (plain_path, 1, "NOT PROVEN")]
    {
        for name in ["lake.txt", "lake.html", "lake.json"] {
            let file = folder.path().join(name);
            let args = ["verify", logs, lake, "--integrity", "--quiet", "--certificate"];
            run(args.into_iter().chain([file.to_str().unwrap()])).exits(code);
            let page = std::fs::read_to_string(file).unwrap();
            let proven = format!("{objects} objects proven");
            assert!(name.ends_with("json") || page.contains(result), "{page}");
            assert_eq!(page.contains(&proven), code == 0, "{page}");
            assert!(!name.ends_with("json") || serde_json::from_str::<Value>(&page).is_ok());
        }
    }
}

#[test]
fn what_is_not_what_was_delivered_is_told_or_quarantined() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    let evidence = sample(&logs, &["--tamper", "edit-log"]);
    let (recorded, required) = (folder.path().join("recorded"), folder.path().join("required"));

    let record = convert(&logs, &recorded, "record", &evidence, 1).report();
    let require = convert(&logs, &required, "require", &evidence, 1).report();

    assert_eq!(record.integrity.clone().unwrap().objects[&Verdict::HashMismatch], 1);
    assert_eq!((record.objects_quarantined, require.objects_quarantined), (0, 1));
    assert!(rows_by_proof(&recorded)[1] > 0);
    assert_eq!(rows_by_proof(&required), [logs_written(&require), 0, 0]);
    let reasons: Vec<_> = require.quarantined_by_reason.keys().collect();
    assert!(reasons[0].contains("hash mismatch"), "{reasons:?}");
}

#[test]
fn what_no_digest_lists_waits_where_proof_is_required() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    let evidence = sample(&logs, &["--tamper", "forge-log"]);

    let report = convert(&logs, &lake, "require", &evidence, 1).report();

    assert_eq!((report.objects_unavailable, report.objects_quarantined), (1, 0));
    let reasons: Vec<_> = report.unavailable_by_reason.keys().collect();
    assert!(reasons[0].contains("no verified digest lists it"), "{reasons:?}");
    let none = folder.path().join("none");
    std::fs::create_dir(&none).unwrap();
    std::fs::write(none.join("a.json"), "{\"Records\":[]}").unwrap();
    let refused = convert(&none, &folder.path().join("new"), "require", &evidence, 2);
    assert!(refused.stderr.contains("no verified digests"), "{}", refused.stderr);
}

#[test]
fn digests_that_come_later_prove_what_was_converted_before() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    let evidence = sample(&logs, &[]);
    let account = logs.join("AWSLogs/o-a1b2c3d4e5/111122223333");
    let (digests, away) = (account.join("CloudTrail-Digest"), folder.path().join("away"));
    std::fs::rename(&digests, &away).unwrap();
    let before = convert(&logs, &lake, "record", &evidence, 0).report();
    let objects = before.integrity.clone().unwrap().objects;
    assert_eq!(objects.keys().collect::<Vec<_>>(), [&Verdict::InNoDigest]);
    assert_eq!(rows_by_proof(&lake), [0, logs_written(&before), 0]);

    std::fs::rename(&away, &digests).unwrap();
    // What is converted is not read again.
    std::fs::remove_dir_all(account.join("CloudTrail")).unwrap();
    let after = convert(&logs, &lake, "record", &evidence, 0).report();

    let upgraded = after.integrity.clone().unwrap().objects_upgraded;
    // The digests alone are new.
    assert_eq!((logs_written(&after), upgraded), (0, objects[&Verdict::InNoDigest]));
    assert_eq!(rows_by_proof(&lake), [logs_written(&before), 0, 0]);
    let again = convert(&logs, &lake, "record", &evidence, 0).report();
    assert_eq!(again.integrity.unwrap().objects_upgraded, 0);
}
