//! The page: one file with everything in it, and nothing that runs or asks for anything.
//!
//! There is no script. Charts are SVG with a title on every bar, SQL is folded away with `details`. A
//! policy in the head (CSP) forbids everything but the style whose hash it names, so that markup that
//! came through in spite of maud's escaping would do nothing. Pages stay under [`PAGE_LIMIT`]: where a
//! lake's texts are too long, fewer rows and characters are shown, and the page says so.

mod chart;
mod heat;
mod layout;
mod table;
mod words;

use crate::report::document::ActivityReport;
use layout::layout;
use words::Fit;

/// Bytes of a page, at most.
pub const PAGE_LIMIT: usize = 400_000;

/// Returns the page of a report.
pub fn page(report: &ActivityReport) -> String {
    let mut html = String::new();
    for fit in Fit::ALL {
        html = layout(report, fit).into_string();
        if html.len() < PAGE_LIMIT {
            break;
        }
    }
    html
}
