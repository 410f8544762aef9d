//! Dictionaries of texts: found by value, or by cell where equal texts are equal cells.

use crate::parquet::bounds::Bounds;
use crate::parquet::leaf::Leaf;
use crate::rows::Cell;
use hashbrown::HashTable;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// The largest dictionary of a column chunk.
const MAX_DICTIONARY_BYTES: usize = 1 << 20;

/// Values looked at before a dictionary is abandoned.
const DICTIONARY_TRIAL: usize = 1024;

/// The distinct values of a column chunk, in the order of their first use.
#[derive(Default)]
pub(super) struct Dictionary {
    table: HashTable<u32>,
    /// Per entry, the number of the first value that has it.
    pub(super) firsts: Vec<u32>,
    /// Per value its entry.
    pub(super) indices: Vec<u32>,
    is_seen: Vec<bool>,
    /// Of texts by number, the entry of each.
    entries: Vec<u32>,
}

/// The entry of a text that has none yet.
const NO_ENTRY: u32 = u32::MAX;

/// Whether so many bytes and entries among so many values are no dictionary.
fn is_too_much(size: usize, values: usize, entries: usize) -> bool {
    size > MAX_DICTIONARY_BYTES || (values >= DICTIONARY_TRIAL && entries * 2 > values)
}

impl Dictionary {
    /// Builds the dictionary of a leaf's texts; `false` when they hardly repeat.
    pub(super) fn build(&mut self, leaf: &Leaf<'_>) -> bool {
        self.table.clear();
        self.firsts.clear();
        self.indices.clear();
        let is_small = match leaf {
            Leaf::Text { values, ids: false } => self.index(values, xxh3_64, <[u8]>::len),
            Leaf::Interned { cells, .. } => self.index(cells, |cell| mix(cell.id()), Cell::len),
            Leaf::Numbered { texts, ids } => self.index_numbered(texts, ids),
            _ => false,
        };
        is_small && !self.indices.is_empty() && self.firsts.len() * 4 <= self.indices.len() * 3
    }

    /// Finds the distinct values; `false` when it gave up.
    fn index<T: Copy + Eq>(
        &mut self,
        values: &[T],
        hash: impl Fn(T) -> u64,
        len: impl Fn(T) -> usize,
    ) -> bool {
        let Self { table, firsts, indices, .. } = self;
        indices.reserve(values.len());
        let (mut size, mut last) = (0, None);
        for (number, value) in values.iter().copied().enumerate() {
            if let Some((before, id)) = last
                && before == value
            {
                indices.push(id);
                continue;
            }
            let next = firsts.len() as u32;
            let value_of = |id: &u32| values[firsts[*id as usize] as usize];
            let entry =
                table.entry(hash(value), |id| value_of(id) == value, |id| hash(value_of(id)));
            let id = *entry.or_insert(next).get();
            if id == next {
                firsts.push(number as u32);
                size += len(value) + 4;
                if is_too_much(size, number, firsts.len()) {
                    return false;
                }
            }
            indices.push(id);
            last = Some((value, id));
        }
        true
    }

    /// Finds the distinct values of texts by number: a text is looked at once for each of its numbers.
    fn index_numbered(&mut self, texts: &[&[u8]], ids: &[u32]) -> bool {
        let Self { table, firsts, indices, entries, .. } = self;
        entries.clear();
        entries.resize(texts.len(), NO_ENTRY);
        indices.reserve(ids.len());
        let mut size = 0;
        for (number, id) in ids.iter().enumerate() {
            let (text, mut entry) = (texts[*id as usize], entries[*id as usize]);
            if entry == NO_ENTRY {
                let next = firsts.len() as u32;
                let text_of = |entry: &u32| texts[ids[firsts[*entry as usize] as usize] as usize];
                let is_it = |entry: &u32| text_of(entry) == text;
                let found = table.entry(xxh3_64(text), is_it, |entry| xxh3_64(text_of(entry)));
                entry = *found.or_insert(next).get();
                entries[*id as usize] = entry;
                if entry == next {
                    firsts.push(number as u32);
                    size += text.len() + 4;
                    if is_too_much(size, number, firsts.len()) {
                        return false;
                    }
                }
            }
            indices.push(entry);
        }
        true
    }

    /// The bounds of the values in `range`.
    pub(super) fn bounds(&mut self, leaf: &Leaf<'_>, range: Range<usize>) -> Option<Bounds> {
        let text_of = |first: &u32| leaf.text(*first as usize);
        if range.len() == leaf.len() {
            return Bounds::of_texts(self.firsts.iter().map(text_of));
        }
        self.is_seen.clear();
        self.is_seen.resize(self.firsts.len(), false);
        for id in &self.indices[range] {
            self.is_seen[*id as usize] = true;
        }
        let seen = self.firsts.iter().zip(&self.is_seen).filter(|(_, is_seen)| **is_seen);
        Bounds::of_texts(seen.map(|(first, _)| text_of(first)))
    }
}

/// Spreads a cell's number over all bits.
fn mix(id: u64) -> u64 {
    let product = u128::from(id) * 0x9E37_79B9_7F4A_7C15;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_given_up_when_values_hardly_repeat() {
        let texts: Vec<String> = (0..5000).map(|i| i.to_string()).collect();
        let distinct: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let leaf = |values| Leaf::Text { values, ids: false };
        let mut dictionary = Dictionary::default();
        assert!(!dictionary.build(&leaf(&distinct)));
        let repeated: Vec<&[u8]> = (0..5000).map(|i| distinct[i % 7]).collect();
        assert!(dictionary.build(&leaf(&repeated)));
        assert_eq!((dictionary.firsts.len(), dictionary.indices.len()), (7, 5000));
        let bounds = dictionary.bounds(&leaf(&repeated), 2..4).unwrap();
        assert_eq!(bounds, Bounds::new(*b"2", *b"3"));
        assert!(!dictionary.build(&leaf(&[])), "a page of nulls needs none");

        let every: Vec<u32> = (0..5000).collect();
        assert!(!dictionary.build(&Leaf::Numbered { texts: &distinct, ids: &every }));
        let ids: Vec<u32> = (0..5000).map(|i| i % 7).collect();
        assert!(dictionary.build(&Leaf::Numbered { texts: &distinct, ids: &ids }));
        assert_eq!(
            (&dictionary.firsts[..], &dictionary.indices),
            (&[0, 1, 2, 3, 4, 5, 6][..], &ids)
        );
        let texts: [&[u8]; 3] = [b"a", b"b", b"a"];
        assert!(dictionary.build(&Leaf::Numbered { texts: &texts, ids: &[2, 1, 0, 2, 1] }));
        assert_eq!(dictionary.indices, [0, 1, 0, 0, 1], "equal texts have one entry");
    }
}
