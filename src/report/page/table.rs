//! Answers as tables, with a bar for the events of each row.

use crate::report::answers::Cell;
use crate::report::coverage::Coverage;
use crate::report::document::PanelAnswer;
use crate::report::page::words::{Fit, heading, shown, value};
use crate::units::{counted, grouped};
use maud::{Markup, html};

/// Draws a panel's answer.
pub(super) fn table(panel: &PanelAnswer, fit: Fit) -> Markup {
    if panel.rows.is_empty() {
        return html! { p.none { "No such event." } };
    }
    let most = (0..panel.rows.len()).map(|row| panel.count(row, "events")).max().unwrap_or(1);
    let rows = panel.rows.len().min(fit.rows);
    let rest = panel.rows_total - rows as u64;
    html! {
        div.scroll {
            table {
                thead { tr {
                    @for column in &panel.columns {
                        th.num[is_count(panel, column)] scope="col" { (heading(column)) }
                        @if *column == "events" { th.bar { span.unseen { "share" } } }
                    }
                } }
                tbody {
                    @for (at, row) in panel.rows.iter().take(rows).enumerate() {
                        tr {
                            @for (column, cell) in panel.columns.iter().zip(row) {
                                (entry(cell, fit))
                                @if *column == "events" { td.bar { (bar(panel, at, most)) } }
                            }
                        }
                    }
                }
            }
        }
        @if rest > 0 { p.rest { (counted(rest, "more row")) } }
    }
}

fn is_count(panel: &PanelAnswer, column: &str) -> bool {
    matches!(panel.cell(0, column), Some(Cell::Count(_)))
}

fn entry(cell: &Cell, fit: Fit) -> Markup {
    let text = value(cell, fit);
    match cell {
        Cell::Count(0) => html! { td.num.zero { "0" } },
        Cell::Count(_) => html! { td.num { (text) } },
        Cell::Instant(_) => html! { td.time { (text) } },
        Cell::Text(_) | Cell::Null => html! { td.text title=(text) { (text) } },
    }
}

/// A bar for a row's events, and for those among them that failed.
fn bar(panel: &PanelAnswer, row: usize, most: u64) -> Markup {
    let part = |count: u64| count.saturating_mul(1000).div_ceil(most.max(1));
    let events = panel.count(row, "events");
    let errors = panel.count(row, "errors");
    let title = match panel.column("errors") {
        Some(_) => format!("{}, {} failed", counted(events, "event"), grouped(errors)),
        None => counted(events, "event"),
    };
    html! {
        svg.share viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(title) {
            title { (title) }
            rect.s0 width=(part(events)) height="10" {}
            @if errors > 0 { rect.bad width=(part(errors)) height="10" {} }
        }
    }
}

/// The longest gaps.
pub(super) fn gaps(coverage: &Coverage, fit: Fit) -> Markup {
    let listed = coverage.gaps.len().min(fit.rows).min(6);
    let rest = coverage.gaps_total - listed as u64;
    html! {
        @if listed > 0 {
            div.scroll {
                table.gaps {
                    thead { tr {
                        th scope="col" { "account" }
                        th scope="col" { "region" }
                        th scope="col" { "first day without events" }
                        th scope="col" { "last day" }
                        th.num scope="col" { "days" }
                    } }
                    tbody {
                        @for gap in coverage.gaps.iter().take(listed) {
                            tr {
                                td { (shown(&gap.account, fit)) }
                                td { (shown(&gap.region, fit)) }
                                td.time { (gap.first_day) }
                                td.time { (gap.last_day) }
                                td.num { (grouped(gap.days)) }
                            }
                        }
                    }
                }
            }
            @if rest > 0 { p.rest { (counted(rest, "more gap")) } }
        }
    }
}
