//! The documents of a unit: its intent before, its manifest after.
//!
//! Both are gzipped JSON: they name every object of the unit.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::{LockName, document, whole};
use crate::notice::tell;
use crate::storage::{OWN, Storage};
use futures::{StreamExt, TryStreamExt, stream};
use libdeflater::{CompressionLvl, Compressor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Documents that are read side by side.
const READS: usize = 16;

/// A unit's number and identity: `00000007-1f0c2a9be3d45678`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitId {
    /// Units commit in the order of their numbers.
    pub number: u64,
    /// See [`unit_identity`].
    pub identity: String,
}

impl std::fmt::Display for UnitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08}-{}", self.number, self.identity)
    }
}

impl UnitId {
    /// Reads what a unit is called in the names of its files.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (number, identity) = name.split_once('-')?;
        let is_identity = identity.len() == 16 && identity.bytes().all(|b| b.is_ascii_hexdigit());
        let number = number.parse().ok().filter(|_| is_identity)?;
        Some(Self { number, identity: identity.to_owned() })
    }
}

/// Returns 16 hexadecimal digits of a hash over the settings that change output and the (key, etag)
/// list.
pub fn unit_identity<'a>(
    settings: &str,
    objects: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut hash = Sha256::new();
    hash.update(settings.as_bytes());
    for (key, etag) in objects {
        hash.update([0]);
        hash.update(key.as_bytes());
        hash.update([0]);
        hash.update(etag.as_bytes());
    }
    hash.finalize()[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What a unit is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The unit.
    pub unit: UnitId,
    /// The settings that change output, and the barrier it comes after; a run with others abandons the
    /// intent.
    pub settings: String,
    /// Key and etag of its objects, in order.
    pub objects: Vec<(String, String)>,
}

/// Counts that balance: read = written + duplicate + filtered + quarantined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Records found.
    pub read: u64,
    /// Records in data files.
    pub written: u64,
    /// Records whose exact copy is in the lake already.
    pub duplicate: u64,
    /// Records that an option excludes.
    pub filtered: u64,
    /// Records set aside.
    pub quarantined: u64,
}

impl Tally {
    /// Returns whether every record is accounted for.
    pub fn balances(&self) -> bool {
        self.read == self.written + self.duplicate + self.filtered + self.quarantined
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.written += other.written;
        self.duplicate += other.duplicate;
        self.filtered += other.filtered;
        self.quarantined += other.quarantined;
    }
}

/// How an object ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectOutcome {
    /// Its records were converted; some may have been set aside.
    Converted,
    /// It holds no CloudTrail log records; the reason.
    Ignored(String),
    /// It was set aside whole; the reason.
    Quarantined(String),
    /// An archive: its members have lines of their own.
    Archive,
}

/// One object's line in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// The key; members of archives are `archive!/member`.
    pub key: String,
    /// The etag that was converted; empty for members.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Bytes as stored.
    pub bytes: u64,
    /// How it ended.
    pub outcome: ObjectOutcome,
    /// Its records.
    pub tally: Tally,
}

/// One Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// The key in the lake.
    pub key: String,
    /// The table's name.
    pub table: String,
    /// The partition's path below the table.
    pub partition: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// The earliest event, milliseconds since 1970.
    pub min_instant: i64,
    /// The latest event.
    pub max_instant: i64,
}

/// The fingerprints that a unit keeps of one event day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCopies {
    /// How many.
    pub records: u64,
    /// The bits of their scopes: [`Scope::bit`](crate::lake::Scope::bit).
    pub scopes: u64,
}

/// What a unit did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The unit.
    pub unit: UnitId,
    /// The settings that change output.
    pub settings: String,
    /// What the lake is partitioned by.
    pub partition_by: String,
    /// The database that its tables are in; empty before lakes remembered it.
    #[serde(default)]
    pub database: String,
    /// The codec of its files.
    pub compression: String,
    /// Whether its files have the inferred columns.
    pub nested: bool,
    /// The schema lock its files were written with.
    pub schema: LockName,
    /// Its objects.
    pub objects: Vec<ObjectRecord>,
    /// Its files.
    pub files: Vec<DataFile>,
    /// The sum over its objects.
    pub tally: Tally,
    /// JSON bytes of its objects.
    pub bytes_json: u64,
    /// Values that the nested columns could not hold.
    pub nested_values_unfit: u64,
    /// Event days (since 1970) with the fingerprints kept for each.
    pub days: BTreeMap<i32, DayCopies>,
    /// Object members and objects passed over inside archives.
    #[serde(default)]
    pub passed_over: u64,
    /// Objects and archives with padding between or after the members of their gzip stream.
    #[serde(default)]
    pub objects_padded: u64,
    /// For a barrier, the units that it ends; see [`Manifest::barrier`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barrier: Option<Vec<UnitId>>,
    /// Of a manifest that `repair` has made: its objects as the ledger had them, since nothing names
    /// them; the month of delivery and the entry in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovered: Vec<(u32, String)>,
}

