//! Which objects are in the lake already: what a listing is subtracted from.
//!
//! The ledger is cut by delivery month and by shard (a hash of account and region), and only
//! the parts that a listing has come to are in memory: a listing goes shard by shard. An entry takes
//! 12 bytes, in a file as in memory: the shard, and 88 bits of a hash of key and etag. Among the 1.4
//! million objects of a shard of a year with a million objects a day, two have the same entry with a
//! chance of 2^-48 per year and shard; one that is new is then taken for known.

use crate::error::Result;
use crate::keys::Layout;
use crate::lake::checkpoint::{Part, read_part};
use crate::lake::rebuild::Cut;
use crate::storage::Storage;
use crate::units::Day;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::{HashMap, HashSet};
use xxhash_rust::xxh3::Xxh3;

/// Bytes of an entry.
pub(super) const ENTRY: usize = 12;

/// Parts that are read side by side.
const READS: usize = 16;

/// A shard, and 88 bits of a hash; sorted by shard.
pub type Entry = [u8; ENTRY];

/// A month of delivery as a number, twelve to the year; 0 when the key has no date.
pub type Month = u32;

/// Returns an object's entry.
pub fn entry(layout: &Layout, key: &str, etag: &str) -> Entry {
    let mut hash = Xxh3::new();
    hash.update(key.as_bytes());
    hash.update(&[0]);
    hash.update(etag.as_bytes());
    let mut entry = [0; ENTRY];
    entry[0] = layout.shard();
    entry[1..].copy_from_slice(&hash.digest128().to_be_bytes()[..ENTRY - 1]);
    entry
}

/// How an object ended that has no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAside {
    /// It was set aside whole.
    Quarantined,
    /// It holds no CloudTrail records.
    Ignored,
    /// An archive, of whose members some were set aside and others hold no CloudTrail records.
    Both,
}

/// Returns the entry of an object that has no rows: it holds only for those who would judge it as it was
/// judged, see [`judge`].
pub fn entry_set_aside(
    layout: &Layout,
    key: &str,
    etag: &str,
    how: SetAside,
    judge: &str,
) -> Entry {
    entry(layout, key, &format!("{etag}\0{how:?}\0{judge}"))
}

/// Returns what decides whether an object is set aside, of the settings that change output: the
/// program's version and the limits.
pub fn judge(settings: &str) -> String {
    let decides = |(at, word): &(usize, &str)| {
        *at < 2 || ["unit=", "max_object=", "max_ratio="].iter().any(|name| word.starts_with(name))
    };
    let words: Vec<&str> =
        settings.split(' ').enumerate().filter(decides).map(|(_, word)| word).collect();
    words.join(" ")
}

/// Returns an object's month of delivery.
pub fn month(layout: &Layout) -> Month {
    layout.day().map_or(0, month_of)
}

/// Returns a day's month.
pub(super) fn month_of(day: Day) -> Month {
    let (year, month, _) = day.civil();
    year as u32 * 12 + u32::from(month) - 1
}

/// The ledger, as far as it is in memory.
#[derive(Debug)]
pub struct Ledger {
    storage: Storage,
    /// What the parts sum up.
    cut: Cut,
    parts: HashMap<(Month, u8), Part>,
    /// What no checkpoint has.
    recent: HashSet<Entry>,
    loaded: HashMap<(Month, u8), Loaded>,
    loaded_bytes: u64,
    most_bytes: u64,
    /// Counts turns; the part that was asked longest ago goes first.
    clock: u64,
    since: Month,
}

#[derive(Debug)]
struct Loaded {
    bytes: Bytes,
    asked: u64,
}

impl Ledger {
    pub(super) fn new(
        storage: &Storage,
        cut: Cut,
        parts: &[Part],
        recent: HashSet<Entry>,
        most_bytes: u64,
    ) -> Self {
        Self {
            storage: storage.clone(),
            cut,
            parts: parts.iter().map(|part| ((part.month, part.group), part.clone())).collect(),
            recent,
            loaded: HashMap::new(),
            loaded_bytes: 0,
            most_bytes,
            clock: 0,
            since: 0,
        }
    }

    /// Says that nothing delivered before a day will be asked for.
    pub fn begin_at(&mut self, day: Day) {
        self.since = month_of(day);
    }

