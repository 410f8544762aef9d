//! The third stage, on a thread of its own: which rows are copies, and the schema, in the order of
//! segments.
//!
//! A run that writes to the lake is alone: what it has seen and what the lake holds decides. A child of
//! a plan is not: there, rows that are no copies of anything in the lake are claimed, and those that
//! another unit has claimed are left out. Its schema is the plan's; what it sees beyond that is noted.

use crate::engine::encode::Pool;
use crate::engine::lost_rows::{AskedPlaces, LostRows};
use crate::engine::order::InOrder;
use crate::engine::scope::scope_of;
use crate::engine::segment::{PartRequest, Request, Resolved, SegmentPart};
use crate::engine::tasks::all;
use crate::engine::{ConvertOptions, Duplicates, SchemaMode};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{
    ClaimLog, Claims, Copies, CopyIndex, CopyKey, DayCopies, News, Scope, UnitId, UnitsOfDay,
    WorkPlan, decode_copies, names,
};
use crate::rows::{Fingerprints, Parsed, Row};
use crate::schema::Lock;
use crate::storage::Storage;
use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// The share of `--memory` that fingerprints may take before those of scopes that are not in use are
/// forgotten; filters of what was forgotten may take as much.
const COPIES_SHARE: u64 = 32;

/// Rows of a scope in one segment that may be copies, for which all that the lake has of it is loaded;
/// fewer are looked for one by one, in documents that are read for them alone. Late events touch a scope
/// with a few rows, and where a filter says what may be there, hardly any row of a large scope is asked for.
const WORTH_LOADING: usize = 1000;

/// Documents that are read side by side: some 700 kB each.
const READS: usize = 8;

/// Decides which rows stay and what the schema is, segment by segment.
pub(crate) struct Resolver {
    lock: Arc<Lock>,
    copies: CopyIndex,
    /// Committed units that hold fingerprints of a day.
    units_of_day: UnitsOfDay,
    /// What the committer has committed since the last segment.
    committed: Arc<CommittedUnits>,
    /// The last unit that it has.
    last_committed: Option<u64>,
    claims: Option<ClaimLogs>,
    key: CopyKey,
    fingerprints: Fingerprints,
    /// With `--restore`, what is gone of the lake.
    lost: Option<LostRows>,
    pub(crate) new_fields: Vec<String>,
    options: ConvertOptions,
    storage: Storage,
    runtime: Handle,
}

/// The logs of claims, as far as each has been read.
struct ClaimLogs {
    plan: WorkPlan,
    claims: Claims,
    logs: HashMap<Scope, ClaimLog>,
}

/// Units that were committed, on their way from the committer: what they hold is in the lake.
#[derive(Debug, Default)]
pub(crate) struct CommittedUnits(Mutex<Vec<(UnitId, BTreeMap<i32, DayCopies>)>>);

impl CommittedUnits {
    pub(crate) fn add(&self, unit: UnitId, days: BTreeMap<i32, DayCopies>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((unit, days));
    }
}

/// What the rows of a segment wait to hear of their scopes.
struct Asked {
    /// Fingerprints of the scope's rows.
    fingerprints: Vec<u128>,
    /// Whether so many that all of the scope is loaded.
    is_loaded: bool,
}

impl Resolver {
    /// Begins with what the lake has; with a plan, its other children write as well.
    pub(crate) fn new(
        lock: Lock,
        units_of_day: UnitsOfDay,
        plan: Option<&WorkPlan>,
        options: &ConvertOptions,
        storage: &Storage,
        runtime: &Handle,
        key: &CopyKey,
    ) -> Self {
        let claims = plan.map(|plan| ClaimLogs {
            plan: plan.clone(),
            claims: plan.claims(storage),
            logs: HashMap::new(),
        });
        Self {
            lock: Arc::new(lock),
            copies: CopyIndex::default(),
            units_of_day,
            committed: Arc::default(),
            last_committed: None,
            claims,
            key: *key,
            fingerprints: Fingerprints::new(key.bytes()),
            lost: None,
            new_fields: Vec::new(),
            options: options.clone(),
            storage: storage.clone(),
            runtime: runtime.clone(),
        }
    }

