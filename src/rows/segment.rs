//! One segment: the objects that are decoded, parsed and shredded together.
//!
//! A segment is a unit, or a part of one when the unit is a large archive. Every record of every
//! object ends in exactly one place: a row, or the quarantine.

use crate::decode::{Decoded, Decoder, is_gzip, packed_with};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::keys::{Layout, parse as parse_layout};
use crate::lake::{ObjectOutcome, ObjectRecord, QuarantinedObject, Tally};
use crate::parse::Parser;
use crate::rows::object::{ObjectReader, Tools};
use crate::rows::{Host, MAX_UNIT_BYTES, Parsed, RowOptions, Scratch};
use crate::source::{Member, Object, Place};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;

/// Where an object's bytes come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// A local file, read by the worker.
    File(PathBuf),
    /// A member of an archive, or an object of a bucket, already in memory.
    Bytes(Bytes),
    /// A member that could not be had.
    Unreadable(Error),
}

/// One object of a segment.
#[derive(Debug)]
pub(crate) struct SegmentObject {
    pub key: String,
    pub etag: String,
    pub layout: Layout,
    /// Its bytes, as it is stored: of a member, what it takes in its archive.
    pub size: u64,
    /// Members of the same name before it in its archive.
    pub earlier: u32,
    pub input: Input,
}

impl SegmentObject {
    /// An object of the source.
    pub(crate) fn new(object: &Object, input: Input) -> Self {
        let Object { key, etag, layout, size, .. } = object.clone();
        Self { key, etag, layout, size, earlier: 0, input }
    }

    /// A file, which a worker reads; nothing for an object of a bucket.
    pub(crate) fn file(object: &Object) -> Option<Self> {
        match &object.place {
            Place::File => Some(Self::new(object, Input::File(object.path()))),
            Place::Bucket(_) => None,
        }
    }

    /// A member of an archive, which has `earlier` others of the same name before it.
    pub(crate) fn member(archive: &Object, member: Member, earlier: u32) -> Self {
        Self {
            key: format!("{}!/{}", archive.key, member.name),
            etag: String::new(),
            layout: parse_layout(&member.name),
            size: member.stored,
            earlier,
            input: match member.bytes {
                Ok(bytes) => Input::Bytes(bytes.into()),
                Err(err) => Input::Unreadable(err),
            },
        }
    }
}

/// A worker's buffers that are larger go when an object is done: few objects are, and what they took
/// would stay with every worker.
pub(crate) const MAX_KEPT_BYTES: usize = 16 << 20;

/// Buffers that a worker keeps from segment to segment.
#[derive(Debug)]
pub(crate) struct SegmentParser {
    pub decoder: Decoder,
    pub parser: Parser,
    scratch: Scratch,
    file: Vec<u8>,
    decoded: Decoded,
}

impl SegmentParser {
    pub(crate) fn new(decoder: Decoder, rows: &RowOptions) -> Self {
        Self {
            decoder,
            parser: Parser::default(),
            scratch: Scratch::new(rows.fingerprints, rows.keeps_copies),
            file: Vec::new(),
            decoded: Decoded::default(),
        }
    }

    fn drop_large_buffers(&mut self) {
        if self.decoded.capacity() > MAX_KEPT_BYTES {
            self.decoded = Decoded::default();
        }
        if self.file.capacity() > MAX_KEPT_BYTES {
            self.file = Vec::new();
        }
        if self.parser.capacity() > MAX_KEPT_BYTES {
            self.parser = Parser::default();
        }
    }
}

/// The part of a segment after which room is made for the rest.
const FIRST_PART: u64 = 8;

/// Decodes and parses the objects of a segment into `parsed`, which is empty. A segment that takes more
/// memory than its JSON lets expect goes to `host` in parts; what is in `parsed` at the end is the last.
///
/// # Errors
/// `Io` when a file cannot be read, and what `host` returns; input never fails a segment.
pub(crate) fn parse_segment(
    objects: Vec<SegmentObject>,
    worker: &mut SegmentParser,
    options: &RowOptions,
    parsed: &mut Parsed,
    host: &mut dyn Host,
) -> Result<()> {
    let stored: u64 = objects.iter().map(|object| object.size).sum();
    let (mut so_far, mut is_reserved) = (0, false);
    for object in objects {
        let size = object.size;
        parse_object(object, worker, options, parsed, host)?;
        worker.drop_large_buffers();
        so_far += size;
        if !is_reserved && so_far < stored && so_far * FIRST_PART >= stored {
            parsed.reserve(stored as f64 / so_far as f64);
            is_reserved = true;
        }
    }
    Ok(())
}

