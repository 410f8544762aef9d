//! The source as `verify` reads it: its own listing, its own unpacking, its own idea of a record.
//!
//! Files are taken by their first bytes, never by their names: gzip (all members), zip and tar are
//! opened, at most [`ARCHIVE_LEVELS`] inside each other, and every member is an object named
//! `<archive>!<member>`. An object's text is cut at record boundaries and not parsed here.
//! What cannot be read is set aside, never guessed at; only a failing disk is an error.

use super::json;
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// How many containers may lie inside each other: `x.tar.gz` with gzipped members needs four.
const ARCHIVE_LEVELS: usize = 5;
/// As many bytes as decide what a stream is; tar's magic ends at byte 262.
const PEEK_BYTES: u64 = 512;

/// One file below a source.
#[derive(Debug)]
pub(super) struct SourceFile {
    path: PathBuf,
    /// The absolute path.
    pub(super) key: String,
}

/// Lists every file below the sources in key order, without those of the lake.
pub(super) fn list(sources: &[PathBuf], lake: &Path) -> Result<Vec<SourceFile>> {
    let lake = std::fs::canonicalize(lake).unwrap_or_else(|_| lake.to_path_buf());
    let mut files = Vec::new();
    for source in sources {
        let root = std::fs::canonicalize(source).map_err(|err| {
            Error::config("cannot open source").at("path", source.display()).because(err)
        })?;
        let is_other = |entry: &walkdir::DirEntry| entry.path() != lake;
        for entry in WalkDir::new(&root).follow_links(true).into_iter().filter_entry(is_other) {
            let entry = entry.map_err(|err| Error::io("cannot list source", err))?;
            if entry.file_type().is_file() {
                files.push(SourceFile { key: key_of(entry.path()), path: entry.into_path() });
            }
        }
    }
    files.sort_by(|a, b| (&a.key, &a.path).cmp(&(&b.key, &b.path)));
    Ok(files)
}

/// An object's name: its absolute path, as the converter's ledger and quarantine have it.
fn key_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What a file yields: an object's name and bytes, or that it cannot be read.
#[derive(Debug)]
pub(super) enum Found {
    Object { name: String, text: Vec<u8> },
    SetAside,
}

/// Opens a file and hands over every object in it, in order.
///
/// # Errors
/// `Io` if the file itself cannot be opened or read.
pub(super) fn read_objects(
    file: &SourceFile,
    max_object_size: u64,
    each: &mut dyn FnMut(Found),
) -> Result<()> {
    let cannot = |err| Error::io("cannot read source file", err).at("object", &file.key);
    let opened = File::open(&file.path).map_err(cannot)?;
    let mut unpacker = Unpacker { max_object_size, each };
    let mut head = Vec::new();
    (&opened).take(PEEK_BYTES).read_to_end(&mut head).map_err(cannot)?;
    let opened = File::open(&file.path).map_err(cannot)?;
    if is_zip(&head) {
        unpacker.zip(&file.key, BufReader::new(opened), 0);
    } else {
        unpacker.stream(&file.key, &mut BufReader::new(opened), 0);
    }
    Ok(())
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

struct Unpacker<'a> {
    max_object_size: u64,
    each: &'a mut dyn FnMut(Found),
}

impl Unpacker<'_> {
    /// Takes a stream for what its first bytes say; a damaged or nested-too-deep one is set aside.
    fn stream(&mut self, name: &str, reader: &mut dyn Read, level: usize) {
        let mut head = Vec::new();
        if level > ARCHIVE_LEVELS || reader.take(PEEK_BYTES).read_to_end(&mut head).is_err() {
            return (self.each)(Found::SetAside);
        }
        let is_gzip = head.starts_with(&[0x1f, 0x8b]);
        let is_tar = head.get(257..262) == Some(b"ustar");
        let is_zip = is_zip(&head);
        let mut whole = Cursor::new(head).chain(reader);
        if is_gzip {
            self.stream(name, &mut MultiGzDecoder::new(BufReader::new(whole)), level + 1);
        } else if is_tar {
            self.tar(name, whole, level);
        } else {
            let mut text = Vec::new();
            let read =
                (&mut whole).take(self.max_object_size.saturating_add(1)).read_to_end(&mut text);
            if read.is_err() || text.len() as u64 > self.max_object_size {
                (self.each)(Found::SetAside);
            } else if is_zip {
                self.zip(name, Cursor::new(text), level);
            } else {
                (self.each)(Found::Object { name: name.to_owned(), text });
            }
        }
    }

    fn tar(&mut self, name: &str, reader: impl Read, level: usize) {
        let mut archive = tar::Archive::new(reader);
        let Ok(members) = archive.entries() else { return (self.each)(Found::SetAside) };
        for member in members {
            let Ok(mut member) = member else { return (self.each)(Found::SetAside) };
            if member.header().entry_type().is_file() {
                let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
                self.stream(&format!("{name}!/{path}"), &mut member, level + 1);
            }
        }
    }

    fn zip(&mut self, name: &str, reader: impl Read + std::io::Seek, level: usize) {
        let Ok(mut archive) = zip::ZipArchive::new(reader) else {
            return (self.each)(Found::SetAside);
        };
        for index in 0..archive.len() {
            match archive.by_index(index) {
                Ok(member) if member.is_dir() => {}
                Ok(mut member) => {
                    let name = format!("{name}!/{}", member.name());
                    self.stream(&name, &mut member, level + 1);
                }
                Err(_) => (self.each)(Found::SetAside),
            }
        }
    }
}