    /// Returns whether an object is in the lake.
    ///
    /// # Errors
    /// `Damaged` when a part is not what was written; `Unavailable`, `Denied`, `Io`.
    pub async fn contains(&mut self, month: Month, entry: &Entry) -> Result<bool> {
        if self.recent.contains(entry) {
            return Ok(true);
        }
        let place = (month, group(entry[0], self.cut.bits));
        if !self.parts.contains_key(&place) {
            return Ok(false);
        }
        if !self.loaded.contains_key(&place) {
            self.load(place).await?;
        }
        self.clock += 1;
        let Some(loaded) = self.loaded.get_mut(&place) else { return Ok(false) };
        loaded.asked = self.clock;
        let (entries, _) = loaded.bytes.as_chunks::<ENTRY>();
        Ok(entries.binary_search(entry).is_ok())
    }

    /// Returns whether any of some objects is in the lake.
    ///
    /// # Errors
    /// As [`Ledger::contains`].
    pub async fn contains_any(&mut self, objects: &[(Month, Entry)]) -> Result<bool> {
        for (month, entry) in objects {
            if self.contains(*month, entry).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Loads a part, and those of other months of its shards that fit beside it.
    async fn load(&mut self, wanted: (Month, u8)) -> Result<()> {
        let mut room = self.most_bytes;
        let mut missing = Vec::new();
        let mut months: Vec<&Part> = self
            .parts
            .values()
            .filter(|part| part.group == wanted.1)
            .filter(|part| part.month >= self.since || part.month == wanted.0 || part.month == 0)
            .collect();
        // From the wanted month on, as a listing goes; those before it have had their turn.
        months.sort_by_key(|part| (part.month < wanted.0, part.month));
        for part in months {
            let bytes = part.objects * ENTRY as u64;
            if bytes > room && !missing.is_empty() {
                break;
            }
            room = room.saturating_sub(bytes);
            if !self.loaded.contains_key(&(part.month, part.group)) {
                missing.push(part.clone());
            }
        }
        self.make_room(missing.iter().map(|part| part.objects * ENTRY as u64).sum());
        let (storage, cut) = (&self.storage, self.cut);
        let read =
            |part| async move { read_part(storage, &part, cut).await.map(|bytes| (part, bytes)) };
        let found: Vec<(Part, Bytes)> =
            stream::iter(missing).map(read).buffer_unordered(READS).try_collect().await?;
        self.clock += 1;
        for (part, bytes) in found {
            self.loaded_bytes += bytes.len() as u64;
            self.loaded.insert((part.month, part.group), Loaded { bytes, asked: self.clock });
        }
        Ok(())
    }

    /// Returns the bytes in memory, without what no checkpoint has.
    pub fn loaded_bytes(&self) -> u64 {
        self.loaded_bytes
    }

    /// Drops what was asked for longest ago.
    fn make_room(&mut self, bytes: u64) {
        while self.loaded_bytes + bytes > self.most_bytes {
            let oldest = self.loaded.iter().min_by_key(|(place, part)| (part.asked, **place));
            let Some(place) = oldest.map(|(place, _)| *place) else { return };
            if let Some(part) = self.loaded.remove(&place) {
                self.loaded_bytes -= part.bytes.len() as u64;
            }
        }
    }
}

/// The part of a month that a shard is in.
pub(super) fn group(shard: u8, bits: u8) -> u8 {
    if bits == 0 { 0 } else { shard >> (8 - bits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::parse as parse_layout;

    #[test]
    fn what_was_set_aside_is_known_to_those_with_the_same_version_and_limits() {
        let settings =
            "trailmill 0.1.0 partition_by=region unit=7 max_object=10 max_ratio=5 table=t";
        let judged = judge(settings);
        assert_eq!(judged, "trailmill 0.1.0 unit=7 max_object=10 max_ratio=5");
        assert_eq!(judged, judge(&settings.replace("table=t", "table=u barrier=3")));
        let layout = Layout::default();
        let of = |how, judge: &str| entry_set_aside(&layout, "k", "e", how, judge);
        let quarantined = of(SetAside::Quarantined, &judged);
        assert_ne!(quarantined, entry(&layout, "k", "e"));
        assert_ne!(quarantined, of(SetAside::Ignored, &judged));
        assert_ne!(quarantined, of(SetAside::Quarantined, &judge(&settings.replace("=10", "=11"))));
    }

    #[test]
    fn an_object_with_other_bytes_is_another_object() {
        let key = "AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01/x.json.gz";
        let layout = parse_layout(key);
        let base = entry(&layout, key, "1");
        assert_eq!(base, entry(&layout, key, "1"));
        assert_eq!(base[0], layout.shard());
        assert_ne!(base, entry(&layout, key, "2"));
        assert_ne!(entry(&layout, "k", "1"), entry(&layout, "k1", ""));
        assert_eq!(month(&layout), 2024 * 12 + 4);
        assert_eq!(month(&Layout::default()), 0);
    }
}
