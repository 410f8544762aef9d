//! Bars over time, stacked.

use crate::report::document::PanelAnswer;
use crate::report::page::words::{Fit, compact, shown};
use crate::report::panel::Stack;
use crate::report::window::Grain;
use crate::units::grouped;
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const WIDTH: i64 = 560;
const HEIGHT: i64 = 170;
const LEFT: i64 = 44;
const BOTTOM: i64 = 150;
const TOP: i64 = 8;

/// Bars of a chart, at most; more are drawn together.
const BARS: i64 = 190;

/// Series of a chart; the rest is drawn as one.
const SERIES: usize = 4;

/// The axis of time that all charts of a page share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    grain: Grain,
    first: i64,
    per_bar: i64,
    bars: usize,
}

impl Axis {
    /// Returns the axis from the first to the last instant.
    pub(super) fn new(grain: Grain, first: i64, last: i64) -> Self {
        let (first, last) = (grain.ordinal(first), grain.ordinal(last));
        let count = (last - first + 1).max(1);
        let per_bar = (count - 1) / BARS + 1;
        Self { grain, first, per_bar, bars: ((count - 1) / per_bar + 1) as usize }
    }

    fn bar(&self, instant: i64) -> Option<usize> {
        let at = (self.grain.ordinal(instant) - self.first).checked_div(self.per_bar)?;
        usize::try_from(at).ok().filter(|at| *at < self.bars)
    }

    /// Where a bar begins.
    fn x(&self, bar: usize) -> f64 {
        LEFT as f64 + (WIDTH - LEFT) as f64 * bar as f64 / self.bars as f64
    }
}

/// The values of a chart.
struct Series {
    /// Names with their bars and their class in the style.
    named: Vec<(String, Vec<u64>, &'static str)>,
    /// The first instant of each bar that has events.
    begins: BTreeMap<usize, i64>,
}

/// Draws a panel's answer.
pub(super) fn chart(panel: &PanelAnswer, stack: &Stack, axis: Axis, fit: Fit) -> Markup {
    let (series, title) = match stack {
        Stack::Key(key, title) => (by_key(panel, key, axis, fit), title),
        Stack::Measures(measures, title) => (by_measure(panel, measures, axis), title),
    };
    let sums = series.named.iter().map(|(name, bars, class)| (name, bars.iter().sum(), class));
    let sums: Vec<(&String, u64, &&str)> = sums.collect();
    let said: Vec<String> =
        sums.iter().map(|(name, sum, _)| format!("{name} {}", grouped(*sum))).collect();
    html! {
        figure {
            figcaption {
                span.name { (title) }
                @for (name, sum, class) in &sums {
                    span.key { span class={ "dot " (class) } {} (name) " " b { (grouped(*sum)) } }
                }
            }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (title) ": " (said.join(", ")) } {
                (drawn(&series, axis))
            }
        }
    }
}

fn drawn(series: &Series, axis: Axis) -> Markup {
    let totals: Vec<u64> =
        (0..axis.bars).map(|bar| series.named.iter().map(|(_, bars, _)| bars[bar]).sum()).collect();
    let top = round_up(totals.iter().copied().max().unwrap_or(0));
    let y = |count: u64| BOTTOM as f64 - (BOTTOM - TOP) as f64 * count as f64 / top as f64;
    html! {
        @for part in [0, top / 2, top] {
            line.grid x1=(LEFT) x2=(WIDTH) y1=(one(y(part))) y2=(one(y(part))) {}
            text.tick x=(LEFT - 6) y=(one(y(part) + 3.5)) text-anchor="end" { (compact(part)) }
        }
        @for (at, (_, _, class)) in series.named.iter().enumerate() {
            path class=(class) d=(bars(series, at, axis, &y)) {}
        }
        @for (bar, begin) in &series.begins {
            rect.hit x=(one(axis.x(*bar))) y=(TOP) height=(BOTTOM - TOP)
                width=(one(axis.x(bar + 1) - axis.x(*bar))) {
                title { (said(series, *bar, *begin, axis)) }
            }
        }
        (dates(series, axis))
    }
}

/// The bars of one series as a path; those before it lie below.
fn bars(series: &Series, at: usize, axis: Axis, y: &dyn Fn(u64) -> f64) -> String {
    let mut path = String::new();
    for bar in 0..axis.bars {
        let below: u64 = series.named.iter().take(at).map(|(_, bars, _)| bars[bar]).sum();
        let count = series.named[at].1[bar];
        if count == 0 {
            continue;
        }
        let (left, width) = (axis.x(bar), axis.x(bar + 1) - axis.x(bar));
        let width = if width > 3.0 { width - 1.0 } else { width };
        // What is there is seen, however small it is.
        let height = (y(below) - y(below + count)).max(0.7);
        let (top, width) = (one(y(below) - height), one(width));
        let _ = write!(path, "M{} {top}h{width}v{}h-{width}z", one(left), one(height));
    }
    path
}

