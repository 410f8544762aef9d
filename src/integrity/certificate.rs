//! One page to file: what was validated, with which keys, what is proven, and what is not.

use crate::integrity::outcome::{IntegrityReport, Outcome};
use crate::integrity::verdict::Verdict;
use crate::text::clean;
use crate::units::{counted, grouped};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Chains and findings that the page has room for.
pub(super) const ROOM: usize = 25;

pub(super) const METHOD: &str = "\
Every digest was checked for CloudTrail's signature (RSA PKCS#1 v1.5 with SHA-256) over its end, its place of
delivery, the SHA-256 of its content and the signature of the digest before it; against the hash that its successor
names; and against the place it was signed for. Every log was hashed (SHA-256 of its content) and compared with the
digest that lists it. A digest commits to all before it, so that the newest of each chain stands for the chain.";

pub(super) fn result(report: &IntegrityReport) -> &'static str {
    match report.outcome {
        Outcome::AllProven => "PROVEN: all logs in scope are those that CloudTrail delivered",
        Outcome::NotProven => "NOT PROVEN: see what is not proven below",
        Outcome::NothingToProve => "NOTHING TO PROVE: no digests were found",
    }
}

pub(super) fn counts(counts: &BTreeMap<Verdict, u64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let parts =
        counts.iter().map(|(verdict, count)| format!("{} {}", grouped(*count), verdict.words()));
    parts.collect::<Vec<_>>().join("; ")
}

/// Returns a day that is asked about.
pub(super) fn day(day: Option<&str>) -> &str {
    day.unwrap_or("any")
}

/// Returns how many entries the page has no room for.
pub(super) fn more_than(listed: usize, omitted: u64) -> u64 {
    listed.saturating_sub(ROOM) as u64 + omitted
}

/// Returns the page as text; `program` says what validated.
pub fn certificate_text(report: &IntegrityReport, program: &str) -> String {
    let mut out = String::from("CERTIFICATE OF LOG FILE INTEGRITY\n\n");
    let mut line = |name: &str, text: &str| {
        let _ = writeln!(out, "{name:<16}{text}");
    };
    line("Result", result(report));
    line("Validated", &format!("{} by {program}", report.checked_at));
    for source in &report.sources {
        line("Source", &clean(source));
    }
    let days = [&report.first_day, &report.last_day].map(|of| day(of.as_deref()));
    line("Delivered", &format!("{} to {}", days[0], days[1]));
    line("Digests", &counts(&report.digests));
    line("Logs", &counts(&report.logs));
    line("Chains", &counts(&report.holes));
    line("Public keys", &format!("from {}", clean(&report.keys.from)));
    for (fingerprint, is_known) in &report.keys.fingerprints {
        let known = if *is_known { "" } else { ", not among the keys" };
        line("", &format!("{}{known}", clean(fingerprint)));
    }
    for warning in &report.keys.warnings {
        line("", &format!("warning: {}", clean(warning)));
    }
    add_chains(&mut out, report);
    add_findings(&mut out, report);
    let _ = writeln!(out, "\nMETHOD\n{METHOD}");
    out
}

fn add_chains(out: &mut String, report: &IntegrityReport) {
    let _ = writeln!(out, "\nPROVEN, by chain, with the newest verified digest");
    for chain in report.chains.iter().take(ROOM) {
        let _ = writeln!(
            out,
            "{}: {}",
            clean(&chain.id.to_string()),
            counted(chain.logs_listed, "log")
        );
        for [from, to] in &chain.windows {
            let _ = writeln!(out, "  {from} to {to}");
        }
        if let Some([key, hash]) = &chain.newest {
            let _ = writeln!(out, "  {}\n  SHA-256 {hash}", clean(key));
        }
    }
    more(out, report.chains.len(), 0);
}

fn add_findings(out: &mut String, report: &IntegrityReport) {
    let _ = writeln!(out, "\nNOT PROVEN");
    if report.findings.is_empty() {
        let _ = writeln!(out, "nothing");
    }
    for finding in report.findings.iter().take(ROOM) {
        let window = match (&finding.from, &finding.to) {
            (Some(from), Some(to)) => format!(" ({from} to {to})"),
            _ => String::new(),
        };
        let object = clean(&finding.object);
        let detail = finding.detail.as_deref().map(|detail| format!(" ({})", clean(detail)));
        let detail = detail.unwrap_or_default();
        let _ = writeln!(out, "{object}{window}: {}{detail}", finding.verdict.words());
    }
    more(out, report.findings.len(), report.findings_omitted);
    if report.objects_other > 0 {
        let objects = counted(report.objects_other, "object");
        let _ = writeln!(out, "{objects} outside of the layout of trails: not judged");
    }
}

fn more(out: &mut String, listed: usize, omitted: u64) {
    let more = more_than(listed, omitted);
    if more > 0 {
        let _ = writeln!(out, "… and {} more, in the JSON report", grouped(more));
    }
}

/// Returns the page as JSON, with the whole report.
pub fn certificate_json(report: &IntegrityReport) -> Value {
    json!({
        "certificate": "log file integrity",
        "result": result(report),
        "method": METHOD.replace('\n', " "),
        "report": report,
    })
}
