//! What a sample promises, checked on the files it wrote.

use super::*;
use libdeflater::{Crc, Decompressor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const MEGABYTE: u64 = 1_000_000;

fn options(folder: &Path, size: u64, threads: usize) -> SampleOptions {
    SampleOptions { size, threads, ..SampleOptions::new(folder) }
}

fn sample(size: u64, threads: usize) -> (tempfile::TempDir, SampleReport) {
    let folder = tempfile::tempdir().unwrap();
    let report = generate(&options(folder.path(), size, threads), &|_| ()).unwrap();
    (folder, report)
}

/// Returns the files below a folder by key, compressed.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let key = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(key, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Unpacks one gzip member and makes sure that nothing follows it.
fn unpack(bytes: &[u8]) -> String {
    let length = u32::from_le_bytes(bytes[bytes.len() - 4..].try_into().unwrap()) as usize;
    assert_eq!(&bytes[4..8], &[0; 4], "the gzip header carries a time");
    let mut text = vec![0; length];
    assert_eq!(Decompressor::new().gzip_decompress(bytes, &mut text).unwrap(), length);
    // The last trailer is the first member's: nothing follows it.
    let mut sum = Crc::new();
    sum.update(&text);
    assert_eq!(bytes[bytes.len() - 8..bytes.len() - 4], sum.sum().to_le_bytes());
    String::from_utf8(text).unwrap()
}

fn records_of(key: &str, text: &str) -> Vec<Value> {
    match serde_json::from_str(text).unwrap_or_else(|err| panic!("{key}: {err}\n{text:.2000}")) {
        Value::Array(records) => records,
        Value::Object(mut object) => match object.remove("Records") {
            Some(Value::Array(records)) => records,
            _ => Vec::new(),
        },
        other => panic!("{key}: {other}"),
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_one_thread_and_with_three() {
    let (one, first) = sample(3 * MEGABYTE, 1);
    let (three, second) = sample(3 * MEGABYTE, 3);
    assert_eq!(first, second);
    assert_eq!(files(one.path()), files(three.path()));

    let other = tempfile::tempdir().unwrap();
    let options = SampleOptions { seed: 2, ..options(other.path(), MEGABYTE, 2) };
    generate(&options, &|_| ()).unwrap();
    assert_ne!(files(other.path()).keys().next(), files(one.path()).keys().next());
}

#[test]
fn a_sample_of_20_mb_parses_and_holds_every_family_and_oddity() {
    let (folder, report) = sample(20 * MEGABYTE, 2);
    let missed = report.bytes_json.abs_diff(20 * MEGABYTE);
    assert!(missed <= MEGABYTE / 5, "{report:?}");

    let mut seen = Seen::default();
    for (key, bytes) in files(folder.path()) {
        let text = unpack(&bytes);
        seen.add(&key, &text, records_of(&key, &text));
    }
    assert_eq!(seen.records, report.records);
    assert_eq!(seen.duplicates, report.duplicates);
    assert!(report.duplicates > 20 && report.digest_objects > 0, "{report:?}");
    for (records, least) in
        [(report.insight_records, 4), (report.network_records, 50), (report.aggregated_records, 2)]
    {
        assert!(records >= least, "{report:?}");
    }
    assert!(seen.whole_copies > 0 && seen.shared_pairs() > 0 && seen.bare_lists > 0);
    assert!(seen.sources.len() >= 50 && seen.names.len() >= 150, "{}", seen.names.len());
    for mark in MARKS {
        assert!(seen.text.contains(mark), "{mark} is missing");
    }
    for kind in [
        "IAMUser",
        "Root",
        "AssumedRole",
        "AWSService",
        "WebIdentityUser",
        "SAMLUser",
        "IdentityCenterUser",
        "AWSAccount",
        "FederatedUser",
    ] {
        assert!(seen.text.contains(&format!("\"type\":\"{kind}\"")), "{kind} is missing");
    }
    assert!(seen.largest > 190_000 && seen.largest < 256 * 1024, "{}", seen.largest);
}

/// Texts that stand for one oddity, layout or field each.
const MARKS: &[&str] = &[
    "\"tagging\":\"\"",
    "\"Tagging\":{",
    "\"tag\":1,\"Tag\":[",
    "\"x-amz-id-2\"",
    "\"aws:s3:arn\"",
    "rest.action.multi",
    "\"2fa\":true",
    "\"policy\":\"{",
    "\"policy\":[",
    "\"policy\":{",
    "\"maxResults\":500",
    "\"maxResults\":\"500\"",
    "\"host\":[",
    "\"host\":\"",
    "\"tags\":{",
    "\"tags\":[",
    "\"disableApiTermination\":{",
    "\"disableApiTermination\":true",
    "\"instanceType\":{",
    "\"location\":[",
    "\"role\":\"",
    "\"role\":{",
    "\"version\":42",
    "\"Action\":[",
    "\"bytesTransferredIn\":0.0",
    "\"bytesTransferredIn\":0,",
    "\"readOnly\":\"true\"",
    "\"requestParameters\":\"",
    "\"userAgent\":[",
    "\"resources\":[]",
    "\"requestParameters\":{},",
    "18446744073709551615",
    "\"futureField\"",
    "\"addendum\"",
    "\"edgeDeviceDetails\"",
    "\"serviceEventDetails\"",
    "VpceAccessDenied",
    "\"eventId\"",
    "\"Failure\"",
    "\"onBehalfOf\"",
    "\"inScopeOf\"",
    "\"credentialId\"",
    "\"attributes\":{\"oidc",
    "arn:aws-us-gov:",
    "arn:aws-cn:",
    "\"eventVersion\":\"1.02\"",
    "\"AwsServiceEvent\"",
    "\"sessionCredentialFromConsole\":true",
    "\"sessionCredentialFromConsole\":\"true\"",
    "\"keyExchange\"",
    "\"anonymous\"",
    "\\ud83d\\ude80",
    "\"Late\"",
];

#[derive(Default)]
struct Seen {
    text: String,
    records: u64,
    bare_lists: u64,
    duplicates: u64,
    whole_copies: u64,
    largest: usize,
    sources: BTreeSet<String>,
    names: BTreeSet<String>,
    ids: BTreeMap<String, Value>,
    shared: BTreeMap<String, BTreeSet<String>>,
    objects: BTreeSet<String>,
}

impl Seen {
    fn add(&mut self, key: &str, text: &str, records: Vec<Value>) {
        self.whole_copies += u64::from(!self.objects.insert(text.to_string()));
        self.bare_lists += u64::from(text.starts_with('['));
        for record in records {
            self.records += 1;
            self.largest = self.largest.max(record.to_string().len());
            let field = |name: &str| record[name].as_str().map(str::to_string);
            let id = field("eventID").or_else(|| field("eventId")).unwrap();
            assert_eq!(id.len(), 36, "{key}");
            let is_call = key.contains("/CloudTrail/") || key.contains("-NetworkActivity/");
            assert_eq!(record["userIdentity"].is_object(), is_call, "{key}");
            assert_eq!(record["eventTime"].is_string(), !key.contains("-Aggregated/"), "{key}");
            if is_call {
                self.sources.insert(field("eventSource").unwrap());
                self.names.insert(field("eventName").unwrap());
                if let Some(shared) = field("sharedEventID") {
                    self.shared.entry(shared).or_default().insert(id.clone());
                }
                let delivered = key.rsplit('_').nth(1).unwrap().to_string();
                let time = field("eventTime").unwrap().replace(['-', ':'], "");
                assert!(time[..13] <= delivered[..13], "{key}: {time} is in the future");
                if time[..8] != delivered[..8] && !self.text.contains("\"Late\"") {
                    self.text.push_str("\"Late\"");
                }
            }
            match self.ids.insert(id, record.clone()) {
                Some(earlier) => {
                    assert_eq!(earlier, record, "two records share an id");
                    self.duplicates += 1;
                }
                None => assert!(!record.is_null()),
            }
        }
        self.text.push_str(text);
    }

    fn shared_pairs(&self) -> usize {
        self.shared.values().filter(|ids| ids.len() == 2).count()
    }
}

#[test]
fn small_objects_are_under_a_kilobyte_and_as_many_as_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let options = SampleOptions { small_objects: Some(300), ..options(folder.path(), MEGABYTE, 2) };
    let report = generate(&options, &|_| ()).unwrap();
    let files = files(folder.path());
    assert_eq!((report.objects, files.len()), (300, 300));
    let mut records = 0;
    for (key, bytes) in &files {
        assert!(bytes.len() < 1_000, "{key}: {} bytes", bytes.len());
        records += records_of(key, &unpack(bytes)).len() as u64;
    }
    assert_eq!((records, report.duplicates), (report.records, 0));
}

#[test]
fn any_size_is_reached_within_a_percent_or_one_object() {
    for size in [1, 40_000, 5 * MEGABYTE] {
        let (folder, report) = sample(size, 2);
        let largest = files(folder.path()).values().map(|bytes| unpack(bytes).len()).max();
        let allowed = (size / 100).max(largest.unwrap_or(0) as u64);
        assert!(report.bytes_json.abs_diff(size) <= allowed, "{size}: {report:?}");
    }
}

#[test]
fn a_folder_that_is_not_empty_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "keep").unwrap();
    let err = generate(&options(folder.path(), MEGABYTE, 1), &|_| ()).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Config);
    assert!(err.to_string().contains("name a new one"), "{err}");
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn progress_ends_at_the_bytes_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let last = AtomicU64::new(0);
    let report = generate(&options(folder.path(), MEGABYTE, 2), &|bytes| {
        last.fetch_max(bytes, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(last.into_inner(), report.bytes_json);
}
