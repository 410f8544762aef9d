//! Quantities with a unit: byte counts as people write them, and event times as CloudTrail does.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

mod instant;

pub use instant::read_instant;

/// A number of bytes; written `500MB`, `64k`, `128MiB` or plain `1000000`.
///
/// `k`, `M`, `G`, `T`, with or without a `B`, are powers of 1000; `KiB`, `MiB`, `GiB`, `TiB` are powers of
/// 1024. Written in powers of 1000.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct ByteCount(pub u64);

impl ByteCount {
    /// Returns `count` times 1,000,000 bytes.
    pub const fn mb(count: u64) -> Self {
        Self(count * 1_000_000)
    }

    /// Returns `count` times 1,048,576 bytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }
}

impl FromStr for ByteCount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let wrong = || Error::config(format!("`{text}` is not a byte count such as `128MB`"));
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "m" | "mb" => 1_000_000,
            "g" | "gb" => 1_000_000_000,
            "t" | "tb" => 1_000_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            _ => return Err(wrong()),
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Self).ok_or_else(wrong);
        }
        let value = number.parse::<f64>().map_err(|_| wrong())? * factor as f64;
        if value.is_finite() && value < u64::MAX as f64 {
            Ok(Self(value as u64))
        } else {
            Err(wrong())
        }
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 record`, `1,234 records`: a count of what takes an s when there is not one of it.
pub fn counted(count: u64, noun: &str) -> String {
    counted_as(count, noun, &format!("{noun}s"))
}

/// As [`counted`], of what has another plural: `1 child`, `2 children`.
pub fn counted_as(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// The verb that goes with a count: `is` or `are`.
pub fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

impl fmt::Display for ByteCount {
    /// Writes three significant digits in powers of 1000: `1.25 GB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
        if self.0 < 1000 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1000.0;
        let mut unit = 0;
        while value >= 999.5 && unit + 1 < UNITS.len() {
            value /= 1000.0;
            unit += 1;
        }
        let decimals = if value >= 99.95 { 0 } else { usize::from(value < 9.995) + 1 };
        write!(f, "{value:.decimals$} {}", UNITS[unit])
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type EpochMillis = i64;