    /// Writes rows again that are gone, though their fingerprints are in the lake. Scopes are never loaded
    /// whole then: whether a row is there depends on more than its fingerprint.
    pub(crate) fn restore(mut self, lost: Option<LostRows>) -> Self {
        self.lost = lost;
        self
    }

    /// Returns where the committer says what it has committed.
    pub(crate) fn committed(&self) -> Arc<CommittedUnits> {
        Arc::clone(&self.committed)
    }

    /// Decides which rows stay, and merges what was seen into the lock.
    pub(crate) fn resolve(
        &mut self,
        parsed: Parsed,
        unit: &UnitId,
        segment: SegmentPart,
    ) -> Result<Resolved> {
        let keeps_copies = self.options.output.duplicates == Duplicates::Keep;
        let in_lake = self.look_up(&parsed)?;
        let (mut keep, mut copies) = self.keep_new(&parsed, &in_lake, unit.number, keeps_copies);
        if self.claims.is_some() && !keeps_copies {
            copies = self.claim(copies, &format!("{unit}-{segment}"))?;
            self.leave_out_unclaimed(&parsed, &copies, &mut keep);
        }
        let mut news = Vec::new();
        if self.options.output.typed && self.claims.is_some() {
            news = self.news(&parsed);
        } else if self.options.output.typed && self.options.output.schema == SchemaMode::Evolve {
            self.merge(&parsed);
        }
        Ok(Resolved { parsed, keep, lock: Arc::clone(&self.lock), copies, news })
    }

    /// Says which rows are no copies of what is known, and gathers their fingerprints.
    fn keep_new(
        &mut self,
        parsed: &Parsed,
        in_lake: &HashSet<(Scope, u128)>,
        unit: u64,
        keeps_copies: bool,
    ) -> (Vec<Vec<bool>>, Copies) {
        let mut keep = Vec::new();
        let mut copies = Copies::new();
        let mut here = HashSet::new();
        for table in &parsed.tables {
            let mut kept = vec![true; table.rows.len()];
            for (row, kept) in table.rows.iter().zip(&mut kept) {
                let (scope, fingerprint) = (scope_of(row), self.fingerprint(parsed, row));
                let is_in_lake = !in_lake.is_empty() && in_lake.contains(&(scope, fingerprint));
                if is_in_lake && self.lost.is_some() {
                    // Also where a later copy of it would lie in a partition that is gone.
                    self.copies.insert(scope, fingerprint, unit);
                }
                let is_new = !is_in_lake
                    && match self.claims {
                        None => self.copies.insert(scope, fingerprint, unit),
                        // What this run has seen elsewhere decides nothing: it may have been claimed by
                        // this very segment, at an earlier attempt.
                        Some(_) => {
                            !self.copies.contains(scope, fingerprint)
                                && here.insert((scope, fingerprint))
                        }
                    };
                *kept = is_new;
                if is_new {
                    let copies = copies.entry(scope).or_default();
                    copies.push(fingerprint);
                    // A later run that drops copies looks for this one.
                    copies.extend((keeps_copies && row.has_event_id).then_some(row.fingerprint));
                }
            }
            keep.push(kept);
        }
        (keep, copies)
    }

    /// What a row is recognized by: with an event id anywhere, unless copies are kept; else within
    /// its object's history.
    fn fingerprint(&self, parsed: &Parsed, row: &Row) -> u128 {
        if row.has_event_id && self.options.output.duplicates == Duplicates::Drop {
            return row.fingerprint;
        }
        let object = parsed.histories[row.object as usize];
        self.fingerprints.in_object(object, row.fingerprint, row.earlier)
    }

