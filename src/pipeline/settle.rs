//! What segments settle in their turn: which rows are copies, and the schema.
//!
//! A run that writes to the lake is alone: what it has seen and what the lake holds decides. A child of
//! a plan is not: there, rows that are no copies of anything in the lake are claimed, and those that
//! another unit has claimed are left out. Its schema is the plan's; what it sees beyond that is noted.

use crate::columns::Values;
use crate::commit::{
    ClaimLog, Claims, Copies, CopyIndex, News, Scope, UnitId, UnitsOfDay, WorkPlan,
};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::finish::{Settled, copies_key};
use crate::pipeline::segment::Parsed;
use crate::pipeline::tasks::all;
use crate::pipeline::{ConvertOptions, Duplicates, SchemaMode};
use crate::schema::Lock;
use crate::storage::Storage;
use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Who else writes.
pub(crate) enum Settling {
    /// Nobody: this run has the lake.
    Lake { units_of_day: UnitsOfDay },
    /// The plan's other children.
    Plan { units_of_day: UnitsOfDay, plan: WorkPlan },
}

/// What segments settle in their turn.
pub(crate) struct Settle {
    lock: Arc<Lock>,
    copies: CopyIndex,
    /// Committed units that hold fingerprints of a day.
    units_of_day: UnitsOfDay,
    claims: Option<ClaimLogs>,
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

impl Settle {
    pub(crate) fn new(
        lock: Lock,
        settling: Settling,
        options: &ConvertOptions,
        storage: &Storage,
        runtime: &Handle,
    ) -> Self {
        let (units_of_day, claims) = match settling {
            Settling::Lake { units_of_day } => (units_of_day, None),
            Settling::Plan { units_of_day, plan } => {
                let claims = plan.claims(storage);
                (units_of_day, Some(ClaimLogs { plan, claims, logs: HashMap::new() }))
            }
        };
        Self {
            lock: Arc::new(lock),
            copies: CopyIndex::default(),
            units_of_day,
            claims,
            new_fields: Vec::new(),
            options: options.clone(),
            storage: storage.clone(),
            runtime: runtime.clone(),
        }
    }

    /// Decides which rows stay, and merges what was seen into the lock.
    pub(crate) fn settle(
        &mut self,
        parsed: Parsed,
        unit: &UnitId,
        segment: u32,
    ) -> Result<Settled> {
        self.load_scopes(&parsed)?;
        let keeps_copies = self.options.duplicates == Duplicates::Keep;
        let (mut keep, mut copies) = self.keep_new(&parsed, keeps_copies);
        if self.claims.is_some() && !keeps_copies {
            copies = self.claim(copies, &format!("{unit}-{segment:04}"))?;
            leave_out_unclaimed(&parsed, &copies, &mut keep);
        }
        let mut news = Vec::new();
        if self.options.nested && self.claims.is_some() {
            news = self.news(&parsed);
        } else if self.options.nested && self.options.schema == SchemaMode::Evolve {
            self.merge(&parsed);
        }
        Ok(Settled { parsed, keep, lock: Arc::clone(&self.lock), copies, news })
    }

