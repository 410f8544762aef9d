//! A folder with logs and a lake, made-up records, and the program run on them.

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use trailmill::engine::Report;
use trailmill::family::Family;
use trailmill::lake::{Manifest, Quarantined};
use trailmill::schema::{Kind, Lock};

/// Where the real layout puts the logs of these tests.
pub(crate) const FOLDER: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01";

/// Waiting longer than this for something that must come is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A key in the layout of a bucket, for the file name's last part.
pub(crate) fn key(name: &str) -> String {
    format!("{FOLDER}/111122223333_CloudTrail_us-east-1_20240501T0000Z_{name}")
}

/// The `n`th made-up record; equal numbers are equal records.
pub(crate) fn record(n: u64) -> Value {
    let (account, region) = (
        ["111122223333", "444455556666"][n as usize / 7 % 2],
        ["us-east-1", "eu-west-1", "us-gov-west-1"][n as usize / 3 % 3],
    );
    let (day, hour) = (1 + n / 50 % 3, n % 24);
    json!({
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "AssumedRole", "principalId": format!("AROAEXAMPLE{:05}:worker", n % 11),
            "arn": format!("arn:aws:sts::{account}:assumed-role/role-{}/worker", n % 11),
            "accountId": account, "accessKeyId": format!("ASIAEXAMPLE{:09}", n % 97),
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "userName": format!("role-{}", n % 11)},
                "attributes": {"creationDate": "2024-05-01T00:00:00Z", "mfaAuthenticated": "false"}
            }
        },
        "eventTime": format!("2024-05-{day:02}T{hour:02}:00:{:02}Z", n % 60),
        "eventSource": "madeup.amazonaws.com", "eventName": format!("DoThing{}", n % 5),
        "awsRegion": region, "sourceIPAddress": format!("192.0.2.{}", n % 250),
        "userAgent": "aws-sdk-rust/1.0",
        "requestParameters": {"thingName": format!("thing-{n}"), "maxThings": n, "isDry": n.is_multiple_of(2)},
        "responseElements": if n.is_multiple_of(3) { Value::Null } else { json!({"thing": {"id": n.to_string()}}) },
        "requestID": format!("{n:08x}-aaaa-4000-8000-000000000000"),
        "eventID": format!("{n:08x}-0000-4000-8000-000000000000"),
        "readOnly": n.is_multiple_of(2), "eventType": "AwsApiCall", "managementEvent": true,
        "recipientAccountId": account, "eventCategory": "Management",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"}
    })
}

/// Some consecutive records.
pub(crate) fn records(numbers: std::ops::Range<u64>) -> Vec<Value> {
    numbers.map(record).collect()
}

/// A record with one member replaced or added.
pub(crate) fn record_with(n: u64, member: &str, value: Value) -> Value {
    let mut record = record(n);
    record[member] = value;
    record
}

/// The text of record 7 with `text` in place of the value of `requestParameters`.
pub(crate) fn record_text_with_request(text: &str) -> String {
    let marked = record_with(7, "requestParameters", json!("MARK")).to_string();
    marked.replace("\"MARK\"", text)
}

pub(crate) fn envelope(records: &[Value]) -> Vec<u8> {
    json!({ "Records": records }).to_string().into_bytes()
}

/// An object whose records are these texts, whatever they are.
pub(crate) fn envelope_of_texts(records: &[&[u8]]) -> Vec<u8> {
    [b"{\"Records\":[", &records.join(&b","[..])[..], b"]}"].concat()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

/// The end of a run of the program.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    /// Insists on an exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let out = String::from_utf8_lossy(&self.stdout);
        assert_eq!(self.code, code, "\nstderr: {}\nstdout: {out}", self.stderr);
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap()
    }

    /// The report of a conversion, whose counts must balance.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        let report: Report = serde_json::from_slice(&self.stdout).unwrap();
        let outcomes = report.records_written
            + report.records_duplicate
            + report.records_filtered
            + report.records_quarantined;
        assert_eq!(report.records_read, outcomes, "the counts of the report do not balance");
        report
    }
}

/// The program with its arguments, nothing yet run.
pub(crate) fn program<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trailmill"));
    // The configuration of whoever runs the tests is not theirs.
    command.env("TRAILMILL_CONFIG", "");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    wait(program(args).spawn().unwrap())
}

