//! The blocks of a 7z archive, those in Deflate64 included, which the crate names and does not read.

use crate::decode::{MAX_WINDOW_BYTES, checked};
use deflate64::Deflate64Decoder;
use sevenz_rust2::{
    Archive, ArchiveEntry, BlockDecoder, EncoderMethod, Error, Password, SIGNATURE_HEADER_SIZE,
};
use std::io::{BufRead, ErrorKind, Read, Result as IoResult, Seek, SeekFrom, Take};

/// Takes an entry; returns whether to go on.
pub(super) type Each<'e> = dyn FnMut(&ArchiveEntry, &mut dyn Read) -> Result<bool, Error> + 'e;

/// Hands over the entries of every block, and then those without bytes.
pub(super) fn for_each_entry<R: BufRead + Seek>(
    archive: &Archive,
    source: &mut R,
    password: &Password,
    each: &mut Each<'_>,
) -> Result<(), Error> {
    let most = MAX_WINDOW_BYTES >> 10;
    for (index, block) in archive.blocks.iter().enumerate() {
        let is_deflate64 = matches!(
            &block.coders[..],
            [only] if only.encoder_method_id() == EncoderMethod::ID_DEFLATE64
        );
        let decoder =
            BlockDecoder::new_with_memory_limit(1, most, index, archive, password, source);
        let goes_on = if is_deflate64 {
            let entries = decoder.entries().to_vec();
            deflate64_block(archive, index, source, &entries, each)?
        } else {
            decoder.for_each_entries(&mut |entry, reader| each(entry, reader))?
        };
        if !goes_on {
            return Ok(());
        }
    }
    for (file, block) in archive.files.iter().zip(&archive.stream_map.file_block_index) {
        if block.is_none() && !each(file, &mut std::io::empty())? {
            return Ok(());
        }
    }
    Ok(())
}

fn deflate64_block<R: BufRead + Seek>(
    archive: &Archive,
    index: usize,
    source: &mut R,
    entries: &[ArchiveEntry],
    each: &mut Each<'_>,
) -> Result<bool, Error> {
    let stream = archive.stream_map.block_first_pack_stream_index().get(index).copied();
    let place = stream.and_then(|stream| {
        let offset = archive.stream_map.pack_stream_offsets().get(stream)?;
        let start = SIGNATURE_HEADER_SIZE.checked_add(archive.pack_pos())?.checked_add(*offset)?;
        Some((start, *archive.pack_sizes().get(stream)?))
    });
    let Some((start, size)) = place else {
        return Err(Error::from(std::io::Error::from(ErrorKind::InvalidData)));
    };
    source.seek(SeekFrom::Start(start))?;
    let mut block = Deflate64Decoder::with_buffer(source.take(size));
    for entry in entries {
        let sized =
            Sized { inner: (&mut block).take(if entry.has_stream { entry.size } else { 0 }) };
        let mut member: Box<dyn Read + '_> = match entry.has_stream && entry.has_crc {
            true => Box::new(checked(sized, entry.crc as u32)),
            false => Box::new(sized),
        };
        if !each(entry, &mut member)? {
            return Ok(false);
        }
        std::io::copy(&mut member, &mut std::io::sink())?;
    }
    Ok(true)
}

/// An entry that must have all its bytes.
struct Sized<R> {
    inner: Take<R>,
}

impl<R: Read> Read for Sized<R> {
    fn read(&mut self, out: &mut [u8]) -> IoResult<usize> {
        match self.inner.read(out)? {
            0 if !out.is_empty() && self.inner.limit() > 0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}
