//! Giving a plan up: what its units wrote is removed.

use crate::engine::runtime;
use crate::error::{Error, Result};
use crate::lake::{Intent, Known, PlanEnd, WorkPlan};
use crate::location::Location;
use crate::operations::open_plan::{find_plan, is_own};
use crate::operations::sweep::sweep_discarded;
use crate::operations::switch::finish_exchanges;
use crate::operations::take_turn::take_turn;
use crate::storage::{S3, Storage};
use std::sync::Arc;

/// The plan to discard.
#[derive(Clone, Debug)]
pub struct DiscardOptions {
    /// The plan's document, or a lake with an open plan.
    pub plan: Location,
    /// How S3 is reached.
    pub s3: Arc<S3>,
}

/// Gives a plan up: removes what its units wrote. Objects that it would have converted are new to the
/// next plan or conversion.
///
/// # Errors
/// `Config` when there is no open plan, or when it is being finished; `Busy` when another run holds the
/// lake; `Unavailable`, `Denied`, `Io`.
pub fn discard_plan(options: &DiscardOptions) -> Result<String> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let (storage, plan) = find_plan(&options.plan, &options.s3).await?;
        let plan = plan.ok_or_else(|| Error::config("the lake has no open plan"))?;
        let lease = take_turn(&storage, None).await?;
        let outcome = discard(&plan, lease.storage()).await;
        lease.conclude(outcome).await.map(|()| storage.address() + &plan.key())
    })
}

async fn discard(plan: &WorkPlan, storage: &Storage) -> Result<()> {
    match plan.read_end(storage).await? {
        Some(PlanEnd::Finished) => return Err(Error::config("the plan is finished")),
        // An attempt that was killed may have left something; what was written since then is not ours.
        Some(PlanEnd::Discarded) => {}
        None if is_own(plan, storage, &plan.list_committed(storage).await?).await? => {
            let message = "some units of the plan are in the lake already: run `trailmill finish`";
            return Err(Error::config(message).at("plan", &plan.id));
        }
        None => {
            // Where another run has used the first number, none of the units can be committed.
            let is_free = plan.list_committed(storage).await?.is_empty();
            if is_free && plan.decide(storage, PlanEnd::Discarded).await? != PlanEnd::Discarded {
                let message = "the plan is being finished: run `trailmill finish`";
                return Err(Error::config(message).at("plan", &plan.id));
            }
            plan.end(storage, PlanEnd::Discarded).await?;
        }
    }
    plan.remove_work(storage).await?;
    if WorkPlan::find_open(storage).await?.is_some() {
        // Another plan has its numbers by now.
        return Ok(());
    }
    let known = Known::read(storage).await?;
    let intents = Intent::read_all(storage).await?;
    sweep_discarded(storage, &known, &intents, &plan.settings.table).await?;
    finish_exchanges(storage).await?;
    storage.clear_half_written()
}