    /// Says which rows are no copies of what is known, and gathers their fingerprints.
    fn keep_new(&mut self, parsed: &Parsed, keeps_copies: bool) -> (Vec<Vec<bool>>, Copies) {
        let mut keep = Vec::new();
        let mut copies = Copies::new();
        let mut here = HashSet::new();
        for table in &parsed.tables {
            let mut kept = vec![true; table.rows.len()];
            for (row, kept) in table.rows.iter().zip(&mut kept) {
                let Some(fingerprint) = row.copy_of else { continue };
                let scope = scope_of(row);
                let is_new = match self.claims {
                    None => self.copies.insert(scope, fingerprint.get()),
                    // What this run has seen elsewhere decides nothing: it may have been claimed by
                    // this very segment, at an earlier attempt.
                    Some(_) => {
                        !self.copies.contains(scope, fingerprint.get())
                            && here.insert((scope, fingerprint))
                    }
                };
                *kept = is_new || keeps_copies;
                if is_new {
                    copies.entry(scope).or_default().push(fingerprint.get());
                }
            }
            keep.push(kept);
        }
        (keep, copies)
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

    /// Loads the fingerprints of the scopes that the rows touch, as far as they are not here.
    fn load_scopes(&mut self, parsed: &Parsed) -> Result<()> {
        let rows = parsed.tables.iter().flat_map(|table| &table.rows);
        let touched = rows.filter(|row| row.copy_of.is_some()).map(scope_of);
        let scopes: BTreeSet<Scope> = touched.filter(|scope| !self.copies.has(*scope)).collect();
        let mut bits: BTreeMap<i32, u64> = BTreeMap::new();
        for scope in &scopes {
            *bits.entry(scope.day).or_default() |= scope.bit();
        }
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for (day, bits) in bits {
            let units = self.units_of_day.get(&day).into_iter().flatten();
            keys.extend(units.filter(|(_, has)| has & bits != 0).map(|(unit, _)| copies_key(unit)));
        }
        for bytes in self.runtime.block_on(read_all(&self.storage, keys))? {
            self.copies.load(&scopes, &bytes)?;
        }
        scopes.into_iter().for_each(|scope| self.copies.open(scope));
        Ok(())
    }

    /// Returns what was seen that the lock has no place for.
    fn news(&self, parsed: &Parsed) -> Vec<News> {
        let mut all = Vec::new();
        for table in &parsed.tables {
            for (spec, values) in table.specs.iter().zip(&table.values) {
                let Values::Nested(tree) = values else { continue };
                let seen = tree.observed(&parsed.texts);
                if let Some(seen) = self.lock.news(table.family, spec.name, &seen) {
                    all.push(News { family: table.family, column: spec.name.to_owned(), seen });
                }
            }
        }
        all
    }

    fn merge(&mut self, parsed: &Parsed) {
        let mut lock = Lock::clone(&self.lock);
        let mut added = Vec::new();
        for table in &parsed.tables {
            for (spec, values) in table.specs.iter().zip(&table.values) {
                if let Values::Nested(tree) = values {
                    let seen = tree.observed(&parsed.texts);
                    added.extend(lock.merge(table.family, spec.name, &seen));
                }
            }
        }
        if lock.is_more_than(&self.lock) {
            lock.version += 1;
            self.new_fields.append(&mut added);
            self.lock = Arc::new(lock);
        }
    }
}

/// Days since 1970, and where.
fn scope_of(row: &crate::columns::Row) -> Scope {
    Scope { day: row.instant.div_euclid(DAY) as i32, place: row.place }
}

/// Leaves out rows whose fingerprints are not the segment's own.
fn leave_out_unclaimed(parsed: &Parsed, own: &Copies, keep: &mut [Vec<bool>]) {
    let own: HashSet<(Scope, u128)> = own
        .iter()
        .flat_map(|(scope, values)| values.iter().map(|fingerprint| (*scope, *fingerprint)))
        .collect();
    for (table, keep) in parsed.tables.iter().zip(keep) {
        for (row, keep) in table.rows.iter().zip(keep) {
            let Some(fingerprint) = row.copy_of else { continue };
            *keep &= own.contains(&(scope_of(row), fingerprint.get()));
        }
    }
}

/// Reads objects of the lake side by side.
async fn read_all(storage: &Storage, keys: BTreeSet<String>) -> Result<Vec<Bytes>> {
    let mut reads = JoinSet::new();
    for key in keys {
        let storage = storage.clone();
        reads.spawn(async move {
            storage.read(&key).await?.ok_or_else(|| {
                Error::new(ErrorKind::Damaged, "fingerprints of a unit are gone").at("key", &key)
            })
        });
    }
    all(reads).await
}
