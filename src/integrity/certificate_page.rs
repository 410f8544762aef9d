//! The certificate as a page of HTML, to be printed and filed.
//!
//! One file with everything in it, and nothing that runs or asks for anything: no script, no link, and a
//! policy in the head (CSP) that allows the style whose hash it names. Keys of objects were written by
//! whoever may write to the bucket: they are escaped, and what would act on a reader is made visible.

use crate::html;
use crate::integrity::certificate::{METHOD, ROOM, counts, day, more_than, result};
use crate::integrity::digest_name::file_name;
use crate::integrity::outcome::{ChainReport, IntegrityReport};
use crate::integrity::verdict::Finding;
use crate::text::clean;
use crate::units::{counted, counted_as, grouped};
use maud::{Markup, html};

const STYLE: &str = include_str!("certificate.css");

/// Stretches of time of one chain that the page has room for.
const WINDOWS: usize = 3;

/// Returns the page; `program` says what validated.
pub fn certificate_html(report: &IntegrityReport, program: &str) -> String {
    let body = html! {
        p.result.good[report.proves()] { (result(report)) }
        (facts(report, program))
        (chains(report))
        (findings(report))
        h2 { "Method" }
        p.method { (METHOD) }
    };
    page("Certificate of log file integrity", &body)
}

/// Returns a page with this title and body, and lines for who files it.
pub(super) fn page(title: &str, body: &Markup) -> String {
    let body = html! {
        h1 { (title) }
        (body)
        div.signature { span { "Name" } span { "Date" } span { "Signature" } }
    };
    html::page(title, STYLE, &body).into_string()
}

fn facts(report: &IntegrityReport, program: &str) -> Markup {
    html! {
        dl {
            dt { "Validated" }
            dd { (report.checked_at) " by " (program) }
            dt { (if report.sources.len() == 1 { "Source" } else { "Sources" }) }
            dd { @for source in &report.sources { div { (clean(source)) } } }
            dt { "Delivered" }
            dd { (day(report.first_day.as_deref())) " to " (day(report.last_day.as_deref())) }
            dt { "Digests" }
            dd { (counts(&report.digests)) }
            dt { "Logs" }
            dd { (counts(&report.logs)) }
            @if !report.holes.is_empty() {
                dt { "Chains and sources" }
                dd { (counts(&report.holes)) }
            }
            dt { "Public keys" }
            dd {
                div { "from " (clean(&report.keys.from)) }
                @for (fingerprint, is_known) in report.keys.fingerprints.iter().take(ROOM) {
                    div.code {
                        (clean(fingerprint))
                        @if !is_known { " " b.bad { "not among the keys" } }
                    }
                }
                (rest(report.keys.fingerprints.len(), 0))
                @for warning in &report.keys.warnings {
                    div.bad { "Warning: " (clean(warning)) }
                }
            }
        }
    }
}

fn chains(report: &IntegrityReport) -> Markup {
    html! {
        h2 { "Proven, by chain" }
        @if report.chains.is_empty() { p { "Nothing: no digests were found." } }
        @else {
            table {
                thead { tr {
                    th { "Account, region, trail" }
                    th { "Proven, by time of delivery" }
                    th.count { "Digests" }
                    th.count { "Logs" }
                } }
                @for chain in report.chains.iter().take(ROOM) { (row(chain)) }
            }
            (rest(report.chains.len(), 0))
        }
    }
}

fn row(chain: &ChainReport) -> Markup {
    let more = chain.windows.len().saturating_sub(WINDOWS) as u64;
    html! {
        tbody {
            tr {
                td { (clean(&chain.id.to_string())) }
                td.time {
                    @if chain.windows.is_empty() { "nothing" }
                    @for [from, to] in chain.windows.iter().take(WINDOWS) {
                        div { (from) " to " (to) }
                    }
                    @if more > 0 { div { "and " (counted_as(more, "more stretch", "more stretches")) } }
                }
                td.count { (grouped(chain.digests_verified)) " of " (grouped(chain.digests)) }
                td.count { (grouped(chain.logs_listed)) }
            }
            @if let Some([key, hash]) = &chain.newest {
                tr.newest {
                    td colspan="4" {
                        "Newest: " span.code { (clean(file_name(key))) } ", SHA-256 " span.code { (hash) }
                    }
                }
            }
        }
    }
}

fn findings(report: &IntegrityReport) -> Markup {
    html! {
        h2 { "Not proven" }
        @if report.findings.is_empty() { p { "Nothing." } }
        @else {
            table {
                thead { tr { th { "Object" } th { "Delivered" } th { "Verdict" } } }
                tbody { @for finding in report.findings.iter().take(ROOM) { (finding_row(finding)) } }
            }
            (rest(report.findings.len(), report.findings_omitted))
        }
        @if report.objects_other > 0 {
            p {
                (counted(report.objects_other, "object")) " outside of the layout of trails: not judged."
            }
        }
    }
}

fn finding_row(finding: &Finding) -> Markup {
    html! {
        tr {
            td.code { (clean(&finding.object)) }
            td.time {
                @match (&finding.from, &finding.to) {
                    (Some(from), Some(to)) if from == to => { (from) }
                    (Some(from), Some(to)) => { (from) " to" br; (to) }
                    (None, Some(to)) => { "until " (to) }
                    _ => { "–" }
                }
            }
            td {
                b { (finding.verdict.words()) }
                @if let Some(detail) = &finding.detail { div { (clean(detail)) } }
            }
        }
    }
}

fn rest(listed: usize, omitted: u64) -> Markup {
    let more = more_than(listed, omitted);
    html! { @if more > 0 { p.rest { "and " (grouped(more)) " more, in the JSON report" } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrity::verdict::{Subject, Verdict};
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn what_a_key_says_is_shown_and_does_not_act() {
        let key = "s3://b/<script>alert(1)</script>\u{202e}\"&.json.gz";
        let finding = Finding::new(Subject::Log, Verdict::InNoDigest, key).saying("<b>x</b>");
        let mut report = IntegrityReport { sources: vec![key.to_owned()], ..Default::default() };
        report.note(finding);

        let page = certificate_html(&report, "trailmill 1");

        assert!(!page.contains("<script") && !page.contains("<b>x") && !page.contains('\u{202e}'));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}&quot;&amp;"));
        assert!(page.contains("NOTHING TO PROVE") && !page.contains("http://"));
        let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        assert!(page.contains(&format!("style-src 'sha256-{hash}'")));
    }
}
