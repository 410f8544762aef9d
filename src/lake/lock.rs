//! Versions of the schema lock, as the lake keeps them.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::document::{self, to_json};
use crate::lake::names::{self, Folder};
use crate::schema::Lock;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};

/// A version of the schema lock, as manifests and plans name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockName {
    /// Versions count up; 0 where there is none.
    pub version: u32,
    /// The hash of its contents.
    pub hash: String,
}

/// Reads a version of the schema lock.
///
/// # Errors
/// `Damaged` when the version is absent or cannot be read, `Config` for another format.
pub async fn read_lock_version(storage: &Storage, name: &LockName) -> Result<Lock> {
    let key = names::lock(name.version, &name.hash);
    let message = "schema lock is gone or damaged: put it back from a backup or an earlier version of \
                   the object; nothing else says which columns the files were written with";
    let damaged = || Error::new(ErrorKind::Damaged, message).at("key", &key);
    let bytes = storage.read(&key).await?.ok_or_else(damaged)?;
    let lock = document::parse(&key, &bytes).map_err(|err| match err.kind() {
        ErrorKind::Damaged => damaged().because(err),
        _ => err,
    })?;
    if hash_of(&bytes) == name.hash { Ok(lock) } else { Err(damaged()) }
}

/// Writes a version of the schema lock; returns its name.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`; `Damaged` when other bytes have its name.
pub async fn write_lock(storage: &Storage, lock: &Lock) -> Result<LockName> {
    let bytes = to_json(lock)?;
    let name = LockName { version: lock.version, hash: hash_of(&bytes) };
    storage.put_once(&names::lock(name.version, &name.hash), bytes).await?;
    Ok(name)
}

fn hash_of(bytes: &[u8]) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes))
}

/// Finds the one lock of a version.
///
/// # Errors
/// `Damaged` when there is none, or more than one; `Unavailable`, `Denied`, `Io`.
pub(super) async fn find_lock(storage: &Storage, version: u32) -> Result<LockName> {
    let listed = storage.list(&Folder::Schema.path()).await?;
    let found = listed.iter().filter_map(|listed| names::lock_of(&listed.key));
    let hashes: Vec<&str> =
        found.filter(|(found, _)| *found == version).map(|(_, hash)| hash).collect();
    match &hashes[..] {
        [hash] => Ok(LockName { version, hash: (*hash).to_owned() }),
        _ => {
            let message = "files of a unit whose manifest is lost were written with a schema lock that \
                           is gone, or is one of several: put the manifest back from a backup";
            Err(Error::new(ErrorKind::Damaged, message).at("locks", names::lock(version, "*")))
        }
    }
}
