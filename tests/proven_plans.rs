//! Plans with `--integrity`: their children give the verdicts that a plain conversion gives.

use crate::integrity::{convert, logs_written, rows_by_proof, sample, strings};
use crate::support::run;
use std::collections::BTreeMap;
use std::path::Path;
use trailmill::engine::Report;
use trailmill::integrity::Verdict;
use trailmill::lake::Manifest;
use trailmill::storage::Storage;

/// The verdict on every object of a lake.
fn verdicts(lake: &Path) -> BTreeMap<String, Option<Verdict>> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let storage = Storage::local(lake).unwrap();
    let manifests = runtime.block_on(Manifest::read_all(&storage)).unwrap();
    let objects = manifests.into_iter().flat_map(|manifest| manifest.objects);
    objects.map(|object| (object.key, object.integrity.map(|proof| proof.verdict))).collect()
}

/// Plans for children, runs them and finishes.
fn plan(source: &Path, lake: &Path, mode: &str, evidence: &[String], code: i32) -> Report {
    let (source, lake) = (source.to_str().unwrap(), lake.to_str().unwrap());
    let args = ["plan", source, lake, "--children", "3", "--unit-size", "200kB", "--quiet"];
    let more = strings(&["--integrity", mode]);
    run(strings(&args).into_iter().chain(more).chain(evidence.iter().cloned())).exits(0);
    for child in ["0", "2", "1"] {
        run(["convert", "--plan", lake, "--array-index", child, "--array-size", "3", "--quiet"])
            .exits(0);
    }
    run(["finish", "--plan", lake, "--report", "json", "--quiet"]).exits(code).report()
}

#[test]
fn children_give_the_verdicts_of_a_plain_conversion() {
    for (kind, mode) in [("edit-log", "record"), ("edit-log", "require"), ("forge-log", "record")] {
        let folder = tempfile::tempdir().unwrap();
        let [logs, plain, planned] = ["logs", "plain", "planned"].map(|f| folder.path().join(f));
        let evidence = sample(&logs, &["--tamper", kind]);
        let code = i32::from(kind == "edit-log");

        let want = convert(&logs, &plain, mode, &evidence, code).report();
        let got = plan(&logs, &planned, mode, &evidence, code);

        // A forged log has copies of records: which of them becomes a row depends on the units.
        let of = |report: &Report| {
            let totals = report.integrity.clone().unwrap();
            let records: u64 = totals.records.values().sum();
            (totals.objects, records, totals.digests, totals.digests_verified)
        };
        assert_eq!(of(&got), of(&want), "{kind} {mode}");
        assert!(of(&got).3 > 0);
        assert_eq!(got.quarantined_by_reason, want.quarantined_by_reason, "{kind} {mode}");
        assert_eq!(verdicts(&planned), verdicts(&plain), "{kind} {mode}");
        assert!(verdicts(&plain).values().flatten().any(|verdict| verdict.proves()));
        let rows: u64 = rows_by_proof(&planned).iter().sum();
        assert_eq!(rows, logs_written(&want), "{kind} {mode}");
    }
}

#[test]
fn a_plan_of_an_archive_knows_what_its_digests_list() {
    let folder = tempfile::tempdir().unwrap();
    let [logs, plain, planned] = ["logs", "plain", "planned"].map(|f| folder.path().join(f));
    let evidence = sample(&logs, &["--tamper", "edit-log"]);
    let archive = folder.path().join("logs.zip");
    std::fs::write(&archive, crate::archived_chains::zip_of(&logs)).unwrap();

    let want = convert(&archive, &plain, "record", &evidence, 1).report();
    let got = plan(&archive, &planned, "record", &evidence, 1);

    assert_eq!(got.integrity, want.integrity);
    assert_eq!(want.integrity.unwrap().objects[&Verdict::HashMismatch], 1);
    assert_eq!(verdicts(&planned), verdicts(&plain));
}

#[test]
fn what_no_digest_lists_is_not_planned_where_proof_is_required_and_is_proven_by_a_later_plan() {
    let folder = tempfile::tempdir().unwrap();
    let [logs, lake, away] = ["logs", "lake", "away"].map(|name| folder.path().join(name));
    let evidence = sample(&logs, &[]);
    let digests = logs.join("AWSLogs/o-a1b2c3d4e5/111122223333/CloudTrail-Digest");
    std::fs::rename(&digests, &away).unwrap();
    let before = plan(&logs, &lake, "record", &evidence, 0);
    let objects = before.integrity.clone().unwrap().objects[&Verdict::InNoDigest];

    std::fs::rename(&away, &digests).unwrap();
    let after = plan(&logs, &lake, "record", &evidence, 0);

    assert_eq!(after.integrity.unwrap().objects_upgraded, objects);
    assert_eq!(rows_by_proof(&lake), [logs_written(&before), 0, 0]);

    let [forged, strict] = ["forged", "strict"].map(|name| folder.path().join(name));
    let evidence = sample(&forged, &["--tamper", "forge-log"]);
    let report = plan(&forged, &strict, "require", &evidence, 1);
    assert_eq!((report.objects_unavailable, report.objects_quarantined), (1, 0));
    let estimate = run(strings(&["plan", forged.to_str().unwrap()])
        .into_iter()
        .chain(strings(&[folder.path().join("new").to_str().unwrap(), "--report", "json"]))
        .chain(strings(&["--integrity", "require", "--quiet"]))
        .chain(evidence));
    assert_eq!(estimate.exits(0).json()["objects_unavailable"], 1);
}
