//! The common order of files' rows: by event source, event name and time, as every file has it.

use crate::error::Result;
use crate::merge::input::Input;
use crate::merge::page::{Inflater, Levels, Page, Value, Wanted, damaged};
use crate::merge::runs::Run;
use hashbrown::HashMap;
use rayon::prelude::*;
use std::ops::Range;

/// A row: which input's, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) input: u32,
    pub(super) row: u32,
}

/// The rows of files in their common order; 40 bytes for each row while it is made.
#[derive(Debug)]
pub struct Order {
    pub(super) places: Vec<Place>,
    instants: Range<i64>,
}

type Kind = (Vec<u8>, Vec<u8>);

impl Order {
    /// Reads the columns that rows are ordered by, by all threads.
    ///
    /// # Errors
    /// `Damaged` when they cannot be read.
    pub fn of(inputs: &[Input]) -> Result<Self> {
        let of_inputs = inputs.par_iter().map(Keys::of).collect::<Result<Vec<Keys>>>()?;
        let mut kinds: Vec<&Kind> = of_inputs.iter().flat_map(|keys| &keys.kinds).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut all: Vec<(u32, i64, u32, u32)> = Vec::new();
        for (input, Keys { kinds: of_input, rows }) in of_inputs.iter().enumerate() {
            let rank = |kind: &Kind| kinds.partition_point(|other| *other < kind) as u32;
            let ranks: Vec<u32> = of_input.iter().map(rank).collect();
            let key = |(row, (kind, instant)): (usize, &(u32, i64))| {
                (ranks[*kind as usize], *instant, input as u32, row as u32)
            };
            all.extend(rows.iter().enumerate().map(key));
        }
        // Each input is in this order already, and this kind of sorting finds that.
        all.sort();
        let instants = || all.iter().map(|key| key.1);
        let (min, max) =
            (instants().min().unwrap_or_default(), instants().max().unwrap_or_default());
        let places = all.iter().map(|(_, _, input, row)| Place { input: *input, row: *row });
        Ok(Self { places: places.collect(), instants: min..max })
    }

    /// Returns where rows go, one row group of so many rows after another.
    ///
    /// # Errors
    /// `Damaged` unless every row of every input goes somewhere, once: the proof adds rows up by where they go.
    pub(super) fn spreads(&self, inputs: &[Input], rows: usize) -> Result<Vec<Spread<'_>>> {
        let groups: Vec<Spread<'_>> =
            self.places.chunks(rows).map(|places| Spread::of(places, inputs.len())).collect();
        let mut is_seen: Vec<Vec<bool>> =
            inputs.iter().map(|input| vec![false; input.rows() as usize]).collect();
        for place in &self.places {
            let row = is_seen.get_mut(place.input as usize);
            let row = row.and_then(|rows| rows.get_mut(place.row as usize)).ok_or_else(damaged)?;
            if std::mem::replace(row, true) {
                return Err(damaged());
            }
        }
        if is_seen.iter().flatten().any(|is_seen| !is_seen) {
            return Err(damaged());
        }
        Ok(groups)
    }

    /// Returns how many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.places.len()
    }

    /// Returns the earliest and the latest instant, in milliseconds since 1970.
    pub fn instants(&self) -> (i64, i64) {
        (self.instants.start, self.instants.end)
    }
}

/// What the rows of an input are ordered by.
struct Keys {
    kinds: Vec<Kind>,
    /// By row, the number of its kind, and its instant.
    rows: Vec<(u32, i64)>,
}

