//! What a conversion would do, and what earlier ones began.

use crate::commit::{
    CompleteListing, Entry, Intent, Known, Manifest, Summary, Unavailable, UnavailableObject,
    UnitId, WorkPlan, after_barrier, entry, month, unit_identity,
};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::ConvertOptions;
use crate::pipeline::feed::{Feed, FeedOptions, LEDGER_SHARE};
use crate::pipeline::fetch::Fetched;
use crate::pipeline::nothing::{refuse_empty, refuse_nothing};
use crate::pipeline::tasks::all;
use crate::pipeline::unreadable::{Broken, Unreadable, try_all};
use crate::pipeline::window::{sources, today};
use crate::source::{ListingReport, Object, find};
use crate::storage::Storage;
use hashbrown::HashSet;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// A unit to convert.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub id: UnitId,
    pub objects: Vec<Object>,
    /// Whether an earlier run wrote its intent.
    pub is_resumed: bool,
    /// Whether it is a plan's, which announces it.
    pub is_planned: bool,
    /// Objects of a plan's unit that could not be read.
    pub unavailable: Vec<UnavailableObject>,
}

impl Unit {
    /// Returns an estimate of the JSON bytes of its objects.
    pub(super) fn json_estimate(&self) -> u64 {
        self.objects.iter().map(|object| object.json_estimate).sum()
    }

    /// Returns the intent to be written before its data, unless it has been announced.
    pub(super) fn intent(&self, settings: &str) -> Option<Intent> {
        let objects = self.objects.iter().map(|o| (o.key.clone(), o.etag.clone()));
        self.intent_of(settings, objects.collect())
    }

    /// As [`Unit::intent`], for objects that are fetched.
    pub(super) fn intent_of(
        &self,
        settings: &str,
        objects: Vec<(String, String)>,
    ) -> Option<Intent> {
        let is_announced = self.is_resumed || self.is_planned;
        let (unit, settings) = (self.id.clone(), settings.to_owned());
        (!is_announced).then_some(Intent { unit, settings, objects })
    }

    /// Becomes a unit of the objects that are left. It has not been announced, so that nothing was written
    /// under its name.
    ///
    /// # Errors
    /// `Unavailable` for a unit that an earlier run announced: the next run finds that it cannot be
    /// finished, and gives it up.
    pub(super) fn leave_out<'k>(
        &mut self,
        settings: &str,
        left: impl IntoIterator<Item = (&'k str, &'k str)>,
    ) -> Result<()> {
        if self.is_resumed {
            let message = "an object of a unit that an earlier run began cannot be read; run again";
            return Err(Error::new(ErrorKind::Unavailable, message).at("unit", &self.id));
        }
        self.id.identity = unit_identity(settings, left);
        Ok(())
    }

    /// Settles with the other attempts at a unit of a plan which of its objects are left out: what the
    /// first attempt says is what all of them write.
    ///
    /// # Errors
    /// `Unavailable` when an object cannot be read that another attempt has read; `Denied`, `Io`.
    pub(super) async fn decide(
        &mut self,
        plan: &WorkPlan,
        storage: &Storage,
        missing: Vec<UnavailableObject>,
        fetched: &mut Vec<Fetched>,
    ) -> Result<()> {
        let lost: Vec<String> = missing.iter().map(|object| object.object.clone()).collect();
        let decided = plan.leave_out(storage, &self.id, missing).await?;
        let is_out = |key: &str| decided.iter().any(|object| object.object == key);
        if let Some(key) = lost.iter().find(|key| !is_out(key)) {
            let message = "an object that another attempt at its unit has read cannot be read; run the \
                           child again, or give the plan up with `trailmill plan discard`";
            return Err(Error::new(ErrorKind::Unavailable, message).at("object", key));
        }
        fetched.retain(|fetched| !is_out(&fetched.object.key));
        self.objects.retain(|object| !is_out(&object.key));
        self.unavailable = decided;
        Ok(())
    }
}

