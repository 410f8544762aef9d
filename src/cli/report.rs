//! Writing to stdout, and the parts that several reports have in common.

use crate::error::{Error, Result};
use crate::operations::PartitionProof;
use crate::source::ListingReport;
use crate::text::clean;
use crate::units::{counted, counted_as, grouped};
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
pub(super) fn sort_counts(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut counts: Vec<_> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counts
}

/// Objects that could not be read, for people.
pub(super) fn unavailable(indent: &str, by_reason: &BTreeMap<String, u64>) -> String {
    let line = |(reason, count): (&str, u64)| {
        format!("{indent}{} not read, retried by the next run: {}\n", grouped(count), clean(reason))
    };
    sort_counts(by_reason).into_iter().map(line).collect()
}

/// The listing and what it left out, for people.
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
    if listing.names_hidden > 0 {
        let names = counted_as(listing.names_hidden, "file or folder", "files and folders");
        let _ = writeln!(
            out,
            "{indent}Hidden (names that begin with . or _) and not read: {names}; --hidden reads them."
        );
    }
    if let Some(savings) = &listing.from_digests {
        let regions = |count| counted_as(count, "region's folder", "regions' folders");
        let _ = writeln!(
            out,
            "{indent}From {}: {} listed by the days they name, {} as always; about {} LIST requests \
             saved.",
            counted(savings.digests, "digest"),
            regions(savings.regions),
            grouped(savings.regions_listed),
            savings.requests_saved,
        );
    }
    for (source, since) in &listing.since {
        let source = clean(source);
        let _ = writeln!(
            out,
            "{indent}{source}: listed from delivery date {since} on; --full lists everything."
        );
    }
    out
}

/// Proven rows, for people: a line for each table, and one for each partition that is not all proven.
pub(super) fn proven_text(partitions: &[PartitionProof]) -> String {
    let rows = |proof: &PartitionProof| {
        format!(
            "{} proven, {} unproven, {} not checked",
            counted(proof.rows_proven, "row"),
            grouped(proof.rows_unproven),
            grouped(proof.rows_unchecked),
        )
    };
    let mut tables: BTreeMap<&str, PartitionProof> = BTreeMap::new();
    for proof in partitions {
        let table = tables.entry(&proof.table).or_default();
        table.rows_proven += proof.rows_proven;
        table.rows_unproven += proof.rows_unproven;
        table.rows_unchecked += proof.rows_unchecked;
    }
    let mut out = String::new();
    for (name, table) in &tables {
        let _ = writeln!(out, "{}: {}", clean(name), rows(table));
        let of_table = partitions.iter().filter(|proof| proof.table == *name);
        for proof in of_table.filter(|proof| proof.rows_unproven + proof.rows_unchecked > 0) {
            let _ = writeln!(out, "  {}: {}", clean(&proof.partition), rows(proof));
        }
    }
    out
}