    /// Leaves out rows whose fingerprints are not the segment's own.
    fn leave_out_unclaimed(&self, parsed: &Parsed, own: &Copies, keep: &mut [Vec<bool>]) {
        let own: HashSet<(Scope, u128)> = own
            .iter()
            .flat_map(|(scope, values)| values.iter().map(|fingerprint| (*scope, *fingerprint)))
            .collect();
        for (table, keep) in parsed.tables.iter().zip(keep) {
            for (row, keep) in table.rows.iter().zip(keep) {
                *keep &= own.contains(&(scope_of(row), self.fingerprint(parsed, row)));
            }
        }
    }

    /// Claims fingerprints; returns those that are the segment's own.
    fn claim(&mut self, wanted: Copies, owner: &str) -> Result<Copies> {
        let Some(logs) = &mut self.claims else { return Ok(wanted) };
        let mut tasks = JoinSet::new();
        for (scope, wanted) in wanted {
            let (claims, owner) = (logs.claims.clone(), owner.to_owned());
            let mut log = logs.logs.remove(&scope).unwrap_or_default();
            tasks.spawn_on(
                async move {
                    let own = claims.claim(scope, &owner, wanted, &mut log).await?;
                    Ok::<_, Error>((scope, own, log))
                },
                &self.runtime,
            );
        }
        let storage = &self.storage;
        let claimed = self.runtime.block_on(async {
            let claimed = all(tasks).await?;
            logs.plan.refuse_ended(storage).await?;
            Ok::<_, Error>(claimed)
        })?;
        let mut own = Copies::new();
        for (scope, claimed, log) in claimed {
            logs.logs.insert(scope, log);
            own.insert(scope, claimed);
        }
        own.retain(|_, claimed| !claimed.is_empty());
        Ok(own)
    }