/// What earlier runs began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun {
    /// Units to finish, in the order of their numbers, exactly as their intents say.
    pub units: Vec<Unit>,
    /// The entries of their objects.
    pub taken: HashSet<Entry>,
    /// Units that cannot be finished as they were announced: other settings, objects that are gone or
    /// known, a number that is taken.
    pub abandoned: Vec<UnitId>,
    /// Whether some of them might still be committed by a writer that was cut off.
    pub needs_barrier: bool,
    /// Intents with numbers that no manifest has.
    pub(super) open: Vec<Intent>,
    /// Intents whose manifest exists: only their removal is left.
    pub finished: Vec<UnitId>,
    /// The number of the first new unit.
    pub next_number: u64,
}

impl Begun {
    /// Takes in an intent, by what has become of its number.
    ///
    /// # Errors
    /// `Damaged` when the manifest of its number cannot be read.
    pub(super) async fn sort_in(
        &mut self,
        storage: &Storage,
        lake: &Summary,
        intent: Intent,
    ) -> Result<()> {
        if intent.unit.number >= lake.next_number() {
            self.open.push(intent);
        } else if Manifest::is_committed(storage, &intent.unit).await? {
            self.finished.push(intent.unit);
        } else {
            self.abandoned.push(intent.unit);
        }
        Ok(())
    }

    /// Gives up an intent whose number is free.
    fn abandon(&mut self, intent: Intent, barrier: Option<u64>) {
        self.needs_barrier |= !intent.is_ended_by(barrier);
        self.abandoned.push(intent.unit);
    }

    /// Gives up all intents whose numbers are free.
    pub(super) fn abandon_open(&mut self, barrier: Option<u64>) {
        for intent in std::mem::take(&mut self.open) {
            self.abandon(intent, barrier);
        }
    }
}

/// Sorts the intents that earlier runs left; finds the objects of those that are to be finished,
/// whatever this run is narrowed to.
///
/// # Errors
/// As for a listing, and for reading manifests.
pub(crate) async fn begun(
    options: &ConvertOptions,
    storage: &Storage,
    known: &Known,
    intents: Vec<Intent>,
    broken: &Broken,
) -> Result<Begun> {
    let lake = &known.summary;
    let settings = after_barrier(&options.settings(), lake.barrier);
    let mut ledger = known.ledger(storage, options.memory.0 / LEDGER_SHARE);
    let mut begun = Begun { next_number: lake.next_number(), ..Begun::default() };
    for intent in intents {
        begun.sort_in(storage, lake, intent).await?;
    }
    let open = std::mem::take(&mut begun.open);
    let wanted = open.iter().flat_map(|intent| &intent.objects);
    let found = find(&options.sources, &options.s3, wanted).await?;
    // Units must have the numbers of an undisturbed run. Intents are written in the order of their
    // numbers, so that a killed run leaves no gap; what does not follow on the manifests came from a
    // writer that was cut off, or another intent was removed.
    for intent in open {
        let is_next = intent.unit.number == begun.next_number && intent.settings == settings;
        let objects = intent.objects.iter().map(|(key, etag)| {
            found.get(key).filter(|object| is_next && object.etag == *etag).cloned()
        });
        let objects = objects.collect::<Option<Vec<Object>>>();
        let objects = match objects {
            Some(objects) if !broken.has_any(&objects) && can_all_be_read(&objects).await? => {
                objects
            }
            _ => {
                begun.abandon(intent, lake.barrier);
                continue;
            }
        };
        let entry = |o: &Object| (month(&o.layout), entry(&o.layout, &o.key, &o.etag));
        let entries: Vec<_> = objects.iter().map(entry).collect();
        let is_taken = entries.iter().any(|(_, entry)| begun.taken.contains(entry));
        if is_next && !is_taken && !ledger.contains_any(&entries).await? {
            begun.taken.extend(entries.iter().map(|(_, entry)| *entry));
            begun.next_number += 1;
            begun.units.push(Unit {
                id: intent.unit,
                objects,
                is_resumed: true,
                is_planned: false,
                unavailable: Vec::new(),
            });
        } else {
            begun.abandon(intent, lake.barrier);
        }
    }
    Ok(begun)
}

