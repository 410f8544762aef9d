//! Entries of the ledger: what an object is recognized by.

use crate::keys::Layout;
use crate::units::Day;
use xxhash_rust::xxh3::Xxh3;

/// Bytes of an entry.
pub(super) const ENTRY: usize = 12;

/// A slot, and 88 bits of a hash; sorted by slot.
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
    entry[0] = layout.slot();
    entry[1..].copy_from_slice(&hash.digest128().to_be_bytes()[..ENTRY - 1]);
    entry
}

/// How an object ended that has no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutRows {
    /// It was quarantined whole.
    Quarantined,
    /// It holds no CloudTrail records.
    Ignored,
    /// An archive of whose members some were quarantined and others hold no CloudTrail records.
    Both,
}

/// Returns the entry of an object that has no rows: it holds only for those who would judge it as it was
/// judged, see [`OutputSettings::judge`](crate::lake::OutputSettings::judge).
pub fn entry_without_rows(
    layout: &Layout,
    key: &str,
    etag: &str,
    how: WithoutRows,
    judge: &str,
) -> Entry {
    entry(layout, key, &format!("{etag}\0{how:?}\0{judge}"))
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

/// The part of a month that a slot is in.
pub(super) fn group(slot: u8, bits: u8) -> u8 {
    if bits == 0 { 0 } else { slot >> (8 - bits) }
}

/// Renders an entry as hexadecimal digits.
pub(super) fn to_digits(entry: &Entry) -> String {
    entry.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`to_digits`] rendered.
pub(super) fn from_digits(digits: &str) -> Option<Entry> {
    let mut entry = Entry::default();
    if digits.len() != 2 * entry.len() || !digits.is_ascii() {
        return None;
    }
    for (byte, at) in entry.iter_mut().zip((0..digits.len()).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::parse as parse_layout;

    #[test]
    fn what_was_quarantined_is_known_to_those_with_the_same_judge() {
        let layout = Layout::default();
        let of = |how, judge: &str| entry_without_rows(&layout, "k", "e", how, judge);
        let quarantined = of(WithoutRows::Quarantined, "j");
        assert_eq!(quarantined, of(WithoutRows::Quarantined, "j"));
        assert_ne!(quarantined, entry(&layout, "k", "e"));
        assert_ne!(quarantined, of(WithoutRows::Ignored, "j"));
        assert_ne!(quarantined, of(WithoutRows::Quarantined, "i"));
    }

    #[test]
    fn an_object_with_other_bytes_is_another_object() {
        let key = "AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01/x.json.gz";
        let layout = parse_layout(key);
        let base = entry(&layout, key, "1");
        assert_eq!(base, entry(&layout, key, "1"));
        assert_eq!(base[0], layout.slot());
        assert_ne!(base, entry(&layout, key, "2"));
        assert_ne!(entry(&layout, "k", "1"), entry(&layout, "k1", ""));
        assert_eq!(month(&layout), 2024 * 12 + 4);
        assert_eq!(month(&Layout::default()), 0);
    }

    #[test]
    fn entries_read_back_from_their_digits() {
        let entry: Entry = *b"\x00\x01abc\xffefgh\x10\x0f";
        assert_eq!(from_digits(&to_digits(&entry)), Some(entry));
        for other in ["", "00", "zz0000000000000000000000", "é00000000000000000000000"] {
            assert_eq!(from_digits(other), None, "{other}");
        }
    }
}
