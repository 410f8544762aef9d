//! Where things are: a path of this machine, or a prefix of a bucket.

use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A folder, a file, or everything under a prefix of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A path of this machine.
    Local(PathBuf),
    /// `s3://bucket/prefix`
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix, without a slash at its start; with one at its end only if it was given.
        prefix: String,
    },
}

impl Location {
    /// Returns the path of a local place.
    pub fn local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::S3 { .. } => None,
        }
    }

    /// Returns whether it is in S3.
    pub fn is_s3(&self) -> bool {
        matches!(self, Self::S3 { .. })
    }

    /// Reads what was typed: `s3://bucket/prefix`, or a path in any encoding.
    ///
    /// # Errors
    /// `Config` for an `s3://` address without a bucket, and for another scheme.
    pub fn parse(text: &OsStr) -> Result<Self> {
        let Some(address) = text.to_str() else { return Ok(Self::Local(text.into())) };
        let Some((scheme, rest)) = address.split_once("://") else {
            refuse_mistyped(address)?;
            return Ok(Self::Local(text.into()));
        };
        match scheme {
            "s3" | "s3a" | "s3n" => {}
            "file" => return Ok(Self::Local(rest.into())),
            _ => {
                let message = format!(
                    "unsupported scheme `{scheme}://`: expected a path or `s3://bucket/prefix`"
                );
                return Err(Error::config(message));
            }
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_allowed =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        if bucket.is_empty() {
            return Err(Error::config(format!("bucket name missing in `{address}`")));
        }
        if bucket.len() < 3 || !bucket.bytes().all(is_allowed) {
            let message = format!(
                "invalid bucket name `{bucket}` in `{address}`: expected at least 3 letters, digits, \
                 dots, hyphens"
            );
            return Err(Error::config(message));
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

/// Refuses addresses that would pass for paths.
fn refuse_mistyped(address: &str) -> Result<()> {
    let message = match address.get(..4).map(str::to_ascii_lowercase).as_deref() {
        Some("arn:") => "an ARN is not an address",
        Some("s3:/") => "a slash is missing",
        _ if address.eq_ignore_ascii_case("s3:") => "a slash is missing",
        _ => return Ok(()),
    };
    Err(Error::config(format!("{message} in `{address}`: expected a path or `s3://bucket/prefix`")))
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(OsStr::new(text))
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::Local(path)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths_are_told_apart() {
        let s3 = |bucket: &str, prefix: &str| Location::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        for (text, want) in [
            ("s3://logs", s3("logs", "")),
            ("s3://logs/", s3("logs", "")),
            ("s3a://my.logs/a//b/", s3("my.logs", "a//b/")),
            ("a/b", Location::Local("a/b".into())),
            ("file:///a/b", Location::Local("/a/b".into())),
        ] {
            assert_eq!(text.parse::<Location>().unwrap(), want, "{text}");
        }
        for wrong in [
            "s3://",
            "s3:///x",
            "s3:/logs/x",
            "s3:",
            "s3://a b/x",
            "arn:aws:s3:::logs/x",
            "https://logs.s3.amazonaws.com/x",
        ] {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
    }
}
