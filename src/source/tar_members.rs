//! The members of a tar, and the check of its end.

use crate::error::{Error, Result};
use crate::source::member::{Entry, Gauge, Visit, damaged};
use std::io::Read;

/// Gives `visit` each member that is a file; returns how many others were passed over.
pub(super) fn tar_members(
    reader: impl Read,
    gauge: Gauge<'_>,
    visit: &mut Visit<'_>,
) -> Result<u64> {
    let mut passed_over = 0;
    let mut archive = tar::Archive::new(Ending { inner: reader, zeros: 0 });
    // Tars that were put one behind the other are one.
    archive.set_ignore_zeros(true);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
            // Links name what is elsewhere; folders hold nothing.
            passed_over += u64::from(!kind.is_dir());
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (claimed, stored) = (entry.size(), gauge.start());
        let reader = Ok(&mut entry as &mut dyn Read);
        visit(Entry { name, claimed, reader, stored, is_independent: false })?;
    }
    if archive.into_inner().zeros < 512 {
        return Err(Error::bad_input("archive has no end marker: it seems to be truncated"));
    }
    Ok(passed_over)
}

/// Remembers how many zero bytes were read last: a tar ends with blocks of zeros.
struct Ending<R> {
    inner: R,
    zeros: usize,
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(out)?;
        let zeros = out[..count].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == count { self.zeros + zeros } else { zeros };
        Ok(count)
    }
}

/// Whether a block is a tar header: its sum, with its own field as spaces, stands in it in octal. The
/// oldest tars have nothing else to tell them by.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<512>() else { return false };
    let field = &block[148..156];
    let digits = field.iter().copied().skip_while(|byte| *byte == b' ');
    let mut claimed = 0_u64;
    let mut count = 0;
    for digit in digits.take_while(|byte| matches!(byte, b'0'..=b'7')) {
        claimed = claimed * 8 + u64::from(digit - b'0');
        count += 1;
    }
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    count > 0 && claimed == sum(block) - sum(field) + 8 * u64::from(b' ')
}