/// Whether a unit can be made again of its objects: then every byte is there, not only the first.
pub(super) async fn can_all_be_read(objects: &[Object]) -> Result<bool> {
    if objects.iter().any(|object| object.blocked.is_some()) {
        return Ok(false);
    }
    let mut tasks = JoinSet::new();
    for object in objects {
        let object = object.clone();
        tasks.spawn(async move {
            match try_all(&object).await {
                Ok(()) => Ok(true),
                // What is a matter of this object only.
                Err(err) => Unreadable::default().refused(&object, err).map(|_| false),
            }
        });
    }
    Ok(all(tasks).await?.into_iter().all(|is_well| is_well))
}

/// What a conversion would read and make.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PlanReport {
    /// Objects to read.
    pub objects: u64,
    /// Objects passed over by their key.
    pub objects_ignored: u64,
    /// Objects that the lake holds.
    pub objects_known: u64,
    /// Objects and folders that cannot be read, as far as the listing says.
    pub objects_unavailable: u64,
    /// The same by reason.
    pub unavailable_by_reason: BTreeMap<String, u64>,
    /// Bytes to read, as stored.
    pub bytes: u64,
    /// An estimate of their JSON bytes.
    pub bytes_json_estimate: u64,
    /// Units.
    pub units: u64,
    /// Of them, units that an earlier run had begun.
    pub units_resumed: u64,
    /// What was listed, and what was left out.
    pub listing: ListingReport,
    /// Objects by account, region and delivery date, as far as the keys say.
    pub by_delivery: BTreeMap<String, u64>,
}

/// Says what a conversion with these options would do; writes nothing.
///
/// # Errors
/// As for a conversion's listing and ledger.
pub fn plan(options: &ConvertOptions) -> Result<PlanReport> {
    let runtime = super::convert::runtime()?;
    runtime.block_on(refuse_empty(options))?;
    let unreadable = Arc::new(Unreadable::default());
    let (mut feed, known) = runtime.block_on(async {
        let is_absent = options.lake.local().is_some_and(|folder| !folder.is_dir());
        if is_absent {
            return Ok((new_feed(options, &unreadable).await?, Known::default()));
        }
        let storage = Storage::open(&options.lake, &options.s3).await?;
        let known = Known::read(&storage).await?;
        let intents = Intent::read_all(&storage).await?;
        let begun = begun(options, &storage, &known, intents, &Broken::default()).await?;
        let listed = CompleteListing::read_all(&storage).await?;
        let lake = Some((&storage, &known));
        let before = Unavailable::read(&storage).await?;
        let (sources, today) = (sources(options, &listed, &before), today());
        let (only, plan, unreadable) = (None, None, Arc::clone(&unreadable));
        let feed = FeedOptions { options, sources, today, lake, begun, only, plan, unreadable };
        Ok::<_, Error>((Feed::open(feed).await?, known))
    })?;
    let mut report = PlanReport::default();
    while let Some(unit) = feed.next(runtime.handle())? {
        report.units += 1;
        report.units_resumed += u64::from(unit.is_resumed);
        unit.objects.iter().for_each(|object| report.add(object));
    }
    let seen = feed.seen();
    report.objects_ignored = seen.report.objects_ignored;
    report.objects_known = seen.known;
    report.objects_unavailable = unreadable.count();
    report.unavailable_by_reason = unreadable.by_reason();
    report.listing = seen.report;
    if report.units == 0 && unreadable.count() == 0 {
        refuse_nothing(&known, &report.listing)?;
    }
    Ok(report)
}

/// Lists sources for a lake that is not there.
///
/// # Errors
/// As for a listing.
pub(super) async fn new_feed(
    options: &ConvertOptions,
    unreadable: &Arc<Unreadable>,
) -> Result<Feed> {
    let sources = sources(options, &[], &Unavailable::default());
    let (today, begun) = (today(), Begun::default());
    let (lake, only, plan, unreadable) = (None, None, None, Arc::clone(unreadable));
    Feed::open(FeedOptions { options, sources, today, lake, begun, only, plan, unreadable }).await
}

impl PlanReport {
    fn add(&mut self, object: &Object) {
        self.objects += 1;
        self.bytes += object.size;
        self.bytes_json_estimate += object.json_estimate;
        let layout = &object.layout;
        let part = |text: &str| if text.is_empty() { "?".to_owned() } else { text.to_owned() };
        let key =
            format!("{} {} {}", part(&layout.account), part(&layout.region), part(&layout.date));
        *self.by_delivery.entry(key).or_default() += 1;
    }
}
