//! A lake that must be there already.

use crate::error::{Error, Result};
use crate::lake::{Known, read_lock};
use crate::location::Location;
use crate::schema::Lock;
use crate::storage::{OWN, S3, Storage};

/// Opens a lake.
///
/// # Errors
/// `Config` where there is no lake; `Unavailable`, `Denied`, `Io`.
pub async fn open_lake(lake: &Location, s3: &S3) -> Result<Storage> {
    let is_absent =
        || Error::config("not a trailmill lake: `_trailmill/` not found").at("lake", lake);
    if lake.local().is_some_and(|folder| !folder.join(OWN).is_dir()) {
        return Err(is_absent());
    }
    let storage = Storage::open(lake, s3).await?;
    if lake.is_s3() && storage.is_empty(OWN).await? {
        return Err(is_absent());
    }
    Ok(storage)
}

/// Reads the schema lock of a lake.
///
/// # Errors
/// As for [`open_lake`]; `Damaged` for a lock that cannot be read.
pub async fn read_lake_lock(lake: &Location, s3: &S3) -> Result<Lock> {
    let storage = open_lake(lake, s3).await?;
    read_lock(&storage, &Known::read(&storage).await?.snapshot).await
}
