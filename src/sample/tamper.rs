//! Changes to a sample with digests, so that people see what each looks like to `trailmill integrity`.

use super::digests::WrittenChain;
use super::{Scratch, put_file};
use crate::error::{Error, ErrorKind, Result};
use libdeflater::Decompressor;
use std::path::{Path, PathBuf};

/// A change to the files of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// One digit in the content of a log is another one.
    EditLog,
    /// A log is removed.
    DeleteLog,
    /// A log is added.
    ForgeLog,
    /// A second gzip member follows that of a log.
    AppendLog,
    /// The end of a log is cut off.
    TruncateLog,
    /// Two logs have each other's content.
    SwapLogs,
    /// A log has another name.
    RenameLog,
    /// One digit in the content of a digest is another one.
    EditDigest,
    /// A digest is removed.
    DeleteDigest,
    /// Two digests in a row are removed.
    DeleteDigests,
    /// The three newest digests of a chain are removed.
    DeleteNewestDigests,
    /// An older digest takes the place of a newer one.
    ReplayDigest,
    /// The end of a digest is cut off.
    TruncateDigest,
}

/// Changes the files of a chain below a folder; returns the keys that changed.
pub(super) fn tamper(folder: &Path, chains: &[WrittenChain], kind: Tamper) -> Result<Vec<String>> {
    let largest = chains.iter().max_by_key(|chain| chain.logs.len());
    let enough = |chain: &&WrittenChain| chain.logs.len() >= 4 && chain.digests.len() >= 8;
    let Some(chain) = largest.filter(enough) else {
        return Err(Error::config(
            "the sample is too small to be tampered with: raise `--size` or `--days`",
        ));
    };
    // A digest in the middle, an older one, and a log and the next.
    let at = chain.digests.len() / 2;
    let (digest, older) = (&chain.digests[at], &chain.digests[at - 2]);
    let (log, next) = (&chain.logs[chain.logs.len() / 2], &chain.logs[chain.logs.len() / 2 + 1]);
    let path = |key: &String| folder.join(key);
    let changed = match kind {
        Tamper::EditLog => edit(&path(log)).map(|()| vec![log])?,
        Tamper::EditDigest => edit(&path(digest)).map(|()| vec![digest])?,
        Tamper::DeleteLog => remove(&path(log)).map(|()| vec![log])?,
        Tamper::DeleteDigest => remove(&path(digest)).map(|()| vec![digest])?,
        Tamper::TruncateLog => truncate(&path(log)).map(|()| vec![log])?,
        Tamper::TruncateDigest => truncate(&path(digest)).map(|()| vec![digest])?,
        Tamper::ForgeLog | Tamper::RenameLog => {
            let forged = log.replace(".json.gz", "x.json.gz");
            put_file(&path(&forged), &read(&path(log))?)?;
            if kind == Tamper::RenameLog {
                remove(&path(log))?;
            }
            return Ok(vec![forged]);
        }
        Tamper::AppendLog => {
            let mut scratch = Scratch::new();
            scratch.json.extend_from_slice(b"{\"Records\":[]}");
            let size = scratch.compress()?;
            put_file(&path(log), &[&read(&path(log))?, &scratch.gzip[..size]].concat())?;
            vec![log]
        }
        Tamper::SwapLogs => {
            let (one, other) = (read(&path(log))?, read(&path(next))?);
            put_file(&path(log), &other)?;
            put_file(&path(next), &one)?;
            vec![log, next]
        }
        Tamper::DeleteDigests => {
            let two = vec![digest, &chain.digests[at + 1]];
            two.iter().try_for_each(|key| remove(&path(key)))?;
            two
        }
        Tamper::DeleteNewestDigests => {
            let newest: Vec<&String> = chain.digests.iter().rev().take(3).collect();
            newest.iter().try_for_each(|key| remove(&path(key)))?;
            newest
        }
        Tamper::ReplayDigest => {
            put_file(&path(digest), &read(&path(older))?)?;
            vec![digest]
        }
    };
    Ok(changed.into_iter().cloned().collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|err| failed(path, err))
}

fn remove(path: &PathBuf) -> Result<()> {
    std::fs::remove_file(path).map_err(|err| failed(path, err))
}

fn truncate(path: &Path) -> Result<()> {
    let bytes = read(path)?;
    put_file(path, &bytes[..bytes.len() - bytes.len().min(9)])
}

fn failed(path: &Path, err: std::io::Error) -> Error {
    Error::io("cannot tamper with the sample", err).at("path", path.display())
}

/// Changes the last digit of the content.
fn edit(path: &Path) -> Result<()> {
    let packed = read(path)?;
    let size = packed.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let mut scratch = Scratch::new();
    scratch.json.resize(size, 0);
    Decompressor::new()
        .gzip_decompress(&packed, &mut scratch.json)
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot read the sample").because(err))?;
    if let Some(digit) = scratch.json.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
        *digit = if *digit == b'9' { b'0' } else { *digit + 1 };
    }
    let size = scratch.compress()?;
    put_file(path, &scratch.gzip[..size])
}
