//! The end of a run, for people and as an exit code: shared by `convert` and `finish`.

use crate::cli::args::Format;
use crate::cli::exit::{EXIT_OK, EXIT_SET_ASIDE, EXIT_TRY_LATER};
use crate::cli::progress::say;
use crate::cli::report::{listing, print, print_json, sorted, unavailable};
use crate::engine::{Report, RestoreReport};
use crate::error::Result;
use crate::text::clean;
use crate::units::{ByteCount, counted, grouped};
use std::fmt::Write as _;

/// Prints what a run did; returns its exit code.
pub(super) fn conclude(
    report: &Report,
    format: Format,
    text: impl FnOnce() -> String,
    allows_quarantine: bool,
) -> Result<u8> {
    for warning in &report.warnings {
        // Who wants to see no progress wants to know this all the same.
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
        || report.has_quarantine() && !allows_quarantine
    {
        EXIT_SET_ASIDE
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

/// What records, objects and files came to.
pub(super) fn details(out: &mut String, report: &Report, lake: &str) {
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
            "{} read, {} ignored, {} quarantined, {} already converted",
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
            writeln!(out, "\nList quarantined input with: trailmill quarantine {}", clean(lake));
    }
    if report.interrupted {
        let _ = writeln!(
            out,
            "\nStopped before the end. Converted units are committed; run the same command to \
             continue."
        );
    }
}

/// What was brought back, for people.
pub(super) fn restored(indent: &str, report: Option<&RestoreReport>) -> String {
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
