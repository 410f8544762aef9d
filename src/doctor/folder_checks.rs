//! Sources and lakes in folders of this machine.

use super::{Doctor, Outcome, random_name};
use crate::storage::OWN;
use crate::units::ByteCount;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Warn below this free space: 1 GiB.
const LITTLE_SPACE: u64 = 1 << 30;

/// Number of files and folders of a source that are checked.
const MOST_LOOKED_AT: usize = 10_000;

impl Doctor<'_> {
    /// Checks a folder or file to be read.
    pub(super) fn source_folder(&mut self, path: &Path) {
        let place = path.display().to_string();
        if let Err(err) = path.metadata() {
            self.note(outcome_of(&err), "source", &place, format!("cannot be opened: {err}"));
            return self.fix("check the path and the permissions of the folders above it");
        }
        let is_hidden =
            |name: &std::ffi::OsStr| matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'));
        let walk = WalkDir::new(path).follow_links(true).into_iter();
        let mut entries = walk.filter_entry(|e| e.depth() == 0 || !is_hidden(e.file_name()));
        let first = entries.find_map(|entry| match entry {
            Ok(entry) if entry.file_type().is_file() => Some(Ok(entry.into_path())),
            Ok(_) => None,
            Err(err) => err
                .io_error()
                .filter(|e| e.kind() == ErrorKind::PermissionDenied)
                .map(|_| Err(err.path().unwrap_or(path).display().to_string())),
        });
        match first {
            None => {
                self.note(
                    Outcome::Warning,
                    "source",
                    &place,
                    "listed the source: nothing is there",
                );
            }
            Some(Err(folder)) => {
                self.note(Outcome::Missing, "source", &folder, "the folder cannot be listed");
                self.fix("grant yourself read access: chmod u+rx");
            }
            Some(Ok(file)) => match File::open(&file).and_then(|mut file| file.read(&mut [0])) {
                Ok(_) => {
                    self.ok("source", &place, "listed it and read a byte of the first file");
                    self.unreadable(path, &place);
                }
                Err(err) => {
                    let place = file.display().to_string();
                    self.note(outcome_of(&err), "source", &place, format!("cannot be read: {err}"));
                    self.fix("grant yourself read access: chmod u+r");
                }
            },
        }
    }

    /// Says how many of the first files and folders may not be read.
    fn unreadable(&mut self, path: &Path, place: &str) {
        let is_denied = |err: &std::io::Error| err.kind() == ErrorKind::PermissionDenied;
        let walk = WalkDir::new(path).follow_links(true).into_iter().take(MOST_LOOKED_AT);
        let denied = walk.filter(|entry| match entry {
            Ok(entry) if entry.file_type().is_file() => {
                File::open(entry.path()).is_err_and(|err| is_denied(&err))
            }
            Ok(_) => false,
            Err(err) => err.io_error().is_some_and(is_denied),
        });
        let count = denied.count();
        if count > 0 {
            let what = if count == 1 { "file or folder" } else { "files or folders" };
            let detail = format!("{count} {what} may not be read, and will be left out");
            self.note(Outcome::Warning, "source", place, detail);
            self.fix("grant yourself read access: chmod -R u+rX");
        }
    }

    /// Checks a folder to be written; if the lake does not exist yet, its parent folder.
    pub(super) fn lake_folder(&mut self, path: &Path) {
        let place = path.display().to_string();
        let Some(there) = nearest_folder(path) else {
            self.note(
                Outcome::Failed,
                "lake",
                &place,
                "not a folder, and no folder can be created \
                                                        there",
            );
            return self.fix("give another path");
        };
        let is_lake = there == path;
        let own = path.join(OWN);
        let had_own = own.is_dir();
        let parent = if is_lake { own.clone() } else { there.clone() };
        let probe = parent.join(format!(".{}", random_name()));
        match std::fs::create_dir_all(&probe) {
            Ok(()) => {
                let where_to = if is_lake { "in it" } else { "in its parent folder" };
                self.ok("lake", &place, format!("created a folder {where_to}"));
                self.file_system(&probe, &place);
            }
            Err(err) => {
                self.note(outcome_of(&err), "lake", &place, format!("cannot be written: {err}"));
                self.fix(format!(
                    "grant yourself write access to {}: chmod u+rwx",
                    there.display()
                ));
            }
        }
        if let Err(err) = std::fs::remove_dir_all(&probe)
            && err.kind() != ErrorKind::NotFound
        {
            let place = probe.display().to_string();
            self.note(
                Outcome::Warning,
                "lake",
                &place,
                format!(
                    "the probe could not be removed: \
                                                            {err}"
                ),
            );
        }
        if is_lake && !had_own {
            // Only if no other file was added to it.
            let _ = std::fs::remove_dir(&own);
        }
        self.space(&there, &place);
        if is_lake {
            self.partitions_of_folder(path, &place);
        }
    }

    /// Checks that the file system supports what commits and the lease depend on.
    fn file_system(&mut self, folder: &Path, place: &str) {
        let (a, b) = (folder.join("a"), folder.join("b"));
        let written = File::create(&a).and_then(|mut file| {
            file.write_all(b"probe")?;
            file.sync_all()
        });
        if let Err(err) = written {
            return self.note(
                outcome_of(&err),
                "write",
                place,
                format!("cannot write a file: {err}"),
            );
        }
        self.ok("write", place, "wrote a file to disk");
        let linked = std::fs::hard_link(&a, &b);
        let again = std::fs::hard_link(&a, &b).map_err(|err| err.kind());
        match (linked, again) {
            (Ok(()), Err(ErrorKind::AlreadyExists)) => {
                self.ok("put if absent", place, "a second file of one name was refused");
            }
            (linked, _) => {
                let why = linked.err().map(|err| format!(": {err}")).unwrap_or_default();
                let detail = format!(
                    "the file system does not support hard links, which commits \
                                      need{why}"
                );
                self.note(Outcome::Failed, "put if absent", place, detail);
                self.fix("put the lake on a local disk or on NFS");
            }
        }
        match std::fs::rename(&a, folder.join("c")) {
            Ok(()) => self.ok("rename", place, "renamed a file"),
            Err(err) => {
                self.note(outcome_of(&err), "rename", place, format!("cannot rename: {err}"));
            }
        }
        self.lock(&b, place);
    }

    fn lock(&mut self, file: &Path, place: &str) {
        let open = || File::options().read(true).write(true).open(file);
        let tried = open().and_then(|first| {
            first.try_lock().map_err(|err| match err {
                TryLockError::Error(err) => err,
                TryLockError::WouldBlock => ErrorKind::WouldBlock.into(),
            })?;
            let second = open()?;
            let is_refused = matches!(second.try_lock(), Err(TryLockError::WouldBlock));
            first.unlock()?;
            Ok(is_refused)
        });
        match tried {
            Ok(true) => return self.ok("lock", place, "a second lock of a file was refused"),
            Ok(false) => {
                let detail = "a file can be locked twice: two runs could write at once";
                self.note(Outcome::Failed, "lock", place, detail);
            }
            Err(err) => {
                self.note(
                    Outcome::Failed,
                    "lock",
                    place,
                    format!("a file cannot be locked: {err}"),
                );
            }
        }
        self.fix("put the lake on a file system with locks");
    }

    #[cfg(unix)]
    fn space(&mut self, folder: &Path, place: &str) {
        match rustix::fs::statvfs(folder) {
            Ok(found) => {
                let free = found.f_bavail.saturating_mul(found.f_frsize);
                let detail = format!("{} free", ByteCount(free));
                if free >= LITTLE_SPACE {
                    return self.ok("disk space", place, detail);
                }
                self.note(Outcome::Warning, "disk space", place, detail);
                self.fix("a lake takes about as much as its gzipped logs");
            }
            Err(err) => self.skip("disk space", place, format!("not known: {err}")),
        }
    }

    #[cfg(not(unix))]
    fn space(&mut self, _folder: &Path, place: &str) {
        self.skip("disk space", place, "not known on this system");
    }
}

fn outcome_of(err: &std::io::Error) -> Outcome {
    match err.kind() {
        ErrorKind::PermissionDenied => Outcome::Missing,
        _ => Outcome::Failed,
    }
}

/// The folder itself, or its nearest existing parent.
fn nearest_folder(path: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(path).ok()?;
    for (depth, folder) in whole.ancestors().enumerate() {
        match folder.metadata() {
            Ok(found) if found.is_dir() => {
                return Some(if depth == 0 { path.to_owned() } else { folder.to_owned() });
            }
            Ok(_) => return None,
            Err(err) if err.kind() == ErrorKind::NotFound => {}
            Err(_) => return Some(folder.to_owned()),
        }
    }
    None
}
