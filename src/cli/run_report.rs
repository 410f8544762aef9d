//! Report and exit code of a run: shared by `convert` and `finish`.

use crate::cli::args::Format;
use crate::cli::console::say;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK, EXIT_TRY_LATER};
use crate::cli::report::{listing, print, print_json, sort_counts, unavailable};
use crate::engine::{IntegrityTotals, Report, RestoreReport};
use crate::error::Result;
use crate::text::clean;
use crate::units::{ByteCount, counted, grouped};
use std::fmt::{Display, Write as _};

/// Prints the report of a run; returns its exit code.
pub(super) fn conclude(
    report: &Report,
    format: Format,
    text: impl FnOnce() -> String,
    allows_quarantine: bool,
) -> Result<u8> {
    for warning in &report.warnings {
        // Warnings are shown with `--quiet`, too.
        say(false, &format!("warning: {warning}"));
    }
    match format {
        Format::Json => print_json(report)?,
        Format::Text => print(&text())?,
    }
    Ok(if report.interrupted {
        EXIT_TRY_LATER
    } else if report.nothing_recognized
        || report.restored.as_ref().is_some_and(|restored| restored.files_left > 0)
        || report.integrity.as_ref().is_some_and(IntegrityTotals::has_failed)
        || report.has_quarantine() && !allows_quarantine
    {
        EXIT_INCOMPLETE
    } else {
        EXIT_OK
    })
}

/// Changes of the catalog, with the calls that they took.
pub(super) fn catalog_changes(report: &Report) -> String {
    let mut text = counted(report.catalog_changes, "change");
    if report.catalog_calls > 0 {
        let _ = write!(text, " in {}", counted(report.catalog_calls, "call"));
    }
    if report.catalog_throttled > 0 {
        let _ = write!(text, ", {} of them throttled", grouped(report.catalog_throttled));
    }
    text
}

/// Counts of records, objects and files.
pub(super) fn details(out: &mut String, report: &Report, lake: &str) {
    counts(out, report);
    outputs(out, report);
    without_records(out, report);
    let mut quarantined = sort_counts(&report.quarantined_by_reason);
    quarantined.truncate(10);
    reasons(out, "quarantined", quarantined);
    out.push_str(&listing("  ", &report.listing));
    if report.members_hidden > 0 {
        let members = counted(report.members_hidden, "member");
        let _ = writeln!(
            out,
            "  Hidden in archives (names that begin with . or _) and not read: {members}; --hidden reads them."
        );
    }
    out.push_str(&unavailable("  ", &report.unavailable_by_reason));
    out.push_str(&restored_text("  ", report.restored.as_ref()));
    if !report.without_records.is_empty() {
        let _ =
            writeln!(out, "\nList objects without records with: trailmill ignored {}", clean(lake));
    }
    if report.has_quarantine() {
        let _ =
            writeln!(out, "\nList quarantined input with: trailmill quarantine {}", clean(lake));
    }
    if report.interrupted {
        let _ = writeln!(
            out,
            "\nStopped before the end. Converted units are committed; run the same command to continue."
        );
    }
}

/// Objects that gave no record, by kind, with the first names.
fn without_records(out: &mut String, report: &Report) {
    for (i, (kind, all)) in report.without_records.iter().enumerate() {
        let name = if i == 0 { "no records" } else { "" };
        line(out, name, format_args!("{} {}", grouped(all.objects), clean(kind)));
        for object in &all.first {
            line(out, "", format_args!("  {}", clean(object)));
        }
        if all.objects > all.first.len() as u64 {
            line(out, "", "  …");
        }
    }
}

fn line(out: &mut String, name: &str, text: impl Display) {
    let _ = writeln!(out, "  {name:<11} {text}");
}

/// Lines of counts under one name, which stands before the first.
fn reasons(out: &mut String, name: &str, counts: Vec<(&str, u64)>) {
    for (i, (reason, count)) in counts.into_iter().enumerate() {
        let name = if i == 0 { name } else { "" };
        line(out, name, format_args!("{} {}", grouped(count), clean(reason)));
    }
}

