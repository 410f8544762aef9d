//! The records of one object of the source, in envelopes, in wrappers or alone, with the rows they must become.

use super::balance::Claim;
use super::contract::Folder;
use super::cut::{self, Place, Verdict};
use super::expected::{self, Outcome, Rules};
use super::row::Row;
use super::unpack::Limits;
use super::wrapped::{self, Unpacker, Wrappers};
use super::{Comparison, Record, Step, tables, yaml};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;

/// An object that is read.
pub(super) struct Object<'o> {
    pub(super) name: &'o str,
    pub(super) folder: Folder,
}

/// Counts of an object.
#[derive(Default)]
struct Counts {
    /// Pieces, records and others.
    pieces: u64,
    records: u64,
    quarantined: u64,
    foreign: u64,
}

/// What a reading of an object works with.
struct Reading<'r, 'c> {
    comparison: &'r Comparison<'c>,
    object: Object<'r>,
    row: &'r mut Row,
    counts: Counts,
    each: &'r mut dyn FnMut(&Record<'_>, &Row),
    /// Whether the boundaries of the piece are doubtful: what is found in it may be in the lake.
    in_doubt: bool,
}

impl Comparison<'_> {
    /// Hands over an object's records; returns how many pieces of it can have no row, and whether any has.
    pub(super) fn object(
        &self,
        object: Object<'_>,
        text: &[u8],
        row: &mut Row,
        each: &mut dyn FnMut(&Record<'_>, &Row),
    ) -> (u64, bool) {
        let mut reading = Reading {
            comparison: self,
            object,
            row,
            counts: Counts::default(),
            each,
            in_doubt: false,
        };
        let unwraps = self.options.unwrap != Wrappers::Off;
        let json = match unwraps {
            true => tables::of_python(text).or_else(|| yaml::as_json(text)),
            false => None,
        };
        let text = json.map_or(Cow::Borrowed(text), Cow::Owned);
        let start = tables::after_padding(&text, 0);
        let is_json = matches!(text.get(start), Some(b'{' | b'[' | b',') | None);
        if unwraps && !is_json && reading.text(&text, start) {
            return reading.end(0, 0);
        }
        let rules = cut::Rules { unwraps };
        let cut = cut::cut(&text, rules, &mut |piece| reading.piece(&text, piece));
        reading.end(cut.damaged, cut.notifications)
    }

    fn is_listed(&self, object: &str, byte: u64) -> bool {
        let listed = &self.options.quarantined;
        !listed.is_empty() && listed.contains(&(object.to_owned(), byte))
    }
}

impl Reading<'_, '_> {
    fn piece(&mut self, text: &[u8], piece: cut::Piece) -> Verdict {
        let start = piece.at.start;
        let text = &text[piece.at];
        if piece.place == Place::Wrapper {
            let is_it = expected::is_valid(text) && self.wrapper(text, start);
            return if is_it { Verdict::Wrapper } else { Verdict::Foreign };
        }
        self.counts.pieces += 1;
        // Damage is counted where it begins.
        let costs = u64::from(piece.place != Place::Doubtful);
        self.in_doubt = piece.place == Place::Doubtful;
        let may_wrap = matches!(piece.place, Place::Loose | Place::Recovered | Place::Doubtful);
        let options = self.comparison.options;
        let rules = Rules {
            folder: self.object.folder,
            is_utc: options.assume_utc,
            without_digests: options.without_digests,
        };
        match expected::expect(text, piece.place, rules, self.row) {
            Outcome::Foreign if may_wrap && self.wrapper(text, start) => Verdict::Wrapper,
            Outcome::NoObject if may_wrap && self.wrapper(text, start) => Verdict::Wrapper,
            Outcome::Row { is_foreign: true, .. } if may_wrap && self.wrapper(text, start) => {
                Verdict::Wrapper
            }
            Outcome::Foreign => {
                let unwraps = self.comparison.options.unwrap != Wrappers::Off;
                let is_empty = unwraps && wrapped::is_empty(text);
                self.counts.foreign += if is_empty { 0 } else { costs };
                Verdict::Foreign
            }
            Outcome::Unreadable => {
                self.counts.quarantined += costs;
                Verdict::Damaged
            }
            Outcome::NoObject => {
                self.counts.quarantined += costs;
                Verdict::Record
            }
            outcome @ Outcome::Row { .. } => {
                self.book(text, start, outcome);
                Verdict::Record
            }
        }
    }

