//! One writer per lake at a time.
//!
//! On a file system the lease is an advisory lock: it ends with its holder, also when the holder is
//! killed, so that the next run need not wait for anything to expire.

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{OWN, Storage};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};

/// The right to write to a lake; ends when it is dropped.
#[derive(Debug)]
pub struct Lease {
    file: File,
}

impl Lease {
    /// Takes the lease of a local lake.
    ///
    /// # Errors
    /// `Busy` when another run holds it; the message names the holder.
    pub fn take(storage: &Storage) -> Result<Self> {
        let folder = storage.root().join(OWN);
        let path = folder.join("lease.json");
        let io = |err| Error::io("cannot take the lake's lease", err).at("path", path.display());
        std::fs::create_dir_all(&folder).map_err(io)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("another run is writing to this lake: {}", holder.trim()),
                )
                .at("lake", storage.root().display()));
            }
            Err(TryLockError::Error(err)) => return Err(io(err)),
        }
        let holder = serde_json::json!({ "pid": std::process::id(), "host": host() });
        file.set_len(0).and_then(|()| writeln!(file, "{holder}")).map_err(io)?;
        Ok(Self { file })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing the file would do; this makes the order plain.
        let _ = self.file.unlock();
    }
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_holds_the_lake() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let lease = Lease::take(&storage).unwrap();

        let err = Lease::take(&storage).unwrap_err();

        assert_eq!(err.kind(), ErrorKind::Busy);
        assert!(err.to_string().contains(&std::process::id().to_string()), "{err}");
        drop(lease);
        Lease::take(&storage).unwrap();
    }
}