/// Records and objects.
fn counts(out: &mut String, report: &Report) {
    line(
        out,
        "records",
        format_args!(
            "{} read = {} written + {} duplicate + {} filtered + {} quarantined",
            grouped(report.records_read),
            grouped(report.records_written),
            grouped(report.records_duplicate),
            grouped(report.records_filtered),
            grouped(report.records_quarantined),
        ),
    );
    line(
        out,
        "objects",
        format_args!(
            "{} read, {} ignored, {} quarantined, {} already converted",
            grouped(report.objects_read),
            grouped(report.objects_ignored),
            grouped(report.objects_quarantined),
            grouped(report.objects_known),
        ),
    );
    if report.records_unwrapped > 0 {
        let unwrapped = counted(report.records_unwrapped, "record");
        line(out, "unwrapped", format_args!("{unwrapped} of wrappers"));
    }
    if report.records_unread > 0 {
        let unread = counted(report.records_unread, "record");
        let text = "in wrappers that are not known; `--unwrap any` reads them";
        line(out, "not read", format_args!("{unread} {text}"));
    }
    if report.objects_padded > 0 {
        let padded = counted(report.objects_padded, "object");
        line(
            out,
            "padding",
            format_args!("zero bytes or line ends after the gzip data of {padded}"),
        );
    }
}

/// Bytes, files, tables, schema and catalog.
fn outputs(out: &mut String, report: &Report) {
    // Files have a size of their own, which of a few records says nothing.
    let share = match report.bytes_json {
        0..1_000_000 => String::new(),
        json => format!(" ({:.1} %)", 100.0 * report.bytes_parquet as f64 / json as f64),
    };
    line(
        out,
        "bytes",
        format_args!(
            "{} compressed, {} of JSON, {} of Parquet{share}",
            ByteCount(report.bytes_compressed),
            ByteCount(report.bytes_json),
            ByteCount(report.bytes_parquet),
        ),
    );
    let partitions = counted(report.partitions, "partition");
    line(out, "files", format_args!("{} in {partitions}", grouped(report.files)));
    if let Some(choice) = &report.partitions_chosen {
        line(out, "layout", choice);
    }
    for (i, (table, rows)) in sort_counts(&report.rows_by_table).into_iter().enumerate() {
        let name = if i == 0 { "tables" } else { "" };
        line(out, name, format_args!("{} {}", clean(table), counted(rows, "row")));
    }
    line(
        out,
        "schema",
        format_args!(
            "version {}, {}, {} kept as text only",
            report.schema_version,
            counted(report.new_fields.len() as u64, "new field"),
            counted(report.nested_values_unfit, "nested value"),
        ),
    );
    if let Some(totals) = &report.integrity {
        line(out, "integrity", integrity(totals));
    }
    line(out, "catalog", catalog_changes(report));
    if report.units_resumed > 0 {
        let units = counted(report.units_resumed, "unit");
        line(out, "resumed", format_args!("{units} of an earlier run"));
    }
}

/// What digests say, for people.
pub(super) fn integrity(totals: &IntegrityTotals) -> String {
    let mut parts: Vec<String> = totals
        .objects
        .iter()
        .map(|(verdict, count)| format!("{}: {}", counted(*count, "object"), verdict.words()))
        .collect();
    if totals.objects_upgraded > 0 {
        let upgraded = counted(totals.objects_upgraded, "object");
        parts.push(format!("{upgraded} of earlier runs: proven by now"));
    }
    let (verified, digests) = (grouped(totals.digests_verified), counted(totals.digests, "digest"));
    parts.push(format!("{verified} of {digests} verified"));
    parts.join("; ")
}

/// Restored files, for people.
pub(super) fn restored_text(indent: &str, report: Option<&RestoreReport>) -> String {
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
            "{indent}Not restored, or not whole: {files} with {rows}. Missing, replaced or \
             unreadable: {}; accept a final loss with: trailmill catalog sync --accept-loss",
            counted(report.objects_gone, "object"),
        );
    }
    for object in &report.objects {
        let _ = writeln!(out, "{indent}  missing, replaced or unreadable: {}", clean(object));
    }
    out
}
