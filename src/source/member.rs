//! A member of an archive, who takes it, and which are passed over.

use crate::error::{Error, ErrorKind, Result};
use crate::keys::{Folder, parse};

/// One member of an archive.
#[derive(Debug)]
pub struct Member {
    /// The path inside the archive.
    pub name: String,
    /// How many bytes of the archive it takes, about.
    pub stored: u64,
    /// Its bytes, or why they cannot be had.
    pub bytes: Result<Vec<u8>>,
}

/// Takes the members of an archive.
pub trait MemberSink {
    /// Is told how many bytes the next member has, before memory is taken for them.
    ///
    /// # Errors
    /// Whatever ends the reading of the archive.
    fn make_room(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Takes a member.
    ///
    /// # Errors
    /// Whatever ends the reading of the archive.
    fn take(&mut self, member: Member) -> Result<()>;
}

impl<F: FnMut(Member) -> Result<()>> MemberSink for F {
    fn take(&mut self, member: Member) -> Result<()> {
        self(member)
    }
}

/// What is wrong with an archive; unless it is with fetching it.
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

/// Hidden names, digests and other services' objects.
pub(super) fn is_passed_over(name: &str) -> bool {
    let is_hidden =
        name.split('/').any(|part| part.starts_with(['_', '.']) && !matches!(part, "." | ".."));
    is_hidden || matches!(parse(name).folder, Folder::Digest | Folder::Other)
}
