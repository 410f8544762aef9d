//! A child of an array job that compacts: its part of the plan's partitions, written and proven.
//!
//! Files go where no reader looks, and wait there for the end of the plan. A partition that cannot be read
//! is left as it is, which is noted as what its unit did.

use crate::engine::{ChildReport, Progress, Report, Stage};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{
    CompactionSettings, DataFile, LockName, Manifest, PlannedUnit, UnitDone, UnitId, WorkPlan,
    read_lock_version,
};
use crate::operations::array_child::{ChildOptions, Part};
use crate::operations::compact::threads;
use crate::operations::compact_partition::{Begun, Compacting};
use crate::storage::Storage;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// A child, and its part.
pub(super) struct CompactionChild<'a> {
    pub options: &'a ChildOptions,
    pub plan: &'a WorkPlan,
    pub how: &'a CompactionSettings,
    pub part: Part,
    pub storage: &'a Storage,
    pub handle: &'a Handle,
    pub progress: &'a Progress,
}

impl CompactionChild<'_> {
    /// Compacts the partitions of the part that are not done; what is asked to stop ends between two.
    pub(super) fn run(&self, mut child: ChildReport, stop: &AtomicBool) -> Result<Report> {
        let Self { options, plan, how, part, storage, handle, progress } = *self;
        let lock = &handle.block_on(read_lock_version(storage, &plan.schema))?;
        let pool = &threads(options.threads)?;
        let (compression, target) = (how.compression, how.target.0);
        let compacting = Compacting { storage, handle, pool, lock, compression, target };
        progress.begin(Stage::Converting);
        let mut report = Report::default();
        let (mut number, mut start) = (0, 0);
        for (at, of) in plan.parts.iter().enumerate() {
            let units = number..number + of.units;
            (number, start) = (units.end, start + of.weight);
            if !part.touches(start - of.weight, of.weight) {
                continue;
            }
            let done = handle.block_on(plan.list_done(storage, units.clone()))?;
            let planned = handle.block_on(plan.read_part(storage, at))?;
            let own = own(units.zip(planned), start - of.weight, part);
            child.units += own.len() as u64;
            progress.work.add(own.iter().map(|(_, unit)| bytes_of(unit)).sum(), own.len() as u64);
            for (unit, planned) in own {
                let is_done = done.binary_search(&unit).is_ok();
                if stop.load(Ordering::Relaxed) && !is_done {
                    report.interrupted = true;
                    break;
                }
                match is_done {
                    true => child.units_done_before += 1,
                    false => self.compact(&compacting, unit, &planned, &mut report)?,
                }
                Progress::add(&progress.units, 1);
                Progress::add(&progress.bytes, bytes_of(&planned));
            }
        }
        progress.work.end();
        report.schema_version = plan.schema.version;
        report.child = Some(child);
        Ok(report)
    }

    /// Compacts a partition, and notes what came of it.
    fn compact(
        &self,
        compacting: &Compacting<'_>,
        unit: u64,
        planned: &PlannedUnit,
        report: &mut Report,
    ) -> Result<()> {
        let Self { plan, how, storage, handle, .. } = *self;
        let chosen = planned.compacts()?;
        let number = plan.unit_id(unit, &planned.identity).number;
        let begun = Begun::of(chosen, number, (how.compression, how.target.0), storage);
        if begun.unit.identity != planned.identity {
            let message = "unit of the plan is not what its files come to";
            return Err(Error::new(ErrorKind::Damaged, message).at("unit", &begun.unit));
        }
        handle.block_on(plan.refuse_ended(storage))?;
        let done = match compacting.write_all(&begun) {
            Ok(manifest) => UnitDone::compaction(manifest, None),
            // A matter of this partition only.
            Err(err) if matches!(err.kind(), ErrorKind::Damaged | ErrorKind::Config) => {
                UnitDone::compaction(nothing(begun.unit), Some(chosen.left(err.to_string())))
            }
            Err(err) => return Err(err),
        };
        storage.sync()?;
        handle.block_on(plan.write_done(storage, &done))?;
        report.units += 1;
        report.files += done.manifest.files.len() as u64;
        report.bytes_parquet += done.manifest.files.iter().map(|file| file.bytes).sum::<u64>();
        report.records_written += done.manifest.files.iter().map(DataFile::records).sum::<u64>();
        report.partitions += u64::from(done.left.is_none());
        Ok(())
    }
}

/// The units of a part among some that begin after so much weight.
fn own(
    units: impl Iterator<Item = (u64, PlannedUnit)>,
    mut start: u64,
    part: Part,
) -> Vec<(u64, PlannedUnit)> {
    let is_own = |(_, unit): &(u64, PlannedUnit)| {
        let is_own = part.has(start);
        start += unit.weight;
        is_own
    };
    units.filter(is_own).collect()
}

fn bytes_of(unit: &PlannedUnit) -> u64 {
    unit.partition.iter().flat_map(|partition| partition.inputs()).map(|file| file.bytes).sum()
}

/// The manifest of a unit that leaves its partition as it is.
fn nothing(unit: UnitId) -> Manifest {
    Manifest::empty(unit, None, String::new(), LockName::default())
}