    /// Hands a record's row over.
    fn book(&mut self, text: &[u8], start: usize, outcome: Outcome) {
        let Outcome::Row { family, event_id, is_quarantined, .. } = outcome else { return };
        self.counts.records += 1;
        let (object, index) = (self.object.name, self.counts.pieces - 1);
        let is_spare =
            is_quarantined || self.in_doubt || self.comparison.is_listed(object, start as u64);
        let claim = if is_spare { Claim::Spare } else { Claim::Expected };
        (self.each)(&Record { object, index, text, family, event_id, claim }, self.row);
    }

    /// Reads the records of a wrapper; returns whether it is one.
    fn wrapper(&mut self, text: &[u8], start: usize) -> bool {
        let wrappers = self.comparison.options.unwrap;
        self.unpack(start, |unpacker| unpacker.value(text, wrappers))
    }

    /// Books what an unpacker takes, of text that stands at `start`.
    fn unpack(&mut self, start: usize, read: impl FnOnce(&mut Unpacker<'_>) -> bool) -> bool {
        let options = self.comparison.options;
        let limits =
            Limits { max_object_size: options.max_object_size, max_ratio: options.max_ratio };
        let gunzip = |bytes: &[u8]| limits.text(MultiGzDecoder::new(bytes), || bytes.len() as u64);
        let (folder, assume_utc) = (self.object.folder, options.assume_utc);
        let without_digests = options.without_digests;
        let mut take = |text: &[u8], is_utc: bool| {
            self.counts.pieces += 1;
            let is_utc = is_utc || assume_utc;
            let rules = Rules { folder, is_utc, without_digests };
            match expected::expect(text, Place::Enveloped, rules, self.row) {
                outcome @ Outcome::Row { .. } => self.book(text, start, outcome),
                _ => self.counts.quarantined += u64::from(!self.in_doubt),
            }
        };
        let mut unpacker = Unpacker { take: &mut take, gunzip: &gunzip, missed: 0 };
        let found = read(&mut unpacker);
        let missed = unpacker.missed;
        self.counts.quarantined += if self.in_doubt { 0 } else { missed };
        found
    }

    /// Reads text that does not begin as JSON: a table, or lines. Returns whether it may hold records.
    fn text(&mut self, text: &[u8], start: usize) -> bool {
        let mut missed = None;
        self.unpack(start, |unpacker| {
            missed = unpacker.table(&text[start..]);
            missed.is_some()
        });
        if missed.is_some() {
            self.counts.quarantined += missed.unwrap_or(0);
            return true;
        }
        if !tables::may_hold_records(text) {
            return false;
        }
        // What is known is looked for in lines, whatever else is asked for.
        let without = tables::lines(&text[start..], &mut |object, at| {
            self.unpack(start + at, |unpacker| unpacker.value(object, Wrappers::Known))
        });
        self.counts.foreign += without;
        true
    }

    /// Returns how many pieces can have no row, and whether any has.
    fn end(self, damaged: u64, notifications: u64) -> (u64, bool) {
        let Counts { pieces, records, quarantined, foreign } = self.counts;
        (self.comparison.on_progress)(Step::Records(pieces));
        let quarantined = quarantined + damaged;
        // A value that is not a record counts only beside records; alone it makes an object of
        // another kind.
        let is_counted = records + quarantined > 0;
        let bad = if is_counted { quarantined + foreign + notifications } else { 0 };
        (bad, records > 0)
    }
}
