//! Handing out a unit's segments: objects that are here, files, and archives as they are read.
//!
//! A segment is handed out with its memory. A member of an archive has it before it is read, so that the
//! budget counts what waits for a segment to be full.

use crate::engine::driver::{Arrival, Arriving, End, Job, Run};
use crate::engine::fetch::{Fetched, json_bytes};
use crate::engine::unit::Unit;
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::lake::{ObjectOutcome, ObjectRecord, Tally, UnavailableObject, UnitId};
use crate::rows::{Input, MAX_KEPT_BYTES, MEMORY_PER_JSON_BYTE, SegmentObject};
use crate::source::{Beside, Member, MemberSink, Object, members};
use hashbrown::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use tokio::sync::oneshot::Receiver as Announced;
use xxhash_rust::xxh3::xxh3_64;

/// The next free numbers: ends of units reach the committer but settle nothing.
#[derive(Default)]
pub(crate) struct Turns {
    pub(crate) number: u64,
    pub(crate) position: u64,
    /// Says when the intent of the last unit that is being fetched is written.
    pub(crate) announced: Option<Announced<()>>,
    /// Units of which nothing could be read, as nothing was before them.
    pub(crate) empty: Vec<Unit>,
}

/// How much JSON there is, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Json {
    /// Of all objects together.
    pub(crate) all: u64,
    /// Of the largest of them.
    pub(crate) largest: u64,
}

impl Json {
    fn add(&mut self, object: u64) {
        self.all += object;
        self.largest = self.largest.max(object);
    }

    /// Returns the memory that a segment of it takes: beside what becomes of it, a large object while it
    /// is decoded. Small ones are decoded into buffers that workers have anyway.
    pub(crate) fn memory(self) -> u64 {
        let decoded = if self.largest > MAX_KEPT_BYTES as u64 { self.largest } else { 0 };
        self.all.saturating_mul(MEMORY_PER_JSON_BYTE).saturating_add(decoded)
    }
}

/// Hands out the segments of one unit.
pub(crate) struct Hand<'h, 's, 'a> {
    pub(crate) run: &'s Run<'a>,
    pub(crate) scope: &'h rayon::Scope<'s>,
    pub(crate) sender: &'h Sender<Arriving>,
    pub(crate) id: Arc<UnitId>,
    pub(crate) turns: &'h mut Turns,
    pub(crate) segment: u32,
    /// Objects of a plan's unit that could not be read.
    unavailable: Vec<UnavailableObject>,
}

impl<'h, 's, 'a> Hand<'h, 's, 'a> {
    pub(crate) fn new(
        run: &'s Run<'a>,
        scope: &'h rayon::Scope<'s>,
        sender: &'h Sender<Arriving>,
        unit: &Unit,
        turns: &'h mut Turns,
    ) -> Self {
        let (id, unavailable) = (Arc::new(unit.id.clone()), unit.unavailable.clone());
        Self { run, scope, sender, id, turns, segment: 0, unavailable }
    }

    /// Hands out a segment once there is memory for it; `false` when the run is to end instead.
    pub(crate) fn out(&mut self, objects: Vec<SegmentObject>, json: Json, bytes: u64) -> bool {
        let (run, taken) = (self.run, json.memory());
        if !run.budget.take(taken, || run.is_over()) {
            return false;
        }
        self.spawn(objects, taken, bytes);
        true
    }

    /// Hands out a segment that has its memory.
    fn spawn(&mut self, objects: Vec<SegmentObject>, taken: u64, bytes: u64) {
        let job = Job::new(self.turns, Arc::clone(&self.id), self.segment, taken, bytes);
        self.turns.number += 1;
        self.turns.position += 1;
        self.segment += 1;
        let (run, sender) = (self.run, self.sender.clone());
        self.scope.spawn(move |scope| run.parse(scope, job, objects, &sender));
    }

