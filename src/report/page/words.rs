//! Texts and numbers as the page shows them.

use crate::report::answers::Cell;
use crate::report::window::iso;
use crate::text::clean;
use crate::units::grouped;

/// How much of a report a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// Rows of a table.
    pub(super) rows: usize,
    /// Characters of a text.
    pub(super) chars: usize,
}

impl Fit {
    /// From everything to what is small for any lake.
    pub(super) const ALL: [Self; 5] = [
        Self { rows: 100, chars: 120 },
        Self { rows: 50, chars: 100 },
        Self { rows: 25, chars: 80 },
        Self { rows: 10, chars: 60 },
        Self { rows: 5, chars: 32 },
    ];
}

/// A text from a log: what would act on the page or hide in it is made visible, and the rest is cut.
pub(super) fn shown(text: &str, fit: Fit) -> String {
    let (mut out, mut length) = (String::new(), 0);
    for c in text.chars() {
        let piece = clean(c.encode_utf8(&mut [0; 4]));
        length += piece.chars().count();
        if length > fit.chars {
            out.push('…');
            break;
        }
        out.push_str(&piece);
    }
    out
}

/// A value in a table.
pub(super) fn value(cell: &Cell, fit: Fit) -> String {
    match cell {
        Cell::Null => "–".to_owned(),
        Cell::Text(text) if text.is_empty() => "–".to_owned(),
        Cell::Text(text) => shown(text, fit),
        Cell::Count(_) => grouped(cell.count()),
        Cell::Instant(at) => minute(*at),
    }
}

/// An instant to the minute.
pub(super) fn minute(instant: i64) -> String {
    let text = iso(instant);
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// An instant in ISO 8601 as people read it.
pub(super) fn spaced(text: &str) -> String {
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}

/// The title of a column.
pub(super) fn heading(column: &str) -> String {
    let words = match column {
        "sourceipaddress" => "source address",
        "useragent" => "user agent",
        "eventsource" => "service",
        "eventname" => "event",
        "errorcode" => "error",
        "s3_bucket" => "bucket",
        "lambda_function" => "function",
        other => other,
    };
    words.replace('_', " ")
}

/// A count on an axis: `950`, `12k`, `3.4M`.
pub(super) fn compact(count: u64) -> String {
    let short = |unit: u64, letter: &str| {
        let tenths = count * 10 / unit;
        match tenths % 10 {
            0 => format!("{}{letter}", tenths / 10),
            rest => format!("{}.{rest}{letter}", tenths / 10),
        }
    };
    match count {
        0..=999 => count.to_string(),
        1_000..=999_999 => short(1_000, "k"),
        1_000_000..=999_999_999 => short(1_000_000, "M"),
        _ => short(1_000_000_000, "G"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_in_a_text_is_shown_and_what_is_long_is_cut() {
        let fit = Fit { rows: 5, chars: 10 };

        assert_eq!(shown("curl/8.1", fit), "curl/8.1");
        assert_eq!(shown("a\u{202e}b\0", fit), "a\\u{202e}b…");
        assert_eq!(shown(&"é".repeat(1 << 20), fit), format!("{}…", "é".repeat(10)));
        assert_eq!(value(&Cell::Text(String::new()), fit), "–");
    }

    #[test]
    fn counts_on_an_axis_are_short() {
        for (count, text) in
            [(0, "0"), (999, "999"), (1_500, "1.5k"), (40_000, "40k"), (2_000_000, "2M")]
        {
            assert_eq!(compact(count), text);
        }
    }
}
