//! Whether a place may become a lake: what is there already must be one, or nothing.
//!
//! Who forgets the lake's argument names a second source in its place, and evidence must not be written
//! into. Who has lost `_trailmill` has data files that no run knows of, and would have all rows twice.

use crate::engine::ConvertOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::family::tables;
use crate::lake::{Known, refuse_forgotten, refuse_missing};
use crate::location::Location;
use crate::storage::{OWN, Storage};
use std::path::{Path, PathBuf};

/// Makes sure, before anything is written, that the lake is one, or that nothing is there.
///
/// # Errors
/// `Config` when something else is there; `Unavailable`, `Denied`, `Io`.
pub(super) async fn check_target(options: &ConvertOptions) -> Result<()> {
    match &options.lake {
        Location::Local(folder) => match check_folder(folder, options) {
            // Another run may have begun the lake after `_trailmill/` was looked for.
            Err(err) if err.kind() == ErrorKind::Config => check_folder(folder, options),
            checked => checked,
        },
        // A bucket is opened without writing to it.
        lake @ Location::S3 { .. } => {
            let storage = Storage::open(lake, &options.s3).await?;
            if !storage.is_empty(OWN).await? {
                return Ok(());
            }
            match refusal(&storage, options).await? {
                // As in a folder: another run may have begun the lake since.
                Some(refusal) if storage.is_empty(OWN).await? => Err(refusal),
                _ => Ok(()),
            }
        }
    }
}

/// Returns why a bucket without `_trailmill/` cannot become a lake, unless it can.
async fn refusal(storage: &Storage, options: &ConvertOptions) -> Result<Option<Error>> {
    for table in tables(&options.output.table) {
        if !storage.is_empty(&table).await? {
            return Ok(Some(holds_data(&options.lake, &table)));
        }
    }
    let is_free = options.into_existing || storage.has_nothing().await?;
    Ok((!is_free).then(|| not_a_lake(&options.lake)))
}

fn check_folder(folder: &Path, options: &ConvertOptions) -> Result<()> {
    let cannot = |err| Error::io("cannot list the lake's folder", err).at("lake", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        // What is no folder is refused where it is opened.
        Err(err) if err.kind() == std::io::ErrorKind::NotADirectory => return Ok(()),
        Err(err) => return Err(cannot(err)),
    };
    if is_begun(&folder.join(OWN)).map_err(cannot)? {
        return Ok(());
    }
    let tables = tables(&options.output.table);
    let mut is_empty = true;
    for entry in entries {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if tables.iter().any(|table| *table == name) {
            if has_file(entry.path()).map_err(cannot)? {
                return Err(holds_data(&options.lake, &name));
            }
            // Folders of files that a run has removed.
            continue;
        }
        // A file system's own, and a desktop's.
        is_empty &= name == OWN || name == "lost+found" || name.starts_with('.');
    }
    if is_empty || options.into_existing { Ok(()) } else { Err(not_a_lake(&options.lake)) }
}

/// Returns whether a run has written anything there: the lease alone is none.
fn is_begun(own: &Path) -> std::io::Result<bool> {
    let entries = match std::fs::read_dir(own) {
        Ok(entries) => entries,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(err) => return Err(err),
    };
    for entry in entries {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        if is_folder && std::fs::read_dir(entry.path())?.next().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_file(place: PathBuf) -> std::io::Result<bool> {
    let mut folders = vec![place];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                return Ok(true);
            }
            folders.push(entry.path());
        }
    }
    Ok(false)
}

fn not_a_lake(lake: &Location) -> Error {
    let message = "not a trailmill lake, and not empty: `_trailmill/` not found; the lake is the \
                   last argument, and `--into-existing` creates a lake beside existing files";
    Error::config(message).at("lake", lake)
}

fn holds_data(lake: &Location, table: &str) -> Error {
    let message = "not a trailmill lake, and its tables' folders are not empty: `_trailmill/` is \
                   missing, and existing rows would be doubled; put it back from a backup, or \
                   convert into another place";
    Error::config(message).at("lake", lake).at("folder", table)
}

/// Makes sure that the manifests of a lake are there, and that one without any never had one.
///
/// # Errors
/// `Damaged` when manifests are missing; `Unavailable`, `Denied`, `Io`.
pub(super) async fn check_known(storage: &Storage, known: &Known) -> Result<()> {
    match known.snapshot.next_number() {
        0 => refuse_forgotten(storage).await,
        end => refuse_missing(storage, end).await,
    }
}
