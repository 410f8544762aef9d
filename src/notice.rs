//! What a person should see at once, told by rooms that do not print.
//!
//! A document of the lake was damaged and has been made again: nothing is wrong any more, and the exit
//! code says so, but silence would hide that a disk or a person damages documents. Whoever runs the
//! rooms says where notices go; without that they go nowhere.

use std::sync::OnceLock;

static TELL: OnceLock<fn(&str)> = OnceLock::new();

/// Says where notices go; the first caller decides.
pub fn tell_with(tell: fn(&str)) {
    let _ = TELL.set(tell);
}

/// Tells a person something: names of documents, never their contents.
pub fn tell(message: &str) {
    if let Some(tell) = TELL.get() {
        tell(message);
    }
}
