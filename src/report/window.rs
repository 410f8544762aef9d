//! The time and the accounts that a report is about, and how fine its time axis is.

use crate::error::{Error, Result};
use crate::units::{Day, EpochMillis};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Events count as new for at most so long before the last one, if no time is given.
const NEW_FOR: i64 = 7 * DAY;

/// Which events a report is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// From this instant on.
    pub since: Option<EpochMillis>,
    /// Before this instant.
    pub until: Option<EpochMillis>,
    /// Only these accounts; all without.
    pub accounts: Vec<String>,
}

/// The first and the last event of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first event.
    pub first: EpochMillis,
    /// The last event.
    pub last: EpochMillis,
}

/// The width of the bars of a time axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Weeks, which begin on Mondays.
    Week,
    /// Months.
    Month,
    /// Years.
    Year,
}

impl Grain {
    /// Returns the finest grain with at most some 180 bars.
    pub fn of(span: Span) -> Self {
        match (span.last - span.first) / DAY {
            ..=7 => Self::Hour,
            8..=180 => Self::Day,
            181..=1260 => Self::Week,
            1261..=5400 => Self::Month,
            _ => Self::Year,
        }
    }

    /// Returns its name, as `date_trunc` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// Returns the number of the bar that an instant of its beginning has, counted without holes.
    pub fn ordinal(self, instant: EpochMillis) -> i64 {
        let (year, month) = year_and_month(instant);
        match self {
            Self::Hour => instant.div_euclid(HOUR),
            Self::Day => instant.div_euclid(DAY),
            Self::Week => (instant.div_euclid(DAY) + 3).div_euclid(7),
            Self::Month => year * 12 + month - 1,
            Self::Year => year,
        }
    }

    /// Returns the label of a bar: its date, or a part of it.
    pub fn label(self, instant: EpochMillis) -> String {
        let text = iso(instant);
        let length = match self {
            Self::Hour => 13,
            Self::Day | Self::Week => 10,
            Self::Month => 7,
            Self::Year => 4,
        };
        let label = text.get(..length).unwrap_or(&text).replace('T', " ");
        if self == Self::Hour { label + ":00" } else { label }
    }
}

fn year_and_month(instant: EpochMillis) -> (i64, i64) {
    let (year, month, ..) = crate::units::civil(instant);
    (year, i64::from(month))
}

impl Window {
    /// Checks what was asked for.
    ///
    /// # Errors
    /// `Config` for an account that is none, and a window that ends before it begins.
    pub fn check(&self) -> Result<()> {
        let is_account =
            |text: &&String| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(wrong) = self.accounts.iter().find(|text| !is_account(text)) {
            let message = format!("invalid account ID `{wrong}`: expected 12 digits");
            return Err(Error::config(message));
        }
        match (self.since, self.until) {
            (Some(since), Some(until)) if since >= until => {
                Err(Error::config("--since must be before --until"))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether something between two instants can be in the window.
    pub fn may_have(&self, min: EpochMillis, max: EpochMillis) -> bool {
        self.since.is_none_or(|since| max >= since) && self.may_have_before(min)
    }

    /// Returns whether something from an instant on can lie before the window's end.
    pub fn may_have_before(&self, min: EpochMillis) -> bool {
        self.until.is_none_or(|until| min < until)
    }

    /// Returns the conditions of the window in SQL; those of its end alone, for what looks at all
    /// that came before.
    pub fn conditions(&self, is_whole_past: bool) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(since) = self.since.filter(|_| !is_whole_past) {
            out.push(format!("event_timestamp >= {}", literal(since)));
        }
        if let Some(until) = self.until {
            out.push(format!("event_timestamp < {}", literal(until)));
        }
        if !self.accounts.is_empty() {
            let accounts: Vec<String> =
                self.accounts.iter().map(|account| format!("'{account}'")).collect();
            out.push(format!("account IN ({})", accounts.join(", ")));
        }
        out
    }

    /// Returns from when on what is seen first counts as new: the window's beginning, if it was given;
    /// else seven days before the last event, or half of the time there is, whichever is less.
    pub fn new_since(&self, span: Span) -> EpochMillis {
        let length = NEW_FOR.min((span.last - span.first) / 2);
        self.since.unwrap_or_else(|| (span.last - length).div_euclid(HOUR) * HOUR)
    }
}

/// Returns an instant as a literal of SQL, in UTC.
pub(super) fn literal(instant: EpochMillis) -> String {
    format!("TIMESTAMP '{}'", iso(instant).trim_end_matches('Z').replace('T', " "))
}

/// Returns an instant in ISO 8601, in UTC, with milliseconds if it has any.
pub fn iso(instant: EpochMillis) -> String {
    let in_day = instant.rem_euclid(DAY);
    let (hour, minute) = (in_day / HOUR, in_day / 60_000 % 60);
    let (second, millis) = (in_day / 1000 % 60, in_day % 1000);
    let fraction = if millis == 0 { String::new() } else { format!(".{millis:03}") };
    format!("{}T{hour:02}:{minute:02}:{second:02}{fraction}Z", Day::of(instant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::parse_event_time;

    fn at(text: &str) -> EpochMillis {
        parse_event_time(text.as_bytes()).unwrap()
    }

    #[test]
    fn instants_are_written_as_they_are_read() {
        for text in ["2026-10-01T02:03:04Z", "1969-12-31T23:59:59.999Z", "2024-02-29T00:00:00Z"] {
            assert_eq!(iso(at(text)), text);
        }
        assert_eq!(literal(at("2026-10-01T02:03:04Z")), "TIMESTAMP '2026-10-01 02:03:04'");
    }

    #[test]
    fn bars_are_counted_without_holes() {
        for (grain, first, second) in [
            (Grain::Hour, "2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z"),
            (Grain::Day, "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Grain::Week, "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
            (Grain::Month, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Grain::Year, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(grain.ordinal(at(first)) + 1, grain.ordinal(at(second)), "{grain:?}");
        }
    }

    #[test]
    fn accounts_and_times_are_checked_before_anything_is_read() {
        let window = |account: &str, since, until| Window {
            since,
            until,
            accounts: vec![account.to_owned()],
        };

        assert!(window("111122223333", Some(1), Some(2)).check().is_ok());
        assert!(window("1' OR '1'='1", None, None).check().is_err());
        assert!(window("111122223333", Some(2), Some(2)).check().is_err());
    }

    #[test]
    fn what_is_new_is_at_most_a_week_and_half_of_the_time_there_is() {
        let span = Span { first: 0, last: 4 * DAY };
        let window = Window::default();

        assert_eq!(window.new_since(span), 2 * DAY);
        assert_eq!(window.new_since(Span { last: 100 * DAY, ..span }), 93 * DAY);
        assert_eq!(Window { since: Some(7), ..window }.new_since(span), 7);
    }
}
