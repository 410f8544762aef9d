//! Folders of a local lake that take each other's places in one step.
//!
//! Whoever walks the lake sees the one or the other, never both and never none. It is a system call of Linux
//! that not every file system has; without it there is no such step, and callers must do without.

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Kind, OWN, Storage};
use std::collections::BTreeSet;
use std::io::{Error as IoError, ErrorKind as IoKind};
use std::path::Path;

impl Storage {
    /// Makes sure that folders of a local lake can be exchanged, by doing it to two empty ones.
    ///
    /// # Errors
    /// `Config` where the file system cannot do it; `Io`.
    pub async fn require_exchange(&self) -> Result<()> {
        self.confirm().await?;
        let Kind::Folder(folder) = &self.0 else { return Ok(()) };
        let tried = folder.root.join(OWN).join("exchanged");
        let (one, other) = (tried.join("1"), tried.join("2"));
        let failed = |err| Error::io("cannot make a folder", err).at("folder", tried.display());
        std::fs::create_dir_all(&one).map_err(failed)?;
        std::fs::create_dir_all(&other).map_err(failed)?;
        let exchanged = exchange(&one, &other);
        std::fs::remove_dir_all(&tried).map_err(failed)?;
        exchanged.map_err(|err| {
            let message = "the lake's file system cannot exchange two folders in one step, and                            readers would see rows twice or not at all: compact the lake on a                            local Linux file system (ext4, xfs, btrfs, tmpfs)";
            Error::config(message).at("lake", folder.root.display()).because(err)
        })
    }

    /// Fills the folder `to` of a local lake with links to the files in `from`, except some by name.
    ///
    /// # Errors
    /// `Config` when `from` has folders in it, which cannot be linked; `Io`.
    pub async fn link_files(&self, from: &str, to: &str, except: &BTreeSet<String>) -> Result<()> {
        self.confirm().await?;
        let Kind::Folder(folder) = &self.0 else { return Ok(()) };
        let (source, target) = (folder.root.join(from), folder.root.join(to));
        let failed = |err| Error::io("cannot link a file", err).at("folder", from);
        std::fs::create_dir_all(&target).map_err(failed)?;
        for entry in std::fs::read_dir(&source).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if except.contains(&*name.to_string_lossy()) {
                continue;
            }
            if entry.file_type().map_err(failed)?.is_dir() {
                let message = "a folder lies in a partition's folder: move it elsewhere";
                return Err(Error::config(message).at("folder", entry.path().display()));
            }
            let link = target.join(&name);
            match std::fs::hard_link(entry.path(), &link) {
                Ok(()) => {}
                Err(err) if err.kind() == IoKind::AlreadyExists => {}
                Err(_) => std::fs::copy(entry.path(), &link).map(|_| ()).map_err(failed)?,
            }
        }
        Ok(())
    }

    /// Exchanges two folders of a local lake in one step that survives a loss of power from the next
    /// [`Storage::sync`] on.
    ///
    /// # Errors
    /// `Io` when it cannot be done; `Bug` for a bucket.
    pub async fn exchange(&self, one: &str, other: &str) -> Result<()> {
        self.confirm().await?;
        let Kind::Folder(folder) = &self.0 else {
            return Err(Error::new(ErrorKind::Bug, "a bucket has no folders to exchange"));
        };
        exchange(&folder.root.join(one), &folder.root.join(other))
            .map_err(|err| Error::io("cannot exchange two folders", err).at("folder", one))
    }
}

#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(IoError::from)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(IoError::from(IoKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folders_take_each_others_places_with_what_was_linked() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Storage::local(folder.path()).unwrap();
        for key in ["t/p=1/old", "t/p=1/kept", "n/new"] {
            lake.put_new(key, key.to_owned()).await.unwrap();
        }

        lake.require_exchange().await.unwrap();
        lake.link_files("t/p=1", "n", &["old".to_owned()].into()).await.unwrap();
        lake.exchange("t/p=1", "n").await.unwrap();

        let keys = |listed: Vec<crate::storage::Listed>| -> Vec<String> {
            listed.into_iter().map(|listed| listed.key).collect()
        };
        assert_eq!(keys(lake.list("t").await.unwrap()), ["t/p=1/kept", "t/p=1/new"]);
        assert_eq!(keys(lake.list("n").await.unwrap()), ["n/kept", "n/old"]);
        assert!(lake.list(OWN).await.unwrap().is_empty());
        lake.put_new("t/p=2/x/y", "").await.unwrap();
        let err = lake.link_files("t/p=2", "m", &BTreeSet::new()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Config);
    }
}
