//! One segment: the objects that are decoded, parsed and shredded together.
//!
//! A segment is a unit, or a part of one when the unit is a large archive. Every record of every
//! object ends in exactly one place: a row, or the quarantine.

use crate::decode::{Decoder, Layers, Text};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::keys::{Layout, parse as parse_layout};
use crate::lake::{ObjectOutcome, ObjectRecord, QuarantinedObject, Tally};
use crate::parse::{Foreign, Parser};
use crate::rows::batch::Unwrapping;
use crate::rows::object::{ObjectReader, Tools};
use crate::rows::unrecognized::{Verdict, judge};
use crate::rows::{Host, MAX_UNIT_BYTES, Parsed, RowOptions, Scratch};
use crate::source::{
    MAX_LEVELS, Member, MemberSink, Object, Place, Unpacking, is_archive, members, split_part,
};
use bytes::Bytes;
use hashbrown::HashMap;
use std::io::Cursor;
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
    /// How many archives it lies in.
    pub level: u8,
    pub input: Input,
}

impl SegmentObject {
    /// An object of the source.
    pub(crate) fn new(object: &Object, input: Input) -> Self {
        let Object { key, etag, layout, size, .. } = object.clone();
        Self { key, etag, layout, size, earlier: 0, level: 0, input }
    }

    /// A file, which a worker reads; nothing for an object of a bucket.
    pub(crate) fn file(object: &Object) -> Option<Self> {
        match &object.place {
            Place::File => Some(Self::new(object, Input::File(object.path()))),
            Place::Bucket(_) => None,
        }
    }