/// Parses an ISO 8601 instant as CloudTrail writes `eventTime`: `2024-05-01T12:00:00Z`, with an
/// optional fraction (cut to milliseconds) and `Z` or a numeric offset.
///
/// Returns `None` for anything else, and for dates that do not exist.
pub fn parse_event_time(text: &[u8]) -> Option<EpochMillis> {
    let digits = |range: std::ops::Range<usize>| -> Option<i64> {
        text.get(range)?.iter().try_fold(0_i64, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
        })
    };
    let is = |at: usize, byte: u8| text.get(at) == Some(&byte);
    if !(is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')) {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let (hour, minute, second) = (digits(11..13)?, digits(14..16)?, digits(17..19)?);
    if year == 0 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut millis = 0;
    if is(at, b'.') {
        at += 1;
        let start = at;
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            if at - start < 3 {
                millis += i64::from(text[at] - b'0') * [100, 10, 1][at - start];
            }
            at += 1;
        }
        if at == start {
            return None;
        }
    }
    let offset_minutes = match (text.get(at)?, text.len() - at) {
        (b'Z', 1) => 0,
        (sign @ (b'+' | b'-'), 6) if is(at + 3, b':') => {
            let (hours, minutes) = (digits(at + 1..at + 3)?, digits(at + 4..at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let total = hours * 60 + minutes;
            if *sign == b'-' { -total } else { total }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let instant = (seconds - offset_minutes * 60) * 1000 + millis;
    // An offset can carry an instant out of the years that dates are written with.
    (1..=9999).contains(&civil(instant).0).then_some(instant)
}

/// Returns `(year, month, day, hour)` of an instant, in UTC.
pub fn civil(millis: EpochMillis) -> (i64, u8, u8, u8) {
    let days = millis.div_euclid(86_400_000);
    let hour = millis.rem_euclid(86_400_000) / 3_600_000;
    // Howard Hinnant's civil_from_days.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month as u8, day as u8, hour as u8)
}

/// Returns a number that everything of one account and region has in common. Listings are in the order
/// of its first byte.
pub fn place(account: &[u8], region: &[u8]) -> u64 {
    xxh3_64_with_seed(region, xxh3_64(account))
}

/// A day in UTC, as a number of days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// Returns the day of an instant.
    pub fn of(millis: EpochMillis) -> Self {
        Self(millis.div_euclid(86_400_000) as i32)
    }

    /// Reads `2024/05/31`, the date in the keys of CloudTrail; nothing for days that do not exist.
    pub fn from_key(text: &str) -> Option<Self> {
        Self::read(text, '/')
    }

    /// Returns the date as keys have it: `2024/05/31`.
    pub fn in_key(self) -> String {
        let (year, month, day) = self.civil();
        format!("{year:04}/{month:02}/{day:02}")
    }

    /// Returns year, month and day.
    pub fn civil(self) -> (i64, u8, u8) {
        let (year, month, day, _) = civil(i64::from(self.0) * 86_400_000);
        (year, month, day)
    }

    /// Returns the day this many days later, or earlier if negative.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    fn read(text: &str, separator: char) -> Option<Self> {
        let mut parts = text.split(separator);
        let mut next = |digits: usize| -> Option<i64> {
            let part = parts.next().filter(|part| part.len() == digits)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten()
        };
        let (year, month, day) = (next(4)?, next(2)?, next(2)?);
        let exists = year > 0
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && parts.next().is_none();
        exists.then(|| Self(days_from_civil(year, month, day) as i32))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::read(text, '-')
            .ok_or_else(|| Error::config(format!("invalid date `{text}`: expected YYYY-MM-DD")))
    }
}

/// Returns the days between 1970-01-01 and a date, which may be one of any year.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Returns how many days a month has.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn one_is_singular_and_none_and_more_are_plural() {
        for (count, records, children, verb) in [
            (0, "0 records", "0 children", "are"),
            (1, "1 record", "1 child", "is"),
            (2, "2 records", "2 children", "are"),
            (1001, "1,001 records", "1,001 children", "are"),
        ] {
            assert_eq!(counted(count, "record"), records);
            assert_eq!(counted_as(count, "child", "children"), children);
            assert_eq!(are(count), verb);
        }
    }

    #[test]
    fn byte_counts_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("500MB", 500_000_000),
            ("128MiB", 128 << 20),
            ("1.5k", 1500),
            ("7", 7),
            ("2 GB", 2_000_000_000),
        ] {
            assert_eq!(text.parse::<ByteCount>().unwrap().0, bytes, "{text}");
        }
        for text in ["", "MB", "-1", "1XB", "99999999TB"] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
        assert_eq!(ByteCount(1_253_000_000).to_string(), "1.25 GB");
        assert_eq!(ByteCount(999_999).to_string(), "1.00 MB");
    }

    #[test]
    fn event_times_that_are_not_instants_are_refused() {
        for text in [
            "",
            "2024-05-01",
            "2024-05-01T12:00:00",
            "2024-02-30T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-05-01 12:00:00Z",
            "2024-05-01T25:00:00Z",
            "2024-05-01T12:00:00.Z",
            "../../etc/passwd....",
        ] {
            assert_eq!(parse_event_time(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_event_time(b"2024-05-01T12:00:00.1239Z"), Some(1_714_564_800_123));
        assert_eq!(parse_event_time(b"2024-05-01T14:00:00+02:00"), Some(1_714_564_800_000));
    }

    #[test]
    fn days_are_read_and_written() {
        let day: Day = "2024-02-29".parse().unwrap();
        assert_eq!(day.in_key(), "2024/02/29");
        assert_eq!(Day::from_key("2024/02/29"), Some(day));
        assert_eq!(day.plus(1).to_string(), "2024-03-01");
        assert_eq!(day.plus(-60).to_string(), "2023-12-31");
        assert_eq!(Day::of(-1), Day(-1));
        for wrong in ["2023-02-29", "2024-2-29", "2024/02/29", "2024-02-29-1", "yesterday", ""] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn event_times_agree_with_jiff(seconds in -62_000_000_000_i64..250_000_000_000) {
            let instant = jiff::Timestamp::from_second(seconds).unwrap();
            let text = instant.to_string();
            prop_assert_eq!(parse_event_time(text.as_bytes()), Some(seconds * 1000));
            let zoned = jiff::tz::TimeZone::UTC.to_datetime(instant);
            let (year, month, day, hour) = civil(seconds * 1000);
            prop_assert_eq!(
                (year, month as i8, day as i8, hour as i8),
                (i64::from(zoned.year()), zoned.month(), zoned.day(), zoned.hour())
            );
        }
    }
}
