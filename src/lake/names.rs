//! The keys under a lake: data files, and the documents below `_trailmill/`.
//!
//! Every name is written and parsed here and nowhere else. Parsing accepts exactly what writing makes,
//! so that a file that somebody else put beside ours is never taken for one of ours. The storage's own
//! files, the lease and what is staged, are its business.

use crate::lake::unit::UnitId;
use crate::storage::OWN;
use crate::units::Day;
use std::fmt::Display;

/// A folder of documents below `_trailmill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// Marks of abandoned units.
    Abandoned,
    /// The catalog of a local lake.
    Catalog,
    /// Documents of checkpoints.
    Checkpoints,
    /// Files of compacted partitions: those of a bucket for good, those of a folder until they are exchanged.
    Compacted,
    /// Fingerprints by unit, and the key they are made with.
    Copies,
    /// Data files that are gone.
    Gone,
    /// Objects that were proven after they were converted.
    Integrity,
    /// Intents.
    Intents,
    /// Parts of the ledger, and sums.
    Ledger,
    /// Complete listings.
    Listings,
    /// Manifests.
    Manifests,
    /// The work of plans: units, claims, what is done.
    Planned,
    /// Documents of plans, and their ends.
    Plans,
    /// Records and objects that were quarantined.
    Quarantine,
    /// Files that compaction replaced and that are removed later.
    Replaced,
    /// Reports of runs.
    Runs,
    /// Versions of the schema lock.
    Schema,
    /// Files that `repair` moved out of the tables.
    Detached,
    /// Objects that could not be read.
    Unavailable,
}

impl Folder {
    fn name(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Catalog => "catalog",
            Self::Checkpoints => "checkpoints",
            Self::Compacted => "compacted",
            Self::Copies => "copies",
            Self::Gone => "gone",
            Self::Integrity => "integrity",
            Self::Intents => "intents",
            Self::Ledger => "ledger",
            Self::Listings => "listings",
            Self::Manifests => "manifests",
            Self::Planned => "planned",
            Self::Plans => "plans",
            Self::Quarantine => "quarantine",
            Self::Replaced => "replaced",
            Self::Runs => "runs",
            Self::Schema => "schema",
            Self::Detached => "detached",
            Self::Unavailable => "unavailable",
        }
    }

    /// Returns the folder's path in the lake, without a slash at its end.
    pub fn path(self) -> String {
        format!("{OWN}/{}", self.name())
    }

    fn key(self, name: impl Display) -> String {
        format!("{OWN}/{}/{name}", self.name())
    }

    /// Returns the rest of a key that lies in the folder.
    fn name_of(self, key: &str) -> Option<&str> {
        key.strip_prefix(OWN)?.strip_prefix('/')?.strip_prefix(self.name())?.strip_prefix('/')
    }

    /// Returns the key of a list that is named by the hash of its bytes.
    pub(super) fn list(self, hash: u128) -> String {
        self.key(format_args!("{hash:032x}.json.gz"))
    }

    /// Returns the unit of a document that is named by one: an intent, a mark, fingerprints, a quarantine.
    pub fn unit_of(self, key: &str) -> Option<UnitId> {
        UnitId::parse(self.name_of(key)?.split_once('.')?.0)
    }

    /// Returns two keys between which all documents of a unit's number lie.
    pub fn range_of(self, number: u64) -> (String, String) {
        (self.key(format_args!("{number:08}-")), self.key(format_args!("{:08}-", number + 1)))
    }

    /// Returns the number of a document that is named by one: a manifest, a checkpoint.
    pub(super) fn number_of(self, key: &str) -> Option<u64> {
        parse_number(self.name_of(key)?.strip_suffix(".json.gz")?)
    }
}

/// Reads a number of eight digits or more, as they are written.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    let number = text.parse().ok()?;
    (format!("{number:08}") == text).then_some(number)
}

/// Returns the key of a data file: `part-<unit>-<segment>-<file>.parquet` in the folder of its partition.
pub fn data_file(folder: &str, unit: &impl Display, segment: u32, file: usize) -> String {
    format!("{folder}/part-{unit}-{segment:04}-{file:02}.parquet")
}

/// Returns the folder of a partition that was never moved.
pub fn partition_folder(table: &str, partition: &str) -> String {
    format!("{table}/{partition}")
}

/// Returns the folder that a compaction writes a partition's files to.
pub fn generation(table: &str, partition: &str, unit: &UnitId) -> String {
    Folder::Compacted.key(format_args!("{table}/{partition}/{unit}"))
}