    /// A member of an archive, which has `earlier` others of the same name before it.
    pub(crate) fn member(archive: &str, member: Member, earlier: u32) -> Self {
        // Where an archive lies says nothing of what is in it.
        let own = member.name.rsplit_once("!/").map_or(&*member.name, |(_, own)| own);
        Self {
            key: format!("{archive}!/{}", member.name),
            etag: String::new(),
            layout: parse_layout(own),
            size: member.stored,
            earlier,
            level: member.level,
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
    unwrapping: Unwrapping,
    file: Vec<u8>,
    layers: Layers,
}

impl SegmentParser {
    pub(crate) fn new(decoder: Decoder, rows: &RowOptions) -> Self {
        Self {
            decoder,
            parser: Parser::default(),
            scratch: Scratch::new(rows.fingerprints, rows.keeps_copies),
            unwrapping: Unwrapping::default(),
            file: Vec::new(),
            layers: Layers::default(),
        }
    }

    fn drop_large_buffers(&mut self) {
        if self.layers.capacity() > MAX_KEPT_BYTES {
            self.layers = Layers::default();
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
    let mut file = std::mem::take(&mut worker.file);
    let mut layers = std::mem::take(&mut worker.layers);
    let outcome = parse_bytes(object, (&mut file, &mut layers), worker, options, parsed, host);
    (worker.file, worker.layers) = (file, layers);
    outcome
}

fn parse_bytes(
    object: SegmentObject,
    (file, layers): (&mut Vec<u8>, &mut Layers),
    worker: &mut SegmentParser,
    options: &RowOptions,
    parsed: &mut Parsed,
    host: &mut dyn Host,
) -> Result<()> {
    let SegmentObject { key, etag, layout, size, earlier, level, input } = object;
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
        _ => worker.decoder.text(bytes, size, layers, &mut |size| {
            host.make_room(before.saturating_add(size), size)
        }),
    };
    let text = text.and_then(|text| fit_into_unit(before, text));
    parsed.bytes_compressed += bytes.len() as u64;
    let record = ObjectRecord {
        key,
        etag,
        bytes: bytes.len() as u64,
        outcome: ObjectOutcome::Converted,
        tally: Tally::default(),
        integrity: None,
    };
    let text = match text {
        Ok(text) => {
            parsed.objects_padded += u64::from(text.padding > 0);
            if is_archive(text.bytes) {
                let archive = Archive { record, text: text.bytes, size, earlier, level };
                return archive.parse(worker, options, parsed, host);
            }
            Ok(text)
        }
        Err(err) => Err(err),
    };
    let object = Opened { record, layout: &layout, stored: bytes, text, earlier };
    object.parse(worker, options, parsed, host)
}

/// An object whose text is here, or the reason why it is not.
struct Opened<'t> {
    record: ObjectRecord,
    layout: &'t Layout,
    /// Its bytes as they are stored.
    stored: &'t [u8],
    text: Result<Text<'t>>,
    earlier: u32,
}

impl Opened<'_> {
    /// Parses its records; an object that is wrong as a whole is quarantined.
    fn parse(
        self,
        worker: &mut SegmentParser,
        options: &RowOptions,
        parsed: &mut Parsed,
        host: &mut dyn Host,
    ) -> Result<()> {
        let Self { mut record, layout, stored, text, earlier } = self;
        let text = text.and_then(|text| prove(&mut record, text, options));
        let key: Arc<str> = record.key.as_str().into();
        parsed.histories.push(options.fingerprints.object(&key, earlier));
        let SegmentParser { decoder, parser, scratch, unwrapping, .. } = worker;
        scratch.begin_object();
        let bytes = text.as_ref().ok().map(|text| text.bytes);
        let (mut record, mut outcome) = match text {
            Err(err) => (record, Err(err)),
            Ok(Text { bytes: text, .. }) => {
                parsed.bytes_json += text.len() as u64;
                let most = options.most_parsed(parsed.bytes_json);
                let tools = Tools { decoder, unwrapping, parser, scratch, options, host, most };
                ObjectReader::new(Arc::clone(&key), layout, record, parsed, tools).read(text)
            }
        };
        if let (ObjectOutcome::Ignored(kind), Some(text)) = (&record.outcome, bytes) {
            match judge(kind, &key, text) {
                Verdict::Ignored(kind) if !is_part(&key, &kind) => {
                    record.outcome = ObjectOutcome::Ignored(kind);
                }
                Verdict::Ignored(reason) | Verdict::Quarantined(reason) => {
                    outcome = Err(Error::bad_input(reason));
                }
            }
        }
        if let Err(err) = outcome {
            if err.kind().reaction() != Reaction::Quarantine {
                return Err(err);
            }
            let err = as_part(&key, err);
            record.outcome = ObjectOutcome::Quarantined(err.to_string());
            parsed.quarantine(QuarantinedObject::whole(key, &err), stored);
        }
        parsed.objects.push(record);
        Ok(())
    }
}

/// Judges an object by its text, if objects are judged; refuses one that must be proven and is not.
fn prove<'t>(record: &mut ObjectRecord, text: Text<'t>, options: &RowOptions) -> Result<Text<'t>> {
    let Some(proofs) = &options.proofs else { return Ok(text) };
    record.integrity = proofs.judge(&record.key, text.bytes, text.padding > 0);
    record.integrity.as_ref().map_or(Ok(()), |proof| proofs.check(proof))?;
    Ok(text)
}

/// Whether what is no text by its kind may be a part of a split file.
fn is_part(key: &str, kind: &str) -> bool {
    split_part(key).is_some() && kind != Foreign::OtherJson.describe()
}

/// What is wrong with a part of a split file is that the others are missing.
fn as_part(key: &str, err: Error) -> Error {
    match split_part(key) {
        None => err,
        Some(whole) => {
            let name = whole.rsplit('/').next().unwrap_or(whole);
            let message = format!(
                "seems to be a part of a split file: join the parts in their order to `{name}` \
                 ({})",
                err.message()
            );
            Error::bad_input(message)
        }
    }
}

/// An archive that came out of an object.
struct Archive<'t> {
    record: ObjectRecord,
    text: &'t [u8],
    /// Its bytes in the outermost file.
    size: u64,
    earlier: u32,
    /// How many archives it lies in.
    level: u8,
}

