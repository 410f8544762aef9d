//! What is kept from record to record while an object's records become rows.

use crate::parse::minify_json;
use crate::rows::extra::Extra;
use crate::rows::fingerprint::Fingerprints;
use crate::rows::found::Found;
use crate::schema::Family;
use hashbrown::HashMap;

/// What a record's columns were found to be, before they are taken; kept from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) found: Vec<Option<Found>>,
    /// Values that no column holds.
    pub(super) leftover: Vec<Found>,
    pub(super) extra: Extra,
    pub(super) path: Vec<u8>,
    fingerprints: Fingerprints,
    /// Whether copies are found within an object's history only, also those with an event id.
    keeps_copies: bool,
    /// How often the object has had each text.
    met: HashMap<u128, u32>,
    /// A record's text without whitespace.
    minified: Vec<u8>,
}

/// What is kept between objects and records at most: few need more.
const MAX_KEPT: usize = 1 << 16;

impl Scratch {
    /// Creates one that makes fingerprints for a lake.
    pub fn new(fingerprints: Fingerprints, keeps_copies: bool) -> Self {
        Self { fingerprints, keeps_copies, ..Self::default() }
    }

    /// Begins an object: equal texts in it are counted anew.
    pub fn begin_object(&mut self) {
        self.met.clear();
        self.met.shrink_to(MAX_KEPT);
    }

    /// Returns the fingerprint of a record's text.
    pub(super) fn fingerprint(&mut self, family: Family, text: &[u8], has_space: bool) -> u128 {
        if !has_space {
            return self.fingerprints.text(family, text);
        }
        self.minified.clear();
        self.minified.shrink_to(MAX_KEPT);
        minify_json(text, &mut self.minified);
        self.fingerprints.text(family, &self.minified)
    }

    /// Returns how many records of the same text came before in the object, where that matters.
    pub(super) fn meet(&mut self, fingerprint: u128, has_event_id: bool) -> u32 {
        if has_event_id && !self.keeps_copies {
            return 0;
        }
        let met = self.met.entry(fingerprint).or_default();
        *met += 1;
        *met - 1
    }
}
