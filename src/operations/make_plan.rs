//! Making a plan: what is new, cut into units, with a schema for all of them.

use crate::engine::feed::{Feed, FeedOptions, Resumed, Seen};
use crate::engine::fetch::fetch_all;
use crate::engine::unit::Unit;
use crate::engine::unreadable::Unreadable;
use crate::engine::{ConvertOptions, DEFAULT_SPEED, Progress, SchemaMode, Volume, runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::family::Family;
use crate::integrity::Proofs;
use crate::lake::{
    CompleteListing, CopyKey, Intent, Known, PlanTotals, PlannedObject, PlannedUnit, Unavailable,
    WorkPlan, read_lock, write_lock,
};
use crate::notice::tell;
use crate::operations::infer::observe;
use crate::operations::look_back::{is_listed, sources, today};
use crate::operations::options_check::{check_lake, check_names, check_places};
use crate::operations::partitioning::settle;
use crate::operations::preflight::{refuse_empty, refuse_others};
use crate::operations::prove::{prove_for_plan, with_proofs};
use crate::operations::recover::end_all;
use crate::operations::register::{open_catalog, refuse_others_tables};
use crate::operations::stratified_sample::Sample;
use crate::operations::sweep::sweep_discarded;
use crate::operations::switch::finish_exchanges;
use crate::operations::take_turn::take_turn;
use crate::operations::target::{check_known, check_target};
use crate::rows::{
    Fingerprints, Host, Parsed, SegmentObject, SegmentParser, Visiting, parse_segment,
};
use crate::schema::{Lock, Observed};
use crate::source::{ListingReport, Member, Object, members};
use crate::storage::{Storage, salt};
use crate::units::Day;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What a request weighs, in bytes of JSON: with 64 in flight and 30 ms each, a request takes as long
/// as two vCPUs need for about as much.
pub(super) const REQUEST_WEIGHT: u64 = 64 << 10;

/// What one child is to do when nobody says how many there are: four minutes of two vCPUs. Jobs should
/// run for three to five minutes at least, and for less than thirty on Spot (docs/aws-facts.md A31).
const AUTO_WEIGHT: u64 = 240 * 2 * DEFAULT_SPEED as u64 * 1_000_000;

/// The largest array of AWS Batch (docs/aws-facts.md A28).
const MAX_CHILDREN: u64 = 10_000;

/// Objects, or bytes of their keys, that one part of a plan holds at most.
const PART_OBJECTS: usize = 50_000;

/// Objects of the sample that are fetched and parsed together.
const SAMPLED_TOGETHER: usize = 32;

/// Children that a plan is cut for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Children {
    /// As many as the work asks for.
    Auto,
    /// A fixed number of children.
    Count(u32),
}

/// What became of a wish for a plan.
#[derive(Debug)]
pub enum Planned {
    /// It is made, and open; and where its document is.
    New(Box<WorkPlan>, String),
    /// The lake has an open plan, which is to be finished first.
    Open(Box<WorkPlan>, String),
    /// No partition is due; what the plan would have said.
    NothingToCompact(Box<WorkPlan>),
    /// There is nothing new.
    Nothing {
        /// Objects that the lake has.
        known: u64,
        /// What was listed.
        listing: ListingReport,
        /// Objects that cannot be read, by reason.
        unavailable: BTreeMap<String, u64>,
    },
}

/// Makes a plan for an array job, and writes it into the lake.
///
/// # Errors
/// As for a conversion; `Busy` when another run holds the lake.
pub fn make_plan(
    options: &ConvertOptions,
    children: Children,
    most_sampled: usize,
    progress: &Progress,
) -> Result<Planned> {
    check_places(options)?;
    check_names(options)?;
    if options.strict {
        let message = "`--strict` cannot be used for a plan: it checks all input before anything \
                       is committed";
        return Err(Error::config(message));
    }
    let runtime = runtime()?;
    let handle = runtime.handle();
    handle.block_on(check_target(options))?;
    handle.block_on(refuse_empty(options))?;
    let storage = handle.block_on(Storage::open(&options.lake, &options.s3))?;
    let lease = handle.block_on(take_turn(&storage, None))?;
    let storage = lease.storage();
    let (options, _) = match settle(options, storage, handle) {
        Ok(settled) => settled,
        Err(err) => return handle.block_on(lease.conclude(Err(err))),
    };
    let options = &options;
    let today = today();
    let making = Making { options, children, most_sampled, progress, handle, storage, today };
    let made = making.make();
    let made = handle.block_on(lease.conclude(made));
    runtime.shutdown_background();
    made
}

