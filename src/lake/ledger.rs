//! Which objects are in the lake already: what a listing is subtracted from.
//!
//! The ledger is cut by delivery month and by slot (a hash of account and region), and only
//! the parts that a listing has come to are in memory: a listing goes slot by slot. An entry takes
//! 12 bytes, in a file as in memory: the slot, and 88 bits of a hash of key and etag. Among the 1.4
//! million objects of a slot of a year with a million objects a day, two have the same entry with a
//! chance of 2^-48 per year and slot; one that is new is then taken for known.

use crate::error::Result;
use crate::lake::entry::{ENTRY, Entry, Month, group, month_of};
use crate::lake::part::{Cut, Part};
use crate::lake::rebuild::read_part;
use crate::storage::Storage;
use crate::units::Day;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::{HashMap, HashSet};

/// Parts that are read side by side.
const READS: usize = 16;

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

    /// Loads a part, and those of other months of its slots that fit beside it.
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