    /// Looks for the fingerprints of the rows in the lake, as far as they may be there and not here: loads
    /// scopes that have many of them, and returns what of the others is there.
    fn look_up(&mut self, parsed: &Parsed) -> Result<HashSet<(Scope, u128)>> {
        let arrived =
            std::mem::take(&mut *self.committed.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (unit, days) in arrived {
            self.last_committed = Some(unit.number);
            for (day, copies) in days {
                self.units_of_day.entry(day).or_default().push((unit.clone(), copies.scopes));
            }
        }
        let mut asked: HashMap<Scope, Asked> = HashMap::new();
        for row in parsed.tables.iter().flat_map(|table| &table.rows) {
            let new = || Asked { fingerprints: Vec::new(), is_loaded: false };
            let asked = asked.entry(scope_of(row)).or_insert_with(new);
            asked.fingerprints.push(self.fingerprint(parsed, row));
        }
        let most = self.options.memory.0 / COPIES_SHARE;
        let is_restoring = self.lost.is_some();
        let is_large = |asked: &Asked| !is_restoring && asked.fingerprints.len() >= WORTH_LOADING;
        let large = asked.iter().filter(|(_, asked)| is_large(asked)).map(|(scope, _)| *scope);
        self.copies.begin(large, most, self.last_committed);
        asked.retain(|scope, asked| {
            if self.copies.is_whole(*scope) {
                return false;
            }
            let may_be = |fingerprint: &u128| self.copies.may_be_elsewhere(*scope, *fingerprint);
            asked.fingerprints.retain(may_be);
            !asked.fingerprints.is_empty()
        });
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for (scope, asked) in &mut asked {
            let units = self.units_of_day.get(&scope.day).into_iter().flatten();
            let mut holding = units.filter(|(_, bits)| bits & scope.bit() != 0).peekable();
            let is_new = holding.peek().is_none();
            asked.is_loaded = is_new || is_large(asked);
            keys.extend(holding.map(|(unit, _)| names::copies(unit)));
        }
        let places = self.lost.as_ref().map(|lost| {
            let base = &self.options.output.table;
            lost.places_of(parsed, base, |row| self.fingerprint(parsed, row))
        });
        let found = self.read_stored(&asked, &places.unwrap_or_default(), keys)?;
        for (scope, asked) in asked {
            if asked.is_loaded {
                self.copies.make_whole(scope);
            }
        }
        Ok(found)
    }

    /// Reads units' documents, few at a time: what is asked of them is all that stays.
    fn read_stored(
        &mut self,
        asked: &HashMap<Scope, Asked>,
        places: &AskedPlaces,
        keys: BTreeSet<String>,
    ) -> Result<HashSet<(Scope, u128)>> {
        let mut found = HashSet::new();
        let mut keys = keys.into_iter();
        let mut reads = JoinSet::new();
        loop {
            for key in keys.by_ref().take(READS - reads.len()) {
                reads.spawn_on(read_copies(self.storage.clone(), key), &self.runtime.clone());
            }
            let Some(read) = self.runtime.block_on(reads.join_next()) else { return Ok(found) };
            let (key, bytes) =
                read.map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))??;
            let lost = self.lost.as_ref();
            let is_gone = |scope, fingerprint| {
                lost.is_some_and(|lost| lost.are_gone(&key, places.get(&(scope, fingerprint))))
            };
            for (scope, stored) in decode_copies(&self.key, &bytes)? {
                let Some(asked) = asked.get(&scope) else { continue };
                if asked.is_loaded {
                    self.copies.load(scope, stored);
                } else {
                    let is_there = |f: &u128| stored.contains(*f) && !is_gone(scope, *f);
                    let there = asked.fingerprints.iter().copied().filter(is_there);
                    found.extend(there.map(|fingerprint| (scope, fingerprint)));
                }
            }
        }
    }

    /// Returns what was seen that the lock has no place for.
    fn news(&self, parsed: &Parsed) -> Vec<News> {
        let mut all = Vec::new();
        for table in &parsed.tables {
            for (column, seen) in table.observe_nested(&parsed.texts) {
                if let Some(seen) = self.lock.news(table.family, column, &seen) {
                    all.push(News { family: table.family, column: column.to_owned(), seen });
                }
            }
        }
        all
    }

    fn merge(&mut self, parsed: &Parsed) {
        let mut lock = Lock::clone(&self.lock);
        let mut added = Vec::new();
        for table in &parsed.tables {
            for (column, seen) in table.observe_nested(&parsed.texts) {
                added.extend(lock.merge(table.family, column, &seen));
            }
        }
        if lock.is_more_than(&self.lock) {
            lock.version += 1;
            self.new_fields.append(&mut added);
            self.lock = Arc::new(lock);
        }
    }
}

/// Closes the queue however its reader ends: others wait for what is in it.
struct Closing<'r>(&'r InOrder<Request>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Resolves what is parsed, in its turn, and has the workers encode it; returns what it knows at the end.
pub(crate) fn resolve_all(pool: Pool<'_, '_, '_>, mut resolver: Resolver) -> Resolver {
    let run = pool.run;
    let _closing = Closing(&run.turns);
    let _guard = run.cancel.guard();
    while let Some(request) = run.turns.take() {
        match request {
            Request::Part(part) => {
                let PartRequest { unit, part, parsed, answer } = *part;
                // Its worker tells of a failure.
                let _ = answer.send(resolver.resolve(parsed, &unit, part));
            }
            Request::Segment(segment) => {
                let (segment, parsed) = *segment;
                match resolver.resolve(parsed, &segment.unit, segment.part) {
                    Ok(resolved) => pool.encode(segment, resolved),
                    Err(err) => {
                        run.cancel.fail(err);
                        break;
                    }
                }
                run.budget.set_first(run.turns.advance());
            }
        }
    }
    resolver
}

async fn read_copies(storage: Storage, key: String) -> Result<(String, Bytes)> {
    let gone = || {
        Error::new(
            ErrorKind::Damaged,
            "fingerprints of a unit are \
                                                  missing",
        )
        .at("key", &key)
    };
    let bytes = storage.read(&key).await?.ok_or_else(gone)?;
    Ok((key, bytes))
}