/// Decodes and parses one object; one that cannot be read at all is quarantined.
fn parse_object(
    object: SegmentObject,
    worker: &mut SegmentParser,
    options: &RowOptions,
    parsed: &mut Parsed,
    host: &mut dyn Host,
) -> Result<()> {
    let SegmentObject { key, etag, layout, size, earlier, input } = object;
    let SegmentParser { decoder, parser, scratch, file, decoded, .. } = worker;
    parsed.histories.push(options.fingerprints.object(&key, earlier));
    scratch.begin_object();
    let bytes: &[u8] = match &input {
        Input::File(path) => {
            read_file(path, file)
                .map_err(|err| Error::io("cannot be read", err).at("source object", &key))?;
            file
        }
        Input::Bytes(bytes) => bytes,
        Input::Unreadable(_) => &[],
    };
    let before = parsed.bytes_json;
    let text = match input {
        Input::Unreadable(ref err) => Err(Error::new(err.kind(), err.to_string())),
        _ => text_of(bytes, size, decoder, decoded, &mut |size| {
            host.make_room(before.saturating_add(size), size)
        }),
    };
    let text = text.and_then(|text| fit_into_unit(before, text));
    parsed.bytes_compressed += bytes.len() as u64;
    let key: Arc<str> = key.into();
    let record = ObjectRecord {
        key: key.to_string(),
        etag,
        bytes: bytes.len() as u64,
        outcome: ObjectOutcome::Converted,
        tally: Tally::default(),
    };
    let (mut record, outcome) = match text {
        Err(err) => (record, Err(err)),
        Ok((text, padding)) => {
            parsed.bytes_json += text.len() as u64;
            parsed.objects_padded += u64::from(padding > 0);
            let most = options.most_parsed(parsed.bytes_json);
            let tools = Tools { parser, scratch, options, host, most };
            ObjectReader::new(Arc::clone(&key), &layout, record, parsed, tools).read(text)
        }
    };
    if let Err(err) = outcome {
        if err.kind().reaction() != Reaction::Quarantine {
            return Err(err);
        }
        record.outcome = ObjectOutcome::Quarantined(err.to_string());
        parsed.quarantine(QuarantinedObject::whole(key, &err), bytes);
    }
    parsed.objects.push(record);
    Ok(())
}

/// Refuses a text that would make a unit with `json` bytes too large.
fn fit_into_unit(json: u64, text: (&[u8], u64)) -> Result<(&[u8], u64)> {
    if json.saturating_add(text.0.len() as u64) <= MAX_UNIT_BYTES as u64 {
        return Ok(text);
    }
    let message = "the unit would hold over 1 GiB of JSON; lower `--unit-size`";
    Err(Error::new(ErrorKind::OverLimit, message))
}

/// Returns an object's text, decoded if it is gzip, and how many bytes of padding follow its stream.
fn text_of<'t>(
    bytes: &'t [u8],
    stored: u64,
    decoder: &mut Decoder,
    decoded: &'t mut Decoded,
    make_room: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<(&'t [u8], u64)> {
    decoded.clear();
    let (text, padding): (&[u8], _) = if is_gzip(bytes) {
        let padding = decoder.gunzip(bytes, stored, decoded, make_room)?;
        (decoded, padding)
    } else {
        let (size, limit) = (bytes.len() as u64, decoder.caps().max_object_bytes);
        if size > limit {
            return Err(decoder.caps().over(limit));
        }
        make_room(size)?;
        (bytes, 0)
    };
    match packed_with(text) {
        Some(name) => Err(Error::bad_input(format!(
            "object is compressed with {name}, which is not supported: decompress it, or use gzip"
        ))),
        None => Ok((text, padding)),
    }
}

fn read_file(path: &std::path::Path, out: &mut Vec<u8>) -> std::io::Result<()> {
    use std::io::Read;
    out.clear();
    std::fs::File::open(path)?.read_to_end(out).map(|_| ())
}