impl Keys {
    fn of(input: &Input) -> Result<Self> {
        let (mut inflater, rows) = (Inflater::default(), 0..input.rows());
        let mut column = |name: &str| match input.leaf(name) {
            Some(leaf) => input.pages(leaf, &rows, (Wanted::Everything, &mut inflater)),
            None => Ok(vec![Page::of_nothing(rows.clone())]),
        };
        let (sources, names) = (column("eventsource")?, column("eventname")?);
        let times = column("event_timestamp")?;
        let (mut sources, mut names) = (Cells::new(&sources), Cells::new(&names));
        let mut times = Cells::new(&times);
        let mut ids: HashMap<Kind, u32> = HashMap::new();
        let mut keys = Self { kinds: Vec::new(), rows: Vec::with_capacity(rows.end as usize) };
        let mut last: Option<(&[u8], &[u8], u32)> = None;
        for _ in rows.clone() {
            let (source, name) = (text(sources.next()), text(names.next()));
            let id = match last {
                Some((a, b, id)) if a == source && b == name => id,
                _ => {
                    let kind = (source.to_vec(), name.to_vec());
                    let next = keys.kinds.len() as u32;
                    let id = *ids.entry(kind.clone()).or_insert(next);
                    if id == next {
                        keys.kinds.push(kind);
                    }
                    id
                }
            };
            last = Some((source, name, id));
            let instant = match times.next() {
                Some(Value::Bigint(instant)) => instant,
                _ => 0,
            };
            keys.rows.push((id, instant));
        }
        Ok(keys)
    }
}

fn text(value: Option<Value<'_>>) -> &[u8] {
    match value {
        Some(Value::Text(text)) => text,
        _ => &[],
    }
}

/// A row group that is made: where its rows come from, and where those of each input go.
#[derive(Debug)]
pub(super) struct Spread<'o> {
    pub(super) places: &'o [Place],
    pub(super) inputs: Vec<Rows>,
}

/// Where rows of an input go.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// The rows between the first and the last one of the row group.
    pub(super) range: Range<u64>,
    to: Vec<u32>,
}

/// Where a row goes that is not in the row group.
const ELSEWHERE: u32 = u32::MAX;

impl<'o> Spread<'o> {
    fn of(places: &'o [Place], count: usize) -> Self {
        let mut inputs = vec![Rows::default(); count];
        for place in places {
            let Some(Rows { range, .. }) = inputs.get_mut(place.input as usize) else { continue };
            let row = u64::from(place.row);
            *range = match range.is_empty() {
                true => row..row + 1,
                false => range.start.min(row)..range.end.max(row + 1),
            };
        }
        for Rows { range, to } in &mut inputs {
            to.resize((range.end - range.start) as usize, ELSEWHERE);
        }
        for (at, place) in places.iter().enumerate() {
            let Some(Rows { range, to }) = inputs.get_mut(place.input as usize) else { continue };
            to[(u64::from(place.row) - range.start) as usize] = at as u32;
        }
        Self { places, inputs }
    }
}

impl Rows {
    /// Returns where some rows go, each with its number among them, without those that are not in the row
    /// group.
    #[inline]
    pub(super) fn places(&self, rows: Range<u64>) -> impl Iterator<Item = (usize, usize)> + '_ {
        let at = |row: u64| {
            let row = row.clamp(self.range.start, self.range.end);
            (row - self.range.start) as usize
        };
        let before = self.range.start.saturating_sub(rows.start) as usize;
        let to = self.to.get(at(rows.start)..at(rows.end)).unwrap_or_default().iter().enumerate();
        to.filter(|(_, to)| **to != ELSEWHERE).map(move |(n, to)| (before + n, *to as usize))
    }
}

/// The values of a column without structure, row by row.
struct Cells<'p> {
    pages: &'p [Page],
    runs: &'p [Run],
    /// Rows of the first run that are done, and values of the page.
    done: u32,
    values: usize,
}

impl<'p> Cells<'p> {
    fn new(pages: &'p [Page]) -> Self {
        let mut cells = Self { pages, runs: &[], done: 0, values: 0 };
        cells.begin();
        cells
    }

    /// Begins with the first page that is left.
    fn begin(&mut self) {
        self.values = 0;
        self.runs = match self.pages.first().map(|page| &page.levels) {
            Some(Levels::Flat(runs)) => runs,
            _ => &[],
        };
    }

    /// Returns the value of the next row, if it has one.
    fn next(&mut self) -> Option<Value<'p>> {
        while self.runs.is_empty() {
            self.pages = self.pages.get(1..)?;
            self.begin();
        }
        let (page, run) = (self.pages.first()?, self.runs.first()?);
        self.done += 1;
        if self.done >= run.entries {
            (self.runs, self.done) = (&self.runs[1..], 0);
        }
        if run.level != page.max_def {
            return None;
        }
        self.values += 1;
        page.value(self.values - 1)
    }
}
