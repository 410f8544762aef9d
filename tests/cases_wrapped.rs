//! Whatever a CloudTrail record comes in: small inputs, one folder a case, in the folder that
//! `TRAILMILL_CASES` names. None are in the repository; without the variable this says that it is skipped.
//! `tests/wrapped.rs` has inputs of its own.

use crate::support::{World, run};
use std::path::{Path, PathBuf};

/// The right answer for a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Right {
    written: u64,
    duplicate: u64,
    quarantined: u64,
    objects_quarantined: u64,
    exit: i32,
}

const fn written(written: u64) -> Right {
    Right { written, duplicate: 0, quarantined: 0, objects_quarantined: 0, exit: 0 }
}

const fn beside(written: u64, quarantined: u64) -> Right {
    Right { quarantined, exit: 1, ..written_only(written) }
}

const fn written_only(count: u64) -> Right {
    written(count)
}

/// Nothing of it is a record, which ends with 1.
const NOTHING: Right = Right { exit: 1, ..written(0) };

const UTC: &[&str] = &["--assume-utc"];
const HIDDEN: &[&str] = &["--hidden"];

/// Folder, options, and the right answer.
const CASES: &[(&str, &[&str], Right)] = &[
    ("01-lookup-events-cli", &[], written(3)),
    ("02-lookup-events-query-array", &[], written(3)),
    ("03-lookup-events-text", &[], written(3)),
    ("04-lookup-events-list", &[], written(3)),
    ("05-lookup-events-ndjson", &[], written(3)),
    ("06-eventbridge-firehose-concat", &[], written(3)),
    ("07-cwl-subscription-concat", &[], written(3)),
    ("09-elastic-bulk", &[], written(3)),
    ("10-elasticdump", &[], written(3)),
    ("11-concat-no-newline", &[], written(3)),
    // The header line is not a record: it is kept, and named.
    ("12-header-line-then-records", &[], beside(3, 1)),
    ("13-control-message-then-records", &[], written(3)),
    ("14-athena-unload-lowercase", &[], written(3)),
    ("15-splunk-rest-export", &[], written(3)),
    ("17-filter-log-events", &[], written(3)),
    ("18-logs-insights-json", &[], written(3)),
    ("19-console-csv", &[], written(1)),
    ("20-lake-query-results", &[], written(1)),
    ("21-wazuh-archives", &[], written(3)),
    ("24-python-repr", &[], written(3)),
    ("25-json-indent-trailing-comma", &[], written(3)),
    ("26-syslog-prefix", &[], written(3)),
    ("55-ndjson-nul-tail", &[], written(3)),
    ("56-ndjson-ctrl-z", &[], written(3)),
    ("58-parquet-and-others", &[], written(3)),
    ("60-lowercase-awslogs", &[], written(3)),
    ("61-case-folder-under-awslogs", &[], written(3)),
    // The digest in it has no times.
    ("63-trail-suffix", &[], beside(3, 1)),
    ("63-trail-suffix", &["--no-digests"], written(3)),
    ("64-underscore-folder", &[], written(1)),
    ("64-underscore-folder", HIDDEN, written(4)),
    ("65-dot-folder", &[], NOTHING),
    ("65-dot-folder", HIDDEN, written(3)),
    ("66-flattened-name", &[], written(3)),
    ("67-odd-names", &[], written(3)),
    ("68-awslogs-in-case-dir", &[], written(3)),
    ("69-account-region-swapped", &[], written(3)),
    ("69b-service-under-account", &[], written(3)),
    ("70-account-number", &[], written(3)),
    ("71-account-redacted", &[], written(3)),
    ("72-account-xxx", &[], written(3)),
    ("73-region-empty", &[], written(3)),
    ("74-time-space", &[], beside(2, 1)),
    ("74-time-space", UTC, written(3)),
    ("75-time-noz", &[], beside(2, 1)),
    ("75-time-noz", UTC, written(3)),
    ("76-time-offset-nocolon", &[], written(3)),
    ("77-time-epoch-ms", &[], written(3)),
    ("79-time-lake", &[], beside(2, 1)),
    ("79-time-lake", UTC, written(3)),
    ("80-identity-json-string", &[], written(3)),
    ("81-keys-odd", &[], written(3)),
    ("82-no-event-id", &[], written(3)),
    ("83-account-arn", &[], written(3)),
    ("86-region-global", &[], written(3)),
    ("87-region-az", &[], written(3)),
    ("88-nested-records", &[], written(3)),
    ("89-mongo-export", &[], written(3)),
    ("90-bom-mid-file", &[], written(3)),
    ("91-bom-mid-ndjson", &[], written(3)),
    ("92-comma-joined", &[], written(3)),
    ("93-rfc7464-seq", &[], written(3)),
    ("98-lfs-pointer", &[], Right { objects_quarantined: 1, ..NOTHING }),
    ("99-s3-error-page", &[], Right { objects_quarantined: 1, ..NOTHING }),
    ("A3-json-with-comments", &[], written(3)),
    ("A4-jsonl-blank-and-rule", &[], written(2)),
    ("A6-records-string", &[], written(3)),
    ("A7-wrapped-body", &[], written(3)),
    ("A8-array-of-envelopes", &[], written(3)),
    ("B0-events-key", &[], written(3)),
    ("B1-sqs-sns-body", &[], written(3)),
    ("B2-cloudtrail-notification", &[], NOTHING),
    ("B3-detail-only-array", &[], written(3)),
    ("B4-snake-case", &[], written(3)),
    ("B5-hive-partitioned-raw", &[], written(3)),
    ("B6-mac-case-colon", &[], written(3)),
    // The same file four times.
    ("B7-dup-suffix", &[], Right { duplicate: 9, ..written(3) }),
    // Its download was cut short.
    ("B8-crdownload", &[], Right { objects_quarantined: 1, exit: 1, ..written(3) }),
];

fn cases() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("TRAILMILL_CASES") else {
        eprintln!("skipped: TRAILMILL_CASES names no folder of cases");
        return None;
    };
    Some(PathBuf::from(folder).canonicalize().expect("TRAILMILL_CASES is a folder that exists"))
}

fn converted(source: &Path, world: &World, options: &[&str]) -> Right {
    let places = [source.to_str().unwrap(), world.lake.to_str().unwrap()];
    let fixed = ["convert", places[0], places[1], "--quiet", "--report", "json"];
    let run = run(fixed.iter().chain(options));
    if run.stdout.is_empty() {
        return Right { exit: run.code, ..Right::default() };
    }
    let report = run.report();
    Right {
        written: report.records_written,
        duplicate: report.records_duplicate,
        quarantined: report.records_quarantined,
        objects_quarantined: report.objects_quarantined,
        exit: run.code,
    }
}

#[test]
fn every_case_has_the_right_answer_and_is_proved() {
    let Some(cases) = cases() else { return };
    let mut wrong = Vec::new();
    for (name, options, right) in CASES {
        let (source, world) = (cases.join(name), World::new());

        let found = converted(&source, &world, options);

        if found != *right {
            wrong.push(format!("{name} {options:?}: {found:?}, and not {right:?}"));
        } else if found.written > 0 {
            let places = [source.to_str().unwrap(), world.lake.to_str().unwrap()];
            let verify = ["verify", places[0], places[1], "--quiet"];
            let proof = run(verify.iter().chain(*options));
            if proof.code != 0 {
                wrong.push(format!("{name} {options:?}: {}{}", proof.text(), proof.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}
