//! The command that makes lost manifests again.

use crate::cli::args::Format;
use crate::cli::args::RepairArgs;
use crate::cli::lake::open_lake;
use crate::cli::report::{print, print_json};
use crate::cli::{EXIT_OK, EXIT_SET_ASIDE};
use crate::engine::runtime;
use crate::error::Result;
use crate::operations::RepairReport;
use crate::operations::repair as repair_lake;
use crate::storage::Lease;
use crate::units::counted;

pub(super) fn repair(args: &RepairArgs) -> Result<u8> {
    let report = runtime()?.block_on(async {
        let s3 = args.place.aws.s3(Some(&args.encryption))?;
        let storage = open_lake(&args.place.lake, &s3).await?;
        let lease = Lease::take(&storage).await?;
        let outcome = repair_lake(lease.storage()).await;
        lease.conclude(outcome).await
    })?;
    match args.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&text(&report))?,
    }
    Ok(if report.is_whole() { EXIT_OK } else { EXIT_SET_ASIDE })
}

fn text(report: &RepairReport) -> String {
    if report.units.is_empty() {
        return "No manifest is missing or damaged.\n".to_owned();
    }
    let mut text = String::new();
    for unit in &report.units {
        text.push_str(&format!(
            "unit {}: {} with {} counted again",
            unit.number,
            counted(unit.files, "file"),
            counted(unit.rows, "row")
        ));
        if unit.files_set_aside > 0 {
            text.push_str(&format!(
                "; set aside: {} with {}, in _trailmill/set-aside: convert again to have the \
                 rows back from their objects",
                counted(unit.files_set_aside, "file"),
                counted(unit.rows_set_aside, "row")
            ));
        }
        text.push('\n');
    }
    if report.files_gone > 0 {
        text.push_str(&format!(
            "gone of these units: {} with {}\n",
            counted(report.files_gone, "file"),
            counted(report.rows_gone, "row")
        ));
    }
    text
}
