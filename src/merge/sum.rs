//! An order-free sum over the rows of files: equal sums of inputs and outputs prove equal rows.
//!
//! A row's hash is made of all leaves, with their levels; a member that a file has not counts like a null. A leaf
//! without a value in a row counts only if it is the first one of a group, whose presence it tells: of the others the
//! levels follow from that.
//! The hashes of all rows are added up, so that a row that is lost, doubled or changed changes the sum.

use crate::error::Result;
use crate::merge::input::Input;
use crate::merge::page::{Page, Value, damaged};
use crate::merge::union::{Absent, Union};
use rayon::prelude::*;
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

/// Reads files from their first to their last page, as files with the columns of a union.
///
/// # Errors
/// `Damaged` when one cannot be read.
pub fn sum_of(inputs: &[Input], union: &Union) -> Result<Sum> {
    let sums = inputs.par_iter().map(|input| sum_of_file(input, union));
    sums.try_reduce(Sum::default, |a, b| Ok(a + b))
}

fn sum_of_file(input: &Input, union: &Union) -> Result<Sum> {
    let mut sum = Sum::default();
    for rows in input.groups() {
        let count = (rows.end - rows.start) as usize;
        let (leaves, absent) = (0..union.paths().len(), Absent::default());
        let hashes = leaves.into_par_iter().try_fold(
            || vec![0_u128; count],
            |mut hashes, leaf| {
                let is_first = union.is_first(leaf);
                if !is_first && !union.has(input, leaf) {
                    return Ok(hashes);
                }
                let seed = xxh3_64(union.paths()[leaf].as_bytes());
                let repeats =
                    union.leaf(leaf).is_some_and(|leaf| leaf.descriptor.max_rep_level > 0);
                for page in union.pages((0, input), leaf, rows, &absent)?.iter() {
                    if !page.is_void() {
                        let first = page.first_row.checked_sub(rows.start).ok_or_else(damaged)?;
                        let of_page = hashes.get_mut(first as usize..).ok_or_else(damaged)?;
                        add(page, (repeats, is_first), seed, of_page);
                    }
                }
                Ok::<_, crate::error::Error>(hashes)
            },
        );
        let hashes = hashes.try_reduce(
            || vec![0_u128; count],
            |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_add(b));
                Ok(a)
            },
        )?;
        let mix = |hash: &u128| xxh3_128(&hash.to_le_bytes());
        let hash = hashes.iter().map(mix).fold(0, u128::wrapping_add);
        sum = sum + Sum { rows: count as u64, hash };
    }
    Ok(sum)
}

/// Adds what a page has to the hashes of its rows.
fn add(page: &Page, (repeats, is_first): (bool, bool), seed: u64, hashes: &mut [u128]) {
    let mut text = Vec::new();
    for (row, hash) in (0..page.rows()).zip(hashes) {
        let (entries, values) = page.row(row);
        let is_nothing = entries.len() == 1 && page.def[entries.start] == 0;
        if is_nothing || (values.is_empty() && !is_first) {
            continue;
        }
        // Most leaves have one text in a row: it is hashed where it stands.
        if !repeats
            && values.len() == 1
            && let Some(Value::Text(text)) = page.value(values.start)
        {
            *hash = hash.wrapping_add(xxh3_128_with_seed(text, seed));
            continue;
        }
        text.clear();
        text.push(0);
        text.extend_from_slice(&page.def[entries.clone()]);
        if repeats {
            text.extend_from_slice(page.rep.get(entries).unwrap_or_default());
        }
        for number in values {
            match page.value(number) {
                Some(Value::Text(value)) => {
                    text.extend_from_slice(&(value.len() as u64).to_le_bytes());
                    text.extend_from_slice(value);
                }
                Some(Value::Bigint(value)) => text.extend_from_slice(&value.to_le_bytes()),
                Some(Value::Double(value)) => {
                    text.extend_from_slice(&value.to_bits().to_le_bytes());
                }
                Some(Value::Boolean(value)) => text.push(u8::from(value)),
                None => {}
            }
        }
        // A text that looks like levels must not be taken for them.
        *hash = hash.wrapping_add(xxh3_128_with_seed(&text, !seed));
    }
}
