//! Instants as exports write them: everything that can only mean one moment.
//!
//! CloudTrail's own spelling is read first, by [`parse_event_time`]; what a tool made of it (a space for
//! the `T`, an offset without its colon, seconds since 1970, …) is read here, off the common path. A time
//! without a zone is ambiguous: it is an instant only where the caller knows that it is UTC.

use crate::units::{EpochMillis, civil, days_from_civil, days_in_month, parse_event_time};

/// Reads an instant: `2026-10-01T00:00:00Z` and its variants (`t`, `z`, a space, a comma before the
/// fraction, offsets such as `+0000` and `+00`, `UTC`), the basic form `20261001T000000Z`, the form of the
/// console (`October 01, 2026, 00:00:00 (UTC+00:00)`), and seconds or milliseconds since 1970. With
/// `is_utc`, a time without a zone is one of UTC.
///
/// Returns `None` for everything else.
pub fn read_instant(text: &[u8], is_utc: bool) -> Option<EpochMillis> {
    parse_event_time(text).or_else(|| read_variant(text, is_utc))
}

/// What [`parse_event_time`] does not read.
fn read_variant(text: &[u8], is_utc: bool) -> Option<EpochMillis> {
    let mut rest = Rest(text.trim_ascii());
    if let Some(instant) = epoch(rest.0) {
        return Some(instant);
    }
    let (year, month, day) = date(&mut rest)?;
    let time = time(&mut rest)?;
    let offset = match rest.0.trim_ascii() {
        [] if is_utc => 0,
        zone => offset_minutes(zone)?,
    };
    let exists = (1..=12).contains(&month)
        && (1..=9999).contains(&year)
        && (1..=days_in_month(year, month)).contains(&day);
    let days = exists.then(|| days_from_civil(year, month, day))?;
    let instant = days * 86_400_000 + time - offset * 60_000;
    // An offset can carry an instant out of the years that dates are written with.
    (1..=9999).contains(&civil(instant).0).then_some(instant)
}

/// Text that is read from its start.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn skip(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first().filter(|(first, _)| bytes.contains(first))?;
        self.0 = rest;
        Some(*first)
    }

    fn skip_spaces(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// A number of so many digits.
    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }
}

