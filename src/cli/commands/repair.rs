//! `trailmill repair`: rebuild lost manifests.

use crate::cli::args::{Format, LakePlace, OutputArgs, WritingArgs};
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::report::{print, print_json};
use crate::engine::runtime;
use crate::error::Result;
use crate::operations::{RepairReport, open_lake, repair, take_turn};
use crate::units::counted;
use clap::Args as Group;

/// Rebuild manifests that were removed or are damaged, from other documents of the lake.
///
/// Nothing is removed. Files of a unit whose manifest was lost count again. If no document names
/// the objects of a unit any more, the next conversion converts them again and drops their records
/// as copies; where that is not possible, the files are moved to `_trailmill/detached`. Writes
/// nothing when no manifest is lost; exit code 1 when files were moved there or are missing.
#[derive(Debug, Group)]
pub(super) struct RepairArgs {
    #[command(flatten)]
    pub place: LakePlace,
    #[command(flatten)]
    pub writing: WritingArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) fn run(args: &RepairArgs) -> Result<u8> {
    let report = runtime()?.block_on(async {
        let s3 = args.place.aws.s3(Some(&args.writing))?;
        let storage = open_lake(&args.place.lake, &s3).await?;
        let lease = take_turn(&storage, None).await?;
        let outcome = repair(lease.storage()).await;
        lease.conclude(outcome).await
    })?;
    match args.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&text(&report))?,
    }
    Ok(if report.is_whole() { EXIT_OK } else { EXIT_INCOMPLETE })
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
        if unit.files_detached > 0 {
            text.push_str(&format!(
                "; detached: {} with {}, in _trailmill/detached: convert again to have the \
                 rows back from their objects",
                counted(unit.files_detached, "file"),
                counted(unit.rows_detached, "row")
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
