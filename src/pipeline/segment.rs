//! One segment: the objects that are decoded, parsed and shredded together.
//!
//! A segment is a unit, or a part of one when the unit is a large archive. Every record of every
//! object ends in exactly one place: a row, or the quarantine.

use crate::columns::{Fingerprints, MAX_UNIT_BYTES, ObjectFacts, Scratch, TableRows, Texts};
use crate::commit::{ObjectOutcome, ObjectRecord, QuarantinedObject, Tally};
use crate::decode::{Decoded, Decoder};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::parse::Parser;
use crate::partition::PartitionBy;
use crate::pipeline::object::ObjectReader;
use crate::pipeline::{ConvertOptions, Duplicates};
use crate::schema::Family;
use crate::source::{Layout, Member, Object, Place, parse_layout};
use crate::write::Encoder;
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
    /// Its bytes, as it is stored.
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
            size: member.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            earlier,
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
    pub keeps_copies: bool,
    pub fingerprints: Fingerprints,
}

impl RowOptions {
    /// What a conversion asks for. What writes nothing needs no lake's fingerprints.
    pub(crate) fn new(options: &ConvertOptions, nested: bool, fingerprints: Fingerprints) -> Self {
        Self {
            partition_by: options.partition_by.clone(),
            nested,
            keeps_copies: options.duplicates == Duplicates::Keep,
            fingerprints,
        }
    }
}

/// A worker's buffers that are larger go when an object is done: few objects are, and what they took
/// would stay with every worker.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// Buffers that a worker keeps from segment to segment.
#[derive(Debug)]
pub(crate) struct Worker {
    pub decoder: Decoder,
    pub parser: Parser,
    scratch: Scratch,
    pub encoder: Encoder,
    file: Vec<u8>,
    decoded: Decoded,
}

impl Worker {
    pub(super) fn new(decoder: Decoder, rows: &RowOptions) -> Self {
        Self {
            decoder,
            parser: Parser::default(),
            scratch: Scratch::new(rows.fingerprints, rows.keeps_copies),
            encoder: Encoder::default(),
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
    }
}

/// A parsed segment; its buffers are used again.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub texts: Texts,
    pub tables: Vec<TableRows>,
    /// Empty tables of an earlier segment.
    idle: Vec<TableRows>,
    pub objects: Vec<ObjectRecord>,
    /// What each of the objects is known by, whatever its version.
    pub histories: Vec<u128>,
    pub quarantine: Vec<QuarantinedObject>,
    pub bytes_json: u64,
    pub bytes_compressed: u64,
}

impl Parsed {
    /// Forgets what was parsed, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.idle.append(&mut self.tables);
        self.idle.iter_mut().for_each(TableRows::clear);
        self.objects.clear();
        self.histories.clear();
        self.quarantine.clear();
        self.bytes_json = 0;
        self.bytes_compressed = 0;
    }

    /// Makes room for `times` as many rows and texts as there are, and a little more. Vectors that grow
    /// step by step are copied each time, into memory that the system has to clear.
    fn reserve(&mut self, times: f64) {
        let times = times * 1.1;
        self.texts.reserve(times);
        self.tables.iter_mut().for_each(|table| table.reserve(times));
    }

    /// Returns which of the tables is a family's.
    pub(super) fn table(&mut self, family: Family, nested: bool) -> usize {
        let is_it = |table: &TableRows| table.family == family;
        self.tables.iter().position(is_it).unwrap_or_else(|| {
            let idle = self.idle.iter().position(is_it).map(|at| self.idle.swap_remove(at));
            self.tables.push(idle.unwrap_or_else(|| TableRows::new(family, nested)));
            self.tables.len() - 1
        })
    }
}

/// The part of a segment after which room is made for the rest.
const FIRST_PART: u64 = 8;

/// Decodes and parses the objects of a segment into `parsed`, which is empty.
///
/// # Errors
/// `Io` when a file cannot be read; input never fails a segment.
pub(crate) fn parse_segment(
    objects: Vec<SegmentObject>,
    worker: &mut Worker,
    options: &RowOptions,
    parsed: &mut Parsed,
) -> Result<()> {
    let stored: u64 = objects.iter().map(|object| object.size).sum();
    let mut is_reserved = false;
    for object in objects {
        let number = parsed.objects.len() as u32;
        let SegmentObject { key, etag, layout, earlier, input, .. } = object;
        parsed.histories.push(options.fingerprints.object(&key, earlier));
        worker.scratch.begin_object();
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
        worker.decoded.clear();
        let decoded = match &input {
            Input::Unreadable(err) => Err(Error::new(err.kind(), err.to_string())),
            _ => worker.decoder.decode(bytes, &mut worker.decoded),
        };
        let size = worker.decoded.len();
        let is_too_much = parsed.bytes_json as usize + size > MAX_UNIT_BYTES;
        let decoded = if is_too_much { decoded.and(Err(too_much())) } else { decoded };
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
                parsed.bytes_json += size as u64;
                let mut reader = ObjectReader {
                    key: Arc::clone(&shared),
                    parsed: &mut *parsed,
                    parser: &mut worker.parser,
                    scratch: &mut worker.scratch,
                    options,
                    layout: &layout,
                    facts: ObjectFacts {
                        account: layout.account.to_string(),
                        region: layout.region.to_string(),
                        organization: layout.organization.to_string(),
                    },
                    record: &mut record,
                    number,
                    foreign: Vec::new(),
                };
                reader.read(&worker.decoded)
            }
        };
        match outcome {
            Ok(()) => {}
            Err(err) if err.kind().reaction() == Reaction::Quarantine => {
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
        worker.drop_large_buffers();
        let so_far = parsed.bytes_compressed;
        if !is_reserved && so_far < stored && so_far * FIRST_PART >= stored {
            parsed.reserve(stored as f64 / so_far as f64);
            is_reserved = true;
        }
    }
    Ok(())
}

fn read_file(path: &std::path::Path, out: &mut Vec<u8>) -> std::io::Result<()> {
    use std::io::Read;
    out.clear();
    std::fs::File::open(path)?.read_to_end(out).map(|_| ())
}

fn too_much() -> Error {
    Error::new(ErrorKind::OverLimit, "the unit would hold over 1 GiB of JSON; lower `--unit-size`")
}