/// The making of one plan.
struct Making<'a> {
    options: &'a ConvertOptions,
    children: Children,
    most_sampled: usize,
    progress: &'a Progress,
    handle: &'a Handle,
    storage: &'a Storage,
    today: Day,
}

/// What the listing has come to.
struct Listed {
    seen: Seen,
    /// Objects that the schema is inferred from.
    sample: Sample,
    unreadable: Arc<Unreadable>,
}

impl Making<'_> {
    fn make(&self) -> Result<Planned> {
        let Self { options, handle, storage, .. } = *self;
        if let Some(plan) = handle.block_on(WorkPlan::find_open(storage))? {
            let address = storage.address() + &plan.key();
            return Ok(Planned::Open(Box::new(plan), address));
        }
        let options = &handle.block_on(with_proofs(options, storage))?;
        Making { options, ..*self }.make_new()
    }

    fn make_new(&self) -> Result<Planned> {
        let Self { options, handle, storage, .. } = *self;
        let (known, lock, complete) = handle.block_on(prepare(options, storage))?;
        let database = options.catalog.database_of(&known.snapshot);
        let (first_number, settings) = (known.snapshot.next_number(), options.output.clone());
        let mut plan = WorkPlan::begin(first_number, salt(), settings, database);
        plan.integrity = handle.block_on(prove_for_plan(options, storage))?;
        let listed = self.list(&mut plan, &known, &complete)?;
        let Listed { seen: Seen { report: listing, known: objects_known, .. }, .. } = listed;
        plan.unavailable = listed.unreadable.by_reason();
        if plan.totals.units == 0 {
            if plan.unavailable.is_empty() {
                refuse_others(&known, &listing)?;
            }
            let unavailable = plan.unavailable;
            return Ok(Planned::Nothing { known: objects_known, listing, unavailable });
        }
        plan.listing = listing;
        plan.objects_known = objects_known;
        self.open(plan, &lock, listed.sample)
    }

    /// Lists what is new, and writes it as units of the plan.
    fn list(
        &self,
        plan: &mut WorkPlan,
        known: &Known,
        complete: &[CompleteListing],
    ) -> Result<Listed> {
        let Self { options, handle, storage, .. } = *self;
        let before = handle.block_on(Unavailable::read(storage))?;
        let is_new_lake = known.snapshot.last().is_none();
        let unreadable = Arc::new(Unreadable::new(before.clone(), is_new_lake));
        let mut feed = handle.block_on(Feed::open(FeedOptions {
            named: None,
            options,
            sources: sources(options, complete, &before),
            today: self.today,
            lake: Some((storage, known)),
            resumed: Resumed { next_number: plan.first_number, ..Resumed::default() },
            only: None,
            plan: Some(&plan.id.clone()),
            unreadable: Arc::clone(&unreadable),
            work: Arc::clone(&self.progress.work),
        }))?;
        let is_inferred = options.output.typed && options.output.schema == SchemaMode::Evolve;
        let sample = Sample::new(if is_inferred { self.most_sampled } else { 0 });
        let proofs = options.integrity.proofs.as_deref();
        let sample = write_parts(plan, sample, &mut feed, (storage, handle), proofs)?;
        let unavailable = unreadable.list(|key| is_listed(options, key));
        handle.block_on(unavailable.write(storage))?;
        unreadable.end()?;
        Ok(Listed { seen: feed.seen(), sample, unreadable })
    }

    /// Gives the plan its schema and its children, and opens it.
    fn open(&self, mut plan: WorkPlan, before: &Lock, sample: Sample) -> Result<Planned> {
        let Self { options, handle, storage, .. } = *self;
        let mut lock = before.clone();
        plan.new_fields = infer(&mut lock, sample.into_objects(), options, handle)?;
        lock.version += u32::from(lock.is_more_than(before));
        plan.children = children_of(self.children, plan.totals.weight);
        plan.made = jiff::Timestamp::now().to_string();
        plan.sources = options.sources.iter().map(ToString::to_string).collect();
        plan.listed = options.narrow.is_everything().then(|| self.today.to_string());
        handle.block_on(async {
            plan.schema = write_lock(storage, &lock).await?;
            storage.sync()?;
            plan.open(storage).await
        })?;
        let address = storage.address() + &plan.key();
        Ok(Planned::New(Box::new(plan), address))
    }
}

