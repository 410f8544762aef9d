//! Archives that are read by their directory: zip and 7z.

use super::archive_kind::{Archive, Chained, Part, chained_seven_zips, chained_zips};
use super::methods::{in_lzma, is_unknown_method, seven_zip_files};
use super::streams::{Counted, WINDOW_KIB};
use super::unpack::{Depth, Found, Gauge, Name, STEP, Unpacker, Unread, shared, with_slashes};
use std::io::{BufReader, Cursor, Read, Seek};
use std::rc::Rc;

/// Why a 7z archive is not read: encrypted, or packed in a way that is not known.
fn why_closed(err: &sevenz_rust2::Error) -> Option<Unread> {
    use sevenz_rust2::Error as Of7z;
    match err {
        Of7z::PasswordRequired | Of7z::MaybeBadPassword(_) => Some(Unread::Encrypted),
        Of7z::UnsupportedCompressionMethod(_) => Some(Unread::UnknownPacking),
        _ => None,
    }
}

/// What a member of a zip is that cannot be opened.
fn why_not_opened(method: zip::CompressionMethod, is_locked: bool) -> Found {
    match (is_locked, is_unknown_method(method)) {
        (true, _) => Found::NotRead(Unread::Encrypted),
        (false, true) => Found::NotRead(Unread::UnknownPacking),
        (false, false) => Found::SetAside,
    }
}

impl<'a> Unpacker<'a> {
    /// Reads archives that are read by their directories, and lie one behind the other.
    pub(super) fn seekable(
        &mut self,
        kind: Archive,
        name: Name<'_>,
        mut reader: impl Read + Seek,
        depth: Depth,
        share: (u64, u64),
    ) {
        let is_sevenz = kind == Archive::SevenZip;
        let found = match is_sevenz {
            true => chained_seven_zips(&mut reader),
            false => chained_zips(&mut reader),
        };
        let Ok(Chained { parts, has_rest }) = found else { return (self.each)(Found::SetAside) };
        let mut is_whole = !has_rest;
        for part in parts {
            let part = Part::new(&mut reader, part);
            let is_read = match is_sevenz {
                true => self.seven_zip(name, part, depth, share),
                false => self.zip(name, part, depth, share),
            };
            is_whole &= is_read;
            if is_sevenz && !is_read {
                break;
            }
        }
        if !is_whole {
            (self.each)(Found::SetAside);
        }
    }

    /// Reads the files of a zip; returns whether it could be.
    fn zip(
        &mut self,
        name: Name<'_>,
        reader: impl Read + Seek,
        depth: Depth,
        share: (u64, u64),
    ) -> bool {
        let Ok(mut archive) = zip::ZipArchive::new(reader) else { return false };
        let meter = Rc::default();
        for index in 0..archive.len() {
            let (path, stored, method, is_locked) = match archive.by_index_raw(index) {
                Ok(member) => (
                    with_slashes(&String::from_utf8_lossy(member.name_raw())),
                    member.compressed_size(),
                    member.compression(),
                    member.encrypted(),
                ),
                Err(_) => {
                    (self.each)(Found::SetAside);
                    continue;
                }
            };
            if path.ends_with('/') || self.is_hidden(&path) {
                // Folders are not members.
                (!path.ends_with('/')).then(|| (self.each)(Found::Hidden));
                continue;
            }
            let gauge = Gauge::Known(shared(stored, share));
            let is_lzma =
                [zip::CompressionMethod::XZ, zip::CompressionMethod::LZMA].contains(&method);
            let password = is_locked.then(|| self.fitting(&mut archive, index)).flatten();
            let opened: Option<Box<dyn Read>> = match password {
                _ if is_lzma && !is_locked => {
                    let raw = archive.by_index_raw(index).ok();
                    raw.and_then(|raw| in_lzma(raw, method, &meter))
                }
                Some(password) => {
                    let member = archive.by_index_decrypt(index, password);
                    member.ok().map(|member| Box::new(member) as Box<dyn Read>)
                }
                None => {
                    let member = archive.by_index(index);
                    member.ok().map(|member| Box::new(member) as Box<dyn Read>)
                }
            };
            match opened {
                Some(mut member) => self.member(name, &path, &mut member, depth, gauge, &meter),
                None => (self.each)(why_not_opened(method, is_locked)),
            }
            if self.total > self.most {
                return false;
            }
        }
        true
    }

    /// Returns the password that opens a member, tried to its end.
    fn fitting<'p>(
        &self,
        archive: &mut zip::ZipArchive<impl Read + Seek>,
        index: usize,
    ) -> Option<&'p [u8]>
    where
        'a: 'p,
    {
        self.passwords.iter().map(String::as_bytes).find(|password| {
            let member = archive.by_index_decrypt(index, password);
            member.is_ok_and(|mut member| std::io::copy(&mut member, &mut std::io::sink()).is_ok())
        })
    }

    /// Reads the files of a 7z archive with the first password that fits; returns whether it could be.
    fn seven_zip(
        &mut self,
        name: Name<'_>,
        mut reader: impl Read + Seek,
        depth: Depth,
        share: (u64, u64),
    ) -> bool {
        let passwords = self.passwords.iter().map(|text| sevenz_rust2::Password::from(&**text));
        let tried: Vec<_> =
            std::iter::once(sevenz_rust2::Password::empty()).chain(passwords).collect();
        let mut unread = None;
        for password in tried {
            let counted = Counted::new(&mut reader);
            let meter = counted.meter();
            let mut source = BufReader::new(counted);
            let opened =
                sevenz_rust2::Archive::read_with_memory_limit(&mut source, &password, WINDOW_KIB);
            let archive = match opened {
                Ok(archive) => archive,
                Err(err) => {
                    unread = why_closed(&err).or(unread);
                    continue;
                }
            };
            let mut is_begun = false;
            let outcome =
                seven_zip_files(&archive, &password, &mut source, &mut |entry, reader| {
                    if entry.is_directory() || entry.is_anti_item() {
                        return Ok(true);
                    }
                    let gauge = Gauge::Read(&meter, meter.before(), share);
                    let mut first = Vec::new();
                    if !is_begun {
                        reader.take(STEP).read_to_end(&mut first)?;
                    }
                    is_begun = true;
                    let path = entry.name().replace('\\', "/");
                    let mut whole = Cursor::new(first).chain(reader);
                    self.member(name, &path, &mut whole, depth, gauge, &meter);
                    Ok(self.total <= self.most)
                });
            if is_begun || outcome.is_ok() {
                return outcome.is_ok() && self.total <= self.most;
            }
            unread = outcome.err().and_then(|err| why_closed(&err)).or(unread);
        }
        if let Some(why) = unread {
            (self.each)(Found::NotRead(why));
        }
        unread.is_some()
    }
}
