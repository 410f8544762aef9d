//! Reports for people, and writing to stdout.

use crate::engine::{Report, RestoreReport};
use crate::error::{Error, Result};
use crate::lake::Loss;
use crate::operations::{FileCheck, PlanReport};
use crate::source::ListingReport;
use crate::text::clean;
use crate::units::{ByteCount, are, counted, counted_as, grouped};
use crate::verify::VerifyReport;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

/// Writes data to stdout.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|err| Error::io("cannot write to stdout", err))
}

/// Writes a report as JSON.
pub(super) fn print_json(report: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(report)
        .map_err(|err| Error::io("cannot render the report", err))?;
    text.push('\n');
    print(&text)
}

/// Largest first.
fn sorted(counts: &std::collections::BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut counts: Vec<_> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counts
}

/// Data files that are not as the manifests say, for people.
pub(super) fn files(check: &FileCheck) -> String {
    let mut out = String::new();
    let list = |out: &mut String, what: &str, keys: &[String]| {
        for key in keys {
            let _ = writeln!(out, "  {what} {}", clean(key));
        }
    };
    list(&mut out, "- orphaned file, removed:", &check.orphaned);
    for gone in check.gone.iter().filter(|gone| gone.loss == Loss::Lost) {
        let (rows, key) = (counted(gone.file.rows, "record"), clean(&gone.file.key));
        let _ = writeln!(out, "  ! missing file, whose {rows} no query finds: {key}");
    }
    list(&mut out, "+ file that is there again:", &check.returned);
    let doubled = "! file that is there again after its records were restored in others, so that they \
                   are doubled, unless `trailmill verify` says otherwise:";
    list(&mut out, doubled, &check.doubled);
    list(&mut out, "! foreign file, which readers read too:", &check.foreign);
    if !check.missing.is_empty() {
        let _ = writeln!(
            out,
            "  {} with {} {} missing: bring back what is lost with `trailmill convert --restore \
             SOURCE... LAKE`, or accept the loss with `trailmill catalog sync --accept-loss LAKE`",
            counted(check.missing.len() as u64, "file"),
            counted(check.rows_missing, "record"),
            are(check.missing.len() as u64),
        );
    }
    if out.is_empty() { out } else { format!("files\n{out}") }
}

fn catalog_changes(report: &Report) -> String {
    let mut text = counted(report.catalog_changes, "change");
    if report.catalog_calls > 0 {
        let _ = write!(text, " in {}", counted(report.catalog_calls, "call"));
    }
    if report.catalog_throttled > 0 {
        let _ = write!(text, ", {} of them throttled", grouped(report.catalog_throttled));
    }
    text
}

/// A conversion, for people.
pub(super) fn conversion(report: &Report, lake: &str) -> String {
    let mut out = String::new();
    let seconds = report.seconds.max(0.001);
    if report.units == 0 && !report.interrupted {
        let _ = writeln!(
            out,
            "Nothing new: {} {} in the lake already, {} {} of other kinds.",
            counted(report.objects_known, "object"),
            are(report.objects_known),
            grouped(report.objects_ignored),
            are(report.objects_ignored),
        );
        out.push_str(&listing("", &report.listing));
        out.push_str(&unavailable("", &report.unavailable_by_reason));
        out.push_str(&restored("", report.restored.as_ref()));
        if report.catalog_changes > 0 {
            let _ = writeln!(out, "Catalog: {} made.", catalog_changes(report));
        }
        return out;
    }
    let _ = writeln!(
        out,
        "Converted {} of {} in {seconds:.2} s ({} of JSON a second)",
        counted(report.records_written, "record"),
        counted(report.objects_read, "object"),
        ByteCount((report.bytes_json as f64 / seconds) as u64),
    );
    details(&mut out, report, lake);
    out
}

/// The end of an array job, for people.
pub(super) fn finished(report: &Report, lake: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "Finished: {} of {}, converted as {}, {} in the lake",
        counted(report.records_written, "record"),
        counted(report.objects_read, "object"),
        counted(report.units, "unit"),
        are(report.records_written),
    );
    details(&mut out, report, lake);
    out
}

