//! Accounts and regions by days.

use crate::report::coverage::{Coverage, Pair};
use crate::report::page::words::{Fit, shown};
use crate::units::{Day, counted, grouped};
use maud::{Markup, html};
use std::fmt::Write as _;

const WIDTH: usize = 1120;
const ROW: usize = 17;
const LABEL: usize = 232;
const COUNT: usize = 76;
const TOP: usize = 16;

/// Shades of a cell with events.
const SHADES: u32 = 5;

/// Draws the days.
pub(super) fn heat(coverage: &Coverage, fit: Fit) -> Markup {
    let cells = coverage.pairs.first().map_or(0, |pair| pair.cells.len()).max(1);
    let most = coverage.pairs.iter().flat_map(|pair| &pair.cells).copied().max().unwrap_or(1);
    let height = TOP + coverage.pairs.len() * ROW + 4;
    let rest = coverage.pairs_total - coverage.pairs.len() as u64;
    let days = counted(u64::from(coverage.days_per_cell.unsigned_abs()), "day");
    html! {
        svg.heat viewBox={ "0 0 " (WIDTH) " " (height) } role="img"
            aria-label={ (counted(coverage.pairs_total, "account and region")) ", "
                (counted(coverage.gaps_total, "gap")) } {
            (dates(coverage, cells))
            @for shade in 1..=SHADES {
                path class={ "h" (shade) } d=(path(coverage, cells, |pair, at| shade_of(pair.cells[at], most) == shade)) {}
            }
            path.bad d=(path(coverage, cells, |pair, at| pair.gap_cells[at])) {}
            @for (row, pair) in coverage.pairs.iter().enumerate() {
                (line(pair, row, fit))
            }
        }
        p.legend {
            "A cell is " (days) ". " span.dot.h1 {} " few events " span.dot.h5 {} " many "
            span.dot.bad {} " gap"
            @if rest > 0 { ". " (counted(rest, "pair")) " with fewer events not shown" }
        }
    }
}

/// A row's names, its count, and all of it in a title.
fn line(pair: &Pair, row: usize, fit: Fit) -> Markup {
    let y = TOP + row * ROW;
    let name = format!("{} {}", shown(&pair.account, fit), shown(&pair.region, fit));
    let mut said = format!(
        "{name}\n{} on {}, {} to {}",
        counted(pair.events, "event"),
        counted(pair.days, "day"),
        pair.first_day,
        pair.last_day
    );
    if pair.days_missing > 0 {
        let _ = write!(said, "\n{} without events", counted(pair.days_missing, "day"));
    }
    html! {
        text.label x="0" y=(y + 12) { (name) }
        text.label x=(WIDTH) y=(y + 12) text-anchor="end" { (grouped(pair.events)) }
        rect.hit x="0" y=(y) width=(WIDTH) height=(ROW) { title { (said) } }
    }
}

/// The cells that are as wanted, as a path.
fn path(coverage: &Coverage, cells: usize, is_wanted: impl Fn(&Pair, usize) -> bool) -> String {
    let mut path = String::new();
    let x = |at: usize| LABEL + (WIDTH - LABEL - COUNT) * at / cells;
    for (row, pair) in coverage.pairs.iter().enumerate() {
        for at in (0..pair.cells.len()).filter(|at| is_wanted(pair, *at)) {
            let width = (x(at + 1) - x(at)).saturating_sub(1).max(1);
            let (left, top, height) = (x(at), TOP + row * ROW, ROW - 2);
            let _ = write!(path, "M{left} {top}h{width}v{height}h-{width}z");
        }
    }
    path
}

/// The shade of a count, by its logarithm; 0 for none.
fn shade_of(count: u64, most: u64) -> u32 {
    if count == 0 {
        return 0;
    }
    let log = |count: u64| (count as f64).ln_1p();
    ((log(count) / log(most) * f64::from(SHADES)).ceil() as u32).clamp(1, SHADES)
}

/// Some dates above the cells.
fn dates(coverage: &Coverage, cells: usize) -> Markup {
    let first = coverage.first_day.parse::<Day>().map_or(0, |day| day.0);
    let x = |at: usize| LABEL + (WIDTH - LABEL - COUNT) * at / cells;
    let step = (cells * 90).div_ceil(WIDTH - LABEL - COUNT).max(1);
    let shown = (0..cells).step_by(step).filter(|at| x(*at) + 70 < WIDTH - COUNT || *at == 0);
    html! {
        @for at in shown {
            text.tick x=(x(at)) y="10" { (Day(first + coverage.days_per_cell * at as i32)) }
        }
    }
}
