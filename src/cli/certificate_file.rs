//! Pages to file, in the format that the name of the file says.

use crate::cli::args::show_path;
use crate::error::{Error, Result};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;

/// Draws a page; it is told which program it is of.
pub(super) type Draw<'a> = &'a dyn Fn(&str) -> String;

/// Writes a certificate: HTML or JSON if the name ends so, else text; `version` is that of the program.
///
/// # Errors
/// `Io` when the file cannot be written.
pub(super) fn write_certificate(
    file: &Path,
    version: &str,
    (text, html): (Draw<'_>, Draw<'_>),
    mut json: Value,
) -> Result<()> {
    let program = format!("trailmill {version}");
    let page = match file.extension().and_then(OsStr::to_str) {
        Some("json") => {
            if let Some(fields) = json.as_object_mut() {
                fields.insert("program".to_owned(), Value::String(program));
            }
            format!("{json:#}\n")
        }
        Some("html" | "htm") => html(&program),
        _ => text(&program),
    };
    let failed = |err| Error::io("cannot write the certificate", err).at("path", show_path(file));
    std::fs::write(file, page).map_err(failed)
}