/// Seconds since 1970 in nine or ten digits, with a fraction or as `1.79E9`; or milliseconds in twelve or
/// thirteen.
fn epoch(text: &[u8]) -> Option<EpochMillis> {
    let mut rest = Rest(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = rest.digits(1, 13)?;
    let has_exponent = text.iter().any(|byte| matches!(byte, b'e' | b'E'));
    if has_exponent {
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        return match value {
            1e8..1e10 => Some((value * 1000.0).round() as i64),
            1e11..1e13 => Some(value.round() as i64),
            _ => None,
        };
    }
    let fraction = fraction(&mut rest)?;
    match digits {
        _ if !rest.0.is_empty() => None,
        9 | 10 => Some(whole * 1000 + fraction),
        12 | 13 => Some(whole),
        _ => None,
    }
}

/// Year, month and day, up to the time.
fn date(rest: &mut Rest<'_>) -> Option<(i64, i64, i64)> {
    if rest.0.first()?.is_ascii_alphabetic() {
        let found = named_date(rest)?;
        rest.skip(b",")?;
        rest.skip_spaces();
        return Some(found);
    }
    let year = rest.digits(4, 4)?;
    let separator = rest.skip(b"-/");
    let month = rest.digits(2, 2)?;
    if let Some(separator) = separator {
        rest.skip(&[separator])?;
    }
    let day = rest.digits(2, 2)?;
    if rest.skip(b"Tt").is_none() {
        rest.skip(b" ")?;
        rest.skip_spaces();
    }
    Some((year, month, day))
}

/// `October 01, 2026`, also with the month's first three letters.
fn named_date(rest: &mut Rest<'_>) -> Option<(i64, i64, i64)> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let length = rest.0.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (name, after) = rest.0.split_at(length);
    let name = name.to_ascii_lowercase();
    let is_it = |month: &&str| *month.as_bytes() == *name || month.as_bytes()[..3] == *name;
    let month = MONTHS.iter().position(is_it)? as i64 + 1;
    rest.0 = after;
    rest.skip_spaces();
    let day = rest.digits(1, 2)?;
    rest.skip(b",")?;
    rest.skip_spaces();
    Some((rest.digits(4, 4)?, month, day))
}

/// The time of day in milliseconds.
fn time(rest: &mut Rest<'_>) -> Option<i64> {
    let hour = rest.digits(2, 2)?;
    let is_extended = rest.skip(b":").is_some();
    let minute = rest.digits(2, 2)?;
    // ISO 8601 has times without seconds.
    let has_seconds = !is_extended || rest.skip(b":").is_some();
    let second = if has_seconds { rest.digits(2, 2)? } else { 0 };
    let is_time = hour <= 23 && minute <= 59 && second <= 60;
    let millis = ((hour * 60 + minute) * 60 + second) * 1000 + fraction(rest)?;
    is_time.then_some(millis)
}

/// Milliseconds of a fraction of any length; 0 without one.
fn fraction(rest: &mut Rest<'_>) -> Option<i64> {
    if rest.skip(b".,").is_none() {
        return Some(0);
    }
    let count = rest.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = rest.0.split_at(count);
    rest.0 = after;
    let places = digits.iter().zip([100, 10, 1]);
    (count > 0).then(|| places.map(|(digit, unit)| i64::from(digit - b'0') * unit).sum())
}

/// `Z`, `UTC`, `GMT`, `+00`, `+0000`, `+00:00`, and any of them in brackets.
fn offset_minutes(zone: &[u8]) -> Option<i64> {
    let inner = zone.strip_prefix(b"(").and_then(|zone| zone.strip_suffix(b")"));
    let zone = inner.unwrap_or(zone).to_ascii_uppercase();
    // Go prints both: `+0000 UTC`.
    let mut rest = Rest(zone.strip_suffix(b"+0000 UTC").map_or(&zone, |_| b"UTC"));
    let names: [&[u8]; 3] = [b"UTC", b"GMT", b"Z"];
    let named = names.iter().find_map(|name| rest.0.strip_prefix(*name));
    rest.0 = named.unwrap_or(rest.0);
    if rest.0.is_empty() {
        return named.map(|_| 0);
    }
    let sign = rest.skip(b"+-")?;
    let hours = rest.digits(2, 2)?;
    rest.skip(b":");
    let minutes = if rest.0.is_empty() { 0 } else { rest.digits(2, 2)? };
    let total = hours * 60 + minutes;
    let is_offset = rest.0.is_empty() && hours <= 23 && minutes <= 59;
    is_offset.then_some(if sign == b'-' { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-10-01T12:34:56Z.
    const INSTANT: i64 = 1_790_858_096_000;

    #[test]
    fn every_spelling_of_one_instant_is_read() {
        for text in [
            "2026-10-01T12:34:56Z",
            "2026-10-01t12:34:56z",
            "2026-10-01 12:34:56Z",
            "2026-10-01  12:34:56 UTC",
            "2026/10/01 12:34:56 +00:00",
            "2026-10-01T12:34:56+0000",
            "2026-10-01T14:34:56+02",
            "2026-10-01T05:04:56-0730",
            "2026-10-01T12:34:56.000000000Z",
            "2026-10-01T12:34:56,000Z",
            " 2026-10-01T12:34:56Z\n",
            "20261001T123456Z",
            "October 01, 2026, 12:34:56 (UTC+00:00)",
            "Oct 1, 2026, 21:34:56 (UTC+09:00)",
            "1790858096",
            "2026-10-01 12:34:56 +0000 UTC",
            "1790858096.0",
            "1.790858096E9",
            "1790858096000",
        ] {
            assert_eq!(read_instant(text.as_bytes(), false), Some(INSTANT), "{text}");
        }
        assert_eq!(read_instant(b"1790858096.1239", false), Some(INSTANT + 123));
        assert_eq!(read_instant(b"2026-10-01T12:34Z", false), Some(INSTANT - 56_000));
        assert_eq!(read_instant(b"2026-10-01 12:34:56.1234567Z", false), Some(INSTANT + 123));
    }

    #[test]
    fn a_time_without_a_zone_is_read_only_where_it_is_known_to_be_utc() {
        for text in [
            "2026-10-01 12:34:56",
            "2026-10-01T12:34:56",
            "2026-10-01 12:34:56.000",
            "20261001T123456",
            "October 01, 2026, 12:34:56",
        ] {
            assert_eq!(read_instant(text.as_bytes(), false), None, "{text}");
            assert_eq!(read_instant(text.as_bytes(), true), Some(INSTANT), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_instant_is_refused() {
        for text in [
            "",
            "x",
            "2026-10-01",
            "2026-13-01 00:00:00Z",
            "2026-02-30 00:00:00Z",
            "12:34:56Z",
            "2026-10-01 24:00:00Z",
            "2026-10-01T12:34:56.Z",
            "0000-01-01 00:00:00Z",
            "2026-10-01T12:34:56+24:00",
            "2026-10-01T12:34:56+1",
            "2026-10-01T12:34:56 PST",
            "20261001",
            "20261001123456",
            "17908580960",
            "-1790858096",
            "1790858096x",
            "1e99",
            "NaN",
            "01/10/2026 12:34:56Z",
            "2026-10/01 12:34:56Z",
            "Octember 01, 2026, 12:34:56Z",
            "9999-12-31 23:59:59-23:00",
            "2026-10-01T12:34:56()",
            "2026-10-01T12:34:56(",
            "1790858096.",
        ] {
            assert_eq!(read_instant(text.as_bytes(), true), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<Vec<u8>>(), is_utc in any::<bool>()) {
            read_instant(&text, is_utc);
        }

        #[test]
        fn nothing_like_a_time_makes_it_panic(text in "[0-9TtZz:.,+eE() UTCOctober-]{0,40}") {
            read_instant(text.as_bytes(), true);
        }

        #[test]
        fn seconds_and_milliseconds_are_the_same_instant(seconds in 100_000_000_i64..9_999_999_999) {
            let millis = format!("{}", seconds * 1000);
            prop_assert_eq!(read_instant(seconds.to_string().as_bytes(), false), Some(seconds * 1000));
            prop_assert_eq!(read_instant(millis.as_bytes(), false), Some(seconds * 1000));
        }
    }
}