    /// Hands out objects that are here, as many segments as their JSON asks for.
    pub(crate) fn fetched(&mut self, objects: Vec<Fetched>) -> bool {
        let most = self.run.options.output.unit_size.0;
        let (mut waiting, mut json, mut bytes) = (Vec::new(), Json::default(), 0);
        for object in objects {
            if json.all + object.json > most && !waiting.is_empty() {
                if !self.out(std::mem::take(&mut waiting), json, bytes) {
                    return false;
                }
                (json, bytes) = (Json::default(), 0);
            }
            json.add(object.json);
            bytes += object.bytes;
            waiting.push(object.object);
        }
        self.out(waiting, json, bytes)
    }

    /// Tells the committer that all segments of the unit are handed out.
    pub(crate) fn end(
        &mut self,
        is_resumed: bool,
        archive: Option<ObjectRecord>,
        beside: Beside,
    ) -> bool {
        let (unit, unavailable) = (Arc::clone(&self.id), std::mem::take(&mut self.unavailable));
        let end = End { unit, is_resumed, archive, beside, unavailable };
        let _ = self.sender.send(((self.turns.position, 0), Arrival::End(Box::new(end))));
        self.turns.position += 1;
        true
    }

    /// Streams an archive's members into segments; returns the archive's own ledger line.
    pub(crate) fn archive(&mut self, object: &Object) -> Option<(Option<ObjectRecord>, Beside)> {
        let kind = object.archive?;
        let run = self.run;
        let opened = match object.open(run.handle) {
            Ok(opened) => opened,
            Err(err) => {
                run.fail(run.unreadable.broken().note(&object.key, err));
                return None;
            }
        };
        let mut filling = Filling {
            hand: self,
            archive: object,
            waiting: Vec::new(),
            json: Json::default(),
            names: HashMap::new(),
            held: 0,
        };
        let beside = match members(opened, kind, &run.options.output.caps, &mut filling) {
            Ok(beside) => beside,
            Err(err) if err.kind().reaction() == Reaction::Quarantine => {
                filling.add_damage(&err);
                Beside::default()
            }
            Err(err) if err.kind() == ErrorKind::Interrupted => return None,
            Err(err) => {
                let err = err.at("archive", &object.key);
                run.fail(run.unreadable.broken().note(&object.key, err));
                return None;
            }
        };
        filling.end();
        let record = ObjectRecord {
            key: object.key.clone(),
            etag: object.etag.clone(),
            bytes: object.size,
            outcome: ObjectOutcome::Archive,
            tally: Tally::default(),
        };
        Some((Some(record), beside))
    }
}

/// A segment that is being filled with members of an archive; what it holds has its memory.
struct Filling<'f, 'h, 's, 'a> {
    hand: &'f mut Hand<'h, 's, 'a>,
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
        self.hand.spawn(std::mem::take(&mut self.waiting), taken, 0);
        self.json = Json::default();
        self.held -= taken;
    }

    /// Hands out the last segment, with all memory that is left.
    fn end(self) {
        self.hand.spawn(self.waiting, self.held, self.archive.size);
    }

    /// Takes memory for one more member of so many bytes of JSON; what waits is handed out first, if the
    /// segment would be too large.
    fn take_memory(&mut self, member: u64) -> Result<()> {
        let run = self.hand.run;
        if self.json.all + member > run.options.output.unit_size.0 && !self.waiting.is_empty() {
            self.hand_out();
        }
        let mut with = self.json;
        with.add(member);
        // Whoever holds the rest gives it back without waiting for this thread.
        if !run.budget.top_up(self.held, with.memory(), || false, || run.is_over()) {
            return Err(Error::new(ErrorKind::Interrupted, "stopped"));
        }
        self.held = self.held.max(run.budget.share(with.memory()));
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
            input: Input::Unreadable(Error::bad_input(err.to_string())),
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
        self.waiting.push(SegmentObject::member(self.archive, member, *earlier));
        *earlier += 1;
        Ok(())
    }
}
