//! The plan of an array job: which one is meant, and its settings as options.

use crate::engine::{CatalogOptions, ConvertOptions, Duplicates};
use crate::error::{Error, Result};
use crate::lake::{Manifest, PlanSettings, WorkPlan};
use crate::location::Location;
use crate::storage::{OWN, S3, Storage};

/// Says where a plan's lake is, and which plan is meant: the address of its document, or that of the
/// lake for the one that is open.
fn plan_in(address: &Location) -> (Location, Option<String>) {
    let text = address.to_string();
    let folder = format!("{OWN}/plans/");
    let found =
        text.rsplit_once(&folder).filter(|(lake, _)| lake.is_empty() || lake.ends_with('/'));
    let Some((lake, id)) = found.and_then(|(lake, _)| Some((lake, WorkPlan::id_in(&text)?))) else {
        return (address.clone(), None);
    };
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
        return Err(Error::config("no plan and no lake is named"));
    }
    let (lake, id) = plan_in(address);
    let no_lake =
        || Error::config("not a trailmill lake: `_trailmill/` not found").at("lake", &lake);
    if lake.local().is_some_and(|folder| !folder.join(OWN).is_dir()) {
        return Err(no_lake());
    }
    let storage = Storage::open(&lake, s3).await?;
    if lake.is_s3() && storage.is_empty(OWN).await? {
        return Err(no_lake());
    }
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
            Some(plan.ok_or_else(|| Error::config("there is no such plan").at("plan", address))?)
        }
    };
    Ok((storage, plan))
}

/// Returns whether the lake has neither a plan, open or ended, nor a committed unit.
async fn is_unused(storage: &Storage) -> Result<bool> {
    Ok(!WorkPlan::any(storage).await? && !Manifest::any_newest_first(storage, |_| true).await?)
}

/// What a plan keeps of the options that it was made with.
pub(super) fn settings_of(options: &ConvertOptions, database: String) -> PlanSettings {
    PlanSettings {
        partition_by: options.partition_by.to_string(),
        nested: options.nested,
        compression: options.compression.to_string(),
        target_file_size: options.target_file_size.0,
        unit_size: options.unit_size.0,
        drops_copies: options.duplicates == Duplicates::Drop,
        max_object_bytes: options.caps.max_object_bytes,
        max_ratio: options.caps.max_ratio,
        table: options.catalog.table.clone(),
        database,
    }
}

/// The catalog's options for a plan: its names are the plan's.
pub(super) fn catalog_of(settings: &PlanSettings, options: CatalogOptions) -> CatalogOptions {
    CatalogOptions {
        database: Some(settings.database.clone()),
        table: settings.table.clone(),
        ..options
    }
}

/// Returns whether some of the numbers that are used by now were used by the plan's own units.
pub(super) async fn is_own(plan: &WorkPlan, storage: &Storage, units: &[u64]) -> Result<bool> {
    let Some(unit) = units.first().copied() else { return Ok(false) };
    if plan.done(storage, unit..unit + 1).await?.is_empty() {
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
