//! The members of a zip: those that can be read, and the reasons for the others.

use crate::decode::{Compression, MAX_WINDOW_BYTES, Members, Passwords, lzma_of_zip};
use crate::error::{Error, ErrorKind, Result};
use crate::source::embedded::{MAX_ZIPS, followed_by, left_over};
use crate::source::kind::is_zip;
use crate::source::member::{Entry, Gauge, Scale, Visit, damaged};
use crate::source::section::Section;
use crate::source::zip_end::{TAIL_BYTES, ZipEnd};
use crate::units::ByteCount;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use zip::read::ZipFile;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// Calls `visit` with each member, of zips that were put one behind the other, too; `scale` says what bytes of
/// the zip are in the file that it lies in.
pub(super) fn zip_members(
    mut reader: impl Read + Seek,
    passwords: &Passwords,
    scale: Scale,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let zips = Zips::find(&mut reader).map_err(damaged)?;
    let mut failure = None;
    for (range, end) in zips.all {
        let outcome = one_zip(Section::new(&mut reader, range), end, passwords, scale, visit);
        match outcome {
            // What is wrong with one of them is not wrong with the others.
            Err(err) if err.kind() == ErrorKind::BadInput => failure = failure.or(Some(err)),
            outcome => outcome?,
        }
    }
    failure.or_else(|| zips.left_over.map(followed_by)).map_or(Ok(()), Err)
}

/// The zips of a file.
#[derive(Default)]
struct Zips {
    all: Vec<(Range<u64>, Option<ZipEnd>)>,
    /// What lies behind them, or between them.
    left_over: Option<&'static str>,
}

impl Zips {
    /// Looks for ends from behind.
    fn find(reader: &mut (impl Read + Seek)) -> std::io::Result<Self> {
        let mut zips = Self::default();
        let mut size = reader.seek(SeekFrom::End(0))?;
        loop {
            let mut file = Section::new(&mut *reader, 0..size);
            let end = ZipEnd::find(&mut file)?;
            let extent = end.as_ref().and_then(|end| end.extent);
            if let Some((_, end)) = extent {
                let behind = file.read_at(end, TAIL_BYTES)?;
                zips.left_over = zips.left_over.or_else(|| left_over(&behind));
            }
            // A program before a zip has other bytes.
            let start = match extent {
                Some((start, _)) if start > 0 && is_zip(&file.read_at(0, 8)?) => start,
                _ => 0,
            };
            zips.all.push((start..size, end));
            if start == 0 || zips.all.len() == MAX_ZIPS {
                zips.all.reverse();
                return Ok(zips);
            }
            size = start;
        }
    }
}

fn one_zip(
    zip: Section<impl Read + Seek>,
    end: Option<ZipEnd>,
    passwords: &Passwords,
    scale: Scale,
    visit: &mut Visit<'_>,
) -> Result<()> {
    if end.as_ref().is_some_and(|end| end.is_split) {
        let message = "is the last part of a split archive: join the parts with `zip -s 0`";
        return Err(Error::bad_input(message));
    }
    let mut archive = ZipArchive::new(zip).map_err(|err| not_whole(err, end.is_none()))?;
    for index in 0..archive.len() {
        let name = name_of(&mut archive, index);
        if name.ends_with('/') {
            continue;
        }
        if let Err(err) = member(&mut archive, index, passwords, scale, &name, visit)? {
            let stored = Gauge::Fixed(0).start();
            visit(Entry { name, claimed: 0, reader: Err(err), stored, is_independent: true })?;
        }
    }
    if end.is_some_and(|end| end.members.is_some_and(|claimed| claimed > archive.len())) {
        let message = "archive has members of the same name; only one of each was read";
        return Err(Error::bad_input(message));
    }
    Ok(())
}

/// The error for a zip without its directory, which stands at its end.
fn not_whole(err: ZipError, has_no_end: bool) -> Error {
    if has_no_end {
        let message = "archive is truncated, or the first part of a split one: the directory at \
                       the end of a zip is not there";
        return Error::bad_input(message).because(err);
    }
    damaged(err)
}

/// The path of a member; some programs of Windows write it with backslashes.
fn name_of(archive: &mut ZipArchive<impl Read + Seek>, index: usize) -> String {
    let name = match archive.by_index_raw(index) {
        Ok(entry) => String::from_utf8_lossy(entry.name_raw()).into_owned(),
        Err(_) => "?".to_owned(),
    };
    if name.contains('/') { name } else { name.replace('\\', "/") }
}

/// Opens a member and hands it over; with passwords, the first that fits. Returns why it cannot be opened.
fn member(
    archive: &mut ZipArchive<impl Read + Seek>,
    index: usize,
    passwords: &Passwords,
    scale: Scale,
    name: &str,
    visit: &mut Visit<'_>,
) -> Result<Result<()>> {
    let facts = match Facts::read(archive, index) {
        Ok(facts) => facts,
        Err(err) => return Ok(Err(err)),
    };
    let Facts { claimed, method, is_encrypted, .. } = facts;
    let stored = Gauge::Fixed(scale.of(facts.stored)).start();
    let mut hand_over = |reader: &mut dyn Read| {
        let (name, reader) = (name.to_owned(), Ok(reader));
        visit(Entry { name, claimed, reader, stored, is_independent: true })
    };
    if matches!(method, CompressionMethod::XZ | CompressionMethod::LZMA) {
        // The crate would decode them without a limit on memory.
        let raw = archive.by_index_raw(index).map_err(damaged);
        return match raw.and_then(|raw| open_lzma(raw, method)) {
            Ok(mut members) => hand_over(&mut members).map(Ok),
            Err(err) => Ok(Err(err)),
        };
    }
    match open(archive, index, is_encrypted, passwords) {
        Ok(mut entry) => hand_over(&mut entry).map(Ok),
        Err(err) => Ok(Err(err)),
    }
}

