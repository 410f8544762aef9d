//! Parquet's run-length and bit-packing hybrid, for levels and dictionary indices.
//!
//! polars' own clears a buffer of 32 KB for every call, which is more than most chunks of a small
//! partition hold. The format is "RLE/Bit-Packing Hybrid" in
//! <https://github.com/apache/parquet-format/blob/master/Encodings.md>.

/// Repeats worth a run of their own: a group of literals has eight values.
const MIN_RUN: usize = 8;

/// A level or an index.
pub(super) trait Item: Copy + Eq + Into<u32> {
    /// Returns how many of the first eight values are equal to the first.
    fn first_run(values: &[Self]) -> usize;
}

impl Item for u32 {
    #[inline]
    fn first_run(values: &[Self]) -> usize {
        first_run(values)
    }
}

impl Item for u8 {
    #[inline]
    fn first_run(values: &[Self]) -> usize {
        let Some(eight) = values.first_chunk::<8>() else { return first_run(values) };
        let word = u64::from_le_bytes(*eight);
        let others = word ^ ((word & 0xff) * 0x0101_0101_0101_0101);
        (others.trailing_zeros() / 8) as usize
    }
}

fn first_run<T: Eq>(values: &[T]) -> usize {
    let is_first = |value: &&T| Some(*value) == values.first();
    values.iter().take(MIN_RUN).take_while(is_first).count()
}

/// Appends `values`, each of at most `width` bits.
pub(super) fn encode<T: Item>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let (mut at, mut literals) = (0, 0);
    while at < values.len() {
        let run = run_length(&values[at..]);
        // Literals come in whole groups: the run's first values fill theirs up.
        let padding = (at - literals).next_multiple_of(8) - (at - literals);
        if run >= MIN_RUN + padding {
            pack(&values[literals..at + padding], width, out);
            repeat(values[at].into(), run - padding, width, out);
            literals = at + run;
        }
        at += run;
    }
    pack(&values[literals..], width, out);
}

/// How many values at the beginning are equal. Levels are mostly long runs, which are compared in blocks; of
/// literals, a run ends soon.
#[inline]
fn run_length<T: Item>(values: &[T]) -> usize {
    const BLOCK: usize = 64;
    let Some(first) = values.first() else { return 0 };
    let soon = T::first_run(values);
    if soon < MIN_RUN {
        return soon;
    }
    let (blocks, _) = values.as_chunks::<BLOCK>();
    // Without an early end, blocks are compared by vector instructions.
    let is_even =
        |block: &&[T; BLOCK]| block.iter().fold(true, |all, value| all & (value == first));
    let run = blocks.iter().take_while(is_even).count() * BLOCK;
    run + values[run..].iter().take_while(|value| *value == first).count()
}

/// Appends one run of equal values.
pub(super) fn repeat(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Appends literals; the last group is filled up with zeros.
fn pack<T: Copy + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    varint((values.len().div_ceil(8) as u64) << 1 | 1, out);
    if width <= 8 {
        out.reserve(values.len().div_ceil(8) * width as usize);
        for group in values.chunks(8) {
            let bits = group
                .iter()
                .rev()
                .fold(0_u64, |bits, value| bits << width | u64::from((*value).into()));
            out.extend_from_slice(&bits.to_le_bytes()[..width as usize]);
        }
        return;
    }
    for group in values.chunks(8) {
        let (mut bits, mut count) = (0_u64, 0);
        for n in 0..8 {
            bits |= u64::from(group.get(n).map_or(0, |value| (*value).into())) << count;
            count += width;
            while count >= 32 {
                out.extend_from_slice(&(bits as u32).to_le_bytes());
                bits >>= 32;
                count -= 32;
            }
        }
        out.extend_from_slice(&bits.to_le_bytes()[..(count / 8) as usize]);
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_parquet::parquet::encoding::hybrid_rle::HybridRleDecoder;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn polars_reads_what_is_written(
            runs in prop::collection::vec((0_u32..1 << 21, 1_usize..40), 0..60),
            width in 1_u32..22,
        ) {
            let runs = runs.into_iter().flat_map(|(value, n)| vec![value & ((1 << width) - 1); n]);
            let values: Vec<u32> = runs.collect();
            let mut bytes = Vec::new();
            encode(&values, width, &mut bytes);
            let read = HybridRleDecoder::new(&bytes, width, values.len()).collect().unwrap();
            prop_assert_eq!(&read, &values);
            // Levels are bytes, and are looked at eight at a time.
            let levels: Vec<u8> = values.iter().map(|value| *value as u8).collect();
            let (mut of_bytes, mut of_words) = (Vec::new(), Vec::new());
            encode(&levels, 8, &mut of_bytes);
            encode(&levels.iter().map(|level| u32::from(*level)).collect::<Vec<_>>(), 8, &mut of_words);
            prop_assert_eq!(of_bytes, of_words);
        }
    }

    #[test]
    fn a_run_takes_two_bytes() {
        let mut bytes = Vec::new();
        encode(&[1_u8; 60], 1, &mut bytes);
        assert_eq!(bytes, [120, 1]);
    }
}
