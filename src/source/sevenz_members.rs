//! The members of a 7z archive, block by block as they are packed.

use crate::decode::{Counting, MAX_WINDOW_BYTES, Passwords};
use crate::error::{Error, ErrorKind, Result};
use crate::source::embedded::{SEVENZ_HEADER_BYTES, end_of_sevenz, followed_by, left_over};
use crate::source::kind::is_sevenz;
use crate::source::member::{Entry, Gauge, Scale, Visit, damaged};
use crate::source::section::Section;
use crate::source::sevenz_blocks::for_each_entry;
use crate::units::ByteCount;
use sevenz_rust2::{Archive, ArchiveEntry, Password};
use std::io::{BufReader, Read, Seek, SeekFrom};

/// Bytes behind an archive that are looked at.
const BEHIND_BYTES: u64 = 1 << 20;

/// Calls `visit` with each member, of archives that were put one behind the other, too; of several passwords,
/// the first that fits is used. `scale` says what bytes of the archive are in the file that it lies in.
pub(super) fn sevenz_members(
    mut reader: impl Read + Seek,
    passwords: &Passwords,
    scale: Scale,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let size = reader.seek(SeekFrom::End(0)).map_err(damaged)?;
    let mut start = 0;
    loop {
        let mut file = Section::new(&mut reader, start..size);
        let header = file.read_at(0, SEVENZ_HEADER_BYTES as u64).map_err(damaged)?;
        file.rewind().map_err(damaged)?;
        one_archive(&mut file, passwords, scale, visit)?;
        let end = end_of_sevenz(&header).unwrap_or(size);
        let behind = file.read_at(end, BEHIND_BYTES).map_err(damaged)?;
        if !is_sevenz(&behind) {
            return left_over(&behind).map_or(Ok(()), |what| Err(followed_by(what)));
        }
        start += end;
    }
}

fn one_archive(
    mut reader: impl Read + Seek,
    passwords: &Passwords,
    scale: Scale,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut outcome = attempt(&mut reader, &Password::empty(), scale, visit)?;
    for password in passwords.iter() {
        if !matches!(outcome, Attempt::Locked) {
            break;
        }
        outcome = attempt(&mut reader, &Password::from(password), scale, visit)?;
    }
    match outcome {
        Attempt::Through => Ok(()),
        Attempt::Locked => Err(Error::bad_input(match passwords.is_empty() {
            true => "archive is encrypted: give its password with `--archive-password-file`",
            false => "archive is encrypted, and no password of `--archive-password-file` fits",
        })),
    }
}

/// What became of reading with a password.
enum Attempt {
    Through,
    /// The password does not fit, and nothing was handed over.
    Locked,
}

fn attempt<R: Read + Seek>(
    reader: &mut R,
    password: &Password,
    scale: Scale,
    visit: &mut Visit<'_>,
) -> Result<Attempt> {
    let counting = Counting::new(reader);
    let meter = counting.meter();
    let gauge = Gauge::Metered(&meter, scale);
    let most = MAX_WINDOW_BYTES >> 10;
    let mut source = BufReader::new(counting);
    let archive = match Archive::read_with_memory_limit(&mut source, password, most) {
        Ok(archive) => archive,
        Err(err) if is_locked(&err) => return Ok(Attempt::Locked),
        Err(err) => return Err(described(err)),
    };
    let (mut taken, mut failure) = (0_u64, None);
    let mut each = |entry: &ArchiveEntry, reader: &mut dyn Read| {
        if entry.is_directory() || entry.is_anti_item() {
            return Ok(true);
        }
        let (stored, mut first) = (gauge.start(), Vec::new());
        if taken == 0 {
            // A wrong password shows with the first bytes, or at their end.
            reader.take(1 << 20).read_to_end(&mut first)?;
        }
        taken += 1;
        let mut whole = std::io::Cursor::new(first).chain(reader);
        let visited = visit(Entry {
            name: entry.name().replace('\\', "/"),
            claimed: entry.size(),
            reader: Ok(&mut whole),
            stored,
            is_independent: false,
        });
        failure = visited.err();
        Ok(failure.is_none())
    };
    let outcome = for_each_entry(&archive, &mut source, password, &mut each);
    match (failure, outcome) {
        (Some(err), _) => Err(err),
        (None, Ok(())) => Ok(Attempt::Through),
        (None, Err(err)) if taken == 0 && is_locked(&err) => Ok(Attempt::Locked),
        (None, Err(err)) => Err(described(err)),
    }
}

fn is_locked(err: &sevenz_rust2::Error) -> bool {
    use sevenz_rust2::Error as Of7z;
    matches!(err, Of7z::PasswordRequired | Of7z::MaybeBadPassword(_))
}

fn described(err: sevenz_rust2::Error) -> Error {
    use sevenz_rust2::Error as Of7z;
    match err {
        Of7z::UnsupportedCompressionMethod(name) => Error::bad_input(format!(
            "archive is compressed with {name}, which is not supported: unpack it"
        )),
        Of7z::MaxMemLimited { .. } => Error::bad_input(format!(
            "archive needs more than {} to decode: pack it with a smaller dictionary",
            ByteCount(MAX_WINDOW_BYTES as u64)
        )),
        Of7z::Io(err, _) => damaged(err),
        err => Error::new(ErrorKind::BadInput, "archive is damaged or truncated").because(err),
    }
}