/// Waits for a run's end.
pub(crate) fn wait(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends a signal by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Looks until something is there; fails when it never comes.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what} never came");
        std::thread::yield_now();
    }
}

/// A folder of logs, and a lake beside it.
#[derive(Debug)]
pub(crate) struct World {
    _folder: TempDir,
    pub(crate) root: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) lake: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let logs = root.join("logs");
        fs::create_dir(&logs).unwrap();
        Self { _folder: folder, lake: root.join("lake"), logs, root }
    }

    /// Puts an object under a key of the logs.
    pub(crate) fn put(&self, key: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.logs.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Puts records as CloudTrail does; gzipped if the key says so.
    pub(crate) fn put_records(&self, key: &str, records: &[Value]) -> PathBuf {
        let bytes = envelope(records);
        self.put(key, if key.ends_with(".gz") { gzip(&bytes) } else { bytes })
    }

    /// The arguments of a conversion of the logs into the lake, in many partitions unless told others.
    pub(crate) fn convert_args(&self, more: &[&str]) -> Vec<String> {
        let places = [self.logs.to_str().unwrap(), self.lake.to_str().unwrap()];
        let fixed = ["convert", places[0], places[1], "--quiet", "--report", "json"];
        let layout = layout_beside(more);
        fixed.iter().chain(layout).chain(more).map(|arg| (*arg).to_owned()).collect()
    }

    pub(crate) fn convert(&self, more: &[&str]) -> Run {
        run(self.convert_args(more))
    }

    /// Runs a command on the lake: `on_lake(&["catalog", "diff"], &["--report", "json"])`.
    pub(crate) fn on_lake(&self, command: &[&str], more: &[&str]) -> Run {
        run(command.iter().chain(&[self.lake.to_str().unwrap()]).chain(more))
    }

    /// Proves that the lake holds exactly the records of the logs, or says what differs.
    #[track_caller]
    pub(crate) fn is_proved(&self, more: &[&str]) {
        self.verify(more).exits(0);
    }

    pub(crate) fn verify(&self, more: &[&str]) -> Run {
        let places = [self.logs.to_str().unwrap(), self.lake.to_str().unwrap()];
        let fixed = ["verify", places[0], places[1], "--quiet", "--report", "json"];
        run(fixed.iter().chain(more))
    }

    pub(crate) fn quarantine(&self) -> Vec<Quarantined> {
        let listed = self.on_lake(&["quarantine"], &["--report", "json"]).exits(0);
        serde_json::from_slice(&listed.stdout).unwrap()
    }

    pub(crate) fn raw(&self, number: usize) -> Vec<u8> {
        self.on_lake(&["quarantine"], &["--raw", &number.to_string()]).exits(0).stdout
    }

    /// The lock of the lake.
    pub(crate) fn lock(&self) -> Lock {
        let shown = self.on_lake(&["schema", "show"], &["--report", "json"]).exits(0);
        serde_json::from_slice(&shown.stdout).unwrap()
    }

    /// A document of the lake's catalog.
    pub(crate) fn table_json(&self, table: &str) -> Value {
        serde_json::from_slice(&fs::read(self.table_folder(table).join("table.json")).unwrap())
            .unwrap()
    }

    pub(crate) fn table_folder(&self, table: &str) -> PathBuf {
        self.lake.join("_trailmill/catalog/databases/trailmill/tables").join(table)
    }

    /// Name and Hive type of a table's columns, as the catalog has them.
    pub(crate) fn catalog_columns(&self, table: &str) -> Vec<(String, String)> {
        let table = self.table_json(table);
        let columns = table["StorageDescriptor"]["Columns"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        columns.iter().map(|column| (text(&column["Name"]), text(&column["Type"]))).collect()
    }

    /// Everything in the lake; see [`snapshot`].
    pub(crate) fn snapshot(&self) -> Snapshot {
        snapshot(&self.lake)
    }

    pub(crate) fn data_files(&self) -> Vec<String> {
        let is_data = |name: &String| name.ends_with(".parquet") && !name.starts_with('_');
        self.snapshot().into_keys().filter(is_data).collect()
    }

    /// The manifests of the lake, in the order of their units.
    pub(crate) fn manifests(&self) -> Vec<Manifest> {
        let read =
            |path: &PathBuf| serde_json::from_slice(&gunzip(&fs::read(path).unwrap())).unwrap();
        files(&self.lake.join("_trailmill/manifests")).iter().map(read).collect()
    }

    /// Names of what a finished run must not leave behind.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let is_left = |name: &String| {
            name.starts_with("_trailmill/staged/")
                || name.starts_with("_trailmill/intents/")
                || name.contains('#')
                || name.ends_with(".tmp")
        };
        self.snapshot().into_keys().filter(is_left).collect()
    }

    /// Removes the lake but for the key of its fingerprints, so that the next one is the same.
    pub(crate) fn remove_lake(&self) {
        let key = self.copy_key();
        let bytes = fs::read(&key).ok();
        fs::remove_dir_all(&self.lake).unwrap();
        if let Some(bytes) = bytes {
            fs::create_dir_all(key.parent().unwrap()).unwrap();
            fs::write(key, bytes).unwrap();
        }
    }

    /// The document that has the key of the lake's fingerprints.
    pub(crate) fn copy_key(&self) -> PathBuf {
        self.lake.join("_trailmill/copies/key.json")
    }
}