/// What records, objects and files came to.
fn details(out: &mut String, report: &Report, lake: &str) {
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "  {name:<11} {text}");
    };
    line(
        "records",
        format!(
            "{} read = {} written + {} duplicate + {} filtered + {} quarantined",
            grouped(report.records_read),
            grouped(report.records_written),
            grouped(report.records_duplicate),
            grouped(report.records_filtered),
            grouped(report.records_quarantined),
        ),
    );
    line(
        "objects",
        format!(
            "{} read, {} ignored, {} quarantined, {} known from before",
            grouped(report.objects_read),
            grouped(report.objects_ignored),
            grouped(report.objects_quarantined),
            grouped(report.objects_known),
        ),
    );
    if report.objects_padded > 0 {
        let padded = counted(report.objects_padded, "object");
        line("padding", format!("zero bytes or line ends after the gzip data of {padded}"));
    }
    let share = 100.0 * report.bytes_parquet as f64 / (report.bytes_json as f64).max(1.0);
    line(
        "bytes",
        format!(
            "{} compressed, {} of JSON, {} of Parquet ({share:.1} %)",
            ByteCount(report.bytes_compressed),
            ByteCount(report.bytes_json),
            ByteCount(report.bytes_parquet),
        ),
    );
    line(
        "files",
        format!("{} in {}", grouped(report.files), counted(report.partitions, "partition")),
    );
    for (i, (table, rows)) in sorted(&report.rows_by_table).into_iter().enumerate() {
        line(
            if i == 0 { "tables" } else { "" },
            format!("{} {}", clean(table), counted(rows, "row")),
        );
    }
    line(
        "schema",
        format!(
            "version {}, {}, {} kept as text only",
            report.schema_version,
            counted(report.new_fields.len() as u64, "new field"),
            counted(report.nested_values_unfit, "nested value"),
        ),
    );
    line("catalog", catalog_changes(report));
    if report.units_resumed > 0 {
        line("resumed", format!("{} of an earlier run", counted(report.units_resumed, "unit")));
    }
    for (i, (kind, count)) in sorted(&report.ignored_by_kind).into_iter().enumerate() {
        line(if i == 0 { "ignored" } else { "" }, format!("{} {}", grouped(count), clean(kind)));
    }
    for (i, (reason, count)) in
        sorted(&report.quarantined_by_reason).into_iter().take(10).enumerate()
    {
        line(
            if i == 0 { "set aside" } else { "" },
            format!("{} {}", grouped(count), clean(reason)),
        );
    }
    out.push_str(&listing("  ", &report.listing));
    out.push_str(&unavailable("  ", &report.unavailable_by_reason));
    out.push_str(&restored("  ", report.restored.as_ref()));
    if report.has_quarantine() {
        let _ =
            writeln!(out, "\nSee what was set aside with: trailmill quarantine {}", clean(lake));
    }
    if report.interrupted {
        let _ = writeln!(
            out,
            "\nStopped before the end. What is converted is committed; run the same command to go on."
        );
    }
}

/// What could not be read, for people.
pub(super) fn unavailable(indent: &str, by_reason: &BTreeMap<String, u64>) -> String {
    let line = |(reason, count): (&str, u64)| {
        format!("{indent}{} not read, tried again next time: {}\n", grouped(count), clean(reason))
    };
    sorted(by_reason).into_iter().map(line).collect()
}

/// What was listed and what was not, for people.
pub(super) fn listing(indent: &str, listing: &ListingReport) -> String {
    let mut out = String::new();
    if listing.objects_unwanted > 0 {
        let objects = counted(listing.objects_unwanted, "object");
        let _ = writeln!(out, "{indent}Listed and left out by options: {objects}.");
    }
    if !listing.folders_ignored.is_empty() {
        let folders: Vec<String> = listing
            .folders_ignored
            .iter()
            .map(|(name, count)| format!("{} of {}", grouped(*count), clean(name)))
            .collect();
        let _ = writeln!(out, "{indent}Folders not listed: {}.", folders.join(", "));
    }
    for (source, since) in &listing.since {
        let source = clean(source);
        let _ = writeln!(
            out,
            "{indent}{source}: listed what was delivered from {since} on; --full lists all."
        );
    }
    out
}

/// A plan, for people.
pub(super) fn plan(report: &PlanReport) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} to read, {} (about {} of JSON), in {}",
        counted(report.objects, "object"),
        ByteCount(report.bytes),
        ByteCount(report.bytes_json_estimate),
        counted(report.units, "unit"),
    );
    let _ = writeln!(
        out,
        "  {} in the lake already, {} of other kinds, {} begun by an earlier run",
        grouped(report.objects_known),
        grouped(report.objects_ignored),
        counted(report.units_resumed, "unit"),
    );
    out.push_str(&listing("  ", &report.listing));
    out.push_str(&unavailable("  ", &report.unavailable_by_reason));
    if !report.by_delivery.is_empty() {
        let _ = writeln!(out, "\n  account       region          delivered    objects");
    }
    for (key, count) in &report.by_delivery {
        let mut parts = key.split(' ');
        let mut part = || clean(parts.next().unwrap_or("?"));
        let (account, region, date) = (part(), part(), part());
        let _ = writeln!(out, "  {account:<13} {region:<15} {date:<12} {:>7}", grouped(*count));
    }
    out
}

