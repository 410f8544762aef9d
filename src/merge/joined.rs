//! Files joined to one, row group by row group and leaf by leaf.
//!
//! Each page of the inputs is read once: for the file that is made, and for the sum over the inputs that
//! proves it.

use crate::error::Result;
use crate::merge::gather::{Gathered, gather};
use crate::merge::input::Input;
use crate::merge::order::{Order, Spread};
use crate::merge::page::{Inflater, Page, damaged};
use crate::merge::share::share;
use crate::merge::side::{Side, Task, is_same, tasks};
use crate::merge::sum::{BOTH, Hashes, LeafSum, Sum};
use crate::merge::union::{Absent, Bases, Union};
use crate::parquet::{Compression, Encoder, LeafChunk, MergedFile, row_group_rows};
use std::sync::Arc;

/// A file of the main table, and the one of the typed table with the same rows.
#[derive(Debug)]
pub struct Joined {
    /// The bytes of the file of the main table.
    pub main: Vec<u8>,
    /// The bytes of the other, if the inputs have such files.
    pub typed: Option<Vec<u8>>,
    /// The sums over the inputs of the main table and of the other.
    pub sums: [Sum; 2],
}

/// Joins files; those of the typed table have the rows of those of the main table, in the same order. `notes`
/// are for the footers, of the main table first.
///
/// # Errors
/// `Damaged` when an input cannot be read; `Bug` when polars refuses what was encoded.
pub fn join(
    main: (&[Input], &Union),
    typed: Option<(&[Input], &Union)>,
    order: &Order,
    compression: Compression,
    notes: [Vec<(String, String)>; 2],
) -> Result<Joined> {
    join_groups(row_group_rows(order.rows()), main, typed, order, compression, notes)
}

/// As [`join`], to row groups of so many rows.
pub(super) fn join_groups(
    group_rows: usize,
    (inputs, union): (&[Input], &Union),
    typed: Option<(&[Input], &Union)>,
    order: &Order,
    compression: Compression,
    notes: [Vec<(String, String)>; 2],
) -> Result<Joined> {
    let mut sides = vec![Side { inputs, union }];
    sides.extend(typed.map(|(inputs, union)| Side { inputs, union }));
    let files = sides.iter().map(|side| MergedFile::new(side.union.types().to_vec(), side.bytes()));
    let mut files = files.collect::<Result<Vec<_>>>()?;
    let tasks = tasks(&sides);
    let mut sums = [Sum::default(); 2];
    for spread in order.spreads(inputs, group_rows)? {
        let rows = spread.places.len();
        let group = Group { sides: &sides, spread, compression, caches: Default::default() };
        let begin = || Worker::new(rows, sides.len());
        let done = share(tasks.len(), begin, |worker, task| group.work(worker, tasks[task]));
        let (chunks, workers) = done?;
        let mut places: Vec<Vec<Option<usize>>> =
            sides.iter().map(|side| vec![None; side.union.paths().len()]).collect();
        for (at, Task { side, leaf, twin }) in tasks.iter().enumerate() {
            places[*side][*leaf] = Some(at);
            if let Some(twin) = twin {
                places[1][*twin] = Some(at);
            }
        }
        for (side, (file, places)) in files.iter_mut().zip(places).enumerate() {
            let chunks = places.into_iter().map(|at| at.and_then(|at| chunks.get(at)));
            let chunks: Option<Vec<&LeafChunk>> = chunks.collect();
            // One table with Bloom filters is enough to find an id.
            file.add_group(rows as u64, &chunks.ok_or_else(damaged)?, side == 0);
        }
        let hashes: Vec<&Hashes> = workers.iter().map(|worker| &worker.hashes).collect();
        let of_group = Hashes::sums(&hashes);
        sums = [sums[0] + of_group[0], sums[1] + of_group[1]];
    }
    let mut ended = files.into_iter().zip(notes).map(|(file, notes)| file.end(notes));
    let main = ended.next().ok_or_else(damaged)??;
    Ok(Joined { main, typed: ended.next().transpose()?, sums })
}

/// What a thread has of its own.
struct Worker {
    encoder: Encoder,
    inflater: Inflater,
    /// The number of each entry's value, where there is one.
    slots: Vec<u32>,
    hashes: Hashes,
}

impl Worker {
    fn new(rows: usize, sides: usize) -> Self {
        Self {
            encoder: Encoder::default(),
            inflater: Inflater::default(),
            slots: Vec::new(),
            hashes: Hashes::new(rows, sides),
        }
    }
}

/// A row group that is made.
struct Group<'a> {
    sides: &'a [Side<'a>],
    spread: Spread<'a>,
    compression: Compression,
    caches: [(Absent, Bases); 2],
}

impl Group<'_> {
    /// Adds a leaf's values to the sums, and encodes it.
    fn work(&self, worker: &mut Worker, task: Task) -> Result<LeafChunk> {
        let Task { side, leaf, .. } = task;
        let (Side { inputs, union }, (_, bases)) = (self.sides[side], &self.caches[side]);
        let parts = self.sum(worker, task)?;
        let column = union.leaf(leaf).ok_or_else(damaged)?;
        let base = union.base(inputs, leaf, &self.spread, (bases, &mut worker.inflater))?;
        let base = (base.as_ref().map(|base| &base[..]), union.base_level(leaf));
        let gathered = gather(column, &self.spread, &parts, base, &mut worker.slots)?;
        let Gathered { def, rep, values } = &gathered;
        let encoder = &mut worker.encoder;
        LeafChunk::encode(encoder, values, (def, rep), column, self.compression)
    }

    /// Reads the pages of a leaf from each input, and adds them to the sums; where its twin is not the same bytes, it
    /// is read as well.
    fn sum(&self, worker: &mut Worker, task: Task) -> Result<Vec<Arc<Vec<Page>>>> {
        let Task { side, leaf, twin } = task;
        let mut parts = Vec::with_capacity(self.spread.inputs.len());
        let mut sum = LeafSum::new(self.sides[side].union, leaf);
        let mut of_twin = twin.map(|twin| (twin, LeafSum::new(self.sides[1].union, twin)));
        for (input, rows) in self.spread.inputs.iter().enumerate() {
            let add = |sum: &mut LeafSum, pages: &[Page], to: &mut [u128]| {
                pages.iter().for_each(|page| sum.add(page, rows, to));
            };
            let pages = self.read(worker, (side, leaf), input)?;
            let is_both = twin.is_some() && is_same(self.sides, task, input, &rows.range);
            add(&mut sum, &pages, &mut worker.hashes.0[if is_both { BOTH } else { side }]);
            if let Some((twin, sum)) = of_twin.as_mut().filter(|_| !is_both) {
                let pages = self.read(worker, (1, *twin), input)?;
                add(sum, &pages, &mut worker.hashes.0[1]);
            }
            parts.push(pages);
        }
        Ok(parts)
    }

    /// Reads the pages of a leaf from an input, where they say more than that there is nothing.
    fn read(
        &self,
        worker: &mut Worker,
        (side, leaf): (usize, usize),
        input: usize,
    ) -> Result<Arc<Vec<Page>>> {
        let (Side { inputs, union }, (absent, _)) = (self.sides[side], &self.caches[side]);
        let (of_input, rows) = (&inputs[input], &self.spread.inputs[input].range);
        match rows.is_empty() || (!union.is_first(leaf) && union.is_silent(of_input, leaf)) {
            true => Ok(Arc::default()),
            false => union.pages((input, of_input), leaf, rows, (absent, &mut worker.inflater)),
        }
    }
}
