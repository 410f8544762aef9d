//! One segment: the objects that are decoded, parsed and shredded together.
//!
//! A segment is a unit, or a part of one when the unit is a large archive. Every record of every
//! object ends in exactly one place: a row, or the quarantine.

use crate::columns::{MAX_UNIT_BYTES, SideText, TableRows};
use crate::commit::{ObjectOutcome, ObjectRecord, QuarantinedObject, Tally};
use crate::decode::Decoder;
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::parse::Parser;
use crate::partition::PartitionBy;
use crate::pipeline::object::ObjectReader;
use crate::source::{Layout, Member, Object, Place, parse_layout};
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
    pub input: Input,
}

impl SegmentObject {
    /// An object of the source.
    pub(crate) fn new(object: &Object, input: Input) -> Self {
        let Object { key, etag, layout, .. } = object.clone();
        Self { key, etag, layout, input }
    }

    /// A file, which a worker reads; nothing for an object of a bucket.
    pub(crate) fn file(object: &Object) -> Option<Self> {
        match &object.place {
            Place::File(path) => Some(Self::new(object, Input::File(path.clone()))),
            Place::Bucket(_) => None,
        }
    }

    /// A member of an archive.
    pub(crate) fn member(archive: &Object, member: Member) -> Self {
        Self {
            key: format!("{}!/{}", archive.key, member.name),
            etag: String::new(),
            layout: parse_layout(&member.name),
            input: match member.bytes {
                Ok(bytes) => Input::Bytes(bytes.into()),
                Err(err) => Input::Unreadable(err),
            },
        }
    }
}

/// What decides how records become rows.
#[derive(Clone, Debug)]
pub(crate) struct RowOptions {
    pub partition_by: PartitionBy,
    pub nested: bool,
}

/// Buffers that a worker keeps from segment to segment.
#[derive(Debug)]
pub(crate) struct Worker {
    pub decoder: Decoder,
    pub parser: Parser,
    file: Vec<u8>,
}

impl Worker {
    pub(super) fn new(decoder: Decoder) -> Self {
        Self { decoder, parser: Parser::default(), file: Vec::new() }
    }
}

/// A parsed segment.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The decoded bytes of all objects; cells point into them.
    pub source: Vec<u8>,
    pub side: SideText,
    pub tables: Vec<TableRows>,
    pub objects: Vec<ObjectRecord>,
    pub quarantine: Vec<QuarantinedObject>,
    pub bytes_json: u64,
    pub bytes_compressed: u64,
}

/// Decodes and parses the objects of a segment.
///
/// # Errors
/// `Io` when a file cannot be read; input never fails a segment.
pub(crate) fn parse_segment(
    objects: Vec<SegmentObject>,
    worker: &mut Worker,
    options: &RowOptions,
) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    for object in objects {
        let number = parsed.objects.len() as u32;
        let SegmentObject { key, etag, layout, input } = object;
        let mut file = std::mem::take(&mut worker.file);
        let bytes: &[u8] = match &input {
            Input::File(path) => {
                read_file(path, &mut file).map_err(|err| {
                    Error::io("cannot read a source object", err).at("object", &key)
                })?;
                &file
            }
            Input::Bytes(bytes) => bytes,
            Input::Unreadable(_) => &[],
        };
        let start = parsed.source.len();
        let decoded = match &input {
            Input::Unreadable(err) => Err(Error::new(err.kind(), err.to_string())),
            _ if start + bytes.len() > MAX_UNIT_BYTES || start > 0 && parsed.side.is_full() => {
                Err(too_much())
            }
            _ => worker.decoder.decode(bytes, &mut parsed.source),
        };
        let decoded = decoded.and_then(|()| {
            if parsed.source.len() > MAX_UNIT_BYTES { Err(too_much()) } else { Ok(()) }
        });
        parsed.bytes_compressed += bytes.len() as u64;
        let shared: Arc<str> = Arc::from(key.as_str());
        let mut record = ObjectRecord {
            key,
            etag,
            bytes: bytes.len() as u64,
            outcome: ObjectOutcome::Converted,
            tally: Tally::default(),
        };
        let outcome = match decoded {
            Err(err) => Err(err),
            Ok(()) => {
                parsed.bytes_json += (parsed.source.len() - start) as u64;
                let mut reader = ObjectReader {
                    key: Arc::clone(&shared),
                    parsed: &mut parsed,
                    parser: &mut worker.parser,
                    options,
                    layout: &layout,
                    record: &mut record,
                    number,
                    start,
                    foreign: Vec::new(),
                };
                reader.read()
            }
        };
        match outcome {
            Ok(()) => {}
            Err(err) if err.kind().reaction() == Reaction::Quarantine => {
                parsed.source.truncate(start);
                parsed.quarantine.push(QuarantinedObject {
                    object: shared,
                    record: None,
                    byte: 0,
                    error_byte: None,
                    reason: err.to_string(),
                    raw: bytes.to_vec(),
                });
                record.outcome = ObjectOutcome::Quarantined(err.to_string());
            }
            Err(err) => return Err(err),
        }
        parsed.objects.push(record);
        worker.file = file;
    }
    Ok(parsed)
}

fn read_file(path: &std::path::Path, out: &mut Vec<u8>) -> std::io::Result<()> {
    use std::io::Read;
    out.clear();
    std::fs::File::open(path)?.read_to_end(out).map(|_| ())
}

fn too_much() -> Error {
    Error::new(ErrorKind::OverLimit, "the unit would hold over 1 GiB of JSON; lower `--unit-size`")
}
