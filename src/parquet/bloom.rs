//! Bloom filters of the columns that point questions are asked of: split blocks, as Parquet has them.
//!
//! <https://github.com/apache/parquet-format/blob/master/BloomFilter.md>. A filter is written where a column
//! has no dictionary in a row group: that answers the same question, exactly.

use crate::parquet::leaf::Leaf;
use polars_parquet::parquet::schema::types::PhysicalType;
use polars_parquet_format::thrift;
use polars_parquet_format::thrift::protocol::{TCompactInputProtocol, TCompactOutputProtocol};
use polars_parquet_format::{
    BloomFilterAlgorithm, BloomFilterCompression, BloomFilterHash, BloomFilterHeader,
    SplitBlockAlgorithm, Uncompressed, XxHash,
};

/// The columns, by their paths.
const COLUMNS: [&[&str]; 8] = [
    &["eventid"],
    &["requestid"],
    &["sharedeventid"],
    &["sourceipaddress"],
    &["s3_key"],
    &["useridentity", "accesskeyid"],
    &["useridentity", "arn"],
    &["useridentity", "principalid"],
];

/// Values from which on a filter is worth its bytes.
const MIN_VALUES: usize = 64;

/// The fewest bits for each value; the next power of two makes it up to 14. A filter lets through some 4 of 100
/// values that are not in the column at 7 bits, 1 at 10, none at 14. The bytes that a question reads, of the filter
/// and of pages, are fewest at some 9 bits, and differ by a tenth between 7 and 14.
const BITS_PER_VALUE: usize = 7;

/// Bytes of a block.
const BLOCK: usize = 32;

/// The largest filter.
const MAX_BYTES: usize = 1 << 20;

/// The multipliers of the format.
const SALT: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// Returns the filter of a column chunk without a dictionary, with its header; nothing for columns that
/// have none.
pub(super) fn filter(
    path: &[impl AsRef<str>],
    physical: PhysicalType,
    leaf: &Leaf<'_>,
) -> thrift::Result<Option<Vec<u8>>> {
    let is_it = |column: &&[&str]| path.iter().map(AsRef::as_ref).eq(column.iter().copied());
    let is_wanted = COLUMNS.iter().any(is_it);
    if !is_wanted || physical != PhysicalType::ByteArray || leaf.len() < MIN_VALUES {
        return Ok(None);
    }
    // Arrow C++ refuses a filter whose size is not a power of two.
    let bytes =
        (leaf.len() * BITS_PER_VALUE).div_ceil(8).next_power_of_two().clamp(BLOCK, MAX_BYTES);
    let header = BloomFilterHeader {
        num_bytes: bytes as i32,
        algorithm: BloomFilterAlgorithm::BLOCK(SplitBlockAlgorithm {}),
        hash: BloomFilterHash::XXHASH(XxHash {}),
        compression: BloomFilterCompression::UNCOMPRESSED(Uncompressed {}),
    };
    let mut out = Vec::with_capacity(bytes + 32);
    header.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut out))?;
    let start = out.len();
    out.resize(start + bytes, 0);
    for number in 0..leaf.len() {
        insert(&mut out[start..], xxh64(leaf.text(number)));
    }
    Ok(Some(out))
}

/// Returns whether a value may be in a filter, which `bytes` begin with as `filter` wrote it: the header
/// first. What cannot be read rules nothing out.
pub fn may_contain(bytes: &[u8], value: &str) -> bool {
    let mut rest = bytes;
    let header = {
        let mut protocol = TCompactInputProtocol::new(&mut rest, bytes.len());
        BloomFilterHeader::read_from_in_protocol(&mut protocol)
    };
    let Ok(header) = header else { return true };
    let is_ours = matches!(header.algorithm, BloomFilterAlgorithm::BLOCK(_))
        && matches!(header.hash, BloomFilterHash::XXHASH(_))
        && matches!(header.compression, BloomFilterCompression::UNCOMPRESSED(_));
    let bits = usize::try_from(header.num_bytes).ok().and_then(|count| rest.get(..count));
    let Some(bits) = bits.filter(|bits| is_ours && bits.len() >= BLOCK) else { return true };
    let hash = xxh64(value.as_bytes());
    let block = block_of(bits.len(), hash);
    let words = bits.get(block..block + BLOCK).unwrap_or_default().chunks_exact(4);
    words.zip(SALT).all(|(word, salt)| {
        let bit = bit_of(hash, salt);
        word.get((bit / 8) as usize).is_none_or(|byte| byte & (1 << (bit % 8)) != 0)
    })
}

