//! Seeded randomness and the values written with it: ids, times, numbers.
//!
//! `SplitMix64`, written out here so that a sample never changes because a dependency did: the same
//! seed gives the same bytes for as long as this file stands. Not for secrets.

use crate::units::civil;

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Letters of access keys and principal ids.
pub(super) const UPPER: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Letters of the unique part of a file name and of tokens: 64, so that six bits choose one.
pub(super) const LETTERS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789xK";
/// Letters of base64 texts.
pub(super) const BASE64: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends texts to a byte buffer.
macro_rules! put {
    ($out:expr, $($part:expr),+ $(,)?) => {{
        $( $out.extend_from_slice(AsRef::<[u8]>::as_ref(&$part)); )+
    }};
}
pub(super) use put;

/// Returns a number that depends on both arguments and on nothing else.
pub(super) const fn mix(left: u64, right: u64) -> u64 {
    let mut word = left ^ right.wrapping_add(1).wrapping_mul(GAMMA).rotate_left(23);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A stream of random numbers.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number from 0 up to, not including, `bound`.
    pub(super) const fn below(&mut self, bound: u32) -> u32 {
        (((self.word() >> 32) * bound as u64) >> 32) as u32
    }

    /// Returns a number from `low` to `high`, both included.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = high - low + 1;
        low + ((self.word() as u128 * span as u128) >> 64) as u64
    }

    /// Returns true `count` times in 10,000.
    pub(super) const fn chance(&mut self, count: u32) -> bool {
        self.below(10_000) < count
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }

    /// Returns an index, drawn in proportion to its weight.
    pub(super) fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let mut left = self.below(weights.clone().sum::<u32>().max(1));
        for (index, weight) in weights.enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// Returns a draw from the standard normal distribution, near enough (Irwin-Hall).
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| f64::from(self.below(1 << 20)) / f64::from(1 << 20)).sum::<f64>() - 6.0
    }
}

/// Appends a version 4 UUID of 128 given bits.
pub(super) fn put_uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    let bits = (u128::from(high) << 64) | u128::from(low);
    let bits = (bits & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    let mut text = [b'-'; 36];
    let mut shift = 128;
    for (at, byte) in text.iter_mut().enumerate() {
        if !matches!(at, 8 | 13 | 18 | 23) {
            shift -= 4;
            *byte = HEX[((bits >> shift) & 15) as usize];
        }
    }
    out.extend_from_slice(&text);
}

/// Appends `count` lower-case hexadecimal digits.
pub(super) fn put_hex(out: &mut Vec<u8>, dice: &mut Dice, count: usize) {
    put_letters(out, dice, count, HEX);
}

/// Appends `count` letters of an alphabet whose length is a power of two up to 64.
pub(super) fn put_letters(out: &mut Vec<u8>, dice: &mut Dice, count: usize, alphabet: &[u8]) {
    let mask = alphabet.len() - 1;
    let mut left = count;
    while left > 0 {
        let mut word = dice.word();
        let now = left.min(10);
        out.extend((0..now).map(|_| {
            let letter = alphabet[word as usize & mask];
            word >>= 6;
            letter
        }));
        left -= now;
    }
}

/// Appends a decimal number.
pub(super) fn put_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Year, month, day, hour, minute and second of an instant.
pub(super) fn clock(seconds: i64) -> [u32; 6] {
    let (year, month, day, hour) = civil(seconds * 1000);
    let within = seconds.rem_euclid(3600) as u32;
    [year as u32, month.into(), day.into(), hour.into(), within / 60, within % 60]
}

/// Appends an instant as CloudTrail writes `eventTime`, without the closing `Z`.
pub(super) fn put_time(out: &mut Vec<u8>, seconds: i64) {
    let [year, month, day, hour, minute, second] = clock(seconds);
    put_number(out, year.into());
    for (mark, part) in [(b'-', month), (b'-', day), (b'T', hour), (b':', minute), (b':', second)] {
        out.extend_from_slice(&[mark, b'0' + (part / 10) as u8, b'0' + (part % 10) as u8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_that_it_is_random() {
        let mut out = Vec::new();
        put_uuid(&mut out, u64::MAX, u64::MAX);
        assert_eq!(out, b"ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn numbers_and_times_are_written_in_full() {
        let mut out = Vec::new();
        put_number(&mut out, u64::MAX);
        out.push(b' ');
        put_number(&mut out, 0);
        out.push(b' ');
        put_time(&mut out, 1_714_564_805);
        assert_eq!(out, b"18446744073709551615 0 2024-05-01T12:00:05");
    }
}
