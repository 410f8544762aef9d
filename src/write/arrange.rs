//! The order of rows: by partition, then by event source, event name and time.
//!
//! Rows of one kind of event stand together, so that dictionaries and statistics prune, equal texts
//! compress, and sparse columns become runs of nulls: a 60 MB sample takes 12.0 MB of Parquet, and
//! 14.1 MB when ordered by time alone (text only 6.95 against 7.43). The order does not depend on
//! threads.

use crate::columns::{NONE, Row, SideText, TableRows, Tree, Values};
use hashbrown::HashMap;

/// Rows in their order, and where each partition's rows are.
#[derive(Debug)]
pub(crate) struct Order {
    /// Row numbers, in order.
    pub rows: Vec<u32>,
    /// Partition and its range in `rows`.
    pub slices: Vec<(u32, std::ops::Range<u32>)>,
}

impl Order {
    /// Orders the rows for which `keep` holds.
    pub(super) fn new(table: &TableRows, source: &[u8], side: &SideText, keep: &[bool]) -> Self {
        let mut partitions: Vec<u32> = (0..table.partitions.len() as u32).collect();
        partitions
            .sort_by(|a, b| table.partitions[*a as usize].cmp(&table.partitions[*b as usize]));
        let mut partition_rank = vec![0; partitions.len()];
        for (rank, partition) in partitions.iter().enumerate() {
            partition_rank[*partition as usize] = rank as u32;
        }
        let kinds = kind_ranks(&table.rows, source, side);
        let mut keys: Vec<(u32, u32, i64, u32)> = table
            .rows
            .iter()
            .enumerate()
            .filter(|(i, _)| keep[*i])
            .map(|(i, row)| {
                (partition_rank[row.partition as usize], kinds[i], row.instant, i as u32)
            })
            .collect();
        keys.sort_unstable();
        let mut slices: Vec<(u32, std::ops::Range<u32>)> = Vec::new();
        for (at, (rank, ..)) in keys.iter().enumerate() {
            let partition = partitions[*rank as usize];
            match slices.last_mut() {
                Some((last, range)) if *last == partition => range.end = at as u32 + 1,
                _ => slices.push((partition, at as u32..at as u32 + 1)),
            }
        }
        Self { rows: keys.into_iter().map(|(.., row)| row).collect(), slices }
    }

    /// Gives the slots of all trees their row's place in the order.
    pub(super) fn apply(&self, table: &mut TableRows) {
        let mut places = vec![NONE; table.rows.len()];
        for (place, row) in self.rows.iter().enumerate() {
            places[*row as usize] = place as u32;
        }
        for values in &mut table.values {
            if let Values::Typed(tree) | Values::Nested(tree) = values {
                remap(tree, 0, &places);
            }
        }
    }
}

/// The rank of each row's (event source, event name) among all pairs, in text order.
fn kind_ranks(rows: &[Row], source: &[u8], side: &SideText) -> Vec<u32> {
    let mut ids: HashMap<(&[u8], &[u8]), u32> = HashMap::new();
    let mut pairs: Vec<(&[u8], &[u8])> = Vec::new();
    let of_row: Vec<u32> = rows
        .iter()
        .map(|row| {
            let pair = (row.source.bytes(source, side), row.name.bytes(source, side));
            *ids.entry(pair).or_insert_with(|| {
                pairs.push(pair);
                pairs.len() as u32 - 1
            })
        })
        .collect();
    let mut sorted: Vec<u32> = (0..pairs.len() as u32).collect();
    sorted.sort_by_key(|id| pairs[*id as usize]);
    let mut rank = vec![0; pairs.len()];
    for (at, id) in sorted.iter().enumerate() {
        rank[*id as usize] = at as u32;
    }
    of_row.into_iter().map(|id| rank[id as usize]).collect()
}

/// Renumbers the slots of `node` and everything below; slots mapped to [`NONE`] go.
fn remap(tree: &mut Tree, node: u32, places: &[u32]) {
    let this = &mut tree.nodes[node as usize];
    macro_rules! renumber {
        ($entries:expr) => {
            $entries.retain_mut(|entry| {
                entry.slot = places[entry.slot as usize];
                entry.slot != NONE
            });
            if !$entries.is_sorted_by_key(|entry| entry.slot) {
                $entries.sort_unstable_by_key(|entry| entry.slot);
            }
        };
    }
    renumber!(this.scalars);
    renumber!(this.objects);
    renumber!(this.lists);
    let children = this.children.clone();
    let element = this.element;
    if element != NONE {
        let mut element_places = vec![NONE; this.element_slots as usize];
        let mut next = 0;
        for list in &mut this.lists {
            for n in 0..list.count {
                element_places[(list.first + n) as usize] = next + n;
            }
            list.first = next;
            next += list.count;
        }
        remap(tree, element, &element_places);
    }
    for child in children {
        remap(tree, child, places);
    }
}
