//! An order-free sum over the rows of files: equal sums of inputs and outputs prove equal rows.
//!
//! A row's hash is made of all leaves, with their levels; a member that a file has not counts like a null. A leaf
//! without a value in a row counts only if it is the first one of a group, whose presence it tells: of the others the
//! levels follow from that.
//! The hashes of all rows are added up, so that a row that is lost, doubled or changed changes the sum.
//!
//! What a sum costs follows the values that are there: most leaves have few, and a text of a dictionary is hashed
//! once for all rows that have it.

use crate::error::Result;
use crate::merge::input::Input;
use crate::merge::order::Rows;
use crate::merge::page::{Inflater, Levels, Page, Texts, Value, Values, damaged};
use crate::merge::share::share;
use crate::merge::side::{Side, Task, is_same, tasks};
use crate::merge::union::{Absent, Union};
use std::ops::Range;
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128, xxh3_128_with_seed};

/// How many rows files have, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Rows.
    pub rows: u64,
    hash: u128,
}

impl std::ops::Add for Sum {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, hash: self.hash.wrapping_add(other.hash) }
    }
}

impl Sum {
    /// Adds up rows whose hashes several workers have made, each of some leaves.
    fn of_rows<'h>(hashes: impl IntoIterator<Item = &'h [u128]>) -> Self {
        let mut all: Vec<u128> = Vec::new();
        for hashes in hashes {
            all.resize(all.len().max(hashes.len()), 0);
            all.iter_mut().zip(hashes).for_each(|(all, hash)| *all = all.wrapping_add(*hash));
        }
        let mix = |hash: &u128| xxh3_128(&hash.to_le_bytes());
        Self { rows: all.len() as u64, hash: all.iter().map(mix).fold(0, u128::wrapping_add) }
    }
}

/// Reads files from their first to their last page, as files with the columns of a union.
///
/// # Errors
/// `Damaged` when one cannot be read.
pub fn sum_of(inputs: &[Input], union: &Union) -> Result<Sum> {
    let mut of_each = inputs.iter().map(|input| sums_of((input, union), None));
    of_each.try_fold(Sum::default(), |sum, of_input| Ok(sum + of_input?[0]))
}

/// Reads a file of the main table, and the one of the typed table with the same row groups, from their first to
/// their last page. What both have is decoded once, where it is the same bytes in both.
///
/// # Errors
/// `Damaged` when one cannot be read.
pub fn sums_of(main: (&Input, &Union), typed: Option<(&Input, &Union)>) -> Result<[Sum; 2]> {
    let side = |(input, union)| Side { inputs: std::slice::from_ref(input), union };
    let sides: Vec<Side<'_>> = [Some(main), typed].into_iter().flatten().map(side).collect();
    if typed.is_some_and(|(input, _)| input.groups() != main.0.groups()) {
        return Err(damaged());
    }
    let tasks = tasks(&sides);
    let mut sums = [Sum::default(); 2];
    for rows in main.0.groups() {
        let of_group = sums_of_group(&sides, &tasks, rows)?;
        sums = [sums[0] + of_group[0], sums[1] + of_group[1]];
    }
    Ok(sums)
}