/// What was brought back, for people.
fn restored(indent: &str, report: Option<&RestoreReport>) -> String {
    let Some(report) = report else { return String::new() };
    let mut out = String::new();
    if report.files + report.files_left == 0 {
        let _ = writeln!(out, "{indent}No data file is missing: there is nothing to restore.");
    }
    if report.files > 0 {
        let (files, rows) = (counted(report.files, "file"), counted(report.rows, "row"));
        let _ = writeln!(out, "{indent}Restored: all of {rows} of {files}.");
    }
    if report.files_left > 0 {
        let (files, rows) = (counted(report.files_left, "file"), counted(report.rows_left, "row"));
        let _ = writeln!(
            out,
            "{indent}Not restored, or not whole: {files} with {rows}. Gone, replaced or unreadable: {}; \
             what is lost for good is accepted with: trailmill catalog sync --accept-loss",
            counted(report.objects_gone, "object"),
        );
    }
    for object in &report.objects {
        let _ = writeln!(out, "{indent}  gone, replaced or unreadable: {}", clean(object));
    }
    out
}

/// A comparison, for people.
pub(super) fn verification(report: &VerifyReport) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {} of {} against {} of {}",
        match report.proves() {
            true if report.objects_gone + report.objects_unwanted > 0 =>
                format!("Equal, as far as compared{}", set_aside(report)),
            true => format!("Equal{}", set_aside(report)),
            false if report.is_equal_as_far_as_read() => "EQUAL AS FAR AS READ".to_owned(),
            false => "DIFFERENT".to_owned(),
        },
        counted(report.records_expected, "source record"),
        counted(report.objects_read, "object"),
        counted(report.rows_checked, "row"),
        counted(report.files_read, "file"),
    );
    let _ = writeln!(
        out,
        "  {} missing, {} unexpected, {}, {} and {} set aside in the source",
        grouped(report.records_missing),
        grouped(report.records_unexpected),
        counted(report.file_problems, "file problem"),
        counted(report.records_duplicate, "duplicate"),
        grouped(report.records_set_aside),
    );
    if report.objects_gone + report.objects_unwanted > 0 {
        let _ = writeln!(
            out,
            "  not compared: {} gone and {} left out by options, with {}; lost of their units: {}",
            counted(report.objects_gone, "object"),
            grouped(report.objects_unwanted),
            counted(report.rows_not_compared, "row"),
            counted(report.rows_lost, "row"),
        );
    }
    if report.objects_not_read > 0 {
        let (one, many) = ("object or folder", "objects or folders");
        let count = counted_as(report.objects_not_read, one, many);
        let _ = writeln!(out, "  {count} of the source could not be read");
    }
    for difference in &report.differences {
        let kind = format!("{:?}", difference.kind).to_lowercase();
        let mut parts = vec![kind, clean(&difference.table)];
        let mut part = |name: &str, value: Option<String>| {
            parts.extend(value.map(|value| format!("{name} {}", clean(&value))));
        };
        part("column", difference.column.clone());
        part("event", difference.event_id.clone());
        part("object", difference.object.clone());
        part("record", difference.record.map(|n| n.to_string()));
        part("file", difference.file.clone());
        let _ = writeln!(out, "  {}", parts.join("  "));
    }
    out
}

/// What of the sources cannot be in a table and was set aside.
fn set_aside(report: &VerifyReport) -> String {
    let (records, objects) = (report.records_set_aside, report.objects_set_aside);
    let parts = [(records, "record"), (objects, "object")].into_iter();
    let parts: Vec<String> =
        parts.filter(|(count, _)| *count > 0).map(|(count, noun)| counted(count, noun)).collect();
    match parts.is_empty() {
        true => String::new(),
        false => {
            let are = are(records + objects);
            format!(", but for {} that {are} in the quarantine", parts.join(" and "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_nothing_new_says_so() {
        let report = Report { objects_known: 1200, ..Report::default() };
        assert!(conversion(&report, "lake").starts_with("Nothing new: 1,200 objects"));
    }
}
