//! Parts of the ledger, made again from the manifests that they sum up.

use crate::error::Result;
use crate::keys::parse as parse_layout;
use crate::lake::checkpoint::Part;
use crate::lake::ledger::{Entry, Month, SetAside, entry, entry_set_aside, group, judge, month};
use crate::lake::manifest::{Manifest, ObjectOutcome, ObjectRecord};
use crate::lake::whole;
use crate::notice::tell;
use crate::storage::Storage;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

/// Manifests that are read side by side.
const READS: usize = 16;

/// Which manifests a checkpoint's parts sum up, and how they are cut.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    /// How many bits of a shard tell parts apart.
    pub bits: u8,
    /// The number after the last unit.
    pub end: u64,
}

/// Returns the ledger's entries of a unit's objects.
pub(super) fn entries(manifest: &Manifest) -> impl Iterator<Item = (Month, Entry)> {
    let judge = judge(&manifest.settings);
    let named = manifest.objects.iter().filter(|object| !object.etag.is_empty());
    let named = named.map(move |object| {
        let layout = parse_layout(&object.key);
        let how = match &object.outcome {
            ObjectOutcome::Quarantined(_) => Some(SetAside::Quarantined),
            ObjectOutcome::Ignored(_) => Some(SetAside::Ignored),
            ObjectOutcome::Archive => how_members_ended(manifest),
            ObjectOutcome::Converted => None,
        };
        let ObjectRecord { key, etag, .. } = object;
        let entry = match how {
            Some(how) => entry_set_aside(&layout, key, etag, how, &judge),
            None => entry(&layout, key, etag),
        };
        (month(&layout), entry)
    });
    named.chain(
        manifest
            .recovered
            .iter()
            .filter_map(|(month, digits)| from_digits(digits).map(|entry| (*month, entry))),
    )
}

/// Returns how members of an archive ended that have no rows: then the archive is read again when they
/// would be, and what it has rows of is dropped as copies. Where copies are kept it would be doubled, and
/// is not read again.
fn how_members_ended(manifest: &Manifest) -> Option<SetAside> {
    if manifest.settings.contains(" duplicates=false ") {
        return None;
    }
    // An archive is a unit of its own, and members have no etag.
    let members = || manifest.objects.iter().filter(|object| object.etag.is_empty());
    let has_bad = members().any(|o| matches!(o.outcome, ObjectOutcome::Quarantined(_)));
    let has_foreign = members().any(|o| matches!(o.outcome, ObjectOutcome::Ignored(_)));
    match (has_bad, has_foreign) {
        (true, true) => Some(SetAside::Both),
        (true, false) => Some(SetAside::Quarantined),
        (false, true) => Some(SetAside::Ignored),
        (false, false) => None,
    }
}

/// Renders an entry as hexadecimal digits.
pub(super) fn to_digits(entry: &Entry) -> String {
    entry.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_digits(digits: &str) -> Option<Entry> {
    let mut entry = Entry::default();
    if digits.len() != 2 * entry.len() || !digits.is_ascii() {
        return None;
    }
    for (byte, at) in entry.iter_mut().zip((0..digits.len()).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(entry)
}

/// Makes a part's bytes again, if the manifests still come to them, and puts it back.
///
/// # Errors
/// `Damaged` when a manifest is missing or cannot be read; `Unavailable`, `Denied`, `Io`.
pub(super) async fn rebuild(storage: &Storage, part: &Part, cut: Cut) -> Result<Option<Bytes>> {
    let mut listed = whole::manifests(storage, 0, cut.end).await?;
    listed.truncate(cut.end as usize);
    let mut manifests = stream::iter(listed)
        .map(|listed| async move { Manifest::read(storage, &listed.key).await })
        .buffer_unordered(READS);
    let mut found = Vec::new();
    while let Some(manifest) = manifests.try_next().await? {
        let is_in =
            |month, entry: &Entry| month == part.month && group(entry[0], cut.bits) == part.group;
        found.extend(entries(&manifest).filter(|(month, e)| is_in(*month, e)).map(|(_, e)| e));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back_from_their_digits() {
        let entry: Entry = *b"\x00\x01abc\xffefgh\x10\x0f";
        assert_eq!(from_digits(&to_digits(&entry)), Some(entry));
        for other in ["", "00", "zz0000000000000000000000", "é00000000000000000000000"] {
            assert_eq!(from_digits(other), None, "{other}");
        }
    }
}