fn sums_of_group(sides: &[Side<'_>], tasks: &[Task], rows: &Range<u64>) -> Result<[Sum; 2]> {
    let absent = [Absent::default(), Absent::default()];
    let count = (rows.end - rows.start) as usize;
    let begin = || (Inflater::default(), Hashes::new(count, sides.len()));
    let work = |(inflater, hashes): &mut (Inflater, Hashes), task: usize| {
        let task = tasks[task];
        let mut add = |side: usize, leaf: usize, to: usize| {
            let Side { inputs, union } = sides[side];
            if !union.is_first(leaf) && !union.has(&inputs[0], leaf) {
                return Ok(());
            }
            let mut sum = LeafSum::new(union, leaf);
            let pages = union.pages((0, &inputs[0]), leaf, rows, (&absent[side], inflater))?;
            for page in pages.iter() {
                let range = page.range();
                if range.start < rows.start || range.end > rows.end {
                    return Err(damaged());
                }
                sum.add(page, rows, &mut hashes.0[to]);
            }
            Ok(())
        };
        match task.twin {
            Some(_) if is_same(sides, task, 0, rows) => add(task.side, task.leaf, BOTH),
            Some(twin) => add(task.side, task.leaf, 0).and_then(|()| add(1, twin, 1)),
            None => add(task.side, task.leaf, task.side),
        }
    };
    let (_, workers) = share(tasks.len(), begin, work)?;
    let hashes: Vec<&Hashes> = workers.iter().map(|(_, hashes)| hashes).collect();
    Ok(Hashes::sums(&hashes))
}

/// Where leaves are added that are the same in both tables.
pub(super) const BOTH: usize = 2;

/// What the leaves that a worker has read add to the hash of each row: of the main table, of the other, and of
/// both.
pub(super) struct Hashes(pub(super) [Vec<u128>; 3]);

impl Hashes {
    /// Begins with rows of one table or of both.
    pub(super) fn new(rows: usize, sides: usize) -> Self {
        let of_both = if sides > 1 { rows } else { 0 };
        Self([rows, of_both, of_both].map(|rows| vec![0; rows]))
    }

    /// Adds up what workers have, each of some leaves.
    pub(super) fn sums(workers: &[&Self]) -> [Sum; 2] {
        [0, 1].map(|side| {
            let of_workers = workers.iter().flat_map(|Self(of)| [&of[side], &of[BOTH]]);
            Sum::of_rows(of_workers.map(|hashes| &hashes[..]))
        })
    }
}

/// Adds what a leaf has to the hashes of rows.
pub(super) struct LeafSum {
    seed: u64,
    is_first: bool,
    /// The hashes of the texts of the last dictionary.
    entries: Option<(Arc<Texts>, Vec<u128>)>,
    text: Vec<u8>,
}

impl LeafSum {
    pub(super) fn new(union: &Union, leaf: usize) -> Self {
        let path = union.paths().get(leaf).map_or("", String::as_str);
        let (seed, is_first) = (xxh3_64(path.as_bytes()), union.is_first(leaf));
        Self { seed, is_first, entries: None, text: Vec::new() }
    }

    /// Adds a page; `to` says where the hashes of its rows are.
    pub(super) fn add(&mut self, page: &Page, to: &impl Places, hashes: &mut [u128]) {
        let mut put = |place: usize, hash: u128| {
            if let Some(sum) = hashes.get_mut(place) {
                *sum = sum.wrapping_add(hash);
            }
        };
        if let Values::Dictionary(texts, _) = &page.values {
            self.hash_entries(texts);
        }
        let (seed, is_first) = (self.seed, self.is_first);
        page.each_run(|level, rows, values| {
            if values.is_none() && (level == 0 || !is_first) {
                return;
            }
            let rows = page.first_row + rows.start as u64..page.first_row + rows.end as u64;
            match (values, &page.values) {
                (None, _) => {
                    let hash = hash_one(level, None, seed);
                    to.each(rows, |_, place| put(place, hash));
                }
                (Some(first), Values::Dictionary(_, entries)) => {
                    let hashes = self.entries.as_ref().map_or(&[][..], |(_, hashes)| hashes);
                    let entries = &entries[first..];
                    to.each(rows, |n, place| put(place, hashes[entries[n] as usize]));
                }
                (Some(first), Values::Plain(texts)) => {
                    let hash = |n: usize| xxh3_128_with_seed(texts.get(first + n), seed);
                    to.each(rows, |n, place| put(place, hash(n)));
                }
                (Some(first), _) => to.each(rows, |n, place| {
                    put(place, hash_one(level, page.value(first + n), seed));
                }),
            }
        });
        let Levels::Nested { def, rep, starts } = &page.levels else { return };
        // Most rows are nulls at the level of the row before.
        let mut of_nulls: Option<(u8, u128)> = None;
        to.each(page.range(), |row, place| {
            let (from, end) = (starts[row], starts[row + 1]);
            let (entries, values) =
                (from.0 as usize..end.0 as usize, from.1 as usize..end.1 as usize);
            let def = &def[entries.clone()];
            if def == [0] || (values.is_empty() && !is_first) {
                return;
            }
            // Where nothing else of its page repeats, a row of one entry is in a run.
            let value = page.value(values.start).filter(|_| !values.is_empty());
            let hash = match def {
                [level] if value.is_none() => match &mut of_nulls {
                    Some((of_level, hash)) if *of_level == *level => *hash,
                    other => other.insert((*level, hash_one(*level, None, seed))).1,
                },
                [level] => hash_one(*level, value, seed),
                _ => hash_levels((def, &rep[entries]), page, values, (seed, &mut self.text)),
            };
            put(place, hash);
        });
    }

    /// Hashes the texts of a dictionary, unless they are those of the page before.
    fn hash_entries(&mut self, texts: &Arc<Texts>) {
        if self.entries.as_ref().is_none_or(|(last, _)| !Arc::ptr_eq(last, texts)) {
            let hashes = texts.iter().map(|text| xxh3_128_with_seed(text, self.seed)).collect();
            self.entries = Some((Arc::clone(texts), hashes));
        }
    }
}

/// Hashes a row of one entry: its level, and its value if it has one.
#[inline]
fn hash_one(level: u8, value: Option<Value<'_>>, seed: u64) -> u128 {
    let mut bytes = [1, 0, 0, 0, level, 0, 0, 0, 0, 0, 0, 0, 0];
    let length = match value {
        Some(Value::Text(text)) => return xxh3_128_with_seed(text, seed),
        Some(Value::Bigint(value)) => {
            bytes[5..].copy_from_slice(&value.to_le_bytes());
            13
        }
        Some(Value::Double(value)) => {
            bytes[5..].copy_from_slice(&value.to_bits().to_le_bytes());
            13
        }
        Some(Value::Boolean(value)) => {
            bytes[5] = u8::from(value);
            6
        }
        None => 5,
    };
    // A text that looks like levels must not be taken for them.
    xxh3_128_with_seed(&bytes[..length], !seed)
}

/// Hashes the levels and the values of a row of several entries; `text` is room for them.
fn hash_levels(
    (def, rep): (&[u8], &[u8]),
    page: &Page,
    values: Range<usize>,
    (seed, text): (u64, &mut Vec<u8>),
) -> u128 {
    text.clear();
    text.extend_from_slice(&(def.len() as u32).to_le_bytes());
    text.extend_from_slice(def);
    text.extend_from_slice(rep);
    for number in values {
        match page.value(number) {
            Some(Value::Text(value)) => {
                text.extend_from_slice(&(value.len() as u64).to_le_bytes());
                text.extend_from_slice(value);
            }
            Some(Value::Bigint(value)) => text.extend_from_slice(&value.to_le_bytes()),
            Some(Value::Double(value)) => text.extend_from_slice(&value.to_bits().to_le_bytes()),
            Some(Value::Boolean(value)) => text.push(u8::from(value)),
            None => {}
        }
    }
    xxh3_128_with_seed(text, !seed)
}

/// Where the hashes of rows are.
pub(super) trait Places {
    /// Calls `see` with the number of each of some rows among them, and its place, if it counts.
    fn each(&self, rows: Range<u64>, see: impl FnMut(usize, usize));
}

/// Rows that go to a row group that is made.
impl Places for Rows {
    #[inline]
    fn each(&self, rows: Range<u64>, mut see: impl FnMut(usize, usize)) {
        self.places(rows).for_each(|(n, place)| see(n, place));
    }
}

/// The rows of a row group, in their order.
impl Places for Range<u64> {
    #[inline]
    fn each(&self, rows: Range<u64>, mut see: impl FnMut(usize, usize)) {
        let first = rows.start.wrapping_sub(self.start) as usize;
        let count = (rows.end - rows.start) as usize;
        (0..count).for_each(|n| see(n, first.wrapping_add(n)));
    }
}