/// Returns table, partition and unit of a file that lies in such a folder.
pub fn generation_of(key: &str) -> Option<(&str, &str, UnitId)> {
    let (folder, _) = Folder::Compacted.name_of(key)?.rsplit_once('/')?;
    let (partition, unit) = folder.rsplit_once('/')?;
    let (table, partition) = partition.split_once('/')?;
    Some((table, partition, UnitId::parse(unit)?))
}

/// Returns the unit that a data file's name gives; nothing for a file that is not ours.
pub fn unit_of(key: &str) -> Option<UnitId> {
    let name = key.rsplit('/').next()?.strip_prefix("part-")?.strip_suffix(".parquet")?;
    let (name, file) = name.rsplit_once('-')?;
    let (unit, segment) = name.rsplit_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    UnitId::parse(unit).filter(|_| is_number(segment) && is_number(file))
}

/// Returns the partition's path that a data file lies in, below its table; empty for one that lies in none.
pub fn partition_of<'k>(table: &str, key: &'k str) -> &'k str {
    if let Some((_, partition, _)) = generation_of(key) {
        return partition;
    }
    let inside = key.strip_prefix(table).and_then(|rest| rest.strip_prefix('/'));
    inside.and_then(|path| path.rsplit_once('/')).map_or("", |(partition, _)| partition)
}

/// Returns the key of an intent.
pub(super) fn intent(unit: &UnitId) -> String {
    Folder::Intents.key(format_args!("{unit}.json.gz"))
}

/// Returns the key of a manifest. It has the number alone: of two runs that both believe to be the one
/// writer, only one can commit it.
pub(super) fn manifest(number: u64) -> String {
    Folder::Manifests.key(format_args!("{number:08}.json.gz"))
}

/// Returns the key of the copy of a compaction's manifest.
pub(super) fn manifest_copy(unit: &UnitId) -> String {
    Folder::Replaced.key(format_args!("{unit}.json.gz"))
}

/// Returns the key of the mark of an abandoned unit.
pub(super) fn abandoned(unit: &UnitId) -> String {
    Folder::Abandoned.key(format_args!("{unit}.json"))
}

/// Returns the key of a unit's fingerprints.
pub fn copies(unit: &UnitId) -> String {
    Folder::Copies.key(format_args!("{unit}.bin"))
}

/// Returns the key of the document that holds the key of the lake's fingerprints.
pub(super) fn copy_key() -> String {
    Folder::Copies.key("key.json")
}

/// Returns the key of the raw bytes that a unit quarantined.
pub(super) fn quarantine_raw(unit: &UnitId) -> String {
    Folder::Quarantine.key(format_args!("{unit}.raw"))
}

/// Returns the key of the index of what a unit quarantined.
pub(super) fn quarantine_index(unit: &UnitId) -> String {
    Folder::Quarantine.key(format_args!("{unit}.json"))
}

/// Returns whether a key is that of such an index.
pub(super) fn is_quarantine_index(key: &str) -> bool {
    Folder::Quarantine.name_of(key).is_some_and(|name| name.ends_with(".json"))
}

/// Returns the key of a version of the schema lock. The hash of its contents is part of the name, so that
/// units that never committed may leave versions behind: nothing names them, and they are in nobody's way.
pub(super) fn lock(version: u32, hash: &str) -> String {
    Folder::Schema.key(format_args!("v{version:08}-{hash}.json"))
}

/// Returns the version and the hash in the key of a schema lock.
pub(super) fn lock_of(key: &str) -> Option<(u32, &str)> {
    let name = Folder::Schema.name_of(key)?.strip_prefix('v')?.strip_suffix(".json")?;
    let (version, hash) = name.split_once('-')?;
    Some((parse_number(version)?.try_into().ok()?, hash))
}

/// Returns the key of a checkpoint's document, by the number after the last unit that it covers.
pub(super) fn checkpoint(next_number: u64) -> String {
    Folder::Checkpoints.key(format_args!("{:08}.json.gz", next_number.saturating_sub(1)))
}

/// Returns whether a key is that of a checkpoint's document, and not of what such a document names.
pub(super) fn is_checkpoint(key: &str) -> bool {
    Folder::Checkpoints.name_of(key).is_some()
}

/// Returns the key of a part of the ledger: a month (twelve to the year), and the first bits of its slots.
pub(super) fn ledger_part(month: u32, group: u8, hash: &str) -> String {
    let (year, month) = (month / 12, month % 12 + 1);
    Folder::Ledger.key(format_args!("{year:04}-{month:02}-{group:02x}-{hash}.bin"))
}