/// Opens a member in LZMA or XZ, by its stored bytes.
fn open_lzma<'a>(
    mut raw: ZipFile<'a, impl Read>,
    method: CompressionMethod,
) -> Result<Box<dyn Read + 'a>> {
    if method == CompressionMethod::XZ {
        let members = Members::new(Compression::Xz, BufReader::new(raw)).map_err(damaged)?;
        return Ok(Box::new(members));
    }
    // Version, size of the properties, and then the properties: a byte and the dictionary's size.
    let mut head = [0; 9];
    raw.read_exact(&mut head).map_err(damaged)?;
    let window = u32::from_le_bytes([head[5], head[6], head[7], head[8]]);
    if window as usize > MAX_WINDOW_BYTES {
        let most = ByteCount(MAX_WINDOW_BYTES as u64);
        let message = format!("needs more than {most} to decode: pack it again");
        return Err(Error::bad_input(message));
    }
    let (size, crc) = (raw.size(), raw.crc32());
    let raw = BufReader::new(raw);
    Ok(Box::new(lzma_of_zip(raw, size, head[4], window, crc).map_err(damaged)?))
}

/// Opens a member with the first password that fits: of several, each is tried to the end, since a wrong one
/// fits the weak encryption of old zips once in 256.
fn open<'a, R: Read + Seek>(
    archive: &'a mut ZipArchive<R>,
    index: usize,
    is_encrypted: bool,
    passwords: &Passwords,
) -> Result<ZipFile<'a, R>> {
    if !is_encrypted {
        return archive.by_index(index).map_err(unreadable);
    }
    let mut fitting = None;
    for password in passwords.iter() {
        let tried = archive.by_index_decrypt(index, password.as_bytes());
        let is_read =
            tried.is_ok_and(|mut entry| std::io::copy(&mut entry, &mut std::io::sink()).is_ok());
        if is_read {
            fitting = Some(password);
            break;
        }
    }
    let Some(password) = fitting else {
        return Err(Error::bad_input(match passwords.is_empty() {
            true => "is encrypted: give its password with `--archive-password-file`",
            false => "is encrypted, and no password of `--archive-password-file` fits",
        }));
    };
    archive.by_index_decrypt(index, password.as_bytes()).map_err(unreadable)
}

fn unreadable(err: ZipError) -> Error {
    match err {
        ZipError::UnsupportedArchive(why) => Error::bad_input(format!("cannot be read: {why}")),
        err => damaged(err),
    }
}

fn unsupported(number: u16) -> Error {
    Error::bad_input(format!(
        "is compressed with {}, which is not supported: unpack the archive",
        method_name(number)
    ))
}

/// What the directory says of a member.
struct Facts {
    /// Its bytes in the archive.
    stored: u64,
    /// Its bytes, as is claimed.
    claimed: u64,
    method: CompressionMethod,
    is_encrypted: bool,
}

impl Facts {
    #[allow(deprecated, reason = "`Unsupported` is what holds the number")]
    fn read(archive: &mut ZipArchive<impl Read + Seek>, index: usize) -> Result<Self> {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let (method, is_encrypted) = (entry.compression(), entry.encrypted());
        let facts =
            Self { stored: entry.compressed_size(), claimed: entry.size(), method, is_encrypted };
        match method {
            CompressionMethod::Stored
            | CompressionMethod::Deflated
            | CompressionMethod::DEFLATE64
            | CompressionMethod::BZIP2
            | CompressionMethod::ZSTD => Ok(facts),
            CompressionMethod::XZ | CompressionMethod::LZMA if !is_encrypted => Ok(facts),
            CompressionMethod::LZMA | CompressionMethod::XZ => {
                let message = "is encrypted and compressed with LZMA or XZ, which is not supported \
                               together: unpack the archive";
                Err(Error::bad_input(message))
            }
            CompressionMethod::Unsupported(number) => Err(unsupported(number)),
            other => Err(Error::bad_input(format!("is compressed with {other}, which is unknown"))),
        }
    }
}

/// The name of a method that is not read (APPNOTE.TXT 4.4.5), with its number.
fn method_name(number: u16) -> String {
    let name = match number {
        1 => "Shrink",
        2..=5 => "Reduce",
        6 => "Implode",
        10 => "PKWARE DCL Implode",
        16 => "IBM z/OS CMPSC",
        18 => "IBM TERSE",
        19 => "IBM LZ77",
        94 => "MP3",
        96 => "JPEG",
        97 => "WavPack",
        98 => "PPMd",
        _ => return format!("method {number}"),
    };
    format!("{name} (method {number})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_named_and_unknown_ones_numbered() {
        assert_eq!(method_name(98), "PPMd (method 98)");
        assert_eq!(method_name(4711), "method 4711");
    }
}
