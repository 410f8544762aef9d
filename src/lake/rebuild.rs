//! Parts of the ledger, read, and made again from the manifests that they sum up.

use crate::error::Result;
use crate::lake::entry::{Entry, group};
use crate::lake::manifest::Manifest;
use crate::lake::part::{Cut, Part, damaged};
use crate::lake::whole;
use crate::notice::tell;
use crate::storage::Storage;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

/// Manifests that are read side by side.
const READS: usize = 16;

/// Makes a part's bytes again, if the manifests still come to them, and puts it back.
///
/// # Errors
/// `Damaged` when a manifest is missing or cannot be read; `Unavailable`, `Denied`, `Io`.
async fn rebuild(storage: &Storage, part: &Part, cut: Cut) -> Result<Option<Bytes>> {
    let mut listed = whole::manifests(storage, 0, cut.end).await?;
    listed.truncate(cut.end as usize);
    let mut manifests = stream::iter(listed)
        .map(|listed| async move { Manifest::read(storage, &listed.key).await })
        .buffer_unordered(READS);
    let mut found = Vec::new();
    while let Some(manifest) = manifests.try_next().await? {
        let is_in =
            |month, entry: &Entry| month == part.month && group(entry[0], cut.bits) == part.group;
        found.extend(manifest.entries().filter(|(month, e)| is_in(*month, e)).map(|(_, e)| e));
    }
    found.sort_unstable();
    found.dedup();
    let bytes = Bytes::copy_from_slice(found.as_flattened());
    if !part.is(&bytes) {
        return Ok(None);
    }
    let key = part.key();
    // Who may only read goes on with what is in memory.
    let is_put = storage.put_hashed(&key, bytes.clone()).await.is_ok();
    let how = if is_put { "rebuilt" } else { "read" };
    tell(&format!("the part {key} of the ledger is damaged and was {how} from all manifests"));
    Ok(Some(bytes))
}

/// Reads a part, and makes sure that it is the one; it is made again if not.
///
/// # Errors
/// `Damaged` when it is not what was written, and the manifests do not come to it.
pub(super) async fn read_part(storage: &Storage, part: &Part, cut: Cut) -> Result<Bytes> {
    let key = part.key();
    let bytes = storage.read(&key).await?.unwrap_or_default();
    if part.is(&bytes) {
        return Ok(bytes);
    }
    rebuild(storage, part, cut).await?.ok_or_else(|| damaged(&key))
}
