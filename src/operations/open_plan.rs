//! The plan of an array job: which one is meant, and its settings as options.

use crate::engine::CatalogOptions;
use crate::error::{Error, Result};
use crate::lake::{Manifest, WorkPlan, names};
use crate::location::Location;
use crate::operations::open_lake::open_lake;
use crate::storage::{S3, Storage};

/// Says where a plan's lake is, and which plan is meant: the address of its document, or that of the
/// lake for the one that is open.
fn plan_in(address: &Location) -> (Location, Option<String>) {
    let text = address.to_string();
    let Some((lake, id)) = names::split_plan(&text) else { return (address.clone(), None) };
    let lake = match address {
        Location::Local(_) if lake.is_empty() => Location::Local(".".into()),
        Location::Local(_) => Location::Local(lake.into()),
        Location::S3 { .. } => lake.parse().unwrap_or_else(|_| address.clone()),
    };
    (lake, Some(id.to_owned()))
}

/// Returns the lake of a plan, by either's address.
pub fn lake_of_plan(address: &Location) -> Location {
    plan_in(address).0
}

/// Opens the lake of a plan, and reads the plan; none where the lake has no open one.
///
/// # Errors
/// `Config` for a place that is not a lake, an unknown plan, or a lake without any plan or unit; `Damaged`,
/// `Unavailable`, `Denied`, `Io`.
pub async fn find_plan(address: &Location, s3: &S3) -> Result<(Storage, Option<WorkPlan>)> {
    if address.local().is_some_and(|path| path.as_os_str().is_empty()) {
        return Err(Error::config("no plan or lake given"));
    }
    let (lake, id) = plan_in(address);
    let storage = open_lake(&lake, s3).await?;
    let plan = match id {
        None => match WorkPlan::find_open(&storage).await? {
            None if is_unused(&storage).await? => {
                let message = "the lake has no plan, and nothing was converted into it yet: \
                               make a plan with `trailmill plan`";
                return Err(Error::config(message).at("lake", &lake));
            }
            open => open,
        },
        Some(id) => {
            let plan = WorkPlan::read(&storage, &id).await?;
            Some(plan.ok_or_else(|| Error::config("plan not found").at("plan", address))?)
        }
    };
    Ok((storage, plan))
}

/// Returns whether the lake has neither a plan, open or ended, nor a committed unit.
async fn is_unused(storage: &Storage) -> Result<bool> {
    Ok(!WorkPlan::any(storage).await? && !Manifest::any_newest_first(storage, |_| true).await?)
}

/// The catalog's options for a plan: its names are the plan's.
pub(super) fn catalog_of(plan: &WorkPlan, options: CatalogOptions) -> CatalogOptions {
    CatalogOptions {
        database: Some(plan.database.clone()),
        table: plan.settings.table.clone(),
        ..options
    }
}

/// Returns whether some of the numbers that are used by now were used by the plan's own units.
pub(super) async fn is_own(plan: &WorkPlan, storage: &Storage, units: &[u64]) -> Result<bool> {
    let Some(unit) = units.first().copied() else { return Ok(false) };
    if plan.list_done(storage, unit..unit + 1).await?.is_empty() {
        return Ok(false);
    }
    let done = plan.read_done(storage, unit).await?;
    Manifest::is_committed(storage, &done.manifest.unit).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_named_by_its_document_or_its_lake() {
        let id = "00000007-0123456789abcdef";
        let parse = |text: &str| {
            let (lake, id) = plan_in(&text.parse().unwrap());
            (lake.to_string(), id)
        };
        for lake in ["s3://lake/x/", "s3://lake/", "/data/lake/", "lake/"] {
            let document = format!("{lake}_trailmill/plans/{id}.json");
            assert_eq!(parse(&document), (lake.to_owned(), Some(id.to_owned())));
            assert_eq!(parse(lake), (lake.to_owned(), None));
        }
        assert_eq!(parse(&format!("_trailmill/plans/{id}.json")), (".".into(), Some(id.into())));
        assert_eq!(parse("s3://lake/_trailmill/plans/other.json").1, None);
    }
}