/// The partition keys that most tests are about, unless other ones are given.
pub(crate) fn layout_beside<'a>(more: &[&'a str]) -> &'a [&'static str] {
    match more.contains(&"--partition-by") {
        true => &[],
        false => &["--partition-by", "account,region,event_date"],
    }
}

/// The files under a folder, sorted; none when there is no folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    walk.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// Copies a folder with everything in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    for path in files(from) {
        let copy = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(path, copy).unwrap();
    }
}

/// Hash of every file of a lake by its path.
pub(crate) type Snapshot = BTreeMap<String, u128>;

/// Hashes a lake whole, but for the logs of runs and the lease. Where the catalog says where the
/// lake is, that is left out, so that lakes in two places can be equal.
pub(crate) fn snapshot(lake: &Path) -> Snapshot {
    let mut out = Snapshot::new();
    for path in files(lake) {
        let name = path.strip_prefix(lake).unwrap().to_str().unwrap().to_owned();
        if name.starts_with("_trailmill/runs/") || name == "_trailmill/lease.json" {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if name.starts_with("_trailmill/catalog/") {
            let text = String::from_utf8(bytes).unwrap();
            bytes = text.replace(lake.to_str().unwrap(), "LAKE").into_bytes();
        }
        out.insert(name, xxhash_rust::xxh3::xxh3_128(&bytes));
    }
    out
}

/// Insists that two lakes are equal, and names the files that differ.
#[track_caller]
pub(crate) fn assert_same(want: &Snapshot, got: &Snapshot, what: &str) {
    let names: std::collections::BTreeSet<_> = want.keys().chain(got.keys()).collect();
    let differing: Vec<String> = names
        .into_iter()
        .filter_map(|name| match (want.get(name), got.get(name)) {
            (Some(a), Some(b)) if a == b => None,
            (Some(_), Some(_)) => Some(format!("  differs    {name}")),
            (Some(_), None) => Some(format!("  missing    {name}")),
            (None, _) => Some(format!("  unexpected {name}")),
        })
        .collect();
    assert!(differing.is_empty(), "{what}: the lakes differ\n{}", differing.join("\n"));
}

/// The Hive type at a path such as `request.policy.statement[].action`, if it is locked.
pub(crate) fn hive_at(lock: &Lock, path: &str) -> Option<String> {
    let mut steps = path.split('.');
    let mut kind = &lock.column(Family::Events, steps.next()?)?.kind;
    for step in steps {
        let Kind::Struct(fields) = kind else { return None };
        kind = &fields.iter().find(|field| field.name == step.trim_end_matches("[]"))?.kind;
        if step.ends_with("[]") {
            let Kind::List(element) = kind else { return None };
            kind = element;
        }
    }
    Some(kind.hive_type())
}

/// An archive with something of everything: two accounts, copies, late fields, other families,
/// other services' objects, bad records, a bad object, a tar. About 1 MB of JSON.
pub(crate) fn fill_with_everything(world: &World) {
    for object in 0..40_u64 {
        let mut batch = records(object * 25..object * 25 + 25);
        // Copies of the object before, and of one in the first unit.
        if object % 4 == 3 {
            batch.extend(records(object * 25 - 5..object * 25));
            batch.push(record(1));
        }
        // Fields that appear only late, one after another.
        let late = format!("lateField{}", object / 5);
        batch[3]["requestParameters"][&late] = json!({"deep": [{"x": object}]});
        if object % 9 == 4 {
            batch[5]["eventTime"] = json!("yesterday");
            batch[6]["awsRegion"] = json!("../../x");
        }
        world.put_records(&key(&format!("{object:03}.json.gz")), &batch);
    }
    let whole = gzip(&envelope(&records(9000..9050)));
    world.put(&key("050bad.json.gz"), &whole[..whole.len() / 2]);
    let other = |folder: &str, name: &str| {
        format!("AWSLogs/111122223333/{folder}/us-east-1/2024/05/01/{name}.json.gz")
    };
    let insight: Vec<Value> = (0..20).map(insight_record).collect();
    world.put_records(&other("CloudTrail-Insight", "insight"), &insight);
    world.put_records(&other("CloudTrail-NetworkActivity", "network"), &records(7000..7020));
    world.put(&other("CloudTrail-Digest", "digest"), gzip(digest(1).to_string().as_bytes()));
    world.put("archive.tar", tar(&[("a.json", envelope(&records(8000..8040)))]));
}

pub(crate) fn insight_record(n: u64) -> Value {
    json!({
        "eventVersion": "1.07", "eventTime": "2024-05-01T03:00:00Z", "awsRegion": "us-east-1",
        "eventID": format!("{n:08x}-1111-4000-8000-000000000000"),
        "eventType": "AwsCloudTrailInsight", "recipientAccountId": "111122223333",
        "sharedEventID": format!("{n:08x}-2222-4000-8000-000000000000"),
        "insightDetails": {"state": "Start", "eventSource": "madeup.amazonaws.com",
            "eventName": "DoThing", "insightType": "ApiCallRateInsight",
            "insightContext": {"statistics": {"baseline": {"average": 0.5}, "insight": {"average": n}}}},
        "eventCategory": "Insight"
    })
}

/// A digest of two log files.
pub(crate) fn digest(n: u64) -> Value {
    let file = |name: &str| {
        json!({
            "s3Bucket": "logs", "s3Object": key(name), "hashValue": "ab", "hashAlgorithm": "SHA-256",
            "newestEventTime": "2024-05-01T02:59:00Z", "oldestEventTime": "2024-05-01T02:01:00Z"
        })
    };
    json!({
        "awsAccountId": "111122223333", "digestStartTime": "2024-05-01T02:00:00Z",
        "digestEndTime": "2024-05-01T03:00:00Z", "digestS3Bucket": "logs",
        "digestS3Object": format!("AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2024/05/01/{n}.json.gz"),
        "digestPublicKeyFingerprint": "f", "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": "2024-05-01T02:59:00Z", "oldestEventTime": "2024-05-01T02:01:00Z",
        "previousDigestS3Bucket": Value::Null, "previousDigestS3Object": Value::Null,
        "previousDigestHashValue": Value::Null, "previousDigestHashAlgorithm": Value::Null,
        "previousDigestSignature": Value::Null, "logFiles": [file("a.json.gz"), file("b.json.gz")]
    })
}

pub(crate) fn aggregated_record(n: u64) -> Value {
    json!({
        "eventVersion": "1.0", "eventId": format!("{n:08x}-3333-4000-8000-000000000000"),
        "accountId": "111122223333", "awsRegion": "us-east-1", "eventType": "AwsAggregatedEvent",
        "eventCategory": "Aggregated",
        "timeWindow": {"windowStart": "2024-05-01T03:00:00Z", "windowEnd": "2024-05-01T03:05:00Z",
            "windowSize": "PT5M"},
        "summary": {"primaryDimension": {"dimension": "resourceARN",
            "statistics": [{"name": "arn:aws:s3:::b", "value": n}]}}
    })
}

pub(crate) fn tar(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
