//! The key of a lake's fingerprints.
//!
//! It is drawn at random when the lake is made, and is durable before the first unit begins. Without
//! it no copy would be recognized, so every document of fingerprints has it too: one that is gone is
//! taken from there. It is no secret among those who may read the lake; those who only deliver logs do
//! not know it, and cannot make two records that pass for one.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::document::{self, to_json};
use crate::lake::names;
use crate::lake::unit::{UnitId, UnitsOfDay};
use crate::storage::{Put, Storage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A lake's key; see the module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CopyKey([u8; 32]);

impl std::fmt::Debug for CopyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CopyKey(..)")
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    /// 64 hexadecimal digits.
    key: String,
}

/// What a unit's document of fingerprints begins with: what it is, and its version. The key follows.
const MAGIC: [u8; 8] = *b"tmcopy\0\x01";

impl CopyKey {
    /// Returns the key's bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns what a unit's document of fingerprints begins with.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&self.0);
        head
    }

    /// Splits a unit's document of fingerprints into its key and the rest.
    pub(super) fn split(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or_else(damaged_copies)?;
        let (key, rest) = rest.split_first_chunk().ok_or_else(damaged_copies)?;
        Ok((Self(*key), rest))
    }

    /// Returns the key that a unit's document of fingerprints was made with.
    ///
    /// # Errors
    /// `Damaged` when it is no such document.
    pub fn of_copies(bytes: &[u8]) -> Result<Self> {
        Self::split(bytes).map(|(key, _)| key)
    }

    /// Reads the lake's key, for its one writer: makes one in a new lake, and restores one that is gone or
    /// damaged. Returns also whether it was restored.
    ///
    /// # Errors
    /// `Config` for a document of a newer version, `Damaged` when the key is gone and nothing has it
    /// any more, `Io` when the system has no random bytes or the store fails.
    pub async fn read_or_make(storage: &Storage, units: &UnitsOfDay) -> Result<(Self, bool)> {
        let (there, is_damaged) = match Self::find(storage).await {
            Err(err) if err.kind() == ErrorKind::Damaged => (None, true),
            found => (found?, false),
        };
        if let Some(key) = there {
            return Ok((key, false));
        }
        let (key, is_restored) = match Self::of_units(storage, units).await? {
            Some(key) => (key, true),
            None => (Self::random()?, false),
        };
        let hex = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let document = to_json(&Document { key: hex })?;
        if is_damaged {
            storage.put_over(&names::copy_key(), document).await?;
        } else if storage.put_new(&names::copy_key(), document).await? == Put::Differs {
            return Ok((Self::read(storage).await?, false));
        }
        Ok((key, is_restored))
    }

    /// Reads the lake's key, which is there.
    ///
    /// # Errors
    /// `Damaged` when it is not, `Config` for a document of a newer version.
    pub async fn read(storage: &Storage) -> Result<Self> {
        Self::find(storage).await?.ok_or_else(|| {
            let message = "the key of the lake's fingerprints is gone; the next `trailmill plan` or \
                           `convert` restores it, once this plan is discarded";
            Error::new(ErrorKind::Damaged, message).at("key", names::copy_key())
        })
    }

    async fn find(storage: &Storage) -> Result<Option<Self>> {
        let Some(bytes) = storage.read(&names::copy_key()).await? else { return Ok(None) };
        let damaged = || {
            let message = "the key of the lake's fingerprints is damaged";
            Error::new(ErrorKind::Damaged, message).at("key", names::copy_key())
        };
        let document: Document =
            document::parse(&names::copy_key(), &bytes).map_err(|err| match err.kind() {
                ErrorKind::Damaged => damaged().because(err),
                _ => err,
            })?;
        from_hex(&document.key).map(|key| Some(Self(key))).ok_or_else(damaged)
    }

    /// The key in the fingerprints of the newest unit that still has any; nothing if no unit ever had.
    async fn of_units(storage: &Storage, units: &UnitsOfDay) -> Result<Option<Self>> {
        let units: BTreeSet<&UnitId> = units.values().flatten().map(|(unit, _)| unit).collect();
        for unit in units.iter().rev() {
            let bytes = storage.read(&names::copies(unit)).await?.unwrap_or_default();
            if let Ok(key) = CopyKey::of_copies(&bytes) {
                return Ok(Some(key));
            }
        }
        if units.is_empty() {
            return Ok(None);
        }
        let message = "the key of the lake's fingerprints is gone, and so are all fingerprints: put \
                       `_trailmill/copies` back from a backup, or convert into a new lake";
        Err(Error::new(ErrorKind::Damaged, message).at("key", names::copy_key()))
    }

    fn random() -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|err| {
            Error::new(ErrorKind::Io, "the system has no random bytes").because(err)
        })?;
        Ok(Self(key))
    }
}

pub(super) fn damaged_copies() -> Error {
    Error::new(ErrorKind::Damaged, "fingerprints of a unit are damaged")
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{Copies, Scope, encode_copies};

    async fn made(storage: &Storage) -> CopyKey {
        CopyKey::read_or_make(storage, &UnitsOfDay::new()).await.unwrap().0
    }

    #[tokio::test]
    async fn a_lake_has_one_key_and_another_lake_another() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let lakes = folders.each_ref().map(|folder| Storage::local(folder.path()).unwrap());
        assert_eq!(CopyKey::read(&lakes[0]).await.unwrap_err().kind(), ErrorKind::Damaged);

        let key = made(&lakes[0]).await;

        assert_eq!(made(&lakes[0]).await, key);
        assert_eq!(CopyKey::read(&lakes[0]).await.unwrap(), key);
        assert_ne!(made(&lakes[1]).await, key);
        assert_ne!(key.bytes(), &[0; 32]);
    }

    #[tokio::test]
    async fn a_key_that_is_gone_or_damaged_is_taken_from_the_newest_unit() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Storage::local(folder.path()).unwrap();
        let key = made(&lake).await;
        let unit = |number| UnitId { number, identity: "ab".into() };
        let copies = Copies::from([(Scope { day: 1, place: 2 }, vec![3])]);
        lake.put_once(&names::copies(&unit(7)), encode_copies(&key, &copies)).await.unwrap();
        let units = UnitsOfDay::from([(1, vec![(unit(6), 1), (unit(7), 1)])]);
        for damage in [None, Some(""), Some("{\"format\":6,\"key\":\"00\"}")] {
            lake.delete(&names::copy_key()).await.unwrap();
            if let Some(damage) = damage {
                lake.put_once(&names::copy_key(), damage).await.unwrap();
            }

            assert_eq!(CopyKey::read_or_make(&lake, &units).await.unwrap(), (key, true));

            assert_eq!(CopyKey::read(&lake).await.unwrap(), key);
        }
        lake.delete(&names::copy_key()).await.unwrap();
        lake.delete(&names::copies(&unit(7))).await.unwrap();
        let err = CopyKey::read_or_make(&lake, &units).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Damaged);
    }

    #[tokio::test]
    async fn a_newer_document_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Storage::local(folder.path()).unwrap();
        let newer = format!("{{\"format\":99,\"key\":\"{}\"}}", "0".repeat(64));
        lake.put_once(&names::copy_key(), newer).await.unwrap();

        let err = CopyKey::read_or_make(&lake, &UnitsOfDay::new()).await.unwrap_err();

        assert_eq!(err.kind(), ErrorKind::Config);
        assert!(err.to_string().contains("upgrade"), "{err}");
    }
}
