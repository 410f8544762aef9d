//! What is told at the end of a run, and what is kept of it in the lake.

use crate::engine::{About, Report};
use crate::error::Result;
use crate::lake::{Snapshot, names, to_json};
use crate::storage::{Storage, salt};
use crate::units::{are, counted};
use std::fmt::Display;

/// Version of the report's fields: it grows when one changes its meaning or is removed.
const REPORT_FORMAT: u32 = 1;

/// Describes a run that begins now, and gives it a name.
pub(super) fn about_run(lake: impl Display, sources: Vec<String>) -> About {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    About {
        report_format: REPORT_FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run: format!("{time}-{:016x}", salt()),
        lake: lake.to_string(),
        sources,
    }
}

/// What a person should know about where the lake is.
pub(super) async fn warnings(storage: &Storage) -> Vec<String> {
    // Whoever may not ask learns nothing, here; `doctor` says so.
    let open = storage.public_bucket().await.map(|bucket| {
        format!(
            "the bucket `{bucket}` is open to the public, and the logs in it are sensitive: block \
             public access to it"
        )
    });
    open.into_iter().collect()
}

/// What a person should know about rows that are gone.
pub(super) fn loss_warning(lake: &Snapshot) -> Option<String> {
    let (files, rows) = lake.lost();
    (files > 0).then(|| {
        format!(
            "{} with {} {} gone from the lake: bring back what is lost with \
             `trailmill convert --restore`, or accept the loss with `trailmill catalog sync \
             --accept-loss`",
            counted(files, "data file"),
            counted(rows, "row"),
            are(files),
        )
    })
}

pub(super) async fn write_run_log(
    storage: &Storage,
    report: &Report,
    lake: &Snapshot,
) -> Result<()> {
    let Some(last) = lake.last() else { return Ok(()) };
    let key = names::run(&last.unit, jiff::Timestamp::now().as_millisecond());
    storage.put_new(&key, to_json(report)?).await.map(|_| ())
}