/// Before the number of a barrier, in settings.
const BARRIER: &str = " barrier=";

/// Returns what goes into the identities of units cut after a barrier, beside their objects.
pub fn after_barrier(settings: &str, barrier: Option<u64>) -> String {
    match barrier {
        Some(number) => format!("{settings}{BARRIER}{number}"),
        None => settings.to_owned(),
    }
}

/// A manifest cannot be made again from other documents: the objects of its unit are only there.
fn unreadable(key: &str, err: Error) -> Error {
    if err.kind() != ErrorKind::Damaged {
        return err;
    }
    let message = "manifest is damaged: put it back from a backup or an earlier version of the object, \
                   or let `trailmill repair` make one from the files of its unit";
    Error::new(ErrorKind::Damaged, message).at("key", key).because(err)
}

fn intent_key(unit: &UnitId) -> String {
    format!("{OWN}/intents/{unit}.json.gz")
}

/// By the number alone: of two runs that both believe to be the one writer, only one can commit it.
pub(super) fn manifest_key(number: u64) -> String {
    format!("{OWN}/manifests/{number:08}.json.gz")
}

/// Renders a document with its format, gzipped.
pub(super) fn pack(document: &impl Serialize) -> Result<Vec<u8>> {
    compress(&document::render(document, false)?)
}

/// Renders what a document names by its hash, gzipped: it has that document's format.
pub(super) fn pack_named(content: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(content)
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot render a document").because(err))?;
    compress(&json)
}

fn compress(json: &[u8]) -> Result<Vec<u8>> {
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut out = vec![0; compressor.gzip_compress_bound(json.len())];
    let size = compressor
        .gzip_compress(json, &mut out)
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot compress a document").because(err))?;
    out.truncate(size);
    Ok(out)
}

/// Reads what [`pack`] made.
///
/// # Errors
/// `Damaged` when it cannot be read, `Config` for another format.
pub(super) fn unpack<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T> {
    document::parse(key, &decompressed(key, bytes)?)
}

/// Reads what [`pack_named`] made.
///
/// # Errors
/// `Damaged` when it cannot be read.
pub(super) fn unpack_named<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T> {
    let json = decompressed(key, bytes)?;
    serde_json::from_slice(&json).map_err(|err| damaged(key).because(err))
}

fn damaged(key: &str) -> Error {
    Error::new(ErrorKind::Damaged, "document of the lake is damaged").at("key", key)
}

fn decompressed(key: &str, bytes: &[u8]) -> Result<crate::decode::Decoded> {
    let mut json = crate::decode::Decoded::default();
    // As far as deflate can reach: the end of a document that was cut claims gigabytes.
    let caps = crate::decode::Caps { max_object_bytes: 4 << 30, max_ratio: 1032 };
    crate::decode::Decoder::new(caps)
        .decode(bytes, &mut json)
        .map_err(|err| damaged(key).because(err))?;
    Ok(json)
}

impl Intent {
    /// Writes the intent; one that is there already is the same, since its identity is its content. In
    /// a folder it survives a loss of power from the sync on that comes before its unit's files get
    /// their names.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub async fn write(&self, storage: &Storage) -> Result<()> {
        storage.put_of_unit(&intent_key(&self.unit), pack(self)?).await
    }

    /// Reads all intents, by unit number. One that is damaged is an intent of no objects, which no run
    /// can finish: its name says whose files are to be removed, and its objects are converted anew.
    ///
    /// # Errors
    /// `Damaged` for a document that is no intent by its name.
    pub async fn read_all(storage: &Storage) -> Result<Vec<Self>> {
        stream::iter(storage.list(&format!("{OWN}/intents")).await?)
            .map(|listed| async move {
                let bytes = storage.read(&listed.key).await?.unwrap_or_default();
                unpack(&listed.key, &bytes).or_else(|err| Self::unreadable(&listed.key, err))
            })
            .buffered(READS)
            .try_collect()
            .await
    }

    /// Returns whether a barrier has ended the unit: it was cut before the last one that is known. One that
    /// was cut after a later barrier is not ended; what is known is old, then.
    pub fn is_ended_by(&self, barrier: Option<u64>) -> bool {
        let own = self.settings.rsplit_once(BARRIER).and_then(|(_, number)| number.parse().ok());
        own < barrier
    }

    /// Returns what is left of an intent that cannot be read.
    fn unreadable(key: &str, err: Error) -> Result<Self> {
        if err.kind() != ErrorKind::Damaged {
            return Err(err);
        }
        let name = key.rsplit('/').next().and_then(|name| name.strip_suffix(".json.gz"));
        let Some(unit) = name.and_then(UnitId::parse) else { return Err(err) };
        tell(&format!(
            "ignoring the damaged intent {key}, perhaps after a power loss: if its unit is not in \
             the lake, its objects are converted again"
        ));
        // Which barrier it came after is not known: only a new one ends it for certain.
        Ok(Self { unit, settings: format!("{BARRIER}{}", u64::MAX), objects: Vec::new() })
    }

    /// Removes a unit's intent.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub async fn remove(storage: &Storage, unit: &UnitId) -> Result<()> {
        storage.delete(&intent_key(unit)).await
    }
}

