//! Exit codes.

use crate::error::{Error, ErrorKind, Reaction};

/// All records converted.
pub const EXIT_OK: u8 = 0;
/// Finished; some input was quarantined, the sources hold no logs, or a comparison found differences.
pub const EXIT_INCOMPLETE: u8 = 1;
/// Wrong usage or configuration; nothing was converted.
pub const EXIT_USAGE: u8 = 2;
/// Stopped by an error that the same command would meet again.
pub const EXIT_STOPPED: u8 = 3;
/// Stopped by something that passes: the lease is held, the run was interrupted.
pub const EXIT_TRY_LATER: u8 = 75;

/// Returns the exit code of an error.
pub(super) fn exit_code(err: &Error) -> u8 {
    match (err.kind(), err.kind().reaction()) {
        (ErrorKind::Config, _) => EXIT_USAGE,
        (ErrorKind::NothingFound, _) => EXIT_INCOMPLETE,
        (_, Reaction::TryLater) => EXIT_TRY_LATER,
        _ => EXIT_STOPPED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_exit_codes() {
        for (kind, code) in [
            (ErrorKind::Config, 2),
            (ErrorKind::NothingFound, 1),
            (ErrorKind::Busy, 75),
            (ErrorKind::Interrupted, 75),
            (ErrorKind::Io, 3),
            (ErrorKind::BadInput, 3),
        ] {
            assert_eq!(exit_code(&Error::new(kind, "x")), code);
        }
    }
}
