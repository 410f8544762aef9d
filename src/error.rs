//! What went wrong, where, and what a caller may do about it.
//!
//! One opaque [`Error`], one word wide. Its kind says which reaction it calls for, its place says
//! which object, record, byte or field; the cause is kept apart and printed only by `cli`.
//! Record contents and secrets never enter a message.

use std::error::Error as StdError;
use std::fmt;

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds a caller reacts to differently. Two failures with one reaction share a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting, option or path is wrong; nothing was converted.
    Config,
    /// The input bytes are not what CloudTrail writes (gzip, JSON, envelope or field type).
    BadInput,
    /// The input or a value in it is over a limit the user set.
    OverLimit,
    /// Someone else holds the lake's lease or committed first.
    Busy,
    /// The run was asked to stop (SIGTERM, Ctrl-C) and did, after what was in flight was committed.
    Interrupted,
    /// A service throttles, is down, does not answer, or the credentials ran out, after every retry.
    Unavailable,
    /// A permission is missing; the message names it.
    Denied,
    /// Reading or writing failed: disk full, a folder that cannot be read.
    Io,
    /// What the lake holds contradicts what this crate wrote: a damaged manifest, a missing file.
    Damaged,
    /// A promise this crate made to itself is broken.
    Bug,
}

/// What the pipeline does with an error of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Set the object or record aside, count it, go on.
    Quarantine,
    /// Stop the run; what is committed stays; the same command may succeed later.
    TryLater,
    /// Stop the run; what is committed stays.
    Stop,
}

impl ErrorKind {
    /// Returns what the pipeline does with an error of this kind.
    pub fn reaction(self) -> Reaction {
        match self {
            Self::BadInput | Self::OverLimit => Reaction::Quarantine,
            Self::Busy | Self::Interrupted | Self::Unavailable => Reaction::TryLater,
            Self::Config | Self::Denied | Self::Io | Self::Damaged | Self::Bug => Reaction::Stop,
        }
    }
}

/// An error of this crate.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    place: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error whose message says what could not be done, in lower case, no full stop.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), place: Vec::new(), source: None }))
    }

    /// Creates an error about input that is not what CloudTrail writes.
    #[cold]
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadInput, message)
    }

    /// Creates an error about a setting that is wrong.
    #[cold]
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Creates an error about a read or write that failed.
    #[cold]
    pub fn io(
        message: impl Into<String>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(ErrorKind::Io, message).because(cause)
    }

    /// Adds where it happened: `at("object", key)`, `at("record", index)`, `at("byte", offset)`.
    #[must_use]
    pub fn at(mut self, what: &'static str, value: impl fmt::Display) -> Self {
        self.0.place.push((what, value.to_string()));
        self
    }

    /// Keeps the cause. It is shown by whoever prints the chain, never inside the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns the message without its places.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns a place that was added with [`Error::at`].
    pub fn place(&self, what: &str) -> Option<&str> {
        self.0.place.iter().find(|(name, _)| *name == what).map(|(_, value)| value.as_str())
    }

    /// Returns the kind, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (i, (what, value)) in self.0.place.iter().enumerate() {
            write!(f, "{}{what} {value}", if i == 0 { " (" } else { ", " })?;
        }
        if self.0.place.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        let mut cause = self.source();
        while let Some(err) = cause {
            write!(f, "\n  because {err}")?;
            cause = err.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind, Reaction};

    #[test]
    fn the_message_names_the_place_and_leaves_the_cause_to_the_chain() {
        let io = std::io::Error::new(std::io::ErrorKind::InvalidData, "corrupt deflate stream");
        let err = Error::bad_input("cannot gunzip object").at("object", "k.json.gz").because(io);

        assert_eq!(err.to_string(), "cannot gunzip object (object k.json.gz)");
        assert_eq!(
            format!("{err:?}"),
            "BadInput: cannot gunzip object (object k.json.gz)\n  because corrupt deflate stream"
        );
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn only_input_is_quarantined() {
        assert_eq!(ErrorKind::OverLimit.reaction(), Reaction::Quarantine);
        assert_eq!(ErrorKind::Busy.reaction(), Reaction::TryLater);
        assert_eq!(ErrorKind::Io.reaction(), Reaction::Stop);
    }
}
