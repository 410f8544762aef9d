//! A folder of data files by a path without `=`.
//!
//! polars takes every part of a path that has a `=` for a partition, from the root on: it sets where partitions
//! begin by itself, and overwrites what it is told (`expand_paths_with_hive_update` of polars-plan 0.55.2). So
//! files of a folder such as `/data/env=prod/lake` are read through a symbolic link, which lies in a folder of
//! the user's own below that of temporary files and is removed with it.

use crate::error::{Error, Result};
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How many names are tried for the folder of the link.
const NAMES: u32 = 1000;

/// A folder, and the path by which polars is to read it.
#[derive(Debug)]
pub struct PlainFolder {
    /// Without `=`.
    path: PathBuf,
    /// What holds the link, if there is one.
    holder: Option<PathBuf>,
}

impl PlainFolder {
    /// Takes a folder, and makes a link to it if its path has a `=`.
    ///
    /// # Errors
    /// `Config` when the folder of temporary files has one too; `Io` when the link cannot be made.
    pub fn of(folder: &Path) -> Result<Self> {
        Self::linked_in(folder, &std::env::temp_dir())
    }

    fn linked_in(folder: &Path, temporary: &Path) -> Result<Self> {
        if !has_equals_sign(folder) {
            return Ok(Self { path: folder.to_owned(), holder: None });
        }
        let temporary = std::path::absolute(temporary).unwrap_or_else(|_| temporary.to_owned());
        if has_equals_sign(&temporary) {
            let message = "cannot query files whose folder has a `=` in its path: set TMPDIR to a \
                           folder without one";
            return Err(Error::config(message).at("folder", folder.display()));
        }
        let failed = |err: io::Error| {
            Error::io("cannot make a symbolic link to the data files", err)
                .at("folder", temporary.display())
        };
        let holder = make_holder(&temporary).map_err(failed)?;
        let path = holder.join("files");
        let out = Self { path, holder: Some(holder) };
        link(folder, &out.path).map_err(failed)?;
        Ok(out)
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PlainFolder {
    fn drop(&mut self) {
        if let Some(holder) = &self.holder {
            // What stays is an empty folder, or a link in one.
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_dir(holder);
        }
    }
}

fn has_equals_sign(path: &Path) -> bool {
    path.to_string_lossy().contains('=')
}

/// Makes a folder that nobody else can write to.
fn make_holder(temporary: &Path) -> io::Result<PathBuf> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let process = std::process::id();
    for number in 0..NAMES {
        let holder = temporary.join(format!("trailmill-query-{process}-{number}"));
        match builder.create(&holder) {
            Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| holder),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

#[cfg(unix)]
fn link(folder: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(folder, path)
}

#[cfg(not(unix))]
fn link(folder: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(folder, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_an_equals_sign_is_reached_by_a_link_that_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("env=prod");
        fs::create_dir(&odd).unwrap();
        fs::write(odd.join("file"), "text").unwrap();

        let plain = PlainFolder::linked_in(&odd, folder.path()).unwrap();
        let second = PlainFolder::linked_in(&odd, folder.path()).unwrap();

        assert!(!has_equals_sign(plain.path()) && plain.path() != second.path());
        assert_eq!(fs::read_to_string(plain.path().join("file")).unwrap(), "text");
        drop((plain, second));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the folder itself");
    }

    #[test]
    fn other_folders_are_read_as_they_are_and_no_link_is_made_where_it_would_not_help() {
        let folder = tempfile::tempdir().unwrap();
        let plain = PlainFolder::linked_in(folder.path(), folder.path()).unwrap();

        assert_eq!(plain.path(), folder.path());
        let odd = Path::new("/a=b");
        assert!(PlainFolder::linked_in(odd, odd).is_err());
    }
}