/// Where a record's text lies in its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at: Range<usize>,
    /// Whether it stood in a `Records` array, where nothing but records belongs.
    pub(super) is_enveloped: bool,
}

/// An object's records, in order.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) pieces: Vec<Piece>,
    /// Whether the text breaks off or contradicts itself between records. A converter may then set
    /// the whole object aside or keep the records before the break; both are right.
    pub(super) is_broken: bool,
}

/// Cuts an object's text into records: envelopes, bare arrays, NDJSON, lone or concatenated
/// records. A text that does not begin with `{` or `[` has none.
pub(super) fn cut(text: &[u8]) -> Cut {
    let mut cut = Cut::default();
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    at = json::skip_space(text, at);
    if !matches!(text.get(at), Some(b'{' | b'[')) {
        return cut;
    }
    while at < text.len() {
        let known = cut.pieces.len();
        let end = match text[at] {
            b'{' => cut.object(text, at),
            b'[' => cut.array(text, at, false),
            _ => None,
        };
        at = match end {
            Some(end) => json::skip_space(text, end),
            None if cut.pieces.len() > known => {
                cut.is_broken = true;
                return cut;
            }
            None => {
                // One bad line of NDJSON costs that line, if the next one starts afresh.
                let line = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end);
                cut.pieces.push(Piece { at: at..line, is_enveloped: false });
                let next = json::skip_space(text, line);
                if !matches!(text.get(next), None | Some(b'{' | b'[')) {
                    cut.is_broken = true;
                    return cut;
                }
                next
            }
        };
    }
    cut
}

impl Cut {
    /// Takes the object at `at` apart if it is an envelope, else as a record; returns its end.
    fn object(&mut self, text: &[u8], at: usize) -> Option<usize> {
        let start = at;
        let mut is_envelope = false;
        let mut at = json::skip_space(text, at + 1);
        if text.get(at) == Some(&b'}') {
            self.pieces.push(Piece { at: start..at + 1, is_enveloped: false });
            return Some(at + 1);
        }
        loop {
            let (key, value) = json::key_at(text, at)?;
            let is_records = key == b"\"Records\"";
            is_envelope |= is_records;
            let end = if is_records && text.get(value) == Some(&b'[') {
                self.array(text, value, true)?
            } else {
                json::skip_value(text, value)?
            };
            at = json::skip_space(text, end);
            match text.get(at)? {
                b',' => at = json::skip_space(text, at + 1),
                b'}' if is_envelope => return Some(at + 1),
                b'}' => {
                    self.pieces.push(Piece { at: start..at + 1, is_enveloped: false });
                    return Some(at + 1);
                }
                _ => return None,
            }
        }
    }

    fn array(&mut self, text: &[u8], at: usize, is_enveloped: bool) -> Option<usize> {
        let mut at = json::skip_space(text, at + 1);
        if text.get(at) == Some(&b']') {
            return Some(at + 1);
        }
        loop {
            let end = json::skip_record(text, at)?;
            self.pieces.push(Piece { at: at..end, is_enveloped });
            at = json::skip_space(text, end);
            match text.get(at)? {
                b',' => at = json::skip_space(text, at + 1),
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> (Vec<&str>, bool) {
        let cut = cut(text.as_bytes());
        (cut.pieces.iter().map(|piece| &text[piece.at.clone()]).collect(), cut.is_broken)
    }

    #[test]
    fn every_envelope_is_cut_at_its_records() {
        for text in [
            r#"{"Records":[{"a":1},{"a":"]"}]}"#,
            "\u{feff} { \"x\": {}, \"Records\" : [ {\"a\":1} , {\"a\":\"]\"} ], \"y\":1 }\n",
            r#"[{"a":1},{"a":"]"}]"#,
            "{\"a\":1}\n{\"a\":\"]\"}\n",
            r#"{"a":1}{"a":"]"}"#,
            r#"{"Records":[{"a":1}]}{"Records":[{"a":"]"}]}"#,
        ] {
            assert_eq!(texts(text), (vec![r#"{"a":1}"#, r#"{"a":"]"}"#], false), "{text}");
        }
    }

    #[test]
    fn texts_that_are_not_json_hold_no_records() {
        for text in [
            "",
            " \n",
            "2 123456789012 eni-1 ACCEPT",
            "\"Records\"",
            "{\"Records\":null}",
            "{\"Records\":[]}",
        ] {
            assert_eq!(texts(text), (vec![], false), "{text}");
        }
    }

    #[test]
    fn a_bad_line_costs_a_line_and_a_broken_envelope_is_known_as_broken() {
        assert_eq!(texts("{\"a\":1}\n{\"b\":\n{\"c\":1}").0, ["{\"a\":1}", "{\"b\":", "{\"c\":1}"]);
        assert_eq!(texts(r#"{"Records":[{"a":1},{"b":"#), (vec![r#"{"a":1}"#], true));
        assert!(texts("{\n\"a\": {\n").1);
    }
}
