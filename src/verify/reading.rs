//! A file of the sources: every object in it, and every record of those.

use super::beside::{Beside, EMPTY_ARCHIVE, OTHER_SERVICE, describe};
use super::contract::{Family, Folder, folder};
use super::files::{Opening, Placed};
use super::objects::Object;
use super::row::Row;
use super::source_files::{SourceFile, read_objects};
use super::unpack::{Found, Limits, Unread};
use super::unrecognized::why_unread;
use super::{Comparison, Record, Tally, VerifyOptions};
use crate::error::{ErrorKind, Result};

/// Takes a record and its row.
type Each<'e> = dyn FnMut(&Record<'_>, &Row) + 'e;

impl Comparison<'_> {
    /// Reads a source file and hands over every record that may have a row, with that row.
    /// Objects, and records without a row, are counted only.
    pub(super) fn records(
        &self,
        file: &SourceFile,
        opening: Opening<'_>,
        each: &mut Each<'_>,
    ) -> Result<Tally> {
        let mut tally = Tally::default();
        if !file.is_read() {
            tally.objects_read = 1;
            tally.beside.is_without_records(OTHER_SERVICE);
            return Ok(tally);
        }
        let (mut row, mut is_empty) = (Row::default(), true);
        let &VerifyOptions { max_object_size, max_ratio, .. } = self.options;
        let limits = Limits { max_object_size, max_ratio };
        let unpacking = (&self.options.passwords[..], self.options.reads_hidden);
        let mut take = |found| {
            is_empty &= matches!(found, Found::Hidden);
            self.found(found, &mut tally, &mut row, each);
        };
        match read_objects(file, opening, limits, unpacking, &mut take) {
            // One object that may not be read must not keep the others from being compared.
            Err(err) if matches!(err.kind(), ErrorKind::Denied | ErrorKind::Io) => {
                tally.beside.is_not_read("it cannot be read");
            }
            read => {
                read?;
                if is_empty {
                    tally.beside.is_without_records(EMPTY_ARCHIVE);
                }
            }
        }
        Ok(tally)
    }

    fn found(&self, found: Found, tally: &mut Tally, row: &mut Row, each: &mut Each<'_>) {
        match found {
            Found::SetAside => tally.objects_quarantined += 1,
            Found::Hidden => tally.beside.hidden += 1,
            Found::NotRead(why) => tally.beside.is_not_read(match why {
                Unread::Encrypted => "it is encrypted, and no password fits",
                Unread::UnknownPacking => "it is packed in a way that is not read",
            }),
            Found::Object { name, own, text } => {
                tally.objects_read += 1;
                let folder = folder(&name[own..]);
                if folder == Folder::Ignored {
                    return tally.beside.is_without_records(OTHER_SERVICE);
                }
                // Digests prove logs; what proves them is their signature.
                let is_log = folder != Folder::Of(Family::Digest);
                if let Some(proven) = self.options.proven.as_ref().filter(|_| is_log) {
                    proven.look(&name, &text);
                }
                let object = Object { name: &name, folder };
                let (bad, has_records) = self.object(object, &text, row, each);
                tally.quarantined += bad;
                if !has_records && bad == 0 {
                    note_empty(&name, &text, &mut tally.beside);
                }
            }
        }
    }
}

/// Counts an object in which no record was found.
fn note_empty(name: &str, text: &[u8], beside: &mut Beside) {
    match (why_unread(name, text), describe(text)) {
        (Some(why), _) => beside.is_not_read(why),
        (None, Some(what)) => beside.is_without_records(what),
        (None, None) => beside.is_without_records("an empty object"),
    }
}
