//! Pipes as sources: what comes through one is kept in a file until it is converted.
//!
//! A pipe can be read once, and a conversion reads its objects where and when it has room for them. The file's
//! name and time follow from its bytes alone, so that the same bytes are the same object in every run: what was
//! converted is known, and a run that was killed is finished. The folder is readable by its owner only.

use crate::error::{Error, Result};
use crate::location::Location;
use std::fs::{self, DirBuilder, File};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Bytes that are copied at once.
const BLOCK: usize = 1 << 20;

/// What came through a pipe; the file is removed when this is dropped.
#[derive(Debug)]
pub struct KeptPipe {
    folder: PathBuf,
    path: PathBuf,
}

impl Drop for KeptPipe {
    fn drop(&mut self) {
        // Whatever stays is found by the next run with the same bytes.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Returns whether a source is a pipe: `-` for stdin, or a path that is neither a file nor a folder.
pub fn is_pipe(source: &Location) -> bool {
    let Some(path) = source.local() else { return false };
    path == Path::new("-") || fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// Keeps what comes through the pipes among the sources of a lake; returns the sources with files in their
/// places.
///
/// # Errors
/// `Config` for a terminal, an empty pipe and a folder for temporary files that is not safe, `Io` when a
/// pipe cannot be read or kept.
pub fn keep_pipes(
    sources: Vec<Location>,
    lake: &Location,
) -> Result<(Vec<Location>, Vec<KeptPipe>)> {
    let mut kept = Vec::new();
    let sources = sources.into_iter().map(|source| {
        let Some(path) = source.local().filter(|_| is_pipe(&source)) else { return Ok(source) };
        let pipe = keep(path, lake).map_err(|err| err.at("source", path.display()))?;
        let location = Location::from(pipe.path.clone());
        kept.push(pipe);
        Ok(location)
    });
    let sources = sources.collect::<Result<Vec<Location>>>()?;
    Ok((sources, kept))
}

fn keep(path: &Path, lake: &Location) -> Result<KeptPipe> {
    let cannot_read = |err| Error::io("cannot read the pipe", err);
    if path != Path::new("-") {
        return keep_bytes(File::open(path).map_err(cannot_read)?, lake);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::config("stdin is a terminal: expected bytes from a pipe or a file"));
    }
    keep_bytes(stdin.lock(), lake)
}

fn keep_bytes(mut pipe: impl Read, lake: &Location) -> Result<KeptPipe> {
    let cannot_keep = |err| {
        let message = "cannot keep what comes through the pipe: set TMPDIR to a folder with room";
        Error::io(message, err)
    };
    let folder = folder(lake)?;
    let temporary = folder.join(format!("{}.part", std::process::id()));
    let mut file = File::create(&temporary).map_err(cannot_keep)?;
    let (mut hash, mut size) = (Xxh3::new(), 0);
    let mut block = vec![0; BLOCK];
    loop {
        let count = match pipe.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(err) => {
                let _ = fs::remove_file(&temporary);
                return Err(Error::io("cannot read the pipe", err));
            }
        };
        let bytes = &block[..count];
        hash.update(bytes);
        size += count;
        if let Err(err) = file.write_all(bytes) {
            let _ = fs::remove_file(&temporary);
            return Err(cannot_keep(err));
        }
    }
    let path = folder.join(format!("{:032x}", hash.digest128()));
    let outcome = file.set_modified(UNIX_EPOCH).and_then(|()| fs::rename(&temporary, &path));
    let kept = KeptPipe { folder, path };
    outcome.map_err(cannot_keep)?;
    if size == 0 {
        return Err(Error::config("nothing came through the pipe"));
    }
    Ok(kept)
}

/// The folder of a lake's pipes, which nobody else may write to.
fn folder(lake: &Location) -> Result<PathBuf> {
    let unsafe_folder = |path: &Path| {
        let message = "the folder for what comes through pipes is not this user's alone: remove it, \
                       or set TMPDIR";
        Error::config(message).at("path", path.display())
    };
    let name = format!("trailmill-pipes-{:016x}", xxh3_64(lake.to_string().as_bytes()));
    let path = std::env::temp_dir().join(name);
    let cannot_make = |err| Error::io("cannot make a folder in TMPDIR", err);
    match private().create(&path) {
        Err(err) if err.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(cannot_make(err));
        }
        _ => {}
    }
    if !is_private(&path).map_err(cannot_make)? {
        return Err(unsafe_folder(&path));
    }
    path.canonicalize().map_err(cannot_make)
}

#[cfg(unix)]
fn private() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

#[cfg(not(unix))]
fn private() -> DirBuilder {
    DirBuilder::new()
}

/// Whether a path is a folder of this user that others cannot enter.
#[cfg(unix)]
fn is_private(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let probe = path.join(format!("{}.probe", std::process::id()));
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() || found.mode() & 0o077 != 0 {
        return Ok(false);
    }
    let owner = File::create(&probe)?.metadata()?.uid();
    fs::remove_file(&probe)?;
    Ok(owner == found.uid())
}

#[cfg(not(unix))]
fn is_private(path: &Path) -> std::io::Result<bool> {
    Ok(fs::symlink_metadata(path)?.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_the_same_file_and_none_is_left() {
        let lake = Location::from(tempfile::tempdir().unwrap().path().join("lake"));
        let first = keep_bytes(&b"{}"[..], &lake).unwrap();
        let (path, time) = (first.path.clone(), first.path.metadata().unwrap().modified().unwrap());
        drop(first);
        assert!(!path.exists() && !path.parent().unwrap().exists());

        let again = keep_bytes(&b"{}"[..], &lake).unwrap();

        assert_eq!(again.path, path);
        assert_eq!(again.path.metadata().unwrap().modified().unwrap(), time);
        assert_ne!(keep_bytes(&b"[]"[..], &lake).unwrap().path, path);
        assert!(keep_bytes(&b""[..], &lake).is_err());
    }
}
