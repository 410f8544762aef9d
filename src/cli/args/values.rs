//! Parsers of values, and defaults as texts.

use crate::error::{Error, Result};
use crate::location::Location;
use crate::units::ByteCount;
use clap::builder::{OsStr, OsStringValueParser, Resettable, TypedValueParser};

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

/// A default in MiB.
pub(in crate::cli) fn mebibytes(count: ByteCount) -> Resettable<OsStr> {
    Resettable::Value(format!("{}MiB", count.0 >> 20).into())
}

/// A default in MB.
pub(in crate::cli) fn megabytes(count: u64) -> Resettable<OsStr> {
    Resettable::Value(format!("{}MB", count / 1_000_000).into())
}
