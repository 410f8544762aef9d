//! Which column a top-level key of a record leads to.

use crate::rows::follow::Follow;
use crate::rows::text::{Span, is_same};
use crate::schema::{ColumnSpec, Role};
use hashbrown::HashMap;

/// Which column a top-level key leads to.
#[derive(Debug)]
pub(super) struct KeyColumns {
    /// Key to column, and lower-cased key to column.
    exact: HashMap<Box<[u8]>, usize>,
    folded: HashMap<Box<[u8]>, usize>,
    /// Every key met so far with its column, and which of them comes next.
    met: HashMap<Box<[u8]>, u32>,
    known: Vec<(Box<[u8]>, Option<usize>)>,
    follow: Follow,
    pub(super) event_time: Option<usize>,
    pub(super) time_window: Option<usize>,
    pub(super) account: Option<usize>,
    pub(super) region: Option<usize>,
    pub(super) source: Option<usize>,
    pub(super) name: Option<usize>,
    pub(super) event_id: Option<usize>,
    pub(super) identity: Option<usize>,
    pub(super) request: Option<usize>,
}

impl KeyColumns {
    pub(super) fn new(specs: &[ColumnSpec]) -> Self {
        let mut exact = HashMap::new();
        let mut folded = HashMap::new();
        for (i, spec) in specs.iter().enumerate() {
            if let Role::Text(key) | Role::Json(key) | Role::Typed(key, _) | Role::Boolean(key) =
                &spec.role
            {
                exact.insert(key.as_bytes().into(), i);
                folded.insert(key.to_ascii_lowercase().into_bytes().into(), i);
            }
        }
        let at = |name: &str| specs.iter().position(|spec| spec.name == name);
        Self {
            exact,
            folded,
            met: HashMap::new(),
            known: Vec::new(),
            follow: Follow::default(),
            event_time: at("eventtime"),
            time_window: at("timewindow"),
            account: at("recipientaccountid").or(at("accountid")),
            region: at("awsregion"),
            source: at("eventsource"),
            name: at("eventname"),
            event_id: at("eventid"),
            identity: at("useridentity"),
            request: at("requestparameters"),
        }
    }

    /// Returns the column of the next key of a record.
    pub(super) fn column(&mut self, key: &str) -> Option<usize> {
        let expected = self.follow.expected();
        if let Some((text, column)) = self.known.get(expected)
            && is_same(text, key.as_bytes())
        {
            self.follow.came(expected);
            return *column;
        }
        let id = match self.met.get(key.as_bytes()) {
            Some(id) => *id,
            None => {
                let column = self.look_up(key);
                if self.known.len() >= MAX_KEYS_MET {
                    return column;
                }
                let id = self.known.len() as u32;
                self.known.push((key.as_bytes().into(), column));
                self.met.insert(key.as_bytes().into(), id);
                id
            }
        };
        self.follow.came(id as usize);
        self.known[id as usize].1
    }

    /// Whether a raw key, quotes included, is spelled as documented.
    pub(super) fn is_exact(&self, key: Span, source: &[u8]) -> bool {
        let raw = key.of(source);
        raw.len() > 2 && self.exact.contains_key(&raw[1..raw.len() - 1])
    }

    /// Returns the column of a key that is spelled as documented.
    pub(super) fn exact(&self, key: &str) -> Option<usize> {
        self.exact.get(key.as_bytes()).copied()
    }

    /// Says that the keys of another record follow.
    pub(super) fn open(&mut self) {
        self.follow.open();
    }

    /// The column of a key: spelled right, else in another case.
    fn look_up(&self, key: &str) -> Option<usize> {
        let folded = || self.folded.get(key.to_ascii_lowercase().as_bytes());
        self.exact.get(key.as_bytes()).or_else(folded).copied()
    }
}

/// Keys beyond this many different ones are looked up anew each time.
const MAX_KEYS_MET: usize = 4096;
