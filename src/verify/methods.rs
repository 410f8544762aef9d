//! What archives of zip and 7z have that the crates do not read, or not within bounds.

use super::streams::{Codec, Meter, Stream, WINDOW_KIB};
use std::io::{BufReader, Read};
use std::rc::Rc;

/// Whether a method of a zip is one that nothing here reads.
pub(super) fn is_unknown_method(method: zip::CompressionMethod) -> bool {
    use zip::CompressionMethod as Method;
    ![
        Method::Stored,
        Method::Deflated,
        Method::DEFLATE64,
        Method::BZIP2,
        Method::ZSTD,
        Method::LZMA,
        Method::XZ,
    ]
    .contains(&method)
}

/// Whether a 7z archive is encrypted or packed in a way that is not read.
pub(super) fn is_closed(err: &sevenz_rust2::Error) -> bool {
    use sevenz_rust2::Error as Of7z;
    matches!(
        err,
        Of7z::PasswordRequired | Of7z::MaybeBadPassword(_) | Of7z::UnsupportedCompressionMethod(_)
    )
}

/// Opens a member in LZMA or XZ by its stored bytes, if its dictionary is not too large: the crate has no limit.
pub(super) fn in_lzma<'m>(
    mut raw: zip::read::ZipFile<'m, impl Read>,
    method: zip::CompressionMethod,
    meter: &Rc<Meter>,
) -> Option<Box<dyn Read + 'm>> {
    if method == zip::CompressionMethod::XZ {
        let stream = Stream::new(Codec::Xz, BufReader::new(raw), meter).ok()?;
        return Some(Box::new(stream));
    }
    let mut head = [0; 9];
    raw.read_exact(&mut head).ok()?;
    let window = u32::from_le_bytes([head[5], head[6], head[7], head[8]]);
    let (size, sum) = (raw.size(), raw.crc32());
    if window as usize >> 10 > WINDOW_KIB {
        return None;
    }
    let raw = BufReader::new(raw);
    let member = lzma_rust2::LzmaReader::new_with_props(raw, size, head[4], window, None).ok()?;
    Some(Box::new(Summed { member, sum: flate2::Crc::new(), wanted: sum }))
}

/// A member whose sum is compared at its end.
struct Summed<R> {
    member: R,
    sum: flate2::Crc,
    wanted: u32,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.member.read(out)?;
        self.sum.update(&out[..count]);
        match count == 0 && !out.is_empty() && self.sum.sum() != self.wanted {
            true => Err(std::io::ErrorKind::InvalidData.into()),
            false => Ok(count),
        }
    }
}