impl Manifest {
    /// Returns a barrier: a manifest without objects that takes a number.
    ///
    /// Manifests are put if-absent, by number alone and in order, so that once a barrier has a number, no
    /// unit of that number or begun for a later one can commit: not by a writer that lost its lease, not
    /// by a request that was on its way for an hour. What such units wrote is nobody's then and may be
    /// removed. Units that are cut after a barrier have other identities (see [`after_barrier`]), so that
    /// a removal that comes late hits nothing that counts.
    ///
    /// `salt` tells it from every other: of two equal ones, each writer would take the other's for its own.
    pub fn barrier(number: u64, abandoned: Vec<UnitId>, salt: u64) -> Self {
        let identity = unit_identity(&format!("barrier {salt:016x}"), []);
        Self {
            unit: UnitId { number, identity },
            settings: "barrier".to_owned(),
            partition_by: String::new(),
            database: String::new(),
            compression: String::new(),
            nested: false,
            schema: LockName::default(),
            objects: Vec::new(),
            files: Vec::new(),
            tally: Tally::default(),
            bytes_json: 0,
            nested_values_unfit: 0,
            days: BTreeMap::new(),
            passed_over: 0,
            objects_padded: 0,
            barrier: Some(abandoned),
            recovered: Vec::new(),
        }
    }

