//! The end of a plan that compacts: its partitions are committed and switched, one after another.
//!
//! An attempt that is killed leaves a partition that is committed and not switched, as a compaction does: the
//! next one ends the exchange first, and goes on with the first partition that is not committed.

use crate::engine::CatalogOptions;
use crate::error::{ErrorKind, Result};
use crate::lake::{
    CompactionSettings, Known, LeftPartition, Manifest, PartitionFiles, PlanEnd, UnitDone, WorkPlan,
};
use crate::operations::compact::{CompactReport, after, conclude, open_movable};
use crate::operations::finished::Finished;
use crate::operations::open_plan::catalog_of;
use crate::operations::register::after_commit;
use crate::operations::sweep::{generation_files, remove_all};
use crate::operations::switch::{commit, finish_exchanges};
use crate::storage::{S3, Storage};
use std::time::Instant;

/// A plan whose units are all done.
pub(super) struct CompactionFinish<'a> {
    pub plan: &'a WorkPlan,
    pub how: &'a CompactionSettings,
    pub storage: &'a Storage,
    pub s3: &'a S3,
    pub started: Instant,
}

impl CompactionFinish<'_> {
    /// Commits and switches the partitions, and brings the catalog in line.
    pub(super) async fn run(&self, catalog: &CatalogOptions) -> Result<Finished> {
        let Self { plan, how, storage, s3, .. } = *self;
        let names = catalog_of(plan, catalog.clone());
        let mut known = Known::read(storage).await?;
        // What is wrong with it is said before the work, not after.
        let catalog = open_movable(storage, &known, &names, s3).await?;
        let decided = plan.decide(storage, PlanEnd::Finished).await?;
        if decided != PlanEnd::Finished {
            return Ok(Finished::Nothing(Some(decided)));
        }
        finish_exchanges(storage).await?;
        let mut report = CompactReport { skipped: how.left.clone(), ..CompactReport::default() };
        self.commit_all(&mut known, &mut report).await.map_err(after_commit)?;
        let manifests = Manifest::read_all(storage).await?;
        let (lake, told) = ((&mut known, &manifests[..]), (catalog, &names));
        conclude(storage, lake, told, how.grace, &mut report).await?;
        report.seconds = self.started.elapsed().as_secs_f64();
        plan.end(storage, PlanEnd::Finished).await?;
        plan.remove_work(storage).await?;
        storage.clear_half_written()?;
        Ok(Finished::Compacted(Box::new(report)))
    }

    /// Commits the units in their order.
    async fn commit_all(&self, known: &mut Known, report: &mut CompactReport) -> Result<()> {
        let Self { plan, storage, .. } = *self;
        let mut unit = 0;
        for part in 0..plan.parts.len() {
            for planned in plan.read_part(storage, part).await? {
                let chosen = planned.compacts()?;
                let UnitDone { manifest, left, .. } = plan.read_done(storage, unit).await?;
                unit += 1;
                let left = match left {
                    None => self.commit(&manifest, chosen).await?,
                    left => left,
                };
                let manifest = match &left {
                    None => manifest,
                    Some(_) => Manifest { files: Vec::new(), replaced: Vec::new(), ..manifest },
                };
                match left {
                    None => report.add(after(chosen, &manifest)),
                    Some(left) => {
                        // Its number is taken all the same.
                        let written = generation_files(storage, |unit| *unit == manifest.unit);
                        remove_all(storage, written.await?).await?;
                        manifest.write(storage).await?;
                        report.skipped.push(left);
                    }
                }
                if manifest.unit.number >= known.snapshot.next_number() {
                    known.add(&manifest);
                }
                if known.is_checkpoint_due() {
                    known.write_checkpoint(storage).await?;
                }
            }
        }
        Ok(())
    }

    /// Commits a unit, unless an earlier attempt did; says why its partition cannot be switched, if so.
    async fn commit(
        &self,
        manifest: &Manifest,
        chosen: &PartitionFiles,
    ) -> Result<Option<LeftPartition>> {
        match Manifest::of_unit(self.storage, &manifest.unit).await? {
            Some(there) if there == *manifest => return Ok(None),
            Some(_) => {
                return Ok(Some(chosen.left("an earlier attempt could not switch it".to_owned())));
            }
            None => {}
        }
        match commit(self.storage, manifest).await {
            Ok(()) => Ok(None),
            // A folder in the partition's folder, which came since the plan was made.
            Err(err) if err.kind() == ErrorKind::Config => Ok(Some(chosen.left(err.to_string()))),
            Err(err) => Err(err),
        }
    }
}
