//! Reports for people, and writing to stdout.

use crate::engine::{Report, RestoreReport};
use crate::error::{Error, Result};
use crate::lake::Loss;
use crate::operations::{Estimate, FileCheck};
use crate::source::ListingReport;
use crate::text::clean;
use crate::units::ByteCount;
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

/// `1234567` as `1,234,567`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn counted(counts: &std::collections::BTreeMap<String, u64>) -> Vec<(&str, u64)> {
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
        let (rows, key) = (grouped(gone.file.rows), clean(&gone.file.key));
        let _ = writeln!(out, "  ! missing file, whose {rows} records no query finds: {key}");
    }
    list(&mut out, "+ file that is there again:", &check.returned);
    let doubled = "! file that is there again after its records were restored in others, so that they \
                   are doubled, unless `trailmill verify` says otherwise:";
    list(&mut out, doubled, &check.doubled);
    list(&mut out, "! foreign file, which readers read too:", &check.foreign);
    if !check.missing.is_empty() {
        let _ = writeln!(
            out,
            "  {} files with {} records are missing: bring them back with `trailmill convert --restore \
             SOURCE... LAKE`, or accept the loss with `trailmill catalog sync --accept-loss LAKE`",
            grouped(check.missing.len() as u64),
            grouped(check.rows_missing),
        );
    }
    if out.is_empty() { out } else { format!("files\n{out}") }
}

fn catalog_changes(report: &Report) -> String {
    let mut text = format!("{} changes", grouped(report.catalog_changes));
    if report.catalog_calls > 0 {
        let _ = write!(text, " in {} calls", grouped(report.catalog_calls));
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
            "Nothing new: {} objects are in the lake already, {} are of other kinds.",
            grouped(report.objects_known),
            grouped(report.objects_ignored),
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
        "Converted {} records of {} objects in {seconds:.2} s ({} of JSON a second)",
        grouped(report.records_written),
        grouped(report.objects_read),
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
        "Finished: {} records of {} objects, converted as {} units, are in the lake",
        grouped(report.records_written),
        grouped(report.objects_read),
        grouped(report.units),
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
        let padded = grouped(report.objects_padded);
        line(
            "padding",
            format!("{padded} objects have zero bytes or line ends after their gzip data"),
        );
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
        format!("{} in {} partitions", grouped(report.files), grouped(report.partitions)),
    );
    for (i, (table, rows)) in counted(&report.rows_by_table).into_iter().enumerate() {
        line(
            if i == 0 { "tables" } else { "" },
            format!("{} {} rows", clean(table), grouped(rows)),
        );
    }
    line(
        "schema",
        format!(
            "version {}, {} new fields, {} nested values kept as text only",
            report.schema_version,
            grouped(report.new_fields.len() as u64),
            grouped(report.nested_values_unfit),
        ),
    );
    line("catalog", catalog_changes(report));
    if report.units_resumed > 0 {
        line("resumed", format!("{} units of an earlier run", grouped(report.units_resumed)));
    }
    for (i, (kind, count)) in counted(&report.ignored_by_kind).into_iter().enumerate() {
        line(if i == 0 { "ignored" } else { "" }, format!("{} {}", grouped(count), clean(kind)));
    }
    for (i, (reason, count)) in
        counted(&report.quarantined_by_reason).into_iter().take(10).enumerate()
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
    counted(by_reason).into_iter().map(line).collect()
}

/// What was listed and what was not, for people.
pub(super) fn listing(indent: &str, listing: &ListingReport) -> String {
    let mut out = String::new();
    if listing.objects_unwanted > 0 {
        let count = grouped(listing.objects_unwanted);
        let _ = writeln!(out, "{indent}{count} objects were listed and left out by options.");
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
pub(super) fn plan(report: &Estimate) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} objects to read, {} (about {} of JSON), in {} units",
        grouped(report.objects),
        ByteCount(report.bytes),
        ByteCount(report.bytes_json_estimate),
        grouped(report.units),
    );
    let _ = writeln!(
        out,
        "  {} in the lake already, {} of other kinds, {} units begun by an earlier run",
        grouped(report.objects_known),
        grouped(report.objects_ignored),
        grouped(report.units_resumed),
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
        let (files, rows) = (grouped(report.files), grouped(report.rows));
        let _ = writeln!(out, "{indent}Restored: all {rows} rows of {files} files are there.");
    }
    if report.files_left > 0 {
        let (files, rows) = (grouped(report.files_left), grouped(report.rows_left));
        let _ = writeln!(
            out,
            "{indent}Not restored, or not whole: {files} files with {rows} rows. {} objects of their \
             units are gone, replaced or cannot be read; what is lost for good is accepted with: \
             trailmill catalog sync --accept-loss",
            grouped(report.objects_gone),
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
        "{}: {} source records of {} objects against {} rows of {} files",
        match report.proves() {
            true if report.objects_gone + report.objects_unwanted > 0 =>
                format!("Equal, as far as compared{}", set_aside(report)),
            true => format!("Equal{}", set_aside(report)),
            false if report.is_equal_as_far_as_read() => "EQUAL AS FAR AS READ".to_owned(),
            false => "DIFFERENT".to_owned(),
        },
        grouped(report.records_expected),
        grouped(report.objects_read),
        grouped(report.rows_checked),
        grouped(report.files_read),
    );
    let _ = writeln!(
        out,
        "  {} missing, {} unexpected, {} file problems, {} duplicates and {} set aside in the source",
        grouped(report.records_missing),
        grouped(report.records_unexpected),
        grouped(report.file_problems),
        grouped(report.records_duplicate),
        grouped(report.records_set_aside),
    );
    if report.objects_gone + report.objects_unwanted > 0 {
        let _ = writeln!(
            out,
            "  not compared: {} objects that are gone and {} that options leave out, with {} rows; {} \
             rows of their units are lost",
            grouped(report.objects_gone),
            grouped(report.objects_unwanted),
            grouped(report.rows_not_compared),
            grouped(report.rows_lost),
        );
    }
    if report.objects_not_read > 0 {
        let count = grouped(report.objects_not_read);
        let _ = writeln!(out, "  {count} objects or folders of the source could not be read");
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
    let count = |count: u64, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{} {what}{plural}", grouped(count)))
    };
    let records = count(report.records_set_aside, "record");
    let objects = count(report.objects_set_aside, "object");
    let parts: Vec<String> = records.into_iter().chain(objects).collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(", but for {} that are in the quarantine", parts.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_run_with_nothing_new_says_so() {
        let report = Report { objects_known: 1200, ..Report::default() };
        assert!(conversion(&report, "lake").starts_with("Nothing new: 1,200 objects"));
    }
}
