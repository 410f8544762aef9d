//! Making a plan for an array job that compacts: each partition that is due is a unit.

use crate::engine::runtime;
use crate::error::{Error, Result};
use crate::lake::{
    CompactionSettings, Known, Manifest, OutputSettings, PartitionFiles, PlannedUnit, WorkPlan,
};
use crate::location::Location;
use crate::operations::compact::{CompactOptions, choose_files, open_movable, prepare};
use crate::operations::compact_partition::Begun;
use crate::operations::lake_catalog::options_of;
use crate::operations::make_plan::{Children, Planned, REQUEST_WEIGHT, children_of};
use crate::operations::open_lake::open_lake;
use crate::operations::sweep::sweep_discarded;
use crate::operations::take_turn::take_turn;
use crate::storage::{Storage, salt};
use tokio::runtime::Handle;

/// What a byte of Parquet weighs, in bytes of JSON: a vCPU converts 75 MB of JSON in a second, and compacts 9 MB of
/// Parquet in large files to zstd:1, and 23 MB in small ones (docs/benchmarks.md#compaction).
const BYTE_WEIGHT: u64 = 8;

/// Files that one part of a plan holds at most.
const PART_FILES: usize = 50_000;

/// Makes a plan for an array job that compacts the partitions that are due, and writes it into the lake.
///
/// # Errors
/// As for a compaction; `Config` for a lake into which nothing was converted.
pub fn plan_compaction(
    lake: &Location,
    options: &CompactOptions,
    children: Children,
) -> Result<Planned> {
    let runtime = runtime()?;
    let handle = runtime.handle();
    let storage = handle.block_on(open_lake(lake, &options.s3))?;
    let lease = handle.block_on(take_turn(&storage, None))?;
    let planning = Planning { storage: lease.storage(), options, children, handle };
    let planned = planning.run();
    handle.block_on(lease.conclude(planned))
}

struct Planning<'a> {
    storage: &'a Storage,
    options: &'a CompactOptions,
    children: Children,
    handle: &'a Handle,
}

impl Planning<'_> {
    fn run(&self) -> Result<Planned> {
        let Self { storage, options, handle, .. } = *self;
        if let Some(plan) = handle.block_on(WorkPlan::find_open(storage))? {
            let address = storage.address() + &plan.key();
            return Ok(Planned::Open(Box::new(plan), address));
        }
        let known = handle.block_on(self.prepare())?;
        let Some(last) = known.snapshot.last().cloned() else {
            return Err(Error::config("nothing was converted into the lake yet"));
        };
        let manifests = handle.block_on(Manifest::read_all(storage))?;
        let (chosen, left) = handle.block_on(choose_files(storage, options, &manifests))?;
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let settings = OutputSettings { program, ..last.settings };
        let number = known.snapshot.next_number();
        let mut plan = WorkPlan::begin(number, salt(), settings, last.database);
        plan.schema = last.schema;
        let (compression, target, grace) = (options.compression, options.target, options.grace);
        plan.compaction = Some(CompactionSettings { compression, target, grace, left });
        if chosen.is_empty() {
            return Ok(Planned::NothingToCompact(Box::new(plan)));
        }
        handle.block_on(storage.require_exchange())?;
        self.write_parts(&mut plan, chosen)?;
        plan.children = children_of(self.children, plan.totals.weight);
        plan.made = jiff::Timestamp::now().to_string();
        storage.sync()?;
        handle.block_on(plan.open(storage))?;
        let address = storage.address() + &plan.key();
        Ok(Planned::New(Box::new(plan), address))
    }

    /// Ends what killed runs have begun, and makes sure that what is compacted can be put in its place.
    async fn prepare(&self) -> Result<Known> {
        let Self { storage, options, .. } = *self;
        WorkPlan::remove_all_work(storage).await?;
        let mut known = prepare(storage, &options.catalog).await?;
        let names = options_of(&known.snapshot, &options.catalog);
        sweep_discarded(storage, &known, &[], &names.table).await?;
        open_movable(storage, &known, &names, &options.s3).await?;
        if known.has_recent() {
            known.write_checkpoint(storage).await?;
            known.sweep(storage).await?;
        }
        Ok(known)
    }

    /// Writes the partitions as units of the plan.
    fn write_parts(&self, plan: &mut WorkPlan, chosen: Vec<PartitionFiles>) -> Result<()> {
        let Self { storage, options, handle, .. } = *self;
        let how = (options.compression, options.target.0);
        let (mut part, mut files) = (Vec::new(), 0);
        for chosen in chosen {
            let number = plan.first_number + plan.totals.units;
            let identity = Begun::of(&chosen, number, how, storage).unit.identity;
            let unit = planned_unit(plan, identity, chosen);
            files += unit.partition.iter().flat_map(|partition| partition.inputs()).count();
            part.push(unit);
            if files >= PART_FILES {
                handle.block_on(plan.add_part(storage, &std::mem::take(&mut part)))?;
                files = 0;
            }
        }
        if !part.is_empty() {
            handle.block_on(plan.add_part(storage, &part))?;
        }
        Ok(())
    }
}

/// A unit that compacts a partition; it is added to the totals.
fn planned_unit(plan: &mut WorkPlan, identity: String, chosen: PartitionFiles) -> PlannedUnit {
    let bytes: u64 = chosen.inputs().map(|file| file.bytes).sum();
    let files = chosen.inputs().count() as u64;
    let batches = chosen.batches.iter();
    let written = batches.map(|batch| 1 + u64::from(!batch.typed.is_empty())).sum::<u64>();
    let weight = bytes * BYTE_WEIGHT + (files + 2 * written) * REQUEST_WEIGHT;
    let totals = &mut plan.totals;
    totals.units += 1;
    totals.objects += files;
    totals.bytes += bytes;
    totals.files += written;
    totals.weight += weight;
    PlannedUnit { identity, weight, objects: Vec::new(), partition: Some(Box::new(chosen)) }
}