impl Archive<'_> {
    /// Parses its members one by one.
    fn parse(
        self,
        worker: &mut SegmentParser,
        options: &RowOptions,
        parsed: &mut Parsed,
        host: &mut dyn Host,
    ) -> Result<()> {
        let Self { mut record, text, size, earlier, level } = self;
        record.outcome = ObjectOutcome::Archive;
        let (caps, passwords) = (worker.decoder.caps(), worker.decoder.passwords().clone());
        let (stored, reads_hidden) = (size, options.reads_hidden);
        let unpacking =
            Unpacking { caps: &caps, passwords: &passwords, reads_hidden, stored, level };
        let key: Arc<str> = record.key.as_str().into();
        parsed.histories.push(options.fingerprints.object(&key, earlier));
        parsed.objects.push(record);
        let held = text.len() as u64;
        let mut taking = MemberTaker {
            key: &key,
            earlier,
            names: HashMap::new(),
            held,
            worker,
            options,
            parsed,
            host,
        };
        let outcome = if level < MAX_LEVELS {
            members(Cursor::new(text), &unpacking, &mut taking)
        } else {
            let message = format!("archives lie in each other more than {MAX_LEVELS} levels deep");
            Err(Error::bad_input(message))
        };
        match outcome {
            Ok(beside) => {
                let beside = beside.unwrap_or_default();
                parsed.members_passed_over += beside.passed_over;
                parsed.members_hidden += beside.hidden;
                Ok(())
            }
            Err(err) if err.kind().reaction() == Reaction::Quarantine => {
                let damaged = SegmentObject {
                    key: key.to_string(),
                    etag: String::new(),
                    layout: parse_layout(&key),
                    size: 0,
                    earlier: u32::MAX,
                    level,
                    input: Input::Unreadable(err),
                };
                parse_object(damaged, worker, options, parsed, host)
            }
            Err(err) => Err(err),
        }
    }
}

/// Takes the members of an archive that came out of an object.
struct MemberTaker<'a> {
    key: &'a str,
    earlier: u32,
    /// How many members of each name there were.
    names: HashMap<String, u32>,
    /// Bytes of the archive.
    held: u64,
    worker: &'a mut SegmentParser,
    options: &'a RowOptions,
    parsed: &'a mut Parsed,
    host: &'a mut dyn Host,
}

impl MemberSink for MemberTaker<'_> {
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        let held = self.held.saturating_add(bytes);
        self.host.make_room(self.parsed.bytes_json.saturating_add(held), held)
    }

    fn take(&mut self, member: Member) -> Result<()> {
        let count = self.names.entry(member.name.clone()).or_default();
        // An archive of which there are several by one name has members of its own.
        let earlier = self.earlier.wrapping_mul(1 << 16).wrapping_add(*count);
        *count += 1;
        let object = SegmentObject::member(self.key, member, earlier);
        if self.parsed.bytes_json >= self.options.unit_size {
            // What comes of a large archive goes on in parts.
            self.host.take_part(self.parsed)?;
        }
        parse_object(object, self.worker, self.options, self.parsed, self.host)
    }
}

/// Refuses a text that would make a unit with `json` bytes too large.
fn fit_into_unit(json: u64, text: Text<'_>) -> Result<Text<'_>> {
    if json.saturating_add(text.bytes.len() as u64) <= MAX_UNIT_BYTES as u64 {
        return Ok(text);
    }
    let message = "the unit would hold over 1 GiB of JSON; lower `--unit-size`";
    Err(Error::new(ErrorKind::OverLimit, message))
}

fn read_file(path: &std::path::Path, out: &mut Vec<u8>) -> std::io::Result<()> {
    use std::io::Read;
    out.clear();
    std::fs::File::open(path)?.read_to_end(out).map(|_| ())
}
