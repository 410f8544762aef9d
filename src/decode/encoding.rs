//! Text in UTF-16, as Windows tools write it, to UTF-8.

use crate::error::{Error, Result};

/// The order of the bytes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Utf16 {
    Little,
    Big,
}

impl Utf16 {
    /// Decides by the byte order mark, or by the zeros around what text begins with.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            // UTF-32 begins with the same mark.
            [0xff, 0xfe, 0, 0, ..] => None,
            [0xff, 0xfe, ..] | [b'{' | b'[', 0, 1..=u8::MAX, 0, ..] => Some(Self::Little),
            [0xfe, 0xff, ..] | [0, b'{' | b'[', 0, 1..=u8::MAX, ..] => Some(Self::Big),
            [a, 0, b, 0, c, 0, d, 0, ..] if are_characters([*a, *b, *c, *d]) => Some(Self::Little),
            [0, a, 0, b, 0, c, 0, d, ..] if are_characters([*a, *b, *c, *d]) => Some(Self::Big),
            _ => None,
        }
    }

    fn units(self, bytes: &[u8]) -> impl Iterator<Item = u16> + Clone + '_ {
        bytes.as_chunks::<2>().0.iter().map(move |pair| match self {
            Self::Little => u16::from_le_bytes(*pair),
            Self::Big => u16::from_be_bytes(*pair),
        })
    }

    /// Returns how many bytes the text takes in UTF-8.
    ///
    /// # Errors
    /// `BadInput` for what is not UTF-16.
    pub(super) fn measure(self, bytes: &[u8]) -> Result<u64> {
        let (mut size, mut units) = (0, 0);
        for char in char::decode_utf16(self.units(bytes)) {
            let Ok(char) = char else {
                let message = "text in UTF-16 is damaged";
                return Err(Error::bad_input(message).at_byte(2 * units));
            };
            size += char.len_utf8() as u64;
            units += char.len_utf16() as u64;
        }
        if !bytes.len().is_multiple_of(2) {
            let message = "text in UTF-16 ends in the middle of a character";
            return Err(Error::bad_input(message).at_byte(bytes.len() as u64));
        }
        Ok(size)
    }

    /// Appends the text in UTF-8.
    pub(super) fn append(self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut buffer = [0; 4];
        for char in char::decode_utf16(self.units(bytes)).flatten() {
            out.extend_from_slice(char.encode_utf8(&mut buffer).as_bytes());
        }
    }
}

/// Whether text may begin with bytes.
fn are_characters(bytes: [u8; 4]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r'))
}
