//! One page to file about a lake: whether its rows are those of logs that CloudTrail signed for.

use crate::integrity::certificate::{ROOM, more_than};
use crate::integrity::certificate_page::page;
use crate::text::clean;
use crate::units::grouped;
use maud::{Markup, html};
use serde::Serialize;
use std::fmt::Write;

const METHOD: &str = "\
Every record of the sources was read and compared with the rows of the lake, by code that shares nothing with the \
converter. Every object was hashed (SHA-256 of its content) and compared with the hash that the lake keeps of the \
object that CloudTrail's digests prove. A row counts as proven when every object that wrote rows in its unit is. The \
certificate of `trailmill integrity` has the chains of digests, their times and the public keys.";

/// A comparison of a lake with its sources, and the rows of its partitions.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LakeCertificate {
    /// The lake.
    pub lake: String,
    /// What it was compared with.
    pub sources: Vec<String>,
    /// When.
    pub checked_at: String,
    /// Whether every row is proven, and equal to its record.
    pub is_proven: bool,
    /// What the comparison found, by name.
    pub facts: Vec<(&'static str, String)>,
    /// The partitions.
    pub partitions: Vec<ProvenPartition>,
    /// What differs.
    pub differences: Vec<String>,
    /// Differences beyond those.
    pub differences_omitted: u64,
}

/// The rows of a partition.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProvenPartition {
    /// The table.
    pub table: String,
    /// The partition.
    pub partition: String,
    /// Rows of proven objects.
    pub proven: u64,
    /// Other rows.
    pub not_proven: u64,
}

impl LakeCertificate {
    fn result(&self) -> &'static str {
        match self.is_proven {
            true => "PROVEN: every row is that of a log that CloudTrail delivered",
            false => "NOT PROVEN: see below",
        }
    }

    /// Partitions with rows that are not proven come first.
    fn sorted(&self) -> Vec<&ProvenPartition> {
        let mut all: Vec<_> = self.partitions.iter().collect();
        all.sort_by_key(|one| one.not_proven == 0);
        all
    }

    /// Returns the page as text; `program` says what compared.
    pub fn text(&self, program: &str) -> String {
        let mut out = String::from("CERTIFICATE OF A LAKE\n\n");
        let mut line = |name: &str, text: &str| {
            let _ = writeln!(out, "{name:<16}{text}");
        };
        line("Result", self.result());
        line("Compared", &format!("{} by {program}", self.checked_at));
        line("Lake", &clean(&self.lake));
        self.sources.iter().for_each(|source| line("Source", &clean(source)));
        self.facts.iter().for_each(|(name, text)| line(name, text));
        let _ = writeln!(out, "\nROWS, proven and not proven");
        for one in self.sorted().into_iter().take(ROOM) {
            let place = format!("{} {}", clean(&one.table), clean(&one.partition));
            let (proven, rest) = (grouped(one.proven), grouped(one.not_proven));
            let _ = writeln!(out, "{place}: {proven} proven, {rest} not proven");
        }
        more(&mut out, more_than(self.partitions.len(), 0));
        let _ = writeln!(out, "\nDIFFERENCES");
        if self.differences.is_empty() {
            let _ = writeln!(out, "none");
        }
        for difference in self.differences.iter().take(ROOM) {
            let _ = writeln!(out, "{}", clean(difference));
        }
        more(&mut out, more_than(self.differences.len(), self.differences_omitted));
        let _ = writeln!(out, "\nMETHOD\n{METHOD}");
        out
    }

    /// Returns the page as HTML, in the manner of the certificate of integrity.
    pub fn html(&self, program: &str) -> String {
        let body = html! {
            p.result.good[self.is_proven] { (self.result()) }
            dl {
                dt { "Compared" }
                dd { (self.checked_at) " by " (program) }
                dt { "Lake" }
                dd { (clean(&self.lake)) }
                dt { (if self.sources.len() == 1 { "Source" } else { "Sources" }) }
                dd { @for source in &self.sources { div { (clean(source)) } } }
                @for (name, text) in &self.facts {
                    dt { (name) }
                    dd { (text) }
                }
            }
            h2 { "Rows" }
            (self.rows())
            h2 { "Differences" }
            @if self.differences.is_empty() { p { "None." } }
            @for difference in self.differences.iter().take(ROOM) {
                p.code { (clean(difference)) }
            }
            (rest(more_than(self.differences.len(), self.differences_omitted)))
            h2 { "Method" }
            p.method { (METHOD) }
        };
        page("Certificate of a lake", &body)
    }

    fn rows(&self) -> Markup {
        html! {
            table {
                thead { tr {
                    th { "Table" } th { "Partition" } th.count { "Proven" } th.count { "Not proven" }
                } }
                tbody {
                    @for one in self.sorted().into_iter().take(ROOM) {
                        tr {
                            td { (clean(&one.table)) }
                            td { (clean(&one.partition)) }
                            td.count { (grouped(one.proven)) }
                            td.count.bad[one.not_proven > 0] { (grouped(one.not_proven)) }
                        }
                    }
                }
            }
            (rest(more_than(self.partitions.len(), 0)))
        }
    }
}

fn more(out: &mut String, more: u64) {
    if more > 0 {
        let _ = writeln!(out, "… and {} more, in the JSON report", grouped(more));
    }
}

fn rest(more: u64) -> Markup {
    html! { @if more > 0 { p.rest { "and " (grouped(more)) " more, in the JSON report" } } }
}
