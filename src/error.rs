//! What went wrong, where, and what a caller may do about it.
//!
//! One opaque [`Error`], one word wide. Its kind says which reaction it calls for, its [`Cause`] what
//! only a few callers react to; its place says for people which object, record, byte or field. The chain
//! of causes is kept apart and printed only by `cli`. Nobody searches the text of an error for its
//! meaning. Record contents and secrets never enter a message.

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
    /// The sources hold objects, and none that could be converted.
    NothingFound,
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
    /// Quarantine the object or record, count it, go on.
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
            Self::Config
            | Self::NothingFound
            | Self::Denied
            | Self::Io
            | Self::Damaged
            | Self::Bug => Reaction::Stop,
        }
    }
}

/// What happened, where a caller reacts to more than the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// An object that was listed is not there any more.
    Gone,
    /// An object has other bytes than when it was listed.
    Replaced,
    /// The credentials were good once; newer ones may be had.
    ExpiredCredentials,
}

/// An error of this crate.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    cause: Option<Cause>,
    place: Vec<(&'static str, String)>,
    byte: Option<u64>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error whose message says what could not be done, in lower case, no full stop.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (message, place) = (message.into(), Vec::new());
        Self(Box::new(Inner { kind, message, cause: None, place, byte: None, source: None }))
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

    /// Creates an error about an object that is not as it was listed, and stays so however long one waits.
    #[cold]
    pub fn changed(cause: Cause, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message).caused_by(cause)
    }

    /// Says what happened, see [`Cause`].
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Option<Cause>>) -> Self {
        self.0.cause = cause.into();
        self
    }

    /// Adds where it happened, for people: `at("object", key)`, `at("record", index)`. For an offset there
    /// is [`Error::at_byte`].
    #[must_use]
    pub fn at(mut self, what: &'static str, value: impl fmt::Display) -> Self {
        self.0.place.push((what, value.to_string()));
        self
    }

    /// Adds the offset at which it happened, in bytes.
    #[must_use]
    pub fn at_byte(mut self, offset: u64) -> Self {
        self.0.byte = Some(offset);
        self.at("byte", offset)
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

    /// Returns what happened, if a caller may react to it.
    pub fn cause(&self) -> Option<Cause> {
        self.0.cause
    }

    /// Returns whether an object is not as it was listed.
    pub fn is_changed(&self) -> bool {
        matches!(self.0.cause, Some(Cause::Gone | Cause::Replaced))
    }

    /// Returns the offset that was added with [`Error::at_byte`], in bytes.
    pub fn byte(&self) -> Option<u64> {
        self.0.byte
    }

    /// Returns the first error of a type in the chain of causes.
    pub fn find<T: StdError + 'static>(&self) -> Option<&T> {
        find(self)
    }

    /// Returns a place that was added with [`Error::at`], to say it again to people.
    pub fn place(&self, what: &str) -> Option<&str> {
        self.0.place.iter().find(|(name, _)| *name == what).map(|(_, value)| value.as_str())
    }

    /// Returns the kind, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

/// Returns the first of an error and its causes that is of a type.
pub fn find<'e, T: StdError + 'static>(err: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(err);
    while let Some(err) = next {
        if let Some(found) = err.downcast_ref() {
            return Some(found);
        }
        next = err.source();
    }
    None
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
    use super::{Cause, Error, ErrorKind, Reaction};

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
    fn what_happened_and_where_is_kept_as_a_value_and_shown_as_text() {
        let inner = Error::bad_input("unexpected byte").at("record", 3).at_byte(17);
        assert_eq!(inner.byte(), Some(17));
        assert_eq!(inner.to_string(), "unexpected byte (record 3, byte 17)");

        let io = std::io::Error::other(Error::changed(Cause::Replaced, "object was replaced"));
        let outer = Error::new(ErrorKind::Unavailable, "cannot read").because(io);

        assert_eq!((outer.cause(), outer.byte()), (None, None), "those of the causes are theirs");
        assert!(outer.find::<std::fmt::Error>().is_none());
        assert!(outer.find::<std::io::Error>().is_some());
        assert!(Error::changed(Cause::Gone, "gone").is_changed());
        assert!(!Error::config("x").caused_by(Cause::ExpiredCredentials).is_changed());
    }

    #[test]
    fn only_input_is_quarantined() {
        assert_eq!(ErrorKind::OverLimit.reaction(), Reaction::Quarantine);
        assert_eq!(ErrorKind::Busy.reaction(), Reaction::TryLater);
        assert_eq!(ErrorKind::Io.reaction(), Reaction::Stop);
    }
}