    /// Stages the manifest beside its unit's files in a folder, so that one sync serves all of them.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn stage(&self, storage: &Storage) -> Result<()> {
        let unit = self.unit.to_string();
        storage.stage(&unit, &manifest_key(self.unit.number), &pack(self)?).map(|_| ())
    }

    /// Makes manifests that were staged and written survive a loss of power.
    ///
    /// # Errors
    /// `Io` when the store fails.
    pub fn sync(storage: &Storage) -> Result<()> {
        storage.sync_names(&format!("{OWN}/manifests"))
    }

    /// Writes the manifest: the commit. One that was staged needs [`Manifest::sync`] as well.
    ///
    /// # Errors
    /// `Busy` when another run committed a unit of this number and identity.
    pub async fn write(&self, storage: &Storage) -> Result<()> {
        use crate::storage::Put;
        let (unit, key) = (self.unit.to_string(), manifest_key(self.unit.number));
        match storage.put_staged(&unit, &key, pack(self)?).await? {
            Put::Created | Put::Same => Ok(()),
            Put::Differs => Err(Error::new(ErrorKind::Busy, "another run committed this unit")
                .at("unit", &self.unit)),
        }
    }

    /// Reads all manifests, by unit number: what a check of every file needs, and nothing else.
    ///
    /// # Errors
    /// `Damaged` for one that cannot be read, and when some are missing.
    pub async fn read_all(storage: &Storage) -> Result<Vec<Self>> {
        let end = whole::checkpointed(storage).await?;
        stream::iter(whole::manifests(storage, 0, end).await?)
            .map(|listed| async move { Self::read(storage, &listed.key).await })
            .buffered(READS)
            .try_collect()
            .await
    }

    /// Returns whether any manifest is as wanted; the newest are looked at first.
    ///
    /// # Errors
    /// `Damaged` for one that cannot be read.
    pub async fn any_newest_first(
        storage: &Storage,
        is_wanted: impl Fn(&Self) -> bool,
    ) -> Result<bool> {
        let mut listed = storage.list(&format!("{OWN}/manifests")).await?;
        listed.reverse();
        let mut manifests = stream::iter(listed)
            .map(|listed| async move { Self::read(storage, &listed.key).await })
            .buffered(READS);
        while let Some(manifest) = manifests.try_next().await? {
            if is_wanted(&manifest) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the manifest at a key.
    ///
    /// # Errors
    /// `Damaged` when it cannot be read.
    pub(super) async fn read(storage: &Storage, key: &str) -> Result<Self> {
        let bytes = storage.read(key).await?.unwrap_or_default();
        unpack(key, &bytes).map_err(|err| unreadable(key, err))
    }

    /// Returns whether a unit is committed.
    ///
    /// # Errors
    /// `Damaged` when the manifest of its number cannot be read.
    pub async fn is_committed(storage: &Storage, unit: &UnitId) -> Result<bool> {
        let key = manifest_key(unit.number);
        match storage.read(&key).await? {
            Some(bytes) => unpack::<Self>(&key, &bytes)
                .map(|manifest| manifest.unit == *unit)
                .map_err(|err| unreadable(&key, err)),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_depends_on_settings_keys_and_etags() {
        let of = |settings, objects: &[(&'static str, &'static str)]| {
            unit_identity(settings, objects.iter().copied())
        };
        let base = of("s", &[("a", "1"), ("b", "2")]);
        assert_eq!(base, of("s", &[("a", "1"), ("b", "2")]));
        assert_eq!(base.len(), 16);
        for other in [
            of("t", &[("a", "1"), ("b", "2")]),
            of("s", &[("a", "1")]),
            of("s", &[("a", "12"), ("b", "")]),
            of("s", &[("b", "2"), ("a", "1")]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_document_whose_end_claims_gigabytes_is_damaged() {
        let mut bytes = pack(&vec![7_u32; 1000]).unwrap();
        assert_eq!(unpack::<Vec<u32>>("k", &bytes).unwrap(), [7; 1000]);
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());

        let err = unpack::<Vec<u32>>("k", &bytes).unwrap_err();

        assert_eq!(err.kind(), ErrorKind::Damaged);
    }

    #[test]
    fn an_intent_is_ended_by_later_barriers_only() {
        let intent = |barrier| Intent {
            unit: UnitId { number: 9, identity: "ab".into() },
            settings: after_barrier("s x=1", barrier),
            objects: Vec::new(),
        };
        assert!(!intent(None).is_ended_by(None));
        assert!(intent(None).is_ended_by(Some(0)));
        assert!(!intent(Some(7)).is_ended_by(Some(7)));
        assert!(intent(Some(7)).is_ended_by(Some(12)));
        assert!(!intent(Some(12)).is_ended_by(Some(7)) && !intent(Some(7)).is_ended_by(None));
    }

    #[tokio::test]
    async fn of_two_barriers_at_one_number_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        Manifest::barrier(3, Vec::new(), 1).write(&storage).await.unwrap();

        let err = Manifest::barrier(3, Vec::new(), 2).write(&storage).await.unwrap_err();

        assert_eq!(err.kind(), ErrorKind::Busy);
    }

    #[tokio::test]
    async fn an_intent_reads_back_and_a_second_manifest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let unit = UnitId { number: 3, identity: "ab".into() };
        let intent = Intent {
            unit: unit.clone(),
            settings: "s".into(),
            objects: vec![("k".into(), "e".into())],
        };
        intent.write(&storage).await.unwrap();
        assert_eq!(Intent::read_all(&storage).await.unwrap(), [intent]);
        Intent::remove(&storage, &unit).await.unwrap();
        assert!(Intent::read_all(&storage).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_damaged_intent_is_one_that_nobody_can_finish() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let unit = UnitId { number: 3, identity: "0123456789abcdef".into() };
        let whole = Intent {
            unit: unit.clone(),
            settings: "s".into(),
            objects: vec![("k".into(), "e".into())],
        };
        let packed = pack(&whole).unwrap();
        for damaged in [&[][..], &packed[..packed.len() / 2], b"no gzip"] {
            storage.put_over(&intent_key(&unit), damaged.to_vec()).await.unwrap();

            let read = Intent::read_all(&storage).await.unwrap();

            assert!(read.len() == 1 && read[0].unit == unit && read[0].objects.is_empty());
            assert!(!read[0].is_ended_by(Some(7)), "that is not known");
        }
        whole.write(&storage).await.unwrap();
        assert_eq!(Intent::read_all(&storage).await.unwrap(), [whole], "it is replaced");
        storage.put_new("_trailmill/intents/other.json.gz", "").await.unwrap();
        assert_eq!(Intent::read_all(&storage).await.unwrap_err().kind(), ErrorKind::Damaged);
        storage.delete("_trailmill/intents/other.json.gz").await.unwrap();
        Intent::remove(&storage, &unit).await.unwrap();
        assert!(Intent::read_all(&storage).await.unwrap().is_empty());
    }
}
