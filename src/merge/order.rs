//! The common order of files' rows: by event source, event name and time, as every file has it.

use crate::error::Result;
use crate::merge::input::Input;
use crate::merge::page::{Page, Value};
use hashbrown::HashMap;
use std::ops::Range;

/// A row: which input's, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) input: u32,
    pub(super) row: u32,
}

/// The rows of files in their common order; 24 bytes for each row while it is made.
#[derive(Debug)]
pub struct Order {
    pub(super) places: Vec<Place>,
    instants: Range<i64>,
}

type Kind = (Vec<u8>, Vec<u8>);

impl Order {
    /// Reads the columns that rows are ordered by.
    ///
    /// # Errors
    /// `Damaged` when they cannot be read.
    pub fn of(inputs: &[Input]) -> Result<Self> {
        let mut ids: HashMap<Kind, u32> = HashMap::new();
        let mut keys: Vec<(u32, i64, u32, u32)> = Vec::new();
        for (number, input) in inputs.iter().enumerate() {
            let rows = 0..input.rows();
            let column = |name: &str| match input.leaf(name) {
                Some(leaf) => input.pages(leaf, &rows),
                None => Ok(vec![Page::of_nothing(rows.clone(), false)]),
            };
            let (sources, names) = (column("eventsource")?, column("eventname")?);
            let times = column("event_timestamp")?;
            let (mut sources, mut names) = (Cells::new(&sources), Cells::new(&names));
            let mut times = Cells::new(&times);
            let mut last: Option<(&[u8], &[u8], u32)> = None;
            for row in rows {
                let (source, name) = (text(sources.get(row)), text(names.get(row)));
                let id = match last {
                    Some((a, b, id)) if a == source && b == name => id,
                    _ => {
                        let next = ids.len() as u32;
                        *ids.entry((source.to_vec(), name.to_vec())).or_insert(next)
                    }
                };
                last = Some((source, name, id));
                let instant = match times.get(row) {
                    Some(Value::Bigint(instant)) => instant,
                    _ => 0,
                };
                keys.push((id, instant, number as u32, row as u32));
            }
        }
        let mut kinds: Vec<(&Kind, u32)> = ids.iter().map(|(kind, id)| (kind, *id)).collect();
        kinds.sort_unstable();
        let mut rank = vec![0; kinds.len()];
        for (at, (_, id)) in kinds.iter().enumerate() {
            rank[*id as usize] = at as u32;
        }
        keys.iter_mut().for_each(|key| key.0 = rank[key.0 as usize]);
        keys.sort_unstable();
        let instants = || keys.iter().map(|key| key.1);
        let (min, max) =
            (instants().min().unwrap_or_default(), instants().max().unwrap_or_default());
        let places = keys.iter().map(|(_, _, input, row)| Place { input: *input, row: *row });
        Ok(Self { places: places.collect(), instants: min..max })
    }

    /// Returns the earliest and the latest instant, in milliseconds since 1970.
    pub fn instants(&self) -> (i64, i64) {
        (self.instants.start, self.instants.end)
    }
}

fn text(value: Option<Value<'_>>) -> &[u8] {
    match value {
        Some(Value::Text(text)) => text,
        _ => &[],
    }
}

/// The values of a column without structure, by rows that only go forward.
struct Cells<'p> {
    pages: &'p [Page],
    at: usize,
}

impl<'p> Cells<'p> {
    fn new(pages: &'p [Page]) -> Self {
        Self { pages, at: 0 }
    }

    fn get(&mut self, row: u64) -> Option<Value<'p>> {
        let mut page = self.pages.get(self.at)?;
        while page.range().end <= row {
            self.at += 1;
            page = self.pages.get(self.at)?;
        }
        let (_, values) = page.row((row - page.first_row) as usize);
        if values.is_empty() { None } else { page.value(values.start) }
    }
}
