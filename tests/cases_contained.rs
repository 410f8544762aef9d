//! Small inputs like those that people have: containers, encodings, archives; a folder each, and the right
//! answer for it. They are not in the repository: `TRAILMILL_CASES` says where they are.

use crate::support::run;
use std::path::{Path, PathBuf};
use trailmill::engine::Report;

/// What becomes of a case: records written, copies, records and objects quarantined.
struct Answer {
    case: &'static str,
    written: u64,
    copies: u64,
    quarantined: (u64, u64),
    /// What a reason of the quarantine says.
    reason: &'static str,
    /// Whether `verify` can say that both sides are equal.
    is_equal: bool,
}

const fn read(case: &'static str, written: u64) -> Answer {
    Answer { case, written, copies: 0, quarantined: (0, 0), reason: "", is_equal: true }
}

const fn bad(case: &'static str, written: u64, objects: u64, reason: &'static str) -> Answer {
    Answer { quarantined: (0, objects), reason, ..read(case, written) }
}

const fn unread(case: &'static str, objects: u64, reason: &'static str) -> Answer {
    Answer { is_equal: false, ..bad(case, 0, objects, reason) }
}

const fn copied(case: &'static str, written: u64, copies: u64) -> Answer {
    Answer { copies, ..read(case, written) }
}

const ANSWERS: &[Answer] = &[
    read("30-zst", 3),
    read("31-bz2", 3),
    read("32-xz", 3),
    read("33-gz-of-gz", 3),
    read("35-tar-bz2", 3),
    read("36-tar-xz", 3),
    read("37-tar-in-gz-name", 3),
    read("38-zip-in-zip", 3),
    // The digest in it has no times.
    Answer { quarantined: (1, 0), reason: "no event time", ..read("40-zip-backslashes", 3) },
    unread("41-zip-encrypted", 1, "--archive-password-file"),
    unread("42-zip-encrypted-aes", 1, "--archive-password-file"),
    read("43-zip-deflate64", 200),
    read("44-7z", 3),
    read("45-zip-bzip2", 200),
    read("48-zip-macos", 3),
    read("49-tar-macos", 3),
    read("50-utf16", 3),
    bad("52-zero-byte-gz", 3, 1, "empty"),
    read("53-gz-trailing-nul", 3),
    read("55-ndjson-nul-tail", 3),
    read("56-ndjson-ctrl-z", 3),
    unread("57-split-targz", 2, "part of a split file"),
    read("58-parquet-and-others", 3),
    read("88-nested-records", 3),
    read("90-bom-mid-file", 3),
    read("91-bom-mid-ndjson", 3),
    read("92-comma-joined", 3),
    read("93-rfc7464-seq", 3),
    copied("94-tar-same-name-twice", 3, 3),
    read("95-plain-tar-named-targz", 3),
    read("97-zip-named-json", 3),
    unread("98-lfs-pointer", 1, "Git LFS"),
    unread("99-s3-error-page", 1, ""),
    bad("A0-tar-gz-no-eof", 3, 1, "no end marker"),
    copied("A1-cat-tars", 3, 3),
    copied("A2-targz-concat", 3, 3),
    copied("B7-dup-suffix", 3, 9),
    bad("B8-crdownload", 3, 1, "truncated"),
];

fn cases() -> Option<PathBuf> {
    let folder = std::env::var_os("TRAILMILL_CASES").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: TRAILMILL_CASES does not say where the cases are");
    }
    folder
}

/// Converts a case and proves its lake; returns what is wrong.
fn wrong(case: &Path, answer: &Answer) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let (case, lake) = (case.to_str().unwrap(), folder.path().join("lake"));
    let lake = lake.to_str().unwrap();
    let options = ["--quiet", "--report", "json"];
    let ended = run([&["convert", case, lake, "--catalog", "none"][..], &options].concat());
    let report: Report = serde_json::from_slice(&ended.stdout).unwrap();
    let got = (
        report.records_written,
        report.records_duplicate,
        (report.records_quarantined, report.objects_quarantined),
    );
    let has_bad = answer.quarantined != (0, 0);
    let has_reason =
        !has_bad || report.quarantined_by_reason.keys().any(|why| why.contains(answer.reason));
    let verified = run([&["verify", case, lake][..], &options].concat());
    let is_right = got == (answer.written, answer.copies, answer.quarantined)
        && has_reason
        && ended.code == i32::from(has_bad)
        && verified.code == i32::from(!answer.is_equal);
    (!is_right).then(|| {
        format!(
            "{}: {got:?}, exit codes {} and {}, {:?}",
            answer.case, ended.code, verified.code, report.quarantined_by_reason
        )
    })
}

#[test]
fn every_container_of_the_cases_gets_its_right_answer() {
    let Some(cases) = cases() else { return };

    let found: Vec<_> = ANSWERS
        .iter()
        .map(|answer| (cases.join(answer.case), answer))
        .filter(|(case, _)| case.is_dir())
        .collect();
    let all: Vec<String> = found.iter().filter_map(|(case, answer)| wrong(case, answer)).collect();

    assert!(!found.is_empty(), "no case in {}", cases.display());
    assert!(all.is_empty(), "{}", all.join("\n"));
}
