//! What was read for an answer, for people.

use crate::units::{counted, grouped};

/// Says how many of a lake's files were read, how large they are where that is known, and what had to be
/// fetched.
pub(super) fn read_text(read: u64, files: u64, bytes: Option<u64>, fetched: u64) -> String {
    let mut text = format!("{} of {} read", grouped(read), counted(files, "file"));
    if let Some(bytes) = bytes {
        text += &format!(", {}", counted(bytes, "byte"));
    }
    if fetched > 0 {
        text += &format!(", {} fetched", counted(fetched, "byte"));
    }
    text
}
