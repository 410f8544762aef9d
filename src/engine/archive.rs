//! An archive's members, handed out as segments while they are read.
//!
//! A member has its memory before it is read, so that the budget counts what waits for a segment to be
//! full.

use crate::engine::cancel::Flow;
use crate::engine::dispatch::Dispatch;
use crate::engine::fetch::json_bytes;
use crate::engine::parse::Json;
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::lake::{ObjectOutcome, ObjectRecord, Tally};
use crate::rows::{Input, SegmentObject};
use crate::source::{Beside, Member, MemberSink, Object, members};
use hashbrown::HashMap;
use std::io::Read;
use xxhash_rust::xxh3::xxh3_64;

/// Streams an archive's members into segments; returns the archive's own ledger line. What is not an archive
/// in spite of its name is handed out as the object that it is, and has no other line.
///
/// # Errors
/// `Stopped` when the run is over first; `Io`, `Denied` and `Unavailable` when it cannot be read.
pub(crate) fn hand_out_archive(
    dispatch: &mut Dispatch<'_, '_, '_>,
    object: &Object,
) -> Flow<(Option<ObjectRecord>, Beside)> {
    let run = dispatch.pool.run;
    let broken = run.inputs.unreadable.broken();
    let note = |err| broken.note(&object.key, err);
    let opened = object.open(run.inputs.handle).map_err(note)?;
    let unpacking = run.inputs.options.unpacking(object);
    let mut filling = Filling {
        dispatch,
        archive: object,
        waiting: Vec::new(),
        json: Json::default(),
        names: HashMap::new(),
        held: 0,
    };
    let beside = match members(opened, &unpacking, &mut filling) {
        Ok(Some(beside)) => beside,
        Ok(None) => {
            filling.take_whole(note)?;
            filling.end();
            return Ok((None, Beside::default()));
        }
        Err(err) if err.kind().reaction() == Reaction::Quarantine => {
            filling.add_damage(&err);
            Beside::default()
        }
        Err(err) if err.kind() == ErrorKind::Interrupted => return Err(run.cancel.halt(err)),
        Err(err) => return Err(run.cancel.halt(note(err.at("archive", &object.key)))),
    };
    filling.end();
    let record = ObjectRecord {
        key: object.key.clone(),
        etag: object.etag.clone(),
        bytes: object.size,
        outcome: ObjectOutcome::Archive,
        tally: Tally::default(),
        integrity: None,
    };
    Ok((Some(record), beside))
}

/// A segment that is being filled with members of an archive; what it holds has its memory.
struct Filling<'f, 'h, 's, 'a> {
    dispatch: &'f mut Dispatch<'h, 's, 'a>,
    archive: &'f Object,
    waiting: Vec<SegmentObject>,
    json: Json,
    /// How many members of each name there were: a tar may have several of one name.
    names: HashMap<u64, u32>,
    /// What has been taken of the budget, for the next member too.
    held: u64,
}

impl Filling<'_, '_, '_, '_> {
    /// Hands out what waits, with its memory; what was taken for the next member stays.
    fn hand_out(&mut self) {
        let taken = self.json.memory().min(self.held);
        self.dispatch.spawn(std::mem::take(&mut self.waiting), taken, 0);
        self.json = Json::default();
        self.held -= taken;
    }

    /// Hands out the last segment, with all memory that is left.
    fn end(self) {
        self.dispatch.spawn(self.waiting, self.held, self.archive.size);
    }

    /// Takes memory for one more member of so many bytes of JSON; what waits is handed out first, if the
    /// segment would be too large.
    fn take_memory(&mut self, member: u64) -> Result<()> {
        let run = self.dispatch.pool.run;
        if self.json.all + member > run.inputs.options.output.unit_size.0
            && !self.waiting.is_empty()
        {
            self.hand_out();
        }
        let mut with = self.json;
        with.add(member);
        // Whoever holds the rest gives it back without waiting for this thread.
        run.budget.top_up(self.held, with.memory(), None)?;
        self.held = self.held.max(run.budget.share(with.memory()));
        Ok(())
    }

    /// Takes the object as it is.
    fn take_whole(&mut self, note: impl Fn(Error) -> Error) -> Flow {
        let run = self.dispatch.pool.run;
        let size = self.archive.size;
        self.take_memory(size).map_err(|err| run.cancel.halt(err))?;
        let mut bytes = Vec::with_capacity(size as usize);
        let mut opened = self.archive.open(run.inputs.handle).map_err(&note)?;
        if let Err(err) = opened.read_to_end(&mut bytes) {
            let err =
                err.downcast::<Error>().unwrap_or_else(|err| Error::io("cannot be read", err));
            return Err(run.cancel.halt(note(err.at("object", &self.archive.key))));
        }
        self.json.add(json_bytes(&bytes));
        let object = SegmentObject::new(self.archive, Input::Bytes(bytes.into()));
        self.waiting.push(object);
        Ok(())
    }

    /// Adds what is wrong with the archive itself.
    fn add_damage(&mut self, err: &Error) {
        self.waiting.push(SegmentObject {
            key: self.archive.key.clone(),
            etag: String::new(),
            layout: self.archive.layout.clone(),
            size: 0,
            earlier: 0,
            level: 0,
            input: Input::Unreadable(Error::new(err.kind(), err.to_string())),
        });
    }
}

impl MemberSink for Filling<'_, '_, '_, '_> {
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        self.take_memory(bytes)
    }

    fn take(&mut self, member: Member) -> Result<()> {
        let json = member.bytes.as_ref().map_or(0, |bytes| json_bytes(bytes));
        self.take_memory(json)?;
        self.json.add(json);
        let earlier = self.names.entry(xxh3_64(member.name.as_bytes())).or_default();
        self.waiting.push(SegmentObject::member(&self.archive.key, member, *earlier));
        *earlier += 1;
        Ok(())
    }
}
