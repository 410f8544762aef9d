//! How much memory it takes to subtract a year of an organisation from its own ledger.
//!
//! Not run by default: `TRAILMILL_SCALE=35000000 cargo test --release --test tests -- --ignored
//! --nocapture scale`. Nothing is asserted about time; the figures are printed.

use std::fs;
use std::time::Instant;
use trailmill::keys::{Layout, parse as parse_layout};
use trailmill::lake::{
    Known, LockName, Manifest, ObjectOutcome, ObjectRecord, OutputSettings, Tally, UnitId, entry,
    month,
};
use trailmill::storage::Storage;
use trailmill::units::Day;

const ACCOUNTS: u64 = 1000;
const REGIONS: [&str; 4] = ["us-east-1", "eu-west-1", "eu-central-1", "ap-southeast-2"];
const DAYS: i32 = 365;
const OBJECTS_PER_UNIT: usize = 10_000;

/// The scopes of the organisation in the order of a listing.
fn scopes() -> Vec<String> {
    let mut scopes: Vec<String> = (0..ACCOUNTS)
        .flat_map(|account| {
            let account = 100_000_000_000 + account * 7_919;
            REGIONS.map(|region| format!("AWSLogs/o-abc123/{account}/CloudTrail/{region}/"))
        })
        .collect();
    let layout = |scope: &str| parse_layout(&format!("{scope}2026/01/01/x.json.gz"));
    scopes.sort_by_cached_key(|scope| layout(scope).slot());
    scopes
}

/// Calls with every key of the year, as listed, and its etag.
fn each_object(per_day: u64, mut visit: impl FnMut(&str, &str, &Layout)) {
    let first: Day = "2025-01-01".parse().unwrap();
    for scope in scopes() {
        let parts: Vec<&str> = scope.split('/').collect();
        for day in 0..DAYS {
            let date = first.plus(day).in_key();
            let stamp = date.replace('/', "");
            for n in 0..per_day {
                let key = format!(
                    "s3://logs/{scope}{date}/{}_CloudTrail_{}_{stamp}T{:02}05Z_{n:016x}.json.gz",
                    parts[2],
                    parts[4],
                    n % 24
                );
                let etag = format!("{:032x}", u128::from(n) << 64 | day as u128);
                visit(&key, &etag, &parse_layout(&key));
            }
        }
    }
}

fn peak_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
}

/// Makes the kernel forget the peak so far (proc(5): `clear_refs`, 5).
fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn manifest(number: u64, objects: Vec<ObjectRecord>) -> Manifest {
    let unit = UnitId { number, identity: format!("{number:016x}") };
    let (settings, schema) =
        (OutputSettings::default(), LockName { version: 1, hash: String::new() });
    Manifest { objects, ..Manifest::empty(unit, Some(settings), "trailmill".into(), schema) }
}

#[test]
#[ignore = "takes minutes; prints figures"]
fn a_year_is_subtracted_from_its_own_ledger_in_bounded_memory() {
    let objects: u64 =
        std::env::var("TRAILMILL_SCALE").ok().and_then(|n| n.parse().ok()).unwrap_or(3_500_000);
    let per_day = objects.div_ceil(ACCOUNTS * REGIONS.len() as u64 * DAYS as u64);
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::local(folder.path()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("before anything: {} MB", peak_mb());

    let (mut known, mut unit, mut number) = (Known::default(), Vec::new(), 0);
    let (started, mut total) = (Instant::now(), 0_u64);
    let mut commit = |known: &mut Known, unit: &mut Vec<ObjectRecord>| {
        known.add(&manifest(number, std::mem::take(unit)));
        number += 1;
        if known.is_checkpoint_due() {
            runtime.block_on(known.write_checkpoint(&storage)).unwrap();
            runtime.block_on(known.sweep(&storage)).unwrap();
        }
    };
    each_object(per_day, |key, etag, _| {
        total += 1;
        unit.push(ObjectRecord {
            key: key.to_owned(),
            etag: etag.to_owned(),
            bytes: 1,
            outcome: ObjectOutcome::Converted,
            tally: Tally::default(),
            integrity: None,
        });
        if unit.len() == OBJECTS_PER_UNIT {
            commit(&mut known, &mut unit);
        }
    });
    commit(&mut known, &mut unit);
    runtime.block_on(known.write_checkpoint(&storage)).unwrap();
    runtime.block_on(known.sweep(&storage)).unwrap();
    println!(
        "{total} objects into a ledger of {} MB in {:.0} s, checkpoints included: peak {} MB",
        known.ledger_bytes() / 1_000_000,
        started.elapsed().as_secs_f64(),
        peak_mb()
    );
    drop(known);

    forget_peak();
    let started = Instant::now();
    let known = runtime.block_on(Known::read(&storage)).unwrap();
    // An eighth of the least `--memory`.
    let mut ledger = known.ledger(&storage, 64 << 20);
    let mut unknown = 0;
    each_object(per_day, |key, etag, layout| {
        let entry = entry(layout, key, etag);
        let is_known = runtime.block_on(ledger.contains(month(layout), &entry)).unwrap();
        unknown += u64::from(!is_known);
    });
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{total} keys subtracted from it in {seconds:.0} s, {:.0} keys/s: peak {} MB",
        total as f64 / seconds,
        peak_mb()
    );
    assert_eq!(unknown, 0);
}
