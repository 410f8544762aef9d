//! The order of things on the page.

use crate::html::page;
use crate::report::document::{ActivityReport, PanelAnswer};
use crate::report::page::chart::{Axis, chart};
use crate::report::page::heat::heat;
use crate::report::page::table::{gaps, table};
use crate::report::page::words::{Fit, shown, spaced};
use crate::report::panel::Drawing;
use crate::report::panels::PANELS;
use crate::report::window::Grain;
use crate::units::{ByteCount, counted, grouped};
use maud::{Markup, html};

/// The style of the page, light and dark, on screens and on paper.
const STYLE: &str = include_str!("style.css");

/// Draws a report.
pub(super) fn layout(report: &ActivityReport, fit: Fit) -> Markup {
    let title = format!("CloudTrail activity – {}", shown(&report.lake, fit));
    let sections = sections();
    let body = html! {
        (header(report, &sections, fit))
        main {
            @for (at, section) in sections.iter().enumerate() {
                section {
                    h2 id={ "s" (at) } { (section) }
                    (panels(report, section, fit))
                }
            }
        }
        (footer(report, fit))
    };
    page(&title, STYLE, &body)
}

/// The headings of the panels, in their order.
fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = PANELS.iter().map(|panel| panel.section).collect();
    sections.dedup();
    sections
}

fn header(report: &ActivityReport, sections: &[&str], fit: Fit) -> Markup {
    let window = &report.window;
    let time = |text: &Option<String>| text.as_deref().map_or("–".to_owned(), spaced);
    html! {
        header {
            h1 { "CloudTrail activity" }
            p.about {
                b { (time(&window.first_event)) } " to " b { (time(&window.last_event)) } " UTC · "
                @if window.accounts.is_empty() { "all accounts" }
                @else { (counted(window.accounts.len() as u64, "account")) ": " (window.accounts.join(", ")) }
                " · table " b { (shown(&window.database, fit)) "." (shown(&window.table, fit)) }
                " of " b { (shown(&report.lake, fit)) }
            }
            @if window.since.is_some() || window.until.is_some() {
                p.about { "Asked for: from " (time(&window.since)) " to before " (time(&window.until)) }
            }
            nav aria-label="Sections" {
                @for (at, section) in sections.iter().enumerate() {
                    a href={ "#s" (at) } { (section) }
                }
            }
        }
    }
}

fn panels(report: &ActivityReport, section: &str, fit: Fit) -> Markup {
    let is_new = section == "Seen for the first time";
    html! {
        @if is_new {
            p.about {
                "First seen since " b { (spaced(&report.window.new_since)) } ". The lake begins at "
                b { (spaced(&report.window.horizon)) } ": what happened before is not known here, and \
                what was last used before then counts as new."
            }
        }
        @if section == "Coverage" { (tiles(report)) }
        div.panels {
            @for panel in PANELS.iter().filter(|panel| panel.section == section) {
                @match panel.drawing {
                    Drawing::Tiles => {}
                    Drawing::Coverage => { (coverage(report, panel.title, panel.note, fit)) }
                    Drawing::Timeline(_) | Drawing::Table => {
                        @if let Some(answer) = report.panel(panel.id) { (panel_of(report, answer, fit)) }
                    }
                }
            }
        }
    }
}

fn panel_of(report: &ActivityReport, answer: &PanelAnswer, fit: Fit) -> Markup {
    let axis = axis(report);
    let stacks = match answer.panel.drawing {
        Drawing::Timeline(stacks) => stacks,
        _ => &[],
    };
    html! {
        section.panel.wide[stacks.len() > 1 || is_wide(answer)] id=(answer.id) {
            h3 { (answer.title) }
            @if !answer.panel.note.is_empty() { p.note { (answer.panel.note) } }
            @if stacks.is_empty() { (table(answer, fit)) }
            @else if answer.rows.is_empty() { p.none { "No such event." } }
            @else {
                div.figures { @for stack in stacks { (chart(answer, stack, axis, fit)) } }
            }
            (sql(&answer.sql))
        }
    }
}

/// Whether a table takes the whole width of the page.
fn is_wide(answer: &PanelAnswer) -> bool {
    let width = |column: &&str| match *column {
        "useragent" => 40,
        "principal" => 30,
        "first_seen" | "last_seen" => 11,
        "events" | "errors" | "denied" | "writes" => 5,
        "eventname" => 24,
        _ => 12,
    };
    answer.panel.drawing == Drawing::Table && answer.columns.iter().map(width).sum::<u32>() > 50
}