/// What a bar holds.
fn said(series: &Series, bar: usize, begin: i64, axis: Axis) -> String {
    let mut text = axis.grain.label(begin);
    if axis.per_bar > 1 {
        let _ = write!(text, " and {} more", axis.per_bar - 1);
    }
    for (name, bars, _) in series.named.iter().filter(|(_, bars, _)| bars[bar] > 0) {
        let _ = write!(text, "\n{name}: {}", grouped(bars[bar]));
    }
    text
}

/// Some dates below the axis.
fn dates(series: &Series, axis: Axis) -> Markup {
    let mut last = f64::MIN;
    let mut labels = Vec::new();
    for (bar, begin) in &series.begins {
        let x = axis.x(*bar);
        if x - last >= 92.0 && x < WIDTH as f64 - 62.0 {
            labels.push((x, axis.grain.label(*begin)));
            last = x;
        }
    }
    html! {
        @for (x, label) in labels {
            text.tick x=(one(x)) y=(BOTTOM + 15) { (label) }
        }
    }
}

fn by_key(panel: &PanelAnswer, key: &str, axis: Axis, fit: Fit) -> Series {
    let mut all: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut begins = BTreeMap::new();
    for (row, bar, begin) in rows(panel, axis) {
        begins.entry(bar).or_insert(begin);
        let name = panel.cell(row, key).and_then(|cell| cell.text()).unwrap_or("–");
        all.entry(name).or_insert_with(|| vec![0; axis.bars])[bar] += panel.count(row, "events");
    }
    let mut named: Vec<(String, Vec<u64>)> =
        all.into_iter().map(|(name, bars)| (shown(name, fit), bars)).collect();
    named.sort_by_key(|(_, bars)| std::cmp::Reverse(bars.iter().sum::<u64>()));
    if named.len() > SERIES + 1 {
        let mut other = vec![0; axis.bars];
        for (_, bars) in named.drain(SERIES..) {
            other.iter_mut().zip(bars).for_each(|(sum, count)| *sum += count);
        }
        named.push(("other".to_owned(), other));
    }
    let classed = named.into_iter().enumerate();
    let named = classed.map(|(at, (name, bars))| {
        let class = class(&name, at);
        (name, bars, class)
    });
    Series { named: named.collect(), begins }
}

fn by_measure(panel: &PanelAnswer, measures: &[(&str, &str)], axis: Axis) -> Series {
    let mut begins = BTreeMap::new();
    let mut named: Vec<(String, Vec<u64>, &str)> = measures
        .iter()
        .enumerate()
        .map(|(at, (_, name))| ((*name).to_owned(), vec![0; axis.bars], class(name, at)))
        .collect();
    for (row, bar, begin) in rows(panel, axis) {
        begins.entry(bar).or_insert(begin);
        for ((measure, _), (_, bars, _)) in measures.iter().zip(&mut named) {
            bars[bar] += panel.count(row, measure);
        }
    }
    Series { named, begins }
}

/// The rows of a panel that are on the axis, with their bars and instants.
fn rows<'a>(panel: &'a PanelAnswer, axis: Axis) -> impl Iterator<Item = (usize, usize, i64)> + 'a {
    (0..panel.rows.len()).filter_map(move |row| {
        let begin = panel.cell(row, "period")?.instant()?;
        // A period can begin before the first event.
        let bar = axis.bar(begin).or_else(|| (axis.grain.ordinal(begin) < axis.first).then_some(0));
        Some((row, bar?, begin))
    })
}

/// The class of a series: good and bad have their colors.
fn class(name: &str, at: usize) -> &'static str {
    match name {
        "access denied" | "failed" => "bad",
        "other errors" | "without MFA" | "write" => "s1",
        "with MFA" => "s2",
        "read" => "s0",
        "other" | "not stated" | "–" => "s4",
        _ => ["s0", "s1", "s2", "s3", "s4"].get(at).copied().unwrap_or("s4"),
    }
}

/// The next number that is even and has one digit that counts.
fn round_up(count: u64) -> u64 {
    let mut unit = 1;
    while unit <= count / 10 {
        unit *= 10;
    }
    let digits = [2, 3, 4, 5, 6, 8, 10, 20].into_iter();
    let mut tops = digits.map(|digit: u64| digit.saturating_mul(unit));
    tops.find(|top| *top >= count && *top % 2 == 0).unwrap_or(u64::MAX)
}

/// A coordinate to a tenth.
fn one(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (count, top) in
            [(0, 2), (1, 2), (7, 8), (10, 20), (250, 300), (41, 50), (99, 100), (120_000, 200_000)]
        {
            assert_eq!(round_up(count), top, "{count}");
        }
        assert!(round_up(u64::MAX) == u64::MAX);
    }

    #[test]
    fn long_times_are_drawn_in_a_bounded_number_of_bars() {
        let axis = Axis::new(Grain::Year, -62_135_596_800_000, 253_402_300_799_000);

        assert!(axis.bars as i64 <= BARS);
        assert_eq!(axis.bar(253_402_300_799_000), Some(axis.bars - 1));
        assert_eq!(axis.bar(i64::MIN / 4), None);
    }
}