/// Returns how many children a plan of this weight is cut for.
pub(super) fn children_of(children: Children, weight: u64) -> u32 {
    match children {
        Children::Count(count) => count,
        Children::Auto => weight.div_ceil(AUTO_WEIGHT).clamp(1, MAX_CHILDREN) as u32,
    }
}

/// Tidies up after runs that were killed, and makes a checkpoint of all that is known: children read
/// nothing else of it.
async fn prepare(
    options: &ConvertOptions,
    storage: &Storage,
) -> Result<(Known, Lock, Vec<CompleteListing>)> {
    let mut known = Known::read(storage).await?;
    check_known(storage, &known).await?;
    check_lake(options, &known.snapshot)?;
    let catalog = open_catalog(storage, &known.snapshot, &options.catalog, &options.s3).await?;
    if let Some(catalog) = &catalog {
        let (lake, output) = (&known.snapshot, &options.output);
        let lock = read_lock(storage, lake).await?;
        refuse_others_tables(catalog, storage, lake, &lock, &options.catalog, output).await?;
    }
    WorkPlan::remove_all_work(storage).await?;
    storage.clear_half_written()?;
    finish_exchanges(storage).await?;
    let intents = Intent::read_all(storage).await?;
    sweep_discarded(storage, &known, &intents, &options.output.table).await?;
    end_all(storage, &mut known, &options.output.table).await?;
    if known.has_recent() {
        known.write_checkpoint(storage).await?;
        known.sweep(storage).await?;
    }
    // Its children read it.
    CopyKey::read_or_make(storage, known.snapshot.units_of_day()).await?;
    let lock = read_lock(storage, &known.snapshot).await?;
    Ok((known, lock, CompleteListing::read_all(storage).await?))
}

/// Writes the units of a feed as parts of the plan, never more than one part in memory; returns the
/// sample of their objects.
fn write_parts(
    plan: &mut WorkPlan,
    mut sample: Sample,
    feed: &mut Feed,
    (storage, handle): (&Storage, &Handle),
    proofs: Option<&Proofs>,
) -> Result<Sample> {
    let (mut part, mut objects, mut has_archives) = (Vec::new(), 0, false);
    let mut volume = Volume::default();
    while let Some(unit) = feed.next(handle)? {
        for object in &unit.objects {
            sample.see(object);
            volume.add(&object.layout, object.json_estimate);
        }
        if objects + unit.objects.len() > PART_OBJECTS && !part.is_empty() {
            handle.block_on(add_part(plan, storage, &part, proofs, has_archives))?;
            part.clear();
            (objects, has_archives) = (0, false);
        }
        objects += unit.objects.len();
        has_archives |= unit.objects.iter().any(|object| object.is_archive);
        part.push(planned_unit(unit, &mut plan.totals));
    }
    if !part.is_empty() {
        handle.block_on(add_part(plan, storage, &part, proofs, has_archives))?;
    }
    if let Some(warning) = volume.warning(&plan.settings.partition_by) {
        tell(&format!("warning: {warning}"));
    }
    Ok(sample)
}

