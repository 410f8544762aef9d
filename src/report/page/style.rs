//! The style, and the policy that allows it and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The style of the page, light and dark, on screens and on paper.
pub(super) const STYLE: &str = include_str!("style.css");

/// Returns the content security policy: this style, and nothing else.
pub(super) fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
}
