//! How an archive is packed, by its first bytes.

use crate::source::tar_members::is_tar;

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tar,
    Zip,
    SevenZ,
}

impl Kind {
    /// Decides by the first bytes.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            _ if is_zip(head) => Some(Self::Zip),
            _ if is_sevenz(head) => Some(Self::SevenZ),
            _ if is_tar(head) => Some(Self::Tar),
            _ => None,
        }
    }
}

/// Whether a file begins as zips do, an empty or the first part of a split one included.
pub(super) fn is_zip(head: &[u8]) -> bool {
    [&b"PK\x03\x04"[..], b"PK\x05\x06", b"PK\x07\x08PK\x03\x04"]
        .iter()
        .any(|magic| head.starts_with(magic))
}

/// Whether a file begins as 7z archives do.
pub(super) fn is_sevenz(head: &[u8]) -> bool {
    head.starts_with(b"7z\xbc\xaf\x27\x1c")
}