/// Adds a part, with what digests list of its objects. Members of archives are not known yet: all that digests
/// list goes with those.
async fn add_part(
    plan: &mut WorkPlan,
    storage: &Storage,
    part: &[PlannedUnit],
    proofs: Option<&Proofs>,
    has_archives: bool,
) -> Result<()> {
    plan.add_part(storage, part).await?;
    let Some(proofs) = proofs else { return Ok(()) };
    let objects = part.iter().flat_map(|unit| &unit.objects);
    let entries = match has_archives {
        true => proofs.entries(),
        false => proofs.entries_of(objects.map(|object| object.0.as_str())),
    };
    plan.add_proofs(storage, &entries).await
}

fn planned_unit(unit: Unit, totals: &mut PlanTotals) -> PlannedUnit {
    let json = unit.json_estimate();
    // Copies of one day's records are claimed, and its rows are a file, so that both count twice.
    let mut files = 0;
    let mut last = None;
    for object in &unit.objects {
        let layout = &object.layout;
        let here = Some((&layout.account, &layout.region, &layout.date));
        files += u64::from(last != here);
        last = here;
    }
    let requests = unit.objects.len() as u64 + 2 * files;
    let weight = json + requests * REQUEST_WEIGHT;
    totals.units += 1;
    totals.objects += unit.objects.len() as u64;
    totals.bytes += unit.objects.iter().map(|object| object.size).sum::<u64>();
    totals.bytes_json += json;
    totals.files += files;
    totals.weight += weight;
    let object = |o: Object| PlannedObject(o.key, o.etag, o.size, o.json_estimate);
    PlannedUnit {
        identity: unit.id.identity,
        weight,
        objects: unit.objects.into_iter().map(object).collect(),
        partition: None,
    }
}

/// Merges what the sample holds into the lock; returns what was added.
fn infer(
    lock: &mut Lock,
    objects: Vec<Object>,
    options: &ConvertOptions,
    handle: &Handle,
) -> Result<Vec<String>> {
    let rows = options.rows(true, Fingerprints::default());
    let mut worker = SegmentParser::new(options.decoder(), &rows);
    let mut parsed = Parsed::default();
    let mut seen: BTreeMap<(Family, &'static str), Observed> = BTreeMap::new();
    let mut visit = |parsed: &Parsed| -> Result<()> {
        observe(parsed, &mut seen);
        Ok(())
    };
    let mut visiting = Visiting(&mut visit);
    read_sample(objects, options, handle, &mut |objects| {
        parse_segment(objects, &mut worker, &rows, &mut parsed, &mut visiting)?;
        visiting.take_part(&mut parsed)
    })?;
    let mut added = Vec::new();
    for ((family, column), observed) in seen {
        added.extend(lock.merge(family, column, &observed));
    }
    Ok(added)
}

/// Reads the objects of a sample, some together, and archives member by member.
fn read_sample(
    objects: Vec<Object>,
    options: &ConvertOptions,
    handle: &Handle,
    parse: &mut dyn FnMut(Vec<SegmentObject>) -> Result<()>,
) -> Result<()> {
    let (archives, objects): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| object.is_archive);
    let unreadable = Arc::new(Unreadable::new(Unavailable::default(), true));
    for objects in objects.chunks(SAMPLED_TOGETHER) {
        // What cannot be read is left out when it is converted.
        let (fetched, _) = handle.block_on(fetch_all(objects.to_vec(), &unreadable))?;
        parse(fetched.into_iter().map(|fetched| fetched.object).collect())?;
    }
    if archives.is_empty() {
        unreadable.end()?;
    }
    for archive in &archives {
        let opened = archive.open(handle)?;
        let unpacking = options.unpacking(archive);
        let streamed = members(opened, &unpacking, &mut |member: Member| {
            parse(vec![SegmentObject::member(&archive.key, member, 0)])
        });
        match streamed {
            Ok(_) => {}
            // It will be quarantined when it is converted.
            Err(err) if matches!(err.kind(), ErrorKind::BadInput | ErrorKind::OverLimit) => {}
            Err(err) => return Err(err.at("archive", &archive.key)),
        }
    }
    Ok(())
}
