//! The members of a tar, and the check of its end.

use crate::decode::Caps;
use crate::error::{Error, Result};
use crate::source::member::{damaged, is_passed_over};
use crate::source::{Member, MemberSink};
use std::cell::Cell;
use std::io::Read;

/// Gives `sink` each member; returns how many were passed over. `consumed` counts the bytes of the
/// archive that `reader` has taken.
pub(super) fn tar_members(
    reader: impl Read,
    consumed: &Cell<u64>,
    caps: &Caps,
    sink: &mut dyn MemberSink,
) -> Result<u64> {
    let mut passed_over = 0;
    let ending = Ending { inner: reader, zeros: 0 };
    let mut archive = tar::Archive::new(ending);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
            // Links name what is elsewhere; folders hold nothing.
            passed_over += u64::from(!kind.is_dir());
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if is_passed_over(&name) {
            passed_over += 1;
            continue;
        }
        let (size, start) = (entry.size(), consumed.get());
        let bytes = if size > caps.max_object_bytes {
            Err(caps.over(caps.max_object_bytes))
        } else {
            sink.make_room(size)?;
            read_entry(&mut entry, size, caps, || consumed.get() - start)?
        };
        sink.take(Member { name, stored: consumed.get() - start, bytes })?;
    }
    let mut ending = archive.into_inner();
    if ending.zeros < 512 {
        return Err(Error::bad_input("archive has no end marker: it seems to be truncated"));
    }
    ending.refuse_more()?;
    Ok(passed_over)
}

/// Bytes of one step of reading an entry; the ratio is checked after each.
const STEP: u64 = 1 << 20;

/// Reads an entry of a tar, or says that it is over the ratio; `stored` says how many bytes of the
/// archive it has taken so far. Of a truncated last member the whole records count; the missing end is
/// told at the archive's.
fn read_entry(
    entry: &mut impl Read,
    size: u64,
    caps: &Caps,
    stored: impl Fn() -> u64,
) -> Result<Result<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(size as usize);
    loop {
        let step = STEP.min(size - bytes.len() as u64);
        let count = entry.take(step).read_to_end(&mut bytes).map_err(damaged)?;
        if count == 0 {
            return Ok(Ok(bytes));
        }
        let limit = caps.limit(stored());
        if bytes.len() as u64 > limit {
            return Ok(Err(caps.over(limit)));
        }
    }
}

/// Remembers how many zero bytes were read last: a tar ends with blocks of zeros.
struct Ending<R> {
    inner: R,
    zeros: usize,
}

impl<R: Read> Ending<R> {
    /// Reads what follows the end of a tar. More zeros are usual; anything else is not read, and must
    /// not be lost without a word: another tar, for one.
    fn refuse_more(&mut self) -> Result<()> {
        let mut block = vec![0; 64 << 10];
        loop {
            let count = self.read(&mut block).map_err(damaged)?;
            if count == 0 {
                return Ok(());
            }
            if self.zeros < count {
                let message = "archive has data after its end, which is not read: does the file \
                               hold several archives?";
                return Err(Error::bad_input(message));
            }
        }
    }
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(out)?;
        let zeros = out[..count].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == count { self.zeros + zeros } else { zeros };
        Ok(count)
    }
}