/// Returns the key of a file of sums, by the hash of its bytes.
pub(super) fn ledger_sums(what: &str, name: &str, hash: u128) -> String {
    Folder::Ledger.key(format_args!("{what}-{name}{}", end_of_sums(hash)))
}

/// Returns whether the key of a file of sums has the hash of its bytes.
pub(super) fn has_hash(key: &str, hash: u128) -> bool {
    key.ends_with(&end_of_sums(hash))
}

fn end_of_sums(hash: u128) -> String {
    format!("-{hash:032x}.json.gz")
}

/// Returns the key of the document of a complete listing, by the hash of its source and the day.
pub(super) fn listing(source: u64, day: &str) -> String {
    Folder::Listings.key(format_args!("{source:016x}-{day}.json"))
}

/// Returns the key of a run's report: by the last unit of the lake, and the instant in milliseconds since
/// 1970.
pub fn run(last: &UnitId, instant: i64) -> String {
    Folder::Runs.key(format_args!("{last}-{instant}.json"))
}

/// Returns where `repair` moves what has a key.
pub fn detached(key: &str) -> String {
    Folder::Detached.key(key)
}

/// Returns the id of a plan that begins at a unit's number: the number, and sixteen hexadecimal digits.
pub(super) fn plan_id(first_number: u64, salt: u64) -> String {
    format!("{first_number:08}-{salt:016x}")
}

/// Returns the number of a plan's first unit, if this is a plan's id.
fn first_number_of(id: &str) -> Option<u64> {
    // A plan's id has the form of a unit's name.
    UnitId::parse(id).map(|unit| unit.number)
}

/// Returns the key of a plan's document.
pub(super) fn plan(id: &str) -> String {
    Folder::Plans.key(format_args!("{id}.json"))
}

/// Returns the key of the document that ends a plan.
pub(super) fn plan_end(id: &str) -> String {
    Folder::Plans.key(format_args!("{id}.end.json"))
}

/// Returns the key of the document that decides how a plan ends.
pub(super) fn plan_decision(id: &str) -> String {
    Folder::Plans.key(format_args!("{id}.decision.json"))
}

/// Returns the number of the first unit of the plan that the document at a key has ended.
pub(super) fn ended_plan(key: &str) -> Option<u64> {
    first_number_of(Folder::Plans.name_of(key)?.strip_suffix(".end.json")?)
}

/// Splits the address of a plan's document, or its key, into that of the lake and the plan's id.
pub fn split_plan(address: &str) -> Option<(&str, &str)> {
    let (lake, name) = address.rsplit_once(&Folder::Plans.key(""))?;
    let id = name.strip_suffix(".json").filter(|id| first_number_of(id).is_some())?;
    (lake.is_empty() || lake.ends_with('/')).then_some((lake, id))
}

/// Returns the folder of a plan's work, which is removed when the plan ends.
pub(super) fn work(plan: &str) -> String {
    Folder::Planned.key(plan)
}

/// Returns the key of a part of a plan's units.
pub(super) fn work_part(plan: &str, part: usize) -> String {
    format!("{}/parts/{part:06}.json.gz", work(plan))
}

/// Returns the key of what digests say of the objects of a part.
pub(super) fn work_proofs(plan: &str, part: usize) -> String {
    format!("{}/proofs/{part:06}.json.gz", work(plan))
}

/// Returns the folder of what is done of a plan.
pub(super) fn done_folder(plan: &str) -> String {
    format!("{}/done", work(plan))
}

/// Returns the key of what a unit of a plan did; units are counted from 0 within the plan.
pub(super) fn done(plan: &str, unit: u64) -> String {
    format!("{}/{unit:08}.json.gz", done_folder(plan))
}

/// Returns the unit whose work a key holds.
pub(super) fn done_unit(plan: &str, key: &str) -> Option<u64> {
    let name = key.strip_prefix(&done_folder(plan))?.strip_prefix('/')?;
    parse_number(name.strip_suffix(".json.gz")?)
}

/// Returns the key of what a plan's unit leaves out, by its number in the lake.
pub(super) fn left_out(plan: &str, number: u64) -> String {
    format!("{}/left-out/{number:08}.json.gz", work(plan))
}

/// Returns the folder of a plan's claims.
pub(super) fn claims(plan: &str) -> String {
    format!("{}/claims", work(plan))
}

