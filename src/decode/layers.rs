//! An object's text, out of as many layers of compression as it came in.

use crate::decode::encoding::Utf16;
use crate::decode::{Compression, Decoded, Decoder, unknown_packing};
use crate::error::{Error, Result};

/// Layers of compression around a text: more are a mistake or an attack.
pub const MAX_LAYERS: usize = 5;

/// Two buffers for the layers of an object, used in turns and again.
#[derive(Debug, Default)]
pub struct Layers {
    text: Decoded,
    spare: Decoded,
}

impl Layers {
    /// Returns how many bytes of memory the buffers have.
    pub fn capacity(&self) -> usize {
        self.text.capacity() + self.spare.capacity()
    }
}

/// A text, and what was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'t> {
    /// The decoded object.
    pub bytes: &'t [u8],
    /// Bytes of padding between and after the members of its streams.
    pub padding: u64,
}

impl Decoder {
    /// Returns an object's text: decoded for as long as it is compressed, and in UTF-8. `stored` is what the
    /// ratio counts against: the object's size where it lies. Before memory is taken, `make_room` is told how
    /// much.
    ///
    /// # Errors
    /// `BadInput` for a damaged or truncated stream, for one that is not read and for text that is not
    /// UTF-16 though it says so; `OverLimit` past a cap; what `make_room` returns.
    pub fn text<'t>(
        &mut self,
        bytes: &'t [u8],
        stored: u64,
        layers: &'t mut Layers,
        make_room: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Text<'t>> {
        let Layers { text, spare } = layers;
        text.clear();
        let Some(outermost) = Compression::of(bytes) else {
            let (size, limit) = (bytes.len() as u64, self.caps().max_object_bytes);
            if size > limit {
                return Err(self.caps().over(limit));
            }
            make_room(size)?;
            return readable(bytes, text, 0, make_room);
        };
        let mut padding = self.decompress(outermost, bytes, stored, text, make_room)?;
        let mut count = 1;
        while let Some(inner) = Compression::of(text) {
            if count == MAX_LAYERS {
                let message = format!("object is compressed more than {MAX_LAYERS} times over");
                return Err(Error::bad_input(message));
            }
            std::mem::swap(text, spare);
            text.clear();
            let held = spare.len() as u64;
            let mut both = |size: u64| make_room(size.saturating_add(held));
            padding += self.decompress(inner, spare, stored, text, &mut both)?;
            count += 1;
        }
        if Utf16::of(text).is_some() {
            std::mem::swap(text, spare);
            return readable(spare, text, padding, make_room);
        }
        readable(text, spare, padding, make_room)
    }
}

/// Refuses what is packed in a way that is not read, and turns UTF-16 to UTF-8 in `other`.
fn readable<'t>(
    bytes: &'t [u8],
    other: &'t mut Decoded,
    padding: u64,
    make_room: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Text<'t>> {
    if let Some(name) = unknown_packing(bytes) {
        return Err(Error::bad_input(format!(
            "object is packed with {name}, which is not supported: unpack it, or use gzip"
        )));
    }
    let Some(order) = Utf16::of(bytes) else { return Ok(Text { bytes, padding }) };
    let size = order.measure(bytes)?;
    make_room(size.saturating_add(bytes.len() as u64))?;
    other.clear();
    other.append(|out| {
        out.reserve_exact(size as usize);
        order.append(bytes, out);
    });
    Ok(Text { bytes: other, padding })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Caps;
    use std::io::Write;

    const TEXT: &[u8] = br#"{"Records":[{"eventName":"\u00e9"}]}"#;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn sized_zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(bytes, 1).unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn text(bytes: &[u8], caps: Caps) -> Result<(Vec<u8>, u64)> {
        let mut layers = Layers::default();
        let stored = bytes.len() as u64;
        let text = Decoder::new(caps).text(bytes, stored, &mut layers, &mut |_| Ok(()))?;
        Ok((text.bytes.to_vec(), text.padding))
    }

    #[test]
    fn every_compression_is_read_alone_twice_and_with_padding() {
        for pack in [gzip, zstd, sized_zstd, bzip2] {
            let packed = pack(TEXT);
            let twice = [TEXT, TEXT].concat();
            assert_eq!(text(&packed, Caps::default()).unwrap(), (TEXT.to_vec(), 0));
            let both = [&packed[..], &packed].concat();
            assert_eq!(text(&both, Caps::default()).unwrap(), (twice.clone(), 0));
            let padded = [&packed[..], &[0; 700], &packed, b"\n"].concat();
            assert_eq!(text(&padded, Caps::default()).unwrap(), (twice, 701));
            let followed = [&packed[..], b"oops"].concat();
            let err = text(&followed, Caps::default()).unwrap_err();
            assert!(err.message().contains("followed by bytes that are not"), "{err}");
            let err = text(&packed[..packed.len() - 3], Caps::default()).unwrap_err();
            assert!(err.message().ends_with("truncated"), "{err}");
        }
        // Those that have a sum.
        for pack in [gzip, bzip2] {
            let mut damaged = pack(&TEXT.repeat(40));
            damaged[30] ^= 0x55;
            let err = text(&damaged, Caps::default()).map(|(text, _)| text.len()).unwrap_err();
            assert!(err.message().ends_with("damaged"), "{err}");
        }
    }

    #[test]
    fn layers_are_taken_off_up_to_a_limit() {
        let four = zstd(&bzip2(&zstd(&gzip(TEXT))));
        assert_eq!(text(&gzip(&four), Caps::default()).unwrap().0, TEXT);
        let err = text(&gzip(&gzip(&four)), Caps::default()).unwrap_err();
        assert!(err.message().contains("more than 5 times"), "{err}");
        let err = text(&gzip(b"\x04\x22\x4d\x18 and more"), Caps::default()).unwrap_err();
        assert!(err.message().contains("LZ4"), "{err}");
    }

    #[test]
    fn caps_hold_for_every_compression() {
        let bomb = vec![b' '; 8 << 20];
        for pack in [gzip, zstd, sized_zstd, bzip2] {
            let err = text(&pack(&bomb), Caps::default()).map(drop).unwrap_err();
            assert!(err.to_string().contains("--max-ratio"), "{err}");
            let caps = Caps { max_object_bytes: 1 << 20, max_ratio: u64::MAX };
            let err = text(&pack(&bomb), caps).map(drop).unwrap_err();
            assert!(err.to_string().contains("--max-object-size"), "{err}");
        }
        let err = text(&gzip(&gzip(&bomb)), Caps::default()).map(drop).unwrap_err();
        assert!(err.to_string().contains("--max-ratio"), "the ratio is that of all layers: {err}");
    }

    #[test]
    fn utf16_is_read_with_and_without_a_mark_and_damage_has_a_place() {
        let wanted = "{\"Records\":[\"\u{e9}\u{1f600}\"]}";
        let units: Vec<u16> = wanted.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [little.clone(), big.clone(), gzip(&little), zstd(&big)] {
            assert_eq!(text(&bytes, Caps::default()).unwrap().0, wanted.as_bytes());
        }
        let marked = [&[0xff, 0xfe][..], &little].concat();
        let with_mark = format!("\u{feff}{wanted}");
        assert_eq!(text(&marked, Caps::default()).unwrap().0, with_mark.as_bytes());
        let err = text(&marked[..marked.len() - 1], Caps::default()).unwrap_err();
        assert!(err.message().contains("middle of a character"), "{err}");
        let lone = [&marked[..], &[0, 0xd8], &little].concat();
        let err = text(&lone, Caps::default()).unwrap_err();
        assert_eq!(err.byte(), Some(marked.len() as u64));
    }
}
