//! Members of archives: the sink that takes them, and the members that are passed over.

use crate::error::{Error, ErrorKind, Result};
use crate::keys::{Folder, parse};

/// One member of an archive.
#[derive(Debug)]
pub struct Member {
    /// The path inside the archive.
    pub name: String,
    /// Its approximate bytes in the archive.
    pub stored: u64,
    /// Its bytes, or the reason why they cannot be read.
    pub bytes: Result<Vec<u8>>,
}

/// Takes the members of an archive.
pub trait MemberSink {
    /// Makes room for the next member, called before its memory is allocated.
    ///
    /// # Errors
    /// Any error; it ends the reading of the archive.
    fn make_room(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Takes a member.
    ///
    /// # Errors
    /// Any error; it ends the reading of the archive.
    fn take(&mut self, member: Member) -> Result<()>;
}

impl<F: FnMut(Member) -> Result<()>> MemberSink for F {
    fn take(&mut self, member: Member) -> Result<()> {
        self(member)
    }
}

/// The error for a damaged archive; an error of ours from fetching it is kept.
pub(super) fn damaged(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&err);
    while let Some(err) = cause {
        let io = err.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(ours) = io.and_then(|err| err.downcast_ref::<Error>()) {
            return Error::new(ours.kind(), ours.to_string());
        }
        if err.downcast_ref::<std::io::Error>().is_some_and(|err| err.raw_os_error().is_some()) {
            return Error::new(ErrorKind::Io, format!("cannot be read: {err}"));
        }
        cause = err.source();
    }
    Error::bad_input("archive is damaged or truncated").because(err)
}

/// Returns whether a member is hidden, a digest or another service's object.
pub(super) fn is_passed_over(name: &str) -> bool {
    let is_hidden =
        name.split('/').any(|part| part.starts_with(['_', '.']) && !matches!(part, "." | ".."));
    is_hidden || matches!(parse(name).folder, Folder::Digest | Folder::Other)
}