/// Returns the key of a claim in such a folder. The place comes first: keys that begin with dates would
/// all lie in one part of a bucket.
pub(super) fn claim(folder: &str, place: u64, day: Day, number: usize) -> String {
    format!("{folder}/{place:016x}-{day}/{number:06}.bin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(number: u64) -> UnitId {
        UnitId { number, identity: "0123456789abcdef".into() }
    }

    #[test]
    fn what_is_written_is_parsed() {
        for number in [0, 7, 99_999_999, 123_456_789] {
            let unit = unit(number);
            let moved = generation("t", "account=1/day=2", &unit);
            for folder in ["t/account=1/day=2", &moved] {
                let key = data_file(folder, &unit, 12_345, 100);
                assert_eq!(unit_of(&key), Some(unit.clone()), "{key}");
                assert_eq!(partition_of("t", &key), "account=1/day=2");
                let moved = ("t", "account=1/day=2", unit.clone());
                assert_eq!(generation_of(&key).is_some(), folder != "t/account=1/day=2");
                assert!(generation_of(&key).is_none_or(|found| found == moved), "{key}");
            }
            for (folder, key) in [
                (Folder::Intents, intent(&unit)),
                (Folder::Abandoned, abandoned(&unit)),
                (Folder::Copies, copies(&unit)),
                (Folder::Replaced, manifest_copy(&unit)),
                (Folder::Quarantine, quarantine_raw(&unit)),
                (Folder::Quarantine, quarantine_index(&unit)),
            ] {
                assert_eq!(folder.unit_of(&key), Some(unit.clone()), "{key}");
                let (after, until) = folder.range_of(number);
                let is_order_of_text = number != 99_999_999;
                assert!(after < key && (key < until || !is_order_of_text), "{key}");
            }
            assert_eq!(Folder::Manifests.number_of(&manifest(number)), Some(number));
            assert_eq!(Folder::Checkpoints.number_of(&checkpoint(number + 1)), Some(number));
            assert!(is_checkpoint(&checkpoint(number + 1)));
            assert_eq!(done_unit("p", &done("p", number)), Some(number));
            let id = plan_id(number, 0xab);
            assert_eq!(split_plan(&plan(&id)), Some(("", &id[..])));
            let address = format!("s3://b/{}", plan(&id));
            assert_eq!(split_plan(&address), Some(("s3://b/", &id[..])));
            assert_eq!(ended_plan(&plan_end(&id)), Some(number));
        }
        assert_eq!(lock_of(&lock(7, "ab")), Some((7, "ab")));
        assert!(has_hash(&ledger_sums("days", "2024-05", 9), 9));
        assert!(is_quarantine_index(&quarantine_index(&unit(7))));
    }

    #[tokio::test]
    async fn half_written_documents_are_cleared_whatever_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let storage = crate::storage::Storage::local(folder.path()).unwrap();
        for own in [Folder::Manifests, Folder::Plans, Folder::Gone, Folder::Runs] {
            let whole = own.key("x.json");
            storage.put_once(&whole, "x").await.unwrap();
            let half = folder.path().join(format!("{whole}#1"));
            std::fs::write(&half, "").unwrap();

            storage.clear_half_written().unwrap();

            assert!(!half.exists(), "{whole}");
            assert!(folder.path().join(&whole).exists(), "{whole}");
        }
    }

    #[test]
    fn only_names_that_we_give_are_ours() {
        let ours = "t/account=1/part-00000007-0123456789abcdef-0000-00.parquet";
        assert_eq!(unit_of(ours), Some(unit(7)));
        for other in [
            "t/part-0000.parquet",
            "t/part-00000-0123-c000.snappy.parquet",
            "t/part-00000007-0123456789abcdef-0000-00.csv",
            "t/part-x-0123456789abcdef-0000-00.parquet",
            "t/part-7-0123456789abcdef-0000-00.parquet",
            "t/part-00000007-0123456789ABCDEF-0000-00.parquet",
        ] {
            assert_eq!(unit_of(other), None, "{other}");
        }
        assert_eq!(Folder::Copies.unit_of(&copy_key()), None);
        for other in ["7.json.gz", "00000007.json.gz.bak", "x.json.gz", "00000007/x.json.gz"] {
            assert_eq!(Folder::Manifests.number_of(&Folder::Manifests.key(other)), None, "{other}");
        }
        assert_eq!(Folder::Manifests.number_of(&checkpoint(8)), None);
        assert!(!is_quarantine_index(&quarantine_raw(&unit(7))) && !is_checkpoint(&manifest(7)));
        let id = plan_id(7, 1);
        assert_eq!(split_plan(&plan_end(&id)), None);
        assert_eq!(ended_plan(&plan_decision(&id)), None);
        for other in ["s3://lake/x", "s3://lake/x/plan.json", "x_trailmill/plans/7.json"] {
            assert_eq!(split_plan(other), None, "{other}");
        }
    }
}
