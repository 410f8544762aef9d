//! Parsers of values, and defaults as texts.

use crate::error::{Error, Result};
use crate::location::Location;
use crate::units::ByteCount;
use clap::builder::{OsStr, OsStringValueParser, Resettable, StringValueParser, TypedValueParser};
use std::time::Duration;

/// Parses a path or an `s3://` address.
pub(in crate::cli) fn location() -> impl TypedValueParser<Value = Location> {
    OsStringValueParser::new().try_map(|text| Location::parse(&text))
}

/// Parses an AWS account ID.
///
/// # Errors
/// `Config` for anything but 12 digits.
pub(in crate::cli) fn account(text: &str) -> Result<String> {
    let is_account = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let wrong = || Error::config(format!("invalid account ID `{text}`: expected 12 digits"));
    is_account.then(|| text.to_owned()).ok_or_else(wrong)
}

/// Parses the name of an AWS region, whether it exists yet or not.
///
/// # Errors
/// `Config` for anything else, such as the name of an availability zone.
pub(in crate::cli) fn region(text: &str) -> Result<String> {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_number =
        |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let is_region = match parts.as_slice() {
        [words @ .., number] => words.len() >= 2 && words.iter().all(is_word) && is_number(number),
        [] => false,
    };
    let wrong =
        || Error::config(format!("invalid region `{text}`: expected a name such as us-east-1"));
    is_region.then(|| text.to_owned()).ok_or_else(wrong)
}

/// Parses the address of a service.
///
/// # Errors
/// `Config` for anything but a URL of HTTP.
pub(in crate::cli) fn endpoint(text: &str) -> Result<String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_host = |host: &str| !host.is_empty() && !host.starts_with(['/', ':']);
    let wrong = || {
        Error::config(format!(
            "invalid endpoint `{text}`: expected a URL such as https://host:port"
        ))
    };
    host.is_some_and(is_host).then(|| text.to_owned()).ok_or_else(wrong)
}

/// Parses a number that is more than zero.
///
/// # Errors
/// `Config` for anything else.
pub(in crate::cli) fn positive(text: &str) -> Result<f64> {
    number(text, |number| number > 0.0, "more than 0")
}

/// Parses a price.
///
/// # Errors
/// `Config` for anything but a number of at least zero.
pub(in crate::cli) fn dollars(text: &str) -> Result<f64> {
    number(text, |number| number >= 0.0, "at least 0, without a currency")
}

fn number(text: &str, is_good: impl Fn(f64) -> bool, wanted: &str) -> Result<f64> {
    let number: Option<f64> = text.parse().ok();
    let wrong = || Error::config(format!("invalid number `{text}`: expected {wanted}"));
    number.filter(|number| number.is_finite() && is_good(*number)).ok_or_else(wrong)
}

/// Parses a number of bytes of at least `least`.
pub(in crate::cli) fn bytes(least: u64) -> impl TypedValueParser<Value = ByteCount> {
    StringValueParser::new().try_map(move |text| {
        let count: ByteCount = text.parse()?;
        if count.0 >= least {
            return Ok(count);
        }
        Err(Error::config(format!(
            "expected at least {}, with a unit such as MB",
            ByteCount(least)
        )))
    })
}

/// Parses a length of time that is not zero.
///
/// # Errors
/// As [`duration`].
pub(in crate::cli) fn length_of_time(text: &str) -> Result<Duration> {
    let millis = duration(text)?.unsigned_abs();
    let none =
        || Error::config(format!("invalid length of time `{text}`: expected more than none"));
    (millis > 0).then(|| Duration::from_millis(millis)).ok_or_else(none)
}

/// A default in MB.
pub(in crate::cli) fn megabytes(count: u64) -> Resettable<OsStr> {
    Resettable::Value(format!("{}MB", count / 1_000_000).into())
}

/// Reads a length of time, as milliseconds.
///
/// # Errors
/// `Config` for anything but a number and a unit.
pub(in crate::cli) fn duration(text: &str) -> Result<i64> {
    let wrong = || {
        Error::config(format!("invalid length of time `{text}`: expected 90s, 30m, 12h, 3d or 2w"))
    };
    let unit = match text.chars().last() {
        Some('s') => 1_000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        Some('w') => 7 * 86_400_000,
        _ => return Err(wrong()),
    };
    let count: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let length = count.checked_mul(unit).filter(|length| *length >= 0);
    length.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_and_numbers_are_what_they_must_be() {
        for text in ["http://127.0.0.1:9", "https://s3.example/", "http://[::1]:80"] {
            assert_eq!(endpoint(text).unwrap(), text);
        }
        for text in ["", "s3.example", "https://", "ftp://x", "http:///x", "http://:80"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
        assert_eq!((positive("0.5").unwrap(), dollars("0").unwrap()), (0.5, 0.0));
        for text in ["0", "-1", "NaN", "inf", "two"] {
            assert!(positive(text).is_err(), "{text}");
        }
        for text in ["-0.1", "NaN", "$1"] {
            assert!(dollars(text).is_err(), "{text}");
        }
    }

    #[test]
    fn regions_have_words_and_a_number() {
        for name in
            ["us-east-1", "us-gov-west-1", "ap-southeast-7", "eusc-de-east-1", "us-iso-east-1"]
        {
            assert_eq!(region(name).unwrap(), name);
        }
        for name in
            ["", "mars-1", "us-east", "us-east-1a", "US-EAST-1", "us--1", "us-east-100", "eu"]
        {
            assert!(region(name).is_err(), "{name}");
        }
    }
}
