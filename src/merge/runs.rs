//! Levels as runs of equal ones, from Parquet's run-length and bit-packing hybrid.

/// Entries one after another that have the same definition level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) level: u8,
    pub(super) entries: u32,
}

/// Adds a run, to the one before where both are at one level.
pub(super) fn push(runs: &mut Vec<Run>, level: u8, entries: u32) {
    match runs.last_mut() {
        Some(last) if last.level == level => last.entries += entries,
        _ if entries > 0 => runs.push(Run { level, entries }),
        _ => {}
    }
}

/// Levels, with their length before them; all 0 where there is only one level. Those up to `floor` are told as 0. Nothing for bytes
/// that are no such levels.
pub(super) fn runs(
    bytes: &[u8],
    at: &mut usize,
    (max, floor): (u8, u8),
    entries: usize,
) -> Option<Vec<Run>> {
    let entries = u32::try_from(entries).ok()?;
    let mut out = Vec::new();
    if max == 0 {
        push(&mut out, 0, entries);
        return Some(out);
    }
    let length = bytes.get(*at..*at + 4).and_then(|length| length.try_into().ok());
    let length = u32::from_le_bytes(length?) as usize;
    let packed = bytes.get(*at + 4..*at + 4 + length)?;
    *at += 4 + length;
    let (mut rest, mut left) = (packed, entries as usize);
    let mut runs = Runs::new(u8::BITS - max.leading_zeros(), floor);
    while left > 0 {
        let header = varint(&mut rest)?;
        let length = (header >> 1) as usize;
        let count = match header & 1 {
            0 => {
                let (level, after) = rest.split_first()?;
                rest = after;
                let count = length.min(left);
                runs.push(if *level > floor { *level } else { 0 }, count as u32);
                count
            }
            _ => {
                let size = length.saturating_mul(runs.width as usize).min(rest.len());
                let count = length.saturating_mul(8).min(left);
                // The last group may be cut.
                if (size as u64) * 8 < count as u64 * u64::from(runs.width) {
                    return None;
                }
                runs.push_packed(rest, count);
                rest = &rest[size..];
                count
            }
        };
        left -= count;
    }
    let out = runs.end();
    out.iter().all(|run| run.level <= max).then_some(out)
}

/// Runs of levels that are found one after another.
struct Runs {
    out: Vec<Run>,
    last: Run,
    /// Bits of a level.
    width: u32,
    floor: u8,
}

impl Runs {
    fn new(width: u32, floor: u8) -> Self {
        Self { out: Vec::new(), last: Run { level: 0, entries: 0 }, width, floor }
    }

    #[inline]
    fn push(&mut self, level: u8, entries: u32) {
        if level == self.last.level {
            self.last.entries += entries;
            return;
        }
        if self.last.entries > 0 {
            self.out.push(self.last);
        }
        self.last = Run { level, entries };
    }

    /// Adds so many levels, packed eight by eight. Of most eight, all are up to the floor, or all are equal.
    fn push_packed(&mut self, packed: &[u8], count: usize) {
        let (width, floor) = (self.width, u64::from(self.floor));
        let mask = (1_u64 << width) - 1;
        let ones = (0..8).fold(0_u64, |ones, n| ones | 1 << (n * width));
        let highs = ones << (width - 1);
        // What makes each level overflow that is more than the floor.
        let over = ones * (mask - floor);
        let mut left = count;
        for at in (0..).step_by(width as usize) {
            let bits = match packed.get(at..).and_then(<[u8]>::first_chunk::<8>) {
                Some(bytes) => u64::from_le_bytes(*bytes),
                None => {
                    let mut bytes = [0; 8];
                    let rest = packed.get(at..).unwrap_or_default();
                    bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                    u64::from_le_bytes(bytes)
                }
            };
            let bits = bits & (ones * mask);
            let of_eight = left.min(8);
            let carries = (bits & !highs) + (over & !highs);
            let is_over = ((bits & over) | ((bits | over) & carries)) & highs;
            let level = bits & mask;
            if is_over == 0 {
                self.push(0, of_eight as u32);
            } else if bits == level * ones {
                self.push(level as u8, of_eight as u32);
            } else {
                self.push_each(bits, of_eight);
            }
            left -= of_eight;
            if left == 0 {
                return;
            }
        }
    }

    fn push_each(&mut self, mut bits: u64, count: usize) {
        let mask = (1_u64 << self.width) - 1;
        for _ in 0..count {
            let level = (bits & mask) as u8;
            self.push(if level > self.floor { level } else { 0 }, 1);
            bits >>= self.width;
        }
    }

    fn end(mut self) -> Vec<Run> {
        if self.last.entries > 0 {
            self.out.push(self.last);
        }
        self.out
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The levels of runs, one by one.
pub(super) fn dense(runs: &[Run]) -> Vec<u8> {
    let mut out = Vec::with_capacity(runs.iter().map(|run| run.entries as usize).sum());
    runs.iter().for_each(|run| out.resize(out.len() + run.entries as usize, run.level));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_parquet::parquet::encoding::hybrid_rle::{HybridRleDecoder, encode};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn levels_are_those_that_polars_reads(
            of_runs in prop::collection::vec((any::<u8>(), 1_usize..30), 1..60),
            max in prop_oneof![1_u8..9, 1_u8..=255],
            floor in any::<u8>(),
        ) {
            let floor = floor % max;
            let runs_of = |(level, count): (u8, usize)| vec![level.min(max); count];
            let levels: Vec<u8> = of_runs.into_iter().flat_map(runs_of).collect();
            let width = u8::BITS - max.leading_zeros();
            let mut bytes = vec![0; 4];
            encode::<u32, _, _>(&mut bytes, levels.iter().map(|level| u32::from(*level)), width).unwrap();
            let length = (bytes.len() as u32 - 4).to_le_bytes();
            bytes[..4].copy_from_slice(&length);

            let mut at = 0;
            let found = runs(&bytes, &mut at, (max, floor), levels.len()).unwrap();

            prop_assert_eq!(at, bytes.len());
            prop_assert!(found.windows(2).all(|two| two[0].level != two[1].level));
            let told = |level: u8| if level > floor { level } else { 0 };
            let expected: Vec<u8> = levels.into_iter().map(told).collect();
            prop_assert_eq!(dense(&found), expected);
        }

        #[test]
        fn no_bytes_are_more_than_damaged(bytes in prop::collection::vec(any::<u8>(), 0..60), max in 1_u8..=255) {
            let mut whole = (bytes.len() as u32).to_le_bytes().to_vec();
            whole.extend(&bytes);
            let width = u8::BITS - max.leading_zeros();
            if let Some(ours) = runs(&whole, &mut 0, (max, 0), 100) {
                let expected = HybridRleDecoder::new(&bytes, width, 100).collect().unwrap();
                prop_assert_eq!(dense(&ours).into_iter().map(u32::from).collect::<Vec<_>>(), expected);
            }
        }
    }
}