fn axis(report: &ActivityReport) -> Axis {
    let at = |column| report.panel("totals")?.cell(0, column)?.instant();
    let (first, last) = (at("first_seen").unwrap_or(0), at("last_seen").unwrap_or(0));
    let grains = [Grain::Hour, Grain::Day, Grain::Week, Grain::Month, Grain::Year];
    let grain = grains.into_iter().find(|grain| grain.name() == report.window.grain);
    Axis::new(grain.unwrap_or(Grain::Day), first, last)
}

fn coverage(report: &ActivityReport, title: &str, note: &str, fit: Fit) -> Markup {
    html! {
        section.panel.wide id="coverage" {
            h3 { (title) }
            p.note { (note) }
            (heat(&report.coverage, fit))
            (gaps(&report.coverage, fit))
            (sql(&report.coverage.sql))
        }
    }
}

fn sql(statement: &str) -> Markup {
    html! { details { summary { "SQL" } pre { code { (statement) } } } }
}

/// Figures at the top: of the window, and of the lake.
fn tiles(report: &ActivityReport) -> Markup {
    let total = |column| report.panel("totals").map_or(0, |totals| totals.count(0, column));
    let distinct = |id| report.panel(id).map_or(0, |panel| panel.rows_total);
    let events = total("events");
    let share =
        |count: u64| format!("{:.1}% of events", count as f64 * 100.0 / events.max(1) as f64);
    html! {
        dl.tiles {
            (tile("events", &grouped(events), "", false))
            (tile("writes", &grouped(total("writes")), &share(total("writes")), false))
            (tile("errors", &grouped(total("errors")), &share(total("errors")), false))
            (tile("access denied", &grouped(total("denied")), &share(total("denied")), false))
            (tile("accounts", &grouped(report.coverage.accounts), "", false))
            (tile("accounts and regions", &grouped(report.coverage.pairs_total), "", false))
            (tile("principals", &grouped(distinct("principals")), "", false))
            (tile("source addresses", &grouped(distinct("source_addresses")), "", false))
            (facts(report))
        }
        @if let Some(totals) = report.panel("totals") { (sql(&totals.sql)) }
    }
}

fn facts(report: &ActivityReport) -> Markup {
    let facts = &report.facts;
    let others = facts.tables.iter().filter(|table| table.name != report.window.table);
    let rows_of_others: u64 = others.map(|table| table.rows).sum();
    let rows: u64 = facts.tables.iter().map(|table| table.rows).sum();
    let files: u64 = facts.tables.iter().map(|table| table.files).sum();
    let bytes = ByteCount(facts.tables.iter().map(|table| table.bytes).sum());
    let of_objects = format!("in {}", counted(facts.objects_quarantined, "object"));
    let size = format!("{}, {bytes}", counted(files, "file"));
    html! {
        (tile("rows in the whole lake", &grouped(rows), &size, false))
        @if rows_of_others > 0 {
            (tile("rows in no panel", &grouped(rows_of_others), "network activity, Insights and others", false))
        }
        (tile("quarantined", &grouped(facts.records_quarantined), &of_objects, facts.records_quarantined > 0))
        (tile("objects ignored", &grouped(facts.objects_ignored), "without records", false))
        @match &facts.integrity {
            None => { (tile("integrity", "not checked", "convert with --integrity", false)) }
            Some(proven) => {
                @let others = proven.rows_unproven + proven.rows_unchecked;
                @let note = format!("{} unproven, {} not checked",
                    grouped(proven.rows_unproven), grouped(proven.rows_unchecked));
                (tile("rows proven by digests", &grouped(proven.rows_proven), &note, others > 0))
            }
        }
    }
}

fn tile(name: &str, figure: &str, note: &str, is_alarm: bool) -> Markup {
    html! {
        div.alarm[is_alarm] {
            dt { (name) }
            dd { (figure) @if !note.is_empty() { small { (note) } } }
        }
    }
}

fn footer(report: &ActivityReport, fit: Fit) -> Markup {
    let shortened = fit != Fit::ALL[0];
    html! {
        footer {
            p {
                "Made by trailmill " (env!("CARGO_PKG_VERSION"))
                @if let Some(at) = &report.generated_at { " at " (shown(at, fit)) }
                ". Times are UTC. Every panel has the SQL that made it: `trailmill query`, Athena and DuckDB give \
                the same answer. Texts come from the logs and were written by callers; long ones are cut, and \
                characters that are invisible or turn a text around are shown as \\u{…}."
            }
            @if shortened {
                p { "Tables and texts are shortened to keep this page small; `--output json` has more." }
            }
        }
    }
}
