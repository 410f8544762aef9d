//! Members of archives: what is read of an archive, the sink that takes it, and what is passed over.

use crate::decode::{Caps, Meter};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{Folder, parse};
use std::io::Read;

/// One member of an archive.
#[derive(Debug)]
pub struct Member {
    /// The path inside the archive; in an archive inside it, `<archive>!/<member>`.
    pub name: String,
    /// Its approximate bytes in the outermost archive.
    pub stored: u64,
    /// How many archives it lies in.
    pub level: u8,
    /// Its bytes, or the reason why they cannot be read.
    pub bytes: Result<Vec<u8>>,
}

/// Takes the members of an archive.
pub trait MemberSink {
    /// Makes room for the next member, called before its memory is allocated.
    ///
    /// # Errors
    /// Any error; it ends the reading of the archive.
    fn make_room(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Takes a member.
    ///
    /// # Errors
    /// Any error; it ends the reading of the archive.
    fn take(&mut self, member: Member) -> Result<()>;
}

impl<F: FnMut(Member) -> Result<()>> MemberSink for F {
    fn take(&mut self, member: Member) -> Result<()> {
        self(member)
    }
}

/// A member while its archive is read.
pub(super) struct Entry<'e> {
    pub(super) name: String,
    /// How many bytes the archive says it has.
    pub(super) claimed: u64,
    /// Its bytes, or why they cannot be had.
    pub(super) reader: Result<&'e mut dyn Read>,
    pub(super) stored: Stored<'e>,
    /// Whether the members after it can be read though this one cannot.
    pub(super) is_independent: bool,
}

/// What bytes of an archive are in the outermost file.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// What the archive takes there.
    pub(super) stored: u64,
    /// What it has.
    pub(super) size: u64,
}

impl Scale {
    pub(super) fn of(self, bytes: u64) -> u64 {
        if self.stored == self.size || self.size == 0 {
            return bytes;
        }
        let scaled = u128::from(bytes) * u128::from(self.stored) / u128::from(self.size);
        u64::try_from(scaled).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// What tells how many bytes a member takes in the outermost file.
#[derive(Clone, Copy)]
pub(super) enum Gauge<'m> {
    /// As a directory says, of it and of all in it.
    Fixed(u64),
    /// As the file is read.
    Metered(&'m Meter, Scale),
}

impl<'m> Gauge<'m> {
    /// Begins to measure what is read from now on.
    pub(super) fn start(self) -> Stored<'m> {
        let start = match self {
            Self::Fixed(_) => 0,
            Self::Metered(meter, _) => meter.before(),
        };
        Stored { gauge: self, start }
    }
}

/// How many bytes a member takes where it is stored.
#[derive(Clone, Copy)]
pub(super) struct Stored<'m> {
    pub(super) gauge: Gauge<'m>,
    start: u64,
}

impl Stored<'_> {
    /// Returns how many bytes it is so far.
    pub(super) fn so_far(&self) -> u64 {
        match self.gauge {
            Gauge::Fixed(bytes) => bytes,
            Gauge::Metered(meter, scale) => scale.of(meter.now().saturating_sub(self.start)),
        }
    }
}

/// Takes the entries of an archive.
pub(super) type Visit<'v> = dyn FnMut(Entry<'_>) -> Result<()> + 'v;

/// Bytes of one step of reading a member; the caps are looked at after each.
const STEP: u64 = 1 << 20;

/// Memory that is taken for a member before it is known that it has so much.
const FIRST_ROOM: u64 = 8 << 20;

/// Reads a member, or says that it is over a cap. Memory is taken for what is claimed, as far as that is
/// likely, and then for what comes out.
///
/// # Errors
/// What `reader` and `make_room` return.
pub(super) fn read_capped(
    mut reader: impl Read,
    claimed: u64,
    caps: &Caps,
    stored: impl Fn() -> u64,
    make_room: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Result<Vec<u8>>> {
    let most = caps.max_object_bytes;
    if claimed > most {
        return Ok(Err(caps.over(most)));
    }
    let mut room = claimed.min(FIRST_ROOM.max(caps.limit(stored())));
    make_room(room)?;
    let mut bytes = Vec::with_capacity(room as usize);
    loop {
        let size = bytes.len() as u64;
        if size == room {
            // One byte more says whether it is the end.
            let mut more = [0];
            if reader.read(&mut more).map_err(damaged)? == 0 {
                return Ok(Ok(bytes));
            }
            // One byte more than may be says that it is too much.
            room = room.saturating_mul(2).max(size + STEP).min(most.max(size).saturating_add(1));
            make_room(room)?;
            bytes.reserve_exact((room - size) as usize);
            bytes.extend(more);
        }
        let step = STEP.min(room - bytes.len() as u64);
        let count = reader.by_ref().take(step).read_to_end(&mut bytes).map_err(damaged)?;
        let limit = caps.limit(stored());
        if bytes.len() as u64 > limit {
            return Ok(Err(caps.over(limit)));
        }
        if (count as u64) < step {
            return Ok(Ok(bytes));
        }
    }
}

/// The error for a damaged archive; an error of ours from fetching it is kept.
pub(super) fn damaged(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&err);
    while let Some(err) = cause {
        let io = err.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(ours) = io.and_then(|err| err.downcast_ref::<Error>()) {
            return Error::new(ours.kind(), ours.to_string());
        }
        if err.downcast_ref::<std::io::Error>().is_some_and(|err| err.raw_os_error().is_some()) {
            return Error::new(ErrorKind::Io, format!("cannot be read: {err}"));
        }
        cause = err.source();
    }
    Error::bad_input("archive is damaged or truncated").because(err)
}

/// Returns whether a member's path leads through a hidden name.
pub(super) fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with(['_', '.']) && !matches!(part, "." | ".."))
}

/// Returns whether a member is never read: another service's object, or what a lake keeps beside its data files.
pub(super) fn is_foreign(name: &str) -> bool {
    name.split('/').any(|part| part == "_trailmill") || parse(name).folder == Folder::Other
}
