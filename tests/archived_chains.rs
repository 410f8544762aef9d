//! Chains of digests in archives, and partly in archives: they prove as much as in a folder.

use crate::integrity::{
    Chain, PLAIN, World, assert_problems, assert_proven, logs_written, rows_by_proof, sample,
    strings,
};
use crate::packing::{locked_zip, sevenz, zip_with};
use crate::support::{gzip, run, tar, zip};
use serde_json::Value;
use std::path::Path;
use trailmill::decode::Passwords;
use trailmill::integrity::{Outcome, Validation, Verdict};

type Members = Vec<(String, Vec<u8>)>;

/// The objects of a world, as members of an archive.
fn members(world: &World) -> Members {
    let keys = world.keys().into_iter();
    keys.map(|key| (key.clone(), std::fs::read(world.path(&key)).unwrap())).collect()
}

fn borrowed(members: &Members) -> Vec<(&str, Vec<u8>)> {
    members.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect()
}

/// Validates a copy of a world with the world's signatures.
fn validate(world: &World, copy: &World) -> Validation {
    copy.validate_with(|options| options.signatures = world.signatures.clone())
}

/// A copy that holds one file.
fn copy(name: &str, bytes: &[u8]) -> World {
    let copy = World::new();
    copy.put(name, bytes);
    copy
}

#[test]
fn archives_of_every_kind_prove_what_the_folder_did() {
    let other = Chain { account: "444455556666", trail: "my_trail.v-2", ..PLAIN };
    let world = World::with(&[PLAIN, other]);
    let all = members(&world);
    let members = borrowed(&all);
    let inner = [("inner/logs.zip", zip(&members)), ("readme.txt", b"logs".to_vec())];
    for (name, bytes) in [
        ("logs.zip", zip(&members)),
        ("logs.tar", tar(&members)),
        ("logs.tar.gz", gzip(&tar(&members))),
        ("logs.7z", sevenz(sevenz_rust2::EncoderMethod::LZMA2, &members)),
        ("logs.zip.gz", gzip(&zip(&members))),
        ("case.tar", tar(&inner)),
        ("case.zip", zip(&[("logs.zip.gz", gzip(&zip(&members)))])),
    ] {
        let validation = validate(&world, &copy(name, &bytes));

        assert_proven(&validation);
        let report = &validation.report;
        assert_eq!(report.digests, [(Verdict::VerifiedRelocated, 12)].into(), "{name}");
        assert_eq!(report.logs, [(Verdict::VerifiedRelocated, 12)].into(), "{name}");
        assert_eq!(report.chains.len(), 2, "{name}");
        assert_eq!(report.objects_other, u64::from(name == "case.tar"), "{name}");
    }
}

#[test]
fn a_chain_may_lie_partly_in_archives() {
    let world = World::with(&[PLAIN]);
    let mixed = World::new();
    let mut parts = [Members::new(), Members::new()];
    for (at, (key, bytes)) in members(&world).into_iter().enumerate() {
        match at % 3 {
            2 => mixed.put(&key, &bytes),
            part => parts[part].push((key, bytes)),
        }
    }
    mixed.put("a/first.zip", &zip(&borrowed(&parts[0])));
    mixed.put("AWSLogs/second.tar.gz", &gzip(&tar(&borrowed(&parts[1]))));

    assert_proven(&validate(&world, &mixed));

    std::fs::remove_file(mixed.path("a/first.zip")).unwrap();
    let validation = validate(&world, &mixed);
    assert_eq!(validation.report.outcome, Outcome::NotProven);
    assert!(validation.report.findings.iter().any(|found| found.verdict == Verdict::Missing));
}

#[test]
fn a_change_in_an_archive_is_found_and_named() {
    let world = World::with(&[PLAIN]);
    let mut all = members(&world);
    let log = all.iter().position(|(name, _)| name.contains("/CloudTrail/")).unwrap();
    all[log].1 = gzip(b"{\"Records\":[]}");

    let validation = validate(&world, &copy("logs.zip", &zip(&borrowed(&all))));

    assert_problems(&validation, &[(Verdict::HashMismatch, 1)]);
    let found = &validation.report.findings[0].object;
    assert!(found.ends_with(&format!("logs.zip!/{}", all[log].0)), "{found}");
}

#[test]
fn an_archive_that_is_cut_off_is_not_proven() {
    let world = World::with(&[PLAIN]);
    let all = members(&world);
    let whole = tar(&borrowed(&all));
    for (name, bytes) in [
        ("logs.tar.gz", gzip(&whole)),
        ("logs.zip", zip(&borrowed(&all))),
        ("logs.7z", sevenz(sevenz_rust2::EncoderMethod::LZMA2, &borrowed(&all))),
    ] {
        for part in [3, 2] {
            let cut = &bytes[..bytes.len() * (part - 1) / part];
            let validation = validate(&world, &copy(name, cut));

            let report = &validation.report;
            assert!(!report.proves(), "{name}");
            let is_named = report.findings.iter().any(|found| {
                found.object.ends_with(name) && found.verdict == Verdict::InvalidFormat
            });
            assert!(is_named, "{name}: {:#?}", report.findings);
        }
    }
}

#[test]
fn encrypted_members_are_unreadable_until_the_password_is_known() {
    let world = World::with(&[PLAIN]);
    let locked = copy("logs.zip", &locked_zip("secret", &borrowed(&members(&world))));

    let closed = validate(&world, &locked);
    let open = locked.validate_with(|options| {
        options.signatures = world.signatures.clone();
        options.passwords = Passwords::from_lines("other\nsecret\n");
    });

    assert!(!closed.report.proves());
    assert_eq!(closed.report.digests, [(Verdict::Unreadable, 6)].into());
    let said = closed.report.findings[0].detail.as_deref().unwrap_or_default();
    assert!(said.contains("password"), "{said}");
    assert_proven(&open);
}

/// Packs a sample into a zip, without its evidence.
pub(crate) fn zip_of(folder: &Path) -> Vec<u8> {
    let mut all = Members::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
        let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        if entry.file_type().is_file() && !name.starts_with("_evidence") {
            all.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    zip_with(zip::CompressionMethod::Stored, &borrowed(&all))
}

#[test]
fn a_conversion_of_an_archive_converts_what_its_digests_prove() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    let evidence = sample(&logs, &["--tamper", "forge-log"]);
    let archive = folder.path().join("logs.zip");
    std::fs::write(&archive, zip_of(&logs)).unwrap();
    let places = strings(&["convert", archive.to_str().unwrap(), lake.to_str().unwrap()]);
    let options = strings(&["--integrity", "require", "--report", "json", "--quiet"]);

    let done = run(places.into_iter().chain(options).chain(evidence.iter().cloned())).exits(1);

    let report = done.report();
    assert_eq!(report.objects_quarantined, 1);
    let reasons: Vec<_> = report.quarantined_by_reason.keys().collect();
    assert!(reasons[0].contains("in no digest"), "{reasons:?}");
    assert_eq!(rows_by_proof(&lake), [logs_written(&report), 0, 0]);

    let certificate = strings(&["integrity", archive.to_str().unwrap(), "--report", "json"]);
    let found = run(certificate.into_iter().chain(evidence).chain(strings(&["--quiet"])));
    let report: Value = found.exits(1).json();
    assert_eq!(report["logs"]["in_no_digest"], 1, "{report}");
}
