//! What archives of zip and 7z have that the crates do not read, or not within bounds.

use super::streams::{Codec, Meter, Stream, WINDOW_KIB};
use sevenz_rust2::{Archive, ArchiveEntry, BlockDecoder, EncoderMethod, Password};
use std::io::{BufReader, Read, Seek};
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

/// What takes the files of a 7z archive, and says whether there is to be another.
type Take7z<'t> =
    &'t mut dyn FnMut(&ArchiveEntry, &mut dyn Read) -> Result<bool, sevenz_rust2::Error>;

/// Hands over the files of a 7z archive: block by block, and at last those that are empty.
pub(super) fn seven_zip_files(
    archive: &Archive,
    password: &Password,
    source: &mut (impl Read + Seek),
    take: Take7z<'_>,
) -> Result<(), sevenz_rust2::Error> {
    for at in 0..archive.blocks.len() {
        let block =
            BlockDecoder::new_with_memory_limit(1, WINDOW_KIB, at, archive, password, source);
        let methods: Vec<&[u8]> =
            archive.blocks[at].coders.iter().map(sevenz_rust2::Coder::encoder_method_id).collect();
        let is_more = if methods == [EncoderMethod::ID_DEFLATE64] {
            let files = block.entries().to_vec();
            deflate64_files(archive, at, source, files, take)?
        } else {
            block.for_each_entries(&mut |file, reader| take(file, reader))?
        };
        if !is_more {
            return Ok(());
        }
    }
    let blocks = &archive.stream_map.file_block_index;
    let mut empty = archive.files.iter().zip(blocks).filter(|(_, block)| block.is_none());
    empty.try_for_each(|(file, _)| take(file, &mut std::io::empty()).map(drop))
}

/// Hands over the files of a block in Deflate64, which the crate does not read.
fn deflate64_files(
    archive: &Archive,
    block: usize,
    source: &mut (impl Read + Seek),
    files: Vec<ArchiveEntry>,
    take: Take7z<'_>,
) -> Result<bool, sevenz_rust2::Error> {
    let damaged = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let stream =
        *archive.stream_map.block_first_pack_stream_index().get(block).ok_or_else(damaged)?;
    let length = *archive.pack_sizes().get(stream).ok_or_else(damaged)?;
    let offset = *archive.stream_map.pack_stream_offsets().get(stream).ok_or_else(damaged)?;
    let start = 32_u64.checked_add(archive.pack_pos()).and_then(|at| at.checked_add(offset));
    source.seek(std::io::SeekFrom::Start(start.ok_or_else(damaged)?))?;
    let mut unpacked = deflate64::Deflate64Decoder::new(source.take(length));
    for file in files {
        let size = if file.has_stream { file.size } else { 0 };
        let mut sized = Sized { rest: size, inner: &mut unpacked };
        let is_more = if file.has_stream && file.has_crc {
            let wanted = file.crc as u32;
            let mut member = Summed { member: sized, sum: flate2::Crc::new(), wanted };
            let is_more = take(&file, &mut member)?;
            std::io::copy(&mut member, &mut std::io::sink())?;
            is_more
        } else {
            let is_more = take(&file, &mut sized)?;
            std::io::copy(&mut sized, &mut std::io::sink())?;
            is_more
        };
        if !is_more {
            return Ok(false);
        }
    }
    Ok(true)
}

/// So many bytes, of which none may be missing.
struct Sized<R> {
    rest: u64,
    inner: R,
}

impl<R: Read> Read for Sized<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.by_ref().take(self.rest).read(out)?;
        self.rest -= count as u64;
        match count == 0 && !out.is_empty() && self.rest > 0 {
            true => Err(std::io::ErrorKind::UnexpectedEof.into()),
            false => Ok(count),
        }
    }
}