/// Where the block of a hash begins.
fn block_of(bytes: usize, hash: u64) -> usize {
    let blocks = (bytes / BLOCK) as u64;
    (((hash >> 32) * blocks) >> 32) as usize * BLOCK
}

fn bit_of(hash: u64, salt: u32) -> u32 {
    (hash as u32).wrapping_mul(salt) >> 27
}

fn insert(filter: &mut [u8], hash: u64) {
    let block = block_of(filter.len(), hash);
    let words = filter[block..block + BLOCK].chunks_exact_mut(4);
    for (word, salt) in words.zip(SALT) {
        let bit = bit_of(hash, salt);
        word[(bit / 8) as usize] |= 1 << (bit % 8);
    }
}

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

fn round(sum: u64, word: u64) -> u64 {
    sum.wrapping_add(word.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

/// XXH64 with seed 0. Our crate of the XXH3 family has it behind a feature that would build polars once
/// more for 40 lines.
fn xxh64(text: &[u8]) -> u64 {
    let (stripes, rest) = text.as_chunks::<32>();
    let mut hash = match stripes {
        [] => P5,
        stripes => {
            let mut sums = [P1.wrapping_add(P2), P2, 0, P1.wrapping_neg()];
            for stripe in stripes {
                let (words, _) = stripe.as_chunks::<8>();
                for (sum, word) in sums.iter_mut().zip(words) {
                    *sum = round(*sum, u64::from_le_bytes(*word));
                }
            }
            let [a, b, c, d] = sums;
            let start = a
                .rotate_left(1)
                .wrapping_add(b.rotate_left(7))
                .wrapping_add(c.rotate_left(12))
                .wrapping_add(d.rotate_left(18));
            let merge =
                |hash: u64, sum: u64| (hash ^ round(0, sum)).wrapping_mul(P1).wrapping_add(P4);
            sums.into_iter().fold(start, merge)
        }
    };
    hash = hash.wrapping_add(text.len() as u64);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        hash ^= round(0, u64::from_le_bytes(*word));
        hash = hash.rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
    }
    let (words, rest) = rest.as_chunks::<4>();
    for word in words {
        hash ^= u64::from(u32::from_le_bytes(*word)).wrapping_mul(P1);
        hash = hash.rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(P5);
        hash = hash.rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(P2);
    hash = (hash ^ hash >> 29).wrapping_mul(P3);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_format() {
        // The vectors of <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md> and of its tests.
        assert_eq!(xxh64(b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(xxh64(b"a"), 0xD24E_C4F1_A98C_6E5B);
        assert_eq!(xxh64(b"abc"), 0x44BC_2CF5_AD77_0999);
        assert_eq!(xxh64(b"Nobody inspects the spammish repetition"), 0xFBCE_A83C_8A37_8BF1);
    }

    #[test]
    fn what_is_in_a_column_is_in_its_filter_and_little_else_is() {
        let texts: Vec<String> = (0..5_000).map(|n| format!("id-{n}")).collect();
        let values: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let leaf = Leaf::Text { values: &values, ids: true };
        let path = ["eventid".to_owned()];

        let written = filter(&path, PhysicalType::ByteArray, &leaf).unwrap().unwrap();

        let has = |text: &str| may_contain(&written, text);
        assert!(texts.iter().all(|text| has(text)));
        let wrong = (0..2_000).filter(|n| has(&format!("other-{n}"))).count();
        assert!(wrong < 20, "{wrong} of 2,000");
        assert!(may_contain(&written[..100], "other"), "a filter that is cut rules nothing out");
        assert!(may_contain(b"", "other") && may_contain(&[0xff; 64], "other"));
        assert!(filter(&["eventname"], PhysicalType::ByteArray, &leaf).unwrap().is_none());
        let few = Leaf::Text { values: &values[..9], ids: true };
        assert!(filter(&path, PhysicalType::ByteArray, &few).unwrap().is_none());
    }
}
